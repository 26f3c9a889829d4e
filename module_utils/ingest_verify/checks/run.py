"""What is known of the run whose data is checked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ..client import quote_string
from ..rows import Written
from .fields import DeclarationError
from .session import column_sql


@dataclass
class Run:
    """The run as far as it is known. Times are the server's clock in UTC; `suspects` are what the ingest met and
    went on after, as headlines; `answered` are its INSERTs by table as its recorder saw them answered; `notes` say what
    had to be assumed."""

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
    answered: Mapping[str, Any] = field(default_factory=dict)
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
            "answered",
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
            answered=dict(data.get("answered") or {}),
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


def inserts_to_look_at(run: Run, written: Written, columns: str) -> str:
    """A query for people that shows this run's INSERTs, told from others' as its rows were."""
    where = [written.condition] if written.condition else []
    if written.by != "log_comment":
        where.append(run.window_sql("event_time"))
    return (
        f"SELECT {columns} FROM system.query_log WHERE query_kind = 'Insert' AND {' AND '.join(where)}"
        " ORDER BY event_time"
    )


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
