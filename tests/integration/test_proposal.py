"""Checks proposed from a catalog: true of the data now, and able to fail when it changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible.module_utils.ingest_verify.checks.request import read_request
from ansible.module_utils.ingest_verify.checks.runner import run_checks
from ansible.module_utils.ingest_verify.client import connect
from ansible.module_utils.ingest_verify.proposal import MOST_TABLES, Proposal, propose
from clickhouse_driver import Client

from embedded.testing import Engine
from tests.conftest import INGEST_PASSWORD, INGEST_USER


@pytest.fixture
def client(login: dict[str, object]) -> Iterator[Client]:
    connection = connect(login)
    yield connection
    connection.disconnect()


def load(engine: Engine, database: str, *statements: str) -> None:
    """Statements of the ingest's user, in the log afterwards."""
    session = engine.client(INGEST_USER, INGEST_PASSWORD, database=database)
    for statement in statements:
        session.execute(statement)
    engine.flush_logs()


def kinds(proposal: Proposal) -> set[tuple[str, str]]:
    return {(proposed.check["kind"], proposed.check["table"].strip("`")) for proposed in proposal.checks}


def judged(client: Client, database: str, proposal: Proposal) -> dict[str, str]:
    """Status by kind of the proposed checks that need no run."""
    checks = [proposed.check for proposed in proposal.checks if proposed.check["kind"] != "volume"]
    outcome = run_checks(client, read_request({"database": database, "checks": checks}))
    return {check["name"]: check["status"] for check in outcome.checks}


def test_what_is_proposed_holds_and_notices_each_change(engine: Engine, database: str, client: Client) -> None:
    load(
        engine,
        database,
        "CREATE TABLE sales (id UInt64, sku String, pieces UInt16, sold_at DateTime('UTC'))"
        " ENGINE = MergeTree ORDER BY id",
        "INSERT INTO sales SELECT number + 1, 'a', number % 7 + 1, now('UTC') - number FROM numbers(50)",
    )
    proposal = propose(client, database, INGEST_USER)
    assert proposal.targets == ["sales"]
    assert kinds(proposal) == {(kind, "sales") for kind in ("volume", "freshness", "duplicates", "values")}
    assert set(judged(client, database, proposal).values()) == {"ok"}
    load(engine, database, "INSERT INTO sales VALUES (1, '', 65535, '2020-01-01 00:00:00')")
    after = judged(client, database, proposal)
    assert after["each key of sales once"] == "error"
    assert after["no wrapped numbers in sales"] == "error"
    assert after["columns of sales are filled"] == "error"
    assert after["sales is fresh"] == "ok"


def test_what_does_not_hold_now_is_left_out_and_said(engine: Engine, database: str, client: Client) -> None:
    load(
        engine,
        database,
        "CREATE TABLE events (id UInt64, note String, at DateTime('UTC')) ENGINE = MergeTree ORDER BY id",
        "INSERT INTO events SELECT 7, '', '2001-01-01 00:00:00' FROM numbers(3)",
    )
    proposal = propose(client, database, INGEST_USER)
    assert ("duplicates", "events") not in kinds(proposal)
    assert ("freshness", "events") not in kinds(proposal)
    assert any("each key of events once" in note for note in proposal.notes)
    assert all("note" not in proposed.check.get("not_default", []) for proposed in proposal.checks)
    assert set(judged(client, database, proposal).values()) <= {"ok"}


def test_names_that_need_quotes_are_quoted(engine: Engine, database: str, client: Client) -> None:
    load(
        engine,
        database,
        "CREATE TABLE `daily sales; DROP` (`order` UInt32, `when it was` DateTime('UTC'))"
        " ENGINE = MergeTree ORDER BY `order`",
        "INSERT INTO `daily sales; DROP` SELECT number + 1, now('UTC') FROM numbers(5)",
    )
    proposal = propose(client, database, INGEST_USER)
    assert proposal.targets == ["daily sales; DROP"]
    assert ("freshness", "daily sales; DROP") in kinds(proposal)
    assert set(judged(client, database, proposal).values()) == {"ok"}


def test_a_database_without_tables_is_told_so(database: str, client: Client) -> None:
    proposal = propose(client, database, INGEST_USER)
    assert (proposal.targets, proposal.checks) == ([], [])
    assert (proposal.tables, proposal.notes) == (0, [])


def test_without_a_load_in_the_log_the_targets_are_not_guessed(engine: Engine, database: str, client: Client) -> None:
    engine.query(f"CREATE TABLE {database}.t (id UInt64) ENGINE = MergeTree ORDER BY id")
    engine.query(f"INSERT INTO {database}.t VALUES (1)")
    proposal = propose(client, database, INGEST_USER)
    assert proposal.targets == []
    assert "the targets are not known" in proposal.notes[0]
    assert ("duplicates", "t") in kinds(proposal)


def test_of_many_tables_some_are_proposed_and_the_number_is_said(engine: Engine, database: str, client: Client) -> None:
    for number in range(MOST_TABLES + 3):
        engine.query(f"CREATE TABLE {database}.t{number} (id UInt64) ENGINE = Memory")
    proposal = propose(client, database, INGEST_USER)
    assert any(f"{MOST_TABLES + 3} tables; checks were proposed for {MOST_TABLES}" in note for note in proposal.notes)


def test_a_loaders_own_tables_are_no_targets_and_a_swapped_table_is_one(
    engine: Engine, database: str, client: Client
) -> None:
    load(
        engine,
        database,
        "CREATE TABLE raw____dlt_loads (load_id String) ENGINE = MergeTree ORDER BY load_id",
        "INSERT INTO raw____dlt_loads VALUES ('1')",
        "CREATE TABLE daily (day UInt32) ENGINE = MergeTree ORDER BY day",
        "CREATE TABLE daily__backup (day UInt32) ENGINE = MergeTree ORDER BY day",
        "INSERT INTO daily__backup VALUES (1)",
        "EXCHANGE TABLES daily__backup AND daily",
        "DROP TABLE daily__backup",
    )
    proposal = propose(client, database, INGEST_USER, {"dlt": ["(.*___)?_dlt_.*"]})
    assert proposal.targets == ["daily"]
    assert any("raw____dlt_loads" in note and "pipeline: dlt" in note for note in proposal.notes)
