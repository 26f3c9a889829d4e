"""The report's languages: no word is missing, and what is compiled is what stands in the catalogue."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from ansible.module_utils.ingest_verify.causes import CATALOGUE
from ansible.module_utils.ingest_verify.report import language
from ansible.module_utils.ingest_verify.report.language import LANGUAGES, LOCALE, Language
from ansible.module_utils.ingest_verify.report.write import Wanted, write_report
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from tests.unit.test_report import ledger_of

PACKAGE = Path(language.__file__).parent
TRANSLATED = [code for code in LANGUAGES if code != "en"]


def words() -> set[str]:
    """Every text that the forms and the model show through the catalogue."""
    methods = [("**.py", "python"), ("templates/**.j2", "jinja2")]
    keywords = {"_": None, "_n": None, "text": None, "translate": None, "ngettext": (1, 2)}
    found: set[str] = set()
    for _, _, message, _, _ in extract_from_dir(
        str(PACKAGE), method_map=methods, keywords=keywords,
        options_map={"templates/**.j2": {"extensions": "jinja2.ext.i18n"}},
    ):  # fmt: skip
        found.add(message[0] if isinstance(message, tuple) else message)
    return found - {""} | {cause.title for cause in CATALOGUE.values()}


@pytest.mark.parametrize("code", TRANSLATED)
def test_no_word_is_missing(code: str) -> None:
    with (LOCALE / code / "LC_MESSAGES" / "report.po").open("rb") as stream:
        catalogue = read_po(stream, locale=code)
    asked = words()
    assert len(asked) > 250
    translated = {
        message.id[0] if isinstance(message.id, tuple) else message.id
        for message in catalogue
        if message.id and all(message.string if isinstance(message.string, tuple) else [message.string])
    }
    assert asked - translated == set(), "no translation"
    assert translated - asked == set(), "nobody shows these"
    for message in catalogue:
        if isinstance(message.id, str):
            names = {
                name for name in ("{run}", "{total}", "{shown}", "{file}", "{why}", "{count}") if name in message.id
            }
            assert all(name in str(message.string) for name in names), message.id


@pytest.mark.parametrize("code", TRANSLATED)
def test_what_is_compiled_is_what_stands_in_the_catalogue(code: str) -> None:
    folder = LOCALE / code / "LC_MESSAGES"
    with (folder / "report.po").open("rb") as stream:
        catalogue = read_po(stream, locale=code)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    assert compiled.getvalue() == (folder / "report.mo").read_bytes(), "run: make catalogues"


def test_a_report_in_russian(tmp_path: Path) -> None:
    folder = tmp_path / "20261128T084501Z-abcdef"
    folder.mkdir()
    write_report(folder, ledger_of(), (), Wanted(language="ru"))
    page = (folder / "report.html").read_text(encoding="utf-8")
    for said in ('<html lang="ru">', "Что сделать", "Столбца не существует", "Куда делись строки", "ожидалось"):
        assert said in page, said
    assert "What to do" not in page
    assert "замечено 3 раза" in page
    assert json.loads((folder / "report.json").read_text())["verdict"] == "FAIL"
    assert Language("ru").term("failed") == "сбой"
