"""The case that the project was made for, with the loader untouched: the first run names everything."""

from __future__ import annotations

from tests.recorder.conftest import LOADERS, Loaded


def test_rows_given_as_dictionaries_are_named_in_the_first_run(loaded: Loaded) -> None:
    run = loaded.run("founding.py")
    assert run.result.exit_code == 1
    assert "Unexpected ClickHouse error: " in run.log.read_text()
    [cause] = loaded.judge(run, "orders")
    line = 1 + (LOADERS / "founding.py").read_text().splitlines().index(
        next(text for text in (LOADERS / "founding.py").read_text().splitlines() if text.endswith("# the call"))
    )
    assert cause.cause == "client_rows_as_dictionaries", loaded.message
    assert cause.headline.startswith("KeyError: ")
    assert f"{LOADERS / 'founding.py'}:{line}" in cause.headline
    assert cause.object == f"{loaded.stage.database}.orders"
    assert "dictionaries" in cause.headline
    assert "No INSERT reached the server" in cause.headline
    assert "the loader sent no INSERT" in cause.actual
    assert "DESCRIBE" in cause.actual


def test_its_healthy_twin_is_silent(loaded: Loaded) -> None:
    run = loaded.run("founding.py", HEALTHY="1")
    assert run.result.exit_code == 0, run.log.read_text()
    assert loaded.judge(run, "orders") == [], loaded.message
    assert not [finding for finding in loaded.findings if finding.cause.startswith("evidence_")], loaded.findings
