"""The data of a compose project: what it holds, moved aside under a dated name, brought back, pruned."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from . import docker_cli
from .compose_project import Project, ProjectError, Store
from .docker_cli import DockerError, reason

SYSTEM_DATABASES = ("system", "information_schema", "INFORMATION_SCHEMA")
STAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{6}Z")
# Copying a volume is bounded by the disk; a terabyte at 100 MB/s takes under three hours.
_COPY_TIMEOUT_SECONDS = 4 * 3600.0
_COPY = "cp -a /from/. /to/"


@dataclass
class Content:
    """What a data folder holds: tables per database; `unknown` says why that could not be told."""

    tables: dict[str, int] = field(default_factory=dict)
    unknown: str | None = None

    @property
    def precious(self) -> bool:
        """Whether a reset must be confirmed: tables, or files that could not be judged."""
        return bool(self.tables) or self.unknown is not None

    def lines(self, place: str) -> list[str]:
        """What must be confirmed, one line per database; empty when nothing is precious."""
        if self.unknown is not None:
            return [f"{place}: {self.unknown}, so it counts as holding tables"]
        return [f"database {database}, {count} tables" for database, count in sorted(self.tables.items())]


def look_into(folder: Path | None, data_target: str = "/var/lib/clickhouse") -> Content:
    """What lies in a server's data folder, told from its `metadata` without a running server."""
    if folder is None:
        return Content(unknown="only Docker can read this volume")
    try:
        if not folder.exists() or not any(folder.iterdir()):
            return Content()
        metadata = folder / "metadata"
        if not metadata.is_dir():
            return Content(unknown="it holds files, but is not a ClickHouse data folder")
        tables = {}
        for database in sorted({path.name.removesuffix(".sql") for path in metadata.iterdir()}):
            if database in SYSTEM_DATABASES or database.startswith("."):
                continue
            listing = _on_host(metadata / database, folder, data_target)
            count = sum(1 for path in listing.glob("*.sql")) if listing.is_dir() else 0
            if count:
                tables[database] = count
        return Content(tables)
    except PermissionError as error:
        return Content(unknown=f"this user may not read {error.filename}")


def _on_host(path: Path, folder: Path, data_target: str) -> Path:
    """An Atomic database's folder is a link, which older servers wrote as a path inside the container."""
    if path.is_symlink():
        link = os.readlink(path)
        if link.startswith(data_target.rstrip("/") + "/"):
            return folder / link[len(data_target.rstrip("/")) + 1 :]
    return path


