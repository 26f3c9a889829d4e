"""Errors found in logs of many shapes and encodings."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from ansible.module_utils.ingest_verify.facts.log import ClientError, ClientLog, LogFileError, read_client_log
from hypothesis import given, settings
from hypothesis import strategies as st

TRACEBACK = """Traceback (most recent call last):
  File "/app/loader.py", line 12, in load
    client.insert(rows)
    ~~~~~~~~~~~~~^^^^^^
  File "/usr/local/lib/python3.12/site-packages/clickhouse_connect/driver/client.py", line 100, in insert
    context.data = data
KeyError: 1"""
CHAINED = (
    TRACEBACK
    + """

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/loader.py", line 20, in main
    raise RuntimeError("load failed")
RuntimeError: load failed"""
)
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/app/run.py", line 1, in <module>
  |     raise ExceptionGroup("many", errors)
  | ExceptionGroup: many (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/app/seats.py", line 7, in seats
    |     int(text)
    | ValueError: bad value
    +---------------- 2 ----------------
    | Traceback (most recent call last):
    |   File "/app/orders.py", line 8, in orders
    |     row["event_id"]
    | KeyError: 'event_id'
    +------------------------------------"""
RICH = """╭─────────────── Traceback (most recent call last) ────────────────╮
│ /app/loader.py:12 in load                                         │
│                                                                   │
│    9                                                              │
│ ❱ 12 │   client.insert(rows)                                      │
│                                                                   │
╰───────────────────────────────────────────────────────────────────╯
KeyError: 1"""
LOGURU = """2026-11-23 04:00:01.123 | ERROR    | __main__:main:20 - load failed
Traceback (most recent call last):

> File "/app/loader.py", line 12, in load
    client.insert(rows)
    │      └ <function insert at 0x7f0000000000>
    └ <clickhouse_connect.driver.client object>

KeyError: 1"""


def read(folder: Path, text: str | bytes) -> ClientLog:
    path = folder / "ingest.log"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_client_log(path)


def only(folder: Path, text: str | bytes) -> ClientError:
    errors = read(folder, text).errors
    assert len(errors) == 1, errors
    return errors[0]


def prefixed(prefix: str, text: str) -> str:
    return "\n".join(prefix + line for line in text.splitlines())


@pytest.mark.parametrize(
    "text",
    [
        TRACEBACK,
        RICH,
        LOGURU,
        "2026-11-23 04:00:01,123 ERROR root - load failed\n" + TRACEBACK + "\n2026-11-23 04:00:02,001 INFO root - bye",
        prefixed("2026-11-23T04:00:01.123456789Z ", TRACEBACK),
        prefixed("loader-1  | ", TRACEBACK),
        prefixed("qtickets_api_run_1 | 2026-11-23T04:00:01.123456789Z ", TRACEBACK),
        prefixed("2026-11-23T04:00:01.123456789Z stderr F ", TRACEBACK),
        prefixed("Nov 23 04:00:01 host loader[17]: ", TRACEBACK),
        prefixed("2026-11-23 04:00:01,123 ERROR loader: ", TRACEBACK),
        prefixed("    ", TRACEBACK),
        "\x1b[31m" + TRACEBACK.replace("\n", "\x1b[0m\n\x1b[31m") + "\x1b[0m",
        TRACEBACK.replace("\n", "\r\n"),
        'level=error msg="load failed" exc="' + TRACEBACK.replace('"', '\\"').replace("\n", "\\n") + '"',
        json.dumps({"level": "error", "event": "load failed", "exception": TRACEBACK}),
        json.dumps({"levelname": "ERROR", "message": "load failed", "exc_info": TRACEBACK}),
        json.dumps({"log.level": "error", "message": "load failed", "error": {"stack_trace": TRACEBACK}}),
        "\n".join(
            json.dumps({"log": line + "\n", "stream": "stderr", "time": "2026-11-23T04:00:01.1Z"})
            for line in TRACEBACK.splitlines()
        ),
    ],
)
def test_a_traceback_is_read_in_every_wrapping(tmp_path: Path, text: str) -> None:
    error = only(tmp_path, text)
    assert (error.type, error.message) == ("KeyError", "1")
    assert error.frame is not None
    assert (error.frame.file, error.frame.line, error.frame.function) == ("/app/loader.py", 12, "load")
    assert error.frame.code == "client.insert(rows)"
    assert error.server_code is None


