"""Signals, kills, restarts, time zones: whatever happens in the middle, the next run leaves everything right."""

from __future__ import annotations

import contextlib
import random
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from embedded.testing import Engine, start_engine
from simulator.testing import Running, start_simulator

from .conftest import (
    FROM,
    NOW,
    ORDERS,
    SALES,
    SCHEMA,
    TO,
    Load,
    Target,
    assert_exact,
    environment,
    expected_sales,
    finish,
    make_database,
    normal,
    spawn,
    users,
)

KILLS = 20
SLOW = {"fault": "slow", "path": "/orders", "seconds": 0.05}


def until(condition: Callable[[], Any], process: subprocess.Popen[str] | None = None, seconds: float = 30) -> None:
    """Wait for a condition, at most ``seconds``, and not beyond the end of ``process``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline or (process is not None and process.poll() is not None):
            raise AssertionError("the condition did not come about")
        time.sleep(0.01)


@contextlib.contextmanager
def running(env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = spawn(env)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Running]:
    with start_simulator(tmp_path, orders=60, events=3, hall_seats=20, now=NOW) as api:
        yield api


def staged(target: Target) -> int:
    return int(target.query("SELECT count() FROM stg_qtickets_api_orders_raw")[0][0])


def test_killed_at_twenty_moments_then_repaired_by_one_run(
    small: Running, target: Target, engine: Engine, accounts: Any, load: Load
) -> None:
    undisturbed = make_database(engine, "loader", accounts["loader"]["password"])
    small.faults([SLOW])
    tuning = {"QTICKETS_PAGE_SIZE": "10", "CLICKHOUSE_BATCH_ROWS": "5", "QTICKETS_CONCURRENCY": "1"}
    began = time.monotonic()
    with running(environment(small, undisturbed, **tuning)) as process:
        assert finish(process).status == 0
    length = time.monotonic() - began
    whole = normal(undisturbed.query(SALES))
    assert whole == expected_sales(small.truth(FROM, TO))
    chance = random.Random(20_261_123)
    with_rows = 0
    for _ in range(KILLS):
        with running(environment(small, target, **tuning)) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0.3, 1.05) * length)
            process.send_signal(signal.SIGKILL)
            ended_well = process.wait() == 0
        with_rows += bool(staged(target))
        assert target.statuses().get("failed", 0) == 0
        facts = normal(target.query(SALES))
        assert all(row in whole for row in facts)
        # A day is there as a whole or not at all, and an ok row means that every day is there.
        for day in {row[0] for row in facts}:
            assert [row for row in facts if row[0] == day] == [row for row in whole if row[0] == day]
        if ended_well or target.statuses():
            assert facts == whole
            for table in ("meta_job_runs", "fact_qtickets_sales_daily", "stg_qtickets_api_orders_raw"):
                target.query(f"TRUNCATE TABLE {table}")
    assert with_rows
    small.faults([])
    assert load(small, target).status == 0
    assert_exact(target, small.truth(FROM, TO))
    for table in ("fact_qtickets_inventory_latest", "dim_events"):
        rows = f"SELECT event_id, event_name, city, tickets_total, tickets_left FROM {table} FINAL ORDER BY 1"
        assert target.query(rows) == undisturbed.query(rows)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_run_as_failed(small: Running, target: Target, signum: signal.Signals, status: int) -> None:
    small.faults([{"fault": "slow", "path": "/orders", "seconds": 60, "after": 3}])
    with running(environment(small, target, QTICKETS_PAGE_SIZE="10", CLICKHOUSE_BATCH_ROWS="5")) as process:
        until(lambda: staged(target), process)
        process.send_signal(signum)
        result = finish(process)
    assert (result.status, result.outcome["cause"]) == (status, "terminated")
    assert signum.name in result.outcome["message"]
    assert target.statuses() == {"failed": 1}
    assert target.query(SALES) == []


@pytest.fixture
def own_engine(tmp_path: Path) -> Iterator[tuple[Engine, Target]]:
    accounts = users()
    with start_engine(tmp_path / "own", users=accounts) as engine:
        yield engine, make_database(engine, "loader", accounts["loader"]["password"])


@pytest.mark.parametrize("how", ["restart", "crash"])
def test_a_server_that_restarts_in_the_middle(
    small: Running, own_engine: tuple[Engine, Target], load: Load, how: str
) -> None:
    engine, target = own_engine
    # The two processes' starts must lie further apart than the loader's tolerance for the server's clock.
    until(lambda: target.query("SELECT uptime() > 3") == [(1,)])
    small.faults([{**SLOW, "seconds": 0.5}])
    tuning = {"QTICKETS_PAGE_SIZE": "10", "CLICKHOUSE_BATCH_ROWS": "5", "QTICKETS_CONCURRENCY": "1"}
    env = environment(small, target, **tuning, CLICKHOUSE_RETRY_WAIT="1", CLICKHOUSE_ATTEMPTS="10")
    with running(env) as process:
        until(lambda: staged(target), process)
        if how == "crash":
            engine.kill()
        else:
            engine.stop()
        engine.start()
        result = finish(process)
    assert (result.status, result.outcome["outcome"]) == (4, "failed")
    assert result.outcome["cause"] == "clickhouse_restarted"
    assert target.statuses() == {"failed": 1}
    assert target.query(SALES) == []
    small.faults([])
    assert load(small, target).status == 0
    assert_exact(target, small.truth(FROM, TO))


def test_a_server_that_goes_away_for_good(small: Running, own_engine: tuple[Engine, Target]) -> None:
    engine, target = own_engine
    small.faults([{**SLOW, "seconds": 0.3}])
    with running(environment(small, target, QTICKETS_PAGE_SIZE="10", CLICKHOUSE_BATCH_ROWS="5")) as process:
        until(lambda: staged(target), process)
        engine.stop()
        result = finish(process)
    assert (result.status, result.outcome["cause"]) == (4, "clickhouse_unreachable")
    assert f"stg_qtickets_api_orders_raw ({engine.host}:{engine.http_port}" in result.log
    assert "the failed run is not in meta_job_runs" in result.log
    assert result.outcome["metrics"]["clickhouse"]["retries"] > 0


ZONES = ["UTC", "Asia/Tokyo", "America/New_York"]


@pytest.mark.parametrize("server_zone", ZONES)
def test_times_are_the_same_whatever_the_zones(shared_api: Running, tmp_path: Path, server_zone: str) -> None:
    """Server's, container's and session's time zone, one of them with daylight saving time; the report's is Moscow."""
    accounts: dict[str, dict[str, Any]] = {
        f"loader_{i}": {
            "password": secrets.token_hex(8),
            "grants": ["GRANT ALL ON *.*"],
            "profile_settings": {"session_timezone": zone},
        }
        for i, zone in enumerate(ZONES)
    }
    seen = set()
    with start_engine(tmp_path / "zoned", users=accounts, timezone=server_zone) as engine:
        for i, container_zone in enumerate(ZONES):
            user = f"loader_{(i + 1) % 3}"
            target = make_database(engine, user, accounts[user]["password"])
            with running(environment(shared_api, target, TZ=container_zone)) as process:
                result = finish(process)
            assert result.status == 0, result.log
            assert_exact(target, shared_api.truth(FROM, TO))
            seen.add(
                str(target.query("SELECT order_id, toString(sale_ts) FROM stg_qtickets_api_orders_raw ORDER BY 1"))
            )
            seen.add("start " + str(target.query("SELECT abs(now() - max(started_at)) < 600 FROM meta_job_runs")))
    assert len(seen) == 2
    assert "start [(1,)]" in seen


def test_the_rows_of_the_night_the_clock_changes(tmp_path: Path, engine: Engine, accounts: Any, load: Load) -> None:
    """25 hours of 25 October 2026 in Berlin: no order lost, none counted twice, each on its day."""
    target = make_database(
        engine, "loader", accounts["loader"]["password"], SCHEMA.replace("Europe/Moscow", "Europe/Berlin")
    )
    now = "2026-10-26T02:00:00+01:00"
    with start_simulator(tmp_path, orders=300, hours=30, now=now) as api:
        window = ("--from", "2026-10-24T20:00:00+00:00", "--to", now)
        assert load(api, target, *window, REPORT_TZ="Europe/Berlin").status == 0
        assert_exact(target, api.truth(window[1], window[3]), ZoneInfo("Europe/Berlin"))
        assert len(target.query(ORDERS)) > 200
