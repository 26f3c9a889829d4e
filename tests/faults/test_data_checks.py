"""Section F of the failure catalogue: written, and wrong. Each fault is played over data that the real loader wrote,
and each test first sees the same data pass."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest

from embedded.testing import Engine
from simulator.testing import Running, start_simulator
from tests.conftest import INGEST_PASSWORD, INGEST_USER
from tests.data_checks import (
    INVENTORY,
    JOB,
    LATEST,
    ORDERS,
    SALES,
    Loaded,
    errors,
    fresh_database,
    only,
    problems,
    status,
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with start_simulator(tmp_path_factory.mktemp("api"), orders=60, events=4, seed=5) as running:
        yield running


@pytest.fixture
def empty(engine: Engine) -> Iterator[Loaded]:
    with fresh_database(engine, INGEST_USER, INGEST_PASSWORD) as target:
        yield target


@pytest.fixture(scope="module")
def original(engine: Engine, api: Running) -> Iterator[Loaded]:
    """What the real loader wrote."""
    with fresh_database(engine, INGEST_USER, INGEST_PASSWORD) as target:
        target.load(api)
        yield target


@pytest.fixture
def loaded(empty: Loaded, original: Loaded) -> Loaded:
    """The healthy twin: the loader's rows, in a database of the test's own, pass every check."""
    original.copy_to(empty)
    outcome = empty.check()
    assert problems(outcome) == []
    assert {check["status"] for check in outcome.checks} == {"ok", "skipped"}
    return empty


def change(loaded: Loaded, table: str, assignment: str, condition: str = "1") -> None:
    loaded.query(f"ALTER TABLE {table} UPDATE {assignment} WHERE {condition} SETTINGS mutations_sync = 2")


def rewrite_record(loaded: Loaded, **changed: str) -> None:
    """Put another record in the place of the run's own, without a mutation."""
    names = ("job", "run_id", "started_at", "finished_at", "status", "rows_processed", "message", "metrics")
    columns = ", ".join(f"{changed[name]} AS {name}" if name in changed else name for name in names)
    loaded.query(f"CREATE TABLE kept ENGINE = Memory AS SELECT {columns} FROM meta_job_runs")
    loaded.query("TRUNCATE TABLE meta_job_runs")
    loaded.query(f"INSERT INTO meta_job_runs ({', '.join(names)}) SELECT {', '.join(names)} FROM kept")


# 45, 48: nothing there ----------------------------------------------------------------------------------------------


def test_45_a_run_that_is_ok_with_no_orders_is_named(empty: Loaded, api: Running) -> None:
    api.faults([{"fault": "empty", "path": "/orders"}])
    try:
        empty.load(api)
    finally:
        api.faults([])
    outcome = empty.check()
    finding = only(errors(outcome), "data_empty", check="orders staged")
    assert finding.object == f"{empty.database}.{ORDERS}"
    assert finding.actual == "0 rows, the table is empty"
    assert finding.expected == "at least 1 row(s) of this run"
    assert status(outcome, "inventory staged") == "ok"


def test_45_a_record_of_zero_rows_is_named(loaded: Loaded) -> None:
    rewrite_record(loaded, rows_processed="toUInt64(0)")
    finding = only(errors(loaded.check()), "data_run_record")
    assert finding.object == f"{loaded.database}.meta_job_runs"
    assert "with 0 rows processed" in finding.headline
    assert finding.evidence["rows"][0]["run_id"] == loaded.run_id


def test_48_an_empty_table_is_called_empty_and_never_1970(loaded: Loaded) -> None:
    loaded.query(f"TRUNCATE TABLE {INVENTORY}")
    outcome = loaded.check()
    finding = outcome.findings[0]
    assert (finding.cause, finding.object) == ("data_rows_taken", f"{loaded.database}.{INVENTORY}")
    assert f"TRUNCATE TABLE {INVENTORY}, by user admin" in finding.headline
    assert any("is empty, so it has no newest snapshot_ts" in effect for effect in finding.effects)
    assert any("the table holds 0 of this run" in effect for effect in finding.effects)
    assert not [line for finding in outcome.findings for line in (finding.headline, *finding.effects) if "1970" in line]
    shown = next(item for item in outcome.overview if item["name"].startswith("Staging"))
    assert {row["newest"] for row in shown["rows"] if row["table"] == INVENTORY} == {"empty"}


