"""Drift: a `CREATE ... IF NOT EXISTS` that met an older object with other columns, types, engine or keys.

What the statement wants is not read from its text but asked from the server: the definition is created once more as
a temporary table, which only its own session sees and which ends with it, and both are compared as the server
describes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from clickhouse_driver import Client

from .client import ServerError, query, quote_identifier, quote_table
from .session import Exact, readable
from .snapshot import text_of
from .statements import Statement, Token, tokenize

_PARAMETER_NOT_SET = 456
_SCRATCH = "ingest_verify_drift"
_KINDS = ("TABLE", "VIEW", "DICTIONARY", "DATABASE", "FUNCTION")
_CLAUSES = {
    "ENGINE": "engine",
    "PARTITION": "partition key",
    "PRIMARY": "primary key",
    "ORDER": "sorting key",
    "SAMPLE": "sampling key",
    "TTL": "TTL",
}
# What follows a column's type and default, and what stands among the columns.
_COLUMN_PARTS = ("COMMENT", "CODEC", "STATISTICS", "TTL", "SETTINGS")
_TABLE_PARTS = ("INDEX", "PROJECTION", "CONSTRAINT")
_DICTIONARY_PARTS = ("PRIMARY", "SOURCE", "LIFETIME", "LAYOUT", "RANGE", "SETTINGS", "COMMENT")
# A server shows this in place of a password; any text may stand there.
_HIDDEN = "[HIDDEN]"
_ENDS = ("SETTINGS", "COMMENT", "AS", "EMPTY", "SQL", "DEFINER")
_REPLICATED = re.compile(r"^(?:Replicated|Shared)(\w*MergeTree)(?:\((?:'[^']*', '[^']*'(?:, )?)?(.*)\))?$")
# "ALTER TABLE ... ADD COLUMN" and its like: the script itself changes these columns after the CREATE.
_COLUMN_VERBS = {"ADD", "DROP", "MODIFY", "RENAME", "ALTER", "CLEAR", "COMMENT", "MATERIALIZE"}


@dataclass(frozen=True)
class Created:
    """What a CREATE statement makes: `kind` is `TABLE`, `VIEW`, `MATERIALIZED VIEW`, `DATABASE`, ...; `rest` is the
    number of the first token after its name."""

    kind: str
    database: str
    name: str
    current_database: str
    if_not_exists: bool
    temporary: bool
    rest: int

    @property
    def catalog_name(self) -> str:
        """Its name in a snapshot of the catalog."""
        return f"function {self.name}" if self.kind == "FUNCTION" else f"table {self.database}.{self.name}"


@dataclass(frozen=True)
class Column:
    """A column as `system.columns` shows it."""

    name: str
    type: str
    default_kind: str = ""
    default_expression: str = ""

    @property
    def definition(self) -> str:
        """Type and default as they stand in an ALTER."""
        return " ".join(part for part in (self.type, self.default_kind, self.default_expression) if part)


@dataclass
class Definition:
    """Columns in order, the clauses (`engine`, `sorting key`, ...), the spellings of a view's SELECT or a function's
    body, and `parts`, all that belongs to one column or stands among them (`codec of column a`, `index i`); `complete`
    when a clause or part that is not among them is known to be absent."""

    columns: list[Column] = field(default_factory=list)
    clauses: dict[str, str] = field(default_factory=dict)
    select: frozenset[str] = frozenset()
    complete: bool = True
    parts: dict[str, str] = field(default_factory=dict)


@dataclass
class Difference:
    """How an existing object differs from its statement. `notes` name each difference; `alters` are ready to paste;
    `minor` means that no statement fails or stores anything else because of it."""

    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    alters: list[str] = field(default_factory=list)
    minor: bool = True

    def add(self, note: str, alter: str | None = None, *, minor: bool = False) -> None:
        self.notes.append(note)
        if alter:
            self.alters.append(alter)
        self.minor = self.minor and minor


def created_object(statement: Statement, current_database: str) -> Created | None:
    """What the statement creates, None when it is no CREATE."""
    tokens = statement.tokens
    if tokens[0].upper not in ("CREATE", "ATTACH"):
        return None
    position = 1
    while position < len(tokens) and tokens[position].upper and tokens[position].upper not in _KINDS:
        position += 1
    if position >= len(tokens) or tokens[position].upper not in _KINDS:
        return None
    before = [token.upper for token in tokens[1:position]]
    kind = "MATERIALIZED VIEW" if "MATERIALIZED" in before else tokens[position].upper
    position += 1
    if_not_exists = [token.upper for token in tokens[position : position + 3]] == ["IF", "NOT", "EXISTS"]
    name, position = qualified_name(tokens, position + (3 if if_not_exists else 0))
    if not name:
        return None
    database = name[0] if len(name) > 1 else current_database
    position = _skip(tokens, position, "UUID", 2)
    position = _skip(tokens, position, "ON", 3)
    return Created(kind, database, name[-1], current_database, if_not_exists, "TEMPORARY" in before, position)


def _skip(tokens: Sequence[Token], position: int, word: str, count: int) -> int:
    return position + count if position < len(tokens) and tokens[position].upper == word else position


def qualified_name(tokens: Sequence[Token], position: int) -> tuple[list[str], int]:
    """Parts of the (qualified) name at `position`, and the number of the token after it."""
    parts: list[str] = []
    while position < len(tokens) and (name := tokens[position].name) is not None:
        parts.append(name)
        position += 1
        if position >= len(tokens) or tokens[position].text != ".":
            break
        position += 1
    return parts, position


def wanted_definition(
    client: Client, statement: Statement, created: Created, session: Iterable[str]
) -> Definition | None:
    """What the server makes of the statement; None when the statement says nothing that can be compared.

    `session` are the script's SET and USE statements since the last call with this client. Raises ServerError when the
    server refuses the temporary table or the view's SELECT.
    """
    for sql in session:
        client.execute(Exact(sql))
    if created.kind in ("VIEW", "MATERIALIZED VIEW"):
        return _wanted_view(client, statement, created)
    if created.kind in ("DICTIONARY", "FUNCTION"):
        return _plain_definition(client, created.kind, readable(statement.sql))
    tokens = statement.tokens
    if created.rest >= len(tokens) or tokens[created.rest].text != "(":
        return None
    close = _closing(tokens, created.rest)
    columns = statement.text_of(created.rest, close + 1)
    clauses = clauses_of(tokens[close + 1 :])
    engine = clauses.get("engine", "MergeTree")
    family = engine.split("(")[0].strip()
    if not family.endswith("MergeTree"):
        plain = _temporary(client, f"{columns} ENGINE = Memory")
        return Definition(plain.columns, {"engine": family}, complete=False)
    parts = [columns, f"ENGINE = {engine}"]
    parts += [f"{_spelling(name)} {text}" for name, text in clauses.items() if name != "engine"]
    # Some keys and projections are only accepted with a setting.
    parts += [_joined(clause) for word, clause in _split_at(tokens[close + 1 :], _ENDS) if word == "SETTINGS"]
    try:
        return _temporary(client, " ".join(parts))
    except ServerError as error:
        # A login without the right to make temporary MergeTree tables still learns about the columns.
        try:
            return Definition(_temporary(client, f"{columns} ENGINE = Memory").columns, complete=False)
        except ServerError:
            raise error from None


def _closing(tokens: Sequence[Token], opening: int) -> int:
    depth = tokens[opening].depth - 1
    return next(i for i in range(opening + 1, len(tokens)) if tokens[i].text in ")]}" and tokens[i].depth == depth)


def _spelling(clause: str) -> str:
    word = next(word for word, name in _CLAUSES.items() if name == clause)
    return word if word == "TTL" else f"{word} {'KEY' if word == 'PRIMARY' else 'BY'}"


def _temporary(client: Client, definition: str) -> Definition:
    query(client, Exact(f"CREATE TEMPORARY TABLE {_SCRATCH} {definition}"))
    try:
        return existing_definition(client, "", _SCRATCH) or Definition()
    finally:
        query(client, f"DROP TEMPORARY TABLE IF EXISTS {_SCRATCH}")


def _wanted_view(client: Client, statement: Statement, created: Created) -> Definition | None:
    tokens = statement.tokens
    start = next((i for i in range(created.rest, len(tokens)) if tokens[i].upper == "AS" and not tokens[i].depth), None)
    if start is None or start + 1 >= len(tokens):
        return None
    commented = tokens[-2].upper == "COMMENT" and tokens[-1].kind in ("string", "heredoc")
    select = statement.text_of(start + 1, len(tokens) - 2 if commented else None)
    spellings = _spellings(client, select, created.current_database)
    if created.rest < len(tokens) and tokens[created.rest].text == "(":
        named = list(_elements(tokens, created.rest, _closing(tokens, created.rest)))
        # Names alone are written into the SELECT by the server.
        return Definition(select=frozenset() if all(len(name) == 1 for name in named) else spellings, complete=False)
    return Definition(_described(client, select), {}, spellings, complete=False)


def _described(client: Client, select: str) -> list[Column]:
    try:
        return _columns(query(client, Exact(f"DESCRIBE TABLE ({select}\n)")))
    except ServerError as error:
        if error.code == _PARAMETER_NOT_SET:
            return []
        raise


def _plain_definition(client: Client, kind: str, create_query: str) -> Definition:
    """A dictionary's attributes and clauses, or a function's body, in the server's own format."""
    sql = text_of(query(client, "SELECT formatQuerySingleLine(%(sql)s) AS sql", {"sql": create_query})[0]["sql"])
    tokens = tokenize(sql)
    if kind == "FUNCTION":
        start = next(i for i, token in enumerate(tokens) if token.upper == "AS")
        return Definition(select=frozenset([_joined(tokens[start + 1 :])]), complete=False)
    opening = next(i for i, token in enumerate(tokens) if token.text == "(")
    close = _closing(tokens, opening)
    parts = {}
    for element in _elements(tokens, opening, close):
        parts[f"attribute {element[0].name}"] = _joined(element[1:])
    for word, clause in _split_at(tokens[close + 1 :], _DICTIONARY_PARTS):
        parts[word.lower()] = _joined(clause)
    return Definition(parts=parts)


