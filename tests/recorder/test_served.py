"""Records that the source told of, against those that were read and written, for a loader that nobody knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.ingest_verify.facts.served import readings

from tests.recorder.conftest import LOADERS, Loaded, Source, interpreters, run_loader
from tests.recorder.loaders import served


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


def test_an_answer_that_was_not_read_to_its_end_gives_no_verdict(loaded: Loaded) -> None:
    """It may hold what is missing."""
    loaded.source.total = 121
    run = loaded.run("pages.py", MODE="cut")
    assert run.result.exit_code == 0, run.log.read_text()
    [reading] = readings(run.recorded)
    assert (reading.records, reading.total, reading.uncounted) == (50, 121, 1)
    assert loaded.judge(run, "orders") == []


def test_reading_all_pages_is_silent(loaded: Loaded) -> None:
    loaded.source.total = 121
    run = loaded.run("pages.py", MODE="all")
    assert run.result.exit_code == 0, run.log.read_text()
    assert loaded.judge(run, "orders") == []


@pytest.mark.parametrize(("tickets", "named"), [(300, True), (200, False)])
def test_a_number_that_its_column_cannot_hold_is_named(loaded: Loaded, tickets: int, named: bool) -> None:
    """The loader sends JSON: the server keeps 44 of 300, and nothing fails."""
    loaded.source.tickets = tickets
    table = f"{loaded.stage.database}.orders"
    loaded.stage.admin(f"ALTER TABLE {table} MODIFY COLUMN tickets UInt8")
    run = loaded.run("pages.py", MODE="json")
    assert run.result.exit_code == 0, run.log.read_text()
    assert loaded.stage.admin(f"SELECT DISTINCT tickets FROM {table}") == [(tickets % 256,)]
    assert loaded.judge(run, "orders") == []
    found = [finding for finding in loaded.findings if finding.severity == "warning"]
    assert [cause.cause for cause in found] == ["data_wrapped_integer"] * named, loaded.message
    if named:
        assert (found[0].severity, found[0].certainty) == ("warning", "likely")
        assert "The source served tickets of 256 or more" in found[0].headline
        assert "holds it as UInt8, up to 255" in found[0].headline
        assert "SELECT max(tickets)" in str(found[0].next_step)


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


def test_records_are_counted_whatever_reads_and_parses_them(source: Source, tmp_path: Path) -> None:
    """By every client, in every coding, whole or in parts, in a thread, by parsers that the recorder does not know."""
    source.total = 121
    run = run_loader(tmp_path, [str(LOADERS / "served.py")], SOURCE_URL=source.url)
    assert run.result.exit_code == 0, run.log.read_text()
    found = {reading.path: (reading.records, reading.total, reading.whole) for reading in readings(run.recorded)}
    paths = {
        f"/{client}/{coding}/{form}"
        for client in served.WAYS
        for coding in served.CODINGS
        for form in ("json", "lines", "csv")
        if client != "urllib" or coding not in ("br", "raw-deflate")
    }
    assert {path: found.get(path) for path in paths} == dict.fromkeys(paths, (121, 121, True))
    assert run.recorded.gaps == []


@pytest.mark.parametrize("python", interpreters(), ids=str)
def test_every_interpreter_counts_without_the_json_package(source: Source, tmp_path: Path, python: str) -> None:
    """A program's own `json.py` is not imported on the recorder's behalf."""
    source.total = 121
    (tmp_path / "json.py").write_text("print('imported')\n")
    program = (
        "import sys, urllib.request\n"
        "for page in 1, 2, 3:\n"
        "    with urllib.request.urlopen(sys.argv[1] + '/orders?page=%d' % page) as answer:\n"
        "        while answer.read(100): pass\n"
        "with urllib.request.urlopen(sys.argv[1] + '/a/chunked/lines?page=1') as answer: lines = [*answer]\n"
    )
    (tmp_path / "loader.py").write_text(program)
    run = run_loader(tmp_path, [str(tmp_path / "loader.py"), source.url], python=python)
    assert (run.result.exit_code, run.log.read_text()) == (0, "")
    found = [(each.records, each.total, each.answers) for each in readings(run.recorded)]
    assert found == [
        (121, 121, 3),
        (50, 121, 1),
    ]
