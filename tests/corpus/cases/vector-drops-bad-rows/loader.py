import sys

import emulate

print(
    '2026-11-23T04:00:00.131102Z  INFO vector: Vector has started. debug="false" version="0.48.0" arch="x86_64"',
    flush=True,
)
try:
    emulate.send(
        'INSERT INTO "shop"."logs" FORMAT JSONEachRow',
        '{"ts":"2026-11-23 04:00:00","size":"12 KB"}\n',
        agent="Vector/0.48.0 (x86_64-unknown-linux-gnu)",
        input_format_import_nested_json=1,
        date_time_input_format="best_effort",
    )
except emulate.Refused:
    print(
        '2026-11-23T04:00:01.871199Z ERROR sink{component_kind="sink" component_id=ch component_type=clickhouse}:request{request_id=1}: vector::sinks::util::retries: Not retriable; dropping the request. reason="response status: 400 Bad Request" internal_log_rate_limit=true'
    )
    print(
        '2026-11-23T04:00:01.871301Z ERROR sink{component_kind="sink" component_id=ch component_type=clickhouse}:request{request_id=1}: vector_common::internal_event::component_events_dropped: Events dropped intentional=false count=1 reason="Service call failed. No retries or retries exhausted."'
    )
sys.exit(0)