def _elements(tokens: Sequence[Token], opening: int, close: int) -> Iterable[Sequence[Token]]:
    """What the commas between two brackets separate."""
    depth, start = tokens[opening].depth, opening + 1
    for i in range(opening + 1, close + 1):
        if i == close or (tokens[i].text == "," and tokens[i].depth == depth):
            if i > start:
                yield tokens[start:i]
            start = i + 1


def _split_at(tokens: Sequence[Token], words: Sequence[str]) -> Iterable[tuple[str, Sequence[Token]]]:
    """(word, tokens from it up to the next of `words`), at the depth of the first token."""
    starts = [i for i, token in enumerate(tokens) if token.upper in words and token.depth == tokens[0].depth]
    for start, end in zip(starts, [*starts, len(tokens)][1:], strict=True):
        yield tokens[start].upper, tokens[start:end]


def _parts(tokens: Sequence[Token]) -> dict[str, str]:
    """The parts of a table from its CREATE statement as the server shows it, where each column's name is quoted."""
    opening = next((i for i, token in enumerate(tokens) if token.text == "("), None)
    if opening is None:
        return {}
    found = {}
    for element in _elements(tokens, opening, _closing(tokens, opening)):
        if element[0].upper in _TABLE_PARTS and len(element) > 1:
            found[f"{element[0].text.lower()} {element[1].name}"] = _joined(element[2:])
            continue
        for word, clause in _split_at(element, _COLUMN_PARTS):
            found[f"{word if word == 'TTL' else word.lower()} of column {element[0].name}"] = _joined(clause)
    return found


