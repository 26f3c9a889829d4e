"""What drivers, runtimes and shells print, word for word: each wording that the product knows has its text here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.diagnosis.client_side import client_findings
from ansible.module_utils.ingest_verify.facts.log import read_client_log
from ansible.module_utils.ingest_verify.findings import Finding

ENV = {"CLICKHOUSE_HOST": "wh", "CLICKHOUSE_PORT": "8123", "CLICKHOUSE_DB": "shop"}
NATIVE = {"CLICKHOUSE_HOST": "wh", "CLICKHOUSE_PORT": "9000"}
JACKSON = "com.fasterxml.jackson.databind.exc"


def findings(folder: Path, text: str, **ingest: Any) -> list[Finding]:
    path = folder / "ingest.log"
    path.write_text(text)
    return client_findings(read_client_log(path), {"exit_code": 1, "env": ENV, **ingest})


def cause(folder: Path, text: str, **ingest: Any) -> Finding:
    (finding,) = (each for each in findings(folder, text, **ingest) if each.severity == "error")
    return finding


TO_CLICKHOUSE: dict[str, list[str]] = {
    "client_connect_timeout": [
        "requests.exceptions.ConnectTimeout: HTTPConnectionPool(host='wh', port=8123): Max retries exceeded",
        "Error: connect ETIMEDOUT 10.0.0.5:8123",
        "Code: 209. Connection timed out (wh:9000)",
        "OSError: [Errno 110] Connect call failed ('wh', 8123): clickhouse",
        "dial tcp 10.0.0.5:9000: i/o timeout",
    ],
    "client_connection_refused": [
        "clickhouse: [Errno 111] Connect call failed ('10.0.0.5', 8123)",
        "dial tcp 10.0.0.5:9000: connect: no route to host",
        "Code: 210. Network is unreachable (wh:9000)",
        "Error: connect EHOSTUNREACH 10.0.0.5:8123",
        "No connection could be made because the target machine actively refused it. (wh:8123)",
        "psycopg-like client: clickhouse wh:8123: В соединении отказано",
        "Fehler: clickhouse wh:8123: Verbindungsaufbau abgelehnt",
    ],
    "client_unknown_host": [
        "clickhouse wh:8123: [Errno -3] Temporary failure in name resolution",
        "clickhouse wh:8123: [Errno 8] nodename nor servname provided, or not known",
        "clickhouse: socket.gaierror: [Errno -5] No address associated with hostname: wh",
        "Error: getaddrinfo EAI_AGAIN wh",
        "java.net.UnknownHostException: wh",
        "clickhouse wh:8123: Имя или служба не известны",
        "clickhouse wh:8123: [Errno -2] Name does not resolve",
        "clickhouse wh:8123: [Errno 11001] getaddrinfo failed",
        "Code: 198. DB::NetException: Not found address of host: wh. (DNS_ERROR)",
    ],
    "client_tls_mismatch": [
        "clickhouse wh:8123: [SSL: RECORD_LAYER_FAILURE] record layer failure (_ssl.c:1000)",
        "clickhouse wh:8123: [SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol",
        "Error: write EPROTO 80DB4E0C01000000:error:0A00010B:SSL routines::wrong version number wh:8123",
        "clickhouse wh:8443: <title>400 The plain HTTP request was sent to HTTPS port</title>",
        "clickhouse wh:8443: Client sent an HTTP request to an HTTPS server.",
        "clickhouse wh:9440: tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "clickhouse wh:8443: certificate verify failed: Hostname mismatch, certificate is not valid for 'wh'",
        "io.netty.handler.ssl.NotSslRecordException: not an SSL/TLS record: 485454502f312e wh:8123",
    ],
    "client_connection_lost": [
        "clickhouse wh:8123: [Errno 32] Broken pipe",
        "Error: write EPIPE wh:8123",
        "curl: (52) Empty reply from server wh:8123",
        "FetchError: Invalid response body while trying to fetch http://wh:8123/: Premature close",
        "httpx.RemoteProtocolError: Server disconnected without sending a response. wh:8123",
        "EOFError: Unexpected EOF while reading bytes: clickhouse",
        "http.client.IncompleteRead: IncompleteRead(512 bytes read) http://wh:8123",
        "requests.exceptions.ChunkedEncodingError: ('Connection broken: x') http://wh:8123",
        "aiohttp.client_exceptions.ServerDisconnectedError: Server disconnected http://wh:8123",
        "httpcore: peer closed connection without sending complete message body http://wh:8123",
        "clickhouse wh:8123: Connection was closed",
        "write batch: read tcp 10.0.0.7:41000->10.0.0.5:9000: use of closed network connection",
        "Error writing request body to server, server ClickHouseNode [uri=http://wh:8123/shop]",
    ],
    "client_wrong_protocol": [
        "curl: (1) Received HTTP/0.9 when not allowed http://wh:9000",
        'net/http: HTTP/1.x transport connection broken: malformed HTTP response "\\x02" http://wh:9000',
        "Error: Parse Error: Expected HTTP/ http://wh:9000",
    ],
    "client_socket_timeout": ["clickhouse wh:8123: httpx.ReadTimeout", "clickhouse wh:8123: TimeoutError()"],
    "client_pool_exhausted": [
        "sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out",
        "java.sql.SQLTransientConnectionException: pool - Connection is not available, request timed out.",
        "PoolError: connection pool exhausted",
    ],
    "client_unreachable": [
        "urllib3.exceptions.ProxyError: Tunnel connection failed: 407 Proxy Authentication Required",
        "curl: (56) CONNECT tunnel failed, response 403",
        "proxyconnect tcp: dial tcp 10.0.0.9:3128: connect: connection refused",
    ],
    "client_shared_connection": [
        "asynch.errors.PartiallyConsumedQueryError: Simultaneous queries on single connection detected",
        "records have not fully fetched, call fetchall first",
        "Unexpected packet from server 127.0.0.1:9000 (expected Hello or Exception, got Data)",
    ],
    "config_address_syntax": [
        'parse "http://u:p%zz@wh:8123": invalid URL escape "%zz"',
        "sqlalchemy.exc.ArgumentError: Could not parse SQLAlchemy URL from given URL string",
    ],
}
TEXTS = [
    ("'str' object has no attribute 'items'", "AttributeError"), ("division by zero", "ZeroDivisionError"),
    ("pop from empty list", "IndexError"), ("string indices must be integers, not 'str'", "TypeError"),
    ("'int' object is not subscriptable", "TypeError"),
    ("not enough values to unpack (expected 3, got 2)", "ValueError"),
    ("Cannot read properties of undefined (reading 'id')", "TypeError"), ("rows.map is not a function", "TypeError"),
    ("[<class 'decimal.ConversionSyntax'>]", "decimal.InvalidOperation"),
    ("'utf-8' codec can't decode byte 0xd0 in position 3: invalid continuation byte", "UnicodeError"),
    ("could not convert string to float: '12,50'", "ValueError"), ("unconverted data remains: T10", "ValueError"),
    ("time data '28.11' does not match format '%Y-%m-%d'", "ValueError"),
    ("day is out of range for month", "ValueError"), ("maximum recursion depth exceeded", "RecursionError"),
    ("unsupported operand type(s) for +: 'int' and 'str'", "TypeError"),
    ('can only concatenate str (not "int") to str', "TypeError"),
    ("replace() argument 1 must be str, not int", "TypeError"),
    ("not all arguments converted during string formatting", "TypeError"),
    ("load() got an unexpected keyword argument 'x'", "TypeError"),
    ("load() missing 1 required positional argument: 'rows'", "TypeError"),
    ("cannot unpack non-iterable int object", "TypeError"), ("'int' object is not iterable", "TypeError"),
    ("invalid float literal", "a failed conversion"), ("Undefined offset: 3", "an index out of range"),
]  # fmt: skip
PROGRAM: list[tuple[str, str, str | None]] = [
    ("java.lang.ClassNotFoundException: com.clickhouse.jdbc.Driver", "client_missing_module",
     "com.clickhouse.jdbc.Driver"),
    ("Could not load file or assembly 'ClickHouse.Client, Version=6.0.0'", "client_missing_module",
     "ClickHouse.Client"),
    ("l: error while loading shared libraries: libssl.so.1.1: cannot open shared object file", "client_missing_module",
     "libssl.so.1.1"),
    ("/lib/libc.so.6: version `GLIBC_2.34' not found (required by ./l)", "client_missing_module", "GLIBC_2.34"),
    ("Code: 43. Package clickhouse-cityhash is required to use compression", "client_missing_module",
     "clickhouse-cityhash"),
    ("cannot load such file -- httparty (LoadError)", "client_missing_module", "httparty"),
    ("panic: unknown time zone Europe/Moscow", "client_missing_module", "tzdata"),
    ("l: error: unrecognized arguments: --since", "client_bad_arguments", "--since"),
    ("Error: No such option: --since", "client_bad_arguments", "--since"),
    ("Error: Missing option '--since'.", "client_bad_arguments", "'--since'."),
    ("Error: unknown flag: --since", "client_bad_arguments", "--since"),
    ("flag provided but not defined: -since\nerror", "client_bad_arguments", "-since"),
    ("l: error: argument --n: invalid int value: 'x'", "client_bad_arguments", "--n"),
    ("l: error: argument --mode: invalid choice: 'x' (choose from 'a')", "client_bad_arguments", "--mode"),
    ("error: unexpected argument '--since' found", "client_bad_arguments", "'--since'"),
    ("Error: Missing required environment variable: TOKEN", "config_env_file", "TOKEN"),
    ("Error: Could not resolve placeholder 'CH_TOKEN' in value \"${CH_TOKEN}\"", "config_env_file", "CH_TOKEN"),
    ("ZodError: CH_TOKEN: Required", "config_env_file", "CH_TOKEN"),
    ("/app/run.sh: line 3: TOKEN: unbound variable", "config_env_file", "TOKEN"),
    ("Error: EACCES: permission denied, open '/data/in.csv'", "client_file_denied", "/data/in.csv"),
    ("Error: EROFS: read-only file system, open '/data/x'", "client_file_denied", "/data/x"),
    ("python: can't open file '/app/l.py': [Errno 2] No such file or directory", "client_file_missing", "/app/l.py"),
    ("java.lang.OutOfMemoryError: Java heap space", "client_killed_memory", None),
    ("terminate called after throwing an instance of 'std::bad_alloc'", "client_killed_memory", None),
    ("fork: Cannot allocate memory", "client_killed_memory", None),
    ("Error: ENOSPC: no space left on device, write", "host_no_space", None),
    ("insert failed: key :sku not found in: %{id: 1}", "client_key_error", "sku"),
    ("java.util.NoSuchElementException: Key sku is missing in the map.", "client_key_error", "sku"),
    ("error: Invalid None value in non-Nullable column, column name: `price`", "client_serialization", "price"),
    (f"{JACKSON}.MismatchedInputException: Cannot deserialize (through reference chain: Order[\"price\"])",
     "source_bad_payload", "price"),
    ("java.lang.IllegalStateException: Expected BEGIN_ARRAY but was BEGIN_OBJECT at line 1 column 2 path $.orders",
     "source_bad_payload", "orders"),
    ("System.Text.Json.JsonException: The JSON value could not be converted to Decimal. Path: $.price | Line: 0",
     "source_bad_payload", "price"),
    ('ZodError: [ { "code": "invalid_type", "path": [ "price" ] } ]', "source_bad_payload", "price"),
    ('Error("invalid type: string \\"x\\", expected u64 at line 1 column 20")', "source_bad_payload", None),
    ("json error: Expecting property name enclosed in double quotes: line 1 column 2", "source_bad_payload", None),
    ("json error: Extra data: line 2 column 1 (char 17)", "source_bad_payload", None),
    ("error: unexpected end of JSON input", "source_bad_payload", None),
    ("com.google.gson.JsonSyntaxException: Use JsonReader.setLenient(true)", "source_bad_payload", None),
    ("jq: parse error: Invalid numeric literal at line 1, column 10", "source_bad_payload", None),
    ("error: got text/html, expected application/json", "source_bad_payload", None),
    ("error: <html><head><title>Maintenance</title>", "source_bad_payload", None),
    ("error: 401 unauthorized", "client_http_status", None),
]  # fmt: skip
WORDS = [
    "panic: no batch", "worker Killed", "Segmentation fault", "out of memory", "load aborted", "Ошибка записи",
    "Исключение в загрузчике", "сбой загрузки", "отказано в доступе", "помилка запису", "błąd zapisu",
    "Erreur d'écriture", "échec de l'écriture", "errore di scrittura", "fallo de escritura", "falha ao gravar",
    "yazma hatası", "写入错误", "写入失败", "エラーが発生", "書き込み失敗", "쓰기 오류", "Ausnahme beim Laden",
]  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "line"), [(each, line) for each, lines in TO_CLICKHOUSE.items() for line in lines]
)
def test_in_which_way_the_connection_to_clickhouse_failed(tmp_path: Path, expected: str, line: str) -> None:
    env = NATIVE if ":9000" in line else ENV
    finding = cause(tmp_path, f"INFO start\nERROR {line}\n", env=env)
    assert finding.cause == expected
    assert finding.next_step


@pytest.mark.parametrize(("text", "kind"), TEXTS)
def test_the_text_of_an_exception_without_its_type(tmp_path: Path, text: str, kind: str) -> None:
    finding = cause(tmp_path, f"INFO start\nERROR load failed: {text}\n")
    assert finding.cause == "client_exception"
    assert f"the text of {kind}" in finding.headline


@pytest.mark.parametrize(("line", "expected", "name"), PROGRAM)
def test_what_programs_say_of_their_surroundings_and_their_data(
    tmp_path: Path, line: str, expected: str, name: str | None
) -> None:
    finding = cause(tmp_path, f"INFO start\n{line}\n")
    assert (finding.cause, finding.object) == (expected, name)


@pytest.mark.parametrize("line", WORDS)
def test_a_word_of_failure_in_any_language_is_read(tmp_path: Path, line: str) -> None:
    path = tmp_path / "ingest.log"
    path.write_text(f"start\n{line}\nend\n")
    assert [error.text for error in read_client_log(path).errors] == [line]


@pytest.mark.parametrize(
    "words",
    ["attempt 2 of 5", "will try again", "backing off 2 s", "повтор через 2 с", "retry in 2 s"],
)
def test_a_retry_that_is_announced_is_no_cause(tmp_path: Path, words: str) -> None:
    text = f"ERROR GET https://feed.example/x failed with status 503, {words}\nERROR no field 'sku' in order 3\n"
    assert "503" not in cause(tmp_path, text).headline


@pytest.mark.parametrize("words", ["giving up", "after 5 attempts", "retries exhausted", "max retries reached"])
def test_a_retry_that_was_given_up_is_the_cause(tmp_path: Path, words: str) -> None:
    text = f"ERROR GET https://feed.example/x: status 503, last retry failed, {words}\n"
    assert cause(tmp_path, text).cause == "source_unavailable"


def test_an_address_that_no_load_needs_is_told_as_that(tmp_path: Path) -> None:
    for host in ("hooks.slack.example", "sentry.example", "api.telegram.org", "otel.example", "push.example"):
        finding = cause(tmp_path, f"ERROR 500 Server Error for url: https://{host}/x\n", env={})
        assert (finding.cause, finding.object) == ("client_http_status", host)


@pytest.mark.parametrize("text", ["загружено 600 строк", "600 строк записано", "готово", "загрузка завершена успешно"])
def test_the_end_of_a_log_in_russian_says_that_it_went_well(tmp_path: Path, text: str) -> None:
    log = f"ERROR insert of batch 1 failed: connection reset by peer\nINFO {text}\n"
    assert [f for f in findings(tmp_path, log, exit_code=None) if f.severity == "error"] == []


def test_what_threw_is_taken_from_the_place_that_node_names_first(tmp_path: Path) -> None:
    text = (
        "/app/node_modules/@clickhouse/client-common/dist/client.js:178\n            throw err;\n            ^\n\n"
        "Error: socket hang up\n    at connResetException (node:internal/errors:787:14)\n    at Socket.x "
        "(node:net:9:1) {\n"
        "  code: 'ECONNRESET'\n}\n\nNode.js v20.11.1\n"
    )
    finding = cause(tmp_path, text)
    assert finding.cause == "client_connection_lost"
    assert "socket hang up" in finding.headline


def test_a_status_in_a_programs_own_words_is_read(tmp_path: Path) -> None:
    line = "ERROR sink: Service call failed. error=Some(ServerError { code: 503 }) endpoint=http://wh:8123 id=12\n"
    finding = cause(tmp_path, f"WARN sink: retrying. reason=reset reason: connection timeout id=1\n{line}")
    assert "HTTP 503" in finding.headline
    assert "wh:8123" in finding.headline
    assert "The API" not in finding.headline
