"""The run record: exactly one row for this run, ok, finished, with the right count; no run left open."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ...client import identifier, quote_string
from ...rows.log import sends_by_name
from ...sql_text import statement_target
from ..fields import (
    Check,
    Field,
    record_columns,
    some_texts,
    whole,
)
from ..session import ScanError, Table
from .base import (
    Context,
    Judged,
    Kind,
    Problem,
    Values,
    number,
    require,
)

_COLUMNS = ("run_id", "job", "started_at", "finished_at", "status", "rows_processed", "metrics", "message")
_SHOWN = ("run_id", "job", "started_at", "finished_at", "status", "rows_processed")
_RECORDS = 100


def columns_of(check: Check, table: Table) -> dict[str, str]:
    """The record's columns by their meaning: the declared ones, else those of the contract that the table has."""
    declared = check.options["columns"]
    require(table, list(declared.values()))
    return {name: declared.get(name, name) for name in _COLUMNS if declared.get(name, name) in table.columns}


def read_records(check: Check, context: Context) -> list[dict[str, Any]]:
    """This run's records, those within its window and those left open, newest first.

    Each row has the contract's names (as far as the table has them) and the flags `mine`, `in_window`, `unfinished`,
    `overwritten` (raw rows behind a collapsing engine's FINAL). Raises ScanError.
    """
    table = context.table(check)
    names = columns_of(check, table)
    for wanted in ("started_at", "status"):
        if wanted not in names:
            raise ScanError(
                f"{table.database}.{table.name} has no column {wanted}{table.nearest(wanted)}: name it under columns",
                "",
                cause="data_missing_column",
            )
    run = context.run
    names = {name: identifier(column) for name, column in names.items()}
    started, finished = names["started_at"], names.get("finished_at")
    in_window = run.window_sql(started)
    own = "0"
    if finished and run.looked_back:
        in_window = f"({in_window} OR {run.window_sql(finished)})"
    if run.job and "job" in names:
        in_window = f"({in_window} AND {names['job']} = {quote_string(run.job)})"
    if run.loader_run_id and "run_id" in names:
        own = f"toString({names['run_id']}) = {quote_string(run.loader_run_id)}"
    closed = ", ".join(quote_string(status) for status in (*check.options["closed"], *check.options["ok"]))
    unfinished = f"ifNull(toString({names['status']}), '') NOT IN ({closed})"
    if finished:
        # A loader that never sets it leaves the type's default, 1970-01-01.
        unfinished = f"({unfinished} OR isNull({finished}) OR toYear({finished}) <= 1970)"
    text = [f"{_shown(name, column)} AS _{name}" for name, column in names.items() if name != "rows_processed"]
    if "rows_processed" in names:
        text.append(f"{names['rows_processed']} AS _rows_processed")
    if finished:
        text.append(f"dateDiff('second', {started}, {finished}) AS _seconds")
        # In whole seconds a run that ended well just before the window can seem to have started in it.
        text.append(f"(toYear({finished}) > 1970 AND {finished} <= {run.bounds()[0]}) AS _ended_before")
    final = " FINAL" if table.collapses else ""
    rows = context.session.read(
        f"SELECT {', '.join(text)}, {own} AS _mine, {in_window} AS _in_window, {unfinished} AS _unfinished "
        f"FROM {table.quoted}{final} WHERE _mine OR _in_window OR _unfinished "
        f"ORDER BY _mine DESC, _in_window DESC, {started} DESC LIMIT {_RECORDS}",
        check.seconds,
        check.name,
    )
    records = [{key.removeprefix("_"): value for key, value in row.items()} for row in rows]
    _tell_by_window(records, check, context, table)
    return records


def _shown(name: str, column: str) -> str:
    """A column's value as text; times of every column in the one zone of the report."""
    if name in ("started_at", "finished_at"):
        return f"concat(toString(toTimeZone(toDateTime64({column}, 0), 'UTC')), ' UTC')"
    return f"toString({column})"


def _tell_by_window(records: list[dict[str, Any]], check: Check, context: Context, table: Table) -> None:
    """Mark this run's records where none carries its id: the newest of its job in the window.

    Not where the loader was seen to write the column of ids: then its own record would carry this run's.
    """
    run = context.run
    here = [row for row in records if row["in_window"]]
    if not here or any(row["mine"] for row in records):
        return
    column = columns_of(check, table).get("run_id")
    if run.loader_run_id and column:
        inserts = _inserts_into(table, check, context)
        if any(_writes(column, *insert) for insert in inserts):
            return
        if not inserts:
            # The log may have lost the INSERT. What had ended before the window is another run's all the same.
            here = [row for row in here if not row.get("ended_before")]
        run.notes.append(f"the loader does not write {table.name}.{column}: its record is told by job and window")
    for row in here:
        row["mine"] = row.get("run_id") == here[0].get("run_id")