def _spellings(client: Client, select: str, current_database: str) -> frozenset[str]:
    """A SELECT in the server's own format, and as the server rewrites WITH and UNION before it stores a view, where it
    can be asked. Storing, it also puts the current database before each table that the text names without one."""
    formatted = query(client, "SELECT formatQuerySingleLine(%(sql)s) AS sql", {"sql": readable(select)})
    texts = [text_of(formatted[0]["sql"])]
    try:
        rewritten = query(client, Exact(f"EXPLAIN SYNTAX {select}"))
        texts.append("\n".join(text_of(line) for row in rewritten for line in row.values()))
    except ServerError:
        # A parameter without a value, or a table that this login may not read.
        pass
    return frozenset(text.replace("`", "").replace(f"{current_database}.", "").casefold() for text in texts)


def existing_object(client: Client, created: Created) -> Definition | None:
    """What is there under the name that a statement creates; None when it is not visible. Raises as the server does."""
    if created.kind == "FUNCTION":
        rows = query(client, "SELECT create_query AS sql FROM system.functions WHERE name = %(name)s", vars(created))
    elif created.kind == "DICTIONARY":
        rows = query(
            client,
            "SELECT create_table_query AS sql FROM system.tables WHERE database = %(database)s AND name = %(name)s",
            vars(created),
        )
    else:
        return existing_definition(client, created.database, created.name, created.current_database)
    return _plain_definition(client, created.kind, text_of(rows[0]["sql"])) if rows and rows[0]["sql"] else None


