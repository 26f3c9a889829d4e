import logging
import sys

import emulate

logging.basicConfig(format="[%(levelname)s] %(asctime)s %(message)s")
try:
    emulate.send("", agent="clickhouse-connect/0.8.18 (mode:sync;) python-urllib3/2.2")
except emulate.Refused as error:
    logging.error("DatabaseError: Received ClickHouse exception, code: %d, server response: %s", error.code, error.text)
    sys.exit(1)
