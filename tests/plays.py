"""Run the playbooks as a person does, against an embedded engine and simulator of the test's own."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickhouse_driver import Client

ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def mounted(folder: Path, size: str, *, read_only: bool = False) -> list[str]:
    """What stands before a command so that it sees a file system of its own at `folder`: with `size`, or read-only."""
    options = f"size={size}{',ro' if read_only else ''}"
    mount = f'mount -t tmpfs -o {options} tmpfs {shlex.quote(str(folder))} && exec "$@"'
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]


@dataclass
class Played:
    """Outcome of one `ansible-playbook`: exit status, output, and the report it wrote (empty when none)."""

    status: int
    output: str
    report: dict[str, Any]

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [finding for finding in self.report.get("findings", []) if finding["severity"] == "error"]

    @property
    def headline(self) -> dict[str, Any]:
        """The first error finding; fails with the play's output when there is none."""
        assert self.errors, self.output[-6000:]
        return self.errors[0]


class Site:
    """A folder with its own ports, engine, artifacts and generated passwords, set up as `-i local` does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables: dict[str, Any] = {
            "local_dir": str(folder),
            "run_context_artifacts_dir": str(folder / "artifacts"),
            "clickhouse_port": free_port(),
            "clickhouse_http_port": free_port(),
            "qtickets_ingest_simulator_port": free_port(),
            "qtickets_ingest_simulator_options": {"seed": 7, "events": 3, "orders": 60, "hours": 24},
        }

    def play(
        self,
        *args: str,
        playbook: str = "verify.yml",
        inventory: str = "local",
        under: Sequence[str] = (),
        **variables: Any,
    ) -> Played:
        """Run a playbook with this site's variables and those given, `under` what stands before the command.

        Never raises on a failing play.
        """
        command = [
            *under,
            str(Path(sys.executable).with_name("ansible-playbook")),
            playbook,
            "-i",
            inventory,
            "-e",
            json.dumps({**self.variables, **variables}),
            *args,
        ]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        before = self.reports()
        outcome = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        changed = [path for path, stamp in self.reports().items() if before.get(path) != stamp]
        report = json.loads(changed[-1].read_text(encoding="utf-8")) if changed else {}
        return Played(outcome.returncode, outcome.stdout + outcome.stderr, report)

    def reports(self) -> dict[Path, int]:
        """Each run's report.json with its time of change."""
        return {path: path.stat().st_mtime_ns for path in sorted((self.folder / "artifacts").glob("*/report.json"))}

    def client(self) -> Client:
        """A connection as the user that applies the schema."""
        password = (self.folder / "admin.password").read_text(encoding="utf-8").strip()
        return Client("127.0.0.1", port=self.variables["clickhouse_port"], user="admin", password=password)

    def engine(self, command: str) -> dict[str, Any]:
        """`python -m embedded <command>` for this site's engine."""
        outcome = subprocess.run(
            [sys.executable, "-m", "embedded", command, "--dir", str(self.folder / "clickhouse")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return json.loads(outcome.stdout)

    def secrets(self) -> list[str]:
        """Every password and token that was generated for this site."""
        return [
            path.read_text(encoding="utf-8").strip()
            for path in self.folder.iterdir()
            if path.is_file() and path.suffix in (".password", ".token")
        ]


def documented(document: str, playbook: str, option: str = "", **values: str) -> list[str]:
    """Arguments of a document's command for `playbook` behind its `-i prod`: the one with `option`, or without any.

    `values` replace what the document gives as examples, by the name in front of `=`.
    """
    text = (ROOT / document).read_text(encoding="utf-8")
    commands = re.findall(rf"^ansible-playbook {re.escape(playbook)} -i prod *(.*)$", text, re.MULTILINE)
    (found,) = {command for command in commands if (option in command if option else not command)}
    for name, value in values.items():
        found = re.sub(rf"(?<={name}=)\S+", value, found)
    return shlex.split(found)


def molecule(*args: str, **environment: str) -> tuple[int, str]:
    """Run Molecule in the project's root: exit status and output."""
    outcome = subprocess.run(
        [str(Path(sys.executable).with_name("molecule")), *args],
        cwd=ROOT,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "NO_COLOR": "1",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    return outcome.returncode, outcome.stdout
