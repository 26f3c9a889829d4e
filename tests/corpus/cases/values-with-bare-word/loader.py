import sys
import emulate

try:
    emulate.send('INSERT INTO t (col) VALUES (string)', '', agent='cpp-httplib/0.10')
except emulate.Refused as error:
    print("2026/11/23 04:00:02 batch failed, giving up")
    sys.exit(1)
