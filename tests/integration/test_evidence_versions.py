"""Every statement that diagnosis sends to a system table runs on the oldest and the newest engine that can be had.

24.8 (chdb 2.1.1) does not serve ports: it runs here in a process of its own, statement by statement. Both extra engines
come from the package index once and are kept in a cache folder.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.client import ServerError, connect, query, quote_string, send_marker
from ansible.module_utils.ingest_verify.diagnosis.diagnose import diagnose
from ansible.module_utils.ingest_verify.diagnosis.request import Request
from ansible.module_utils.ingest_verify.facts.server import LOG_COLUMNS, Evidence, read_window

from embedded.testing import Engine, start_engine
from tests.stages import PASSWORD, Stage, cluster, headline

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ingest-verify-engines"
OLDEST = "chdb==2.1.1"
OLDER = "chdb-core==26.7.3"

# What the process that holds the old engine does with each line: SQL in, one JSON document out.
WORKER = """
import importlib, importlib.machinery, json, sys, types
spec = importlib.machinery.PathFinder.find_spec("chdb", [sys.argv[1]])
package = types.ModuleType("chdb")
package.__path__ = list(spec.submodule_search_locations)
sys.modules["chdb"] = package
engine = importlib.import_module("chdb._chdb")
for line in sys.stdin:
    script = json.loads(line)
    result = engine.query(script, "JSON", path=sys.argv[2])
    error = result.error_message() if result.has_error() else None
    text = "" if error else bytes(result.get_memview().tobytes()).decode()
    print(json.dumps({"error": error, "text": text}), flush=True)
"""

# A user that may see users and parts, as the reader of a server may.
CONFIG = "<clickhouse><users_config>users.xml</users_config></clickhouse>"
USERS = """<clickhouse>
    <profiles><default/></profiles>
    <quotas><default/></quotas>
    <users><default>
        <password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
        <access_management>1</access_management>
    </default></users>
