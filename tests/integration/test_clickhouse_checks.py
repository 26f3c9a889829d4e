"""The data checks over a real engine: what cannot be answered, foreign ingests, fewer scans, the trend, the module."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from ansible.module_utils.ingest_verify.checks import DeclarationError, read_request
from ansible.module_utils.ingest_verify.checks.declarations import KINDS
from ansible.module_utils.ingest_verify.findings import render_failure

from embedded.testing import Engine, start_engine
from simulator.testing import Running, start_simulator
from tests.conftest import INGEST_PASSWORD, INGEST_USER
from tests.data_checks import (
    ORDERS,
    ROOT,
    Loaded,
    errors,
    fresh_database,
    only,
    problems,
    role_checks,
    run_module,
    status,
)

BY_WINDOW = {"column": "loaded_at", "within": "window"}


@pytest.fixture
def shop(engine: Engine, database: str) -> Loaded:
    """Another team's database: a plain table, a materialized view over it, no run record, no log_comment."""
    target = Loaded(engine, database, INGEST_USER, INGEST_PASSWORD)
    target.query(
        "CREATE TABLE purchases (id UInt64, bought_at DateTime('UTC'), sku String, amount Decimal(12, 2), "
        "loaded_at DateTime64(3, 'UTC') DEFAULT now64(3)) ENGINE = MergeTree ORDER BY id"
    )
    target.query(
        "CREATE TABLE by_day (day Date, sku String, amount Decimal(38, 2)) "
        "ENGINE = SummingMergeTree ORDER BY (day, sku)"
    )
    target.query(
        "CREATE MATERIALIZED VIEW to_day TO by_day AS "
        "SELECT toDate(bought_at) AS day, sku, sum(amount) AS amount FROM purchases GROUP BY day, sku"
    )
    return target


def buy(shop: Loaded, rows: int, first: int = 0) -> None:
    """The foreign loader: rows by its own user, within a window of its own."""
    shop.start = shop.now()
    client = shop.engine.client(shop.user, shop.password, database=shop.database)
    client.execute(
        "INSERT INTO purchases (id, bought_at, sku, amount) "
        f"SELECT number + {first}, now() - 60, toString(number % 3), number FROM numbers({rows})"
    )
    client.disconnect()
    shop.end = shop.now()


def foreign(shop: Loaded, **more: Any) -> dict[str, Any]:
    return {"user": shop.user, "window": {"from": shop.start, "to": shop.end}, **more}


VOLUME = {"name": "bought", "kind": "volume", "table": "purchases", "this_run": BY_WINDOW}
RECONCILED = {"name": "reconciled", "kind": "reconciliation", "table": "purchases", "this_run": BY_WINDOW}


# What cannot be answered --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "cause", "said"),
    [
        ({"kind": "volume", "table": "purchase"}, "data_missing_table", "nearest name is purchases"),
        ({"kind": "freshness", "table": "purchases", "column": "bougt_at"}, "data_missing_column", "is bought_at"),
        ({"kind": "volume", "table": "purchases", "where": "bougt_at > 0"}, "data_missing_column", "bougt_at"),
        ({"kind": "volume", "table": "broken_view"}, "data_missing_table", "gone"),
        ({"kind": "volume", "table": "nowhere.purchases"}, "data_missing_table", "nowhere"),
        ({"kind": "sql", "query": "SELECT sleepEachRow(1) FROM numbers(3)"}, "data_check_timeout", "Timeout"),
        ({"kind": "values", "table": "slow", "ranges": {"s": {"max": 5}}}, "data_check_timeout", "Timeout"),
        ({"kind": "sql", "query": "SELEC 1"}, "data_check_failed", "Syntax error"),
        ({"kind": "sql", "query": "SELECT * FROM purchases; DROP TABLE purchases"}, "data_check_failed", "yntax"),
        (
            {"kind": "referential", "table": "purchases", "column": "sku", "references": "skus.sku"},
            "data_missing_table",
            "skus",
        ),
        (
            {"kind": "values", "table": "purchases", "not_wrapped": "amount"},
            "data_check_failed",
            "needs an unsigned integer",
        ),
    ],
)
def test_a_check_that_cannot_be_answered_is_an_error_and_the_others_still_run(
    shop: Loaded, check: dict[str, Any], cause: str, said: str
) -> None:
    shop.query("CREATE TABLE gone (id UInt8) ENGINE = Memory")
    shop.query("CREATE VIEW broken_view AS SELECT * FROM gone")
    shop.query("DROP TABLE gone")
    shop.query("CREATE VIEW slow AS SELECT sleepEachRow(1) AS s FROM numbers(3)")
    buy(shop, 10)
    outcome = shop.check([{"name": "odd", "time_limit_seconds": 1, **check}, VOLUME], run=foreign(shop))
    finding = only(outcome.findings, cause, check="odd")
    assert said in finding.headline
    assert finding.next_step
    assert status(outcome, "odd") == "error"
    assert status(outcome, "bought") == "ok"
    assert shop.query("SELECT count() FROM purchases") == [(10,)]


