"""A Docker Compose project's ClickHouse as what is reset: one service, its mounts, its health check."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .. import docker_cli
from ..compose_project import Project, compose_arguments, problems, read_project
from ..compose_reach import reach_problems, wait_until_listening
from ..docker_cli import DockerError
from .errors import ResetError
from .journal import FOLDER
from .stores import Folder, Store, Volume

# The default project's compose file demands this variable; its .env gets the hash of the inventory's password.
_HASH = "CLICKHOUSE_ADMIN_PASSWORD_SHA256"
# Pulling or building an image, and stopping a server that has much to write out.
_IMAGE_TIMEOUT_SECONDS = 3600.0
_STOP_TIMEOUT_SECONDS = 600.0


@dataclass
class Compose:
    """A service of a Compose project on this host.

    Attributes:
        directory, files, service: the project, and its service that runs ClickHouse.
        container, network: the names that the inventory expects of it.
        targets: paths in the container whose mounts are moved; the first is the data folder.
        host, http_port, native_port: where clients of the host reach it.
        password: of the user whose hash the default project's .env holds.
        min_free_mb: free space wanted where the data lies, in MiB.
    """

    directory: str
    files: Sequence[str]
    service: str
    container: str
    network: str
    targets: Sequence[str]
    host: str
    http_port: int
    native_port: int
    password: str
    wait_seconds: float
    min_free_mb: int = 0
    _project: Project | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        return self.container

    @property
    def journal_folder(self) -> Path:
        return Path(self.directory).resolve() / FOLDER

    @property
    def project(self) -> Project:
        """Read once; what its container does is asked anew."""
        if self._project is None:
            with self._settings_assumed():
                self._project = read_project(self.directory, self.service, self.files)
        return self._project

    def stores(self) -> Sequence[Store]:
        found: list[Store] = []
        for target in self.targets:
            store = self.project.stores.get(target)
            if store is not None and store.kind == "bind":
                found.append(Folder(target, Path(store.source)))
            elif store is not None:
                found.append(Volume(target, store.source, self.project.image))
        return found or [Folder(self.targets[0], Path(os.devnull, "no mount"))]

    def running(self) -> bool:
        info = docker_cli.inspect("container", self.project.container)
        return bool(info and info["State"]["Running"])

    def check(self, *, moving: bool) -> None:
        found = problems(
            self.project,
            container=self.container,
            network=self.network,
            login_ports=(self.native_port, self.http_port),
            data_targets=self.targets,
            min_free_mb=self.min_free_mb,
            reset=moving,
        )
        if found:
            raise ResetError(found[0].kind, "\n".join(map(str, found)), parts=found)

    def prepare(self, *, fresh: bool) -> bool:
        changed = False
        if docker_cli.inspect("image", self.project.image) is None:
            self._get_image()
            changed = True
        return self._write_settings(fresh=fresh) or changed

    def _get_image(self) -> None:
        project = self.project
        verb = "build" if project.builds else "pull"
        try:
            with self._settings_assumed():
                # Compose would do it as a part of `up`, and by then the data has been moved already.
                self._compose(verb, self.service, timeout=_IMAGE_TIMEOUT_SECONDS)
        except DockerError as error:
            raise ResetError(
                "image_missing",
                f"Image {project.image} of service {self.service} is not on this host and could not be "
                f"{'built' if project.builds else 'pulled'}: {docker_cli.last_lines(str(error), 1)}. Nothing was "
                "changed. Load the image (docker load), or name one that is here (docker images) in the compose file "
                "or its .env.",
            ) from error

    def stop(self) -> bool:
        if not self.running():
            return False
        # The service alone, and its container stays: a volume without a name belongs to it.
        self._compose("stop", self.service, timeout=_STOP_TIMEOUT_SECONDS)
        return True

    def start(self, *, keep: bool) -> bool:
        running = self.running()
        if keep and running:
            return False
        arguments = ["up", "--detach", "--no-color", "--pull", "never"]
        if self.project.waitable:
            # Where health checks are turned off the proof that follows waits for the ports.
            arguments += ["--wait", "--wait-timeout", f"{self.wait_seconds:.0f}"]
        if keep:
            # Data that is kept must not be taken up by another image or configuration.
            arguments.append("--no-recreate")
        try:
            self._compose(*arguments, self.service, timeout=self.wait_seconds + 120)
        except DockerError as error:
            raise ResetError("unhealthy", self._unhealthy(str(error))) from error
        return True

    def reach(self) -> list[str]:
        ports = (self.http_port, self.native_port)
        wait_until_listening(self.project, self.host, ports, self.wait_seconds)
        found, remarks = reach_problems(
            self.project, host=self.host, http_port=ports[0], native_port=ports[1], network=self.network
        )
        if found:
            raise ResetError(found[0].kind, "\n".join(map(str, found)))
        return remarks

    def _compose(self, *arguments: str, timeout: float) -> str:
        base = compose_arguments(self.project.directory, self.files)
        return docker_cli.run([*base, *arguments], timeout=timeout, folder=self.project.directory)

    def _unhealthy(self, text: str) -> str:
        """Why it did not come up; what Docker itself refuses (limits, mounts, ports) has nothing to do with waiting."""
        said = docker_cli.last_lines(text, 1)
        if "Error response from daemon" in said:
            cause = re.sub(r"^.*?Error response from daemon: ", "", said)
            lines = [
                f"Docker refused to start container {self.container}: {cause}",
                "Correct what it names (ulimits, mounts, devices, memory, ports, network) in service "
                f"{self.service} of the compose file, or on the host.",
            ]
        else:
            lines = [
                f"ClickHouse in container {self.container} did not start and become healthy within "
                f"{self.wait_seconds:.0f} s:",
                said,
            ]
        lines += [f"Its health check said: {check}" for check in self._last_failed_check()]
        lines.append("Its last log lines:")
        return "\n".join(lines + [f"  {line}" for line in self._last_log_lines() or ["(none)"]])

    def _last_failed_check(self) -> list[str]:
        """Of a server that runs well under a health check that asks the wrong place only the check itself says so."""
        with contextlib.suppress(DockerError, ValueError):
            shown = docker_cli.run(
                ["inspect", "--format", "{{with .State.Health}}{{json .Log}}{{end}}", self.project.container]
            )
            failed = [check for check in json.loads(shown or "[]") or [] if check["ExitCode"] != 0]
            for check in failed[-1:]:
                output = "; ".join((check["Output"].strip() or "no output").splitlines()[-3:])
                return [f"exit code {check['ExitCode']}, {output}"]
        return []

    def _last_log_lines(self) -> list[str]:
        with contextlib.suppress(DockerError):
            return docker_cli.run(["logs", "--tail", "15", self.project.container], both=True).splitlines()[-15:]
        return []

    def _settings(self) -> tuple[Path, str | None]:
        """The project's .env and its text; None when this project is not one whose .env is written here."""
        folder = Path(self.directory)
        with contextlib.suppress(OSError):
            if not re.search(f"^{_HASH}=", (folder / ".env.sample").read_text(encoding="utf-8"), re.MULTILINE):
                return folder / ".env", None
            with contextlib.suppress(FileNotFoundError):
                return folder / ".env", (folder / ".env").read_text(encoding="utf-8")
            return folder / ".env", ""
        return folder / ".env", None

    @contextlib.contextmanager
    def _settings_assumed(self) -> Iterator[None]:
        """Before the default project's settings are written its compose file can only be read with a stand-in."""
        _, text = self._settings()
        missing = text is not None and _HASH not in os.environ and not re.search(f"^{_HASH}=", text, re.MULTILINE)
        if missing:
            os.environ[_HASH] = "not written yet"
        try:
            yield
        finally:
            if missing:
                del os.environ[_HASH]

    def _write_settings(self, *, fresh: bool) -> bool:
        """Keep the hash of the inventory's password in the default project's .env; whether that changed it."""
        path, text = self._settings()
        # A server that is kept has the password it was made with.
        if text is None or (not fresh and path.exists()):
            return False
        line = f"{_HASH}={hashlib.sha256(self.password.encode()).hexdigest()}"
        wanted, count = re.subn(f"^{_HASH}=.*$", line, text, flags=re.MULTILINE)
        if not count:
            wanted = f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{line}\n"
        if wanted == text and path.stat().st_mode & 0o777 == 0o600:
            return False
        fresh_file = path.with_name(".env.new")
        descriptor = os.open(fresh_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(wanted)
        fresh_file.replace(path)
        return True
