"""The loader from the API to the tables: exact, repeatable, correcting, and failed where it has to fail."""

from __future__ import annotations

import functools
import json
import re
import time
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from qtickets_api.progress import Progress

from embedded.testing import Engine
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
    expected_orders,
    expected_sales,
    make_database,
    normal,
)

LATER = "2026-11-20T18:00:00+03:00"


def order_ids(api: Running, **wanted: Any) -> list[int]:
    rows = api.truth(FROM, TO)["orders"]
    return [row["order_id"] for row in rows if all(row[key] == value for key, value in wanted.items())]


# Exact


def test_tables_hold_what_the_source_holds(api: Running, target: Target, load: Load) -> None:
    result = load(api, target)
    assert result.status == 0, result.log
    truth = api.truth(FROM, TO)
    assert_exact(target, truth)
    events = target.query(
        "SELECT toUInt32(event_id), event_name, city, tickets_total, tickets_left"
        " FROM stg_qtickets_api_inventory_raw ORDER BY 1"
    )
    wanted = [
        tuple(e[k] for k in ("event_id", "name", "city", "tickets_total", "tickets_left")) for e in truth["events"]
    ]
    assert events == sorted(wanted)
    latest = (
        "SELECT toUInt32(event_id), event_name, city, tickets_total, tickets_left FROM fact_qtickets_inventory_latest"
    )
    assert target.query(f"{latest} FINAL ORDER BY 1") == sorted(wanted)
    dim = target.query(
        "SELECT toUInt32(event_id), event_name, city, toString(start_date), toString(end_date), tickets_total"
        " FROM dim_events FINAL ORDER BY 1"
    )
    assert dim == sorted(
        (e["event_id"], e["name"], e["city"], e["start_date"], e["end_date"], e["tickets_total"] or 0)
        for e in truth["events"]
    )


def test_the_record_and_the_metrics_agree_with_the_tables(api: Running, target: Target, load: Load) -> None:
    run_id = "0b0f2e6e-7c3a-4f0e-9a55-0d5f6a0c1d11"
    result = load(api, target, RUN_ID=run_id)
    [record] = target.query(
        "SELECT job, toString(run_id), status, rows_processed, message, metrics, finished_at >= started_at"
        " FROM meta_job_runs"
    )
    metrics = json.loads(record[5])
    staged = target.query("SELECT count() FROM stg_qtickets_api_orders_raw")[0][0]
    inventory = target.query("SELECT count() FROM stg_qtickets_api_inventory_raw")[0][0]
    assert record[:5] == ("qtickets_api", run_id, "ok", staged + inventory, "")
    assert record[6]
    truth = api.truth(FROM, TO)["totals"]
    orders = metrics["entities"]["orders"]
    assert orders["kept"] == truth["orders"] == staged
    assert orders["dropped"]["deleted"] == truth["cancelled"]
    assert orders["fetched"] == orders["kept"] + sum(orders["dropped"].values())
    assert metrics["sums"] == {"tickets_sold": truth["tickets_sold"], "revenue": truth["revenue"]}
    assert metrics["written"]["stg_qtickets_api_orders_raw"] == staged
    assert metrics["http"]["calls"] == len(api.requests())
    assert target.query("SELECT DISTINCT _ver FROM stg_qtickets_api_orders_raw") == [(metrics["ver"],)]
    assert result.outcome["run_id"] == run_id
    assert result.outcome["cause"] is None


def test_every_statement_carries_the_run(api: Running, target: Target, load: Load, engine: Engine) -> None:
    run_id = load(api, target).outcome["run_id"]
    engine.flush_logs()
    rows = engine.query(
        "SELECT log_comment, query FROM system.query_log WHERE type = 'QueryStart' AND user = 'loader'"
        " AND event_time_microseconds >= (SELECT min(event_time_microseconds) FROM system.query_log"
        f" WHERE log_comment LIKE '%{run_id}%')"
    )
    assert len(rows) > 10
    assert {json.loads(comment)["run_id"] for comment, _ in rows} == {run_id}
    assert {json.loads(comment)["job"] for comment, _ in rows} == {"qtickets_api"}
    agents = f"SELECT DISTINCT http_user_agent FROM system.query_log WHERE log_comment LIKE '%{run_id}%'"
    assert all(agent.startswith("qtickets_api/") for (agent,) in engine.query(agents))


