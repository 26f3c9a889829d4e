"""Diagnosis without a server: texts of statements, wording of versions, whose statements are whose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from ansible.module_utils.ingest_verify.clickhouse.error_codes import is_recoverable
from ansible.module_utils.ingest_verify.diagnosis.attribution import attribute
from ansible.module_utils.ingest_verify.diagnosis.log_only import diagnose_log
from ansible.module_utils.ingest_verify.diagnosis.proof import hiding
from ansible.module_utils.ingest_verify.diagnosis.request import Request
from ansible.module_utils.ingest_verify.diagnosis.server_side.classify import classify
from ansible.module_utils.ingest_verify.diagnosis.server_side.refusal import Refusal
from ansible.module_utils.ingest_verify.diagnosis.server_side.schema_statements import view_in
from ansible.module_utils.ingest_verify.diagnosis.server_side.unlogged import full_disk
from ansible.module_utils.ingest_verify.facts.catalog import Catalog, nearest
from ansible.module_utils.ingest_verify.facts.server import (
    EvidenceError,
    Program,
    StatementGroup,
    Window,
    parse_time,
    resolve_settings,
)
from ansible.module_utils.ingest_verify.sql_text import source_tables, statement_target


@pytest.mark.parametrize(
    ("sql", "verb", "name", "columns"),
    [
        ("INSERT INTO `zakaz`.`t` (a, `b c`) VALUES", "INSERT", "zakaz.t", ("a", "b c")),
        ("insert into table t(a,b) format JSONEachRow", "INSERT", "cur.t", ("a", "b")),
        ('INSERT INTO "z"."t" VALUES', "INSERT", "z.t", None),
        ("INSERT INTO t (* EXCEPT(a)) VALUES", "INSERT", "cur.t", None),
        ("INSERT INTO t (SELECT 1)", "INSERT", "cur.t", None),
        ("INSERT INTO t SELECT * FROM z.y", "INSERT", "cur.t", None),
        ("WITH a AS (SELECT 1 FROM q.r) INSERT INTO t SELECT 2", "INSERT", "cur.t", None),
        ("-- a comment; INSERT INTO x\n/* y */ INSERT INTO z.t (нет) VALUES", "INSERT", "z.t", ("нет",)),
        ("INSERT INTO z.t (a) VALUES ('cut in a lit", "INSERT", "z.t", ("a",)),
        ("INSERT INTO z.t (a... (truncated 93 characters)", "INSERT", "z.t", None),
        ("INSERT INTO ... (truncated 93 characters)", "INSERT", None, None),
        ("INSERT INTO FUNCTION remote('h', z.t) VALUES", "INSERT", "remote", None),
        ("DESCRIBE TABLE z.`x`", "DESCRIBE", "z.x", None),
        ("DESC x", "DESCRIBE", "cur.x", None),
        ("CREATE TABLE IF NOT EXISTS `a`.`b` (x Int8)", "CREATE", "a.b", None),
        ("CREATE MATERIALIZED VIEW a.mv TO a.t AS SELECT 1", "CREATE", "a.mv", None),
        ("create or replace view v as select 1", "CREATE", "cur.v", None),
        ("DROP DATABASE IF EXISTS d", "DROP", "d", None),
        ("TRUNCATE a.b", "TRUNCATE", "a.b", None),
        ("DELETE FROM b WHERE 1", "DELETE", "cur.b", None),
        ("OPTIMIZE TABLE a.b FINAL", "OPTIMIZE", "a.b", None),
        ("EXCHANGE TABLES a.b AND a.c", "EXCHANGE", "a.b", None),
        ("RENAME TABLE `a`.`b c` TO a.d", "RENAME", "a.b c", None),
        ("SELECT max(x) FROM z.t AS q JOIN z.u USING x", "SELECT", "z.t", None),
        ("SELECT 1", "SELECT", None, None),
        ("SYSTEM FLUSH LOGS", "SYSTEM", None, None),
        ("SET x = 1", "SET", None, None),
        ("", "", None, None),
    ],
)
def test_target_of_a_statement(sql: str, verb: str, name: str | None, columns: tuple[str, ...] | None) -> None:
    target = statement_target(sql, "cur")
    assert (target.verb, target.name, target.columns) == (verb, name, columns)


def test_a_value_list_of_megabytes_is_not_read_for_its_target() -> None:
    sql = "INSERT INTO z.t (a) VALUES " + ", ".join(["('x')"] * 500_000)
    assert statement_target(sql).name == "z.t"


def test_source_tables() -> None:
    assert source_tables("SELECT * FROM a.b JOIN c ON 1 WHERE x IN (SELECT y FROM (SELECT 1 FROM `d`.`e`))", "cur") == [
        ("a", "b"),
        ("cur", "c"),
        ("d", "e"),
    ]
    assert source_tables("SELECT * FROM numbers(10)") == []


class FakeEvidence:
    """The catalog of a server with one database."""

    TABLES: ClassVar = {("zakaz", "orders"): {"order_id": "String", "sale_ts": "DateTime", "n": "Nullable(UInt32)"}}
    missing: ClassVar[dict[str, str]] = {}

    def databases(self) -> list[str]:
        return ["default", "zakaz"]

    def all_tables(self) -> list[tuple[str, str]]:
        return list(self.TABLES)

    def columns(self, database: str, table: str) -> list[dict[str, str]]:
        columns = self.TABLES.get((database, table), {})
        return [{"name": name, "type": kind, "default_kind": ""} for name, kind in columns.items()]

    def users(self) -> None:
        return None

    def user_storage(self, user: str) -> None:
        return None

    def views_naming(self, table: str) -> list[tuple[str, str, str]]:
        return []

    def table_facts(self, database: str, table: str) -> None:
        return None

    def active_parts(self, database: str, table: str) -> None:
        return None

    def disks(self) -> list[dict[str, object]]:
        return []


# The same refusals as 24.8.4 (first) and 26.x (after it) put them, and as another server passes them on.
WORDINGS = [
    (60, "INSERT INTO zakaz.order VALUES", "server_missing_table", "zakaz.order", [
        "Code: 60. DB::Exception: Table zakaz.order does not exist. Maybe you meant zakaz.orders?. (UNKNOWN_TABLE)",
        "Code: 60. DB::Exception: Table zakaz.order does not exist. (UNKNOWN_TABLE) (version 26.9.2.1)",
        "Code: 60. DB::Exception: Received from ch-2:9000. DB::Exception: Table zakaz.order doesn't exist. "
        "(UNKNOWN_TABLE)",
    ]),
    (60, "SELECT * FROM zakaz.order", "server_missing_table", "zakaz.order", [
        "Code: 60. DB::Exception: Unknown table expression identifier 'zakaz.order' in scope SELECT * FROM "
        "zakaz.order.",
        "Code: 60. DB::Exception: Unknown table expression identifier `zakaz.order`. In scope SELECT * FROM "
        "zakaz.order.",
    ]),
    (47, "SELECT salets FROM zakaz.orders", "server_missing_column", "zakaz.orders.salets", [
        "Code: 47. DB::Exception: Unknown expression identifier 'salets' in scope SELECT salets FROM zakaz.orders.",
        "Code: 47. DB::Exception: Unknown expression identifier `salets`. In scope SELECT salets FROM zakaz.orders.",
        "Code: 47. DB::Exception: Missing columns: 'salets' while processing query: 'SELECT salets FROM zakaz.orders'",
    ]),
    (41, "INSERT INTO zakaz.orders (order_id, sale_ts) VALUES", "server_type_mismatch", "zakaz.orders.sale_ts", [
        "Code: 41. DB::Exception: Code: 41. DB::Exception: Cannot parse datetime: Cannot parse DateTime from String: "
        "while "
        "executing 'FUNCTION if(isNull(-dummy-0) : 3, defaultValueOfTypeName('DateTime') :: 2, _CAST(-dummy-0, "
        "'DateTime') "
        ":: 4)': While executing ValuesBlockInputFormat: data for INSERT was parsed from query. "
        "(CANNOT_PARSE_DATETIME)",
        "Code: 41. DB::Exception: Cannot read DateTime: unexpected word: Cannot parse DateTime from String. "
        "(CANNOT_PARSE_DATETIME)",
    ]),
    (27, "INSERT INTO zakaz.orders FORMAT JSONEachRow", "server_type_mismatch", "zakaz.orders.n", [
        "Code: 27. DB::Exception: Code: 27. DB::Exception: Cannot parse input: expected '\"' before: 'abc\"}': "
        "(while reading "
        "the value of key n): (at row 1)\n: While executing ParallelParsingBlockInputFormat: data for INSERT was "
        "parsed",
    ]),
    (117, "INSERT INTO zakaz.orders FORMAT JSONEachRow", "server_missing_column", "zakaz.orders.idx", [
        "Code: 117. DB::Exception: Unknown field found while parsing JSONEachRow format: idx: (at row 1). "
        "(INCORRECT_DATA)",
    ]),
    (20, "INSERT INTO zakaz.orders SELECT 1", "server_column_count", "zakaz.orders", [
        "Code: 20. DB::Exception: Number of columns doesn't match (source: 1 and result: 3). "
        "(NUMBER_OF_COLUMNS_DOESNT_MATCH)",
    ]),
    (497, "INSERT INTO zakaz.orders (order_id) VALUES", "server_missing_grant", "INSERT ON zakaz.orders", [
        "Code: 497. DB::Exception: u: Not enough privileges. To execute this query, it's necessary to have the grant "
        "INSERT(order_id) ON zakaz.orders. (ACCESS_DENIED)",
        "Code: 497. DB::Exception: u: Недостаточно прав. (ACCESS_DENIED)",
    ]),
    (241, "INSERT INTO zakaz.orders VALUES", "server_memory_limit", "max_memory_usage", [
        "Code: 241. DB::Exception: Memory limit (for query) exceeded: would use 5.47 MiB, maximum: 976.56 KiB.",
        "Code: 241. DB::Exception: Query memory limit exceeded: would use 5.47 MiB, maximum: 976.56 KiB.",
    ]),
    (241, "INSERT INTO zakaz.orders VALUES", "server_memory_limit", "max_server_memory_usage", [
        "Code: 241. DB::Exception: Memory limit (total) exceeded: would use 5.47 GiB, maximum: 5 GiB.",
        "Code: 241. DB::Exception: (total) memory limit exceeded: would use 5.47 GiB, maximum: 5 GiB.",
    ]),
    (241, "INSERT INTO zakaz.orders VALUES", "server_memory_limit", "max_memory_usage_for_user", [
        "Code: 241. DB::Exception: Memory limit (for user) exceeded: would use 4.46 MiB, maximum: 976.56 KiB.",
        "Code: 241. DB::Exception: User memory limit exceeded: would use 4.46 MiB, maximum: 976.56 KiB.",
    ]),
    # Refusals that need no catalog: the object by name, in the words of both versions where they differ.
    (43, "INSERT INTO zakaz.orders SELECT 1", "server_bad_argument", "toStartOfHour", [
        "Code: 43. DB::Exception: Illegal type String of argument of function toStartOfHour. Should be a date or a "
        "date with time: In scope SELECT toStartOfHour(x). (ILLEGAL_TYPE_OF_ARGUMENT)",
    ]),
    (46, "SELECT sumx(n) FROM zakaz.orders", "server_refused_statement", "sumx", [
        "Code: 46. DB::Exception: Unknown function sumx. Maybe you meant: ['sum']. (UNKNOWN_FUNCTION)",
        "Code: 46. DB::Exception: Function with name `sumx` does not exist. In scope SELECT sumx(n). "
        "(UNKNOWN_FUNCTION)",
    ]),
    (16, "CREATE TABLE zakaz.t (a Int8) ENGINE = ReplacingMergeTree(v)", "server_refused_statement", "zakaz.t", [
        "Code: 16. DB::Exception: Version column v does not exist in table declaration. (NO_SUCH_COLUMN_IN_TABLE)",
    ]),
    (47, "INSERT INTO zakaz.orders (order_id) VALUES", "server_type_mismatch", "zakaz.orders", [
        "Code: 47. DB::Exception: Missing columns: 'None' while processing query: 'None', required columns: 'None' "
        "'None': While executing ValuesBlockInputFormat: data for INSERT was parsed from query. (UNKNOWN_IDENTIFIER)",
        "Code: 47. DB::Exception: Unknown expression identifier `None`. In scope None: While executing "
        "ValuesBlockInputFormat. (UNKNOWN_IDENTIFIER)",
    ]),
    (62, "INSERT INTO zakaz.orders (order_id) VALUES", "server_syntax_error", "zakaz.orders", [
        "Code: 62. DB::Exception: Cannot parse expression of type String here: 'L'Artiste'): While executing "
        "ValuesBlockInputFormat: data for INSERT was parsed from query. (SYNTAX_ERROR)",
        "Code: 62. DB::Exception: Syntax error: failed at position 106 ('('): ('a', 'L'Artiste'). Unmatched "
        "parentheses: (. (SYNTAX_ERROR)",
    ]),
    (62, "INSERT INTO zakaz.orders (order_id) VALUES", "server_column_count", "zakaz.orders", [
        "Code: 62. DB::Exception: Cannot parse expression of type String here: 'b',3): While executing "
        "ValuesBlockInputFormat: data for INSERT was parsed from query. (SYNTAX_ERROR)",
        "Code: 62. DB::Exception: Expected ',' after the value of column `n` of type String here: 'b'): While "
        "executing ValuesBlockInputFormat. (SYNTAX_ERROR)",
    ]),
    (215, "SELECT n, sum(n) FROM zakaz.orders", "server_refused_statement", "zakaz.orders.n", [
        "Code: 215. DB::Exception: Column zakaz.orders.n is not under aggregate function and not in GROUP BY keys. In "
        "query SELECT n, sum(n) FROM orders. (NOT_AN_AGGREGATE)",
        "Code: 215. DB::Exception: Column 'zakaz.orders.n' is not under aggregate function and not in GROUP BY keys.",
    ]),
    (47, "DELETE FROM zakaz.orders WHERE sale_dt < now()", "server_missing_column", "zakaz.orders.sale_dt", [
        "Code: 47. DB::Exception: Unknown expression or function identifier `sale_dt`. In scope sale_dt < now().",
        "Code: 47. DB::Exception: Missing columns: 'sale_dt' while processing query: 'sale_dt < now()'",
    ]),
    (60, "OPTIMIZE TABLE zakaz.order FINAL", "server_missing_table", "zakaz.order", [
        "Code: 60. DB::Exception: Table zakaz.order does not exist. Maybe you meant zakaz.orders?. (UNKNOWN_TABLE)",
    ]),
    (122, "ALTER TABLE zakaz.orders REPLACE PARTITION 1 FROM s", "server_refused_statement", "zakaz.orders", [
        "Code: 122. DB::Exception: Tables have different structure. (INCOMPATIBLE_COLUMNS)",
    ]),
    (158, "SELECT * FROM zakaz.orders", "server_limit", "max_rows_to_read", [
        "Code: 158. DB::Exception: Limit for rows (controlled by 'max_rows_to_read' setting) exceeded, max rows: 10, "
        "current rows: 1.00 thousand. (TOO_MANY_ROWS)",
    ]),
    (396, "SELECT * FROM zakaz.orders", "server_limit", "zakaz.orders", [
        "Code: 396. DB::Exception: Limit for result exceeded, max rows: 5.00, current rows: 1.00 thousand.",
    ]),
    (62, "INSERT INTO zakaz.orders VALUES ('a')", "server_limit", "zakaz.orders", [
        "Code: 62. DB::Exception: Syntax error: failed at position 262144 (''): '. Max query size exceeded.",
    ]),
    (190, "INSERT INTO zakaz.orders VALUES", "server_array_sizes", "'a.x' and 'a.y'", [
        "Code: 190. DB::Exception: Elements 'a.x' and 'a.y' of Nested data structure 'a' (Array columns) have "
        "different array sizes. (SIZES_OF_ARRAYS_DONT_MATCH)",
    ]),
    (373, "INSERT INTO zakaz.orders VALUES", "server_session", "x-1", [
        "Code: 373. DB::Exception: Session x-1 is locked by a concurrent client. (SESSION_IS_LOCKED)",
    ]),
    (456, "SELECT {id:String}", "server_missing_parameter", "id", [
        "Code: 456. DB::Exception: Substitution `id` is not set. (UNKNOWN_QUERY_PARAMETER)",
    ]),
    (516, "INSERT INTO FUNCTION remote('ch-2', z.t) VALUES", "server_remote_login", "ch-2:9000", [
        "Code: 516. DB::Exception: Received from ch-2:9000. DB::Exception: u: Authentication failed: password is "
        "incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)",
    ]),
    (164, "INSERT INTO zakaz.orders VALUES", "server_setting_refused", "max_threads", [
        "Code: 164. DB::Exception: Cannot modify 'max_threads' setting in readonly mode. (READONLY)",
    ]),
    (242, "INSERT INTO zakaz.orders VALUES", "server_readonly", "zakaz.orders", [
        "Code: 242. DB::Exception: Table is in readonly mode (replica path: /r/1). (TABLE_IS_READ_ONLY)",
    ]),
    (999, "INSERT INTO zakaz.orders VALUES", "server_replication", "zakaz.orders", [
        "Code: 999. Coordination::Exception: Session expired. (KEEPER_EXCEPTION)",
    ]),
    (99999, "INSERT INTO zakaz.orders VALUES", "server_refused_statement", "zakaz.orders", [
        "Code: 99999. DB::Exception: Something that no version says today.",
        "",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "sql", "cause", "name", "text"),
    [(code, sql, cause, name, text) for code, sql, cause, name, texts in WORDINGS for text in texts],
)
def test_each_versions_wording_leads_to_the_same_cause(code: int, sql: str, cause: str, name: str, text: str) -> None:
    found = classify(Refusal(sql, text, code, "", "u", "default"), Catalog(FakeEvidence()))  # type: ignore[arg-type]
    assert (found.cause, found.object) == (cause, name)
    assert found.next_step


def test_a_log_alone_names_what_the_server_refused(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "2026/11/23 04:00:01 insert: code: 60, message: Table zakaz.order does not exist\nexit status 1\n"
        "ERROR Code: 497. DB::Exception: u: Not enough privileges. To execute this query, it's necessary to have the "
        "grant INSERT(a) ON zakaz.t. (ACCESS_DENIED)\n"
    )
    said = diagnose_log(Request(client_log=str(log), users=["u"]), "connection refused")
    found = {finding.cause: finding for finding in said.findings}
    assert found["server_missing_table"].object == "zakaz.order"
    assert "GRANT INSERT ON zakaz.t TO `u`" in (found["server_missing_grant"].next_step or "")
    assert said.verdict == "FAIL"


def test_views_are_found_in_the_texts_of_all_versions() -> None:
    assert view_in("...: while pushing to view zakaz.mv. (CANNOT_PARSE_TEXT)") == "zakaz.mv"
    assert view_in("while pushing to view `zakaz`.`mv` (9b6f5b8c-0000-4000-8000-000000000000)") == "zakaz.mv"
    assert view_in("while pushing to view zakaz.mv (9b6f5b8c-0000-4000-8000-000000000000): x") == "zakaz.mv"
    assert view_in("Cannot parse string") is None


def test_a_retry_helps_where_the_data_was_not_at_fault() -> None:
    assert is_recoverable(252)
    assert is_recoverable(60)
    assert not is_recoverable(27)


def test_nearest_ignores_case_and_stays_silent_without_a_likeness() -> None:
    assert nearest("Order_ID", ["order_id", "city"]) == "order_id"
    assert nearest("evnt_id", ["order_id", "event_id"]) == "event_id"
    assert nearest("zzz", ["order_id", "event_id"]) is None


def test_hiding_settings() -> None:
    assert hiding({}) == []
    assert hiding({"log_queries": "1", "log_queries_probability": "1", "log_queries_min_type": "QUERY_START"}) == []
    assert [name for name, _, _ in hiding({"log_queries": "0", "log_queries_probability": "0.1"})] == [
        "log_queries",
        "log_queries_probability",
    ]


def test_own_settings_win_over_inherited_profiles_and_circles_end() -> None:
    def row(
        profile: str = "", user: str = "", setting: str = "", value: str = "", inherits: str = ""
    ) -> dict[str, str]:
        return {"profile": profile, "user": user, "setting": setting, "value": value, "inherits": inherits}

    rows = [
        row(profile="default", setting="log_queries", value="1"),
        row(profile="quiet", setting="log_queries", value="0"),
        row(profile="quiet", inherits="loop"),
        row(profile="loop", inherits="quiet"),
        row(user="u", inherits="quiet"),
        row(user="v", inherits="quiet"),
        row(user="v", setting="log_queries", value="1"),
    ]
    assert resolve_settings(rows, "u") == {"log_queries": "0"}
    assert resolve_settings(rows, "v") == {"log_queries": "1"}
    assert resolve_settings(rows, "w") == {"log_queries": "1"}


def test_times() -> None:
    assert parse_time("2026-11-23T04:00:00Z") == parse_time("2026-11-23 04:00:00.000000")
    with pytest.raises(EvidenceError, match="is not a time"):
        parse_time("now")


def test_a_window_prunes_by_date_before_anything_else() -> None:
    condition = Window(
        "2026-11-22 23:59:00.000000", "2026-11-23 00:01:00.000000", "2026-11-22", "2026-11-23"
    ).condition()
    assert condition.index("event_date") < condition.index("event_time")
    assert "event_time <= toDateTime('2026-11-23 00:01:10', 'UTC')" in condition


LOADER = Program("admin", "", "loader/1", "", "172.18.0.5")
GROUP = StatementGroup(
    program=LOADER, in_run=False, outcome="finished", code=0, count=1, first="1", last="2", query="INSERT INTO "
                                                                                                  "z.orders",
    exception="", query_id="q", query_ids=["q"], current_database="z", kind="Insert", tables=[], views=[],
    missing_privileges=[], written_rows=1, hosts=[], is_initial=True,
)  # fmt: skip
ASKED = {"narrowed": True, "targets": ["orders"], "active_before": set(), "client_text": ""}


def test_the_program_that_writes_the_targets_is_the_run() -> None:
    grafana = replace(
        GROUP, program=replace(LOADER, http_user_agent="Grafana"), query="SELECT x FROM z.orders", code=47
    )
    other = replace(GROUP, program=replace(LOADER, http_user_agent="etl"), query="INSERT INTO z.audit VALUES", code=60)
    result = attribute([GROUP, grafana, other], **ASKED)
    assert result.run == [GROUP]
    assert [group for _, group in result.excluded] == [grafana, other]


def test_a_tool_that_shows_data_is_never_the_run_unless_it_writes() -> None:
    grafana = replace(GROUP, program=replace(LOADER, http_user_agent="Grafana/9"), query="SELECT x FROM z.t", code=47)
    assert attribute([grafana], **ASKED).run == []
    told = replace(grafana, exception="Code: 47. DB::Exception: Unknown expression identifier `sale_day` in scope x.")
    text = "ERROR Unknown expression identifier `sale_day` in scope x."
    assert attribute([told], **{**ASKED, "client_text": text}).run == [told]
    writing = replace(grafana, query="INSERT INTO z.t VALUES")
    assert attribute([writing], **ASKED).run == [writing]


def test_of_two_writers_the_one_that_was_busy_before_the_window_is_another() -> None:
    steady = replace(GROUP, program=replace(LOADER, address="172.18.0.9"), code=60)
    assert attribute([GROUP, steady], **{**ASKED, "active_before": {steady.program}}).run == [GROUP]
    assert attribute([GROUP, steady], **ASKED).run == [GROUP, steady]


def test_a_failure_that_the_clients_log_repeats_is_the_runs() -> None:
    exception = (
        "Code: 47. DB::Exception: Unknown expression identifier `sale_day` in scope SELECT. (UNKNOWN_IDENTIFIER)"
    )
    reading = replace(
        GROUP, program=replace(LOADER, http_user_agent="py"), query="SELECT sale_day", code=47, exception=exception
    )
    text = "ERROR: Unknown expression identifier `sale_day` in scope SELECT."
    assert attribute([GROUP, reading], **{**ASKED, "client_text": text}).run == [GROUP, reading]
    assert attribute([GROUP, reading], **ASKED).run == [GROUP]


def test_without_any_writer_only_programs_new_in_the_window_are_asked() -> None:
    steady = replace(GROUP, program=replace(LOADER, address="10.0.0.9"), query="SELECT 1", code=60)
    reader = replace(GROUP, query="SELECT 2", code=47)
    assert attribute([reader, steady], **{**ASKED, "active_before": {steady.program}}).run == [reader]


def test_a_mark_is_stronger_than_any_guess() -> None:
    marked = replace(GROUP, in_run=True)
    result = attribute([marked, GROUP], **ASKED)
    assert result.run == [marked]
    assert result.certain


def test_a_disk_too_full_for_the_log_tables_is_the_cause_and_one_with_room_is_not() -> None:
    def judged(free: int, *, proven: bool) -> list[Any]:
        disks = [
            {"name": "cold", "path": "/cold/", "free": 0, "total": 2**30},
            {"name": "default", "path": "/data/", "free": free, "total": 2**30},
        ]
        case: Any = SimpleNamespace(
            result=SimpleNamespace(proven=proven), evidence=SimpleNamespace(disks=lambda: disks)
        )
        return full_disk(case)

    [found] = judged(0, proven=False)
    assert (found.cause, found.object, found.severity) == ("server_no_space", "/data/", "error")
    assert "0 of 1024 MiB free" in found.actual
    assert "Free space" in found.next_step
    assert judged(2**29, proven=False) == []
    assert judged(0, proven=True) == []


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ('INSERT INTO `my db`."t" VALUES (\'cut in the middle of a lit', "my db.t"),
        ("INSERT INTO shop.t /* a comment that was cut", "shop.t"),
        ("INSERT INTO {{ table }} VALUES (1)", None),
        ("OPTIMIZE TABLE shop.t FINAL", "shop.t"),
        ("EXCHANGE TABLES shop.a AND shop.b", "shop.a"),
    ],
)
def test_the_target_of_a_text_that_no_file_may_hold(sql: str, name: str | None) -> None:
    assert statement_target(sql).name == name
