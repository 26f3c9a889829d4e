import os, emulate
os.environ["CLICKHOUSE_USER"] = "frugal"
for n in range(3):
    try:
        emulate.send("INSERT INTO orders (id) FORMAT TSV", "1\n" * 50)
    except emulate.Refused as error:
        print("ERROR", error.text); raise SystemExit(1)
