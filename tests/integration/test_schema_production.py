"""A schema file shaped like production's: over a thousand lines, several databases, every oddity that its own has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible.module_utils.ingest_verify.findings import render
from ansible.module_utils.ingest_verify.script import Outcome, run_script
from ansible.module_utils.ingest_verify.statements import read_source, split

from embedded.testing import Engine

DATABASES = ("zakaz", "meta", "bi")
TABLES = 24
COLUMNS = 28
# A comment once written as UTF-8 and read as CP1252, and one that is CP1251 to this day.
MOJIBAKE = "-- ÐŸÑ€Ð¾Ð´Ð°Ð¶Ð¸; it's “raw” — Ð´Ð°Ð½Ð½Ñ‹Ðµ // do not touch $x$\n".encode()
CP1251 = "-- Витрина; продаж 'по дням\n".encode("cp1251")


def production_schema(names: dict[str, str]) -> bytes:
    """The file's bytes; `names` are the databases that stand for zakaz, meta and bi."""
    zakaz, meta, bi = (names[name] for name in DATABASES)
    parts = [
        b"--[[ Bootstrap; it's applied by hand\n--]]\n/* history; of /* nested ; ' */ this file;\n * 'v1;\n */\n;;\n",
        "".join(f"CREATE DATABASE IF NOT EXISTS {name};\n" for name in (zakaz, meta, bi)).encode(),
        f"USE {zakaz};\r\nSET allow_suspicious_low_cardinality_types = 1;\r\n".encode(),
        b"CREATE FUNCTION IF NOT EXISTS money_of AS (x) -> toDecimal64(x, 2);\n",
    ]
    for number in range(TABLES):
        database = (f"{zakaz}.", f"{meta}.", "")[number % 3]
        table = f"{database}raw_{number:02}"
        columns = "".join(
            f"    metric_{column:02} LowCardinality(UInt8) DEFAULT {column} COMMENT 'k;{column}', -- n; it's {column}\n"
            for column in range(COLUMNS)
        )
        parts += [
            MOJIBAKE if number % 2 else CP1251,
            f"CREATE TABLE IF NOT EXISTS {table}\n(\n    id UInt64, -- key; of 'it\n    day Date,\n"
            f"{columns}    city LowCardinality(String)\n)\nENGINE = ReplacingMergeTree\n"
            f"PARTITION BY toYYYYMM(day)\nORDER BY (id, day)\nSETTINGS index_granularity = 4096;\n\n"
            f"/* keep a year; see $$ docs */\nALTER TABLE {table}\n    MODIFY TTL day + INTERVAL 1 YEAR DELETE;\n"
            f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS `note;{number}` String DEFAULT 'a;\\'b''c' AFTER city;\n"
            f"ALTER TABLE {table} MODIFY COLUMN metric_00 UInt16 DEFAULT 0;\n"
            f"DROP VIEW IF EXISTS {bi}.old_{number:02};\n"
            f"CREATE OR REPLACE VIEW {bi}.v_{number:02} AS\nSELECT\n    day,\n    sum(metric_01) AS total, -- ; it's\n"
            f"    '\u20bd;' AS sign\nFROM {table} FINAL\nGROUP BY day\n;\n".encode(),
        ]
        if number % 4 == 0:
            parts.append(
                f"CREATE MATERIALIZED VIEW IF NOT EXISTS {bi}.mv_{number:02}\nENGINE = SummingMergeTree ORDER BY day\n"
                f"AS SELECT day, count() AS n FROM {table} WHERE city != ';' GROUP BY day;\n".encode()
            )
    parts.append(
        f"CREATE TABLE IF NOT EXISTS {meta}.target (day Date, n UInt64) ENGINE = MergeTree ORDER BY day;\n"
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {meta}.to_target TO {meta}.target AS\n"
        f"SELECT day, count() AS n FROM {zakaz}.raw_00 GROUP BY day;\n-- the end; really 'the end".encode()
    )
    return b"".join(parts)


@pytest.fixture
def names(engine: Engine, database: str) -> Iterator[dict[str, str]]:
    found = {name: f"{database}_{name}" for name in DATABASES}
    yield found
    for name in found.values():
        engine.query(f"DROP DATABASE IF EXISTS {name} SYNC")
    engine.query("DROP FUNCTION IF EXISTS money_of")


def apply(login: dict[str, object], data: bytes) -> Outcome:
    return run_script({**login, "drift": "fail"}, data, "bootstrap_schema.sql")


def test_it_is_like_productions(names: dict[str, str]) -> None:
    data = production_schema(names)
    assert data.count(b"\n") > 1000
    with pytest.raises(UnicodeDecodeError):
        data.decode()
    assert len(split(read_source(data))) == 6 + TABLES * 6 + TABLES // 4 + 2


def test_applied_twice_the_second_time_nothing_changes_until_a_table_is_older(
    login: dict[str, object], names: dict[str, str], engine: Engine
) -> None:
    data = production_schema(names)
    first = apply(login, data)
    assert not first.failed, render(first.findings[0])
    assert first.changed
    listed = ", ".join(f"'{name}'" for name in names.values())
    made = dict(engine.query(f"SELECT engine, count() FROM system.tables WHERE database IN ({listed}) GROUP BY engine"))
    assert made["View"] == TABLES
    assert made["ReplacingMergeTree"] == TABLES
    assert made["MaterializedView"] == TABLES // 4 + 1

    again = apply(login, data)
    assert again.findings == []
    assert not again.changed
    assert all(statement["status"] == "applied" for statement in again.statements)

    engine.query(f"ALTER TABLE {names['meta']}.raw_01 DROP COLUMN metric_03")
    older = apply(login, data)
    (finding,) = older.findings
    assert older.failed
    assert finding.object == f"{names['meta']}.raw_01"
    assert finding.evidence["missing_columns"] == ["metric_03"]
    assert "ADD COLUMN `metric_03` LowCardinality(UInt8) DEFAULT 3 AFTER `metric_02`;" in (finding.next_step or "")


def test_an_error_deep_inside_has_the_files_own_line(login: dict[str, object], names: dict[str, str]) -> None:
    data = production_schema(names)
    column = b"metric_07 LowCardinality(UInt8)"
    position = data.index(column, data.index(b"raw_16"))
    line = data[:position].count(b"\n") + 1
    data = data[:position] + b"metric_07 NoSuchType" + data[position + len(column) :]
    outcome = apply(login, data)
    (finding,) = outcome.findings
    assert finding.evidence["location"] == f"bootstrap_schema.sql:{line}"
    assert finding.evidence["code_name"] == "UNKNOWN_TYPE"
    assert outcome.statements[-1]["status"] == "not sent"
