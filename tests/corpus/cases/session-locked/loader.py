import sys, threading, time
import emulate
slow = threading.Thread(target=lambda: emulate.send("SELECT sleep(2)", agent="clickhouse-connect/0.8.14", session_id="model-1"))
slow.start()
time.sleep(0.5)
try:
    emulate.send("INSERT INTO seeds SELECT number FROM numbers(10)", agent="clickhouse-connect/0.8.14", session_id="model-1")
except emulate.Refused as refused:
    print("2026-11-23 04:00:02,118 - MainThread - sqlmesh.core.scheduler - INFO - Execution failed for node seeds")
    print("clickhouse_connect.driver.exceptions.DatabaseError: HTTPDriver for http://ch-1:8123 received ClickHouse error code 373")
    print(" " + refused.text)
slow.join(); sys.exit(1)
