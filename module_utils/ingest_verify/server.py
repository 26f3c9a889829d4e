"""What a ClickHouse server is and holds: availability, version, time zone, databases and their tables."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from clickhouse_driver import Client

from .client import ConnectError, ServerError, connect, query

SYSTEM_DATABASES = ("system", "INFORMATION_SCHEMA", "information_schema")

# A login that is refused or a server that is too old does not heal by waiting.
_FINAL = ("authentication", "too_old", "unknown_host", "protocol", "tls")

_CONTENT = """
SELECT
    t.database AS database,
    t.name AS table,
    t.engine AS engine,
    coalesce(t.total_rows, 0) AS rows,
    if(p.parts = 0, NULL, toString(p.newest)) AS newest_write
FROM system.tables AS t
LEFT JOIN
(
    SELECT database, table, count() AS parts, max(modification_time) AS newest
    FROM system.parts
    WHERE active
    GROUP BY database, table
) AS p ON p.database = t.database AND p.table = t.name
WHERE t.database NOT IN %(system)s AND NOT t.is_temporary
ORDER BY rows DESC, database, table
"""


def wait_for_server(params: Mapping[str, Any], wait_seconds: float) -> Client:
    """Connect, trying again for up to `wait_seconds` while the server is not there yet.

    Raises the last ConnectError; at once when its reason does not heal by waiting.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return connect(params)
        except ConnectError as error:
            if error.kind in _FINAL or time.monotonic() >= deadline:
                raise
        time.sleep(0.2)


def describe_server(client: Client) -> dict[str, str]:
    """Version, time zone (IANA name) and clock (UTC, microseconds) of the server."""
    rows = query(client, "SELECT version() AS version, timezone() AS timezone, toString(now64(6, 'UTC')) AS clock")
    return {key: str(value) for key, value in rows[0].items()}


def list_grants(client: Client) -> list[str]:
    """What the session's user may do, as SHOW GRANTS tells it; empty where the server does not say."""
    try:
        return [str(value) for row in query(client, "SHOW GRANTS") for value in row.values()]
    except ServerError:
        return []


def list_content(client: Client) -> list[dict[str, Any]]:
    """Every table that is not the system's own: database, table, engine, rows, newest_write (server's time zone)."""
    return query(client, _CONTENT, {"system": SYSTEM_DATABASES})