def test_a_slow_check_on_the_same_table_does_not_spoil_the_others(shop: Loaded) -> None:
    buy(shop, 10)
    slow = {
        "name": "slow",
        "kind": "volume",
        "table": "purchases",
        "time_limit_seconds": 1,
        "where": "sleepEachRow(0.3)",
    }
    outcome = shop.check([{**VOLUME, "time_limit_seconds": 1}, slow], run=foreign(shop))
    assert status(outcome, "slow") == "error"
    assert status(outcome, "bought") == "ok"


@pytest.fixture
def narrow_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("narrow")
    users = {
        "narrow": {"password": "n", "grants": ["GRANT SELECT ON d.purchases"]},
        "reader": {"password": "r", "readonly": True},
    }
    with start_engine(folder, users=users) as running:
        running.query("CREATE DATABASE d")
        running.query("CREATE TABLE d.purchases (id UInt8) ENGINE = MergeTree ORDER BY id")
        running.query("CREATE TABLE d.secret (id UInt8) ENGINE = MergeTree ORDER BY id")
        running.query("INSERT INTO d.purchases VALUES (1)")
        yield running


def test_a_table_without_rights_is_named_with_the_grant_and_a_read_only_user_will_do(narrow_engine: Engine) -> None:
    checks = [
        {"name": "seen", "kind": "volume", "table": "purchases"},
        {"name": "not seen", "kind": "volume", "table": "secret"},
    ]
    target = Loaded(narrow_engine, "d", "narrow", "n", start="", end="")
    outcome = target.check(checks, run={}, login=("narrow", "n"))
    finding = only(outcome.findings, "data_check_no_access")
    assert finding.next_step == "GRANT SELECT ON d.secret TO narrow"
    assert status(outcome, "seen") == "ok"
    outcome = target.check([checks[0]], run={}, login=("reader", "r"))
    assert problems(outcome) == []


def test_checks_cannot_write(shop: Loaded) -> None:
    buy(shop, 3)
    write = {
        "name": "write",
        "kind": "sql",
        "query": "SELECT 1) SETTINGS readonly = 0; INSERT INTO purchases (id) VALUES (7) --",
    }
    outcome = shop.check([write], run=foreign(shop))
    assert status(outcome, "write") == "error"
    assert shop.query("SELECT count() FROM purchases") == [(3,)]
    shop.engine.flush_logs()
    settings = "SELECT DISTINCT Settings['readonly'] FROM system.query_log WHERE log_comment LIKE '%write%'"
    assert shop.query(settings) == [("2",)]


@pytest.mark.parametrize(
    ("limits", "expected"), [({}, "no rows"), ({"max_rows": 2}, "at most 2 row(s)"), ({"max_rows": 3}, None)]
)
def test_a_query_of_ones_own_may_be_allowed_some_rows(
    shop: Loaded, limits: dict[str, int], expected: str | None
) -> None:
    buy(shop, 3)
    check = {"name": "own", "kind": "sql", "query": "SELECT id FROM purchases ORDER BY id;", "limits": limits}
    found = [(f.cause, f.expected, f.actual) for f in shop.check([check], run=foreign(shop)).findings]
    assert found == ([("data_rule_broken", expected, "3 row(s)")] if expected else [])


# Foreign ingests ----------------------------------------------------------------------------------------------------


def test_a_foreign_ingest_is_reconciled_by_the_sides_that_exist(shop: Loaded) -> None:
    buy(shop, 40)
    outcome = shop.check([VOLUME, RECONCILED], run=foreign(shop))
    assert problems(outcome) == []
    row = outcome.reconciliation[0]
    assert (row["served"], row["claimed"], row["written"], row["held"]) == (None, None, 40, 40)
    assert {"served is not known", "claimed is not known"} <= set(row["notes"])
    assert outcome.run["written_found_by"] == "user and window"


