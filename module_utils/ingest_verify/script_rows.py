"""Rows that a SQL file takes away from tables that were there before it, and rows that it adds to them once more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from clickhouse_driver import Client

from . import drift
from .client import query
from .snapshot import text_of
from .statements import Statement, Token

# (database, table), with None for all tables of the database
Target = tuple[str, str | None]
# Here a row of an equal key replaces the earlier one, or an equal block is recognised.
_REPLACING = ("Replacing", "Replicated", "Shared", "Join", "Set", "EmbeddedRocksDB")


@dataclass(frozen=True)
class Held:
    """A table's engine and rows before the script."""

    engine: str
    rows: int


def tables_with_rows(client: Client) -> dict[tuple[str, str], Held]:
    """Every table whose rows the server can count without reading them, and that has some; a view's inner table is
    told by the view."""
    rows = query(
        client,
        "SELECT database, name, engine, total_rows AS held FROM system.tables"
        " WHERE NOT is_temporary AND database != 'system' AND NOT startsWith(name, '.inner') AND held > 0",
    )
    return {(text_of(row["database"]), text_of(row["name"])): Held(row["engine"], row["held"]) for row in rows}


def acts_on_rows(statements: Iterable[Statement]) -> bool:
    """Whether the rows held before matter at all for this script."""
    return any(
        statement.tokens[0].upper in ("DROP", "TRUNCATE", "CREATE", "REPLACE", "INSERT") for statement in statements
    )


def emptied_by(statement: Statement, current_database: str) -> list[Target]:
    """What loses its rows by this statement: a table dropped, truncated or replaced, or a whole database."""
    tokens = statement.tokens
    words = [token.upper for token in tokens[:4]]
    if words[0] == "DROP" and words[1:2] in (["TABLE"], ["VIEW"], ["DATABASE"]):
        return list(_names(tokens, 2, current_database, whole=words[1] == "DATABASE"))
    if words[0] == "TRUNCATE":
        whole = words[1:2] == ["DATABASE"] or words[1:4] == ["ALL", "TABLES", "FROM"]
        start = 4 if words[1:2] == ["ALL"] else 2 if words[1:2] in (["TABLE"], ["DATABASE"]) else 1
        return list(_names(tokens, start, current_database, whole=whole))
    if words[:3] == ["CREATE", "OR", "REPLACE"] or words[:2] == ["REPLACE", "TABLE"]:
        created = drift.created_object(statement, current_database) if words[0] == "CREATE" else None
        if created and created.kind == "TABLE" and not created.temporary:
            return [(created.database, created.name)]
        if words[0] == "REPLACE":
            return list(_names(tokens, 2, current_database, whole=False))
    return []


def _names(tokens: Sequence[Token], start: int, current_database: str, *, whole: bool) -> Iterator[Target]:
    if [token.upper for token in tokens[start : start + 2]] == ["IF", "EXISTS"]:
        start += 2
    while True:
        name, start = drift.qualified_name(tokens, start)
        if name:
            yield (name[-1], None) if whole else (name[0] if len(name) > 1 else current_database, name[-1])
        if not name or start >= len(tokens) or tokens[start].text != ",":
            return
        start += 1


def inserted_into(statement: Statement, current_database: str) -> tuple[str, str] | None:
    """The table that an INSERT writes into; None for another statement or a table function."""
    tokens = statement.tokens
    if tokens[0].upper != "INSERT":
        return None
    start = 2 if tokens[1:2] and tokens[1].upper == "INTO" else 1
    start += tokens[start].upper == "TABLE" if start < len(tokens) else 0
    if start < len(tokens) and tokens[start].upper == "FUNCTION":
        return None
    name, _ = drift.qualified_name(tokens, start)
    return (name[0] if len(name) > 1 else current_database, name[-1]) if name else None


def lists_rows(statement: Statement) -> bool:
    """Whether this is an INSERT ... VALUES: the same rows each time."""
    words = statement.words()
    return words[0] == "INSERT" and "VALUES" in words and "SELECT" not in words


def rows_lost(
    statements: Sequence[Statement], databases: Sequence[str], held: dict[tuple[str, str], Held]
) -> list[tuple[Statement, dict[tuple[str, str], int]]]:
    """Statements that would take rows away for good, each with the tables and how many rows they hold.

    A table that the script itself fills again (lookup data: DROP, CREATE, INSERT) loses nothing, unless it lists fewer
    rows than there are.
    """
    found: list[tuple[Statement, dict[tuple[str, str], int]]] = []
    gone: set[tuple[str, str]] = set()
    for number, (statement, database) in enumerate(zip(statements, databases, strict=True)):
        lost: dict[tuple[str, str], int] = {}
        for target_database, table in emptied_by(statement, database):
            for key, there in held.items():
                hit = key[0] == target_database and table in (None, key[1]) and key not in gone
                if hit and not _filled_again(key, there.rows, number, statements, databases):
                    lost[key] = there.rows
        gone |= lost.keys()
        if lost:
            found.append((statement, lost))
    return found


def _filled_again(
    table: tuple[str, str], rows: int, number: int, statements: Sequence[Statement], databases: Sequence[str]
) -> bool:
    listed = 0
    for statement, database in zip(statements[number:], databases[number:], strict=True):
        if inserted_into(statement, database) == table:
            if not lists_rows(statement):
                return True
            listed += _row_count(statement)
        created = drift.created_object(statement, database)
        if created and (created.database, created.name) == table and _selects(created, statement):
            return True
    return listed >= rows


def _selects(created: drift.Created, statement: Statement) -> bool:
    """Whether what is created holds rows at once."""
    words = statement.words()
    if created.kind == "MATERIALIZED VIEW":
        return "POPULATE" in words
    return created.kind == "TABLE" and "AS" in words and "SELECT" in words[words.index("AS") :]


def _row_count(statement: Statement) -> int:
    start = next(i for i, token in enumerate(statement.tokens) if token.upper == "VALUES" and not token.depth)
    return sum(1 for token in statement.tokens[start:] if token.text == "(" and token.depth == 1)


def rows_repeated(
    statements: Sequence[Statement], databases: Sequence[str], held: dict[tuple[str, str], Held]
) -> list[tuple[Statement, tuple[str, str], Held]]:
    """INSERT ... VALUES into tables that held rows before the script, where an equal row does not replace another."""
    found: list[tuple[Statement, tuple[str, str], Held]] = []
    emptied: set[Target] = set()
    for statement, database in zip(statements, databases, strict=True):
        emptied.update(emptied_by(statement, database))
        table = inserted_into(statement, database)
        if table is None or not lists_rows(statement) or table in emptied or (table[0], None) in emptied:
            continue
        there = held.get(table)
        if there and not there.engine.startswith(_REPLACING):
            found.append((statement, table, there))
    return found
