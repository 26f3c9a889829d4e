import os
import sys

import emulate


sql = "ALTER TABLE shop.spans DROP INDEX ia;\nALTER TABLE shop.spans DROP INDEX ib;\n"
try:
    emulate.send(sql, agent="clickhouse-go/1.5.4")
except emulate.Refused as error:
    text = error.text.split("DB::Exception: ", 1)[-1].split(" (version")[0]
    print(f"2026/11/23 04:00:01 Start buffering 20261101/u drop_indexes\nerror: migration failed in line 0: {sql} (details: code: {error.code}, message: {text})", flush=True)
    sys.exit(1)
