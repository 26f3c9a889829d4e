"""Statements are found where ClickHouse's own lexer finds them, and come out exactly as they went in."""

from __future__ import annotations

import pytest
from ansible.module_utils.ingest_verify.statements import ScriptError, read_source, split, tokenize
from hypothesis import given, settings
from hypothesis import strategies as st


def texts(source: str) -> list[str]:
    return [statement.sql for statement in split(source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("SELECT 1;SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT 1;;\n; -- end\n/* end */", ["SELECT 1"]),
        ("-- only a comment\n", []),
        ("", []),
        ("\ufeffSELECT 1;\n\ufeffSELECT 2;", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';' ; SELECT \"a;b\", `c;d`", ["SELECT ';'", 'SELECT "a;b", `c;d`']),
        (r"SELECT 'it\'s; x', 'it''s; y'; SELECT 2", [r"SELECT 'it\'s; x', 'it''s; y'", "SELECT 2"]),
        ("SELECT $$a;'b$$, $x$;$$;$x$; SELECT 2", ["SELECT $$a;'b$$, $x$;$$;$x$", "SELECT 2"]),
        ("SELECT 1 /* ; /* it's ; */ ; */ + 1; SELECT 2", ["SELECT 1 /* ; /* it's ; */ ; */ + 1", "SELECT 2"]),
        (
            "SELECT 1 -- it's; one\n, 2 # it's; two\n, 3; SELECT 4",
            ["SELECT 1 -- it's; one\n, 2 # it's; two\n, 3", "SELECT 4"],
        ),
        ("--[[ it's; a note\nSELECT 1;\n--]]\nSELECT 2;", ["SELECT 1", "SELECT 2"]),
        ("SELECT 1\r\n;\r\nSELECT 2\r\n", ["SELECT 1", "SELECT 2"]),
        (
            "SELECT '{{ x }}', 1 /* {% if %} {# it's #} */; SELECT 2",
            ["SELECT '{{ x }}', 1 /* {% if %} {# it's #} */", "SELECT 2"],
        ),
        ("SELECT 'a' AS `цена; в ₽` -- Ñ†ÐµÐ½Ð°;\n; SELECT 2", ["SELECT 'a' AS `цена; в ₽` -- Ñ†ÐµÐ½Ð°;", "SELECT 2"]),
        ("INSERT INTO t (format) VALUES ('a;b')", ["INSERT INTO t (format) VALUES ('a;b')"]),
        ("INSERT INTO t SELECT 1 FORMAT Null; SELECT 2", ["INSERT INTO t SELECT 1 FORMAT Null", "SELECT 2"]),
        ("INSERT INTO t (a) (SELECT 1)", ["INSERT INTO t (a) (SELECT 1)"]),
        ("SELECT a$b, $c FROM t", ["SELECT a$b, $c FROM t"]),
        ("SELECT 1\\G\nSELECT (2\\G;\n\\G SELECT 3", ["SELECT 1", "SELECT (2", "SELECT 3"]),
        ("SELECT '{{ x }}', $$ ${a} $$ -- {{ b }}", ["SELECT '{{ x }}', $$ ${a} $$ -- {{ b }}"]),
        ("SELECT {a:String}, [1, 2]; SELECT 2", ["SELECT {a:String}, [1, 2]", "SELECT 2"]),
    ],
)
def test_finds_statements(source: str, expected: list[str]) -> None:
    assert texts(source) == expected


def test_says_the_line_of_each_statement() -> None:
    source = "-- one\n\nSELECT 1;\n/* a\n b */ SELECT\n2;\r\n\r\nSELECT 3"
    assert [statement.line for statement in split(source)] == [3, 5, 8]


