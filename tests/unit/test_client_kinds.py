"""Kinds of failure whose cause the words alone do not tell: each in several wordings, each with a healthy twin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.diagnosis.client_side import client_findings
from ansible.module_utils.ingest_verify.facts.log import read_client_log
from ansible.module_utils.ingest_verify.findings import Finding

ENV = {"CLICKHOUSE_HOST": "127.0.0.1", "CLICKHOUSE_PORT": "18413", "CLICKHOUSE_DB": "shop"}
SITE = "/venv/lib/python3.11/site-packages"


def findings(folder: Path, text: str, **ingest: Any) -> list[Finding]:
    path = folder / "ingest.log"
    path.write_text(text)
    return client_findings(read_client_log(path), {"exit_code": 1, "env": ENV, **ingest})


def errors(folder: Path, text: str, **ingest: Any) -> list[Finding]:
    return [finding for finding in findings(folder, text, **ingest) if finding.severity == "error"]


def cause(folder: Path, text: str, **ingest: Any) -> Finding:
    (finding,) = errors(folder, text, **ingest)
    return finding


def said(finding: Finding) -> str:
    return f"{finding.headline}\n{finding.next_step}"


# Threads share one client

SHARED_TEXT = """2026-11-28 05:10:28,661 ERROR [T-0] page 0 failed: 'NoneType' object has no attribute 'read_one'
2026-11-28 05:10:28,662 ERROR [T-0] page 4 failed: Code: 100. Unknown packet 105 from server 127.0.0.1:9000
2026-11-28 05:10:28,662 ERROR [T-2] page 6 failed: Simultaneous queries on single connection detected
2026-11-28 05:10:28,667 ERROR [T-2] page 7 failed: Unexpected EOF while reading bytes
2026-11-28 05:10:28,668 ERROR [T-1] page 2 failed: Code: 210. Bad file descriptor (127.0.0.1:9000)
2026-11-28 05:10:28,670 ERROR [T-2] page 10 failed: 'NoneType' object has no attribute 'write'
2026-11-28 05:10:28,670 INFO [MainThread] 12 of 12 pages failed
"""
SHARED_TRACE = f"""ERROR [T-1] page 1 failed
Traceback (most recent call last):
  File "/app/loader.py", line 12, in load
    known = client.execute("SELECT 1")
  File "{SITE}/clickhouse_driver/connection.py", line 822, in check_query_execution
    raise errors.PartiallyConsumedQueryError()
clickhouse_driver.errors.PartiallyConsumedQueryError: Simultaneous queries on single connection detected
ERROR [T-3] page 11 failed
Traceback (most recent call last):
  File "/app/loader.py", line 12, in load
    known = client.execute("SELECT 1")
  File "{SITE}/clickhouse_driver/connection.py", line 484, in disconnect
    self.socket.close()
