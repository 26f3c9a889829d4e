import asyncio, os
from asynch.connection import Connection
async def main():
    e = os.environ
    async with Connection(host=e["CLICKHOUSE_HOST"], port=int(e["CLICKHOUSE_PORT"]), user=e["CLICKHOUSE_USER"], password=e["CLICKHOUSE_PASSWORD"], database=e["CLICKHOUSE_DB"]) as con:
        async with con.cursor() as cursor:
            await cursor.execute("INSERT INTO order_lines (id) VALUES", [(1,)])
asyncio.run(main())
