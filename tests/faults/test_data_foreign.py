"""Foreign loaders' data: run records filled in their own way, and values that a careless check would trip over."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from embedded.testing import Engine
from tests.conftest import INGEST_PASSWORD, INGEST_USER
from tests.data_checks import Loaded, errors, only, problems, status


@pytest.fixture
def shop(engine: Engine, database: str) -> Loaded:
    """Another team's database, with the production pipeline's table of runs."""
    target = Loaded(engine, database, INGEST_USER, INGEST_PASSWORD, run_id=str(uuid.uuid4()))
    target.query(
        "CREATE TABLE meta_job_runs (job LowCardinality(String), run_id UUID DEFAULT generateUUIDv4(), "
        "started_at DateTime('UTC'), finished_at DateTime('UTC'), status LowCardinality(String), "
        "rows_processed UInt64, "
        "message String, metrics String) ENGINE = MergeTree ORDER BY (job, started_at)"
    )
    return target


def send(shop: Loaded, *statements: str) -> None:
    """A foreign loader's run: statements by its own user, without a log_comment, in a window of its own."""
    shop.start = shop.start or shop.now()
    client = shop.engine.client(shop.user, shop.password, database=shop.database)
    for statement in statements:
        client.execute(statement)
    client.disconnect()
    shop.end = shop.now()


# Times that cannot be -----------------------------------------------------------------------------------------------


EVENTS = (
    "CREATE TABLE events (id UInt64, happened_at DateTime64(3, 'UTC'), seen_at DateTime('UTC'), "
    "loaded_at DateTime('UTC') DEFAULT now()) ENGINE = MergeTree ORDER BY (happened_at, id)"
)
HOUR = {"error_age_minutes": 60}
EVENT_CHECKS: list[dict[str, Any]] = [
    {"name": "happened", "kind": "freshness", "table": "events", "column": "happened_at", "limits": HOUR},
    {"name": "seen", "kind": "freshness", "table": "events", "column": "seen_at", "limits": HOUR},
    {"name": "times", "kind": "values", "table": "events", "not_epoch": ["happened_at", "seen_at"]},
    {"name": "each once", "kind": "duplicates", "table": "events", "key": "id", "show": ["happened_at"]},
    {"name": "some", "kind": "volume", "table": "events", "this_run": "query_log", "limits": {"min_rows": 20}},
    {"name": "own", "kind": "sql", "query": "SELECT id, happened_at FROM events WHERE id = 3"},
]  # fmt: skip


def events(unix: str) -> str:
    return f"INSERT INTO events (id, happened_at, seen_at) SELECT number, {unix}, {unix} FROM numbers(20)"


def test_17_milliseconds_in_place_of_seconds_are_named_with_the_columns(shop: Loaded) -> None:
    shop.query(EVENTS)
    row = "({n}, {t}, {t})"
    milliseconds = int(shop.query("SELECT toUnixTimestamp(now()) * 1000")[0][0])
    rows = ", ".join(row.format(n=n, t=milliseconds - n * 1000) for n in range(20))
    send(shop, f"INSERT INTO events (id, happened_at, seen_at) VALUES {rows}".replace("VALUES", "FORMAT Values"))
    outcome = shop.check(EVENT_CHECKS)
    happened = only(errors(outcome), "data_time_unit", check="happened")
    assert "happened_at" in happened.headline
    assert "milliseconds" in happened.headline
    assert "9999-12-31" in str(happened.actual)
    assert happened.evidence["rows"]
    seen = only(errors(outcome), "data_time_unit", check="seen")
    assert "2106-02-07" in seen.headline
    assert "1000" in str(seen.next_step)
    assert [status(outcome, name) for name in ("times", "each once", "some")] == ["ok"] * 3
    # The rows of a query of one's own are shown, whatever times they hold.
    own = only(errors(outcome), "data_rule_broken")
    assert own.evidence["rows"][0]["happened_at"].startswith("9999-12-31")


# The contract, once more --------------------------------------------------------------------------------------------

CONTRACT = {"orders": {"columns": {"id": "UInt64", "price": "Decimal(18, 2)"}}}


@pytest.mark.parametrize(
    ("statement", "cause", "said"),
    [
        ("ALTER TABLE orders MODIFY COLUMN price Float64", "server_type_mismatch", "is Float64, not Decimal(18, 2)"),
        ("ALTER TABLE orders DROP COLUMN price", "server_missing_column", "price is missing"),
    ],
)
def test_a_table_that_was_changed_after_the_schema_stage_is_named(
    shop: Loaded, statement: str, cause: str, said: str
) -> None:
    shop.query("CREATE TABLE orders (id UInt64, price Decimal(18, 2)) ENGINE = MergeTree ORDER BY id")
    checks = [{"name": "prices", "kind": "existence", "table": "orders", "columns": {"price": "Decimal(18, 2)"}}]
    send(shop, "INSERT INTO orders VALUES (1, 2)".replace("VALUES", "FORMAT Values"))
    assert problems(shop.check(checks, contract=CONTRACT, contract_held=True)) == []
    send(shop, statement)
    outcome = shop.check(checks, contract=CONTRACT, contract_held=True)
    (finding,) = errors(outcome)
    assert finding.cause == cause
    assert said in finding.headline
    assert "It was right when the schema stage of this run ended." in finding.headline
    assert finding.evidence["sql"].startswith(f"{statement}  -- user {shop.user}")
    assert finding.effects[0].startswith("check 'prices'")
