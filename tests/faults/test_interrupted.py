"""A play that is ended from outside: no PASS, and nothing that keeps the next run from passing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plays import ROOT, Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.engine("stop")


def interrupt(site: Site, number: int, **variables: Any) -> None:
    """Play until the ingest runs, then send the signal to the play (SIGINT as a terminal does, to its whole group)."""
    started = site.folder / "started"
    started.unlink(missing_ok=True)
    hang = (
        f"import pathlib, time; pathlib.Path({str(started)!r}).touch(); print('loading', flush=True); time.sleep(120)"
    )
    given = {**site.variables, "qtickets_ingest_command": [sys.executable, "-c", hang], **variables}
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "verify.yml",
        "-i",
        "local",
        "-e",
        json.dumps(given),
    ]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    with (site.folder / "interrupted.log").open("w") as log:
        play = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True, stdin=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 300
        while not started.exists():
            assert play.poll() is None, (site.folder / "interrupted.log").read_text()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        if number == signal.SIGINT:
            os.killpg(play.pid, number)
        else:
            os.kill(play.pid, number)
        play.wait(60)


def test_an_interrupted_ingest_is_told_so_and_the_next_plain_run_passes(site: Site) -> None:
    # Each of them finds what the one before it left, and comes as far again; the last one cleans up nothing.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        interrupt(site, number)
        shown = site.play(playbook="playbooks/report.yml")
        assert shown.status != 0, number
        assert shown.report, shown.output
        assert shown.report["verdict"] == "INTERRUPTED", number
        assert "the play was ended from outside in stage ingest" in " ".join(shown.output.split())
    again = site.play()
    assert again.status == 0, again.output[-4000:]
    assert again.report["verdict"] == "PASS"


def test_a_folder_without_a_run_is_no_pass(tmp_path: Path) -> None:
    shown = Site(tmp_path).play(playbook="playbooks/report.yml")
    assert shown.status != 0
    assert "NOTHING RUN" in shown.output
    assert not list((tmp_path / "artifacts").glob("*Z-*"))
