"""What the recorder saw inside the ingest's process. Its file is the program's to spoil: each value is checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..masking import mask

# The recorder itself stops at 32 MiB; what is longer was not written by it alone.
MAX_BYTES = 48 << 20
MAX_LINES = 200_000
VERSION = 1


@dataclass(frozen=True)
class Place:
    """One frame. `own` says that the file is the program's own; `code` is its source line, known for own files only."""

    file: str
    line: int
    function: str
    own: bool = False
    code: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Link:
    """One exception of a chain, its frames the outermost first. `code` is the server's, where a client keeps it."""

    type: str
    text: str
    frames: tuple[Place, ...] = ()
    key_type: str = ""
    code: int | None = None

    @property
    def own(self) -> Place | None:
        """The innermost frame of the program's own files."""
        return next((frame for frame in reversed(self.frames) if frame.own), None)

    def __str__(self) -> str:
        return f"{self.type}: {self.text}" if self.text else self.type


@dataclass
class Raised:
    """One exception. `chain` begins with what came out last and ends with where it began. `how` maps each way in which
    it was met (see `recorder/README.md`) to the number of times; `at` is Unix time; `order` counts events of the file.

    `exchange` is the number of the last exchange of its thread before it, in the same process.
    """

    pid: int
    thread: int
    at: float
    order: int
    number: int
    chain: tuple[Link, ...]
    callers: tuple[Place, ...] = ()
    exchange: int | None = None
    how: dict[str, int] = field(default_factory=dict)
    level: int = 0

    @property
    def origin(self) -> Link:
        """Where it began."""
        return self.chain[-1]

    @property
    def place(self) -> Place | None:
        """The program's own line: where the exception began if the program raised it, else its call of a library."""
        found = next((link.own for link in reversed(self.chain) if link.own), None)
        return found or next(iter(self.callers), None)


@dataclass
class Exchange:
    """One request and its answer. `status` is None where none came, and `error` says why. `clickhouse` is true where
    the answer proves it. `told` holds numbers that the answer told: `records`, `total`, `pages`, `page`, ...; `bits`
    are those that the greatest whole number of each field needs."""

    pid: int
    thread: int
    at: float
    order: int
    number: int
    client: str
    method: str
    host: str
    port: int
    peer: str = ""
    path: str = ""
    asked: str = ""
    parameters: tuple[str, ...] = ()
    status: int | None = None
    error: str = ""
    clickhouse: bool = False
    code: int | None = None
    query_id: str = ""
    verb: str = ""
    table: str = ""
    written_rows: int | None = None
    milliseconds: float = 0.0
    size: int | None = None
    told: dict[str, int] = field(default_factory=dict)
    bits: dict[str, int] = field(default_factory=dict)


@dataclass
class Process:
    """One process: its runtime, whether its end was seen, its exit status, versions of libraries."""

    pid: int
    parent: int
    runtime: str
    program: str
    at: float
    forked: bool = False
    ended: bool = False
    status: int | None = None
    libraries: dict[str, str] = field(default_factory=dict)


@dataclass
class Recorded:
    """The content of a recorder's file. `gaps` says in sentences what it does not tell; `complete` is false where
    exchanges or exceptions may be missing."""

    processes: list[Process] = field(default_factory=list)
    exceptions: list[Raised] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    complete: bool = True

    def answered_inserts(self) -> dict[str, dict[str, Any]]:
        """INSERTs by table as the program named it: `answered` well, `unanswered` (no answer, or that of something
        between) and the `ids` of those whose query id is known. Empty where exchanges may be missing."""
        found: dict[str, dict[str, Any]] = {}
        for exchange in self.exchanges if self.complete else ():
            if exchange.verb != "INSERT" or not exchange.table or exchange.code is not None:
                continue
            counts = found.setdefault(exchange.table, {"answered": 0, "unanswered": 0, "ids": []})
            if exchange.status is not None and exchange.status < 400 and not exchange.error:
                counts["answered"] += 1
                continue
            counts["unanswered"] += 1
            if exchange.query_id:
                counts["ids"].append(exchange.query_id)
        return found

    def exchange(self, raised: Raised) -> Exchange | None:
        """The last exchange before an exception, in its thread."""
        found = (e for e in self.exchanges if e.pid == raised.pid and e.number == raised.exchange)
        return next(found, None)


class _BadLineError(Exception):
    """A line that the recorder did not write."""


