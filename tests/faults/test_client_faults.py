"""Section B of the failure catalogue: the client fails, and its log is all there is. Real loaders, real sockets."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from embedded.testing import Engine
from tests.client_runs import HTTP, NATIVE, OURS, Loaders

MOSCOW = "DateTime('Europe/Moscow')"
STYLES = ("swallow", "traceback", "json", "print", "crash")


@pytest.mark.parametrize("loader", [OURS, HTTP, NATIVE])
def test_a_healthy_loader_gives_no_finding(loaders: Loaders, loader: str) -> None:
    run = loaders.run(loader)
    assert run.result.exit_code == 0, run.log
    assert run.findings == []


# 16: a KeyError's text


@pytest.mark.row(16)
@pytest.mark.parametrize(
    ("fault", "key", "style"),
    [("key_number", "1", style) for style in STYLES] + [("key_name", "event_id", how) for how in ("swallow", "crash")],
)
def test_a_key_error_is_named_however_it_is_logged(loaders: Loaders, fault: str, key: str, style: str) -> None:
    finding = loaders.run(HTTP, FOREIGN_FAULT=fault, FOREIGN_LOG=style).cause
    assert (finding.cause, finding.object, finding.fix_side) == ("client_key_error", key, "loader")
    assert "KeyError" in finding.headline
    if style in ("swallow", "print"):
        assert "no ClickHouse error code" in finding.headline
        assert "logger.exception" in (finding.next_step or "")
    else:
        assert "common.py:" in finding.evidence["location"]
        assert "order_rows" in finding.headline


def test_a_row_of_another_kind_is_named_as_the_drivers_key_error(loaders: Loaders) -> None:
    finding = loaders.run(NATIVE, FOREIGN_FAULT="tuple_rows", FOREIGN_LOG="traceback").cause
    assert (finding.cause, finding.object) == ("client_key_error", "0")
    assert "native_loader.py" in finding.evidence["location"]
    assert "tuples or lists" in (finding.next_step or "")


# 17: a value that does not go into the column


@pytest.mark.row(17)
@pytest.mark.parametrize("style", ["swallow", "json"])
def test_a_value_that_cannot_be_serialized_is_named_with_its_column(loaders: Loaders, style: str) -> None:
    finding = loaders.run(NATIVE, FOREIGN_FAULT="serialize", FOREIGN_LOG=style).cause
    assert (finding.cause, finding.object) == ("client_serialization", "tickets_sold")
    assert "argument out of range" in finding.headline
    assert "code" not in finding.evidence


CONNECT = """
import datetime, logging, os, sys, clickhouse_connect
logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s - %(message)s")
client = clickhouse_connect.get_client(
    host=os.environ["CLICKHOUSE_HOST"], port=int(os.environ["CLICKHOUSE_PORT"]), username=os.environ["CLICKHOUSE_USER"],
    password=os.environ["CLICKHOUSE_PASSWORD"], database=os.environ["CLICKHOUSE_DB"])
try:
    client.insert("dim_events", {rows}, column_names={columns})
except Exception as error:
    logging.error(f"Unexpected ClickHouse error: {{error}}")
    sys.exit(1)
