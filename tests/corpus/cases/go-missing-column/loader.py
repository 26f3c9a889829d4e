import sys
import emulate

try:
    emulate.send('INSERT INTO orders (id, town) FORMAT TSV', '1\ta\n', agent='clickhouse-go/2.26.0 (lv:go/1.22.0; os:linux)')
except emulate.Refused as error:
    print(f"2026/11/23 04:00:02 insert failed: code: {error.code}, message: " + error.text.split("DB::Exception: ", 1)[-1].split(" (version")[0], flush=True)
    sys.exit(1)
