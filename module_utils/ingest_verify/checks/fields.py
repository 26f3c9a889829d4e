"""A declared check, and the readers of its values: each refuses what it cannot use, with the place."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from ..findings import Finding

_NAMES = re.compile(r"`[^`.]*\.[^`]*`|[^.`\"]+")


class DeclarationError(ValueError):
    """A declaration that cannot be used. `place` is a path such as `verify_data_checks[3].kind`."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place

    def finding(self) -> Finding:
        """The refusal as a finding of the configuration."""
        return Finding(
            stage="verify_data",
            severity="error",
            cause="config_data_check",
            headline=f"A data check cannot be used: {self}",
            object=self.place,
            next_step="Correct the declaration; docs/how-to/add-your-own-check.md lists kinds, options and limits.",
            fix_side="configuration",
        )


@dataclass(frozen=True)
class Check:
    """One declared check, validated.

    `limits` and `options` hold the defaults of the kind for what was not declared; `database` is None where the
    run's own is meant. `seconds` is the time limit of each of its queries.
    """

    name: str
    kind: str
    table: str | None
    database: str | None
    severity: str
    seconds: float
    limits: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


Reader = Callable[[str, Any], Any]


@dataclass(frozen=True)
class Field:
    read: Reader
    default: Any = None
    required: bool = False