def _inserts_into(table: Table, check: Check, context: Context) -> list[tuple[str, tuple[str, ...] | None]]:
    """INSERTs of the window into the table, each with its column list; none where the log does not tell."""
    run = context.run
    try:
        rows = context.session.read(
            "SELECT DISTINCT substring(query, 1, 2000) AS statement, current_database FROM system.query_log "
            f"WHERE {run.log_days()} AND {run.window_sql('event_time_microseconds', 'DateTime64(6)')} "
            "AND type = 'QueryFinish' AND query_kind = 'Insert'",
            check.seconds,
            check.name,
        )
    except ScanError:
        return []
    targets = [(row["statement"], statement_target(row["statement"], row["current_database"])) for row in rows]
    return [(sql, to.columns) for sql, to in targets if (to.database, to.table) == (table.database, table.name)]


def _writes(column: str, statement: str, columns: tuple[str, ...] | None) -> bool:
    return column in columns if columns is not None else not sends_by_name(statement, columns)


def adopt(records: list[dict[str, Any]], context: Context) -> None:
    """Fill what the run lacks (its id, its metrics) from its newest record."""
    run = context.run
    mine = [row for row in records if row["mine"]]
    if not mine:
        return
    if run.loader_run_id is None and mine[0].get("run_id"):
        run.loader_run_id = mine[0]["run_id"]
        run.notes.append(f"the run's id was taken from its record: {run.loader_run_id}")
    if run.looked_back and run.start is not None:
        run.start = min(
            run.start, datetime.fromisoformat(mine[0]["started_at"].removesuffix(" UTC")).replace(tzinfo=UTC)
        )
    if run.metrics is None:
        run.take_metrics(mine[0].get("metrics"))


def _judge(check: Check, context: Context, records: list[dict[str, Any]], totals: dict[str, int | None]) -> Judged:
    """`totals` are the sums over the reconciled tables that count as processed: claimed, written, held."""
    table = context.table(check)
    title = f"{table.database}.{table.name}"
    ok = check.options["ok"]
    minimum = int(check.limits["min_rows_processed"])
    mine = [row for row in records if row["mine"]]
    expected = (
        f"one row for this run ({context.run.describe()}), {' or '.join(ok)}, finished after its start, "
        f"at least {minimum} row(s)"
    )
    judged = Judged(expected, f"{len(mine)} row(s)" + "".join(f"; {_line(row)}" for row in mine[:3]), len(mine))
    names = columns_of(check, table)
    look = f"SELECT * FROM {table.quoted} ORDER BY {identifier(names['started_at'])} DESC LIMIT 5"

    def report(
        cause: str,
        headline: str,
        wanted: str,
        actual: str,
        next_step: str,
        rows: list[dict[str, Any]],
        severity: str | None = None,
    ) -> None:
        shown = [{key: row[key] for key in _SHOWN if key in row} for row in rows[: context.rows_shown]]
        judged.problems.append(
            Problem(cause, f"{title}: {headline}", wanted, actual, next_step, rows=shown, severity=severity)
        )

    if not mine:
        report(
            "data_run_record",
            "no row for this run: it ended before it recorded itself, or recorded itself elsewhere.",
            expected,
            f"0 rows for this run, {sum(row['in_window'] for row in records)} of its job in the window",
            f"See the ingest's log and exit code. {look}",
            records,
        )
        return judged
    if len(mine) > 1:
        report(
            "data_run_record",
            f"{len(mine)} rows for one run ({', '.join(str(row['status']) for row in mine)}): a retry wrote over "
            "an earlier outcome.",
            "exactly one row",
            judged.actual,
            f"Each attempt needs an id of its own. {look}",
            mine,
        )
    record = next((row for row in mine if row["status"] in ok), mine[0])
    if record["status"] not in ok:
        message = f" ({record['message']})" if record.get("message") else ""
        report(
            "data_run_record",
            f"this run is recorded as {record['status']!r}{message}.",
            f"status {' or '.join(ok)}",
            f"status {record['status']}",
            "See the ingest's log for the cause it names.",
            [record],
        )
    if record["unfinished"] and record["status"] in ok:
        report(
            "data_run_record",
            f"this run is recorded as {record['status']!r} without a time at which it finished.",
            "finished_at set, not before started_at",
            f"finished_at {record.get('finished_at')}",
            "The record was written before the work was done: let the ingest write it last.",
            [record],
        )
    elif record.get("seconds") is not None and record["seconds"] < 0 and not record["unfinished"]:
        report(
            "data_run_record",
            f"this run finished {-record['seconds']} second(s) before it started.",
            "finished_at not before started_at",
            f"started {record['started_at']}, finished {record['finished_at']}",
            "The two times come from different clocks or time zones: let the ingest take both from one.",
            [record],
        )
    if not record["in_window"] and not context.run.looked_back and context.run.loader_run_id:
        report(
            "data_run_record",
            f"this run's record says it started at {record['started_at']}, outside the run's window.",
            context.run.describe(),
            f"started {record['started_at']}",
            "Compare the ingest's clock and time zone with the server's.",
            [record],
            "warning",
        )
    processed = number(record.get("rows_processed"))
    if processed is not None and record["status"] in ok:
        if processed < minimum:
            report(
                "data_run_record",
                f"this run is recorded as {record['status']!r} with {processed} rows processed.",
                f"at least {minimum} row(s) processed",
                f"rows_processed {processed}",
                "See what the ingest asked the source for, and what it got: its log and metrics.",
                [record],
            )
        sides = {
            "the loader's metrics say": totals["claimed"],
            "the server wrote": totals["written"],
            "the tables hold": totals["held"],
        }
        wrong = {name: value for name, value in sides.items() if value is not None and value != processed}
        # The tables may hold fewer than were written (keys put together), which reconciliation judges by table.
        if wrong and not (
            set(wrong) == {"the tables hold"} and totals["held"] is not None and totals["held"] < processed
        ):
            agreed = ", ".join(f"{name} {value}" for name, value in sides.items() if value is not None)
            report(
                "data_count_mismatch",
                f"rows_processed is {processed}, but {', '.join(f'{name} {value}' for name, value in wrong.items())}.",
                f"rows_processed {processed} everywhere",
                agreed,
                "Let the ingest count the rows that the server acknowledged.",
                [record],
                "warning" if set(wrong) == {"the server wrote"} and totals["held"] == processed else None,
            )
    others = [row for row in records if row["in_window"] and not row["mine"]]
    retries = [row for row in others if row["status"] not in ok or not row.get("ended_before")]
    if retries:
        report(
            "data_run_record",
            f"{len(retries)} other run(s) of this job are recorded in the window "
            f"({', '.join(sorted({str(row['status']) for row in retries}))}).",
            "one run of the job in the window",
            f"{len(retries) + len(mine)} runs",
            "Look whether a failed run was hidden by a retry, or two runs wrote at once.",
            [*retries, *mine],
            "warning",
        )
    left_open = [row for row in records if row["unfinished"] and not row["mine"] and not row["in_window"]]
    if left_open:
        report(
            "data_run_record",
            f"{len(left_open)} earlier run(s) were left open.",
            "no run without an end",
            f"{len(left_open)} row(s)" + (", or more" if len(records) >= _RECORDS else ""),
            "They were killed or never closed their record; mark them as failed once it is known that none still runs.",
            left_open,
            "warning",
        )
    _mutations(check, context, table, judged)
    return judged


