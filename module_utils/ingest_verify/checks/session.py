"""The reading side of the checks: limited, read-only, counted queries, and what the catalog knows of the tables."""

from __future__ import annotations

import difflib
import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from clickhouse_driver import Client

from ..clickhouse.error_codes import kind_of
from ..client import ConnectError, ServerError, UnreadableError, identifier, query, quote_string, quote_table
from ..facts.server import Evidence, EvidenceError
from ..findings import Finding
from ..rows.log import TOOL

# By the kind of the error's code: a check that is not answered has causes of its own.
_CAUSES = {
    "missing_column": "data_missing_column",
    "missing_table": "data_missing_table",
    "missing_database": "data_missing_table",
    "time": "data_check_timeout",
    "speed": "data_check_timeout",
    "memory": "data_check_memory",
    "remote": "evidence_host_missing",
    "grant": "data_check_no_access",
}
# The analyzer repeats the whole query, which the finding shows anyway.
_SCOPE = re.compile(r"\.?\s+[Ii]n scope .*?(?=\. Maybe you meant|$)", re.DOTALL)
# Tables that hand a query on to others, which may merge by key.
_FRONTS = frozenset({"Distributed", "MaterializedView", "Merge", "Buffer", "Alias"})
_AS_TEXT = re.compile(r"\AtoString\((.*)\)\Z", re.DOTALL)
_COLLAPSING = re.compile(r"(Replacing|Summing|Aggregating|Collapsing|Graphite|Coalescing)\w*MergeTree$")


class ScanError(Exception):
    """A query of a check that brought no answer: `cause` as in findings, `code` 0 when the connection broke."""

    def __init__(self, message: str, sql: str, code: int = 0, cause: str | None = None) -> None:
        super().__init__(message)
        self.sql = sql
        self.code = code
        self.cause = cause or _CAUSES.get(kind_of(code), "data_check_failed")

    def finding(self) -> Finding:
        """The refusal as a finding of the stage, where it keeps all checks from being answered."""
        evidence = {"sql": self.sql, "exception": str(self), "code": self.code}
        return Finding(
            stage="verify_data",
            severity="error",
            cause=self.cause,
            headline=f"The data could not be checked at all: {self}",
            next_step="Let this statement succeed for the user that the play logs in with, then check again.",
            fix_side="server",
            evidence={key: value for key, value in evidence.items() if value},
        )


@dataclass
class Scans:
    """What the checks cost: queries sent, rows and bytes read by the server, seconds."""

    queries: int = 0
    rows_read: int = 0
    bytes_read: int = 0
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "queries": self.queries,
            "rows_read": self.rows_read,
            "bytes_read": self.bytes_read,
            "seconds": round(self.seconds, 3),
        }


# What a run's statements are told from; `system.part_log AS everywhere` is the one of all hosts.
_OF_ALL_HOSTS = re.compile(
    r"(?<=FROM )(system\.(?:query_log|query_views_log|asynchronous_insert_log)\b|system\.part_log(?= AS everywhere\b))"
)
_HOSTS_SECONDS = 30


