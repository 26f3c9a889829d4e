"""A ClickHouse Docker Compose project: what it is, and what stands in the way of a reset."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import docker_cli
from .docker_cli import DockerError
from .env_file import parse_env
from .findings import Finding

# The names Compose itself looks for; it would go on looking in parent folders, where another project may lie.
COMPOSE_FILE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_LISTEN_STATE = "0A"
HOST_NETWORK = "host"


class ProjectError(Exception):
    """The project cannot be used, or its data not moved; the text says what was expected, found, and what to do.

    `kind` is the cause class without its prefix: `compose_missing`, `compose_invalid`, `name_mismatch`, `name_taken`,
    `network_missing`, `port_taken`, `port_mismatch`, `data_in_container`, `mount_point`, `disk_full`,
    `data_not_moved`, `no_backup`, `loopback_only`, `unreachable`.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def host_finding(kind: str, headline: str, next_step: str | None = None) -> Finding:
    """A reset that cannot begin or did not succeed, as a finding of cause class `host_<kind>`."""
    return Finding("clickhouse_reset", "error", f"host_{kind}", headline, next_step=next_step, fix_side="host")


@dataclass(frozen=True)
class Store:
    """One mounted place of the service: a `bind` folder of the host or a named or anonymous `volume`."""

    target: str
    kind: str
    source: str

    @property
    def folder(self) -> Path | None:
        """The folder on the host that holds the files, whether or not it exists; None when only Docker can reach it."""
        if self.kind == "bind":
            return Path(self.source)
        volume = docker_cli.inspect("volume", self.source)
        if volume is None:
            return Path(os.devnull, "no such volume")
        if options := volume.get("Options"):
            # Mounted by Docker for as long as a container runs: its Mountpoint looks empty otherwise.
            device = str(options.get("device") or "")
            bound = "bind" in str(options.get("o") or "").split(",")
            return Path(device) if bound and os.path.isdir(device) else None
        # Not there for a user who may not enter Docker's folder, nor where the engine runs in a virtual machine.
        place = volume.get("Mountpoint") or ""
        return Path(place) if os.path.exists(place) else None


@dataclass(frozen=True)
class Port:
    """A container port published on the host."""

    host_ip: str
    published: int
    target: int


@dataclass
class Project:
    """What `docker compose config` says of the service that is to be reset.

    `waitable`: whether `up --wait` can be used; it takes a health check that was turned off for a failure.
    """

    directory: Path
    name: str
    service: str
    container: str
    image: str
    builds: bool
    networks: list[str]
    external_networks: list[str]
    ports: list[Port]
    stores: dict[str, Store]
    waitable: bool = True
    container_info: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def on_host_network(self) -> bool:
        """Whether the service has no network of its own (`network_mode: host`) and listens on the host itself."""
        return self.networks == [HOST_NETWORK]

    @property
    def running(self) -> bool:
        return bool(self.container_info and self.container_info["State"]["Running"])


def compose_arguments(directory: Path, files: Sequence[str]) -> list[str]:
    arguments = ["compose", "--project-directory", str(directory)]
    for name in files:
        arguments += ["-f", str(directory / name)]
    return arguments


def read_project(directory: str, service: str, files: Sequence[str] = ()) -> Project:
    """The project in `directory`, seen through `docker compose config`.

    Raises ProjectError when folder, compose file or service is missing or the file is invalid, DockerError when
    Docker itself is not usable.
    """
    docker_cli.run(["info", "--format", "{{.ServerVersion}}"])
    docker_cli.run(["compose", "version"])
    folder = Path(directory)
    if folder.is_file():
        raise ProjectError(
            "compose_missing",
            f"{directory} is a file: set clickhouse_reset_project_dir to its folder and clickhouse_reset_files to "
            f"[{folder.name}].",
        )
    if not folder.is_dir():
        raise ProjectError(
            "compose_missing",
            f"The compose project folder {directory} does not exist on this host: set clickhouse_reset_project_dir.",
        )
    folder = folder.resolve()
    wanted = list(files) or list(COMPOSE_FILE_NAMES)
    present = [name for name in wanted if (folder / name).is_file()]
    if not present or (files and len(present) < len(files)):
        missing = sorted(set(wanted) - set(present)) if files else wanted
        raise ProjectError(
            "compose_missing",
            f"No compose file in {folder}: expected {' or '.join(missing)}, found none. "
            f"Set clickhouse_reset_project_dir (or clickhouse_reset_files{_named_elsewhere(folder)}).",
        )
    try:
        # In its folder: names in COMPOSE_FILE, which may stand in its .env, are relative to where Compose runs.
        text = docker_cli.run([*compose_arguments(folder, files), "config", "--format", "json"], folder=folder)
        config = json.loads(text)
    except DockerError as error:
        reason = str(error).split("failed: ", 1)[-1]
        if "project name must not be empty" in reason:
            reason += (
                " (the folder's name has none of the letters a to z): write `name:` into it, or set "
                "clickhouse_reset_environment: {COMPOSE_PROJECT_NAME: <name>}"
            )
        raise ProjectError("compose_invalid", f"The compose file in {folder} is not valid: {reason}") from error
    services = config.get("services") or {}
    if service not in services:
        raise ProjectError(
            "compose_invalid",
            f"The compose file in {folder} has no service {service!r}, it has: "
            f"{', '.join(sorted(services)) or 'none'}. Set clickhouse_reset_service{_profiles_hint(folder, files)}.",
        )
    project = _project_from_config(folder, config, service)
    project.container_info = docker_cli.inspect("container", project.container)
    _add_anonymous_volumes(project)
    return project


