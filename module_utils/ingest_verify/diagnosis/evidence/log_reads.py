"""What the server's own tables say about a window of time. Every statement sent to a system table stands here.

Times go in and come out as text in UTC, `YYYY-MM-DD hh:mm:ss.ffffff`, by the server's clock. Column sets differ by
version (24.8 to 26.x): `system.columns` is asked first, and a column that is not there reads as the default named
below. Facts measured on 24.8.4, 26.7.3 and 26.9.2:

* key of each log table is (event_date, event_time): a condition on event_date is what prunes, and event_date is a date
  in the *server's* time zone.
* `query_log.tables` is empty for statements that fail before they start; INSERT texts are logged without their data.
* A login that is refused, an unknown setting and an unknown session database leave no row in query_log, only in
  `text_log`, `session_log` and `system.errors` (which tells 192 unknown user, 193 wrong password and 195 address not
  allowed apart, where the client sees 516 for all three).
* `SYSTEM FLUSH LOGS <table>` is a syntax error on 24.8. `errors.query_id` and `query_log.missing_privileges` are newer.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ...client import ServerError, quote_identifier, quote_string

Query = Callable[[str], list[dict[str, Any]]]
"""Runs one complete statement and returns its rows by column name; raises ServerError."""

OWN_CLIENT_NAME = "clickhouse-ingest-verify"

# Columns read from each log table, with what stands in for one that a version does not have.
LOG_COLUMNS: dict[str, dict[str, str]] = {
    "query_log": {
        "hostname": "''",
        "type": "'QueryFinish'",
        "event_time_microseconds": "toDateTime64(event_time, 6)",
        "query_start_time_microseconds": "toDateTime64(query_start_time, 6)",
        "query_duration_ms": "0",
        "query_id": "''",
        "initial_query_id": "''",
        "is_initial_query": "1",
        "user": "''",
        "initial_user": "''",
        "address": "toIPv6('::')",
        "client_name": "''",
        "client_hostname": "''",
        "http_user_agent": "''",
        "log_comment": "''",
        "current_database": "''",
        "query_kind": "''",
        "normalized_query_hash": "cityHash64(query)",
        "query": "''",
        "tables": "CAST([] AS Array(String))",
        "views": "CAST([] AS Array(String))",
        "written_rows": "0",
        "exception_code": "0",
        "exception": "''",
        "missing_privileges": "CAST([] AS Array(String))",
        "Settings": "CAST(map() AS Map(String, String))",
        "memory_usage": "0",
    },
    "query_views_log": {
        "hostname": "''",
        "event_time_microseconds": "toDateTime64(event_time, 6)",
        "initial_query_id": "''",
        "view_name": "''",
        "view_target": "''",
        "view_query": "''",
        "status": "'QueryFinish'",
        "exception_code": "0",
        "exception": "''",
        "written_rows": "0",
    },
    "asynchronous_insert_log": {
        "hostname": "''",
        "event_time_microseconds": "toDateTime64(event_time, 6)",
        "query": "''",
        "database": "''",
        "table": "''",
        "format": "''",
        "query_id": "''",
        "bytes": "0",
        "rows": "0",
        "exception": "''",
        "status": "'Ok'",
        "flush_query_id": "''",
    },
    "text_log": {
        "hostname": "''",
        "event_time_microseconds": "toDateTime64(event_time, 6)",
        "level": "'Error'",
        "query_id": "''",
        "logger_name": "''",
        "message": "''",
    },
    "session_log": {
        "hostname": "''",
        "event_time_microseconds": "toDateTime64(event_time, 6)",
        "type": "'LoginSuccess'",
        "user": "''",
        "client_address": "toIPv6('::')",
        "interface": "''",
        "client_name": "''",
        "failure_reason": "''",
    },
    "part_log": {
        "hostname": "''",
        "event_time_microseconds": "toDateTime64(event_time, 6)",
        "event_type": "'NewPart'",
        "database": "''",
        "table": "''",
        "part_name": "''",
        "query_id": "''",
        "rows": "0",
        "error": "0",
        "exception": "''",
    },
}

# An INSERT is logged without its data, so a longer text is a list of literals that nobody reads in a terminal.
_SHOWN_QUERY = 20_000
_MAX_GROUPS = 2_000
_MAX_NOISE = 50
# A statement that the ingest left behind is logged when the server notices, a moment after the window's end.
_GRACE_SECONDS = 10
LOOK_BACK_MINUTES = 10

_TIME_FORMAT = "%Y-%m-%d %H:%M:%S.%f"


class EvidenceError(Exception):
    """The question itself cannot be answered (reversed window, unknown cluster); the text says what to give instead."""


@dataclass(frozen=True)
class Window:
    """From and to by the server's clock, as UTC text, and the server's dates around them."""

    since: str
    until: str
    first_date: str
    last_date: str

    def condition(self, *, only_started_inside: bool = False) -> str:
        """The WHERE condition on a log table: date first, since that is what its key prunes by."""
        grace = format_time(parse_time(self.until) + timedelta(seconds=_GRACE_SECONDS))
        condition = (
            f"event_date >= toDate({quote_string(self.first_date)}) AND event_date <= "
            f"toDate({quote_string(self.last_date)})"
            f" AND event_time >= toDateTime({quote_string(self.since[:19])}, 'UTC')"
            f" AND event_time <= toDateTime({quote_string(grace[:19])}, 'UTC')"
            f" AND event_time_microseconds >= {_instant(self.since)}"
        )
        if only_started_inside:
            condition += (
                f" AND query_start_time_microseconds >= {_instant(self.since)}"
                f" AND query_start_time_microseconds <= {_instant(self.until)}"
            )
        return condition

    @property
    def seconds(self) -> float:
        return (parse_time(self.until) - parse_time(self.since)).total_seconds()


@dataclass(frozen=True)
class Program:
    """Who sent a statement, as far as the server knows."""

    user: str
    client_name: str
    http_user_agent: str
    client_hostname: str
    address: str

    @property
    def label(self) -> str:
        name = self.http_user_agent or self.client_name or "no name given"
        host = f" on {self.client_hostname}" if self.client_hostname else ""
        return f"user {self.user!r}, program {name!r}{host}, from {self.address}"


@dataclass
class StatementGroup:
    """Statements of one program with the same shape and the same outcome.

    `outcome` is `finished`, `refused` (before it started) or `failed` (while it ran); `code` is 0 when finished.
    """

    program: Program
    in_run: bool
    outcome: str
    code: int
    count: int
    first: str
    last: str
    query: str
    exception: str
    query_id: str
    query_ids: list[str]
    current_database: str
    kind: str
    hash: str
    tables: list[str]
    views: list[str]
    missing_privileges: list[str]
    written_rows: int
    hosts: list[str]
    is_initial: bool
    initial_query_ids: list[str] = field(default_factory=list)
    log_table: str = "system.query_log"


def parse_time(text: str) -> datetime:
    """A UTC time text as a naive datetime; raises EvidenceError with the accepted form."""
    value = text.strip().replace("T", " ").removesuffix("Z")
    for form in (_TIME_FORMAT, "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"):
        try:
            return datetime.strptime(value, form)
        except ValueError:
            continue
    raise EvidenceError(
        f"{text!r} is not a time: expected UTC by the server's clock, such as 2026-11-23 04:00:00 or 2026-11-23 "
        "04:00:00.000000."
    )


def format_time(value: datetime) -> str:
    return value.strftime(_TIME_FORMAT)


def _instant(text: str) -> str:
    return f"toDateTime64({quote_string(text)}, 6, 'UTC')"


def _utc(expression: str) -> str:
    return f"toString(toTimeZone({expression}, 'UTC'))"


class Evidence:
    """Reads the server's log tables through `query`. `cluster` reads every replica of that cluster.

    `missing` collects what could not be read, table by table, in words for the report.
    """

    def __init__(self, query: Query, cluster: str | None = None) -> None:
        self.query = query
        self.cluster = cluster
        self.missing: dict[str, str] = {}
        self.no_access: set[str] = set()
        self._tables: dict[str, dict[str, set[str]]] = {}

    # Where to read -----------------------------------------------------------------------------------------------

    def check_cluster(self) -> str | None:
        """None when every host of the cluster answers, else a sentence that names how many do not.

        Raises EvidenceError when the server knows no such cluster.
        """
        if not self.cluster:
            return None
        rows = self.query(
            "SELECT cluster, host_name AS host, port, errors_count FROM system.clusters"
            f" WHERE cluster = {quote_string(self.cluster)} ORDER BY host, port"
        )
        if not rows:
            known = [
                row["cluster"] for row in self.query("SELECT DISTINCT cluster FROM system.clusters ORDER BY cluster")
            ]
            raise EvidenceError(
                f"The server knows no cluster {self.cluster!r}: expected one of "
                f"{', '.join(known) or 'none configured'}. "
                "Leave `cluster` out for a single server."
            )
        name = quote_string(self.cluster)
        answered = self.query(
            f"SELECT toInt64(count()) AS hosts FROM clusterAllReplicas({name}, system.one) SETTINGS "
            "skip_unavailable_shards = 1"
        )[0]["hosts"]
        if answered >= len(rows):
            return None
        silent = []
        for row in rows:
            where = f"{row['host']}:{row['port']}"
            try:
                self.query(f"SELECT 1 FROM remote({quote_string(where)}, system.one)")
            except ServerError:
                silent.append(where)
        named = f" ({', '.join(silent)})" if silent and len(silent) == len(rows) - answered else ""
        hosts = f"{answered} of {len(rows)} hosts of cluster {self.cluster!r}"
        return f"{hosts} answer{named}: what the others logged is unknown"

    def tables(self, name: str) -> dict[str, set[str]]:
        """The log table and its rotated forms (`query_log_0`, left behind by an upgrade): columns of each."""
        if name not in self._tables:
            rows = self.query(
                "SELECT table, groupArray(name) AS columns FROM system.columns WHERE database = 'system'"
                f" AND match(table, {quote_string('^' + name + '(_[0-9]+)?$')}) GROUP BY table ORDER BY table"
            )
            self._tables[name] = {row["table"]: set(row["columns"]) for row in rows}
            if name not in self._tables[name]:
                self._explain_missing(name)
        return self._tables[name]

    def _explain_missing(self, name: str) -> None:
        try:
            self.query(f"SELECT 1 FROM system.{name} WHERE 0")
        except ServerError as error:
            if error.code == 497:
                self.no_access.add(name)
                self.missing[name] = (
                    f"no right to read system.{name}: GRANT SELECT ON system.{name} TO the reading user"
                )
            else:
                self.missing[name] = f"system.{name} does not exist: <{name}> is not configured on this server"

    def source(self, name: str, condition: str) -> str | None:
        """A subquery over the log table and its rotated forms with all of LOG_COLUMNS; None when there is none."""
        tables = self.tables(name)
        if not tables:
            return None
        parts = []
        for table, present in tables.items():
            columns = ", ".join(
                column if column in present else f"{default} AS {column}"
                for column, default in LOG_COLUMNS[name].items()
            )
            name_of = quote_string(f"system.{table}")
            parts.append(f"SELECT {columns}, {name_of} AS log_table FROM {self._origin(table)} WHERE {condition}")
        return "(" + " UNION ALL ".join(parts) + ")"

    def _origin(self, table: str) -> str:
        name = f"system.{quote_identifier(table)}"
        return f"clusterAllReplicas({quote_string(self.cluster)}, {name})" if self.cluster else name

    # Clock and window --------------------------------------------------------------------------------------------

    def clock(self) -> dict[str, Any]:
        """The server's time (UTC text), time zone, version and uptime in seconds."""
        return self.query(
            "SELECT toString(now64(6, 'UTC')) AS at, serverTimezone() AS timezone, version() AS version,"
            " toInt64(uptime()) AS uptime_seconds"
        )[0]

    def hosts(self) -> list[str]:
        """Names of the hosts that answer."""
        origin = f"clusterAllReplicas({quote_string(self.cluster)}, system.one)" if self.cluster else "system.one"
        rows = self.query(
            f"SELECT DISTINCT hostName() AS host FROM {origin} ORDER BY host SETTINGS skip_unavailable_shards = 1"
        )
        return [row["host"] for row in rows]

    def window(self, since: str | None, until: str | None, minutes: float) -> Window:
        """The window asked for; without `since` the last `minutes`.

        Raises EvidenceError when it cannot hold anything.
        """
        now = parse_time(self.clock()["at"])
        end = parse_time(until) if until else now
        begin = parse_time(since) if since else end - timedelta(minutes=minutes)
        if begin >= end:
            raise EvidenceError(
                f"The window is reversed or empty: since {format_time(begin)} is not before until {format_time(end)} "
                "(UTC)."
            )
        if begin > now + timedelta(seconds=1):
            raise EvidenceError(
                f"The window lies in the future: it begins at {format_time(begin)}, the server's clock says "
                f"{format_time(now)} (UTC)."
            )
        return self._window(begin, end)

    def _window(self, begin: datetime, end: datetime) -> Window:
        since, until = format_time(begin), format_time(end)
        grace = format_time(end + timedelta(seconds=_GRACE_SECONDS))
        dates = self.query(
            f"SELECT toString(toDate({_instant(since)}, serverTimezone())) AS first,"
            f" toString(toDate({_instant(grace)}, serverTimezone())) AS last"
        )[0]
        return Window(since, until, dates["first"], dates["last"])

    def before(self, window: Window) -> Window:
        """The minutes before the window, where a program that merely shares the user may have been active."""
        begin = parse_time(window.since)
        return self._window(begin - timedelta(minutes=LOOK_BACK_MINUTES), begin - timedelta(seconds=_GRACE_SECONDS + 1))

    # Proof that the channel carries ------------------------------------------------------------------------------

    def flush(self) -> str | None:
        """Ask for a flush of the log tables; returns why it was not possible, else None."""
        try:
            self.query("SYSTEM FLUSH LOGS")
        except ServerError as error:
            if error.code == 497:
                return (
                    "no right to flush (GRANT SYSTEM FLUSH LOGS ON *.* TO the reading user);"
                    " waited for the server's own interval"
                )
            return f"SYSTEM FLUSH LOGS failed with code {error.code}: {error.message}"
        return None

    def wait_for(self, query_id: str, seconds: float) -> bool:
        """Wait, at most `seconds`, until the statement with this id is in query_log."""
        deadline = time.monotonic() + seconds
        pause = 0.05
        while True:
            self._tables.pop("query_log", None)
            if "query_log" in self.tables("query_log"):
                self.missing.pop("query_log", None)
                found = self.query(
                    "SELECT count() AS n FROM system.query_log WHERE event_date >= today() - 1"
                    f" AND event_time >= now() - 3600 AND query_id = {quote_string(query_id)}"
                )[0]["n"]
                if int(found):
                    return True
            elif "query_log" in self.no_access:
                return False
            if time.monotonic() >= deadline:
                return False
            time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(pause * 2, 1.0)

    def prove(self, execute_marker: Callable[[str], None], seconds: float) -> str | None:
        """Send a marker statement, flush, and wait for it. None when it was found, else the reason in a sentence."""
        query_id = f"{OWN_CLIENT_NAME}-{uuid.uuid4()}"
        execute_marker(query_id)
        refused = self.flush()
        if self.wait_for(query_id, seconds):
            return None
        reason = (
            self.missing.get("query_log")
            or f"the marker statement did not appear in system.query_log within {seconds:g} s"
        )
        return f"{reason}; {refused}" if refused else reason

    # Settings that hide evidence ---------------------------------------------------------------------------------

    def user_settings(self, user: str) -> dict[str, str] | None:
        """Settings of a user from its profiles, in the order in which they apply; None when not readable."""
        try:
            rows = self.query(
                "SELECT ifNull(profile_name, '') AS profile, ifNull(user_name, '') AS user, ifNull(setting_name, '') "
                "AS setting,"
                " ifNull(value, '') AS value, ifNull(inherit_profile, '') AS inherits FROM "
                "system.settings_profile_elements"
                " ORDER BY profile, user, index"
            )
        except ServerError:
            return None
        return resolve_settings(rows, user)

    def users(self) -> list[str] | None:
        """Names of the server's users, None when this reader may not see them."""
        try:
            return [row["name"] for row in self.query("SELECT name FROM system.users ORDER BY name")]
        except ServerError:
            return None

    # The log tables ----------------------------------------------------------------------------------------------
    # Conditions stand in the innermost SELECT: there they prune, and no alias of the outer one can shadow a column.

    def statements(
        self,
        window: Window,
        filters: Mapping[str, Sequence[str]],
        run_mark: Sequence[str],
        *,
        only_started_inside: bool,
    ) -> tuple[list[StatementGroup], int]:
        """Statements of the window that pass `filters` (or carry `run_mark` in log_comment), grouped by program, shape
        and outcome; refused and failed ones first. Second value: number of groups there are in all."""
        mark = _mark(run_mark)
        source = self.source(
            "query_log",
            f"{window.condition(only_started_inside=only_started_inside)} AND type != 'QueryStart'"
            f" AND NOT {_OWN} AND ({_filter(filters)} OR {mark})",
        )
        rows = self._read(
            source,
            f"""
            SELECT user, client_name, http_user_agent, client_hostname, toString(address) AS client_address,
                {mark} AS in_run, toInt8(type) AS outcome, exception_code AS code, is_initial_query AS is_initial,
                query_kind AS kind, toString(normalized_query_hash) AS hash, current_database,
                any(log_table) AS from_table, {_COUNT_FIRST_LAST},
                argMax(substring(query, 1, {_SHOWN_QUERY}), event_time_microseconds) AS text,
                argMax(exception, event_time_microseconds) AS last_exception,
                argMax(query_id, event_time_microseconds) AS last_id,
                groupArray(100)(query_id) AS ids, groupUniqArray(100)(initial_query_id) AS initial_ids,
                groupUniqArrayArray(20)(tables) AS all_tables, groupUniqArrayArray(20)(views) AS all_views,
                groupUniqArrayArray(20)(missing_privileges) AS privileges,
                toInt64(sum(written_rows)) AS written, groupUniqArray(20)(hostname) AS hosts,
                toInt64(count() OVER ()) AS groups
            FROM {source}
            GROUP BY user, client_name, http_user_agent, client_hostname, client_address, in_run, outcome, code,
                is_initial, kind, hash, current_database
            ORDER BY outcome >= 3 DESC, first_at, last_at
            LIMIT {_MAX_GROUPS}""",
        )
        return [_statement_group(row) for row in rows], (rows[0]["groups"] if rows else 0)

    def unfinished(
        self, window: Window, filters: Mapping[str, Sequence[str]], run_mark: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Statements that started in the window and of whose end nothing is logged, 100 at most."""
        mark = _mark(run_mark)
        source = self.source(
            "query_log",
            f"{window.condition(only_started_inside=True)} AND NOT {_OWN} AND ({_filter(filters)} OR {mark})",
        )
        rows = self._read(
            source,
            f"""
            SELECT query_id, {_ANY_PROGRAM}, max({mark}) AS in_run, any(current_database) AS session_database,
                any(substring(query, 1, {_SHOWN_QUERY})) AS text, {_COUNT_FIRST_LAST}
            FROM {source}
            GROUP BY query_id
            HAVING max(toInt8(type)) = 1
            ORDER BY first_at
            LIMIT 100""",
        )
        running = {row["query_id"] for row in self._optional("processes", "SELECT query_id FROM system.processes")}
        return [row for row in rows if row["query_id"] not in running]

    def noise(
        self, window: Window, filters: Mapping[str, Sequence[str]], run_mark: Sequence[str]
    ) -> tuple[list[dict[str, Any]], int]:
        """Failing statements of others, by user, program and code with one example; second value: how many in all."""
        if not filters:
            return [], 0
        rows = self._failures(f"{window.condition()} AND NOT ({_filter(filters)}) AND NOT {_mark(run_mark)}")
        return rows, (rows[0]["total"] if rows else 0)

    def earlier_failures(self, window: Window, filters: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
        """Failing statements that pass `filters` in the minutes before the window, by program and code."""
        return self._failures(f"{self.before(window).condition()} AND ({_filter(filters)})")

    def _failures(self, condition: str) -> list[dict[str, Any]]:
        source = self.source("query_log", f"{condition} AND toInt8(type) >= 3 AND is_initial_query AND NOT {_OWN}")
        return self._read(
            source,
            f"""
            SELECT user, if(http_user_agent != '', http_user_agent, client_name) AS program, exception_code AS code,
                errorCodeToName(exception_code) AS code_name, {_COUNT_FIRST_LAST},
                argMax(substring(query, 1, 200), event_time_microseconds) AS example,
                toInt64(sum(count()) OVER ()) AS total
            FROM {source}
            GROUP BY user, program, code
            ORDER BY amount DESC, first_at
            LIMIT {_MAX_NOISE}""",
        )

    def active_before(self, window: Window, filters: Mapping[str, Sequence[str]]) -> set[Program]:
        """Programs that pass `filters` and sent statements in the minutes before the window."""
        source = self.source("query_log", f"{self.before(window).condition()} AND NOT {_OWN} AND ({_filter(filters)})")
        rows = self._read(
            source,
            f"""
            SELECT user, client_name, http_user_agent, client_hostname, toString(address) AS client_address
            FROM {source}
            GROUP BY user, client_name, http_user_agent, client_hostname, client_address
            LIMIT 1000""",
        )
        return {_program(row) for row in rows}

    def run_settings(self, window: Window, users: Sequence[str]) -> list[dict[str, str]]:
        """Values of the settings that hide evidence, as the users' own statements in the window carried them."""
        if not users:
            return []
        names = _list(HIDING_SETTINGS)
        source = self.source("query_log", f"{window.condition()} AND user IN ({_list(users)}) AND NOT {_OWN}")
        return self._read(
            source,
            f"""
            SELECT user, pair.1 AS name, pair.2 AS value
            FROM (
                SELECT user, arrayJoin(arrayFilter(
                    item -> item.1 IN ({names}), arrayZip(mapKeys(Settings), mapValues(Settings)))) AS pair
                FROM {source})
            GROUP BY user, name, value
            ORDER BY user, name, value
            LIMIT 100""",
        )

    def view_failures(self, window: Window, query_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Views that failed while an INSERT of these ids pushed to them."""
        source = self.source(
            "query_views_log",
            f"{window.condition()} AND exception_code != 0 AND initial_query_id IN ({_list(query_ids)})",
        )
        return self._read(
            source if query_ids else None,
            f"""
            SELECT view_name, any(view_target) AS target, any(view_query) AS text, exception_code AS code,
                any(exception) AS last_exception, groupUniqArray(100)(initial_query_id) AS query_ids
            FROM {source}
            GROUP BY view_name, code
            ORDER BY view_name
            LIMIT 100""",
        )

    def async_failures(self, window: Window) -> list[dict[str, Any]]:
        """Asynchronous inserts of the window that were accepted and failed later, by table and text."""
        source = self.source("asynchronous_insert_log", f"{window.condition()} AND status != 'Ok'")
        return self._read(
            source,
            f"""
            SELECT database, table, toString(status) AS outcome, exception, {_COUNT_FIRST_LAST},
                toInt64(sum(rows)) AS all_rows, any(query) AS text, any(log_table) AS from_table,
                groupUniqArray(1000)(query_id) AS query_ids
            FROM {source}
            GROUP BY database, table, outcome, exception
            ORDER BY first_at
            LIMIT 100""",
        )

    def owners(self, window: Window, query_ids: Sequence[str], run_mark: Sequence[str]) -> list[dict[str, Any]]:
        """Who sent the statements with these ids."""
        source = self.source("query_log", f"{window.condition()} AND query_id IN ({_list(query_ids)})")
        return self._read(
            source if query_ids else None,
            f"""
            SELECT query_id, {_ANY_PROGRAM}, max({_mark(run_mark)}) AS in_run
            FROM {source}
            GROUP BY query_id
            LIMIT 1000""",
        )

    def text_errors(self, window: Window) -> list[dict[str, Any]]:
        """Errors in text_log that belong to no row of query_log: refused before one was due, or in no statement."""
        source = self.source("text_log", f"{window.condition()} AND level <= 'Error'")
        logged = self.source("query_log", window.condition())
        unlogged = f"WHERE query_id NOT IN (SELECT query_id FROM {logged})" if logged else ""
        return self._read(
            source,
            f"""
            SELECT logger_name, query_id, substring(message, 1, 4000) AS text, {_COUNT_FIRST_LAST},
                any(log_table) AS from_table
            FROM {source} {unlogged}
            GROUP BY logger_name, query_id, text
            ORDER BY first_at
            LIMIT 200""",
        )

    def text_of(self, window: Window, query_ids: Sequence[str]) -> list[dict[str, Any]]:
        """The server's log lines (warning and worse) of these statements."""
        source = self.source(
            "text_log", f"{window.condition()} AND level <= 'Warning' AND query_id IN ({_list(query_ids)})"
        )
        return self._read(
            source if query_ids else None,
            f"""
            SELECT {_utc("event_time_microseconds")} AS time, toString(level) AS severity, logger_name, query_id,
                substring(message, 1, 4000) AS text
            FROM {source}
            ORDER BY time
            LIMIT 500""",
        )

    def login_failures(self, window: Window, users: Sequence[str]) -> list[dict[str, Any]]:
        """Refused logins of these users (of all when empty), by user, address and reason."""
        of_users = f" AND ifNull(user, '') IN ({_list(users)})" if users else ""
        source = self.source("session_log", f"{window.condition()} AND type = 'LoginFailure'{of_users}")
        return self._read(
            source,
            f"""
            SELECT ifNull(user, '') AS name, toString(client_address) AS address, failure_reason AS reason,
                {_COUNT_FIRST_LAST}
            FROM {source}
            GROUP BY name, address, reason
            ORDER BY first_at
            LIMIT 100""",
        )

    def part_failures(self, window: Window, tables: Sequence[str]) -> list[dict[str, Any]]:
        """Parts that could not be written, merged or mutated in these tables (`database.table`)."""
        source = self.source(
            "part_log", f"{window.condition()} AND error != 0 AND concat(database, '.', table) IN ({_list(tables)})"
        )
        return self._read(
            source if tables else None,
            f"""
            SELECT database, table, toString(event_type) AS event, toInt64(error) AS code,
                any(exception) AS last_exception, {_COUNT_FIRST_LAST}, groupUniqArray(100)(query_id) AS query_ids
            FROM {source}
            GROUP BY database, table, event, code
            ORDER BY first_at
            LIMIT 100""",
        )

    def failing_mutations(self, tables: Sequence[str]) -> list[dict[str, Any]]:
        """Unfinished mutations of these tables whose last attempt failed."""
        if not tables:
            return []
        origin = self._origin("mutations")
        return self._optional(
            "mutations",
            f"""
            SELECT database, table, mutation_id, command, {_utc("latest_fail_time")} AS last_at,
                latest_fail_reason AS reason
            FROM {origin}
            WHERE NOT is_done AND latest_fail_reason != '' AND concat(database, '.', table) IN ({_list(tables)})
            ORDER BY last_at
            LIMIT 100""",
        )

    def extract(self, window: Window, query_ids: Sequence[str], limit: int) -> list[dict[str, Any]]:
        """Whole query_log rows of these statements for the run's folder, failed ones first."""
        source = self.source("query_log", f"{window.condition()} AND query_id IN ({_list(query_ids)})")
        return self._read(
            source if query_ids else None,
            f"""
            SELECT {_utc("event_time_microseconds")} AS time, toString(type) AS event, query_id, user, client_name,
                http_user_agent, toString(address) AS client_address, log_comment, current_database, query_kind, query,
                tables, views, toInt64(written_rows) AS written, toInt64(query_duration_ms) AS duration_ms,
                toInt64(memory_usage) AS memory, exception_code, exception, hostname, log_table
            FROM {source}
            ORDER BY toInt8(type) >= 3 DESC, time
            LIMIT {int(limit)}""",
        )

    def _read(self, source: str | None, sql: str) -> list[dict[str, Any]]:
        # A host that does not answer is reported by check_cluster, and must not hide what the others know.
        tolerant = " SETTINGS skip_unavailable_shards = 1" if self.cluster else ""
        return [] if source is None else self.query(sql + tolerant)

    def error_counters(self) -> list[dict[str, Any]]:
        """system.errors: counters since the server's start, to be compared before and after."""
        return self._optional(
            "errors",
            "SELECT name, toInt64(code) AS code, toInt64(remote) AS remote, toInt64(value) AS value,"
            f" {_utc('last_error_time')} AS last_time, substring(last_error_message, 1, 2000) AS last_message"
            " FROM system.errors WHERE value > 0 ORDER BY code, remote",
        )

    def code_names(self, codes: Sequence[int]) -> dict[int, str]:
        """The server's own names for error codes."""
        if not codes:
            return {}
        listed = ", ".join(str(int(code)) for code in sorted(set(codes)))
        rows = self.query(
            f"SELECT toInt32(code) AS code, errorCodeToName(code) AS name FROM (SELECT arrayJoin([{listed}]) AS code)"
        )
        return {row["code"]: row["name"] for row in rows}

    # The catalog -------------------------------------------------------------------------------------------------

    def databases(self) -> list[str]:
        """Names of the databases that this reader sees."""
        return [row["name"] for row in self._optional("databases", "SELECT name FROM system.databases ORDER BY name")]

    def all_tables(self) -> list[tuple[str, str]]:
        """`(database, table)` of every table outside of the system databases, 20 thousand at most."""
        rows = self._optional(
            "tables",
            "SELECT database, name FROM system.tables WHERE database NOT IN ('system', 'INFORMATION_SCHEMA', "
            "'information_schema')"
            " ORDER BY database, name LIMIT 20000",
        )
        return [(row["database"], row["name"]) for row in rows]

    def columns(self, database: str, table: str) -> list[dict[str, str]]:
        """Name, type and default kind of a table's columns in order."""
        return self._optional(
            "columns",
            "SELECT name, type, default_kind FROM system.columns"
            f" WHERE database = {quote_string(database)} AND table = {quote_string(table)} ORDER BY position",
        )

    def table_facts(self, database: str, table: str) -> dict[str, Any] | None:
        """Engine, rows, active parts, create statement of one table."""
        rows = self._optional(
            "tables",
            "SELECT engine, create_table_query, ifNull(total_rows, 0) AS rows FROM system.tables"
            f" WHERE database = {quote_string(database)} AND name = {quote_string(table)}",
        )
        return rows[0] if rows else None

    def views_naming(self, table: str) -> list[tuple[str, str, str]]:
        """`(database, view, definition)` of the materialized views whose definition holds this table's name."""
        rows = self._optional(
            "tables",
            "SELECT database, name, create_table_query AS definition FROM system.tables WHERE engine = "
            "'MaterializedView'"
            f" AND position(create_table_query, {quote_string(table)}) > 0 AND name != {quote_string(table)}"
            " ORDER BY database, name LIMIT 200",
        )
        return [(row["database"], row["name"], row["definition"]) for row in rows]

    def active_parts(self, database: str, table: str) -> int | None:
        """Number of active parts of one table, None when this reader may not see them."""
        rows = self._optional(
            "parts",
            "SELECT toInt64(count()) AS parts FROM system.parts"
            f" WHERE active AND database = {quote_string(database)} AND table = {quote_string(table)}",
        )
        return int(rows[0]["parts"]) if rows else None

    def user_storage(self, user: str) -> str | None:
        """Where a user is defined, None when it is not or is not visible."""
        rows = self._optional("users", f"SELECT storage FROM system.users WHERE name = {quote_string(user)}")
        return str(rows[0]["storage"]) if rows else None

    def grants(self, user: str) -> list[str] | None:
        """A user's own grants as text, None when this reader may not see them."""
        try:
            rows = self.query(
                "SELECT toString(access_type) AS access, ifNull(database, '*') AS database, ifNull(table, '*') AS table"
                f" FROM system.grants WHERE user_name = {quote_string(user)} AND NOT is_partial_revoke ORDER BY "
                "database, table, access LIMIT 200"
            )
        except ServerError:
            return None
        return [f"{row['access']} ON {row['database']}.{row['table']}" for row in rows]

    def disks(self) -> list[dict[str, Any]]:
        """Free and total bytes of the server's disks."""
        return self._optional(
            "disks",
            "SELECT name, path, toInt64(free_space) AS free, toInt64(total_space) AS total FROM system.disks ORDER "
            "BY name",
        )

    def _optional(self, name: str, sql: str) -> list[dict[str, Any]]:
        try:
            return self.query(sql)
        except ServerError as error:
            self.missing[name] = f"system.{name} cannot be read (code {error.code}: {error.message})"
            return []


HIDING_SETTINGS = (
    "log_queries",
    "log_queries_probability",
    "log_queries_min_type",
    "log_queries_min_query_duration_ms",
    "log_queries_cut_to_length",
    "log_query_settings",
)


# The native driver puts "ClickHouse " before the name it is given.
_OWN = f"(position(client_name, '{OWN_CLIENT_NAME}') > 0 OR position(log_comment, '{OWN_CLIENT_NAME}') > 0)"
_ANY_PROGRAM = (
    "any(user) AS user_name, any(client_name) AS client, any(http_user_agent) AS user_agent,"
    " any(client_hostname) AS host, any(toString(address)) AS client_address"
)
_COUNT_FIRST_LAST = (
    "toInt64(count()) AS amount, toString(toTimeZone(min(event_time_microseconds), 'UTC')) AS first_at,"
    " toString(toTimeZone(max(event_time_microseconds), 'UTC')) AS last_at"
)


def _mark(run_mark: Sequence[str]) -> str:
    conditions = [f"position(log_comment, {quote_string(mark)}) > 0" for mark in run_mark if mark]
    return f"({' OR '.join(conditions)})" if conditions else "0"


def _filter(filters: Mapping[str, Sequence[str]]) -> str:
    conditions = []
    for column, values in filters.items():
        if column == "user":
            conditions.append(f"(user IN ({_list(values)}) OR initial_user IN ({_list(values)}))")
        elif column == "address":
            mapped = [f"::ffff:{value}" for value in values]
            conditions.append(f"toString(address) IN ({_list([*values, *mapped])})")
        else:
            parts = [f"position({column}, {quote_string(value)}) > 0" for value in values]
            conditions.append(f"({' OR '.join(parts)})")
    return " AND ".join(conditions) or "1"


def resolve_settings(rows: Sequence[Mapping[str, str]], user: str) -> dict[str, str]:
    """Effective settings of `user` from rows of system.settings_profile_elements: profiles first, own values last."""
    settings: dict[str, str] = {}

    def apply(key: str, name: str, seen: frozenset[str]) -> None:
        for row in rows:
            if row[key] != name or (key == "profile" and row["user"]):
                continue
            if row["inherits"] and row["inherits"] not in seen:
                apply("profile", row["inherits"], seen | {row["inherits"]})
            if row["setting"] and row["value"]:
                settings[row["setting"]] = row["value"]

    apply("profile", "default", frozenset({"default"}))
    apply("user", user, frozenset())
    return settings


def _list(values: Sequence[str]) -> str:
    return ", ".join(quote_string(value) for value in values) or "''"


def _program(row: Mapping[str, Any]) -> Program:
    address = str(row["client_address"]).removeprefix("::ffff:")
    return Program(row["user"], row["client_name"], row["http_user_agent"], row["client_hostname"], address)


_OUTCOMES = {2: "finished", 3: "refused", 4: "failed"}


def _statement_group(row: Mapping[str, Any]) -> StatementGroup:
    return StatementGroup(
        program=_program(row),
        in_run=bool(row["in_run"]),
        outcome=_OUTCOMES.get(row["outcome"], "finished"),
        code=row["code"],
        count=row["amount"],
        first=row["first_at"],
        last=row["last_at"],
        query=row["text"],
        exception=row["last_exception"],
        query_id=row["last_id"],
        query_ids=list(row["ids"]),
        current_database=row["current_database"],
        kind=row["kind"],
        hash=row["hash"],
        tables=list(row["all_tables"]),
        views=list(row["all_views"]),
        missing_privileges=list(row["privileges"]),
        written_rows=row["written"],
        hosts=list(row["hosts"]),
        is_initial=bool(row["is_initial"]),
        initial_query_ids=list(row["initial_ids"]),
        log_table=row["from_table"],
    )