def test_a_foreign_ingest_that_lost_rows_is_told(shop: Loaded) -> None:
    buy(shop, 40)
    shop.query("DELETE FROM purchases WHERE id < 4")
    finding = only(errors(shop.check([VOLUME, RECONCILED], run=foreign(shop))), "data_count_mismatch")
    assert "the server wrote 40 rows, the table holds 36 of this run" in finding.headline
    assert finding.evidence["rows"]


def test_tables_without_a_run_column_are_told_by_query_log_also_behind_a_view(shop: Loaded) -> None:
    buy(shop, 9)
    run = foreign(shop, expected_tables=["purchases", "by_day", "to_day"])
    outcome = shop.check([VOLUME], run=run)
    assert problems(outcome) == []
    assert {check["name"]: check["rows"] for check in outcome.checks}["rows of this run in by_day"] == 3

    shop.start = shop.end
    shop.end = shop.now()
    outcome = shop.check([VOLUME], run=foreign(shop, expected_tables=["purchases", "by_day", "to_day"]))
    finding = only(errors(outcome), "data_not_from_this_run")
    assert finding.object == f"{shop.database}.purchases"
    assert [effect.split("'")[1] for effect in finding.effects] == [
        f"rows of this run in {t}" for t in ("by_day", "to_day")
    ]


def test_rows_of_another_user_in_the_window_are_not_counted_as_written(shop: Loaded) -> None:
    buy(shop, 5)
    shop.query("INSERT INTO purchases (id) SELECT number + 100 FROM numbers(3)")
    shop.end = shop.now()
    row = shop.check([RECONCILED], run=foreign(shop)).reconciliation[0]
    assert (row["written"], row["held"]) == (5, 8)


@pytest.mark.parametrize(("by", "status"), [({"column": "id", "equals": "ver"}, "skipped"), (BY_WINDOW, "ok")])
def test_one_side_alone_agrees_with_nothing(shop: Loaded, by: dict[str, str], status: str) -> None:
    buy(shop, 5)
    outcome = shop.check([{**RECONCILED, "this_run": by}], run=foreign(shop))
    assert (outcome.checks[0]["status"], outcome.reconciliation[0]["written"]) == (status, 5)
    assert outcome.reconciliation[0]["status"] == ("agrees" if status == "ok" else "not compared")


def test_without_a_ledger_the_last_minutes_are_looked_at_and_that_is_said(shop: Loaded) -> None:
    buy(shop, 5)
    outcome = shop.check([VOLUME, RECONCILED], run={"user": shop.user})
    assert problems(outcome) == []
    assert outcome.run["looked_back"]
    assert any("the last 5 minutes" in note for note in outcome.notes)


def test_the_loader_is_found_again_without_a_ledger(engine: Engine, api: Running) -> None:
    with fresh_database(engine, INGEST_USER, INGEST_PASSWORD) as target:
        target.load(api)
        outcome = target.check(run={"job": "qtickets_api", "user": INGEST_USER})
        assert problems(outcome) == []
        assert outcome.run["loader_run_id"] == target.run_id
        assert {row["status"] for row in outcome.reconciliation} == {"agrees"}
        assert all(row["claimed"] == row["written"] == row["held"] for row in outcome.reconciliation)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with start_simulator(tmp_path_factory.mktemp("api"), orders=40, events=3, seed=3) as running:
        yield running


def test_a_wall_clock_without_a_zone_in_its_type_is_read_in_the_declared_one(shop: Loaded) -> None:
    shop.query("CREATE TABLE clocks (id UInt8, at DateTime('UTC')) ENGINE = MergeTree ORDER BY id")
    shop.query("INSERT INTO clocks SELECT 1, toDateTime(toString(now('Asia/Tokyo')), 'UTC')")
    check = {
        "name": "fresh",
        "kind": "freshness",
        "table": "clocks",
        "column": "at",
        "limits": {"error_age_minutes": 5},
    }
    ahead = only(errors(shop.check([check], run=foreign(shop))), "data_future")
    assert "about 9 hour(s)" in str(ahead.next_step)
    assert problems(shop.check([{**check, "time_zone": "Asia/Tokyo"}], run=foreign(shop))) == []


# Tables of every kind -----------------------------------------------------------------------------------------------


def found(shop: Loaded, **check: Any) -> list[str]:
    """The causes that one check over the shop finds."""
    outcome = shop.check([{"name": "c", **check}], run=foreign(shop))
    return [finding.cause for finding in outcome.findings]


