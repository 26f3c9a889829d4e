"""What the fault tests of the client's side share: one simulated API, and loaders that run against it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible.module_utils.ingest_verify.script import run_script

from embedded.testing import Engine
from simulator.testing import Running, start_simulator
from tests.client_runs import ROOT, Loaders
from tests.conftest import INGEST_PASSWORD, INGEST_USER
from tests.stages import server, stage  # noqa: F401 - fixtures of the server's side


@pytest.fixture(scope="session")
def shared_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with start_simulator(tmp_path_factory.mktemp("simulator"), events=4, orders=60, seed=7) as running:
        yield running


@pytest.fixture
def simulator(shared_simulator: Running) -> Iterator[Running]:
    """The simulated API, healthy at the start of each test."""
    shared_simulator.faults([])
    yield shared_simulator
    shared_simulator.faults([])


@pytest.fixture
def loaders(simulator: Running, engine: Engine, database: str, tmp_path: Path) -> Loaders:
    """Loaders with the settings of a healthy run, over a database with the schema."""
    login = {
        "login_host": engine.host, "login_port": engine.tcp_port, "login_user": engine.user,
        "login_password": engine.password, "login_db": database,
    }  # fmt: skip
    schema = ROOT / "sql" / "bootstrap_schema.sql"
    outcome = run_script(login, schema.read_bytes(), schema.name)
    assert not outcome.failed, outcome.findings
    return Loaders(
        tmp_path,
        {
            "QTICKETS_BASE_URL": simulator.url, "QTICKETS_TOKEN": simulator.token, "ORG_NAME": "verification",
            "QTICKETS_SINCE_HOURS": "24", "QTICKETS_ATTEMPTS": "2", "QTICKETS_RETRY_WAIT": "0.01",
            "CLICKHOUSE_HOST": engine.host, "CLICKHOUSE_PORT": str(engine.http_port), "CLICKHOUSE_DB": database,
            "CLICKHOUSE_USER": INGEST_USER, "CLICKHOUSE_PASSWORD": INGEST_PASSWORD, "CLICKHOUSE_ATTEMPTS": "1",
            "DRY_RUN": "false", "REPORT_TZ": "Europe/Moscow",
        },
        engine.tcp_port,
    )  # fmt: skip
