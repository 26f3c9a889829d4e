"""The data stage alone, as a person re-runs it, without a ledger of an earlier run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

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


def play(loaded: Loaded, folder: Path, *args: str, **variables: object) -> Played:
    return Site(folder).play(
        *args,
        playbook="playbooks/data.yml",
        clickhouse_host=loaded.engine.host,
        clickhouse_port=loaded.engine.tcp_port,
        clickhouse_user=loaded.engine.user,
        clickhouse_password=loaded.engine.password,
        clickhouse_database=loaded.database,
        ingest_user=loaded.user,
        ingest_password=loaded.password,
        **variables,
    )


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


def test_a_wrong_declaration_of_a_user_is_refused_with_its_place(loaded: Loaded, tmp_path: Path) -> None:
    extra = [{"name": "mine", "kind": "values", "table": ORDERS, "not_nul": "order_id"}]
    played = play(loaded, tmp_path, verify_data_checks=[], verify_data_extra_checks=extra)
    assert played.status != 0
    assert played.headline["cause"] == "config_data_check"
    assert played.headline["object"] == "verify_data_extra_checks[0].not_nul"
    assert "did you mean not_null?" in played.headline["headline"]
