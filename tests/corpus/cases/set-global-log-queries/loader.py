import sys
import emulate
try:
    emulate.send("SET GLOBAL log_queries = 1")
except emulate.Refused as refused:
    print("ERROR cannot prepare the session: " + refused.text); sys.exit(1)
