"""Other words for the same case must not turn a right answer into a wrong one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.corpus.case import Case, read_cases
from tests.corpus.mutate import WORDS, renamed
from tests.corpus.replay import Replay, start_replay
from tests.corpus.score import BAD, LIKELY, RIGHT, judge, play, report

ALL = [case for case in read_cases() if case.log]


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    with start_replay(tmp_path_factory.mktemp("replay")) as running:
        yield running


def _wrong(replay: Replay, case: Case, log: Path) -> str:
    """Why the answer to other words is wrong, empty where it is not."""
    answer = judge(case, replay.play(case, log))
    return report([answer]) if answer.result in BAD else ""


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_another_dress_of_the_log_changes_no_right_answer(replay: Replay, case: Case, tmp_path: Path) -> None:
    if play(replay, case).result not in (RIGHT, LIKELY):
        pytest.skip("not right in its own words")
    assert case.log
    log = tmp_path / "loader.log"
    wrong = {}
    # One dress a case, each in its turn; CORPUS_WORDS=all plays every dress of every case.
    turn = ALL.index(case) % len(WORDS)
    chosen = list(WORDS.items()) if os.environ.get("CORPUS_WORDS") == "all" else [list(WORDS.items())[turn]]
    for name, change in chosen:
        log.write_text(change(case.log.read_text(encoding="utf-8")), encoding="utf-8")
        if why := _wrong(replay, case, log):
            wrong[name] = why
    for name in case.data.get("dress", []):
        wrong.pop(name, None)
    assert not wrong, "\n".join(f"{name}: {why}" for name, why in wrong.items())


@pytest.mark.parametrize(
    "case", ALL if os.environ.get("CORPUS_WORDS") == "all" else ALL[::4], ids=lambda case: case.name
)
def test_other_names_change_no_right_answer(replay: Replay, case: Case, tmp_path: Path) -> None:
    if play(replay, case).result not in (RIGHT, LIKELY):
        pytest.skip("not right in its own words")
    other, text, _ = renamed(case)
    log = tmp_path / "loader.log"
    log.write_text(text, encoding="utf-8")
    assert not (why := _wrong(replay, other, log)), why
