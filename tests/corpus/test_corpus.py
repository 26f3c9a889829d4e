"""Every case of the corpus: no wrong answer, no false alarm, no silence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.corpus.case import CASES, Case, read_cases
from tests.corpus.replay import Replay, start_replay
from tests.corpus.score import BAD, history, play, report

ALL = read_cases()
# Of this machine, or of a person: a recording must hold none of it.
_PRIVATE = re.compile(r"/(?:tmp|root)/|/home/(?!user\b)|Corpus-pw|@gmail|BEGIN [A-Z ]*PRIVATE KEY")


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    with start_replay(tmp_path_factory.mktemp("replay")) as running:
        yield running


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_no_answer_is_wrong(replay: Replay, case: Case) -> None:
    answer = play(replay, case)
    known = case.data.get("today")
    if known and answer.result in BAD:
        pytest.xfail(f"known: {known['said']}")
    assert answer.result not in BAD, report([answer])


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_a_case_is_small_and_says_where_it_comes_from(case: Case) -> None:
    for path in case.folder.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not (found := _PRIVATE.search(text)), (path.name, found)
        assert len(text) < 60_000, path.name
    assert "first" in case.data, (
        "note the answer before any rule was written: python -m tests.corpus.score --note first"
    )
    source = case.data.get("source")
    assert source is None or source.startswith("https://")


def test_a_wrong_answer_is_seen(replay: Replay, tmp_path: Path) -> None:
    """The judge itself: the same case with another expectation is not right."""
    text = (CASES / "missing-table" / "case.yml").read_text()
    for name, expect, result in (
        ("cause", "  cause: [server_memory_limit]\n", "wrong"),
        ("word", "  cause: [server_missing_table]\n  never: [ordrs]\n", "wrong"),
        ("lacking", "  cause: [server_missing_table]\n  says: [ordrs, orderz]\n", "told as facts"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        for path in (CASES / "missing-table").iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        (folder / "case.yml").write_text(re.sub(r"expect:\n(?:  .*\n)+", "expect:\n" + expect, text))
        assert play(replay, Case.read(folder)).result == result
    healthy = re.sub(r"expect:\n(?:  .*\n)+", "expect: {}\n", text).replace("kind: fault", "kind: healthy")
    (tmp_path / "word" / "case.yml").write_text(healthy)
    assert play(replay, Case.read(tmp_path / "word")).result == "false alarm"


def test_the_history_of_first_answers_is_that_of_the_cases() -> None:
    assert history(ALL) in (CASES.parent / "README.md").read_text(encoding="utf-8"), history(ALL)