@pytest.mark.parametrize("batch", ["1", "7", "100000"])
def test_batches_of_any_size_give_the_same(api: Running, target: Target, load: Load, batch: str) -> None:
    assert load(api, target, CLICKHOUSE_BATCH_ROWS=batch).status == 0
    assert_exact(target, api.truth(FROM, TO))


def test_dry_run_writes_nothing_and_needs_no_server(api: Running, load: Load) -> None:
    result = load(api, None, DRY_RUN="true", CLICKHOUSE_HOST="no-such-host.invalid")
    assert result.status == 0, result.log
    assert result.orders["kept"] == api.truth(FROM, TO)["totals"]["orders"]
    assert result.metrics["sums"]["revenue"] == api.truth(FROM, TO)["totals"]["revenue"]
    assert result.metrics["written"] == {}


def test_money_with_fractions_stays_exact(api: Running, target: Target, load: Load) -> None:
    baskets = [{"price": "0.10", "quantity": 3}, {"price": "0.70", "quantity": 1}]
    specs = [{"payed_at": "2026-11-20T12:00:00+03:00", "baskets": baskets}] * 33
    api.admin("POST", "orders", specs)
    load(api, target, "--from", "2026-11-20T11:59:59+03:00", "--to", "2026-11-20T12:00:01+03:00")
    assert_exact(target, api.truth("2026-11-20T11:59:59+03:00", "2026-11-20T12:00:01+03:00"))


def test_a_float_schema_is_served_as_well(api: Running, engine: Engine, accounts: Any, load: Load) -> None:
    """Production's own columns: revenue Float64, DateTime without a time zone."""
    schema = SCHEMA.replace("Decimal(18, 2)", "Float64").replace("DateTime('Europe/Moscow')", "DateTime")
    target = make_database(engine, "loader", accounts["loader"]["password"], schema)
    assert load(api, target).status == 0
    assert_exact(target, api.truth(FROM, TO))
    assert load(api, target).status == 0
    assert_exact(target, api.truth(FROM, TO))


# Again, overlapping, corrected


def test_the_same_window_again_changes_no_figure(api: Running, target: Target, load: Load) -> None:
    load(api, target)
    before = target.query(ORDERS), target.query(SALES)
    result = load(api, target)
    assert result.status == 0
    assert (target.query(ORDERS), target.query(SALES)) == before
    assert target.statuses() == {"ok": 2}


def test_partial_days_and_overlaps_leave_the_days_right(api: Running, target: Target, load: Load) -> None:
    cuts = ["2026-11-19T15:30:00+03:00", "2026-11-19T23:10:00+03:00", "2026-11-20T03:00:00+03:00", TO]
    for start, end in ((cuts[0], cuts[2]), (cuts[1], cuts[3]), (cuts[2], cuts[3]), (cuts[1], cuts[2])):
        assert load(api, target, "--from", start, "--to", end).status == 0
    assert_exact(target, api.truth(FROM, TO))


def test_a_day_in_parts_counts_only_what_was_loaded(api: Running, target: Target, load: Load) -> None:
    middle = "2026-11-20T05:00:00+03:00"
    load(api, target, "--from", FROM, "--to", middle)
    assert_exact(target, api.truth(FROM, middle))


@pytest.mark.parametrize(
    "patch", [{"cancel": True}, {"refund": True}, {"remove": True}, {"payed": False}, {"price_factor": "1.1"}]
)
@pytest.mark.parametrize("window", ["same", "after"])
def test_later_changes_correct_the_day_they_belong_to(
    api: Running, target: Target, load: Load, patch: dict[str, Any], window: str
) -> None:
    """The next run covers the payment of the changed orders (same) or only the change itself (after)."""
    now = api.truth()["to"]
    assert datetime.fromisoformat(now) == datetime.fromisoformat(NOW)
    load(api, target)
    for order_id in order_ids(api)[:3]:
        api.admin("POST", f"orders/{order_id}", patch)
    start = FROM if window == "same" else NOW
    result = load(api, target, "--from", start, "--to", LATER)
    assert result.status == 0, result.log
    truth = api.truth(FROM, LATER)
    dropped_to_zero = {str(i) for i in order_ids(api)} ^ {row[0] for row in target.query(ORDERS)}
    kept = [row for row in target.query(ORDERS) if row[0] not in dropped_to_zero]
    assert normal(kept) == expected_orders(truth)
    for row in target.query(ORDERS):
        if row[0] in dropped_to_zero:
            assert row[4] == Decimal(row[5]) == 0
    assert normal(target.query(SALES)) == expected_sales(truth)
    if window == "after":
        # The account may hold an order that was changed in its last second, too.
        assert 3 <= result.orders["corrected"] == result.orders["kept"] <= 4


