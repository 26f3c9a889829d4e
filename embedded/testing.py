"""A real ClickHouse engine for tests: starts in well under a second, several at a time, nothing left behind."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from clickhouse_driver import Client

from embedded import process
from embedded.config import Layout, Options, User
from embedded.launcher import Launcher

ADMIN = "admin"


class Engine:
    """A running engine.

    Attributes:
        host, http_port, tcp_port: where it listens; they stay the same across ``stop``, ``start`` and ``kill``.
        user, password: of a user with every right.
        dir: the engine's folder; drop-ins go into ``config.d`` and ``users.d`` below it and need a ``restart()``.
    """

    def __init__(self, directory: Path, options: Options, users: Sequence[User], password: str) -> None:
        self.dir = directory
        self.host = options.host
        self.user = ADMIN
        self.password = password
        self.launcher = Launcher(Layout.of(directory))
        self._options = options
        self._users = users
        self._clients: list[Client] = []

    @property
    def http_port(self) -> int:
        return self._options.http_port

    @property
    def tcp_port(self) -> int:
        return self._options.tcp_port

    @property
    def http_url(self) -> str:
        return f"http://{self.host}:{self.http_port}"

    def start(self) -> Engine:
        report = self.launcher.start(self._options, self._users)
        self._options = self._options.changed(http_port=report["http_port"], tcp_port=report["tcp_port"])
        return self

    def stop(self) -> None:
        for client in self._clients:
            client.disconnect()
        self._clients.clear()
        self.launcher.stop()

    def restart(self) -> None:
        self.stop()
        self.start()

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        report = self.launcher.status()
        os.kill(report["pid"], signal.SIGKILL)
        deadline = time.monotonic() + 10
        while process.start_ticks(report["pid"]) is not None and time.monotonic() < deadline:
            time.sleep(0.005)

    def client(self, user: str | None = None, password: str | None = None, **kwargs: Any) -> Client:
        """A clickhouse-driver client on the native port; ``admin`` unless a user is given. Disconnected at ``stop``."""
        client = Client(
            self.host,
            port=self.tcp_port,
            user=user or self.user,
            password=self.password if password is None else password,
            **kwargs,
        )
        self._clients.append(client)
        return client

    def query(self, sql: str, **kwargs: Any) -> Any:
        """Run one statement as ``admin``: rows as tuples, or what clickhouse-driver returns for it."""
        client = self.client()
        try:
            return client.execute(sql, **kwargs)
        finally:
            client.disconnect()
            self._clients.remove(client)

    def flush_logs(self) -> None:
        """Everything that happened so far is in the log tables afterwards."""
        self.query("SYSTEM FLUSH LOGS")


@contextlib.contextmanager
def start_engine(
    tmp_path: Path,
    *,
    users: Mapping[str, Mapping[str, Any]] | None = None,
    config_xml: str | None = None,
    users_xml: str | None = None,
    timezone: str = "UTC",
    host: str = "127.0.0.1",
    http_port: int = 0,
    tcp_port: int = 0,
    engine_path: str | Path | None = None,
) -> Iterator[Engine]:
    """Start an engine in ``tmp_path`` and end it afterwards.

    Args:
        tmp_path: its folder, made when missing; data of an earlier engine there are kept.
        users: name to ``{"password": str, "grants": [str], "profile_settings": {str: value}, "readonly": bool,
            "networks": [str]}``, all optional: without ``grants`` every right, without ``networks`` from anywhere,
            without ``password`` an empty one. They stand in users.xml, so SQL cannot change them. ``admin``, with a
            random password, is added unless given.
        config_xml: a whole ``<clickhouse>…</clickhouse>`` document for config.d; ``users_xml`` likewise for users.d.
        timezone: the server's.
        host: address to listen on; 127.0.0.2 and so on for several engines with one port number.
        engine_path: folder with another chdb-core (``pip install --no-deps --target``); default: environment variable
            ``EMBEDDED_ENGINE_PATH``, else the installed one.

    Raises:
        embedded.errors.EmbeddedError: the engine did not start.
    """
    specs = {ADMIN: {"password": secrets.token_hex(12)}} | {name: dict(spec) for name, spec in (users or {}).items()}
    for folder, text in (("config.d", config_xml), ("users.d", users_xml)):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        if text is not None:
            (tmp_path / folder / "test.xml").write_text(text)
    path = engine_path or os.environ.get("EMBEDDED_ENGINE_PATH")
    options = Options(
        host=host, http_port=http_port, tcp_port=tcp_port, timezone=timezone, engine_path=str(path) if path else None
    )
    accounts = [_user(name, spec) for name, spec in specs.items()]
    engine = Engine(tmp_path, options, accounts, str(specs[ADMIN].get("password", "")))
    try:
        yield engine.start()
    finally:
        engine.stop()


def _user(name: str, spec: Mapping[str, Any]) -> User:
    settings = dict(spec.get("profile_settings") or {})
    if spec.get("readonly"):
        settings["readonly"] = 1
    optional = {"networks": spec["networks"]} if spec.get("networks") else {}
    return User.with_password(
        name, str(spec.get("password", "")), grants=spec.get("grants"), profile_settings=settings, **optional
    )