def test_names_that_need_quotes_get_them(shop: Loaded) -> None:
    """Dashes, dots, spaces, words of the grammar, letters beyond ASCII; each check once on good rows, once on bad."""
    shop.query(
        "CREATE TABLE `my.orders` (`order-id` UInt64, `created.at` DateTime DEFAULT now(), `имя` String, "
        "`from` Decimal(9, 2)) ENGINE = ReplacingMergeTree ORDER BY (`order-id`, `created.at`)"
    )
    shop.query("CREATE TABLE `by-name` (`имя` String, `from` Decimal(38, 2)) ENGINE = MergeTree ORDER BY `имя`")
    shop.query("INSERT INTO `my.orders` (`order-id`, `имя`, `from`) VALUES (1, 'a', 5), (2, 'b', 6)")
    shop.query("INSERT INTO `by-name` VALUES ('a', 5), ('b', 6)")
    mine = {"column": "created.at", "within": "window"}
    checks = [
        {"kind": "volume", "this_run": mine},
        {"kind": "freshness", "column": "created.at", "limits": {"error_age_minutes": 5}, "this_run": mine},
        {"kind": "duplicates", "key": "order-id", "show": "имя"},
        {"kind": "values", "not_empty": "имя", "not_epoch": "created.at", "ranges": {"from": {"max": 10}}},
        {"kind": "referential", "column": "имя", "references": "by-name.имя"},
        {"kind": "reconciliation", "this_run": mine},
        {"kind": "existence", "columns": ["order-id", "имя"]},
    ]
    rebuilt = {"kind": "consistency", "table": "by-name", "source": "`my.orders`", "key": "имя"}
    declared = [{"name": f"c{i}", "table": "`my.orders`", **check} for i, check in enumerate(checks)]
    declared.append({"name": "rebuilt", **rebuilt, "values": {"from": "sum(`from`)"}})
    assert problems(shop.check(declared, run={})) == []

    shop.query("INSERT INTO `my.orders` VALUES (1, now() - 3, '', 50)")
    outcome = shop.check(declared, run={})
    assert {finding.cause for finding in outcome.findings} == {
        "data_duplicates", "data_empty_key", "data_out_of_range", "data_missing_reference",
    }  # fmt: skip
    assert [effect for finding in outcome.findings for effect in finding.effects if "check 'rebuilt'" in effect]
    assert all(finding.evidence.get("rows") for finding in outcome.findings)
    assert only(outcome.findings, "data_duplicates").evidence["rows"][0]["order-id"] == 1


def test_a_column_to_show_that_is_not_there_is_refused_with_the_nearest(shop: Loaded) -> None:
    buy(shop, 3)
    check = {"name": "c", "kind": "values", "table": "purchases", "not_empty": "sku", "show": ["skus"]}
    assert "the nearest name is sku" in only(shop.check([check]).findings, "data_missing_column").headline


@pytest.mark.parametrize(
    ("dropped", "causes"),
    [
        ({"bad": 1}, []),
        ({"bad": "1", "other": None}, []),
        (1, []),
        ("1", []),
        ({"bad": 2}, ["data_count_mismatch"]),
        (0, ["data_count_mismatch"]),
        (["?"], ["data_count_mismatch"]),
    ],
)
def test_metrics_of_other_loaders_are_read_as_far_as_they_go(shop: Loaded, dropped: Any, causes: list[str]) -> None:
    buy(shop, 3)
    told = {"entities": {"bought": {"fetched": "4", "kept": 3.0, "dropped": dropped}}, "written": {"purchases": "3"}}
    check = {**RECONCILED, "entity": "bought", "one_row_each": True}
    outcome = shop.check([check], run=foreign(shop, metrics=told))
    assert [finding.cause for finding in outcome.findings] == causes
    assert (outcome.reconciliation[0]["served"], outcome.reconciliation[0]["claimed"]) == (4, 3)


def test_history_that_is_no_history_does_not_matter(shop: Loaded) -> None:
    buy(shop, 3)
    at = datetime.now(UTC).strftime("%F %T")
    history = [{"at": at, "ok": True, "figures": {"purchases.rows_of_run": value}} for value in ("x", None, 3)]
    history += [{"at": at, "ok": True, "figures": None}, {"at": None}]
    check = {"name": "t", "kind": "trend", "table": "purchases", "this_run": BY_WINDOW, "limits": {"min_runs": 1}}
    assert status(shop.check([check], run=foreign(shop), history=history), "t") == "ok"


