"""Columns that a run left empty: NULL or the type's default in its rows, where the rows before it have values.

A field that a format names and the table does not have is dropped without a word, a short CSV line is filled up, a text
that is no number becomes NaN: none of it is in any log, but the rows show it. Which rows are the run's is told by the
parts that they lie in, so no column has to say it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..client import identifier, quote_string, quote_table
from .log import Read

_PLAIN = re.compile(r"(U?Int|B?Float|Decimal|String|FixedString|Date|UUID|IPv)")
_COLUMNS, _PARTS = 200, 500
# Rows looked at: all of a usual run, and enough of those before it for a share.
_OF_RUN, _EARLIER = 1_000_000, 20_000
# Fewer rows prove nothing of a share.
_LEAST = 10
_MOSTLY, _HARDLY = 0.5, 0.05


@dataclass(frozen=True)
class Emptied:
    """One column's shares (0 to 1) of rows without a value in the run and before it (None: no rows before), and its
    rows that are no number; `rows` are the run's."""

    name: str
    rows: int
    empty: float
    before: float | None
    nan: int = 0
    nan_before: int = 0

    @property
    def speaks(self) -> bool:
        """Whether the rows before say that the column should have values."""
        return self.before is not None and self.empty >= _MOSTLY and self.before <= _HARDLY


def read_emptied(read: Read, database: str, table: str, parts: list[str]) -> list[Emptied]:
    """Columns of the run's parts that are empty or no number in many rows; none where too little is known."""
    if not parts or len(parts) > _PARTS:
        return []
    columns = [
        (row["name"], _bare(row["type"]))
        for row in read(
            f"SELECT name, type FROM system.columns WHERE database = {quote_string(database)} "
            f"AND table = {quote_string(table)} AND default_kind = '' ORDER BY position LIMIT {_COLUMNS}"
        )
    ]
    columns = [(name, kind) for name, kind in columns if _PLAIN.match(kind)]
    if not columns:
        return []
    named = ", ".join(map(quote_string, parts))
    mine = _shares(read, database, table, columns, f"_part IN ({named})", _OF_RUN)
    if int(mine["n"]) < _LEAST:
        return []
    earlier = _shares(read, database, table, columns, f"_part NOT IN ({named})", _EARLIER)
    known = int(earlier["n"]) >= _LEAST
    found = [
        Emptied(
            name,
            int(mine["n"]),
            int(mine[f"e{index}"]) / int(mine["n"]),
            int(earlier[f"e{index}"]) / int(earlier["n"]) if known else None,
            int(mine[f"x{index}"]),
            int(earlier[f"x{index}"]),
        )
        for index, (name, _) in enumerate(columns)
    ]
    return [column for column in found if column.speaks or column.nan or (column.before is None and column.empty == 1)]


def _shares(
    read: Read, database: str, table: str, columns: list[tuple[str, str]], where: str, limit: int
) -> Mapping[str, Any]:
    wanted = []
    for index, (name, kind) in enumerate(columns):
        column = identifier(name)
        default = f"assumeNotNull({column}) = defaultValueOfTypeName({quote_string(kind)})"
        wanted.append(f"countIf(isNull({column}) OR {default}) AS e{index}")
        wanted.append(f"countIf(isNaN({column})) AS x{index}" if "Float" in kind else f"0 AS x{index}")
    names = ", ".join(identifier(name) for name, _ in columns)
    return read(
        f"SELECT count() AS n, {', '.join(wanted)} "
        f"FROM (SELECT {names} FROM {quote_table(database, table)} WHERE {where} LIMIT {limit})"
    )[0]


def _bare(kind: str) -> str:
    while wrapped := re.fullmatch(r"(?:LowCardinality|Nullable)\((.*)\)", kind):
        kind = wrapped[1]
    return kind