def test_a_chain_begins_where_it_began(tmp_path: Path) -> None:
    error = only(tmp_path, "2026-11-23 04:00:01 ERROR Unexpected ClickHouse error: 1\n" + CHAINED)
    assert error.chain == [("KeyError", "1"), ("RuntimeError", "load failed")]
    assert (error.type, error.message) == ("RuntimeError", "load failed")
    assert error.frame is not None
    assert error.frame.line == 12
    assert error.libraries == ["clickhouse_connect"]


def test_an_exception_groups_members_are_where_it_began(tmp_path: Path) -> None:
    error = only(tmp_path, GROUP)
    assert [kind for kind, _ in error.chain] == ["ValueError", "KeyError", "ExceptionGroup"]
    assert error.frame is not None
    assert error.frame.file == "/app/seats.py"


def test_an_installed_program_finds_its_own_frame_among_packages(tmp_path: Path) -> None:
    packages = "/usr/local/lib/python3.12/site-packages"
    text = f"""Traceback (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main
  File "{packages}/qtickets_api/__main__.py", line 5, in <module>
    main()
  File "{packages}/qtickets_api/run.py", line 50, in load
    get()
  File "{packages}/httpx/_client.py", line 7, in get
    raise error
httpx.ConnectError: [Errno 111] Connection refused"""
    frame = only(tmp_path, text).frame
    assert frame is not None
    assert frame.file.endswith("qtickets_api/run.py")


JAVA = """Exception in thread "main" java.lang.RuntimeException: load failed
\tat com.x.Main.run(Main.java:12)
Caused by: java.net.UnknownHostException: ch-zakaz
\tat java.base/java.net.InetAddress.getAllByName(InetAddress.java:99)
\t... 3 more"""
NODE = """TypeError: Cannot read properties of undefined (reading 'event_id')
    at load (/app/loader.js:12:7)
    at Module._compile (node:internal/modules/cjs/loader:1105:14)"""
GO = """panic: runtime error: index out of range [3] with length 3

goroutine 1 [running]:
main.load(0x1)
\t/app/loader.go:12 +0x1d
exit status 2"""
NET = """Unhandled exception. System.Collections.Generic.KeyNotFoundException: The given key '1' was not present
   at Loader.Program.Load(Row row) in /src/Program.cs:line 12"""


NODE_CAUSE = """/app/node_modules/x/index.js:3
        throw new Error(text);
        ^

TypeError: fetch failed
    at node:internal/deps/undici/undici:12345:11
    at async load (file:///app/loader.mjs:12:15) {
  [cause]: Error: getaddrinfo ENOTFOUND ch-zakaz
      at GetAddrInfoReqWrap.onlookup [as oncomplete] (node:dns:107:26) {
    code: 'ENOTFOUND'
  }
}

Node.js v20.11.0"""
SPRING = """2026-11-23T04:00:01.123Z ERROR 1 --- [           main] o.s.boot.SpringApplication   : Application run failed

java.lang.IllegalStateException: Failed to execute CommandLineRunner
\tat org.springframework.boot.SpringApplication.callRunner(SpringApplication.java:775) ~[spring-boot-3.2.0.jar!/:3.2.0]
\tat com.acme.Application.main(Application.java:14) ~[!/:0.0.1]
Caused by: java.lang.NumberFormatException: For input string: "12,5"
\tat java.base/java.lang.Integer.parseInt(Integer.java:668)
\tat com.acme.Transform.price(Transform.java:12) ~[!/:0.0.1]
\t... 12 common frames omitted"""
LOGBACK = json.dumps(
    {"level": "ERROR", "message": "Load failed", "stack_trace": SPRING.partition("\n\n")[2], "thread_name": "main"}
)
NET_CHAIN = """[04:00:01 ERR] Load failed
System.InvalidOperationException: load failed
 ---> System.FormatException: The input string '12,5' was not in a correct format.
   at System.Number.ThrowFormatException[TChar](ReadOnlySpan`1 value)
   at Loader.Transform.Row(Order o) in /src/Transform.cs:line 12
   --- End of inner exception stack trace ---
   at Loader.Program.Main(String[] args) in /src/Program.cs:line 8"""
