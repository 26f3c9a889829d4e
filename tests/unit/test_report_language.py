"""The report's languages: no word is missing, and what is compiled is what stands in the catalogue."""

from __future__ import annotations

import html
import io
import json
import re
from pathlib import Path

import pytest
from ansible.module_utils.ingest_verify.causes import CATALOGUE
from ansible.module_utils.ingest_verify.causes.model import fields_of
from ansible.module_utils.ingest_verify.report import language
from ansible.module_utils.ingest_verify.report.language import LANGUAGES, LOCALE, SENTENCES, Language, _pattern
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
    forms = [form for cause in CATALOGUE.values() for form in cause.forms]
    of_causes = {text for cause in CATALOGUE.values() for text in (cause.title, cause.step)}
    return found - {""} | of_causes | {text for form in forms for text in (form.says, form.fix)}


def placeholders(text: str) -> set[str]:
    """What a text leaves open, in either of the two ways."""
    braces = fields_of(text) if re.search(r"{\w*}", text) else set()
    return braces | set(re.findall(r"%\(\w+\)[sd]", text))


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
            assert placeholders(message.id) == placeholders(str(message.string)), message.id


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_sentence_of_the_catalogue_is_told_in_the_language(code: str) -> None:
    """Of each form the texts as a finding has them, with values that look like the sentence around them."""
    values = {"name": "a: the server b", "what": "INSERT t", "target": "db.t", "user": "loader", "brief": "no: x {y}",
              "maybe": ""}  # fmt: skip
    language = Language(code)
    for cause in CATALOGUE.values():
        assert language.fix({"cause": cause.id}).startswith(language.text(cause.step))
        for form in cause.forms:
            # A pattern's named groups may be fields too.
            values |= {name: f"its {name}" for name in fields_of(form.says + form.fix) - values.keys()}
            finding = {
                "cause": cause.id,
                "headline": form.says.format(**values),
                "next_step": form.fix.format(**values),
            }
            for told in (language.headline(finding), language.fix(finding)):
                assert re.search("[а-яё]", told), (cause.id, told)
                assert not told.endswith((finding["headline"], finding["next_step"])), (cause.id, told)
            for name in fields_of(form.says):
                assert values[name] in language.headline(finding), (cause.id, name)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_translated_sentence_is_one_that_a_run_says(sentence: str) -> None:
    page = html.unescape((Path(__file__).parents[2] / "docs/reference/faults.md").read_text(encoding="utf-8"))
    assert any(_pattern(sentence).search(line) for line in page.splitlines()), (
        "the rule says it otherwise by now: docs/reference/faults.md"
    )
    values = {name: f"<{name}>" for name in fields_of(sentence)}
    told = Language("ru").headline({"cause": "server_missing_table", "headline": sentence.format(**values)})
    assert re.search("[а-яё]", told)
    assert all(value in told for value in values.values()), told
    assert sentence.format(**values) not in told


def test_what_is_no_sentence_of_the_catalogue_stands_after_the_title_and_the_general_step() -> None:
    russian, english = Language("ru"), Language("en")
    finding = {"cause": "data_stale", "headline": "The newest order is 13 h old.", "next_step": "Ask the source."}
    assert russian.headline(finding) == "Самая новая строка слишком стара: The newest order is 13 h old."
    assert russian.fix(finding).endswith("\nAsk the source.")
    likely = {**finding, "headline": f"Likely: {finding['headline']}", "next_step": CATALOGUE["data_stale"].step}
    assert russian.headline(likely) == f"Вероятно: {russian.headline(finding)}"
    assert CATALOGUE["data_stale"].step not in russian.fix(likely), "told once, in the language"
    assert (english.headline(finding), english.fix(finding)) == (finding["headline"], finding["next_step"])
    assert "max(time)" in english.fix({"cause": "data_stale", "headline": "x"}), "a step where the finding has none"
    assert russian.headline({"cause": "not of the catalogue", "headline": "x"}) == "x"


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
    assert [Language(code).side("loader") for code in LANGUAGES] == ["loader", "загрузчик"]
