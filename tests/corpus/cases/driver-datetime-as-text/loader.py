import os

from clickhouse_driver import Client

client = Client(
    os.environ["CLICKHOUSE_HOST"],
    port=int(os.environ["CLICKHOUSE_PORT"]),
    user=os.environ["CLICKHOUSE_USER"],
    password=os.environ["CLICKHOUSE_PASSWORD"],
    database=os.environ["CLICKHOUSE_DB"],
)


def main():
    rows = [(1, "2026-11-20 10:00:00"), (2, "2026-11-20 11:00:00")]
    client.execute("INSERT INTO orders (id, sold_at) VALUES", rows)


main()
