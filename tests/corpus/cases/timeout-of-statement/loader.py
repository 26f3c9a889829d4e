import sys
import emulate

try:
    emulate.send('INSERT INTO totals SELECT sleepEachRow(0.3) FROM numbers(20) SETTINGS max_block_size = 1, max_execution_time = 1', '', agent='Go-http-client/1.1')
except emulate.Refused as error:
    print(f"2026/11/23 04:00:02 insert failed: code: {error.code}, message: " + error.text.split("DB::Exception: ", 1)[-1].split(" (version")[0], flush=True)
    sys.exit(1)
