"""Expected rows against held rows: plain data in, differences out, each of one kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from .expected import Entity, Row

_HALF_HOUR = 1800
# A shift is one when this share of the rows has it.
_MOST = 0.9
_CENT = Decimal("0.005")


@dataclass(frozen=True)
class Held:
    """One row of the table: `time` in epoch seconds."""

    id: str
    amounts: Mapping[str, Decimal | None]
    time: float | None = None
    currency: str | None = None


@dataclass(frozen=True)
class Frame:
    """What belongs to the window: its ends, how near to them a row may lie on either side, and when the loader began
    (what the source changed later is no difference). Epoch seconds."""

    start: float | None
    end: float | None
    margin: float
    began: float

    def holds(self, moment: float | None) -> bool:
        """Whether a row of this time belongs to the window for sure."""
        if moment is None or self.start is None or self.end is None:
            return True
        return self.start + self.margin <= moment < self.end - self.margin


@dataclass
class Pair:
    """One record on both sides."""

    expected: Row
    held: Held


@dataclass
class Differences:
    """What differs, by kind: `missing` and `extra` records, `pairs` that hold other values, the `shift` of all times in
    seconds, `doubled` ids, ids that `changed` between both readings. `before` is how many of the source's records came
    before the first missing one where all that are missing come after all that are held."""

    expected: int = 0
    held: int = 0
    missing: list[Row] = field(default_factory=list)
    before: int | None = None
    extra: dict[str, list[Held]] = field(default_factory=dict)
    shift: int = 0
    shifted: list[Pair] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    gross: list[Pair] = field(default_factory=list)
    currency: list[Pair] = field(default_factory=list)
    unknown: dict[str, list[Pair]] = field(default_factory=dict)
    rounded: dict[str, list[Pair]] = field(default_factory=dict)
    other: dict[str, list[Pair]] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)


def compare(
    entity: Entity, expected: Sequence[Row], excluded: Mapping[str, str], held: Sequence[Held], frame: Frame
) -> Differences:
    """Hold the two sides against each other; a record near the window's ends or changed since belongs to neither."""
    found = Differences(expected=len(expected))
    by_id: dict[str, Held] = {}
    counts = Counter(row.id for row in held)
    for row in held:
        by_id.setdefault(row.id, row)
    known = {row.id for row in expected}
    pairs = [Pair(row, by_id[row.id]) for row in expected if row.id in by_id]
    found.doubled = sorted(name for name, number in counts.items() if number > 1 and name in known)
    found.shift, found.shifted = _shift(pairs)
    for wanted in expected:
        if wanted.id not in by_id and frame.holds(wanted.time):
            if wanted.changed is not None and wanted.changed >= frame.began:
                found.changed.append(wanted.id)
            else:
                found.missing.append(wanted)
    _tail(found, expected, by_id)
    for row in by_id.values():
        moment = None if row.time is None else row.time - found.shift
        counts_for = any(amount for amount in row.amounts.values())
        if row.id not in known and frame.holds(moment) and (counts_for or not entity.time):
            found.extra.setdefault(excluded.get(row.id, ""), []).append(row)
    for pair in pairs:
        if pair.expected.changed is not None and pair.expected.changed >= frame.began:
            if _differs(entity, pair):
                found.changed.append(pair.expected.id)
        else:
            found.pairs.append(pair)
            _values(entity, pair, found)
    found.held = len([row for row in by_id.values() if row.id in known]) + sum(map(len, found.extra.values()))
    return found


def _tail(found: Differences, expected: Sequence[Row], by_id: Mapping[str, Held]) -> None:
    """Whether what is missing is the end of the source's list: the pages after the first ones."""
    gone = {row.id for row in found.missing}
    places = [index for index, row in enumerate(expected) if row.id in gone]
    there = [index for index, row in enumerate(expected) if row.id in by_id]
    if places and there and max(there) < min(places):
        found.before = max(there) + 1


def _shift(pairs: Sequence[Pair]) -> tuple[int, list[Pair]]:
    """The one difference that nearly all times have, in seconds: 0 when they have none, or different ones."""
    timed = [pair for pair in pairs if pair.expected.time is not None and pair.held.time is not None]
    by: Counter[int] = Counter(round((pair.held.time or 0) - (pair.expected.time or 0)) for pair in timed)
    if len(timed) < 3 or not by:
        return 0, []
    shift, number = by.most_common(1)[0]
    if shift == 0 or shift % _HALF_HOUR or abs(shift) > 14 * 3600 or number < _MOST * len(timed):
        return 0, []
    return shift, [pair for pair in timed if round((pair.held.time or 0) - (pair.expected.time or 0)) == shift]


def _differs(entity: Entity, pair: Pair) -> bool:
    return any(pair.held.amounts.get(name) != amount for name, amount in pair.expected.amounts.items())


def _values(entity: Entity, pair: Pair, found: Differences) -> None:
    row, held = pair.expected, pair.held
    foreign = bool(row.currency and held.currency is not None and held.currency != row.currency)
    if foreign:
        found.currency.append(pair)
    wrong = {name: amount for name, amount in row.amounts.items() if not _same(amount, held.amounts.get(name))}
    if wrong and row.gross and all(held.amounts.get(name) == row.gross.get(name) for name in wrong):
        found.gross.append(pair)
        return
    for name, amount in wrong.items():
        value = held.amounts.get(name)
        if value is None:
            found.unknown.setdefault(name, []).append(pair)
        elif name in entity.moving or foreign:
            continue
        elif amount is not None and name in entity.money and _rounded(amount, value):
            found.rounded.setdefault(name, []).append(pair)
        else:
            found.other.setdefault(name, []).append(pair)


def _rounded(expected: Decimal, held: Decimal) -> bool:
    """Whether the amount lost its fraction, or a part of it: less than a unit away, and whole or a hundredth off."""
    off = abs(held - expected)
    return off < 1 and (held == held.to_integral_value() or off <= 2 * _CENT)


def _same(expected: Decimal | None, held: Decimal | None) -> bool:
    # Zero stored for what the source does not know is the data checks' affair.
    if expected is None:
        return True
    return held is not None and abs(held - expected) < _CENT


def totals(entity: Entity, expected: Sequence[Row], held: Sequence[Held], frame: Frame) -> list[dict[str, object]]:
    """Sums of both sides by day, group and currency, only those that differ; the first column says of what."""
    by_id = {row.id: row for row in expected}
    sides: dict[tuple[str, ...], list[dict[str, Decimal]]] = {}
    both: tuple[Sequence[Row | Held], ...] = (expected, held)
    for side, rows in enumerate(both):
        for row in rows:
            if not frame.holds(row.time):
                continue
            known = by_id.get(row.id)
            group = known.group.values() if known else ("not in the source's figures",)
            day = f"{datetime.fromtimestamp(row.time, UTC):%F}" if row.time is not None else ""
            place = sides.setdefault((day, *group, row.currency or ""), [{}, {}])[side]
            place["rows"] = place.get("rows", Decimal(0)) + 1
            for name, amount in row.amounts.items():
                place[name] = place.get(name, Decimal(0)) + (amount or 0)
    lines: list[dict[str, object]] = []
    for key in sorted(sides):
        source, table = sides[key]
        for name in ("rows", *entity.amounts):
            if name not in entity.moving and abs(source.get(name, Decimal(0)) - table.get(name, Decimal(0))) >= _CENT:
                lines.append(
                    {
                        "entity": entity.name,
                        "of": " ".join(part for part in key if part),
                        "figure": name,
                        "source": str(source.get(name, 0)),
                        "table": str(table.get(name, 0)),
                    }
                )
    return lines
