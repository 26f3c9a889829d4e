import sys
import emulate

try:
    emulate.send('INSERT INTO big FORMAT TSV', '1\n', agent='Go-http-client/1.1')
except emulate.Refused as error:
    print(f"2026/11/23 04:00:02 insert failed: code: {error.code}, message: " + error.text.split("DB::Exception: ", 1)[-1].split(" (version")[0], flush=True)
    sys.exit(1)
