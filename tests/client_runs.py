"""Run a loader, ours or a foreign one, as the ingest stage does, and judge its log alone."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.ingest_verify.diagnosis.client_side import client_findings
from ansible.module_utils.ingest_verify.env_file import public_env
from ansible.module_utils.ingest_verify.facts.log import read_client_log
from ansible.module_utils.ingest_verify.findings import Finding
from ansible.module_utils.ingest_verify.process import ProcessResult, run_process

ROOT = Path(__file__).resolve().parents[1]
OURS = "qtickets_api"
HTTP = "tests.foreign_loaders.http_loader"
NATIVE = "tests.foreign_loaders.native_loader"


@dataclass
class Run:
    """One run of a loader: how the process ended, its log's text, the findings of the client's side."""

    result: ProcessResult
    log: str
    findings: list[Finding]

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def cause(self) -> Finding:
        """The one error that a failed run gets."""
        assert len(self.errors) == 1, (self.log, self.findings)
        return self.errors[0]


@dataclass
class Loaders:
    """Starts loaders against one API and one database; `env` holds what a healthy run is given."""

    folder: Path
    env: dict[str, str]
    native_port: int

    def run(self, module: str, *, timeout: float = 60, container: bool = False, **changes: str) -> Run:
        """Run `python -m module` with `changes` to the healthy environment."""
        port = self.port_of(module)
        env = {**self.env, "CLICKHOUSE_PORT": port, **changes, "PYTHONPATH": f"{ROOT}:{ROOT / 'ingest'}"}
        return self.judge([sys.executable, "-m", module], env, timeout=timeout, container=container)

    def port_of(self, module: str) -> str:
        """The server's port that speaks the loader's protocol."""
        return str(self.native_port) if module == NATIVE else self.env["CLICKHOUSE_PORT"]

    def judge(
        self, command: list[str], env: dict[str, str] | None = None, *, timeout: float = 60, container: bool = False
    ) -> Run:
        """Run any command and judge it."""
        environment = self.env if env is None else env
        path = self.folder / "ingest.log"
        result = run_process(
            command,
            log_file=path,
            environment=environment,
            chdir=str(self.folder),
            timeout_seconds=timeout,
            grace_seconds=2,
        )
        ingest: dict[str, Any] = {
            **result.to_dict(),
            "timeout_seconds": timeout,
            "env": public_env(environment),
            "command": " ".join(command),
            "container": container,
        }
        return Run(result, path.read_text(errors="replace"), client_findings(read_client_log(path), ingest))
