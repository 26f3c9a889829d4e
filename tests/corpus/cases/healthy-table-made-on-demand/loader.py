import emulate
a = "loader/2.0"
try:
    emulate.send("INSERT INTO fresh FORMAT TSV", "1\n", agent=a)
except emulate.Refused as error:
    print("WARNING table is missing, it is made:", error.text)
    emulate.send("CREATE TABLE fresh (n UInt32) ENGINE = MergeTree ORDER BY n", agent=a)
    emulate.send("INSERT INTO fresh FORMAT TSV", "1\n", agent=a)
print("INFO 1 row, done")
