"""A real engine, the simulator, and the loader run in this process or as one of its own."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from qtickets_api.__main__ import main

from embedded.testing import Engine, start_engine
from simulator.testing import Running, start_simulator

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = (ROOT / "sql" / "bootstrap_schema.sql").read_text()
MOSCOW = ZoneInfo("Europe/Moscow")
NOW = "2026-11-20T15:30:00+03:00"
FROM, TO = "2026-11-19T15:30:00+03:00", "2026-11-20T15:30:00+03:00"

ORDERS = (
    "SELECT order_id, event_id, city, toUnixTimestamp(sale_ts), tickets_sold,"
    " toString(toDecimal64(toString(revenue), 2)), currency FROM stg_qtickets_api_orders_raw FINAL ORDER BY order_id"
)
SALES = (
    "SELECT sales_date, event_id, city, tickets_sold, toString(toDecimal64(toString(revenue), 2))"
    " FROM fact_qtickets_sales_daily FINAL WHERE tickets_sold != 0 OR revenue != 0 ORDER BY ALL"
)
STATUSES = "SELECT status, count() FROM meta_job_runs GROUP BY status"


def users() -> dict[str, dict[str, Any]]:
    """`loader` with all rights, `reader` without INSERT."""
    return {
        "loader": {"password": secrets.token_hex(8), "grants": ["GRANT ALL ON *.*"]},
        "reader": {"password": secrets.token_hex(8), "grants": ["GRANT SELECT ON *.*"]},
    }


@dataclass
class Result:
    """One run: exit status, the outcome line, everything logged."""

    status: int
    outcome: dict[str, Any]
    log: str

    @property
    def metrics(self) -> dict[str, Any]:
        metrics: dict[str, Any] = self.outcome["metrics"]
        return metrics

    @property
    def orders(self) -> dict[str, Any]:
        orders: dict[str, Any] = self.metrics["entities"]["orders"]
        return orders


@dataclass
class Target:
    """A database with the schema, and how the loader reaches it."""

    engine: Engine
    name: str
    env: dict[str, str] = field(default_factory=dict)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        client = self.engine.client(database=self.name)
        rows: list[tuple[Any, ...]] = client.execute(sql)
        return rows

    def statuses(self) -> dict[str, int]:
        return dict(self.query(STATUSES))


def make_database(engine: Engine, user: str, password: str, schema: str = SCHEMA) -> Target:
    """A fresh database with the reference schema."""
    name = f"test_{secrets.token_hex(6)}"
    engine.query(f"CREATE DATABASE {name}")
    client = engine.client(database=name)
    for statement in schema.split(";\n"):
        if "CREATE" in statement:
            client.execute(statement)
    env = {
        "CLICKHOUSE_HOST": engine.host,
        "CLICKHOUSE_PORT": str(engine.http_port),
        "CLICKHOUSE_DB": name,
        "CLICKHOUSE_USER": user,
        "CLICKHOUSE_PASSWORD": password,
    }
    return Target(engine, name, env)


@pytest.fixture(scope="session")
def accounts() -> dict[str, dict[str, Any]]:
    return users()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory, accounts: dict[str, dict[str, Any]]) -> Iterator[Engine]:
    with start_engine(tmp_path_factory.mktemp("engine"), users=accounts) as running:
        yield running


@pytest.fixture
def target(engine: Engine, accounts: dict[str, dict[str, Any]]) -> Iterator[Target]:
    made = make_database(engine, "loader", accounts["loader"]["password"])
    yield made
    engine.query(f"DROP DATABASE {made.name} SYNC")


@pytest.fixture(scope="session")
def shared_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with start_simulator(tmp_path_factory.mktemp("api"), orders=150, page_size=50, now=NOW) as running:
        yield running


@pytest.fixture
def api(shared_api: Running) -> Iterator[Running]:
    """The simulated account as it is at its start, without faults."""
    yield shared_api
    shared_api.admin("POST", "reset")


def environment(api: Running | None, target: Target | None, **more: str) -> dict[str, str]:
    """What the loader needs; retries do not wait long."""
    env = {"ORG_NAME": "zakaz-test", "QTICKETS_RETRY_WAIT": "0.01", "CLICKHOUSE_RETRY_WAIT": "0.01"}
    env |= {"QTICKETS_PAGE_SIZE": "50", "CLICKHOUSE_USER": "nobody"}
    if api is not None:
        env |= {"QTICKETS_BASE_URL": api.url, "QTICKETS_TOKEN": api.token}
    return env | (target.env if target is not None else {}) | more


Load = Callable[..., Result]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Load:
    """`load(api, target, *argv, NAME=value)`: one run in this process; the default window is the simulator's."""

    def run(api: Running | None, target: Target | None, *argv: str, **more: str) -> Result:
        with monkeypatch.context() as patch:
            for name, value in environment(api, target, **more).items():
                patch.setenv(name, value)
            capsys.readouterr()
            status = main(argv or ("--from", FROM, "--to", TO))
        out, err = capsys.readouterr()
        return Result(status, json.loads(out.splitlines()[-1]), err)

    return run


def spawn(env: dict[str, str], *argv: str) -> subprocess.Popen[str]:
    """The loader as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "qtickets_api", *(argv or ("--from", FROM, "--to", TO))],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "ingest"), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> Result:
    """Wait for a spawned loader."""
    out, err = process.communicate(timeout=60)
    return Result(process.returncode, json.loads(out.splitlines()[-1]) if out else {}, err)


def expected_orders(truth: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of `ORDERS` by the simulator's truth."""
    rows = [
        (
            str(o["order_id"]),
            str(o["event_id"]),
            o["city"],
            int(datetime.fromisoformat(o["payed_at"]).timestamp()),
            o["tickets_sold"],
            o["revenue"],
            o["currency"],
        )
        for o in truth["orders"]
    ]
    return sorted(rows)


def expected_sales(truth: dict[str, Any], zone: ZoneInfo = MOSCOW) -> list[tuple[Any, ...]]:
    """The rows of `SALES` by the simulator's truth."""
    days: dict[tuple[Any, ...], list[Any]] = {}
    for order in truth["orders"]:
        day = datetime.fromisoformat(order["payed_at"]).astimezone(zone).date()
        sums = days.setdefault((day, str(order["event_id"]), order["city"]), [0, Decimal(0)])
        sums[0] += order["tickets_sold"]
        sums[1] += Decimal(order["revenue"])
    return sorted((*key, tickets, f"{money:.2f}") for key, (tickets, money) in days.items() if tickets or money)


def normal(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Decimal text as ClickHouse prints it (`1.5`) in the form of the truth (`1.50`)."""
    return sorted(tuple(f"{Decimal(v):.2f}" if i == MONEY[len(row)] else v for i, v in enumerate(row)) for row in rows)


MONEY = {7: 5, 5: 4}
"""Index of the amount in a row of `ORDERS` and of `SALES`, by the row's length."""


def assert_exact(target: Target, truth: dict[str, Any], zone: ZoneInfo = MOSCOW) -> None:
    """Staging and daily facts hold what the source holds, to the kopeck."""
    assert normal(target.query(ORDERS)) == expected_orders(truth)
    assert normal(target.query(SALES)) == expected_sales(truth, zone)
