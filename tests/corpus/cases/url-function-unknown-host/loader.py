import sys
import emulate
try:
    emulate.send("INSERT INTO rates SELECT * FROM url('http://files.shop.invalid/rates.csv', 'CSV', 'day Date, rate Float64')", http_max_tries=1)
except emulate.Refused as refused:
    print("ERROR " + refused.text); sys.exit(1)