def _named_elsewhere(folder: Path) -> str:
    """The value for clickhouse_reset_files where COMPOSE_FILE, in the environment or the .env, names other files."""
    settings = folder / ".env"
    values = parse_env(settings.read_bytes(), str(settings)).values if os.access(settings, os.R_OK) else {}
    names = (os.environ.get("COMPOSE_FILE") or values.get("COMPOSE_FILE", "")).strip("\"'")
    return f": [{', '.join(names.split(':'))}], as COMPOSE_FILE says" if names else ""


def _profiles_hint(folder: Path, files: Sequence[str]) -> str:
    """A service of a profile that is not active is not among the project's services."""
    with contextlib.suppress(DockerError):
        profiles = docker_cli.run([*compose_arguments(folder, files), "config", "--profiles"], folder=folder).split()
        if profiles:
            return (
                f", or, where it belongs to a profile ({', '.join(profiles)}), "
                "clickhouse_reset_environment: {COMPOSE_PROFILES: <profile>}"
            )
    return ""


def _project_from_config(folder: Path, config: Mapping[str, Any], service: str) -> Project:
    entry = config["services"][service]
    networks = config.get("networks") or {}
    volumes = config.get("volumes") or {}
    mode = entry.get("network_mode")
    used = [] if mode else list(entry.get("networks") or {"default": None})
    stores = {}
    for mount in entry.get("volumes") or []:
        kind, source = mount.get("type"), mount.get("source")
        if kind not in ("bind", "volume") or not source:
            continue
        if kind == "volume":
            source = (volumes.get(source) or {}).get("name") or f"{config['name']}_{source}"
        target = os.path.normpath(mount["target"])
        stores[target] = Store(target, kind, source)
    ports = [
        Port(port.get("host_ip") or "0.0.0.0", int(port["published"]), int(port["target"]))  # noqa: S104 - Compose's own default
        for port in entry.get("ports") or []
        if str(port.get("published") or "").isdigit() and port.get("protocol", "tcp") == "tcp"
    ]

    def network_name(key: str) -> str:
        return str((networks.get(key) or {}).get("name") or f"{config['name']}_{key}")

    return Project(
        directory=folder,
        name=config["name"],
        service=service,
        container=entry.get("container_name") or f"{config['name']}-{service}-1",
        image=entry.get("image") or f"{config['name']}-{service}",
        builds=bool(entry.get("build")),
        networks=[mode] if mode else [network_name(key) for key in used],
        external_networks=[network_name(key) for key in used if (networks.get(key) or {}).get("external")],
        ports=ports,
        stores=stores,
        waitable=not any(_unchecked(other.get("healthcheck") or {}) for other in config["services"].values()),
    )


def _unchecked(healthcheck: Mapping[str, Any]) -> bool:
    return bool(healthcheck.get("disable")) or healthcheck.get("test") in ("NONE", ["NONE"])


def _add_anonymous_volumes(project: Project) -> None:
    """An image's own VOLUME without a mount gets a nameless volume, which `down` cuts loose from its data."""
    for mount in (project.container_info or {}).get("Mounts", []):
        target = os.path.normpath(mount["Destination"])
        if mount["Type"] == "volume" and target not in project.stores:
            project.stores[target] = Store(target, "volume", mount["Name"])


