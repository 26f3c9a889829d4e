"""Four-way reconciliation: what the source served, the loader claims, the server wrote and the table holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ..fields import (
    Check,
    DeclarationError,
    Field,
    a_flag,
    a_mapping,
    a_text,
    whole,
)
from ..plain import plain
from ..run import inserts_to_look_at
from ..session import Table
from .base import (
    THIS_RUN,
    Context,
    Judged,
    Kind,
    Need,
    Problem,
    Values,
    aggregate,
    count,
    decimal,
    number,
    require,
)

_INTEGER = re.compile(r"U?Int\d+$")
_WRAPS = (2**64, 2**32, 2**16, 2**8)


def _needs(check: Check, context: Context) -> list[Need]:
    table = context.table(check)
    mine = context.run.condition(check.options["this_run"], table.columns)
    if not mine:
        return [Need("rows", count())]
    require(table, [check.options["this_run"]["column"]])
    needs = [Need("raw", count(mine))]
    if reads_final(check, table):
        needs.append(Need("final", count(mine), True))
    if check.options["this_run"]["equals"] == "ver":
        needs.append(Need("newer", count(f"{table.sql(check.options['this_run']['column'])} > {context.run.ver}")))
    for name, column in check.options["sums"].items():
        require(table, [column])
        needs.append(Need(f"sum {name}", f"toString({exact_sum(table, column, mine)})", reads_final(check, table)))
    return needs


def reads_final(check: Check, table: Table) -> bool:
    """Whether the rows held are those that FINAL leaves: a retry that sent a block twice is then no difference."""
    wanted = check.options["final"]
    return table.collapses and (wanted is None or bool(wanted))


def exact_sum(table: Table, column: str, condition: str) -> str:
    """A sum without float noise: floats are money in hundredths here, and cast from their shortest text."""
    sql = table.sql(column)
    if re.match(r"B?Float", table.bare_type(column)):
        return aggregate("sum", f"toDecimal128(toString(round({sql}, 2)), 2)", condition)
    return aggregate("sum", sql, condition)


def _judge(check: Check, context: Context, values: Values) -> Judged:
    """Compare the sides that exist; the row for the report is in `Judged.reconciliation`."""
    table = context.table(check)
    run, entity, allowed = context.run, check.options["entity"], int(check.limits["max_difference"])
    held = values.get("final", values.get("raw"))
    dropped = _dropped(run.metric("entities", entity, "dropped")) if entity else None
    kept = number(run.metric("entities", entity, "kept")) if entity else None
    sides: dict[str, int | None] = {
        "served": number(run.metric("entities", entity, "fetched")) if entity else None,
        "kept": kept,
        "claimed": claimed_rows(context, table),
        "written": context.written.of(table.database, table.name),
        "held": None if held is None else int(held),
    }
    row: dict[str, Any] = {
        "entity": entity or table.name,
        "table": f"{table.database}.{table.name}",
        **sides,
        "dropped": dropped,
        "held_raw": int(values["raw"]) if "raw" in values else None,
        "counts_as_processed": check.options["counts_as_processed"],
    }
    missing = [name for name, value in sides.items() if value is None]
    notes = [f"{name} is not known" for name in missing] + context.written.notes
    problems = _differences(check, context, table, row, int(values.get("newer", 0)), notes)
    if not problems:
        problems = _sum_differences(check, context, table, values, allowed)
    known = [name for name, value in sides.items() if value is not None]
    compared = len(known) > 1
    row["notes"] = notes
    row["status"] = "differs" if problems else "agrees" if compared else "not compared"
    shown = ", ".join(f"{name} {'?' if value is None else value}" for name, value in sides.items())
    judged = Judged("served = kept + dropped, kept = claimed = written = held", shown, sides["held"], problems)
    judged.reconciliation = row
    if not problems and not (compared and {"held", "written"} & set(known)):
        judged.skipped = f"known of this run: {', '.join(known) or 'nothing'}; nothing to hold the rows written against"
    return judged


def claimed_rows(context: Context, table: Table) -> int | None:
    """What the loader's metrics say it wrote to the table."""
    written = context.run.metric("written")
    if not isinstance(written, dict):
        return None
    return number(written.get(table.name, written.get(f"{table.database}.{table.name}")))