GO_NIL = """panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x8 pc=0x4a1f2b]

goroutine 1 [running]:
main.transform(0xc000010000)
\t/src/transform.go:12 +0x1b
main.main()
\t/src/main.go:88 +0x3c5"""
ZAP = json.dumps({
    "level": "error", "ts": 1790000001.1, "msg": "load failed", "error": "parsing \"1 200\": invalid syntax",
    "stacktrace": "main.(*Loader).run\n\t/src/load.go:12\nruntime.main\n\t/usr/local/go/src/runtime/proc.go:250",
})  # fmt: skip
RUST = """thread 'main' panicked at src/transform.rs:12:30:
called `Option::unwrap()` on a `None` value
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace"""
RUST_OLD = """thread 'worker' panicked at 'called `Option::unwrap()` on a `None` value', src/transform.rs:12:30
stack backtrace:
   0: rust_begin_unwind
             at /rustc/abc/library/std/src/panicking.rs:593:5
   1: loader::main
             at ./src/main.rs:5:5"""
PHP = "PHP Fatal error:  Uncaught TypeError: Unsupported operand types: string + int in /app/load.php:12"
RUBY = "/app/load.rb:12:in `block in load': undefined method `[]' for nil:NilClass (NoMethodError)"
BASH = "/app/run.sh: line 12: CH_HOST: unbound variable"
UNCOMPILED = '  File "/app/loader.py", line 12\n    def x(:\n          ^\nSyntaxError: invalid syntax'
PANDAS = """Traceback (most recent call last):
  File "pandas/_libs/hashtable_class_helper.pxi", line 7089, in pandas._libs.hashtable.PyObjectHashTable.get_item
KeyError: 'day'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/etl.py", line 12, in main
    df["day"]
  File "/usr/local/lib/python3.11/site-packages/pandas/core/frame.py", line 4102, in __getitem__
    raise KeyError(key) from err
KeyError: 'day'"""

PINO = json.dumps({"level": 50, "msg": "x", "err": {"type": "TypeError", "message": "y", "stack": NODE}})


@pytest.mark.parametrize(
    ("text", "kind", "file"),
    [
        (JAVA, "java.lang.RuntimeException", "Main.java"),
        (SPRING, "java.lang.IllegalStateException", "Transform.java"),
        (LOGBACK, "java.lang.IllegalStateException", "Transform.java"),
        (NODE, "TypeError", "/app/loader.js"),
        (NODE_CAUSE, "TypeError", "file:///app/loader.mjs"),
        (GO, None, "/app/loader.go"),
        (GO_NIL, None, "/src/transform.go"),
        (ZAP, None, "/src/load.go"),
        (NET, "System.Collections.Generic.KeyNotFoundException", "/src/Program.cs"),
        (NET_CHAIN, "System.InvalidOperationException", "/src/Transform.cs"),
        (RUST, "panic", "src/transform.rs"),
        (RUST_OLD, "panic", "src/transform.rs"),
        (PHP, "TypeError", "/app/load.php"),
        (RUBY, "NoMethodError", "/app/load.rb"),
        (BASH, None, "/app/run.sh"),
        (UNCOMPILED, "SyntaxError", "/app/loader.py"),
        (PANDAS, "KeyError", "/app/etl.py"),
        (PINO, "TypeError", "/app/loader.js"),
    ],
)  # fmt: skip
def test_stacks_of_other_languages_are_one_error_each(tmp_path: Path, text: str, kind: str | None, file: str) -> None:
    error = only(tmp_path, text)
    assert error.type == kind
    assert error.frame is not None
    assert (error.frame.file, error.frame.line) == (file, 12)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        (SPRING, 'For input string: "12,5"'),
        (NET_CHAIN, "The input string '12,5' was not in a correct format."),
        (NODE_CAUSE, "getaddrinfo ENOTFOUND ch-zakaz"),
        (RUST, "called `Option::unwrap()` on a `None` value"),
        (RUST_OLD, "called `Option::unwrap()` on a `None` value"),
    ],
)
def test_a_chain_of_another_language_begins_where_it_began(tmp_path: Path, text: str, origin: str) -> None:
    assert only(tmp_path, text).chain[0][1] == origin


