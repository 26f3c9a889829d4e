"""The reference schema on a real engine: applied twice, held against its contract, and read through its views."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.ingest_verify.client import connect
from ansible.module_utils.ingest_verify.contract import ContractError, check_contract, parse_contract, same_type
from ansible.module_utils.ingest_verify.findings import Finding, render
from ansible.module_utils.ingest_verify.script import Outcome, run_script

from embedded.testing import Engine

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = (ROOT / "sql/bootstrap_schema.sql").read_bytes()
CONTRACT = yaml.safe_load((ROOT / "pipelines/qtickets.yml").read_text())["contract"]
VIEW_COLUMNS = [
    "event_id",
    "event_name",
    "city",
    "tickets_sold_today",
    "revenue_today",
    "tickets_sold_14d",
    "revenue_14d",
    "tickets_total",
    "tickets_left",
    "inventory_updated_at",
    "start_date",
    "end_date",
]


class Schema:
    """The schema applied to a test's database."""

    def __init__(self, engine: Engine, login: dict[str, object], database: str) -> None:
        self.engine, self.database = engine, database
        self.login = {**login, "login_db": database}
        self.client = connect(self.login)

    def apply(self, data: bytes = SCHEMA, **params: Any) -> Outcome:
        outcome = run_script({**self.login, **params}, data, "bootstrap_schema.sql")
        assert not outcome.failed, [render(finding) for finding in outcome.findings]
        return outcome

    def query(self, sql: str) -> list[Any]:
        return list(self.client.execute(sql))

    def rows(self, sql: str) -> list[dict[str, Any]]:
        rows, columns = self.client.execute(sql, with_column_types=True)
        return [dict(zip((name for name, _ in columns), row, strict=True)) for row in rows]

    def breaches(self, contract: dict[str, Any] | None = None) -> list[Finding]:
        return check_contract(self.client, self.database, parse_contract(contract or CONTRACT), "schema_apply")

    def order(self, number: str, event: str, city: str, at: str, tickets: int, revenue: str, version: int = 1) -> None:
        self.query(
            f"INSERT INTO stg_qtickets_api_orders_raw SELECT '{number}', '{event}', '{city}', {at}, {tickets},"
            f" toDecimal64('{revenue}', 2), 'RUB', {version}, toFixedString('{number}', 32)"
        )


@pytest.fixture
def schema(engine: Engine, login: dict[str, object], database: str) -> Schema:
    applied = Schema(engine, login, database)
    assert applied.apply().changed
    return applied


def test_applied_again_it_changes_nothing(schema: Schema) -> None:
    again = schema.apply(drift="fail")
    assert not again.changed
    assert again.changed_objects == []
    assert again.findings == []


def test_it_keeps_its_contract(schema: Schema) -> None:
    assert schema.breaches() == []
    assert [row[0] for row in schema.query("DESCRIBE v_qtickets_sales_dashboard")] == VIEW_COLUMNS
    engine = schema.query("SELECT engine FROM system.tables WHERE database = currentDatabase() AND name LIKE 'mv%'")
    assert engine == [("MaterializedView",)]


def test_production_types_keep_the_contract_too(schema: Schema) -> None:
    """Production's own tables: Float64 money, plain DateTime."""
    schema.query("DROP TABLE fact_qtickets_sales_daily")
    schema.query(
        "CREATE TABLE fact_qtickets_sales_daily (sales_date Date, event_id String, city LowCardinality(String),"
        " tickets_sold UInt32, revenue Float64, _ver UInt64) ENGINE = ReplacingMergeTree(_ver)"
        " PARTITION BY toYYYYMM(sales_date) ORDER BY (event_id, sales_date, city)"
    )
    schema.query("ALTER TABLE dim_events MODIFY COLUMN _loaded_at DateTime DEFAULT now()")
    assert schema.breaches() == []


