import os, pandas as pd, sqlalchemy as sa
e = os.environ
engine = sa.create_engine(f"clickhouse+native://{e['CLICKHOUSE_USER']}:{e['CLICKHOUSE_PASSWORD']}@{e['CLICKHOUSE_HOST']}:{e['CLICKHOUSE_PORT']}/{e['CLICKHOUSE_DB']}", echo=True)
pd.DataFrame({"id": [1, 2], "town": ["a", "Exception: b"]}).to_sql("towns", engine, if_exists="append", index=False)
print("2 rows")
