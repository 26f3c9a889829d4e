import asyncio, logging, os
from asynch.connection import Connection
logging.basicConfig(level=logging.DEBUG)
async def main():
    e = os.environ
    async with Connection(host=e["CLICKHOUSE_HOST"], port=int(e["CLICKHOUSE_PORT"]), user=e["CLICKHOUSE_USER"], password=e["CLICKHOUSE_PASSWORD"], database=e["CLICKHOUSE_DB"]) as con:
        async with con.cursor() as cursor:
            await cursor.execute("INSERT INTO orders (id) VALUES", [(1,), (2,)])
    logging.info("2 rows, no error")
asyncio.run(main())
