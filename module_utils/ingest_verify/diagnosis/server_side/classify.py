"""From a statement that the server refused to its cause, the object by name and a next step ready to paste.

Decided by error code first, then by what the live catalog says, and only then by the exception's wording, which differs
between versions: 24.8 says `Unknown expression identifier 'x' in scope`, 26.9 `... identifier `x`. In scope`.
Error codes never change their number; their list is `src/Common/ErrorCodes.cpp` of ClickHouse.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ...client import clean_exception, quote_identifier, quote_table
from ...findings import Finding
from ...sql_text import Target, has_select, source_tables, statement_target
from .. import STAGE
from ..catalog import Catalog, nearest
from .rules import RULES

# The server noticed that its client went away, or cancelled on request: the cause lies before it.
# 32 ATTEMPT_TO_READ_AFTER_EOF, 33 CANNOT_READ_ALL_DATA, 99 UNKNOWN_PACKET_FROM_CLIENT,
# 101 UNEXPECTED_PACKET_FROM_CLIENT, 209 SOCKET_TIMEOUT, 210 NETWORK_ERROR, 236 ABORTED, 394 QUERY_WAS_CANCELLED,
# 735 QUERY_WAS_CANCELLED_BY_CLIENT
ABORT_CODES = frozenset({32, 33, 99, 101, 209, 210, 236, 394, 735})

# The same before the statement was parsed (3 UNEXPECTED_END_OF_FILE); 209 and 210 there are any idle connection's end.
UNLOGGED_ABORT_CODES = frozenset({3, 32, 33})

# Another try of the same data can help: the server's state, not the data, was in the way.
TRANSIENT_CODES = frozenset({
    3, 159, 160, 198, 201, 202, 203, 209, 210, 225, 236, 241, 242, 243, 252, 254, 279, 285, 286, 319, 364, 394, 415,
    425, 439, 473, 574, 659, 700, 733, 735, 745, 749, 762, 776, 999,
})  # fmt: skip
# Decided before any data was looked at: the same data can pass once the object is there.
_BEFORE_DATA_CODES = frozenset({8, 10, 16, 20, 46, 47, 50, 56, 60, 62, 81, 115, 164, 218, 497, 516}) | {
    192,
    193,
    194,
    195,
}

_MISSING_TABLE = {60, 218, 390}
_MISSING_DATABASE = {81}
# What a statement would make is there already (15 DUPLICATE_COLUMN), and what it names is not.
EXISTS_CODES = frozenset({15, 57, 82})
MISSING_CODES = frozenset(_MISSING_TABLE | _MISSING_DATABASE)
_MISSING_COLUMN = {8, 10, 16, 47}
_COLUMN_COUNT = {7, 20, 122}
_TYPE_NAMES = re.compile(
    r"CANNOT_PARSE_|CANNOT_CONVERT_TYPE|TYPE_MISMATCH|INCORRECT_DATA|CANNOT_INSERT_NULL|VALUE_IS_OUT_OF_RANGE|TOO_LARGE_STRING_SIZE"
    r"|UNKNOWN_ELEMENT_OF_ENUM|DECIMAL_OVERFLOW|ARGUMENT_OUT_OF_BOUND|CANNOT_READ_ARRAY|CANNOT_READ_MAP|INVALID_DATE|NO_COMMON_TYPE"
    r"|SIZES_OF_ARRAYS|BAD_TYPE_OF_FIELD|ILLEGAL_COLUMN|CANNOT_PARSE$|UNEXPECTED_DATA_AFTER_PARSED_VALUE|TOO_LARGE_SIZE_COMPRESSED"
)
_TYPE_CODES = {
    6, 25, 26, 27, 38, 41, 44, 53, 69, 70, 72, 117, 130, 131, 169, 190, 321, 349, 376, 386, 407, 441, 467, 632, 675,
    676, 691, 728,
}  # fmt: skip
_VIEW_IN_TEXT = re.compile(r"pushing to view\s+`?([\w.$]+)`?(?:\.`?([\w$]+)`?)?(?:\s+\([0-9a-f-]{36}\))?")
_REMOTE = re.compile(r"Received from ([\w.\-\[\]:]+?)\.\s+(?:DB::\w*Exception:\s*)?")
_NESTED_CODE = re.compile(r"Code: \d+\.\s+(?:DB::\w*Exception:\s*)?|^DB::\w*Exception: ")
_QUOTED = re.compile(r"[`'\"]([^`'\"]{1,200})[`'\"]")
_GRANT_IN_TEXT = re.compile(r"grant(?:s)?\s+(.+?)\s+ON\s+([^\s,;]+?)(?:\.\s|\.?$|\s|,|;|\()")
_NAME = r"`(?:[^`\\]|\\.)+`|\"[^\"]+\"|[^\s`'\",().]+"
_ASIDE = re.compile(
    r":? [Ww]hile (?:executing|processing|reading header)\b|[:.] In (?:scope|query) | in scope |\.? Expected one of: "
    r"|\.? Note: there are |: data for INSERT was parsed|\n?: (?:Could not print diagnostic|Buffer has gone)"
    r"| \(version |\n?: \nRow \d|\n\nRow \d"
    r"|\.? Maybe you meant|, maybe you meant|\.? Log: \n"
)
_UUID = re.compile(r"\s*\([0-9a-f]{8}-[0-9a-f-]{27}\)")


@dataclass
class Refusal:
    """One failed statement as classification takes it: what was sent, what came back, by whom."""

    sql: str
    exception: str
    code: int
    code_name: str
    user: str
    current_database: str = ""
    missing_privileges: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    view: str | None = None
    view_target: str | None = None
    # Names of the temporary tables that the same run made.
    temporary: frozenset[str] = frozenset()

    @property
    def target(self) -> Target:
        target = statement_target(self.sql, self.current_database)
        if target.table is not None or target.verb != "INSERT" or target.kind != "TABLE":
            return target
        # log_queries_cut_to_length may leave no more than the verb of the text.
        named = re.findall(r"\btable\s+[`'\"]?([\w$]+\.[\w$]+)", self.text)
        owner, _, table = next(iter([name for name in self.tables if not name.startswith("_")] + named), "").partition(
            "."
        )
        return Target(target.verb, target.kind, owner, table) if table else target

    @property
    def text(self) -> str:
        """The innermost message: without codes, prefixes of other servers, and ids of tables."""
        text = _REMOTE.sub("", clean_exception(self.exception))
        text = _NESTED_CODE.sub("", text)
        text = re.sub(r"\s*\([A-Z][A-Z0-9_]{3,}\)(?=[.,\s]|$)", "", text)
        # Names that the analyzer gives to the tables of a join.
        text = re.sub(r"\b__table\d+\.", "", text)
        return _UUID.sub("", text).strip()

    @property
    def brief(self) -> str:
        """The message's own sentence, without the server's asides: what it was executing, what the parser expected."""
        return " ".join(_ASIDE.split(self.text, maxsplit=1)[0].split()).strip(" .:")[:300]


@dataclass
class Cause:
    """What a refusal comes down to; the parts of a Finding that classification decides."""

    cause: str
    headline: str
    object: str | None = None
    expected: str | None = None
    actual: str | None = None
    next_step: str | None = None
    fix_side: str | None = None


def is_recoverable(code: int) -> bool:
    """Whether the same data can pass at a later try: then a later success means that it did."""
    return code in TRANSIENT_CODES or code in _BEFORE_DATA_CODES


def to_finding(cause: Cause, refusal: Refusal, severity: str = "error") -> Finding:
    """The finding of a classified refusal, without count and times."""
    return Finding(
        stage=STAGE,
        severity=severity,
        cause=cause.cause,
        headline=cause.headline,
        object=cause.object,
        expected=cause.expected,
        actual=cause.actual,
        next_step=cause.next_step,
        fix_side=cause.fix_side,
        evidence={
            key: value
            for key, value in {
                "sql": refusal.sql.strip(),
                "exception": clean_exception(refusal.exception),
                "code": refusal.code,
                "code_name": refusal.code_name,
            }.items()
            if value not in (None, "")
        },
    )


def classify(refusal: Refusal, catalog: Catalog) -> Cause:
    """The cause of one refused statement. Never fails: a code that is not known gives a general cause with the text."""
    view = refusal.view or view_in(refusal.exception)
    if view:
        return _view_failed(refusal, catalog, view)
    return _classify_plain(refusal, catalog)


def _classify_plain(refusal: Refusal, catalog: Catalog) -> Cause:
    handlers: list[_Handler] = [_special, *filter(None, [_HANDLERS.get(refusal.code)])]
    if refusal.code in _TYPE_CODES or _TYPE_NAMES.search(refusal.code_name):
        handlers.append(_type_mismatch)
    # A schema statement is wrong in itself; a value or a column that it names is nothing to convert or to add.
    in_itself = refusal.code in _TYPE_CODES or (refusal.code == 16 and refusal.target.verb == "CREATE")
    handlers.insert(1 if in_itself else len(handlers), _unsupported_ddl)
    for handler in handlers:
        if cause := handler(refusal, catalog):
            return cause
    return _generic(refusal)


def view_in(exception: str) -> str | None:
    """The view that the exception names as being pushed to."""
    found = _VIEW_IN_TEXT.search(exception)
    if not found:
        return None
    return ".".join(part for part in found.groups() if part).rstrip(".")


def _what(target: Target) -> str:
    return f"{target.verb} {target.name}" if target.name else target.verb or "the statement"


# Tables and databases ------------------------------------------------------------------------------------------------


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


def _missing_table(refusal: Refusal, catalog: Catalog) -> Cause:
    named = _named_tables(refusal)
    missing = next(((d, t) for d, t in named if not catalog.has_table(d, t)), named[0] if named else (None, "?"))
    database, table = missing
    name = f"{database}.{table}" if database else table
    # A reader that sees no database at all sees too little to say that this one is missing.
    if database and catalog.databases and database not in catalog.databases:
        return _database_cause(refusal, catalog, database)
    # A table that the statement does not name is read or written by a view on the one that it names.
    named_by_it = {name for _, name in source_tables(refusal.sql)} | {refusal.target.table}
    pushes = refusal.target.verb == "INSERT" and not refusal.view and table not in named_by_it
    if pushes and (view := catalog.view_using(table, refusal.target)):
        return _view_failed(refusal, catalog, view)
    near = catalog.nearest_table(database, table)
    exists_now = catalog.has_table(database, table)
    actual = f"{name} does not exist"
    if exists_now:
        actual = f"{name} did not exist when the statement was sent; it does now"
    elif near:
        actual += f"; the nearest existing name is {near}"
    step = f"SHOW TABLES FROM {quote_identifier(database)};" if database else "SHOW TABLES;"
    side = "schema"
    # Sent without a database, on a connection to one that is not the table's.
    astray = (
        near and not near.startswith(f"{database}.") and database == refusal.current_database and table in named_by_it
    )
    if table in refusal.temporary:
        actual = f"{table} was made as a temporary table, which lives in the session that made it, and not in this one"
        action = (
            "Send both statements in one session: the same connection over the native protocol, the same session_id "
            "over HTTP; or use a plain table and drop it afterwards."
        )
        near, side = None, "the ingest"
    elif refusal.target.verb == "DROP":
        action, side = f"Write DROP {refusal.target.kind} IF EXISTS in the ingest. To look: {step}", "the ingest"
    else:
        action = (
            "Create it by applying the schema (ansible-playbook verify.yml --tags schema_apply), then run the "
            f"ingest again. To look: {step}"
        )
    return Cause(
        "server_missing_table",
        f"Table {name} does not exist: the server refused {_what(refusal.target)}."
        + (f" Is {near} meant?" if near and not exists_now else ""),
        object=name,
        expected=f"table {name}",
        actual=actual,
        next_step=action
        + (f" If {near} is meant, correct the name in the ingest." if near and not exists_now else "")
        + (f" The ingest's connection is to database {database}: correct that in its settings." if astray else ""),
        fix_side=side,
    )


def _missing_database(refusal: Refusal, catalog: Catalog) -> Cause:
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


def _database_cause(refusal: Refusal, catalog: Catalog, database: str) -> Cause:
    table = refusal.target.table
    with_table = sorted({owner for owner, name in catalog.tables if name == table}) if table else []
    near = nearest(database, catalog.databases) or (with_table[0] if with_table else None)
    actual = f"database {database} does not exist"
    if with_table:
        actual += f"; a table {table} exists in {', '.join(with_table)}"
    elif near:
        actual += f"; the nearest existing name is {near}"
    return Cause(
        "server_missing_database",
        f"Database {database} does not exist: the server refused {_what(refusal.target)}."
        + (f" Is {near} meant?" if near else ""),
        object=database,
        expected=f"database {database}",
        actual=actual,
        next_step=(
            f"Correct the database name in the ingest's settings to {near}, or create it: " if near else "Create it: "
        )
        + f"CREATE DATABASE {quote_identifier(database)}; then apply the schema.",
        fix_side="configuration" if near else "schema",
    )


# Columns -------------------------------------------------------------------------------------------------------------


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
    if refusal.code not in (10, 47):
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


def _missing_column(refusal: Refusal, catalog: Catalog) -> Cause | None:
    tables = _looked_up_in(refusal, catalog)
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
    if near:
        step += f"\nIf the ingest is wrong: it should send {quote_identifier(near)}."
    if (
        refusal.code == 47
        and target.verb in ("INSERT", "SELECT")
        and table not in source_tables(refusal.sql, refusal.current_database)
    ):
        step += "\nThe statement does not name that table: a view that it reads does, and may have to be made anew."
    if re.search(r"(?i)\bto (?:drop|clear|rename|modify|comment)\b", refusal.text):
        step = f"Write COLUMN IF EXISTS {quote_identifier(column)} in the ingest's ALTER."
    return Cause(
        "server_missing_column",
        f"Column {column} is missing in {where}: the server refused {_what(target)}."
        + (f" Is {near} meant?" if near else ""),
        object=f"{where}.{column}",
        expected=f"column {column} in {where}",
        actual=actual,
        next_step=step,
        fix_side="schema, when the table is older than the ingest; else the ingest",
    )


def _computed_column(refusal: Refusal, column: str, kind: str) -> Cause:
    name = refusal.target.name
    return Cause(
        "server_computed_column",
        f"Column {column} of {name} is {kind}: the server computes it and takes no value for it.",
        object=f"{name}.{column}",
        expected=f"an INSERT without {column}",
        actual=f"{column} among the columns of the INSERT",
        next_step=f"Leave {quote_identifier(column)} out of the INSERT's columns and values. If the ingest has to fill "
        f"it: ALTER TABLE {name} MODIFY COLUMN {quote_identifier(column)} <type> DEFAULT <expression>;",
        fix_side="the ingest",
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
    names.extend(_QUOTED.findall(head))
    return [name.strip("`'\" .:") for name in names]


def _column_count(refusal: Refusal, catalog: Catalog) -> Cause | None:
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
    return Cause(
        "server_column_count",
        f"Number or order of columns does not match {target.name}: "
        + (f"{counts.group(1)} sent, {counts.group(2)} expected." if counts else "the server refused the rows."),
        object=target.name,
        expected=f"{wanted} values per row, in this order: {names}" if listed else None,
        actual=actual,
        next_step="Name the columns in the statement, in the order of the values: "
        f"INSERT INTO {target.name} ({', '.join(quote_identifier(name) for name in listed) or '...'}) ..."
        + (
            "\nA CSV with another delimiter reads as one column: SETTINGS format_csv_delimiter = ';'."
            if separated
            else ""
        ),
        fix_side="the ingest: a column list that is written out survives changes of the table",
    )


def _values_syntax(refusal: Refusal, catalog: Catalog) -> Cause | None:
    # In VALUES a row of another length or a stray literal surfaces as a syntax error within the data.
    target = refusal.target
    if target.verb == "INSERT" and re.search(
        r"(?i)while executing\s+\w*Values|ValuesBlockInputFormat|value of column|unmatched parentheses", refusal.text
    ):
        columns = catalog.columns(target.database, target.table)
        listed = list(target.columns) if target.columns else list(columns)
        # The newer servers name the column.
        unescaped = re.search(r"()(?:here: |\(|, )('[^',()]*'\w[^',()]*')", refusal.text)
        unescaped = re.search(r"column `?([^`\s]+)`?[^\n]* here: ('[^',]*'[^\s,')][^,)]*)", refusal.text) or unescaped
        if unescaped:
            return Cause(
                "server_syntax_error",
                f"A quote inside {f'a value of {unescaped[1]}' if unescaped[1] else 'a value'} is not escaped: "
                f"INSERT {target.name} breaks off at {unescaped[2][:80]}.",
                object=f"{target.name}.{unescaped[1]}".rstrip("."),
                expected="a quote within a text written as \\' or ''",
                actual=unescaped[2][:80],
                next_step="Do not build the values into the SQL text: hand the rows to the driver (insert, execute "
                "with parameters), or send them as FORMAT JSONEachRow.",
                fix_side="the ingest",
            )
        stopped = re.search(
            r"(?:after the value of column \S+ of type .+?|Cannot parse expression of type .+?) here: "
            r"('(?:[^'\\]|\\.)*'|[^\s'(),{[]+(?:\([^()]*\))?)(\s*[,)]?)([^,()]*)",
            refusal.text,
        )
        if stopped and stopped[2].strip():
            return _column_count(refusal, catalog)
        if stopped and not stopped[1].startswith("'"):
            return _without_quotes(refusal, "".join(stopped.groups()).strip())
        if listed:
            return _type_mismatch(refusal, catalog)
    if target.verb in ("CREATE", "ALTER", "DROP"):
        return _unsupported_ddl(refusal, catalog)
    position = re.search(r"failed at position (\d+)(?: \(([^)]*)\))?(?: \(line (\d+), col (\d+)\))?", refusal.text)
    return Cause(
        "server_syntax_error",
        f"The server could not parse {_what(target)}: {refusal.brief}",
        object=target.name,
        expected="SQL that this server version can parse",
        actual=f"a syntax error at position {position.group(1)} ({position.group(2) or ''})"
        if position
        else refusal.text[:300],
        next_step="Correct the statement where the ingest builds it; try it alone in clickhouse-client.",
        fix_side="the ingest",
    )


# Values --------------------------------------------------------------------------------------------------------------


# A row of another length, as the text formats put it.
_OTHER_LENGTH = re.compile(
    r"(?i)(?:less|more|fewer) columns than expected|expected '(?:\\t|,)' (?:before: '(?:\\n|\\r|\])|at end of stream)"
)


def _type_mismatch(refusal: Refusal, catalog: Catalog) -> Cause | None:
    text = refusal.text
    if re.search(r"[Uu]nknown field found", text):
        found = _missing_column(refusal, catalog)
        if found:
            return found
    target = refusal.target
    if target.verb == "SELECT":
        return _conversion_in_select(refusal)
    if not target.table or target.kind == "FUNCTION":
        return None
    if _OTHER_LENGTH.search(text):
        return _column_count(refusal, catalog)
    types = catalog.columns(target.database, target.table)
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
        kind = _type_in(text) or _TYPE_BY_CODE.get(refusal.code)
        wanted = [name for name in listed if kind and kind in (types[name], _plain_type(types[name]))]
        wanted = wanted or [name for name in listed if kind and _base_type(types[name]) == _base_type(kind)]
        if len(wanted) == 1:
            column, expected = wanted[0], types[wanted[0]]
        elif kind:
            expected = f"{kind} (columns of that type: {', '.join(wanted)})" if wanted else kind
    is_null = refusal.code == 349 or bool(re.search(r"NULL value into|convert NULL", text))
    value = "NULL" if is_null else _value_in(text)
    seen = f"the value {value}" if value else "the value sent"
    where = f"{target.name}.{column}" if column else target.name
    quoted = quote_identifier(column) if column else "<column>"
    table = quote_table(target.database, target.table) if target.database else quote_identifier(target.table)
    suggested = _type_for(value)
    if is_null:
        low = re.fullmatch(r"LowCardinality\((.+)\)", expected or "")
        kind = f"LowCardinality(Nullable({low[1]}))" if low else f"Nullable({expected or '<type>'})"
        modify = f"ALTER TABLE {table} MODIFY COLUMN {quoted} {kind};"
        step = f"Send a value, or let the column take NULL: {modify}"
    else:
        step = f"Convert the value in the ingest before it is sent{_FORMS.get(_base_type(expected or ''), '')}."
        # The type that it has already would change nothing.
        if _base_type(suggested) != _base_type(expected or ""):
            step += (
                f" If the table is what is wrong: ALTER TABLE {table} MODIFY COLUMN {quoted} {suggested}; "
                "-- the type that the values need"
            )
    said = f"{where} does not take {seen}: expected {expected or 'another type'}."
    if column is None and not expected:
        said = f"The server could not read a value of {_what(target)}: {refusal.brief}."
        step = (
            f"Find the row (the text says which one, counted from the block's first), compare its values with DESCRIBE "
            f"TABLE {table}, and convert them in the ingest before they are sent."
        )
    elif not value and not is_null:
        said = f"{said[:-1]} ({refusal.brief})."
    return Cause(
        "server_type_mismatch",
        said,
        object=where,
        expected=f"{column or 'a value'} of type {expected}" if expected else None,
        actual=f"{seen if value else refusal.brief}{'' if is_null else _kind_of(value)}{also}",
        next_step=step,
        fix_side="the ingest, when the value is wrong; the schema, when the column's type is",
    )


def _conversion_in_select(refusal: Refusal) -> Cause:
    """A conversion or comparison that the statement itself asks for: no column of the target has a part in it."""
    return Cause(
        "server_type_mismatch",
        f"A value that {_what(refusal.target)} itself converts or compares does not fit: {refusal.brief}.",
        object=refusal.target.name,
        expected="literals and rows of the source that fit the types in the statement's SELECT",
        actual=refusal.brief,
        next_step="Correct the literal or the expression that the exception names; where single rows of the source may "
        "not fit, use the function's OrNull form (toUInt32OrNull, parseDateTimeBestEffortOrNull).",
        fix_side="the ingest: the statement that it builds, or the source's rows",
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
_TYPE_BY_CODE = {38: "Date", 41: "DateTime", 130: "Array", 376: "UUID", 467: "Bool", 675: "IPv4", 676: "IPv6"}
_FORMS = {
    "date": " (to 2026-11-23)",
    "datetime": " (to 2026-11-23 04:00:00, or set date_time_input_format = 'best_effort' for the INSERT)",
    "datetime64": " (to 2026-11-23 04:00:00.000, or set date_time_input_format = 'best_effort' for the INSERT)",
    "decimal": " (a point before the decimals, no blanks between the digits)",
}
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


def _kind_of(value: str | None) -> str:
    if value is None:
        return ""
    bare = value.removeprefix("near ").strip("'\"")
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


# Access --------------------------------------------------------------------------------------------------------------


def _missing_grant(refusal: Refusal, catalog: Catalog) -> Cause:
    # "Missing permissions" is what lacks; the sentence before it and the column name all that the statement needs.
    lacking = re.search(r"Missing permissions: (.+?)\s+ON\s+([^\s,;()]+)", refusal.text)
    wanted = [] if lacking else [privilege for privilege in refusal.missing_privileges if " ON " in privilege]
    if not wanted and (found := lacking or _GRANT_IN_TEXT.search(refusal.text + " ")):
        wanted = [f"{found.group(1)} ON {found.group(2).rstrip('.')}"]
    target = refusal.target
    if not wanted:
        privilege = {"DESCRIBE": "SHOW COLUMNS", "DROP": "DROP TABLE", "CREATE": f"CREATE {target.kind}"}.get(
            target.verb, target.verb
        )
        wanted = [f"{privilege} ON {target.name or '*.*'}"]
    # The whole table rather than the columns of one statement: the next statement may name others.
    grants = list(dict.fromkeys(re.sub(r"\([^)]*\)(?=\s*(?:,|ON))", "", privilege) for privilege in wanted))
    statements = "\n".join(f"GRANT {grant} TO {quote_identifier(refusal.user)};" for grant in grants)
    storage = catalog.evidence.user_storage(refusal.user)
    step = statements
    if storage and "xml" in storage.lower():
        queries = "".join(f"<query>GRANT {grant}</query>" for grant in grants)
        step += (
            f"\nUser {refusal.user} is defined in XML ({storage}), where GRANT cannot reach it: put "
            f"<grants>{queries}</grants> into "
            "its entry in users.d and reload."
        )
    return Cause(
        "server_missing_grant",
        f"User {refusal.user} lacks {' and '.join(wanted)}: the server refused {_what(target)}.",
        object=grants[0],
        expected=f"user {refusal.user} with {', '.join(wanted)}",
        actual="the privilege is missing",
        next_step=step,
        fix_side="server: access rights of the ingest's user",
    )


def _authentication(refusal: Refusal, catalog: Catalog) -> Cause:
    known = catalog.evidence.users()
    detail = {
        192: f"there is no user {refusal.user}",
        193: f"the password of {refusal.user} is wrong",
        194: f"user {refusal.user} needs a password and none was sent",
    }.get(refusal.code)
    if detail is None and known is not None:
        detail = (
            f"the password of {refusal.user} is wrong" if refusal.user in known else f"there is no user {refusal.user}"
        )
    near = nearest(refusal.user, known or []) if known and refusal.user not in known else None
    return Cause(
        "server_authentication",
        f"The server refused the login of user {refusal.user}: {detail or 'wrong password or no such user'}.",
        object=refusal.user,
        expected=f"user {refusal.user} with the password in the ingest's settings",
        actual=(detail or refusal.text) + (f"; the nearest existing name is {near}" if near else ""),
        next_step="Put the right CLICKHOUSE_USER and CLICKHOUSE_PASSWORD into the ingest's env file (no quotes, no "
        "line end behind the value); "
        f"try them: clickhouse-client --user {refusal.user} --password --query 'SELECT 1'.",
        fix_side="configuration of the ingest",
    )


def _host_not_allowed(refusal: Refusal, catalog: Catalog) -> Cause:
    found = re.search(r"[Cc]onnections? from\s+(\S+?)\s", refusal.text + " ") or re.search(
        r"from address ([\w.:]+)", refusal.text
    )
    address = found.group(1).strip(".,") if found else None
    return Cause(
        "server_host_not_allowed",
        f"User {refusal.user} may not log in from {address or 'the ingest address'}: its <networks> (HOST clause) "
        "does not hold it.",
        object=refusal.user,
        expected=f"an address that user {refusal.user} may log in from",
        actual=f"a login from {address}" if address else refusal.text,
        next_step=f"ALTER USER {quote_identifier(refusal.user)} ADD HOST IP '{address or '<address>'}'; for a user "
        "in XML add "
        f"<ip>{address or '<address>'}</ip> to its <networks> in users.d and reload.",
        fix_side="server: the user's networks",
    )


def _readonly(refusal: Refusal, catalog: Catalog) -> Cause:
    if re.search(r"[Cc]annot modify '\w+' setting", refusal.text):
        return _setting(refusal, catalog)
    if refusal.code == 242:
        return Cause(
            "server_readonly",
            f"Table {refusal.target.name} is read-only: its replica has lost its connection to Keeper.",
            object=refusal.target.name,
            expected="a replica that accepts writes",
            actual=refusal.text,
            next_step="SELECT database, table, is_readonly, zookeeper_exception FROM system.replicas WHERE "
            "is_readonly; then SYSTEM RESTART REPLICA for the table.",
            fix_side="server: Keeper",
        )
    return Cause(
        "server_readonly",
        f"User {refusal.user} has a read-only profile: the server refused {_what(refusal.target)}.",
        object=refusal.user,
        expected="a profile with readonly = 0 (2 to change settings and read only)",
        actual=refusal.text,
        next_step=f"Give the user a profile that may write: ALTER USER {quote_identifier(refusal.user)} SETTINGS "
        "PROFILE 'default'; "
        "for a user in XML change its <profile> in users.d and reload. See: SELECT * FROM "
        f"system.settings_profile_elements WHERE user_name = '{refusal.user}';",
        fix_side="server: the user's profile",
    )


def _quota(refusal: Refusal, catalog: Catalog) -> Cause:
    return Cause(
        "server_quota",
        f"The quota of user {refusal.user} is used up: the server refused {_what(refusal.target)}.",
        object=refusal.user,
        expected="a quota that lasts for a whole ingest",
        actual=refusal.text,
        next_step="SELECT * FROM system.quotas_usage; then raise the quota, or insert fewer and bigger batches.",
        fix_side="server: the user's quota",
    )


# Statements and their surroundings ------------------------------------------------------------------------------------


def _special(refusal: Refusal, catalog: Catalog) -> Cause | None:
    target = refusal.target
    for rule in RULES:
        if refusal.code in rule.codes and (found := re.search(rule.pattern, refusal.text)):
            break
    else:
        return _remote_login(refusal) or _bare_word(refusal, catalog) or _other_format(refusal)
    guess = re.search(r"[Mm]aybe you meant:? \[?'?([\w.]+)", refusal.text)
    words = {
        "name": next(filter(None, found.groups()), None) or target.name or "",
        "what": _what(target),
        "target": target.name or "the target",
        "user": refusal.user,
        "brief": refusal.brief,
        "maybe": f" Is {guess[1]} meant?" if guess else "",
    }
    return Cause(
        rule.cause,
        rule.headline.format(**words),
        object=rule.object.format(**words) or None,
        expected=rule.expected.format(**words) if rule.expected else None,
        actual=refusal.brief,
        next_step=rule.next_step.format(**words),
        fix_side=rule.fix_side,
    )


def _remote_login(refusal: Refusal) -> Cause | None:
    """A login that another server refused to this one: the statement itself was let in."""
    other = _REMOTE.search(refusal.exception)
    if other is None or not refusal.sql or refusal.code not in (192, 193, 194, 195, 516):
        return None
    return Cause(
        "server_remote_login",
        f"Server {other[1]} refused the login that this server sends it for {_what(refusal.target)}: {refusal.brief}.",
        object=other[1],
        expected=f"a user and a password that {other[1]} knows",
        actual=refusal.brief,
        next_step="Correct user and password in the statement's remote(...), or the cluster's in remote_servers.",
        fix_side="the ingest's statement, or server: remote_servers",
    )


def _bare_word(refusal: Refusal, catalog: Catalog) -> Cause | None:
    """A value that stands in VALUES without quotes is read as the name of a column."""
    if refusal.code != 47 or not re.search(r"[Ww]hile executing \w*Values", refusal.text):
        return None
    found = re.search(r"(?:identifier|columns):? [`']?(\w+)", refusal.text)
    word = found[1] if found else "that is no literal"
    return _without_quotes(refusal, word)


def _without_quotes(refusal: Refusal, word: str) -> Cause:
    python = word in ("None", "nan", "NaN", "NaT", "inf", "undefined", "True", "False")
    return Cause(
        "server_type_mismatch",
        f"The value {word} stands without quotes in the VALUES of {_what(refusal.target)}: the server takes it for a "
        "name.",
        object=refusal.target.name,
        expected="a literal: a number, a text in single quotes, NULL",
        actual=f"{word}, as the ingest's language writes it" if python else f"{word} without quotes",
        next_step="Do not build the values into the SQL text: hand the rows to the driver (insert, execute with "
        "parameters), or send them as FORMAT JSONEachRow"
        + ("; in SQL text it would be NULL." if python else "; in SQL text it would be quoted."),
        fix_side="the ingest",
    )


def _other_format(refusal: Refusal) -> Cause | None:
    """What was sent is not in the format that the INSERT announces, from its first byte on."""
    target = refusal.target
    named = re.search(r"(?i)\bFORMAT\s+(\w+)\s*$|\bFORMAT\s+(\w+)", refusal.sql)
    begins = re.search(r"expected '[{\[]' before: '(\s*[^{\[\s'][^\n]{0,80})", refusal.text)
    unquoted = re.search(r"JSON string: expected opening quote", refusal.text)
    if target.verb != "INSERT" or refusal.code not in (26, 27, 117) or "reading the value of key" in refusal.text:
        return None
    if not (begins or unquoted or re.search(r"[Nn]ot an? \w+ file|wrong magic|[Ii]nvalid \w+ file", refusal.text)):
        return None
    kind = next((name for name in (named.groups() if named else ()) if name), "the format that it announces")
    seen = begins[1].partition("': ")[0] if begins else refusal.brief
    return Cause(
        "server_bad_input",
        f"What the ingest sent as rows of {_what(target)} is not {kind}: {'it begins with ' if begins else ''}{seen}",
        object=target.name,
        expected=f"rows in format {kind}",
        actual=seen,
        next_step="Look at what the ingest sends as the body of this INSERT. A page or an error text of its source, "
        "passed on unread, begins with < or with words: check the source's answer (status, content type) before it is "
        "inserted."
        + (" A key without double quotes is how str() of a dictionary prints: json.dumps it." if unquoted else ""),
        fix_side="the ingest",
    )


# Resources -----------------------------------------------------------------------------------------------------------


def _memory(refusal: Refusal, catalog: Catalog) -> Cause:
    text = refusal.text
    if re.search(r"(?i)\(total\)|\btotal memory limit", text):
        which, setting, side = "the whole server", "max_server_memory_usage", "server: memory"
    elif re.search(r"(?i)for user|user memory limit", text):
        which, setting, side = (
            f"all queries of user {refusal.user}",
            "max_memory_usage_for_user",
            "server: the user's profile",
        )
    else:
        which, setting, side = "one query", "max_memory_usage", "the ingest's batch size, or the user's profile"
    amounts = re.search(r"would use ([\d.]+ \w+)", text)
    maximum = re.search(r"maximum: ([\d.]+ \w+)", text)
    return Cause(
        "server_memory_limit",
        f"The memory limit for {which} ({setting}) was reached by {_what(refusal.target)}.",
        object=setting,
        expected=f"at most {maximum.group(1)}" if maximum else f"less than {setting}",
        actual=f"would use {amounts.group(1)}" if amounts else text[:300],
        next_step=f"Insert smaller batches, or raise {setting} for user {refusal.user}. What used it: SELECT query_id, "
        "formatReadableSize(memory_usage), query FROM system.query_log WHERE event_date = today() AND type != "
        "'QueryStart' ORDER BY memory_usage DESC LIMIT 5;",
        fix_side=side,
    )


def _too_many_parts(refusal: Refusal, catalog: Catalog) -> Cause:
    target = refusal.target
    if re.search(r"(?i)partitions for single INSERT", refusal.text) or refusal.code == 565:
        return Cause(
            "server_too_many_parts",
            f"One INSERT into {target.name} touches more partitions than max_partitions_per_insert_block allows.",
            object=target.name,
            expected="few partitions per INSERT",
            actual=refusal.text,
            next_step="Sort or split the rows by the table's partition key before inserting, or choose a coarser "
            "PARTITION BY.",
            fix_side="the ingest's batches, or the table's PARTITION BY",
        )
    named = re.search(r"in table '([^'\s]+)", refusal.text)
    name = named.group(1) if named else target.name
    database, _, table = (name or "").partition(".")
    parts = catalog.evidence.active_parts(database, table) if table else None
    sql_name = quote_table(database, table) if table else name
    return Cause(
        "server_too_many_parts",
        f"Table {name} has too many parts: merges do not keep up with the inserts.",
        object=name,
        expected="fewer parts per partition than parts_to_throw_insert",
        actual=refusal.text + (f" Active parts now: {parts}." if parts is not None else ""),
        next_step="Insert fewer, bigger batches (or switch on async_insert for the ingest's user). Look whether "
        "merges run: "
        f"SELECT * FROM system.merges WHERE table = '{table}'; SYSTEM START MERGES {sql_name};",
        fix_side="the ingest's batch size, unless merges are stopped or the disk is full",
    )


def _no_space(refusal: Refusal, catalog: Catalog) -> Cause:
    disks = [
        f"{row['name']} ({row['path']}): {row['free'] // 2**20} of {row['total'] // 2**20} MiB free"
        for row in catalog.evidence.disks()
    ]
    return Cause(
        "server_no_space",
        f"The server has no space left for {_what(refusal.target)}.",
        object=refusal.target.name,
        expected="free space on the server's disk",
        actual="; ".join(disks) or refusal.text,
        next_step="Free space on the server's host (df -h; the largest tables: SELECT database, table, "
        "formatReadableSize(sum(bytes_on_disk)) FROM "
        "system.parts GROUP BY 1, 2 ORDER BY sum(bytes_on_disk) DESC LIMIT 10;), then run the ingest again.",
        fix_side="server: disk",
    )


def _timeout(refusal: Refusal, catalog: Catalog) -> Cause:
    limit = re.search(r"maximum:\s*([\d.]+)", refusal.text)
    setting = "max_execution_time" if refusal.code == 159 else "min_execution_speed / max_estimated_execution_time"
    return Cause(
        "server_timeout",
        f"The server ended {_what(refusal.target)} at its time limit ({setting}).",
        object=refusal.target.name,
        expected=f"done within {limit.group(1)} seconds" if limit else f"done within {setting}",
        actual=refusal.text[:300],
        next_step=f"Make the statement cheaper or insert smaller batches, or raise {setting} for user {refusal.user}.",
        fix_side="the ingest's statement, or the user's profile",
    )


def _busy(refusal: Refusal, catalog: Catalog) -> Cause:
    return Cause(
        "server_too_many_queries",
        f"The server already ran as many queries as it may and refused {_what(refusal.target)}.",
        object=refusal.user,
        expected="fewer than max_concurrent_queries (for the server, the user or the kind)",
        actual=refusal.text,
        next_step="SELECT user, count() FROM system.processes GROUP BY user; then let the ingest retry, or raise the "
        "limit.",
        fix_side="server: concurrency limits",
    )


def _setting(refusal: Refusal, catalog: Catalog) -> Cause:
    found = _QUOTED.search(refusal.text)
    name = found.group(1) if found else (re.search(r"[Ss]etting (\w+)", refusal.text) or [None, None])[1]
    return Cause(
        "server_setting_refused",
        f"The server refused the setting {name or ''} that the ingest sends: {refusal.brief}",
        object=name,
        expected="settings that this server version knows and this user may set",
        actual=refusal.text,
        next_step="Remove the setting from the ingest, or allow it in the user's profile (constraints"
        + ("; readonly = 2 lets a reader change settings)." if "readonly mode" in refusal.text else ")."),
        fix_side="the ingest",
    )


# DDL and views -------------------------------------------------------------------------------------------------------


# Codes that mean: this version does not know it. 48 NOT_IMPLEMENTED, 50 UNKNOWN_TYPE, 56 UNKNOWN_STORAGE,
# 62 SYNTAX_ERROR, 115 UNKNOWN_SETTING, 344 SUPPORT_IS_DISABLED
_OTHER_VERSION = (48, 50, 56, 62, 115, 344)


def _unsupported_ddl(refusal: Refusal, catalog: Catalog) -> Cause | None:
    target = refusal.target
    if target.verb not in ("CREATE", "ALTER", "DROP", "RENAME", "EXCHANGE", "TRUNCATE", "OPTIMIZE", "DETACH"):
        return None
    version = refusal.code in _OTHER_VERSION
    return Cause(
        "server_unsupported_ddl",
        f"This server does not accept {_what(target)}: {refusal.brief}",
        object=target.name,
        expected="DDL that this server version knows" if version else f"{target.verb} that fits what is there",
        actual=refusal.brief,
        next_step="Write the statement for this server's version (SELECT version()), or upgrade the server."
        if version
        else "Correct the statement as the exception says"
        + (f"; what is there: SHOW CREATE {target.kind} {target.name};" if target.verb != "CREATE" else ".")
        + " If it works elsewhere, compare the versions (SELECT version()).",
        fix_side="schema",
    )


def _view_failed(refusal: Refusal, catalog: Catalog, view: str) -> Cause:
    target = refusal.target
    source = target.name or "the source table"
    inner_sql = None
    database, _, name = view.rpartition(".")
    facts = catalog.table_facts(database or refusal.current_database, name)
    if facts:
        inner_sql = str(facts["create_table_query"])
    bare = _VIEW_IN_TEXT.sub("", clean_exception(refusal.exception))
    inner = None
    if inner_sql:
        select = re.search(r"(?is)\bAS\s+((?:WITH|SELECT)\b.*)", inner_sql)
        inner = _classify_plain(
            Refusal(
                sql=select.group(1) if select else inner_sql,
                exception=bare,
                code=refusal.code,
                code_name=refusal.code_name,
                user=refusal.user,
                current_database=database or refusal.current_database,
                view=view,
            ),
            catalog,
        )
    reason = refusal.text
    reason = re.sub(r":?\s*while pushing to view.*", "", reason, flags=re.DOTALL).strip() or refusal.text
    reason = _ASIDE.split(reason, maxsplit=1)[0] or reason
    kept = "MergeTree" in str((catalog.table_facts(target.database, target.table) or {}).get("engine", ""))
    step = f"Correct the view: SHOW CREATE TABLE {view};"
    if (
        inner
        and inner.cause in ("server_missing_column", "server_missing_table", "server_missing_database")
        and inner.next_step
    ):
        step += f" {inner.actual}. {inner.next_step}"
    step += (
        f"\nBefore a retry look for the rows of this INSERT in {source}: they may have stayed, and a retry then "
        "doubles them" + (" (a ReplacingMergeTree merges them by key later, other engines do not)." if kept else ".")
    )
    return Cause(
        "server_view_failed",
        f"Materialized view {view} failed while INSERT pushed rows from {source} to it: {reason[:200]}",
        object=view,
        expected=f"view {view} takes every row that {source} takes",
        actual=reason,
        next_step=step,
        fix_side="schema: the view, not the ingest",
    )


def async_insert_failed(database: str, table: str, rows: int, refusal: Refusal, catalog: Catalog) -> Cause:
    """An asynchronous insert that was accepted and failed at its flush; the reason is classified as an INSERT's is."""
    inner = classify(refusal, catalog)
    amount = f"{rows} row(s)" if rows else "the rows"
    return Cause(
        "server_async_insert_failed",
        f"An asynchronous INSERT into {database}.{table} was accepted and failed later, {amount} lost: "
        f"{inner.headline}",
        object=inner.object or f"{database}.{table}",
        expected=inner.expected,
        actual=inner.actual or refusal.text,
        next_step=(f"{inner.next_step}\n" if inner.next_step else "")
        + "Let the ingest wait for the outcome: wait_for_async_insert = 1 (or async_insert = 0); the failed rows "
        "have to be sent again.",
        fix_side=inner.fix_side,
    )


