"""A window of time by the server's clock, and the times that its log tables hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ...client import quote_string

_TIME_FORMAT = "%Y-%m-%d %H:%M:%S.%f"
# A statement that the ingest left behind is logged when the server notices, a moment after the window's end.
GRACE_SECONDS = 10


class EvidenceError(Exception):
    """The question itself cannot be answered (reversed window, unknown cluster); the text says what to give instead."""


@dataclass(frozen=True)
class Window:
    """From and to by the server's clock, as UTC text, and the server's dates around them."""

    since: str
    until: str
    first_date: str
    last_date: str

    def condition(self, *, only_started_inside: bool = False) -> str:
        """The WHERE condition on a log table: date first, since that is what its key prunes by."""
        grace = format_time(parse_time(self.until) + timedelta(seconds=GRACE_SECONDS))
        condition = (
            f"event_date >= toDate({quote_string(self.first_date)})"
            f" AND event_date <= toDate({quote_string(self.last_date)})"
            f" AND event_time >= toDateTime({quote_string(self.since[:19])}, 'UTC')"
            f" AND event_time <= toDateTime({quote_string(grace[:19])}, 'UTC')"
            f" AND event_time_microseconds >= {instant(self.since)}"
        )
        if only_started_inside:
            condition += (
                f" AND query_start_time_microseconds >= {instant(self.since)}"
                f" AND query_start_time_microseconds <= {instant(self.until)}"
            )
        return condition

    @property
    def seconds(self) -> float:
        return (parse_time(self.until) - parse_time(self.since)).total_seconds()


def parse_time(text: str) -> datetime:
    """A UTC time text as a naive datetime; raises EvidenceError with the accepted form."""
    value = text.strip().replace("T", " ").removesuffix("Z")
    for form in (_TIME_FORMAT, "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"):
        try:
            return datetime.strptime(value, form)
        except ValueError:
            continue
    raise EvidenceError(
        f"{text!r} is not a time: expected UTC by the server's clock, such as 2026-11-23 04:00:00 or 2026-11-23 "
        "04:00:00.000000."
    )


def format_time(value: datetime) -> str:
    """A naive datetime in UTC as `parse_time` reads it."""
    return value.strftime(_TIME_FORMAT)


def instant(text: str) -> str:
    """SQL: a UTC time text as DateTime64."""
    return f"toDateTime64({quote_string(text)}, 6, 'UTC')"


def utc(expression: str) -> str:
    """SQL: a time as text in UTC."""
    return f"toString(toTimeZone({expression}, 'UTC'))"
