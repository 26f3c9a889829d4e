import sys
import emulate

try:
    emulate.send('INSERT INTO codes FORMAT JSONEachRow', '{"code":"LONG"}\n', agent='Apache-HttpClient/5.2.1 (Java/17)')
except emulate.Refused as error:
    print("2026-11-23 04:00:02.019 ERROR 1 --- [   scheduling-1] c.example.load.OrderLoader    : batch failed\n\njava.sql.SQLException: " + error.text + "\n, server ClickHouseNode [uri=http://ch-1:8123/shop]@-71\n\tat com.clickhouse.jdbc.SqlExceptionUtils.handle(SqlExceptionUtils.java:85)\n\tat com.clickhouse.jdbc.internal.ClickHouseStatementImpl.executeUpdate(ClickHouseStatementImpl.java:643)\n\tat com.example.load.OrderLoader.flush(OrderLoader.java:80)\n\tat java.base/java.lang.Thread.run(Thread.java:840)")
    sys.exit(1)
