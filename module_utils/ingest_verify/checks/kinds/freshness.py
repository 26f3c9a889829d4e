"""Freshness: how old the newest row is, and whether its time can be."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal

from ..fields import (
    Check,
    Field,
    a_text,
    a_time_zone,
    not_negative,
    positive,
)
from ..session import Table
from .base import (
    HOUR,
    THIS_RUN,
    WHERE,
    Context,
    Judged,
    Kind,
    Need,
    Problem,
    Values,
    aggregate,
    count,
    newest_rows,
    nothing,
    record_hint,
    require,
    rows_of_run,
    rows_query,
)

# Unix times by how many parts of a second they count.
_UNITS = {"milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
# A unit is taken for the one meant when it gives a time within ten years of now, in seconds.
_PLAUSIBLE = 10 * 365 * 86400
# https://clickhouse.com/docs/sql-reference/data-types/datetime: Unix time in 32 bits; larger input is cut to it.
_GREATEST_DATETIME = 2**32 - 1


def _needs(check: Check, context: Context) -> list[Need]:
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


def _judge(check: Check, context: Context, values: Values) -> Judged:
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
                f"{table.database}.{table.name} {nothing(check, table)[0]}, so it has no newest {column}.",
                expected,
                nothing(check, table)[1],
                f"See what the ingest fetched and wrote: its log, and {record_hint(context)}",
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
                    f"This run wrote nothing here; see the ingest's log, and {record_hint(context)}",
                    rows_sql=newest_rows(check, table, context),
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
    hours = round(ahead / HOUR)
    if 1 <= hours <= 14 and abs(ahead - hours * HOUR) < HOUR / 3:
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
    if offset < HOUR / 2 or abs(age - offset) > HOUR / 3:
        return None
    return (
        f"Its age is what {zone} is ahead of UTC, so it looks like UTC times sent as text without a zone and read as"
        f" {zone}: let the ingest send them with their zone (a Z at the end, date_time_input_format = 'best_effort') or"
        " as Unix time, or name the zone that they are in in the column's type. If not so: see whether the source has"
        " newer rows."
    )


def _span(seconds: float) -> str:
    seconds = abs(round(seconds))
    for size, unit in ((24 * HOUR, "day(s)"), (HOUR, "hour(s)"), (60, "minute(s)")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds} second(s)"


def _age(seconds: int | None) -> str:
    if seconds is None:
        return "no time"
    return f"{_span(seconds)} old" if seconds >= 0 else f"{_span(seconds)} ahead"


KIND = Kind(
    needs=_needs,
    judge=_judge,
    options={"column": Field(a_text, required=True), "time_zone": Field(a_time_zone), **WHERE, **THIS_RUN},
    limits={
        "warn_age_minutes": Field(positive),
        "error_age_minutes": Field(positive),
        "max_future_minutes": Field(not_negative, Decimal(5)),
    },
)
