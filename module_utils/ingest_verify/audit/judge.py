"""The audit as findings: each difference with its size, its share and up to five examples, each kind its own cause."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from ..client import identifier, quote_string, quote_table
from ..findings import Finding
from .compare import Differences, Frame, Held, Pair, compare, totals
from .expected import AuditError, Entity, Expected, Row

STAGE = "verify_data"
Read = Callable[[str], list[dict[str, Any]]]
_EXAMPLES, _GROUPS = 5, 20
# Times that a zone may have shifted are still found.
_AROUND = 15 * 3600
_IDS = 10_000
_INTEGER = re.compile(r"\b(U?)Int(8|16|32|64)\b")


def run_audit(
    read: Read,
    database: str,
    entities: Iterable[Entity],
    expected: Expected,
    frame: Frame,
    failures: tuple[type[Exception], ...],
) -> tuple[dict[str, Any], list[Finding]]:
    """The audit's result (`status`, `entities`, `differences`, `notes`) and its findings.

    `frame` is the window by the run; the answer's own window wins where it names one. `failures` are what `read`
    raises.
    """
    frame = Frame(expected.start or frame.start, expected.end or frame.end, frame.margin, frame.began)
    result: dict[str, Any] = {"status": "agrees", "entities": {}, "differences": [], "notes": []}
    findings: list[Finding] = []
    for entity in entities:
        if entity.name not in expected.rows:
            result["notes"].append(f"the reference says nothing of {entity.name}")
            continue
        rows, excluded = expected.rows[entity.name], expected.excluded.get(entity.name, {})
        try:
            held = read_held(read, database, entity, rows, frame)
        except (AuditError, *failures) as error:  # type: ignore[misc]
            result["notes"].append(f"{entity.name} were not compared: {error}")
            continue
        if not rows and held:
            # A reference that was served nothing proves nothing about what is there.
            result["notes"].append(
                f"{entity.name} were not compared: the source now serves none of the window, the table has {len(held)}"
            )
            continue
        found = compare(entity, rows, excluded, held, frame)
        types = _types(read, owner_of(database, entity), entity) if found.other else {}
        findings += _findings(_title(database, entity), entity, rows, found, types)
        result["entities"][entity.name] = _summary(found)
        result["differences"] += totals(entity, rows, held, frame)[:_GROUPS] if _differs(found) else []
    if findings:
        result["status"] = "differs"
    elif not result["entities"]:
        result["status"] = "not done"
    return result, findings


def not_done(reason: str, *, wanted: bool) -> tuple[dict[str, Any], list[Finding]]:
    """The result of an audit that got no figures: said, and nothing concluded."""
    finding = Finding(
        stage=STAGE,
        severity="warning" if wanted else "info",
        cause="data_audit_not_done",
        headline=f"The source was not asked again: {reason}.",
        actual="no figures to hold the tables against",
        next_step="Run the audit's command by hand and see its message. verify_data_audit: false leaves it out.",
    )
    return {"status": "not done", "entities": {}, "differences": [], "notes": [reason]}, [finding]


def read_held(read: Read, database: str, entity: Entity, expected: Sequence[Row], frame: Frame) -> list[Held]:
    """The table's rows of the window and of the expected ids; with FINAL where the engine merges by key.

    :raises AuditError: the table is not there
    """
    owner, name = owner_of(database, entity), entity.table.rpartition(".")[2]
    catalog = read(
        f"SELECT engine FROM system.tables WHERE database = {quote_string(owner)} AND name = {quote_string(name)}"
    )
    if not catalog:
        raise AuditError(f"there is no table {owner}.{name}")
    final = " FINAL" if "MergeTree" in catalog[0]["engine"] and catalog[0]["engine"] != "MergeTree" else ""
    source = f"{quote_table(owner, name)}{final}"
    wanted = [f"toString({identifier(entity.id)}) AS _id"]
    values = {f"_a{index}": column for index, column in enumerate(entity.amounts.values())}
    values |= {"_time": entity.time, "_currency": entity.currency}  # type: ignore[dict-item]
    for alias, column in values.items():
        if column:
            sql = f"toUnixTimestamp({identifier(column)})" if alias == "_time" else f"toString({identifier(column)})"
            wanted.append(
                f"argMax(tuple({sql}), {identifier(entity.latest)}).1 AS {alias}"
                if entity.latest
                else f"{sql} AS {alias}"
            )
    query = f"SELECT {', '.join(wanted)} FROM {source}"
    group = " GROUP BY _id" if entity.latest else ""
    if not entity.time or frame.start is None or frame.end is None:
        return [_held(entity, row) for row in read(f"{query}{group}")]
    first, last = int(frame.start) - _AROUND, int(frame.end) + _AROUND
    near = f"toUnixTimestamp({identifier(entity.time)}) BETWEEN {first} AND {last}"
    rows = [_held(entity, row) for row in read(f"{query} WHERE {near}{group}")]
    known = {row.id for row in rows}
    absent = [row.id for row in expected if row.id not in known][:_IDS]
    if absent:
        ids = ", ".join(map(quote_string, absent))
        far = read(f"{query} WHERE toString({identifier(entity.id)}) IN ({ids}){group}")
        rows += [_held(entity, row) for row in far]
    return rows


def owner_of(database: str, entity: Entity) -> str:
    """The database of the entity's table."""
    return entity.table.rpartition(".")[0] or database


