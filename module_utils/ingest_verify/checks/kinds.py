"""The kinds of checks that are aggregates over one table: what each needs to be read, and what it makes of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..client import identifier, quote_string, quote_table
from ..rows import Account, Written
from .declarations import Check
from .run import Run, inserts_to_look_at
from .session import Catalog, ScanError, Session, Table

_UNSIGNED = re.compile(r"UInt(8|16|32|64|128|256)$")
_FLOAT = re.compile(r"B?Float(16|32|64)$")
# A binary float holds a sum of kopecks exactly up to far beyond this; a value farther off was rounded on its way.
_CENT_NOISE = "1e-6"
_HOUR = 3600
# Unix times by how many parts of a second they count.
_UNITS = {"milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
# A unit is taken for the one meant when it gives a time within ten years of now, in seconds.
_PLAUSIBLE = 10 * 365 * 86400
# https://clickhouse.com/docs/sql-reference/data-types/datetime: Unix time in 32 bits; larger input is cut to it.
_GREATEST_DATETIME = 2**32 - 1


@dataclass
class Context:
    """What a check may use besides its declaration."""

    session: Session
    catalog: Catalog
    run: Run
    written: Written
    database: str
    rows_shown: int = 5
    history: list[dict[str, Any]] = field(default_factory=list)
    accounts: dict[str, Account] = field(default_factory=dict)

    def account(self, check: Check) -> Account | None:
        """The rows' account of the check's table, where there is one."""
        return self.accounts.get(f"{check.database or self.database}.{check.table}")

    def table(self, check: Check) -> Table:
        """The check's table; raises ScanError with the server's own reason when it is absent or not visible."""
        assert check.table is not None  # noqa: S101 - required by the declaration of every kind that comes here
        return self.find(check.database or self.database, check.table, check)

    def find(self, database: str, name: str, check: Check) -> Table:
        table = self.catalog.get(database, name)
        if table is None:
            probe = f"SELECT 1 FROM {quote_table(database, name)} LIMIT 0"
            try:
                self.session.read(probe, check.seconds, check.name)
            except ScanError as error:
                raise ScanError(
                    str(error) + self.catalog.nearest(database, name), probe, error.code, error.cause
                ) from error
            raise ScanError(f"{database}.{name} is not in the catalog", probe, cause="data_missing_table")
        return table


@dataclass(frozen=True)
class Need:
    """One aggregate over a table, read with FINAL or without; `name` is unique within its check."""

    name: str
    sql: str
    final: bool = False


@dataclass
class Problem:
    """Something that a check found: the parts of a finding that the check knows."""

    cause: str
    headline: str
    expected: str
    actual: str
    next_step: str
    rows_sql: str | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    severity: str | None = None
    sql: str | None = None
    columns: tuple[str, ...] = ()


@dataclass
class Judged:
    """A check's outcome; `skipped` is the reason why it could not say anything."""

    expected: str
    actual: str
    rows: int | None = None
    problems: list[Problem] = field(default_factory=list)
    skipped: str | None = None
    reconciliation: dict[str, Any] | None = None


Values = Mapping[str, Any]
Needs = Callable[[Check, Context], list[Need]]
Judge = Callable[[Check, Context, Values], Judged]


def both(*conditions: str | None) -> str | None:
    """The conditions joined by AND, None when there is none."""
    present = [f"({condition})" for condition in conditions if condition]
    return " AND ".join(present) or None


def count(*conditions: str | None) -> str:
    """An aggregate that counts the rows for which all conditions hold."""
    condition = both(*conditions)
    return f"countIf({condition})" if condition else "count()"


def aggregate(function: str, argument: str, condition: str | None) -> str:
    return f"{function}If({argument}, {condition})" if condition else f"{function}({argument})"


def require(table: Table, columns: list[str]) -> None:
    """Raise ScanError for the first plain column name that the table does not have."""
    for name in table.missing(columns):
        raise ScanError(
            f"{table.database}.{table.name} has no column {name}{table.nearest(name)}", "", 47, "data_missing_column"
        )


