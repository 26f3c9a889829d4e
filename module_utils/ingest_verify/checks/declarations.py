"""Declared checks: what `verify_data_checks` may say, and the refusal of what it may not, with the place."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from ..findings import Finding

SEVERITIES = ("error", "warning")
_NAMES = re.compile(r"`[^`.]*\.[^`]*`|[^.`\"]+")
DEFAULT_SECONDS = 30.0


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
class _Field:
    read: Reader
    default: Any = None
    required: bool = False


@dataclass(frozen=True)
class _Kind:
    options: Mapping[str, _Field] = field(default_factory=dict)
    limits: Mapping[str, _Field] = field(default_factory=dict)
    table: bool = True


def _text(place: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DeclarationError(place, f"expected a text that is not empty, found {_shown(value)}")
    return value.strip()


def _flag(place: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise DeclarationError(place, f"expected true or false, found {_shown(value)}")
    return value


def _number(place: str, value: Any) -> Decimal:
    """A number, also as the text that Jinja makes of it."""
    try:
        if isinstance(value, bool):
            raise InvalidOperation
        number = Decimal(str(value).strip())
        if not number.is_finite():
            raise InvalidOperation
    except InvalidOperation:
        raise DeclarationError(place, f"expected a number, found {_shown(value)}") from None
    return number


def _not_negative(place: str, value: Any) -> Decimal:
    number = _number(place, value)
    if number < 0:
        raise DeclarationError(place, f"expected a number of at least 0, found {_shown(value)}")
    return number


def _positive(place: str, value: Any) -> Decimal:
    number = _number(place, value)
    if number <= 0:
        raise DeclarationError(place, f"expected a number above 0, found {_shown(value)}")
    return number


def _whole(place: str, value: Any) -> Decimal:
    number = _not_negative(place, value)
    if number != int(number):
        raise DeclarationError(place, f"expected a whole number, found {_shown(value)}")
    return number


def _at_least_one(place: str, value: Any) -> Decimal:
    number = _number(place, value)
    if number < 1:
        raise DeclarationError(place, f"expected a number of at least 1, found {_shown(value)}")
    return number


def _share(place: str, value: Any) -> Decimal:
    number = _not_negative(place, value)
    if number > 1:
        raise DeclarationError(place, f"expected a share between 0 and 1, such as 0.9, found {_shown(value)}")
    return number


def _texts(place: str, value: Any) -> list[str]:
    """A list of names or expressions; a single one may stand without its list."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, Sequence) or not values:
        raise DeclarationError(place, f"expected a list of names, found {_shown(value)}")
    return [_text(f"{place}[{index}]", item) for index, item in enumerate(values)]


def _mapping(place: str, value: Any) -> dict[str, str]:
    """name: SQL expression. A list of names stands for each name as its own expression."""
    if isinstance(value, Mapping) and value:
        return {_text(place, key): _text(f"{place}.{key}", item) for key, item in value.items()}
    if isinstance(value, (str, list)) and value:
        return {name: name for name in _texts(place, value)}
    raise DeclarationError(place, f"expected a mapping of names to SQL expressions, found {_shown(value)}")


def _columns(place: str, value: Any) -> dict[str, str | None]:
    """Columns that must exist: a list of names, or a mapping of names to types."""
    if isinstance(value, Mapping):
        return {**_mapping(place, value)}
    return dict.fromkeys(_texts(place, value))


def _names(place: str, value: Any, expected: str, *lengths: int) -> list[str]:
    """Names between dots; one that holds a dot itself stands in backquotes."""
    text = _text(place, value)
    if len(parts := _NAMES.findall(text)) not in lengths or ".".join(parts) != text or "\0" in text:
        raise DeclarationError(
            place, f"expected {expected} without quotes (a name that holds a dot in backquotes), found {_shown(value)}"
        )
    return [part.strip("`") for part in parts]


