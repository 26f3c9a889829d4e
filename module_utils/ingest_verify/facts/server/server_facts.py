"""What the server is and holds now: the live catalog, users and their settings, counters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...client import BOUNDS, quote_string
from .log_tables import UNANSWERED, LogTables
from .window import utc

MAX_TABLES = 20_000


class ServerFacts(LogTables):
    """What the server is and holds now: users and their settings, error counters, databases, tables, disks."""

    def users(self) -> list[str] | None:
        """Names of the server's users, None when this reader may not see them."""
        try:
            return [row["name"] for row in self.query("SELECT name FROM system.users ORDER BY name")]
        except UNANSWERED:
            return None

    def consumers(self, tables: Sequence[str]) -> list[dict[str, Any]]:
        """Consumers of Kafka tables whose views fill these tables (`database.table`), with their newest error."""
        return self._optional(
            "kafka_consumers",
            f"""
            SELECT database, table, {utc("last_poll_time")} AS polled_at, {utc("last_commit_time")} AS committed_at,
                toInt64(num_messages_read) AS messages, `exceptions.text`[-1] AS error,
                if(empty(`exceptions.time`), '', {utc("`exceptions.time`[-1]")}) AS failed_at,
                `exceptions.time`[-1] > last_commit_time AS failing
            FROM {self._origin("kafka_consumers")}
            WHERE hasAny(arrayFlatten(dependencies), [{", ".join(map(quote_string, tables))}])
            ORDER BY failing DESC, failed_at DESC, database, table""",
        )

    def bounded(self) -> bool:
        """Whether this session's statements carry the verifier's limits; a user who may set nothing has none."""
        rows = self._optional("settings", "SELECT toString(getSetting('log_comment')) AS comment")
        return not rows or BOUNDS["log_comment"] == rows[0]["comment"]

    def user_settings(self, user: str) -> dict[str, str] | None:
        """Settings of a user from its profiles, in the order in which they apply; None when not readable."""
        try:
            rows = self.query(
                "SELECT ifNull(profile_name, '') AS profile, ifNull(user_name, '') AS user,"
                " ifNull(setting_name, '') AS setting, ifNull(value, '') AS value,"
                " ifNull(inherit_profile, '') AS inherits"
                " FROM system.settings_profile_elements ORDER BY profile, user, index"
            )
        except UNANSWERED:
            return None
        return resolve_settings(rows, user)

    def user_storage(self, user: str) -> str | None:
        """Where a user is defined, None when it is not or is not visible."""
        rows = self._optional("users", f"SELECT storage FROM system.users WHERE name = {quote_string(user)}")
        return str(rows[0]["storage"]) if rows else None

    def error_counters(self) -> list[dict[str, Any]]:
        """system.errors: counters since the server's start, to be compared before and after."""
        return self._optional(
            "errors",
            "SELECT name, toInt64(code) AS code, toInt64(remote) AS remote, toInt64(value) AS value,"
            f" {utc('last_error_time')} AS last_time, substring(last_error_message, 1, 2000) AS last_message"
            " FROM system.errors WHERE value > 0 ORDER BY code, remote",
        )

    def code_names(self, codes: Sequence[int]) -> dict[int, str]:
        """The server's own names for error codes."""
        if not codes:
            return {}
        listed = ", ".join(str(int(code)) for code in sorted(set(codes)))
        rows = self._optional(
            "one",
            f"SELECT toInt32(code) AS code, errorCodeToName(code) AS name FROM (SELECT arrayJoin([{listed}]) AS code)",
        )
        return {row["code"]: row["name"] for row in rows}

    def databases(self) -> list[str]:
        """Names of the databases that this reader sees."""
        return [row["name"] for row in self._optional("databases", "SELECT name FROM system.databases ORDER BY name")]

    def all_tables(self) -> list[tuple[str, str]]:
        """`(database, table)` of every table outside of the system databases, MAX_TABLES at most."""
        rows = self._optional(
            "tables",
            "SELECT database, name FROM system.tables"
            " WHERE database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema')"
            f" ORDER BY database, name LIMIT {MAX_TABLES}",
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
            "SELECT database, name, create_table_query AS definition FROM system.tables"
            " WHERE engine = 'MaterializedView'"
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

    def disks(self) -> list[dict[str, Any]]:
        """Free and total bytes of the server's disks."""
        return self._optional(
            "disks",
            "SELECT name, path, toInt64(free_space) AS free, toInt64(total_space) AS total"
            " FROM system.disks ORDER BY name",
        )


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