def new_stamp() -> str:
    """The suffix of data moved aside now, in UTC."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"


@dataclass(frozen=True)
class Backup:
    """Data moved aside: its stamp, where its parts lie by mount target, and what the data part holds."""

    stamp: str
    parts: dict[str, str]
    content: Content


def backups(project: Project, data_targets: Sequence[str]) -> list[Backup]:
    """What earlier resets moved aside, newest first."""
    parts: dict[str, dict[str, str]] = {}
    for target in data_targets:
        store = project.stores.get(target)
        if store is None:
            continue
        for name in _siblings(store):
            stamp = name.rpartition(".")[2]
            parts.setdefault(stamp, {})[target] = name
    return [
        Backup(stamp, found, look_into(_part_folder(project, data_targets[0], found), data_targets[0]))
        for stamp, found in sorted(parts.items(), reverse=True)
    ]


def _part_folder(project: Project, target: str, parts: Mapping[str, str]) -> Path | None:
    if target not in parts:
        return Path(os.devnull, "absent")
    return Store(target, project.stores[target].kind, parts[target]).folder


def _siblings(store: Store) -> list[str]:
    if store.kind == "bind":
        source = Path(store.source)
        names = [str(path) for path in source.parent.glob(f"{source.name}.*")] if source.parent.is_dir() else []
    else:
        names = docker_cli.run(["volume", "ls", "--filter", f"name={store.source}.", "--format", "{{.Name}}"]).split()
    return [name for name in names if STAMP.fullmatch(name.removeprefix(f"{store.source}."))]


def move_aside(project: Project, data_targets: Sequence[str], stamp: str) -> list[tuple[str, str]]:
    """Rename each non-empty data store to `<name>.<stamp>` and leave an empty one; (from, to) for each.

    All or nothing: when one cannot be moved, those before it are put back. Raises ProjectError with the reason, also
    when the container still runs.
    """
    _refuse_running(project)
    moved: list[tuple[Store, str]] = []
    for target in data_targets:
        store = project.stores.get(target)
        if store is None or _is_empty(store):
            continue
        aside = f"{store.source}.{stamp}"
        try:
            _move_contents(project, store, aside)
        except (OSError, DockerError) as error:
            for earlier, name in reversed(moved):
                _move_back(project, earlier, name)
            raise ProjectError(
                "data_not_moved",
                f"{store.source} could not be moved aside to {aside} ({reason(error)}); nothing was changed. "
                "Moving it needs the right to write in its parent folder: run the play with `-b`.",
            ) from error
        moved.append((store, aside))
    return [(store.source, aside) for store, aside in moved]


def restore(project: Project, data_targets: Sequence[str], stamp: str, now: str) -> list[tuple[str, str]]:
    """Bring back what was moved aside under `stamp`; what is there now is itself moved aside under `now`.

    Returns (from, to) of each move. Raises ProjectError when there is no such backup or the container still runs.
    """
    known = {backup.stamp: backup for backup in backups(project, data_targets)}
    if stamp not in known:
        raise ProjectError(
            "no_backup",
            f"No data was moved aside under {stamp!r}, there is: {', '.join(known) or 'nothing'} (newest first).",
        )
    moves = move_aside(project, data_targets, now)
    for target, name in known[stamp].parts.items():
        store = project.stores[target]
        _move_back(project, store, name)
        moves.append((name, store.source))
    return moves


def latest_stamp(project: Project, data_targets: Sequence[str]) -> str:
    """The newest backup that holds tables; raises ProjectError when there is none."""
    for backup in backups(project, data_targets):
        if backup.content.precious:
            return backup.stamp
    raise ProjectError(
        "no_backup", f"Nothing that holds tables was moved aside in {project.directory}: nothing to restore."
    )


def prune(project: Project, data_targets: Sequence[str], keep: int) -> tuple[list[str], list[str]]:
    """Delete what was moved aside, all but the `keep` newest that hold tables. Returns (deleted, could not be deleted).

    Leftovers of failed resets hold no tables and do not count, so that they never push out real data.
    """
    doomed: list[tuple[Store, str]] = []
    kept = 0
    for backup in backups(project, data_targets):
        if backup.content.precious and kept < keep:
            kept += 1
            continue
        doomed += [(project.stores[target], name) for target, name in backup.parts.items()]
    deleted, refused = [], []
    for store, name in doomed:
        try:
            if store.kind == "bind":
                shutil.rmtree(name)
            else:
                docker_cli.run(["volume", "rm", name])
        except (OSError, DockerError) as error:
            refused.append(f"{name}: {reason(error)}")
        else:
            deleted.append(name)
    return deleted, refused


def _refuse_running(project: Project) -> None:
    info = docker_cli.inspect("container", project.container)
    if info and info["State"]["Running"]:
        raise ProjectError(
            "data_not_moved", f"Container {project.container!r} still runs: its data cannot be moved now."
        )


def _is_empty(store: Store) -> bool:
    folder = store.folder
    if folder is None:
        return docker_cli.inspect("volume", store.source) is None
    try:
        return not folder.exists() or not any(folder.iterdir())
    except PermissionError:
        return False


def _move_contents(project: Project, store: Store, aside: str) -> None:
    if store.kind == "volume":
        _move_volume(project.image, store.source, aside)
        return
    source = Path(store.source)
    if Path(aside).exists():
        raise FileExistsError(f"{aside} is there already")
    before = source.stat()
    source.rename(aside)
    # The server runs as another user in most images: an empty folder of root's would stop it.
    source.mkdir(mode=before.st_mode & 0o7777)
    with contextlib.suppress(PermissionError):
        os.chown(source, before.st_uid, before.st_gid)
        source.chmod(before.st_mode & 0o7777)


def _move_back(project: Project, store: Store, aside: str) -> None:
    if store.kind == "volume":
        _in_volumes(project.image, aside, store.source, _COPY)
        docker_cli.run(["volume", "rm", aside])
        return
    with contextlib.suppress(FileNotFoundError):
        Path(store.source).rmdir()
    Path(aside).rename(store.source)


def _move_volume(image: str, source: str, aside: str) -> None:
    """Docker cannot rename a volume: its files are copied by the service's own image, then removed from the source."""
    if docker_cli.inspect("volume", aside) is not None:
        raise FileExistsError(f"a volume {aside} is there already")
    try:
        _in_volumes(image, source, aside, _COPY)
    except DockerError:
        # A copy that broke off would be taken for a backup, and keep the space that it lacked.
        with contextlib.suppress(DockerError):
            docker_cli.run(["volume", "rm", aside])
        raise
    _in_volumes(image, source, aside, "rm -rf /from/* /from/.[!.]* /from/..?*")


def _in_volumes(image: str, source: str, destination: str, script: str) -> None:
    """Run a shell script as root in the service's image, with the two volumes at /from and /to."""
    docker_cli.run(
        [
            "run", "--rm", "--network", "none", "--user", "0:0", "--entrypoint", "sh",
            "--volume", f"{source}:/from", "--volume", f"{destination}:/to", image, "-c", script,
        ],
        timeout=_COPY_TIMEOUT_SECONDS,
    )  # fmt: skip
