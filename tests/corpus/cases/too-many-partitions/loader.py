import datetime
import sys

import emulate

rows = "".join(f"{datetime.date.fromordinal(739500 + n)}\t{n}\n" for n in range(150))
try:
    emulate.send("INSERT INTO visits FORMAT TSV", rows)
except emulate.Refused as error:
    print("ERROR", error.text)
    sys.exit(1)
