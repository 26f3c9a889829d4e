"""One run at a time for each server, and nothing left behind: a lock on the target, and marks on what a run starts.

Every process and container that a run starts carries its owner: the play's host, pid and start time. What carries an
owner that is gone is a leftover of an interrupted run, and this project's to end. Nothing else is ever ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import docker_cli
from .docker_cli import DockerError

# In the environment of a process that a run started, and of all its children.
MARK = "INGEST_VERIFY_OWNER"
# On a container that a run made.
LABEL = "clickhouse-ingest-verify.owner"
# The same for every user and checkout of the host.
LOCKS = Path(tempfile.gettempdir()) / "clickhouse-ingest-verify"
_END_SECONDS = 10.0
# Where this project's plays keep Ansible's own temporary files on a target (ansible.cfg: remote_tmp and async_dir).
REMOTE_TMP = Path("~/.ansible/tmp/clickhouse-ingest-verify")
# How the names of this project's own temporary files begin.
SCRATCH = "ingest-verify."
# What is younger may belong to a task that is at work.
_STALE_SECONDS = 3600.0


class BusyError(Exception):
    """Another run is at work on the same server; the text says who holds it."""


@dataclass(frozen=True)
class Owner:
    """The play that owns something: its host, its pid and start time (clock ticks since boot), and its run."""

    host: str
    pid: int
    start: int
    run_id: str

    @classmethod
    def read(cls, text: str) -> Owner | None:
        """Read back what `text` wrote; None for anything else."""
        parts = text.rsplit(":", 3)
        if len(parts) != 4 or not (parts[1].isdigit() and parts[2].isdigit()):
            return None
        return cls(parts[0], int(parts[1]), int(parts[2]), parts[3])

    @property
    def text(self) -> str:
        """As a mark carries it."""
        return f"{self.host}:{self.pid}:{self.start}:{self.run_id}"

    @property
    def gone(self) -> bool:
        """Whether the play is known to have ended. Of another host that cannot be known here."""
        return self.host == platform.node() and start_of(self.pid) != self.start


def start_of(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot; None where there is none, or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def take(place: str, owner: Owner, *, docker: bool, check_mode: bool = False) -> list[str]:
    """Lock `place` (`host:port` of the server) for `owner` and end what interrupted runs left on this host.

    Returns one sentence for each thing that was ended (in check mode: that would be). Raises BusyError while another
    run holds the place, OSError when the lock cannot be written.
    """
    _lock(place, owner, check_mode=check_mode)
    ended = _end_processes(check_mode=check_mode)
    if docker:
        ended += _end_containers(check_mode=check_mode)
    swept = sweep(check_mode=check_mode)
    return ended + ([f"{len(swept)} temporary files and folders of interrupted runs"] if swept else [])


def sweep(*, check_mode: bool = False) -> list[Path]:
    """Remove temporary files and folders that runs of this project left on this host an hour ago or more.

    Ansible names its own after the process that made them (`ansible-tmp-<time>-<pid>-<random>`, `j<random>.<pid>`):
    those of a process that lives stay. Returns what was removed, in check mode what would be.
    """
    remote = REMOTE_TMP.expanduser()
    found = [*remote.glob("ansible-tmp-*"), *remote.glob("async/j*"), *Path(tempfile.gettempdir()).glob(f"{SCRATCH}*")]
    swept = []
    for path in found:
        with contextlib.suppress(OSError):
            status = path.lstat()
            pid = path.name.split("-")[3:4] if path.name.startswith("ansible") else path.name.rsplit(".", 1)[1:]
            if time.time() - status.st_mtime < _STALE_SECONDS or status.st_uid != os.geteuid():
                continue
            if not path.name.startswith(SCRATCH) and any(number.isdigit() and start_of(int(number)) for number in pid):
                continue
            if not check_mode:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            swept.append(path)
    return swept


def release(place: str, owner: Owner) -> None:
    """Give the place back; nothing happens where somebody else holds it."""
    path = _path(place)
    with contextlib.suppress(OSError, ValueError):
        if json.loads(path.read_text(encoding="utf-8")).get("owner") == asdict(owner):
            path.unlink()


def _path(place: str) -> Path:
    return LOCKS / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.lock"


def _lock(place: str, owner: Owner, *, check_mode: bool) -> None:
    LOCKS.mkdir(mode=0o1777, exist_ok=True)
    with contextlib.suppress(OSError):
        LOCKS.chmod(0o1777)
    path = _path(place)
    content = json.dumps(
        {"place": place, "owner": asdict(owner), "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    )
    # Looked at and written under the folder's lock, which any user may take: of two runs that come at once one wins.
    turn = os.open(LOCKS, os.O_RDONLY)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        try:
            holder = json.loads(path.read_text(encoding="utf-8"))
            held = Owner(**holder["owner"])
        except (OSError, ValueError, KeyError, TypeError):
            # Absent, or cut by a full disk or a kill: it names nobody.
            held = None
        if (
            held is not None
            and not held.gone
            and (held.host, held.pid, held.start) != (owner.host, owner.pid, owner.start)
        ):
            raise BusyError(
                f"Another run is at work on {place}: run {held.run_id}, started {holder['since']} by process"
                f" {held.pid} on {held.host}. Two runs at once would judge each other's statements and data. Wait until"
                " it has ended."
                + (f" If {held.host} is gone for good, remove {path}." if held.host != platform.node() else "")
            )
        if check_mode:
            return
        # Replaced whole, also where another user's run left it.
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(content, encoding="utf-8")
        os.replace(fresh, path)
    finally:
        os.close(turn)


def _end_processes(*, check_mode: bool) -> list[str]:
    left = _marked()
    if not check_mode:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid, start, _ in left:
                # The pid may be another program's by now.
                if start_of(pid) == start:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, number)
            deadline = time.monotonic() + _END_SECONDS
            while any(start_of(pid) == start for pid, start, _ in left) and time.monotonic() < deadline:
                time.sleep(0.05)
    return [f"process {pid} of an interrupted run ({command})" for pid, _, command in left]


def _marked() -> list[tuple[int, int, str]]:
    """pid, start time and command of each process here whose owner is gone."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
            if MARK.encode() not in environment:
                continue
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        except OSError:
            continue
        values = dict(entry.partition(b"=")[::2] for entry in environment.split(b"\0"))
        owner = Owner.read(values.get(MARK.encode(), b"").decode("utf-8", "replace"))
        start = start_of(int(folder.name))
        if owner is not None and owner.gone and start is not None:
            found.append((int(folder.name), start, command[:80]))
    return found


def _end_containers(*, check_mode: bool) -> list[str]:
    try:
        listed = docker_cli.run(["ps", "--all", "--filter", f"label={LABEL}", "--format", "{{json .}}"])
    except DockerError:
        # What is wrong with Docker the reset says better.
        return []
    ended = []
    for line in listed.splitlines():
        entry: Mapping[str, Any] = json.loads(line)
        labels = dict(part.partition("=")[::2] for part in str(entry.get("Labels", "")).split(","))
        owner = Owner.read(labels.get(LABEL, ""))
        if owner is None or not owner.gone:
            continue
        if not check_mode:
            docker_cli.run(["rm", "--force", "--volumes", str(entry["ID"])])
        ended.append(f"container {entry.get('Names')} of an interrupted run")
    return ended
