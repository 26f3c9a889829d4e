"""The data checks on the oldest supported server: every query of theirs runs on 24.8 and finds what it should."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.checks import Outcome, Run, read_request, run_checks
from ansible.module_utils.ingest_verify.rows import read_accounts, read_written
from clickhouse_driver import errors

from tests.data_checks import INVENTORY, LATEST, ORDERS, ROOT, SALES, only, problems, role_checks
from tests.integration.test_evidence_versions import OldestEngine, oldest

__all__ = ["oldest"]

RUN_ID = "11111111-1111-4111-8111-111111111111"
METRICS = (
    '{"ver": 2, "entities": {"orders": {"fetched": 3, "kept": 2, "dropped": {"not_payed": 1}}, '
    f'"events": {{"fetched": 1, "kept": 1, "dropped": {{}}}}}}, "written": {{"{ORDERS}": 2, "{INVENTORY}": 1}}, '
    '"sums": {"tickets_sold": 3, "revenue": "300.20"}}'
)
# INSERT ... SELECT only: in process, VALUES would be read from standard input.
ORDER = "SELECT '{n}', '7', 'perm', now() - 60 * {n}, {n}, {n}00.10, 'RUB', 2, leftPad('{n}', 32, '0')"
DATA = f"""
INSERT INTO {ORDERS} {ORDER.format(n=1)};
INSERT INTO {ORDERS} {ORDER.format(n=2)};
INSERT INTO {INVENTORY} SELECT now(), '7', 'Show', 'perm', 100, 40, 2, leftPad('c', 32, '0');
INSERT INTO dim_events (event_id, event_name, city, _ver) SELECT '7', 'Show', 'perm', 2;
INSERT INTO {SALES} SELECT toDate(sale_ts) AS d, event_id, city, sum(tickets_sold), sum(revenue), 2
    FROM {ORDERS} GROUP BY d, event_id, city;
