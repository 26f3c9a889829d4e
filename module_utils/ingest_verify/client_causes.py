"""From a client's log, exit code and settings to causes on the side of the client, the source or the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .findings import Finding
from .log_errors import ClientError
from .log_reader import ClientLog

STAGE = "qtickets_ingest"


def client_findings(log: ClientLog, ingest: Mapping[str, Any]) -> list[Finding]:
    """Findings of stage `qtickets_ingest` from the log and the facts of the run, the cause first.

    `ingest` may hold `exit_code`, `timed_out`, `oom_killed`, `duration_seconds`, `timeout_seconds`, `env` (variables
    that are not secret), `command`, `container`. Errors that the server reported are left to the server's side.
    """
    return [
        Finding(
            stage=STAGE,
            severity="error",
            cause="client_exception",
            headline=f"The ingest failed with {error.type or 'an error'}: {error.message}",
            evidence=_evidence(error),
        )
        for error in log.errors
        if error.server_code is None and ingest.get("exit_code") != 0
    ]


def _evidence(error: ClientError) -> dict[str, Any]:
    known: dict[str, Any] = {"exception": error.text, "count": error.count, "first": error.first, "last": error.last}
    if error.frame:
        known["location"] = f"{error.frame.file}:{error.frame.line}"
    return {key: value for key, value in known.items() if value is not None}