def _types(read: Read, database: str, entity: Entity) -> dict[str, str]:
    """Types of the columns by name."""
    table = quote_string(entity.table.rpartition(".")[2])
    rows = read(f"SELECT name, type FROM system.columns WHERE database = {quote_string(database)} AND table = {table}")
    return {row["name"]: row["type"] for row in rows}


def _held(entity: Entity, row: Mapping[str, Any]) -> Held:
    amounts = {name: _decimal(row[f"_a{index}"]) for index, name in enumerate(entity.amounts)}
    time = row.get("_time")
    return Held(row["_id"], amounts, None if time is None else float(time), row.get("_currency"))


def _decimal(value: Any) -> Decimal | None:
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None


def _title(database: str, entity: Entity) -> str:
    return entity.table if "." in entity.table else f"{database}.{entity.table}"


def _differs(found: Differences) -> bool:
    kinds = (found.missing, found.extra, found.shift, found.gross, found.currency, found.rounded, found.other)
    return any(kinds)


def _summary(found: Differences) -> dict[str, Any]:
    return {
        "expected": found.expected,
        "held": found.held,
        "missing": len(found.missing),
        "not counting": sum(map(len, found.extra.values())) + len(found.gross),
        "other values": sum(len(pairs) for kind in (found.rounded, found.other) for pairs in kind.values()),
        "unknown": sum(map(len, found.unknown.values())),
        "changed between the readings": len(found.changed),
    }


# Findings -----------------------------------------------------------------------------------------------------------


def _findings(
    title: str, entity: Entity, rows: Sequence[Row], found: Differences, types: Mapping[str, str]
) -> list[Finding]:
    made = _Maker(title, entity, len(rows), found)
    if found.missing:
        made.missing(rows)
    if found.shift:
        made.shift()
    for reason, extra in found.extra.items():
        made.beyond(reason, extra)
    if found.gross:
        made.gross()
    if found.currency:
        made.currency()
    for name, pairs in found.unknown.items():
        made.unknown(name, pairs)
    for name, pairs in found.rounded.items():
        made.rounded(name, pairs)
    for name, pairs in found.other.items():
        kind = types.get(entity.amounts[name], "")
        wrapped = [pair for pair in pairs if _wrapped(pair, name, kind)]
        if wrapped:
            made.wrapped(name, kind, wrapped)
        if others := [pair for pair in pairs if pair not in wrapped]:
            made.other(name, others)
    return made.findings


