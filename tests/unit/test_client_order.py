"""Order does not decide: where the rules of two causes hold for one error, the catalogue says which is narrower."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.causes import is_narrower
from ansible.module_utils.ingest_verify.diagnosis.client_side import rules
from ansible.module_utils.ingest_verify.diagnosis.client_side.context import Context
from ansible.module_utils.ingest_verify.facts.log import ClientError, read_client_log

from tests.unit import test_client_causes, test_client_kinds, test_client_texts


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


def test_of_two_causes_that_hold_one_is_narrower(errors: list[ClientError]) -> None:
    undecided = set()
    for error in errors:
        for env in ({}, test_client_causes.ENV, test_client_texts.ENV):
            held = {judged.cause for judged in rules.held(error, Context(env))}
            undecided |= {
                (one, other, error.message[:80])
                for one in held
                for other in held
                if one < other
                and not is_narrower(one, other)
                and not is_narrower(other, one)
                # A third one that is narrower than both decides.
                and not any(is_narrower(third, one) and is_narrower(third, other) for third in held)
            }
    assert undecided == set()


def test_the_rules_in_another_order_say_the_same(errors: list[ClientError], monkeypatch: pytest.MonkeyPatch) -> None:
    contexts = [Context(env) for env in ({}, test_client_causes.ENV, test_client_texts.ENV)]
    told = [rules.judge(error, context).cause for error in errors for context in contexts]
    monkeypatch.setattr(rules, "_RULES", rules._RULES[::-1])
    assert [rules.judge(error, context).cause for error in errors for context in contexts] == told
