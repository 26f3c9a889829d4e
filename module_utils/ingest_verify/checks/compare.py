"""Checks with queries of their own: an aggregate against its source, a user's SQL, the catalog, and the trend."""

from __future__ import annotations

import re
import statistics
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from ..client import identifier, quote_string
from .declarations import Check
from .kinds import Context, Judged, Need, Problem, Values, both, count, require
from .reconcile import decimal
from .session import ScanError, Table

# Less than this per group is what rounding leaves; a lost or doubled ticket costs more.
_ROUNDING = 1
_DIFFERENCES = {
    "_missing": "not in the table",
    "_extra": "not in the source",
    "_repeated": "more than once in the table",
    "_other": "with other values",
}


def existence(check: Check, context: Context) -> Judged:
    table = context.table(check)
    wanted: dict[str, str | None] = check.options["columns"]
    problems = []
    for name, expected_type in wanted.items():
        actual = table.columns.get(name)
        expected = f"column {name}" + (f" {expected_type}" if expected_type else "")
        if actual is None:
            problems.append(
                Problem(
                    "data_missing_column",
                    f"{table.database}.{table.name} has no column {name}{table.nearest(name)}.",
                    expected,
                    f"columns {', '.join(table.columns)}",
                    f"ALTER TABLE {table.quoted} ADD COLUMN {name} {expected_type or '<type>'}",
                )
            )
        elif expected_type and not _same(actual, expected_type, check, context):
            problems.append(
                Problem(
                    "data_column_type",
                    f"{table.database}.{table.name}.{name} is {actual}, not {expected_type}.",
                    expected,
                    actual,
                    f"ALTER TABLE {table.quoted} MODIFY COLUMN {name} {expected_type}",
                )
            )
    return Judged(
        "the table" + (f" with {', '.join(wanted)}" if wanted else ""),
        f"{table.engine}, {len(table.columns)} column(s)",
        problems=problems,
    )


def _same(actual: str, declared: str, check: Check, context: Context) -> bool:
    """Whether two spellings name one type; the server knows its aliases, such as Decimal64(2) or text."""
    if actual.replace(" ", "") == declared.replace(" ", ""):
        return True
    spelled = f"SELECT toTypeName(defaultValueOfTypeName({quote_string(declared)})) AS type"
    try:
        return bool(context.session.read(spelled, check.seconds, check.name)[0]["type"] == actual)
    except ScanError:
        return False


def consistency(check: Check, context: Context) -> Judged:
    """An aggregate table against the aggregation of its source, group by group, both read with FINAL."""
    table = context.table(check)
    options = check.options
    source = context.find(options["source"][0] or context.database, options["source"][1], check)
    keys, measures = list(options["key"]), list(options["values"])
    require(table, [*keys, *measures])
    touched, note = _touched(check, context, source)
    compared = _compared(check, source, table, touched)
    found = context.session.read(
        f"SELECT count() AS groups, {', '.join(f'countIf({flag}) AS {flag}_' for flag in (*_DIFFERENCES, '_rounded'))} "
        f"FROM ({compared})",
        check.seconds,
        check.name,
    )[0]
    wrong = sum(int(found[f"{flag}_"]) for flag in _DIFFERENCES)
    expected = f"{', '.join(measures)} per {', '.join(keys)} as aggregated from {source.name}"
    scope = f"{found['groups']} group(s) compared" + (f", {note}" if note else "")
    judged = Judged(expected, f"{scope}, {wrong} differ", int(found["groups"]))
    if wrong <= int(check.limits["max_rows"]):
        return judged
    reasons = ", ".join(f"{found[f'{flag}_']} {text}" for flag, text in _DIFFERENCES.items() if found[f"{flag}_"])
    only_rounding = found["_rounded_"] == wrong
    shown = [f"_k{i} AS {identifier(name)}" for i, name in enumerate(keys)]
    for i, name in enumerate(measures):
        shown += [
            f"_{side}{i} AS {identifier(f'{name}_{word}')}" for side, word in (("s", "expected"), ("t", "actual"))
        ]
    rows_sql = (
        f"SELECT {', '.join(shown)}, _in_table AS rows_in_table FROM ({compared}) "
        f"WHERE {' OR '.join(_DIFFERENCES)} ORDER BY {_numbered('_k', keys)}"
    )
    judged.problems.append(
        Problem(
            "data_money_rounding" if only_rounding else "data_aggregate_mismatch",
            f"{table.database}.{table.name}: {wrong} of {found['groups']} group(s) disagree with {source.name} "
            f"({reasons}).",
            expected,
            f"{scope}: {reasons}",
            (
                "Money was rounded on its way: carry it as Decimal and sum before any cast."
                if only_rounding
                else f"Rebuild these groups from all rows of {source.name} FINAL, not from those that one run fetched."
            ),
            rows_sql=f"{rows_sql} LIMIT {context.rows_shown}",
            sql=rows_sql,
        )
    )
    return judged