</clickhouse>"""


def install(requirement: str) -> Path:
    """The folder with this engine, from the cache or from the package index."""
    folder = CACHE / requirement.replace("==", "-")
    if not (folder / "complete").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), requirement]
        subprocess.run(command, check=True, timeout=300)
        (folder / "complete").touch()
    return folder


class OldestEngine:
    """ClickHouse 24.8 in a process of its own; `query` takes one statement and gives its rows."""

    def __init__(self, worker: subprocess.Popen[str]) -> None:
        self.worker = worker
        self.sent: list[str] = []

    def query(self, sql: str) -> list[dict[str, Any]]:
        self.sent.append(sql)
        assert self.worker.stdin is not None
        assert self.worker.stdout is not None
        script = f"SET output_format_json_quote_64bit_integers = 0; {sql}"
        self.worker.stdin.write(json.dumps(script) + "\n")
        self.worker.stdin.flush()
        line = self.worker.stdout.readline()
        while line and not line.startswith('{"error"'):
            line = self.worker.stdout.readline()
        answer = json.loads(line)
        if answer["error"]:
            code = answer["error"].partition("Code: ")[2].partition(".")[0]
            raise ServerError(int(code), answer["error"], sql)
        return list(json.loads(answer["text"])["data"]) if answer["text"].strip() else []


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OldestEngine]:
    folder = tmp_path_factory.mktemp("oldest")
    (folder / "config.xml").write_text(CONFIG)
    (folder / "users.xml").write_text(USERS)
    command = [sys.executable, "-c", WORKER, str(install(OLDEST)), str(folder / "data")]
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as worker:
        yield OldestEngine(worker)
        assert worker.stdin is not None
        worker.stdin.close()
        worker.wait(timeout=30)


# Columns of the log tables in 24.8, as its documentation and source list them; missing_privileges came later.
NEWER_THAN_24_8 = {"query_log": {"missing_privileges"}}
TYPES_24_8 = {
    "type": "Enum8('QueryStart' = 1, 'QueryFinish' = 2, 'ExceptionBeforeStart' = 3, 'ExceptionWhileProcessing' = 4)",
    "Settings": "Map(LowCardinality(String), String)",
    "address": "IPv6",
    "client_address": "IPv6",
    "tables": "Array(LowCardinality(String))",
    "views": "Array(LowCardinality(String))",
    "exception_code": "Int32",
    "error": "UInt16",
    "is_initial_query": "UInt8",
    "level": "Enum8('Fatal' = 1, 'Critical' = 2, 'Error' = 3, 'Warning' = 4, 'Notice' = 5, 'Information' = 6)",
}


def test_every_statement_runs_on_24_8(oldest: OldestEngine) -> None:
    assert oldest.query("SELECT version() AS v")[0]["v"].startswith("24.8.")
    evidence = AllTables(oldest.query)
    walk(evidence)
    assert len(oldest.sent) > 30
    assert not evidence.missing


class AllTables(Evidence):
    """Evidence over log tables that 24.8 in process cannot fill: each with the columns that version has."""

    def tables(self, name: str) -> dict[str, set[str]]:
        return {name: set(LOG_COLUMNS[name]) - NEWER_THAN_24_8.get(name, set())}

    def _origin(self, table: str) -> str:
        if table not in LOG_COLUMNS:
            return super()._origin(table)
        columns = set(LOG_COLUMNS[table]) - NEWER_THAN_24_8.get(table, set())
        structure = [
            "event_date Date",
            "event_time DateTime",
            *(f"{column} {column_type(table, column)}" for column in sorted(columns)),
        ]
        return f"null({quote_string(', '.join(structure))})"


def column_type(table: str, column: str) -> str:
    if table == "session_log" and column == "type":
        return "Enum8('LoginFailure' = 0, 'LoginSuccess' = 1, 'Logout' = 2)"
    if table == "asynchronous_insert_log" and column == "status":
        return "Enum8('Ok' = 0, 'ParsingError' = 1, 'FlushError' = 2)"
    if column in TYPES_24_8:
        return TYPES_24_8[column]
    if column.endswith("_microseconds"):
        return "DateTime64(6)"
    return "UInt64" if LOG_COLUMNS[table][column] == "0" or column == "normalized_query_hash" else "String"


def walk(evidence: Evidence) -> None:
    """Call everything that sends a statement."""
    window = evidence.window(None, None, 5)
    filters = {"user": ["it's"], "http_user_agent": ["a"], "client_name": ["b"], "address": ["127.0.0.1"]}
    marks = ["run's id"]
    evidence.hosts()
    evidence.flush()
    evidence.user_settings("default")
    evidence.users()
    evidence.user_storage("default")
    for inside in (True, False):
        evidence.statements(window, filters, marks, only_started_inside=inside)
    evidence.unfinished(window, filters, marks)
    evidence.noise(window, filters, marks)
    evidence.earlier_failures(window, filters)
    evidence.active_before(window, filters)
    evidence.run_settings(window, ["u"])
    evidence.view_failures(window, ["i"])
    evidence.async_failures(window)
    evidence.owners(window, ["i"], marks)
    evidence.text_errors(window)
    evidence.text_of(window, ["i"])
    evidence.login_failures(window, ["u"])
    evidence.part_failures(window, ["d.t"])
    evidence.failing_mutations(["d.t"])
    evidence.extract(window, ["i"], 10)
    evidence.error_counters()
    assert evidence.code_names([60, 497]) == {60: "UNKNOWN_TABLE", 497: "ACCESS_DENIED"}
    evidence.databases()
    evidence.all_tables()
    evidence.columns("system", "one")
    evidence.table_facts("system", "one")
    evidence.views_naming("t")
    evidence.active_parts("d", "t")
    evidence.disks()


@pytest.fixture(scope="module", params=[OLDER, "installed"])
def serving(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = install(request.param) if request.param != "installed" else None
    folder = tmp_path_factory.mktemp("serving")
    with start_engine(folder, users={"ingest": {"password": PASSWORD}}, engine_path=path) as engine:
        yield engine


def test_every_statement_runs_on_a_serving_engine(serving: Engine) -> None:
    login = {"login_host": serving.host, "login_port": serving.tcp_port, "login_user": serving.user}
    client = connect({**login, "login_password": serving.password})
    evidence = Evidence(partial(query, client))
    assert evidence.prove(partial(send_marker, client), 15) is None
    walk(evidence)
    assert not evidence.missing
    assert read_window(partial(query, client), "marker")["timezone"] == "UTC"
    client.disconnect()


def test_a_refusal_is_classified_alike_on_each_serving_engine(serving: Engine) -> None:
    serving.query("CREATE TABLE IF NOT EXISTS orders (order_id String) ENGINE = MergeTree ORDER BY order_id")
    stage = Stage(serving, "default")
    stage.refused("INSERT INTO orders (order_di) VALUES ('a')")
    found = headline(stage.judge(ingest={"exit_code": 1}, targets=["orders"]))
    assert (found.cause, found.object) == ("server_missing_column", "default.orders.order_di")
    assert "nearest existing name is order_id" in found.actual


def test_a_cluster_is_read_on_every_host_and_one_that_is_stopped_or_hangs_is_named(tmp_path: Path) -> None:
    hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    with cluster(tmp_path, hosts) as engines:
        first, second, third = engines
        stage = Stage(first, "default")
        stage.refused("SELECT one_missing FROM system.one")
        Stage(second, "default").refused("SELECT two_missing FROM system.one")
        # Nobody flushes the logs of the others: the marker waits for each host.
        said = stage.judge(cluster="trio")
        assert {finding.evidence["code_name"] for finding in said.findings if finding.severity == "error"} == {
            "UNKNOWN_IDENTIFIER"
        }
        assert said.counts["failed"] == 2
        assert said.proven, said.reasons
        pid = second.launcher.status()["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            client = connect(stage.login())
            evidence = Evidence(partial(query, client), "trio")
            hanging = evidence.check_cluster()
            window = evidence.window(stage.since, None, 5)
            groups, _ = evidence.statements(window, {"user": ["ingest"]}, [], only_started_inside=False)
            client.disconnect()
            whole = stage.judge(cluster="trio")
        finally:
            os.kill(pid, signal.SIGCONT)
        # Without limits of its own each statement waits 30 s or more for it.
        assert f"2 of 3 hosts of cluster 'trio' answer. No answer from {second.host}:{second.tcp_port}" in str(hanging)
        assert [group.code for group in groups if group.code] == [47]
        # A whole diagnosis beside it keeps what the others tell, and is not proven.
        assert (whole.proven, headline(whole).object) == (False, "system.one.one_missing")
        third.stop()
        gap = stage.judge(cluster="trio")
        assert f"2 of 3 hosts of cluster 'trio' answer. No answer from {third.host}:{third.tcp_port}" in gap.reasons[0]
        assert "evidence_host_missing" in {finding.cause for finding in gap.findings}
        assert (gap.proven, gap.counts["failed"]) == (False, 2)
        third.start()


def test_an_unknown_cluster_names_the_known_ones(serving: Engine) -> None:
    login = {"login_host": serving.host, "login_port": serving.tcp_port, "login_user": serving.user}
    client = connect({**login, "login_password": serving.password})
    with pytest.raises(Exception, match="knows no cluster 'nowhere'"):
        diagnose(partial(query, client), partial(send_marker, client), Request(cluster="nowhere"))
    client.disconnect()
