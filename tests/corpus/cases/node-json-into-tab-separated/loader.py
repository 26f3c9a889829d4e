import os
import sys

import emulate


try:
    emulate.send("INSERT INTO shop.daily FORMAT TabSeparated", '{"day":"2026-11-22","at":"2026-11-22 13:42:35","amount":1}', agent="node-fetch")
except emulate.Refused as error:
    text = error.text.split("DB::Exception: ", 1)[-1].split("\n")[0]
    print(f"Error: {text}\n    at getErrorObj (/app/node_modules/clickhouse/index.js:230:14)\n    at IncomingMessage.<anonymous> (/app/node_modules/clickhouse/index.js:341:9)\n    at IncomingMessage.emit (node:events:402:35) {{\n  code: {error.code}\n}}", flush=True)
    sys.exit(1)
