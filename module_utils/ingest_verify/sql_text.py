"""What a logged statement is about: its verb and target table, read from the SQL text by token positions.

`system.query_log.tables` is empty for statements that fail before they start, so the text is the only witness.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .statements import Token, tokens_until_cut

# A target stands near the start; the value list of an INSERT that follows may be megabytes.
_HEAD = 20_000
_NOISE_WORDS = {
    "INTO", "TABLE", "TABLES", "IF", "NOT", "EXISTS", "TEMPORARY", "OR", "REPLACE", "MATERIALIZED", "LIVE", "LOCAL",
}  # fmt: skip
# How a text looks that log_queries_cut_to_length cut: 24.8 and 26.x.
_CUT = re.compile(r"\s*\.\.\.(?:\s*\(truncated \d+ characters\))?\s*$")
_VERBS_WITH_TARGET = {
    "INSERT", "CREATE", "DROP", "ALTER", "TRUNCATE", "DESCRIBE", "RENAME", "OPTIMIZE", "DELETE", "UPDATE", "EXISTS",
    "SHOW", "CHECK", "EXCHANGE", "DETACH",
}  # fmt: skip
_OBJECT_WORDS = {"TABLE", "VIEW", "DATABASE", "DICTIONARY", "FUNCTION", "USER", "ROLE", "QUOTA", "POLICY", "PROFILE"}


@dataclass(frozen=True)
class Target:
    """The object a statement acts on. `verb` is upper case (`INSERT`, `DESCRIBE`, `SELECT`, ...), `kind` is `TABLE`,
    `VIEW`, `DATABASE`, ... ; `database` and `table` are None where the text names none; `columns` is an INSERT's
    column list, None when it has none."""

    verb: str
    kind: str = "TABLE"
    database: str | None = None
    table: str | None = None
    columns: tuple[str, ...] | None = None

    @property
    def name(self) -> str | None:
        """`database.table`, `table`, or `database` for statements about a database."""
        if self.table is None:
            return self.database
        return f"{self.database}.{self.table}" if self.database else self.table


def tokenize(sql: str) -> list[Token]:
    """Tokens of the statement's head; a text that was cut within a literal still gives those before the cut."""
    return tokens_until_cut(_CUT.sub("", sql[:_HEAD]))


def statement_target(sql: str, current_database: str | None = None) -> Target:
    """Verb and target of a statement; an unqualified table is placed into `current_database`."""
    tokens = tokenize(sql)
    if not tokens:
        return Target(verb=(sql.split(None, 1) or [""])[0].upper())
    verb = tokens[0].text.upper()
    verb = {"DESC": "DESCRIBE", "REPLACE": "CREATE", "WITH": "SELECT", "ATTACH": "CREATE"}.get(verb, verb)
    if verb == "SELECT" or (verb == "(" and len(tokens) > 1):
        insert = next((i for i, token in enumerate(tokens) if token.upper == "INSERT"), None)
        # "WITH x AS (...) INSERT INTO t" is an INSERT.
        if insert is None or tokens[0].text.upper() != "WITH":
            tables = source_tables(sql, current_database)
            database, table = tables[0] if tables else (None, None)
            return Target("SELECT", database=database, table=table)
        tokens, verb = tokens[insert:], "INSERT"
    if verb not in _VERBS_WITH_TARGET:
        return Target(verb)
    return _target_of(verb, tokens, current_database)


def _target_of(verb: str, tokens: list[Token], current_database: str | None) -> Target:
    position, kind = 1, "TABLE"
    while position < len(tokens) and tokens[position].kind != "quoted":
        word = tokens[position].text.upper()
        following = tokens[position + 1].text if position + 1 < len(tokens) else ""
        if verb == "INSERT" and word == "FUNCTION":
            return Target(verb, "FUNCTION", None, following)
        if word in _OBJECT_WORDS and following not in (".", "("):
            kind = word
        elif (word not in _NOISE_WORDS and (verb, word) != ("DELETE", "FROM")) or following == ".":
            break
        position += 1
    if kind not in ("TABLE", "VIEW", "DATABASE", "DICTIONARY"):
        return Target(verb, kind)
    if position >= len(tokens) or not _is_name(tokens[position]):
        return Target(verb, kind)
    parts = [_spelled(tokens[position])]
    position += 1
    while position + 1 < len(tokens) and tokens[position].text == ".":
        parts.append(_spelled(tokens[position + 1]))
        position += 2
    if kind == "DATABASE" and len(parts) == 1:
        return Target(verb, kind, parts[0])
    database, table = (parts[0], parts[1]) if len(parts) > 1 else (current_database or None, parts[0])
    columns = _column_list(tokens, position) if verb == "INSERT" else None
    return Target(verb, kind, database, table, columns)


def _spelled(token: Token) -> str:
    """The name that a token spells, its text where it is none."""
    return token.name or token.text


def _is_name(token: Token) -> bool:
    return token.kind == "quoted" or token.text.replace("_", "a").isalnum()


def _column_list(tokens: list[Token], position: int) -> tuple[str, ...] | None:
    if position >= len(tokens) or tokens[position].text != "(":
        return None
    columns: list[str] = []
    depth, name = 0, ""
    for token in tokens[position:]:
        if token.text == "(":
            depth += 1
            if depth > 1:
                return None
        elif token.text == ")":
            if name:
                columns.append(name)
            return tuple(columns)
        elif token.text == ",":
            columns.append(name)
            name = ""
        elif token.upper == "SELECT" or token.text == "*":
            return None
        else:
            name += _spelled(token)
    return None


def has_select(sql: str) -> bool:
    """Whether a statement reads rows by a SELECT of its own."""
    return any(token.upper == "SELECT" for token in tokenize(sql))


def source_tables(sql: str, current_database: str | None = None) -> list[tuple[str | None, str]]:
    """`(database, table)` of every FROM and JOIN that names a table, in order."""
    tokens = tokenize(sql)
    found: list[tuple[str | None, str]] = []
    for index, token in enumerate(tokens[:-1]):
        if token.upper not in ("FROM", "JOIN"):
            continue
        first = tokens[index + 1]
        if first.text == "(" or not _is_name(first):
            continue
        after = tokens[index + 2] if index + 2 < len(tokens) else None
        if after is not None and after.text == "." and index + 3 < len(tokens):
            found.append((_spelled(first), _spelled(tokens[index + 3])))
        elif after is None or after.text != "(":
            found.append((current_database or None, _spelled(first)))
    return found
