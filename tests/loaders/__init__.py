"""Real loaders against a real engine, each judged with its profile of `pipelines/` as the play judges it."""

from __future__ import annotations

import csv
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ansible.module_utils.ingest_verify.checks.request import read_request
from ansible.module_utils.ingest_verify.checks.runner import run_checks
from ansible.module_utils.ingest_verify.client import connect, query, send_marker
from ansible.module_utils.ingest_verify.diagnosis.diagnose import diagnose
from ansible.module_utils.ingest_verify.diagnosis.request import Request
from ansible.module_utils.ingest_verify.env_file import public_env
from ansible.module_utils.ingest_verify.facts.server import read_window
from ansible.module_utils.ingest_verify.findings import Finding
from ansible.module_utils.ingest_verify.process import run_process
from ansible.module_utils.ingest_verify.recorder import make_file
from ansible.module_utils.ingest_verify.recorder import variables as recorder_variables
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from embedded.testing import Engine
from tests.plays import ROOT

HERE = Path(__file__).resolve().parent
LOCK = ROOT / "requirements/loaders.lock"
PASSWORD = "Loader-pw-1"
DATABASE = "shop"


def make_environment(folder: Path) -> Path:
    """The loaders' own environment, made once for each content of the lock: its folder `bin`.

    Raises CalledProcessError with pip's output: a loader that cannot be installed is a failure, and no skipped test.
    """
    made = folder / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    if not (made / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(made)], check=True)
        # The lock is complete. pip's own look at the dependencies takes `package[extra]` for an unpinned one.
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile", "--require-hashes"]
        subprocess.run([made / "bin/python", "-m", "pip", "install", *options, "-r", str(LOCK)], check=True)
        (made / "done").touch()
    return made / "bin"


def write_orders(path: Path, first: int = 1, rows: int = 60) -> None:
    """A source of orders as CSV."""
    with path.open("w", newline="") as target:
        lines = csv.writer(target)
        lines.writerow(["id", "sku", "pieces", "sold_at"])
        lines.writerows(
            [n, f"S{n % 7}", n % 5 + 1, f"2026-11-28T10:{n % 60:02}:00Z"] for n in range(first, first + rows)
        )


@dataclass(repr=False)
class Judged:
    """What the play would tell of a run: findings of the diagnosis, then of the checks where nothing failed before."""

    verdict: str
    findings: list[Finding]
    log: str
    exit_code: int | None = None

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "error"]

    def __repr__(self) -> str:
        told = [
            f"{f.severity} {f.cause} [{f.fix_side}] {f.object}: {f.headline}\n   {f.next_step}" for f in self.findings
        ]
        return "\n".join([f"{self.verdict}, exit code {self.exit_code}", *told, self.log[-3000:]])


@dataclass
class Loader:
    """One loader with its profile: `command` and `env` as an inventory would name them."""

    engine: Engine
    folder: Path
    pipeline: str
    command: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: Path = HERE
    inventory: Mapping[str, Any] = field(default_factory=dict)
    database: str = DATABASE
    user: str = "loader"

    @property
    def profile(self) -> dict[str, Any]:
        """The profile's values for this inventory."""
        read = DataLoader().load_from_file(str(ROOT / f"pipelines/{self.pipeline}.yml"), trusted_as_template=True)
        return dict(Templar(loader=DataLoader(), variables=dict(self.inventory)).template(read))

    def run(self, **env: str) -> Judged:
        """Run it and judge the run."""
        environment = {**self.env, **env}
        log, recorded = self.folder / "ingest.log", self.folder / "recorder.jsonl"
        with self._window() as asked:
            make_file(recorded, 0o600)
            result = run_process(
                [part.format(**environment) for part in self.command],
                log_file=log, chdir=str(self.workdir), timeout_seconds=60,
                environment={**environment, **recorder_variables(ROOT / "recorder", recorded, environment)},
            )  # fmt: skip
            asked["ingest"] = {
                **result.to_dict(), "env": public_env(environment), "command": " ".join(self.command),
                "container": False,
            }  # fmt: skip
            asked |= {"client_log": str(log), "recorder_file": str(recorded)}
        return self._judge(asked, log.read_text(), result.exit_code)

    @contextmanager
    def observed(self, told: list[Judged]) -> Iterator[None]:
        """Judge what happens inside the block as a load that somebody else runs; the answer is appended to `told`."""
        with self._window() as asked:
            yield
            asked["ingest"] = {"observed": True}
        told.append(self._judge(asked, "", None))

    @contextmanager
    def _window(self) -> Iterator[dict[str, Any]]:
        asked: dict[str, Any] = {}
        client = self._connect()
        try:
            asked["window_before"] = read_window(partial(query, client))
            yield asked
            asked["window_after"] = read_window(partial(query, client))
        finally:
            client.disconnect()

    def _connect(self, database: str = "default") -> Any:
        engine = self.engine
        login = {"login_host": engine.host, "login_port": engine.tcp_port, "login_user": engine.user}
        return connect({**login, "login_password": engine.password, "login_db": database})

    def _judge(self, asked: dict[str, Any], log: str, exit_code: int | None) -> Judged:
        profile = self.profile
        since, until = asked["window_before"]["at"], asked["window_after"]["at"]
        # The database that the checks' queries are about may not be there yet when the run starts.
        client = self._connect(self.database)
        try:
            said = diagnose(
                partial(query, client), partial(send_marker, client),
                Request(
                    since=since, until=until, database=self.database, users=[self.user],
                    targets=profile["targets"], flush_wait_seconds=15, **asked,
                ),
            )  # fmt: skip
            findings, verdict = list(said.findings), said.verdict
            if verdict == "PASS":
                run = {
                    "window": {"from": since, "to": until}, "user": self.user, "expected_tables": profile["targets"],
                    "job": profile["job"],
                }  # fmt: skip
                checks = {"database": self.database, "checks": profile.get("checks", []), "run": run}
                findings += run_checks(client, read_request(checks)).findings
                verdict = "FAIL" if any(finding.severity == "error" for finding in findings) else "PASS"
            return Judged(verdict, findings, log, exit_code)
        finally:
            client.disconnect()


def environment(engine: Engine, user: str = "loader") -> dict[str, str]:
    """The variables that the loaders of this folder read."""
    return {
        "CLICKHOUSE_HOST": engine.host, "CLICKHOUSE_PORT": str(engine.tcp_port),
        "CLICKHOUSE_HTTP_PORT": str(engine.http_port), "CLICKHOUSE_USER": user, "CLICKHOUSE_PASSWORD": PASSWORD,
        "CLICKHOUSE_DB": DATABASE, "HOME": os.environ["HOME"],
    }  # fmt: skip
