"""What is known of the run whose data is checked, and what the server says that it wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ..client import quote_string
from .declarations import DeclarationError
from .session import TOOL, ScanError, Session, column_sql

# Different INSERT texts of one run; a loader has a handful.
_STATEMENTS = 1000

_NAME = r"(?:`(?:[^`\\]|\\.|``)*`|\"(?:[^\"\\]|\\.)*\"|[A-Za-z_][\w$]*)"
_TARGET = re.compile(
    rf"\A(?:\s|--[^\n]*\n|/\*.*?\*/|WITH\b(?=.*\bINSERT\b).*?(?=\bINSERT\b))*INSERT\s+INTO\s+(?:TABLE\s+)?(?!FUNCTION\s)"
    rf"(?:({_NAME})\s*\.\s*)?({_NAME})",
    re.IGNORECASE | re.DOTALL,
)


@dataclass
class Run:
    """The run as far as it is known. Times are the server's clock in UTC; `suspects` are what the ingest met and
    went on after, as headlines; `notes` say what had to be assumed."""

    loader_run_id: str | None = None
    job: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    looked_back: bool = False
    log_comment: str | None = None
    user: str | None = None
    metrics: dict[str, Any] | None = None
    ver: int | None = None
    suspects: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, data: Any, *, place: str = "run") -> Run:
        """Read the module's `run` option; raises DeclarationError with the place of a value that cannot be used."""
        if not isinstance(data, Mapping):
            raise DeclarationError(place, f"expected a mapping, found {data!r}")
        known = (
            "loader_run_id",
            "job",
            "window",
            "log_comment",
            "metrics",
            "ver",
            "user",
            "expected_tables",
            "suspects",
        )
        for key in data:
            if key not in known:
                raise DeclarationError(f"{place}.{key}", f"not known; expected one of {', '.join(known)}")
        window = data.get("window") or {}
        if not isinstance(window, Mapping):
            raise DeclarationError(f"{place}.window", f"expected from and to, found {window!r}")
        run = cls(
            loader_run_id=str(data["loader_run_id"]) if data.get("loader_run_id") else None,
            job=str(data["job"]) if data.get("job") else None,
            start=_time(f"{place}.window.from", window.get("from")),
            end=_time(f"{place}.window.to", window.get("to")),
            log_comment=_comment(data.get("log_comment")),
            user=str(data["user"]) if data.get("user") else None,
            suspects=[str(said) for said in data.get("suspects") or []],
        )
        if run.start and run.end and run.end < run.start:
            raise DeclarationError(f"{place}.window", f"expected from before to, found {run.start} and {run.end}")
        run.take_metrics(data.get("metrics"))
        if data.get("ver") not in (None, ""):
            run.ver = _version(f"{place}.ver", data["ver"])
        return run

    def take_metrics(self, metrics: Any) -> None:
        """Keep the loader's metrics (dict or JSON text), and the version they name; anything else is ignored."""
        if isinstance(metrics, str):
            try:
                metrics = json.loads(metrics)
            except ValueError:
                return
        if not isinstance(metrics, Mapping) or not metrics:
            return
        self.metrics = dict(metrics)
        if self.ver is None and str(metrics.get("ver", "")).isdigit():
            self.ver = int(metrics["ver"])

    def close_window(self, now: datetime, look_back_minutes: float) -> None:
        """Fill the ends of the window that are not known, and say so."""
        if self.end is None:
            self.end = now
        if self.start is None:
            self.start = self.end - timedelta(minutes=look_back_minutes)
            self.looked_back = True
            self.notes.append(
                f"no ledger names this run's window: the last {look_back_minutes:g} minutes before "
                f"{self.end:%F %T} UTC are looked at instead"
            )

    def window_sql(self, column: str, column_type: str = "") -> str:
        """Condition for a time column to lie within the window, exactly where its type has fractions of a second."""
        first, last = self.bounds()
        if re.search(r"\bDate(?:32)?\b", column_type):
            # A date tells no more than the day, by the server's clock as everything else here.
            return (
                f"({column} BETWEEN toDate(toTimeZone({first}, timezone())) AND toDate(toTimeZone({last}, timezone())))"
            )
        if "DateTime64" in column_type:
            return f"({column} BETWEEN {_literal(self.start, 6)} AND {_literal(self.end, 6)})"
        # DateTime columns drop the fraction of the second that the window's ends carry, so whole seconds are compared.
        return f"({column} >= {first} AND {column} <= {last})"

    def bounds(self) -> tuple[str, str]:
        """The window's ends in whole seconds as SQL; raises ValueError before `close_window`."""
        if self.start is None or self.end is None:
            raise ValueError("the run's window is open")
        return _literal(self.start), _literal(self.end + timedelta(seconds=1))

    def log_days(self, later: int = 1) -> str:
        """The log tables' days of the window: their key begins with event_date, without it all of a table is read.

        `later` are days after the window's end in which something of it may still be logged.
        """
        first, last = self.bounds()
        return f"event_date BETWEEN toDate({first}) - 1 AND toDate({last}) + {later}"

    def condition(self, this_run: Mapping[str, str | None] | None, columns: Mapping[str, str]) -> str | None:
        """The SQL condition for rows of this run, None when it cannot be told by the declared column.

        `columns` are the table's, names to types.
        """
        column = this_run["column"] if this_run else None
        if not this_run or not column:
            return None
        sql = column_sql(column, columns)
        if this_run["within"]:
            return self.window_sql(sql, columns.get(column, ""))
        if this_run["equals"] == "ver":
            return None if self.ver is None else f"({sql} = {self.ver})"
        return None if self.loader_run_id is None else f"(toString({sql}) = {quote_string(self.loader_run_id)})"

    def metric(self, *path: str) -> Any:
        """A value of the metrics by its path, None where it is missing."""
        value: Any = self.metrics
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def describe(self) -> str:
        """How the run is told from others, for `expected` lines."""
        parts = [f"run {self.loader_run_id}"] if self.loader_run_id else ["this run"]
        if self.ver is not None:
            parts.append(f"_ver {self.ver}")
        if self.start and self.end:
            parts.append(f"window {self.start:%F %T} to {self.end:%F %T} UTC")
        return ", ".join(parts)


