import emulate
emulate.send("SELECT version()", agent="loader/3")
print('{"level":"info","msg":"window","since":"2026-11-22T04:00:00Z"}')
print('{"level":"info","msg":"done","orders":0,"rows":0,"status":"ok"}')