def test_one_json_object_over_several_lines_is_one_record(tmp_path: Path) -> None:
    record = {"level": "error", "message": "load failed", "error": {"name": "KeyError", "message": "'event_id'"}}
    error = only(tmp_path, "INFO start\n" + json.dumps(record, indent=2) + "\nINFO end\n")
    assert (error.type, error.message) == ("KeyError", "'event_id'")
    assert only(tmp_path, "{\n  no JSON\n}\nERROR load failed\n").message == "load failed"


def test_a_handled_error_right_above_an_uncaught_one_stays_its_own(tmp_path: Path) -> None:
    text = "ERROR seats of show 3: 503 Server Error for url: https://qtickets.ru/x\n" + TRACEBACK
    assert [error.http_status for error in read(tmp_path, text).errors] == [503, None]
    assert len(read(tmp_path, "show 'Errors' shown\n" + TRACEBACK).errors) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2026-11-23 04:00:01,123 ERROR Unexpected ClickHouse error: 1", "Unexpected ClickHouse error: 1"),
        ("ERROR:root:Unexpected ClickHouse error: 1", "Unexpected ClickHouse error: 1"),
        ("2026-11-23 04:00:01,123 - loader - ERROR - Unexpected ClickHouse error: 1", "Unexpected ClickHouse error: 1"),
        ("[ERROR] load failed", "load failed"),
        ("[2026-11-23 04:00:01] [error] load failed", "load failed"),
        ('time=2026-11-23T04:00:01Z level=error msg="load failed" err="KeyError: \'x\'"', "load failed: KeyError: 'x'"),
        ("E1123 04:00:01.000000       1 main.go:12] load failed", "load failed"),
        ("2026-11-23 04:00:01.123 | CRITICAL | __main__:main:20 - load failed", "load failed"),
        ("FATAL: load failed", "load failed"),
        ("error: 'event_id'", "'event_id'"),
        ("Error: 'event_id'", "'event_id'"),
        ('{"level":"error","msg":"load failed","error":"1"}', "load failed: 1"),
        ('{"severity":"ERROR","message":"load failed"}', "load failed"),
        ('{"level":60,"time":1790000000000,"msg":"load failed"}', "load failed"),
        ("Ошибка: не удалось записать строки", "не удалось записать строки"),
        ("2026-11-23 04:00:01 | ОШИБКА | нет поля 'sku'", "нет поля 'sku'"),
        ("2026-11-23T04:00:01Z [error    ] load failed       error=\"'sku'\" job=load", "load failed: 'sku'"),
        ("2026-11-23T04:00:01Z ERROR loader::ch: load failed error=no route", "loader::ch: load failed: no route"),
        ("[04:00:01 FTL] load failed", "load failed"),
        ("Error: load failed\n\nCaused by:\n    0: order 17\n    1: no field", "load failed: order 17: no field"),
        ("Fehler beim Laden der Bestellungen", "Fehler beim Laden der Bestellungen"),
        ("エラー: 接続できません", "エラー: 接続できません"),
    ],
)
def test_plain_lines_of_many_layouts_are_errors(tmp_path: Path, line: str, message: str) -> None:
    assert only(tmp_path, f"INFO start\n{line}\nINFO end\n").message == message


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-23 04:00:01 INFO loader - 50 orders, 0 errors",
        "INFO retries: 0, errors: 0",
        "done without errors",
        '{"level":"info","msg":"done","errors":0,"error":null}',
        '{"level":30,"msg":"error budget is full"}',
        "DEBUG error handler installed",
        "/app/x.py:3: DeprecationWarning: this will be an error in version 3",
        "errors=0 rows=50",
        "error: false",
        "has_error=False",
        "last_error=",
        "error rate 0.00%",
        "timed out connections: 0",
    ],
)
def test_what_only_mentions_errors_is_none(tmp_path: Path, line: str) -> None:
    log = read(tmp_path, line + "\n")
    assert (log.errors, log.notes) == ([], [])


def test_repeats_collapse_with_count_first_and_last_time(tmp_path: Path) -> None:
    lines = [f"2026-11-23 04:00:{second:02} ERROR order {second} failed: no price" for second in range(30)]
    error = only(tmp_path, "\n".join(lines))
    assert (error.count, error.first, error.last) == (30, "2026-11-23 04:00:00", "2026-11-23 04:00:29")


