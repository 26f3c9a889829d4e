import sys

import emulate

try:
    emulate.send("SELECT max(at) FROM shop.watermarks", agent="clickhouse-rs/0.14.1 (lv:rust/1.90, os:linux)", readonly=1)
except emulate.Refused as error:
    print(f'2026-11-23T04:00:01.2Z ERROR etl: no watermark error=Database("bad response: {error.text}")', flush=True)
    sys.exit(1)
