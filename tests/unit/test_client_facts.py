"""What reading a log yields as facts: the record's level, the service, the library, the place in the log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible.module_utils.ingest_verify.facts.log import ClientLog, read_client_log

TRACEBACK = """Traceback (most recent call last):
  File "/app/loader.py", line 9, in <module>
    import fastjson
ModuleNotFoundError: No module named 'fastjson'"""


def read(folder: Path, text: str) -> ClientLog:
    path = folder / "ingest.log"
    path.write_text(text)
    return read_client_log(path)


@pytest.mark.parametrize(("level", "number"), [("DEBUG", 1), ("INFO", 1), ("ERROR", 3)])
def test_the_records_level_counts_for_the_traceback_below_it(tmp_path: Path, level: str, number: int) -> None:
    head = f"2026-11-28 05:20:31,095 {level} shipper | no fast json, using the standard one\n"
    (error,) = read(tmp_path, head + TRACEBACK + "\n2026-11-28 05:20:32,000 INFO shipper | shipped 4\n").errors
    assert error.level == number
    assert (error.line, error.followed) == (5, 1)


def test_a_traceback_below_a_warning_is_a_note(tmp_path: Path) -> None:
    log = read(tmp_path, "2026-11-28 05:20:31,095 WARNING shipper | slow path\n" + TRACEBACK + "\n")
    assert (log.errors, [note.type for note in log.notes]) == ([], ["ModuleNotFoundError"])


@pytest.mark.parametrize(
    ("ours", "other"),
    [
        ("app-1  | ", "db-1   | "),
        ("[pod/loader-x7/loader] ", "[pod/loader-x7/proxy] "),
        ("Nov 28 05:00:00 host loader[17]: ", "Nov 28 05:00:00 host cron[3]: "),
        ("ноя 28 05:00:00 host loader[17]: ", "ноя 28 05:00:00 host cron[3]: "),
        ("2026-11-28T05:00:00+0300 host loader[17]: ", "2026-11-28T05:00:00+0300 host cron[3]: "),
    ],
)
def test_another_services_lines_do_not_break_a_traceback(tmp_path: Path, ours: str, other: str) -> None:
    lines = [ours + "INFO start", other + "ERROR could not open port, trying again", other + "INFO ready"]
    for line in TRACEBACK.splitlines():
        lines += [ours + line, other + "INFO checkpoint complete"]
    log = read(tmp_path, "\n".join(lines) + "\n")
    theirs, mine = log.errors
    assert (mine.type, mine.frame and mine.frame.line, mine.followed) == ("ModuleNotFoundError", 9, 0)
    assert theirs.stream != mine.stream
    assert theirs.followed > 1


def test_a_line_that_its_carrier_cut_is_put_together(tmp_path: Path) -> None:
    record = json.dumps({"payload": "x" * 20_000, "level": "error", "message": "load failed: 'sku'"})
    cut = f"2026-11-28T05:00:00.1Z stdout P {record[:16384]}\n2026-11-28T05:00:00.2Z stdout F {record[16384:]}\n"
    (error,) = read(tmp_path, cut).errors
    assert error.message == "load failed: 'sku'"
    docker = [
        json.dumps({"log": part, "stream": "stdout", "time": "2026-11-28T05:00:00.1Z"})
        for part in (record[:16384], record[16384:] + "\n")
    ]
    (error,) = read(tmp_path, "\n".join(docker) + "\n").errors
    assert (error.message, error.first) == ("load failed: 'sku'", "2026-11-28T05:00:00.1Z")


def test_a_record_whose_end_is_lost_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    record = json.dumps({"level": "error", "message": "load failed: 'sku'", "payload": "a failed: \\ b" * 4000})
    (error,) = read(tmp_path, record[:16384] + "\nINFO end\n").errors
    assert error.message == "load failed: 'sku'"
    quiet = json.dumps({"level": "info", "message": "sent", "payload": "an error " * 4000})
    assert read(tmp_path, quiet[:16384] + "\nINFO end\n").errors == []


@pytest.mark.parametrize(
    "stamp", ["28.11.2026 05:00:00", "28/Nov/2026:05:00:00 +0300", "28/11/2026 05:00:00", "[28.11.2026, 05:00:00]"]
)
def test_a_time_stamp_of_another_country_begins_a_record(tmp_path: Path, stamp: str) -> None:
    log = read(tmp_path, f"{stamp} ERROR load failed: 'sku'\n{stamp} INFO end\n")
    assert [(error.message, error.first) for error in log.errors] == [("load failed: 'sku'", stamp.strip("[]"))]


PACKAGES = "/usr/local/lib/python3.12/site-packages"


@pytest.mark.parametrize(
    ("text", "library"),
    [
        ('Traceback (most recent call last):\n  File "/app/l.py", line 3, in go\n    x()\n'
         f'  File "{PACKAGES}/sqlalchemy/engine/url.py", line 9, in make_url\n    raise E\n'
         "sqlalchemy.exc.ArgumentError: Could not parse", "sqlalchemy"),
        (TRACEBACK, ""),
        ("ERROR failed\norg.apache.http.NoHttpResponseException: ch:8123 failed to respond\n"
         "\tat org.apache.http.impl.X.parse(X.java:141)\n\tat com.acme.Writer.flush(Writer.java:58)",
         "org.apache.http"),
        ("TypeError: Invalid URL\n    at new URL (node:internal/url:797:36)\n    at /app/l.js:3:1", ""),
        ("Error: x\n    at f (/app/node_modules/@clickhouse/client/dist/x.js:9:1)\n    at /app/l.js:3:1",
         "@clickhouse/client"),
    ],
)  # fmt: skip
def test_the_library_that_raised_is_known(tmp_path: Path, text: str, library: str) -> None:
    (error,) = read(tmp_path, text + "\n").errors
    assert error.raised_in == library


def test_what_the_service_said_after_an_error_is_at_hand(tmp_path: Path) -> None:
    log = read(tmp_path, "a-1 | ERROR x failed\nb-1 | noise\na-1 | INFO done\nexit status 1\n")
    assert log.after(log.errors[0]) == ["INFO done"]


def test_clickhouse_drivers_text_of_a_servers_answer_is_the_servers(tmp_path: Path) -> None:
    text = (
        "ERROR commit failed: Code: 209.\nDB::NetException. DB::NetException: Timeout exceeded while receiving data "
        "from client. Waited for 6 seconds, timeout is 3 seconds.. Stack trace:\n\n0. ? @ 0x1\n"
    )
    assert [error.server_code for error in read(tmp_path, text).errors] == [209]
    own = "ERROR commit failed: Code: 210. Connection refused (ch:9000)\n"
    assert [error.server_code for error in read(tmp_path, own).errors] == [None]


JVM = """java.lang.IllegalStateException: flush failed
\tat com.acme.Writer.flush(Writer.java:58)
Caused by: java.io.IOException: Premature end of chunk
\tat com.acme.Http.read(Http.java:9)
\t... 3 more"""


@pytest.mark.parametrize(
    "head",
    ["2026-11-28 05:00:0{n},123 ERROR [main] c.a.Job - ", "[writer {n}] ", "05:00:0{n}.1 [pool-1] ERROR c.a.Job - "],
)
def test_a_stack_with_a_head_on_each_line_is_one_error(tmp_path: Path, head: str) -> None:
    text = "\n".join(head.format(n=n) + line for n, line in enumerate(JVM.splitlines(), 1))
    (error,) = read(tmp_path, text + "\n").errors
    assert error.chain[0] == ("java.io.IOException", "Premature end of chunk")
    assert error.frame is not None
    assert (error.frame.file, error.frame.line) == ("Http.java", 9)


SLING = """4:32PM INF reading from source database
4:32PM INF execution failed

fatal:
--- proc.go:283 main ---
--- sling_cli.go:519 main ---
~ failure running task
--- task_run.go:138 func1 ---
~ could not connect to target database
--- database.go:401 Connect ---
dial tcp: lookup wh-1: no such host
"""


def test_frame_markers_are_no_message(tmp_path: Path) -> None:
    errors = read(tmp_path, SLING).errors
    assert errors[-1].message.startswith("dial tcp: lookup wh-1: no such host: could not connect to target database")
    assert "proc.go" not in errors[-1].message


def test_a_warning_without_a_level_is_counted(tmp_path: Path) -> None:
    text = "".join(f"unexpected seats response format for show {n}\n" for n in range(24)) + "all done\n"
    log = read(tmp_path, text)
    assert (log.errors, [note.count for note in log.notes]) == ([], [24])