@pytest.mark.parametrize(
    ("damage", "cause", "target", "actual", "step"),
    [
        (
            "ALTER TABLE dim_events RENAME COLUMN start_date TO start_dat",
            "server_missing_column",
            "dim_events.start_date",
            "no such column",
            "ALTER TABLE `{db}`.`dim_events` ADD COLUMN `start_date` Nullable(Date) AFTER `city`;",
        ),
        (
            "ALTER TABLE stg_qtickets_api_orders_raw MODIFY COLUMN revenue String",
            "server_type_mismatch",
            "stg_qtickets_api_orders_raw.revenue",
            "String",
            "ALTER TABLE `{db}`.`stg_qtickets_api_orders_raw` MODIFY COLUMN `revenue` Decimal(18, 2);",
        ),
        (
            "CREATE OR REPLACE VIEW v_qtickets_sales_dashboard AS SELECT * EXCEPT city FROM"
            " (SELECT '' AS event_id, '' AS event_name, '' AS city, 0 AS tickets_sold_today, 0 AS revenue_today,"
            " 0 AS tickets_sold_14d, 0 AS revenue_14d, 0 AS tickets_total, 0 AS tickets_left,"
            " now() AS inventory_updated_at, today() AS start_date, today() AS end_date)",
            "server_missing_column",
            "v_qtickets_sales_dashboard.city",
            "no such column",
            "CREATE OR REPLACE VIEW",
        ),
        ("DROP TABLE meta_job_runs", "server_missing_table", "meta_job_runs", "tables there:", "CREATE TABLE"),
        (
            "DROP TABLE dim_events; CREATE TABLE dim_events ENGINE = MergeTree ORDER BY event_id AS"
            " SELECT * FROM dim_copy",
            "server_wrong_engine",
            "dim_events",
            "MergeTree",
            "EXCHANGE TABLES",
        ),
        (
            "DROP TABLE dim_events; CREATE TABLE dim_events ENGINE = ReplacingMergeTree(_ver) ORDER BY _ver AS"
            " SELECT * FROM dim_copy",
            "server_wrong_key",
            "dim_events",
            "_ver",
            "EXCHANGE TABLES",
        ),
    ],
)
def test_a_breach_names_table_and_column_with_the_statement_that_mends_it(
    schema: Schema, damage: str, cause: str, target: str, actual: str, step: str
) -> None:
    schema.query("CREATE TABLE dim_copy AS dim_events")
    for statement in damage.split("; "):
        schema.query(statement)
    (finding,) = schema.breaches()
    assert (finding.cause, finding.severity) == (cause, "error")
    assert finding.object == f"{schema.database}.{target}"
    assert actual in (finding.actual or "")
    assert step.format(db=schema.database) in (finding.next_step or "")
    if step.startswith("ALTER"):
        schema.query(finding.next_step or "")
        assert schema.breaches() == []


def test_a_table_of_another_database_is_held_to_the_contract_too(schema: Schema) -> None:
    contract = parse_contract({f"{schema.database}.dim_events": {"columns": {"event_id": "String", "absent": "any"}}})
    (finding,) = check_contract(schema.client, "default", contract, "schema_apply")
    assert (finding.cause, finding.object) == ("server_missing_column", f"{schema.database}.dim_events.absent")
    (missing,) = check_contract(
        schema.client, schema.database, parse_contract({"system.absent": {"columns": {"a": "any"}}}), "schema_apply"
    )
    assert missing.object == "system.absent"
    misnamed = parse_contract({"dim_event": {"columns": {"event_id": "String"}}})
    (near,) = check_contract(schema.client, schema.database, misnamed, "schema_apply")
    assert near.headline == f"Table {schema.database}.dim_event is missing; its nearest name there is dim_events."
    assert "meta_job_runs" in (near.actual or "")


def test_an_absent_database_is_a_breach(schema: Schema) -> None:
    (finding, *_) = check_contract(schema.client, "absent", parse_contract(CONTRACT), "schema_apply")
    assert "the database is empty or absent" in finding.headline


@pytest.mark.parametrize(
    ("declared", "place"),
    [
        ([], "The contract"),
        ({"t": {}}, "t.columns"),
        ({"t": {"columns": {"a": 1}}}, "t.columns.a"),
        ({"t": {"columns": {"a": []}}}, "t.columns.a"),
        ({"t": {"colums": {"a": "Int8"}}}, "t:"),
    ],
)
def test_a_wrong_contract_is_refused_with_its_place(declared: Any, place: str) -> None:
    with pytest.raises(ContractError, match=f"^{place}"):
        parse_contract(declared)


@pytest.mark.parametrize(
    ("actual", "expected", "same"),
    [
        ("DateTime('Europe/Moscow')", "DateTime", True),
        ("Nullable(DateTime64(3, 'UTC'))", "Nullable(DateTime64(3))", True),
        ("Decimal(18, 2)", "Decimal(18,2)", True),
        ("DateTime", "DateTime('UTC')", False),
        ("DateTime64(3)", "DateTime", False),
        ("String", "any", True),
        ("Decimal(18, 4)", "Decimal(18, 2)", False),
    ],
)
def test_types_that_count_as_the_same(actual: str, expected: str, same: bool) -> None:
    assert same_type(actual, expected) is same


