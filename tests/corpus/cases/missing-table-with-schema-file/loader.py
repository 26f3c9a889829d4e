import asyncio
import os

import aiohttp
from aiochclient import ChClient


async def main():
    async with aiohttp.ClientSession() as s:
        c = ChClient(
            s,
            url=f"http://{os.environ['CLICKHOUSE_HOST']}:{os.environ['CLICKHOUSE_PORT']}",
            user=os.environ["CLICKHOUSE_USER"],
            password=os.environ["CLICKHOUSE_PASSWORD"],
            database=os.environ["CLICKHOUSE_DB"],
        )
        await c.execute("INSERT INTO ordrs (id) VALUES", (1,), (2,))


asyncio.run(main())
