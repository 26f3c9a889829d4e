"""What is asked of a diagnosis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..facts.log import ClientLog, read_client_log
from ..facts.recorded import Recorded, read_recorded


@dataclass
class Request:
    """What is asked of a diagnosis. Times are UTC text by the server's clock; lists are empty where nothing is known.

    `ingest` may hold `exit_code`, `timed_out`, `oom_killed`, `duration_seconds`, `env`, `outcome`; None when no ingest
    of this run is judged (a look at any window). `window_before` and `window_after` are results of `read_window`.
    """

    since: str | None = None
    until: str | None = None
    window_minutes: float = 5
    database: str | None = None
    users: Sequence[str] = ()
    log_comment: str | None = None
    loader_run_id: str | None = None
    http_user_agent: str | None = None
    client_name: str | None = None
    client_address: Sequence[str] = ()
    cluster: str | None = None
    targets: Sequence[str] = ()
    client_log: str | None = None
    recorder_file: str | None = None
    ingest: Mapping[str, Any] | None = None
    window_before: Mapping[str, Any] | None = None
    window_after: Mapping[str, Any] | None = None
    server_setup: Mapping[str, Any] | None = None
    evidence_proven: bool = True
    evidence_reason: str | None = None
    flush_wait_seconds: float = 30

    @property
    def filters(self) -> dict[str, list[str]]:
        """Conditions on query_log by column."""
        given = {
            "user": list(self.users),
            "http_user_agent": [self.http_user_agent] if self.http_user_agent else [],
            "client_name": [self.client_name] if self.client_name else [],
            "address": list(self.client_address),
        }
        return {column: values for column, values in given.items() if values}

    @property
    def marks(self) -> list[str]:
        return [mark for mark in (self.log_comment, self.loader_run_id) if mark]

    def read_log(self) -> ClientLog | None:
        """The client's log, None where none is given; that of a run of ours was captured by us.

        Raises LogFileError.
        """
        return read_client_log(self.client_log, captured=self.ingest is not None) if self.client_log else None

    def read_recorded(self) -> Recorded | None:
        """What the recorder saw inside the ingest, None where it was not asked to."""
        return read_recorded(self.recorder_file) if self.recorder_file else None

    @property
    def first_user(self) -> str:
        """The user that the ingest logs in with, empty when none is known."""
        return next(iter(self.users), "")
