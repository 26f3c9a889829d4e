import os, pandas as pd, sqlalchemy as sa
e = os.environ
engine = sa.create_engine(f"clickhouse+native://{e['CLICKHOUSE_USER']}:{e['CLICKHOUSE_PASSWORD']}@{e['CLICKHOUSE_HOST']}:{e['CLICKHOUSE_PORT']}/{e['CLICKHOUSE_DB']}")
frame = pd.DataFrame({"id": [1, 2], "day": ["2018-01-01", None]})
frame.to_sql("days", engine, if_exists="append", index=False)
