import os
import sys

import emulate


sql = "CREATE DICTIONARY shop.cities (id Int32, name String) PRIMARY KEY id\nSOURCE(HTTP(URL 'http://files.example/cities.csv' FORMAT 'CSVWithNames'))\nLIFETIME(MIN 86400 MAX 864000)\nLAYOUT(HASHED())\nSETTINGS(format_csv_delimiter = '"
try:
    emulate.send(sql, agent="clickhouse-go/1.5.4")
except emulate.Refused as error:
    text = error.text.split("DB::Exception: ", 1)[-1].split(" (version")[0]
    print(f"error: migration failed in line 0: {sql} (details: code: {error.code}, message: {text})", flush=True)
    sys.exit(1)
