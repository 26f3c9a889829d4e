"""The live catalog as classification needs it: what exists, what it is called, what is nearest to a wrong name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from ..sql_text import Target
from .server import MAX_TABLES, Evidence

_SYSTEM = ("system", "INFORMATION_SCHEMA", "information_schema")


class Catalog:
    """Answers from system tables, each asked once. What this reader may not see counts as not known (None)."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self._columns: dict[tuple[str, str], dict[str, str]] = {}
        self._computed: dict[tuple[str, str], dict[str, str]] = {}

    @cached_property
    def databases(self) -> list[str]:
        return self.evidence.databases()

    @cached_property
    def tables(self) -> dict[tuple[str, str], None]:
        """`(database, table)` in order, as keys."""
        return dict.fromkeys(self.evidence.all_tables())

    def columns(self, database: str | None, table: str | None) -> dict[str, str]:
        """Type by column name, in order; empty for a table that is not there."""
        if not database or not table or self._is_absent(database, table):
            return {}
        key = (database, table)
        if key not in self._columns:
            rows = self.evidence.columns(database, table)
            self._columns[key] = {row["name"]: row["type"] for row in rows}
            kinds = {row["name"]: row["default_kind"] for row in rows}
            self._computed[key] = {name: kind for name, kind in kinds.items() if kind in ("ALIAS", "MATERIALIZED")}
        return self._columns[key]

    def _is_absent(self, database: str, table: str) -> bool:
        """Whether the list of all tables says it, so that ten thousand missing names cost one question."""
        listed = len(self.tables) < MAX_TABLES and "tables" not in self.evidence.missing
        return listed and database not in _SYSTEM and (database, table) not in self.tables

    def computed(self, database: str | None, table: str | None) -> dict[str, str]:
        """`ALIAS` or `MATERIALIZED` by name, for the columns that no INSERT can fill."""
        return self._computed[(database, table)] if self.columns(database, table) and database and table else {}

    def has_table(self, database: str | None, table: str) -> bool:
        return (database, table) in self.tables or bool(self.columns(database, table))

    def nearest_table(self, database: str | None, table: str) -> str | None:
        """The most similar table, in the same database first, then the same name in another one."""
        in_database = [name for owner, name in self.tables if owner == database]
        near = nearest(table, in_database)
        if near:
            return f"{database}.{near}"
        elsewhere = [f"{owner}.{name}" for owner, name in self.tables if name == table]
        return elsewhere[0] if elsewhere else None

    def column_elsewhere(self, database: str | None, column: str, besides: str | None) -> tuple[str, str] | None:
        """`(table, type)` of a column with this name in another table of the database: what its type probably is."""
        for owner, name in self.tables:
            if owner == database and name != besides and not name.startswith(".inner"):
                kind = self.columns(owner, name).get(column)
                if kind:
                    return f"{owner}.{name}", kind
        return None

    def table_facts(self, database: str | None, table: str | None) -> dict[str, Any] | None:
        return self.evidence.table_facts(database, table) if database and table else None

    def view_using(self, table: str, source: Target) -> str | None:
        """A materialized view that names this table, which itself may be gone, and that `source` pushes to: by its own
        name in the view's definition, or at least (a chain of views) by their common database."""
        direct, chained = [], []
        for owner, name, definition in self.evidence.views_naming(table):
            if mentions(definition, table):
                if source.table and mentions(definition, source.table):
                    direct.append(f"{owner}.{name}")
                elif owner == source.database:
                    chained.append(f"{owner}.{name}")
        return next(iter(direct + chained), None)


def mentions(definition: str, name: str) -> bool:
    """Whether a text of SQL holds this name as a word of its own."""
    return re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", definition) is not None


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The most similar of `names`, None when nothing is similar."""
    candidates = list(names)
    folded = {candidate.lower(): candidate for candidate in candidates}
    if name.lower() in folded:
        return folded[name.lower()]
    found = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None
