import logging
import os
import time

from clickhouse_driver import Client

logging.basicConfig(level=logging.INFO)
c = Client(
    os.environ["CLICKHOUSE_HOST"],
    port=int(os.environ["CLICKHOUSE_PORT"]),
    user=os.environ["CLICKHOUSE_USER"],
    password=os.environ["CLICKHOUSE_PASSWORD"],
    database=os.environ["CLICKHOUSE_DB"],
    settings={"receive_timeout": 1, "insert_block_size": 1},
)


def feed():
    yield (1, 1.0)
    yield (1, 1.5)
    time.sleep(3)
    yield (2, 2.0)


c.execute("INSERT INTO telemetry VALUES", feed())
