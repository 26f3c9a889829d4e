"""Values that a column does not take: which column, the type that it has, the value that was seen."""

from __future__ import annotations

import re

from ...causes import Decision
from ...clickhouse.error_codes import name_of
from ...client import quote_identifier, quote_table
from ...facts.catalog import Catalog
from ...sql_text import has_select
from ..enumeration import with_element
from .columns import column_count
from .refusal import Refusal, what_of

# A row of another length, as the text formats put it.
_OTHER_LENGTH = re.compile(
    r"(?i)(?:less|more|fewer) columns than expected|expected '(?:\\t|,)' (?:before: '(?:\\n|\\r|\])|at end of stream)"
)

# The row that could not be read, as the text formats lay it out, and the key of a JSON row.
_TOLD_COLUMN = re.compile(r"[Cc]olumn \d+,\s+name: ([^,]+),\s+type: (.+?),\s+(?:parsed text|ERROR)")
_KEY = re.compile(r"value of key `?(\w+)")
_CUT_OFF = re.compile(r"at end of stream|JSON string: expected closing quote")


def type_mismatch(refusal: Refusal, catalog: Catalog) -> Decision | None:
    """A value that does not fit its column: the column by name, its type, the value; None without a target table."""
    text = refusal.text
    target = refusal.target
    # A schema statement is wrong in itself: a value that it names is nothing to convert.
    if target.verb in ("CREATE", "ALTER"):
        return None
    if target.verb == "SELECT":
        return _conversion_in_select(refusal)
    told = {found[1].strip(): found[2] for found in _TOLD_COLUMN.finditer(text)}
    if target.kind == "FUNCTION" or not (target.table or told or _KEY.search(text)):
        return None
    if _OTHER_LENGTH.search(text):
        return column_count(refusal, catalog)
    if _CUT_OFF.search(text) and (found := cut_off(refusal, catalog)):
        return found
    types = catalog.columns(target.database, target.table) if target.table else {}
    if not types and (key := _KEY.search(text)):
        told.setdefault(key[1], "")
    types = types or told
    listed = [name for name in (target.columns or types) if name in types]
    column = _column_in(text, types)
    expected = types.get(column) if column else None
    also = ""
    if column is None and listed and re.search(r"[Ee]xpected end of line", text):
        column, expected = listed[-1], types[listed[-1]]
        also = f", or more values in the row than the {len(listed)} columns"
    if column is None and has_select(refusal.sql):
        return _conversion_in_select(refusal)
    if column is None:
        kind = _type_in(text) or _TYPE_BY_NAME.get(name_of(refusal.code))
        wanted = [name for name in listed if kind and kind in (types[name], _plain_type(types[name]))]
        wanted = wanted or [name for name in listed if kind and _base_type(types[name]) == _base_type(kind)]
        if len(wanted) == 1:
            column, expected = wanted[0], types[wanted[0]]
        elif kind:
            expected = f"{kind} (columns of that type: {', '.join(wanted)})" if wanted else kind
    is_null = refusal.kind == "null_value" or bool(re.search(r"NULL value into|convert NULL", text))
    value = "NULL" if is_null else _value_in(text)
    seen = f"the value {value}" if value else "the value sent"
    named = target.name if target.table else ""
    where = (f"{named}.{column}" if named else column) if column else named
    quoted = quote_identifier(column) if column else "<column>"
    if target.table:
        table = quote_table(target.database, target.table) if target.database else quote_identifier(target.table)
    else:
        table = "<table>"
    suggested = _type_for(value)
    if is_null:
        low = re.fullmatch(r"LowCardinality\((.+)\)", expected or "")
        kind = f"LowCardinality(Nullable({low[1]}))" if low else f"Nullable({expected or '<type>'})"
        modify = f"ALTER TABLE {table} MODIFY COLUMN {quoted} {kind};"
        step = f"Send a value, or let the column take NULL: {modify}"
    elif wider := with_element(expected or "", value or ""):
        step = (
            "Correct the value in the ingest; or, where the source has a new one that belongs there: "
            f"ALTER TABLE {table} MODIFY COLUMN {quoted} {wider};"
        )
    elif column and _NO_VALUE.fullmatch((value or "").removeprefix("near ").strip("'\"")):
        step = (
            "It says that there is no value: send null for it, and let the column take NULL: "
            f"ALTER TABLE {table} MODIFY COLUMN {quoted} Nullable({_plain_type(expected or '<type>')});"
        )
    elif "date" in _base_type(expected or "") and (unit := _unix_unit(value)):
        step = (
            f"It looks like a Unix time in {unit}: let the ingest send it as text (2026-11-23 04:00:00), or in seconds "
            "with a point before the fraction."
        )
    else:
        step = f"Convert the value in the ingest before it is sent{_FORMS.get(_base_type(expected or ''), '')}."
        # The type that it has already would change nothing, and an array or object needs one of its elements' types.
        if _base_type(suggested) != _base_type(expected or "") and _kind_of(value) not in _NESTED:
            step += (
                f" If the table is what is wrong: ALTER TABLE {table} MODIFY COLUMN {quoted} {suggested}; "
                "-- the type that the values need"
            )
    said = f"{where} does not take {seen}: expected {expected or 'another type'}."
    if column is None and not expected:
        said = f"The server could not read a value of {what_of(target)}: {refusal.brief}."
        step = (
            f"Find the row (the text says which one, counted from the block's first), compare its values with DESCRIBE "
            f"TABLE {table}, and convert them in the ingest before they are sent."
        )
    elif not value and not is_null:
        said = f"{said[:-1]} ({refusal.brief})."
    return Decision(
        "server_type_mismatch",
        said,
        object=where,
        expected=f"{column or 'a value'} of type {expected}" if expected else None,
        actual=f"{seen if value else refusal.brief}{'' if is_null else _kind_of(value)}{also}",
        next_step=step,
        fix_side="loader",
    )


