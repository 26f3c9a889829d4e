"""A statement sent from where a containerised loader runs: by the client of the server's own image, on its network.

A user's `<networks>` are judged by the address that a login comes from, and that of the play is another one.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import docker_cli
from .client import LOGIN_CODES, ConnectError, ServerError, clean_exception
from .docker_cli import DockerError
from .guard import LABEL, SCRATCH

_CODE = re.compile(r"Code: (\d+)\.")
_FROM_SERVER = re.compile(r"^.*?Received from [^\s]+\. (?:DB::Exception: )?", re.DOTALL)
# What `docker run` itself ends with: it could not create the container, or not start its command.
_DOCKERS_OWN = (125, 126, 127)
# DNS_ERROR, SOCKET_TIMEOUT, NETWORK_ERROR, ALL_CONNECTION_TRIES_FAILED.
_NO_SERVER = (198, 209, 210, 279)


class NotAskedError(Exception):
    """No statement can be sent from there; the text says why, without a verdict on login or server."""


@dataclass
class LoaderNetwork:
    """A Docker network of the loader's that the server's container is on.

    `address` is the server's on it, `port` that of the native protocol inside the container, `subnet` the network's
    (empty where Docker does not tell), `image` the server's own.
    """

    name: str
    subnet: str
    address: str
    port: int
    image: str
    owner: str = ""

    @classmethod
    def find(cls, container: str, networks: Sequence[str], login_port: int, owner: str = "") -> LoaderNetwork:
        """The first of `networks` that `container` is on; `login_port` is the published port.

        Raises NotAskedError where there is none, and where Docker cannot be asked.
        """
        try:
            info = docker_cli.inspect("container", container)
            if info is None:
                raise NotAskedError(f"there is no container {container} on this host")
            joined = info["NetworkSettings"].get("Networks") or {}
            name = next((network for network in networks if network in joined), None)
            if name is None:
                raise NotAskedError(f"container {container} is not on network {' or '.join(networks)}")
            network = docker_cli.inspect("network", name) or {}
        except DockerError as error:
            raise NotAskedError(str(error)) from error
        subnets = [entry.get("Subnet", "") for entry in (network.get("IPAM") or {}).get("Config") or []]
        published = {
            str(binding["HostPort"]): int(inside.partition("/")[0])
            for inside, bindings in (info["NetworkSettings"].get("Ports") or {}).items()
            for binding in bindings or []
        }
        return cls(
            name,
            next(iter(subnets), ""),
            joined[name].get("IPAddress") or container,
            published.get(str(login_port), 9000),
            str(info["Image"]),
            owner,
        )

    @property
    def shown(self) -> str:
        return f"network {self.name}{f' ({self.subnet})' if self.subnet else ''}"

    def ask(self, login: Mapping[str, Any], sql: str) -> list[dict[str, Any]]:
        """Send one statement as `login_user` of `login`: its rows as dicts by column name.

        Raises ServerError when the server refuses it, ConnectError when the login is refused or no server answers,
        NotAskedError when the image has no client or Docker does not run it. The password reaches the client by a file.
        """
        with tempfile.NamedTemporaryFile("w", prefix=f"{SCRATCH}env.", encoding="utf-8") as env:
            env.write(f"CLICKHOUSE_USER={login['login_user']}\nCLICKHOUSE_PASSWORD={login['login_password']}\n")
            env.flush()
            label = ["--label", f"{LABEL}={self.owner}"] if self.owner else []
            run = ["run", "--rm", "--pull", "never", "--network", self.name, *label, "--env-file", env.name]
            client = ["--host", self.address, "--port", str(self.port), "--format", "JSONEachRow", "--query", sql]
            try:
                done = docker_cli.call([*run, "--entrypoint", "clickhouse-client", self.image, *client])
            except DockerError as error:
                raise NotAskedError(str(error)) from error
        if done.returncode == 0:
            return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
        code = _CODE.search(done.stderr)
        if done.returncode == 127 and not code:
            raise NotAskedError("the server's image has no clickhouse-client")
        if done.returncode in _DOCKERS_OWN or not code:
            raise NotAskedError(docker_cli.last_lines(done.stderr, 1) or f"exit code {done.returncode}")
        text = clean_exception(_FROM_SERVER.sub("", done.stderr[code.start() :]))
        where, number = f"{self.address}:{self.port}", int(code[1])
        if number in LOGIN_CODES:
            raise ConnectError(
                "authentication",
                f"ClickHouse at {where} refused user {login['login_user']!r} from {self.shown}: {text} Check the user's"
                " name and password.",
            )
        if number in _NO_SERVER:
            raise ConnectError("refused", f"From {self.shown} nothing answers at {where}: {text}")
        raise ServerError(number, text, sql)