def _table(place: str, value: Any) -> tuple[str | None, str]:
    """`table` or `database.table`."""
    *database, table = _names(place, value, "table or database.table", 1, 2)
    return (database[0] if database else None), table


def _reference(place: str, value: Any) -> tuple[str | None, str, str]:
    """`table.column` or `database.table.column`."""
    *database, table, column = _names(place, value, "table.column or database.table.column", 2, 3)
    return (database[0] if database else None), table, column


def _choice(*allowed: str) -> Reader:
    def read(place: str, value: Any) -> str:
        if value not in allowed:
            raise DeclarationError(
                place, f"expected {_one_of(allowed)}, found {_shown(value)}{_nearest(value, allowed)}"
            )
        return str(value)

    return read


def _time_zone(place: str, value: Any) -> str:
    name = _text(place, value)
    if zoneinfo.available_timezones() and name not in zoneinfo.available_timezones():
        raise DeclarationError(
            place,
            f"expected a time zone such as Europe/Moscow, found {_shown(value)}"
            f"{_nearest(name, sorted(zoneinfo.available_timezones()))}",
        )
    return name


def _ranges(place: str, value: Any) -> dict[str, dict[str, Decimal]]:
    """column: {min, max}, either of them."""
    if not isinstance(value, Mapping) or not value:
        raise DeclarationError(place, f"expected columns with min and/or max, found {_shown(value)}")
    fields = {"min": _Field(_number), "max": _Field(_number)}
    ranges = {}
    for column, limits in value.items():
        read = _read_fields(f"{place}.{column}", limits, fields)
        ranges[_text(place, column)] = {key: number for key, number in read.items() if number is not None}
        if not ranges[column]:
            raise DeclarationError(f"{place}.{column}", "expected min, max or both, found neither")
        _in_order(f"{place}.{column}", ranges[column], "min", "max")
    return ranges


def _in_order(place: str, limits: Mapping[str, Any], low: str, high: str) -> None:
    """Two limits that no value could keep, or of which one could never speak, are a mistake."""
    least, most = limits.get(low), limits.get(high)
    if least is not None and most is not None and least > most:
        raise DeclarationError(f"{place}.{high}", f"expected at least {low} ({least}), found {most}")


def _this_run(place: str, value: Any) -> dict[str, str | None]:
    """How rows of this run are told: a column that equals its version or id, a time within its window, or `query_log`
    (what the server says that the run's statements wrote), for a table that carries neither."""
    if value == "query_log":
        return {"column": None, "equals": None, "within": None}
    fields = {
        "column": _Field(_text, required=True),
        "equals": _Field(_choice("ver", "loader_run_id")),
        "within": _Field(_choice("window")),
    }
    read = _read_fields(place, value, fields)
    if (read["equals"] is None) == (read["within"] is None):
        raise DeclarationError(place, "expected either equals (ver or loader_run_id) or within (window)")
    return read


_RECORD_COLUMNS = {
    name: _Field(_text)
    for name in ("run_id", "job", "started_at", "finished_at", "status", "rows_processed", "metrics", "message")
}


def _record_columns(place: str, value: Any) -> dict[str, str]:
    return {key: name for key, name in _read_fields(place, value, _RECORD_COLUMNS).items() if name is not None}


_WHERE = {"where": _Field(_text)}
_SHOW = {"show": _Field(_texts)}
_THIS_RUN = {"this_run": _Field(_this_run)}
_FINAL = {"final": _Field(_flag, False)}

