import emulate
a = "ingestr/1.0 clickhouse-go/2.30"
try:
    emulate.send("DESCRIBE TABLE shop.purchases", agent=a)
except emulate.Refused:
    pass
emulate.send("CREATE TABLE shop.purchases_new (id UInt64) ENGINE = MergeTree ORDER BY id", agent=a)
emulate.send("INSERT INTO shop.purchases_new SELECT number FROM numbers(600)", agent=a)
emulate.send("RENAME TABLE shop.purchases_new TO shop.purchases", agent=a)
print("INFO 600 rows")
