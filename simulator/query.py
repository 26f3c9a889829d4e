"""where, orderBy, page, per_page, select: read from the query string or a JSON body, ignored when not understood.

Source of the behaviour: the vendor's REST API v1 page and what production clients observed: an unknown or malformed
filter is no error, the answer then simply starts with the oldest records of the account.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from simulator.account import parse_time

PER_PAGE_MAX = 200


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(value)
    return int(value)


def _flag(value: object) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    return known[str(value).lower()]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(value)
    return value


def _kopecks(value: object) -> int:
    return int(Decimal(str(value)) * 100)


ORDER_COLUMNS: dict[str, Callable[[object], Any]] = {
    "id": _integer, "uniqid": _text, "payed": _flag, "payed_at": parse_time, "created_at": parse_time,
    "updated_at": parse_time, "deleted_at": parse_time, "client_id": _integer, "event_id": _integer,
    "price": _kopecks, "currency_id": _text,
}  # fmt: skip
EVENT_COLUMNS: dict[str, Callable[[object], Any]] = {
    "id": _integer, "name": _text, "is_active": _integer, "city_id": _integer, "deleted_at": parse_time,
}  # fmt: skip


@dataclass(frozen=True)
class Clause:
    """One understood condition; ``value`` in the model's own type (a frozenset for ``in``)."""

    column: str
    operator: str
    value: Any

    def select(self, records: Sequence[Any]) -> list[Any]:
        """The records that fulfil the condition, in their order."""
        column, value = self.column, self.value
        if self.operator == "null":
            return [r for r in records if getattr(r, column) is None]
        if self.operator == "in":
            return [r for r in records if getattr(r, column) in value]
        if self.operator == ">=":
            return [r for r in records if (got := getattr(r, column)) is not None and got >= value]
        if self.operator == "<":
            return [r for r in records if (got := getattr(r, column)) is not None and got < value]
        return [r for r in records if getattr(r, column) == value]


@dataclass(frozen=True)
class Query:
    """A list request as understood; ``order`` is empty when none was given or it was not understood."""

    where: tuple[Clause, ...]
    order: tuple[tuple[str, bool], ...]
    page: int
    per_page: int
    select: tuple[str, ...] | None
    flat: bool


def _decoded(value: object) -> object:
    """The JSON inside a query parameter; a value from a JSON body is taken as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None


def _clauses(value: object, columns: Mapping[str, Callable[[object], Any]]) -> tuple[Clause, ...]:
    clauses = []
    for item in value if isinstance(value, list) else []:
        if not isinstance(item, dict):
            continue
        operator = item.get("operator", "=")
        if operator not in ("=", ">=", "<", "in", "null"):
            continue
        try:
            column = item["column"]
            read = columns[column]
            if operator == "null":
                wanted: Any = None
            elif operator == "in":
                wanted = frozenset(read(one) for one in _list(item["value"]))
            else:
                wanted = read(item["value"])
        except (ValueError, TypeError, KeyError, ArithmeticError):
            continue
        clauses.append(Clause(column, operator, wanted))
    return tuple(clauses)


def _order(value: object, columns: Mapping[str, Any]) -> tuple[tuple[str, bool], ...]:
    if not isinstance(value, dict) or not value:
        return ()
    wanted = [(column, str(way).lower()) for column, way in value.items()]
    if any(column not in columns or way not in ("asc", "desc") for column, way in wanted):
        return ()
    return tuple((column, way == "desc") for column, way in wanted)


def _positive(value: object, default: int) -> int:
    try:
        number = _integer(value)
    except ValueError:
        return default
    return number if number > 0 else default


def read_query(
    parameters: Mapping[str, str], body: bytes, columns: Mapping[str, Callable[[object], Any]], page_size: int
) -> Query:
    """Understand what can be understood of a list request; the query string wins over the body."""
    given: dict[str, Any] = {}
    if body:
        try:
            decoded = json.loads(body)
        except ValueError:
            decoded = None
        if isinstance(decoded, dict):
            given.update(decoded)
    given.update(parameters)
    select = _decoded(given.get("select"))
    return Query(
        where=_clauses(_decoded(given.get("where")), columns),
        order=_order(_decoded(given.get("orderBy")), columns),
        page=_positive(given.get("page"), 1),
        per_page=min(_positive(given.get("per_page"), page_size), PER_PAGE_MAX),
        select=tuple(str(name) for name in select) if isinstance(select, list) else None,
        flat=str(given.get("flat", "")).lower() in ("1", "true"),
    )


def run(query: Query, records: Sequence[Any]) -> list[Any]:
    """Filter and sort ``records``, which come oldest first."""
    found = list(records)
    for clause in query.where:
        found = clause.select(found)
    for column, descending in reversed(query.order):

        def key(record: Any, column: str = column) -> tuple[bool, Any]:
            value = getattr(record, column)
            return (value is not None, value)

        found.sort(key=key, reverse=descending)
    return found


def cut(found: Sequence[Any], page: int, per_page: int, rng: random.Random | None) -> list[Any]:
    """One page. With ``rng`` the order is unstable: as many records as a right page has, in a mixed order, and every
    page after the first repeats some that an earlier one had, so that others are never served."""
    start = (page - 1) * per_page
    right = list(found[start : start + per_page])
    if rng is None or not right:
        return right
    if page > 1:
        start -= rng.randint(1, max(1, per_page // 3))
        right = list(found[start : start + len(right)])
    rng.shuffle(right)
    return right


def paging(shape: str, page: int, per_page: int, total: int) -> dict[str, Any]:
    """The paging part of a list answer: ``documented``, or ``meta``, ``pagination`` and ``none`` as observed."""
    pages = -(-total // per_page)
    if shape == "documented":
        return {"paging": {"perPage": per_page, "currentPage": page, "total": total}}
    if shape == "meta":
        return {"meta": {"current_page": page, "last_page": max(pages, 1), "has_next": page < pages}}
    if shape == "pagination":
        return {"pagination": {"page": page, "pages": pages, "per_page": per_page, "total": total}}
    return {}