def existing_definition(client: Client, database: str, table: str, current_database: str = "") -> Definition | None:
    """The table as the server describes it; None when it is absent or not visible. `current_database` is left out of a
    view's SELECT, as in `wanted_definition`."""
    params = {"database": database, "table": table}
    rows = query(
        client,
        "SELECT create_table_query, as_select, engine FROM system.tables"
        " WHERE database = %(database)s AND name = %(table)s",
        params,
    )
    if not rows:
        return None
    columns = query(
        client,
        "SELECT name, type, default_kind AS default_type, default_expression FROM system.columns"
        " WHERE database = %(database)s AND table = %(table)s ORDER BY position",
        params,
    )
    select = text_of(rows[0]["as_select"])
    tokens = tokenize(text_of(rows[0]["create_table_query"]))
    clauses = {"engine": text_of(rows[0]["engine"]), **clauses_of(tokens)}
    # Without ORDER BY the primary key is the sorting key; a table that is not temporary shows it so.
    if "primary key" in clauses:
        clauses.setdefault("sorting key", clauses["primary key"])
        if _plain(clauses["primary key"]) == _plain(clauses["sorting key"]):
            del clauses["primary key"]
    spellings = _spellings(client, select, current_database) if select else frozenset()
    return Definition(_columns(columns), clauses, spellings, parts={} if select else _parts(tokens))


def _columns(rows: Iterable[dict[str, Any]]) -> list[Column]:
    return [
        Column(*(text_of(row[key]) for key in ("name", "type", "default_type", "default_expression"))) for row in rows
    ]


def clauses_of(tokens: Sequence[Token]) -> dict[str, str]:
    """The clauses after a table's columns, by their names in `_CLAUSES`; replicated engines as their plain ones."""
    found: dict[str, list[Token]] = {}
    current: str | None = None
    for i, token in enumerate(tokens):
        if token.depth == 0 and token.upper in _ENDS:
            current = None
            if token.upper in ("AS", "EMPTY"):
                break
        elif token.depth == 0 and token.upper in _CLAUSES and _CLAUSES[token.upper] not in found:
            # "PRIMARY KEY" and "ORDER BY" are two words; GROUP BY and SET inside a TTL are part of it.
            current = _CLAUSES[token.upper]
            found[current] = []
        elif (
            current
            and not (token.upper in ("BY", "KEY") and tokens[i - 1].upper in _CLAUSES)
            and not (current == "engine" and token.text == "=")
        ):
            found[current].append(token)
    clauses = {name: _joined(parts) for name, parts in found.items()}
    if "engine" in clauses and (match := _REPLICATED.match(clauses["engine"])):
        clauses["engine"] = match[1] + (f"({match[2]})" if match[2] else "")
    return clauses


def _joined(tokens: Sequence[Token]) -> str:
    """The tokens in one line, spaced as they were written."""
    text = ""
    for previous, token in zip((None, *tokens), tokens, strict=False):
        text += (" " if previous and previous.end < token.start else "") + token.text
    return text


def altered_by(statements: Iterable[tuple[Statement, str]]) -> dict[tuple[str, str], set[str]]:
    """Columns, and clauses by name, that the script's own ALTER TABLE (or CREATE INDEX) touches, by (database, table).

    Each statement comes with its current database.
    """
    touched: dict[tuple[str, str], set[str]] = {}
    for statement, current_database in statements:
        tokens = statement.tokens
        words = [token.upper for token in tokens[:2]]
        if words == ["ALTER", "TABLE"]:
            name, position = qualified_name(tokens, _behind_exists(tokens, 2))
            parts = set(_altered(tokens[position:]))
        elif words in (["CREATE", "INDEX"], ["DROP", "INDEX"]):
            index, position = qualified_name(tokens, _behind_exists(tokens, 2))
            name, _ = qualified_name(tokens, position + 1)
            parts = {f"index {'.'.join(index)}"}
        else:
            continue
        if name:
            touched.setdefault((name[0] if len(name) > 1 else current_database, name[-1]), set()).update(parts)
    return touched


def _behind_exists(tokens: Sequence[Token], position: int) -> int:
    while position < len(tokens) and tokens[position].upper in ("IF", "NOT", "EXISTS"):
        position += 1
    return position


def _plain(clause: str) -> str:
    """A clause without what makes no difference: quotes around names, and brackets around the whole of it."""
    text = clause.replace("`", "").removeprefix("tuple")
    while text.startswith("(") and text.endswith(")"):
        tokens = tokenize(text)
        if _closing(tokens, 0) != len(tokens) - 1 or any(token.text == "," and token.depth == 1 for token in tokens):
            break
        text = text[1:-1].strip()
    return text


def _altered(tokens: Sequence[Token]) -> Iterable[str]:
    for i, token in enumerate(tokens):
        following = tokens[i + 1].upper if i + 1 < len(tokens) else ""
        if token.depth or token.upper not in {*_COLUMN_VERBS, "REMOVE"}:
            continue
        if following in _CLAUSES:
            yield _CLAUSES[following]
        elif following == "QUERY":
            yield "select"
        elif following == "COLUMN" or following in _TABLE_PARTS:
            parts, position = qualified_name(tokens, _behind_exists(tokens, i + 2))
            yield ".".join(parts) if following == "COLUMN" else f"{following.lower()} {'.'.join(parts)}"
            if position < len(tokens) and tokens[position].upper == "TO":
                yield ".".join(qualified_name(tokens, position + 1)[0])


