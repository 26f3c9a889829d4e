"""What became of a table's rows, read from the life of its parts: no SQL here, only names and numbers.

`system.part_log` has an event per part. Measured on 24.8 and 26.9: a TTL that drops a whole part logs an empty merged
part and `read_rows` 0; TRUNCATE and DROP PARTITION log empty parts that cover the dropped ones, under the statement's
query id; a block that deduplication drops is a NewPart with error 389; a lightweight DELETE keeps a part's rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

# INSERT_WAS_DEDUPLICATED
_DEDUPLICATED = 389


@dataclass(frozen=True)
class Event:
    """One row of `system.part_log`. `owner` is `run`, `failed` (an INSERT of the run that failed half-way) or empty."""

    kind: str
    part: str
    partition: str
    rows: int
    read_rows: int = 0
    sources: Sequence[str] = ()
    reason: str = ""
    query_id: str = ""
    owner: str = ""
    error: int = 0


@dataclass(frozen=True)
class Taken:
    """Rows that left the table: `by` is `ttl`, `merge`, `mutation`, `dropped` or `gone` (no event says how).

    `low` and `high` bound how many of the rows were the run's. `detail` is a query id or the part that was left.
    """

    by: str
    rows: int
    low: int
    high: int
    detail: str = ""


@dataclass
class Lineage:
    """The movements of one table since the window began. Rows of the run that are left lie between `low` and `high`;
    `own` are parts that hold no others."""

    before: int = 0
    new: int = 0
    others: int = 0
    failed: int = 0
    deduplicated: int = 0
    taken: list[Taken] = field(default_factory=list)
    low: int = 0
    high: int = 0
    own: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def expected(self) -> int:
        """Rows that the parts must hold now if nothing escaped the log."""
        return self.before + self.new + self.others + self.failed - sum(taken.rows for taken in self.taken)


@dataclass
class _Part:
    partition: str
    rows: int
    low: int = 0
    high: int = 0


def follow(events: Iterable[Event], active: Mapping[str, int], inactive: Mapping[str, int]) -> Lineage:
    """Follow the parts through `events`, in the order of their time.

    `active` and `inactive` are the parts that the server has now, with their rows.
    """
    return _Book(active, inactive).write(list(events))


class _Book:
    def __init__(self, active: Mapping[str, int], inactive: Mapping[str, int]) -> None:
        self.active, self.inactive = active, inactive
        self.live: dict[str, _Part] = {}
        self.line = Lineage()

    def write(self, events: list[Event]) -> Lineage:
        ends = {event.part: event.rows for event in events if event.kind == "RemovePart"}
        # Merges may be logged before the parts that they read.
        for event in events:
            if event.kind in ("NewPart", "DownloadPart"):
                self._add(event)
        for event in events:
            if event.error:
                continue
            if event.kind in ("MergeParts", "MutatePart"):
                self._replace(event, ends)
            elif event.kind == "NewPart" and not event.rows:
                self._cover(event)
        self._close()
        return self.line

    def _add(self, event: Event) -> None:
        line, mine = self.line, event.owner == "run"
        if event.error == _DEDUPLICATED:
            line.deduplicated += event.rows if mine else 0
        elif not event.error and event.rows:
            own = event.rows if mine else 0
            self.live[event.part] = _Part(event.partition, event.rows, own, own)
            line.new += own
            line.failed += event.rows if event.owner == "failed" else 0
            line.others += 0 if event.owner else event.rows

    def _replace(self, event: Event, ends: Mapping[str, int]) -> None:
        """A merge or a mutation: its sources are gone, its result is there."""
        sources = [self._take(name, event, ends) for name in event.sources]
        unknown = [part for part in sources if part.rows < 0]
        known = sum(part.rows for part in sources if part.rows >= 0)
        if unknown:
            earlier = event.read_rows - known
            if earlier < 0:
                self.line.unknown.append(f"how many rows the parts had that became {event.part}")
                earlier = max(event.rows - known, 0)
            self.line.before += earlier
            known += earlier
        low, high = (sum(getattr(part, end) for part in sources) for end in ("low", "high"))
        taken = known - event.rows
        self.live[event.part] = _Part(event.partition, event.rows, max(0, low - max(taken, 0)), min(high, event.rows))
        if taken:
            by = "mutation" if event.kind == "MutatePart" else "ttl" if event.reason.startswith("TTL") else "merge"
            bounds = max(0, low - event.rows), min(high, max(taken, 0))
            self.line.taken.append(Taken(by, taken, *bounds, detail=event.part))

    def _take(self, name: str, event: Event, ends: Mapping[str, int]) -> _Part:
        """A part that is read up; one from before the window has rows of no run, -1 when nothing tells how many."""
        if name in self.live:
            return self.live.pop(name)
        rows = self.inactive.get(name, ends.get(name, -1))
        if rows >= 0:
            self.line.before += rows
        return _Part(event.partition, rows)

    def _cover(self, event: Event) -> None:
        """An empty part over others: they were dropped by the statement that made it."""
        first, last = _blocks(event.part, event.partition)
        for name, part in list(self.live.items()):
            begin, end = _blocks(name, part.partition)
            if part.partition == event.partition and first <= begin and end <= last:
                self._gone(name, "dropped", event.query_id)

    def _gone(self, name: str, by: str, detail: str = "") -> None:
        part = self.live.pop(name)
        self.line.taken.append(Taken(by, part.rows, part.low, part.high, detail))

    def _close(self) -> None:
        for name in [name for name in self.live if name not in self.active]:
            if self.live[name].rows:
                self._gone(name, "gone")
            else:
                del self.live[name]
        self.line.before += sum(rows for name, rows in self.active.items() if name not in self.live)
        self.line.own = [name for name, part in self.live.items() if part.rows and part.low == part.rows]
        self.line.low = sum(part.low for part in self.live.values())
        self.line.high = sum(part.high for part in self.live.values())


def _blocks(part: str, partition: str) -> tuple[int, int]:
    """First and last block number of a part's name, `partition_first_last_level`."""
    numbers = part.removeprefix(f"{partition}_").split("_")
    return int(numbers[0]), int(numbers[1])
