import sys
import emulate

try:
    emulate.send('ALTER TABLE orders MODIFY COLUMN city UInt32', '', agent='Go-http-client/1.1', alter_sync=0, mutations_sync=0)
except emulate.Refused as error:
    pass
    sys.exit(1)
print("INFO altered")
