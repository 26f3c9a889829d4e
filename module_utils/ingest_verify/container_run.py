"""Run a container once: full output into a file, a time limit, what its end means, and nothing left behind."""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import docker_cli
from .docker_cli import DockerError
from .env_file import parse_env
from .facts.log import read_client_log
from .guard import LABEL, SCRATCH
from .masking import secret_values
from .process import append_log, explain_exit, run_process
from .recorder import INSIDE_DIR, INSIDE_FILE, language, make_file, variables

# Logs of gigabytes on a slow disk.
_COPY_TIMEOUT_SECONDS = 600.0


class NotStarted(Exception):  # noqa: N818 - not every start is an error of ours
    """The container was never created; the text says why and what to do.

    `kind` is one of `name_taken`, `network_missing`, `image_missing`, `env_file`, `second_run`,
    `not_created`.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass
class Outcome:
    """How one run of a container ended. `exit_code` is None when Docker could not tell; `outcome` is the log's
    last JSON line that has an outcome, cause or status."""

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
    options: Sequence[str] = (),
    extra_networks: Sequence[str] = (),
    log_paths: Sequence[str] = (),
    timeout_seconds: float = 600,
    alone_as: str = "",
    owner: str = "",
    recorder_dir: Path | None = None,
    recorder_file: Path | None = None,
) -> Outcome:
    """Create, run, judge and remove one container. `memory` is Docker's notation (`512m`), swap is not added to it.

    `env` overrides `env_file`; its values reach Docker through a file that only its owner reads, never a command line.
    `options` are further ones of `docker create` (`--user=1000`). `log_paths` are files and folders inside the
    container; what the run writes there is put behind its output. No container whose name begins with `alone_as` may
    run at the same time: two loads of one job spoil each other. `owner` marks it as a run's own (`guard.Owner.text`).
    `recorder_dir` is mounted read-only into an image that runs Python or Node, and its recorder writes `recorder_file`.
    Raises NotStarted when image, network or name do not allow it, DockerError when Docker is not usable.
    """
    for option in options:
        if option.partition("=")[0] in ("--name", "--restart"):
            raise NotStarted(
                "not_created",
                f"The option {option} cannot be given: it is one run under a name of its own "
                "(qtickets_ingest_container_prefix). Take it out of qtickets_ingest_container_options.",
            )
    image_info = _preflight(name, image, [network, *extra_networks], env_file)
    _refuse_second_run(alone_as)
    values = {**(parse_env(env_file.read_bytes(), str(env_file)).values if env_file else {}), **(env or {})}
    secrets = secret_values(values)
    arguments = ["create", "--name", name, "--network", network, "--label", "clickhouse-ingest-verify=ingest"]
    if owner:
        arguments += ["--label", f"{LABEL}={owner}"]
    if memory:
        arguments += ["--memory", memory, "--memory-swap", memory]
    given = dict(env or {})
    if recorder_dir and recorder_file:
        # The container's user is not known, and its root may be read-only: one file that anybody may write.
        make_file(str(recorder_file), 0o666)
        spoken = language(image_info, command)
        # An engine on another host has no such folder, and Node does not start without a file that it is told to load.
        if spoken and os.environ.get("DOCKER_HOST", "unix:").startswith("unix:"):
            from_image = dict(entry.split("=", 1) for entry in image_info["Config"].get("Env") or [] if "=" in entry)
            given.update(variables(INSIDE_DIR, INSIDE_FILE, {**from_image, **values}, spoken))
            volumes = [*volumes, f"{recorder_dir}:{INSIDE_DIR}:ro,z", f"{recorder_file}:{INSIDE_FILE}:z"]
    for volume in volumes:
        arguments += ["--volume", volume]
    for host in extra_hosts:
        arguments += ["--add-host", host]
    arguments += options
    with tempfile.NamedTemporaryFile("w", prefix=f"{SCRATCH}env.", encoding="utf-8") as overrides:
        overrides.writelines(f"{key}={value}\n" for key, value in given.items())
        overrides.flush()
        if env_file:
            arguments += ["--env-file", str(env_file)]
        arguments += ["--env-file", overrides.name, image, *command]
        try:
            docker_cli.run(arguments)
        except DockerError as error:
            raise NotStarted("not_created", f"Container {name!r} could not be created: {error}") from error
    try:
        for other in extra_networks:
            docker_cli.run(["network", "connect", other, name])
        return _run_created(name, image, image_info, log_file, secrets, memory, timeout_seconds, log_paths)
    finally:
        _remove(name)


def _preflight(name: str, image: str, networks: Sequence[str], env_file: Path | None) -> dict[str, Any]:
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
    for network in networks:
        if docker_cli.inspect("network", network) is not None:
            continue
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


def _refuse_second_run(prefix: str) -> None:
    if not prefix:
        return
    # Docker's filter takes a regular expression that need not match from the start.
    listed = docker_cli.run(["ps", "--filter", f"name=^/?{re.escape(prefix)}", "--format", "{{.Names}}: {{.Status}}"])
    if listed.strip():
        raise NotStarted(
            "second_run",
            f"Another run of this ingest is under way ({listed.splitlines()[0]}): wait for its end, or stop it with "
            f"`docker stop {listed.partition(':')[0]}`.",
        )


def _run_created(
    name: str,
    image: str,
    image_info: Mapping[str, Any],
    log_file: Path,
    secrets: Sequence[str],
    memory: str,
    timeout_seconds: float,
    log_paths: Sequence[str],
) -> Outcome:
    with _files_inside(name, log_paths) as files:
        before = {path: file.stat().st_size for path, file in files.items()}
    # At the time limit the client gets SIGTERM and hands it on to the container.
    attached = run_process(
        ["docker", "start", "--attach", name],
        log_file=log_file,
        environment={key: value for key, value in os.environ.items() if key.startswith("DOCKER_")},
        timeout_seconds=timeout_seconds,
        secrets=secrets,
    )
    if attached.timed_out:
        with contextlib.suppress(DockerError):
            docker_cli.run(["kill", name])
    exit_code, oom_killed, error = _final_state(name, attached.exit_code)
    outcome = _add_files(name, log_paths, before, log_file, secrets) if log_paths else attached.outcome
    return Outcome(
        exit_code=exit_code,
        timed_out=attached.timed_out,
        oom_killed=oom_killed,
        duration_seconds=attached.duration_seconds,
        log_file=str(log_file),
        container=name,
        image=image,
        image_id=str(image_info["Id"]),
        image_created=str(image_info.get("Created", "")),
        explained=explain_exit(
            exit_code,
            container=True,
            timed_out=attached.timed_out,
            oom_killed=oom_killed,
            error=error,
            timeout_seconds=timeout_seconds,
            memory=memory,
        ),
        outcome=outcome,
    )


def _add_files(
    name: str, paths: Sequence[str], before: Mapping[str, int], log_file: Path, secrets: Sequence[str]
) -> dict[str, Any] | None:
    """Put what the run wrote into files of the container behind its output; the outcome that the whole log tells.

    `before` holds the sizes that they had: on a mount they may go back to earlier runs.
    """
    with _files_inside(name, paths) as files:
        for path, file in files.items():
            with file.open("rb") as text:
                earlier = before.get(path, 0)
                text.seek(earlier if earlier <= file.stat().st_size else 0)
                append_log(log_file, text, secrets)
        for path in paths:
            if not any(found == path or found.startswith(f"{path.rstrip('/')}/") for found in files):
                missing = f"[the ingest left no {path} in its container]\n".encode()
                append_log(log_file, io.BytesIO(missing), secrets)
    return read_client_log(log_file, captured=True).outcome


@contextlib.contextmanager
def _files_inside(name: str, paths: Sequence[str]) -> Iterator[dict[str, Path]]:
    """Copies of files of a container that does not run, by their path in it; folders with all that is in them."""
    with tempfile.TemporaryDirectory(prefix=f"{SCRATCH}inside.") as folder:
        found = {}
        for number, path in enumerate(paths):
            place = Path(folder, str(number))
            place.mkdir()
            with contextlib.suppress(DockerError):
                docker_cli.run(["cp", "--follow-link", f"{name}:{path}", str(place)], timeout=_COPY_TIMEOUT_SECONDS)
            top = place / Path(path).name
            for file in sorted(place.rglob("*")):
                if file.is_file() and not file.is_symlink():
                    inside = file.relative_to(top).as_posix()
                    found[path if inside == "." else f"{path.rstrip('/')}/{inside}"] = file
        yield found


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
    if state["Running"]:
        with contextlib.suppress(DockerError):
            docker_cli.run(["kill", name])
        return None, False, "the connection to the running container was lost, and it was stopped"
    return int(state["ExitCode"]), bool(state.get("OOMKilled")), str(state.get("Error") or "")


def _remove(name: str) -> None:
    try:
        docker_cli.run(["rm", "--force", "--volumes", name])
    except DockerError as error:
        if error.kind not in ("not_found", "engine_down"):
            raise