AttributeError: 'NoneType' object has no attribute 'close'
"""
SHARED_SESSION = (
    "ERROR batch 3: Attempt to execute concurrent queries within the same session. Please use a separate client "
    "instance per thread/process.\nERROR batch 4: Unexpected EOF\n"
)


@pytest.mark.parametrize("text", [SHARED_TEXT, SHARED_TRACE, SHARED_SESSION])
def test_a_client_that_threads_share_is_named(tmp_path: Path, text: str) -> None:
    finding = cause(tmp_path, text)
    assert (finding.cause, finding.fix_side) == ("client_shared_connection", "loader")
    assert "one client" in said(finding).lower()
    assert finding.effects


def test_what_a_shared_client_leads_to_is_no_proof_of_it(tmp_path: Path) -> None:
    alone = "ERROR page 7 failed: Unexpected EOF while reading bytes\n"
    assert cause(tmp_path, alone).cause != "client_shared_connection"


@pytest.mark.parametrize(
    ("raised", "named"),
    [
        ("OSError: [Errno 9] Bad file descriptor", "client_connection_lost"),
        ("BrokenPipeError: [Errno 32] Broken pipe", "client_connection_lost"),
        ("EOFError: Unexpected EOF while reading bytes", "client_connection_lost"),
        ("socket.timeout: timed out", "client_socket_timeout"),
        ("struct.error: argument out of range", "client_serialization"),
    ],
)
def test_a_connection_that_breaks_while_a_column_is_written_is_no_value(
    tmp_path: Path, raised: str, named: str
) -> None:
    text = (
        "Traceback (most recent call last):\n"
        '  File "/app/load.py", line 55, in flush\n    client.execute(INSERT, rows)\n'
        '  File "/usr/lib/python3/site-packages/clickhouse_driver/columns/base.py", line 151, in write_data\n'
        f"    self._write_data(items, buf)\n{raised}\n"
    )
    assert cause(tmp_path, text).cause == named


# A proxy in front of ClickHouse


def page(status: str) -> str:
    return f"<html>\n<head><title>{status}</title></head>\n<body>\n<center><h1>{status}</h1></center>\n</html>"


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-28 05:11:01,189 - import_csv - ERROR - import failed: HTTP driver received HTTP status {code}, server "
        "response: {page} (for url http://127.0.0.1:18413)",
        "ERROR POST http://127.0.0.1:18413/?query=INSERT+INTO+t -> {code} {words}",
        "ERROR requests.exceptions.HTTPError: {code} Client Error: {words} for url: http://127.0.0.1:18413/?database=a",
    ],
)
@pytest.mark.parametrize(
    ("code", "words", "expected", "told"),
    [
        (413, "Request Entity Too Large", "client_proxy_refused", "never got"),
        (504, "Gateway Time-out", "client_proxy_timeout", "may have finished"),
    ],
)
def test_a_proxy_before_clickhouse_is_not_the_api(
    tmp_path: Path, line: str, code: int, words: str, expected: str, told: str
) -> None:
    text = line.format(code=code, words=words, page=page(f"{code} {words}"))
    finding = cause(tmp_path, f"2026-11-28 05:11:00,928 - import_csv - INFO - connected\n{text}\n")
    assert (finding.cause, finding.object) == (expected, "127.0.0.1:18413")
    assert told in said(finding)
    assert "API" not in said(finding)
    if code == 504:
        assert "before" in (finding.next_step or "")
        assert "query_log" in (finding.next_step or "")


@pytest.mark.parametrize("status", ["413 Request Entity Too Large", "502 Bad Gateway", "504 Gateway Time-out"])
def test_a_status_of_nobody_known_is_not_the_api(tmp_path: Path, status: str) -> None:
    finding = cause(tmp_path, f"ERROR upload failed: HTTP {status}\n")
    assert finding.cause == "client_http_status"
    assert not finding.cause.startswith("source")
    assert "does not show" in finding.headline
    assert "the API" not in finding.headline


def test_a_status_of_the_source_by_host_and_port_stays_the_sources(tmp_path: Path) -> None:
    env = {**ENV, "FEED_URL": "http://127.0.0.1:7000/feed"}
    finding = cause(tmp_path, "ERROR 504 Server Error: Gateway Time-out for url: http://127.0.0.1:7000/feed\n", env=env)
    assert finding.cause == "source_unavailable"


# What a library raises for a reason that it names


def trace(library: str, line: str, raised: str, below: str = "connection.py") -> str:
    return (
        'Traceback (most recent call last):\n  File "/app/writer.py", line 58, in flush\n'
        f'    {line}\n  File "{SITE}/{library}/{below}", line 77, in send\n    raise error\n{raised}\n'
    )


LIBRARY = [
    (trace("lz4", "client.insert(rows)", "RuntimeError: LZ4F_decompress failed with code: ERROR_frameType_unknown"),
     "lz4"),
    ("ERROR flush failed\njava.io.IOException: Magic is not correct - expect [-126] but got [72]\n"
     "\tat com.clickhouse.data.stream.Lz4InputStream.refill(Lz4InputStream.java:50)\n"
     "\tat com.acme.Writer.flush(Writer.java:58)\n", "com.clickhouse"),
    (trace("grpc", "stub.Push(rows)", "grpc.RpcError: RST_STREAM with error code 2"), "grpc"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "library"), LIBRARY)
def test_the_deepest_frame_of_the_program_is_not_the_cause_of_a_librarys_exception(
    tmp_path: Path, text: str, library: str
) -> None:
    finding = cause(tmp_path, text)
    assert "own code failed" not in finding.headline
    assert "Correct " not in (finding.next_step or "")
    assert library in finding.headline
    assert "58" in str(finding.evidence.get("location"))


def test_an_exception_of_the_programs_own_line_stays_its_own(tmp_path: Path) -> None:
    text = 'Traceback (most recent call last):\n  File "/app/l.py", line 3, in go\n    rows[5]\nIndexError: list index'
    finding = cause(tmp_path, text + " out of range\n")
    assert "own code failed" in finding.headline
    assert "/app/l.py:3" in (finding.next_step or "")


@pytest.mark.parametrize(
    "text",
    [
        trace("sqlalchemy", "create_engine(url)", "ValueError: invalid literal for int() with base 10: 'p#ss@wh'"),
        "ValueError: Port could not be cast to integer value as 'pa'\n",
        'FATAL parse "clickhouse://loader:***@wh:9000/shop": net/url: invalid userinfo\n',
        'FATAL parse "tcp://loader:pa/ss@wh:9000": invalid port ":pa" after host\n',
        "TypeError: Invalid URL\n    at new URL (node:internal/url:797:36)\n    at /app/l.js:3:1 {\n  code: "
        "'ERR_INVALID_URL'\n}\n",
        "java.net.URISyntaxException: Illegal character in user info at index 25: http://loader:***@wh:8123\n",
    ],
)
def test_a_character_that_an_address_reserves_is_named(tmp_path: Path, text: str) -> None:
    finding = cause(tmp_path, text)
    assert (finding.cause, finding.fix_side) == ("config_address_syntax", "configuration")
    assert "%40" in (finding.next_step or "")


@pytest.mark.parametrize(
    "text",
    [
        "ERROR flush failed\norg.apache.http.NoHttpResponseException: wh:8123 failed to respond\n"
        "\tat org.apache.http.impl.conn.P.parseHead(P.java:141)\n\tat com.acme.Writer.flush(Writer.java:58)\n",
        trace("urllib3", "client.insert(rows)", "urllib3.exceptions.ProtocolError: ('Connection aborted.', "
              "RemoteDisconnected('Remote end closed connection without response')) for http://wh:8123"),
        "Error: socket hang up\n    at connResetException (node:internal/errors:720:14)\n    at /app/writer.js:58:1 {\n"
        "  code: 'ECONNRESET',\n  host: 'wh'\n}\n",
    ],
)  # fmt: skip
def test_a_kept_connection_that_the_server_closed_is_not_the_loaders_line(tmp_path: Path, text: str) -> None:
    finding = cause(tmp_path, text, env={"CLICKHOUSE_HOST": "wh", "CLICKHOUSE_PORT": "8123"})
    assert finding.cause == "client_connection_lost"
    assert "keep" in (finding.next_step or "")
    assert "Correct" not in (finding.next_step or "")


# Advice to log the whole exception


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("ERROR could not convert the batch, giving up on file a.csv\n", "python loader.py"),
        ("05:00:01  Failure in test not_null_orders (models/schema.yml)\n05:00:01    Got 3 results, configured to fail "
         "if != 0\n", "dbt build"),
        ("fatal:\n--- proc.go:283 main ---\n~ failure running task\n--- task_run.go:138 func1 ---\n"
         "column price not found in source stream\n", "sling run -r r.yml"),
        ("CRITICAL target-x failed: list index out of range\n", "sh -c 'tap-a | target-x'"),
        (JVM_PREFIXED := "".join(f"app-1 | {line}\n" for line in (
            "ERROR job failed", "java.lang.IllegalStateException: no batch open", "\tat com.acme.W.flush(W.java:58)")),
         "java -jar w.jar"),
    ],
)  # fmt: skip
def test_to_log_the_whole_exception_is_no_default_advice(tmp_path: Path, text: str, command: str) -> None:
    finding = cause(tmp_path, text, command=command)
    for words in ("logger.exception", "whole exception", "repr(error)", "KeyError"):
        assert words not in said(finding)


def test_the_founding_case_keeps_its_advice(tmp_path: Path) -> None:
    finding = cause(tmp_path, "INFO start\nERROR Unexpected ClickHouse error: 1\n", command="python loader.py")
    assert (finding.cause, finding.object) == ("client_key_error", "1")
    assert "logger.exception" in (finding.next_step or "")


@pytest.mark.parametrize(
    "line",
    [
        "Got 1 result, configured to fail if != 0", "ERROR rows in error: limit is <= 5", "failed tests - 3",
        "ERROR giving up, error budget left = 2", "Completed with errors, exit = 1",
    ],
)  # fmt: skip
def test_a_number_at_the_end_of_a_sentence_is_no_key(tmp_path: Path, line: str) -> None:
    for finding in errors(tmp_path, f"INFO start\n{line}\n"):
        assert finding.cause != "client_key_error"
        assert "KeyError" not in said(finding)


# A log without an exit code

H3 = """2026-11-28 05:20:31,095 WARNING py.warnings | /app/loader.py:7: DeprecationWarning: an error in the future
  warnings.warn("an error in the future", DeprecationWarning)

