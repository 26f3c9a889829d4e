"""A module gives the same answer in the play's own process as in a Python of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.plays import ROOT

TASKS = [
    {"run_requirements": {"packages": ["yaml"], "python": "3.11"}},
    {"run_requirements": {"packages": ["no_such_package_4711"], "install_hint": "pip install it"}},
    {
        "ingest_env_file": {
            "path": "{{ folder }}/{{ inventory_hostname }}.env",
            "required": ["TOKEN"],
            "expect": {"HOST": "db"},
        }
    },
    {"ingest_env_file": {"path": "{{ folder }}/{{ inventory_hostname }}.new", "content": "A=1\n"}, "diff": True},
    {"ingest_env_file": {"path": "{{ folder }}/checked", "content": "A=1\n"}, "check_mode": True},
    {"ingest_env_file": {"path": "{{ folder }}/{{ inventory_hostname }}.env", "unknown_option": 1}},
    {
        "ingest_process": {
            "command": "echo $WORD",
            "log_file": "{{ folder }}/{{ inventory_hostname }}.log",
            "timeout_seconds": -1,
        }
    },
    {
        "ingest_process": {
            "command": ["printenv", "USER"],
            "log_file": "{{ folder }}/{{ inventory_hostname }}.log",
            "timeout_seconds": 20,
        },
        "environment": {"USER": "somebody"},
    },
]
# What no two executions have in common.
PASSING = {
    "started",
    "ended",
    "duration_seconds",
    "invocation",
    "host",
    "path",
    "diff",
    "window_before",
    "window_after",
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[Any]], str, Path]:
    """The tasks' results by host (`here` is this Python, `elsewhere` another one), and the output."""
    folder = tmp_path_factory.mktemp("in_process")
    for name in ("here", "elsewhere"):
        (folder / f"{name}.env").write_text("TOKEN=change-me\nHOST=other\n", encoding="utf-8")
    other = folder / "python"
    other.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    other.chmod(0o755)
    hosts = {
        name: {"ansible_connection": "local", "ansible_python_interpreter": path}
        for name, path in (("here", sys.executable), ("elsewhere", str(other)))
    }
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    tasks: list[dict[str, Any]] = [
        {**task, "name": f"Task {number}", "register": f"answer_{number}", "ignore_errors": True}
        for number, task in enumerate(TASKS)
    ]
    tasks += [
        {
            "name": "Keep the answers",
            "ansible.builtin.copy": {
                "content": "{{ [" + ", ".join(f"answer_{number}" for number in range(len(TASKS))) + "] | to_json }}",
                "dest": "{{ folder }}/{{ inventory_hostname }}.answers",
                "mode": "0600",
            },
            "delegate_to": "here",
        }
    ]
    play = [{"name": "Ask", "hosts": "all", "gather_facts": False, "vars": {"folder": str(folder)}, "tasks": tasks}]
    (folder / "play.yml").write_text(json.dumps(play), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(folder / "play.yml"), "-vvv"]
    done = subprocess.run(
        [*command, "-i", str(folder / "hosts.json")],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "default"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = {
        name: json.loads((folder / f"{name}.answers").read_text(encoding="utf-8").replace(f"{folder}/{name}.", "f."))
        for name in hosts
        if (folder / f"{name}.answers").exists()
    }
    assert len(found) == 2, done.stdout[-6000:] + done.stderr
    return found, done.stdout, folder


@pytest.mark.parametrize("number", range(len(TASKS)))
def test_the_answer_is_the_same(number: int, answers: tuple[dict[str, list[Any]], str, Path]) -> None:
    here, elsewhere = ({k: v for k, v in answers[0][name][number].items() if k not in PASSING} for name in answers[0])
    assert here == elsewhere
    assert "changed" in here


def test_one_is_run_here_and_the_other_is_executed(answers: tuple[dict[str, list[Any]], str, Path]) -> None:
    _, output, folder = answers
    assert output.count("in this process") == len(TASKS)
    assert output.count("Using module file") >= 2 * len(TASKS)
    assert not (folder / "checked").exists()
    assert (folder / "here.log").read_text(encoding="utf-8").endswith("somebody\n")