def test_changed_orders_that_were_never_loaded_stay_out(api: Running, target: Target, load: Load) -> None:
    old = api.truth("2026-11-01T00:00:00+03:00", FROM)["orders"]
    assert old
    api.admin("POST", f"orders/{old[0]['order_id']}", {"refund": True})
    result = load(api, target, "--from", FROM, "--to", LATER)
    assert result.orders["dropped"]["unknown"] == 1
    assert_exact(target, api.truth(FROM, LATER))


def test_a_day_whose_orders_are_all_gone_becomes_zero(api: Running, target: Target, load: Load) -> None:
    load(api, target)
    for order_id in order_ids(api):
        api.admin("POST", f"orders/{order_id}", {"cancel": True})
    assert load(api, target, "--from", NOW, "--to", LATER).status == 0
    assert target.query(SALES) == []
    assert target.query("SELECT sum(tickets_sold), sum(revenue) FROM mv_qtickets_sales_latest FINAL") == [(0, 0)]


def test_a_moved_payment_leaves_the_day_it_came_from(api: Running, target: Target, load: Load) -> None:
    """An order that staging has on another day than the API now says."""
    load(api, target)
    target.query(
        "INSERT INTO stg_qtickets_api_orders_raw SELECT * REPLACE(sale_ts - 864000 AS sale_ts, _ver + 1 AS _ver)"
        " FROM stg_qtickets_api_orders_raw FINAL ORDER BY order_id LIMIT 5"
    )
    target.query(
        "INSERT INTO fact_qtickets_sales_daily SELECT toDate(sale_ts), event_id, city, sum(tickets_sold), sum(revenue),"
        " 1 FROM stg_qtickets_api_orders_raw FINAL WHERE toDate(sale_ts) < '2026-11-15' GROUP BY ALL"
    )
    assert load(api, target).status == 0
    assert_exact(target, api.truth(FROM, TO))


STRAY = (
    "INSERT INTO stg_qtickets_api_orders_raw SELECT toString(9000000 + number), '33700', 'x',"
    " toDateTime('2026-11-20 12:00:00', 'Europe/Moscow'), 1, 100, 'RUB', 1,"
    " lower(hex(MD5(concat(toString(9000000 + number), ':33700')))) FROM numbers({})"
)


def test_orders_that_the_api_does_not_know_any_more_count_no_more(api: Running, target: Target, load: Load) -> None:
    target.query(STRAY.format(3))
    result = load(api, target)
    assert result.status == 0, result.log
    assert normal(target.query(SALES)) == expected_sales(api.truth(FROM, TO))
    assert result.orders["corrected"] == 3


def test_too_many_vanished_orders_are_not_believed(api: Running, target: Target, load: Load) -> None:
    target.query(STRAY.format(20))
    result = load(api, target, QTICKETS_MAX_VANISHED="10")
    assert (result.status, result.outcome["cause"]) == (5, "orders_vanished")
    assert target.query(SALES) == []
    assert target.statuses() == {"failed": 1}


def test_an_api_that_hides_its_orders_does_not_zero_the_facts(api: Running, target: Target, load: Load) -> None:
    load(api, target)
    before = target.query(SALES)
    api.faults([{"fault": "empty", "path": "/orders"}])
    result = load(api, target)
    assert result.status == 0, result.log  # each was asked for by its id, and each is still there
    assert target.query(SALES) == before


