"""What the server's log tables say of a window: every statement sent to one of them stands here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ...client import quote_string
from ...sql_text import has_select
from .channel import OWN_CLIENT_NAME
from .log_tables import LogTables
from .statements import Program, StatementGroup, program_of, statement_group
from .window import Window, format_time, instant, utc

# An INSERT is logged without its data, so a longer text is a list of literals that nobody reads in a terminal.
_SHOWN_QUERY = 20_000
_MAX_GROUPS = 2_000
_MAX_NOISE = 50
# Up to here every text of a window is read. Beyond it statements are counted by the server's own hash first, and only
# the texts of those that are told are read.
MAX_TEXTS = 500_000
_MAX_LINES = 100_000
# Settings of a user that keep statements out of the log tables, or cut them.
_HIDING_SETTINGS = (
    "log_queries",
    "log_queries_probability",
    "log_queries_min_type",
    "log_queries_min_query_duration_ms",
    "log_queries_cut_to_length",
    "log_query_settings",
)
# The native driver puts "ClickHouse " before the name it is given.
_OWN = f"(position(client_name, '{OWN_CLIENT_NAME}') > 0 OR position(log_comment, '{OWN_CLIENT_NAME}') > 0)"
_PROGRAM = "user, client_name, http_user_agent, client_hostname, toString(address) AS client_address"
_ANY_PROGRAM = (
    "any(user) AS user_name, any(client_name) AS client, any(http_user_agent) AS user_agent,"
    " any(client_hostname) AS host, any(toString(address)) AS client_address"
)
# What differs only in its literals is of one shape; names count, whatever digits they hold (sales_2024, sales_2025).
_SHAPE = f"normalizedQueryHashKeepNames(substring(query, 1, {_SHOWN_QUERY}))"
_SENT = "(toInt64(greatest(read_rows, written_rows)), toInt64(greatest(read_bytes, written_bytes)))"
_COUNT_FIRST_LAST = (
    "toInt64(count()) AS amount, toString(toTimeZone(min(event_time_microseconds), 'UTC')) AS first_at,"
    " toString(toTimeZone(max(event_time_microseconds), 'UTC')) AS last_at"
)


class LogReads(LogTables):
    """What the log tables say of a window.

    Conditions stand in the innermost SELECT: there they prune, and no alias of the outer one can shadow a column.
    """

    def statements(
        self,
        window: Window,
        filters: Mapping[str, Sequence[str]],
        run_mark: Sequence[str],
        *,
        only_started_inside: bool,
    ) -> tuple[list[StatementGroup], int]:
        """Statements of the window that pass `filters` (or carry `run_mark` in log_comment), grouped by program, shape
        and outcome; refused and failed ones first. Second value: number of groups there are in all.

        Of more than MAX_TEXTS statements, those of one shape and outcome share one text, and names that differ in
        nothing but digits are one shape: `simplified` says so.
        """
        mark = _mark(run_mark)
        condition = (
            f"{window.condition(only_started_inside=only_started_inside)} AND type != 'QueryStart'"
            f" AND NOT {_OWN} AND ({_filter(filters)} OR {mark})"
        )
        source = self.source("query_log", condition)
        counted = self._read(
            "query_log",
            source,
            "SELECT toInt64(count()) AS amount, toInt64(uniqCombined(normalized_query_hash, exception_code, type))"
            f" AS shapes FROM {source}",
        )
        if not counted:
            return [], 0
        if counted[0]["amount"] > MAX_TEXTS:
            self.simplified = (
                f"{counted[0]['amount']} statements in the window: they are counted by the server's hash, for which"
                " names that differ in nothing but digits are one"
            )
            groups = self._statements_by_hash(source, condition, mark)
            return groups, max(len(groups), counted[0]["shapes"] if len(groups) == _MAX_GROUPS else 0)
        rows = self._read(
            "query_log",
            source,
            _grouped(
                source,
                mark,
                _SHAPE,
                f"""argMax(substring(query, 1, {_SHOWN_QUERY}), event_time_microseconds) AS text,
                argMax(exception, event_time_microseconds) AS last_exception,
                groupArray(100)(query_id) AS ids, groupUniqArray(100)(initial_query_id) AS initial_ids,
                groupUniqArrayArray(20)(tables) AS all_tables, groupUniqArrayArray(20)(views) AS all_views,
                groupUniqArrayArray(20)(missing_privileges) AS privileges,
                groupUniqArray(1000)(cityHash64(query)) AS texts, groupUniqArray(1000)({_SENT}) AS sent,
                groupUniqArray(1000)(Settings['insert_deduplication_token']) AS tokens,
                toInt64(count() OVER ()) AS groups""",
            ),
        )
        return [statement_group(row) for row in rows], (rows[0]["groups"] if rows else 0)

    def _statements_by_hash(self, source: str | None, condition: str, mark: str) -> list[StatementGroup]:
        rows = self._read(
            "query_log",
            source,
            _grouped(
                source,
                mark,
                "normalized_query_hash",
                f"""groupArray(20)(query_id) AS ids, groupUniqArray(20)(initial_query_id) AS initial_ids,
                groupUniqArray(100)({_SENT}) AS sent""",
            ),
        )
        texts = self._texts(condition, [row["last_id"] for row in rows])
        groups = []
        for row in rows:
            told = texts.get((row["last_id"], row["outcome"]))
            if told is None:
                continue
            # An INSERT is logged without its rows, so that one hash is one text; another's literals may differ.
            same_text = row["kind"] == "Insert" and not has_select(told["text"])
            row.update(told, texts=[row["shape"]] if same_text else [], tokens=[])
            groups.append(statement_group(row))
        return groups

    def _texts(self, condition: str, query_ids: Sequence[str]) -> dict[tuple[str, int], dict[str, Any]]:
        """What was sent under these ids and how it ended, by id and outcome."""
        source = self.source("query_log", f"{condition} AND query_id IN ({_list(query_ids)})")
        rows = self._read(
            "query_log",
            source if query_ids else None,
            f"""
            SELECT query_id, toInt8(type) AS outcome, substring(query, 1, {_SHOWN_QUERY}) AS text,
                exception AS last_exception, tables AS all_tables, views AS all_views, missing_privileges AS privileges
            FROM {source}
            ORDER BY event_time_microseconds
            LIMIT {_MAX_GROUPS}""",
        )
        return {(row["query_id"], row["outcome"]): row for row in rows}

    def unfinished(
        self, window: Window, filters: Mapping[str, Sequence[str]], run_mark: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Statements that started in the window and of whose end nothing is logged, 100 at most."""
        mark = _mark(run_mark)
        condition = f"{window.condition(only_started_inside=True)} AND NOT {_OWN} AND ({_filter(filters)} OR {mark})"
        source = self.source("query_log", condition)
        # The hash alone is kept of each id: a window may hold many millions of them.
        open_ids = self._read(
            "query_log",
            source,
            f"SELECT cityHash64(query_id) AS id FROM {source} GROUP BY id HAVING max(toInt8(type)) = 1"
            " ORDER BY min(event_time_microseconds) LIMIT 100",
        )
        if not open_ids:
            return []
        listed = ", ".join(str(row["id"]) for row in open_ids)
        source = self.source("query_log", f"{condition} AND cityHash64(query_id) IN ({listed})")
        rows = self._read(
            "query_log",
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
        condition = f"{condition} AND toInt8(type) >= 3 AND is_initial_query AND NOT {_OWN}"
        source = self.source("query_log", condition)
        rows = self._read(
            "query_log",
            source,
            f"""
            SELECT user, if(http_user_agent != '', http_user_agent, client_name) AS program, exception_code AS code,
                errorCodeToName(exception_code) AS code_name, {_COUNT_FIRST_LAST},
                argMax((query_id, toInt8(type)), event_time_microseconds) AS last_one,
                toInt64(sum(count()) OVER ()) AS total
            FROM {source}
            GROUP BY user, program, code
            ORDER BY amount DESC, first_at
            LIMIT {_MAX_NOISE}""",
            vital=False,
        )
        texts = self._texts(condition, [row["last_one"][0] for row in rows])
        for row in rows:
            told = texts.get(tuple(row.pop("last_one")))
            row["example"] = told["text"][:200] if told else ""
        return rows

    def kills(self, window: Window) -> list[dict[str, Any]]:
        """KILL QUERY statements of the window that the server carried out, the newest first; `at` is their start, since
        one with SYNC ends after what it ended."""
        source = self.source(
            "query_log",
            f"{window.condition()} AND toInt8(type) = 2 AND query_kind NOT IN ('Insert', 'Select')"
            f" AND query ILIKE 'KILL%QUERY%' AND NOT {_OWN}",
        )
        return self._read(
            "query_log",
            source,
            f"""
            SELECT user AS user_name, if(http_user_agent != '', http_user_agent, client_name) AS program,
                toString(address) AS client_address, substring(query, 1, 2000) AS text,
                {utc("query_start_time_microseconds")} AS at
            FROM {source}
            ORDER BY at DESC
            LIMIT 100""",
        )

    def active_before(self, window: Window, filters: Mapping[str, Sequence[str]]) -> set[Program]:
        """Programs that pass `filters` and sent statements in the minutes before the window."""
        source = self.source("query_log", f"{self.before(window).condition()} AND NOT {_OWN} AND ({_filter(filters)})")
        rows = self._read(
            "query_log",
            source,
            f"""
            SELECT {_PROGRAM}
            FROM {source}
            GROUP BY user, client_name, http_user_agent, client_hostname, client_address
            LIMIT 1000""",
        )
        return {program_of(row) for row in rows}

    def run_settings(self, window: Window, users: Sequence[str]) -> list[dict[str, str]]:
        """Values of the settings that hide evidence, as the users' own statements in the window carried them."""
        if not users:
            return []
        names = _list(_HIDING_SETTINGS)
        condition = f"{window.condition()} AND user IN ({_list(users)}) AND NOT {_OWN}"
        source = self.source("query_log", condition, first=_MAX_LINES)
        return self._read(
            "query_log",
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
            "query_views_log",
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
            "asynchronous_insert_log",
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
            "query_log",
            source if query_ids else None,
            f"""
            SELECT query_id, {_ANY_PROGRAM}, max({_mark(run_mark)}) AS in_run
            FROM {source}
            GROUP BY query_id
            LIMIT 1000""",
        )

    def text_errors(self, window: Window) -> list[dict[str, Any]]:
        """Errors in text_log that belong to no row of query_log: refused before one was due, or in no statement.

        Over the native protocol the server notes a refusal twice, the second time without the statement's id: that one
        is told by its text.
        """
        logged = self.source("query_log", window.condition())
        unlogged = (
            f" AND cityHash64(query_id) GLOBAL NOT IN (SELECT cityHash64(query_id) FROM {logged})"
            " AND (query_id != '' OR splitByString(', Stack trace', message)[1] GLOBAL NOT IN"
            f" (SELECT splitByString(' (version ', exception)[1] FROM {logged} WHERE exception != ''))"
            if logged
            else ""
        )
        condition = f"{window.condition()} AND level <= 'Error'{unlogged}"
        source = self.source("text_log", condition, first=_MAX_LINES)
        return self._read(
            "text_log",
            source,
            f"""
            SELECT logger_name, query_id, substring(message, 1, 4000) AS text, {_COUNT_FIRST_LAST},
                any(log_table) AS from_table
            FROM {source}
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
            "text_log",
            source if query_ids else None,
            f"""
            SELECT {utc("event_time_microseconds")} AS time, toString(level) AS severity, logger_name, query_id,
                substring(message, 1, 4000) AS text
            FROM {source}
            ORDER BY time
            LIMIT 500""",
            vital=False,
        )

    def login_failures(self, window: Window, users: Sequence[str]) -> list[dict[str, Any]]:
        """Refused logins of these users (of all when empty), by user, address and reason."""
        of_users = f" AND ifNull(user, '') IN ({_list(users)})" if users else ""
        source = self.source("session_log", f"{window.condition()} AND type = 'LoginFailure'{of_users}")
        return self._read(
            "session_log",
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
            "part_log",
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
            SELECT database, table, mutation_id, command, {utc("latest_fail_time")} AS last_at,
                {utc("create_time")} AS created_at, latest_fail_reason AS reason
            FROM {origin}
            WHERE NOT is_done AND latest_fail_reason != '' AND concat(database, '.', table) IN ({_list(tables)})
            ORDER BY last_at
            LIMIT 100""",
        )

    def waiting_rows(self, tables: Sequence[str]) -> list[dict[str, Any]]:
        """Files of rows that these Distributed tables have not sent to their shards, with the last error of a send."""
        if not tables:
            return []
        return self._optional(
            "distribution_queue",
            f"""
            SELECT concat(database, '.', table) AS name, sum(data_files) AS files, sum(broken_data_files) AS broken,
                sum(error_count) AS errors, anyIf(last_exception, last_exception != '') AS reason
            FROM {self._origin("distribution_queue")}
            WHERE data_files + broken_data_files > 0 AND concat(database, '.', table) IN ({_list(tables)})
            GROUP BY name ORDER BY name""",
        )

    def extract(self, window: Window, query_ids: Sequence[str], limit: int) -> list[dict[str, Any]]:
        """Whole query_log rows of these statements for the run's folder, failed ones first."""
        source = self.source("query_log", f"{window.condition()} AND query_id IN ({_list(query_ids)})")
        return self._read(
            "query_log",
            source if query_ids else None,
            f"""
            SELECT {utc("event_time_microseconds")} AS time, toString(type) AS event, query_id, user, client_name,
                http_user_agent, toString(address) AS client_address, log_comment, current_database, query_kind, query,
                tables, views, toInt64(written_rows) AS written, toInt64(query_duration_ms) AS duration_ms,
                toInt64(memory_usage) AS memory, exception_code, exception, hostname, log_table
            FROM {source}
            ORDER BY toInt8(type) >= 3 DESC, time
            LIMIT {int(limit)}""",
            vital=False,
        )

    def logged_before(self, window: Window, moment: datetime) -> bool:
        """Whether query_log holds anything of before `moment` (UTC), in the window or on the day before it."""
        source = self.source(
            "query_log",
            f"event_date >= toDate({quote_string(window.first_date)}) - 1"
            f" AND event_time_microseconds < {instant(format_time(moment))}",
        )
        return bool(self._read("query_log", source, f"SELECT 1 AS found FROM {source} LIMIT 1"))


def _grouped(source: str | None, mark: str, shape: str, gathered: str) -> str:
    """The question for a window's statements by program, `shape` and outcome, refused and failed ones first; `gathered`
    is what it asks of each group besides."""
    return f"""
            SELECT {_PROGRAM},
                {mark} AS in_run, toInt8(type) AS outcome, exception_code AS code, is_initial_query AS is_initial,
                query_kind AS kind, {shape} AS shape, current_database,
                any(log_table) AS from_table, {_COUNT_FIRST_LAST},
                argMax(query_id, event_time_microseconds) AS last_id,
                toInt64(sum(written_rows)) AS written, groupUniqArray(20)(hostname) AS hosts,
                {gathered}
            FROM {source}
            GROUP BY user, client_name, http_user_agent, client_hostname, client_address, in_run, outcome, code,
                is_initial, kind, shape, current_database
            ORDER BY outcome >= 3 DESC, first_at, last_at
            LIMIT {_MAX_GROUPS}"""


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


def _list(values: Sequence[str]) -> str:
    return ", ".join(quote_string(value) for value in values) or "''"
