"""Columns that a table does not have, that the server computes itself, or of which there are too many or too few."""

from __future__ import annotations

import re

from ...causes import Decision
from ...clickhouse.error_codes import name_of
from ...client import quote_identifier, quote_table
from ...facts.catalog import Catalog, nearest
from ...sql_text import source_tables
from .refusal import QUOTED, Refusal, what_of


def _tables_of(refusal: Refusal) -> list[tuple[str | None, str]]:
    target = refusal.target
    tables: list[tuple[str | None, str]] = []
    if target.table and target.verb != "SELECT":
        tables.append((target.database, target.table))
    tables.extend(table for table in source_tables(refusal.sql, refusal.current_database) if table not in tables)
    for name in refusal.tables:
        database, _, table = name.partition(".")
        if table and (database, table) not in tables and not database.startswith("_") and database != "system":
            tables.append((database, table))
    return tables


# The SELECT whose names the server looked up: the statement's own, one within it, or a view's that it reads.
_SCOPE = re.compile(r"[Ii]n scope (.+)|while processing query: '(.+)'", re.DOTALL)
_RESOLVED_FROM = re.compile(r"cannot be resolved from table with name ([\w.`]+)(?: \(an alias of ([\w.`]+)\))?")


def _looked_up_in(refusal: Refusal, catalog: Catalog) -> list[tuple[str | None, str]]:
    """The tables that a name was looked up in, the likeliest first; the statement's target where it only reads."""
    if name_of(refusal.code) not in ("NOT_FOUND_COLUMN_IN_BLOCK", "UNKNOWN_IDENTIFIER"):
        return _tables_of(refusal)
    if found := _RESOLVED_FROM.search(refusal.text):
        database, _, table = (found[2] or found[1]).replace("`", "").rstrip(".").rpartition(".")
        return [(database or refusal.current_database or None, table)]
    scope = _SCOPE.search(refusal.text)
    sources = source_tables(next(filter(None, scope.groups())), refusal.current_database) if scope else []
    sources = [table for table in sources if catalog.columns(*table)]
    if sources or refusal.target.verb not in ("INSERT", "CREATE"):
        return sources or _tables_of(refusal)
    return source_tables(refusal.sql, refusal.current_database)


def within_values(text: str) -> bool:
    """Whether the server was reading the rows of a VALUES clause."""
    return re.search(r"[Ww]hile executing \w*Values", text) is not None


def unknown_field(refusal: Refusal, catalog: Catalog) -> Decision | None:
    """A row with a field that the table has no column for."""
    return missing_column(refusal, catalog) if re.search(r"[Uu]nknown field found", refusal.text) else None


_TOLD_TABLE = re.compile(r"\b(?:in|from|of) table [`'\"]?([\w$]+)[`'\"]?\.[`'\"]?([\w$]+)")


def missing_column(refusal: Refusal, catalog: Catalog) -> Decision | None:
    """A name that is no column where the server looked for it; None when the text names none."""
    # A word in VALUES is no column's name, and a schema statement that names one is wrong in itself.
    if within_values(refusal.text) or (
        refusal.target.verb == "CREATE" and name_of(refusal.code) == "NO_SUCH_COLUMN_IN_TABLE"
    ):
        return None
    tables = _looked_up_in(refusal, catalog)
    if not tables and (told := _TOLD_TABLE.search(refusal.text)):
        # The statement is not known; the server's sentence names the table.
        tables = [(told[1], told[2])]
    target = refusal.target
    known_of = {table: catalog.columns(*table) for table in tables}
    column, table = None, tables[0] if tables else None
    if target.verb == "INSERT" and target.columns and table == (target.database, target.table):
        column = next((name for name in target.columns if known_of[table] and name not in known_of[table]), None)
        computed = catalog.computed(*table)
        if filled := next((name for name in target.columns if name in computed), None):
            return _computed_column(refusal, filled, computed[filled])
    if column is None:
        every = {name for columns in known_of.values() for name in columns}
        column = next((name for name in _column_names_in(refusal.text) if name not in every), None)
        # Of several tables the one that has a name like it.
        table = next((one for one in tables if column and nearest(column.rpartition(".")[2], known_of[one])), table)
    if column is None or table is None:
        return None
    if "." in column and column.rpartition(".")[2]:
        column = column.rpartition(".")[2]
    database, name = table
    known = known_of.get((database, name), {})
    # A name that the statement uses as well cannot be what it meant.
    near = nearest(column, [name for name in known if name not in (target.columns or ())])
    elsewhere = catalog.column_elsewhere(database, column, name)
    kind = elsewhere[1] if elsewhere else "<type>"
    where = f"{database}.{name}" if database else name
    sql_name = quote_table(database, name) if database else quote_identifier(name)
    add = f"ALTER TABLE {sql_name} ADD COLUMN {quote_identifier(column)} {kind};"
    actual = f"{where} has no column {column}"
    if near:
        actual += f"; the nearest existing name is {near} {known[near]}"
    elif known:
        actual += f"; it has {', '.join(known)}"
    step = f"If the table is behind: {add}"
    if elsewhere:
        step += f" -- type as in {elsewhere[0]}"
    if near and near.lower() == column.lower():
        # Another column of that name is nobody's wish.
        step = f"ClickHouse tells capitals from small letters in names: let the ingest send {quote_identifier(near)}."
    elif near:
        step += f"\nIf the ingest is wrong: it should send {quote_identifier(near)}."
    if (
        name_of(refusal.code) == "UNKNOWN_IDENTIFIER"
        and target.verb in ("INSERT", "SELECT")
        and table not in source_tables(refusal.sql, refusal.current_database)
    ):
        step += "\nThe statement does not name that table: a view that it reads does, and may have to be made anew."
    if re.search(r"(?i)\bto (?:drop|clear|rename|modify|comment)\b", refusal.text):
        step = f"Write COLUMN IF EXISTS {quote_identifier(column)} in the ingest's ALTER."
    return Decision(
        "server_missing_column",
        f"Column {column} is missing in {where}: the server refused {what_of(target)}."
        + (f" Is {near} meant?" if near else ""),
        object=f"{where}.{column}",
        expected=f"column {column} in {where}",
        actual=actual,
        next_step=step,
        fix_side="schema",
    )


