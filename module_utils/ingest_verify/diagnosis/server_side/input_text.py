"""Rows sent as text that cannot be parsed: VALUES with a stray quote or bare word, another format than announced."""

from __future__ import annotations

import re

from ...causes import Decision
from ...facts.catalog import Catalog
from .columns import column_count, within_values
from .refusal import Refusal, what_of
from .values import type_mismatch


def values_syntax(refusal: Refusal, catalog: Catalog) -> Decision | None:
    """A syntax error: of the statement, or of the rows that stand in its VALUES."""
    # In VALUES a row of another length or a stray literal surfaces as a syntax error within the data.
    target = refusal.target
    if target.verb == "INSERT" and re.search(
        r"(?i)while executing\s+\w*Values|ValuesBlockInputFormat|value of column", refusal.text
    ):
        columns = catalog.columns(target.database, target.table)
        listed = list(target.columns) if target.columns else list(columns)
        # The newer servers name the column.
        unescaped = re.search(r"()(?:here: |\(|, )('[^',()]*'\w[^',()]*')", refusal.text)
        unescaped = re.search(r"column `?([^`\s]+)`?[^\n]* here: ('[^',]*'[^\s,')][^,)]*)", refusal.text) or unescaped
        if unescaped:
            return Decision(
                "server_syntax_error",
                f"A quote inside {f'a value of {unescaped[1]}' if unescaped[1] else 'a value'} is not escaped: "
                f"INSERT {target.name} breaks off at {unescaped[2][:80]}.",
                object=f"{target.name}.{unescaped[1]}".rstrip("."),
                expected="a quote within a text written as \\' or ''",
                actual=unescaped[2][:80],
                next_step="Do not build the values into the SQL text: hand the rows to the driver (insert, execute "
                "with parameters), or send them as FORMAT JSONEachRow.",
                fix_side="loader",
            )
        stopped = re.search(
            r"(?:after the value of column \S+ of type .+?|Cannot parse expression of type .+?) here: "
            r"('(?:[^'\\]|\\.)*'|[^\s'(),{[]+(?:\([^()]*\))?)(\s*[,)]?)([^,()]*)",
            refusal.text,
        )
        if stopped and stopped[2].strip():
            return column_count(refusal, catalog)
        if stopped and not stopped[1].startswith("'"):
            return _without_quotes(refusal, "".join(stopped.groups()).strip())
        if listed:
            return type_mismatch(refusal, catalog)
    if target.verb in ("CREATE", "ALTER", "DROP"):
        # `unsupported_ddl` tells it.
        return None
    position = re.search(r"failed at position (\d+)(?: \(([^)]*)\))?(?: \(line (\d+), col (\d+)\))?", refusal.text)
    return Decision(
        "server_syntax_error",
        f"The server could not parse {what_of(target)}: {refusal.brief}",
        object=target.name,
        expected="SQL that this server version can parse",
        actual=f"a syntax error at position {position.group(1)} ({position.group(2) or ''})"
        if position
        else refusal.text[:300],
        next_step="Correct the statement where the ingest builds it; try it alone in clickhouse-client.",
        fix_side="loader",
    )


def bare_word(refusal: Refusal, catalog: Catalog) -> Decision | None:
    """A value that stands in VALUES without quotes is read as the name of a column."""
    if not within_values(refusal.text):
        return None
    found = re.search(r"(?:identifier|columns):? [`']?(\w+)", refusal.text)
    word = found[1] if found else "that is no literal"
    return _without_quotes(refusal, word)


def _without_quotes(refusal: Refusal, word: str) -> Decision:
    python = word in ("None", "nan", "NaN", "NaT", "inf", "undefined", "True", "False")
    return Decision(
        "server_type_mismatch",
        f"The value {word} stands without quotes in the VALUES of {what_of(refusal.target)}: the server takes it for a "
        "name.",
        object=refusal.target.name,
        expected="a literal: a number, a text in single quotes, NULL",
        actual=f"{word}, as the ingest's language writes it" if python else f"{word} without quotes",
        next_step="Do not build the values into the SQL text: hand the rows to the driver (insert, execute with "
        "parameters), or send them as FORMAT JSONEachRow"
        + ("; in SQL text it would be NULL." if python else "; in SQL text it would be quoted."),
        fix_side="loader",
    )


def _format_named(refusal: Refusal) -> str:
    """The format that the INSERT announces, empty where it names none."""
    named = re.search(r"(?i)\bFORMAT\s+(\w+)\s*$|\bFORMAT\s+(\w+)", refusal.sql)
    return next(filter(None, named.groups())) if named else ""


def json_in_another_format(refusal: Refusal, catalog: Catalog) -> Decision | None:
    """Rows of JSON behind an INSERT whose format has none: the first value begins with a key."""
    kind = _format_named(refusal)
    seen = re.search(r"(?:here|before):? '?(\{\"\w+\\?\":[^\n:]{0,40})", refusal.text)
    if refusal.target.verb != "INSERT" or not kind or "json" in kind.lower() or not seen:
        return None
    return Decision(
        "server_bad_input",
        f"The rows of {what_of(refusal.target)} look like JSON, and the statement says {kind}: {seen[1]}",
        "Write FORMAT JSONEachRow in the statement, or let the loader write rows as the format "
        f"{kind} has them. Some clients choose the format by an option (format: 'JSONEachRow').",
        "loader",
        object=refusal.target.name,
        expected=f"rows in format {kind}",
        actual=f"a value that begins with {seen[1]}",
        certainty="likely",
        confirm=f"Look at the first line that the loader sends behind FORMAT {kind}.",
        otherwise="A column of that row holds JSON and stands where another is read.",
    )


def other_format(refusal: Refusal, catalog: Catalog) -> Decision | None:
    """What was sent is not in the format that the INSERT announces, from its first byte on."""
    target = refusal.target
    begins = re.search(r"expected '[{\[]' before: '(\s*[^{\[\s'][^\n]{0,80})", refusal.text)
    unquoted = re.search(r"JSON string: expected opening quote", refusal.text)
    if target.verb != "INSERT" or "reading the value of key" in refusal.text:
        return None
    if not (begins or unquoted or re.search(r"[Nn]ot an? \w+ file|Invalid data file\. Magic", refusal.text)):
        return None
    kind = _format_named(refusal) or "the format that it announces"
    seen = begins[1].partition("': ")[0] if begins else refusal.brief
    return Decision(
        "server_bad_input",
        f"What the ingest sent as rows of {what_of(target)} is not {kind}: {'it begins with ' if begins else ''}{seen}",
        object=target.name,
        expected=f"rows in format {kind}",
        actual=seen,
        next_step="Look at what the ingest sends as the body of this INSERT. A page or an error text of its source, "
        "passed on unread, begins with < or with words: check the source's answer (status, content type) before it is "
        "inserted."
        + (" SETTINGS stands before FORMAT: what follows FORMAT is data." if seen.startswith("SETTINGS ") else "")
        + (" A key without double quotes is how str() of a dictionary prints: json.dumps it." if unquoted else ""),
        fix_side="loader",
    )
