"""The places where a server keeps its files, and how their content is moved aside and back: by renames alone."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from .. import compose_project, docker_cli
from .journal import FOLDER

SYSTEM_DATABASES = ("system", "information_schema", "INFORMATION_SCHEMA")
# Where a volume keeps what was moved aside within it: Docker cannot rename a volume, and a copy can break off.
_INSIDE = f"{FOLDER}."
# On containers that work on a volume for a moment.
HELPER_LABEL = "clickhouse-ingest-verify=helper"
# Renames; only a removal takes its time.
_HELPER_TIMEOUT_SECONDS = 3600.0


@dataclass
class Content:
    """Tables on disk as (database, table); `unknown` says why that could not be told."""

    tables: list[tuple[str, str]] = field(default_factory=list)
    unknown: str | None = None

    @property
    def precious(self) -> bool:
        """Whether a reset must be confirmed: tables, or files that could not be judged."""
        return bool(self.tables) or self.unknown is not None

    def lines(self, place: str) -> list[str]:
        """What must be confirmed, one line per database; empty when nothing is precious."""
        if self.unknown is not None:
            return [f"{place}: {self.unknown}, so it counts as holding tables"]
        databases = [database for database, _ in self.tables]
        return [f"database {name}, {databases.count(name)} tables" for name in sorted(set(databases))]


class Store(Protocol):
    """One place."""

    @property
    def target(self) -> str:
        """Its path as the server sees it."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    def aside_name(self, stamp: str) -> str:
        """What a person calls its content once moved aside under `stamp`."""

    def empty(self) -> bool: ...

    def has_aside(self, stamp: str) -> bool: ...

    def put_aside(self, stamp: str) -> None:
        """Move the content aside; goes on where an earlier call was interrupted. Raises OSError or DockerError."""

    def bring_back(self, stamp: str) -> None:
        """The opposite, into an empty place; goes on where an earlier call was interrupted."""

    def delete(self, stamp: str) -> None: ...

    def content(self, stamp: str | None = None) -> Content:
        """Tables of what is in place, or of what was moved aside under `stamp`."""


@dataclass(frozen=True)
class Folder:
    """A folder of the host, moved aside as `<path>.<stamp>`."""

    target: str
    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def aside_name(self, stamp: str) -> str:
        return f"{self.path}.{stamp}"

    def empty(self) -> bool:
        return _is_empty(self.path)

    def has_aside(self, stamp: str) -> bool:
        return os.path.isdir(self.aside_name(stamp))

    def put_aside(self, stamp: str) -> None:
        aside = Path(self.aside_name(stamp))
        if not aside.exists():
            self.path.rename(aside)
        before = aside.stat()
        # The server runs as another user in most images: an empty folder of root's would stop it.
        self.path.mkdir(mode=before.st_mode & 0o7777, exist_ok=True)
        with contextlib.suppress(PermissionError):
            os.chown(self.path, before.st_uid, before.st_gid)
            self.path.chmod(before.st_mode & 0o7777)

    def bring_back(self, stamp: str) -> None:
        aside = Path(self.aside_name(stamp))
        if not aside.exists() and not self.empty():
            return
        with contextlib.suppress(FileNotFoundError):
            self.path.rmdir()
        aside.rename(self.path)

    def delete(self, stamp: str) -> None:
        shutil.rmtree(self.aside_name(stamp))

    def content(self, stamp: str | None = None) -> Content:
        return look_into(Path(self.aside_name(stamp)) if stamp else self.path, self.target)