@dataclass
class Written:
    """Rows that the server wrote for this run by table ('database.table'), those pushed into views counted to the view.

    `by` says how the statements were found, `condition` is that as SQL; None when query_log cannot answer, with the
    reason in `notes`.
    """

    rows: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    by: str | None = None
    condition: str = ""
    notes: list[str] = field(default_factory=list)

    def of(self, database: str, table: str) -> int | None:
        """None when it is not known, 0 when nothing was written."""
        return None if self.by is None else self.rows.get(f"{database}.{table}", 0)


def read_written(session: Session, run: Run, database: str, seconds: float) -> Written:
    """Sum the rows of this run's INSERTs per target table from `system.query_log`.

    The target is read from the statement: `query_log.tables` also lists sources and view targets. A statement's
    `written_rows` counts rows pushed into materialized views too (measured: 64 for 51), so those that
    `system.query_views_log` has for it are taken out. An asynchronous insert is written by a later flush: its rows are
    those of `system.asynchronous_insert_log`.
    """
    written = Written()
    try:
        listed = session.read("SELECT name FROM system.tables WHERE database = 'system'", seconds, "written")
        known = {row["name"] for row in listed}
        if "query_log" not in known:
            raise ScanError("system.query_log does not exist, or this user may not see it", "")
        statements: list[dict[str, Any]] = []
        for how, condition in _attributions(run):
            written.by, written.condition = how, condition
            chosen = _inserts(run, condition)
            statements = session.read(_by_statement(chosen, run, known), seconds, "written")
            if statements:
                if "query_views_log" in known:
                    _add_views(written, session.read(_by_view(chosen, run, known), seconds, "written"))
                break
    except ScanError as error:
        written.by = None
        written.notes.append(f"what the server wrote is not known: {error}")
        return written
    for row in statements:
        match = _TARGET.match(row["statement"])
        if not match:
            continue
        target = f"{_unquoted(match[1]) if match[1] else row['current_database'] or database}.{_unquoted(match[2])}"
        if row["with_views"] and "query_views_log" not in known:
            written.notes.append(f"{target}: without system.query_views_log the rows include those pushed into views")
        counts = written.rows if row["type"] == "QueryFinish" else written.failed
        counts[target] = counts.get(target, 0) + int(row["rows"])
    written.notes = list(dict.fromkeys(written.notes))
    return written


def _attributions(run: Run) -> list[tuple[str, str]]:
    """Ways to tell this run's statements, the most exact one first; raises ScanError when there is none."""
    ways = []
    if run.loader_run_id:
        ways.append(("log_comment", f"position(log_comment, {quote_string(run.loader_run_id)}) > 0"))
    elif run.log_comment:
        ways.append(("log_comment", f"log_comment = {quote_string(run.log_comment)}"))
    if run.user:
        ways.append(("user and window", f"user = {quote_string(run.user)}"))
    if not ways:
        raise ScanError("neither the ingest's user nor its log_comment is known", "")
    return ways


def _inserts(run: Run, condition: str) -> str:
    """FROM and WHERE for this run's INSERTs. The log's key begins with event_date: without it the whole log is read."""
    first, last = run.bounds()
    return (
        f"system.query_log WHERE event_date BETWEEN toDate({first}) - 1 AND toDate({last}) + 1 "
        f"AND {run.window_sql('event_time_microseconds', 'DateTime64(6)')} "
        "AND type IN ('QueryFinish', 'ExceptionWhileProcessing') AND query_kind = 'Insert' AND is_initial_query "
        f"AND {condition} AND position(log_comment, {quote_string(TOOL)}) = 0"
    )