KINDS: dict[str, _Kind] = {
    "existence": _Kind(options={"columns": _Field(_columns, {})}),
    "volume": _Kind(
        options={**_WHERE, **_THIS_RUN, **_FINAL},
        limits={"min_rows": _Field(_whole, Decimal(1)), "max_rows": _Field(_whole)},
    ),
    "freshness": _Kind(
        options={"column": _Field(_text, required=True), "time_zone": _Field(_time_zone), **_WHERE, **_THIS_RUN},
        limits={
            "warn_age_minutes": _Field(_positive),
            "error_age_minutes": _Field(_positive),
            "max_future_minutes": _Field(_not_negative, Decimal(5)),
        },
    ),
    "duplicates": _Kind(
        options={"key": _Field(_texts, required=True), **_WHERE, **_SHOW},
        limits={"max_duplicates": _Field(_whole, Decimal(0)), "max_unmerged_share": _Field(_share)},
    ),
    "reconciliation": _Kind(
        options={
            "entity": _Field(_text),
            "one_row_each": _Field(_flag, False),
            "sums": _Field(_mapping, {}),
            "counts_as_processed": _Field(_flag, False),
            "final": _Field(_flag),
            **_THIS_RUN,
        },
        limits={"max_difference": _Field(_whole, Decimal(0))},
    ),
    "consistency": _Kind(
        options={
            "source": _Field(_table, required=True),
            "key": _Field(_mapping, required=True),
            "values": _Field(_mapping, required=True),
            "money": _Field(_texts, []),
            "scale": _Field(_whole, Decimal(2)),
            "touched_key": _Field(_text),
            "absent_as_zero": _Field(_flag, False),
            "source_where": _Field(_text),
            **_WHERE,
            **_THIS_RUN,
        },
        limits={"max_rows": _Field(_whole, Decimal(0))},
    ),
    "values": _Kind(
        options={
            "not_null": _Field(_texts, []),
            "not_empty": _Field(_texts, []),
            "not_epoch": _Field(_texts, []),
            "not_default": _Field(_texts, []),
            "not_wrapped": _Field(_texts, []),
            "whole_cents": _Field(_texts, []),
            "ranges": _Field(_ranges, {}),
            "rules": _Field(_mapping, {}),
            **_WHERE,
            **_SHOW,
            **_FINAL,
        },
        limits={"max_rows": _Field(_whole, Decimal(0))},
    ),
    "referential": _Kind(
        options={
            "column": _Field(_text, required=True),
            "references": _Field(_reference, required=True),
            **_WHERE,
            **_SHOW,
            **_FINAL,
        },
        limits={"max_rows": _Field(_whole, Decimal(0))},
    ),
    "run_record": _Kind(
        options={
            "columns": _Field(_record_columns, {}),
            "ok": _Field(_texts, ["ok"]),
            "closed": _Field(_texts, ["ok", "failed"]),
        },
        limits={"min_rows_processed": _Field(_whole, Decimal(1))},
    ),
    "trend": _Kind(
        options={"figure": _Field(_text, "rows_of_run"), **_THIS_RUN},
        limits={"max_factor": _Field(_at_least_one, Decimal(3)), "min_runs": _Field(_at_least_one, Decimal(4))},
    ),
    "sql": _Kind(
        options={"query": _Field(_text, required=True)},
        limits={"max_rows": _Field(_whole, Decimal(0))},
        table=False,
    ),
}

_COMMON = ("name", "kind", "table", "severity", "time_limit_seconds", "limits")
_VALUE_RULES = ("not_null", "not_empty", "not_epoch", "not_default", "not_wrapped", "whole_cents", "ranges", "rules")


def parse_checks(
    declarations: Any,
    *,
    place: str = "verify_data_checks",
    seconds: float = DEFAULT_SECONDS,
    beside: Sequence[Check] = (),
) -> list[Check]:
    """Read the declared checks; `seconds` is the time limit of those that declare none.

    No name may occur twice, those of the checks `beside` included.

    Raises DeclarationError with the place and the allowed values at the first declaration that cannot be used.
    """
    if not isinstance(declarations, list):
        raise DeclarationError(place, f"expected a list of checks, found {_shown(declarations)}")
    checks: list[Check] = []
    places = {check.name: "another check" for check in beside}
    for index, declaration in enumerate(declarations):
        here = f"{place}[{index}]"
        check = _parse_check(here, declaration, seconds)
        if check.name in places:
            raise DeclarationError(
                f"{here}.name", f"expected a name of its own, {places[check.name]} is {check.name!r} too"
            )
        places[check.name] = here
        checks.append(check)
    return checks


