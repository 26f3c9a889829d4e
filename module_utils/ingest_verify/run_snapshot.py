"""What a run stood on, as data that two runs can be compared by: schema, rights and settings, image, variables."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import docker_cli, snapshot
from .client import ConnectError, ServerError, connect, query, quote_string
from .docker_cli import DockerError
from .env_file import parse_env
from .masking import Masker, secret_values

_LOG_LINES = 200
_LOG_BYTES = 256 << 10
_LOG_IN_CONTAINER = "/var/log/clickhouse-server/clickhouse-server.log"

_SETTINGS = "SELECT name, toString(value) AS value FROM system.settings WHERE changed ORDER BY name"
_SERVER_SETTINGS = "SELECT name, toString(value) AS value FROM system.server_settings WHERE changed ORDER BY name"
_RIGHTS = (
    "SELECT toString(access_type) AS right, ifNull(database, '*') AS d, ifNull(table, '*') AS t,"
    " ifNull(column, '') AS c"
    " FROM system.grants WHERE user_name = {user} AND NOT is_partial_revoke"
)
_PROFILE = (
    "SELECT ifNull(setting_name, ifNull(inherit_profile, '')) AS name, ifNull(toString(value), '') AS value"
    " FROM system.settings_profile_elements WHERE user_name = {user}"
)


def take(params: Mapping[str, Any]) -> dict[str, Any]:
    """The snapshot: sections with text by name, `missing` says what could not be read and why.

    `params` are the module's: `login_*`, `ingest_user`, `database`, `image`, `build_context`, `env_file`, `hash_key`.
    """
    missing: list[str] = []
    taken: dict[str, Any] = {}

    def part(name: str, read: Callable[[], Mapping[str, Any]]) -> None:
        try:
            taken[name] = dict(read())
        except (ConnectError, ServerError, DockerError, OSError) as error:
            missing.append(f"{name}: {' '.join(str(error).split())[:300]}")

    _server_parts(params, part, missing)
    if params.get("image"):
        part("image", lambda: _image(params["image"]))
    if params.get("build_context"):
        part("build context", lambda: _revision(params["build_context"]))
    if params.get("env_file"):
        part("env file", lambda: _variables(Path(params["env_file"]), params.get("hash_key") or ""))
    return {**taken, "missing": missing}


def _server_parts(params: Mapping[str, Any], part: Callable[..., None], missing: list[str]) -> None:
    try:
        client = connect({**params, "login_db": "system"})
    except (ConnectError, ServerError) as error:
        missing.append(f"server: {' '.join(str(error).split())[:300]}")
        return
    database, user = params.get("database") or "", quote_string(params.get("ingest_user") or "")

    def objects() -> dict[str, str]:
        wanted = (f"table {database}.", "function ", f"database {database}")
        return {name: text for name, text in snapshot.take(client).items() if name.startswith(wanted)}

    def rights() -> dict[str, str]:
        rows = query(client, _RIGHTS.replace("{user}", user))
        return {" ".join(str(row[key]) for key in ("right", "d", "t", "c")).strip(): "granted" for row in rows}

    def pairs(sql: str) -> Callable[[], dict[str, str]]:
        return lambda: {str(row["name"]): str(row["value"]) for row in query(client, sql)}

    part("schema", objects)
    part("rights of the ingest's user", rights)
    part("settings of the ingest's user", pairs(_PROFILE.replace("{user}", user)))
    part("settings_changed", pairs(_SERVER_SETTINGS))
    part("settings of the session", pairs(_SETTINGS))
    part("versions", lambda: {"server": str(query(client, "SELECT version() AS v")[0]["v"])})
    client.disconnect()


def _image(name: str) -> dict[str, str]:
    image = docker_cli.inspect("image", name)
    if image is None:
        return {"id": "not on this host"}
    labels = (image.get("Config") or {}).get("Labels") or {}
    return {"id": str(image.get("Id")), **{f"label {key}": str(value) for key, value in sorted(labels.items())}}


def _revision(context: str) -> dict[str, str]:
    """git's revision of the folder, with what was changed since."""
    command = ["git", "-C", context, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    answered = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return {"revision": answered.stdout.strip() or "no git repository"}


def _variables(path: Path, key: str) -> dict[str, str]:
    """Names with keyed hashes of the values: two runs can be compared, and nobody learns a value by trying."""
    values = parse_env(path.read_bytes(), str(path)).values
    return {
        name: "hash "
        + hmac.new(key.encode(), value.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:16]
        for name, value in sorted(values.items())
    }


def server_evidence(params: Mapping[str, Any]) -> dict[str, str]:
    """Files for the run's folder by name: the end of the server's log, `docker inspect` without variables' values."""
    found: dict[str, str] = {}
    if params.get("server_log"):
        path = Path(params["server_log"])
        try:
            with path.open("rb") as stream:
                stream.seek(0, 2)
                stream.seek(max(0, stream.tell() - _LOG_BYTES))
                lines = stream.read().decode("utf-8", "replace").splitlines()
            found["server.log"] = "\n".join(lines[-_LOG_LINES:]) + "\n"
        except OSError as error:
            found["server.log"] = f"The server's log {path} cannot be read: {error.strerror}.\n"
    if params.get("container"):
        try:
            inspected = docker_cli.inspect("container", params["container"])
            if inspected is not None:
                found["docker-inspect.json"] = _without_values(inspected)
                found.setdefault("server.log", _container_log(params["container"]))
        except DockerError as error:
            found["docker-inspect.json"] = f'{{"not read": "{error.kind}"}}\n'
    return found


def _container_log(container: str) -> str:
    """The end of the log file that the official image keeps inside; of a stopped container, what it printed."""
    lines = str(_LOG_LINES)
    try:
        return docker_cli.run(["exec", container, "tail", "-n", lines, _LOG_IN_CONTAINER])[-_LOG_BYTES:]
    except DockerError:
        return docker_cli.run(["logs", "--tail", lines, container], both=True)[-_LOG_BYTES:]


def _without_values(inspected: dict[str, Any]) -> str:
    """The answer without the values of variables, wherever else they stand: a health check repeats the password."""
    config = inspected.get("Config") or {}
    variables = dict(str(entry).partition("=")[::2] for entry in config.get("Env") or [])
    config["Env"] = [f"{name}=***" for name in variables]
    return json.dumps(Masker(secret_values(variables)).data(inspected), indent=2) + "\n"