def test_an_ignored_filter_on_ids_leaves_asking_one_by_one(api: Running, target: Target, load: Load) -> None:
    target.query(STRAY.format(3))
    api.faults([{"fault": "ignore_filter", "path": "/orders", "column": "id"}])
    result = load(api, target)
    assert result.status == 0, result.log
    assert normal(target.query(SALES)) == expected_sales(api.truth(FROM, TO))
    assert result.orders["corrected"] == 3
    assert result.orders["kept"] + sum(result.orders["dropped"].values()) == result.orders["fetched"]


def test_an_order_moved_to_another_event_counts_there_alone(api: Running, target: Target, load: Load) -> None:
    sums = "SELECT sum(tickets_sold), sum(revenue) FROM fact_qtickets_sales_daily FINAL"
    load(api, target)
    before = target.query(sums)
    api.faults([{"fault": "set_field", "path": "/orders", "field": "event_id", "value": 33735, "records": 1}])
    result = load(api, target)
    assert result.status == 0, result.log
    assert result.orders["corrected"] == 1
    assert target.query(sums) == before


def test_rows_of_another_loader_are_left_alone(api: Running, target: Target, load: Load) -> None:
    target.query(STRAY.format(1).replace("'33700'", "''"))
    assert load(api, target).status == 0
    assert target.query("SELECT count() FROM stg_qtickets_api_orders_raw FINAL WHERE event_id = ''") == [(1,)]


def test_runs_that_share_a_fixed_run_id_are_each_recorded(api: Running, target: Target, load: Load) -> None:
    fixed = "11111111-1111-1111-1111-111111111111"
    api.faults([{"fault": "html", "path": "/orders"}])
    assert load(api, target, RUN_ID=fixed).status == 3
    api.faults([])
    second = int(time.time())
    while int(time.time()) == second:  # started_at holds whole seconds
        time.sleep(0.01)
    assert load(api, target, RUN_ID=fixed).status == 0
    assert target.statuses() == {"failed": 1, "ok": 1}


def test_a_clock_that_went_back_does_not_lose_the_run(api: Running, target: Target, load: Load) -> None:
    load(api, target)
    target.query(
        "INSERT INTO stg_qtickets_api_orders_raw SELECT * REPLACE(_ver + 1000000000000 AS _ver, 0 AS tickets_sold,"
        " 0 AS revenue) FROM stg_qtickets_api_orders_raw FINAL"
    )
    result = load(api, target)
    assert result.status == 0
    assert_exact(target, api.truth(FROM, TO))


# What must fail, and its twin that must not


def test_an_ignored_filter_ends_the_run(api: Running, target: Target, load: Load) -> None:
    api.faults([{"fault": "ignore_filter", "path": "/orders"}])
    result = load(api, target)
    assert (result.status, result.outcome["cause"]) == (3, "api_filter_ignored")
    assert target.statuses() == {"failed": 1}
    assert result.orders["dropped"]["outside_window"] > 10
    assert target.query(SALES) == []


def test_an_ignored_filter_of_a_small_account_ends_the_run(target: Target, load: Load, tmp_path: Path) -> None:
    rules = [{"fault": "ignore_filter", "path": "/orders"}]
    with start_simulator(tmp_path, orders=2, events=1, now=NOW, faults=rules) as small:
        result = load(small, target)
    assert result.outcome["cause"] == "api_filter_ignored"


def test_stray_orders_within_the_limit_are_counted_and_left_out(api: Running, target: Target, load: Load) -> None:
    api.faults(
        [
            {
                "fault": "set_field",
                "path": "/orders",
                "field": "payed_at",
                "value": "2019-07-30T12:50:52+03:00",
                "records": 1,
            }
        ]
    )
    result = load(api, target, QTICKETS_MAX_OUTSIDE_SHARE="0.05")
    assert result.status == 0
    assert result.orders["dropped"]["outside_window"] == 1
    assert load(api, target, QTICKETS_MAX_OUTSIDE_SHARE="0").outcome["cause"] == "api_filter_ignored"


