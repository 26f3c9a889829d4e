"""The one error of a reset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ResetError(Exception):
    """A reset or restore cannot begin or did not succeed; the text says what was expected, found, and what to do.

    `kind` is the cause class without its prefix `host_`; `changes` are those made before it failed, as the run's ledger
    keeps them.
    """

    def __init__(
        self, kind: str, message: str, changes: Sequence[dict[str, Any]] = (), parts: Sequence[Any] = ()
    ) -> None:
        super().__init__(message)
        # Where the text tells of several things: each as an error of its own.
        self.parts = list(parts)
        self.kind = kind
        self.changes = list(changes)
