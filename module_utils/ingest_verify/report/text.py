"""Text of servers, logs and names made safe to show, and times in one format."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

# A terminal's escape sequences: colours, titles, cursor moves.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,1000}(?:\x07|\x1b\\)?|[@-Z\\-_])|\x9b[0-?]*[ -/]*[@-~]")
_MARKDOWN = re.compile(r"([\\`*_\[\]#!|<>~&])")
_ZONED = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)")
# Times of the log tables, which this project reads in UTC.
_UTC_NAMES = {"first", "last", "first_at", "last_at", "event_time"}
_PLAIN_RULES = ("://", "@", "www.")


def visible(text: Any) -> str:
    """The text with nothing in it that acts: no escape sequences, and control and direction marks by their number."""
    shown = _ANSI.sub("", "" if text is None else str(text))
    if shown.isascii() and shown.isprintable():
        return shown
    return "".join(
        char
        if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
        else f"⟦U+{ord(char):04X}⟧"
        for char in shown.replace("\r\n", "\n")
    )


def visible_data(data: Any) -> Any:
    """JSON-like data with all of its texts and names made visible."""
    if isinstance(data, str):
        return visible(data)
    if isinstance(data, Mapping):
        return {visible(key): visible_data(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [visible_data(value) for value in data]
    return data


def one_line(text: Any, limit: int = 300) -> str:
    """The text as one line of at most `limit` characters."""
    shown = " ".join(visible(text).split())
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def cut(text: Any, limit: int) -> str:
    """The text's beginning and end, with the number of characters that are left out between them."""
    shown = visible(text)
    if len(shown) <= limit:
        return shown
    head = limit * 2 // 3
    return f"{shown[:head]}\n… [{len(shown) - limit} characters left out] …\n{shown[head - limit :]}"


def markdown(text: Any, limit: int = 300) -> str:
    """One line in which Markdown sees nothing but text: no link, picture, tag, heading or cell's end."""
    escaped = _MARKDOWN.sub(r"\\\1", one_line(text, limit))
    for rule in _PLAIN_RULES:
        # A bare address would become a link.
        escaped = escaped.replace(rule, f"{rule[0]}\u2060{rule[1:]}" if rule != "@" else "\\@")
    return escaped


def code(text: Any, limit: int = 300) -> str:
    """One line as inline code, whatever backquotes are in it."""
    shown = one_line(text, limit)
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") or not shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def parse_time(value: Any) -> datetime | None:
    """A time as the stages write it: ISO 8601, or a log table's in UTC; None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    try:
        parsed = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def when(value: Any) -> str:
    """A time in the report's one format, `2026-11-28 08:45:01 UTC`, with milliseconds where they are known."""
    parsed = parse_time(str(value).removesuffix(" UTC") if isinstance(value, str) else value)
    if parsed is None:
        return one_line(value) if value else ""
    utc = parsed.astimezone(UTC)
    return f"{utc:%Y-%m-%d %H:%M:%S}" + (f".{utc.microsecond // 1000:03d}" if utc.microsecond else "") + " UTC"


def cell(name: str, value: Any) -> str:
    """A table's value: times that have a zone in the one format, others as the server gave them."""
    if value is None:
        return ""
    zoned = isinstance(value, str) and _ZONED.fullmatch(value) is not None
    return when(value) if zoned or (name in _UTC_NAMES and parse_time(value)) else cut(value, 2000)


def seconds_between(begin: Any, end: Any) -> float | None:
    """Seconds from one time to another, None where one is not known."""
    first, last = parse_time(begin), parse_time(end)
    return None if first is None or last is None else round((last - first).total_seconds(), 3)


def duration(seconds: float | None) -> str:
    """`0.24 s`, `12 s`, `3 min 5 s`, `1 h 2 min`; empty where it is not known."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.2f}".rstrip("0").rstrip(".") + " s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