INSERT INTO {LATEST} SELECT snapshot_ts, event_id, event_name, city, tickets_total, tickets_left, 2 FROM {INVENTORY};
INSERT INTO meta_job_runs SELECT 'qtickets_api', '{RUN_ID}', now(), now(), 'ok', 3, '', '{METRICS}'
"""


class Progress:
    progress = None


class OldClient:
    """What the checks use of clickhouse-driver's client, over an engine that serves no port."""

    last_query = Progress()

    def __init__(self, engine: OldestEngine) -> None:
        self.engine = engine

    def execute(
        self,
        sql: str,
        params: Mapping[str, Any] | None = None,
        with_column_types: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            rows = self.engine.query(sql)
        except Exception as error:
            raise errors.ServerException(str(error), getattr(error, "code", 0)) from error
        for row in rows:
            if "now" in row:
                row["now"] = datetime.fromisoformat(row["now"])
        names = list(rows[0]) if rows else []
        return [tuple(row.values()) for row in rows], [(name, "") for name in names]


@pytest.fixture
def old(oldest: OldestEngine) -> OldestEngine:
    oldest.query("DROP DATABASE IF EXISTS checked")
    oldest.query("CREATE DATABASE checked")
    oldest.query("USE checked")
    schema = (ROOT / "sql/bootstrap_schema.sql").read_text()
    for statement in "\n".join(line for line in schema.splitlines() if not line.startswith("--")).split(";\n"):
        if statement.strip():
            oldest.query(statement.strip().rstrip(";"))
    for statement in DATA.strip().split(";\n"):
        oldest.query(statement)
    return oldest


def check(engine: OldestEngine) -> Outcome:
    checks, overview = role_checks()
    run = {"loader_run_id": RUN_ID, "job": "qtickets_api"}
    request = read_request({"database": "checked", "checks": checks, "overview": overview, "run": run})
    return run_checks(OldClient(engine), request)


def test_the_roles_checks_pass_on_24_8_and_name_what_is_wrong(old: OldestEngine) -> None:
    assert old.query("SELECT version() AS v")[0]["v"].startswith("24.8.")
    outcome = check(old)
    assert problems(outcome) == []
    assert not [item for item in outcome.overview if "error" in item]
    assert {row["status"] for row in outcome.reconciliation} == {"agrees"}

    old.query(f"INSERT INTO {SALES} SELECT sales_date, event_id, city, 1, 1, 3 FROM {SALES}")
    old.query(f"INSERT INTO {ORDERS} SELECT * REPLACE ('{'d' * 32}' AS _dedup_key, 1 AS _ver) FROM {ORDERS} LIMIT 1")
    old.query("TRUNCATE TABLE dim_events")
    old.query("INSERT INTO dim_events (event_id, event_name, city, _ver) SELECT '8', 'Show', 'perm', 2")
    outcome = check(old)
    assert only(outcome.findings, "data_aggregate_mismatch", check="daily sales equal their orders").evidence["rows"]
    assert only(outcome.findings, "data_duplicates").evidence["rows"]
    assert only(outcome.findings, "data_missing_reference", check="orders name known events").evidence["rows"]
    assert not [f.cause for f in outcome.findings if f.cause.startswith(("data_check", "data_missing_t"))]


LOGS = {
    # Columns of 24.8 that the queries use; in process that version keeps no logs.
    "system.query_log": "query_id String, type Enum8('QueryStart' = 1, 'QueryFinish' = 2, "
    "'ExceptionBeforeStart' = 3, 'ExceptionWhileProcessing' = 4), query String, current_database String, "
    "written_rows UInt64, views Array(LowCardinality(String)), tables Array(LowCardinality(String)), "
    "initial_query_id String, event_date Date, event_time DateTime, "
    "event_time_microseconds DateTime64(6), query_kind LowCardinality(String), is_initial_query UInt8, "
    "user String, log_comment String, Settings Map(LowCardinality(String), LowCardinality(String))",
    "system.query_views_log": "event_date Date, initial_query_id String, view_name String, view_target String, "
    "written_rows UInt64",
    "system.asynchronous_insert_log": "event_date Date, query_id String, rows UInt64, flush_query_id String, "
    "status Enum8('Ok' = 0, 'ParsingError' = 1, 'FlushError' = 2)",
    "system.part_log": "query_id String, event_type Enum8('NewPart' = 1, 'MergeParts' = 2, 'DownloadPart' = 3, "
    "'RemovePart' = 4, 'MutatePart' = 5, 'MovePart' = 6), merge_reason Enum8('NotAMerge' = 1, 'RegularMerge' = 2, "
    "'TTLDeleteMerge' = 3, 'TTLRecompressMerge' = 4), event_date Date, event_time_microseconds DateTime64(6), "
    "database String, table String, table_uuid UUID, part_name String, partition_id String, rows UInt64, "
    "merged_from Array(String), read_rows UInt64, error UInt16",
}


LACKING = [set(), {"asynchronous_insert_log"}, {"asynchronous_insert_log", "query_views_log"}]
SWAP = {"at": "2026-11-23 04:30:00.000000", "statement": "EXCHANGE TABLES a AND b", "current_database": "accounted"}
TABLES = (
    "CREATE DATABASE IF NOT EXISTS accounted",
    "CREATE TABLE IF NOT EXISTS accounted.plain (id UInt64) ENGINE = MergeTree ORDER BY id",
    "CREATE TABLE IF NOT EXISTS accounted.fed (id UInt64, a String) ENGINE = MergeTree ORDER BY id",
    "CREATE MATERIALIZED VIEW IF NOT EXISTS accounted.feed TO accounted.fed AS SELECT id FROM accounted.plain",
)


@pytest.mark.parametrize("missing", LACKING)
def test_the_queries_to_the_logs_run_on_24_8(oldest: OldestEngine, missing: set[str]) -> None:
    for statement in TABLES:
        oldest.query(statement)
    run = Run.read({"user": "it's", "window": {"from": "2026-11-23 04:00:00", "to": "2026-11-23 05:00:00"}})
    asked: list[str] = []

    def read(sql: str) -> list[dict[str, Any]]:
        if "FROM system.tables WHERE database = 'system'" in sql:
            return [{"name": name.partition(".")[2]} for name in LOGS if name.partition(".")[2] not in missing]
        asked.append(sql)
        for name, columns in LOGS.items():
            quoted = columns.replace("'", "\\'")
            for alias in ("log", "everywhere"):
                sql = sql.replace(f"FROM {name} AS {alias}", f"FROM null('{quoted}') AS {alias}")
            sql = sql.replace(f"FROM {name}", f"FROM null('{quoted}') AS {name.rpartition('.')[2]}")
        found: list[dict[str, Any]] = oldest.query(sql)
        return [{**SWAP, "written_rows": 0}] if "query_kind IN ('Rename'" in sql else found

    written = read_written(read, run, "accounted", ())
    assert written.notes == []
    lost = {"accounted.plain": {"answered": 1, "unanswered": 1, "ids": ["one"]}}
    accounts = read_accounts(read, written, ["accounted.plain", "accounted.feed"], {}, lost, ())
    assert set(accounts) == {"accounted.plain", "accounted.feed", "accounted.fed"}
    assert accounts["accounted.feed"] is accounts["accounted.fed"]
    for name in ("query_log", "part_log", "system.parts", "asynchronous_inserts"):
        assert any(name in sql for sql in asked), name