def _conversion_in_select(refusal: Refusal) -> Decision:
    """A conversion or comparison that the statement itself asks for: no column of the target has a part in it."""
    return Decision(
        "server_type_mismatch",
        f"A value that {what_of(refusal.target)} itself converts or compares does not fit: {refusal.brief}.",
        object=refusal.target.name,
        expected="literals and rows of the source that fit the types in the statement's SELECT",
        actual=refusal.brief,
        next_step="Correct the literal or the expression that the exception names; where single rows of the source may "
        "not fit, use the function's OrNull form (toUInt32OrNull, parseDateTimeBestEffortOrNull).",
        fix_side="loader",
    )


def _column_in(text: str, types: dict[str, str]) -> str | None:
    for pattern in (
        r"value of (?:key|column)\s+[`'\"]?([^`'\"):,\s]+)",
        r"destination column\s+[`'\"]?([^`'\"():,\s]+)",
        r"[Cc]olumn \d+,\s+name: ([^,]+),\s+type: [^\n]*?ERROR",
        r"value of column\s+`([^`]+)`",
        r"(?:into|for|of|in) column\s+[`'\"]?([^`'\"():,\s]+)",
        r"[Cc]olumn\s+[`'\"]([^`'\"]+)[`'\"]",
        r"[Cc]olumn\s+([\w.]+)",
    ):
        for name in re.findall(pattern, text):
            if (name := name.strip().rstrip(".")) in types:
                return str(name)
    error_at = text.find("ERROR:")
    if error_at > 0:
        names = re.findall(r"[Cc]olumn \d+,\s+name: ([^,]+),", text[:error_at])
        if names and names[-1] in types:
            return str(names[-1])
    return None


# Where the text names no type, the code does.
_TYPE_BY_NAME = {
    "CANNOT_PARSE_DATE": "Date",
    "CANNOT_PARSE_DATETIME": "DateTime",
    "CANNOT_READ_ARRAY_FROM_TEXT": "Array",
    "CANNOT_PARSE_UUID": "UUID",
    "CANNOT_PARSE_BOOL": "Bool",
    "CANNOT_PARSE_IPV4": "IPv4",
    "CANNOT_PARSE_IPV6": "IPv6",
}
_FORMS = {
    "date": " (to 2026-11-23)",
    "datetime": " (to 2026-11-23 04:00:00, or set date_time_input_format = 'best_effort' for the INSERT)",
    "datetime64": " (to 2026-11-23 04:00:00.000, or set date_time_input_format = 'best_effort' for the INSERT)",
    "decimal": " (a point before the decimals, no blanks between the digits)",
}
# Digits of a Unix time of these years.
_UNIX_TIMES = {13: "milliseconds", 16: "microseconds", 19: "nanoseconds"}
_TYPE_WORD = r"(?:U?Int|Float|Decimal|Date|DateTime|UUID|IPv|Bool|Enum|FixedString|Array|Map|Tuple|JSON)"


def _type_in(text: str) -> str | None:
    # The Values format casts by the column's whole type, parameters and all.
    cast = re.search(r"_CAST\([^,]+, '((?:[^'\\]|\\.)+)'\)", text)
    if cast:
        return cast.group(1).replace("\\'", "'")
    named = re.search(r"column of type '((?:[^'\\]|\\.)+)'|Expected: (.+?)\. Got: ", text)
    if named:
        return str(named[1] or named[2]).replace("\\'", "'")
    for pattern in (
        rf"(?:as|for type|of type|for|to type|to) [`'\"]?({_TYPE_WORD}\w*(?:\([^()]*\))?)",
        rf"[Cc]annot parse ({_TYPE_WORD}\w*) from String",
        r"in (decimal) value",
        r"[Uu]nknown element .* for (enum)",
    ):
        found = re.search(pattern, text)
        if found:
            return found.group(1)
    return None