@dataclass(frozen=True)
class Volume:
    """A Docker volume. What is moved aside stays in it, in a folder `.ingest-verify.<stamp>`.

    `image` is the server's: it has a shell, and is on this host.
    """

    target: str
    volume: str
    image: str

    @property
    def name(self) -> str:
        return f"volume {self.volume}"

    def aside_name(self, stamp: str) -> str:
        return f"{_INSIDE}{stamp} in volume {self.volume}"

    def empty(self) -> bool:
        folder = self._folder()
        if folder is not None:
            return _is_empty(folder)
        if docker_cli.inspect("volume", self.volume) is None:
            return True
        return not self._helper(
            'for e in * .[!.]* ..?*; do case "$e" in .ingest-verify.*) ;; *) [ -e "$e" ] && echo "$e" ;; esac; done; :'
        )

    def has_aside(self, stamp: str) -> bool:
        folder = self._folder()
        if folder is not None:
            return (folder / f"{_INSIDE}{stamp}").is_dir()
        return bool(self._helper(f"[ -d {_INSIDE}{stamp} ] && echo yes; :"))

    def put_aside(self, stamp: str) -> None:
        self._move(".", f"{_INSIDE}{stamp}")

    def bring_back(self, stamp: str) -> None:
        if self.has_aside(stamp):
            self._move(f"{_INSIDE}{stamp}", ".")

    def delete(self, stamp: str) -> None:
        folder = self._folder()
        if folder is not None and os.access(folder, os.W_OK | os.X_OK):
            shutil.rmtree(folder / f"{_INSIDE}{stamp}")
        else:
            self._helper(f"rm -rf {_INSIDE}{stamp}")

    def content(self, stamp: str | None = None) -> Content:
        folder = self._folder()
        if folder is None:
            return Content(unknown="only Docker can read this volume")
        return look_into(folder / f"{_INSIDE}{stamp}" if stamp else folder, self.target)

    def _move(self, source: str, destination: str) -> None:
        """Rename all of `source`, a folder in the volume or itself, into `destination`, likewise."""
        folder = self._folder()
        if folder is not None and os.access(folder, os.W_OK | os.X_OK):
            old, new = folder / source, folder / destination
            new.mkdir(exist_ok=True)
            for name in sorted(os.listdir(old)):
                if not name.startswith(_INSIDE):
                    (old / name).rename(new / name)
            if source != ".":
                old.rmdir()
            return
        last = f"rmdir {source}" if source != "." else ":"
        self._helper(
            f"set -e; mkdir -p {destination}; for e in {source}/* {source}/.[!.]* {source}/..?*; do "
            f'[ -e "$e" ] || [ -L "$e" ] || continue; case "$e" in */.ingest-verify.*) continue ;; esac; '
            f'mv "$e" {destination}/; done; {last}'
        )

    def _folder(self) -> Path | None:
        """Where this user reaches the volume's files without Docker; None when that is nowhere."""
        return compose_project.Store(self.target, "volume", self.volume).folder

    def _helper(self, script: str) -> str:
        """Run a shell script as root in the volume, with the server's image."""
        return docker_cli.run(
            [
                "run", "--rm", "--network", "none", "--user", "0:0", "--entrypoint", "sh", "--label", HELPER_LABEL,
                "--volume", f"{self.volume}:/volume", "--workdir", "/volume", self.image, "-c", script,
            ],
            timeout=_HELPER_TIMEOUT_SECONDS,
        ).strip()  # fmt: skip


def end_helpers(stores: list[Store]) -> list[str]:
    """End containers that an interrupted reset left at work on one of these volumes; their names.

    What they did is renames, which a later call goes on with.
    """
    ended = []
    for store in stores:
        if isinstance(store, Volume):
            names = docker_cli.run(
                [
                    "ps",
                    "--all",
                    "--filter",
                    f"label={HELPER_LABEL}",
                    "--filter",
                    f"volume={store.volume}",
                    "--format",
                    "{{.Names}}",
                ]
            ).split()
            for name in names:
                docker_cli.run(["rm", "--force", name])
                ended.append(name)
    return ended


def _is_empty(folder: Path) -> bool:
    try:
        return not any(_entries(folder))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except PermissionError:
        return False


def _entries(folder: Path) -> Iterator[str]:
    """Names in a data folder, without those of this package and the file system's own."""
    return (name for name in os.listdir(folder) if not name.startswith(FOLDER) and name != "lost+found")


def look_into(folder: Path, target: str) -> Content:
    """What lies in a server's data folder, told from its `metadata` without a running server.

    `target` is the path under which the server sees the folder.
    """
    try:
        if _is_empty(folder):
            return Content()
        metadata = folder / "metadata"
        if not metadata.is_dir():
            return Content(unknown="it holds files, but is not a ClickHouse data folder")
        tables = []
        for database in sorted({path.name.removesuffix(".sql") for path in metadata.iterdir()}):
            if database in SYSTEM_DATABASES or database.startswith("."):
                continue
            listing = _on_host(metadata / database, folder, target)
            if listing.is_dir():
                tables += [(unquote(database), unquote(path.stem)) for path in sorted(listing.glob("*.sql"))]
        return Content(tables)
    except PermissionError as error:
        return Content(unknown=f"this user may not read {error.filename}")


def _on_host(path: Path, folder: Path, target: str) -> Path:
    """An Atomic database's folder is a link, which the server wrote as a path that it sees."""
    if path.is_symlink():
        link = os.readlink(path)
        if link.startswith(target.rstrip("/") + "/"):
            return folder / link[len(target.rstrip("/")) + 1 :]
    return path
