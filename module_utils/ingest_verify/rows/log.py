"""What the server logged of a run: its statements, the rows that they wrote by table, and the tables they moved."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from ..client import quote_string
from ..sql_text import statement_target, tokenize
from .catalog import read_places

Read = Callable[[str], list[dict[str, Any]]]

# What this project sends itself.
TOOL = "clickhouse-ingest-verify"
# Seconds after which the server has written its log to disk, whatever happens then (7.5 by default).
_FLUSHED = 30
# Different INSERT texts of one run; a loader has a handful.
_STATEMENTS = 1000
# Formats whose rows name their fields: what they leave out gets the column's default, what is no column is dropped.
_BY_NAME = re.compile(r"\bFORMAT\s+(?:JSON|BSON|TSKV|Avro|Parquet|Arrow|ORC|Protobuf|CapnProto|\w+WithNames)", re.I)
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)", re.I)
# Settings under which the server fills up or passes over what a strict reading refuses.
_LENIENT = "allow_variable_number_of_columns|use_default_on_bad_values|skip_unknown_fields|allow_errors"
_MOVING_KINDS = "('Rename', 'Create', 'Drop', 'Alter', 'Truncate', 'Undrop')"


class Told(Protocol):
    """What is known of a run."""

    loader_run_id: str | None
    log_comment: str | None
    user: str | None
    start: datetime | None
    end: datetime | None

    def window_sql(self, column: str, column_type: str = "") -> str: ...

    def log_days(self, later: int = 1) -> str: ...


@dataclass(frozen=True)
class Statements:
    """How this run's statements are told from others: SQL for query_log's WHERE, in words, and the log tables there."""

    how: str
    condition: str
    window: str
    days: str
    later: str
    since: str
    tables: frozenset[str]

    def chosen(self, kinds: str, types: str = "'QueryFinish', 'ExceptionWhileProcessing'") -> str:
        """FROM and WHERE for the run's own statements of these kinds. Without event_date all of the log is read."""
        return (
            f"system.query_log WHERE {self.days} AND {self.window} AND type IN ({types}) {kinds}AND is_initial_query "
            f"AND {self.condition} AND position(log_comment, {quote_string(TOOL)}) = 0"
        )

    @property
    def inserts(self) -> str:
        return self.chosen("AND query_kind = 'Insert' ")

    def ids(self, types: str) -> str:
        """The query ids under which the run's rows became parts: its statements, their flushes, those they sent on."""
        own = f"SELECT query_id FROM {self.chosen('', types)}"
        ids = (
            f"{own} UNION ALL SELECT query_id FROM system.query_log WHERE {self.later} AND NOT is_initial_query "
            f"AND initial_query_id IN ({own})"
        )
        if "asynchronous_insert_log" in self.tables:
            ids += (
                f" UNION ALL SELECT flush_query_id FROM system.asynchronous_insert_log WHERE {self.later} "
                f"AND query_id IN ({own})"
            )
        return ids


@dataclass
class Sent:
    """How a run's rows came to a table: whether they named their fields, in which formats, with which columns listed
    (None where a statement listed none), under which settings that let a reader pass things over."""

    by_name: bool = False
    formats: set[str] = field(default_factory=set)
    columns: set[str] | None = field(default_factory=set)
    lenient: set[str] = field(default_factory=set)

    def add(self, statement: str, columns: tuple[str, ...] | None, settings: str) -> None:
        self.by_name |= sends_by_name(statement, columns)
        self.formats |= {name.lower() for name in _FORMAT.findall(statement)[:1]}
        self.columns = None if columns is None or self.columns is None else self.columns | set(columns)
        self.lenient |= set(settings.split(",")) - {""}


@dataclass
class Written:
    """Rows that the server wrote for this run by table ('database.table'), those pushed into views counted to the view.

    `by` says how the statements were found, `condition` is that as SQL; None when query_log cannot answer, with the
    reason in `notes`. `waiting` are rows of asynchronous inserts whose flush failed, `lost` is why the log may
    lack some of the run's statements, `sent` is how the rows came by table. A table that was exchanged or renamed is
    counted under its name of today.
    """

    rows: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    unclear: set[str] = field(default_factory=set)
    sent: dict[str, Sent] = field(default_factory=dict)
    by: str | None = None
    condition: str = ""
    lost: str | None = None
    statements: Statements | None = None
    notes: list[str] = field(default_factory=list)

    def of(self, database: str, table: str) -> int | None:
        """None when it is not known, 0 when nothing was written."""
        name = f"{database}.{table}"
        rows = self.rows.get(name, 0)
        return None if self.by is None or (not rows and (self.lost or name in self.unclear)) else rows


