import sys
import emulate
try:
    emulate.send("CREATE TABLE shop.leads (lead_id Nullable(UInt64), note Nullable(String)) ENGINE = MergeTree ORDER BY lead_id", agent="clickhouse-sqlalchemy")
except emulate.Refused as refused:
    print(f"2026-11-23T04:00:03.120Z [error    ] sqlalchemy.exc.DatabaseError: Orig exception: {refused.text} cmd_type=elb consumer=True name=target-clickhouse producer=False stdio=stderr string_id=target-clickhouse")
    print("2026-11-23T04:00:03.511Z [error    ] Loader failed"); sys.exit(1)
