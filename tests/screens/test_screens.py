"""What a person sees of a run: recorded in a pseudo-terminal and in a file, and compared with the expected screens."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyte
import pytest
import yaml

from tests.plays import ROOT

EXPECTED = Path(__file__).parent
WARNING = {
    "stage": "verify_data",
    "severity": "warning",
    "cause": "data_stale",
    "headline": "The newest order is 13 h old.",
}
ERROR = {
    "stage": "qtickets_ingest",
    "severity": "error",
    "cause": "server_missing_column",
    "headline": "Column total is missing in zakaz.orders.",
    "next_step": "ALTER TABLE zakaz.orders ADD COLUMN total UInt32",
    "evidence": {"sql": "INSERT INTO zakaz.orders (id, total) VALUES", "exception": "No such column total", "code": 16},
}
CHANGE = {"what": "data moved aside", "from": "/data", "to": "/data.1", "undo": "mv /data.1 /data"}
# Roles with the names of the real ones, whose tasks only keep the ledger: what is shown is made of that.
LEDGER = {"artifacts_dir": "{{ artifacts }}", "host": "{{ inventory_hostname }}"}


def update(
    stage: str, summary: str, *findings: dict[str, Any], facts: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    run = {**LEDGER, "run_id": "{{ opened.run_id }}", "stage": stage}
    return [
        {"name": "Enter", "run_ledger": {**run, "state": "entered"}},
        {
            "name": "Record",
            "run_ledger": {
                **run,
                "state": "update",
                "data": {"summary": summary},
                "findings": list(findings),
                "facts": facts or {},
            },
        },
    ]


class Stage:
    """A play of stand-in roles in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.roles: dict[str, list[dict[str, Any]]] = {
            "run_context": [
                {"name": "Open", "run_ledger": {**LEDGER, "state": "new"}, "register": "opened"},
            ],
            "clickhouse_reset": update(
                "clickhouse_reset", "ClickHouse 26.9, started empty", facts={"changes": [CHANGE]}
            ),
            "schema_apply": update("schema_apply", "8 of 8 statements"),
            "query_logging": update(
                "query_logging", "a failing statement was found", facts={"evidence": {"proven": True}}
            ),
            "qtickets_ingest": update("qtickets_ingest", "exit code 0 after 3.5 s"),
            "run_diagnosis": update("qtickets_ingest", "exit code 0 after 3.5 s"),
            "verify_data": update("verify_data", "25 checks: 25 ok"),
            "run_report": [
                {
                    "name": "Judge",
                    "run_ledger": {**LEDGER, "state": "judged", "run_id": "{{ opened.run_id }}"},
                    "register": "judged",
                },
                {"name": "Show", "ansible.builtin.debug": {"msg": "{{ judged.ledger.verdict }}: all is told\nmore"}},
                {
                    "name": "Name it",
                    "ansible.builtin.set_stats": {"per_host": True, "data": {"report": "/runs/report.md"}},
                },
                {
                    "name": "Fail",
                    "ansible.builtin.fail": {"msg": "{{ judged.ledger.verdict }}: all is told"},
                    "when": "judged.ledger.verdict != 'PASS'",
                },
            ],
        }
        self.hosts = ["here"]

    def command(self, *args: str) -> list[str]:
        for role, tasks in self.roles.items():
            place = self.folder / "roles" / role / "tasks"
            place.mkdir(parents=True, exist_ok=True)
            (place / "main.yml").write_text(yaml.safe_dump(tasks, sort_keys=False))
        imports = [{"name": role, "ansible.builtin.import_role": {"name": role}} for role in self.roles]
        play = {
            "name": "Verify",
            "hosts": "clickhouse",
            "gather_facts": False,
            "serial": 1,
            "tasks": [{"name": "Verify", "block": imports[:-1], "always": imports[-1:]}],
        }
        (self.folder / "verify.yml").write_text(yaml.safe_dump([play], sort_keys=False))
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts = {"clickhouse": {"hosts": dict.fromkeys(self.hosts, host)}}
        (self.folder / "hosts.yml").write_text(yaml.safe_dump(hosts))
        playbook = str(Path(sys.executable).with_name("ansible-playbook"))
        given = json.dumps({"artifacts": str(self.folder / "artifacts")})
        return [playbook, str(self.folder / "verify.yml"), "-i", str(self.folder / "hosts.yml"), "-e", given, *args]

    def environment(self, **more: str) -> dict[str, str]:
        # A terminal that knows colours, and none asked for: the screens are compared as text.
        return {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_ROLES_PATH": str(self.folder / "roles"),
            "ANSIBLE_STDOUT_CALLBACK": "ingest_verify",
            "ANSIBLE_NOCOLOR": "1",
            "PYTHONIOENCODING": "utf-8",
            "TERM": "xterm",
            **more,
        }

    def in_file(self, *args: str, **environment: str) -> tuple[int, str]:
        done = subprocess.run(
            self.command(*args),
            env=self.environment(**environment),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, self.without_times(done.stdout)

    def on_terminal(
        self, columns: int, *args: str, watch: Callable[[str, subprocess.Popen[bytes]], None] | None = None
    ) -> tuple[int, str, pyte.Screen]:
        """Exit status, the screen's text at the end, and the screen; `watch` is called with each new text."""
        screen = pyte.Screen(columns, 60)
        stream = pyte.ByteStream(screen)
        control, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
        playing = subprocess.Popen(
            self.command(*args),
            env=self.environment(),
            cwd=ROOT,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        deadline = time.monotonic() + 120
        try:
            while time.monotonic() < deadline:
                if select.select([control], [], [], 0.2)[0]:
                    try:
                        read = os.read(control, 65536)
                    except OSError:  # the last one closed the terminal
                        break
                    if not read:
                        break
                    stream.feed(read)
                    if watch:
                        watch("\n".join(screen.display), playing)
            return playing.wait(timeout=60), self.without_times(shown(screen)), screen
        finally:
            if playing.poll() is None:
                playing.kill()
            os.close(control)

    def without_times(self, text: str) -> str:
        text = text.replace(str(self.folder), "FOLDER")
        text = re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{6}", "RUN", text)
        text = re.sub(
            r"(?<=\()[ \d.\n]+ s(?=\))", "T s", re.sub(r" +\d+\.\d s(?=  |$)", " T s", text, flags=re.MULTILINE)
        )
        return "\n".join(line.rstrip() for line in text.splitlines()).strip() + "\n"


def shown(screen: pyte.Screen) -> str:
    return "\n".join(screen.display)


def expected(name: str) -> str:
    return (EXPECTED / f"{name}.txt").read_text(encoding="utf-8")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def failing(stage: Stage) -> Stage:
    stage.roles["run_diagnosis"] = [
        *update("qtickets_ingest", "exit code 1 after 3.5 s", ERROR),
        {"name": "Fail with the cause", "ansible.builtin.fail": {"msg": ERROR["headline"]}},
    ]
    return stage


def test_a_passing_run_is_a_line_for_each_stage_and_the_verdict_last(stage: Stage) -> None:
    stage.roles["verify_data"] = update("verify_data", "25 checks: 24 ok, 1 warning", WARNING)
    status, text = stage.in_file()
    assert status == 0
    assert text == expected("passed")
    assert len(text.splitlines()) <= 30
    status, text, screen = stage.on_terminal(100)
    assert (status, text) == (0, expected("passed"))
    assert (screen.cursor.x, screen.cursor.hidden) == (0, False)


def test_a_failed_run_tells_its_cause_once(failing: Stage) -> None:
    status, text = failing.in_file()
    assert status != 0
    assert text == expected("failed")
    status, text, screen = failing.on_terminal(100)
    assert text == expected("failed")
    assert (screen.cursor.x, screen.cursor.hidden) == (0, False)


def test_forty_columns_hold_every_line(failing: Stage) -> None:
    status, text, _ = failing.on_terminal(40)
    assert status != 0
    assert text == expected("failed_40")


def test_the_ingests_progress_is_seen_and_ctrl_c_leaves_the_screen_in_order(stage: Stage) -> None:
    noise = "\x1b[31m" + "x" * 1_000_000 + "\x1b[2J\x07 loaded 120/480"
    progress = json.dumps({"rows": 1200, "line": noise})
    stage.roles["qtickets_ingest"] = [
        update("qtickets_ingest", "")[0],
        {
            "name": "Note the progress",
            "ansible.builtin.copy": {"content": progress, "dest": "{{ opened.dir }}/progress.json"},
        },
        {"name": "Run the loader", "ansible.builtin.wait_for": {"path": "/no/such/file", "timeout": 100}},
    ]
    seen: list[str] = []

    def watch(text: str, playing: subprocess.Popen[bytes]) -> None:
        line = next((line for line in text.splitlines() if "1,200 rows" in line), "")
        if line and not seen:
            seen.append(line)
            os.killpg(playing.pid, signal.SIGINT)

    status, text, screen = stage.on_terminal(80, watch=watch)
    assert status != 0
    assert "[##--------] 25%" in seen[0], text
    assert re.search(r"■ ingest +T s  did not end", text), text
    assert "[ERROR]: User interrupted execution" in text.splitlines()
    assert "1,200 rows" not in text
    assert "xxx" not in text
    assert (screen.cursor.x, screen.cursor.hidden) == (0, False)


def test_two_hosts_are_told_apart_and_a_tag_alone_runs_one_stage(stage: Stage) -> None:
    stage.hosts = ["here", "there"]
    fails = {"name": "Fail with the cause", "ansible.builtin.fail": {"msg": ERROR["headline"]}}
    there = {"when": "inventory_hostname == 'there'"}
    stage.roles["run_diagnosis"] += [{**task, **there} for task in (*update("qtickets_ingest", "", ERROR), fails)]
    status, text = stage.in_file("--forks", "1")
    assert status == 2, text
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("  ")]
    # No line that does not say whose it is, and the first host's before the second's.
    whose = [re.sub(r"^(. )?(\w+): .*", r"\2", line) for line in lines]
    assert set(whose) == {"here", "there"}, text
    assert "here: PASS: all is told (T s)" in text
    assert "there: ERROR [server_missing_column] Column total is missing" in text
    assert "there: FAIL: server_missing_column in ingest (T s)" in text
    status, text = stage.in_file("--limit", "here")
    assert status == 0, text
    assert "there" not in text
    assert "\nPASS: all is told (T s)" in text


def test_an_inventorys_own_play_says_nothing_where_limit_leaves_it_out() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "verify.yml", "-i", "local", "--limit", "local",
         "--check", "-e", "qtickets_ingest_timeout_seconds=0"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "qtickets_ingest_timeout_seconds is 0" in done.stdout
    assert "No host is left" not in done.stdout


@pytest.mark.parametrize("role", ["clickhouse_reset", "schema_apply", "query_logging", "run_diagnosis", "verify_data"])
def test_ctrl_c_in_a_stage_says_which_and_leaves_the_cursor_on_a_line_of_its_own(stage: Stage, role: str) -> None:
    stage.roles[role] = [
        stage.roles[role][0],
        {"name": "Wait for ever", "ansible.builtin.wait_for": {"path": "/no/such/file", "timeout": 100}},
    ]
    asked: list[bool] = []

    def watch(text: str, playing: subprocess.Popen[bytes]) -> None:
        if f"… {role} " in text and "Wait for ever" in text and not asked:
            asked.append(True)
            os.killpg(playing.pid, signal.SIGINT)

    status, text, screen = stage.on_terminal(80, watch=watch)
    assert status != 0
    assert re.search(rf"■ {role} +T s  did not end", text), text
    assert "Wait for ever" not in text
    assert "PASS" not in text
    assert (screen.cursor.x, screen.cursor.hidden) == (0, False)


def test_an_ingest_that_failed_has_no_mark_of_success(failing: Stage) -> None:
    record = failing.roles["qtickets_ingest"][1]["run_ledger"]
    record.update(status="failed", data={"summary": "exit code 1 after 3.5 s"})
    _, text = failing.in_file()
    assert "✘ ingest T s  exit code 1" in text


def test_colours_are_ansibles_own_and_only_where_they_are_wanted(failing: Stage) -> None:
    forced = {"ANSIBLE_NOCOLOR": "", "NO_COLOR": "", "ANSIBLE_FORCE_COLOR": "1"}
    _, text = failing.in_file(**forced)
    assert "\x1b[0;31mFAIL: server_missing_column in ingest" in text
    assert "\x1b[0;32m✔\x1b[0m" in text
    # Each colour ends on its own line.
    assert all(line.count("\x1b[") == 2 * line.count("\x1b[0m") for line in text.splitlines())
    _, text = failing.in_file(ANSIBLE_NOCOLOR="", ANSIBLE_FORCE_COLOR="", NO_COLOR="1")
    assert "\x1b" not in text


def test_a_display_that_fails_leaves_the_play_alone(stage: Stage, tmp_path: Path) -> None:
    # A ledger that nothing can be made of.
    broken = [{**ERROR, "severity": "warning"}]
    stage.roles["verify_data"].append(
        {"name": "Break it", "ansible.builtin.set_fact": {"cacheable": False, "x": broken}}
    )
    plugin = tmp_path / "callback_plugins"
    plugin.mkdir()
    source = (ROOT / "callback_plugins/ingest_verify.py").read_text(encoding="utf-8")
    (plugin / "ingest_verify.py").write_text(
        source.replace(
            '"""The line of the stage that ran, with its findings below."""', 'raise RuntimeError("broken")'
        ).replace("Path(__file__).resolve().parents[1]", f"Path({str(ROOT)!r})")
    )
    status, text = stage.in_file(ANSIBLE_CALLBACK_PLUGINS=str(plugin))
    assert status == 0
    assert text.count("RuntimeError('broken')") == 1
    assert "PLAY RECAP" in text


def test_ansibles_own_output_is_there_for_the_asking(stage: Stage) -> None:
    status, text = stage.in_file(ANSIBLE_STDOUT_CALLBACK="default")
    assert status == 0
    assert "TASK [schema_apply : Record]" in text
    assert "✔" not in text


@pytest.mark.parametrize("verbosity", ["", "-v", "-vvv"])
def test_what_steers_a_terminal_never_reaches_it(stage: Stage, verbosity: str) -> None:
    title, wipe, conceal, reversed_, eight_bit = "\x1b]0;owned\x07", "\x1b[2J\x1b[H", "\x1b[8m", "\u202e", "\x9b2J"
    hostile = f"orders{title}{wipe}{conceal}{reversed_}{eight_bit}\x08\x00"
    stage.roles["run_diagnosis"] = [
        *update(
            "qtickets_ingest",
            f"exit code 1: {hostile}",
            {**ERROR, "headline": f"Column {hostile} is missing.", "object": hostile, "next_step": f"ALTER {hostile}",
             "evidence": {"sql": f"INSERT INTO {hostile}", "exception": hostile, "rows": [{hostile: hostile}]}},
        ),
        {"name": f"Tell {reversed_}", "ansible.builtin.debug": {"msg": hostile}},
        {"name": "Warn", "ansible.builtin.fail": {"msg": f"gone: {hostile}"}},
    ]  # fmt: skip
    status, text = stage.in_file(*([verbosity] if verbosity else []))
    assert status != 0
    assert "Column orders" in text
    assert "⟦U+202E⟧" in text
    assert not [char for char in text if char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cf")]


@pytest.mark.parametrize("verbosity", ["", "-v", "-vvv"])
def test_no_secret_is_printed_at_any_verbosity(stage: Stage, verbosity: str) -> None:
    secrets = {
        "of the environment": "Environm3nt-Secret'x",
        "of the play": "Pl4y+Secret/y",
        "of a fact": "F4ct-Secret-z",
        "of the env file": "EnvFile-S3cret-w",
    }
    env_file = stage.folder / "loader.env"
    env_file.write_text(f"QTICKETS_TOKEN={secrets['of the env file']}\n")
    every = " | ".join(secrets.values())
    stage.roles["run_context"] += [
        {"name": "Resolve", "ansible.builtin.set_fact": {"run": {"login_password": "{{ 'F4ct-Secret' ~ '-z' }}",
                                                                "env_file": str(env_file)}}},
        {"name": "Tell", "ansible.builtin.debug": {"msg": f"told: {every}"}},
        {"name": "Print", "ansible.builtin.command": {"argv": ["printf", "%s", json.dumps(every)]}},
    ]  # fmt: skip
    stage.roles["verify_data"] = [
        *update("verify_data", f"exit code 1: {every}", {**ERROR, "stage": "verify_data", "headline": f"Said {every}",
                                                         "evidence": {"exception": every}}),
        {"name": "Break", "ansible.builtin.command": {"argv": ["sh", "-c", f"echo {json.dumps(every)} >&2; exit 3"]}},
        {"name": "Never reached", "ansible.builtin.debug": {"msg": "{{ nothing_of_the_name }}"}},
    ]  # fmt: skip
    given = json.dumps({"clickhouse_password": secrets["of the play"]})
    status, text = stage.in_file(
        "-e", given, *([verbosity] if verbosity else []), CLICKHOUSE_PASSWORD=secrets["of the environment"]
    )
    assert status != 0
    assert "told:" in text
    assert "Said ***" in text
    for whose, secret in secrets.items():
        assert secret not in text, f"{whose}: {verbosity}"


def test_the_shells_folder_is_no_secret(stage: Stage) -> None:
    stage.roles["run_context"].append({"name": "Tell", "ansible.builtin.debug": {"msg": f"in {ROOT}"}})
    _, text = stage.in_file(PWD=str(ROOT), OLDPWD=str(ROOT))
    assert f"in {ROOT}" in text
