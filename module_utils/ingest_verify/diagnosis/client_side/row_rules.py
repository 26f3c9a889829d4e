"""Rows that the driver refused before it sent them: a value that the column does not take, too many or too few."""

from __future__ import annotations

import re

from ...facts.log.errors import ClientError
from ..enumeration import with_element
from .context import API, INGEST, SCHEMA, Context, Judged, origin, place, side_of

_SERIALIZATION = (
    re.compile(
        r"\((?P<column>\w+) (?P<type>[A-Z][\w]*(?:\([^()]*(?:\([^()]*\))*[^()]*\))?)\)[: ]+"
        r"(?P<why>converting (?P<got>\S+) to [^\"\n]*)"
    ),
    # clickhouse-go by column, which names no column.
    re.compile(r"clickhouse \[\w+\]: (?P<why>converting (?P<got>\S+) to (?P<type>[A-Z]\w*)[^\"\n]*)"),
    re.compile(
        r"Error serializing column [`'\"](?P<column>[^`'\"]+)[`'\"] into data type "
        r"(?P<quote>[`'\"])(?P<type>.+?)(?P=quote)(?!\w)"
    ),
    re.compile(r"Type mismatch in VALUES section.*?Column (?P<column>[\w.]+): (?P<why>.*)"),
    re.compile(
        r"Unable to create (?:native|Python) array(?: for(?: source)? column [`'\"](?P<column>[^`'\"]+)[`'\"])?"
    ),
    # Kafka Connect's sink, the native JDBC driver, R.
    re.compile(
        r"(?P<why>column name \[(?P<column>\w+)\] type \[(?P<type>\w+)\] is not matching data column type "
        r"\[(?P<got>\w+)\])"
    ),
    re.compile(r"(?P<why>type\[(?P<type>\w+)\] doesn't support null value)"),
    re.compile(r"(?P<why>cannot write unsupported type: \w+)"),
    re.compile(r"Invalid None value in non-Nullable column(?:, column name: `(?P<column>[^`]+)`)?"),
    re.compile(
        r"(?P<why>argument out of range|required argument is not an integer|'[bBhHiIlLqQfd]' format requires [^\n]*"
        r"|u?byte format requires[^\n]*|int too large to convert|TooLargeStringSize|Type mismatch in VALUES section)"
    ),
    re.compile(
        r"(?P<why>'(?P<got>\w+)' object has no attribute '(?P<attribute>encode|timestamp|tzinfo|utcoffset|toordinal)')"
    ),
)
# What breaks while a column is written says nothing of the value.
_OF_A_CONNECTION = re.compile(r"OSError|EOFError|[Tt]imeout|Connection|BrokenPipe|SSLError|NetworkError")
_WRITES_A_COLUMN = re.compile(
    r"clickhouse_driver/(?:columns|block\.py|varint|writer)|clickhouse_connect/(?:datatypes|driverc"
    r"|driver/(?:transform|insert|dataconv))"
)
_KIND_BY_ATTRIBUTE = {"encode": "String", "timestamp": "DateTime", "tzinfo": "DateTime", "utcoffset": "DateTime"}


# clickhouse-driver looks a name up among the type's: what comes out first is a KeyError.
_NO_ELEMENT = re.compile(
    r"Unknown element (?P<value>'[^']*') for type (?P<type>Enum(?:8|16)\(.+?\))(?=\)*[\s\"]*$)", re.MULTILINE
)


def lacking_element(error: ClientError) -> re.Match[str] | None:
    """The value and the type of a column's enumeration that does not have it, as the driver says them."""
    return _NO_ELEMENT.search("\n".join([error.text, *(message for _, message in error.chain)]))


def unknown_element(error: ClientError, _: Context) -> Judged | None:
    """A value that the column's enumeration does not have, as the driver has seen."""
    match = lacking_element(error)
    if not match:
        return None
    wider = with_element(match["type"], match["value"]) or match["type"]
    return Judged(
        "client_serialization",
        f"The value {match['value']} is none of {match['type']}{place(error)}. The server never got the row.",
        "Correct the value in the ingest; or, where the source has a new one that belongs there: "
        f"ALTER TABLE <table> MODIFY COLUMN <column> {wider}; -- the column of that type, see DESCRIBE TABLE",
        INGEST,
        expected=match["type"],
        actual=match["value"],
    )


