"""Node loaders: the error's type, file and line in the first run; records that the source told of."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ansible.module_utils.ingest_verify.facts.served import readings

from tests.recorder.conftest import LOADERS, Loaded, Source, run_loader

LOADER = LOADERS / "node.mjs"
LINE = next(n for n, text in enumerate(LOADER.read_text().splitlines(), 1) if text.endswith("// the line"))
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="there is no Node.js here")


@pytest.mark.parametrize("way", ["logged", "rejected", "warned", "uncaught", "chained"])
def test_the_first_run_names_type_file_and_line(loaded: Loaded, way: str) -> None:
    run = loaded.run(LOADER.name, arguments=[way], python=NODE)
    [cause] = loaded.judge(run, "orders")
    assert cause.evidence["location"] == f"{LOADER}:{LINE} in transform", loaded.message
    assert "TypeError" in cause.evidence["exception"]
    assert "the loader sent no INSERT" in str(cause.actual)


def test_its_healthy_twin_is_silent(loaded: Loaded) -> None:
    run = loaded.run(LOADER.name, arguments=["logged"], python=NODE, HEALTHY="1")
    assert run.result.exit_code == 0, run.log.read_text()
    assert loaded.judge(run, "orders") == [], loaded.message
    assert run.recorded.gaps == []
    assert [e.clickhouse for e in run.recorded.exchanges] == [False, True]
    assert run.recorded.exchanges[0].bits == {"id": 2, "tickets": 1}


def test_reading_50_of_121_is_named(loaded: Loaded) -> None:
    loaded.source.total = 121
    run = loaded.run(LOADER.name, arguments=["logged"], python=NODE, HEALTHY="1")
    [cause] = loaded.judge(run, "orders")
    assert cause.cause == "client_pages_unread"
    assert "read 50 records" in cause.headline


def test_records_are_counted_whatever_reads_and_parses_them(source: Source, tmp_path: Path) -> None:
    """By `http` and `fetch`, in every coding, pages at once, with and without the program's own parser."""
    source.total = 121
    run = run_loader(tmp_path, [str(LOADERS / "served.mjs")], python=NODE, SOURCE_URL=source.url)
    assert run.result.exit_code == 0, run.log.read_text()
    found = {reading.path: (reading.records, reading.total, reading.whole) for reading in readings(run.recorded)}
    paths = {
        f"/{client}/{coding}/{form}"
        for client in ("http", "parsed", "fetch", "text", "buffer")
        for coding in ("plain", "gzip", "deflate", "br", "chunked", "gzip-chunked")
        for form in ("json", "lines", "csv")
    }
    assert {path: found.get(path) for path in paths} == dict.fromkeys(paths, (121, 121, True))
    assert run.recorded.gaps == []