# 46: counts ---------------------------------------------------------------------------------------------------------


def test_46_rows_processed_that_the_server_did_not_write(loaded: Loaded) -> None:
    rewrite_record(loaded, rows_processed="rows_processed + 100")
    finding = only(errors(loaded.check()), "data_count_mismatch")
    assert finding.object == f"{loaded.database}.meta_job_runs"
    right = loaded.query("SELECT rows_processed - 100 FROM meta_job_runs")[0][0]
    assert f"the server wrote {right}" in str(finding.actual)
    assert f"rows_processed {right + 100}" in str(finding.expected)
    assert finding.evidence["rows"][0]["rows_processed"] == right + 100


def test_46_rows_that_are_gone_again(loaded: Loaded) -> None:
    loaded.query(f"DELETE FROM {ORDERS} WHERE order_id IN (SELECT order_id FROM {ORDERS} ORDER BY order_id LIMIT 2)")
    outcome = loaded.check()
    finding = only(errors(outcome), "data_count_mismatch", check="orders reconciled")
    row = next(row for row in outcome.reconciliation if row["entity"] == "orders")
    assert (row["kept"], row["claimed"], row["written"]) == (row["held"] + 2,) * 3
    assert finding.object == f"{loaded.database}.{ORDERS}"
    assert "INSERT" in str(finding.next_step).upper()
    assert row["status"] == "differs"
    assert any("disagree with" in effect for effect in finding.effects)
    assert len(errors(outcome)) <= 2


def test_46_orders_that_the_api_served_and_nobody_accounts_for(loaded: Loaded) -> None:
    rewrite_record(loaded, metrics="replaceRegexpOne(metrics, '\"fetched\": (\\\\d+)', '\"fetched\": 9\\\\1')")
    finding = only(errors(loaded.check()), "data_count_mismatch", check="orders reconciled")
    assert "unaccounted for" in finding.headline


def test_46_a_claim_above_what_the_server_wrote(loaded: Loaded) -> None:
    claimed = rf"replaceRegexpOne(metrics, '\"{ORDERS}\": (\\d+)', '\"{ORDERS}\": 9\\1')"
    rewrite_record(loaded, metrics=claimed)
    finding = only(errors(loaded.check()), "data_count_mismatch")
    assert finding.object == f"{loaded.database}.{ORDERS}"
    assert any("the server wrote" in effect for effect in finding.effects)


def test_46_a_block_sent_twice_is_a_warning_while_final_is_right(loaded: Loaded) -> None:
    columns = "order_id, event_id, city, sale_ts, tickets_sold, revenue, currency, _ver, _dedup_key"
    client = loaded.engine.client(loaded.user, loaded.password, database=loaded.database)
    client.execute(
        f"INSERT INTO {ORDERS} ({columns}) SELECT {columns} FROM {ORDERS} FINAL LIMIT 7",
        settings={"log_comment": f'{{"run_id": "{loaded.run_id}", "job": "{JOB}"}}'},
    )
    client.disconnect()
    loaded.end = loaded.now()
    outcome = loaded.check()
    assert errors(outcome) == []
    assert "more than once" in only(outcome.findings, "data_count_mismatch", check="orders reconciled").headline


# 47: another run's rows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recorded", [False, True], ids=["without a record", "recorded as ok"])
def test_47_fresh_rows_of_an_earlier_run_are_not_this_runs(loaded: Loaded, recorded: bool) -> None:
    loaded.run_id, loaded.start = str(uuid.uuid4()), loaded.end
    if recorded:
        loaded.query(
            f"INSERT INTO meta_job_runs SELECT '{JOB}', '{loaded.run_id}', now(), now(), 'ok', 60, '', "
            """'{"ver": 17, "entities": {}, "written": {}}'"""
        )
    loaded.end = loaded.now()
    outcome = loaded.check()
    finding = outcome.findings[0]
    assert (finding.cause, finding.object) == ("data_not_from_this_run", f"{loaded.database}.{ORDERS}")
    assert finding.evidence["rows"]
    assert "0 row" in str(finding.actual)
    assert "system.query_log" in str(finding.next_step)
    for said in ("looks fresh, but no row is from this run", f"{LATEST} holds", f"{SALES} holds"):
        assert any(said in effect for effect in finding.effects), finding.effects
    others = [finding.cause for finding in errors(outcome)[1:]]
    assert others == ([] if recorded else ["data_run_record"])


