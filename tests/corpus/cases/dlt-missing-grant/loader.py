import os, tempfile
import dlt
os.environ["DLT_DATA_DIR"] = tempfile.mkdtemp()
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
e = os.environ
creds = {"host": e["CLICKHOUSE_HOST"], "port": int(e["CLICKHOUSE_OTHER_PORT"]), "http_port": int(e["CLICKHOUSE_PORT"]), "username": e["CLICKHOUSE_USER"], "password": e["CLICKHOUSE_PASSWORD"], "database": e["CLICKHOUSE_DB"], "secure": 0}
p = dlt.pipeline("orders", destination=dlt.destinations.clickhouse(credentials=creds), dataset_name="raw")
print(p.run([{"order_id": 1}], table_name="orders"))
