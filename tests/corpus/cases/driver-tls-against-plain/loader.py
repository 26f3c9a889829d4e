import emulate
c = emulate.driver(secure=True, verify=False)
c.execute("SELECT 1")
