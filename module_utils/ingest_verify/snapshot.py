"""The server's catalog as text: a snapshot taken before and after a script, it says whether anything changed."""

from __future__ import annotations

from typing import Any

from clickhouse_driver import Client

from .client import ServerError, query

_OWN_DATABASES = "('system', 'INFORMATION_SCHEMA', 'information_schema')"

# A view's inner table is named by its view's UUID, which a CREATE OR REPLACE renews; it is listed under its view.
# Tables named .tmp are those of a view that is being refreshed at this moment.
_TABLES = f"""
SELECT database, name, toString(uuid) AS uuid, create_table_query AS text,
  has_own_data AND NOT endsWith(engine, 'View') AND engine != 'Dictionary' AS holds_rows
FROM system.tables
WHERE NOT is_temporary AND database NOT IN {_OWN_DATABASES} AND NOT startsWith(name, '.tmp')
  AND NOT startsWith(name, '_tmp_replace_')
"""

# What not every user may read is left out of both snapshots, and so of the comparison.
_OTHERS = {
    "database": "SELECT name, concat('ENGINE = ', engine) AS text FROM system.databases"
    f" WHERE name NOT IN {_OWN_DATABASES}",
    "function": "SELECT name, create_query AS text FROM system.functions WHERE origin = 'SQLUserDefined'",
    "named collection": "SELECT name, arrayStringConcat(mapKeys(collection), ', ') AS text"
    " FROM system.named_collections",
}

Snapshot = dict[str, str]


def text_of(value: Any) -> str:
    """A value as text: the driver hands out bytes where the server holds something that is not UTF-8."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def take(client: Client) -> Snapshot:
    """Every object that `client` may see, by kind and name (`table zakaz.dim_events`), with its CREATE statement."""
    rows = query(client, _TABLES)
    inner = {f".inner_id.{row['uuid']}": text_of(row["name"]) for row in rows}
    found: Snapshot = {}
    for row in rows:
        name, text = text_of(row["name"]), text_of(row["text"])
        if name in inner:
            text, name = text.replace(name, ".inner"), f"{inner[name]} (inner table)"
        # A table that was dropped and made again is the same by its text, yet its rows are gone.
        found[f"table {text_of(row['database'])}.{name}"] = (
            f"{text}\n UUID {row['uuid']}" if row["holds_rows"] else text
        )
    for kind, sql in _OTHERS.items():
        for row in _readable(client, sql):
            found[f"{kind} {text_of(row['name'])}"] = text_of(row["text"])
    for row in _readable(client, "SHOW ACCESS"):
        statement = text_of(next(iter(row.values())))
        found[f"access {statement}"] = statement
    return found


def _readable(client: Client, sql: str) -> list[dict[str, Any]]:
    try:
        return query(client, sql)
    except ServerError:
        return []


def changed_objects(before: Snapshot, after: Snapshot) -> list[str]:
    """Names of the objects that were made, dropped or altered between the two snapshots."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def diff(before: Snapshot, after: Snapshot) -> dict[str, str]:
    """Ansible's `diff` of the objects that changed."""
    names = changed_objects(before, after)
    return {"before": _listing(before, names), "after": _listing(after, names)}


def _listing(objects: Snapshot, names: list[str]) -> str:
    return "".join(f"{name}:\n{_lines(objects[name])}\n" for name in names if name in objects)


def _lines(create_query: str) -> str:
    """One clause or column per line, so that a diff shows the column that changed and not the whole statement."""
    for clause in (" ENGINE = ", " PARTITION BY ", " ORDER BY ", " TTL ", " SETTINGS ", " AS SELECT "):
        create_query = create_query.replace(clause, f"\n {clause.lstrip()}")
    return create_query.replace(", `", ",\n    `")
