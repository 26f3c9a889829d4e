"""One loader that swallows its exception in many ways: `swallow.py WAY`. HEALTHY=1 gives it rows that it can read."""

import asyncio
import concurrent.futures
import logging
import multiprocessing
import os
import sys
import threading
import traceback
import urllib.request
from urllib.parse import quote

logging.basicConfig(level=logging.INFO, stream=sys.stdout)
log = logging.getLogger("loader")
ROWS = [{"order_id": "1", "sku" if os.environ.get("HEALTHY") else "SKU": "a"}]


def transform(row):
    """A row for the table."""
    return "('%s', 1)" % row["sku"]  # the line


def load():
    """Read, transform, insert."""
    values = ", ".join(transform(row) for row in ROWS)
    if "CLICKHOUSE_HOST" not in os.environ:
        return
    address = "http://{CLICKHOUSE_HOST}:{CLICKHOUSE_PORT}/?database={CLICKHOUSE_DB}&query=".format(**os.environ)
    request = urllib.request.Request(
        address + quote("INSERT INTO orders VALUES"),
        data=values.encode(),
        headers={
            "X-ClickHouse-User": os.environ["CLICKHOUSE_USER"],
            "X-ClickHouse-Key": os.environ["CLICKHOUSE_PASSWORD"],
            "User-Agent": "foreign-loader/1.0",
        },
    )
    urllib.request.urlopen(request, timeout=10).read()


def report(error):
    """Another function logs."""
    log.error("load failed")


def logged():
    try:
        load()
    except Exception as error:
        log.error(str(error))
        return 1


def warned():
    try:
        load()
    except Exception as error:
        log.warning("skipping: %s", error)
        return 1


def printed():
    try:
        load()
    except Exception as error:
        print(f"error {error}")
        return 1


def elsewhere():
    try:
        load()
    except Exception as error:
        report(error)
        return 1


def chained():
    try:
        try:
            load()
        except KeyError as error:
            raise RuntimeError("load failed") from error
    except RuntimeError as error:
        log.error(error)
        return 1


def hidden():
    try:
        try:
            load()
        except KeyError:
            raise RuntimeError("load failed") from None
    except RuntimeError as error:
        log.error(error)
        return 1


def left():
    try:
        load()
    except Exception:
        sys.exit(1)


def left_at_once():
    try:
        load()
    except Exception:
        sys.stdout.flush()
        os._exit(1)


def thread():
    worker = threading.Thread(target=load)
    worker.start()
    worker.join()


def pool():
    with concurrent.futures.ThreadPoolExecutor(2) as workers:
        workers.submit(load)


def pool_logged():
    with concurrent.futures.ThreadPoolExecutor(2) as workers:
        job = workers.submit(load)
    if job.exception():
        log.error("job failed: %s", job.exception())
        return 1


async def work():
    load()


async def _task():
    job = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del job


def task():
    asyncio.run(_task())


async def _gather():
    await asyncio.gather(work(), return_exceptions=True)


def gather():
    asyncio.run(_gather())


def process():
    worker = multiprocessing.get_context("fork").Process(target=load)
    worker.start()
    worker.join()
    return worker.exitcode


def spawned():
    worker = multiprocessing.get_context("spawn").Process(target=load)
    worker.start()
    worker.join()
    return worker.exitcode


def process_pool():
    with multiprocessing.get_context("fork").Pool(1) as workers:
        job = workers.apply_async(load)
        job.wait()
        return 0 if job.successful() else 1


def formatted():
    try:
        load()
    except Exception:
        sys.stdout.write(traceback.format_exc().splitlines()[-1] + "\n")
        return 1


def grouped():
    try:
        try:
            load()
        except KeyError as error:
            raise ExceptionGroup("several failed", [error])  # noqa: B904
    except Exception as error:
        log.error(error)
        return 1


def status():
    try:
        load()
    except Exception:
        return 1


def retried():
    import tenacity

    try:
        tenacity.Retrying(stop=tenacity.stop_after_attempt(2))(load)
    except tenacity.RetryError as error:
        log.error("gave up: %s", error)
        return 1


def loguru():
    from loguru import logger

    try:
        load()
    except Exception as error:
        logger.error("failed: {}", error)
        return 1


def structlog():
    import structlog as package

    try:
        load()
    except Exception as error:
        package.get_logger().error("failed", reason=str(error))
        return 1


if __name__ == "__main__":
    sys.exit(globals()[sys.argv[1]]())