def sends_by_name(statement: str, columns: tuple[str, ...] | None) -> bool:
    """Whether an INSERT without a column list sends rows that name their fields."""
    return columns is None and bool(_BY_NAME.search(statement))


class LogError(Exception):
    """The log cannot tell this run's statements; the text says why."""


def read_written(read: Read, run: Told, database: str, failures: tuple[type[Exception], ...]) -> Written:
    """Sum the rows of this run's statements per table from `system.query_log`.

    The target is read from the statement: `query_log.tables` also lists sources and view targets. A statement's
    `written_rows` counts rows pushed into materialized views too (measured: 64 for 51), so those that
    `system.query_views_log` has for it are taken out. An asynchronous insert is written by a later flush: its rows are
    those of `system.asynchronous_insert_log`. `failures` are what `read` raises when the server refuses.
    """
    written = Written()
    try:
        known = frozenset(row["name"] for row in read("SELECT name FROM system.tables WHERE database = 'system'"))
        if "query_log" not in known:
            raise LogError("system.query_log does not exist, or this user may not see it")
        written.lost = _restarted(read, run)
        for how, condition in _attributions(run):
            statements = Statements(
                how,
                condition,
                run.window_sql("event_time_microseconds", "DateTime64(6)"),
                run.log_days(),
                run.log_days(2),
                f"event_date >= toDate({_utc(run.start)}) - 1 AND "
                f"event_time_microseconds >= toDateTime64('{run.start:%F %T.%f}', 6, 'UTC')",
                known,
            )
            written.by, written.condition, written.statements = how, condition, statements
            moves = _moves(read, statements)
            rows = read(_by_statement(statements, moves))
            if rows or moves:
                _count(written, rows, moves, database)
                if "query_views_log" in known:
                    _add_views(written, read(_by_view(statements)))
                _take_out_own_shard(read, written, statements)
                break
        if not written.rows and written.statements and "query_views_log" in known:
            _add_streams(written, read(_by_stream(written.statements)))
    except LogError as error:
        written.notes.append(f"what the server wrote is not known: {error}")
    except failures as error:
        written.by = written.statements = None
        written.notes.append(f"what the server wrote is not known: {error}")
    if written.lost:
        written.notes.append(written.lost)
    written.notes = list(dict.fromkeys(written.notes))
    return written


def _take_out_own_shard(read: Read, written: Written, statements: Statements) -> None:
    """A server that is a shard of a Distributed table writes its own share within the INSERT, whose `written_rows` then
    counts these rows twice (measured on 26.9: 400 for 300 on three shards)."""
    if not written.rows or "part_log" not in statements.tables:
        return
    places = read_places(read, written.rows)
    for name in [name for name in written.rows if name in places and places[name].engine == "Distributed"]:
        behind = places[name].leads_to
        if not behind:
            continue
        database, _, table = behind.partition(".")
        if behind in written.rows:
            written.unclear.add(name)
            continue
        rows = read(
            "SELECT sum(rows) AS rows FROM system.part_log AS everywhere "
            f"WHERE {statements.since} AND event_type = 'NewPart' AND database = {quote_string(database)} "
            f"AND table = {quote_string(table)} AND query_id IN (SELECT query_id FROM {statements.inserts})"
        )
        written.rows[name] -= int(rows[0]["rows"])


def _restarted(read: Read, run: Told) -> str | None:
    """A server that was killed takes the log's last seconds with it: what is then missing there proves nothing."""
    began = "now() - uptime()"
    found = read(
        f"SELECT toString({began}) AS since, "
        f"{began} BETWEEN {_utc(run.start)} + 2 AND {_utc(run.end)} + {_FLUSHED} AS within"
    )[0]
    if not int(found["within"]):
        return None
    return f"the server started anew at {found['since']}, within the run: its log may lack statements from before that"


def _utc(moment: datetime | None) -> str:
    return f"toDateTime64('{moment:%F %T}', 0, 'UTC')"


def _attributions(run: Told) -> list[tuple[str, str]]:
    """Ways to tell this run's statements, the most exact one first; raises LogError when there is none."""
    ways = []
    if run.loader_run_id:
        ways.append(("log_comment", f"position(log_comment, {quote_string(run.loader_run_id)}) > 0"))
    elif run.log_comment:
        ways.append(("log_comment", f"log_comment = {quote_string(run.log_comment)}"))
    if run.user:
        ways.append(("user and window", f"user = {quote_string(run.user)}"))
    if not ways:
        raise LogError("neither the ingest's user nor its log_comment is known")
    return ways


