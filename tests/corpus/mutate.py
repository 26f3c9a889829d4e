"""Other words for the same case: names, formats and company that must not turn a right answer into a wrong one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .case import Case, Recording
from .replay import EMPTY

# What a table or column may be called in a case and a log line says all the same.
_COMMON = {
    "level",
    "message",
    "time",
    "value",
    "state",
    "name",
    "note",
    "city",
    "code",
    "text",
    "user",
    "query",
    "type",
}
_STAMP = re.compile(r"^\[?(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,]\d+)?Z?\]?", re.MULTILINE)
_LEVELLED = re.compile(
    r"^(?P<at>\d{4}-\d\d-\d\d[T ][\d:.,]+Z?)\s+(?:\|\s*)?(?P<level>DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b\s*",
    re.MULTILINE,
)
_LIMIT = 16 << 10
_OTHERS = (
    "redis-1   | 1:M 23 Nov 2026 04:00:00.101 * 100 changes in 300 seconds. Saving...",
    'nginx-1   | 172.18.0.1 - - [23/Nov/2026:04:00:00 +0000] "GET /health HTTP/1.1" 200 2 "-" "probe/1"',
    "redis-1   | 31:C 23 Nov 2026 04:00:00.140 * DB saved on disk",
)


def container_prefix(log: str) -> str:
    """As `docker compose logs` shows it."""
    return _each_line(log, lambda number, line: f"loader-1  | {line}")


def cri_prefix(log: str) -> str:
    """As a Kubernetes node keeps it."""
    return _each_line(log, lambda number, line: f"2026-11-23T04:00:{number % 60:02d}.123456789Z stdout F {line}")


def other_stamp(log: str) -> str:
    """Times as another locale writes them."""
    return _STAMP.sub(lambda found: f"{found[3]}.{found[2]}.{found[1]} {found[4]}", log)


def other_logger(log: str) -> str:
    """The level first, the time behind it."""
    return _LEVELLED.sub(lambda found: f"[{found['level']}] {found['at']} ", log)


def long_line(log: str) -> str:
    """A dump of rows ahead of everything, cut at 16 KiB as Docker cuts it."""
    dump = "INFO rows: " + ", ".join(f"({number}, 'Moscow', 12.5)" for number in range(1500))
    parts = [dump[start : start + _LIMIT] for start in range(0, len(dump), _LIMIT)]
    return "\n".join([*parts, log])


def company(log: str) -> str:
    """Lines of healthy services between those of the loader."""
    lines = []
    for number, line in enumerate(log.splitlines()):
        lines += [f"loader-1  | {line}"]
        lines += [_OTHERS[number // 3 % len(_OTHERS)]] if number % 3 == 2 else []
    return "\n".join(lines) + "\n"


WORDS: dict[str, Callable[[str], str]] = {
    function.__name__: function
    for function in (container_prefix, cri_prefix, other_stamp, other_logger, long_line, company)
}


def renamed(case: Case) -> tuple[Case, str, Recording]:
    """The case with other names of database, tables and columns: case, log, recording."""
    names = {str(case.data.get("asked", {}).get("database", "shop")): "lager7"}
    rows = case.recording.rows if case.recording else {}
    found = [row["name"] for row in rows.get("tables", [])] + [row["name"] for row in rows.get("columns", [])]
    for number, name in enumerate(dict.fromkeys(found)):
        if len(name) > 3 and name.isidentifier() and name not in _COMMON and not name.startswith("_"):
            names.setdefault(name, f"{name[0]}w{number}_{name[1:3]}{name[-1]}x")
    longest_first = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w/.-])(?:{longest_first})(?![\w/-])")
    dotted = re.compile(rf"\b({'|'.join(map(re.escape, names))})\.({'|'.join(map(re.escape, names))})\b")

    def change(value: Any) -> Any:
        if isinstance(value, str):
            value = dotted.sub(lambda match: f"{names[match[1]]}.{names[match[2]]}", value)
            return pattern.sub(lambda match: names[match[0]], value)
        if isinstance(value, list):
            return [change(item) for item in value]
        if isinstance(value, dict):
            return {key: change(item) for key, item in value.items()}
        return value

    asked = {"database": "shop", **case.data.get("asked", {})}
    data = {**case.data, "asked": change(asked), "expect": change(case.data["expect"])}
    if case.data.get("ingest"):
        data["ingest"] = change(case.data["ingest"])
    kept = case.recording or EMPTY
    recording = Recording(
        change(kept.meta), {table: [change(row) for row in found] for table, found in kept.rows.items()}
    )
    other = Case(case.folder, data)
    other.__dict__["recording"] = recording
    return other, change(case.log.read_text(encoding="utf-8")) if case.log else "", recording


def _each_line(log: str, change: Callable[[int, str], str]) -> str:
    return "\n".join(change(number, line) for number, line in enumerate(log.splitlines())) + "\n"
