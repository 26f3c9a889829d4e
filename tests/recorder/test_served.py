"""Records that the source told of, against those that were read and written, for a loader that nobody knows."""

from __future__ import annotations

import pytest

from tests.recorder.conftest import Loaded


@pytest.mark.parametrize("mode", ["first", "httpx"])
def test_reading_50_of_121_is_named(loaded: Loaded, mode: str) -> None:
    loaded.source.total = 121
    run = loaded.run("pages.py", MODE=mode)
    assert run.result.exit_code == 0, run.log.read_text()
    [cause] = loaded.judge(run, "orders")
    assert cause.cause == "client_pages_unread"
    assert "read 50 records" in cause.headline
    assert "121 records" in cause.headline
    assert "71 are missing" in cause.headline


def test_reading_all_pages_is_silent(loaded: Loaded) -> None:
    loaded.source.total = 121
    run = loaded.run("pages.py", MODE="all")
    assert run.result.exit_code == 0, run.log.read_text()
    assert loaded.judge(run, "orders") == []


def test_a_source_that_tells_no_total_gives_no_verdict(loaded: Loaded) -> None:
    loaded.source.total, loaded.source.tells = 121, False
    run = loaded.run("pages.py", MODE="first")
    assert loaded.judge(run, "orders") == []


@pytest.mark.parametrize(("status", "cause"), [(403, "source_unauthorized"), (503, "source_unavailable")])
def test_the_peer_decides_whose_fault_it_is(loaded: Loaded, status: int, cause: str) -> None:
    """A missing key is the effect of an answer that the loader did not look at."""
    loaded.source.status = status
    run = loaded.run("founding.py")
    [found] = loaded.judge(run, "orders")
    assert found.cause == cause, loaded.message