@dataclass(frozen=True)
class _Move:
    """A statement of the run that changed which name its rows stand under: `pairs` old to new, `swap` both ways."""

    at: str
    pairs: tuple[tuple[str, str], ...] = ()
    swap: bool = False
    created: str | None = None
    rows: int = 0
    into: str | None = None


def _moves(read: Read, statements: Statements) -> list[_Move]:
    chosen = statements.chosen(f"AND query_kind IN {_MOVING_KINDS} ", "'QueryFinish'")
    rows = read(
        "SELECT toString(event_time_microseconds, 'UTC') AS at, substring(query, 1, 5000) AS statement, "
        f"current_database, written_rows FROM {chosen} ORDER BY event_time_microseconds LIMIT {_STATEMENTS}"
    )
    found = (_move(row["at"], row["statement"], row["current_database"], int(row["written_rows"])) for row in rows)
    return [move for move in found if move]


def _move(at: str, sql: str, database: str, rows: int) -> _Move | None:
    words = [token.name or token.text for token in tokenize(sql)]
    upper = [word.upper() for word in words]
    verb = upper[0] if upper else ""
    if verb in ("EXCHANGE", "RENAME"):
        joint = "AND" if verb == "EXCHANGE" else "TO"
        names = [name for name, _ in _names(words[2:] if upper[1:2] != ["DATABASE"] else [], database)]
        pairs = tuple(zip(names[::2], names[1::2], strict=False)) if joint in upper else ()
        return _Move(at, pairs, swap=verb == "EXCHANGE") if pairs else None
    target = statement_target(sql, database)
    name = f"{target.database}.{target.table}"
    if verb in ("CREATE", "REPLACE") and rows and target.table:
        return _Move(at, created=name, rows=rows)
    if verb == "ALTER" and "PARTITION" in upper and {"REPLACE", "ATTACH", "MOVE"} & set(upper):
        place = upper.index("TO") + 1 if "TO" in upper else 0
        other = _names(words[place + (upper[place : place + 1] == ["TABLE"]) :], database)[:1] if place else []
        return _Move(at, into=other[0][0] if other else name)
    return None


def _names(words: list[str], database: str) -> list[tuple[str, int]]:
    """The table names in a list such as `a TO b, c.d TO e`, each as database.table with its position."""
    names, position = [], 0
    while position < len(words):
        word = words[position]
        if word.upper() in ("AND", "TO", ",", "ON", "IF", "EXISTS", "TABLE", "TABLES"):
            if word.upper() == "ON":
                break
            position += 1
            continue
        if position + 2 < len(words) and words[position + 1] == ".":
            names.append((f"{word}.{words[position + 2]}", position))
            position += 3
        else:
            names.append((f"{database}.{word}", position))
            position += 1
    return names


def _by_statement(statements: Statements, moves: list[_Move]) -> str:
    """Rows per statement text: a loader that inserts row by row sends the same text thousands of times.

    `epoch` counts the moves before the statement, so that its rows follow the names that came after it.
    """
    known = statements.tables
    ids = f"(SELECT query_id FROM {statements.inserts})"
    pushed, joins = "0", ""
    if "query_views_log" in known:
        pushed = "views.rows"
        joins += (
            " LEFT JOIN (SELECT initial_query_id, sum(written_rows) AS rows FROM system.query_views_log "
            f"WHERE {statements.later} AND initial_query_id IN {ids} GROUP BY initial_query_id) AS views "
            "ON views.initial_query_id = inserts.query_id"
        )
    rows, waiting = f"greatest(toInt64(inserts.written_rows) - toInt64({pushed}), 0)", "0"
    if "asynchronous_insert_log" in known:
        joins += (
            " LEFT JOIN (SELECT query_id, sumIf(log.rows, status = 'Ok') AS rows, "
            "sumIf(log.rows, status != 'Ok') AS waiting, 1 AS found FROM system.asynchronous_insert_log AS log "
            f"WHERE {statements.later} AND query_id IN {ids} GROUP BY query_id) AS flushes "
            "ON flushes.query_id = inserts.query_id"
        )
        rows = f"if(flushes.found, toInt64(flushes.rows), {rows})"
        waiting = "toInt64(flushes.waiting)"
    times = ", ".join(f"toDateTime64({quote_string(move.at)}, 6, 'UTC')" for move in moves)
    epoch = f"toUInt32(arrayCount(at -> at < event_time_microseconds, [{times}]))" if moves else "toUInt32(0)"
    lenient = (
        "arrayStringConcat(arraySort(arrayFilter("
        f"name -> match(name, '{_LENIENT}') AND Settings[name] NOT IN ('0', 'false', ''), mapKeys(Settings))), ',')"
    )
    return (
        "SELECT statement, inserts.current_database AS current_database, inserts.type AS type, inserts.epoch AS epoch, "
        f"max(inserts.with_views) AS with_views, max(inserts.lenient) AS lenient, "
        f"sum({rows}) AS rows, sum({waiting}) AS waiting "
        "FROM (SELECT query_id, toString(type) AS type, substring(query, 1, 2000) AS statement, current_database, "
        f"written_rows, notEmpty(views) AS with_views, {lenient} AS lenient, {epoch} AS epoch "
        f"FROM {statements.inserts}) AS inserts{joins} "
        f"GROUP BY statement, current_database, type, epoch ORDER BY rows DESC LIMIT {_STATEMENTS}"
    )


