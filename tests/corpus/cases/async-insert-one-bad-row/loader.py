import sys
import emulate

try:
    emulate.send('INSERT INTO samples FORMAT JSONEachRow', '{"v":5}\n{"v":-1}\n', agent='clickhouse-go/2.26.0', async_insert=1, wait_for_async_insert=1)
except emulate.Refused as error:
    print(f"2026/11/23 04:00:02 insert failed: code: {error.code}, message: " + error.text.split("DB::Exception: ", 1)[-1].split(" (version")[0], flush=True)
    sys.exit(1)