class _Maker:
    def __init__(self, title: str, entity: Entity, total: int, found: Differences) -> None:
        self.title, self.entity, self.total, self.found = title, entity, total, found
        self.findings: list[Finding] = []

    def _add(
        self,
        cause: str,
        headline: str,
        actual: str,
        next_step: str,
        rows: list[dict[str, Any]],
        severity: str = "error",
    ) -> None:
        if self.found.changed:
            actual += f"; {len(self.found.changed)} more changed at the source between both readings and are left out"
        self.findings.append(
            Finding(
                stage=STAGE,
                severity=severity,
                cause=cause,
                headline=f"{self.title}: {headline}",
                object=self.title,
                expected=f"what the source serves for the window: {self.total} {self.entity.name}",
                actual=actual,
                next_step=next_step,
                evidence={"rows": rows[:_EXAMPLES]},
            )
        )

    def _share(self, number: int, of: int | None = None) -> str:
        of = of or self.total
        return f"{number} of {of} {self.entity.name} ({number / of:.0%})" if of else f"{number} {self.entity.name}"

    def missing(self, rows: Sequence[Row]) -> None:
        found, name = self.found, self.entity.name
        sums = ", ".join(_sums(self.entity, found.missing, rows))
        examples = [{"id": row.id, "time": _at(row.time), **_shown(row.amounts)} for row in found.missing]
        if found.before:
            self._add(
                "data_audit_not_fetched",
                f"{self._share(len(found.missing))} were not loaded: the first {found.before} of the source's list are"
                f" there, and none of those after them.",
                f"missing: {sums}" if sums else f"{len(found.missing)} missing",
                f"The loader stops after the first page(s), here after {found.before} {name}. Read on until a page is"
                " empty or the answer's paging says that it was the last.",
                examples,
            )
        else:
            self._add(
                "data_audit_missing",
                f"{self._share(len(found.missing))} that the source serves for the window are not in the table.",
                f"missing: {sums}" if sums else f"{len(found.missing)} missing",
                "Look in the loader for a filter or a failed batch that leaves these out; compare the examples.",
                examples,
            )

    def shift(self) -> None:
        hours = self.found.shift / 3600
        self._add(
            "data_audit_time_shift",
            f"{self.entity.time} is {abs(hours):g} hour(s) {'ahead of' if hours > 0 else 'behind'} the source in"
            f" {self._share(len(self.found.shifted), len(self.found.pairs) or None)}.",
            f"the same difference of {hours:+g} h in {len(self.found.shifted)} row(s)",
            "The loader drops the time's zone, or takes it for another one. Send the time with its zone (Z or +03:00 at"
            " its end, date_time_input_format = 'best_effort') or as Unix time, or name the zone in the column's type.",
            [
                {"id": pair.held.id, "source": _at(pair.expected.time), "table": _at(pair.held.time)}
                for pair in self.found.shifted
            ],
        )

    def beyond(self, reason: str, rows: Sequence[Held]) -> None:
        sums = ", ".join(_sums(self.entity, rows, ()))
        examples = [{"id": row.id, "time": _at(row.time), **_shown(row.amounts)} for row in rows]
        if reason:
            self._add(
                "data_audit_not_counting",
                f"{len(rows)} {self.entity.name} in the table must not count: they are {reason} at the source.",
                f"too much: {sums}",
                f"Let the loader leave out {self.entity.name} that are {reason}, and correct the rows that are there.",
                examples,
            )
        else:
            self._add(
                "data_audit_extra",
                f"{len(rows)} {self.entity.name} in the table are not among the source's of the window.",
                f"more than the source's: {sums}" if sums else f"{len(rows)} row(s)",
                "Look the examples up at the source: they may belong to another account, window or environment.",
                examples,
                "warning",
            )

    def gross(self) -> None:
        pairs = self.found.gross
        self._add(
            "data_audit_not_counting",
            f"{self._share(len(pairs))} hold what does not count: their removed or refunded parts are in the figures.",
            f"too much: {', '.join(_surplus(self.entity, pairs))}",
            "Let the loader leave out parts that were removed or refunded (deleted_at, refunded_at), and load again.",
            [_both(pair) for pair in pairs],
        )

    def currency(self) -> None:
        pairs = self.found.currency
        money = [name for name in self.entity.money if name in self.entity.amounts]
        unconverted = [p for p in pairs if all(p.expected.amounts.get(m) == p.held.amounts.get(m) for m in money)]
        way = sorted({f"{p.expected.currency} as {p.held.currency or 'no currency'}" for p in pairs})
        said = ", with the same amount: nothing was converted" if len(unconverted) == len(pairs) else ""
        self._add(
            "data_audit_currency",
            f"{self._share(len(pairs))} are stored in another currency than the source's ({', '.join(way)}){said}.",
            f"{len(unconverted)} of {len(pairs)} with the source's amount",
            "Let the loader store the source's currency with the amount, or convert the amount and say at which rate.",
            [{**_both(pair), "source currency": pair.expected.currency, "table currency": pair.held.currency}
             for pair in pairs],
        )  # fmt: skip

    def unknown(self, name: str, pairs: Sequence[Pair]) -> None:
        self._add(
            "data_audit_unknown",
            f"{self.entity.amounts[name]} is NULL for {self._share(len(pairs))}, though the source tells it.",
            f"{len(pairs)} NULL",
            "Let the loader read it from the source's answer; compare the field's name and its place there.",
            [{"id": pair.held.id, "source": str(pair.expected.amounts[name]), "table": "NULL"} for pair in pairs],
        )

    def rounded(self, name: str, pairs: Sequence[Pair]) -> None:
        self._add(
            "data_audit_rounding",
            f"{self.entity.amounts[name]} differs by less than 1 in {self._share(len(pairs))}: money was rounded.",
            f"together {sum((_difference(pair, name) for pair in pairs), Decimal(0)):+f}",
            "Carry money as Decimal from the source's text into a Decimal(18, 2) column.",
            [_both(pair) for pair in pairs],
        )

    def wrapped(self, name: str, kind: str, pairs: Sequence[Pair]) -> None:
        column, first = self.entity.amounts[name], pairs[0]
        self._add(
            "data_wrapped_integer",
            f"{column} wrapped in {self._share(len(pairs))}: {kind} cannot hold {first.expected.amounts[name]}, so "
            f"{first.held.amounts[name]} was stored, with no error.",
            f"together {sum((_difference(pair, name) for pair in pairs), Decimal(0)):+f}",
            f"Give {column} a wider type (ALTER TABLE {self.title} MODIFY COLUMN {column} ...), then load these rows "
            "again.",
            [_both(pair) for pair in pairs],
        )

    def other(self, name: str, pairs: Sequence[Pair]) -> None:
        factor = _factor(pairs, name)
        said = f", by the factor {factor:f}" if factor else ""
        self._add(
            "data_audit_differs",
            f"{self.entity.amounts[name]} is another than the source's in {self._share(len(pairs))}{said}.",
            f"together {sum((_difference(pair, name) for pair in pairs), Decimal(0)):+f}",
            "Compare the examples with the source's answer, field by field.",
            [_both(pair) for pair in pairs],
        )