class Session:
    """Sends the checks' queries: nothing can write, each has its time limit, each is counted in `scans`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.scans = Scans()
        # A user with readonly=1 may not change any setting, so its own limits have to do.
        own = query(client, "SELECT toUInt8(getSetting('readonly')) AS readonly")
        self._may_set = own[0]["readonly"] != 1
        self._cluster = ""
        self.silent: str | None = None

    def reach(self, cluster: str) -> str | None:
        """Read the log tables of every host of this cluster from now on, once each has written its own to disk; the
        reason when some of them cannot be read. `silent` then names the hosts that do not answer."""
        evidence = Evidence(partial(query, self._client), cluster)
        try:
            self.silent = silent = evidence.check_cluster()
            if evidence.tolerant:
                self._cluster = cluster
            return silent or evidence.wait_for_hosts(_HOSTS_SECONDS)
        except (ServerError, ConnectError, EvidenceError) as error:
            self._cluster = ""
            grant = " (GRANT REMOTE, CREATE TEMPORARY TABLE ON *.* to this user)" if "REMOTE" in str(error) else ""
            return f"the logs of the other hosts of cluster {cluster!r} cannot be read: {error}{grant}"

    def read(self, sql: str, seconds: float, check: str = "") -> list[dict[str, Any]]:
        """The rows of one SELECT as dicts; all values as text where one of them is beyond what Python can hold.

        Raises ScanError when the server refuses it, it runs longer than `seconds`, or the connection breaks.
        """
        settings: dict[str, Any] = {}
        if self._may_set:
            settings = {
                "readonly": 2,
                "max_execution_time": max(1, round(seconds)),
                "log_comment": json.dumps({"tool": TOOL, "check": check}),
            }
        if self._cluster and _OF_ALL_HOSTS.search(sql):
            sql = _OF_ALL_HOSTS.sub(rf"clusterAllReplicas({quote_string(self._cluster)}, \1)", sql)
            settings |= {"skip_unavailable_shards": 1, "distributed_product_mode": "global"}
        started = time.monotonic()
        self.scans.queries += 1
        try:
            try:
                return query(self._client, sql, settings=settings)
            except UnreadableError:
                rows = query(self._client, f"SELECT * APPLY(toString) FROM (\n{sql}\n)", settings=settings)
                return [{_AS_TEXT.sub(r"\1", name): value for name, value in row.items()} for row in rows]
        except ServerError as error:
            raise ScanError(_SCOPE.sub("", error.message), sql, error.code) from error
        except ConnectError as error:
            raise ScanError(str(error), sql) from error
        finally:
            self.scans.seconds += time.monotonic() - started
            progress = getattr(self._client.last_query, "progress", None)
            self.scans.rows_read += getattr(progress, "rows", 0) or 0
            self.scans.bytes_read += getattr(progress, "bytes", 0) or 0

    def flush_logs(self) -> str | None:
        """Bring the log tables up to date; the reason when that is not allowed."""
        try:
            query(self._client, "SYSTEM FLUSH LOGS")
        except (ServerError, ConnectError) as error:
            return f"SYSTEM FLUSH LOGS was refused ({error}), so what the server wrote may be counted too low"
        return None


@dataclass(frozen=True)
class Table:
    """What the catalog says about one table; `columns` maps names to types, in order. `front` says that the table hands
    queries on to others and takes FINAL for them."""

    database: str
    name: str
    engine: str
    sorting_key: tuple[str, ...]
    columns: Mapping[str, str] = field(default_factory=dict)
    front: bool = False

    @property
    def quoted(self) -> str:
        return quote_table(self.database, self.name)

    @property
    def collapses(self) -> bool:
        """Whether a merge may put rows of one key together, so that FINAL reads other rows than a plain SELECT."""
        return self.front or bool(_COLLAPSING.search(self.engine))

    def sql(self, name: str) -> str:
        """A declared column or expression as SQL: a column whose name needs quotes gets them."""
        return column_sql(name, self.columns)

    def bare_type(self, column: str) -> str:
        """The column's type without Nullable and LowCardinality; empty for an expression."""
        bare = self.columns.get(column, "")
        while wrapped := re.fullmatch(r"(?:LowCardinality|Nullable)\((.*)\)", bare):
            bare = wrapped[1]
        return bare

    def shown(self, columns: Iterable[str] = ()) -> str:
        """Columns that show which row is meant, and no more of it: key and ids, then `columns`. Hashes tell nobody."""
        key = [name for name in self.sorting_key if not self.columns.get(name, "FixedString").startswith("FixedString")]
        ids = [name for name in self.columns if name == "id" or name.endswith("_id")] if not key else []
        names = dict.fromkeys(name for name in [*key, *ids, *columns] if name in self.columns)
        return ", ".join(map(identifier, names)) or "*"

    def missing(self, columns: Iterable[str]) -> list[str]:
        """Those of `columns` that are plain names and not columns of the table."""
        return [name for name in columns if re.fullmatch(r"[A-Za-z_]\w*", name) and name not in self.columns]

    def nearest(self, column: str) -> str:
        near = difflib.get_close_matches(column, self.columns, n=1, cutoff=0.5)
        return f"; the nearest name is {near[0]}" if near else ""


def column_sql(name: str, columns: Mapping[str, str]) -> str:
    """`name` quoted where it is one of `columns` and needs it; anything else is an expression and stays."""
    return identifier(name) if name in columns else name


class Catalog:
    """The tables that checks name, read in two queries."""

    def __init__(self, session: Session, wanted: Iterable[tuple[str, str]], seconds: float) -> None:
        names = sorted(set(wanted))
        self._tables: dict[tuple[str, str], Table] = {}
        self._visible: dict[str, list[str]] = {}
        if not names:
            return
        databases = ", ".join(quote_string(name) for name in sorted({database for database, _ in names}))
        pairs = ", ".join(f"({quote_string(database)}, {quote_string(table)})" for database, table in names)
        columns: dict[tuple[str, str], dict[str, str]] = {}
        for row in session.read(
            "SELECT database, table, name, type FROM system.columns "
            f"WHERE (database, table) IN ({pairs}) ORDER BY database, table, position",
            seconds,
            "catalog",
        ):
            columns.setdefault((row["database"], row["table"]), {})[row["name"]] = row["type"]
        for row in session.read(
            f"SELECT database, name, engine, sorting_key FROM system.tables WHERE database IN ({databases})",
            seconds,
            "catalog",
        ):
            key = (row["database"], row["name"])
            self._visible.setdefault(row["database"], []).append(row["name"])
            if key in names:
                sorting = tuple(part.strip(" `") for part in row["sorting_key"].split(",") if part.strip())
                front = row["engine"] in _FRONTS and _takes_final(session, *key, seconds)
                self._tables[key] = Table(*key, row["engine"], sorting, columns.get(key, {}), front)

    def get(self, database: str, table: str) -> Table | None:
        """None when the table is absent or the user may not see it."""
        return self._tables.get((database, table))

    def nearest(self, database: str, table: str) -> str:
        near = difflib.get_close_matches(table, self._visible.get(database, []), n=1)
        return f"; the nearest name is {near[0]}" if near else ""


def _takes_final(session: Session, database: str, table: str, seconds: float) -> bool:
    """Whether the tables behind this one merge by key: the others refuse FINAL."""
    if session.silent:
        return False
    try:
        session.read(f"SELECT 1 FROM {quote_table(database, table)} FINAL LIMIT 1", seconds, "catalog")
    except ScanError:
        return False
    return True
