import sys

import emulate

try:
    emulate.send("create table shop.mart__dbt_backup as shop.mart engine = MergeTree order by id on cluster main", agent="dbt/1.5.0")
except emulate.Refused as error:
    print("14:41:50  Completed with 1 error and 0 warnings:\n14:41:50  \n14:41:50  Database Error in model mart (models/mart/mart.sql)", flush=True)
    print(f"14:41:50    :HTTPDriver for http://ch-1:8123 returned response code 400)\n14:41:50     {error.text}", flush=True)
    sys.exit(1)