@pytest.mark.parametrize(("records", "status"), [(1, 0), (3, 0), (None, 5)])
@pytest.mark.parametrize(
    "change",
    [
        {"fault": "drop_field", "field": "baskets.price"},
        {"fault": "set_field", "field": "baskets.quantity", "value": -5},
        {"fault": "set_field", "field": "payed_at", "value": "2026-11-20 10:00:00"},
    ],
)
def test_broken_orders_are_set_aside_up_to_a_limit(
    api: Running, target: Target, load: Load, change: dict[str, Any], records: int | None, status: int
) -> None:
    api.faults([{**change, "path": "/orders", **({"records": records} if records else {})}])
    result = load(api, target)
    assert result.status == status, result.log
    if records:
        assert result.orders["dropped"]["invalid"] == records
        assert result.log.count("set aside: order ") == records
        assert result.orders["kept"] + sum(result.orders["dropped"].values()) == result.orders["fetched"]
    else:
        assert result.outcome["cause"] == "too_many_invalid"
        assert target.statuses() == {"failed": 1}


def test_repeated_pages_do_not_hide_that_most_orders_are_broken(target: Target, load: Load, tmp_path: Path) -> None:
    with start_simulator(tmp_path, orders=2, events=1, now=NOW, paging="none") as small:
        small.faults(
            [
                {"fault": "drop_field", "path": "/orders", "field": "baskets"},
                {"fault": "repeat_page", "path": "/orders", "page": 1},
            ]
        )
        result = load(small, target)
    assert (result.status, result.outcome["cause"]) == (5, "too_many_invalid")


def test_orders_of_a_broken_event_are_loaded(api: Running, target: Target, load: Load) -> None:
    api.faults([{"fault": "set_field", "path": "/events.*", "field": "shows", "value": "none", "records": 1}])
    result = load(api, target)
    assert result.status == 0, result.log
    assert result.metrics["entities"]["events"]["dropped"]["invalid"] == 1
    assert result.orders["kept"] == len(api.truth(FROM, TO)["orders"])
    known = "SELECT event_id FROM dim_events"
    assert not target.query(f"SELECT event_id FROM stg_qtickets_api_orders_raw WHERE event_id NOT IN ({known})")


def test_one_show_whose_seats_fail_fails_the_run(api: Running, target: Target, load: Load) -> None:
    api.faults([{"fault": "status", "path": "/shows/41010/seats", "status": 500}])
    result = load(api, target)
    assert (result.status, result.outcome["cause"]) == (3, "api_server_error")
    assert "show 41010" in result.outcome["message"]
    assert target.statuses() == {"failed": 1}
    assert target.query("SELECT count() FROM stg_qtickets_api_inventory_raw") == [(0,)]


def test_seats_that_do_not_say_how_many_are_unknown(api: Running, target: Target, load: Load) -> None:
    api.faults([{"fault": "drop_field", "path": "/shows/41010/seats", "field": "max_quantity"}])
    assert load(api, target).status == 0
    rows = dict(target.query("SELECT event_id, tickets_total FROM fact_qtickets_inventory_latest FINAL"))
    assert rows["33707"] is None
    assert rows["33700"]


def test_orders_of_a_deleted_event_take_its_city(api: Running, target: Target, load: Load) -> None:
    deleted = 33_700 + 6 * 7  # the first event after the six live ones
    api.admin("POST", "orders", {"event_id": deleted, "payed_at": "2026-11-20T12:00:00+03:00"})
    assert load(api, target).status == 0
    assert_exact(target, api.truth(FROM, TO))
    assert len(target.query(f"SELECT 1 FROM dim_events FINAL WHERE event_id = '{deleted}' AND city != ''")) == 1
    assert not target.query(f"SELECT 1 FROM fact_qtickets_inventory_latest WHERE event_id = '{deleted}'")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_a_proxy_of_the_environment_is_not_asked_for_what_is_near(
    api: Running, target: Target, load: Load, name: str
) -> None:
    result = load(api, target, **{name: "http://127.0.0.1:1"})
    assert result.status == 0, result.log


def test_the_source_is_gone(target: Target, load: Load) -> None:
    result = load(None, target, QTICKETS_BASE_URL="http://127.0.0.1:1/api/rest/v1", QTICKETS_TOKEN="abc123")
    assert (result.status, result.outcome["cause"]) == (3, "api_unreachable")
    assert "Traceback" in result.log
    [(status, message)] = target.query("SELECT status, message FROM meta_job_runs")
    assert status == "failed"
    assert message.startswith("api_unreachable: ")


