"""Play a loader against a real engine and judge the window: what the fault tests of the server's side share."""

from __future__ import annotations

import contextlib
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.client import connect, query, send_marker
from ansible.module_utils.ingest_verify.diagnosis.diagnose import diagnose
from ansible.module_utils.ingest_verify.diagnosis.request import Request
from ansible.module_utils.ingest_verify.diagnosis.result import Diagnosis
from ansible.module_utils.ingest_verify.facts.server import read_window
from ansible.module_utils.ingest_verify.findings import Finding, render_failure

from embedded.testing import Engine, start_engine
from tests.plays import free_port

PASSWORD = "loader's secret"
ALL = ["GRANT ALL ON *.*"]

# Users stand in XML, where each privilege, profile and network is fixed at the start.
USERS: dict[str, dict[str, Any]] = {
    "ingest": {"password": PASSWORD, "grants": ALL},
    "other": {"password": PASSWORD, "grants": ALL},
    "noinsert": {"password": PASSWORD, "grants": ["GRANT SELECT ON *.*"]},
    "narrow": {"password": PASSWORD, "grants": ["GRANT SELECT ON *.*", "GRANT INSERT ON t_*.*"]},
    "reader": {"password": PASSWORD, "grants": ["GRANT SELECT ON system.query_log", "GRANT SELECT ON system.one"]},
    "blind": {"password": PASSWORD, "grants": ["GRANT SELECT ON default.*"]},
    "ro": {"password": PASSWORD, "readonly": True},
    "nolog": {"password": PASSWORD, "profile_settings": {"log_queries": 0}},
    "sampled": {"password": PASSWORD, "profile_settings": {"log_queries_probability": 0.5}},
    "late": {"password": PASSWORD, "profile_settings": {"log_queries_min_type": "EXCEPTION_WHILE_PROCESSING"}},
    "slow": {"password": PASSWORD, "profile_settings": {"log_queries_min_query_duration_ms": 60000}},
    "cut": {"password": PASSWORD, "profile_settings": {"log_queries_cut_to_length": 60}},
    "mem": {"password": PASSWORD, "profile_settings": {"max_memory_usage": 1000000}},
    "memuser": {"password": PASSWORD, "profile_settings": {"max_memory_usage_for_user": 1000000}},
    "away": {"password": PASSWORD, "networks": ["10.9.9.9"]},
}

# A disk that never has enough room, and a user with a quota of a few queries.
CONFIG_XML = """<clickhouse>
    <storage_configuration>
        <disks><full><path>{folder}/full/</path><keep_free_space_bytes>4611686018427387904</keep_free_space_bytes></full></disks>
        <policies><full><volumes><main><disk>full</disk></main></volumes></full></policies>
    </storage_configuration>
</clickhouse>"""
USERS_XML = """<clickhouse>
    <quotas><few><interval><duration>3600</duration><errors>0</errors><queries>0</queries><written_bytes>100</written_bytes></interval></few></quotas>
    <users>
        <frugal><password>{password}</password><networks><ip>::/0</ip></networks><profile>default</profile><quota>few</quota></frugal>
    </users>
</clickhouse>"""


@contextlib.contextmanager
def cluster(folder: Path, hosts: Sequence[str]) -> Iterator[list[Engine]]:
    """Engines on these loopback addresses with one port, which know one another as the shards of cluster `trio`."""
    port = free_port()
    shards = "".join(
        f"<shard><replica><host>{host}</host><port>{port}</port><user>admin</user><password>pw</password></replica></shard>"
        for host in hosts
    )
    config = f"""<clickhouse>
        <remote_servers><trio>{shards}</trio></remote_servers>
        <query_log><flush_interval_milliseconds>500</flush_interval_milliseconds></query_log>
    </clickhouse>"""
    users = {"admin": {"password": "pw"}, "ingest": {"password": PASSWORD}}
    with contextlib.ExitStack() as engines:
        yield [
            engines.enter_context(start_engine(folder / host, users=users, host=host, tcp_port=port, config_xml=config))
            for host in hosts
        ]


class RefusedError(Exception):
    """The server's answer with a status other than 200; the text is what a client gets to see."""


class Stage:
    """One test's loader: a fresh database, a window that begins now, statements over HTTP with a user agent."""

    def __init__(self, engine: Engine, database: str) -> None:
        self.engine = engine
        self.database = database
        self.agent = "foreign-loader/1.0"
        self.before = self.read_window()
        self.since = self.before["at"]

    def login(self) -> dict[str, Any]:
        return {
            "login_host": self.engine.host,
            "login_port": self.engine.tcp_port,
            "login_user": self.engine.user,
            "login_password": self.engine.password,
        }

    def read_window(self) -> dict[str, Any]:
        client = connect(self.login())
        try:
            return read_window(partial(query, client))
        finally:
            client.disconnect()

    def admin(self, sql: str) -> Any:
        """A statement of the surroundings, by admin over the native protocol under this project's own client name."""
        return self.engine.query(sql)

    def send(
        self, sql: str, *, user: str = "ingest", password: str = PASSWORD, agent: str | None = None, **settings: Any
    ) -> str:
        """A loader's statement; raises RefusedError with the server's text."""
        parameters = {"user": user, "password": password, "database": self.database, **settings}
        request = urllib.request.Request(
            f"{self.engine.http_url}/?{urllib.parse.urlencode(parameters)}",
            data=sql.encode(),
            headers={"User-Agent": agent or self.agent},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            raise RefusedError(error.read().decode()) from None

    def refused(self, sql: str, **kwargs: Any) -> str:
        """A statement that must be refused; returns the server's text."""
        try:
            self.send(sql, **kwargs)
        except RefusedError as error:
            return str(error)
        raise AssertionError(f"the server accepted {sql}")

    def judge(self, *, client_log: str | None = None, path: Path | None = None, **asked: Any) -> Diagnosis:
        """Diagnose the window up to now; `client_log` is the text of the loader's log, written to `path`."""
        if client_log is not None:
            assert path is not None
            path.write_text(client_log)
        reader = asked.pop("reader", None)
        client = connect(reader or self.login())
        try:
            given = {
                "since": self.since,
                "database": self.database,
                "users": ["ingest"],
                "window_before": self.before,
                "flush_wait_seconds": 15,
                "client_log": str(path) if client_log is not None else None,
                **asked,
            }
            return diagnose(partial(query, client), partial(send_marker, client), Request(**given))
        finally:
            client.disconnect()


def errors(diagnosis: Diagnosis) -> list[Finding]:
    """The error findings, and that the verdict follows from them."""
    found = [finding for finding in diagnosis.findings if finding.severity == "error"]
    assert (diagnosis.verdict == "FAIL") == bool(found)
    return found


def headline(diagnosis: Diagnosis) -> Finding:
    """The one cause; fails when there is none or more than one."""
    found = errors(diagnosis)
    assert len(found) == 1, render_failure(found) or [finding.to_dict() for finding in diagnosis.findings]
    return found[0]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One engine with users of every restriction that the catalogue names."""
    folder = tmp_path_factory.mktemp("server")
    with start_engine(
        folder,
        users=USERS,
        config_xml=CONFIG_XML.format(folder=folder),
        users_xml=USERS_XML.format(password=PASSWORD),
    ) as running:
        yield running


@pytest.fixture
def stage(server: Engine, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A fresh database named after the test, and a loader that is about to start."""
    name = "t_" + "".join(letter if letter.isalnum() else "_" for letter in request.node.name)[:60]
    server.query(f"CREATE DATABASE {name}")
    yield Stage(server, name)
    server.query(f"DROP DATABASE IF EXISTS {name} SYNC")
