import os, emulate
os.environ["CLICKHOUSE_USER"] = "loader"
try:
    emulate.send("INSERT INTO orders (id) FORMAT TSV", "1\n")
except emulate.Refused as error:
    print("ERROR", error.text); raise SystemExit(1)
