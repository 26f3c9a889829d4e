"""The embedded engine as what is reset: one folder, one process of this machine."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import ResetError
from .journal import FOLDER
from .stores import Folder, Store

# In the command line of an engine.
_ENGINE_FOLDER = re.compile(r"--conf-dir (\S+)/run/etc\b")


class Embedded:
    """`python -m embedded` in one folder.

    Args:
        root: the project's root, which holds the package `embedded`.
        directory: the engine's folder.
        options: host, http_port, tcp_port and timezone to start with.
        passwords: by user name.
        grants: GRANT statements by user name; a user without any gets every right.
    """

    def __init__(
        self,
        root: str,
        directory: str,
        options: Mapping[str, Any],
        passwords: Mapping[str, str],
        wait_seconds: float,
        grants: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        if root not in sys.path:
            sys.path.insert(0, root)
        self._config = importlib.import_module("embedded.config")
        self._errors = importlib.import_module("embedded.errors")
        self._process = importlib.import_module("embedded.process")
        launcher = importlib.import_module("embedded.launcher")
        layout = self._config.Layout.of(Path(directory))
        self._launcher = launcher.Launcher(layout)
        self._layout = layout
        self._asked = options
        self._passwords = passwords
        self._grants = grants or {}
        self._wait = wait_seconds
        self.place = layout.conf.name
        self.journal_folder = layout.conf / FOLDER

    def stores(self) -> Sequence[Store]:
        return [Folder(str(self._layout.data), self._layout.data)]

    def running(self) -> bool:
        return bool(self._launcher.status()["state"] == "running")

    def check(self, *, moving: bool) -> None:
        status = self._launcher.status()
        own = {status["http_port"], status["tcp_port"]}
        for name in ("http_port", "tcp_port"):
            port = int(self._asked[name])
            if status["state"] == "running" and port in own:
                continue
            if not self._process.port_is_free(self._asked["host"], port):
                raise ResetError("port_taken", self._taken(port))
        try:
            self._launcher.check(self._options(), moving=moving)
        except self._errors.EmbeddedError as error:
            raise ResetError("engine_not_started", f"{error} Nothing was touched.") from error

    def _taken(self, port: int) -> str:
        holder = self._process.port_holder(port)
        text = (
            f"Port {port} of {self._asked['host']} is taken: expected it free for the embedded engine, found {holder}. "
            "Nothing was touched. "
        )
        engine = _ENGINE_FOLDER.search(_command(holder))
        if engine:
            return (
                text + f"It is an embedded engine in another folder. Stop it with "
                f"`python -m embedded stop --dir {engine.group(1)}`, or set clickhouse_port and clickhouse_http_port."
            )
        return text + "Stop that program, or set clickhouse_port and clickhouse_http_port in the inventory."

    def _options(self) -> Any:
        return self._config.Options.load(self._layout.options).changed(**self._asked)

    def prepare(self, *, fresh: bool) -> bool:
        return False

    def stop(self) -> bool:
        try:
            return bool(self._launcher.stop()["changed"])
        except self._errors.EmbeddedError as error:
            raise ResetError("engine_not_stopped", str(error)) from error

    def start(self, *, keep: bool) -> bool:
        users = [
            self._config.User.with_password(name, password, grants=self._grants.get(name) or None)
            for name, password in self._passwords.items()
        ]
        try:
            return bool(self._launcher.start(self._options(), users, wait=self._wait)["changed"])
        except (self._errors.EmbeddedError, OSError) as error:
            raise ResetError("engine_not_started", str(error)) from error

    def reach(self) -> list[str]:
        return []


def _command(holder: str) -> str:
    """The whole command line of `pid 123 (...)`, which the launcher cuts short."""
    pid = re.match(r"pid (\d+) ", holder)
    try:
        return (
            Path(f"/proc/{pid.group(1)}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if pid
            else ""
        )
    except OSError:
        return ""
