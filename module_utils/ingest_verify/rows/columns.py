"""Columns that a run filled otherwise than the rows before it: no value, no number, one value, fields that are missing
at the rows' ends.

A field that a format names and the table does not have is dropped without a word, a short CSV line is filled up, an
empty field becomes 0, a text that is no number becomes NaN: none of it is in any log, but the rows show it. Which rows
are the run's is told by the parts that they lie in, so no column has to say it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..client import identifier, quote_string, quote_table
from .log import Read

_PLAIN = re.compile(r"(U?Int|B?Float|Decimal|String|FixedString|Date|UUID|IPv)")
_COLUMNS, _PARTS = 200, 500
# Rows looked at: all of a usual run, and enough of those before it for a share.
_OF_RUN, _EARLIER = 1_000_000, 20_000
# Fewer rows prove nothing of a share, or of a value that never was there.
LEAST, MANY = 10, 100
_MOSTLY, _HARDLY, _SOME = 0.5, 0.05, 0.01
# With no such row among n, its share was below 3/n (95 %). Five times that is no accident.
_RARE = 15
# A column of fewer values is a flag or a kind: a value that is new there proves nothing.
_VALUES = 10


@dataclass(frozen=True)
class Odd:
    """One column's shares (0 to 1) of rows without a value in the run and before it (None: no rows before), and its
    rows that are no number; `rows` are the run's, `earlier` those before that were looked at. `values` are the
    different values before (at most 11), `constant` is the one value of all the run's rows."""

    name: str
    rows: int
    empty: float
    before: float | None
    nan: int = 0
    nan_before: int = 0
    earlier: int = 0
    values: int = 0
    constant: str | None = None

    @property
    def emptied(self) -> bool:
        """Whether the rows before say that the column should have values."""
        return self.before is not None and self.empty >= _MOSTLY and self.before <= _HARDLY

    @property
    def unproven(self) -> bool:
        """Without a value in any row, and no rows from before that could say whether that is right."""
        return self.before is None and self.empty == 1

    @property
    def new_gaps(self) -> bool:
        """Rows without a value in a column of many values that always had one."""
        return (
            not self.emptied
            and self.earlier >= MANY
            and self.before == 0
            and self.values > _VALUES
            and self.empty * self.rows >= 3
            and self.empty >= max(_SOME, _RARE / self.earlier)
        )


@dataclass(frozen=True)
class Tail:
    """Rows of the run in which the last columns, `names`, have no value together; `earlier` are the rows before, none
    of which was so."""

    names: tuple[str, ...]
    count: int
    rows: int
    earlier: int


@dataclass
class Seen:
    """What the run's rows show; `renames` are statements that gave a column another name, as (old, new, statement)."""

    columns: list[Odd] = field(default_factory=list)
    tail: Tail | None = None
    renames: list[tuple[str, str, str]] = field(default_factory=list)

    def renamed(self, column: str) -> tuple[str, str] | None:
        """The column's former name, and the statement that changed it."""
        return next(((old, said) for old, new, said in self.renames if new == column), None)


def read_columns(read: Read, database: str, table: str, parts: list[str]) -> Seen:
    """What is odd about the columns in the run's parts; nothing where too little is known."""
    if not parts or len(parts) > _PARTS:
        return Seen()
    columns = [
        (row["name"], _bare(row["type"]))
        for row in read(
            f"SELECT name, type FROM system.columns WHERE database = {quote_string(database)} "
            f"AND table = {quote_string(table)} AND default_kind = '' ORDER BY position LIMIT {_COLUMNS}"
        )
    ]
    columns = [(name, kind) for name, kind in columns if _PLAIN.match(kind)]
    if not columns:
        return Seen()
    named = ", ".join(map(quote_string, parts))
    mine = _shares(read, database, table, columns, f"_part IN ({named})", _OF_RUN)
    rows = int(mine["n"])
    if rows < LEAST:
        return Seen()
    # A value that no earlier row has is new, a version or a day: only one that is known can be one too many.
    wanted = {
        index: str(mine[f"v{index}"])
        for index, (_, kind) in enumerate(columns)
        if int(mine[f"u{index}"]) == 1 and not int(mine[f"e{index}"]) and not re.match(r"Date|UUID", kind)
    }
    before = _shares(read, database, table, columns, f"_part NOT IN ({named})", _EARLIER, wanted)
    earlier = int(before["n"])
    found = [
        Odd(
            name,
            rows,
            int(mine[f"e{index}"]) / rows,
            int(before[f"e{index}"]) / earlier if earlier >= LEAST else None,
            int(mine[f"x{index}"]),
            int(before[f"x{index}"]),
            earlier,
            int(before[f"u{index}"]),
            wanted[index]
            if index in wanted and earlier >= MANY and int(before[f"u{index}"]) > _VALUES and int(before[f"k{index}"])
            else None,
        )
        for index, (name, _) in enumerate(columns)
    ]
    odd = [c for c in found if c.emptied or c.unproven or c.new_gaps or c.nan or c.constant is not None]
    renames = _renames(read, database, table) if any(c.emptied or c.unproven for c in odd) else []
    return Seen(odd, _tail([name for name, _ in columns], mine, before), renames)