"""


@pytest.mark.row(17)
@pytest.mark.parametrize(
    ("rows", "columns", "cause", "object_", "expected"),
    [
        ("[['1', 5]]", "['event_id', 'city']", "client_serialization", "city", "LowCardinality(String)"),
        ("[['1', 'x']]", "['event_id', '_loaded_at']", "client_serialization", "_loaded_at", MOSCOW),
        ("[['1', -1]]", "['event_id', 'tickets_left']", "client_serialization", "tickets_left", "UInt32"),
        ("[['1', None]]", "['event_id', '_ver']", "client_serialization", "_ver", "UInt64"),
        ("[{'event_id': '1'}] * 3", "['event_id']", "client_key_error", "0", "an error with its type and place"),
        ("[['1', 2]]", "['event_id']", "client_column_count", None, None),
        ("[['1', 2]]", "['event_id', 'nope']", "server_missing_column", "{db}.dim_events.nope", "column nope"),
    ],
)  # fmt: skip
def test_what_clickhouse_connect_refuses_before_it_sends_is_named(
    loaders: Loaders, rows: str, columns: str, cause: str, object_: str | None, expected: str | None
) -> None:
    finding = loaders.judge([sys.executable, "-c", CONNECT.format(rows=rows, columns=columns)]).cause
    assert (finding.cause, finding.expected) == (cause, expected)
    assert finding.object == (object_ and object_.format(db=loaders.env["CLICKHOUSE_DB"]))


def test_clickhouse_connects_healthy_twin(loaders: Loaders) -> None:
    code = CONNECT.format(rows="[['1', 'a']]", columns="['event_id', 'event_name']")
    assert loaders.judge([sys.executable, "-c", code]).findings == []


# 18 and 19: breaking off, and a transform that raises


@pytest.mark.row(18)
@pytest.mark.parametrize("loader", [HTTP, NATIVE])
def test_a_stream_that_breaks_off_has_its_cause_in_the_client(loaders: Loaders, loader: str) -> None:
    finding = loaders.run(loader, FOREIGN_FAULT="abort", FOREIGN_LOG="traceback").cause
    assert finding.cause == "client_exception"
    assert "the iterator over orders broke off" in finding.headline
    assert "common.py:" in finding.evidence["location"]


@pytest.mark.row(19)
@pytest.mark.parametrize("style", ["swallow", "traceback", "crash"])
def test_a_transform_that_raises_is_named_with_its_text(loaders: Loaders, style: str) -> None:
    finding = loaders.run(NATIVE, FOREIGN_FAULT="transform", FOREIGN_LOG=style).cause
    assert finding.cause == "client_exception"
    assert "month must be in 1..12" in finding.headline
    if style in ("traceback", "json", "crash"):
        assert "ValueError" in finding.headline
        assert "in order_rows" in finding.evidence["location"]
    else:
        assert "logger.exception" in (finding.next_step or "")


def test_an_exit_without_a_word_is_said_to_be_one(loaders: Loaders) -> None:
    finding = loaders.run(HTTP, FOREIGN_FAULT="silent").cause
    assert finding.cause == "client_exception"
    assert "exit code 1" in finding.headline
    assert "is empty" in finding.headline


# 20 and 21: the way to the server


@pytest.mark.row(20)
@pytest.mark.parametrize("loader", [OURS, HTTP, NATIVE])
def test_an_unknown_host_is_named(loaders: Loaders, loader: str) -> None:
    finding = loaders.run(loader, CLICKHOUSE_HOST="ch-zakaz.invalid").cause
    assert (finding.cause, finding.object) == ("client_unknown_host", "ch-zakaz.invalid")
    assert "CLICKHOUSE_HOST" in (finding.next_step or "")


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of loopback that is bound and does not listen, so that nobody else takes it meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.mark.row(20)
@pytest.mark.parametrize("loader", [OURS, HTTP, NATIVE])
def test_a_refused_connection_is_named(loaders: Loaders, loader: str, closed_port: int) -> None:
    finding = loaders.run(loader, CLICKHOUSE_PORT=str(closed_port)).cause
    assert (finding.cause, finding.object) == ("client_connection_refused", f"127.0.0.1:{closed_port}")
    assert str(closed_port) in (finding.next_step or "")


def test_loopback_inside_a_container_is_called_the_container_itself(loaders: Loaders, closed_port: int) -> None:
    finding = loaders.run(HTTP, CLICKHOUSE_PORT=str(closed_port), container=True).cause
    assert finding.cause == "client_connection_refused"
    assert "the container itself" in finding.headline
    assert "ch-zakaz" in (finding.next_step or "")


@pytest.mark.row(20)
def test_the_native_protocol_on_the_http_port_is_named(loaders: Loaders, engine: Engine) -> None:
    finding = loaders.run(NATIVE, CLICKHOUSE_PORT=str(engine.http_port)).cause
    assert finding.cause == "client_wrong_protocol"
    assert "9000" in (finding.next_step or "")


@pytest.mark.row(20)
def test_http_on_the_native_port_is_named(loaders: Loaders, engine: Engine) -> None:
    finding = loaders.run(OURS, CLICKHOUSE_PORT=str(engine.tcp_port)).cause
    assert finding.cause == "client_wrong_protocol"
    assert str(engine.http_port) in (finding.next_step or "")


@pytest.mark.row(20)
@pytest.mark.parametrize("loader", [OURS, HTTP, NATIVE])
def test_tls_against_a_plain_port_is_named(loaders: Loaders, loader: str) -> None:
    finding = loaders.run(loader, CLICKHOUSE_SECURE="true").cause
    assert finding.cause == "client_tls_mismatch"
    # The address, not the line of OpenSSL's source that its exception names.
    assert finding.headline.endswith(f" 127.0.0.1:{loaders.port_of(loader)}.")
    assert "CLICKHOUSE_SECURE=false" in (finding.next_step or "")


def test_a_server_that_hangs_up_is_a_lost_connection(loaders: Loaders) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def hang_up() -> None:
            server.settimeout(0.1)
            while not stop.is_set():
                try:
                    server.accept()[0].close()
                except TimeoutError:
                    continue

        thread = threading.Thread(target=hang_up)
        thread.start()
        finding = loaders.run(HTTP, CLICKHOUSE_PORT=str(server.getsockname()[1]), FOREIGN_LOG="traceback").cause
        stop.set()
        thread.join()
    assert finding.cause == "client_connection_lost"


def test_a_refused_login_over_http_is_not_taken_for_the_apis_token(loaders: Loaders) -> None:
    finding = loaders.run(HTTP, CLICKHOUSE_PASSWORD="not-this-one").cause
    assert finding.cause == "server_authentication"
    assert "CLICKHOUSE_PASSWORD" in (finding.next_step or "")


def test_what_the_server_said_is_left_to_the_servers_side(loaders: Loaders) -> None:
    run = loaders.run(NATIVE, CLICKHOUSE_PASSWORD="not-this-one")
    assert run.result.exit_code == 1
    assert run.errors == []


# 22: how the process ends


def test_a_killed_process_is_named_with_its_last_line(loaders: Loaders) -> None:
    finding = loaders.run(HTTP, FOREIGN_FAULT="sigkill").cause
    assert finding.cause == "client_killed"
    assert "sorting 40000000 rows" in finding.headline
    assert "dmesg" in (finding.next_step or "")


@pytest.mark.row(22)
def test_a_command_that_does_not_exist_is_named(loaders: Loaders) -> None:
    finding = loaders.judge(["qtickets-loader-that-is-not-there", "--all"]).cause
    assert (finding.cause, finding.object) == ("client_no_such_command", "qtickets-loader-that-is-not-there")


@pytest.mark.row(22)
@pytest.mark.parametrize("content", ["#!/bin/sh\nexit 0\n", "just text"])
def test_a_command_that_cannot_be_executed_is_named(loaders: Loaders, content: str) -> None:
    script = loaders.folder / "loader.sh"
    script.write_text(content)
    script.chmod(0o644 if content.startswith("#!") else 0o755)
    finding = loaders.judge([str(script)]).cause
    assert (finding.cause, finding.object) == ("client_not_executable", str(script))
    assert "chmod" in (finding.next_step or "")


def test_the_same_command_runs_once_it_is_executable(loaders: Loaders) -> None:
    script = loaders.folder / "loader.sh"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    assert loaders.judge([str(script)]).findings == []


@pytest.mark.row(22)
def test_a_loader_that_hangs_is_stopped_and_named(loaders: Loaders) -> None:
    run = loaders.run(HTTP, FOREIGN_FAULT="hang", timeout=3)
    assert run.result.timed_out
    assert run.cause.cause == "client_timed_out"
    assert "waiting for a lock" in run.cause.headline


def test_a_missing_package_is_named(loaders: Loaders) -> None:
    finding = loaders.judge([sys.executable, "-c", "import qtickets_client_of_another_team"]).cause
    assert (finding.cause, finding.object) == ("client_missing_module", "qtickets_client_of_another_team")