def problems(
    project: Project,
    *,
    container: str,
    network: str,
    login_ports: Sequence[int],
    data_targets: Sequence[str],
    min_free_mb: int,
    reset: bool,
) -> list[ProjectError]:
    """Every reason not to touch the project, one sentence each; empty when a reset (or a plain start) can begin."""
    found = [
        *_name_problems(project, container),
        *_network_problems(project, network),
        *_port_problems(project),
        *_login_problems(project, login_ports),
        *(_store_problems(project, data_targets) if reset else []),
    ]
    data = project.stores.get(data_targets[0])
    folder = data.folder if data else None
    free = free_mb(folder if folder and os.path.exists(folder) else project.directory)
    if free < min_free_mb:
        found.append(
            ProjectError(
                "disk_full",
                f"Only {free} MB are free where {project.directory} lies, at least {min_free_mb} MB are expected. "
                "Free some, or lower clickhouse_reset_min_free_mb.",
            )
        )
    return found


def _name_problems(project: Project, container: str) -> list[ProjectError]:
    found: list[ProjectError] = []
    if project.container != container:
        found.append(
            ProjectError(
                "name_mismatch",
                f"The compose file names the container of service {project.service!r} {project.container!r}, "
                f"the inventory {container!r}: set clickhouse_reset_container.",
            )
        )
    info = project.container_info
    owner = _owner(info) if info else None
    if info and owner is None:
        found.append(
            ProjectError(
                "name_taken",
                f"A container {project.container!r} that belongs to no compose project is there already "
                f"({info['State']['Status']}, image {info['Config']['Image']}): rename or remove it first "
                f"(docker rename {project.container} {project.container}-old).",
            )
        )
    listed = docker_cli.run(
        [
            "ps", "--all", "--filter", f"label=com.docker.compose.project={project.name}", "--format",
            '{{.Names}}\t{{.Label "com.docker.compose.project.working_dir"}}',
        ]
    )  # fmt: skip
    others = {
        (name, folder)
        for name, _, folder in (line.partition("\t") for line in listed.splitlines())
        if folder and Path(folder).resolve() != project.directory
    }
    if info and owner and Path(owner).resolve() != project.directory:
        others.add((project.container, owner))
    for name, folder in sorted(others):
        found.append(
            ProjectError(
                "name_taken",
                f"Container {name!r} belongs to the compose project in {folder}, not to the one in "
                f"{project.directory}: stop it there (docker compose --project-directory {folder} down), or give this "
                "project other names.",
            )
        )
    return found


def _owner(info: Mapping[str, Any]) -> str | None:
    labels = info["Config"].get("Labels") or {}
    return labels.get("com.docker.compose.project.working_dir")


def _network_problems(project: Project, network: str) -> list[ProjectError]:
    found = []
    # What else `network_mode` may say, none of it a network on which containers find each other by name.
    mode = project.networks[0]
    if mode in ("bridge", "none") or mode.partition(":")[0] in ("service", "container"):
        return [
            ProjectError(
                "network_missing",
                f"Service {project.service!r} has network_mode {mode!r}, in which other containers cannot reach it by "
                "its name: let it be on a network (in a second compose file that clickhouse_reset_files names too: "
                "network_mode: !reset null), or on the host's (network_mode: host).",
            )
        ]
    if network not in project.networks:
        found.append(
            ProjectError(
                "network_missing",
                f"Service {project.service!r} is on the network(s) {', '.join(project.networks)}, "
                f"not on {network!r}: set clickhouse_reset_network.",
            )
        )
    for name in project.external_networks:
        if docker_cli.inspect("network", name) is None:
            found.append(
                ProjectError(
                    "network_missing",
                    f"The compose file wants the existing network {name!r}, which is not there: "
                    f"docker network create {name}",
                )
            )
    return found


def _port_problems(project: Project) -> list[ProjectError]:
    own = set()
    if project.running and project.container_info:
        bindings = project.container_info["NetworkSettings"].get("Ports") or {}
        own = {int(entry["HostPort"]) for entries in bindings.values() for entry in entries or []}
    found = []
    for port in project.ports:
        user = None if port.published in own else port_user(port.host_ip, port.published)
        if user:
            found.append(
                ProjectError(
                    "port_taken",
                    f"Port {port.published}, which the compose file publishes, is in use by {user}: "
                    "stop that, or publish another port.",
                )
            )
    return found


