import sys

import emulate

print(
    "04:00:00  Running with dbt=1.8.7\n04:00:01  Registered adapter: clickhouse=1.8.7\n04:00:02  Found 12 models, 8 data tests\n04:00:02  1 of 1 START sql table model shop.daily ........ [RUN]",
    flush=True,
)
try:
    emulate.send(
        "create table shop.daily engine = MergeTree order by n as select groupArray(number) as n from numbers(3000000)",
        agent="dbt-clickhouse/1.8.7 clickhouse-connect/0.8.0",
    )
except emulate.Refused as error:
    text = " ".join(error.text.split())
    print(
        f"04:00:04  1 of 1 ERROR creating sql table model shop.daily ........ [ERROR in 1.90s]\n04:00:04\n04:00:04  Finished running 1 table model in 0 hours 0 minutes and 2.10 seconds (2.10s).\n04:00:04  Completed with 1 error, 0 partial successes, and 0 warnings:\n04:00:04    Database Error in model daily (models/daily.sql)\n  HTTPDriver for http://ch-1:8123 returned response code 500\n   {text}\n04:00:04  Done. PASS=0 WARN=0 ERROR=1 SKIP=0 TOTAL=1"
    )
    sys.exit(1)
