"""What a running server holds, and who wrote into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clickhouse_driver import Client

from ..client import ServerError, query, table_columns
from .stores import SYSTEM_DATABASES

# Of the connections of this project's modules.
OWN_CLIENT = "clickhouse-ingest-verify"
# What query_log names among a statement's tables that nobody writes.
_HIDDEN = (*SYSTEM_DATABASES, "_table_function", "_temporary_and_external_tables")

# `block` grows with each insert and stays under merges (max_block_number of a part is its newest insert's);
# None for engines without parts.
_TABLES = """
SELECT
    t.database AS database,
    t.name AS table,
    t.engine AS engine,
    coalesce(t.total_rows, 0) AS rows,
    coalesce(t.total_bytes, 0) AS bytes,
    position(t.engine_full, ' TTL ') > 0 AS expires,
    p.newest AS newest_write,
    p.block AS block
FROM system.tables AS t
LEFT JOIN
(
    SELECT database, table, toNullable(toString(max(newest), 'UTC')) AS newest, toNullable(sum(block)) AS block
    FROM
    (
        SELECT database, table, partition_id, max(modification_time) AS newest, max(max_block_number) + 1 AS block
        FROM system.parts
        WHERE active
        GROUP BY database, table, partition_id
    )
    GROUP BY database, table
) AS p ON p.database = t.database AND p.table = t.name
WHERE t.database NOT IN %(system)s AND NOT t.is_temporary
ORDER BY rows DESC, database, table
"""

# One row per program and user. A client of the native protocol has a name, before which drivers put `ClickHouse`;
# one of HTTP has a user agent.
_WRITERS = """
SELECT
    user,
    if(http_user_agent != '', http_user_agent, replaceRegexpOne(client_name, '^ClickHouse ', '')) AS program,
    count() AS statements,
    arraySort(groupUniqArrayArray(arrayFilter(name -> splitByChar('.', name)[1] NOT IN %(hidden)s, tables))) AS written,
    toString(min(event_time), 'UTC') AS first,
    toString(max(event_time), 'UTC') AS last
FROM system.query_log
WHERE type = 'QueryFinish' AND is_initial_query
    AND event_date >= toDate(toDateTime(%(since)s, 'UTC')) - 1 AND event_time >= toDateTime(%(since)s, 'UTC')
    AND query_kind IN ('Insert', 'AsyncInsertFlush', 'Alter', 'Delete', 'Update', 'Drop', 'Rename', 'Create')
    AND NOT endsWith(client_name, %(own)s)
    AND notEmpty(arrayFilter(name -> splitByChar('.', name)[1] NOT IN %(hidden)s, tables))
GROUP BY user, program
ORDER BY last DESC
LIMIT 50
"""


@dataclass(frozen=True)
class Ingest:
    """How the ingest is told from other programs: by its user, and by a table that it writes (`database.table`).

    Where those are not known, by a user of its own (`alone`: nobody else logs in with it), else by the time it ran
    (`window`: from and to, UTC by the server's clock).
    """

    user: str
    targets: Sequence[str] = ()
    window: tuple[str, str] | None = None
    alone: bool = False

    def wrote(self, writer: Mapping[str, Any]) -> bool:
        """Whether these statements can be the ingest's own."""
        if writer["user"] != self.user:
            return False
        if self.targets:
            # What an INSERT pushes into views is written too, under names that nobody declares.
            return bool(set(writer["written"]) & set(self.targets))
        if self.alone:
            return True
        # The log's times are whole seconds.
        return self.window is not None and self.window[0][:19] <= writer["first"] and writer["last"] <= self.window[1]


def list_tables(client: Client) -> list[dict[str, Any]]:
    """Every table that is not the system's own: database, table, engine, rows, bytes, expires (it has a TTL),
    newest_write (UTC), block."""
    return query(client, _TABLES, {"system": SYSTEM_DATABASES})


def clock(client: Client) -> str:
    """The server's clock, UTC, to the second."""
    return str(query(client, "SELECT toString(now(), 'UTC') AS at")[0]["at"])


def minutes_ago(client: Client, minutes: int) -> str:
    """The server's clock of some minutes ago, UTC, to the second."""
    sql = "SELECT toString(now() - INTERVAL %(minutes)s MINUTE, 'UTC') AS at"
    return str(query(client, sql, {"minutes": minutes})[0]["at"])


def writers(client: Client, since: str) -> list[dict[str, Any]] | None:
    """Who changed tables since a time (UTC, the server's clock), one entry per user and program: statements, written
    (tables), first, last. Without this project's own modules. None where the server keeps no query_log to tell it."""
    try:
        query(client, "SYSTEM FLUSH LOGS")
    except ServerError as error:
        if error.code != 497:  # ACCESS_DENIED: the server's own interval does it
            return None
    try:
        if not table_columns(client, "query_log"):
            return None
        return query(client, _WRITERS, {"hidden": _HIDDEN, "since": since, "own": OWN_CLIENT})
    except ServerError:
        return None


def reaches_back(client: Client, since: str) -> bool:
    """Whether the server's query_log still has what ran at a time (UTC): within ten minutes of it something did."""
    sql = (
        "SELECT 1 FROM system.query_log WHERE event_date <= toDate(toDateTime(%(since)s, 'UTC')) + 1"
        " AND event_time <= toDateTime(%(since)s, 'UTC') + INTERVAL 10 MINUTE LIMIT 1"
    )
    return bool(query(client, sql, {"since": since}))


def differences(noted: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """What a restored server lacks of what was noted before, and remarks on what differs for a good reason."""
    there = {(table["database"], table["table"]): table for table in found}
    lacking, remarks = [], []
    for before in noted:
        name = f"{before['database']}.{before['table']}"
        after = there.get((before["database"], before["table"]))
        if after is None:
            lacking.append(f"{name} is not there")
        elif before.get("rows") is not None and after["rows"] != before["rows"]:
            text = f"{name} has {after['rows']} rows, {before['rows']} were noted"
            if after["rows"] > before["rows"]:
                remarks.append(f"{text}: written after the note was taken")
            elif before.get("expires") or _merges_rows(str(before["engine"])):
                remarks.append(f"{text}: {before['engine']} removes rows in the background")
            else:
                lacking.append(text)
    return lacking, remarks


def _merges_rows(engine: str) -> bool:
    """Whether a table of this engine loses rows by merges, as its purpose is."""
    kinds = ("Replacing", "Collapsing", "Summing", "Aggregating", "Graphite", "Coalescing")
    return any(kind in engine for kind in kinds) or not engine.endswith("MergeTree")


def describe(tables: Sequence[Mapping[str, Any]], limit: int = 20) -> list[str]:
    """One line per table, the largest first."""
    lines = []
    for table in tables[:limit]:
        if table.get("rows") is None:
            lines.append(f"{table['database']}.{table['table']} (its rows are not known)")
        else:
            newest = f"{table['newest_write']} UTC" if table["newest_write"] else "none"
            lines.append(
                f"{table['database']}.{table['table']} ({table['engine']}): {table['rows']} rows, newest write {newest}"
            )
    if len(tables) > limit:
        lines.append(f"... and {len(tables) - limit} more tables")
    return lines
