"""Duplicates: one row per key."""

from __future__ import annotations

import re
from decimal import Decimal

from ...client import identifier
from ..fields import (
    Check,
    Field,
    a_share,
    some_texts,
    whole,
)
from ..session import Table
from .base import (
    SHOW,
    WHERE,
    Context,
    Judged,
    Kind,
    Need,
    Problem,
    Values,
    aggregate,
    count,
    require,
)


def _needs(check: Check, context: Context) -> list[Need]:
    table = context.table(check)
    where, key = check.options["where"], check.options["key"]
    require(table, [*key, *(check.options["show"] or [])])
    needs = [Need("raw", count(where))]
    if table.collapses:
        needs.append(Need("final", count(where), True))
    if not _sorted_by(table, key):
        # In a tuple: of its own, NULL would not be counted at all.
        keys = f"tuple({', '.join(map(table.sql, key))})"
        needs.append(Need("keys", aggregate("uniqExact", keys, where), table.collapses))
    return needs


def _sorted_by(table: Table, key: list[str]) -> bool:
    """Whether the engine itself keeps one row per key: then uniqExact, which holds every key in memory, is spared."""
    return bool(re.search(r"(Replacing|Summing|Aggregating)\w*MergeTree$", table.engine)) and set(key) == set(
        table.sorting_key
    )


def _judge(check: Check, context: Context, values: Values) -> Judged:
    table = context.table(check)
    key = ", ".join(map(table.sql, check.options["key"]))
    raw, final = int(values["raw"]), int(values.get("final", values["raw"]))
    keys = int(values.get("keys", final))
    doubled = final - keys
    share = (raw - final) / raw if raw else 0.0
    allowed, share_limit = int(check.limits["max_duplicates"]), check.limits["max_unmerged_share"]
    expected = f"at most {allowed} row(s) that repeat ({key})"
    if share_limit is not None:
        expected += f", at most {float(share_limit):.0%} waiting for a merge"
    actual = f"{raw} row(s)"
    if table.collapses:
        actual += f", {final} with FINAL ({raw - final} = {share:.1%} wait for a merge)"
    actual += f", {keys} different key(s), {doubled} repeated row(s)"
    judged = Judged(expected, actual, raw)
    final_word = " FINAL" if table.collapses else ""
    if doubled > allowed:
        where = check.options["where"]
        version = next((name for name in ("_ver", "_version", "version") if name in table.columns), None)
        extra = f", arraySort(groupArray(5)({version})) AS versions" if version else ""
        for name in dict.fromkeys(check.options["show"] or []):
            if name not in check.options["key"]:
                extra += f", groupArray(5)({table.sql(name)}) AS {identifier(f'{name}_of_copies')}"
        judged.problems.append(
            Problem(
                "data_duplicates",
                f"{table.database}.{table.name}: {doubled} row(s) repeat a key that should occur once ({key}).",
                expected,
                actual,
                (
                    f"Sort the table by ({key}) or let the ingest derive its deduplication key from ({key}) alone, "
                    "never from values that change"
                    if table.collapses
                    else f"{table.engine} keeps each row that is sent: look for a page, file or retry that was loaded "
                    "twice and for windows of runs that overlap; let the ingest replace what it loads again, or make "
                    f"the table a ReplacingMergeTree sorted by ({key})"
                )
                + f"; then remove the extra rows: SELECT {key}, count() "
                f"FROM {table.quoted}{final_word} GROUP BY {key} HAVING count() > 1",
                rows_sql=f"SELECT {key}, count() AS copies{extra} FROM {table.quoted}{final_word} "
                f"{f'WHERE {where} ' if where else ''}GROUP BY {key} HAVING copies > 1 ORDER BY copies DESC "
                f"LIMIT {context.rows_shown}",
            )
        )
    if share_limit is not None and share > share_limit:
        judged.problems.append(
            Problem(
                "data_unmerged",
                f"{table.database}.{table.name}: {share:.0%} of the rows wait for a merge; a reader without FINAL "
                "counts them twice.",
                expected,
                actual,
                f"Read with FINAL; if the share stays, see system.merges, or OPTIMIZE TABLE {table.quoted} FINAL.",
                severity="warning",
            )
        )
    return judged


KIND = Kind(
    needs=_needs,
    judge=_judge,
    options={"key": Field(some_texts, required=True), **WHERE, **SHOW},
    limits={"max_duplicates": Field(whole, Decimal(0)), "max_unmerged_share": Field(a_share)},
)
