import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from clickhouse_driver import Client

logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
log = logging.getLogger("pages")
client = Client(
    os.environ["CLICKHOUSE_HOST"],
    port=int(os.environ["CLICKHOUSE_PORT"]),
    user=os.environ["CLICKHOUSE_USER"],
    password=os.environ["CLICKHOUSE_PASSWORD"],
    database=os.environ["CLICKHOUSE_DB"],
)
client.execute("SELECT 1")


def put(part):
    def rows():
        for i in range(50000):
            yield (part, i)

    client.execute("INSERT INTO pages VALUES", rows(), settings={"insert_block_size": 500})


failed = 0
with ThreadPoolExecutor(4) as pool:
    for number, future in enumerate([pool.submit(put, n) for n in range(4)]):
        try:
            future.result()
        except Exception as error:
            failed += 1
            log.error("part %d failed: %s", number, error)
log.info("done, %d of 4 parts failed", failed)
sys.exit(1 if failed else 0)
