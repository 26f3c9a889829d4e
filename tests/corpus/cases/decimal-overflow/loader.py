import sys
import emulate
try:
    emulate.send("INSERT INTO refunds (id, amount) FORMAT JSONEachRow", '{"id":1,"amount":12.5}\n{"id":2,"amount":1234567.89}\n', agent="clickhouse-js/1.10.0 (lv:nodejs/22.3.0; os:linux)")
except emulate.Refused as refused:
    print(f"""[04:00:02] refunds: ClickHouseError: {refused.text.partition('DB::Exception: ')[2].partition(' (version')[0]}\n    at parseError (/srv/node_modules/@clickhouse/client-common/dist/error/error.js:36:16)\n    at ClientRequest.onResponse (/srv/node_modules/@clickhouse/client/dist/connection/node_base_connection.js:263:52)\n    at processTicksAndRejections (node:internal/process/task_queues:105:5) {{\n  code: '{refused.code}',\n  type: 'ARGUMENT_OUT_OF_BOUND'\n}}"""); sys.exit(1)