def _wrapped(pair: Pair, name: str, kind: str) -> bool:
    """Whether the table holds what an integer of this type keeps of a number that is beyond it."""
    integer, expected = _INTEGER.search(kind), pair.expected.amounts[name]
    if not integer or expected is None or expected != int(expected):
        return False
    bits, lowest = int(integer[2]), 0 if integer[1] else -(2 ** (int(integer[2]) - 1))
    kept = (int(expected) - lowest) % 2**bits + lowest
    return kept != expected and pair.held.amounts[name] == Decimal(kept)


def _factor(pairs: Sequence[Pair], name: str) -> Decimal | None:
    """The one ratio that nearly all amounts have, in thousandths."""
    ratios = Counter(
        round(held / expected, 3)
        for pair in pairs
        if (expected := pair.expected.amounts.get(name)) and (held := pair.held.amounts.get(name)) is not None
    )
    ratio, number = ratios.most_common(1)[0] if ratios else (None, 0)
    return ratio if len(pairs) > 2 and number >= 0.75 * len(pairs) else None


def _difference(pair: Pair, name: str) -> Decimal:
    return (pair.held.amounts.get(name) or Decimal(0)) - (pair.expected.amounts.get(name) or Decimal(0))


def _sums(entity: Entity, rows: Iterable[Row | Held], of: Iterable[Row]) -> list[str]:
    rows, of = list(rows), list(of)
    said = []
    for name in entity.amounts:
        if name in entity.moving:
            continue
        part = sum((row.amounts.get(name) or Decimal(0) for row in rows), Decimal(0))
        whole = sum((row.amounts.get(name) or Decimal(0) for row in of), Decimal(0))
        said.append(f"{name} {part}" + (f" of {whole} ({part / whole:.0%})" if whole else ""))
    return said


def _surplus(entity: Entity, pairs: Sequence[Pair]) -> list[str]:
    return [
        f"{name} {sum((_difference(pair, name) for pair in pairs), Decimal(0)):+f}"
        for name in entity.amounts
        if name not in entity.moving
    ]


def _shown(amounts: Mapping[str, Decimal | None]) -> dict[str, str]:
    return {name: "unknown" if value is None else str(value) for name, value in amounts.items()}


def _both(pair: Pair) -> dict[str, Any]:
    said: dict[str, Any] = {"id": pair.held.id}
    for name, amount in pair.expected.amounts.items():
        if pair.held.amounts.get(name) != amount:
            said |= {f"{name} at the source": str(amount), f"{name} in the table": str(pair.held.amounts.get(name))}
    return said


def _at(moment: float | None) -> str:
    return "" if moment is None else f"{datetime.fromtimestamp(moment, UTC):%F %T} UTC"
