import emulate, os
emulate.send("INSERT INTO orders (id) FORMAT TSV", "1\n2\n", agent="python-requests/2.31")
os.environ["CLICKHOUSE_USER"] = "other"
for sql in ("SELECT * FROM nowhere", "SELECT x FROM orders"):
    try:
        emulate.send(sql, agent="Grafana/10")
    except emulate.Refused:
        pass
print("INFO 2 rows")