def compare(wanted: Definition, found: Definition, database: str, table: str, touched: set[str]) -> Difference:
    """Each difference between the two, apart from what the script itself alters afterwards (`touched`)."""
    target = quote_table(database, table)
    result = Difference()
    existing = {column.name: column for column in found.columns}
    previous: str | None = None
    for column in wanted.columns:
        place = f" AFTER {quote_identifier(previous)}" if previous else " FIRST"
        previous = column.name if column.name in existing else previous
        name = quote_identifier(column.name)
        if column.name in touched:
            continue
        if column.name not in existing:
            result.add(
                f"column {column.name} {column.definition} is missing",
                f"ALTER TABLE {target} ADD COLUMN {name} {column.definition}{place};",
            )
            result.missing.append(column.name)
            previous = column.name
        elif existing[column.name] != column:
            result.add(
                f"column {column.name} is {existing[column.name].definition} instead of {column.definition}",
                f"ALTER TABLE {target} MODIFY COLUMN {name} {column.definition};",
            )
    if wanted.columns:
        _compare_order(result, wanted, existing, touched)
    for clause in _CLAUSES.values() if wanted.complete else wanted.clauses:
        text, here = wanted.clauses.get(clause, ""), found.clauses.get(clause, "")
        if not wanted.complete:
            here = here.split("(")[0]
        # The server puts quotes around a name such as Null that is a keyword as well.
        if clause not in touched and _plain(here) != _plain(text):
            alter = f"MODIFY TTL {text}" if text else "REMOVE TTL"
            result.add(
                f"{clause} is {here or 'absent'} instead of {text or 'absent'}",
                f"ALTER TABLE {target} {alter};" if clause == "TTL" else None,
            )
    if wanted.complete and found.complete:
        _compare_parts(result, wanted, found, target, touched)
    if wanted.select and found.select and not wanted.select & found.select and "select" not in touched:
        result.add("its SELECT is another one" if wanted.columns or found.columns else "its body is another one")
    return result


def _compare_order(result: Difference, wanted: Definition, existing: dict[str, Column], touched: set[str]) -> None:
    names = [column.name for column in wanted.columns]
    extra = [name for name in existing if name not in names and name not in touched]
    if extra:
        result.add(f"it has {', '.join(extra)} besides", minor=True)
    common = [name for name in names if name in existing and name not in touched]
    if common != [name for name in existing if name in common]:
        result.add(f"its columns stand in another order than {', '.join(names)}")


def _compare_parts(result: Difference, wanted: Definition, found: Definition, target: str, touched: set[str]) -> None:
    """What belongs to one column or stands among them; of a column that only one side has, nothing is said again."""
    columns = {column.name for column in wanted.columns} ^ {column.name for column in found.columns}
    for part in {**wanted.parts, **found.parts}:
        text, here = wanted.parts.get(part, ""), found.parts.get(part, "")
        kind, _, column = part.partition(" of column ")
        if column in columns or (column or part) in touched or _matches(here, text):
            continue
        # A secret may stand in a dictionary's source.
        said = "another one" if part == "source" else f"{here or 'absent'} instead of {text or 'absent'}"
        minor = kind in ("comment", "codec", "statistics", "settings") or kind.startswith(("index ", "projection "))
        result.add(f"{part} is {said}", _part_alter(target, kind, column, text, here), minor=minor)


def _matches(here: str, text: str) -> bool:
    if _HIDDEN not in here:
        return here == text
    pattern = ".*".join(re.escape(piece) for piece in here.split(_HIDDEN))
    return re.fullmatch(pattern, text, re.DOTALL) is not None


def _part_alter(target: str, kind: str, column: str, text: str, here: str) -> str | None:
    if column and kind in ("TTL", "codec", "comment"):
        return f"ALTER TABLE {target} MODIFY COLUMN {quote_identifier(column)} {text or f'REMOVE {kind.upper()}'};"
    word, _, name = kind.partition(" ")
    if word.upper() not in _TABLE_PARTS:
        return None
    named = f"{word.upper()} {quote_identifier(name)}"
    drop, add = f"DROP {named}" if here else "", f"ADD {named} {text}" if text else ""
    return f"ALTER TABLE {target} {', '.join(filter(None, (drop, add)))};"