def _shares(
    read: Read,
    database: str,
    table: str,
    columns: list[tuple[str, str]],
    where: str,
    limit: int,
    values: Mapping[int, str] | None = None,
) -> Mapping[str, Any]:
    """Per column: rows without a value (e), no number (x), different values (u), one of them (v), rows with the given
    value (k). `tails` counts the rows by how many of their last columns have no value."""
    wanted, empty = [], []
    for index, (name, kind) in enumerate(columns):
        column = identifier(name)
        default = f"assumeNotNull({column}) = defaultValueOfTypeName({quote_string(kind)})"
        empty.append(f"(isNull({column}) OR {default})")
        wanted.append(f"countIf({empty[-1]}) AS e{index}")
        wanted.append(f"countIf(isNaN({column})) AS x{index}" if "Float" in kind else f"0 AS x{index}")
        wanted.append(f"uniqUpTo({_VALUES})({column}) AS u{index}")
        wanted.append(f"toString(any({column})) AS v{index}")
        if values and index in values:
            wanted.append(f"countIf(toString({column}) = {quote_string(values[index])}) AS k{index}")
    # One past the end where no column has a value.
    length = f"indexOf([{', '.join(reversed(empty))}, 0], 0) - 1"
    names = ", ".join(identifier(name) for name, _ in columns)
    return read(
        f"SELECT count() AS n, {', '.join(wanted)}, sumMap([toUInt16({length})], [toUInt64(1)]) AS tails "
        f"FROM (SELECT {names} FROM {quote_table(database, table)} WHERE {where} LIMIT {limit})"
    )[0]


def _tail(names: list[str], mine: Mapping[str, Any], before: Mapping[str, Any]) -> Tail | None:
    """The last columns that have no value together in some of the run's rows, though none of the rows before was so."""

    def lengths(row: Mapping[str, Any]) -> dict[int, int]:
        keys, counts = row["tails"]
        return {int(key): int(count) for key, count in zip(keys, counts, strict=True) if int(key)}

    short, earlier = lengths(mine), int(before["n"])
    if not short or lengths(before) or sum(short.values()) >= _MOSTLY * int(mine["n"]):
        return None
    return Tail(tuple(names[-min(short) :]), sum(short.values()), int(mine["n"]), earlier)


def _renames(read: Read, database: str, table: str) -> list[tuple[str, str, str]]:
    """Columns of the table that got another name, as far back as the log goes, the last first."""
    rows = read(
        "SELECT substring(query, 1, 300) AS sql, user, formatDateTime(event_time, '%F %T', 'UTC') AS at "
        "FROM system.query_log WHERE type = 'QueryFinish' AND query_kind IN ('Alter', 'Rename') "
        f"AND hasAny(arrayMap(name -> replaceAll(name, '`', ''), tables), [{quote_string(f'{database}.{table}')}]) "
        "AND positionCaseInsensitive(query, 'RENAME COLUMN') > 0 ORDER BY event_time_microseconds DESC LIMIT 20"
    )
    return [
        (old.strip('`"'), new.strip('`"'), f"user {row['user']} renamed {old} to {new} at {row['at']} UTC")
        for row in rows
        for old, new in re.findall(r"RENAME\s+COLUMN\s+(?:IF\s+EXISTS\s+)?(\S+)\s+TO\s+([^\s,;]+)", row["sql"], re.I)
    ]


def _bare(kind: str) -> str:
    while wrapped := re.fullmatch(r"(?:LowCardinality|Nullable)\((.*)\)", kind):
        kind = wrapped[1]
    return kind