@pytest.mark.parametrize(
    ("source", "line", "problem"),
    [
        ("SELECT 1;\nSELECT ‘a’;", 2, "typographic ‘"),
        ("SELECT 1;\n\nSELECT “it's”;", 3, "typographic “"),
        ("SELECT 1 — it's a note\n;", 1, "typographic —"),
        ("SELECT 1;\n// it's a note\nSELECT 2;", 2, "a // comment"),
        ("SELECT 1\n, a$b$c FROM t", 2, "the name a$b$c"),
        ("SELECT 1;\nINSERT INTO t\nFORMAT CSV\n1,it's\n;", 3, "INSERT with data inside the file"),
        ('INSERT INTO t (a, b) FORMAT JSONEachRow {"a": 1}', 1, "INSERT with data inside the file"),
        ("SELECT 1;\nINSERT INTO t VALUES;", 2, "INSERT without rows"),
        ("INSERT INTO t (a)", 1, "INSERT without rows"),
        ("INSERT INTO t (a)\nFROM INFILE 'x.csv' FORMAT CSV", 2, "FROM INFILE"),
        ("SELECT 1;\nCREATE DATABASE {{ db }}", 2, "a template that nobody has filled in ({{)"),
        ("CREATE TABLE `${DB}`.t (a Int8)", 1, "a template that nobody has filled in (`${DB}`)"),
        ("{% if x %}\nSELECT 1", 1, "a template"),
        ("-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2;", 3, "the way back of a migration (-- +goose Down)"),
        ("SELECT a FROM events_${ENV}", 1, "a template"),
        ("SELECT 1;\n\nSELECT 'open;\nSELECT 2;\n", 3, "a string is opened here"),
        ("SELECT 'it's',\n'a',\n'b' FROM t;\n", 3, "may stand in line 1"),
        ("SELECT 1;\nSELECT `open;\n", 2, "a quoted name is opened here"),
        ("SELECT 1;\nSELECT /* open /* closed */;\n", 2, "a /* comment is opened here"),
    ],
)
def test_refuses_what_it_cannot_split_with_the_line(source: str, line: int, problem: str) -> None:
    with pytest.raises(ScriptError) as refused:
        split(source)
    assert refused.value.line == line
    assert problem in refused.value.problem
    assert refused.value.next_step


@pytest.mark.parametrize(
    "source", ["SELECT '‘a’ — “b”' -- ‘c’ // d\n/* “ // a$b$c */, `a$b$c`", "SELECT 'http://x' AS url"]
)
def test_takes_the_same_signs_inside_strings_names_and_comments(source: str) -> None:
    assert texts(source) == [source]


def test_keeps_bytes_that_are_not_utf8() -> None:
    data = "-- цена\nSELECT 1 /* цена */".encode("cp1251")
    (statement,) = split(read_source(data))
    assert statement.line == 2
    assert statement.sql.encode("utf-8", "surrogateescape") == data.split(b"\n")[1]


@pytest.mark.parametrize("data", ["SELECT 1".encode("utf-16"), b"SELECT 1\n\0"])
def test_refuses_utf16_and_binary(data: bytes) -> None:
    with pytest.raises(ScriptError, match="not UTF-8 text"):
        read_source(data)


STATEMENTS = [
    "SELECT 1",
    "SELECT ';', 'it''s; \\' \\\\', \"a;b\"\"c\", `d;``e`",
    "SELECT $$;'\"`/*--$$, $tag$ $$ ; $tag$",
    "CREATE TABLE t (a Int32 /* ; /* ' */ \" */, b String COMMENT 'a;b') -- it's; here\nENGINE = Memory",
    "ALTER TABLE t MODIFY TTL d + INTERVAL 1 DAY DELETE WHERE s = ';'",
    "INSERT INTO t VALUES (1, 'a;b'), (2, '{{ ; }}')",
    "SELECT 1 # it's; a note\n, {p:String}, [1, (2)], m['k;']",
    "CREATE VIEW v AS SELECT 'Ñ†ÐµÐ½Ð°; ‘x’ — y' AS `цена;`",
    "SELECT\r\n1\r\n, 2",
]
GAPS = [
    ";",
    ";;",
    "\n;\n",
    "; -- it's; over\n",
    ";/* ; ' /* \" */ ` */",
    ";\ufeff",
    ";\r\n\r\n",
    ";\n--[[ ' ;\n--]] \" ;\n",
    "; #! ' ;\n",
]


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(STATEMENTS), st.sampled_from(GAPS))))
def test_yields_back_what_was_put_together(parts: list[tuple[str, str]]) -> None:
    source = "".join(sql + gap for sql, gap in parts)
    statements = split(source)
    assert [statement.sql for statement in statements] == [sql for sql, _ in parts]
    for number, statement in enumerate(statements):
        before = "".join(sql + gap for sql, gap in parts[:number])
        assert statement.line == before.count("\n") + 1


@settings(max_examples=300)
@given(st.text(alphabet="ab1 ;'\"`\\$\n-/*#(){}‘—\ufeff", max_size=40))
def test_any_text_is_split_into_parts_of_itself_or_refused(source: str) -> None:
    statements, refused_at = None, 0
    try:
        statements = split(source)
    except ScriptError as error:
        refused_at = error.line
    if statements is None:
        assert 1 <= refused_at <= source.count("\n") + 1
        return
    position = 0
    for statement in statements:
        position = source.index(statement.sql, position) + len(statement.sql)
    tokens = tokenize(source)
    assert all(source[token.start : token.end] == token.text for token in tokens)
    kept = sum(len(statement.tokens) for statement in statements)
    assert kept == sum(token.text != ";" or token.kind != "symbol" for token in tokens)