def unwritable_value(error: ClientError, context: Context) -> Judged | None:
    """A value that the driver could not write into its column."""
    text = "\n".join([error.text, *(f"{kind}: {message}" for kind, message in error.chain)])
    matches = [match for pattern in _SERIALIZATION if (match := pattern.search(text))]
    kind, message = origin(error)
    if not matches and (
        not _WRITES_A_COLUMN.search(text)
        or not error.raised_in.startswith("clickhouse")
        or _OF_A_CONNECTION.search(kind)
    ):
        return None
    found: dict[str, str] = {}
    for match in matches:
        found = {**{key: value for key, value in match.groupdict().items() if value}, **found}
    if not found.get("column") and side_of(error, context) == API:
        return None
    column = found.get("column")
    kind_of_column = found.get("type") or _KIND_BY_ATTRIBUTE.get(found.get("attribute", ""))
    why = found.get("why") or (f"{kind}: {message}" if kind else message)
    value = f" (value {found['value'][:60]}, Python {found['got']})" if found.get("value") and found.get("got") else ""
    if not value and found.get("got"):
        value = f" (given was {found['got']})"
    into = f"column {column}" if column else "a column"
    into += f" of type {kind_of_column}" if kind_of_column else ""
    wanted = kind_of_column or "the column's type"
    return Judged(
        "client_serialization",
        f"The client could not write a value into {into}{value}{place(error)}: {why.strip().splitlines()[0]}. The "
        "server never got the row.",
        f"Convert the value to {wanted} before the insert ({_conversion(kind_of_column)})"
        + ("" if column else "; to learn which column, log the whole exception, or insert with types_check=True "
           "(clickhouse-driver)")
        + ". If the value is right, widen the column instead (ALTER TABLE ... MODIFY COLUMN).",
        INGEST,
        object=column,
        expected=kind_of_column,
        actual=found.get("got") or why.strip().splitlines()[0],
    )  # fmt: skip


def _conversion(kind: str | None) -> str:
    base = re.sub(r"^(?:Nullable|LowCardinality)\(", "", kind or "")
    if base.startswith(("UInt", "Int")):
        return "int(...), within the type's range; None only where the column is Nullable"
    if base.startswith(("DateTime", "Date")):
        return "datetime.fromisoformat(...), no text"
    if base.startswith(("String", "FixedString", "Enum")):
        return "str(...); None only where the column is Nullable"
    if base.startswith("Decimal"):
        return "Decimal(str(...))"
    return "int, str, Decimal or datetime as the column asks; None only where it is Nullable"


def other_columns(error: ClientError, context: Context) -> Judged | None:
    """Rows or columns that do not fit the table's, as the client itself has seen."""
    if match := re.search(r"Unrecognized column [`'\"]([^`'\"]+)[`'\"] in table [`'\"]?([\w.`]+)", error.text):
        column, table = match[1], match[2].replace("`", "").rstrip(".")
        database = context.value("CLICKHOUSE_DB") or context.database
        if "." not in table and database:
            table = f"{database}.{table}"
        # The client has compared with DESCRIBE TABLE: the server's table lacks the column, though no INSERT was sent.
        return Judged(
            "server_missing_column",
            f"Table {table} has no column {column}: the client saw that in the table's description and sent no INSERT.",
            f"If the schema is behind the loader: ALTER TABLE {table} ADD COLUMN `{column}` <type>; "
            f"if the name is wrong, correct it in the loader{place(error)}.",
            SCHEMA,
            object=f"{table}.{column}",
            expected=f"column {column}",
            actual="no such column",
        )
    match = re.search(
        r"[Ee]xpected (\d+) (?:columns|arguments|values), (?:but )?got (\d+)"
        r"|Insert data column count does not match column names",
        error.text,
    )
    if not match:
        return None
    known = match[1] is not None
    return Judged(
        "client_column_count",
        "The rows that the ingest hands to its driver have another number of values than the INSERT has columns"
        + (f": {match[2]} instead of {match[1]}" if known else "")
        + f"{place(error)}. The server never got the rows.",
        "Name the columns of the insert, and build each row with one value per name, in that order.",
        INGEST,
        expected=f"{match[1]} values per row" if known else None,
        actual=f"{match[2]}" if known else None,
    )
