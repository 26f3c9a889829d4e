"""What is read of the server around an ingest, where it runs: the window before and after, the rows meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from .client import ConnectError, ServerError, connect, error_finding, login_argument_spec, query
from .facts.server import EvidenceError, read_window
from .findings import Finding

WATCH_ERRORS = (ConnectError, ServerError, EvidenceError)
# The option `server` of the modules that run an ingest.
SERVER_OPTION: dict[str, Any] = {
    "type": "dict",
    "options": {
        **login_argument_spec(),
        "login_host": {"type": "str"},
        "user": {"type": "str", "default": ""},
        "progress_file": {"type": "path"},
    },
}
_STAGE = "qtickets_ingest"

# How often the progress is written, and the server asked for its count.
_WRITE_SECONDS = 1.0
_COUNT_SECONDS = 3.0
_TAIL_BYTES = 4096
# Statements that ended, and those that run; the verifier's own are SELECTs.
_ROWS = """SELECT
    (SELECT sum(written_rows) FROM system.query_log WHERE event_date >= toDate(toDateTime64(%(since)s, 6, 'UTC')) - 1
        AND event_time_microseconds >= toDateTime64(%(since)s, 6, 'UTC') AND type = 'QueryFinish'
        AND query_kind = 'Insert' AND user = %(user)s)
    + (SELECT sum(written_rows) FROM system.processes WHERE query_kind = 'Insert' AND user = %(user)s) AS rows"""


class Watched:
    """Around an ingest: `windows` are `read_window`'s of before and after, a file tells how far it is.

    `server` is what SERVER_OPTION describes; without a `login_host` no server is asked. Entering raises one of
    WATCH_ERRORS; where the server does not answer afterwards, `window_after` has its reason as `msg`.
    """

    def __init__(self, server: Mapping[str, Any], log_file: str) -> None:
        self._login = server if server.get("login_host") else None
        self._user = server.get("user") or ""
        self._log = Path(log_file)
        self._progress = Path(server["progress_file"]) if server.get("progress_file") else None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)
        self.windows: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Watched:
        if self._login:
            self.windows["window_before"] = _read(self._login)
        if self._progress:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._progress:
            # It may wait for a server that is down, which the ingest's end does not.
            self._thread.join(_WRITE_SECONDS)
            self._progress.unlink(missing_ok=True)
        if self._login and kind is None:
            try:
                self.windows["window_after"] = _read(self._login)
            except WATCH_ERRORS as reason:
                self.windows["window_after"] = {"msg": str(reason)}

    def _tell(self) -> None:
        rows, counted = None, 0.0
        while not self._ended.is_set():
            if self._login and time.monotonic() - counted >= _COUNT_SECONDS:
                rows = self._count(rows)
                counted = time.monotonic()
            with contextlib.suppress(OSError):
                self._write({"line": last_line(self._log), "rows": rows})
            self._ended.wait(_WRITE_SECONDS)

    def _count(self, known: int | None) -> int | None:
        """Rows that the server has counted so far; what was known where it does not tell."""
        assert self._login is not None  # noqa: S101 - for the type checker
        try:
            client = connect(self._login)
            try:
                found = query(client, _ROWS, {"since": self.windows["window_before"]["at"], "user": self._user})
            finally:
                client.disconnect()
        except (ConnectError, ServerError):
            return known
        return int(found[0]["rows"] or 0)

    def _write(self, told: Mapping[str, Any]) -> None:
        assert self._progress is not None  # noqa: S101 - for the type checker
        half = self._progress.with_suffix(".part")
        half.write_text(json.dumps(told), encoding="utf-8")
        if self._ended.is_set():
            half.unlink()
        else:
            os.replace(half, self._progress)


def refusal(error: ConnectError | ServerError | EvidenceError) -> dict[str, Any]:
    """The finding for a server that could not be read before the ingest."""
    if isinstance(error, EvidenceError):
        return Finding(_STAGE, "error", "config_variable", str(error), fix_side="configuration").to_dict()
    return error_finding(error, _STAGE).to_dict()


def _read(login: Mapping[str, Any]) -> dict[str, Any]:
    client = connect(login)
    try:
        return read_window(partial(query, client))
    finally:
        client.disconnect()


def last_line(path: Path) -> str:
    """The last line of a log that has text, of one without end its last 4 KB; empty where there is none."""
    try:
        with path.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(stream.tell() - _TAIL_BYTES, 0))
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
