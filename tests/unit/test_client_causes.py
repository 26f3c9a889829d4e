"""Which of a log's errors is the cause, and what the end of a process means. Logs as real programs wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.diagnosis.client_side import client_findings
from ansible.module_utils.ingest_verify.diagnosis.client_side.context import Context
from ansible.module_utils.ingest_verify.facts.log import read_client_log
from ansible.module_utils.ingest_verify.findings import Finding

ENV = {
    "QTICKETS_BASE_URL": "https://qtickets.ru/api/rest/v1", "CLICKHOUSE_HOST": "ch-zakaz", "CLICKHOUSE_PORT": "8123",
    "CLICKHOUSE_DB": "zakaz", "QTICKETS_SINCE_HOURS": "24",
}  # fmt: skip
TRACEBACK = 'Traceback (most recent call last):\n  File "/app/loader.py", line 12, in load\n    x = row["a"]\n'


def findings(folder: Path, text: str, **ingest: Any) -> list[Finding]:
    path = folder / "ingest.log"
    path.write_text(text)
    return client_findings(read_client_log(path), {"exit_code": 1, "env": ENV, "container": True, **ingest})


def cause(folder: Path, text: str, **ingest: Any) -> Finding:
    found = [finding for finding in findings(folder, text, **ingest) if finding.severity == "error"]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ERROR Unexpected ClickHouse error: 1", "client_key_error"),
        ("ERROR Unexpected ClickHouse error: 0", "client_key_error"),
        ("error: 'event_id'", "client_key_error"),
        ('{"level":"error","event":"load failed","error":"\'event_id\'"}', "client_key_error"),
        ("ERROR Ошибка ClickHouse: 1", "client_key_error"),
        ("ERROR job failed with exit code: 1", "client_exception"),
        ("ERROR rows: 1", "client_exception"),
        ("ERROR KeyError('event_id')", "client_key_error"),
        ("ERROR failed: ValueError(\"invalid literal for int() with base 10: 'x'\")", "client_exception"),
        ("ERROR Code: 210. Name or service not known (ch-zakaz:9000)", "client_unknown_host"),
        ("Error: getaddrinfo ENOTFOUND ch-zakaz", "client_unknown_host"),
        ("2026/11/23 04:00:01 ERROR dial tcp: lookup ch-zakaz on 127.0.0.11:53: no such host", "client_unknown_host"),
        ("ERROR dial tcp 172.18.0.2:9000: connect: connection refused", "client_connection_refused"),
        ("Error: connect ECONNREFUSED 172.18.0.2:8123", "client_connection_refused"),
        ("ERROR ClickHouse insert failed: [Errno 111] Connection refused", "client_connection_refused"),
        ("ERROR qtickets request failed: [Errno 111] Connection refused", "source_unavailable"),
        ("ERROR Unexpected packet from server ch-zakaz:8123 (expected Hello or Exception, got Unknown packet)",
         "client_wrong_protocol"),
        ("ERROR [handshake] unexpected packet [72] from server ch-zakaz:8123", "client_wrong_protocol"),
        ("ERROR clickhouse: ('Connection aborted.', BadStatusLine('\\x02'))", "client_wrong_protocol"),
        ("ERROR clickhouse: tls: first record does not look like a TLS handshake", "client_tls_mismatch"),
        ("ERROR ch-zakaz: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate",
         "client_tls_mismatch"),
        ("ERROR 401 Client Error: Unauthorized for url: https://qtickets.ru/api/rest/v1/orders", "source_unauthorized"),
        ("ERROR 403 Client Error: Forbidden for url: http://ch-zakaz:8123/?query=INSERT", "server_authentication"),
        ("ERROR Request failed with status code 503 GET https://qtickets.ru/api/rest/v1/orders", "source_unavailable"),
        ("ERROR POST https://qtickets.ru/api/rest/v1/orders: status 503", "source_unavailable"),
        ("ERROR 404 Client Error: Not Found for url: https://qtickets.ru/api/v9/orders", "config_base_url"),
        ("SyntaxError: Unexpected token '<', \"<!DOCTYPE \"... is not valid JSON", "source_bad_payload"),
        ("ERROR invalid character '<' looking for beginning of value", "source_bad_payload"),
        ("ERROR 57 of 60 orders lie outside the window", "source_filter_ignored"),
        ("ERROR no orders in the window", "source_no_orders"),
        ("ERROR HTTPSConnectionPool(host='qtickets.ru', port=443): Read timed out. (read timeout=20)", "source_slow"),
        ("ERROR DRY_RUN is set, nothing was written", "config_dry_run"),
        ("ERROR environment variable QTICKETS_TOKEN is not set", "config_env_file"),
        (TRACEBACK + "KeyError: 'QTICKETS_TOKEN'", "config_env_file"),
        ("ModuleNotFoundError: No module named 'clickhouse_connect'", "client_missing_module"),
        ("Error: Cannot find module 'axios'", "client_missing_module"),
        ("ERROR struct.error: argument out of range", "client_serialization"),
        ("ERROR Unexpected ClickHouse error: 'int' object has no attribute 'encode'", "client_serialization"),
        ("MemoryError", "client_killed_memory"),
        ("FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory", "client_killed_memory"),
        ("ERROR [Errno 28] No space left on device: '/tmp/x'", "host_no_space"),
        ("ERROR Unexpected error: ", "client_exception"),
    ],
)  # fmt: skip
def test_a_line_alone_names_its_cause(tmp_path: Path, line: str, expected: str) -> None:
    finding = cause(tmp_path, f"INFO start\n{line}\n")
    assert finding.cause == expected, finding
    assert finding.next_step
    assert finding.fix_side
    assert "code" not in finding.evidence


FILE = 'Traceback (most recent call last):\n  File "/app/l.py", line 3, in go\n    open("/app/config.yml")\n'
OTHER_TEAMS = [
    # What a program says last, without calling it an error.
    ("2026/11/23 04:00:01 clickhouse: expected 5 arguments, got 4\nexit status 1", "client_column_count", None),
    ("clickhouse: acquire conn timeout. you can increase the number of max open conn", "client_pool_exhausted", None),
    ("QTICKETS_TOKEN is empty", "config_env_file", "QTICKETS_TOKEN"),
    ("start\n'sku'", "client_key_error", "sku"),
    ('Get "https://qtickets.ru/api/rest/v1/orders": context deadline exceeded', "source_slow", "qtickets.ru"),
    # Shells and their tools.
    ("/app/run.sh: line 3: CH_TOKEN: parameter null or not set", "config_env_file", "CH_TOKEN"),
    ("curl: (7) Failed to connect to ch-zakaz port 8123 after 2 ms: Couldn't connect to server",
     "client_connection_refused", "ch-zakaz:8123"),
    ("curl: (22) The requested URL returned error: 500", "client_http_status", None),
    ("Code: 210. DB::NetException: Connection refused (ch-zakaz:9000). (NETWORK_ERROR)", "client_connection_refused",
     "ch-zakaz:9000"),
    ("Code: 198. DB::NetException: Not found address of host: ch-zakaz. (DNS_ERROR)", "client_unknown_host",
     "ch-zakaz"),
    ("/app/s.sh: line 1: TOKEN: TOKEN must be set", "config_env_file", "TOKEN"),
    ("sh: 0: cannot open nosuch.sh: No such file", "client_file_missing", "nosuch.sh"),
    ("row 3: invalid literal for int() with base 10: 'x'", "client_exception", None),
    ("thread 'main' panicked at src/main.rs:3:40:\nCH_HOST must be set: NotPresent", "config_env_file", "CH_HOST"),
    ("Exception in thread \"main\" java.net.ConnectException\n\tat com.x.Main.main(Main.java:3)", "client_unreachable",
     None),
    ("Error: Cannot find module '@clickhouse/client'\nRequire stack:\n- /app/e.js\n    at load (/app/e.js:1:11)",
     "client_missing_module", "@clickhouse/client"),
    ("jq: error (at <stdin>:1): Cannot iterate over null (null)", "source_bad_payload", None),
    ("loader: error: the following arguments are required: --since", "client_bad_arguments", "--since"),
    # Files, packages and variables of Python.
    (FILE + "FileNotFoundError: [Errno 2] No such file or directory: '/app/config.yml'", "client_file_missing",
     "/app/config.yml"),
    (FILE + "PermissionError: [Errno 13] Permission denied: '/app/config.yml'", "client_file_denied",
     "/app/config.yml"),
    (FILE + "zoneinfo._common.ZoneInfoNotFoundError: 'No time zone found with key Europe/Moscow'",
     "client_missing_module", "tzdata"),
    (FILE + "ImportError: cannot import name 'get' from 'clickhouse_connect' (/x.py)", "client_missing_module",
     "clickhouse_connect"),
    (FILE.replace('open("/app/config.yml")', 'os.environ["TOKEN"]') + "KeyError: 'TOKEN'", "config_env_file", "TOKEN"),
    (FILE.replace('open("/app/config.yml")', 'row["SKU_ID"]') + "KeyError: 'SKU_ID'", "client_key_error", "SKU_ID"),
    (FILE + "KeyError: \"['b'] not in index\"", "client_key_error", "b"),
    (FILE.replace('open("', 'json.load(open("') + "json.decoder.JSONDecodeError: Expecting value: line 1 column 1",
     "client_exception", None),
    # An announcement, with the error itself on the next line.
    ("Encountered an error:\nCompilation Error in model orders", "client_exception", None),
    ("Error while loading:\nKeyError: 'sku'", "client_key_error", "sku"),
    # What Python raises while it clears objects away ends nothing.
    (TRACEBACK + "KeyError: 'a'\nException ignored in: <function Client.__del__ at 0x7f>\n"
     + FILE + "AttributeError: 'NoneType' object has no attribute 'close'", "client_key_error", "a"),
    # zap's console, with its own stack.
    ("2026-11-23T04:00:00Z\tERROR\tl/main.go:31\tload failed\t{\"error\": \"'sku'\"}", "client_key_error", "sku"),
    # log4j's place of a record is no address.
    ("ERROR Task threw (org.apache.kafka.connect.runtime.WorkerTask:212)\norg.apache.kafka.connect.errors."
     "ConnectException: Tolerance exceeded\n\tat org.apache.kafka.X.y(X.java:1)\nCaused by: com.fasterxml.jackson.core."
     "JsonParseException: Unrecognized token 'abc'\n\tat com.fasterxml.X.y(X.java:2)", "source_bad_payload", None),
    ("2026/11/23 04:00:01 read tcp 172.18.0.3:5000->172.18.0.2:9000: i/o timeout", "client_socket_timeout", None),
    ("2026/11/23 04:00:01 clickhouse: [ping] EOF", "client_connection_lost", None),
    ("Can't locate DBI.pm in @INC (you may need to install the DBI module)", "client_missing_module", "DBI"),
    ("wget: unable to resolve host address 'ch-zakaz'", "client_unknown_host", "ch-zakaz"),
    # Records that do not fit a model.
    ("decode: json: cannot unmarshal string into Go struct field Order.price of type float64", "source_bad_payload",
     "Order.price"),
    ("Error: load failed\n\nCaused by:\n    0: missing field `event_id` at line 1 column 230", "source_bad_payload",
     "event_id"),
    (FILE + "pydantic_core.ValidationError: 1 validation error for Order\nprice\n  Input should be a valid number",
     "source_bad_payload", "price"),
    # Drivers of other languages.
    ("ERROR clickhouse [AppendRow]: (tickets_sold UInt32) converting int64 to UInt32 is unsupported",
     "client_serialization", "tickets_sold"),
    ("FATAL [handshake] unexpected packet [72] from server", "client_wrong_protocol", "ch-zakaz:8123"),
    # A missing key as other languages put it, and words before a quoted value that say something themselves.
    ("ERROR Unexpected ClickHouse error: key not found: \"sku\"", "client_key_error", "sku"),
    ("ERROR Unexpected ClickHouse error: The given key 'sku' was not present in the dictionary.", "client_key_error",
     "sku"),
    ("ERROR insert failed: Undefined array key \"sku\"", "client_key_error", "sku"),
    ("ERROR load failed: orders: 'sku'", "client_key_error", "sku"),
    ("ERROR insert failed: Invalid isoformat string: '2026-13-01'", "client_exception", None),
    ("ERROR insert failed: For input string: \"12,5\"", "client_exception", None),
    ("ProxyError: HTTPSConnectionPool(host='shop.example', port=443): Max retries exceeded with url: /api (Caused by "
     "ProxyError('Unable to connect to proxy', OSError('Tunnel connection failed: 407 Proxy Authentication')))",
     "client_unreachable", "HTTPS_PROXY"),
    # Addresses that are neither the API nor ClickHouse.
    ("ERROR HTTPSConnectionPool(host='hooks.slack.com', port=443): [Errno 111] Connection refused",
     "client_unreachable", "hooks.slack.com"),
    ("ERROR 401 Client Error: Unauthorized for url: https://api.telegram.org/bot1/send", "client_http_status",
     "api.telegram.org"),
    # Nothing but the text of a well-known exception.
    ("ERROR list index out of range", "client_exception", None),
    ("ERROR load failed: None", "client_exception", None),
]  # fmt: skip


@pytest.mark.parametrize(("log", "expected", "name"), OTHER_TEAMS)
def test_logs_of_other_teams_name_cause_and_object(tmp_path: Path, log: str, expected: str, name: str | None) -> None:
    finding = cause(tmp_path, log + "\n")
    assert (finding.cause, finding.object) == (expected, name)
    assert finding.next_step


PLACE = "/app/l.py:12"
FRAMES = [{"filename": "/app/l.py", "lineno": 12, "function": "load"}]
JSON_RECORDS: list[dict[str, Any]] = [
    {"text": "x\n", "record": {"level": {"name": "ERROR", "no": 40}, "message": "load failed: 'sku'",
                               "exception": None, "time": {"repr": "2026-11-23 04:00:00"}}},
    {"record": {"level": {"name": "ERROR"}, "message": "failed", "exception": {"type": "KeyError", "value": "'sku'"}}},
    {"timestamp": "2026-11-23T04:00:00Z", "level": "ERROR", "fields": {"message": "load failed: 'sku'"}},
    {"version": "1.1", "short_message": "load failed: 'sku'", "level": 3},
    {"MESSAGE": "load failed: 'sku'", "PRIORITY": "3"},
    {"LogLevel": "Error", "Category": "Loader", "Message": "load failed: 'sku'", "State": {}},
    {"Level": "Error", "MessageTemplate": "load failed: {Key}", "RenderedMessage": "load failed: 'sku'"},
    {"severity": "ERROR", "jsonPayload": {"message": "load failed: 'sku'"}},
    {"severity": "ERROR", "textPayload": "load failed: 'sku'"},
    {"SeverityText": "ERROR", "SeverityNumber": 17, "Body": "load failed: 'sku'"},
    {"severityText": "ERROR", "body": {"stringValue": "load failed: 'sku'"}},
    {"message": "load failed: 'sku'", "level": 400, "level_name": "ERROR", "channel": "app"},
    {"msg": "load failed", "err": "'sku'"},
    {"status": "error", "message": "load failed: 'sku'", "rows": 0},
    {"success": False, "message": "load failed: 'sku'"},
    {"errorType": "KeyError", "errorMessage": "'sku'", "stackTrace": ['  File "/app/l.py", line 12, in load\n    x']},
    {"level": "error", "message": "failed", "exception": {"type": "KeyError", "value": "'sku'",
                                                          "stacktrace": {"frames": FRAMES}}},
    {"level": "error", "message": "failed", "exception": {"values": [{"type": "KeyError", "value": "'sku'",
                                                                     "stacktrace": {"frames": FRAMES}}]}},
    {"level": "ERROR", "message": "failed", "thrown": {"name": "app.KeyError", "message": "'sku'", "extendedStackTrace":
        [{"class": "app.Load", "method": "row", "file": "/app/l.py", "line": 12}]}},
]  # fmt: skip


@pytest.mark.parametrize("record", JSON_RECORDS)
def test_json_records_of_other_loggers_are_read(tmp_path: Path, record: dict[str, Any]) -> None:
    text = json.dumps(record)
    finding = cause(tmp_path, f"start\n{text}\n")
    assert (finding.cause, finding.object) == ("client_key_error", "sku")
    if "/app/l.py" in text:
        assert finding.evidence["location"].startswith(PLACE)


QUIET_RECORDS: list[dict[str, Any]] = [
    {"text": "0 failed\n", "record": {"level": {"name": "INFO", "no": 20}, "message": "error table loaded"}},
    {"timestamp": "2026-11-23T04:00:00Z", "level": "INFO", "fields": {"message": "failed rows: 0"}},
    {"version": "1.1", "short_message": "table failed_orders loaded", "level": 6},
    {"MESSAGE": "table failed_orders loaded", "PRIORITY": "6"},
    {"LogLevel": "Information", "Message": "table failed_orders loaded"},
    {"message": "table failed_orders loaded", "level": 200, "level_name": "INFO", "channel": "app"},
    {"msg": "done", "err": None}, {"msg": "done", "error": "none"}, {"success": True, "message": "ok"},
    {"SeverityText": "INFO", "Body": "no failure"},
]  # fmt: skip


@pytest.mark.parametrize("record", QUIET_RECORDS)
def test_healthy_json_records_of_other_loggers_are_no_finding(tmp_path: Path, record: dict[str, Any]) -> None:
    for code in (0, None):
        assert findings(tmp_path, f"start\n{json.dumps(record)}\n", exit_code=code) == []


def test_the_text_of_a_well_known_exception_is_explained(tmp_path: Path) -> None:
    finding = cause(tmp_path, "ERROR list index out of range\n")
    assert "IndexError" in finding.headline
    assert "fewer elements" in (finding.next_step or "")


@pytest.mark.parametrize(
    "text",
    [
        "Index 3 out of bounds for length 3", "runtime error: index out of range [3] with length 3",
        "index out of bounds: the len is 3 but the index is 3", "Index was outside the bounds of the array.",
        "runtime error: invalid memory address or nil pointer dereference", "assignment to entry in nil map",
        "undefined method `[]' for nil:NilClass", "Object reference not set to an instance of an object.",
        "called `Option::unwrap()` on a `None` value", 'Cannot invoke "String.length()" because "s" is null',
        'Attempt to read property "id" on null', "No value present", 'For input string: "12,5"',
        "Input string was not in a correct format.", 'strconv.Atoi: parsing "x": invalid syntax',
        "invalid digit found in string", "cannot convert float NaN to integer",
        "object of type 'NoneType' has no len()", "Invalid isoformat string: '2026-13-01'",
    ],
)  # fmt: skip
def test_the_code_is_blamed_for_its_own_exception_under_any_wrapper(tmp_path: Path, text: str) -> None:
    for wrapper in ("Unexpected ClickHouse error", "DB error", "insert failed"):
        finding = cause(tmp_path, f"INFO start\nERROR {wrapper}: {text}\n")
        assert finding.cause == "client_exception"
        assert "own code failed" in finding.headline


def test_an_ingest_with_other_names_for_its_variables_is_told_its_own(tmp_path: Path) -> None:
    env = {"WAREHOUSE_URL": "http://shop-db:8123", "SHOP_API_URL": "https://shop.example/api"}
    refused = cause(tmp_path, "ERROR connect ECONNREFUSED shop-db:8123\n", env=env)
    assert (refused.cause, refused.object) == ("client_connection_refused", "shop-db:8123")
    unknown = cause(tmp_path, "ERROR getaddrinfo ENOTFOUND shop-db\n", env=env)
    assert (unknown.cause, unknown.object) == ("client_unknown_host", "shop-db")
    assert "WAREHOUSE_URL" in (unknown.next_step or "")
    down = cause(tmp_path, "ERROR 502 Server Error for url: https://shop.example/api/goods\n", env=env)
    assert down.cause == "source_unavailable"
    assert "https://shop.example/api" in (down.next_step or "")


def test_an_exception_that_nobody_caught_explains_its_abort(tmp_path: Path) -> None:
    text = "Unhandled exception. System.Exception: no price\n   at Loader.Main(String[] a) in /src/Main.cs:line 8\n"
    assert cause(tmp_path, text, exit_code=134).cause == "client_exception"
    dump = 'Fatal Python error: Segmentation fault\n\nCurrent thread:\n  File "/a.py", line 3 in x\n'
    assert "/a.py:3 in x" in cause(tmp_path, dump, exit_code=139).headline
    assert cause(tmp_path, "INFO x\n", exit_code=-9).cause == "client_killed"
    aborted = "terminate called after throwing an instance of 'std::out_of_range'\n  what():  map::at\n"
    assert "map::at" in cause(tmp_path, aborted, exit_code=134).headline
    heap = "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n"
    assert cause(tmp_path, heap, exit_code=134).cause == "client_killed_memory"
    shell = "/app/run.sh: line 2: clickhouse-client: command not found\n"
    assert cause(tmp_path, shell, exit_code=127).object == "clickhouse-client"


HEALTHY = [
    "show 'Cannot Stop' loaded: 5 seats", "loaded customer: Failure Ltd", "Fatal Attraction: 12 tickets",
    "SELECT count() FROM events WHERE type = 'exception'", "event 12 not found in dim_events, inserting",
    "event 'Traceback (most recent call last)' loaded", "Errors:\nnone", "| errors | 0 |", "Log level: ERROR",
    "LOG_LEVEL=error",
    "retry_on_error=true", "open /app/src/errors.py", "error handling enabled", "Completed with 0 errors",
]  # fmt: skip


@pytest.mark.parametrize("line", HEALTHY)
def test_words_of_failure_in_a_healthy_log_are_no_finding(tmp_path: Path, line: str) -> None:
    assert findings(tmp_path, f"INFO start\n{line}\ndone\n", exit_code=0) == []
    alone = findings(tmp_path, f"INFO start\n{line}\ndone\n", exit_code=None)
    assert [finding for finding in alone if finding.severity == "error"] == []
    # Beside a real error they are neither the cause nor an effect.
    failed = cause(tmp_path, f"{line}\n{TRACEBACK}ValueError: x\n")
    assert "ValueError" in failed.headline
    assert failed.effects == []


def test_a_search_by_post_is_told_to_use_get(tmp_path: Path) -> None:
    finding = cause(tmp_path, "ERROR POST https://qtickets.ru/api/rest/v1/orders: status 503\n")
    assert "GET" in (finding.next_step or "")


def test_the_traceback_that_ends_the_run_wins_over_what_it_survived(tmp_path: Path) -> None:
    text = "ERROR seats of show 3: 503 Server Error for url: https://qtickets.ru/api/rest/v1/shows/3/seats\nINFO on\n"
    finding = cause(tmp_path, text + TRACEBACK + "TypeError: unsupported operand")
    assert finding.cause == "client_exception"
    assert finding.evidence["location"] == "/app/loader.py:12 in load"
    assert any("503" in effect for effect in finding.effects)


def test_a_wrapper_raised_at_the_end_is_an_effect_of_what_was_logged(tmp_path: Path) -> None:
    text = "ERROR 401 Client Error: Unauthorized for url: https://qtickets.ru/api/rest/v1/orders\nERROR job failed\n"
    finding = cause(tmp_path, text + TRACEBACK + "RuntimeError: job failed")
    assert finding.cause == "source_unauthorized"
    assert len(finding.effects) >= 1


def test_a_message_without_and_with_its_traceback_is_one_error_with_a_place(tmp_path: Path) -> None:
    finding = cause(tmp_path, "ERROR Unexpected ClickHouse error: 'a'\nINFO cleanup\n" + TRACEBACK + "KeyError: 'a'")
    assert (finding.cause, finding.object) == ("client_key_error", "a")
    assert "loader.py:12" in finding.evidence["location"]


def test_what_the_server_reported_silences_the_echo_of_it(tmp_path: Path) -> None:
    text = (
        "ERROR Code: 60.\nDB::Exception: Table zakaz.x does not exist. Stack trace:\n\n0. ? @ 0x1\nERROR job failed\n"
    )
    assert findings(tmp_path, text) == []


def test_an_abort_after_an_answer_of_the_server_is_no_crash(tmp_path: Path) -> None:
    text = "Unhandled exception. ServerException: Code: 60. DB::Exception: Table zakaz.x does not exist.\n"
    assert findings(tmp_path, text + "   at P.Main() in /src/P.cs:line 5\n", exit_code=134) == []


def test_a_docker_logs_copy_reads_the_same(tmp_path: Path) -> None:
    lines = ("ERROR Unexpected ClickHouse error: 1\n" + TRACEBACK + "KeyError: 1").splitlines()
    text = "\n".join(f"loader-1  | 2026-11-23T04:00:01.123456789Z {line}" for line in lines)
    finding = cause(tmp_path, text)
    assert finding.object == "1"
    assert finding.evidence["first"].startswith("2026-11-23T04:00:01")


@pytest.mark.parametrize(
    ("text", "ingest", "expected"),
    [
        ("INFO sorting\n", {"exit_code": 137, "oom_killed": True}, "client_killed_memory"),
        ("INFO sorting\n", {"exit_code": 137}, "client_killed"),
        ("INFO x\n", {"exit_code": 139}, "client_crashed"),
        ("INFO x\n", {"exit_code": 143}, "client_terminated"),
        ('exec: "loader": executable file not found in $PATH: unknown\n', {"exit_code": 127}, "client_no_such_command"),
        ("sh: 1: loader: not found\n", {"exit_code": 127}, "client_no_such_command"),
        ("/app/loader.sh: Permission denied\n", {"exit_code": 126}, "client_not_executable"),
        ("exec /app/loader: exec format error\n", {"exit_code": 126}, "client_not_executable"),
        ("exec /usr/bin/python: exec format error\n", {"exit_code": 1}, "client_not_executable"),
        ("exec /entrypoint.sh: no such file or directory\n", {"exit_code": 1}, "client_no_such_command"),
        ("OSError: [Errno 30] Read-only file system: '/app/x'\n", {"exit_code": 1}, "client_file_denied"),
        ("docker: Error response from daemon: network x not found.\n", {"exit_code": 125}, "client_not_started"),
        (
            "INFO fetching page 3 of /orders\n",
            {"exit_code": 143, "timed_out": True, "timeout_seconds": 9},
            "source_slow",
        ),
        (
            '24.8.1\n{"severity": "INFO", "event": "fetching", "ctx": "page 3 of /orders"}\n',
            {"exit_code": 143, "timed_out": True, "timeout_seconds": 9},
            "source_slow",
        ),
        ("INFO inserting 50 rows\n", {"exit_code": 143, "timed_out": True, "timeout_seconds": 9}, "client_timed_out"),
        ("", {"exit_code": 143, "timed_out": True, "timeout_seconds": 9}, "client_timed_out"),
        ("INFO x\n", {"exit_code": 1}, "client_exception"),
        ("", {"exit_code": 1}, "client_exception"),
    ],
)
def test_the_end_of_the_process_names_the_cause(
    tmp_path: Path, text: str, ingest: dict[str, Any], expected: str
) -> None:
    finding = cause(tmp_path, text, **ingest)
    assert finding.cause == expected
    assert finding.next_step


def test_a_child_killed_for_memory_is_told_with_the_exit_code_that_its_parent_made_of_it(tmp_path: Path) -> None:
    for code in (0, 1):
        found = cause(tmp_path, "INFO finished ok\n", exit_code=code, oom_killed=True, memory="96m")
        assert found.cause == "client_killed_memory"
        assert f"exit code {code}" in found.headline
        assert "137" not in found.headline
        assert "limit of 96m" in found.headline
        assert "qtickets_ingest_memory" in found.next_step
    whole = cause(tmp_path, "INFO sorting\n", exit_code=137, oom_killed=True)
    assert "exit code 137" in whole.headline
    assert "went on" not in whole.headline
    assert findings(tmp_path, "INFO finished ok\n", exit_code=0, oom_killed=False, memory="96m") == []


def test_a_container_that_docker_did_not_kill_for_memory_is_not_told_to_raise_its_limit(tmp_path: Path) -> None:
    found = cause(tmp_path, "INFO sorting\n", exit_code=137, oom_killed=False)
    assert (found.cause, found.fix_side) == ("client_killed", "host")
    assert "not for its own memory limit" in found.headline
    assert "docker events" in found.next_step
    assert "raise the limit" not in found.next_step
    # Nothing is known of a process that ran without a container.
    assert "raise the limit" in cause(tmp_path, "x\n", exit_code=137, oom_killed=False, container=None).next_step


def test_the_command_that_does_not_exist_is_the_object(tmp_path: Path) -> None:
    text = 'docker: OCI runtime create failed: exec: "loader": executable file not found in $PATH: unknown\n'
    assert cause(tmp_path, text, exit_code=127).object == "loader"


def test_a_time_limit_over_a_refused_connection_is_the_effect(tmp_path: Path) -> None:
    text = "WARNING retrying\n" + "ERROR dial tcp 172.18.0.2:9000: connect: connection refused\n" * 5
    finding = cause(tmp_path, text, exit_code=143, timed_out=True, timeout_seconds=9)
    assert (finding.cause, finding.evidence["count"]) == ("client_connection_refused", 5)
    assert any("time limit" in effect for effect in finding.effects)


def test_a_log_alone_is_judged_by_its_errors(tmp_path: Path) -> None:
    assert cause(tmp_path, "ERROR error: 1\n", exit_code=None).cause == "client_key_error"
    assert findings(tmp_path, "INFO fine\n", exit_code=None) == []


# Runs that end well


def test_errors_of_a_run_that_ended_well_are_warnings(tmp_path: Path) -> None:
    found = findings(tmp_path, "ERROR cache not reachable, going without\nINFO done\n", exit_code=0)
    assert [finding.severity for finding in found] == ["warning"]


def test_a_retry_that_helped_is_one_warning_with_its_count(tmp_path: Path) -> None:
    line = "WARNING GET https://qtickets.ru/api/rest/v1/orders failed with status 503, retrying in 1 s\n"
    found = findings(tmp_path, line * 3 + "INFO done\n", exit_code=0)
    assert [(finding.severity, finding.cause, finding.evidence["count"]) for finding in found] == [
        ("warning", "source_unavailable", 3)
    ]


@pytest.mark.parametrize(
    "line",
    [
        "WARNING seats of show 12 failed, skipping: 500 Server Error for url: https://qtickets.ru/api/rest/v1/shows/12/seats",
        "ERROR could not load inventory of event 3: timed out",
        "WARNING не удалось получить места сеанса 12, пропускаем",
        '{"level":"warning","event":"seats of show 12 failed, skipping","error":"HTTP 500"}',
    ],
)
def test_what_a_successful_run_left_out_is_an_error(tmp_path: Path, line: str) -> None:
    finding = cause(tmp_path, f"{line}\nINFO done\n", exit_code=0)
    assert finding.cause == "source_partial"


def test_a_dry_run_is_named_though_it_ends_well(tmp_path: Path) -> None:
    finding = cause(tmp_path, "INFO done\n", exit_code=0, env={**ENV, "DRY_RUN": "true"})
    assert finding.cause == "config_dry_run"


def test_a_record_with_a_status_is_no_outcome_of_the_run(tmp_path: Path) -> None:
    order = '{"id": 17, "status": "failed", "price": 3}\n'
    assert findings(tmp_path, "INFO start\n" + order, exit_code=0) == []
    assert findings(tmp_path, json.dumps(json.loads(order), indent=2) + "\n", exit_code=0) == []
    assert cause(tmp_path, '{"job": "x", "status": "failed", "rows": 3}\n', exit_code=0)


def test_a_quiet_run_gives_nothing(tmp_path: Path) -> None:
    assert findings(tmp_path, "INFO 50 orders, 0 errors\nINFO done\n", exit_code=0) == []
    assert findings(tmp_path, '{"outcome":"ok","cause":null,"rows_processed":50}\n', exit_code=0) == []


# The outcome line


@pytest.mark.parametrize(
    ("name", "message", "expected"),
    [
        ("api_unauthorized", "GET https://qtickets.ru/x: status 401: the token is wrong", "source_unauthorized"),
        ("api_rate_limited", "status 429, too many requests", "source_unavailable"),
        ("api_server_error", "GET https://qtickets.ru/x: status 502 (6 attempts)", "source_unavailable"),
        ("api_unreachable", "ConnectError: [Errno 111] Connection refused", "source_unavailable"),
        ("api_timeout", "no complete answer within 30 s", "source_slow"),
        ("api_html", "HTTP 200 with an HTML page", "source_bad_payload"),
        ("api_unexpected_shape", "HTTP 200, JSON of another shape", "source_bad_payload"),
        ("api_paging_unstable", "pages repeat", "source_unstable_pages"),
        ("api_filter_ignored", "200 of 200 orders lie outside the window", "source_filter_ignored"),
        ("too_many_invalid", "9 of 10 orders are invalid", "source_bad_payload"),
        ("config_invalid", "QTICKETS_TOKEN: still holds a placeholder", "config_placeholder"),
        ("config_quoting", "QTICKETS_TOKEN carries quotes as part of its value", "config_env_file"),
        ("clickhouse_unreachable", "OperationalError: [Errno 111] Connection refused", "client_connection_refused"),
        ("staging_differs", "holds 49 orders; sent were 50", "data_staging_differs"),
    ],
)
def test_a_cause_that_the_loader_names_decides(tmp_path: Path, name: str, message: str, expected: str) -> None:
    line = json.dumps({"outcome": "failed", "cause": name, "error_type": "ApiError", "message": message})
    finding = cause(tmp_path, f"ERROR failed: ApiError: {name}: {message}\n{line}\n", exit_code=3)
    assert finding.cause == expected
    assert finding.next_step
    assert finding.evidence["count"] == 1


def test_no_finding_carries_a_secret_or_personal_data(tmp_path: Path) -> None:
    text = (
        "ERROR 401 for http://u:pw98765@qtickets.ru/api/rest/v1/orders?token=tok98765 Authorization: Bearer ber98765\n"
        "ERROR order of maria.ivanova@example.org, '+79991234567' has no price\n"
    )
    found = str(findings(tmp_path, text))
    for secret in ("pw98765", "tok98765", "ber98765", "ivanova", "9991234567"):
        assert secret not in found


def test_a_value_that_an_enumeration_lacks_is_no_missing_key(tmp_path: Path) -> None:
    text = (
        "Traceback (most recent call last):\n"
        '  File "/usr/lib/python3/site-packages/clickhouse_driver/columns/enumcolumn.py", line 40, in prepare_items\n'
        "    return enum[source_value].value\nKeyError: 'broken'\n"
        "During handling of the above exception, another exception occurred:\n\n"
        "Traceback (most recent call last):\n"
        '  File "/app/load.py", line 55, in flush\n    client.execute(INSERT, rows)\n'
        "clickhouse_driver.errors.LogicalError: Code: 49. Unknown element 'broken' for type"
        " Enum8('in' = 1, 'lost' = 3)\n"
    )
    found = cause(tmp_path, text)
    assert (found.cause, found.actual) == ("client_serialization", "'broken'")
    assert "Enum8('in' = 1, 'lost' = 3, 'broken' = 4)" in (found.next_step or "")
    assert cause(tmp_path, TRACEBACK + "KeyError: 'broken'\n").cause == "client_key_error"


def test_an_events_code_is_told_with_what_the_program_says_of_it(tmp_path: Path) -> None:
    line = '{"severity": "ERROR", "event": "finished", "ctx": "failed with 2", "app": "the loader"}'
    assert "finished: failed with 2" in cause(tmp_path, line).headline


@pytest.mark.parametrize(
    ("env", "clickhouse", "api"),
    [
        (
            {"PULSE_GW": "http://gateway:7070", "OLAP_ENDPOINT": "http://warehouse.internal:8123", "OLAP_LOGIN": "w"},
            ("warehouse.internal", 8123),
            ("gateway", 7070),
        ),
        ({"FEED": "https://feed.example", "SINK": "http://ch:8123"}, ("ch", 8123), ("feed.example", 443)),
        ({"SINK": "clickhouse://ch:9000/db", "UPSTREAM_URL": "http://up:80"}, ("ch", 9000), ("up", 80)),
    ],
)
def test_addresses_of_other_names_are_told_apart(env, clickhouse, api):
    context = Context(env=env, container=True)
    assert context.clickhouse == clickhouse
    assert context.api == api