CLICKHOUSE_FAILURES: list[tuple[str, dict[str, str], str, str]] = [
    ("DROP TABLE stg_qtickets_api_orders_raw", {}, "clickhouse_refused", "UNKNOWN_TABLE"),
    ("ALTER TABLE dim_events DROP COLUMN event_name", {}, "clickhouse_refused", "event_name"),
    ("ALTER TABLE stg_qtickets_api_orders_raw DROP COLUMN city", {}, "clickhouse_refused", "city"),
    ("", {"CLICKHOUSE_PASSWORD": "wrong-1"}, "clickhouse_login", "Authentication failed"),
    ("", {"CLICKHOUSE_PORT": "1"}, "clickhouse_unreachable", "127.0.0.1:1"),
    ("", {"CLICKHOUSE_HOST": "no-such-host.invalid"}, "clickhouse_unreachable", "no-such-host.invalid"),
    ("", {"CLICKHOUSE_DB": "no_such_database"}, "clickhouse_refused", "UNKNOWN_DATABASE"),
]


@pytest.mark.parametrize(("sql", "env", "cause", "says"), CLICKHOUSE_FAILURES)
def test_a_server_that_refuses_is_quoted(
    api: Running, target: Target, load: Load, sql: str, env: dict[str, str], cause: str, says: str
) -> None:
    if "orders_raw DROP" in sql or "TABLE stg" in sql:
        target.query("DROP VIEW mv_qtickets_sales_latest")
    if sql:
        target.query(sql)
    result = load(api, Target(target.engine, target.name, target.env | env))
    assert (result.status, result.outcome["cause"]) == (4, cause), result.log
    assert says in result.outcome["message"]
    assert "wrong-1" not in result.log
    assert target.statuses() in ({}, {"failed": 1})


def test_a_user_without_insert(api: Running, target: Target, load: Load, accounts: Any) -> None:
    env = {"CLICKHOUSE_USER": "reader", "CLICKHOUSE_PASSWORD": accounts["reader"]["password"]}
    result = load(api, Target(target.engine, target.name, target.env | env))
    assert (result.status, result.outcome["cause"]) == (4, "clickhouse_refused")
    assert "ACCESS_DENIED" in result.outcome["message"] or "Not enough privileges" in result.outcome["message"]
    assert "the failed run is not in meta_job_runs" in result.log
    target.engine.flush_logs()
    refused = "SELECT query FROM system.query_log WHERE user = 'reader' AND exception_code = 497"
    first = target.engine.query(f"{refused} ORDER BY event_time_microseconds")[0][0]
    assert first.startswith("INSERT INTO `stg_qtickets_api_orders_raw`")


def test_the_native_port_is_named(api: Running, target: Target, load: Load) -> None:
    result = load(api, target, CLICKHOUSE_PORT=str(target.engine.tcp_port))
    assert result.status == 4
    assert str(target.engine.tcp_port) in result.outcome["message"]


def test_a_type_that_swallows_values_is_noticed(api: Running, target: Target, load: Load) -> None:
    """The server casts without a word; what was staged is read back before the facts are written."""
    target.query("DROP VIEW mv_qtickets_sales_latest")
    target.query("ALTER TABLE stg_qtickets_api_orders_raw MODIFY COLUMN revenue Decimal(18, 0)")
    result = load(api, target)
    assert (result.status, result.outcome["cause"]) == (5, "staging_differs")
    assert target.query(SALES) == []
    assert target.statuses() == {"failed": 1}


def test_a_materialized_view_that_fails_fails_the_run(api: Running, target: Target, load: Load) -> None:
    target.query(
        "CREATE MATERIALIZED VIEW broken ENGINE = Log AS SELECT throwIf(tickets_sold >= 0) AS x"
        " FROM stg_qtickets_api_orders_raw"
    )
    result = load(api, target)
    assert (result.status, result.outcome["cause"]) == (4, "clickhouse_refused")
    assert target.query(SALES) == []
    target.query("DROP VIEW broken")
    assert load(api, target).status == 0
    assert_exact(target, api.truth(FROM, TO))


