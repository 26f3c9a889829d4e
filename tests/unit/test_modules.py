"""Modules by their arguments and what they answer."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from tests.plays import free_port

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
    assert "\n  fix (configuration)" in answer["msg"]
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


def test_a_python_that_is_too_old_is_named_before_its_packages(modules: Modules) -> None:
    wanted = {"packages": {"no_such_package": "no-such-package"}, "install_hint": "-m pip install it"}
    old = modules.run("run_requirements", {**wanted, "python": "99.1"})
    assert old["msg"].startswith("Python 99.1 or newer is expected on this host, ")
    assert "ansible_python_interpreter=" in old["msg"]
    lacking = modules.run("run_requirements", {**wanted, "python": "3.11"})
    assert "lacks no-such-package. Install with: " in lacking["msg"]
    assert not modules.run("run_requirements", {**wanted, "python": "3.11", "packages": {"json": "json"}}).get("failed")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("clickhouse_checks", {"database": "d", "checks": []}),
        ("clickhouse_contract", {"contract": {"t": {"columns": {"a": "any"}}}}),
        ("clickhouse_info", {}),
        ("clickhouse_query_errors", {}),
        ("clickhouse_query_logging", {"ingest_user": "u", "ingest_password": "secret-4711"}),
        ("clickhouse_script", {"content": "SELECT 1"}),
        ("clickhouse_window", {}),
    ],
)
def test_a_server_that_is_down_has_its_cause_whichever_stage_meets_it(
    modules: Modules, name: str, arguments: dict[str, Any]
) -> None:
    answer = modules.run(name, {**arguments, "login_host": "127.0.0.1", "login_port": free_port()})
    assert answer["failed"]
    assert [finding["cause"] for finding in answer["findings"]] == ["client_connection_refused"]
    assert "Nothing accepts connections at 127.0.0.1" in answer["msg"]


def test_a_server_that_need_not_answer_fails_nothing(modules: Modules) -> None:
    arguments = {"login_host": "127.0.0.1", "login_port": free_port(), "must_answer": False}
    answer = modules.run("clickhouse_info", arguments)
    assert not answer.get("failed")
    assert (answer["answers"], answer["changed"]) == (False, False)
    assert "Nothing accepts connections" in answer["reason"]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("clickhouse_contract", {"contract": {"t": {}}}, "t.columns: expected a mapping"),
        ("clickhouse_checks", {"database": "d", "checks": [{"name": "a"}]}, "verify_data_checks[0].kind"),
    ],
)
def test_a_declaration_that_cannot_be_used_is_the_configurations_fault(
    modules: Modules, name: str, arguments: dict[str, Any], said: str
) -> None:
    answer = modules.run(name, arguments)
    assert said in answer["msg"]
    assert [finding["cause"].partition("_")[0] for finding in answer["findings"]] == ["config"]


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