def inserts_to_look_at(run: Run, written: Written, columns: str) -> str:
    """A query for people that shows this run's INSERTs, told from others' as its rows were."""
    where = [written.condition] if written.condition else []
    if written.by != "log_comment":
        where.append(run.window_sql("event_time"))
    return (
        f"SELECT {columns} FROM system.query_log WHERE query_kind = 'Insert' AND {' AND '.join(where)}"
        " ORDER BY event_time"
    )


def _by_statement(chosen: str, run: Run, known: set[str]) -> str:
    """Rows per statement text: a loader that inserts row by row sends the same text thousands of times."""
    first, last = run.bounds()
    # A flush may come after the window's end, a view's row is written with its statement's.
    days = f"event_date BETWEEN toDate({first}) - 1 AND toDate({last}) + 2"
    ids = f"(SELECT query_id FROM {chosen})"
    pushed, joins = "0", ""
    if "query_views_log" in known:
        pushed = "views.rows"
        joins += (
            " LEFT JOIN (SELECT initial_query_id, sum(written_rows) AS rows FROM system.query_views_log "
            f"WHERE {days} AND initial_query_id IN {ids} GROUP BY initial_query_id) AS views "
            "ON views.initial_query_id = inserts.query_id"
        )
    rows = f"greatest(toInt64(inserts.written_rows) - toInt64({pushed}), 0)"
    if "asynchronous_insert_log" in known:
        joins += (
            " LEFT JOIN (SELECT query_id, sumIf(rows, status = 'Ok') AS rows, 1 AS found "
            f"FROM system.asynchronous_insert_log WHERE {days} AND query_id IN {ids} GROUP BY query_id) AS flushes "
            "ON flushes.query_id = inserts.query_id"
        )
        rows = f"if(flushes.found, toInt64(flushes.rows), {rows})"
    return (
        "SELECT statement, inserts.current_database AS current_database, inserts.type AS type, "
        f"max(inserts.with_views) AS with_views, sum({rows}) AS rows "
        "FROM (SELECT query_id, toString(type) AS type, substring(query, 1, 2000) AS statement, current_database, "
        f"written_rows, notEmpty(views) AS with_views FROM {chosen}) AS inserts{joins} "
        f"GROUP BY statement, current_database, type ORDER BY rows DESC LIMIT {_STATEMENTS}"
    )


def _by_view(chosen: str, run: Run, known: set[str]) -> str:
    """Rows per materialized view and its target table."""
    first, last = run.bounds()
    ids = f"SELECT query_id FROM {chosen}"
    days = f"event_date BETWEEN toDate({first}) - 1 AND toDate({last}) + 2"
    if "asynchronous_insert_log" in known:
        ids += (
            f" UNION ALL SELECT flush_query_id FROM system.asynchronous_insert_log WHERE {days} AND query_id IN ({ids})"
        )
    return (
        "SELECT view_name, view_target, sum(written_rows) AS rows FROM system.query_views_log "
        f"WHERE {days} AND initial_query_id IN ({ids}) GROUP BY view_name, view_target"
    )


def _add_views(written: Written, views: list[dict[str, Any]]) -> None:
    for row in views:
        for name in {row["view_name"], row["view_target"].replace("`", "")}:
            written.rows[name] = written.rows.get(name, 0) + int(row["rows"])


def _unquoted(name: str) -> str:
    if name[0] in '`"':
        return re.sub(r"\\(.)", r"\1", name[1:-1]).replace("``", "`")
    return name


def _literal(moment: datetime | None, digits: int = 0) -> str:
    """The moment as SQL, its fraction of a second dropped unless `digits` is 6."""
    return f"toDateTime64('{moment:{'%F %T.%f' if digits else '%F %T'}}', {digits}, 'UTC')"


def _comment(value: Any) -> str | None:
    """Ansible turns a text that looks like JSON into a dict: back to the text that the loader sends."""
    if not value:
        return None
    return value if isinstance(value, str) else json.dumps(value)


def _version(place: str, value: Any) -> int:
    if isinstance(value, bool) or not str(value).isdigit():
        raise DeclarationError(place, f"expected a whole number, found {value!r}")
    return int(value)


def _time(place: str, value: Any) -> datetime | None:
    """A time of the server's clock in UTC, as text such as '2026-11-23 04:00:00.000000'."""
    if value in (None, ""):
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise DeclarationError(place, f"expected a time such as 2026-11-23 04:00:00, found {value!r}") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
