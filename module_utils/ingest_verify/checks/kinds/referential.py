"""Referential: every value has a row in another table."""

from __future__ import annotations

from decimal import Decimal

from ...client import identifier
from ..fields import (
    Check,
    Field,
    a_reference,
    a_text,
    whole,
)
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
    both,
    count,
    require,
)


def _needs(check: Check, context: Context) -> list[Need]:
    table = context.table(check)
    require(table, [check.options["column"], *(check.options["show"] or [])])
    final = check.options["final"] and table.collapses
    where = check.options["where"]
    return [Need("rows", count(where), final), Need("orphans", count(where, _orphan(check, context)), final)]


def _orphan(check: Check, context: Context) -> str:
    database, name, column = check.options["references"]
    other = context.find(database or context.database, name, check)
    require(other, [column])
    # With FINAL: a row that was deleted since is not there to be named.
    known = f"SELECT {other.sql(column)} FROM {other.quoted}{' FINAL' if other.collapses else ''}"
    return f"{context.table(check).sql(check.options['column'])} NOT IN ({known})"


def _judge(check: Check, context: Context, values: Values) -> Judged:
    table = context.table(check)
    column = check.options["column"]
    _, other, other_column = check.options["references"]
    orphans, allowed = int(values["orphans"]), int(check.limits["max_rows"])
    expected = f"every {column} has a row in {other}.{other_column}"
    judged = Judged(expected, f"{orphans} of {values['rows']} row(s) have none", int(values["rows"]))
    if orphans > allowed:
        final = " FINAL" if check.options["final"] and table.collapses else ""
        orphan, sql = both(check.options["where"], _orphan(check, context)), table.sql(column)
        shown = "".join(
            f", groupArray(5)({table.sql(name)}) AS {identifier(f'{name}_of_rows')}"
            for name in dict.fromkeys(check.options["show"] or [])
            if name != column
        )
        missing = (
            f"SELECT {sql}, count() AS rows{shown} FROM {table.quoted}{final} WHERE {orphan} "
            f"GROUP BY {sql} ORDER BY rows DESC"
        )
        judged.problems.append(
            Problem(
                "data_missing_reference",
                f"{table.database}.{table.name}: {orphans} row(s) name a {column} that {other} does not have.",
                expected,
                judged.actual,
                f"Load the missing rows of {other}, then run the ingest again. All of them: {missing}",
                rows_sql=f"{missing} LIMIT {context.rows_shown}",
            )
        )
    return judged


def _others(check: Check, database: str) -> list[tuple[str, str]]:
    owner, table, _ = check.options["references"]
    return [(owner or database, table)]


KIND = Kind(
    needs=_needs,
    judge=_judge,
    others=_others,
    options={
        "column": Field(a_text, required=True),
        "references": Field(a_reference, required=True),
        **WHERE,
        **SHOW,
        **FINAL,
    },
    limits={"max_rows": Field(whole, Decimal(0))},
)
