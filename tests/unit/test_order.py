"""Order does not decide: where the rules of two causes hold for one fact, the catalogue says which is narrower.

`tests/conftest.py` holds that for whatever else the suites diagnose; the corpus is the most of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.causes import CATALOGUE, Decision, is_narrower, narrowest
from ansible.module_utils.ingest_verify.clickhouse.error_codes import code_in, kind_of
from ansible.module_utils.ingest_verify.diagnosis.client_side import rules
from ansible.module_utils.ingest_verify.diagnosis.client_side.context import Context
from ansible.module_utils.ingest_verify.diagnosis.server_side import classify
from ansible.module_utils.ingest_verify.diagnosis.server_side.refusal import Refusal
from ansible.module_utils.ingest_verify.facts.catalog import Catalog
from ansible.module_utils.ingest_verify.facts.log import ClientError, read_client_log
from ansible.module_utils.ingest_verify.facts.server import Evidence

from tests.corpus.case import read_cases
from tests.unit import test_client_causes, test_client_kinds, test_client_texts, test_diagnose


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str) and len(value) > 8:
        yield value
    elif isinstance(value, dict):
        yield from texts_in(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from texts_in(each)


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> list[ClientError]:
    """Every error of the logs that stand in the tests of the client's side."""
    path, found = tmp_path_factory.mktemp("logs") / "log", []
    for module in (test_client_causes, test_client_kinds, test_client_texts):
        marks = [mark for each in vars(module).values() for mark in getattr(each, "pytestmark", [])]
        for text in dict.fromkeys(texts_in([mark.args for mark in marks])):
            path.write_text(f"INFO start\nERROR {text}\n")
            found += [error for error in read_client_log(path).errors if error.server_code is None]
    assert len(found) > 300
    return found


def undecided(held: list[Decision]) -> set[tuple[str, str]]:
    """The pairs of causes that hold, of which neither is narrower, and no third one is narrower than both."""
    ids = {decision.cause for decision in held}
    return {
        (one, other)
        for one in ids
        for other in ids
        if one < other
        and not is_narrower(one, other)
        and not is_narrower(other, one)
        and not any(is_narrower(third, one) and is_narrower(third, other) for third in ids)
    }


def test_of_two_causes_that_hold_one_is_narrower(errors: list[ClientError]) -> None:
    found = {
        (*pair, error.message[:80])
        for error in errors
        for env in ({}, test_client_causes.ENV, test_client_texts.ENV)
        for pair in undecided(rules.held(error, Context(env)))
    }
    assert found == set()


def test_the_rules_in_another_order_say_the_same(errors: list[ClientError], monkeypatch: pytest.MonkeyPatch) -> None:
    contexts = [Context(env) for env in ({}, test_client_causes.ENV, test_client_texts.ENV)]
    told = [rules.judge(error, context).cause for error in errors for context in contexts]
    monkeypatch.setattr(rules, "_RULES", rules._RULES[::-1])
    assert [rules.judge(error, context).cause for error in errors for context in contexts] == told


@pytest.fixture(scope="module")
def refusals() -> list[Refusal]:
    """Every refusal that the corpus recorded, each wording of the tests, each example of the catalogue with its kind's
    code; with statements of several kinds."""
    recorded = [
        Refusal(
            row.get("query", ""),
            row["exception"],
            row["exception_code"],
            "",
            row.get("user", ""),
            row.get("current_database", ""),
        )
        for case in read_cases()
        for row in (case.recording.rows.get("query_log", []) if case.recording else [])
        if row.get("exception_code")
    ]
    texts = [(sql, text, code) for code, sql, _, _, wordings in test_diagnose.WORDINGS for text in wordings]
    code_of = {kind_of(code): code for code in range(1100)}
    texts += [
        (sql, f"Code: {code_of[kind]}. DB::Exception: {form.example}", code_of[kind])
        for cause in CATALOGUE.values()
        for form in cause.forms
        for kind in form.kinds
        if kind in code_of
        for sql in ("INSERT INTO shop.orders (id) FORMAT CSV", "CREATE TABLE shop.orders (id UInt8)", "SELECT 1", "")
    ]
    assert len(recorded) > 100
    return recorded + [Refusal(sql, text, code or code_in(text), "", "loader", "shop") for sql, text, code in texts]


def test_of_two_causes_of_a_refusal_one_is_narrower(refusals: list[Refusal]) -> None:
    catalog = Catalog(Evidence(lambda sql: []))
    found = {(*pair, each.brief[:80]) for each in refusals for pair in undecided(classify.held(each, catalog))}
    assert found == set()


def test_the_servers_rules_in_another_order_say_the_same(
    refusals: list[Refusal], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(Evidence(lambda sql: []))
    told = [classify.classify(refusal, catalog) for refusal in refusals]
    monkeypatch.setattr(classify, "_RULES", classify._RULES[::-1])
    assert [classify.classify(refusal, catalog) for refusal in refusals] == told


def test_a_declaration_decides_and_its_lack_is_seen() -> None:
    wide, narrow = (Decision(cause, "") for cause in ("server_type_mismatch", "server_missing_column"))
    other = Decision("server_quota", "")
    assert narrowest([wide, narrow]) == narrowest([narrow, wide]) == [narrow]
    assert undecided([wide, narrow, other]) == {("server_missing_column", "server_quota"), ("server_quota", wide.cause)}
