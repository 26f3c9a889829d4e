import asyncio
import logging
import os

import asynch

logging.basicConfig(level="INFO", format="%(asctime)s | %(levelname)-8s | %(message)s")
log = logging.getLogger("pulses")


async def main() -> None:
    env = os.environ
    async with asynch.Connection(
        host=env["CLICKHOUSE_HOST"], port=int(env["CLICKHOUSE_PORT"]), user=env["CLICKHOUSE_USER"],
        password=env["CLICKHOUSE_PASSWORD"], database=env["CLICKHOUSE_DB"],
    ) as connection, connection.cursor() as cursor:
        try:
            await cursor.execute("INSERT INTO pulses (data) VALUES", [(429496729500,)] + [(n,) for n in range(100)])
        except Exception as error:
            log.error("batch 1 not stored: %s: %s", type(error).__name__, error)
        await cursor.execute("INSERT INTO pulses (data) VALUES", [(n,) for n in range(100)])
        log.info("batch 2 stored")


try:
    asyncio.run(main())
except Exception:
    log.exception("load failed")
    raise SystemExit(1) from None
