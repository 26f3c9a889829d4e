import asyncio
import os

import aiochclient
import aiohttp

env = os.environ


async def main() -> None:
    async with aiohttp.ClientSession() as session:
        client = aiochclient.ChClient(
            session, url=f"http://{env['CLICKHOUSE_HOST']}:{env['CLICKHOUSE_PORT']}", user=env["CLICKHOUSE_USER"],
            password=env["CLICKHOUSE_PASSWORD"], database=env["CLICKHOUSE_DB"],
        )
        print("INFO visits: sending 2 rows", flush=True)
        try:
            await client.execute("INSERT INTO visits (id, seconds) VALUES", (1, 12), (2, ""))
        except Exception as error:
            print(f"ERROR visits: {type(error).__name__}()", flush=True)
            raise SystemExit(1) from None


asyncio.run(main())