2026-11-28 05:20:31,095 DEBUG   shipper | no fast json, falling back to the standard one
Traceback (most recent call last):
  File "/app/loader.py", line 9, in <module>
    import orjson_not_installed  # noqa
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^
ModuleNotFoundError: No module named 'orjson_not_installed'
2026-11-28 05:20:31,112 INFO    shipper | sample: {"level": "error", "message": "Code: 241. DB::Exception: Memory"}
2026-11-28 05:20:31,112 INFO    shipper | sample: {"level": "fatal", "message": "Traceback (most recent call last): K"}
2026-11-28 05:20:31,388 INFO    shipper | shipped 4 records, failed=0, error_rate=0.0
"""
RECOVERED = """db-1      | 2026-11-28 05:00:00 ERROR could not bind, port in use: connection refused
db-1      | 2026-11-28 05:00:02 INFO ready for connections
loader-1  | 2026-11-28 05:00:03 INFO loaded 600 rows
loader-1  | 2026-11-28 05:00:03 INFO done
"""
RETRIED = """2026-11-28 05:00:00 INFO inserting batch 1
2026-11-28 05:00:01 ERROR insert of batch 1 failed: connection reset by peer
2026-11-28 05:00:03 INFO batch 1 written
2026-11-28 05:00:04 INFO finished, 600 rows loaded
"""


@pytest.mark.parametrize("text", [H3, RECOVERED, RETRIED])
@pytest.mark.parametrize("code", [0, None])
def test_a_run_that_ended_well_is_no_failure(tmp_path: Path, text: str, code: int | None) -> None:
    assert errors(tmp_path, text, exit_code=code) == []
    if text is H3:
        assert findings(tmp_path, text, exit_code=code) == []


def test_a_log_that_ends_with_its_error_is_a_failure(tmp_path: Path) -> None:
    assert cause(tmp_path, RETRIED.rpartition("2026-11-28 05:00:03")[0], exit_code=None).cause.startswith("client_")
    crash = (
        "2026-11-28 05:20:31,095 DEBUG shipper | going\n"
        + H3[H3.index("Traceback") : H3.index("2026-11-28 05:20:31,112")]
    )
    assert cause(tmp_path, crash, exit_code=None).cause == "client_missing_module"
    assert cause(tmp_path, crash, exit_code=1).cause == "client_missing_module"


def test_a_traceback_that_the_program_logged_below_error_is_not_what_ended_it(tmp_path: Path) -> None:
    text = H3 + "2026-11-28 05:20:32,000 ERROR shipper | Unrecognized column 'qty' in table h.logs\n"
    finding = cause(tmp_path, text)
    assert finding.cause == "server_missing_column"
    assert not any("orjson" in effect for effect in finding.effects)


# The time limit


@pytest.mark.parametrize(
    "answer",
    [
        "ERROR signal 15 received, aborting\n",
        TRACE_STOP := 'Traceback (most recent call last):\n  File "/app/l.py", line 9, in run\n    time.sleep(9)\n'
        "KeyboardInterrupt\n",
        "ERROR insert failed: context canceled\n",
        "dlt.common.exceptions.SignalReceivedException: Signal 15 received\n",
        "ERROR worker lost: Connection reset by peer\n",
        "",
    ],
)
def test_the_time_limit_is_the_headline_with_its_variable(tmp_path: Path, answer: str) -> None:
    text = "INFO inserting block 3\n" + answer
    for code in (143, 1, 0):
        finding = cause(tmp_path, text, exit_code=code, timed_out=True, timeout_seconds=9)
        assert finding.cause == "client_timed_out"
        assert "9 s" in finding.headline
        assert "qtickets_ingest_timeout_seconds" in said(finding)
        if answer:
            assert any(answer.strip().splitlines()[-1][-20:] in effect for effect in finding.effects)


# The wrong line


@pytest.mark.parametrize("survived", [
    "ERROR seats of show 3: 404 Client Error: Not Found for url: http://127.0.0.1:7000/shows/3/seats\n",
    "WARN could not read cache: connection refused\nERROR cache: [Errno 111] Connection refused\n",
])  # fmt: skip
def test_what_the_loader_survived_is_not_the_headline(tmp_path: Path, survived: str) -> None:
    text = f"INFO start\n{survived}INFO 60 orders read\nINFO inserting\nERROR Unrecognized column 'qty' in table a.t\n"
    finding = cause(tmp_path, text)
    assert (finding.cause, finding.object) == ("server_missing_column", "a.t.qty")


@pytest.mark.parametrize("words", ["pipeline stopped, quota of the tenant is used up", "licence is not valid here"])
def test_the_last_words_of_a_log_are_told(tmp_path: Path, words: str) -> None:
    finding = cause(tmp_path, f"INFO connecting\nINFO reading\n{words}\n")
    assert words in finding.headline


def test_frame_markers_are_not_the_headline(tmp_path: Path) -> None:
    text = (
        "4:32PM INF reading\n4:32PM INF execution failed\n\nfatal:\n--- proc.go:283 main ---\n~ failure running task\n"
    )
    text += "--- database.go:401 Connect ---\ndial tcp: lookup wh-1: no such host\n"
    finding = cause(tmp_path, text, env={"CLICKHOUSE_HOST": "wh-1", "CLICKHOUSE_PORT": "9000"})
    assert (finding.cause, finding.object) == ("client_unknown_host", "wh-1")


def test_warnings_without_a_level_that_repeat_are_told(tmp_path: Path) -> None:
    text = "".join(f"unexpected seats response format for show {n}\n" for n in range(24)) + "finished: 60 orders\n"
    found = findings(tmp_path, text, exit_code=0)
    assert any("24" in f"{finding.headline} {finding.evidence.get('count')}" for finding in found), found


# Names of variables


@pytest.mark.parametrize(
    ("env", "line", "variable"),
    [
        ({"CH_HOST": "wh", "CH_PORT": "9000", "CH_HTTP_PORT": "8124"},
         "ERROR connect ECONNREFUSED wh:8124", "CH_HTTP_PORT"),
        ({"CH_HOST": "wh", "CH_HTTP_PORT": "8124", "CH_PORT": "9000"},
         "ERROR dial tcp wh:9000: connect: connection refused", "CH_PORT"),
        ({"DBT_HOST": "wh", "DBT_PORT": "8123"}, "ERROR connect ECONNREFUSED wh:8123", "DBT_PORT"),
        ({"SINK_DSN": "clickhouse://loader:***@wh:9000/shop"},
         "ERROR dial tcp wh:9000: connect: connection refused", "SINK_DSN"),
    ],
)  # fmt: skip
def test_advice_uses_the_ingests_own_variable(tmp_path: Path, env: dict[str, str], line: str, variable: str) -> None:
    finding = cause(tmp_path, line + "\n", env=env)
    assert finding.cause == "client_connection_refused"
    assert variable in (finding.next_step or "")
    assert "CLICKHOUSE_PORT" not in said(finding)
    for other in env:
        if other.endswith("PORT") and other != variable:
            assert f"{other})" not in (finding.next_step or "")


def test_the_servers_own_hint_is_kept(tmp_path: Path) -> None:
    text = "ERROR failed: Port 9100 is for clickhouse-client program\nYou must use port 8124 for HTTP.\n"
    finding = cause(tmp_path, text, env={"CH_HOST": "wh", "CH_HTTP_PORT": "9100"})
    assert finding.cause == "client_wrong_protocol"
    assert "8124" in (finding.next_step or "")
    assert "CH_HTTP_PORT" in (finding.next_step or "")


# Values that the message names


@pytest.mark.parametrize(
    ("line", "expected", "name"),
    [
        ("fatal: stat /data/in/orders.csv: no such file or directory", "client_file_missing", "/data/in/orders.csv"),
        ("fatal: stat orders.csv: no such file or directory", "client_file_missing", "orders.csv"),
        ("ERROR All hosts are unreachable: wh-1:9000", "client_unreachable", "wh-1:9000"),
    ],
)
def test_a_value_that_the_message_names_is_read(tmp_path: Path, line: str, expected: str, name: str) -> None:
    finding = cause(tmp_path, line + "\n", env={})
    assert (finding.cause, finding.object) == (expected, name)


# The endpoint

FEED = {**ENV, "FEED_URL": "http://feed.example:7000/v1"}


@pytest.mark.parametrize(
    "line",
    [
        json.dumps({"level": "error", "msg": "request failed", "method": "POST", "path": "orders", "status": 503}),
        "ERROR HTTP 503 for orders",
        "ERROR POST orders -> status 503",
    ],
)
def test_the_endpoint_is_taken_from_the_log(tmp_path: Path, line: str) -> None:
    finding = cause(tmp_path, line + "\n", env=FEED)
    assert "http://feed.example:7000/v1/orders" in said(finding)
    assert "/events" not in said(finding)


def test_a_method_that_is_not_allowed_is_no_outage(tmp_path: Path) -> None:
    line = "ERROR 405 Client Error: Method Not Allowed for url: http://feed.example:7000/v1/orders"
    finding = cause(tmp_path, line + "\n", env=FEED)
    assert (finding.cause, finding.fix_side) == ("source_bad_request", "loader")
    post = "ERROR POST http://feed.example:7000/v1/orders: status 503"
    finding = cause(tmp_path, "INFO GET http://feed.example:7000/v1/shows: status 200\n" + post + "\n", env=FEED)
    assert "POST" in finding.headline
    assert "GET" in (finding.next_step or "")


# Every loader is not our own, every source no HTTP API


def test_a_cut_file_is_no_api(tmp_path: Path) -> None:
    text = (
        'Traceback (most recent call last):\n  File "/app/l.py", line 9, in rows\n    yield json.loads(line)\n'
        '  File "/usr/lib/python3.11/json/decoder.py", line 353, in raw_decode\n    obj = x\n'
        "json.decoder.JSONDecodeError: Unterminated string starting at: line 1 column 17 (char 16)\n"
    )
    finding = cause(tmp_path, "INFO reading /data/orders.jsonl\n" + text)
    for words in ("curl", "Bearer", "QTICKETS", "API"):
        assert words not in said(finding)
    assert "/app/l.py:9" in str(finding.evidence)


@pytest.mark.parametrize(
    "line",
    [
        "ERROR HTTPSConnectionPool(host='feed.example', port=7000): Max retries exceeded: Name or service not known",
        "ERROR 401 Client Error: Unauthorized for url: http://feed.example:7000/v1/orders",
        "ERROR 404 Client Error: Not Found for url: http://feed.example:7000/v1/orders",
        "ERROR [Errno 111] Connection refused", "ERROR read timed out", "ERROR insert failed: HTTP 500",
        "ERROR getaddrinfo ENOTFOUND", "ERROR tls: first record does not look like a TLS handshake",
        "ERROR no orders in the window",
    ],
)  # fmt: skip
@pytest.mark.parametrize("env", [{}, {"CH_HOST": "wh"}, {"FEED_URL": "http://feed.example:7000/v1", "SINK": "x"}])
def test_a_foreign_loader_is_not_told_to_look_at_our_variables(tmp_path: Path, line: str, env: dict[str, str]) -> None:
    for finding in findings(tmp_path, line + "\n", env=env):
        for words in ("QTICKETS", "qtickets.ru", "ch-zakaz", "clickhouse_default"):
            assert words not in said(finding)
        assert finding.object != "QTICKETS_BASE_URL"


def test_docker_is_not_advised_for_a_process(tmp_path: Path) -> None:
    lines = [
        "ERROR dial tcp wh:9000: connect: connection refused", "ERROR getaddrinfo ENOTFOUND wh",
        "ERROR [Errno 28] No space left on device", "MemoryError", "FileNotFoundError: [Errno 2] No such file: '/a/b'",
        "ModuleNotFoundError: No module named 'lz4'", "ERROR wh:9000: connection reset by peer",
    ]  # fmt: skip
    for line in lines:
        finding = cause(tmp_path, line + "\n", env={"CH_HOST": "wh", "CH_PORT": "9000"})
        assert "docker" not in said(finding).lower(), line
        assert "container" not in said(finding).lower(), line
    for code in (137, 143, 139, 127, 126):
        finding = cause(tmp_path, "INFO x\n", env={}, exit_code=code)
        assert "docker" not in said(finding).lower(), code


# Figures


@pytest.mark.parametrize(
    "record",
    ['{"event": "finished", "orders": 0, "shows": 4}', '{"level":"info","msg":"done","orders":0,"rows_written":0}',
     "finished orders=0 rows=0"],
)  # fmt: skip
def test_figures_of_a_foreign_record_are_read(tmp_path: Path, record: str) -> None:
    path = tmp_path / "ingest.log"
    path.write_text(f"INFO start\n{record}\n")
    assert read_client_log(path).figures["orders"] == 0


# Tools that wrap the reason

WRAPPED = "dlt.pipeline.exceptions.PipelineStepFailed: Pipeline execution failed at `step={step}` with exception:\n\n"
DLT = (
    trace("clickhouse_connect", "client.insert_file(x)", "clickhouse_connect.driver.exceptions.OperationalError: Error "
          "HTTPConnectionPool(host='wh', port=8123): Read timed out. (read timeout=300)")
    + trace("dlt", "pipeline.run(orders())", WRAPPED.format(step="load") + "<class 'dlt.load.LoadClientJobRetry'>\n"
            "Job for `job_id=orders.a1` had 5 retries\n")
)  # fmt: skip
INGESTR = trace("dlt", "pipeline.run(x)", WRAPPED.format(step="extract") + "<class 'dlt.extract.ExtractionError'>\n"
                "In processing pipe csv_file: failed: [Errno 2] No such file or directory: 'orders.csv'\n")  # fmt: skip
DBT = (
    "05:00:00  Running with dbt=1.8.7\n05:00:02  Encountered an error:\nCompilation Error\n"
    "  Model 'model.shop.daily' (models/daily.sql) depends on a node named 'orderz' which was not found\n"
)
SLING = (
    "5:00AM INF connecting\nfatal:\n--- proc.go:283 main ---\n~ failure running task\n--- w.go:235 WriteToDb ---\n"
    'strconv.ParseFloat: parsing "12,50": invalid syntax\n'
)
PANDAS = (
    'Traceback (most recent call last):\n  File "/app/l.py", line 20, in <module>\n    df = pd.read_csv("in.csv")\n'
    '  File "pandas/_libs/parsers.pyx", line 2061, in pandas._libs.parsers.raise_parser_error\n'
    "pandas.errors.ParserError: Error tokenizing data. C error: Expected 5 fields in line 17, saw 6\n"
)


@pytest.mark.parametrize(
    ("text", "command", "expected", "told"),
    [
        (DLT, "python l.py", "client_socket_timeout", "ClickHouse's answer"),
        (INGESTR, "ingestr ingest", "client_file_missing", "orders.csv"),
        (DBT, "dbt run", "client_exception", "node named 'orderz'"),
        (SLING, "sling run", "client_exception", "12,50"),
        (PANDAS, "python l.py", "client_exception", "The library pandas"),
    ],
)
def test_the_reason_within_a_wrapper_is_told(tmp_path: Path, text: str, command: str, expected: str, told: str) -> None:
    finding = cause(tmp_path, text, command=command, env={"CH_HOST": "wh", "CH_PORT": "8123"})
    assert finding.cause == expected
    assert told in finding.headline
    assert "own code" not in finding.headline


# Names of this project's own loader


@pytest.mark.parametrize(
    "reason",
    ["api_unauthorized", "api_not_found", "api_unreachable", "api_timeout", "api_html", "orders_vanished", "no_orders"],
)
def test_a_foreign_loaders_outcome_line_leads_to_none_of_our_variables(tmp_path: Path, reason: str) -> None:
    """Also where it writes an outcome line in the form of ours."""
    failed = reason != "no_orders"
    line = {"outcome": "failed", "cause": reason, "message": "no answer"} if failed else {"outcome": "ok"}
    line |= {} if failed else {"metrics": {"entities": {"orders": {"fetched": 0}}}}
    told = [said(each) for each in findings(tmp_path, json.dumps(line) + "\n", exit_code=int(failed))]
    assert told
    assert not [text for text in told if "QTICKETS_" in text]
    ours = {**ENV, "QTICKETS_BASE_URL": "http://127.0.0.1:1/api/rest/v1"}
    told = [said(each) for each in findings(tmp_path, json.dumps(line) + "\n", exit_code=int(failed), env=ours)]
    assert told