# Freshness ----------------------------------------------------------------------------------------------------------


def test_old_rows_are_stale(loaded: Loaded) -> None:
    change(loaded, ORDERS, "sale_ts = sale_ts - INTERVAL 10 DAY")
    finding = only(errors(loaded.check()), "data_stale")
    assert "10 day(s) old" in finding.headline
    assert "Europe/Moscow" in str(finding.actual)
    assert " UTC" in str(finding.actual)


@pytest.mark.row(35)
def test_rows_as_old_as_their_zone_is_ahead_point_to_utc_read_as_local(loaded: Loaded) -> None:
    change(loaded, ORDERS, "sale_ts = now() - INTERVAL 3 HOUR")
    check = {
        "name": "fresh", "kind": "freshness", "table": ORDERS, "column": "sale_ts",
        "limits": {"error_age_minutes": 60},
    }  # fmt: skip
    finding = only(errors(loaded.check([check])), "data_stale")
    assert "UTC times sent as text without a zone and read as Europe/Moscow" in str(finding.next_step)
    change(loaded, ORDERS, "sale_ts = now() - INTERVAL 5 HOUR")
    finding = only(errors(loaded.check([check])), "data_stale")
    assert "UTC times" not in str(finding.next_step)


def test_missing_rows_name_what_the_ingest_went_on_after(loaded: Loaded) -> None:
    check = {"name": "orders", "kind": "volume", "table": ORDERS, "limits": {"min_rows": 100000}}
    swallowed = "The ingest's own code failed with ValueError: 'x' at load.py:21."
    finding = only(errors(loaded.check([check], run=loaded.run(suspects=[swallowed]))), "data_too_few")
    assert str(finding.next_step).startswith(f"First mend what the ingest met and went on after:\n- {swallowed}\n")
    finding = only(
        errors(loaded.check([check], run={"user": "loader", "loader_run_id": "no-log-comment"})), "data_too_few"
    )
    assert "user = 'loader' AND (event_time >= " in str(finding.next_step)
    assert "no-log-comment" not in str(finding.next_step)


@pytest.mark.row(35)
def test_rows_a_few_hours_ahead_point_to_a_time_zone(loaded: Loaded) -> None:
    hours = "INTERVAL 3 HOUR"
    newest = f"sale_ts = (SELECT max(sale_ts) FROM {ORDERS})"
    change(loaded, ORDERS, f"sale_ts = now() + {hours}", newest)
    finding = only(errors(loaded.check()), "data_future")
    assert "1 row(s) lie in the future" in finding.headline
    assert "time zone" in str(finding.next_step)
    assert len(finding.evidence["rows"]) == 1


def test_rows_without_a_time_are_no_fresh_rows(loaded: Loaded) -> None:
    change(loaded, INVENTORY, "tickets_left = 0")
    loaded.query(f"CREATE TABLE i2 AS {INVENTORY}")
    loaded.query(f"INSERT INTO i2 SELECT * REPLACE (toDateTime(0, 'Europe/Moscow') AS snapshot_ts) FROM {INVENTORY}")
    loaded.query(f"EXCHANGE TABLES i2 AND {INVENTORY}")
    outcome = loaded.check()
    finding = only(errors(outcome), "data_epoch", check="inventory fresh")
    assert "1970-01-01" in finding.headline
    assert "is empty" not in finding.headline
    only(errors(outcome), "data_epoch", check="inventory values")


# 49, 50: doubled and disagreeing ------------------------------------------------------------------------------------


def test_49_an_order_doubled_by_a_changed_price(loaded: Loaded) -> None:
    loaded.query(
        f"INSERT INTO {ORDERS} SELECT * REPLACE (revenue + 1 AS revenue, "
        f"substring(hex(MD5(order_id)), 1, 32) AS _dedup_key, _ver - 1 AS _ver) FROM {ORDERS} ORDER BY order_id LIMIT 3"
    )
    finding = only(errors(loaded.check()), "data_duplicates")
    assert finding.object == f"{loaded.database}.{ORDERS}"
    assert "3 row(s) repeat a key" in finding.headline
    assert "order_id, event_id" in str(finding.expected)
    assert [row["copies"] for row in finding.evidence["rows"]] == [2, 2, 2]
    assert set(finding.evidence["rows"][0]) == {"order_id", "event_id", "copies", "versions"}


