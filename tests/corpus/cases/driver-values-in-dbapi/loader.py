import os

from clickhouse_driver import dbapi

con = dbapi.connect(
    host=os.environ["CLICKHOUSE_HOST"],
    port=int(os.environ["CLICKHOUSE_PORT"]),
    user=os.environ["CLICKHOUSE_USER"],
    password=os.environ["CLICKHOUSE_PASSWORD"],
    database=os.environ["CLICKHOUSE_DB"],
)
cursor = con.cursor()
cursor.executemany("INSERT INTO visits (tenant, page) VALUES", [(9, "twelve"), (9, 13)])
