"""The docker command line: one way to call it, and its usual refusals in one sentence each."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# A healthy engine answers these calls in well under a second; past this it hangs.
DEFAULT_TIMEOUT_SECONDS = 60.0


class DockerError(Exception):
    """Docker refused or is not usable. `kind` is one of `no_cli`, `engine_down`, `no_permission`, `no_plugin`,
    `timeout`, `not_found`, `refused`; the text says what was expected, what was found and what to do."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def explain(stderr: str, command: str) -> DockerError:
    """The reason for a failed docker call as one sentence a person can act on."""
    text = last_lines(stderr, 3)
    lowered = text.lower()
    if "permission denied" in lowered and "docker" in lowered and ("socket" in lowered or "connect" in lowered):
        return DockerError(
            "no_permission",
            "This user may not use the Docker Engine's socket: add it to the group `docker` "
            "(usermod -aG docker <user>, then log in again), or run the play with `-b`.",
        )
    if "cannot connect to the docker daemon" in lowered or "error during connect" in lowered:
        return DockerError(
            "engine_down", f"The Docker Engine does not answer: start it (systemctl start docker). Docker says: {text}"
        )
    if "is not a docker command" in lowered or re.search(r"unknown (shorthand )?flag.*-f", lowered):
        return DockerError(
            "no_plugin",
            f"`docker {command}` is not known here: install the Compose v2 and Buildx plugins "
            "(apt-get install docker-compose-plugin docker-buildx-plugin, on Debian 13 docker-compose docker-buildx).",
        )
    kind = "not_found" if "no such" in lowered or "not found" in lowered else "refused"
    return DockerError(kind, f"`docker {command}` failed: {text or 'no message'}")


def last_lines(text: str, count: int) -> str:
    """The last `count` lines of `text` that hold anything."""
    return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-count:])


def run(
    arguments: Sequence[str],
    *,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    folder: Path | None = None,
    both: bool = False,
) -> str:
    """Run `docker <arguments>`, in `folder` if one is given; its standard output, with `both` also its standard error.

    Raises DockerError when docker is missing, refuses, or does not answer within `timeout` seconds.
    """
    done = call(arguments, timeout=timeout, folder=folder)
    if done.returncode != 0:
        raise explain(done.stderr or done.stdout, " ".join(arguments[:2]))
    return done.stdout + done.stderr if both else done.stdout


def call(
    arguments: Sequence[str], *, timeout: float = DEFAULT_TIMEOUT_SECONDS, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `docker <arguments>` and return how it ended, whatever its exit status.

    Raises DockerError when docker is missing or does not answer within `timeout` seconds.
    """
    if shutil.which("docker") is None:
        raise DockerError(
            "no_cli",
            "The command `docker` is not there: install Docker Engine (apt-get install docker.io, or "
            "docker-ce from Docker's own repository).",
        )
    try:
        return subprocess.run(
            ["docker", *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            cwd=folder,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        shown = " ".join(arguments[:2])
        raise DockerError("timeout", f"`docker {shown}` did not answer within {timeout:.0f} s.") from error


def inspect(kind: str, name: str) -> dict[str, Any] | None:
    """What `docker <kind> inspect` says of one container, image, network or volume; None when there is none.

    The answer of a container holds its environment: pick fields, never store it whole.
    """
    try:
        return dict(json.loads(run([kind, "inspect", name]))[0])
    except DockerError as error:
        if error.kind == "not_found":
            return None
        raise


def reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
