import logging
import os

import clickhouse_connect
import pandas as pd

logging.basicConfig(level=logging.INFO)
c = clickhouse_connect.get_client(
    host=os.environ["CLICKHOUSE_HOST"],
    port=int(os.environ["CLICKHOUSE_PORT"]),
    username=os.environ["CLICKHOUSE_USER"],
    password=os.environ["CLICKHOUSE_PASSWORD"],
    database=os.environ["CLICKHOUSE_DB"],
)
logging.info("2 rows read")
c.insert_df("orders", pd.DataFrame({"id": [1, 2], "town": ["a", "b"]}))
