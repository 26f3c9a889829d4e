"""Tables and databases that do not exist: which one, what is nearest to its name, who has to create or correct it."""

from __future__ import annotations

import re

from ...causes import Decision
from ...client import quote_identifier
from ...facts.catalog import Catalog, nearest
from ...sql_text import source_tables
from .refusal import Refusal, what_of

_DICTIONARY = re.compile(r"dict(?:Get|Has)\w*\('([^']+)'")
_NAME = r"`(?:[^`\\]|\\.)+`|\"[^\"]+\"|[^\s`'\",().]+"


def _named_tables(refusal: Refusal) -> list[tuple[str | None, str]]:
    named: list[tuple[str | None, str]] = []
    text = refusal.text
    # The bare form ("Table a.b does not exist") has no quotes; every version has one of the two.
    for match in re.finditer(rf"(?:[Tt]able|identifier)\s+'?({_NAME})(?:\.({_NAME}))?", text):
        first, second = (part and part.strip('`"').rstrip(".") for part in match.groups())
        if second is None and first.lower() in ("expression", "identifier", "function", "engine", "in"):
            continue
        if second is None and "." in first:
            first, _, second = first.partition(".")
        named.append((first, second) if second else (refusal.current_database or None, first))
    target = refusal.target
    if target.table and target.verb != "CREATE":
        named.append((target.database, target.table))
    named.extend(source_tables(refusal.sql, refusal.current_database))
    return named


def _table_missing_to(refusal: Refusal, catalog: Catalog) -> tuple[str | None, str]:
    named = _named_tables(refusal)
    return next(((d, t) for d, t in named if not catalog.has_table(d, t)), named[0] if named else (None, "?"))


def _is_missing_database(database: str | None, catalog: Catalog) -> bool:
    # A reader that sees no database at all sees too little to say that this one is missing.
    return bool(database and catalog.databases and database not in catalog.databases)


def _names_itself(refusal: Refusal) -> set[str | None]:
    return {name for _, name in source_tables(refusal.sql)} | {refusal.target.table}


def view_behind(refusal: Refusal, catalog: Catalog) -> str | None:
    """The view that reads or writes a missing table which the INSERT itself does not name, None where there is none."""
    if refusal.kind != "missing_table" or refusal.target.verb != "INSERT":
        return None
    database, table = _table_missing_to(refusal, catalog)
    if _is_missing_database(database, catalog) or table in _names_itself(refusal):
        return None
    return catalog.view_using(table, refusal.target)


def missing_table(refusal: Refusal, catalog: Catalog) -> Decision:
    """A table that does not exist, or did not when the statement was sent."""
    database, table = _table_missing_to(refusal, catalog)
    name = f"{database}.{table}" if database else table
    if database and _is_missing_database(database, catalog):
        return _database_cause(refusal, catalog, database)
    # What the server looked for within a dictionary is named by neither the statement nor a view.
    dictionary = _DICTIONARY.search(refusal.text) if table not in _names_itself(refusal) else None
    near = None if dictionary else catalog.nearest_table(database, table)
    # The view that looks for it is not what it looks for.
    near = None if near == refusal.view else near
    exists_now = catalog.has_table(database, table)
    actual = f"{name} does not exist"
    if exists_now:
        actual = f"{name} did not exist when the statement was sent; it does now"
    elif near:
        actual += f"; the nearest existing name is {near}"
    user = "view" if refusal.view else "ingest"
    step = f"SHOW TABLES FROM {quote_identifier(database)};" if database else "SHOW TABLES;"
    side = "schema"
    # Sent without a database, on a connection to one that is not the table's.
    astray = (
        near
        and not near.startswith(f"{database}.")
        and database == refusal.current_database
        and table in _names_itself(refusal)
    )
    if table in refusal.temporary:
        actual = f"{table} was made as a temporary table, which lives in the session that made it, and not in this one"
        action = (
            "Send both statements in one session: the same connection over the native protocol, the same session_id "
            "over HTTP; or use a plain table and drop it afterwards."
        )
        near, side = None, "loader"
    elif refusal.target.verb == "DROP":
        action, side = f"Write DROP {refusal.target.kind} IF EXISTS in the ingest. To look: {step}", "loader"
    else:
        action = f"Create it, then run the ingest again. To look: {step}"
    return Decision(
        "server_missing_table",
        f"Table {name} does not exist: the server refused {what_of(refusal.target)}."
        + (f" Dictionary {dictionary[1]}, which the statement reads, loads from it." if dictionary else "")
        + (f" Is {near} meant?" if near and not exists_now else ""),
        object=name,
        expected=f"table {name}",
        actual=actual,
        next_step=action
        + (f" If {near} is meant, correct the name in the {user}." if near and not exists_now else "")
        + (f" The ingest's connection is to database {database}: correct that in its settings." if astray else ""),
        fix_side=side,
    )


def missing_database(refusal: Refusal, catalog: Catalog) -> Decision:
    """A database that does not exist: named by the statement, or the one that the connection is to."""
    known = set(catalog.databases)
    target = refusal.target
    named = [
        found.group(1)
        for found in re.finditer(r"[Dd]atabase\s+[`'\"]?([^\s`'\",()]+?)[`'\"]?(?:[\s.,]|$)", refusal.text)
    ]
    candidates = [
        *named,
        *([target.database] if target.database else []),
        *([refusal.current_database] if refusal.current_database else []),
    ]
    database = next((name for name in candidates if name not in known), candidates[0] if candidates else "?")
    return _database_cause(refusal, catalog, database)


# What a program prints where a variable has no value.
_UNSET = ("null", "none", "undefined", "nil", "nan")


def _database_cause(refusal: Refusal, catalog: Catalog, database: str) -> Decision:
    if database.lower() in _UNSET:
        return Decision(
            "server_missing_database",
            f"Database {database} does not exist: the server refused {what_of(refusal.target)}. {database} is how a"
            " program writes a value that is not set.",
            object=database,
            expected="the name of a database",
            actual=f"the ingest sent {database} for the database's name",
            next_step="Set the database's name in the ingest's settings, and look that the ingest reads it from there.",
            fix_side="configuration",
        )
    table = refusal.target.table
    with_table = sorted({owner for owner, name in catalog.tables if name == table}) if table else []
    near = nearest(database, catalog.databases) or (with_table[0] if with_table else None)
    actual = f"database {database} does not exist"
    if with_table:
        actual += f"; a table {table} exists in {', '.join(with_table)}"
    elif near:
        actual += f"; the nearest existing name is {near}"
    return Decision(
        "server_missing_database",
        f"Database {database} does not exist: the server refused {what_of(refusal.target)}."
        + (f" Is {near} meant?" if near else ""),
        object=database,
        expected=f"database {database}",
        actual=actual,
        next_step=(
            f"Correct the database name in the ingest's settings to {near}, or create it: " if near else "Create it: "
        )
        + f"CREATE DATABASE {quote_identifier(database)};",
        fix_side="configuration" if near else "schema",
    )
