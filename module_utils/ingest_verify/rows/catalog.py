"""The tables that an account needs: where a name leads to (view, Distributed, Buffer), what its engine does to rows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..client import quote_string

if TYPE_CHECKING:
    from .log import Read

_TTL = re.compile(r"\bTTL\s+(.*?)(?=\s+SETTINGS\s|$)", re.DOTALL)
_TO = re.compile(r"\sTO\s+((?:`(?:[^`\\]|\\.)+`|[\w-]+)\.(?:`(?:[^`\\]|\\.)+`|[\w-]+))")
_ARGUMENTS = re.compile(r"\('?([^',]*)'?,\s*'?([^',]*)'?(?:,\s*'?([^',)]*)'?)?")
_NO_UUID = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Place:
    """One table of the catalog; `leads_to` is where its rows go on to ('database.table')."""

    database: str
    name: str
    engine: str
    uuid: str
    sorting_key: str
    ttl: str | None = None
    leads_to: str | None = None
    dependents: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.database}.{self.name}"

    @property
    def has_parts(self) -> bool:
        return self.engine.endswith("MergeTree")

    @property
    def key(self) -> str:
        """What tells the table's parts in the log: its uuid, which an EXCHANGE or RENAME keeps, else its name."""
        return self.title if self.uuid == _NO_UUID else self.uuid

    def merges(self) -> str | None:
        """What the engine does to rows of one sorting key, as a sentence's end; None where it keeps each row."""
        kind = re.sub(r"^(Replicated|Shared)", "", self.engine).removesuffix("MergeTree")
        by = f"of one key (ORDER BY {self.sorting_key or 'tuple()'})"
        return {
            "Replacing": f"{self.engine} keeps the newest row {by}",
            "Summing": f"{self.engine} adds the rows {by} up to one",
            "Aggregating": f"{self.engine} puts the rows {by} together",
            "Coalescing": f"{self.engine} puts the rows {by} together",
            "Collapsing": f"{self.engine} lets rows {by} with sign 1 and -1 cancel each other",
            "VersionedCollapsing": f"{self.engine} lets rows {by} with sign 1 and -1 cancel each other",
            "Graphite": f"{self.engine} rolls the rows {by} up",
        }.get(kind)


def distributed_over(read: Read, names: Iterable[str]) -> str | None:
    """The cluster over which the named tables ('database.table') are distributed; None when none of them is."""
    pairs = ", ".join(f"({quote_string(d)}, {quote_string(t)})" for d, _, t in (n.partition(".") for n in names))
    rows = read(
        r"SELECT extract(engine_full, '^Distributed\(\'?([^\',)]+)') AS cluster FROM system.tables "
        f"WHERE engine = 'Distributed' AND (database, name) IN ({pairs}) ORDER BY cluster LIMIT 1"
        if pairs
        else "SELECT '' AS cluster WHERE 0"
    )
    return str(rows[0]["cluster"]) if rows else None


def read_places(read: Read, names: Iterable[str]) -> dict[str, Place]:
    """The named tables, and those that their rows go on to."""
    found: dict[str, Place] = {}
    wanted = set(names)
    while wanted:
        pairs = ", ".join(f"({quote_string(d)}, {quote_string(t)})" for d, _, t in (n.partition(".") for n in wanted))
        rows = read(
            "SELECT database, name, engine, toString(uuid) AS uuid, sorting_key, engine_full, create_table_query, "
            "dependencies_database, dependencies_table FROM system.tables "
            f"WHERE (database, name) IN ({pairs})"
        )
        for row in rows:
            place = _place(row)
            found[place.title] = place
        wanted = {place.leads_to for place in found.values() if place.leads_to} - set(found) - wanted
    return found


def _place(row: dict[str, Any]) -> Place:
    ttl = _TTL.search(row["engine_full"]) if row["engine"].endswith("MergeTree") else None
    views = zip(row["dependencies_database"], row["dependencies_table"], strict=True)
    return Place(
        row["database"],
        row["name"],
        row["engine"],
        row["uuid"],
        row["sorting_key"],
        ttl[1].strip() if ttl else None,
        _leads_to(row),
        tuple(f"{database}.{view}" for database, view in views),
    )


def _leads_to(row: dict[str, Any]) -> str | None:
    if row["engine"] == "MaterializedView":
        to = _TO.search(row["create_table_query"].split(" AS ")[0].split("(")[0])
        return to[1].replace("`", "") if to else f"{row['database']}..inner_id.{row['uuid']}"
    arguments = _ARGUMENTS.search(row["engine_full"])
    if arguments and row["engine"] == "Buffer":
        return f"{arguments[1] or row['database']}.{arguments[2]}"
    if arguments and row["engine"] == "Distributed" and arguments[3]:
        return f"{arguments[2] or row['database']}.{arguments[3]}"
    return None
