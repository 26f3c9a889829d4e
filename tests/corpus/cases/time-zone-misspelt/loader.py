import sys
import emulate
try:
    emulate.send("INSERT INTO local_days SELECT toDate(toTimeZone(now(), 'Europe/Kiew')), number FROM numbers(3)", agent="dbt-clickhouse/1.8")
except emulate.Refused as refused:
    print("04:00:02  Database Error in model local_days (models/local_days.sql)\n  " + refused.text); sys.exit(1)
