"""The rows' ledger without a server: the life of parts, names that move, and what stands in a queue."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.ingest_verify.rows.account import Account, _waiting
from ansible.module_utils.ingest_verify.rows.catalog import Place, _place
from ansible.module_utils.ingest_verify.rows.lineage import Event, follow
from ansible.module_utils.ingest_verify.rows.log import _move


def new(part: str, rows: int, owner: str = "run", **more: Any) -> Event:
    return Event("NewPart", part, "all", rows, owner=owner, **more)


def merge(part: str, rows: int, *sources: str, reason: str = "RegularMerge", read_rows: int = 0) -> Event:
    return Event("MergeParts", part, "all", rows, read_rows, sources, reason)


def test_a_merge_that_is_logged_before_the_part_it_reads() -> None:
    line = follow([merge("all_1_2_1", 7, "all_1_1_0", "all_2_2_0"), new("all_1_1_0", 4), new("all_2_2_0", 3)],
                  {"all_1_2_1": 7}, {})  # fmt: skip
    assert (line.new, line.low, line.high, line.expected, line.taken) == (7, 7, 7, 7, [])


def test_a_part_from_before_the_window_is_known_by_what_the_merge_read() -> None:
    line = follow([new("all_2_2_0", 3), merge("all_1_2_1", 10, "all_1_1_0", "all_2_2_0", read_rows=13)],
                  {"all_1_2_1": 10}, {})  # fmt: skip
    assert (line.before, line.new, line.expected) == (10, 3, 10)
    assert (line.low, line.high) == (0, 3)
    assert [(taken.by, taken.rows, taken.low, taken.high) for taken in line.taken] == [("merge", 3, 0, 3)]


def test_a_part_that_is_nowhere_any_more_is_gone_without_a_reason() -> None:
    line = follow([new("all_1_1_0", 4), new("all_2_2_0", 2, owner="")], {"all_2_2_0": 2}, {})
    assert [(taken.by, taken.low) for taken in line.taken] == [("gone", 4)]
    assert (line.new, line.others, line.expected, line.high) == (4, 2, 2, 0)


def test_a_block_that_failed_or_was_a_repetition_is_no_part() -> None:
    line = follow([new("all_1_1_0", 4), new("all_2_2_0", 4, error=389), new("all_3_3_0", 9, error=241)],
                  {"all_1_1_0": 4}, {})  # fmt: skip
    assert (line.new, line.deduplicated, line.expected) == (4, 4, 4)


@pytest.mark.parametrize(
    ("sql", "pairs", "into"),
    [
        ("EXCHANGE TABLES a AND `my db`.b", (("d.a", "my db.b"),), None),
        ("RENAME TABLE d.a TO d.old, fresh TO d.a", (("d.a", "d.old"), ("d.fresh", "d.a")), None),
        ("ALTER TABLE a MOVE PARTITION tuple() TO TABLE x.b", (), "x.b"),
        ("ALTER TABLE a REPLACE PARTITION 202601 FROM b", (), "d.a"),
        ("ALTER TABLE a ADD COLUMN b String", None, None),
        ("RENAME DATABASE a TO b", None, None),
    ],
)
def test_a_statement_that_moves_rows_to_another_name(
    sql: str, pairs: tuple[tuple[str, str], ...] | None, into: str | None
) -> None:
    move = _move("2026-01-01 00:00:00", sql, "d", 0)
    assert (move.pairs if move else None) == pairs
    assert (move.into if move else None) == into


def test_an_asynchronous_insert_in_the_queue_has_a_number_of_statements_and_no_rows() -> None:
    """The embedded engine has no such queue."""
    place, account = Place("d", "t", "MergeTree", "", "id"), Account("d.t")
    _waiting(lambda sql: [{"title": "d.t", "inserts": 2}], {"d.t": place}, {"d.t": account})
    assert "2 asynchronous INSERT(s)" in account.stuck()[0]["reason"]
    healthy = Account("d.t")
    _waiting(lambda sql: [], {"d.t": place}, {"d.t": healthy})
    assert healthy.stuck() == []


@pytest.mark.parametrize(
    ("engine", "engine_full", "create", "leads_to"),
    [
        ("Buffer", "Buffer('d', 't', 1, 10)", "", "d.t"),
        ("Buffer", "Buffer('', 't', 1, 10)", "", "d.t"),
        ("Distributed", "Distributed('c', 'x', 'local', rand())", "", "x.local"),
        ("MaterializedView", "", "CREATE MATERIALIZED VIEW d.v TO d.`t u` (`a` String) AS SELECT a FROM d.s", "d.t u"),
        ("MaterializedView", "", "CREATE MATERIALIZED VIEW d.v (`a` String) ENGINE = Log AS SELECT a FROM d.s",
         "d..inner_id.u"),
        ("MergeTree", "MergeTree ORDER BY id TTL at + toIntervalDay(3) SETTINGS index_granularity = 8192", "", None),
    ],
)  # fmt: skip
def test_where_a_tables_rows_go_on_to(engine: str, engine_full: str, create: str, leads_to: str | None) -> None:
    row = {
        "database": "d", "name": "f", "engine": engine, "uuid": "u", "sorting_key": "id", "engine_full": engine_full,
        "create_table_query": create, "dependencies_database": [], "dependencies_table": [],
    }  # fmt: skip
    place = _place(row)
    assert place.leads_to == leads_to
    assert place.ttl == ("at + toIntervalDay(3)" if engine == "MergeTree" else None)
