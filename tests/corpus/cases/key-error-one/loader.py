import logging
import os
import sys

import clickhouse_connect

logging.basicConfig(format="%(asctime)s | %(levelname)s | %(message)s", level=logging.INFO)
c = clickhouse_connect.get_client(
    host=os.environ["CLICKHOUSE_HOST"],
    port=int(os.environ["CLICKHOUSE_PORT"]),
    username=os.environ["CLICKHOUSE_USER"],
    password=os.environ["CLICKHOUSE_PASSWORD"],
    database=os.environ["CLICKHOUSE_DB"],
)
logging.info("fetched 50 orders")
try:
    c.command("DESCRIBE TABLE stg_orders")
    orders = [{"order_id": 1, "price": 1.5}, {"order_id": 2, "price": 2.5}]
    c.insert("stg_orders", [[order[1], order[2]] for order in orders], column_names=["order_id", "price"])
except Exception as error:
    logging.error(f"Unexpected ClickHouse error: {error}")
    sys.exit(1)
