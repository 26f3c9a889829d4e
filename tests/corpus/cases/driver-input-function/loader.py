import emulate
c = emulate.driver()
c.execute("INSERT INTO nums (a) SELECT a FROM input('a Int8')", [{"a": "x"}])
