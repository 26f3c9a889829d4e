"""Rows 53 and 55: what was refused and came later or never, what somebody else ended, what was never finished."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.stages import Stage, errors, headline

MANY = 50
SALES = "CREATE TABLE {db}.{name} (id UInt64, note String) ENGINE = MergeTree PARTITION BY id % 5 ORDER BY id"


def rows(first: int, count: int) -> str:
    return "\n".join(f'{{"id": {n}, "note": "{"x" * (n % 7)}"}}' for n in range(first, first + count))


@pytest.fixture
def sales(stage: Stage) -> Stage:
    stage.admin(SALES.format(db=stage.database, name="sales"))
    return stage


def test_another_batch_after_a_refused_one_is_no_retry(sales: Stage) -> None:
    sql = "INSERT INTO sales FORMAT JSONEachRow\n"
    sales.refused(sql + rows(0, MANY), max_partitions_per_insert_block=1)
    sales.send(sql + rows(100, 70))
    said = sales.judge(ingest={"exit_code": 0}, targets=["sales"])
    assert said.verdict != "PASS", said.message(5)
    assert "succeeded on retry" not in str([finding.headline for finding in said.findings])


def test_the_same_rows_under_the_same_token_are_a_retry(sales: Stage) -> None:
    sql = "INSERT INTO sales FORMAT JSONEachRow\n" + rows(0, MANY)
    sales.refused(sql, max_partitions_per_insert_block=1, insert_deduplication_token="batch-1")
    sales.send(sql, insert_deduplication_token="batch-1")
    said = sales.judge(ingest={"exit_code": 0}, targets=["sales"])
    assert said.verdict == "PASS", said.message(5)


def test_the_same_rows_again_are_a_retry(sales: Stage) -> None:
    sql = "INSERT INTO sales FORMAT JSONEachRow\n" + rows(0, MANY)
    sales.refused(sql, max_partitions_per_insert_block=1)
    sales.send(sql)
    said = sales.judge(ingest={"exit_code": 0}, targets=["sales"])
    assert said.verdict == "PASS", said.message(5)
    assert "succeeded on retry (as many rows)" in said.findings[0].headline


def test_all_rows_that_the_loader_reports_arrived(sales: Stage) -> None:
    sql = "INSERT INTO sales FORMAT JSONEachRow\n" + rows(0, MANY)
    sales.refused(sql, max_partitions_per_insert_block=1)
    sales.send(sql)
    said = sales.judge(ingest={"exit_code": 0, "outcome": {"rows": MANY}}, targets=["sales"])
    assert said.verdict == "PASS", said.message(5)


def test_a_table_of_another_year_is_another_table(stage: Stage) -> None:
    stage.refused("INSERT INTO sales_2024 FORMAT JSONEachRow\n" + rows(0, 5))
    stage.admin(SALES.format(db=stage.database, name="sales_2025"))
    stage.send("INSERT INTO sales_2025 FORMAT JSONEachRow\n" + rows(0, 5))
    said = stage.judge(ingest={"exit_code": 0}, targets=["sales_2025"])
    assert headline(said).object == f"{stage.database}.sales_2024"


def test_the_figures_of_two_years_stand_apart(stage: Stage) -> None:
    for year, count in (("2024", 3), ("2025", 5)):
        stage.admin(SALES.format(db=stage.database, name=f"sales_{year}"))
        stage.send(f"INSERT INTO sales_{year} FORMAT JSONEachRow\n" + rows(0, count))
    said = stage.judge(ingest={"exit_code": 0}, targets=["sales_2024", "sales_2025"])
    written = {name: entry["written_rows_with_views"] for name, entry in said.statements_by_target.items()}
    assert written == {f"{stage.database}.sales_2024": 3, f"{stage.database}.sales_2025": 5}


def test_a_question_that_the_program_then_answered_itself_is_no_cause(sales: Stage) -> None:
    sales.refused("SELECT version FROM _dlt_version ORDER BY 1")
    sales.refused("EXCHANGE TABLES _try_0 AND _try_1")
    sales.refused("INSERT INTO sales (id, nope) FORMAT JSONEachRow\n" + rows(0, 1))
    said = sales.judge(ingest={"exit_code": 1}, targets=["sales"])
    assert [finding.object for finding in errors(said)] == [f"{sales.database}.sales.nope"]
    # Alone, and with nothing after it, the same question is the cause.
    again = Stage(sales.engine, sales.database)
    again.refused("SELECT version FROM _dlt_version ORDER BY 1")
    assert headline(again.judge(ingest={"exit_code": 1}, targets=["sales"])).cause == "server_missing_table"


def test_a_healthy_run_that_asked_first_passes_in_silence(sales: Stage) -> None:
    sales.refused("DESCRIBE TABLE sales__staging")
    sales.send("INSERT INTO sales FORMAT JSONEachRow\n" + rows(0, 3))
    said = sales.judge(ingest={"exit_code": 0}, targets=["sales"])
    assert said.verdict == "PASS"
    assert [finding for finding in said.findings if finding.severity != "info"] == []


def test_a_statement_that_somebody_else_killed_is_told_with_who_did_it(sales: Stage) -> None:
    slow = "INSERT INTO sales SELECT number, '' FROM numbers(600) WHERE sleepEachRow(0.1) = 0"
    with ThreadPoolExecutor() as pool:
        refused = pool.submit(sales.refused, slow, query_id="load-7", max_block_size=1)
        killed = "SELECT count() FROM system.processes WHERE query_id = 'load-7'"
        deadline = time.monotonic() + 20
        while not int(sales.admin(killed)[0][0]) and time.monotonic() < deadline:
            pass
        sales.admin("KILL QUERY WHERE query_id = 'load-7' SYNC")
        refused.result()
    found = headline(sales.judge(ingest={"exit_code": 1}, targets=["sales"]))
    assert (found.cause, found.object) == ("server_query_killed", f"{sales.database}.sales")
    assert "KILL QUERY" in found.headline


def test_an_alter_that_was_accepted_and_whose_mutation_fails_is_named(sales: Stage) -> None:
    sales.admin(f"INSERT INTO {sales.database}.sales VALUES (1, 'Moscow')")
    sales.send("ALTER TABLE sales MODIFY COLUMN note UInt32", alter_sync=0)
    failing = f"SELECT count() FROM system.mutations WHERE database = '{sales.database}' AND latest_fail_reason != ''"
    deadline = time.monotonic() + 20
    while not int(sales.admin(failing)[0][0]) and time.monotonic() < deadline:
        pass
    found = headline(sales.judge(ingest={"exit_code": 0}, targets=["sales"]))
    assert (found.cause, found.object, found.severity) == (
        "server_mutation_failed",
        f"{sales.database}.sales",
        "error",
    )
    assert "'Moscow'" in found.headline
    assert "KILL MUTATION" in found.next_step
    # The same mutation is no later run's doing.
    later = Stage(sales.engine, sales.database)
    later.send("SELECT count() FROM sales")
    assert errors(later.judge(ingest={"exit_code": 0})) == []
    sales.admin(f"KILL MUTATION WHERE database = '{sales.database}'")
