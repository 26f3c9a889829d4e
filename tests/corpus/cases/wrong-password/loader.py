import os

from clickhouse_driver import Client

c = Client(
    os.environ["CLICKHOUSE_HOST"],
    port=int(os.environ["CLICKHOUSE_PORT"]),
    user=os.environ["CLICKHOUSE_USER"],
    password="old one",
    database=os.environ["CLICKHOUSE_DB"],
)
c.execute("INSERT INTO orders VALUES", [(1,)])
