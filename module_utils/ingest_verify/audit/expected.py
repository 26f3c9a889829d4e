"""The reference's answer in the form of docs/reference/audit.md, and the tables that it is held against."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

_MOST_ROWS = 500_000


class AuditError(ValueError):
    """The audit cannot be done; the text says why, in one sentence."""


@dataclass(frozen=True)
class Row:
    """One expected record: `time` and `changed` are epoch seconds, an amount of None is one the source does not know.

    `gross` are the amounts with what does not count, such as refunded tickets.
    """

    id: str
    amounts: Mapping[str, Decimal | None]
    time: float | None = None
    changed: float | None = None
    group: Mapping[str, str] = field(default_factory=dict)
    currency: str | None = None
    gross: Mapping[str, Decimal | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Expected:
    """The whole answer: rows by entity in the source's order, ids that do not count by reason, the window's ends."""

    rows: Mapping[str, list[Row]]
    excluded: Mapping[str, Mapping[str, str]]
    start: float | None
    end: float | None


@dataclass(frozen=True)
class Entity:
    """Where an entity's rows stand: `table` ('database.table' or 'table') and its columns.

    `amounts` maps names of the answer to columns; those of `money` may be rounded, those of `moving` change between two
    readings. `latest` is the column whose newest value is the row of an id that counts.
    """

    name: str
    table: str
    id: str
    amounts: Mapping[str, str]
    time: str | None = None
    currency: str | None = None
    latest: str | None = None
    money: tuple[str, ...] = ()
    moving: tuple[str, ...] = ()


def read_mapping(declared: Mapping[str, Any]) -> list[Entity]:
    """The entities of a profile's `audit.entities`; raises AuditError with the place of a wrong declaration."""
    found = []
    for name, body in declared.items():
        known = [key for key in Entity.__dataclass_fields__ if key != "name"]
        if not isinstance(body, Mapping) or set(body) - set(known) or not {"table", "id", "amounts"} <= set(body):
            raise AuditError(
                f"audit.entities.{name}: expected table, id and amounts, and of {', '.join(sorted(known))}"
            )
        lists = {key: tuple(body.get(key) or ()) for key in ("money", "moving")}
        found.append(Entity(name, **{**body, **lists}))
    return found


def read_expected(text: str) -> Expected:
    """The answer from what a program printed: all of it, or its last line, is a JSON object with `entities`.

    Raises AuditError when it is none; an outcome line with a `message` gives that as the reason.
    """
    answer = _object(text)
    figures = answer.get("figures", answer)
    entities = figures.get("entities") if isinstance(figures, Mapping) else None
    if not isinstance(entities, Mapping):
        said = answer.get("message") or answer.get("error")
        raise AuditError(
            f"the reference gave no figures: {said}" if said else "the reference's answer has no `entities`"
        )
    window = figures.get("window") or {}
    rows = {
        str(name): [_row(f"{name}.rows[{index}]", row) for index, row in enumerate(_rows(name, body))]
        for name, body in entities.items()
    }
    excluded = {str(name): dict(body.get("excluded") or {}) for name, body in entities.items()}
    return Expected(rows, excluded, _time("window.from", window.get("from")), _time("window.to", window.get("to")))


def _object(text: str) -> Mapping[str, Any]:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    for candidate in (text, lines[-1] if lines else ""):
        try:
            answer = json.loads(candidate, parse_float=Decimal)
        except ValueError:
            continue
        if isinstance(answer, Mapping):
            return answer
    raise AuditError("the reference printed nothing" if not lines else "the reference's answer is no JSON object")


def _rows(name: Any, body: Any) -> list[Any]:
    rows = body.get("rows") if isinstance(body, Mapping) else None
    if not isinstance(rows, list):
        raise AuditError(f"the reference's answer has no list `entities.{name}.rows`")
    if len(rows) > _MOST_ROWS:
        raise AuditError(f"the reference's answer has {len(rows)} rows of {name}, more than {_MOST_ROWS}")
    return rows


def _row(place: str, row: Any) -> Row:
    if not isinstance(row, Mapping) or row.get("id") in (None, ""):
        raise AuditError(f"entities.{place} has no id")
    return Row(
        str(row["id"]),
        _amounts(f"{place}.amounts", row.get("amounts")),
        _time(f"{place}.time", row.get("time")),
        _time(f"{place}.changed", row.get("changed")),
        {str(key): str(value) for key, value in (row.get("group") or {}).items()},
        str(row["currency"]) if row.get("currency") else None,
        _amounts(f"{place}.gross", row.get("gross")),
    )


def _amounts(place: str, amounts: Any) -> dict[str, Decimal | None]:
    try:
        return {str(name): None if value is None else Decimal(str(value)) for name, value in (amounts or {}).items()}
    except (InvalidOperation, AttributeError):
        raise AuditError(f"entities.{place} is no mapping of names to numbers") from None


def _time(place: str, value: Any) -> float | None:
    if value in (None, ""):
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise AuditError(f"{place} is no time with its zone, such as 2026-11-28T12:00:00+03:00")
    return moment.timestamp()
