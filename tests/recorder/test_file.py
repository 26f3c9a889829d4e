"""A recorder's file that is missing, cut, huge or forged: a clear sentence, and what can be trusted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.module_utils.ingest_verify.diagnosis.recorded_cause import elect
from ansible.module_utils.ingest_verify.facts import recorded as reader
from ansible.module_utils.ingest_verify.facts.recorded import read_recorded
from ansible.module_utils.ingest_verify.recorder import language, variables

from tests.recorder.conftest import LOADERS, run_loader

START = {"v": 1, "t": 1.0, "pid": 7, "thread": 1, "e": "process_start", "ppid": 1, "runtime": "cpython 3.11"}
RAISED = {
    "v": 1, "t": 2.0, "pid": 7, "thread": 1, "e": "exception", "n": 1, "how": "uncaught", "callers": [],
    "last_exchange": None,
    "chain": [
        {"type": "KeyError", "text": "'a'", "frames": [{"file": "/l.py", "line": 3, "function": "f", "own": True}]}
    ],
}  # fmt: skip


def written(folder: Path, *lines: object) -> Path:
    file = folder / "recorder.jsonl"
    file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return file


def test_a_whole_file_has_no_gaps(tmp_path: Path) -> None:
    found = read_recorded(written(tmp_path, START, RAISED))
    assert (found.gaps, found.complete) == ([], True)
    assert str(found.exceptions[0].place) == "/l.py:3"


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    found = read_recorded(tmp_path / "none")
    assert found.gaps == ["The recorder's file cannot be read: there is no such file."]
    assert not found.complete


def test_an_empty_file_says_that_it_did_not_come_up(tmp_path: Path) -> None:
    [gap] = read_recorded(written(tmp_path)).gaps
    assert gap.startswith("The recorder did not come up")


def test_a_cut_line_is_left_out(tmp_path: Path) -> None:
    file = written(tmp_path, START, RAISED)
    file.write_bytes(file.read_bytes()[:-40])
    found = read_recorded(file)
    assert found.exceptions == []
    assert found.gaps == ["The recorder's last line is cut; it was left out."]


def test_a_huge_file_is_read_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_BYTES", 5000)
    found = read_recorded(written(tmp_path, START, *[RAISED | {"n": number} for number in range(200)]))
    assert 0 < len(found.exceptions) < 200
    assert not found.complete
    assert "larger than" in found.gaps[0]


@pytest.mark.parametrize(
    "line",
    [
        "not json", "[]", '{"v": 2}', "[" * 5000,
        RAISED | {"pid": 99}, RAISED | {"n": "1"}, RAISED | {"chain": []}, RAISED | {"chain": [1]},
        RAISED | {"chain": [{"type": 1}]}, RAISED | {"e": "verdict"}, RAISED | {"t": 1e300},
        {**START, "e": "answer", "exchange": 5, "records": 10**9},
    ],
)  # fmt: skip
def test_a_forged_line_is_left_out_and_said(tmp_path: Path, line: object) -> None:
    found = read_recorded(written(tmp_path, START, RAISED, line))
    assert len(found.exceptions) == 1
    assert found.gaps == ["1 line(s) in the recorder's file are not its own; they were left out."]
    assert not found.complete


def test_a_forged_text_is_masked_and_has_no_control_signs(tmp_path: Path) -> None:
    text = "\x1b[2Jpassword=hunter2secret a@b.example"
    forged = RAISED | {"chain": [{"type": "E", "text": text, "frames": []}]}
    [raised] = read_recorded(written(tmp_path, START, forged)).exceptions
    assert raised.origin.text == "[2Jpassword=*** <e-mail>"


@pytest.mark.parametrize("options", [["-I"], ["-E"], ["-S"]])
def test_a_program_that_starts_without_it_is_said(tmp_path: Path, options: list[str]) -> None:
    run = run_loader(tmp_path, [*options, "-c", "print('loaded')"])
    assert run.result.exit_code == 0
    [gap] = run.recorded.gaps
    assert gap.startswith("The recorder did not come up")


def test_a_zip_app_is_recorded(tmp_path: Path) -> None:
    import zipapp

    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__main__.py").write_text("import json\nraise ValueError(json.dumps('zipped'))\n")
    zipapp.create_archive(tmp_path / "app", tmp_path / "app.pyz")
    run = run_loader(tmp_path, [str(tmp_path / "app.pyz")])
    raised = elect(run.recorded)
    assert raised is not None
    assert raised.place is not None
    assert (raised.place.line, raised.place.code) == (2, "raise ValueError(json.dumps('zipped'))")


def test_a_program_that_patches_logging_runs_on(tmp_path: Path) -> None:
    code = (
        "import logging, sys\n"
        "def handle(self, record): sys.stdout.write('mine\\n')\n"
        "logging.Logger.handle = handle\n"
        "sys.excepthook = lambda *_: sys.stdout.write('hooked\\n')\n"
        "try: [][1]\nexcept IndexError as e: logging.error(e)\n"
        "{}['gone']\n"
    )
    (tmp_path / "loader.py").write_text(code)
    run = run_loader(tmp_path, [str(tmp_path / "loader.py")])
    assert run.log.read_text() == "mine\nhooked\n"
    raised = elect(run.recorded)
    assert raised is not None
    assert str(raised.place) == f"{tmp_path / 'loader.py'}:7"


def test_a_sitecustomize_of_the_programs_own_runs_and_nothing_else_is_importable(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("MARK = 'mine'\n")
    code = (
        "import sys, sitecustomize\n"
        "assert sitecustomize.MARK == 'mine'\n"
        "assert not [p for p in sys.path if 'recorder/python' in p], sys.path\n"
        "for name in ('mask', 'sink', 'frames', 'answers'):\n"
        "    try: __import__(name)\n"
        "    except ImportError: continue\n"
        "    raise SystemExit(name)\n"
    )
    run = run_loader(tmp_path, ["-c", code], PYTHONPATH=str(tmp_path))
    assert run.result.exit_code == 0, run.log.read_text()
    assert run.recorded.gaps == []


def test_without_one_there_is_still_none(tmp_path: Path) -> None:
    """Some distributions have one of their own: it is the same with and without the recorder."""
    code = "import sys; print(getattr(sys.modules.get('sitecustomize'), '__file__', None))"
    plain = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run_loader(tmp_path, ["-c", code]).log.read_text() == plain.stdout


def test_what_was_written_stays_when_the_process_is_killed(tmp_path: Path) -> None:
    for number, expected in ((15, 143), (9, 137)):
        code = f"import os, logging\ntry: 1/0\nexcept Exception as e: logging.error(e)\nos.kill(os.getpid(), {number})"
        run = run_loader(tmp_path, ["-c", code])
        assert run.result.exit_code == expected
        [raised] = run.recorded.exceptions
        assert raised.origin.type == "ZeroDivisionError"
        assert not run.recorded.processes[0].ended


def test_it_is_bounded(tmp_path: Path) -> None:
    code = (
        "import logging; log = logging.getLogger('a'); log.addHandler(logging.NullHandler())\n"
        "log.propagate = False\n"
        "for number in range(100_000):\n"
        "    try: raise ValueError(number)\n"
        "    except ValueError as e: log.error(e)\n"
    )
    run = run_loader(tmp_path, ["-c", code])
    assert run.result.exit_code == 0
    assert run.file.stat().st_size < 1 << 20


def test_secrets_are_masked_before_they_are_written(tmp_path: Path) -> None:
    code = (
        "import logging, os\n"
        "try: raise ValueError('login ' + os.environ['API_TOKEN'] + ' password=hunter2secret of a.b@example.com')\n"
        "except ValueError as e: logging.error(e)\n"
    )
    (tmp_path / "loader.py").write_text(code)
    run = run_loader(tmp_path, [str(tmp_path / "loader.py")], API_TOKEN="qwertyuiop-secret")
    text = run.file.read_text()
    assert "ValueError" in text
    for secret in ("qwertyuiop", "hunter2", "a.b@example.com"):
        assert secret not in text


def test_the_program_lacks_what_it_lacked(tmp_path: Path) -> None:
    run = run_loader(tmp_path, ["-c", "import a_package_that_is_missing"])
    assert run.result.exit_code == 1
    [raised] = run.recorded.exceptions
    assert raised.origin.type == "ModuleNotFoundError"


def test_a_file_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    env = variables(str(LOADERS.parents[2] / "recorder"), str(tmp_path / "no" / "file"), {})
    command = [sys.executable, "-c", "print('ok')"]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")


@pytest.mark.parametrize(
    ("config", "command", "spoken"),
    [
        ({"Entrypoint": ["/usr/bin/python3", "/app/main.py"]}, [], "python"),
        ({"Cmd": ["node", "index.js"], "Env": ["NODE_VERSION=20"]}, [], "node"),
        ({"Cmd": ["load"], "Env": ["PYTHON_VERSION=3.12.1"]}, [], "python"),
        ({"Cmd": ["./run.sh"], "Env": ["NODE_VERSION=20.1"]}, [], "node"),
        ({"Entrypoint": ["/loader"], "Env": ["PATH=/usr/bin"]}, [], ""),
        ({"Entrypoint": ["java", "-jar", "a.jar"]}, [], ""),
        ({}, ["python", "-m", "loader"], "python"),
    ],
)
def test_the_image_says_what_it_runs(config: dict[str, object], command: list[str], spoken: str) -> None:
    assert language({"Config": config}, command) == spoken
