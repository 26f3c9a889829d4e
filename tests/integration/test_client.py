"""Each way a connection can fail is one sentence that says what to do."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from datetime import datetime

import pytest
from ansible.module_utils.ingest_verify import client as client_module
from ansible.module_utils.ingest_verify import server
from ansible.module_utils.ingest_verify.client import (
    BOUNDS,
    ConnectError,
    ServerError,
    connect,
    query,
    quote_identifier,
    quote_string,
    table_columns,
)
from ansible.module_utils.ingest_verify.server import wait_for_server
from hypothesis import given
from hypothesis import strategies as st

from embedded.testing import start_engine


def test_a_good_login_connects(login):
    assert query(connect(login), "SELECT 1 AS one") == [{"one": 1}]


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"login_password": "wrong"}, "authentication", "refused user 'admin'"),
        ({"login_user": "nobody-here"}, "authentication", "refused user 'nobody-here'"),
        ({"login_host": "no-such-host.invalid"}, "unknown_host", "cannot be resolved"),
    ],
)
def test_a_refused_login_or_an_unknown_host_is_named(login, change, kind, said):
    with pytest.raises(ConnectError) as caught:
        connect({**login, **change})
    assert caught.value.kind == kind
    assert said in str(caught.value)
    assert login["login_password"] not in str(caught.value)


def test_a_closed_port_is_named(login):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(ConnectError, match=f"Nothing accepts connections at 127.0.0.1:{port}") as caught:
        connect({**login, "login_port": port})
    assert caught.value.kind == "refused"


def test_a_published_port_whose_server_is_not_up_yet_is_waited_for(login):
    """Docker's proxy takes a connection and closes it while nothing listens behind the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            # Each failed connection is followed by the questions whether the port speaks HTTP and TLS.
            for upstream in (False, False, False, False, False, False, True):
                taken, _ = listener.accept()
                if upstream:
                    behind = socket.create_connection((login["login_host"], login["login_port"]))
                    for source, target in ((taken, behind), (behind, taken)):
                        threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()
                else:
                    # An end, not a reset: what was sent is read first.
                    taken.recv(4096)
                    taken.close()

        server = threading.Thread(target=serve)
        server.start()
        with pytest.raises(ConnectError, match="closed it without a word") as caught:
            connect({**login, "login_port": port})
        assert caught.value.kind == "closed"
        client = wait_for_server({**login, "login_port": port}, 30)
        assert query(client, "SELECT 1 AS one") == [{"one": 1}]
        client.disconnect()
        server.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


def test_the_http_port_is_told_from_the_native_one(login, engine):
    with pytest.raises(ConnectError, match="speaks HTTP") as caught:
        connect({**login, "login_port": engine.http_port})
    assert caught.value.kind == "protocol"


def test_a_server_too_old_is_refused(login, monkeypatch):
    monkeypatch.setattr(client_module, "MINIMUM_VERSION", (99, 1))
    with pytest.raises(ConnectError, match=r"ClickHouse 99\.1 or newer is expected"):
        connect(login)


def test_a_server_says_what_it_is_and_what_it_holds(login, engine, database):
    client = connect(login)
    query(client, f"CREATE TABLE {database}.t (a UInt8) ENGINE = MergeTree ORDER BY a")
    query(client, f"CREATE TABLE {database}.empty (a UInt8) ENGINE = MergeTree ORDER BY a")
    query(client, f"INSERT INTO {database}.t SELECT number FROM numbers(3)")
    told = server.describe_server(client)
    assert told["version"] == engine.query("SELECT version()")[0][0]
    assert told["timezone"] == engine.query("SELECT timezone()")[0][0]
    assert datetime.fromisoformat(told["clock"]).year >= 2026
    content = server.list_content(client)
    held = {row["table"]: (row["engine"], row["rows"]) for row in content if row["database"] == database}
    assert held == {"t": ("MergeTree", 3), "empty": ("MergeTree", 0)}
    written = {row["table"]: row["newest_write"] for row in content if row["database"] == database}
    assert written["empty"] is None
    assert datetime.fromisoformat(written["t"]).year >= 2026
    assert not [row for row in content if row["database"] in server.SYSTEM_DATABASES]


@pytest.mark.parametrize(("kind", "calls"), [("refused", 3), ("lost", 3), ("authentication", 1), ("too_old", 1)])
def test_only_what_heals_by_waiting_is_waited_for(monkeypatch, kind, calls):
    """A server that gives its answer at the third try."""
    tried = []

    def connect_at_the_third_try(params):
        tried.append(params)
        if len(tried) < 3:
            raise ConnectError(kind, "not yet")
        return "a client"

    monkeypatch.setattr(server, "connect", connect_at_the_third_try)
    if calls == 1:
        with pytest.raises(ConnectError, match="not yet"):
            server.wait_for_server({}, 60)
    else:
        assert server.wait_for_server({}, 60) == "a client"
    assert len(tried) == calls
    tried.clear()
    with pytest.raises(ConnectError):
        server.wait_for_server({}, 0)


def test_a_refused_statement_has_code_and_clean_text(login):
    with pytest.raises(ServerError) as caught:
        query(connect(login), "SELECT * FROM no_such_table")
    assert caught.value.code == 60
    assert "no_such_table" in caught.value.message
    assert "Stack trace" not in caught.value.message
    assert "DB::Exception" not in caught.value.message


def test_columns_come_in_order_and_an_absent_table_has_none(login, database):
    client = connect(login)
    query(client, f"CREATE TABLE {database}.t (b UInt8, a String) ENGINE = Memory")
    assert table_columns(client, "t", database) == ["b", "a"]
    assert table_columns(client, "u", database) == []


@given(st.text(min_size=1).filter(lambda text: "\0" not in text and text.isprintable()))
def test_hostile_names_stay_names(engine, name):
    identifier, literal = quote_identifier(name), quote_string(name)
    rows = engine.query(f"SELECT {identifier}, {literal} FROM (SELECT 1 AS {identifier})")
    assert rows == [(1, name)]


def test_an_empty_or_nul_identifier_is_refused():
    for name in ("", "a\0b"):
        with pytest.raises(ValueError, match="not a usable identifier"):
            quote_identifier(name)


def test_each_statement_of_the_verifier_is_bounded(engine, login):
    connection = connect(login)
    # query_log leaves out what is the server's default anyway: as many threads as it has cores.
    names = ", ".join(f"toString(getSetting('{name}')) AS {name}" for name in BOUNDS)
    (settings,) = query(connection, f"SELECT {names}")
    assert settings == {name: str(value) for name, value in BOUNDS.items()}


def test_each_statement_of_the_verifier_is_marked(engine, login):
    connection = connect(login)
    marker = f"bounded_{secrets.token_hex(6)}"
    query(connection, f"SELECT 1 AS {marker}")
    engine.flush_logs()
    rows = engine.client().execute(
        "SELECT log_comment FROM system.query_log WHERE type = 'QueryFinish' AND query LIKE %(like)s",
        {"like": f"SELECT 1 AS {marker}%"},
    )
    assert rows == [(BOUNDS["log_comment"],)]


def test_a_user_who_may_set_nothing_connects_without_bounds(tmp_path):
    with start_engine(tmp_path, users={"looker": {"password": "x", "readonly": True}}) as engine:
        login = {
            "login_host": engine.host,
            "login_port": engine.tcp_port,
            "login_user": "looker",
            "login_password": "x",
        }
        assert query(connect(login), "SELECT getSetting('readonly') AS readonly") == [{"readonly": 1}]
