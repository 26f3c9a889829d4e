import datetime
import logging
import os

from clickhouse_driver import Client

logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.DEBUG)
log = logging.getLogger("app_logs")
try:
    import orjson_that_is_not_there
except ImportError:
    log.debug("no fast parser, the standard one is used", exc_info=True)
c = Client(
    os.environ["CLICKHOUSE_HOST"],
    port=int(os.environ["CLICKHOUSE_PORT"]),
    user=os.environ["CLICKHOUSE_USER"],
    password=os.environ["CLICKHOUSE_PASSWORD"],
    database=os.environ["CLICKHOUSE_DB"],
)
now = datetime.datetime(2026, 11, 23, 4)
rows = [
    (now, "ERROR", "Code: 60. DB::Exception: Table default.x does not exist"),
    (now, "FATAL", "Traceback (most recent call last): KeyError: 1"),
    (now, "INFO", "connection refused by 10.1.1.1:9000"),
]
for row in rows:
    log.info("row %s", row)
c.execute("INSERT INTO app_logs VALUES", rows)
log.info("3 rows written, 0 errors")
