"""A stage alone, as a person runs it, without a ledger of an earlier run: the data checks and the diagnosis."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_driver.errors import ServerException

from embedded.testing import Engine
from simulator.testing import Running
from tests.conftest import INGEST_PASSWORD, INGEST_USER
from tests.data_checks import ORDERS, SALES, Loaded, fresh_database
from tests.plays import Played, Site


@pytest.fixture
def loaded(engine: Engine, simulator: Running) -> Iterator[Loaded]:
    with fresh_database(engine, INGEST_USER, INGEST_PASSWORD) as target:
        target.load(simulator)
        yield target


def play_on(engine: Engine, database: str, folder: Path, playbook: str, *args: str, **variables: object) -> Played:
    return Site(folder).play(
        *args,
        playbook=playbook,
        clickhouse_host=engine.host,
        clickhouse_port=engine.tcp_port,
        clickhouse_user=engine.user,
        clickhouse_password=engine.password,
        clickhouse_database=database,
        ingest_user=INGEST_USER,
        ingest_password=INGEST_PASSWORD,
        **variables,
    )


def play(loaded: Loaded, folder: Path, **variables: object) -> Played:
    return play_on(loaded.engine, loaded.database, folder, "verify.yml", "--tags", "verify_data", **variables)


def test_the_stage_alone_looks_back_passes_and_then_names_what_was_changed(loaded: Loaded, tmp_path: Path) -> None:
    history = tmp_path / "artifacts" / "history.jsonl"
    history.parent.mkdir()
    # What a full disk leaves: two lines in one.
    cut = '{"run_id": "20260101T000000Z-000000", "figu{"run_id": "20260102T000000Z-000000"}'
    history.write_text(f"{cut}\n")
    played = play(loaded, tmp_path)
    assert played.status == 0, played.output[-6000:]
    tables = played.report["stages"]["verify_data"]["tables"]
    assert next(iter(tables)) == "Staging tables, rows and newest times"
    assert {row["status"] for row in tables["Reconciliation: served, claimed, written, held"]} == {"agrees"}
    assert any("the last 5 minutes" in row["note"] for row in tables["What the data checks had to assume"])
    assert history.read_text().startswith(f"{cut}\n")
    (entry,) = map(json.loads, history.read_text().splitlines()[1:])
    assert entry["ok"]
    assert entry["figures"][f"{ORDERS}.rows_of_run"] > 0

    loaded.query(f"INSERT INTO {SALES} SELECT sales_date, event_id, city, 0, 0, _ver + 1 FROM {SALES} FINAL")
    played = play(loaded, tmp_path)
    assert played.status != 0
    assert played.headline["cause"] == "data_aggregate_mismatch"
    assert played.headline["object"] == f"{loaded.database}.{SALES}"
    assert "ERROR [data_aggregate_mismatch]" in played.output
    # The same run checked again replaces its line.
    (entry,) = map(json.loads, history.read_text().splitlines()[1:])
    assert not entry["ok"]


def test_any_clickhouse_is_diagnosed_by_what_is_said_of_its_ingest(
    engine: Engine, database: str, tmp_path: Path
) -> None:
    """playbooks/diagnose.yml as the README has it, for an ingest that no run of ours started."""
    name = f"nightly-{secrets.token_hex(4)}"
    nightly = engine.client(INGEST_USER, INGEST_PASSWORD, database=database, client_name=name)
    nightly.execute("CREATE TABLE sales (id UInt32) ENGINE = Memory")
    asked = {"user": INGEST_USER, "client_name": name, "since": now(engine)}
    with pytest.raises(ServerException):
        nightly.execute("INSERT INTO sales (id, total) VALUES", [(1, 2)])
    with pytest.raises(ServerException):
        engine.query(f"SELECT nonsense FROM {database}.sales")
    played = play_on(engine, database, tmp_path, "playbooks/diagnose.yml", **asked)
    assert played.status != 0
    assert [error["cause"] for error in played.errors] == ["server_missing_column"]
    assert "total" in played.headline["headline"]
    assert "ADD COLUMN" in played.headline["next_step"]

    nightly.execute("ALTER TABLE sales ADD COLUMN total UInt32")
    asked["since"] = now(engine)
    nightly.execute("INSERT INTO sales (id, total) VALUES", [(1, 2)])
    mended = play_on(engine, database, tmp_path, "playbooks/diagnose.yml", **asked)
    assert mended.status == 0, mended.output[-6000:]
    assert mended.report["verdict"] == "PASS"
    # An earlier run's verdict again, by its id.
    again = play_on(engine, database, tmp_path, "playbooks/report.yml", run_context_run_id=played.report["run_id"])
    assert again.status != 0
    assert again.headline == played.headline


def now(engine: Engine) -> str:
    return str(engine.query("SELECT toString(now64(6, 'UTC'))")[0][0])


# A loader of others: it tells no figures, and asks for half of the window.
HALF = """import subprocess, sys
command = [sys.executable, "-m", "qtickets_api", "--quiet", "--since-hours", "12"]
sys.exit(subprocess.run(command, stdout=subprocess.DEVNULL).returncode)
"""


def test_a_loader_that_tells_nothing_is_audited_against_the_source(tmp_path: Path) -> None:
    """Its healthy twin is played without a play, in test_data_audit.py."""
    site = Site(tmp_path)
    loader = tmp_path / "loader.py"
    loader.write_text(HALF)
    try:
        played = site.play(qtickets_ingest_command=[sys.executable, str(loader)])
        assert played.status != 0
        assert played.headline["cause"] == "data_audit_missing"
        tables = played.report["stages"]["verify_data"]["tables"]
        (orders, events) = tables["Audit: what the source serves, and the tables"]
        assert orders["missing"] > 10
        assert events["unknown"] == 0
        folder = next(iter(site.reports())).parent
        assert not (folder / "audit.env").exists()
        secrets_of_site = site.secrets()
        answer = (folder / "audit.json").read_text()
        assert not [secret for secret in secrets_of_site if secret in answer]
    finally:
        site.engine("stop")
