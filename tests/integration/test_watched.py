"""What is read of a real server around an ingest."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.client import ConnectError
from ansible.module_utils.ingest_verify.watched import Watched, last_line

from embedded.testing import Engine


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


def test_rows_and_the_logs_last_line_are_told_while_it_runs(
    engine: Engine, login, database: str, tmp_path: Path
) -> None:
    log, progress = tmp_path / "ingest.log", tmp_path / "progress.json"
    server = {**login, "user": engine.user, "progress_file": str(progress)}
    engine.query(f"CREATE TABLE {database}.t (a UInt8) ENGINE = Memory")

    def told() -> dict[str, Any]:
        try:
            read: dict[str, Any] = json.loads(progress.read_text())
        except (OSError, ValueError):
            return {}
        return read

    with Watched(server, str(log)) as watched:
        log.write_text("first\nloaded 120/480\n\n")
        engine.query(f"INSERT INTO {database}.t SELECT number FROM numbers(120)")
        engine.query("SYSTEM FLUSH LOGS")
        wait_for(lambda: told().get("rows") == 120 and told()["line"] == "loaded 120/480")
    assert not progress.exists()
    before, after = watched.windows["window_before"], watched.windows["window_after"]
    assert before["at"] < after["at"]
    assert before["uptime_seconds"] <= after["uptime_seconds"]


def test_a_server_that_refuses_is_told_before_anything_runs(login, tmp_path: Path) -> None:
    with pytest.raises(ConnectError), Watched({**login, "login_password": "wrong"}, str(tmp_path / "log")):
        raise AssertionError("it ran")


def test_without_a_server_only_the_log_is_told(tmp_path: Path) -> None:
    with Watched({}, str(tmp_path / "log")) as watched:
        pass
    assert watched.windows == {}
    assert last_line(tmp_path / "log") == ""


def test_a_server_that_is_gone_afterwards_leaves_its_reason(login, tmp_path: Path) -> None:
    with Watched(dict(login), str(tmp_path / "log")) as watched:
        watched._login = {**login, "login_port": 1}
    assert "1" in watched.windows["window_after"]["msg"]
    assert "at" not in watched.windows["window_after"]
