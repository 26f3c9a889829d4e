"""What the tests of the data checks share: a database that the real loader filled, and the role's own checks."""

from __future__ import annotations

import contextlib
import json
import runpy
import secrets
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.module_utils.ingest_verify.checks import Outcome, read_request, run_checks
from ansible.module_utils.ingest_verify.findings import Finding
from ansible.module_utils.testing import patch_module_args
from qtickets_api.__main__ import main as loader

from embedded.testing import Engine
from simulator.testing import Running

ROOT = Path(__file__).resolve().parents[1]
ORDERS = "stg_qtickets_api_orders_raw"
INVENTORY = "stg_qtickets_api_inventory_raw"
SALES = "fact_qtickets_sales_daily"
LATEST = "fact_qtickets_inventory_latest"
RECORDS = "meta_job_runs"
JOB = "qtickets_api"


def role_checks() -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """The role's checks and overview for Qtickets, with the numbers filled in as Ansible would."""
    folder = ROOT / "roles/verify_data"
    defaults = yaml.safe_load((folder / "defaults/main.yml").read_text())
    own = yaml.safe_load((ROOT / "pipelines/qtickets.yml").read_text())

    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [fill(item) for item in value]
        return jinja2.Template(value).render(defaults) if isinstance(value, str) and "{{" in value else value

    return fill(own["checks"]), own["overview"]


@dataclass
class Loaded:
    """A database with the reference schema, and the loader's last run over it."""

    engine: Engine
    database: str
    user: str
    password: str
    run_id: str = ""
    start: str = ""
    end: str = ""

    def query(self, sql: str) -> list[Any]:
        """Run one statement in the database as admin."""
        client = self.engine.client(database=self.database)
        try:
            rows: list[Any] = client.execute(sql)
            return rows
        finally:
            client.disconnect()

    def now(self) -> str:
        return str(self.query("SELECT toString(now64(6, 'UTC'))")[0][0])

    def load(self, api: Running, *argv: str, status: int = 0, **more: str) -> None:
        """Run the real loader in this process, and keep its window by the server's clock."""
        self.run_id, self.start = str(uuid.uuid4()), self.now()
        env = {
            "QTICKETS_BASE_URL": api.url,
            "QTICKETS_TOKEN": api.token,
            "QTICKETS_RETRY_WAIT": "0.01",
            "ORG_NAME": "tests",
            "CLICKHOUSE_HOST": self.engine.host,
            "CLICKHOUSE_PORT": str(self.engine.http_port),
            "CLICKHOUSE_DB": self.database,
            "CLICKHOUSE_USER": self.user,
            "CLICKHOUSE_PASSWORD": self.password,
            "RUN_ID": self.run_id,
            **more,
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, value)
            assert loader(argv) == status
        self.end = self.now()

    def copy_to(self, other: Loaded) -> None:
        """Write this run's rows into another database as the loader did: same user, same log_comment, a new window."""
        other.run_id, other.start = self.run_id, other.now()
        client = other.engine.client(other.user, other.password, database=other.database)
        for table in (ORDERS, INVENTORY, "dim_events", SALES, LATEST, RECORDS):
            times = " REPLACE (now() AS started_at, now() AS finished_at)" if table == RECORDS else ""
            client.execute(
                f"INSERT INTO {table} SELECT *{times} FROM {self.database}.{table}",
                settings={"log_comment": json.dumps({"run_id": self.run_id, "job": JOB})},
            )
        client.disconnect()
        other.end = other.now()

    def run(self, **more: Any) -> dict[str, Any]:
        """The module's `run` option as the role fills it."""
        known = {
            "loader_run_id": self.run_id,
            "job": JOB,
            "user": self.user,
            "window": {"from": self.start, "to": self.end},
        }
        return {**known, **more}

    def check(
        self, checks: list[dict[str, Any]] | None = None, login: tuple[str, str] | None = None, **more: Any
    ) -> Outcome:
        """Run the given checks, or all of the role's, as admin or with the login given."""
        of_role, overview = role_checks()
        params = {
            "database": self.database,
            "checks": of_role if checks is None else checks,
            "overview": overview if checks is None else [],
            "run": self.run(),
            **more,
        }
        client = self.engine.client(*(login or ()), database=self.database)
        try:
            outcome = run_checks(client, read_request(params))
        finally:
            client.disconnect()
        json.dumps(outcome.checks + outcome.reconciliation + outcome.overview)
        return outcome


@contextlib.contextmanager
def fresh_database(engine: Engine, user: str, password: str) -> Iterator[Loaded]:
    """A database with the reference schema and no data, dropped afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    engine.query(f"CREATE DATABASE {name}")
    target = Loaded(engine, name, user, password)
    text = (ROOT / "sql/bootstrap_schema.sql").read_text()
    for statement in "\n".join(line for line in text.splitlines() if not line.startswith("--")).split(";\n"):
        if statement.strip():
            target.query(statement)
    try:
        yield target
    finally:
        engine.query(f"DROP DATABASE {name} SYNC")


def problems(outcome: Outcome) -> list[str]:
    """Everything that is not in order, one line each, for assert messages and comparisons."""
    return [f"{finding.severity} {finding.cause}: {finding.headline}" for finding in outcome.findings]


def errors(outcome: Outcome) -> list[Finding]:
    return [finding for finding in outcome.findings if finding.severity == "error"]


def only(findings: Iterable[Finding], cause: str, *, check: str | None = None) -> Finding:
    """The one finding of this cause (and check)."""
    found = [f for f in findings if f.cause == cause and check in (None, f.evidence.get("check"))]
    assert len(found) == 1, [f"{f.cause} {f.evidence.get('check')}: {f.headline}" for f in findings]
    return found[0]


def status(outcome: Outcome, name: str) -> str:
    return str(next(check["status"] for check in outcome.checks if check["name"] == name))


def run_module(name: str, args: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Run a module of library/ in this process; its result, of a failure too."""
    capsys.readouterr()
    with patch_module_args(args), pytest.raises(SystemExit):
        runpy.run_path(str(ROOT / "library" / f"{name}.py"), run_name="__main__")
    result: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return result
