"""The launcher and the real engine: life cycle, what survives, who gets in, what is refused."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import Error, ServerException

from embedded import process
from embedded.config import Layout, Options
from embedded.errors import EmbeddedError
from embedded.launcher import Launcher
from embedded.testing import Engine, start_engine

ROOT = Path(__file__).parents[2]
PASSWORD = "not on any command line"
Command = Callable[..., dict[str, Any]]


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    """Runs ``python -m embedded`` on a folder of its own; whatever runs there at the end is stopped."""
    folder = tmp_path / "engine"

    def run(name: str, *arguments: str, directory: Path = folder, **environment: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "embedded", name, "--dir", str(directory), *arguments],
            cwd=ROOT,
            env=os.environ | {"EMBEDDED_PASSWORD_ADMIN": PASSWORD} | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout.count("\n") == 1, done
        result: dict[str, Any] = json.loads(done.stdout)
        assert ("error" in result) == (done.returncode != 0), done
        return result

    yield run
    run("stop")


def http(engine: Engine | dict[str, Any], sql: str, **parameters: str) -> tuple[int, str]:
    host, port = (engine["host"], engine["http_port"]) if isinstance(engine, dict) else (engine.host, engine.http_port)
    request = urllib.request.Request(f"http://{host}:{port}/?{urlencode(parameters)}", data=sql.encode())
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def code_of(engine: Engine, user: str, password: str, sql: str) -> int:
    with pytest.raises(ServerException) as refused:
        engine.client(user, password).execute(sql)
    return int(refused.value.code)


def test_life_cycle_on_the_command_line(command: Command) -> None:
    assert command("status")["state"] == "stopped"
    assert command("stop") | {"killed": None} == command("status") | {"killed": None}
    started = command("start", "--user", "admin", "--timezone", "Asia/Tokyo")
    assert started["state"] == "running"
    assert (started["changed"], started["fresh"], started["healthy"]) == (True, True, True)
    assert http(started, "SELECT 1, timezone()", user="admin", password=PASSWORD) == (200, "1\tAsia/Tokyo\n")
    again = command("start", "--user", "admin")
    assert (again["changed"], again["pid"], again["warnings"]) == (False, started["pid"], [])
    other = command("start", "--timezone", "UTC")
    assert other["pid"] == started["pid"]
    assert other["config_changed_since_start"]
    assert "timezone" in other["warnings"][0]
    restarted = command("restart")
    assert restarted["http_port"] == started["http_port"]
    assert restarted["pid"] != started["pid"]
    assert not restarted["fresh"]
    assert http(restarted, "SELECT timezone()", user="admin", password=PASSWORD) == (200, "Asia/Tokyo\n")
    stopped = command("stop")
    assert (stopped["state"], stopped["changed"], stopped["killed"]) == ("stopped", True, False)
    assert not command("stop")["changed"]


def test_passwords_are_neither_in_files_nor_in_the_process(command: Command, tmp_path: Path) -> None:
    started = command("start", "--user", "admin")
    environment = Path(f"/proc/{started['pid']}/environ").read_text()
    assert PASSWORD not in environment
    assert PASSWORD not in Path(f"/proc/{started['pid']}/cmdline").read_text()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]


def test_the_daemon_is_detached(command: Command) -> None:
    started = command("start", "--user", "admin")
    pid = started["pid"]
    assert os.getsid(pid) != os.getsid(0)
    descriptors = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.name in {"0", "1", "2"}]
    assert sorted(descriptors) == sorted([os.devnull, *[str(Path(started["log_file"]).with_name("engine.out"))] * 2])


def test_only_known_users_get_in(engine: Engine) -> None:
    assert http(engine, "SELECT 1", user=engine.user, password=engine.password) == (200, "1\n")
    status, text = http(engine, "SELECT 1")
    # Engines before 26.9 know no default_session_user and take no credentials for `default`, which is full.
    assert status != 200
    assert "AUTHENTICATION_FAILED" in text or "USER_SESSION_LIMIT_EXCEEDED" in text
    assert http(engine, "SELECT 1", user=engine.user, password="wrong")[0] == 403
    assert http(engine, "SELECT 1", user="default")[0] != 200
    with pytest.raises(Error):
        Client(engine.host, port=engine.tcp_port).execute("SELECT 1")


def test_users_have_what_their_declaration_says(tmp_path: Path) -> None:
    users: dict[str, dict[str, Any]] = {
        "reader": {"password": "r", "grants": ["GRANT SELECT ON seats.*"], "profile_settings": {"max_threads": 3}},
        "read_only": {"password": "o", "readonly": True},
        "elsewhere": {"password": "e", "networks": ["10.255.255.1"]},
    }
    with start_engine(tmp_path, users=users) as engine:
        engine.query("CREATE DATABASE seats")
        engine.query("CREATE TABLE seats.free (n UInt32) ENGINE = MergeTree ORDER BY n")
        reader = engine.client("reader", "r")
        assert reader.execute("SELECT count(), getSetting('max_threads') FROM seats.free") == [(0, 3)]
        assert code_of(engine, "reader", "r", "INSERT INTO seats.free VALUES (1)") == 497
        assert code_of(engine, "read_only", "o", "CREATE DATABASE x") == 164
        assert code_of(engine, "elsewhere", "e", "SELECT 1") == 516


def test_settings_of_the_local_engine_do_not_show(engine: Engine) -> None:
    """What clickhouse-local switches on would let statements pass that a server refuses."""
    assert code_of(engine, engine.user, engine.password, "1") == 62
    assert http(engine, "SELECT 1, 'a'", user=engine.user, password=engine.password) == (200, "1\ta\n")


def test_the_launcher_leaves_no_trace_in_the_logs(tmp_path: Path) -> None:
    with start_engine(tmp_path) as engine:
        engine.launcher.status()
        engine.query("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
        for _ in range(20):  # as many parts to merge
            engine.query("INSERT INTO t VALUES (1)")
            engine.flush_logs()
        assert engine.query("SELECT query FROM system.query_log WHERE user != 'admin'") == []
        warnings = engine.query("SELECT message FROM system.text_log WHERE level <= 'Warning'")
        assert [text for (text,) in warnings if "Delay accounting" not in text] == []


def test_log_tables_tell_what_happened(engine: Engine, database: str) -> None:
    engine.query(f"CREATE TABLE {database}.t (a Int32) ENGINE = MergeTree ORDER BY a")
    engine.query(f"CREATE TABLE {database}.seen (a Int64) ENGINE = MergeTree ORDER BY a")
    engine.query(f"CREATE MATERIALIZED VIEW {database}.push TO {database}.seen AS SELECT a FROM {database}.t")
    engine.query(f"INSERT INTO {database}.t SELECT number FROM numbers(5)")
    assert code_of(engine, engine.user, engine.password, f"SELECT missing FROM {database}.t") == 47
    assert http(engine, "SELECT 1", user=engine.user, password=f"wrong for {database}")[0] == 403
    engine.flush_logs()
    failed = "SELECT query_id FROM system.query_log WHERE exception_code = 47 AND query LIKE %(sql)s"
    ((query_id,),) = engine.query(failed, params={"sql": f"SELECT missing FROM {database}.t%"})
    errors = "SELECT count() FROM system.text_log WHERE level = 'Error' AND query_id = %(id)s"
    assert engine.query(errors, params={"id": query_id})[0][0] >= 1
    views = "SELECT written_rows FROM system.query_views_log WHERE view_name = %(view)s"
    assert engine.query(views, params={"view": f"{database}.push"}) == [(5,)]
    parts = "SELECT sum(rows) FROM system.part_log WHERE database = %(db)s AND event_type = 'NewPart'"
    assert engine.query(parts, params={"db": database}) == [(10,)]
    assert engine.query("SELECT count() > 0 FROM system.session_log WHERE type = 'LoginFailure'") == [(1,)]
    assert engine.query("SELECT count() FROM system.tables WHERE name = 'asynchronous_insert_log'") == [(1,)]
    ((ddl,),) = engine.query("SELECT create_table_query FROM system.tables WHERE name = 'query_log'")
    assert " TTL " not in ddl


@pytest.mark.parametrize("way", ["restart", "kill"])
def test_data_and_logs_survive(tmp_path: Path, way: str) -> None:
    with start_engine(tmp_path) as engine:
        engine.query("CREATE DATABASE kept")
        engine.query("CREATE TABLE kept.t (a Int32) ENGINE = MergeTree ORDER BY a")
        engine.query("INSERT INTO kept.t VALUES (42)")
        assert code_of(engine, engine.user, engine.password, "SELECT marker_before") == 47
        if way == "kill":
            engine.flush_logs()
            engine.kill()
            assert engine.launcher.status()["state"] == "stopped"
            engine.start()
        else:
            # No flush here: a clean stop writes what is still in memory.
            engine.restart()
        assert engine.query("SELECT a FROM kept.t") == [(42,)]
        marker = "SELECT count() FROM system.query_log WHERE query = 'SELECT marker_before' AND exception_code = 47"
        assert engine.query(marker) == [(1,)]
        assert engine.query("SELECT count() > 0 FROM system.text_log WHERE level = 'Error'") == [(1,)]


def test_a_reused_pid_is_not_taken_for_the_engine(tmp_path: Path) -> None:
    with (
        start_engine(tmp_path) as engine,
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander,
    ):
        engine.stop()
        state = {"pid": bystander.pid, "start_ticks": 1, "boot_id": process.boot_id()}
        engine.launcher.layout.state.write_text(json.dumps(state))
        assert not engine.launcher.stop()["changed"]
        bystander.communicate(b"\n", timeout=20)
        assert bystander.returncode == 0


def test_stop_is_clean_under_load_and_ends_running_queries(tmp_path: Path) -> None:
    with start_engine(tmp_path) as engine:
        outcome: list[object] = []
        long_sql = (
            "SELECT sleepEachRow(1) FROM numbers(100) "
            "SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0"
        )

        def long_query() -> None:
            with pytest.raises((Error, EOFError)) as ended:
                engine.client().execute(long_sql)
            outcome.append(ended.value)

        thread = threading.Thread(target=long_query)
        thread.start()
        wait_until(
            lambda: (
                engine.query("SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleepEachRow%'") == [(1,)]
            )
        )
        report = engine.launcher.stop(wait=20)
        thread.join(timeout=20)
        assert (report["changed"], report["killed"]) == (True, False)
        assert len(outcome) == 1


def test_a_start_after_a_stop_that_was_killed_waits_for_the_end_and_starts_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(pid: int, *_: object) -> bool:
        os.kill(pid, signal.SIGTERM)
        raise KeyboardInterrupt

    with start_engine(tmp_path) as engine:
        with monkeypatch.context() as patched:
            patched.setattr("embedded.launcher._end", cut_off)
            with pytest.raises(KeyboardInterrupt):
                engine.stop()
        before = engine.launcher.status()["pid"]
        engine.start()
        assert engine.query("SELECT 1") == [(1,)]
        assert engine.launcher.status()["pid"] != before


def test_killing_every_query_does_not_end_the_engine(tmp_path: Path) -> None:
    with start_engine(tmp_path) as engine:
        engine.query("KILL QUERY WHERE query_id != '' ASYNC")
        assert engine.query("SELECT 1") == [(1,)]
        assert engine.launcher.stop()["killed"] is False


def test_an_engine_that_hangs_is_killed_and_said_so(tmp_path: Path) -> None:
    with start_engine(tmp_path) as engine:
        os.kill(engine.launcher.status()["pid"], signal.SIGSTOP)
        report = engine.launcher.stop(wait=0.2)
        assert (report["state"], report["killed"]) == ("stopped", True)


def test_drop_ins_take_effect_at_a_restart_which_is_asked_for(tmp_path: Path) -> None:
    drop_in = "<clickhouse><profiles><default><max_threads>5</max_threads></default></profiles></clickhouse>"
    hostile = "<clickhouse><users><default remove='remove'/></users></clickhouse>"
    with start_engine(tmp_path) as engine:
        assert not engine.launcher.status()["config_changed_since_start"]
        (tmp_path / "users.d" / "threads.xml").write_text(drop_in)
        (tmp_path / "users.d" / "zz.xml").write_text(hostile)
        status = engine.launcher.status()
        assert status["config_changed_since_start"]
        assert "zz.xml" in status["warnings"][0]
        engine.restart()
        assert engine.query("SELECT getSetting('max_threads')") == [(5,)]
        assert not engine.launcher.status()["config_changed_since_start"]


def test_a_broken_drop_in_is_refused_while_the_engine_runs_on(tmp_path: Path) -> None:
    with start_engine(tmp_path) as engine:
        (tmp_path / "users.d" / "broken.xml").write_text("<clickhouse><users>")
        with pytest.raises(EmbeddedError, match=r"broken\.xml was expected to be well-formed XML") as refused:
            engine.launcher.restart(Options.load(engine.launcher.layout.options))
        assert refused.value.kind == "bad_config"
        assert engine.query("SELECT 1") == [(1,)]


def test_what_the_engine_refuses_at_its_start_is_quoted(command: Command, tmp_path: Path) -> None:
    (tmp_path / "engine" / "users.d").mkdir(parents=True)
    (tmp_path / "engine" / "users.d" / "x.xml").write_text(
        "<clickhouse><users><admin><profile>nowhere</profile></admin></users></clickhouse>"
    )
    refused = command("start", "--user", "admin")
    assert refused["kind"] == "start_failed"
    assert "Profile nowhere was not found" in refused["error"]
    assert command("status")["state"] == "stopped"


def test_taken_port_names_its_holder(command: Command, tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        refused = command("start", "--user", "admin", "--http-port", port)
    assert refused["kind"] == "port_taken"
    assert f"Port {port} on 127.0.0.1" in refused["error"]
    assert f"pid {os.getpid()} (" in refused["error"]
    assert "--http-port" in refused["error"]
    started = command("start", "--user", "admin", "--http-port", port)
    assert started["http_port"] == int(port)


def test_port_taken_behind_the_check_is_found_out_from_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_free = process.port_is_free
    checks = iter([True, True])
    monkeypatch.setattr(process, "port_is_free", lambda *at: next(checks, None) or really_free(*at))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with (
            pytest.raises(EmbeddedError) as refused,
            start_engine(tmp_path, http_port=listener.getsockname()[1], tcp_port=free_port()),
        ):
            pass
    assert refused.value.kind == "port_taken"


def test_missing_and_old_engines_come_with_the_command_that_helps(command: Command, tmp_path: Path) -> None:
    missing = command("start", "--user", "admin", "--engine-path", str(tmp_path / "nothing"))
    assert missing["kind"] == "engine_missing"
    assert "pip install 'chdb-core>=26.7'" in missing["error"]
    metadata = tmp_path / "old" / "chdb_core-26.5.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: chdb-core\nVersion: 26.5.0\n")
    old = command("start", "--user", "admin", "--engine-path", str(tmp_path / "old"))
    assert old["kind"] == "engine_too_old"
    assert "26.5.0" in old["error"]


def test_data_of_a_newer_engine_are_left_alone(command: Command, tmp_path: Path) -> None:
    data = tmp_path / "engine" / "data"
    data.mkdir(parents=True)
    (data / "engine_version").write_text("99.1.2.3\n")
    refused = command("start", "--user", "admin")
    assert refused["kind"] == "newer_data"
    assert "99.1" in refused["error"]
    assert [path.name for path in data.iterdir()] == ["engine_version"]


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        (["--user", "nobody"], "password_missing", "EMBEDDED_PASSWORD_NOBODY"),
        (["--user", "admin", "--passwords-stdin"], "bad_argument", "a JSON object"),
        (["--user", "admin", "--timezone", "Mars/Base"], "bad_argument", "Mars/Base"),
        (["--user", "admin", "--extra-config", "/no/such.xml"], "bad_argument", "/no/such.xml"),
    ],
)
def test_bad_arguments_start_nothing(command: Command, arguments: list[str], kind: str, said: str) -> None:
    refused = command("start", *arguments)
    assert refused["kind"] == kind
    assert said in refused["error"]
    assert command("status")["state"] == "stopped"


def test_folder_that_cannot_be(command: Command) -> None:
    refused = command("start", "--user", "admin", directory=Path("/proc/engine"))
    assert refused["kind"] == "not_writable"
    assert "/proc/engine" in refused["error"]


def test_log_tables_can_be_left_out_and_taken_back(command: Command) -> None:
    present = (
        "SELECT groupArray(name) FROM system.tables WHERE database = 'system' AND name IN ('query_log', 'text_log')"
    )
    login = {"user": "admin", "password": PASSWORD}
    started = command("start", "--user", "admin", "--no-query-log", "--no-text-log")
    http(started, "SYSTEM FLUSH LOGS", **login)
    assert http(started, present, **login) == (200, "[]\n")
    restarted = command("restart", "--query-log")
    http(restarted, "SYSTEM FLUSH LOGS", **login)
    assert http(restarted, present, **login) == (200, "['query_log']\n")


def test_extra_config_becomes_a_drop_in(command: Command, tmp_path: Path) -> None:
    extra = tmp_path / "names.xml"
    extra.write_text("<clickhouse><display_name>named</display_name></clickhouse>")
    started = command("start", "--user", "admin", "--extra-config", str(extra))
    assert http(started, "SELECT displayName()", user="admin", password=PASSWORD) == (200, "named\n")


def test_run_stays_in_the_foreground_and_leaves_at_sigterm(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "embedded", "run", "--dir", str(tmp_path), "--user", "admin"]
    environment = os.environ | {"EMBEDDED_PASSWORD_ADMIN": PASSWORD}
    with subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as running:
        try:
            engine = Launcher(Layout.of(tmp_path))
            wait_until(lambda: engine.status()["healthy"])
            assert engine.status()["pid"] == running.pid
            running.terminate()
            assert running.wait(timeout=20) == 0
        finally:
            running.kill()


def test_two_engines_answer_as_a_cluster(tmp_path: Path) -> None:
    port = free_port()
    replicas = "".join(
        f"<replica><host>127.0.0.{n}</host><port>{port}</port><user>admin</user><password>c</password></replica>"
        for n in (1, 2)
    )
    config = f"<clickhouse><remote_servers><two><shard>{replicas}</shard></two></remote_servers></clickhouse>"
    common: dict[str, Any] = {"config_xml": config, "tcp_port": port, "users": {"admin": {"password": "c"}}}
    everywhere = "SELECT count() FROM clusterAllReplicas(two, system.one)"
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(start_engine(tmp_path / "1", **common))
        second = stack.enter_context(start_engine(tmp_path / "2", host="127.0.0.2", **common))
        assert first.query(everywhere) == second.query(everywhere) == [(2,)]
        second.kill()
        assert code_of(first, "admin", "c", everywhere) == 279
        assert first.query(f"{everywhere} SETTINGS skip_unavailable_shards = 1") == [(1,)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Poll ``condition`` until it holds."""
    stop = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        stop.wait(0.05)
    raise AssertionError(f"not within {seconds} s")
