"""Volume: how many rows the table holds, or this run wrote."""

from __future__ import annotations

from decimal import Decimal

from ..fields import (
    Check,
    Field,
    whole,
)
from .base import (
    FINAL,
    THIS_RUN,
    WHERE,
    Context,
    Judged,
    Kind,
    Need,
    Problem,
    Values,
    count,
    figures_of,
    newest_rows,
    nothing,
    record_hint,
    require,
    rows_of_run,
)

# A table that a run fills and empties again is a staging table.
_MOVED_ON = (
    "If the ingest moves the rows on (EXCHANGE TABLES, RENAME, REPLACE PARTITION, TRUNCATE afterwards), check the table"
    " that holds them then, and name that one as the ingest's target. Else look for a DELETE or a TTL, and see its"
    " log and "
)

# What to do against each way of losing rows, by what took them.
AGAINST = {
    "ttl": "Load rows of that age into a table without this TTL, or lengthen it (ALTER TABLE ... MODIFY TTL).",
    "mutation": "Stop the mutation's author from deleting these rows, then load them again.",
    "delete": "Stop the statement's author from deleting these rows, then load them again.",
    "dropped": "Let the statement run before the load, not after it, then load the rows again.",
    "gone": "Find who detached or dropped the parts, then load the rows again.",
    "queue": "Mend what keeps the queue, then see that it empties: SYSTEM FLUSH DISTRIBUTED, or SYSTEM FLUSH ASYNC "
    "INSERT QUEUE.",
    "consumer": "Mend what keeps the consumer, then see system.kafka_consumers.",
    "buffer": "Let the Buffer write: OPTIMIZE TABLE on it. A server that is killed loses what stands in it.",
}

_OWN = (
    "The run itself took them. If it moves its rows on, name the table that holds them then as the ingest's target, and"
    " check that one."
)


def _needs(check: Check, context: Context) -> list[Need]:
    table = context.table(check)
    where, final = check.options["where"], check.options["final"] and table.collapses
    needs = [Need("rows", count(where), final)]
    mine = context.run.condition(check.options["this_run"], table.columns)
    if mine:
        require(table, [check.options["this_run"]["column"]])
        needs.append(Need("mine", count(where, mine), final))
    return needs


def _judge(check: Check, context: Context, values: Values) -> Judged:
    table = context.table(check)
    rows, title = int(values["rows"]), f"{table.database}.{table.name}"
    low, high = int(check.limits["min_rows"]), check.limits["max_rows"]
    of_run = check.options["this_run"] is not None
    expected = f"at least {low} row(s)" + (f", at most {int(high)}" if high is not None else "")
    if not of_run:
        judged = Judged(expected, f"{rows} row(s)", rows)
        found = rows
    else:
        found_or_none, how = rows_of_run(check, context, values)
        expected += " of this run"
        if found_or_none is None:
            judged = Judged(expected, f"{rows} row(s), those of this run cannot be told", rows)
            if not check.options["this_run"]["column"]:
                judged.skipped = how
                return judged
            judged.problems.append(
                Problem(
                    "data_run_unknown",
                    f"{title}: which rows are of this run cannot be told.",
                    expected,
                    f"{rows} row(s) in all; {how}",
                    "Let the ingest record its version in the metrics of its run record, or declare this_run with a "
                    "time column.",
                )
            )
            return judged
        found = found_or_none
        judged = Judged(expected, f"{found} row(s) of this run ({how}), {rows} in all", found)
    told = None
    if of_run and found < low:
        told = (None if found else _elsewhere(check, context, judged)) or _taken(check, context, judged)
    if told:
        judged.problems.append(told)
    elif rows == 0 and low > 0 and not (table.engine == "Null" and found):
        said, actual = nothing(check, table)
        # What a condition leaves out may lie there all the same.
        wrote = None if check.options["where"] else context.written.of(table.database, table.name)
        judged.problems.append(
            Problem(
                "data_empty",
                f"{title} {said}: this run and every earlier one left none there.",
                expected,
                actual + (f"; this run wrote {wrote} row(s) into it{_put_together(check, context)}" if wrote else ""),
                _MOVED_ON + record_hint(context)
                if wrote
                else f"See what the ingest fetched and wrote: its log, and {record_hint(context)}",
            )
        )
    elif found < low and of_run and found == 0:
        judged.problems.append(
            Problem(
                "data_not_from_this_run",
                f"{title} holds {rows} row(s), none of them from this run.",
                f"{expected} ({context.run.describe()})",
                judged.actual,
                f"The run wrote nothing here; see the ingest's log, and {record_hint(context)}",
                rows_sql=newest_rows(check, table, context),
            )
        )
    elif found < low:
        judged.problems.append(
            Problem(
                "data_too_few",
                f"{title} holds {found} row(s){' of this run' if of_run else ''}, fewer than the {low} expected.",
                expected,
                judged.actual,
                f"Compare with what the source served: {record_hint(context)}",
            )
        )
    elif high is not None and found > high:
        judged.problems.append(
            Problem(
                "data_too_many",
                f"{title} holds {found} row(s){' of this run' if of_run else ''}, more than the {int(high)} expected.",
                expected,
                judged.actual,
                "Look for a window that is too wide, a filter that the source ignored, or rows sent twice.",
            )
        )
    return judged


def _elsewhere(check: Check, context: Context, judged: Judged) -> Problem | None:
    """The run wrote a table of this name in another database: its connection names none, or another one."""
    here = f"{check.database or context.database}.{check.table}"
    others = {
        name: rows
        for name, rows in context.written.rows.items()
        if rows and name != here and name.partition(".")[2] == check.table
    }
    if not others or context.written.rows.get(here):
        return None
    said = " and ".join(f"{rows} row(s) into {name}" for name, rows in others.items())
    return Problem(
        "data_other_database",
        f"{here}: this run wrote nothing here. It wrote {said}.",
        judged.expected,
        judged.actual,
        f"Name the database {here.partition('.')[0]} in the loader's connection (its DSN, database or schema setting),"
        " or name the table that it is meant to write as the ingest's target.",
    )


def _put_together(check: Check, context: Context) -> str:
    account = context.account(check)
    merged = [entry for entry in account.taken if entry["by"] in ("insert", "merge")] if account else []
    return "".join(f", {entry['rows']} went {entry['reason']}" for entry in merged)


def _taken(check: Check, context: Context, judged: Judged) -> Problem | None:
    """The run did write, and something took its rows: what, by the rows' account."""
    account = context.account(check)
    if account is None or not (entries := account.lost() + account.stuck()):
        return None
    gone = sum(entry["of_run"][0] for entry in entries)
    by = "; ".join((f"{entry['of_run'][0]} by " if entry["rows"] else "") + entry["reason"] for entry in entries)
    said = f"this run wrote {account.written_rows} row(s), and {gone} of them are gone" if gone else "rows are held up"
    return Problem(
        "data_rows_taken",
        f"{account.target}: {said}: {by}.",
        judged.expected,
        f"{account.written_rows} written, {gone} taken, {account.held} row(s) in the table now",
        " ".join(dict.fromkeys(_OWN if entry["own"] else AGAINST[entry["by"]] for entry in entries)),
    )


def _collect(check: Check, context: Context, values: Values, judged: Judged) -> None:
    figures_of(check, context, values)


KIND = Kind(
    needs=_needs,
    judge=_judge,
    collect=_collect,
    accounted=True,
    options={**WHERE, **THIS_RUN, **FINAL},
    limits={"min_rows": Field(whole, Decimal(1)), "max_rows": Field(whole)},
)
