"""Each alternative of a pattern stays only with a real text as its example: a test's, a case's, or the catalogue's."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from ansible.module_utils.ingest_verify.causes import CATALOGUE

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "module_utils" / "ingest_verify"
FOLDERS = ("facts", "diagnosis")
# What no test and no case has as one text: said by the engine (26.9), by libraries, and by what carries a log.
TEXTS = (
    "Identifier 't.nope' cannot be resolved from table with name t. Maybe you meant: ['t.name'].",
    "Cannot parse input: expected '{' before: '<html><body>no</body></html>': (at row 1)",
    "Cannot parse JSON string: expected opening quote: (at row 1)",
    "Cannot parse JSON string: expected closing quote: (while reading the value of key name): (at row 1)",
    "Cannot parse input: expected ',' at end of stream: (at row 1)",
    "avro::Exception: Invalid data file. Magic does not match: .",
    "Expected ')' after the value of column `name` of type String here: 'O'Brien'): While executing",
    "Cannot insert NULL value into a column of type 'UInt32' at: NULL): While executing ValuesBlockInputFormat.",
    "Cannot convert NULL value to non-Nullable type: while executing 'FUNCTION CAST(materialize(...",
    "User memory limit exceeded: would use 6.00 MiB (attempt to allocate chunk of 6.00 MiB), maximum: 976.56 KiB.",
    "ERROR: There is no line feed. found instead.\n It's like your file has more columns than expected.",
    "Type mismatch in IN or VALUES section. Expected: UInt8. Got: UInt64",
    "kafka:9092/bootstrap: Failed to resolve 'kafka:9092': Name or service not known (after 5ms in state CONNECT)",
    "rdkafka error: Local: Broker transport failure",
    "httpx.ConnectError: All connection attempts failed",
    "clickhouse_connect.driver.exceptions.ProgrammingError: Insert data column count does not match column names",
    "1 validation error for Settings\nclickhouse_host\n  Field required [type=missing, input_value={}]",
    "(clickhouse_driver.dbapi.errors.OperationalError) Code: 60.\n[SQL: INSERT INTO shop.orders (id) VALUES]",
    "uncategorized SQLException for SQL [INSERT INTO shop.orders VALUES (?)]; SQL state [HY000]; error code [60];",
    '{"method": "POST", "path": "orders", "status": 503}',
    "the API ignored the filter on id: 12 orders are asked for one by one",
    "~/.cargo/registry/src/github.com-1ecc6299db9ec823/clickhouse-0.13.1/src/insert.rs",
    "internal/modules/cjs/loader.js",
    "stderr F Traceback (most recent call last):",
    " 1 --- [main] c.example.Loader   : load failed",
    'loader/main.go:31\tload failed\t{"error": "EOF"}',
    ":root:load failed",
    "make: *** [Makefile:12: load] Error 1",
    "  ❱ 12 │   return record[1]",
    "  + Exception Group ",
    "Пропущено событие «Ёлка», страница 3: места не получены",
)
# These look at sentences of the diagnosis itself.
OWN = {r"(^|\. |\n)its (?=setting|token|ClickHouse)", r"\b([A-Z]\w+) and \1\b"}
CALLS = {"compile", "search", "match", "fullmatch", "sub", "finditer", "findall", "split"}


def patterns_of(path: Path) -> Iterator[tuple[str, int]]:
    """Every pattern that a module is made with, and its flags."""
    name = "ansible.module_utils.ingest_verify." + ".".join(path.relative_to(BASE).with_suffix("").parts)
    module: ModuleType = importlib.import_module(name)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS):
            continue
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "re"):
            continue
        said = [*node.args[1:], *(keyword.value for keyword in node.keywords)]
        flags = 0
        for each in said:
            for found in re.findall(r"re\.([A-Z]+)\b", ast.unparse(each)):
                flags |= getattr(re, found)
        try:
            pattern = eval(ast.unparse(node.args[0]), vars(module))
        except NameError:
            # Made of what a function is given.
            continue
        if isinstance(pattern, str):
            yield pattern, flags


def alternatives(pattern: str) -> list[str]:
    """The parts of a pattern between the `|` that stand in no group."""
    flags = re.match(r"(?:\(\?[a-z]+\))?", pattern)[0]
    pattern = pattern[len(flags) :]
    parts, depth, inside, start, position = [], 0, False, 0, 0
    while position < len(pattern):
        sign = pattern[position]
        if sign == "\\":
            position += 1
        elif inside:
            inside = sign != "]" or pattern[position - 1] == "[" or pattern[position - 2 : position] == "[^"
        elif sign == "[":
            inside = True
        elif sign in "()":
            depth += 1 if sign == "(" else -1
        elif sign == "|" and not depth:
            parts.append(pattern[start:position])
            start = position + 1
        position += 1
    return [flags + part for part in [*parts, pattern[start:]]]


def real_texts() -> str:
    """The texts of the tests, the cases and the catalogue's examples: as they stand, and each word in a line."""
    found = [*TEXTS, *(form.example for cause in CATALOGUE.values() for form in cause.forms)]
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 2:
                found.append(node.value)
    for path in sorted((ROOT / "tests" / "corpus" / "cases").rglob("*")):
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            found.append(text)
            if path.suffix in (".jsonl", ".json"):
                found.append(text.replace('\\"', '"').replace("\\n", "\n"))
    whole = "\n".join(found)
    lines = dict.fromkeys(line.strip() for line in whole.splitlines())
    return "\n".join([whole, *lines, *dict.fromkeys(re.split(r"[\s\"'()]+", whole))])


def test_each_alternative_has_a_real_text() -> None:
    texts = real_texts()
    read = [
        (str(path.relative_to(BASE)), pattern, flags)
        for folder in FOLDERS
        for path in sorted((BASE / folder).rglob("*.py"))
        for pattern, flags in patterns_of(path)
    ]
    told = [(cause.id, form.pattern, 0) for cause in CATALOGUE.values() for form in cause.forms]
    unreached = [
        f"{where}: {part}"
        for where, pattern, flags in [*told, *read]
        for part in alternatives(pattern)
        if part not in OWN and not re.search(part, texts, flags | re.MULTILINE)
    ]
    assert not unreached, "\n".join(unreached)