def test_different_keys_stay_apart(tmp_path: Path) -> None:
    assert [error.message for error in read(tmp_path, "ERROR error: 1\nERROR error: 2\nERROR error: 1\n").errors] == [
        "error: 1",
        "error: 2",
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ERROR Code: 60.\nDB::Exception: Table z.t does not exist. Stack trace:\n\n0. ? @ 0x1", 60),
        ("ERROR Received ClickHouse exception, code: 497, server response: Code: 497. DB::Exception: not enough", 497),
        ("ERROR HTTPDriver for http://h:8123 received ClickHouse error code 60\n Code: 60. DB::Exception: no", 60),
        ("ERROR clickhouse: code: 516, message: default: Authentication failed", 516),
        ("ERROR ClickHouseError: Table z.t does not exist { code: '60', type: 'UNKNOWN_TABLE' }", 60),
        ('{"level":50,"err":{"type":"UNKNOWN_TABLE","code":"60","message":"Table z.t does not exist"}}', 60),
        ("insert orders: code: 60, message: Table z.t does not exist", 60),
        ("Code: 210. DB::NetException: Connection refused (localhost:9000). (NETWORK_ERROR)", None),
        ("Code: 516. DB::Exception: Received from h:9000. DB::Exception: u: Authentication failed", 516),
        ("ERROR Code: 210. Connection refused (localhost:9000)", None),
        ("ERROR Code: 53. Type mismatch in VALUES section. Column n: argument out of range", None),
        ("ERROR Unexpected ClickHouse error: 1", None),
        ("ERROR exit code: 60", None),
    ],
)
def test_only_the_servers_own_words_prove_a_server_code(tmp_path: Path, text: str, code: int | None) -> None:
    assert read(tmp_path, text).errors[0].server_code == code


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("ERROR 401 Client Error: Unauthorized for url: https://qtickets.ru/api/rest/v1/orders", 401),
        ("ERROR Client error '403 Forbidden' for url 'https://qtickets.ru/'", 403),
        ('ERROR "GET /orders HTTP/1.1" 503 17', 503),
        ("ERROR status_code=429", 429),
        ("ERROR API returned 502", 502),
        ("curl: (22) The requested URL returned error: 500", 500),
        ("ERROR loaded 503 rows too many", None),
        ("ERROR order 404 has no price", None),
    ],
)
def test_an_http_status_is_one_only_where_it_is_called_so(tmp_path: Path, text: str, status: int | None) -> None:
    assert read(tmp_path, text).errors[0].http_status == status


def test_the_last_outcome_line_counts(tmp_path: Path) -> None:
    first = '{"event":"x","status":200}\n{"outcome":"failed","cause":"a"}\n'
    text = first + 'INFO retry\n{"outcome":"ok","cause":null}\n{"a":1}\n'
    assert read(tmp_path, text).outcome == {"outcome": "ok", "cause": None}


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "cp1251", "cp866", "koi8-r", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_encodings_are_recognised(tmp_path: Path, encoding: str) -> None:
    text = "2026-11-23 04:00:01 INFO загрузка\n2026-11-23 04:00:02 ERROR Ошибка записи в таблицу заказов: 'event_id'\n"
    error = only(tmp_path, text.encode(encoding))
    assert error.message == "Ошибка записи в таблицу заказов: 'event_id'"
    assert error.first == "2026-11-23 04:00:02"


def test_broken_bytes_are_replaced_and_reported(tmp_path: Path) -> None:
    log = read(tmp_path, "INFO привет\nERROR сбой записи ".encode() + b"\xff\n")
    assert log.errors[0].message == "сбой записи \ufffd"
    assert any("no known encoding" in warning for warning in log.warnings)


def test_nuls_of_a_rotated_log_do_not_make_it_binary(tmp_path: Path) -> None:
    assert only(tmp_path, b"\0" * 5000 + b"ERROR load failed\n").message == "load failed"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip"),
        (b"\x7fELF\x02\x01\x01", "a program"),
        (bytes(range(256)) * 20, "binary"),
        (None, "No log file"),
        ("folder", "a directory"),
    ],
)
def test_what_is_no_log_is_refused_in_one_sentence(tmp_path: Path, content: bytes | str | None, words: str) -> None:
    path = tmp_path / "ingest.log"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(LogFileError, match=words):
        read_client_log(path)