def _computed_column(refusal: Refusal, column: str, kind: str) -> Decision:
    name = refusal.target.name
    return Decision(
        "server_computed_column",
        f"Column {column} of {name} is {kind}: the server computes it and takes no value for it.",
        object=f"{name}.{column}",
        expected=f"an INSERT without {column}",
        actual=f"{column} among the columns of the INSERT",
        next_step=f"Leave {quote_identifier(column)} out of the INSERT's columns and values. If the ingest has to fill "
        f"it: ALTER TABLE {name} MODIFY COLUMN {quote_identifier(column)} <type> DEFAULT <expression>;",
        fix_side="loader",
    )


def _column_names_in(text: str) -> list[str]:
    names = []
    for pattern in (
        r"[Nn]o such column\s+[`'\"]?([^\s`'\",]+)",
        r"[Uu]nknown field found[^:]*:\s*[`'\"]?([^\s`'\",)]+)",
        r"identifier[s]?:?\s+[`'\"]([^`'\"]+)[`'\"]",
        r"Missing columns:\s+[`'\"]([^`'\"]+)[`'\"]",
        r"[Cc]olumn\s+[`'\"]([^`'\"]+)[`'\"]",
        r"[Cc]olumn\s+([\w.]+)\s+(?:is not|not found|does not|in table)",
    ):
        names.extend(re.findall(pattern, text))
    head = text.partition("in scope")[0].partition("In scope")[0]
    names.extend(QUOTED.findall(head))
    return [name.strip("`'\" .:") for name in names]


def column_count(refusal: Refusal, catalog: Catalog) -> Decision | None:
    """Rows with more or fewer values than the INSERT has columns."""
    target = refusal.target
    if target.verb != "INSERT":
        return None
    columns = catalog.columns(target.database, target.table)
    counts = re.search(r"source:\s*(\d+) and result:\s*(\d+)", refusal.text)
    listed = list(target.columns) if target.columns else list(columns)
    wanted = int(counts.group(2)) if counts else len(listed)
    actual = f"{counts.group(1)} values per row" if counts else refusal.brief
    names = ", ".join(f"{name} {columns.get(name, '')}".strip() for name in listed)
    separated = not counts and re.search(r"(?i)\bFORMAT\s+C(?:SV|ustom)", refusal.sql)
    more = re.search(r"[Ee]xpected end of line|more columns than expected", refusal.text)
    hint = (
        "\nA value that holds the delimiter stands in quotes. A decimal sign that is a comma is such a value: write a "
        "point."
        if more
        else "\nA CSV with another delimiter reads as one column: SETTINGS format_csv_delimiter = ';'."
    )
    return Decision(
        "server_column_count",
        f"Number or order of columns does not match {target.name}: "
        + (
            f"{counts.group(1)} sent, {counts.group(2)} expected."
            if counts
            else f"a row has more values than the {len(listed)} columns."
            if more and listed
            else "the server refused the rows."
        ),
        object=target.name,
        expected=f"{wanted} values per row, in this order: {names}" if listed else None,
        actual=actual,
        next_step="Name the columns in the statement, in the order of the values: "
        f"INSERT INTO {target.name} ({', '.join(quote_identifier(name) for name in listed) or '...'}) ..."
        + (hint if separated else ""),
        fix_side="loader",
    )