def rows_query(check: Check, table: Table, condition: str, columns: list[str], *, final: bool, limit: int) -> str:
    """The offending rows: the table's key and the columns in question, unless the check says what to show."""
    show = check.options.get("show")
    shown = ", ".join(map(table.sql, show)) if show else table.shown(columns)
    where = both(check.options.get("where"), condition)
    return f"SELECT {shown} FROM {table.quoted}{' FINAL' if final else ''} WHERE {where} LIMIT {limit}"


def _nothing(check: Check, table: Table) -> tuple[str, str]:
    """What to say of a table without rows, or without any that count."""
    if where := check.options["where"]:
        return f"has no row for which {where}", f"0 rows for which {where}"
    return "is empty", "0 rows, the table is empty"


def _title(check: Check, table: Table) -> str:
    return f"{table.database}.{table.name}"


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

# volume -------------------------------------------------------------------------------------------------------------


def volume_needs(check: Check, context: Context) -> list[Need]:
    table = context.table(check)
    where, final = check.options["where"], check.options["final"] and table.collapses
    needs = [Need("rows", count(where), final)]
    mine = context.run.condition(check.options["this_run"], table.columns)
    if mine:
        require(table, [check.options["this_run"]["column"]])
        needs.append(Need("mine", count(where, mine), final))
    return needs


