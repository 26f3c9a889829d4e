"""Entry point of the stand-in image: what the official image's ``entrypoint.sh`` does, then the engine.

Source of the behaviour: docker/server/entrypoint.sh and README of ClickHouse/ClickHouse, 24.8.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from embedded.config import LOG_TABLES, Layout, Options, User, write_private
from embedded.errors import EmbeddedError
from embedded.launcher import Launcher

LAYOUT = Layout(
    conf=Path("/etc/clickhouse-server"),
    data=Path("/var/lib/clickhouse"),
    log=Path("/var/log/clickhouse-server"),
    run=Path("/run/clickhouse-server"),
)
# Of the client for health checks: a user and password of the container's own loopback.
CLIENT_LOGIN = LAYOUT.run / "client.json"
INIT_FOLDER = Path("/docker-entrypoint-initdb.d")
# The stock configuration has these two commented out: whoever wants them configures them, there as here.
_NOT_STOCK = {"text_log", "session_log"}
_STOCK = Options(
    host="",
    http_port=8123,
    tcp_port=9000,
    log_tables=tuple(name for name in LOG_TABLES if name not in _NOT_STOCK),
    flush_milliseconds=7500,
)


def main() -> NoReturn:
    environment = os.environ
    try:
        _become_clickhouse(environment)
        users = list(_users(environment))
        options = replace(
            _STOCK, timezone=environment.get("TZ") or "UTC", display_name=environment.get("HOSTNAME") or "clickhouse"
        )
        fresh = not (LAYOUT.data / "metadata").exists()
        if fresh or environment.get("CLICKHOUSE_ALWAYS_RUN_INITDB_SCRIPTS"):
            _initialise(environment)
        Launcher(LAYOUT).run(options, users)
    except (EmbeddedError, OSError) as error:
        sys.exit(f"clickhouse-server: {error}")
    raise AssertionError("the engine has taken this process's place")


def _become_clickhouse(environment: Mapping[str, str]) -> None:
    """As root: give the mounted folders to the server's user (101:101 unless told otherwise) and become it."""
    if os.geteuid() != 0:
        return
    uid = int(environment.get("CLICKHOUSE_UID", "101"))
    gid = int(environment.get("CLICKHOUSE_GID", "101"))
    if environment.get("CLICKHOUSE_RUN_AS_ROOT") == "1":
        uid = gid = 0
    for folder in (LAYOUT.conf, LAYOUT.data, LAYOUT.log, LAYOUT.run):
        folder.mkdir(parents=True, exist_ok=True)
        if folder in (LAYOUT.conf, LAYOUT.run):
            # Never the drop-ins below it: they are the host's, often mounted read-only.
            os.chown(folder, uid, gid)
        elif environment.get("CLICKHOUSE_DO_NOT_CHOWN") != "1" and folder.stat().st_uid != uid:
            subprocess.run(["chown", "-R", f"{uid}:{gid}", str(folder)], check=False)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _users(environment: Mapping[str, str]) -> Iterator[User]:
    """``CLICKHOUSE_USER`` with ``CLICKHOUSE_PASSWORD`` or ``_PASSWORD_FILE``; else one for the container's own client.

    The official image's answer to no ``CLICKHOUSE_USER`` is a user ``default`` without a password. That name is the
    embedded engine's own, so only the client inside the container is served under it.
    """
    login = {"user": "container_client", "password": secrets.token_urlsafe(24)}
    LAYOUT.run.mkdir(parents=True, exist_ok=True)
    name, password = environment.get("CLICKHOUSE_USER", "default"), environment.get("CLICKHOUSE_PASSWORD", "")
    if file := environment.get("CLICKHOUSE_PASSWORD_FILE"):
        password = Path(file).read_text().rstrip("\n")
    if environment.get("CLICKHOUSE_SKIP_USER_SETUP") not in (None, "", "0") or name == "default":
        if password and name == "default":
            print("clickhouse-server: CLICKHOUSE_PASSWORD without CLICKHOUSE_USER has no effect here.", file=sys.stderr)
        write_private(CLIENT_LOGIN, json.dumps(login))
        yield User.with_password(login["user"], login["password"], networks=("127.0.0.1", "::1"))
        return
    CLIENT_LOGIN.unlink(missing_ok=True)
    managed = environment.get("CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT", "0") not in ("", "0")
    yield User.with_password(name, password, access_management=managed)


def _initialise(environment: Mapping[str, str]) -> None:
    """Create ``CLICKHOUSE_DB`` and run ``/docker-entrypoint-initdb.d/*.sql`` in the order of their names."""
    launcher = Launcher(LAYOUT)
    if database := environment.get("CLICKHOUSE_DB"):
        name = database.replace("\\", "\\\\").replace("`", "\\`")
        launcher.execute(f"CREATE DATABASE IF NOT EXISTS `{name}`")
    for path in sorted(INIT_FOLDER.glob("*")):
        if path.suffix == ".sql":
            print(f"clickhouse-server: running {path}", flush=True)
            launcher.execute(path.read_text())
        else:
            print(f"clickhouse-server: {path} is not run, only *.sql files are.", file=sys.stderr)


if __name__ == "__main__":
    main()
