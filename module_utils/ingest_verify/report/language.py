"""The report's fixed words in the reader's language, through gettext."""

from __future__ import annotations

import gettext
from pathlib import Path

from ..causes import CATALOGUE

LOCALE = Path(__file__).parent / "locale"
DOMAIN = "report"
LANGUAGES = ("en", "ru")


def _n(text: str) -> str:
    """Marks a word for the catalogues."""
    return text


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

    def cause_title(self, cause: object) -> str:
        """What a cause is, in a few words of the catalogue."""
        known = CATALOGUE.get(str(cause))
        return self.text(known.title) if known else str(cause).replace("_", " ")
