"""The report's fixed words in the reader's language, through gettext."""

from __future__ import annotations

import functools
import gettext
import re
from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from typing import Any

from ..causes import CATALOGUE

LOCALE = Path(__file__).parent / "locale"
DOMAIN = "report"
LANGUAGES = ("en", "ru")
# Longer texts are no sentence of the catalogue; looking for its parts in them would take long.
_MAX_SENTENCE = 3000


def _n(text: str) -> str:
    """Marks a word for the catalogues."""
    return text


# Stands before what is inferred (findings.py).
_LIKELY = _n("Likely:") + " "

# Words of the model that the forms show; the model itself stays in English.
_TERMS = {
    "loader": _n("loader told"),
    "answers": _n("acknowledged"),
    "server": _n("server: written"),
    "parts": _n("in new parts"),
    "table": _n("table holds"),
    "ok": _n("ok"),
    "failed": _n("failed"),
    "error": _n("error"),
    "warning": _n("warning"),
    "info": _n("info"),
    "skipped": _n("skipped"),
    "not run": _n("not run"),
    "stage": _n("stage"),
    "statement": _n("statement"),
    "exchange": _n("exchange"),
    "exception": _n("exception"),
    "clickhouse_reset": _n("Bring ClickHouse up clean"),
    "schema_apply": _n("Apply the schema"),
    "query_logging": _n("Prove query logging"),
    "qtickets_ingest": _n("Run the ingest"),
    "verify_data": _n("Check the data"),
}

# On whose side a fix is: "loader" and "source" are places of rows too, with other words.
_SIDES = {
    "loader": _n("loader"),
    "source": _n("source"),
    "schema": _n("schema"),
    "server": _n("server"),
    "configuration": _n("configuration"),
    "host": _n("host"),
}


# What rules say most often, in their own sentences: docs/reference/faults.md holds a real one of each (a test).
SENTENCES = (
    _n("Table {name} does not exist: the server refused {what}. Is {other} meant?"),
    _n("Table {name} does not exist: the server refused {what}."),
    _n("Column {name} is missing in {target}: the server refused {what}. Is {other} meant?"),
    _n("Column {name} is missing in {target}: the server refused {what}."),
    _n("{name} does not take the value sent: expected {type} ({brief})."),
    _n("Number or order of columns does not match {target}: the server refused the rows."),
    _n("User {user} lacks {right} ON {target}: the server refused {what}."),
    _n("The server refused the login of user {user}: the password of {name} is wrong."),
    _n("The quota of user {user} is used up: the server refused {what}."),
    _n("The memory limit for one query (max_memory_usage) was reached by {what}."),
    _n("The server has no space left for {what}."),
    _n("The server ended {what} at its time limit ({name})."),
    _n("Materialized view {name} failed while INSERT pushed rows from {target} to it: {brief}"),
    _n("This server does not accept {what}: {brief}"),
    _n("The ingest's own code failed with {name}: {brief}"),
    _n("Nothing accepts the ingest's connection to ClickHouse at {name}."),
    _n("The ingest was killed for memory (exit code 137): it needed more than its limit."),
    _n("The API refused the token: HTTP {code} for {name}"),
    _n("The API refuses the connection ({name}){rest}"),
    _n("The API has no orders at all in the window of {hours} hours."),
    _n("The API answers more slowly than the ingest waits."),
    _n("The server restarted in the middle of the run, {seconds} s before its end."),
    _n("{target} holds {rows} row(s), none of them from this run."),
    _n("{target}: {rows} row(s) repeat a key that should occur once ({name})."),
)


class Language:
    """Texts in one language; English is the language that they are written in."""

    def __init__(self, code: str = "en") -> None:
        """Raises ValueError for a language that has no catalogue."""
        if code not in LANGUAGES:
            raise ValueError(f"report_language is {code!r}: expected one of {', '.join(LANGUAGES)}.")
        self.code = code
        self._catalogue = gettext.translation(DOMAIN, LOCALE, [code], fallback=code == "en")

    def text(self, text: str) -> str:
        """The text in this language."""
        return self._catalogue.gettext(text) if text else ""

    def several(self, one: str, many: str, count: int) -> str:
        """The text for a number of things."""
        return self._catalogue.ngettext(one, many, count)

    def term(self, word: object) -> str:
        """A fixed word of the model (a status, a stage), others as they are."""
        known = _TERMS.get(str(word))
        return self.text(known) if known else str(word)

    def side(self, side: object) -> str:
        """On whose side something has to be done."""
        known = _SIDES.get(str(side))
        return self.text(known) if known else str(side)

    def cause_title(self, cause: object) -> str:
        """What a cause is, in a few words of the catalogue."""
        known = CATALOGUE.get(str(cause))
        return self.text(known.title) if known else str(cause).replace("_", " ")

    def headline(self, finding: Mapping[str, Any]) -> str:
        """What a finding says: in this language where it is a sentence of the catalogue, or after its title."""
        said = str(finding.get("headline") or "")
        if self.code == "en" or str(finding.get("cause")) not in CATALOGUE:
            return said
        sure = said.removeprefix(_LIKELY)
        told = self._sentence(finding, "says", sure) or f"{self.cause_title(finding['cause'])}: {sure}"
        return told if sure == said else f"{self.text(_LIKELY.strip())} {told}"

    def fix(self, finding: Mapping[str, Any]) -> str:
        """A finding's next step; the cause's general one where it has none, or none in this language."""
        said = str(finding.get("next_step") or "")
        cause = CATALOGUE.get(str(finding.get("cause")))
        if cause is None or (said and self.code == "en"):
            return said
        said = "" if said == cause.step else said
        general = "\n".join(part for part in (self.text(cause.step), "" if said else cause.command) if part)
        return self._sentence(finding, "fix", said) or "\n".join(part for part in (general, said) if part)

    def _sentence(self, finding: Mapping[str, Any], part: str, said: str) -> str:
        """The text, which the catalogue's template made, as it reads in this language; empty for others."""
        if not 0 < len(said) <= _MAX_SENTENCE:
            return ""
        templates = [getattr(form, part) for form in CATALOGUE[str(finding["cause"])].forms]
        for template in (*templates, *(SENTENCES if part == "says" else ())):
            made = _pattern(template).fullmatch(said)
            if made:
                return self.text(template).format(**made.groupdict())
        return ""


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    """What a template's texts look like, a group for each of its fields."""
    pattern, known = "", set()
    for literal, name, _, _ in Formatter().parse(template):
        pattern += re.escape(literal)
        if name in known:
            pattern += f"(?P={name})"
        elif name is not None:
            known.add(name)
            pattern += f"(?P<{name}>{'(?: .*)?' if name == 'maybe' else '.*?'})"
    return re.compile(pattern, re.DOTALL)
