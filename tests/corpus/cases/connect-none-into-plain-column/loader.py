import logging
import os

import clickhouse_connect

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-8s %(message)s")
c = clickhouse_connect.get_client(
    host=os.environ["CLICKHOUSE_HOST"],
    port=int(os.environ["CLICKHOUSE_PORT"]),
    username=os.environ["CLICKHOUSE_USER"],
    password=os.environ["CLICKHOUSE_PASSWORD"],
    database=os.environ["CLICKHOUSE_DB"],
)
try:
    c.insert("orders", [[1, 10.5], [2, None]], column_names=["id", "price"])
except Exception:
    logging.exception("insert failed")
    raise SystemExit(2)