def read_recorded(path: str | Path) -> Recorded:
    """Read a recorder's file. Never raises: what is missing, cut, huge or not the recorder's becomes a gap."""
    result = Recorded()
    file = Path(path)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        why = "there is no such file" if isinstance(error, FileNotFoundError) else str(error.strerror)
        result.gaps.append(f"The recorder's file cannot be read: {why}.")
        result.complete = False
        return result
    if len(data) > MAX_BYTES:
        data = data[:MAX_BYTES].rpartition(b"\n")[0] + b"\n"
        result.gaps.append(f"The recorder's file is larger than {MAX_BYTES >> 20} MiB; only its beginning was read.")
        result.complete = False
    lines = data.split(b"\n")
    if lines and lines[-1]:
        result.gaps.append("The recorder's last line is cut; it was left out.")
        result.complete = False
    _Reader(result).read(lines[:-1])
    if not result.processes:
        result.complete = False
        result.gaps.append(
            "The recorder did not come up in the ingest: it is not a Python or Node program, runs with -I, -E or -S, "
            "is a frozen binary, or replaces PYTHONPATH or NODE_OPTIONS."
        )
    return result


class _Reader:
    """Takes the lines one by one; what an event refers to came before it."""

    def __init__(self, result: Recorded) -> None:
        self.result = result
        self.bad = 0
        self.processes: dict[int, Process] = {}
        self.exceptions: dict[tuple[int, int], Raised] = {}
        self.exchanges: dict[tuple[int, int], Exchange] = {}

    def read(self, lines: list[bytes]) -> None:
        if len(lines) > MAX_LINES:
            self.result.gaps.append(f"The recorder's file has more than {MAX_LINES} lines; only these were read.")
            self.result.complete = False
        for order, line in enumerate(lines[:MAX_LINES]):
            try:
                event = json.loads(line)
                if not isinstance(event, dict) or event.get("v") != VERSION:
                    raise _BadLineError
                self._take(event, order)
            except (ValueError, RecursionError, _BadLineError):
                self.bad += 1
        if self.bad:
            self.result.gaps.append(f"{self.bad} line(s) in the recorder's file are not its own; they were left out.")
            self.result.complete = False

    def _take(self, event: Mapping[str, Any], order: int) -> None:
        kind, pid = event.get("e"), _int(event, "pid")
        if kind == "process_start":
            self._start(event, pid)
        elif pid not in self.processes:
            # Nobody writes before its start.
            raise _BadLineError
        elif kind == "exception":
            self._exception(event, pid, order)
        elif kind == "exchange":
            self._exchange(event, pid, order)
        elif kind == "answer":
            self._answer(event, pid)
        elif kind == "process_end":
            self._end(event, pid)
        elif kind == "limit":
            self.result.gaps.append(f"The recorder reached its limit of {_text(event, 'what', 40)} in process {pid}.")
            self.result.complete = False
        elif kind != "child":
            raise _BadLineError

    def _start(self, event: Mapping[str, Any], pid: int) -> None:
        program = event.get("program")
        words = " ".join(str(word)[:80] for word in program[:3]) if isinstance(program, list) else ""
        process = Process(
            pid, _int(event, "ppid"), _text(event, "runtime", 60), mask(words), _number(event, "t"),
            event.get("forked") is True,
        )  # fmt: skip
        self.processes[pid] = process
        self.result.processes.append(process)

    def _end(self, event: Mapping[str, Any], pid: int) -> None:
        process = self.processes[pid]
        process.ended, process.status = True, _optional(event, "status")
        libraries = event.get("libraries")
        if isinstance(libraries, dict):
            process.libraries = {str(name)[:60]: str(version)[:40] for name, version in libraries.items()}
        repeated = event.get("repeated")
        for entry in repeated if isinstance(repeated, list) else []:
            if isinstance(entry, list) and len(entry) == 3 and isinstance(entry[2], int):
                known = self.exceptions.get((pid, entry[0])) if isinstance(entry[0], int) else None
                if known is not None and entry[1] in known.how:
                    known.how[entry[1]] = max(entry[2], 1)
        if isinstance(event.get("series"), list):
            self.result.gaps.append("Exchanges beyond the first 3000 of a process are known as sums only.")
            self.result.complete = False

    def _exception(self, event: Mapping[str, Any], pid: int, order: int) -> None:
        how = _text(event, "how", 20)
        level = _optional(event, "level") or 0
        if "same" in event:
            known = self.exceptions.get((pid, _int(event, "same")))
            if known is None:
                raise _BadLineError
            known.how.setdefault(how, 1)
            known.level = max(known.level, level)
            known.exchange = _optional(event, "last_exchange") or known.exchange
            return
        chain = event.get("chain")
        if not isinstance(chain, list) or not chain:
            if event.get("cut") is True:
                return
            raise _BadLineError
        links: list[Link] = []
        for entry in chain[:6]:
            links.append(_link(entry))
            # Of a group the parts are where it began.
            parts = entry.get("parts")
            links.extend(_link(part) for part in (parts[:1] if isinstance(parts, list) else []))
        raised = Raised(
            pid, _int(event, "thread"), _number(event, "t"), order, _int(event, "n"), tuple(links),
            _places(event.get("callers")), _optional(event, "last_exchange"), {how: 1}, level,
        )  # fmt: skip
        self.exceptions[pid, raised.number] = raised
        self.result.exceptions.append(raised)

    def _exchange(self, event: Mapping[str, Any], pid: int, order: int) -> None:
        parameters = event.get("parameters")
        exchange = Exchange(
            pid, _int(event, "thread"), _number(event, "t"), order, _int(event, "n"), _text(event, "client", 40),
            _text(event, "method", 20), _text(event, "host", 255), _optional(event, "port") or 0,
            peer=_text(event, "peer", 120), path=mask(_text(event, "path", 220)),
            asked=_text(event, "asked", 20),
            parameters=tuple(str(name)[:60] for name in parameters[:20]) if isinstance(parameters, list) else (),
            status=_optional(event, "status"), error=_text(event, "error", 120),
            clickhouse=event.get("clickhouse") is True,
            code=_optional(event, "code"), query_id=_text(event, "query_id", 80), verb=_text(event, "verb", 20),
            table=_text(event, "table", 120), written_rows=_optional(event, "written_rows"),
            milliseconds=_number(event, "ms") if "ms" in event else 0.0, size=_optional(event, "bytes"),
        )  # fmt: skip
        exchange.told.update(_told(event.get("told")))
        self.exchanges[pid, exchange.number] = exchange
        self.result.exchanges.append(exchange)

    def _answer(self, event: Mapping[str, Any], pid: int) -> None:
        exchange = self.exchanges.get((pid, _int(event, "exchange")))
        if exchange is None:
            raise _BadLineError
        exchange.told.update(_told(event))
        bits = event.get("bits")
        for name, number in list(bits.items())[:60] if isinstance(bits, dict) else ():
            if isinstance(number, int) and 0 <= number <= 4096:
                exchange.bits[name[:60]] = number