def test_49_versions_that_wait_for_a_merge_are_no_duplicates(loaded: Loaded, api: Running) -> None:
    loaded.query(f"SYSTEM STOP MERGES {ORDERS}")
    loaded.load(api)
    outcome = loaded.check()
    assert problems(outcome) == []
    once = next(check for check in outcome.checks if check["name"] == "each order once")
    raw, final = (int(number) for number in re.findall(r"(\d+)(?: row\(s\)| with FINAL)", once["actual"])[:2])
    assert raw > final > 0


def test_49_the_share_that_waits_for_a_merge_has_a_limit(loaded: Loaded, api: Running) -> None:
    loaded.query(f"SYSTEM STOP MERGES {ORDERS}")
    loaded.load(api)
    check = {"name": "merged", "kind": "duplicates", "table": ORDERS, "key": ["_dedup_key"]}
    assert problems(loaded.check([{**check, "limits": {"max_unmerged_share": 0.5}}])) == []
    finding = only(loaded.check([{**check, "limits": {"max_unmerged_share": 0.4}}]).findings, "data_unmerged")
    assert finding.severity == "warning"


def test_50_a_day_rewritten_from_a_part_of_its_orders(loaded: Loaded) -> None:
    loaded.query(
        f"INSERT INTO {SALES} SELECT sales_date, event_id, city, toUInt32(tickets_sold / 2), revenue / 2, _ver + 1 "
        f"FROM {SALES} FINAL WHERE tickets_sold > 1 ORDER BY event_id LIMIT 1"
    )
    outcome = loaded.check()
    finding = only(errors(outcome), "data_aggregate_mismatch")
    assert finding.object == f"{loaded.database}.{SALES}"
    assert "1 with other values" in finding.headline
    row = finding.evidence["rows"][0]
    assert row["tickets_sold_expected"] > row["tickets_sold_actual"]
    assert float(row["revenue_expected"]) > float(row["revenue_actual"])
    assert "FINAL" in str(finding.next_step)
    assert loaded.query(finding.evidence["rows_sql"])


def test_50_a_day_that_is_missing_and_a_day_that_nobody_sold(loaded: Loaded) -> None:
    loaded.query(
        f"DELETE FROM {SALES} WHERE (event_id, sales_date) IN "
        f"(SELECT event_id, sales_date FROM {SALES} WHERE tickets_sold > 0 ORDER BY event_id LIMIT 1)"
    )
    loaded.query(f"INSERT INTO {SALES} SELECT sales_date, 'nobody', '', 3, 10, _ver FROM {SALES} LIMIT 1")
    finding = only(errors(loaded.check()), "data_aggregate_mismatch")
    assert "1 not in the table, 1 not in the source" in finding.headline


def test_50_zero_for_a_group_that_lost_its_orders_is_right(loaded: Loaded) -> None:
    loaded.query(f"INSERT INTO {SALES} SELECT sales_date, 'nobody', '', 0, 0, _ver FROM {SALES} LIMIT 1")
    assert problems(loaded.check()) == []


def test_50_the_latest_inventory_that_is_not_the_newest(loaded: Loaded, api: Running) -> None:
    loaded.query(
        f"INSERT INTO {LATEST} SELECT * REPLACE (snapshot_ts - INTERVAL 1 DAY AS snapshot_ts, _ver + 1 AS _ver) "
        f"FROM {LATEST} FINAL ORDER BY event_id LIMIT 1"
    )
    finding = only(errors(loaded.check()), "data_aggregate_mismatch")
    assert finding.object == f"{loaded.database}.{LATEST}"
    assert finding.evidence["rows"][0]["snapshot_ts_expected"] > finding.evidence["rows"][0]["snapshot_ts_actual"]


