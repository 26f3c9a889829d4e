"""The log tables of a server or cluster: which there are, what could not be read, and the clock that they go by."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from ...client import SETTINGS_REFUSED, ConnectError, ServerError, quote_identifier, quote_string
from .limits import Limited, Query
from .log_columns import LOG_COLUMNS
from .window import GRACE_SECONDS, EvidenceError, Window, format_time, instant, parse_time

UNANSWERED = (ServerError, ConnectError)
_LOOK_BACK_MINUTES = 10
# A host that hangs takes connections and is silent: without limits of their own each statement waits minutes for it.
_WITHOUT_SILENT_HOSTS = (
    " SETTINGS skip_unavailable_shards = 1, connections_with_failover_max_tries = 1, handshake_timeout_ms = 1000,"
    " connect_timeout_with_failover_ms = 1000, receive_timeout = 10"
)
# Where every host answered at first, one that falls silent later must not go unnoticed.
_ALL_HOSTS = " SETTINGS handshake_timeout_ms = 5000, receive_timeout = 60"


class LogTables:
    """Where to read: the log tables of this version, of every replica of `cluster` where one is given.

    `missing` collects what could not be read, table by table, in words for the report; `failed` the questions to tables
    that are there and gave no answer. What was read before such a failure stays.
    """

    def __init__(self, query: Query, cluster: str | None = None) -> None:
        self.query: Query = Limited(query)
        self.cluster = cluster
        self.missing: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        self.simplified = ""
        self.tolerant = ""
        self.answering = 1
        self.no_access: set[str] = set()
        self._tables: dict[str, dict[str, set[str]]] = {}

    def check_cluster(self) -> str | None:
        """None when every host of the cluster answers, else a sentence that names those that do not.

        Raises EvidenceError when the server knows no such cluster.
        """
        if not self.cluster:
            return None
        rows = self.query(
            "SELECT cluster, host_name AS host, port FROM system.clusters"
            f" WHERE cluster = {quote_string(self.cluster)} ORDER BY shard_num, replica_num"
        )
        if not rows:
            known = [
                row["cluster"] for row in self.query("SELECT DISTINCT cluster FROM system.clusters ORDER BY cluster")
            ]
            raise EvidenceError(
                f"The server knows no cluster {self.cluster!r}: expected one of "
                f"{', '.join(known) or 'none configured'}. Leave `cluster` out for a single server."
            )
        # clusterAllReplicas counts every replica as a shard.
        everywhere = (
            f"SELECT DISTINCT toInt64(shardNum()) AS number FROM clusterAllReplicas({quote_string(self.cluster)},"
            " system.one)"
        )
        try:
            answered = {row["number"] for row in self.query(everywhere + _WITHOUT_SILENT_HOSTS)}
            self.tolerant = _WITHOUT_SILENT_HOSTS if len(answered) < len(rows) else _ALL_HOSTS
        except ServerError as error:
            if error.code not in SETTINGS_REFUSED:
                raise
            try:
                answered = {row["number"] for row in self.query(everywhere)}
            except ServerError as silent:
                return (
                    f"not every host of cluster {self.cluster!r} answers ({silent.message[:300]}), and the verifier's"
                    " user may not set skip_unavailable_shards to read the others"
                )
        self.answering = len(answered)
        gone = [f"{row['host']}:{row['port']}" for number, row in enumerate(rows, 1) if number not in answered]
        if not gone:
            return None
        hosts = f"{len(answered)} of {len(rows)} hosts of cluster {self.cluster!r}"
        return f"{hosts} answer. No answer from {', '.join(gone)}: what they logged is unknown"

    def tables(self, name: str) -> dict[str, set[str]]:
        """The log table and its rotated forms (`query_log_0`, left behind by an upgrade): columns of each."""
        if name not in self._tables:
            rows = self._asked(
                name,
                "SELECT table, groupArray(name) AS columns FROM system.columns WHERE database = 'system'"
                f" AND match(table, {quote_string('^' + name + '(_[0-9]+)?$')}) GROUP BY table ORDER BY table",
            )
            self._tables[name] = {row["table"]: set(row["columns"]) for row in rows}
            if name not in self._tables[name] and name not in self.failed:
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
        except ConnectError as error:
            self._failed(name, error)

    def source(self, name: str, condition: str, first: int = 0) -> str | None:
        """A subquery over the log table and its rotated forms with all of LOG_COLUMNS; None when there is none. With
        `first` the earliest rows of each table alone, which the server reads in the order of its key."""
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
            earliest = f" ORDER BY event_date, event_time LIMIT {int(first)}" if first else ""
            parts.append(
                f"SELECT {columns}, {name_of} AS log_table FROM {self._origin(table)} WHERE {condition}{earliest}"
            )
        return "(" + " UNION ALL ".join(parts) + ")"

    def _origin(self, table: str) -> str:
        name = f"system.{quote_identifier(table)}"
        return f"clusterAllReplicas({quote_string(self.cluster)}, {name})" if self.cluster else name

    def _read(self, name: str, source: str | None, sql: str, *, vital: bool = True) -> list[dict[str, Any]]:
        """Rows of a log table; without an answer none. Then nothing is proven, unless it is not `vital`."""
        if source is None:
            return []
        # A host that does not answer is reported by check_cluster, and must not hide what the others know.
        if not self.cluster:
            return self._asked(name, sql) if vital else self._optional(name, sql)
        if self.tolerant == _ALL_HOSTS:
            try:
                return self.query(sql + _ALL_HOSTS)
            except ServerError as error:
                # A host makes its log table with the first row; without the table it has nothing to tell.
                if "There is no table" not in error.message:
                    # A host was lost on the way: told, and the others are still read.
                    self._failed(name, error)
                    self.tolerant = _WITHOUT_SILENT_HOSTS
        return self._asked(name, sql + (self.tolerant and _WITHOUT_SILENT_HOSTS))

    def _asked(self, name: str, sql: str) -> list[dict[str, Any]]:
        try:
            return self.query(sql)
        except UNANSWERED as error:
            self._failed(name, error)
            return []

    def _failed(self, name: str, error: ServerError | ConnectError) -> None:
        self.failed.setdefault(name, f"system.{name} gave no answer ({error})")

    def _optional(self, name: str, sql: str) -> list[dict[str, Any]]:
        try:
            return self.query(sql)
        except UNANSWERED as error:
            self.missing[name] = f"system.{name} cannot be read ({error})"
            return []

    def clock(self) -> dict[str, Any]:
        """The server's time (UTC text), time zone, version and uptime in seconds."""
        return self.query(
            "SELECT toString(now64(6, 'UTC')) AS at, serverTimezone() AS timezone, version() AS version,"
            " toInt64(uptime()) AS uptime_seconds"
        )[0]

    def hosts(self) -> list[str]:
        """Names of the hosts that answer."""
        origin = self._origin("one")
        rows = self._optional("one", f"SELECT DISTINCT hostName() AS host FROM {origin} ORDER BY host{self.tolerant}")
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
        since, until = begin - timedelta(minutes=_LOOK_BACK_MINUTES), begin - timedelta(seconds=GRACE_SECONDS + 1)
        # The server's dates of these minutes are that of the window's begin, or the day before.
        day_before = str(date.fromisoformat(window.first_date) - timedelta(days=1))
        return Window(format_time(since), format_time(until), day_before, window.first_date)
