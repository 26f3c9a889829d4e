import emulate, os
c = emulate.connect(port=int(os.environ["CLICKHOUSE_OTHER_PORT"]))