def test_a_dashboard_that_loses_sales(loaded: Loaded) -> None:
    change(loaded, "dim_events", "city = 'elsewhere'")
    loaded.query(
        "CREATE OR REPLACE VIEW v_qtickets_sales_dashboard AS SELECT e.event_id AS event_id, "
        "s.t AS tickets_sold_14d, s.r AS revenue_14d FROM dim_events AS e LEFT JOIN (SELECT event_id, city, "
        f"sum(tickets_sold) AS t, sum(revenue) AS r FROM {ORDERS} FINAL GROUP BY event_id, city) AS s "
        "ON s.event_id = e.event_id AND s.city = e.city"
    )
    finding = only(errors(loaded.check()), "data_rule_broken")
    assert finding.evidence["check"] == "dashboard loses no sale"
    assert finding.evidence["rows"][0]["tickets_shown"] == 0


# 51: values ---------------------------------------------------------------------------------------------------------


def test_51_a_negative_number_that_wrapped(loaded: Loaded) -> None:
    first = f"order_id = (SELECT min(order_id) FROM {ORDERS})"
    change(loaded, ORDERS, "tickets_sold = toUInt32(-1)", first)
    outcome = loaded.check()
    finding = only(errors(outcome), "data_wrapped_integer")
    assert outcome.findings[0] is finding
    assert any("the loader read" in effect for effect in finding.effects)
    assert finding.object == f"{loaded.database}.{ORDERS}"
    assert finding.evidence["rows"][0]["tickets_sold"] == 2**32 - 1
    assert "1 of" in finding.headline


def test_51_a_sum_that_is_short_by_a_power_of_two(loaded: Loaded) -> None:
    change(loaded, ORDERS, "tickets_sold = tickets_sold + 256", f"order_id = (SELECT min(order_id) FROM {ORDERS})")
    finding = only(errors(loaded.check()), "data_wrapped_integer", check="orders reconciled")
    assert "(difference 256)" in str(finding.actual)


def test_51_money_rounded_to_whole_units(loaded: Loaded) -> None:
    change(loaded, ORDERS, "revenue = round(revenue)")
    finding = only(errors(loaded.check()), "data_money_rounding", check="orders reconciled")
    assert "revenue" in finding.headline
    assert "Decimal" in str(finding.next_step)


def test_51_money_in_a_small_float(loaded: Loaded) -> None:
    check = {"name": "cents", "kind": "values", "table": "prices", "whole_cents": "price"}
    for column, causes in (("Float64", []), ("Decimal(18, 2)", []), ("Float32", ["data_money_rounding"])):
        loaded.query(f"CREATE OR REPLACE TABLE prices (id UInt8, price {column}) ENGINE = MergeTree ORDER BY id")
        loaded.query("INSERT INTO prices SELECT 1, 123456.78 UNION ALL SELECT 2, 0.1")
        assert [finding.cause for finding in loaded.check([check]).findings] == causes


def test_51_a_null_stored_as_zero(loaded: Loaded) -> None:
    change(loaded, INVENTORY, "tickets_total = 0", f"event_id = (SELECT min(event_id) FROM {INVENTORY})")
    outcome = loaded.check()
    assert only(outcome.findings, "data_null_as_default").severity == "warning"
    assert "tickets_left <= tickets_total" in str(only(errors(outcome), "data_rule_broken").expected)


def test_51_a_column_that_cannot_hold_null(loaded: Loaded) -> None:
    loaded.query(f"ALTER TABLE {INVENTORY} MODIFY COLUMN tickets_total UInt32 DEFAULT 0")
    finding = only(errors(loaded.check()), "data_column_type")
    assert (finding.expected, finding.actual) == ("column tickets_total Nullable(UInt32)", "UInt32")


def test_an_event_that_the_dimension_does_not_have(loaded: Loaded) -> None:
    event = loaded.query(f"SELECT min(event_id) FROM {ORDERS}")[0][0]
    loaded.query(f"DELETE FROM dim_events WHERE event_id = '{event}'")
    finding = only(errors(loaded.check()), "data_missing_reference", check="orders name known events")
    assert finding.evidence["rows"][0]["event_id"] == event
    assert "dim_events.event_id" in str(finding.expected)