def test_null_is_a_key_like_any_other(shop: Loaded) -> None:
    shop.query("CREATE TABLE t (a Nullable(String), b UInt8) ENGINE = MergeTree ORDER BY b")
    shop.query("INSERT INTO t VALUES ('x', 1), (NULL, 2), ('y', 3)")
    assert found(shop, kind="duplicates", table="t", key="a") == []
    assert found(shop, kind="duplicates", table="t", key=["a", "b"]) == []
    shop.query("INSERT INTO t VALUES ('x', 4)")
    outcome = shop.check([{"name": "c", "kind": "duplicates", "table": "t", "key": "a", "show": "b"}])
    assert only(outcome.findings, "data_duplicates").actual == "4 row(s), 3 different key(s), 1 repeated row(s)"
    [row] = outcome.findings[0].evidence["rows"]
    assert (row["a"], row["copies"], sorted(row["b_of_copies"])) == ("x", 2, [1, 4])


def test_a_table_in_front_of_one_that_merges_is_read_with_final_too(shop: Loaded) -> None:
    shop.query(
        "CREATE MATERIALIZED VIEW newest ENGINE = ReplacingMergeTree(loaded_at) ORDER BY id AS SELECT * FROM purchases"
    )
    shop.query("CREATE MATERIALIZED VIEW every ENGINE = MergeTree ORDER BY id AS SELECT * FROM purchases")
    buy(shop, 3)
    buy(shop, 3)
    assert found(shop, kind="duplicates", table="newest", key="id") == []
    assert found(shop, kind="duplicates", table="every", key="id") == ["data_duplicates"]


def test_a_row_that_was_deleted_since_is_no_reference(shop: Loaded) -> None:
    shop.query("CREATE TABLE skus (sku String, v UInt8, gone UInt8) ENGINE = ReplacingMergeTree(v, gone) ORDER BY sku")
    shop.query("INSERT INTO skus VALUES ('0', 1, 0), ('1', 1, 0), ('2', 1, 0)")
    buy(shop, 3)
    check = {"kind": "referential", "table": "purchases", "column": "sku", "references": "skus.sku"}
    assert found(shop, **check) == []
    shop.query("INSERT INTO skus VALUES ('2', 2, 1)")
    finding = only(shop.check([{"name": "c", **check, "show": "id"}]).findings, "data_missing_reference")
    assert finding.evidence["rows"] == [{"sku": "2", "rows": 1, "id_of_rows": [2]}]


def test_not_a_number_is_no_value_and_noise_of_a_sum_no_difference(shop: Loaded) -> None:
    shop.query("CREATE TABLE f (k UInt8, m Float64) ENGINE = MergeTree ORDER BY k")
    shop.query("CREATE TABLE sums (k UInt8, m Float64) ENGINE = MergeTree ORDER BY k")
    shop.query("INSERT INTO f VALUES (1, 0.1), (1, 0.2)")
    shop.query("INSERT INTO sums VALUES (1, 0.3)")
    in_range = {"kind": "values", "table": "f", "ranges": {"m": {"min": 0, "max": 10}}}
    rebuilt = {"kind": "consistency", "table": "sums", "source": "f", "key": "k", "values": {"m": "sum(m)"}}
    for check in (in_range, {"kind": "values", "table": "f", "whole_cents": "m"}, rebuilt):
        assert found(shop, **check) == []
    shop.query("INSERT INTO f VALUES (1, 0.01), (2, nan)")
    assert found(shop, **in_range) == ["data_out_of_range"]
    assert found(shop, kind="values", table="f", whole_cents="m") == ["data_money_rounding"]
    finding = only(shop.check([{"name": "c", **rebuilt}]).findings, "data_aggregate_mismatch")
    assert finding.evidence["rows"][1]["m_expected"] == "nan"
    assert "2 of 2 group(s)" in finding.headline


def test_defects_of_different_columns_are_findings_of_their_own(shop: Loaded) -> None:
    shop.query("CREATE TABLE t (id UInt8, m Float64, w UInt8) ENGINE = MergeTree ORDER BY id")
    shop.query("INSERT INTO t VALUES (1, 1.005, 1), (2, 2.5, 250)")
    check = {"kind": "values", "table": "t", "whole_cents": "m", "not_wrapped": "w"}
    assert sorted(found(shop, **check)) == ["data_money_rounding", "data_wrapped_integer"]


