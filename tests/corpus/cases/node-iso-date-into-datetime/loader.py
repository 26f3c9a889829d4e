import sys
import emulate

try:
    emulate.send('INSERT INTO orders FORMAT JSONEachRow', '{"id":1,"sold_at":"2026-11-20T10:00:00.307Z","price":1,"city":"a"}\n', agent='clickhouse-js/1.8.0 (lv:nodejs/v20.11.1; os:linux)', date_time_input_format="basic")
except emulate.Refused as error:
    name = error.text.rsplit(" (version", 1)[0].rsplit("(", 1)[-1].rstrip(")")
    print("ClickHouseError: " + error.text.split("DB::Exception: ", 1)[-1].split(" (" + name)[0] + "\n    at parseError (/app/node_modules/@clickhouse/client-common/dist/error/error.js:30:16)\n    at ClientRequest.onResponse (/app/node_modules/@clickhouse/client/dist/connection/node_base_connection.js:209:28)\n    at process.processTicksAndRejections (node:internal/process/task_queues:95:5) {\n  code: '%d',\n  type: '%s'\n}" % (error.code, name))
    sys.exit(1)
