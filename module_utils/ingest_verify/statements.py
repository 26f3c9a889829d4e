"""Statements of a SQL file, found by token positions and kept exactly as they are written.

The rules are those of ClickHouse's own lexer (src/Parsers/Lexer.cpp), as measured on 24.8 and 26.9. A general SQL
tokenizer is not used because it cannot say on which line a quote was opened that is never closed, and because it reads
`{{` in a comment as a template. Refused are: typographic quotes and dashes and `//` comments, which server versions
read differently, names such as `a$b$c`, which look like heredocs, data that is not in the statement
(`INSERT ... FORMAT`, `FROM INFILE`), and templates that nobody has filled in (`{{ x }}`, `${X}`), which the server
would take for a name inside quotes. `\\G`, with which clickhouse-client ends a statement, ends one here too.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_LEXEME = re.compile(
    r"""
    (?P<space>[\s\ufeff]+)
  | (?P<comment>(?:--|\#[ !])[^\n]*)
  | (?P<block>/\*)
  | (?P<heredoc>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
  | (?P<string>'(?:[^'\\]|\\.|'')*')
  | (?P<quoted>"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`)
  | (?P<template>\{\{|\{%|\{\#|<%|[\w$]*\$\{)
  | (?P<word>[\w$]+)
  | (?P<vertical>\\G)
  | (?P<slashes>//)
  | (?P<typographic>[‘’‚“”„—–−])
  | (?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL,
)
# goose, sql-migrate and dbmate keep the way back in the same file.
_WAY_BACK = re.compile(r"--\s*(?:\+goose\s+down|\+migrate\s+down|migrate:down)\b", re.IGNORECASE)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_TEMPLATE = re.compile(r"\{\{|\{%|\$\{")
_UNCLOSED = {"'": "string", '"': "quoted name", "`": "quoted name"}


class ScriptError(Exception):
    """The file cannot be split into statements; `line` counts from 1 (0: the file as a whole)."""

    def __init__(self, line: int, problem: str, next_step: str) -> None:
        super().__init__(problem)
        self.line = line
        self.problem = problem
        self.next_step = next_step


@dataclass(frozen=True)
class Token:
    """A lexeme that is neither space nor comment; `kind` is `word`, `quoted`, `string`, `heredoc` or `symbol`, `start`
    and `end` count characters from the start of the text."""

    kind: str
    text: str
    start: int
    end: int
    line: int
    depth: int = 0

    @property
    def upper(self) -> str:
        """The word in upper case, empty for anything else: so a quoted `"FORMAT"` is never a keyword."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def name(self) -> str | None:
        """The identifier that this token spells, None when it is none."""
        if self.kind == "word":
            return self.text
        if self.kind == "quoted":
            quote = self.text[0]
            return re.sub(r"\\(.)", r"\1", self.text[1:-1].replace(quote * 2, quote), flags=re.DOTALL)
        return None


@dataclass(frozen=True)
class Statement:
    """One statement: `sql` as written, from its first token up to the semicolon, `line` of its first token."""

    sql: str
    line: int
    tokens: tuple[Token, ...] = field(repr=False, compare=False)

    def words(self) -> list[str]:
        """Its unquoted words outside brackets, in upper case."""
        return [token.upper for token in self.tokens if token.kind == "word" and token.depth == 0]

    def text_of(self, first: int, last: int | None = None) -> str:
        """The text as written from token number `first` up to token number `last` (not included)."""
        origin = self.tokens[0].start
        end = len(self.sql) if last is None or last >= len(self.tokens) else self.tokens[last].start - origin
        return self.sql[self.tokens[first].start - origin : end]


def read_source(data: bytes) -> str:
    """The text of a SQL file. Bytes that are not UTF-8, such as a comment in another encoding, survive as surrogates
    (`surrogateescape`) and are sent as they are.

    Raises ScriptError for a file in UTF-16 and for a binary file.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        raise ScriptError(
            data.split(b"\0", 1)[0].count(b"\n") + 1,
            "the file is not UTF-8 text (UTF-16 or binary: it holds NUL bytes)",
            "Save it as UTF-8, for example: iconv -f UTF-16 -t UTF-8 OLD > NEW",
        )
    return data.decode("utf-8", "surrogateescape")


def split(source: str) -> list[Statement]:
    """The statements of `source` in order; empty ones (`;;`, only comments) are left out.

    Raises ScriptError with the line for a string, name or comment that is never closed, for the refused spellings,
    and for an INSERT without rows.
    """
    statements: list[Statement] = []
    tokens: list[Token] = []
    for token in _tokens(source):
        if token.kind == "vertical" or (token.kind == "symbol" and token.text == ";"):
            if tokens:
                statements.append(_statement(source, tokens, token.start))
            tokens = []
            continue
        _refuse_inline_data(tokens, token)
        tokens.append(token)
    if tokens:
        statements.append(_statement(source, tokens, len(source)))
    return statements


def tokenize(source: str) -> list[Token]:
    """Every token of `source`; raises ScriptError as `split` does."""
    return list(_tokens(source))


def tokens_until_cut(source: str) -> list[Token]:
    """The tokens of a logged text, which may be cut within a literal or hold spellings that a file may not."""
    tokens: list[Token] = []
    for token in _tokens(source, refuse=False):
        if token.kind == "symbol" and token.text in _UNCLOSED:
            break
        tokens.append(token)
    return tokens


def _statement(source: str, tokens: list[Token], end: int) -> Statement:
    words = {token.upper for token in tokens}
    if infile := _infile(tokens):
        raise ScriptError(
            infile.line,
            "INSERT ... FROM INFILE, whose file only clickhouse-client would read and send along",
            "Write INSERT ... VALUES, or INSERT ... SELECT * FROM file('...') with the file on the server.",
        )
    no_rows = tokens[-1].upper == "VALUES" or not words & {"SELECT", "VALUES"}
    if tokens[0].upper == "INSERT" and no_rows:
        # The server would wait for the rows until the connection times out.
        raise ScriptError(tokens[0].line, "INSERT without rows", "Write the rows after VALUES, or INSERT ... SELECT.")
    return Statement(source[tokens[0].start : end].rstrip(), tokens[0].line, tuple(tokens))


def _infile(tokens: list[Token]) -> Token | None:
    if tokens[0].upper != "INSERT":
        return None
    pairs = itertools.pairwise(tokens)
    return next((b for a, b in pairs if a.upper == "FROM" and b.upper == "INFILE" and not b.depth), None)


def _tokens(source: str, *, refuse: bool = True) -> Iterator[Token]:
    position, line, depth = 0, 1, 0
    closed_at, glued = -1, 0
    while position < len(source):
        match = _LEXEME.match(source, position)
        if match is None:  # pragma: no cover - the last alternative takes any character
            raise AssertionError(position)
        kind, text, end = match.lastgroup or "", match.group(), match.end()
        if match["heredoc"] is not None:
            kind = "heredoc"
        elif kind == "block":
            end = _end_of_block(source, position, line) if refuse else _end_or_cut(source, position, line)
            kind, text = "comment", source[position:end]
        if kind == "symbol":
            if text in "([{":
                depth += 1
            elif text in ")]}":
                depth = max(0, depth - 1)
            elif text == ";":
                depth = 0
        elif kind == "vertical":
            depth = 0
        if kind == "word" and position == closed_at:
            glued = glued or line
        closed_at = end if kind == "string" else -1
        if refuse:
            _refuse_spelling(kind, text, line, glued)
        if kind not in ("space", "comment"):
            yield Token(kind, text, position, end, line, depth)
        line += text.count("\n")
        position = end


def _end_of_block(source: str, position: int, line: int) -> int:
    """ClickHouse's block comments nest."""
    level = 0
    for edge in _BLOCK_EDGE.finditer(source, position):
        level += 1 if edge.group() == "/*" else -1
        if level == 0:
            return edge.end()
    raise ScriptError(line, "a /* comment is opened here and never closed", "Close it with */ (they nest).")


def _end_or_cut(source: str, position: int, line: int) -> int:
    try:
        return _end_of_block(source, position, line)
    except ScriptError:
        return len(source)


def _refuse_spelling(kind: str, text: str, line: int, glued: int) -> None:
    """`glued` is the line of the first string with a word right behind it, as in 'it's', 0 when there is none."""
    if kind == "symbol" and text in _UNCLOSED:
        earlier = f"; the quote that is one too many or too few may stand in line {glued}" if glued else ""
        raise ScriptError(
            line,
            f"a {_UNCLOSED[text]} is opened here with {text} and never closed{earlier}",
            f"Close it, or write a literal {text} inside as \\{text}.",
        )
    if kind == "comment" and _WAY_BACK.match(text):
        raise ScriptError(
            line,
            f"the way back of a migration ({text.strip()}), which would undo what stands above it",
            "Let the migration tool apply such files, or give a file without these parts.",
        )
    if kind == "typographic":
        raise ScriptError(
            line,
            f"typographic {text} (U+{ord(text):04X}) outside of strings and comments",
            "Write ' around strings, \" or ` around names, and - or -- for dashes.",
        )
    if kind == "slashes":
        raise ScriptError(line, "a // comment", "Start the comment with -- instead.")
    if kind == "template" or (kind == "quoted" and _TEMPLATE.search(text)):
        raise ScriptError(
            line,
            f"a template that nobody has filled in ({text})",
            "Render the file first (envsubst, Jinja, dbt compile, ...) and name what comes out of it.",
        )
    if kind == "word" and text.count("$") > 1:
        raise ScriptError(line, f"the name {text}, which looks like a heredoc", f"Write it in backquotes: `{text}`.")


def _refuse_inline_data(tokens: list[Token], token: Token) -> None:
    """Data after FORMAT follows its own rules, so that neither its end nor its semicolons can be told from SQL."""
    if token.upper != "FORMAT" or token.depth or not tokens or tokens[0].upper != "INSERT":
        return
    if _infile(tokens) or tokens[-1].upper in ("INTO", "TABLE") or tokens[-1].text == ".":
        return
    if not {"SELECT", "VALUES", "WITH"} & {earlier.upper for earlier in tokens if earlier.depth == 0}:
        raise ScriptError(
            token.line,
            "INSERT with data inside the file (FORMAT ...)",
            "Write INSERT ... VALUES or INSERT ... SELECT, or load the data with clickhouse-client.",
        )