def test_the_epoch_is_known_west_of_greenwich(shop: Loaded) -> None:
    shop.query("CREATE TABLE t (id UInt8, at DateTime('America/New_York')) ENGINE = MergeTree ORDER BY id")
    shop.query("INSERT INTO t VALUES (1, 0)")
    assert found(shop, kind="values", table="t", not_epoch="at") == ["data_epoch"]
    assert found(shop, kind="freshness", table="t", column="at", limits={"error_age_minutes": 5}) == ["data_epoch"]


@pytest.mark.parametrize("column_type", ["Date", "Date32", "Nullable(Date)", "DateTime", "DateTime64(6, 'Asia/Tokyo')"])
def test_rows_within_the_window_by_a_column_of_any_type(shop: Loaded, column_type: str) -> None:
    shop.query(f"CREATE TABLE t (id UInt8, at {column_type}) ENGINE = MergeTree ORDER BY id")
    check = {"kind": "volume", "table": "t", "this_run": {"column": "at", "within": "window"}}
    shop.start = ""
    shop.query("INSERT INTO t VALUES (1, now() - INTERVAL 3 DAY)")
    assert found(shop, **check) == ["data_not_from_this_run"]
    shop.query("INSERT INTO t VALUES (2, now())")
    assert found(shop, **check) == []


def test_no_row_that_a_condition_lets_through_is_not_called_an_empty_table(shop: Loaded) -> None:
    buy(shop, 3)
    check = {"name": "c", "kind": "volume", "table": "purchases", "where": "id > 5"}
    assert only(shop.check([check]).findings, "data_empty").actual == "0 rows for which id > 5"


def test_defaults_and_types_of_every_spelling(shop: Loaded) -> None:
    shop.query(
        "CREATE TABLE t (id UUID, e Enum8('it\\'s' = 1, 'b' = 2), at DateTime('UTC'), d Decimal(18, 2)) "
        "ENGINE = MergeTree ORDER BY id"
    )
    shop.query("INSERT INTO t SELECT generateUUIDv4(), 'b', now(), 1")
    rule = {"kind": "values", "table": "t", "not_default": ["id", "e", "at"]}
    same = {"kind": "existence", "table": "t", "columns": {"d": "Decimal64(2)", "at": "DateTime('UTC')"}}
    assert found(shop, **rule) == found(shop, **same) == []
    shop.query("INSERT INTO t (d) VALUES (1)")
    assert found(shop, **rule) == ["data_null_as_default"] * 3
    assert found(shop, kind="existence", table="t", columns={"d": "Decimal64(4)"}) == ["data_column_type"]


def test_a_run_record_of_another_shape(shop: Loaded) -> None:
    shop.query(
        "CREATE TABLE jobs (`job-id` String, began DateTime64(3), ended Nullable(DateTime64(3)), "
        "state Enum8('running' = 1, 'success' = 2), n Nullable(Float64)) ENGINE = MergeTree ORDER BY began"
    )
    columns = {"run_id": "job-id", "started_at": "began", "finished_at": "ended", "status": "state"}
    record = {"name": "c", "kind": "run_record", "table": "jobs", "ok": "success"}
    record["columns"] = {**columns, "rows_processed": "n"}
    shop.query("INSERT INTO jobs VALUES ('a', now64(3), now64(3), 'success', 5)")
    assert problems(shop.check([record], run={"loader_run_id": "a"})) == []
    few = {**record, "limits": {"min_rows_processed": 6}}
    assert (
        "with 5 rows processed"
        in only(shop.check([few], run={"loader_run_id": "a"}).findings, "data_run_record").headline
    )
    shop.query("INSERT INTO jobs VALUES ('b', now64(3), NULL, 'running', NULL)")
    assert "recorded as 'running'" in errors(shop.check([record], run={"loader_run_id": "b"}))[0].headline


def test_a_type_that_the_client_cannot_read_is_named_and_the_others_still_run(shop: Loaded) -> None:
    buy(shop, 3)
    odd = {"name": "odd", "kind": "sql", "query": "SELECT countState() AS s FROM purchases"}
    outcome = shop.check([odd, {"name": "rows", "kind": "volume", "table": "purchases"}])
    finding = only(outcome.findings, "data_check_failed", check="odd")
    assert "Unknown type AggregateFunction" in finding.headline
    assert "connection" not in finding.headline
    assert status(outcome, "rows") == "ok"