def _mutations(check: Check, context: Context, table: Table, judged: Judged) -> None:
    """A record that was rewritten in place during the run: an outcome may have been written over."""
    run = context.run
    try:
        rows = context.session.read(
            "SELECT toString(create_time) AS created, command FROM system.mutations "
            f"WHERE database = {quote_string(table.database)} AND table = {quote_string(table.name)} "
            f"AND {run.window_sql('create_time')} LIMIT {context.rows_shown}",
            check.seconds,
            check.name,
        )
    except ScanError as error:
        if error.cause == "data_check_no_access":
            return  # Without the right to see mutations the record itself is still judged.
        raise
    if rows:
        judged.problems.append(
            Problem(
                "data_run_record",
                f"{table.database}.{table.name}: records were changed in place during the run.",
                "records are only added",
                f"{len(rows)} mutation(s)",
                "See whether a failed outcome was written over; let each attempt add its own row.",
                rows=rows,
                severity="warning",
            )
        )


def _line(row: dict[str, Any]) -> str:
    return ", ".join(
        f"{key}={row[key]}"
        for key in ("status", "rows_processed", "started_at", "finished_at")
        if row.get(key) is not None
    )


def _judge_record(check: Check, context: Context, values: Values) -> Judged:
    found = context.records[check.name]
    if isinstance(found, ScanError):
        raise found
    return _judge(check, context, found, _totals(context))


def _read(check: Check, context: Context) -> None:
    try:
        context.records[check.name] = found = read_records(check, context)
    except ScanError as error:
        context.records[check.name] = error
    else:
        adopt(found, context)


def _totals(context: Context) -> dict[str, int | None]:
    """Sums over the tables that count as processed; None for a side that one of them does not have."""
    rows = [row for row in context.reconciled if row["counts_as_processed"]]
    totals: dict[str, int | None] = {}
    for side in ("claimed", "written", "held"):
        known = [row[side] for row in rows if row[side] is not None]
        totals[side] = sum(known) if rows and len(known) == len(rows) else None
    return totals


KIND = Kind(
    judge=_judge_record,
    read=_read,
    turn=1,
    options={
        "columns": Field(record_columns, {}),
        "ok": Field(some_texts, ["ok"]),
        "closed": Field(some_texts, ["ok", "failed"]),
    },
    limits={"min_rows_processed": Field(whole, Decimal(1))},
)