def test_an_empty_log_has_nothing(tmp_path: Path) -> None:
    log = read(tmp_path, b"")
    assert (log.errors, log.lines, log.tail, log.outcome) == ([], 0, [], None)


def test_a_large_log_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "ingest.log"
    line = b"2026-11-23 04:00:00,001 INFO loader - fetched page 12 of 80, 50 orders, took 0.31 s\n"
    with path.open("wb") as stream:
        for _ in range(40):
            stream.write(line * 12_000)
        stream.write(b"x" * (20 << 20) + b"\n")
        stream.write(TRACEBACK.encode())
    tracemalloc.start()
    log = read_client_log(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert log.bytes == path.stat().st_size > 60_000_000
    assert log.lines == 480_001 + len(TRACEBACK.splitlines())
    assert [error.type for error in log.errors] == ["KeyError"]
    assert peak < 16 << 20


def test_very_many_different_errors_are_counted_in_bounded_memory(tmp_path: Path) -> None:
    letters = str.maketrans("0123456789", "abcdefghij")
    lines = [f"ERROR event {str(n).translate(letters)} was refused: {'bad ' * 200}" for n in range(2000)]
    path = tmp_path / "ingest.log"
    path.write_text("\n".join([*lines, "INFO bye", "INFO bye"]))
    tracemalloc.start()
    log = read_client_log(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(log.errors) == 201
    last = log.errors[-1]
    assert (last.message, last.line, last.followed) == (lines[-1].removeprefix("ERROR ").strip(), 2000, 2)
    assert log.warnings == ["1800 more error lines of other kinds were counted and not kept."]
    assert peak < 5 << 20


def test_of_a_log_beyond_the_limit_both_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "ingest.log"
    dull = b"INFO dull line\n" * 20_000
    path.write_bytes(b"ERROR first one\n" + dull + b"ERROR middle one\n" + dull + b"ERROR last one\n")
    log = read_client_log(path, max_bytes=100_000)
    assert log.truncated
    assert [error.message for error in log.errors] == ["first one", "last one"]
    assert any("the middle was not" in warning for warning in log.warnings)


def test_kinds_of_errors_are_bounded(tmp_path: Path) -> None:
    names = [f"{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(400)]
    log = read(tmp_path, "\n".join(f"ERROR failure of part {name} in module {name}{name}" for name in names))
    assert len(log.errors) == 201
    assert log.errors[-1].message.endswith(names[-1] * 2)
    assert any("200 more" in warning for warning in log.warnings)


def test_secrets_and_personal_data_stay_out(tmp_path: Path) -> None:
    log = read(
        tmp_path,
        "ERROR load failed for ivan.petrov@mail.ru, +7 (999) 123-45-67: password=hunter22 "
        "Authorization: Bearer abc123def\n"
        "ERROR connect to http://ingest:s3cr3t@ch-zakaz:8123/?token=tok123 failed\n"
        "ERROR https://api.telegram.org/bot123456:AAH-xyzwvutsrq/sendMessage and https://hooks.slack.com/services/T0/B0/zz\n",
    )
    text = str(log)
    for secret in ("petrov", "999", "hunter22", "abc123def", "s3cr3t", "tok123", "AAH-xyz", "B0/zz"):
        assert secret not in text
    assert "ch-zakaz:8123" in text


LINES = [*TRACEBACK.splitlines(), *GROUP.splitlines(), *RICH.splitlines(), *JAVA.splitlines(), *GO.splitlines(), ""]
KEYS = ["level", "error", "err", "exception", "log", "stream", "time", "outcome", "status", "msg"]
VALUES = st.one_of(
    st.none(),
    st.integers(),
    st.text(max_size=9),
    st.dictionaries(st.sampled_from(["type", "message", "stack"]), st.text(max_size=3)),
    st.lists(st.dictionaries(st.sampled_from(["exc_type", "frames"]), st.text(max_size=3)), max_size=2),
)
JSON = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4).map(json.dumps)
TEXT = st.text(st.characters(min_codepoint=32), max_size=60)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(TEXT, st.sampled_from(LINES), JSON), max_size=25))
def test_no_log_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    log = read(tmp_path_factory.mktemp("any"), "\n".join(lines).encode("utf-8", "surrogatepass"))
    assert all(error.count >= 1 for error in log.errors)
