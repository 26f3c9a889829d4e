import sys

import emulate

try:
    emulate.connect().command("INSERT INTO shop.landed SELECT * FROM s3(landing_zone, filename = 'orders.parquet')")
except Exception as error:
    print(f"level=error msg=\"load of orders.parquet failed\" err={str(error)!r}", flush=True)
    sys.exit(1)