_NUMBERS = ("records", "total", "count", "pages", "page", "per_page", "offset", "has_next")


def _told(values: object) -> dict[str, int]:
    if not isinstance(values, Mapping):
        return {}
    return {name: int(values[name]) for name in _NUMBERS if isinstance(values.get(name), int) and values[name] >= 0}


def _link(entry: object) -> Link:
    if not isinstance(entry, Mapping):
        raise _BadLineError
    return Link(
        _text(entry, "type", 120) or "Exception",
        mask(_text(entry, "text", 500)),
        _places(entry.get("frames")),
        _text(entry, "key_type", 40),
        _optional(entry, "code"),
    )


def _places(entries: object) -> tuple[Place, ...]:
    if not isinstance(entries, list):
        return ()
    if not all(isinstance(entry, Mapping) for entry in entries):
        raise _BadLineError
    return tuple(
        Place(
            _text(entry, "file", 400), _int(entry, "line"), _text(entry, "function", 120), entry.get("own") is True,
            mask(_text(entry, "code", 200)),
        )
        for entry in entries[:40]
    )  # fmt: skip


def _text(event: Mapping[str, Any], name: str, limit: int) -> str:
    value = event.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _BadLineError
    return "".join(letter for letter in value[:limit] if letter.isprintable() or letter == "\n")


def _int(event: Mapping[str, Any], name: str) -> int:
    value = event.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _BadLineError
    return value


def _optional(event: Mapping[str, Any], name: str) -> int | None:
    return None if event.get(name) is None else _int(event, name)


def _number(event: Mapping[str, Any], name: str) -> float:
    value = event.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not -1e15 < value < 1e15:
        raise _BadLineError
    return float(value)