def a_text(place: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DeclarationError(place, f"expected a text that is not empty, found {shown(value)}")
    return value.strip()


def a_flag(place: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise DeclarationError(place, f"expected true or false, found {shown(value)}")
    return value


def a_number(place: str, value: Any) -> Decimal:
    """A number, also as the text that Jinja makes of it."""
    try:
        if isinstance(value, bool):
            raise InvalidOperation
        number = Decimal(str(value).strip())
        if not number.is_finite():
            raise InvalidOperation
    except InvalidOperation:
        raise DeclarationError(place, f"expected a number, found {shown(value)}") from None
    return number


def not_negative(place: str, value: Any) -> Decimal:
    number = a_number(place, value)
    if number < 0:
        raise DeclarationError(place, f"expected a number of at least 0, found {shown(value)}")
    return number


def positive(place: str, value: Any) -> Decimal:
    number = a_number(place, value)
    if number <= 0:
        raise DeclarationError(place, f"expected a number above 0, found {shown(value)}")
    return number


def whole(place: str, value: Any) -> Decimal:
    number = not_negative(place, value)
    if number != int(number):
        raise DeclarationError(place, f"expected a whole number, found {shown(value)}")
    return number


def at_least_one(place: str, value: Any) -> Decimal:
    number = a_number(place, value)
    if number < 1:
        raise DeclarationError(place, f"expected a number of at least 1, found {shown(value)}")
    return number


def a_share(place: str, value: Any) -> Decimal:
    number = not_negative(place, value)
    if number > 1:
        raise DeclarationError(place, f"expected a share between 0 and 1, such as 0.9, found {shown(value)}")
    return number


def some_texts(place: str, value: Any) -> list[str]:
    """A list of names or expressions; a single one may stand without its list."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, Sequence) or not values:
        raise DeclarationError(place, f"expected a list of names, found {shown(value)}")
    return [a_text(f"{place}[{index}]", item) for index, item in enumerate(values)]


def a_mapping(place: str, value: Any) -> dict[str, str]:
    """name: SQL expression. A list of names stands for each name as its own expression."""
    if isinstance(value, Mapping) and value:
        return {a_text(place, key): a_text(f"{place}.{key}", item) for key, item in value.items()}
    if isinstance(value, (str, list)) and value:
        return {name: name for name in some_texts(place, value)}
    raise DeclarationError(place, f"expected a mapping of names to SQL expressions, found {shown(value)}")


def some_columns(place: str, value: Any) -> dict[str, str | None]:
    """Columns that must exist: a list of names, or a mapping of names to types."""
    if isinstance(value, Mapping):
        return {**a_mapping(place, value)}
    return dict.fromkeys(some_texts(place, value))


def _names(place: str, value: Any, expected: str, *lengths: int) -> list[str]:
    """Names between dots; one that holds a dot itself stands in backquotes."""
    text = a_text(place, value)
    if len(parts := _NAMES.findall(text)) not in lengths or ".".join(parts) != text or "\0" in text:
        raise DeclarationError(
            place, f"expected {expected} without quotes (a name that holds a dot in backquotes), found {shown(value)}"
        )
    return [part.strip("`") for part in parts]


def a_table(place: str, value: Any) -> tuple[str | None, str]:
    """`table` or `database.table`."""
    *database, table = _names(place, value, "table or database.table", 1, 2)
    return (database[0] if database else None), table


def a_reference(place: str, value: Any) -> tuple[str | None, str, str]:
    """`table.column` or `database.table.column`."""
    *database, table, column = _names(place, value, "table.column or database.table.column", 2, 3)
    return (database[0] if database else None), table, column


def choice(*allowed: str) -> Reader:
    def read(place: str, value: Any) -> str:
        if value not in allowed:
            raise DeclarationError(place, f"expected {one_of(allowed)}, found {shown(value)}{nearest(value, allowed)}")
        return str(value)

    return read


def a_time_zone(place: str, value: Any) -> str:
    name = a_text(place, value)
    if zoneinfo.available_timezones() and name not in zoneinfo.available_timezones():
        raise DeclarationError(
            place,
            f"expected a time zone such as Europe/Moscow, found {shown(value)}"
            f"{nearest(name, sorted(zoneinfo.available_timezones()))}",
        )
    return name


def some_ranges(place: str, value: Any) -> dict[str, dict[str, Decimal]]:
    """column: {min, max}, either of them."""
    if not isinstance(value, Mapping) or not value:
        raise DeclarationError(place, f"expected columns with min and/or max, found {shown(value)}")
    fields = {"min": Field(a_number), "max": Field(a_number)}
    ranges = {}
    for column, limits in value.items():
        read = read_fields(f"{place}.{column}", limits, fields)
        ranges[a_text(place, column)] = {key: number for key, number in read.items() if number is not None}
        if not ranges[column]:
            raise DeclarationError(f"{place}.{column}", "expected min, max or both, found neither")
        in_order(f"{place}.{column}", ranges[column], "min", "max")
    return ranges


def in_order(place: str, limits: Mapping[str, Any], low: str, high: str) -> None:
    """Two limits that no value could keep, or of which one could never speak, are a mistake."""
    least, most = limits.get(low), limits.get(high)
    if least is not None and most is not None and least > most:
        raise DeclarationError(f"{place}.{high}", f"expected at least {low} ({least}), found {most}")


def a_this_run(place: str, value: Any) -> dict[str, str | None]:
    """How rows of this run are told: a column that equals its version or id, a time within its window, or `query_log`
    (what the server says that the run's statements wrote), for a table that carries neither."""
    if value == "query_log":
        return {"column": None, "equals": None, "within": None}
    fields = {
        "column": Field(a_text, required=True),
        "equals": Field(choice("ver", "loader_run_id")),
        "within": Field(choice("window")),
    }
    read = read_fields(place, value, fields)
    if (read["equals"] is None) == (read["within"] is None):
        raise DeclarationError(place, "expected either equals (ver or loader_run_id) or within (window)")
    return read


_RECORD_COLUMNS = {
    name: Field(a_text)
    for name in ("run_id", "job", "started_at", "finished_at", "status", "rows_processed", "metrics", "message")
}


def record_columns(place: str, value: Any) -> dict[str, str]:
    return {key: name for key, name in read_fields(place, value, _RECORD_COLUMNS).items() if name is not None}


def read_fields(place: str, value: Any, fields: Mapping[str, Field]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise DeclarationError(place, f"expected a mapping with {one_of(tuple(fields))}, found {shown(value)}")
    for key in value:
        if key not in fields:
            wanted = f"expected {one_of(tuple(fields))}" if fields else "this kind of check has none"
            raise DeclarationError(f"{place}.{key}", f"not known; {wanted}{nearest(key, tuple(fields))}")
    read = {}
    for key, spec in fields.items():
        if value.get(key) is None:
            if spec.required:
                raise DeclarationError(f"{place}.{key}", "expected a value, found none")
            read[key] = spec.default
        else:
            read[key] = spec.read(f"{place}.{key}", value[key])
    return read


def one_of(allowed: Sequence[str]) -> str:
    return "one of " + ", ".join(allowed)


def nearest(value: Any, allowed: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(value), allowed, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