def _numbered(prefix: str, names: list[str]) -> str:
    return ", ".join(f"{prefix}{i}" for i in range(len(names)))


def _touched(check: Check, context: Context, source: Table) -> tuple[str | None, str]:
    """A subquery of the values of `touched_key` that this run's rows have, and a word on the comparison's scope."""
    name = check.options["touched_key"]
    if not name:
        return None, ""
    mine = context.run.condition(check.options["this_run"], source.columns)
    if not mine:
        return None, "all of them, since this run's rows cannot be told"
    expression = source.sql(check.options["key"][name])
    return f"SELECT {expression} FROM {source.quoted} WHERE {mine}", f"those whose {name} this run touched"


def _compared(check: Check, source: Table, table: Table, touched: str | None) -> str:
    """One row per group: `_k` keys, `_s` values of the source, `_t` values of the table, flags of `_DIFFERENCES`.

    UNION ALL and GROUP BY instead of a full join: a join would leave out groups whose key holds NULL.
    """
    options = check.options
    keys, measures = list(options["key"]), list(options["values"])
    sides = (
        (source, options["key"], options["values"], options["source_where"], f" GROUP BY {_numbered('_k', keys)}"),
        (table, {name: name for name in keys}, {name: name for name in measures}, options["where"], ""),
    )
    parts = []
    for side, (read, key_sql, value_sql, where, group) in enumerate(sides):
        columns = [f"{read.sql(key_sql[name])} AS _k{i}" for i, name in enumerate(keys)]
        columns += [f"{_exact(check, name, read.sql(value_sql[name]))} AS _v{i}" for i, name in enumerate(measures)]
        condition = both(where, f"{read.sql(key_sql[options['touched_key']])} IN ({touched})" if touched else None)
        parts.append(
            f"SELECT {', '.join(columns)}, {side} AS _side FROM {read.quoted}{' FINAL' if read.collapses else ''}"
            f"{f' WHERE {condition}' if condition else ''}{group}"
        )
    picked = [f"anyIf(_v{i}, _side = {side}) AS _{'st'[side]}{i}" for i in range(len(measures)) for side in (0, 1)]
    zero = options["absent_as_zero"]
    differs = [
        _differ(i, zero=zero, noise=None if name in options["money"] else _noise(table.bare_type(name)))
        for i, name in enumerate(measures)
    ]
    # A difference below one unit in money alone, everything else being equal, is rounding.
    money = [i for i, name in enumerate(measures) if name in options["money"]]
    rounded = [f"abs(ifNull(_s{i} - _t{i}, {_ROUNDING})) < {_ROUNDING}" for i in money]
    rounded += [f"NOT ({differ})" for i, differ in enumerate(differs) if i not in money]
    absent = "_differ" if zero else "1"
    return (
        f"SELECT *, {' OR '.join(differs)} AS _differ, "
        f"_in_source AND NOT _in_table AND {absent} AS _missing, "
        f"NOT _in_source AND _in_table = 1 AND {absent} AS _extra, "
        "_in_table > 1 AS _repeated, _in_source AND _in_table = 1 AND _differ AS _other, "
        f"_other AND {' AND '.join(rounded) if money else '0'} AS _rounded FROM ("
        f"SELECT {_numbered('_k', keys)}, {', '.join(picked)}, countIf(_side = 0) AS _in_source, "
        f"countIf(_side = 1) AS _in_table FROM ({' UNION ALL '.join(parts)}) GROUP BY {_numbered('_k', keys)})"
    )


