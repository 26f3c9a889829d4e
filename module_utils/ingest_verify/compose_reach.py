"""Whether clients on the host and inside a compose project's network reach its ClickHouse."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Sequence

from . import docker_cli
from .compose_project import Project, ProjectError, listening_sockets
from .docker_cli import DockerError, reason

_LOOPBACK_HEX = re.compile(r"^(0100007F|00000000000000000000000001000000|0000000000000000FFFF00000100007F)$")
# Bash alone can open a socket in every image that ClickHouse is shipped in; `timeout` ends a server that never answers.
_PROBE_SCRIPT = r"""
probe() {
  timeout 10 bash -c '
    exec 3<>"/dev/tcp/$1/$2" || exit 1
    [ "$3" = native ] && exit 0
    printf "GET /ping HTTP/1.0\r\n\r\n" >&3 && grep -q "^Ok" <&3
  ' probe "$@" 2>&1
}
for entry in "$@"; do
  IFS=, read -r host port protocol <<<"$entry"
  if message=$(probe "$host" "$port" "$protocol"); then message=ok; fi
  echo "$port ${message:-no answer to /ping}" | tr '\n' ' '
  echo
done
"""


def reach_problems(
    project: Project,
    *,
    host: str,
    http_port: int,
    native_port: int,
    network: str,
    probe: Callable[..., str] = docker_cli.run,
) -> tuple[list[ProjectError], list[str]]:
    """Whether clients on the host and inside the project's network reach the server: (problems, remarks).

    A server that listens on loopback inside its container answers its own health check and nobody else.
    """
    inside = {
        "http": _target_port(project, http_port, 8123),
        "native": _target_port(project, native_port, 9000),
    }
    listening = _container_sockets(project.container)
    found: list[ProjectError] = []
    remarks: list[str] = []
    # Without a network of its own it shares the host's sockets with all who are on that network.
    loopback = [port for port in inside.values() if listening.get(port) == {True} and not project.on_host_network]
    if loopback:
        ports = " and ".join(map(str, loopback))
        found.append(
            ProjectError(
                "loopback_only",
                f"ClickHouse in {project.container!r} listens on loopback only (port {ports}): its own health check is "
                "green, and no other container and no host can reach it. Add <listen_host>0.0.0.0</listen_host> "
                "in a file of config.d.",
            )
        )
        return found, remarks
    for protocol, port in inside.items():
        if listening and port not in listening:
            found.append(
                ProjectError(
                    "unreachable",
                    f"ClickHouse in {project.container!r} does not listen on its {protocol} port {port}; "
                    f"it listens on: {', '.join(map(str, sorted(listening)))}.",
                )
            )
    if found:
        return found, remarks
    for protocol, port in (("HTTP", http_port), ("native", native_port)):
        why = _host_probe(host, port, http=protocol == "HTTP")
        if why:
            place = "though the server listens inside its container"
            if not listening:
                place = f"see `docker logs {project.container}`"
            published = ", ".join(f"{entry.published}->{entry.target}" for entry in project.ports) or "none"
            found.append(
                ProjectError(
                    "unreachable",
                    f"From the host the {protocol} port {host}:{port} does not answer ({why}), {place}. "
                    f"Published ports of {project.service!r}: {published}.",
                )
            )
    name = "127.0.0.1" if project.on_host_network else project.container
    entries = [f"{name},{port},{protocol}" for protocol, port in inside.items()]
    arguments = [
        "run",
        "--rm",
        "--network",
        network,
        "--entrypoint",
        "bash",
        project.image,
        "-c",
        _PROBE_SCRIPT,
        "probe",
    ]
    try:
        answers = probe([*arguments, *entries], timeout=90)
    except DockerError as error:
        remarks.append(f"The check from inside network {network!r} could not run with image {project.image}: {error}")
        return found, remarks
    for line in answers.splitlines():
        number, _, result = line.partition(" ")
        if result.strip() != "ok":
            found.append(
                ProjectError(
                    "unreachable",
                    f"From inside network {network!r}, {name}:{number} does not answer: {result.strip()}",
                )
            )
    return found, remarks


def wait_until_listening(project: Project, host: str, ports: Sequence[int], wait_seconds: float) -> None:
    """Give a server without a health check time to open its ports; returns when it has, or the time is up.

    `ports` are published on the host; what is open inside counts, so that a server on loopback ends the wait too.
    """
    deadline = time.monotonic() + wait_seconds
    wanted = {_target_port(project, port, port) for port in ports}
    while time.monotonic() < deadline:
        listening = _container_sockets(project.container)
        closed = [port for port in ports if _host_probe(host, port, http=False)]
        if wanted <= set(listening) or not (listening or closed):
            return
        time.sleep(0.5)


def _target_port(project: Project, published: int, default: int) -> int:
    if project.on_host_network:
        return published
    return next((port.target for port in project.ports if port.published == published), default)


def _container_sockets(container: str) -> dict[int, set[bool]]:
    """Listening ports inside a container, each with whether its addresses are loopback; empty when not to be told."""
    try:
        text = docker_cli.run(["exec", container, "cat", "/proc/net/tcp", "/proc/net/tcp6"])
    except DockerError:
        return {}
    ports: dict[int, set[bool]] = {}
    for address, port, _ in listening_sockets([text]):
        ports.setdefault(port, set()).add(bool(_LOOPBACK_HEX.match(address)))
    return ports


def _host_probe(host: str, port: int, *, http: bool) -> str | None:
    """None when a server answers at host:port, else why not."""
    try:
        with socket.create_connection((host, port), timeout=10) as connection:
            if not http:
                return None
            connection.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
            answer = connection.makefile("rb").read(4096)
    except OSError as error:
        return reason(error)
    return None if b"Ok" in answer else f"no answer to /ping, but {answer[:60]!r}"
