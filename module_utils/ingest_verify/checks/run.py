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
from .session import TOOL, ScanError, Session

_LOG_ENTRIES = 10000

_NAME = r"(?:`(?:[^`\\]|\\.|``)*`|\"(?:[^\"\\]|\\.)*\"|[A-Za-z_][\w$]*)"
_TARGET = re.compile(
    rf"\A(?:\s|--[^\n]*\n|/\*.*?\*/|WITH\b(?=.*\bINSERT\b).*?(?=\bINSERT\b))*INSERT\s+INTO\s+(?:TABLE\s+)?(?!FUNCTION\s)"
    rf"(?:({_NAME})\s*\.\s*)?({_NAME})",
    re.IGNORECASE | re.DOTALL,
)


@dataclass
class Run:
    """The run as far as it is known. Times are the server's clock in UTC; `notes` say what had to be assumed."""

    loader_run_id: str | None = None
    job: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    looked_back: bool = False
    log_comment: str | None = None
    user: str | None = None
    metrics: dict[str, Any] | None = None
    ver: int | None = None
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, data: Any, *, place: str = "run") -> Run:
        """Read the module's `run` option; raises DeclarationError with the place of a value that cannot be used."""
        if not isinstance(data, Mapping):
            raise DeclarationError(place, f"expected a mapping, found {data!r}")
        known = ("loader_run_id", "job", "window", "log_comment", "metrics", "ver", "user", "expected_tables")
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

    def window_sql(self, column: str) -> str:
        """Condition for a time column to lie within the window."""
        # DateTime columns drop the fraction of the second that the window's ends carry, so whole seconds are compared.
        first, last = self.bounds()
        return f"({column} >= {first} AND {column} <= {last})"

    def bounds(self) -> tuple[str, str]:
        """The window's ends in whole seconds as SQL; raises ValueError before `close_window`."""
        if self.start is None or self.end is None:
            raise ValueError("the run's window is open")
        return _literal(self.start), _literal(self.end + timedelta(seconds=1))

    def condition(self, this_run: Mapping[str, str | None] | None) -> str | None:
        """The SQL condition for rows of this run, None when it cannot be told by the declared column."""
        column = this_run["column"] if this_run else None
        if not this_run or not column:
            return None
        if this_run["within"]:
            return self.window_sql(column)
        if this_run["equals"] == "ver":
            return None if self.ver is None else f"({column} = {self.ver})"
        return None if self.loader_run_id is None else f"(toString({column}) = {quote_string(self.loader_run_id)})"

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
    """Rows that the server wrote for this run by table ('database.table'), views' rows taken out.

    `by` says how the statements were found; None when query_log cannot answer, with the reason in `notes`.
    """

    rows: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    view_rows: dict[str, int] = field(default_factory=dict)
    by: str | None = None
    notes: list[str] = field(default_factory=list)

    def of(self, database: str, table: str) -> int | None:
        return None if self.by is None else self.rows.get(f"{database}.{table}", 0)


def read_written(session: Session, run: Run, database: str, seconds: float) -> Written:
    """Sum the rows of this run's INSERTs per target table from `system.query_log`.

    `written_rows` counts rows pushed into materialized views too (measured: 64 for 51), so those that
    `system.query_views_log` reports for the statement are taken out. The target is read from the statement:
    `query_log.tables` also lists sources and view targets.
    """
    written = Written()
    note = session.flush_logs()
    if note:
        written.notes.append(note)
    try:
        known = {
            row["table"]
            for row in session.read(
                "SELECT name AS table FROM system.tables WHERE database = 'system'", seconds, "written"
            )
        }
        if "query_log" not in known:
            raise ScanError("system.query_log does not exist, or this user may not see it", "")
        entries = _insert_entries(session, run, written, seconds)
        ids = [row["query_id"] for row in entries]
        views = _rows_by_query(session, "query_views_log", "initial_query_id", "written_rows", ids, known, seconds)
        # An asynchronous insert is written by a later flush: its own log has the rows by the insert's query_id.
        flushed = _rows_by_query(session, "asynchronous_insert_log", "query_id", "rows", ids, known, seconds)
    except ScanError as error:
        written.by = None
        written.notes.append(f"what the server wrote is not known: {error}")
        return written
    for row in entries:
        match = _TARGET.match(row["query"])
        if not match:
            continue
        target = f"{_unquoted(match[1]) if match[1] else row['current_database'] or database}.{_unquoted(match[2])}"
        if row["views"] and views is None:
            written.notes.append(f"{target}: without system.query_views_log the rows include those pushed into views")
        pushed = (views or {}).get(row["query_id"], 0)
        rows = (flushed or {}).get(row["query_id"], max(0, row["written_rows"] - pushed))
        counts = written.rows if row["type"] == "QueryFinish" else written.failed
        counts[target] = counts.get(target, 0) + rows
        if pushed:
            written.view_rows[target] = written.view_rows.get(target, 0) + pushed
    written.notes = list(dict.fromkeys(written.notes))
    return written


def _insert_entries(session: Session, run: Run, written: Written, seconds: float) -> list[dict[str, Any]]:
    """This run's INSERTs: by its log_comment, else by the ingest's user within the window."""
    first, last = run.bounds()
    attempts = []
    if run.loader_run_id:
        attempts.append(("log_comment", f"position(log_comment, {quote_string(run.loader_run_id)}) > 0"))
    elif run.log_comment:
        attempts.append(("log_comment", f"log_comment = {quote_string(run.log_comment)}"))
    if run.user:
        attempts.append(("user and window", f"user = {quote_string(run.user)}"))
    if not attempts:
        raise ScanError("neither the ingest's user nor its log_comment is known", "")
    entries: list[dict[str, Any]] = []
    for how, condition in attempts:
        # The log's key begins with event_date: without it the whole log is read.
        entries = session.read(
            "SELECT query_id, type, query, current_database, written_rows, notEmpty(views) AS views "
            "FROM system.query_log "
            f"WHERE event_date >= toDate({first}) - 1 AND event_date <= toDate({last}) + 1 "
            f"AND event_time_microseconds BETWEEN {_literal(run.start, 6)} AND {_literal(run.end, 6)} AND type IN ('QueryFinish', 'ExceptionWhileProcessing') "
            f"AND query_kind = 'Insert' AND is_initial_query AND {condition} "
            f"AND position(log_comment, {quote_string(TOOL)}) = 0 "
            f"ORDER BY event_time LIMIT {_LOG_ENTRIES + 1}",
            seconds,
            "written",
        )
        written.by = how
        if entries:
            break
    if len(entries) > _LOG_ENTRIES:
        raise ScanError(f"this run sent more than {_LOG_ENTRIES} INSERTs", "")
    return entries


def _rows_by_query(
    session: Session, table: str, id_column: str, rows_column: str, ids: list[str], known: set[str], seconds: float
) -> dict[str, int] | None:
    """Rows per query id from a log table; None when the server does not keep that log."""
    if table not in known:
        return None
    if not ids:
        return {}
    listed = ", ".join(quote_string(query_id) for query_id in ids)
    status = "AND status = 'Ok' " if table == "asynchronous_insert_log" else ""
    rows = session.read(
        f"SELECT {id_column} AS id, sum({rows_column}) AS rows FROM system.{table} "
        f"WHERE {id_column} IN ({listed}) {status}GROUP BY id",
        seconds,
        "written",
    )
    return {row["id"]: int(row["rows"]) for row in rows}


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
