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
    "source": _n("source told"),
    "loader": _n("loader: acknowledged"),
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
        for form in CATALOGUE[str(finding["cause"])].forms if 0 < len(said) <= _MAX_SENTENCE else ():
            template = getattr(form, part)
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