def volume(check: Check, context: Context, values: Values) -> Judged:
    table = context.table(check)
    rows, title = int(values["rows"]), _title(check, table)
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
    elif rows == 0 and low > 0:
        said, actual = _nothing(check, table)
        # What a condition leaves out may lie there all the same.
        wrote = None if check.options["where"] else context.written.of(table.database, table.name)
        judged.problems.append(
            Problem(
                "data_empty",
                f"{title} {said}: this run and every earlier one left none there.",
                expected,
                actual + (f"; this run wrote {wrote} row(s) into it{_put_together(check, context)}" if wrote else ""),
                _MOVED_ON + _record_hint(context)
                if wrote
                else f"See what the ingest fetched and wrote: its log, and {_record_hint(context)}",
            )
        )
    elif found < low and of_run and found == 0:
        judged.problems.append(
            Problem(
                "data_not_from_this_run",
                f"{title} holds {rows} row(s), none of them from this run.",
                f"{expected} ({context.run.describe()})",
                judged.actual,
                f"The run wrote nothing here; see the ingest's log, and {_record_hint(context)}",
                rows_sql=_newest_rows(check, table, context),
            )
        )
    elif found < low:
        judged.problems.append(
            Problem(
                "data_too_few",
                f"{title} holds {found} row(s){' of this run' if of_run else ''}, fewer than the {low} expected.",
                expected,
                judged.actual,
                f"Compare with what the source served: {_record_hint(context)}",
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


def rows_of_run(check: Check, context: Context, values: Values) -> tuple[int | None, str]:
    """Rows of this run and how they were told: by the declared column, else by what the server wrote."""
    this_run = check.options["this_run"]
    if "mine" in values:
        told = context.run.ver if this_run["equals"] == "ver" else context.run.loader_run_id
        return int(values["mine"]), f"by {this_run['column']} " + (
            "within the window" if this_run["within"] else f"= {told}"
        )
    assert check.table is not None  # noqa: S101 - required by the declaration
    rows = context.written.of(check.database or context.database, check.table)
    unknown = [f"{this_run['equals']} of this run is not known"] if this_run["column"] else []
    if rows is None:
        return None, "; ".join([*unknown, *context.written.notes])
    account = context.account(check)
    if account and account.written_rows:
        rows = account.written_rows  # Also what came with a partition or another table's name.
    gone = sum(entry["of_run"][0] for entry in account.lost()) if account else 0
    how = f"by query_log, {gone} taken since" if gone else "by query_log"
    return max(0, rows - gone), ", since ".join([how, *unknown])


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


def _record_hint(context: Context) -> str:
    return inserts_to_look_at(context.run, context.written, "type, written_rows, query, exception")


def _newest_rows(check: Check, table: Table, context: Context) -> str | None:
    """Rows that the run's column sorts last: what is there instead of this run's."""
    column = check.options["this_run"]["column"]
    if column not in table.columns:
        return None
    shown, newest = table.shown([column]), table.sql(column)
    return f"SELECT {shown} FROM {table.quoted} ORDER BY {newest} DESC LIMIT {context.rows_shown}"


# freshness ----------------------------------------------------------------------------------------------------------


def freshness_needs(check: Check, context: Context) -> list[Need]:
    table = context.table(check)
    column, where, zone = (check.options[key] for key in ("column", "where", "time_zone"))
    require(table, [column])
    column = table.sql(column)
    future = f"now() + INTERVAL {int(check.limits['max_future_minutes'] * 60)} SECOND"
    newest = aggregate("max", column, where)
    moment = _instant(newest, zone)
    needs = [
        Need("rows", count(where)),
        Need("newest", f"toString({newest})"),
        Need("age", f"dateDiff('second', {moment}, now())"),
        Need("future", count(where, f"{_instant(column, zone)} > {future}")),
        Need("server_zone", "any(timezone())"),
        Need("now", "any(toString(now('UTC')))"),
        Need("newest_utc", f"toString(toTimeZone({_as_time(moment)}, 'UTC'))"),
    ]
    if not zone and (unix := _unix(check.options["column"], table)):
        needs.append(Need("unix", f"toString({aggregate('max', unix, where)})"))
    mine = context.run.condition(check.options["this_run"], table.columns)
    if mine:
        require(table, [check.options["this_run"]["column"]])
        needs.append(Need("mine", count(where, mine)))
    return needs


def _unix(column: str, table: Table) -> str | None:
    """What a time column stores: seconds of a DateTime, ticks of a DateTime64, which as text end with the year 9999."""
    bare, sql = table.bare_type(column), f"assumeNotNull({table.sql(column)})"
    if bare.startswith("DateTime64"):
        return f"reinterpretAsInt64({sql})"
    return f"toInt64(toUnixTimestamp({sql}))" if bare.startswith("DateTime") else None


def _instant(expression: str, zone: str | None) -> str:
    """A time column that holds the wall clock of a zone which its type does not name, as an instant."""
    return f"parseDateTime64BestEffortOrNull(toString({expression}), 0, '{zone}')" if zone else expression


def _as_time(expression: str) -> str:
    return f"toDateTime64({expression}, 0)"


def freshness(check: Check, context: Context, values: Values) -> Judged:
    table = context.table(check)
    column, title = check.options["column"], f"{table.database}.{table.name}.{check.options['column']}"
    rows, future = int(values["rows"]), int(values["future"])
    warn, limit = check.limits["warn_age_minutes"], check.limits["error_age_minutes"]
    ages = [
        f"{text} above {_span(float(value) * 60)}" for text, value in (("error", limit), ("warning", warn)) if value
    ]
    ahead = _span(float(check.limits["max_future_minutes"]) * 60)
    expected = f"newest {column} not older than the limits ({', '.join(ages) or 'none given'}), none over {ahead} ahead"
    if rows == 0:
        judged = Judged(expected, "no rows: there is no newest value", 0)
        judged.problems.append(
            Problem(
                "data_empty",
                f"{table.database}.{table.name} {_nothing(check, table)[0]}, so it has no newest {column}.",
                expected,
                _nothing(check, table)[1],
                f"See what the ingest fetched and wrote: its log, and {_record_hint(context)}",
            )
        )
        return judged
    zone = check.options["time_zone"] or _zone_of(table.columns.get(column, "")) or f"{values['server_zone']} (server)"
    age = int(values["age"]) if values["age"] is not None else None
    newest = f"{values['newest']} {zone} ({values['newest_utc']} UTC)"
    clock = f"server clock {values['now']} UTC"
    judged = Judged(expected, f"newest {newest}, {_age(age)}, {clock}", rows)
    sql = table.sql(column)
    look = f"SELECT max({sql}), count() FROM {table.quoted}"
    # West of Greenwich the epoch shows as a time of 1969.
    if age is None or any(str(values[name]).startswith("1970-01-0") for name in ("newest", "newest_utc")):
        judged.problems.append(
            Problem(
                "data_epoch",
                f"{title}: all {rows} row(s) carry no time, or 1970-01-01 instead of one.",
                expected,
                judged.actual,
                f"A missing time was stored as the type's default; let the ingest refuse such rows. {look}",
                rows_sql=rows_query(check, table, "1", [column], final=False, limit=context.rows_shown),
            )
        )
    elif problem := _wrong_unit(check, table, values, judged):
        problem.rows_sql = rows_query(
            check,
            table,
            f"{sql} = (SELECT max({sql}) FROM {table.quoted})",
            [column],
            final=False,
            limit=context.rows_shown,
        )
        judged.problems.append(problem)
    elif future:
        judged.problems.append(
            Problem(
                "data_future",
                f"{title}: {future} row(s) lie in the future, the newest by {_span(-age)}.",
                expected,
                judged.actual,
                _zone_hint(-age) + f" {look}",
                rows_sql=rows_query(
                    check,
                    table,
                    f"{_instant(sql, check.options['time_zone'])} > now() + INTERVAL "
                    f"{int(check.limits['max_future_minutes'] * 60)} SECOND",
                    [column],
                    final=False,
                    limit=context.rows_shown,
                ),
            )
        )
    elif (limit and age > limit * 60) or (warn and age > warn * 60):
        error = bool(limit and age > limit * 60)
        judged.problems.append(
            Problem(
                "data_stale",
                f"{title}: the newest row is {_span(age)} old.",
                expected,
                judged.actual,
                (
                    _utc_as_local(values, age, zone)
                    or "See whether the source has newer rows, and what window the ingest asked for."
                )
                + f" {look}",
                severity=None if error else "warning",
                rows_sql=f"SELECT max({sql}) AS newest, count() AS rows FROM {table.quoted}",
            )
        )
    elif check.options["this_run"] is not None:
        found, how = rows_of_run(check, context, values)
        if found == 0:
            judged.problems.append(
                Problem(
                    "data_not_from_this_run",
                    f"{title} looks fresh, but no row is from this run: the newest was written by an earlier one.",
                    f"rows of this run ({context.run.describe()})",
                    f"{judged.actual}; 0 rows of this run ({how})",
                    f"This run wrote nothing here; see the ingest's log, and {_record_hint(context)}",
                    rows_sql=_newest_rows(check, table, context),
                )
            )
    return judged


def _wrong_unit(check: Check, table: Table, values: Values, judged: Judged) -> Problem | None:
    """Unix times that were sent in another unit than the column reads: milliseconds for seconds, or the other way."""
    column = check.options["column"]
    title, stored = f"{table.database}.{table.name}.{column}", values.get("unix")
    if stored is None:
        return None
    bare = table.bare_type(column)
    digits = int(match[1]) if (match := re.match(r"DateTime64\((\d)", bare)) else 0
    seconds = int(stored) / 10**digits
    now = datetime.fromisoformat(f"{values['now']}+00:00").timestamp()
    fix = "Send seconds"
    if bare.startswith("DateTime64"):
        unit = next((name for name, parts in _UNITS.items() if abs(seconds / parts - now) < _PLAUSIBLE), None)
        if unit:
            said = f"{unit} were sent where ClickHouse reads seconds."
            real = f"fromUnixTimestamp64Milli(intDiv({_unix(column, table)}, {10**digits * _UNITS[unit] // 1000}))"
            fix += f" (the number divided by {_UNITS[unit]})"
            mend = f"The true times of the rows that are there: SELECT {real} FROM {table.quoted}"
        elif digits and abs(seconds * 10**digits - now) < _PLAUSIBLE:
            said = f"seconds were sent where {bare} reads parts of 1/{10**digits} second."
            fix = f"Send the number multiplied by {10**digits}"
            mend = "Load the rows again."
        else:
            return None
    elif int(stored) == _GREATEST_DATETIME:
        said = "this is the greatest time that a DateTime holds; likely milliseconds were sent where it reads seconds."
        fix += " (the number divided by 1000)"
        mend = "The column kept nothing of what was sent: load the rows again."
    else:
        return None
    return Problem(
        "data_time_unit",
        f"{title} holds {values['newest']} at the latest, in {values['future'] or 'no'} row(s) of the future: {said}",
        judged.expected,
        judged.actual,
        f"{fix}, or text with its zone such as 2026-11-28T09:00:00Z (date_time_input_format = 'best_effort'). {mend}",
        columns=(column,),
    )


def _zone_of(column_type: str) -> str | None:
    match = re.search(r"DateTime(?:64)?\([^)]*'([^']+)'", column_type)
    return match[1] if match else None


def _zone_hint(ahead: float) -> str:
    hours = round(ahead / _HOUR)
    if 1 <= hours <= 14 and abs(ahead - hours * _HOUR) < _HOUR / 3:
        return (
            f"A shift of about {hours} hour(s) speaks for a time zone: compare the ingest's (TZ, REPORT_TZ or what its "
            "env file calls it) with the column's type and the server's time zone."
        )
    return "Compare the source's clock, the ingest's time zone and the column's type with the server's clock."


def _utc_as_local(values: Values, age: float, zone: str) -> str | None:
    """Said of a newest row that is as old as its zone is ahead of UTC: fresh, had its text been read as UTC."""
    try:
        wall, utc = (datetime.fromisoformat(str(values[name])[:19]) for name in ("newest", "newest_utc"))
    except ValueError:
        return None
    offset = (wall - utc).total_seconds()
    if offset < _HOUR / 2 or abs(age - offset) > _HOUR / 3:
        return None
    return (
        f"Its age is what {zone} is ahead of UTC, so it looks like UTC times sent as text without a zone and read as"
        f" {zone}: let the ingest send them with their zone (a Z at the end, date_time_input_format = 'best_effort') or"
        " as Unix time, or name the zone that they are in in the column's type. If not so: see whether the source has"
        " newer rows."
    )


def _span(seconds: float) -> str:
    seconds = abs(round(seconds))
    for size, unit in ((24 * _HOUR, "day(s)"), (_HOUR, "hour(s)"), (60, "minute(s)")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds} second(s)"


def _age(seconds: int | None) -> str:
    if seconds is None:
        return "no time"
    return f"{_span(seconds)} old" if seconds >= 0 else f"{_span(seconds)} ahead"


# duplicates ---------------------------------------------------------------------------------------------------------


def duplicates_needs(check: Check, context: Context) -> list[Need]:
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


def duplicates(check: Check, context: Context, values: Values) -> Judged:
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


# values -------------------------------------------------------------------------------------------------------------


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


def values_needs(check: Check, context: Context) -> list[Need]:
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


def values(check: Check, context: Context, values: Values) -> Judged:
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


# referential --------------------------------------------------------------------------------------------------------


def referential_needs(check: Check, context: Context) -> list[Need]:
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


def referential(check: Check, context: Context, values: Values) -> Judged:
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


AGGREGATED: dict[str, tuple[Needs, Judge]] = {
    "volume": (volume_needs, volume),
    "freshness": (freshness_needs, freshness),
    "duplicates": (duplicates_needs, duplicates),
    "values": (values_needs, values),
    "referential": (referential_needs, referential),
}