def test_an_internal_defect_is_logged_with_its_type(
    api: Running, target: Target, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text of a `KeyError(1)` is `1`: alone it says nothing."""

    def defect(*_: object) -> None:
        raise KeyError(1)

    monkeypatch.setattr("qtickets_api.transform.sold", defect)
    result = load(api, target)
    assert (result.status, result.outcome["cause"], result.outcome["error_type"]) == (1, "internal", "KeyError")
    assert "KeyError: 1" in result.log
    assert "Traceback" in result.log
    assert target.statuses() == {"failed": 1}


# Outside the figures


def test_no_personal_data_anywhere(api: Running, target: Target, load: Load, engine: Engine) -> None:
    """Every personal value that the simulator serves contains `pii-`; also in failures nothing of it comes out."""
    served = api.get("/orders", per_page="200").text.lower()
    assert served.count("pii-") > 100
    shown = []
    for faults in (
        [],
        [{"fault": "set_field", "path": "/orders", "field": "event_id", "value": "pii-event", "records": 2}],
        [{"fault": "set_field", "path": "/orders", "field": "baskets.price", "value": "PII-price"}],
        [{"fault": "broken_json", "path": "/orders"}],
        [{"fault": "truncate", "path": "/orders", "records": 3}],
    ):
        api.faults(faults)
        result = load(api, target, LOG_LEVEL="debug")
        shown += [result.log, json.dumps(result.outcome)]
        assert api.token not in result.log
    engine.flush_logs()
    for (table,) in target.query(
        f"SELECT name FROM system.tables WHERE database = '{target.name}' AND engine != 'View'"
    ):
        shown.append(str(target.query(f"SELECT * FROM `{table}`")))
    like = f"log_comment LIKE '%{json.loads(shown[1])['run_id']}%'"
    shown.append(str(engine.query(f"SELECT query, exception FROM system.query_log WHERE {like}")))
    assert all(len(text) > 100 for text in shown)
    assert not re.search("pii-", " ".join(shown).lower())


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_days_are_those_of_the_report_zone(api: Running, engine: Engine, accounts: Any, load: Load, zone: str) -> None:
    schema = SCHEMA.replace("Europe/Moscow", zone)
    target = make_database(engine, "loader", accounts["loader"]["password"], schema)
    assert load(api, target, REPORT_TZ=zone).status == 0
    assert_exact(target, api.truth(FROM, TO), ZoneInfo(zone))


def test_progress_and_quiet(api: Running, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qtickets_api.__main__.Progress", functools.partial(Progress, every=0))
    window = ("--from", FROM, "--to", TO, "--dry-run")
    noisy, quiet = load(api, None, *window), load(api, None, *window, "--quiet")
    assert (noisy.status, quiet.status) == (0, 0)
    assert re.search(r"\d+ pages, \d+ orders, \d+ rows, \d+ orders/s", noisy.log)
    assert "orders/s" not in quiet.log


def test_more_orders_to_look_up_than_one_request_takes(target: Target, load: Load, tmp_path: Path) -> None:
    """Thousands of orders that count no more, all of them known: several look-ups, each within the server's limits."""
    with start_simulator(tmp_path, orders=2600, events=2, hall_seats=5, now=NOW) as many:
        assert load(many, target, QTICKETS_PAGE_SIZE="200").status == 0
        for order_id in order_ids(many)[:3]:
            many.admin("POST", f"orders/{order_id}", {"cancel": True})
        many.faults([{"fault": "set_field", "path": "/orders", "field": "payed", "value": False}])
        result = load(many, target, QTICKETS_PAGE_SIZE="200")
    assert result.status == 0, result.log
    assert result.orders["corrected"] > 2 * 1024
    assert target.query(SALES) == []


def test_an_api_without_a_filter_on_changes_still_loads_the_window(api: Running, target: Target, load: Load) -> None:
    api.faults([{"fault": "ignore_filter", "path": "/orders", "column": "updated_at"}])
    result = load(api, target)
    assert result.status == 0, result.log
    assert result.orders["changes_seen"] is False
    assert "later changes" in result.log
    assert_exact(target, api.truth(FROM, TO))
    api.faults([])
    assert load(api, target).orders["changes_seen"] is True