def test_an_expected_table_is_not_covered_by_its_namesake_elsewhere(shop: Loaded) -> None:
    buy(shop, 3)
    here = f"{shop.database}.purchases"
    assert problems(shop.check([VOLUME], run=foreign(shop, expected_tables=[here]))) == []
    outcome = shop.check([VOLUME], run=foreign(shop, expected_tables=["elsewhere.purchases"]))
    assert only(outcome.findings, "data_missing_table").object == "elsewhere.purchases"


def test_a_group_that_stands_twice_in_a_table_that_never_merges_is_told(shop: Loaded) -> None:
    buy(shop, 6)
    shop.query("CREATE TABLE totals (sku String, n UInt64, amount Float64) ENGINE = MergeTree ORDER BY sku")
    shop.query("INSERT INTO totals SELECT sku, count(), sum(amount) FROM purchases GROUP BY sku")
    check = {
        "name": "totals",
        "kind": "consistency",
        "table": "totals",
        "source": "purchases",
        "key": "sku",
        "values": {"n": "count()", "amount": "sum(amount)"},
        "money": "amount",
    }
    assert problems(shop.check([check], run=foreign(shop))) == []
    shop.query("INSERT INTO totals SELECT * FROM totals WHERE sku = '1'")
    finding = only(errors(shop.check([check], run=foreign(shop))), "data_aggregate_mismatch")
    assert "1 more than once in the table" in finding.headline
    assert finding.evidence["rows"][0]["rows_in_table"] == 2
    shop.query("TRUNCATE TABLE totals")
    shop.query("INSERT INTO totals SELECT sku, count(), sum(amount) + 0.25 FROM purchases GROUP BY sku")
    only(errors(shop.check([check], run=foreign(shop))), "data_money_rounding")


# Scans --------------------------------------------------------------------------------------------------------------


def test_all_checks_of_one_table_are_one_query_and_one_more_with_final(engine: Engine, api: Running) -> None:
    with fresh_database(engine, INGEST_USER, INGEST_PASSWORD) as target:
        target.load(api)
        kinds = ("volume", "freshness", "duplicates", "values", "reconciliation", "trend")
        checks = [check for check in role_checks()[0] if check["table"] == ORDERS and check["kind"] in kinds]
        outcome = target.check(checks)
        assert problems(outcome) == []
        engine.flush_logs()
        queries = engine.query(
            "SELECT query FROM system.query_log WHERE type = 'QueryFinish' AND log_comment LIKE '%check%'"
            f" AND position(query, '`{target.database}`.`{ORDERS}`') AND query NOT LIKE '%query_log%'"
            " AND log_comment NOT LIKE '%ledger%'"
        )
        assert len(queries) == 2, queries
        assert sum(" FINAL" in query for (query,) in queries) == 1


# Trend --------------------------------------------------------------------------------------------------------------


def history(rows: int, weeks: int, *, weekday_shift: int = 0, ok: bool = True) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    return [
        {
            "at": f"{now - timedelta(weeks=week + 1, days=weekday_shift):%F %T}",
            "ok": ok,
            "figures": {"purchases.rows_of_run": rows},
        }
        for week in range(weeks)
    ]


@pytest.mark.parametrize(
    ("past", "expected"),
    [
        (history(100, 4), "warning"),
        (history(12, 4), "ok"),
        (history(100, 3), "skipped"),
        (history(100, 9, weekday_shift=1), "skipped"),
        (history(100, 9, ok=False), "skipped"),
        # Eleven runs of one day are one day.
        (history(100, 1) * 11, "skipped"),
        ([{"at": "nonsense", "figures": {}}, {}], "skipped"),
    ],
)
def test_a_volume_far_from_the_same_weekdays_median_is_a_warning(
    shop: Loaded, past: list[dict[str, Any]], expected: str
) -> None:
    buy(shop, 10)
    trend = {"name": "usual", "kind": "trend", "table": "purchases", "this_run": BY_WINDOW}
    outcome = shop.check([trend], run=foreign(shop), history=past)
    assert status(outcome, "usual") == expected
    assert errors(outcome) == []
    assert outcome.history_entry["figures"]["purchases.rows_of_run"] == 10
    if expected == "warning":
        assert "median of 4" in only(outcome.findings, "data_trend").headline


# The module ---------------------------------------------------------------------------------------------------------


