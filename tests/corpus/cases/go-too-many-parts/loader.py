import sys
import emulate
for n in range(5):
    emulate.send("INSERT INTO metrics FORMAT TSV", f"{n}\n", agent="clickhouse_sinker")
try:
    emulate.send('INSERT INTO metrics FORMAT TSV', '1\n', agent='clickhouse_sinker')
except emulate.Refused as error:
    print(f"2026/11/23 04:00:02 insert failed: code: {error.code}, message: " + error.text.split("DB::Exception: ", 1)[-1].split(" (version")[0], flush=True)
    sys.exit(1)
