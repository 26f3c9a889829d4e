"""How much a diagnosis may ask of a server: a time over all of its statements, and none after a connection broke."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ...client import ConnectError, ServerError

Query = Callable[[str], list[dict[str, Any]]]
"""Runs one complete statement and returns its rows by column name; raises ServerError."""

# Over all hosts and all statements of one diagnosis. One statement has a limit of its own: `client.BOUNDS`.
TOTAL_SECONDS = 300.0
_TIMEOUT_EXCEEDED = 159


class Limited:
    """`query`, which is asked nothing more after `seconds`, or after the connection broke: each try on a server that
    hangs would wait again."""

    def __init__(self, query: Query, seconds: float = TOTAL_SECONDS) -> None:
        self._query = query
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._broken: ConnectError | None = None

    def __call__(self, sql: str) -> list[dict[str, Any]]:
        if self._broken is not None:
            raise self._broken
        if time.monotonic() > self._deadline:
            raise ServerError(
                _TIMEOUT_EXCEEDED, f"not asked any more: the {self._seconds:g} s of the whole diagnosis are over", sql
            )
        try:
            return self._query(sql)
        except ConnectError as error:
            self._broken = error
            raise
