import emulate, os
c = emulate.driver(port=int(os.environ["CLICKHOUSE_OTHER_PORT"]))
c.execute("INSERT INTO orders VALUES", [(1,)])