def _login_problems(project: Project, login_ports: Sequence[int]) -> list[ProjectError]:
    """A server of another project may answer at the inventory's ports: it would be verified instead of this one."""
    if project.on_host_network:
        return []
    published = {port.published for port in project.ports}
    missing = [str(port) for port in login_ports if port not in published]
    if not missing:
        return []
    shown = ", ".join(f"{port.published}->{port.target}" for port in project.ports) or "none"
    return [
        ProjectError(
            "port_mismatch",
            f"The inventory says that ClickHouse answers on port {' and '.join(missing)} of the host, but service "
            f"{project.service!r} publishes: {shown}. "
            "Set clickhouse_port (native) and clickhouse_http_port, or publish them (where this compose file "
            "is not to be changed, in a second one that clickhouse_reset_files names too).",
        )
    ]


def port_user(host_ip: str, port: int) -> str | None:
    """Who listens on a TCP port of this host, as words for a message; None when the port is free."""
    family = socket.AF_INET6 if ":" in host_ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host_ip, port))
        except PermissionError:
            return None
        except OSError:
            pass
        else:
            return None
    with contextlib.suppress(DockerError):
        names = docker_cli.run(["ps", "--filter", f"publish={port}", "--format", "{{.Names}}"]).split()
        if names:
            return f"container {names[0]!r}"
    owner = _listening_process(port)
    return f"process {owner[0]} ({owner[1]})" if owner else "a process of another user"


def _proc_tables(root: Path = Path("/proc/net")) -> list[str]:
    return [path.read_text() for name in ("tcp", "tcp6") if (path := root / name).exists()]


def _listening_process(port: int) -> tuple[int, str] | None:
    wanted = {f"socket:[{inode}]" for _, number, inode in listening_sockets(_proc_tables()) if number == port}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if any(os.readlink(link) in wanted for link in (folder / "fd").iterdir()):
                return int(folder.name), (folder / "comm").read_text().strip()
        except OSError:
            continue
    return None


def _store_problems(project: Project, data_targets: Sequence[str]) -> list[ProjectError]:
    found = []
    data = project.stores.get(data_targets[0])
    above = [target for target in project.stores if Path(target) in Path(data_targets[0]).parents]
    if data is None and above:
        found.append(
            ProjectError(
                "data_in_container",
                f"Service {project.service!r} keeps its data inside the mount at {above[0]}, which holds more than "
                f"that: mount a folder or volume at {data_targets[0]} itself, or run with "
                "-e clickhouse_reset_mode=keep.",
            )
        )
    elif data is None and project.container_info is not None:
        found.append(
            ProjectError(
                "data_in_container",
                f"Container {project.container!r} keeps its data in its own layer, which a reset would delete: mount a "
                f"folder or volume at {data_targets[0]} (or set clickhouse_reset_data_targets to where its data is), "
                "or run with -e clickhouse_reset_mode=keep.",
            )
        )
    for target in data_targets:
        store = project.stores.get(target)
        if store and store.kind == "bind" and os.path.ismount(store.source):
            found.append(
                ProjectError(
                    "mount_point",
                    f"{store.source} is a mount point of its own and cannot be renamed: let the compose file mount a "
                    "folder inside it, or run with -e clickhouse_reset_mode=keep.",
                )
            )
    return found


def free_mb(path: Path) -> int:
    """Free space in MiB for this user on the file system of `path`."""
    return shutil.disk_usage(path).free // 2**20


def listening_sockets(tables: Iterable[str]) -> list[tuple[str, int, str]]:
    """(address in hex, port, inode) of each listening socket in the text of /proc/net/tcp and tcp6."""
    found = []
    for table in tables:
        for line in table.splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == _LISTEN_STATE:
                address, _, port = fields[1].rpartition(":")
                found.append((address, int(port, 16), fields[9]))
    return found


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options by which every module here is told which project is meant."""
    return {
        "project_dir": {"type": "path", "required": True},
        "files": {"type": "list", "elements": "str", "default": []},
        "service": {"type": "str", "required": True},
        "data_targets": {
            "type": "list",
            "elements": "str",
            "default": ["/var/lib/clickhouse", "/var/log/clickhouse-server"],
        },
    }


def from_params(params: Mapping[str, Any]) -> Project:
    """The project that a module's options name; raises as `read_project`."""
    return read_project(params["project_dir"], params["service"], params["files"])
