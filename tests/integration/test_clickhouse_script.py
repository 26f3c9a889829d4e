"""A SQL file applied to a real engine: what is sent, what counts as a change, how an error and drift are named."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.findings import render
from ansible.module_utils.ingest_verify.script import Outcome, read_script, run_script
from ansible.module_utils.ingest_verify.statements import ScriptError

from embedded.testing import Engine, start_engine

Run = Callable[..., Outcome]


@pytest.fixture
def run(login: dict[str, object], database: str) -> Run:
    """Apply a text to the test's own database."""

    def apply(text: str | bytes, *, check: bool = False, **params: Any) -> Outcome:
        data = text if isinstance(text, bytes) else text.encode()
        return run_script({**login, "login_db": database, **params}, data, "schema.sql", check=check)

    return apply


def only(outcome: Outcome) -> Any:
    assert len(outcome.findings) == 1, [render(finding) for finding in outcome.findings]
    return outcome.findings[0]


def states(outcome: Outcome) -> list[str]:
    return [statement["status"] for statement in outcome.statements]


def tables(engine: Engine, database: str) -> list[str]:
    return [
        row[0] for row in engine.query(f"SELECT name FROM system.tables WHERE database = '{database}' ORDER BY name")
    ]


SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (id UInt64, city LowCardinality(String), at DateTime('UTC'))
ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(at) ORDER BY id;
ALTER TABLE orders MODIFY TTL at + INTERVAL 1 YEAR;
ALTER TABLE orders ADD COLUMN IF NOT EXISTS price Decimal(18, 2) AFTER city;
CREATE MATERIALIZED VIEW IF NOT EXISTS by_city ENGINE = SummingMergeTree ORDER BY city AS
SELECT city, count() AS n FROM orders GROUP BY city;
CREATE OR REPLACE VIEW dash AS SELECT city, sum(price) AS total FROM orders FINAL GROUP BY city;
"""


def test_check_mode_sends_nothing_then_real_then_again_unchanged(run: Run, engine: Engine, database: str) -> None:
    planned = run(SCHEMA, check=True, login_port=1)
    assert states(planned) == ["planned"] * 5
    assert planned.changed
    assert not planned.findings
    assert "schema.sql:2: CREATE TABLE" in planned.diff["after"]
    assert tables(engine, database) == []

    first = run(SCHEMA)
    assert not first.findings
    assert first.changed
    assert states(first) == ["applied"] * 5
    assert [statement["line"] for statement in first.statements] == [2, 4, 5, 6, 8]
    assert f"table {database}.orders" in first.changed_objects
    assert "`price` Decimal(18, 2)" in first.diff["after"]
    assert first.diff["before"] == ""

    again = run(SCHEMA)
    assert not again.findings
    assert not again.changed
    assert again.changed_objects == []
    assert "catalog unchanged" in again.summary


def test_diff_shows_the_column_that_changed(run: Run) -> None:
    run(SCHEMA)
    outcome = run("ALTER TABLE orders MODIFY COLUMN price Decimal(18, 4)")
    assert "`price` Decimal(18, 2)" in outcome.diff["before"]
    assert "`price` Decimal(18, 4)" in outcome.diff["after"]


def test_statements_share_one_session(run: Run, engine: Engine, database: str) -> None:
    other = f"{database}_other"
    try:
        outcome = run(
            f"CREATE DATABASE {other}; USE {other}; SET allow_suspicious_low_cardinality_types = 1;"
            "CREATE TABLE t (a LowCardinality(UInt8)) ENGINE = Memory; CREATE TEMPORARY TABLE x (a Int32);"
            "INSERT INTO x VALUES (1); INSERT INTO t SELECT a FROM x"
        )
        assert not outcome.failed, outcome.findings
        assert engine.query(f"SELECT a FROM {other}.t") == [(1,)]
    finally:
        engine.query(f"DROP DATABASE IF EXISTS {other} SYNC")


def test_creates_its_database_only_when_asked_and_missing(run: Run, engine: Engine, database: str) -> None:
    other = f"{database}-new"
    text = "CREATE TABLE IF NOT EXISTS t (a Int32) ENGINE = Memory"
    try:
        refused = run(text, login_db=other)
        assert refused.failed
        assert only(refused).cause == "server_missing_database"
        assert only(refused).next_step == f"CREATE DATABASE IF NOT EXISTS `{other}`;"
        assert run(text, login_db=other, create_login_db=True).changed
        assert not run(text, login_db=other, create_login_db=True).changed
    finally:
        engine.query(f"DROP DATABASE IF EXISTS `{other}` SYNC")


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("INSERT INTO t SELECT 1", True),
        ("INSERT INTO t SELECT 1 WHERE 0", False),
        ("INSERT INTO t VALUES (1), (2)", True),
        ("SELECT * FROM t; SET max_threads = 1; SYSTEM FLUSH LOGS", False),
        ("CREATE TABLE IF NOT EXISTS t (a Int32) ENGINE = MergeTree ORDER BY a", False),
        ("ALTER TABLE t DELETE WHERE a = 1", True),
        ("ALTER TABLE t UPDATE b = 2 WHERE a = 1", True),
        ("ALTER TABLE t DROP PARTITION tuple()", True),
        ("ALTER TABLE t ADD COLUMN IF NOT EXISTS b Int32 AFTER a, MODIFY COLUMN b DEFAULT 1", False),
        ("TRUNCATE TABLE t", True),
        ("CREATE TEMPORARY TABLE x (a Int32); INSERT INTO x VALUES (1)", False),
        ("SYSTEM DROP MARK CACHE", False),
        ("DROP TABLE t; CREATE TABLE t (a Int32, b Int32 DEFAULT 1) ENGINE = MergeTree ORDER BY a", True),
        ("DROP VIEW v; CREATE VIEW v AS SELECT a FROM t", False),
        ("CREATE OR REPLACE VIEW v AS SELECT a FROM t", False),
        ("CREATE OR REPLACE VIEW v AS SELECT a + 1 AS a FROM t", True),
        ("ALTER TABLE t COMMENT COLUMN a 'x'", True),
        ("ALTER TABLE t MODIFY SETTING merge_with_ttl_timeout = 7", True),
    ],
)
def test_what_counts_as_a_change(run: Run, text: str, changed: bool) -> None:
    run(
        "CREATE TABLE t (a Int32, b Int32 DEFAULT 1) ENGINE = MergeTree ORDER BY a; CREATE VIEW v AS SELECT a FROM t;"
        "INSERT INTO t (a) SELECT 1"
    )
    text = text.replace("INTO t ", "INTO t (a) ")
    outcome = run(text, drop_rows=True)
    assert not outcome.failed, outcome.findings
    assert outcome.changed is changed


HELD = "CREATE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a; INSERT INTO t SELECT number FROM numbers(3);"
HELD += "CREATE MATERIALIZED VIEW m ENGINE = MergeTree ORDER BY a AS SELECT a FROM t; INSERT INTO t SELECT 7;"
AGAIN = "CREATE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a;"


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        (f"SELECT 1;\nDROP TABLE IF EXISTS t; {AGAIN}", "schema.sql:2: {}.t, 4 rows"),
        ("TRUNCATE TABLE IF EXISTS t", "schema.sql:1: {}.t, 4 rows"),
        ("CREATE OR REPLACE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a", "schema.sql:1: {}.t, 4 rows"),
        ("DROP VIEW m", "schema.sql:1: {}.m, 1 rows"),
        ("USE default;\nDROP DATABASE {}", "schema.sql:2: {}.m, 1 rows\nschema.sql:2: {}.t, 4 rows"),
        (f"DROP TABLE t; {AGAIN} INSERT INTO t VALUES (1)", "schema.sql:1: {}.t, 4 rows"),
        (f"DROP TABLE t; {AGAIN} INSERT INTO t VALUES (1), (2), (3), (4)", None),
        (f"DROP TABLE t; {AGAIN} INSERT INTO t SELECT 1", None),
        ("CREATE OR REPLACE TABLE t ENGINE = MergeTree ORDER BY a AS SELECT 1 AS a", None),
        ("DROP TABLE IF EXISTS absent; DROP TABLE IF EXISTS empty", None),
    ],
)
def test_rows_are_not_dropped_unasked(run: Run, engine: Engine, database: str, text: str, lost: str | None) -> None:
    run(f"{HELD} CREATE TABLE empty (a Int32) ENGINE = MergeTree ORDER BY a")
    outcome = run(text.replace("{}", database))
    if lost is None:
        assert not outcome.findings
        return
    finding = only(outcome)
    assert finding.cause == "config_rows_at_stake"
    assert finding.actual.splitlines() == sorted(lost.replace("{}", database).splitlines())
    assert "schema_apply_drop_rows=true" in finding.next_step
    assert set(states(outcome)) == {"not sent"}
    assert not outcome.changed
    assert engine.query(f"SELECT count() FROM {database}.t") == [(4,)]


def test_listed_rows_that_are_added_once_more_are_named(run: Run, database: str) -> None:
    table = "CREATE TABLE IF NOT EXISTS {0} (a Int32) ENGINE = {1} ORDER BY a;\nINSERT INTO {0} VALUES (1), (2);"
    plain, replacing = table.format("t", "MergeTree"), table.format("r", "ReplacingMergeTree")
    assert run(plain + replacing).findings == []
    again = run(plain + replacing)
    assert (only(again).severity, only(again).cause, only(again).object) == (
        "warning",
        "server_rows_repeated",
        f"{database}.t",
    )
    assert only(again).evidence["location"] == "schema.sql:2"
    assert again.changed
    assert "catalog unchanged, 4 rows written" in again.summary


def test_a_result_that_the_client_cannot_decode_ends_nothing(run: Run, engine: Engine, database: str) -> None:
    text = "SET param_x = 'kept'; SELECT uniqState(1); SELECT unhex('FF'); SELECT throwIf({x:String} != 'kept')"
    outcome = run(f"USE {database}; {text}", login_db="default")
    assert not outcome.findings
    assert states(outcome) == ["applied"] * 5


def test_first_error_ends_the_script_and_says_what_was_sent(run: Run, engine: Engine, database: str) -> None:
    outcome = run(
        "-- note\nCREATE TABLE one (a Int32) ENGINE = Memory;\n\nCREATE TABLE two\n(\n    a Int32,\n    b Sting\n)\n"
        "ENGINE = Memory;\nCREATE TABLE three (a Int32) ENGINE = Memory;\n"
    )
    assert states(outcome) == ["applied", "failed", "not sent"]
    assert outcome.changed
    assert tables(engine, database) == ["one"]
    finding = only(outcome)
    assert finding.cause == "server_unsupported_ddl"
    assert finding.evidence["code"] == 50
    assert finding.evidence["code_name"] == "UNKNOWN_TYPE"
    assert finding.evidence["location"] == "schema.sql:7"
    assert finding.evidence["statement_location"] == "schema.sql:4"
    assert finding.evidence["sql"].startswith("CREATE TABLE two")
    assert "Sting" in finding.evidence["exception"]
    assert finding.effects == [
        "applied before it: 1 statement(s), line 2",
        "not sent after it: 1 statement(s), line 10",
    ]


@pytest.mark.parametrize(
    ("text", "cause", "code_name", "location"),
    [
        ("SELECT 1;\nCREATE TABLE t\n(a Int32)\nENGIN = Memory", "server_unsupported_ddl", "SYNTAX_ERROR", 4),
        ("CREATE TABLE t (a Int32)\nENGINE = MergTree", "server_unsupported_ddl", "UNKNOWN_STORAGE", 2),
        (
            "CREATE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a\nSETTINGS no_such_setting = 1",
            "server_unsupported_ddl",
            "UNKNOWN_SETTING",
            2,
        ),
        ("SELECT 1;\nALTER TABLE absent ADD COLUMN a Int32", "server_missing_table", "UNKNOWN_TABLE", 2),
        ("CREATE TABLE absent_db.t (a Int32) ENGINE = Memory", "server_missing_database", "UNKNOWN_DATABASE", 1),
        ("CREATE VIEW v AS SELECT\nabsent\nFROM system.one", "server_missing_column", "UNKNOWN_IDENTIFIER", 2),
        (
            "CREATE TABLE t (a Int32) ENGINE = Memory;\nCREATE TABLE t (a Int32) ENGINE = Memory",
            "server_object_exists",
            "TABLE_ALREADY_EXISTS",
            2,
        ),
        (
            "CREATE TABLE t (\na Int32,\nb Int32,\na String)\nENGINE = Memory",
            "server_unsupported_ddl",
            "ILLEGAL_COLUMN",
            4,
        ),
        (
            "CREATE TABLE t (\na Int32,\nb Int32 DEFAULT no_such_function(a))\nENGINE = Memory",
            "server_unsupported_ddl",
            "UNKNOWN_FUNCTION",
            3,
        ),
        (
            "CREATE TABLE t (a Int32) ENGINE = Memory;\nINSERT INTO t VALUES (1),\n(no_such_value)",
            "server_type_mismatch",
            "UNKNOWN_IDENTIFIER",
            3,
        ),
    ],
)
def test_names_cause_and_line(run: Run, text: str, cause: str, code_name: str, location: int) -> None:
    finding = only(run(text))
    assert (finding.cause, finding.evidence["code_name"]) == (cause, code_name)
    assert finding.evidence["location"] == f"schema.sql:{location}"
    assert finding.next_step


KEYED = "CREATE TABLE t (a Int8, b Int8, INDEX i b TYPE minmax) ENGINE = MergeTree ORDER BY a;"


@pytest.mark.parametrize(
    ("text", "side", "step"),
    [
        ("CREATE ROLE r", "server", "users, roles, quotas and policies in XML only"),
        ("CREATE TABLE t ON CLUSTER c (a Int8) ENGINE = Memory", "server", "<remote_servers>"),
        (
            "CREATE TABLE t (a Int8) ENGINE = ReplicatedMergeTree('/t/{shard}', '{replica}') ORDER BY a",
            "server",
            "Define that macro in <macros>",
        ),
        ("CREATE DATABASE d ENGINE = Replicated('/d', 's', 'r')", "server", "ClickHouse Keeper"),
        (
            "CREATE TABLE t (d DateTime) ENGINE = MergeTree ORDER BY d TTL d + INTERVAL 1 DAY TO VOLUME 'cold'",
            "server",
            "<storage_configuration>",
        ),
        (
            "CREATE TABLE t (a LowCardinality(UInt8)) ENGINE = Memory",
            "schema",
            "SET allow_suspicious_low_cardinality_types = 1;",
        ),
        (
            "CREATE TABLE t (a Nullable(Int8)) ENGINE = MergeTree ORDER BY a",
            "schema",
            "Add SETTINGS allow_nullable_key = 1 to the table",
        ),
        ("SELECT {x:String}", "schema", "SET param_<name>"),
        ("CREATE TABLE таблица (a Int8) ENGINE = Memory", "schema", "into backquotes"),
        ("CREATE TABLE t (a Sting) ENGINE = Memory", "schema", "Is String meant? Correct schema.sql:1"),
        (
            "CREATE TABLE `2-reports` (a Int8) ENGINE = Memory;SELECT * FROM `2-report`",
            "schema",
            ".`2-reports` meant?",
        ),
        ("SELECT throwIf(1, 'not so')", "schema", "the file's own check"),
        (
            "CREATE TABLE t (a Int8, PROJECTION p (SELECT a ORDER BY a)) ENGINE = ReplacingMergeTree ORDER BY a",
            "schema",
            "Add SETTINGS deduplicate_merge_projection_mode = 'drop'",
        ),
        # What goes through once only.
        (f"{KEYED} ALTER TABLE t ADD COLUMN b Int8", "schema", "Write ADD COLUMN IF NOT EXISTS at schema.sql:1"),
        (f"{KEYED} ALTER TABLE t ADD INDEX i b TYPE minmax", "schema", "Write ADD INDEX IF NOT EXISTS"),
        (f"{KEYED} CREATE INDEX i ON t (b) TYPE minmax", "schema", "Write CREATE INDEX IF NOT EXISTS"),
        (f"{KEYED} ALTER TABLE t DROP COLUMN c", "schema", "Write DROP COLUMN IF EXISTS at schema.sql:1"),
        (f"{KEYED} ALTER TABLE t RENAME COLUMN c TO d", "schema", "Write RENAME COLUMN IF EXISTS"),
        ("ALTER TABLE t RENAME COLUMN c TO d", "schema", "Create the table before"),
        ("RENAME TABLE t TO u", "schema", "Write RENAME TABLE IF EXISTS"),
        ("DROP NAMED COLLECTION c", "schema", "Write DROP NAMED COLLECTION IF EXISTS"),
        ("CREATE TABLE t (a Int8, a Int8) ENGINE = Memory", "schema", "Correct schema.sql:1"),
    ],
)
def test_the_next_step_is_one_that_helps(run: Run, text: str, side: str, step: str) -> None:
    finding = only(run(text))
    assert finding.fix_side == side
    assert step in finding.next_step


def test_an_error_quoting_bytes_that_are_not_utf8(run: Run) -> None:
    finding = only(run("SELECT 1;\nCREAT TABLE x -- цена\n(a Int32)".encode("cp1251")))
    assert finding.evidence["code_name"] == "SYNTAX_ERROR"
    assert finding.evidence["location"] == "schema.sql:2"
    render(finding).encode("utf-8")


def test_comments_in_another_encoding_reach_the_server_as_they_are(run: Run, engine: Engine, database: str) -> None:
    outcome = run("CREATE TABLE t (a Int32 COMMENT 'цена') -- цена\nENGINE = Memory".encode("cp1251"))
    assert not outcome.failed
    assert engine.query(f"SELECT hex(comment) FROM system.columns WHERE database = '{database}'") == [
        ("цена".encode("cp1251").hex().upper(),)
    ]
    assert not run("CREATE TABLE IF NOT EXISTS t (a Int32 COMMENT 'цена') ENGINE = Memory".encode("cp1251")).changed


@pytest.mark.parametrize("text", [b"", b"-- nothing\n;;", b"SELECT 1;\n// no\n", "SELECT 1".encode("utf-16")])
def test_a_file_that_cannot_be_used_is_refused_before_a_connection(run: Run, text: bytes) -> None:
    finding = only(run(text, login_port=1))
    assert finding.cause == "config_sql_file"
    assert finding.headline.startswith("schema.sql")
    assert finding.next_step


def test_a_database_that_cannot_be_made_is_a_refusal_and_nothing_is_sent(run: Run) -> None:
    outcome = run("CREATE TABLE t (a Int32) ENGINE = Memory", login_db="x" * 300, create_login_db=True)
    finding = only(outcome)
    assert "CREATE DATABASE IF NOT EXISTS" in finding.evidence["sql"]
    assert finding.evidence["location"] == "login_db"
    assert states(outcome) == ["not sent"]


def test_a_dump_named_instead_of_a_schema_is_not_read_into_memory(tmp_path: Path) -> None:
    with (tmp_path / "dump.sql").open("wb") as dump:
        dump.truncate(1 << 40)
    with pytest.raises(ScriptError, match="more than 64 MiB"):
        read_script(str(dump.name))


def test_no_connection_and_wrong_password(run: Run) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        outcome = run("SELECT 1", login_port=closed.getsockname()[1])
    assert only(outcome).cause == "client_connection_refused"
    assert (states(outcome), outcome.summary.partition(" in ")[0]) == (["not sent"], "0 of 1 statements of schema.sql")
    assert only(run("SELECT 1", login_password="wrong")).cause == "server_authentication"


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE t (a Int32) ENGINE = MySQL('127.0.0.1:1', 'db', 'tab', 'me', 'hunter2secret') COMMENT 1;",
        "CREATE DICTIONARY d (id UInt64) PRIMARY KEY id SOURCE(CLICKHOUSE(PASSWORD 'hunter2secret')) LAYOUT(no())",
        # The server quotes what stands behind the place of the error.
        "CREATE TABLE t (a Int32,,) ENGINE = MySQL('127.0.0.1:1', 'db', 'tab', 'me', 'hunter2secret')",
        "CREATE USER u IDENTIFIED WITH plaintext_password BY 'hunter2secret' NO_SUCH_WORD",
    ],
)
def test_secrets_of_statements_are_not_shown(run: Run, text: str) -> None:
    outcome = run(text)
    shown = repr([outcome.statements, [finding.to_dict() for finding in outcome.findings]])
    assert outcome.failed
    assert "hunter2secret" not in shown


OLDER = """
CREATE TABLE orders (city String, at DateTime('UTC'), id UInt64, extra Int8) ENGINE = MergeTree ORDER BY (id, city)
"""
NEWER = """
SET allow_suspicious_low_cardinality_types = 1;
CREATE TABLE IF NOT EXISTS orders (id UInt64, city LowCardinality(String), at DateTime('UTC'), n LowCardinality(UInt8),
_dedup_key FixedString(32) DEFAULT '')
ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(at) ORDER BY id TTL at + INTERVAL 1 DAY
"""


def test_drift_names_each_difference_with_its_alter(run: Run, engine: Engine, database: str) -> None:
    run(OLDER)
    before = engine.query("SELECT count() FROM system.tables")
    outcome = run(NEWER)
    finding = only(outcome)
    assert not outcome.failed
    assert not outcome.changed
    assert (finding.cause, finding.severity) == ("server_schema_drift", "warning")
    assert finding.object == f"{database}.orders"
    assert finding.evidence["location"] == "schema.sql:3"
    assert finding.evidence["missing_columns"] == ["n", "_dedup_key"]
    for difference in (
        "column city is String instead of LowCardinality(String)",
        "column n LowCardinality(UInt8) is missing",
        "column _dedup_key FixedString(32) DEFAULT '' is missing",
        "it has extra besides",
        "its columns stand in another order than id, city, at, n, _dedup_key",
        "engine is MergeTree instead of ReplacingMergeTree",
        "partition key is absent instead of toYYYYMM(at)",
        "sorting key is (id, city) instead of id",
        "TTL is absent instead of at + toIntervalDay(1)",
    ):
        assert difference in finding.actual
    assert engine.query("SELECT count() FROM system.tables") == before
    assert run(NEWER, drift="fail").failed

    add = next(line for line in finding.next_step.splitlines() if "_dedup_key" in line)
    assert add == f"ALTER TABLE `{database}`.`orders` ADD COLUMN `_dedup_key` FixedString(32) DEFAULT '' AFTER `n`;"
    # What is offered must be accepted by the server; a key column's type is the one thing that it does not let go of.
    alters = [line for line in finding.next_step.splitlines() if "`city`" not in line.split("COLUMN")[-1].split()[:1]]
    assert not run("SET allow_suspicious_low_cardinality_types = 1;" + "\n".join(alters)).failed
    mended = only(run(NEWER)).actual
    assert "missing" not in mended
    assert "TTL" not in mended


FULL = """
CREATE TABLE IF NOT EXISTS t (a Int32 CODEC(ZSTD(3)), b String COMMENT 'it''s' TTL d + INTERVAL 1 DAY, d DateTime,
INDEX ib b TYPE bloom_filter GRANULARITY 4, PROJECTION p (SELECT b, count() GROUP BY b), CONSTRAINT c CHECK a > 0)
ENGINE = ReplacingMergeTree ( ) PARTITION BY ( toYYYYMM(d) ) ORDER BY ( a )
SETTINGS deduplicate_merge_projection_mode = 'drop'
"""
DICTIONARY = """
CREATE DICTIONARY IF NOT EXISTS d (k String, v VARCHAR(10) DEFAULT 'a;b') PRIMARY KEY k
SOURCE(CLICKHOUSE(TABLE 't' USER 'u' PASSWORD 'hunter2secret')) LAYOUT(COMPLEX_KEY_HASHED()) LIFETIME(300)
"""


@pytest.mark.parametrize(
    "text",
    [
        NEWER,
        FULL,
        DICTIONARY,
        "CREATE TABLE IF NOT EXISTS t (a Int32 PRIMARY KEY, b String)",
        "CREATE TABLE IF NOT EXISTS t (a Int32, b String, PRIMARY KEY (a)) ENGINE = MergeTree PARTITION BY tuple()",
        "CREATE VIEW IF NOT EXISTS v AS SELECT 1 AS a COMMENT 'hey'",
        "CREATE VIEW IF NOT EXISTS v AS SELECT number FROM numbers(9) WHERE number = {n:UInt64}",
        # What the server rewrites before it stores it: WITH and UNION, and names given beside the SELECT.
        "CREATE VIEW IF NOT EXISTS v AS WITH w AS (SELECT 1) SELECT * FROM w UNION ALL (SELECT 2 UNION ALL SELECT 1)",
        "CREATE VIEW IF NOT EXISTS v AS SELECT 1 AS a INTERSECT SELECT 1 EXCEPT SELECT 2",
        "CREATE VIEW IF NOT EXISTS v (a, b) AS SELECT number, count() FROM numbers(9) GROUP BY number",
        "CREATE TABLE IF NOT EXISTS t (a Int32) ENGINE = MergeTree ORDER BY a;"
        "CREATE INDEX IF NOT EXISTS i ON t (a) TYPE minmax",
    ],
)
def test_the_same_again_is_no_drift(run: Run, text: str) -> None:
    assert not run(text).failed
    again = run(text)
    assert again.findings == []
    assert not again.changed


def test_settings_given_beside_the_file_hold_for_the_comparison_too(run: Run) -> None:
    text = "CREATE TABLE IF NOT EXISTS t (n Nested(a Int8, b String), l LowCardinality(Int8)) ENGINE = Memory"
    settings = {"flatten_nested": 0, "allow_suspicious_low_cardinality_types": True}
    assert run(text, settings=settings).findings == []
    assert run(text, settings=settings).findings == []


@pytest.mark.parametrize(
    ("settings", "reason", "step"),
    [
        ({"max_threads": 2, "no_such": 1}, "knows no such setting", "Correct its name"),
        ({"allow_nullable_key": 1}, "a setting of MergeTree tables", "Write SETTINGS allow_nullable_key = 1 into"),
        ({"max_threads": "many"}, "'many' is refused", "Correct its value"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(run: Run, settings: dict[str, Any], reason: str, step: str) -> None:
    finding = only(run("CREATE TABLE t (a Int8) ENGINE = Memory", settings=settings))
    assert finding.cause == "config_setting"
    assert reason in finding.headline
    assert step in finding.next_step


def test_what_belongs_to_a_column_or_stands_among_them_is_compared_too(run: Run, database: str) -> None:
    run("CREATE TABLE t (a Int32, b String, d DateTime, INDEX old b TYPE minmax) ENGINE = ReplacingMergeTree"
        " PARTITION BY toYYYYMM(d) ORDER BY a")  # fmt: skip
    finding = only(run(FULL))
    assert finding.severity == "warning"
    assert finding.actual.splitlines() == [
        "codec of column a is absent instead of CODEC(ZSTD(3))",
        "comment of column b is absent instead of COMMENT 'it\\'s'",
        "TTL of column b is absent instead of TTL d + toIntervalDay(1)",
        "index ib is absent instead of b TYPE bloom_filter GRANULARITY 4",
        "constraint c is absent instead of CHECK a > 0",
        "projection p is absent instead of (SELECT b, count() GROUP BY b)",
        "index old is b TYPE minmax GRANULARITY 1 instead of absent",
    ]
    setting = "ALTER TABLE t MODIFY SETTING deduplicate_merge_projection_mode = 'drop';"
    assert not run(setting + finding.next_step).failed
    assert run(FULL).findings == []
    run("ALTER TABLE t DROP INDEX ib")
    assert only(run(FULL)).severity == "info"
    assert run(FULL + "; ALTER TABLE t ADD INDEX IF NOT EXISTS ib b TYPE minmax").findings == []


def test_an_older_dictionary_is_told_without_its_password(run: Run) -> None:
    run(DICTIONARY)
    newer = DICTIONARY.replace("VARCHAR(10)", "Nullable(String)").replace("TABLE 't'", "TABLE 'u'")
    finding = only(run(newer.replace("300", "MIN 1 MAX 2")))
    assert finding.actual.splitlines() == [
        "attribute v is VARCHAR(10) DEFAULT 'a;b' instead of Nullable(String) DEFAULT 'a;b'",
        "source is another one",
        "lifetime is LIFETIME(MIN 0 MAX 300) instead of LIFETIME(MIN 1 MAX 2)",
    ]
    assert "hunter2secret" not in repr(finding)
    assert "CREATE OR REPLACE DICTIONARY" in finding.next_step


def test_an_older_function_is_told(run: Run, engine: Engine, database: str) -> None:
    text = f"CREATE FUNCTION IF NOT EXISTS {database}_f AS (x, `y z`) -> x + `y z` + "
    try:
        run(text + "1")
        assert run(text + "1").findings == []
        assert only(run(text + "2")).actual == "its body is another one"
    finally:
        engine.query(f"DROP FUNCTION IF EXISTS {database}_f")


def test_what_the_script_alters_itself_is_no_drift(run: Run) -> None:
    script = """
    CREATE TABLE IF NOT EXISTS t (a Int32, b String, c String, d DateTime('UTC')) ENGINE = MergeTree ORDER BY a;
    ALTER TABLE t MODIFY COLUMN b LowCardinality(String), DROP COLUMN IF EXISTS c;
    ALTER TABLE t RENAME COLUMN IF EXISTS d TO e;
    ALTER TABLE t ADD COLUMN IF NOT EXISTS f Int32;
    """
    run(script)
    ttl = "ALTER TABLE t MODIFY TTL e + INTERVAL 1 DAY;"
    run(ttl)
    assert run(script + ttl).findings == []


def test_a_replicated_or_foreign_engine_is_compared_by_its_columns(run: Run) -> None:
    run("CREATE TABLE t (a Int32) ENGINE = ReplacingMergeTree(a) ORDER BY a; CREATE TABLE n (a Int32) ENGINE = Null")
    replicated = "ENGINE = ReplicatedReplacingMergeTree('/x/{shard}', '{replica}', a) ORDER BY a"
    assert run(f"CREATE TABLE IF NOT EXISTS t (a Int32) {replicated}").findings == []
    finding = only(run("CREATE TABLE IF NOT EXISTS n (a Int64) ENGINE = Memory"))
    assert finding.actual == "column a is Int32 instead of Int64\nengine is `Null` instead of Memory"


def test_a_view_that_was_there_with_other_columns(run: Run) -> None:
    base = "CREATE TABLE IF NOT EXISTS t (a Int32, b String) ENGINE = MergeTree ORDER BY a;"
    view = "CREATE MATERIALIZED VIEW IF NOT EXISTS m ENGINE = MergeTree ORDER BY a AS SELECT {} FROM t WHERE a > 1"
    run(base + view.format("a"))
    assert run(base + view.format("a")).findings == []
    finding = only(run(base + view.format("a, upper(b) AS c")))
    assert finding.severity == "warning"
    assert "column c String is missing" in finding.actual
    assert "MODIFY QUERY" in finding.next_step
    assert only(run(base + view.format("a") + "0")).actual == "its SELECT is another one"
    union = "CREATE VIEW IF NOT EXISTS u AS SELECT 1 AS a UNION ALL (SELECT 2 UNION ALL SELECT {})"
    run(union.format(3))
    assert only(run(union.format(4))).actual == "its SELECT is another one"


@pytest.mark.parametrize(
    "statement",
    [
        "VIEW by_city AS SELECT city FROM orders",
        "MATERIALIZED VIEW filled TO orders AS SELECT '' AS city FROM numbers(1)",
    ],
)
def test_an_older_table_is_named_as_the_reason_of_the_statement_that_fails(
    run: Run, database: str, statement: str
) -> None:
    run("CREATE TABLE orders (id UInt64) ENGINE = MergeTree ORDER BY id")
    outcome = run(
        "CREATE TABLE IF NOT EXISTS orders (id UInt64, city String) ENGINE = MergeTree ORDER BY id;\n"
        f"CREATE {statement}"
    )
    refusal = next(finding for finding in outcome.findings if finding.severity == "error")
    assert refusal.cause == "server_missing_column"
    assert f"The reason: {database}.orders was there before" in refusal.headline
    assert refusal.next_step == f"ALTER TABLE `{database}`.`orders` ADD COLUMN `city` String AFTER `id`;"


@pytest.fixture
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """Login of a user on an engine of its own who may do little, and never make temporary MergeTree tables."""
    grants = ["GRANT SELECT, CREATE TABLE ON lim.*", "GRANT CREATE TEMPORARY TABLE ON *.*", "GRANT TABLE ENGINE ON *"]
    users = {"limited": {"password": "limited-pw", "grants": grants}}
    with start_engine(tmp_path_factory.mktemp("limited"), users=users) as other:
        other.query("CREATE DATABASE lim")
        other.query("CREATE TABLE lim.t (a Int32) ENGINE = MergeTree ORDER BY a")
        yield {
            "login_host": other.host,
            "login_port": other.tcp_port,
            "login_user": "limited",
            "login_password": "limited-pw",
            "login_db": "lim",
            "create_login_db": True,
        }


def test_a_user_with_few_rights(limited: dict[str, object]) -> None:
    same = "CREATE TABLE IF NOT EXISTS t (a Int32, b String) ENGINE = MergeTree ORDER BY a"
    finding = only(run_script(limited, same.encode(), "schema.sql"))
    assert "column b String is missing" in finding.actual

    refused = only(run_script(limited, b"ALTER TABLE t ADD COLUMN b String", "schema.sql"))
    assert refused.cause == "server_missing_grant"
    assert refused.next_step.splitlines()[0] == "GRANT ALTER ADD COLUMN(b) ON lim.t TO `limited`;"


def test_a_right_that_the_user_behind_a_dictionary_lacks_is_granted_to_that_user(tmp_path: Path) -> None:
    users = {"reader": {"password": "reader-pw", "grants": ["GRANT SELECT ON default.*"]}}
    with start_engine(tmp_path, users=users) as other:
        login = {"login_host": other.host, "login_port": other.tcp_port, "login_user": other.user}
        text = """
            CREATE DATABASE refs;
            CREATE TABLE refs.tariffs (code UInt64, price Float64) ENGINE = MergeTree ORDER BY code;
            CREATE DICTIONARY refs.d (code UInt64, price Float64) PRIMARY KEY code LAYOUT(FLAT()) LIFETIME(60)
            SOURCE(CLICKHOUSE(DB 'refs' TABLE 'tariffs' USER 'reader' PASSWORD 'reader-pw'));
            SELECT dictGet('refs.d', 'price', 1);"""
        outcome = run_script({**login, "login_password": other.password}, text.encode(), "schema.sql")
    finding = only(outcome)
    assert finding.cause == "server_missing_grant"
    grant, xml, whose = str(finding.next_step).splitlines()
    assert grant == "GRANT SELECT ON refs.tariffs TO `reader`;"
    assert "reader is not the user who applies the file" in whose
    assert "<query>GRANT SELECT ON refs.tariffs</query>" in xml


def test_a_server_that_dies_in_the_middle(tmp_path: Path) -> None:
    with start_engine(tmp_path) as dying:

        def kill_when_it_runs() -> None:
            deadline = time.monotonic() + 60
            running = "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sum(sleep%'"
            while dying.query(running) == [(0,)] and time.monotonic() < deadline:
                time.sleep(0.02)
            dying.kill()

        killer = threading.Thread(target=kill_when_it_runs)
        killer.start()
        params = {
            "login_host": dying.host,
            "login_port": dying.tcp_port,
            "login_user": dying.user,
            "login_password": dying.password,
        }
        text = b"SELECT 1;\nSELECT sum(sleep(1)) FROM numbers(60) SETTINGS max_block_size = 1;\nSELECT 3;"
        outcome = run_script(params, text, "schema.sql")
        killer.join()
    assert only(outcome).cause == "server_connection_lost"
    assert only(outcome).evidence["location"] == "schema.sql:2"
    assert states(outcome) == ["applied", "failed", "not sent"]
