"""Values: NULL, empty, epoch, defaults, wrapped integers, cents, ranges, and rules of one's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ...client import quote_string
from ..fields import (
    Check,
    DeclarationError,
    Field,
    a_mapping,
    one_of,
    some_ranges,
    some_texts,
    whole,
)
from ..session import ScanError, Table
from .base import (
    FINAL,
    SHOW,
    WHERE,
    Context,
    Judged,
    Kind,
    Need,
    Problem,
    Values,
    count,
    require,
    rows_query,
)

_UNSIGNED = re.compile(r"UInt(8|16|32|64|128|256)$")
_FLOAT = re.compile(r"B?Float(16|32|64)$")
# A binary float holds a sum of kopecks exactly up to far beyond this; a value farther off was rounded on its way.
_CENT_NOISE = "1e-6"


@dataclass(frozen=True)
class _Rule:
    cause: str
    columns: tuple[str, ...]
    violated: str
    expected: str
    next_step: str


def _rules(check: Check, table: Table) -> list[_Rule]:
    options, sql = check.options, table.sql
    rules = [
        _Rule(
            "data_null",
            (c,),
            f"isNull({sql(c)})",
            f"{c} is never NULL",
            "Let the ingest refuse or fill rows without it.",
        )
        for c in options["not_null"]
    ]
    rules += [
        _Rule(
            "data_empty_key", (c,), f"empty({sql(c)})", f"{c} is never empty", "Let the ingest refuse rows without it."
        )
        for c in options["not_empty"]
    ]
    rules += [
        _Rule(
            "data_epoch",
            (c,),
            # West of Greenwich the epoch is still the day before.
            f"toDate32({sql(c)}) BETWEEN toDate32('1969-12-31') AND toDate32('1970-01-02')",
            f"{c} is a real time, never 1970-01-01",
            "A missing time was stored as the type's default: let the ingest refuse the row, or make it Nullable.",
        )
        for c in options["not_epoch"]
    ]
    for c in options["not_default"]:
        rules.append(
            _Rule(
                "data_null_as_default",
                (c,),
                f"ifNull({sql(c)} = defaultValueOfTypeName({quote_string(table.bare_type(c))}), 0)",
                f"{c} is NULL or a real value, never the type's default",
                "A NULL was stored as a default (input_format_null_as_default, or a column that is not Nullable): "
                "make the column Nullable and let the ingest send NULL.",
            )
        )
    for c in options["not_wrapped"]:
        bits = _UNSIGNED.match(table.bare_type(c))
        if not bits:
            found = table.columns.get(c, "an expression")
            raise ScanError(f"not_wrapped needs an unsigned integer column, {c} is {found}", "")
        rules.append(
            _Rule(
                "data_wrapped_integer",
                (c,),
                f"{sql(c)} >= {2 ** (int(bits[1]) - 1)}",
                f"{c} below 2^{int(bits[1]) - 1}: more is what a negative number becomes in {table.bare_type(c)}",
                "A negative or too large number wrapped on its way into the column: check it before the insert, or "
                "widen the type.",
            )
        )
    rules += [
        _Rule(
            "data_money_rounding",
            (c,),
            # NOT, because every comparison with NaN is false.
            f"NOT (abs(toFloat64({sql(c)}) - round(toFloat64({sql(c)}), 2)) <= {_CENT_NOISE})"
            if _FLOAT.match(table.bare_type(c))
            else f"{sql(c)} != round({sql(c)}, 2)",
            f"{c} in whole hundredths",
            "Money went through a binary float: carry it as Decimal from the source into a Decimal(18, 2) column.",
        )
        for c in options["whole_cents"]
    ]
    for c, limits in options["ranges"].items():
        outside = [f"{sql(c)} {sign} {limits[end]:f}" for end, sign in (("min", "<"), ("max", ">")) if end in limits]
        if _FLOAT.match(table.bare_type(c)):
            outside.append(f"isNaN({sql(c)})")
        inside = " and ".join(
            f"{c} {sign} {limits[end]:f}" for end, sign in (("min", ">="), ("max", "<=")) if end in limits
        )
        rules.append(
            _Rule(
                "data_out_of_range",
                (c,),
                " OR ".join(outside),
                inside,
                "Compare the rows with what the source served for them.",
            )
        )
    for name, condition in options["rules"].items():
        columns = tuple(word for word in re.findall(r"[A-Za-z_]\w*", condition) if word in table.columns)
        rules.append(
            _Rule(
                "data_rule_broken",
                columns,
                f"NOT ({condition})",
                name if name == condition else f"{name}: {condition}",
                "Compare the rows with what the source served for them.",
            )
        )
    return rules


def _needs(check: Check, context: Context) -> list[Need]:
    table = context.table(check)
    plain = ("not_null", "not_empty", "not_epoch", "not_default", "not_wrapped", "whole_cents")
    columns = [column for rule in plain for column in check.options[rule]]
    require(table, [*columns, *check.options["ranges"], *(check.options["show"] or [])])
    where, final = check.options["where"], check.options["final"] and table.collapses
    needs = [Need("rows", count(where), final)]
    needs += [
        Need(f"rule{index}", count(where, rule.violated), final) for index, rule in enumerate(_rules(check, table))
    ]
    return needs


def _judge(check: Check, context: Context, values: Values) -> Judged:
    table = context.table(check)
    rules = _rules(check, table)
    final, allowed = check.options["final"] and table.collapses, int(check.limits["max_rows"])
    judged = Judged("; ".join(rule.expected for rule in rules), "", int(values["rows"]))
    for index, rule in enumerate(rules):
        broken = int(values[f"rule{index}"])
        if broken <= allowed:
            continue
        rows_sql = rows_query(check, table, rule.violated, list(rule.columns), final=final, limit=context.rows_shown)
        judged.problems.append(
            Problem(
                rule.cause,
                f"{table.database}.{table.name}: {broken} of {values['rows']} row(s) break '{rule.expected}'.",
                rule.expected,
                f"{broken} row(s) against it" + (f", {allowed} allowed" if allowed else ""),
                f"{rule.next_step} All of them: {re.sub(r' LIMIT [0-9]+$', '', rows_sql)}",
                rows_sql=rows_sql,
                columns=rule.columns,
            )
        )
    judged.actual = (
        "; ".join(problem.headline for problem in judged.problems) or f"{values['rows']} row(s), none against it"
    )
    return judged


_RULES = ("not_null", "not_empty", "not_epoch", "not_default", "not_wrapped", "whole_cents", "ranges", "rules")


def _validate(place: str, options: Mapping[str, Any]) -> None:
    if not any(options[rule] for rule in _RULES):
        raise DeclarationError(place, f"expected at least {one_of(_RULES)}, found none")


KIND = Kind(
    needs=_needs,
    judge=_judge,
    validate=_validate,
    options={
        "not_null": Field(some_texts, []),
        "not_empty": Field(some_texts, []),
        "not_epoch": Field(some_texts, []),
        "not_default": Field(some_texts, []),
        "not_wrapped": Field(some_texts, []),
        "whole_cents": Field(some_texts, []),
        "ranges": Field(some_ranges, {}),
        "rules": Field(a_mapping, {}),
        **WHERE,
        **SHOW,
        **FINAL,
    },
    limits={"max_rows": Field(whole, Decimal(0))},
)