def _replication(refusal: Refusal, catalog: Catalog) -> Cause:
    return Cause(
        "server_replication",
        f"Keeper or too few replicas kept the server from {_what(refusal.target)}: {refusal.brief}",
        object=refusal.target.name,
        expected="Keeper and enough live replicas",
        actual=refusal.text,
        next_step="SELECT database, table, is_readonly, active_replicas, total_replicas, zookeeper_exception FROM "
        "system.replicas;",
        fix_side="server: Keeper or replicas",
    )


def _generic(refusal: Refusal) -> Cause:
    return Cause(
        "server_refused_statement",
        f"The server refused {_what(refusal.target)} with {refusal.code_name or 'code ' + str(refusal.code)}: "
        f"{refusal.brief}",
        object=refusal.target.name,
        actual=refusal.brief,
        next_step=f"Run the statement alone as user {refusal.user} and correct what the exception names.",
        fix_side="the ingest, unless the exception names the server",
    )


_Handler = Callable[[Refusal, Catalog], "Cause | None"]
_HANDLERS: dict[int, _Handler] = {
    **dict.fromkeys(_MISSING_TABLE, _missing_table),
    **dict.fromkeys(_MISSING_DATABASE, _missing_database),
    **dict.fromkeys(_MISSING_COLUMN, _missing_column),
    **dict.fromkeys(_COLUMN_COUNT, _column_count),
    **dict.fromkeys((192, 193, 194, 516), _authentication),
    **dict.fromkeys((225, 285, 286, 319, 999), _replication),
    **dict.fromkeys((115, 452, 472), _setting),
    **dict.fromkeys((159, 160), _timeout),
    **dict.fromkeys((164, 242), _readonly),
    **dict.fromkeys((173, 241), _memory),
    62: _values_syntax,
    195: _host_not_allowed,
    201: _quota,
    **dict.fromkeys((202, 700, 745, 749, 762), _busy),
    243: _no_space,
    **dict.fromkeys((252, 565), _too_many_parts),
    **dict.fromkeys((291, 497), _missing_grant),
}