def cut_off(refusal: Refusal, _: Catalog) -> Decision | None:
    """Data whose last value has no end: no type is wrong, something is missing."""
    if refusal.target.verb != "INSERT":
        return None
    row = re.search(r"\(at row (\d+)\)", refusal.text)
    if binary := re.search(
        r"(?i)\bFORMAT\s+(RowBinary|Native)|(BinaryRow|Native)InputFormat", refusal.sql + refusal.text
    ):
        return Decision(
            "server_type_mismatch",
            f"The rows of {what_of(refusal.target)}, in {binary[1] or 'a binary format'}, are not laid out as the "
            f"table's columns are: the server ran out of bytes{f' in row {row[1]}' if row else ''}.",
            "A binary row carries neither names nor types, so one field of another width shifts all that follow. "
            "Compare the loader's row, field by field and in order, with the table's: DESCRIBE TABLE "
            f"{refusal.target.name or '<table>'};\nA field that may be absent (Option, pointer) needs a Nullable "
            "column.",
            object=refusal.target.name,
            expected="fields of the columns' types, in their order",
            actual=refusal.brief,
            fix_side="loader",
            certainty="likely",
            confirm="Send one row alone: where it fails too, it is the layout.",
            otherwise="What the loader sent was cut off.",
        )
    return Decision(
        "server_bad_input",
        f"The data of {what_of(refusal.target)} ends in the middle of {f'row {row[1]}' if row else 'a row'}: what the "
        "ingest sent was cut off.",
        object=refusal.target.name,
        expected="whole rows",
        actual=refusal.brief,
        next_step="Ask the source for the same page and compare its length with Content-Length; let the ingest refuse "
        "a page that is not whole (length, or its last line parses) before it sends it, and fetch it again.",
        fix_side="source",
    )


def _plain_type(kind: str) -> str:
    inner = re.fullmatch(r"(?:Nullable|LowCardinality)\((.*)\)", kind)
    return _plain_type(inner.group(1)) if inner else kind


def _base_type(kind: str) -> str:
    """The type's name without parameters and widths that the exceptions leave out: Enum8 is told as enum."""
    return re.sub(r"^enum\d*", "enum", _plain_type(kind).partition("(")[0].lower())


def _value_in(text: str) -> str | None:
    # The diagnostics of the text formats list the row's columns; the one that failed comes last, before ERROR.
    row = re.search(r'parsed text: ("[^"]*"|<EMPTY>)\s*ERROR', text)
    if row:
        # Where the parser stopped in mid-value, the rest of it follows.
        rest = re.search(r"before: '([^\s\\,;'\"\]}]+)", text)
        if row[1] in ("<EMPTY>", '"<DOUBLE QUOTE>"'):
            return f"near '{rest[1]}'" if rest else None
        return f'{row[1][:-1]}{rest[1]}"' if rest else row[1]
    for pattern in (
        r"[Cc]annot parse string ('(?:[^'\\]|\\.)*')",
        r"[Cc]annot convert (?:field |value |string )?('[^']*'|\S+) (?:to|from)",
        r"here: ('(?:[^'\\]|\\.)*'|[^\s,)]+)",
        r"unexpected (?:date|time|word)\w*: ([^\s,()]+)",
        r"[Vv]alue ('[^']*'|-?[\d.]+)",
        r"[Uu]nknown element ('[^']*')",
        r"[Cc]annot parse uuid (\S+):",
    ):
        found = re.search(pattern, text)
        # What follows the value is the rest of the row and of the sentence.
        value = re.sub(r"(?:\\n|\s)+(?='?$)|(?<=\w)[\"}\]]+:?$|:$", "", found[1][:100]) if found else ""
        if value and not value.startswith("Cannot"):
            return value
    # What follows the place where the parser stopped: the value's end, up to the next delimiter.
    rest = re.search(r"before: '([^\"',}\]]{1,80})", text)
    return f"near '{rest.group(1).strip()}'" if rest and rest.group(1).strip() else None


def _unix_unit(value: str | None) -> str | None:
    digits = (value or "").strip("'\"")
    return _UNIX_TIMES.get(len(digits)) if digits.isdigit() else None


_NESTED = (" (an array)", " (an object)")
_NO_VALUE = re.compile(r"n/?a|null|none|nan|nil|-+|\?+|unknown", re.IGNORECASE)


def _kind_of(value: str | None) -> str:
    if value is None:
        return ""
    bare = value.removeprefix("near ").strip("'\"")
    if bare.startswith(("[", "{")):
        return " (an array)" if bare.startswith("[") else " (an object)"
    if re.fullmatch(r"-\d+", bare):
        return " (a negative integer)"
    if re.fullmatch(r"\d+", bare):
        return " (an integer)"
    if re.fullmatch(r"-?\d*\.\d+([eE][+-]?\d+)?", bare):
        return " (a decimal number)"
    if re.match(r"\d{4}-\d\d-\d\d[T ]", bare):
        return " (a time stamp)"
    return " (a string)"


def _type_for(value: str | None) -> str:
    kind = _kind_of(value)
    return {
        " (a negative integer)": "Int64",
        " (an integer)": "UInt64",
        " (a decimal number)": "Decimal(18, 2)",
        " (a time stamp)": "DateTime",
        " (a string)": "String",
    }.get(kind, "<type>")
