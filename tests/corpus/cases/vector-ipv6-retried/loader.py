import sys
import emulate
for n in range(3):
    try:
        emulate.send('INSERT INTO "shop"."flows" FORMAT JSONEachRow', '{"at":1795406400,"peer":"10.0.0.1.9"}\n', agent="Vector/0.20.0")
    except emulate.Refused as refused:
        print(f'2026-11-23T04:00:0{n}.696074Z  WARN sink{{component_kind="sink" component_id=out_ch component_type=clickhouse}}:request{{request_id={n}}}: vector::sinks::util::retries: Retrying after response. reason={refused.text}')
