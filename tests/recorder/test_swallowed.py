"""Each way of swallowing an exception: the first run names its type, file and line; the healthy twin stays silent."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.module_utils.ingest_verify.diagnosis.recorded_cause import elect

from tests.recorder.conftest import LOADERS, Loaded, interpreters, run_loader

LOADER = LOADERS / "swallow.py"
LINE = next(n for n, text in enumerate(LOADER.read_text().splitlines(), 1) if text.endswith("# the line"))

EVERYWHERE = [
    "logged", "warned", "printed", "elsewhere", "chained", "hidden", "left", "left_at_once", "thread", "pool",
    "pool_logged", "task", "gather", "process", "spawned", "process_pool", "formatted",
]  # fmt: skip
WITH_PACKAGES = ["retried", "loguru", "structlog"]
# Nothing but the exit status tells of it: CPython 3.12 and newer watch what is raised.
WATCHED = ["status"]


@pytest.mark.parametrize("way", [*EVERYWHERE, *WITH_PACKAGES, "grouped"])
def test_the_first_run_names_type_file_and_line(loaded: Loaded, way: str) -> None:
    run = loaded.run("swallow.py", arguments=[way])
    [cause] = loaded.judge(run, "orders")
    assert cause.evidence["location"] == f"{LOADER}:{LINE} in transform", loaded.message
    assert "KeyError: 'sku'" in cause.evidence["exception"]
    assert "KeyError" in cause.headline
    assert "the loader sent no INSERT" in str(cause.actual)


@pytest.mark.parametrize("way", ["logged", "thread", "gather", "process", "retried", "left"])
def test_its_healthy_twin_is_silent(loaded: Loaded, way: str) -> None:
    run = loaded.run("swallow.py", arguments=[way], HEALTHY="1")
    assert run.result.exit_code == 0, run.log.read_text()
    assert loaded.judge(run, "orders") == [], loaded.message


@pytest.mark.parametrize("python", interpreters(), ids=str)
def test_every_interpreter_records_every_way(tmp_path: Path, python: str) -> None:
    asked = "import sys; print(sys.version_info >= (3, 12), sys.version_info >= (3, 11))"
    version = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    ways = EVERYWHERE + (WATCHED if version[0] == "True" else []) + (["grouped"] if version[1] == "True" else [])
    for way in ways:
        folder = tmp_path / way
        folder.mkdir()
        recorded = run_loader(folder, [str(LOADER), way], python=python).recorded
        raised = elect(recorded)
        assert raised is not None, way
        assert (raised.origin.type, str(raised.place)) == ("KeyError", f"{LOADER}:{LINE}"), (way, raised)
        assert recorded.gaps == [], way


def test_the_syntax_is_that_of_3_8() -> None:
    import ast

    for file in (LOADERS.parents[2] / "recorder").rglob("*.py"):
        ast.parse(file.read_text(), feature_version=(3, 8))


def test_a_program_behaves_as_without_the_recorder(tmp_path: Path) -> None:
    """Output, status and traceback are the same to the byte, whatever the way."""
    for way in [*EVERYWHERE, "status"]:
        plain = subprocess.run(
            [sys.executable, str(LOADER), way], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        folder = tmp_path / way
        folder.mkdir()
        run = run_loader(folder, [str(LOADER), way])
        assert run.result.exit_code == plain.returncode & 0xFF, way
        shutil.copy(run.log, tmp_path / "log")
        assert sorted(run.log.read_text().splitlines()) == sorted((plain.stdout + plain.stderr).splitlines()), way
