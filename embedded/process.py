"""What the launcher asks Linux's /proc: is a process still the one we started, and who holds a port."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

_LISTEN = "0A"


def start_ticks(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot (proc_pid_stat(5), field 22); None when gone or dead."""
    try:
        # The command name may hold blanks and brackets: count fields after its closing one.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # A killed process's first thread is a zombie while others still hold its ports and files.
        dead = fields[0] in "ZX" and len(os.listdir(f"/proc/{pid}/task")) <= 1
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if dead else int(fields[19])


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def pid_of(option: str, value: str) -> int | None:
    """A process that was started with an option of this value; None when there is none."""
    wanted = f"\0{option}\0{value}\0".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (process / "cmdline").read_bytes():
                return int(process.name)
    return None


def port_is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def port_holder(port: int) -> str:
    """The process that listens on a TCP port, as ``pid 123 (command line)``, or why it cannot be told."""
    inodes: set[str] = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except FileNotFoundError:
            continue
        for columns in map(str.split, lines):
            if columns[3] == _LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{columns[9]}]")
    for process in Path("/proc").glob("[0-9]*") if inodes else ():
        if _holds(process, inodes):
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            return f"pid {process.name} ({command[:120]})"
    return "a process of another user or container" if inodes else "a socket that is not listening"


def _holds(process: Path, sockets: set[str]) -> bool:
    """Whether one of the process's descriptors is one of the sockets; no, where they may not be read."""
    with contextlib.suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            # Descriptors come and go under the loop, the one that lists the folder among them.
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(descriptor) in sockets:
                    return True
    return False
