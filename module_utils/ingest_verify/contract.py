"""A declared contract of tables and columns held against the live catalog, in one query."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from clickhouse_driver import Client

from .client import query, quote_identifier, quote_table
from .findings import Finding
from .snapshot import text_of

# One row per column; a table without visible columns still gives a row, with an empty column name.
_SQL = """
SELECT t.database AS database, t.name AS table, t.engine AS engine, t.sorting_key AS key, c.name AS column,
  c.type AS type
FROM system.tables AS t
LEFT JOIN system.columns AS c ON c.database = t.database AND c.table = t.name
WHERE t.database IN %(databases)s
ORDER BY t.database, t.name, c.position
"""
_TIME_ZONE = re.compile(r"(DateTime(?:64\(\d+)?)(?:\(|,)'[^']*'\)")


class ContractError(ValueError):
    """The declaration itself is wrong; the text says where and what is allowed."""


def parse_contract(declared: Any) -> dict[str, dict[str, Any]]:
    """The contract with each column's types as a list; raises ContractError with the place of a wrong declaration.

    `declared` maps a table or view (`table`, or `database.table` where it lies in another one) to `columns` (name to a
    type, to a list of types of which each will do, or to `any`) and optionally `engine` and `key` (the sorting key as
    `system.tables` shows it).
    """
    if not isinstance(declared, Mapping):
        raise ContractError("The contract is expected to map table names to their columns.")
    contract: dict[str, dict[str, Any]] = {}
    for table, body in declared.items():
        if not isinstance(body, Mapping) or set(body) - {"columns", "engine", "key"}:
            raise ContractError(f"{table}: expected a mapping with columns, and optionally engine and key.")
        columns = body.get("columns")
        if not isinstance(columns, Mapping) or not columns:
            raise ContractError(f"{table}.columns: expected a mapping of column names to types.")
        types = {name: [kind] if isinstance(kind, str) else kind for name, kind in columns.items()}
        for name, kinds in types.items():
            if not isinstance(kinds, list) or not kinds or not all(isinstance(kind, str) for kind in kinds):
                raise ContractError(f"{table}.columns.{name}: expected a type, or a list of types.")
        contract[str(table)] = {**body, "columns": types}
    return contract


def check_contract(
    client: Client, database: str, contract: Mapping[str, Mapping[str, Any]], stage: str
) -> list[Finding]:
    """An error for each table that is missing and for each column that is missing or of a type not agreed upon.

    `contract` as from `parse_contract`. A type without a time zone accepts the same type with one.
    """
    places = {name: _place(database, name) for name in contract}
    tables: dict[tuple[str, str], dict[str, Any]] = {}
    for row in query(client, _SQL, {"databases": tuple({place[0] for place in places.values()} or {database})}):
        table = tables.setdefault(
            (text_of(row["database"]), text_of(row["table"])),
            {"engine": text_of(row["engine"]), "key": text_of(row["key"]), "columns": {}},
        )
        if row["column"]:
            table["columns"][text_of(row["column"])] = text_of(row["type"])
    findings: list[Finding] = []
    for name, wanted in contract.items():
        where = places[name]
        if where not in tables:
            known = sorted(table for holder, table in tables if holder == where[0])
            findings.append(_missing_table(*where, known, stage))
        else:
            findings += _check_table(*where, wanted, tables[where], stage)
    return findings


def _place(database: str, name: str) -> tuple[str, str]:
    holder, _, table = name.rpartition(".")
    return holder or database, table


def _check_table(
    database: str, table: str, wanted: Mapping[str, Any], found: Mapping[str, Any], stage: str
) -> list[Finding]:
    findings: list[Finding] = []
    columns: Mapping[str, str] = found["columns"]
    is_view = "View" in found["engine"]
    previous: str | None = None
    for column, kinds in wanted["columns"].items():
        where = f"{database}.{table}.{column}"
        change = f"{quote_identifier(column)} {kinds[-1]}"
        if column not in columns:
            place = f" AFTER {quote_identifier(previous)}" if previous else ""
            nearest = difflib.get_close_matches(
                column, [name for name in columns if name not in wanted["columns"]], n=1
            )
            findings.append(
                Finding(
                    stage=stage,
                    severity="error",
                    cause="server_missing_column",
                    headline=f"Column {column} is missing in {database}.{table}"
                    + (f"; its nearest name there is {nearest[0]}." if nearest else "."),
                    object=where,
                    expected=" or ".join(kinds),
                    actual="no such column",
                    next_step=_view_step(database, table)
                    if is_view
                    else f"ALTER TABLE {quote_table(database, table)} ADD COLUMN {change}{place};",
                    fix_side="server",
                )
            )
            continue
        previous = column
        if not any(same_type(columns[column], kind) for kind in kinds):
            findings.append(
                Finding(
                    stage=stage,
                    severity="error",
                    cause="server_type_mismatch",
                    headline=f"Column {column} of {database}.{table} is {columns[column]}, not {' or '.join(kinds)}.",
                    object=where,
                    expected=" or ".join(kinds),
                    actual=columns[column],
                    next_step=_view_step(database, table)
                    if is_view
                    else f"ALTER TABLE {quote_table(database, table)} MODIFY COLUMN {change};",
                    fix_side="server",
                )
            )
    return findings + _check_storage(database, table, wanted, found, stage)


def _check_storage(
    database: str, table: str, wanted: Mapping[str, Any], found: Mapping[str, Any], stage: str
) -> list[Finding]:
    """Engine and key decide whether a repeated row replaces the earlier one, so another one is an error."""
    findings = []
    plain_engine = re.sub("^(Replicated|Shared)", "", found["engine"])
    for part, actual in (("engine", plain_engine), ("key", found["key"])):
        expected = wanted.get(part)
        if expected and _squeezed(expected) != _squeezed(actual):
            findings.append(
                Finding(
                    stage=stage,
                    severity="error",
                    cause="server_wrong_engine" if part == "engine" else "server_wrong_key",
                    headline=f"The {'engine' if part == 'engine' else 'sorting key'} of {database}.{table} is"
                    f" {actual or 'empty'}, not {expected}.",
                    object=f"{database}.{table}",
                    expected=expected,
                    actual=actual or "empty",
                    next_step=f"Create a new table from the schema file, INSERT INTO it SELECT * FROM"
                    f" {quote_table(database, table)}, then EXCHANGE TABLES.",
                    fix_side="server",
                )
            )
    return findings


def _missing_table(database: str, table: str, known: list[str], stage: str) -> Finding:
    nearest = difflib.get_close_matches(table, known, n=1)
    hint = (
        f"; its nearest name there is {nearest[0]}" if nearest else "" if known else "; the database is empty or absent"
    )
    return Finding(
        stage=stage,
        severity="error",
        cause="server_missing_table",
        headline=f"Table {database}.{table} is missing{hint}.",
        object=f"{database}.{table}",
        expected=f"a table {table} in database {database}",
        actual=f"tables there: {', '.join(known) or 'none'}",
        next_step="Add its CREATE TABLE to the schema file, or name the right file and database.",
        fix_side="schema",
    )


def _view_step(database: str, table: str) -> str:
    return f"Correct the SELECT of {database}.{table} in the schema file and write CREATE OR REPLACE VIEW there."


def _squeezed(text: str) -> str:
    return re.sub(r"[\s()`]", "", text)


def same_type(actual: str, expected: str) -> bool:
    """Whether a column's type is the expected one (`any` takes every type); spaces do not count, nor does a time zone
    that the expected one omits."""
    actual, expected = re.sub(r"\s", "", actual), re.sub(r"\s", "", expected)
    return expected in ("any", actual, _TIME_ZONE.sub(lambda m: m[1] + (")" if "64(" in m[1] else ""), actual))
