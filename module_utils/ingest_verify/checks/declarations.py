"""Declared checks: what `verify_data_checks` may say, and the refusal of what it may not, with the place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .fields import (
    Check,
    DeclarationError,
    a_table,
    a_text,
    choice,
    in_order,
    nearest,
    one_of,
    positive,
    read_fields,
    shown,
)
from .kinds import KINDS

SEVERITIES = ("error", "warning")
DEFAULT_SECONDS = 30.0

_COMMON = ("name", "kind", "table", "severity", "time_limit_seconds", "limits")


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
        raise DeclarationError(place, f"expected a list of checks, found {shown(declarations)}")
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
        raise DeclarationError(place, f"expected a check with name, kind and table, found {shown(declaration)}")
    for key in ("name", "kind"):
        if key not in declaration:
            raise DeclarationError(f"{place}.{key}", "expected a value, found none")
    kind_name = choice(*KINDS)(f"{place}.kind", declaration["kind"])
    kind = KINDS[kind_name]
    if kind.has_table and "table" not in declaration:
        raise DeclarationError(f"{place}.table", f"expected the table that a {kind_name} check looks at, found none")
    database, table = a_table(f"{place}.table", declaration["table"]) if "table" in declaration else (None, None)
    allowed = (*_COMMON, *kind.options)
    for key in declaration:
        if key not in allowed:
            raise DeclarationError(
                f"{place}.{key}",
                f"a {kind_name} check has no such option; expected {one_of(allowed)}{nearest(key, allowed)}",
            )
    severity = choice(*SEVERITIES)(f"{place}.severity", declaration.get("severity", kind.severities[0]))
    if severity not in kind.severities:
        raise DeclarationError(
            f"{place}.severity", f"expected {kind.severities[0]}: a {kind_name} alone never fails a run"
        )
    options = read_fields(place, {key: declaration[key] for key in kind.options if key in declaration}, kind.options)
    if kind.validate:
        kind.validate(place, options)
    limits = read_fields(f"{place}.limits", declaration.get("limits") or {}, kind.limits)
    in_order(f"{place}.limits", limits, "min_rows", "max_rows")
    in_order(f"{place}.limits", limits, "warn_age_minutes", "error_age_minutes")
    return Check(
        name=a_text(f"{place}.name", declaration["name"]),
        kind=kind_name,
        table=table,
        database=database,
        severity=severity,
        seconds=float(positive(f"{place}.time_limit_seconds", declaration.get("time_limit_seconds", seconds))),
        limits=limits,
        options=options,
    )
