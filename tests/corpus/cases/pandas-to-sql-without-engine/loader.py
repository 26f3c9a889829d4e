import logging
import os

import pandas
import sqlalchemy

logging.basicConfig(level="INFO", format="%(asctime)s %(name)s %(levelname)s %(message)s")
env = os.environ
engine = sqlalchemy.create_engine(
    f"clickhouse+native://{env['CLICKHOUSE_USER']}:{env['CLICKHOUSE_PASSWORD']}@{env['CLICKHOUSE_HOST']}:"
    f"{env['CLICKHOUSE_PORT']}/{env['CLICKHOUSE_DB']}"
)
try:
    pandas.DataFrame({"code": [1, 2], "name": ["a", "b"]}).to_sql("names", engine, if_exists="append", index=False)
except Exception:
    logging.getLogger("copy").exception("names not copied")
    raise SystemExit(1) from None