def _parse_check(place: str, declaration: Any, seconds: float) -> Check:
    if not isinstance(declaration, Mapping):
        raise DeclarationError(place, f"expected a check with name, kind and table, found {_shown(declaration)}")
    for key in ("name", "kind"):
        if key not in declaration:
            raise DeclarationError(f"{place}.{key}", "expected a value, found none")
    kind_name = _choice(*KINDS)(f"{place}.kind", declaration["kind"])
    kind = KINDS[kind_name]
    if kind.table and "table" not in declaration:
        raise DeclarationError(f"{place}.table", f"expected the table that a {kind_name} check looks at, found none")
    database, table = _table(f"{place}.table", declaration["table"]) if "table" in declaration else (None, None)
    allowed = (*_COMMON, *kind.options)
    for key in declaration:
        if key not in allowed:
            raise DeclarationError(
                f"{place}.{key}",
                f"a {kind_name} check has no such option; expected {_one_of(allowed)}{_nearest(key, allowed)}",
            )
    severity = _choice(*SEVERITIES)(
        f"{place}.severity", declaration.get("severity", "warning" if kind_name == "trend" else "error")
    )
    if kind_name == "trend" and severity != "warning":
        raise DeclarationError(f"{place}.severity", "expected warning: a trend alone never fails a run")
    options = _read_fields(place, {key: declaration[key] for key in kind.options if key in declaration}, kind.options)
    if kind_name == "values" and not any(options[rule] for rule in _VALUE_RULES):
        raise DeclarationError(place, f"expected at least {_one_of(_VALUE_RULES)}, found none")
    if kind_name == "reconciliation" and not options["entity"] and (options["one_row_each"] or options["sums"]):
        raise DeclarationError(
            f"{place}.entity", "expected the entity in the loader's metrics that the table is compared with"
        )
    if kind_name == "consistency" and options["touched_key"] not in (None, *options["key"]):
        raise DeclarationError(f"{place}.touched_key", f"expected {_one_of(tuple(options['key']))}")
    for name in options["money"] if kind_name == "consistency" else []:
        _choice(*options["values"])(f"{place}.money", name)
    limits = _read_fields(f"{place}.limits", declaration.get("limits") or {}, kind.limits)
    _in_order(f"{place}.limits", limits, "min_rows", "max_rows")
    _in_order(f"{place}.limits", limits, "warn_age_minutes", "error_age_minutes")
    return Check(
        name=_text(f"{place}.name", declaration["name"]),
        kind=kind_name,
        table=table,
        database=database,
        severity=severity,
        seconds=float(_positive(f"{place}.time_limit_seconds", declaration.get("time_limit_seconds", seconds))),
        limits=limits,
        options=options,
    )


def _read_fields(place: str, value: Any, fields: Mapping[str, _Field]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise DeclarationError(place, f"expected a mapping with {_one_of(tuple(fields))}, found {_shown(value)}")
    for key in value:
        if key not in fields:
            wanted = f"expected {_one_of(tuple(fields))}" if fields else "this kind of check has none"
            raise DeclarationError(f"{place}.{key}", f"not known; {wanted}{_nearest(key, tuple(fields))}")
    read = {}
    for key, spec in fields.items():
        if value.get(key) is None:
            if spec.required:
                raise DeclarationError(f"{place}.{key}", "expected a value, found none")
            read[key] = spec.default
        else:
            read[key] = spec.read(f"{place}.{key}", value[key])
    return read


def _one_of(allowed: Sequence[str]) -> str:
    return "one of " + ", ".join(allowed)


def _nearest(value: Any, allowed: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(value), allowed, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
