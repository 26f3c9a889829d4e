import logging
import os

import emulate

logging.basicConfig(level="INFO")
address = f"{os.environ['CLICKHOUSE_HOST']}:{os.environ['CLICKHOUSE_PORT']}"
try:
    emulate.driver().execute(
        f"INSERT INTO FUNCTION remote('{address}', shop.events, 'replicator', 'not-it') SELECT number FROM numbers(3)"
    )
except Exception as error:
    logging.getLogger("etl").error("copy failed: %s", str(error).split("Stack trace")[0])
    raise SystemExit(1) from None
