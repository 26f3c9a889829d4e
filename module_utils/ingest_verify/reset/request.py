"""What is asked of a reset, what runs the server, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .content import Ingest
from .stores import Store


class Backend(Protocol):
    """What runs the server. `place` is the word that a confirmation repeats."""

    place: str
    journal_folder: Path

    def stores(self) -> Sequence[Store]:
        """The places to move; the first is the data folder."""

    def running(self) -> bool: ...

    def check(self, *, moving: bool) -> None:
        """Raise ResetError with everything that stands in the way; touches nothing. `moving`: data is to be moved."""

    def prepare(self, *, fresh: bool) -> bool:
        """What takes time or may fail and can be done beforehand (images, settings); whether anything changed."""

    def stop(self) -> bool: ...

    def start(self, *, keep: bool) -> bool:
        """Start and wait; whether it was down. `keep`: a running server is not restarted. Raises ResetError."""

    def reach(self) -> list[str]:
        """Prove that clients reach it, raise ResetError; remarks on what could not be proven."""


@dataclass
class Request:
    """What is asked of a reset; the fields are documented with the modules' options."""

    login: Mapping[str, Any]
    http_port: int
    ingest: Ingest
    run_id: str
    inventory: str = "<inventory>"
    mode: str = "fresh"
    confirm: str = ""
    throwaway: bool = False
    passwordless: bool = False
    quiet_minutes: int = 10
    writers: Sequence[str] = ()
    wait_seconds: float = 120
    keep_backups: int = 3
    check_mode: bool = False


@dataclass
class Answer:
    """What came of it. `changes` are entries of the run's ledger; `plan` are the lines of a run in check mode."""

    changed: bool = False
    changes: list[dict[str, Any]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    plan: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    tables: list[dict[str, Any]] = field(default_factory=list)
    server: dict[str, Any] = field(default_factory=dict)
    grants: list[str] = field(default_factory=list)
    summary: str = ""


def restore_command(request: Request, stamp: str) -> str:
    """The command that brings a move's data back."""
    return f"ansible-playbook playbooks/restore.yml -i {request.inventory} -e clickhouse_reset_restore={stamp}"
