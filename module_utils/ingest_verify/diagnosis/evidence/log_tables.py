"""The log tables of a server or cluster: which there are, what could not be read, and the clock that they go by."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from ...client import ServerError, quote_identifier, quote_string
from .log_columns import LOG_COLUMNS
from .window import GRACE_SECONDS, EvidenceError, Window, format_time, instant, parse_time

Query = Callable[[str], list[dict[str, Any]]]
"""Runs one complete statement and returns its rows by column name; raises ServerError."""
_LOOK_BACK_MINUTES = 10


class LogTables:
    """Where to read: the log tables of this version, of every replica of `cluster` where one is given.

    `missing` collects what could not be read, table by table, in words for the report.
    """

    def __init__(self, query: Query, cluster: str | None = None) -> None:
        self.query = query
        self.cluster = cluster
        self.missing: dict[str, str] = {}
        self.no_access: set[str] = set()
        self._tables: dict[str, dict[str, set[str]]] = {}

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
                f"{', '.join(known) or 'none configured'}. Leave `cluster` out for a single server."
            )
        name = quote_string(self.cluster)
        answered = self.query(
            f"SELECT toInt64(count()) AS hosts FROM clusterAllReplicas({name}, system.one)"
            " SETTINGS skip_unavailable_shards = 1"
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

    def _read(self, source: str | None, sql: str) -> list[dict[str, Any]]:
        # A host that does not answer is reported by check_cluster, and must not hide what the others know.
        tolerant = " SETTINGS skip_unavailable_shards = 1" if self.cluster else ""
        return [] if source is None else self.query(sql + tolerant)

    def _optional(self, name: str, sql: str) -> list[dict[str, Any]]:
        try:
            return self.query(sql)
        except ServerError as error:
            self.missing[name] = f"system.{name} cannot be read (code {error.code}: {error.message})"
            return []

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
        grace = format_time(end + timedelta(seconds=GRACE_SECONDS))
        dates = self.query(
            f"SELECT toString(toDate({instant(since)}, serverTimezone())) AS first,"
            f" toString(toDate({instant(grace)}, serverTimezone())) AS last"
        )[0]
        return Window(since, until, dates["first"], dates["last"])

    def before(self, window: Window) -> Window:
        """The minutes before the window, where a program that merely shares the user may have been active."""
        begin = parse_time(window.since)
        return self._window(begin - timedelta(minutes=_LOOK_BACK_MINUTES), begin - timedelta(seconds=GRACE_SECONDS + 1))
