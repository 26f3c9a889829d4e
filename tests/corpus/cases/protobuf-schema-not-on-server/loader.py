import sys

import emulate

try:
    emulate.send("INSERT INTO shop.app_events FORMAT Protobuf", b"\x02\x08\x01", format_schema="app_events:Event", agent="python-requests/2.32")
except emulate.Refused as error:
    print(f"[ERROR] ingestion.worker: clickhouse said {error.text}", flush=True)
    sys.exit(1)