def test_the_module_passes_fails_and_never_changes(
    shop: Loaded, login: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    buy(shop, 5)
    args: dict[str, Any] = {**login, "database": shop.database, "checks": [VOLUME], "run": foreign(shop)}
    passed = run_module("clickhouse_checks", args, capsys)
    assert (passed["changed"], passed.get("failed", False)) == (False, False)
    assert passed["ledger_data"]["summary"].startswith("1 checks: 1 ok")
    assert run_module("clickhouse_checks", {**args, "_ansible_check_mode": True}, capsys)["checks"][0]["status"] == "ok"

    wanting = {**args, "checks": [{**VOLUME, "limits": {"min_rows": 6}}]}
    failed = run_module("clickhouse_checks", wanting, capsys)
    assert failed["failed"]
    assert "ERROR [data_too_few]" in failed["msg"]
    assert failed["findings"][0]["cause"] == "data_too_few"
    assert not run_module("clickhouse_checks", {**wanting, "fail_on": "never"}, capsys).get("failed", False)


def test_a_wrong_declaration_is_refused_before_anything_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    args = {"login_port": 1, "database": "d", "checks": [VOLUME, {**VOLUME, "kind": "volum", "name": "x"}]}
    failed = run_module("clickhouse_checks", args, capsys)
    assert failed["msg"].startswith("verify_data_checks[1].kind: expected one of existence, volume")
    assert "did you mean volume?" in failed["msg"]


def test_history_lines_that_are_cut_do_not_matter() -> None:
    good = {"at": "2026-11-23 00:00:00", "figures": {}}
    lines = [json.dumps(good), '{"at": "2026-', '{"at": {"at": 1}', "[1]", "", '{"figures": 3}']
    assert read_request({"database": "d", "checks": [], "history_lines": lines}).history == [good]


def test_a_run_that_makes_no_sense_is_refused() -> None:
    window = {"from": "2026-11-23 05:00:00", "to": "2026-11-23 04:00:00"}
    with pytest.raises(DeclarationError, match=r"run\.window: expected from before to"):
        read_request({"database": "d", "checks": [], "run": {"window": window}})
    with pytest.raises(DeclarationError, match=r"run\.window\.from: expected a time such as"):
        read_request({"database": "d", "checks": [], "run": {"window": {"from": "yesterday"}}})
    with pytest.raises(DeclarationError, match=r"run\.run_id: not known"):
        read_request({"database": "d", "checks": [], "run": {"run_id": str(uuid.uuid4())}})


# The how-to ---------------------------------------------------------------------------------------------------------

HOW_TO = (ROOT / "docs/how-to/add-your-own-check.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", HOW_TO, re.DOTALL)
    assert found
    return found[1]


def test_the_how_tos_worked_example_does_what_it_says(engine: Engine, api: Running) -> None:
    checks = yaml.safe_load(block("yaml"))["verify_data_extra_checks"]
    with fresh_database(engine, INGEST_USER, INGEST_PASSWORD) as target:
        target.load(api)
        target.query(block("sql").rstrip().rstrip(";"))
        event = target.query("SELECT min(event_id) FROM dim_events")[0][0]
        rows = f"('SPRING', '{event}', 15, 1), ('SUMMER', '{event}', 20, 0), ('WINTER', '{event}', 0, 0)"
        target.query(f"INSERT INTO promo_codes (code, event_id, discount, used) VALUES {rows}")
        target.end = target.now()
        assert problems(target.check(checks)) == []

        target.query("ALTER TABLE promo_codes UPDATE discount = 150 WHERE code = 'SPRING' SETTINGS mutations_sync = 2")
        failed = render_failure(target.check(checks).findings)
        assert failed.replace(target.database, "zakaz") == block("text").rstrip()

        target.query("ALTER TABLE promo_codes UPDATE used = 900000 WHERE code = 'SUMMER' SETTINGS mutations_sync = 2")
        target.query("INSERT INTO promo_codes (code, event_id, discount, used) VALUES ('LOST', 'nobody', 1, 0)")
        outcome = target.check(checks)
        assert only(outcome.findings, "data_rule_broken").evidence["rows"][0]["event_id"] == event
        assert only(outcome.findings, "data_missing_reference").severity == "warning"


def test_the_how_to_names_every_kind_with_its_options_and_limits() -> None:
    lines = {line.split("`")[1]: line for line in HOW_TO.splitlines() if line.startswith("| `")}
    for name, kind in KINDS.items():
        missing = [word for word in (*kind.options, *kind.limits) if f"`{word}`" not in lines[name]]
        assert not missing, (name, missing)
