"""The two modules of the ingest stage, by their arguments and what they answer."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "deploy" / "env.qtickets_api.sample"


class Modules:
    """Runs modules of library/ with arguments and gives what they print."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self.capture = capture

    def run(self, name: str, arguments: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
        with patch_module_args({**arguments, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            runpy.run_path(str(ROOT / "library" / f"{name}.py"), run_name="__main__")
        answer: dict[str, Any] = json.loads(self.capture.readouterr().out)
        return answer


@pytest.fixture
def modules(capfd: pytest.CaptureFixture[str]) -> Modules:
    return Modules(capfd)


def test_env_file_refuses_in_lines_and_shows_no_secret(tmp_path: Path, modules: Modules) -> None:
    path = tmp_path / ".env"
    path.write_text(SAMPLE.read_text().replace("<its password>", "pw-4711-abc"))
    path.chmod(0o644)
    answer = modules.run("ingest_env_file", {"path": str(path), "required": ["QTICKETS_TOKEN"]})
    assert answer["failed"]
    assert answer["changed"]
    assert "ERROR [config_placeholder] QTICKETS_TOKEN" in answer["msg"]
    assert "\n  next step" in answer["msg"]
    assert "4711" not in json.dumps(answer)
    assert answer["env"]["CLICKHOUSE_DB"] == "zakaz"


def test_env_file_plans_in_check_mode(tmp_path: Path, modules: Modules) -> None:
    path = tmp_path / ".env"
    answer = modules.run("ingest_env_file", {"path": str(path), "sample": str(SAMPLE)}, check=True)
    assert answer["changed"]
    assert answer["failed"]
    assert not path.exists()


def test_process_takes_the_env_file_and_hides_what_is_secret(tmp_path: Path, modules: Modules) -> None:
    env = tmp_path / ".env"
    env.write_text("ORG_NAME=bolshoi\nQTICKETS_TOKEN=tok-4711-abc\nRUN_ID=a\n")
    arguments = {
        "command": ["sh", "-c", "echo $ORG_NAME $RUN_ID $QTICKETS_TOKEN; exit 4"], "env_file": str(env),
        "environment": {"RUN_ID": "b"}, "log_file": str(tmp_path / "ingest.log"), "timeout_seconds": 20,
    }  # fmt: skip
    answer = modules.run("ingest_process", arguments)
    assert not answer.get("failed")
    assert (answer["exit_code"], answer["changed"]) == (4, True)
    assert (tmp_path / "ingest.log").read_text() == "bolshoi b ***\n"
    assert "4711" not in json.dumps(answer)


def test_process_runs_nothing_in_check_mode(tmp_path: Path, modules: Modules) -> None:
    arguments = {
        "command": "touch done",
        "log_file": str(tmp_path / "log"),
        "timeout_seconds": 5,
        "chdir": str(tmp_path),
    }
    assert modules.run("ingest_process", arguments, check=True)["skipped"]
    assert not (tmp_path / "done").exists()


def test_process_names_a_missing_env_file(tmp_path: Path, modules: Modules) -> None:
    arguments = {
        "command": "true",
        "env_file": "/nowhere/.env",
        "log_file": str(tmp_path / "log"),
        "timeout_seconds": 5,
    }
    answer = modules.run("ingest_process", arguments)
    assert answer["failed"]
    assert "/nowhere/.env" in answer["msg"]
