"""Run a container once: full output into a file, a time limit, what its end means, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from . import docker_cli
from .docker_cli import DockerError
from .masking import is_secret_name, mask_secrets

_STOP_GRACE_SECONDS = 10


class NotStarted(Exception):  # noqa: N818 - not every start is an error of ours
    """The container was never created; the text says why and what to do.

    `kind` is one of `name_taken`, `network_missing`, `image_missing`, `env_file`, `not_created`.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass
class Outcome:
    """How one run of a container ended. `exit_code` is None when Docker could not tell; `outcome` is the JSON object
    that a loader may write as its last line."""

    exit_code: int | None
    timed_out: bool
    oom_killed: bool
    duration_seconds: float
    log_file: str
    container: str
    image: str
    image_id: str
    image_created: str
    explained: str
    outcome: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def explain_exit(
    exit_code: int | None,
    *,
    timed_out: bool,
    oom_killed: bool,
    error: str = "",
    timeout_seconds: float = 0,
    memory: str = "",
) -> str:
    """What a container's end means, in one sentence; exit codes as `docker run` documents them."""
    limit = f" of {memory}" if memory else ""
    if timed_out:
        return f"It hung past its time limit of {timeout_seconds:g} s and was stopped."
    if exit_code is None:
        return f"Docker could not tell how it ended: {error or 'the container or the engine went away'}."
    if oom_killed:
        return f"It was killed for memory (exit code {exit_code}): it needed more than its limit{limit}."
    if exit_code == 0:
        return "It ended with exit code 0."
    if exit_code == 125:
        return f"Docker could not run it (exit code 125): {error}"
    if exit_code == 126:
        return f"Its command is there but cannot be executed (exit code 126): {error or 'is it executable?'}"
    if exit_code == 127:
        return f"Its command does not exist in the image (exit code 127): {error or 'is the command spelled right?'}"
    if exit_code > 128:
        number = exit_code - 128
        try:
            name = signal.Signals(number).name
        except ValueError:
            return f"It ended with exit code {exit_code}."
        by = (
            "from outside, not for its own memory limit: docker kill, the engine or the host"
            if number == 9
            else "from outside"
        )
        return f"It was ended by {name} (exit code {exit_code}) {by}."
    return f"It failed by itself with exit code {exit_code}."


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of an env file as Docker reads them: no quotes, no escapes, nothing trimmed from a value."""
    values = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        name, equals, value = line.lstrip().partition("=")
        if equals and not name.startswith("#"):
            values[name.strip()] = value
    return values


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """The values that a log must not show, without the quotes that an env file may carry."""
    return [value.strip().strip("'\"") for name, value in environment.items() if is_secret_name(name)]


class BoundedLog:
    """Writes lines to a file: the first and the last half of `limit` bytes, secrets masked."""

    def __init__(self, path: Path, limit: int, secrets: Sequence[str]) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._room = limit // 2
        self._tail: deque[bytes] = deque()
        self._tail_room = limit - self._room
        self._tail_size = 0
        self._left_out = 0
        self._secrets = secrets
        self.last_line = b""

    def write(self, line: bytes) -> None:
        if line.strip():
            self.last_line = line
        if not self._tail and len(line) <= self._room:
            self._room -= len(line)
            self._put(line)
            self._file.flush()
            return
        self._tail.append(line)
        self._tail_size += len(line)
        while self._tail_size > self._tail_room and len(self._tail) > 1:
            dropped = len(self._tail.popleft())
            self._tail_size -= dropped
            self._left_out += dropped

    def close(self) -> None:
        if self._left_out:
            self._file.write(b"\n[... %d bytes left out ...]\n" % self._left_out)
        for line in self._tail:
            self._put(line)
        self._file.close()

    def _put(self, line: bytes) -> None:
        # Latin-1 maps every byte, so a log of any encoding comes out as it went in.
        masked = mask_secrets(line.decode("latin-1"), [secret.encode().decode("latin-1") for secret in self._secrets])
        self._file.write(masked.encode("latin-1"))


def run_container(
    *,
    name: str,
    image: str,
    network: str,
    log_file: Path,
    env_file: Path | None = None,
    env: Mapping[str, str] | None = None,
    command: Sequence[str] = (),
    volumes: Sequence[str] = (),
    extra_hosts: Sequence[str] = (),
    memory: str = "",
    timeout_seconds: float = 600,
    log_limit_bytes: int = 64 * 2**20,
) -> Outcome:
    """Create, run, judge and remove one container. `memory` is Docker's notation (`512m`), swap is not added to it.

    `env` overrides `env_file`; its values reach Docker through a file that only its owner reads, never a command line.
    Raises NotStarted when image, network or name do not allow it, DockerError when Docker is not usable.
    """
    image_info = _preflight(name, image, network, env_file)
    file_values = read_env_file(env_file) if env_file else {}
    arguments = ["create", "--name", name, "--network", network, "--label", "clickhouse-ingest-verify=ingest"]
    if memory:
        arguments += ["--memory", memory, "--memory-swap", memory]
    for volume in volumes:
        arguments += ["--volume", volume]
    for host in extra_hosts:
        arguments += ["--add-host", host]
    with tempfile.NamedTemporaryFile("w", prefix="env.", encoding="utf-8") as overrides:
        overrides.writelines(f"{key}={value}\n" for key, value in (env or {}).items())
        overrides.flush()
        if env_file:
            arguments += ["--env-file", str(env_file)]
        arguments += ["--env-file", overrides.name, image, *command]
        try:
            docker_cli.run(arguments)
        except DockerError as error:
            raise NotStarted("not_created", f"Container {name!r} could not be created: {error}") from error
    log = BoundedLog(log_file, log_limit_bytes, secrets_of({**file_values, **(env or {})}))
    try:
        return _run_created(name, image, image_info, log, log_file, memory, timeout_seconds)
    finally:
        log.close()
        _remove(name)


def _preflight(name: str, image: str, network: str, env_file: Path | None) -> dict[str, Any]:
    docker_cli.run(["info", "--format", "{{.ServerVersion}}"])
    if env_file and not os.access(env_file, os.R_OK):
        raise NotStarted("env_file", f"The env file {env_file} is not there or not readable by this user.")
    existing = docker_cli.inspect("container", name)
    if existing:
        raise NotStarted(
            "name_taken",
            f"A container named {name!r} is there already ({existing['State']['Status']} since "
            f"{existing['State'].get('StartedAt', 'unknown')}): remove it with `docker rm -f {name}`, "
            "or give another name.",
        )
    if docker_cli.inspect("network", network) is None:
        raise NotStarted(
            "network_missing",
            f"The network {network!r} does not exist: it comes with the ClickHouse compose project; is that up, and is "
            f"this its name? (docker network ls)",
        )
    info = docker_cli.inspect("image", image)
    if info is None:
        raise NotStarted(
            "image_missing", f"The image {image!r} is not on this host: build it, or load or pull it first."
        )
    return info


def _run_created(
    name: str, image: str, image_info: Mapping[str, Any], log: BoundedLog, log_file: Path, memory: str, timeout: float
) -> Outcome:
    started = time.monotonic()
    attached = subprocess.Popen(
        ["docker", "start", "--attach", name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert attached.stdout is not None  # noqa: S101 - for the type checker
    reader = threading.Thread(target=_copy, args=(attached.stdout, log), daemon=True)
    reader.start()
    timed_out = False
    try:
        attached.wait(timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
        _stop(name)
        try:
            attached.wait(3 * _STOP_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            attached.kill()
            attached.wait()
    duration = time.monotonic() - started
    reader.join(timeout=3 * _STOP_GRACE_SECONDS)
    exit_code, oom_killed, error = _final_state(name, attached.returncode)
    return Outcome(
        exit_code=exit_code,
        timed_out=timed_out,
        oom_killed=oom_killed,
        duration_seconds=round(duration, 3),
        log_file=str(log_file),
        container=name,
        image=image,
        image_id=str(image_info["Id"]),
        image_created=str(image_info.get("Created", "")),
        explained=explain_exit(
            exit_code, timed_out=timed_out, oom_killed=oom_killed, error=error, timeout_seconds=timeout, memory=memory
        ),
        outcome=_json_object(log.last_line),
    )


def _json_object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _copy(stream: IO[bytes], log: BoundedLog) -> None:
    # A bound on one line keeps memory small when a client writes megabytes without a line end.
    while line := stream.readline(2**20):
        log.write(line)


def _stop(name: str) -> None:
    try:
        docker_cli.run(["stop", "--time", str(_STOP_GRACE_SECONDS), name])
    except DockerError:
        # `stop` hangs or fails on a container that ended meanwhile; removal follows in any case.
        return


def _final_state(name: str, attached_code: int) -> tuple[int | None, bool, str]:
    """(exit code, killed for memory, Docker's own error) of an ended container."""
    try:
        info = docker_cli.inspect("container", name)
    except DockerError as error:
        return None, False, str(error)
    if info is None:
        # Removed from outside; `docker start --attach` passes the code on all the same.
        return attached_code, False, ""
    state = info["State"]
    return int(state["ExitCode"]), bool(state.get("OOMKilled")), str(state.get("Error") or "")


def _remove(name: str) -> None:
    try:
        docker_cli.run(["rm", "--force", "--volumes", name])
    except DockerError as error:
        if error.kind not in ("not_found", "engine_down"):
            raise