def _noise(column_type: str) -> str | None:
    """The share by which two sums of one set of floats may differ, since their order is not fixed; None if exact."""
    bits = re.match(r"B?Float(\d+)$", column_type)
    return None if not bits else "1e-12" if bits[1] == "64" else "1e-6"


def _differ(i: int, *, zero: bool, noise: str | None) -> str:
    source, table = (f"ifNull(_{side}{i}, 0)" if zero else f"_{side}{i}" for side in "st")
    # NOT, because every comparison with NaN is false.
    near = f"NOT (abs({source} - {table}) <= {noise} * (abs({source}) + abs({table})))"
    unequal = near if noise else f"{source} != {table}"
    return f"({unequal})" if zero else f"(isNull(_s{i}) != isNull(_t{i}) OR ifNull({unequal}, 0))"


def _exact(check: Check, name: str, sql: str) -> str:
    """Money that may be a float is compared at its scale; the text between is what keeps the cast from truncating."""
    if name not in check.options["money"]:
        return sql
    scale = int(check.options["scale"])
    return f"toDecimal128(toString(round({sql}, {scale})), {scale})"


def user_sql(check: Check, context: Context) -> Judged:
    """A query that must return no rows."""
    query = check.options["query"].strip().rstrip(";").strip()
    allowed = int(check.limits["max_rows"])
    limit = allowed + context.rows_shown
    rows = context.session.read(f"SELECT * FROM (\n{query}\n) LIMIT {limit + 1}", check.seconds, check.name)
    expected = "no rows" if not allowed else f"at most {allowed} row(s)"
    many = "more than " if len(rows) > limit else ""
    judged = Judged(expected, f"{many}{min(len(rows), limit)} row(s)", len(rows))
    if len(rows) > allowed:
        judged.problems.append(
            Problem(
                "data_rule_broken",
                f"{check.name}: the query returned {judged.actual}.",
                expected,
                judged.actual,
                "Correct these rows where they come from and load them again. If they are right, correct the check's "
                f"query, or allow so many rows (limits.max_rows). All of them: {query}",
                rows=rows[: context.rows_shown],
                sql=query,
            )
        )
    return judged


def trend_needs(check: Check, context: Context) -> list[Need]:
    table = context.table(check)
    mine = context.run.condition(check.options["this_run"], table.columns)
    return [Need("rows", count())] + ([Need("mine", count(mine))] if mine else [])


def trend(check: Check, context: Context, values: Values, figures: dict[str, Any], now: datetime) -> Judged:
    """This run's figure against the median of earlier days of the same weekday; a day counts by its last run."""
    table = context.table(check)
    figure = f"{table.name}.{check.options['figure']}"
    current = figures.get(figure)
    factor, wanted = float(check.limits["max_factor"]), int(check.limits["min_runs"])
    weekday = now.strftime("%A")
    days = {_day(entry.get("at")): entry["figures"].get(figure) for entry in context.history if entry.get("ok")}
    told = [value for day, value in days.items() if day and day < now.date() and day.strftime("%A") == weekday]
    past = [float(number) for value in told if (number := decimal(value)) is not None]
    expected = f"{figure} within a factor of {factor:g} of the median of earlier {weekday}s"
    if current is None:
        return Judged(
            expected,
            f"no figure {figure}",
            skipped=f"this run has no figure {figure}; there are {', '.join(sorted(figures))}",
        )
    if len(past) < wanted:
        return Judged(
            expected, f"{current}", skipped=f"{len(past)} earlier {weekday}(s) in the history, {wanted} are needed"
        )
    median = statistics.median(past)
    judged = Judged(f"{expected}, which is {median:g} over {len(past)} day(s)", f"{current}")
    value = float(Decimal(str(current)))
    if value > median * factor or value * factor < median:
        judged.problems.append(
            Problem(
                "data_trend",
                f"{figure} is {current}, the median of {len(past)} earlier {weekday}(s) is {median:g}.",
                judged.expected,
                f"{current}",
                "See whether the source had such a day; if so, nothing has to be done.",
                severity="warning",
            )
        )
    return judged


def _day(at: Any) -> date | None:
    try:
        return datetime.fromisoformat(str(at)).date()
    except ValueError:
        return None