def _differences(
    check: Check, context: Context, table: Table, row: dict[str, Any], newer: int, notes: list[str]
) -> list[Problem]:
    served, kept, claimed, written, held = (row[side] for side in ("served", "kept", "claimed", "written", "held"))
    dropped = sum(row["dropped"].values()) if row["dropped"] else 0
    allowed = int(check.limits["max_difference"])
    problems: list[Problem] = []

    def differs(left: int | None, right: int | None) -> bool:
        return left is not None and right is not None and abs(left - right) > allowed

    def report(headline: str, expected: str, actual: str, next_step: str, severity: str | None = None) -> None:
        rows_sql = None
        condition = context.run.condition(check.options["this_run"], table.columns)
        if condition:
            shown = table.shown([check.options["this_run"]["column"]])
            rows_sql = f"SELECT {shown} FROM {table.quoted} WHERE {condition} LIMIT {context.rows_shown}"
        problems.append(
            Problem(
                "data_count_mismatch",
                f"{row['table']}: {headline}",
                expected,
                actual,
                next_step,
                severity=severity,
                rows_sql=rows_sql,
            )
        )

    if kept is not None and differs(served, kept + dropped):
        report(
            f"{served - kept - dropped} of {served} {row['entity']} that the source served are unaccounted for.",
            f"{served} served = kept + dropped",
            f"{kept} kept + {dropped} dropped = {kept + dropped}",
            "The loader lost records between fetch and insert without a reason: see its log and metrics.",
        )
    truth = kept if check.options["one_row_each"] and kept is not None else claimed
    if check.options["one_row_each"] and differs(kept, claimed):
        report(
            f"{kept} {row['entity']} were kept, but the loader claims {claimed} rows.",
            f"{kept} rows, one for each that was kept",
            f"{claimed} rows claimed",
            "Compare the loader's metrics with its insert code: a batch was left out or sent twice.",
        )
    if differs(claimed, written):
        # Sent twice, but the engine keeps one row per key: the figures are right, the insert path is not.
        harmless = written > claimed and held is not None and not differs(claimed, held)
        report(
            f"the loader claims {claimed} rows, the server wrote {written}"
            + (" (more than once, FINAL holds each once)." if harmless else "."),
            f"{claimed} rows written by this run's inserts",
            f"{written} rows (query_log, found by {context.written.by}, rows pushed into views taken out)",
            "See the run's inserts: " + _inserts(context),
            "warning" if harmless else None,
        )
    reference, name = (truth, "the loader kept or claims") if truth is not None else (written, "the server wrote")
    if reference is not None and held is not None and differs(reference, held):
        if held < reference and newer:
            notes.append(f"{newer} row(s) of a later run are there, which replace this run's")
            report(
                f"{held} of {reference} rows of this run are left: a later run has replaced the others.",
                f"{reference} rows of this run",
                f"{held} held, {newer} row(s) of a later version",
                "Verify the later run instead; nothing has to be repaired.",
                "warning",
            )
        elif held < reference and truth is None and table.collapses:
            notes.append(f"{reference - held} row(s) written with a key that this run had written before")
        else:
            failed = context.written.failed.get(row["table"], 0)
            more = f"; {failed} row(s) came from inserts that failed half-way" if failed else ""
            report(
                f"{name} {reference} rows, the table holds {held} of this run.",
                f"{reference} rows of this run ({context.run.describe()})",
                f"{held} held{more}",
                "Fewer: look for a DELETE, a TTL or a filter on the way; more: for an insert that was sent twice. "
                + _inserts(context),
            )
    return problems


def _inserts(context: Context) -> str:
    return inserts_to_look_at(context.run, context.written, "event_time, type, tables, written_rows, exception")


def _sum_differences(check: Check, context: Context, table: Table, values: Values, allowed: int) -> list[Problem]:
    """Sums over this run's rows against the loader's own, exactly: counts agree here, so values were changed."""
    problems = []
    for name, column in check.options["sums"].items():
        claimed, held = decimal(context.run.metric("sums", name)), decimal(values.get(f"sum {name}"))
        if claimed is None or held is None or abs(claimed - held) <= allowed:
            continue
        rows = int(values.get("final", values.get("raw", 0)))
        cause, reason = _sum_cause(claimed - held, rows, table.bare_type(column))
        title = f"{table.database}.{table.name}.{column}"
        condition = context.run.condition(check.options["this_run"], table.columns)
        final = " FINAL" if reads_final(check, table) else ""
        rows_sql = (
            f"SELECT {table.shown([column])} FROM {table.quoted}{final} WHERE {condition} "
            f"ORDER BY {table.sql(column)} DESC LIMIT {context.rows_shown}"
        )
        problems.append(
            Problem(
                cause,
                f"{title}: the loader read {claimed} in all, the table holds {held} for the same rows.",
                f"sum of {column} over this run's rows = {claimed}",
                f"{held} (difference {held - claimed})",
                f"{reason} {rows_sql}",
                rows_sql=rows_sql,
            )
        )
    return problems


def _sum_cause(difference: Decimal, rows: int, column_type: str) -> tuple[str, str]:
    """Cause class of two sums that differ, and what to do; only an integer column's values can have wrapped."""
    for wrap in _WRAPS if _INTEGER.match(column_type) else ():
        if difference % wrap == 0:
            return (
                "data_wrapped_integer",
                f"The difference is a multiple of {wrap}: a value did not fit its column and wrapped; widen the type.",
            )
    if abs(difference) < max(rows, 1):
        return (
            "data_money_rounding",
            "Less than one unit per row: money was rounded; carry it as Decimal into a Decimal(18, 2) column.",
        )
    return (
        "data_sum_mismatch",
        "Values were changed between the source and the table; compare single rows with the source.",
    )


def _dropped(told: Any) -> dict[str, int] | None:
    """Records dropped by reason; a loader that counts them without reasons gives a plain number."""
    reasons = told if isinstance(told, dict) else {"without a reason": told}
    counts = {str(reason): count for reason, value in reasons.items() if (count := number(value)) is not None}
    return counts if counts or isinstance(told, dict) else None


def _validate(place: str, options: Mapping[str, Any]) -> None:
    if not options["entity"] and (options["one_row_each"] or options["sums"]):
        raise DeclarationError(
            f"{place}.entity", "expected the entity in the loader's metrics that the table is compared with"
        )


def _collect(check: Check, context: Context, values: Values, judged: Judged) -> None:
    if judged.reconciliation:
        context.reconciled.append(judged.reconciliation)
        for name, value in values.items():
            if name.startswith("sum "):
                context.figures[f"{check.table}.{name.removeprefix('sum ')}"] = plain(value)


KIND = Kind(
    needs=_needs,
    judge=_judge,
    validate=_validate,
    collect=_collect,
    accounted=True,
    options={
        "entity": Field(a_text),
        "one_row_each": Field(a_flag, False),
        "sums": Field(a_mapping, {}),
        "counts_as_processed": Field(a_flag, False),
        "final": Field(a_flag),
        **THIS_RUN,
    },
    limits={"max_difference": Field(whole, Decimal(0))},
)