def test_dashboard_loses_no_sale_and_has_one_row_per_event(schema: Schema) -> None:
    schema.query(
        "INSERT INTO dim_events (event_id, event_name, city, _ver) VALUES ('1', 'One', 'moscow', 1),"
        " ('1', 'One!', 'moscow', 2), ('2', 'Two', '', 1)"
    )
    today, earlier = "now() - 0", "now() - INTERVAL 5 DAY"
    schema.order("a", "1", "", today, 1, "10.10")
    schema.order("b", "1", "moscow", earlier, 2, "20.20")
    schema.order("c", "1", "spb", today, 1, "0.05")
    schema.order("d", "9", "kazan", today, 4, "7.00")
    schema.order("e", "1", "moscow", "now() - INTERVAL 40 DAY", 9, "900.00")
    rows = {row["event_id"]: row for row in schema.rows("SELECT * FROM v_qtickets_sales_dashboard")}
    assert sorted(rows) == ["1", "2", "9"]
    assert len(schema.query("SELECT event_id FROM v_qtickets_sales_dashboard")) == 3
    one = rows["1"]
    assert (one["event_name"], one["city"]) == ("One!", "moscow")
    assert (one["tickets_sold_today"], str(one["revenue_today"])) == (2, "10.15")
    assert (one["tickets_sold_14d"], str(one["revenue_14d"])) == (4, "30.35")
    assert (rows["9"]["city"], str(rows["9"]["revenue_14d"])) == ("kazan", "7")
    assert (rows["2"]["tickets_sold_14d"], rows["2"]["revenue_14d"]) == (0, 0)
    assert schema.rows("SELECT * FROM v_qtickets_sales_dashboard ORDER BY event_id SETTINGS join_use_nulls = 1") == [
        rows[event] for event in ("1", "2", "9")
    ]


def test_a_changed_order_replaces_itself_in_both_views(schema: Schema) -> None:
    schema.order("a", "1", "moscow", "now()", 3, "30.00", version=1)
    schema.order("a", "1", "moscow", "now()", 1, "10.00", version=2)
    assert schema.query("SELECT tickets_sold_14d, toString(revenue_14d) FROM v_qtickets_sales_dashboard") == [(1, "10")]
    latest = "SELECT event_id, sum(tickets_sold), toString(sum(revenue)) FROM mv_qtickets_sales_latest FINAL"
    assert schema.query(f"{latest} GROUP BY event_id") == [("1", 1, "10")]


def test_not_said_is_null_and_sold_out_is_zero(schema: Schema) -> None:
    schema.query(
        "INSERT INTO fact_qtickets_inventory_latest VALUES (now() - 60, '1', 'One', 'moscow', 100, 50, 1),"
        " (now(), '1', 'One', 'spb', NULL, 0, 2)"
    )
    schema.query("INSERT INTO dim_events (event_id, event_name, _ver) VALUES ('2', 'Two', 1)")
    columns = "event_id, tickets_total, tickets_left, inventory_updated_at IS NULL"
    assert schema.query(f"SELECT {columns} FROM v_qtickets_sales_dashboard ORDER BY event_id") == [
        ("1", None, 0, False),
        ("2", None, None, True),
    ]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_times_and_today_are_the_report_zones_in_every_session(schema: Schema, zone: str) -> None:
    schema.order("a", "1", "", "toDateTime('2026-03-01 00:30:00', 'Europe/Moscow')", 1, "1.00")
    schema.order("b", "1", "", "toStartOfDay(now('Europe/Moscow'))", 1, "1.00")
    schema.order("c", "1", "", "toStartOfDay(now('Europe/Moscow')) - 1", 1, "1.00")
    read = f"FROM stg_qtickets_api_orders_raw WHERE order_id = 'a' SETTINGS session_timezone = '{zone}'"
    assert schema.query(f"SELECT toString(sale_ts), toString(toDate(sale_ts)) {read}") == [
        ("2026-03-01 00:30:00", "2026-03-01")
    ]
    today = "SELECT tickets_sold_today, tickets_sold_14d FROM v_qtickets_sales_dashboard"
    assert schema.query(f"{today} SETTINGS session_timezone = '{zone}'") == [(1, 2)]


def test_an_older_table_without_a_column_is_drift_and_a_breach(schema: Schema) -> None:
    schema.query("ALTER TABLE stg_qtickets_api_inventory_raw DROP COLUMN _dedup_key")
    (drift,) = schema.apply().findings
    (breach,) = schema.breaches()
    assert drift.severity == "warning"
    assert drift.object == f"{schema.database}.stg_qtickets_api_inventory_raw"
    assert drift.next_step == breach.next_step
    schema.query(drift.next_step or "")
    assert schema.apply().findings == []