@pytest.mark.parametrize(
    ("assignment", "cause"),
    [("revenue = -5", "data_out_of_range"), ("event_id = ''", "data_empty_key"), ("sale_ts = 0", "data_epoch")],
)
def test_values_that_cannot_be(loaded: Loaded, assignment: str, cause: str) -> None:
    change(loaded, ORDERS, assignment, f"order_id = (SELECT min(order_id) FROM {ORDERS})")
    finding = only(errors(loaded.check()), cause, check="order values")
    assert len(finding.evidence["rows"]) == 1
    assert not {"client_id", "email", "phone", "name"} & set(finding.evidence["rows"][0])


# 52: the run record -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"finished_at": "toDateTime(0, 'Europe/Moscow')"}, "without a time at which it finished"),
        ({"finished_at": "started_at - 60"}, "before it started"),
        ({"status": "'failed'"}, "recorded as 'failed'"),
        ({"status": "'running'"}, "recorded as 'running'"),
        ({"run_id": "generateUUIDv4()"}, "no row for this run"),
    ],
)
def test_52_a_record_that_is_not_right(loaded: Loaded, changed: dict[str, str], said: str) -> None:
    rewrite_record(loaded, **changed)
    finding = only(errors(loaded.check()), "data_run_record")
    assert said in finding.headline
    assert finding.object == f"{loaded.database}.meta_job_runs"
    assert finding.evidence["rows"]


def test_52_a_failed_row_that_a_retry_wrote_over(loaded: Loaded) -> None:
    loaded.query("INSERT INTO meta_job_runs SELECT * REPLACE ('failed' AS status) FROM meta_job_runs")
    finding = only(errors(loaded.check()), "data_run_record")
    assert "2 rows for one run" in finding.headline
    assert {row["status"] for row in finding.evidence["rows"]} == {"ok", "failed"}


def test_52_a_failed_run_right_before_its_retry_is_mentioned(loaded: Loaded) -> None:
    loaded.query(
        "INSERT INTO meta_job_runs SELECT * REPLACE ('failed' AS status, generateUUIDv4() AS run_id) FROM meta_job_runs"
    )
    outcome = loaded.check()
    assert errors(outcome) == []
    assert "1 other run(s) of this job" in only(outcome.findings, "data_run_record").headline


def test_52_a_record_changed_in_place_is_mentioned(loaded: Loaded) -> None:
    change(loaded, "meta_job_runs", "message = ''")
    loaded.end = loaded.now()
    assert "changed in place" in only(loaded.check().findings, "data_run_record").headline


def test_an_earlier_run_left_open_is_mentioned(loaded: Loaded) -> None:
    loaded.query(
        "INSERT INTO meta_job_runs SELECT * REPLACE ('running' AS status, generateUUIDv4() AS run_id, "
        "started_at - 86400 AS started_at, toDateTime(0) AS finished_at) FROM meta_job_runs"
    )
    outcome = loaded.check()
    assert errors(outcome) == []
    assert "left open" in only(outcome.findings, "data_run_record").headline


# Two partial days with refunds in between ---------------------------------------------------------------------------


def test_two_partial_days_with_refunds_between_them_are_exact(empty: Loaded, api: Running) -> None:
    try:
        empty.load(api, QTICKETS_SINCE_HOURS="20")
        assert problems(empty.check()) == []
        sold = [order for order in api.truth()["orders"] if order["tickets_sold"] > 1][:3]
        for order in sold:
            api.admin("POST", f"orders/{order['order_id']}", {"refund": True})
        empty.load(api, QTICKETS_SINCE_HOURS="3")
        outcome = empty.check()
        assert problems(outcome) == []
        days = next(check for check in outcome.checks if check["name"] == "daily sales equal their orders")
        assert days["rows"] > 0
        refunded = ", ".join(f"'{order['order_id']}'" for order in sold)
        left = empty.query(f"SELECT sum(tickets_sold), sum(revenue) FROM {ORDERS} FINAL WHERE order_id IN ({refunded})")
        assert [float(value) for value in left[0]] == [0, 0]
        facts = empty.query(f"SELECT sum(tickets_sold), sum(revenue) FROM {SALES} FINAL")
        assert facts == empty.query(f"SELECT sum(tickets_sold), sum(revenue) FROM {ORDERS} FINAL")
    finally:
        api.admin("POST", "reset")