def _count(written: Written, rows: list[dict[str, Any]], moves: list[_Move], database: str) -> None:
    """Lay the rows to tables in the order of time, and let them follow the tables' names."""
    for epoch in range(len(moves) + 1):
        for row in rows:
            if int(row["epoch"]) == epoch:
                _count_insert(written, row, database)
        if epoch < len(moves):
            _apply(written, moves[epoch])


def _count_insert(written: Written, row: dict[str, Any], database: str) -> None:
    target = statement_target(row["statement"], row["current_database"] or database)
    if target.verb != "INSERT" or target.kind != "TABLE" or not target.table:
        return
    name = f"{target.database}.{target.table}"
    written.sent.setdefault(name, Sent()).add(row["statement"], target.columns, row["lenient"])
    if row["with_views"] and written.statements and "query_views_log" not in written.statements.tables:
        written.notes.append(f"{name}: without system.query_views_log the rows include those pushed into views")
    counts = written.rows if row["type"] == "QueryFinish" else written.failed
    counts[name] = counts.get(name, 0) + int(row["rows"])
    if int(row["waiting"]):
        written.waiting[name] = written.waiting.get(name, 0) + int(row["waiting"])


def _apply(written: Written, move: _Move) -> None:
    for counts in (written.rows, written.failed, written.waiting):
        taken = {old: counts.pop(old, 0) for old, _ in move.pairs}
        back = {new: counts.pop(new, 0) for _, new in move.pairs} if move.swap else {}
        for old, new in move.pairs:
            counts[new] = taken[old]
            if move.swap:
                counts[old] = back[new]
    if move.created:
        written.rows[move.created] = move.rows
    if move.into:
        written.unclear.add(move.into)


def _by_view(statements: Statements) -> str:
    """Rows per materialized view and its target table."""
    ids = f"SELECT query_id FROM {statements.inserts}"
    if "asynchronous_insert_log" in statements.tables:
        ids += (
            f" UNION ALL SELECT flush_query_id FROM system.asynchronous_insert_log WHERE {statements.later} "
            f"AND query_id IN ({ids})"
        )
    return (
        "SELECT view_name, view_target, sum(written_rows) AS rows FROM system.query_views_log "
        f"WHERE {statements.later} AND initial_query_id IN ({ids}) GROUP BY view_name, view_target"
    )


def _by_stream(statements: Statements) -> str:
    """Rows by view that no statement brought: those that an engine such as Kafka read by itself."""
    return (
        "SELECT view_name, view_target, sum(written_rows) AS rows FROM system.query_views_log "
        f"WHERE {statements.days} AND {statements.window} AND initial_query_id = '' AND status = 'QueryFinish' "
        "GROUP BY view_name, view_target HAVING rows > 0"
    )


def _add_streams(written: Written, views: list[dict[str, Any]]) -> None:
    if views:
        written.notes.append("no statement wrote: the rows are those that the server's own streams pushed into views")
        _add_views(written, views)


def _add_views(written: Written, views: list[dict[str, Any]]) -> None:
    for row in views:
        for name in {row["view_name"], re.sub(r"`", "", row["view_target"])}:
            written.rows[name] = written.rows.get(name, 0) + int(row["rows"])
