import sys
import emulate
try:
    emulate.send("INSERT INTO shop.orders (id, town) FORMAT JSONEachRow", '{"id":1,"town":"Perm"}\n')
except emulate.Refused as refused:
    print("ERROR orders not loaded: code " + str(refused)[:9])
    sys.exit(1)
