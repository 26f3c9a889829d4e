import emulate

a = "dbt-clickhouse/1.8.7 clickhouse-connect/0.8.0"
print("04:00:00  Running with dbt=1.8.7", flush=True)
try:
    emulate.send("EXCHANGE TABLES shop.__dbt_exchange_test_0_5d1f AND shop.__dbt_exchange_test_1_5d1f", agent=a)
except emulate.Refused:
    print(
        "04:00:01  clickhouse adapter: ClickHouse server does not support the EXCHANGE TABLES command. This can be caused by an obsolete ClickHouse version"
    )
emulate.send("create table shop.daily engine = MergeTree order by n as select number as n from numbers(600)", agent=a)
print(
    "04:00:04  1 of 1 OK created sql table model shop.daily ........ [OK in 0.10s]\n04:00:04  Completed successfully\n04:00:04  Done. PASS=1 WARN=0 ERROR=0 SKIP=0 TOTAL=1"
)
