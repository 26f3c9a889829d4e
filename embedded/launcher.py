"""Start, stop and watch one embedded engine per folder."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import http.client
import importlib.metadata
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
import zoneinfo
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from embedded import process
from embedded.config import (
    Layout,
    Options,
    User,
    changed_since_start,
    drop_ins,
    install_effective,
    render_config,
    render_users,
    write_private,
)
from embedded.errors import EmbeddedError

PACKAGE = "chdb-core"
ENGINE_SCRIPT = Path(__file__).with_name("engine.py")
OLDEST_ENGINE = (26, 7)  # 26.5 does not open a port
# Below Linux's default range of ephemeral ports (32768-60999), from which outgoing connections take theirs: a port that
# was free stays free between two starts.
_AUTOMATIC_PORTS = range(12000, 32000)
_PORT_ATTEMPTS = 20
_FREE_BYTES_NEEDED = 64 * 1024 * 1024
_POLL_SECONDS = 0.02


class Launcher:
    """One engine in one folder. Methods return the object that the command line prints (see embedded/README.md).

    Args:
        layout: where the engine's files are.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def status(self) -> dict[str, Any]:
        """Changes nothing, and fails for nothing: an engine whose folder does not exist is stopped."""
        return self._report(self._running_state(), changed=False)

    def start(self, options: Options, users: Sequence[User] | None = None, *, wait: float = 30.0) -> dict[str, Any]:
        """Start the engine and wait until both ports answer.

        Args:
            options: ports of 0 are chosen, and kept by later starts.
            users: replaces users.xml; None keeps the one that is there.
            wait: seconds until an engine that does not answer is ended and reported.

        Raises:
            EmbeddedError: with a ``kind`` named in embedded/README.md; nothing is left running.
        """
        with self._lock():
            state = self._running_state()
            if state is not None and state.get("ending"):
                # Whoever ended it was killed: it answers still, and is gone a moment later.
                _end(state["pid"], state["start_ticks"], wait)
                self._forget_process()
                state = None
            if state is not None:
                return self._report(state, changed=False, differences=self._differences(options, users))
            attempts = 3 if 0 in (options.http_port, options.tcp_port) else 1
            for attempt in range(1, attempts + 1):
                try:
                    return self._start_once(options, users, wait)
                except EmbeddedError as error:
                    # Somebody took a port between the choice and the engine's bind.
                    if error.kind != "port_taken" or attempt == attempts:
                        raise
            raise AssertionError("unreachable")

    def stop(self, *, wait: float = 30.0) -> dict[str, Any]:
        """SIGTERM, upon which the engine flushes its logs and gives running queries five seconds; then SIGKILL.

        Args:
            wait: seconds until SIGKILL, which the result reports as ``killed``.
        """
        if not self.layout.conf.is_dir():
            return self._report(None, changed=False)
        with self._lock():
            state = self._running_state()
            if state is not None:
                write_private(self.layout.state, json.dumps({**state, "ending": True}, indent=2) + "\n")
            killed = state is not None and not _end(state["pid"], state["start_ticks"], wait)
            self._forget_process()
            return self._report(None, changed=state is not None) | {"killed": killed}

    def restart(self, options: Options, users: Sequence[User] | None = None, *, wait: float = 30.0) -> dict[str, Any]:
        """Stop and start. What can be known to be wrong beforehand is refused with the engine still running."""
        self._check(options)
        self.stop(wait=wait)
        return self.start(options, users, wait=wait)

    def run(self, options: Options, users: Sequence[User] | None = None) -> None:
        """Become the engine, in the foreground; does not return."""
        with self._lock():
            state = self._running_state()
            if state is not None:
                raise EmbeddedError(
                    "already_running",
                    f"No engine was expected to run in {self.layout.conf}, but pid {state['pid']} does. Stop it first.",
                )
            in_force = self._prepare(options, users)
            self._seed_data()
            self._write_state(os.getpid(), in_force)
        command = self._engine_command(options)
        os.execve(command[0], command, _engine_environment(in_force))  # noqa: S606

    def execute(self, script: str) -> None:
        """Run a script of several statements on the data, with every right, while no engine runs.

        Raises:
            EmbeddedError: ``script_failed``, with the engine's text.
        """
        self._make_folders()
        self._seed_data()
        command = [sys.executable, "-I", str(ENGINE_SCRIPT), "--data-dir", str(self.layout.data), "--execute"]
        # Not in the configuration's folder: under it the engine's own user has next to no rights.
        done = subprocess.run(command, input=script, cwd=self.layout.run, capture_output=True, text=True, check=False)
        if done.returncode:
            raise EmbeddedError("script_failed", f"The script was expected to run, but: {done.stderr.strip()}")

    def _start_once(self, options: Options, users: Sequence[User] | None, wait: float) -> dict[str, Any]:
        in_force = self._prepare(options, users)
        fresh = self._seed_data()
        command = [*self._engine_command(options), "--daemon-log", str(self.layout.engine_output)]
        parent = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=_engine_environment(in_force),
        )
        if parent.returncode or not parent.stdout.strip().isdigit():
            raise EmbeddedError("start_failed", f"The engine's process could not be made: {parent.stderr.strip()}")
        state = self._write_state(int(parent.stdout), in_force)
        try:
            self._wait_until_answering(state, wait)
        except BaseException:
            self._forget_process()
            raise
        return self._report(state, changed=True) | {"fresh": fresh}

    def _prepare(self, options: Options, users: Sequence[User] | None) -> Options:
        """Check what can be known beforehand, write the configuration. Returns the options in force with drop-ins."""
        layout = self.layout
        self._make_folders()
        self._check(options)
        options = self._choose_ports(options)
        write_private(layout.options, options.to_json())
        write_private(layout.config_xml, render_config(layout, options))
        if users is not None or not layout.users_xml.exists():
            write_private(layout.users_xml, render_users(users or ()))
        in_force = options.with_drop_ins(layout)
        for name in ("http_port", "tcp_port"):
            port = getattr(in_force, name)
            if not process.port_is_free(in_force.host, port):
                raise _port_taken(in_force.host, port, name)
        install_effective(layout)
        return in_force

    def _engine_command(self, options: Options) -> list[str]:
        layout = self.layout
        command = [sys.executable, "-I", str(ENGINE_SCRIPT)]
        command += ["--conf-dir", str(layout.effective), "--data-dir", str(layout.data)]
        command += ["--version-file", str(layout.version_file)]
        return command + (["--engine-path", options.engine_path] if options.engine_path else [])

    def _make_folders(self) -> None:
        layout = self.layout
        try:
            for folder in (layout.conf / "config.d", layout.conf / "users.d"):
                folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            for folder in (layout.conf, layout.data, layout.log, layout.run):
                folder.mkdir(mode=0o750, parents=True, exist_ok=True)
                if not os.access(folder, os.W_OK | os.X_OK):
                    raise PermissionError(13, "Permission denied", str(folder))
        except OSError as error:
            raise _not_writable(error) from error
        _check_free(layout.data)

    def check(self, options: Options, *, moving: bool) -> None:
        """What can be known to be wrong before the engine is stopped; ``moving``: its data will be moved aside.

        Raises:
            EmbeddedError: the engine could not start afterwards. Nothing was touched.
        """
        self._check_settings(options)
        installed = installed_version(options.engine_path)
        if not moving:
            self._check_data_version(installed)
        place = next(folder for folder in (self.layout.data, *self.layout.data.parents) if folder.exists())
        if not os.access(place, os.W_OK | os.X_OK):
            raise _not_writable(PermissionError(13, "Permission denied", str(place)))
        _check_free(place)

    def _check(self, options: Options) -> None:
        self._check_settings(options)
        self._check_data_version(installed_version(options.engine_path))

    def _check_settings(self, options: Options) -> None:
        _check_time_zone(options.with_drop_ins(self.layout).timezone)
        for _ in drop_ins(self.layout, "users.d"):
            pass

    def _check_data_version(self, version: str) -> None:
        try:
            written_by = self.layout.version_file.read_text().strip()
        except FileNotFoundError:
            return
        if _release(written_by) > _release(version):
            raise EmbeddedError(
                "newer_data",
                f"Data of engine {version} or older were expected in {self.layout.data}, but engine {written_by} "
                "opened them last, and an older one may not read them. "
                f"Install '{PACKAGE}>={_dotted(_release(written_by))}', or move the folder aside and start fresh.",
            )

    def _choose_ports(self, options: Options) -> Options:
        chosen = [port for port in (options.http_port, options.tcp_port) if port]
        for name in ("http_port", "tcp_port"):
            if getattr(options, name):
                continue
            candidates = random.sample(_AUTOMATIC_PORTS, _PORT_ATTEMPTS)
            free = (p for p in candidates if p not in chosen and process.port_is_free(options.host, p))
            port = next(free, None)
            if port is None:
                raise EmbeddedError(
                    "port_taken", f"A free port was expected on {options.host}; {candidates} are taken."
                )
            chosen.append(port)
            options = options.changed(**{name: port})
        return options

    def _seed_data(self) -> bool:
        """Keep the ``system`` database, which would live in memory, on disk. Returns whether the folder was empty.

        A folder that a server wrote has the file already.
        """
        metadata = self.layout.data / "metadata"
        fresh = not metadata.is_dir()
        metadata.mkdir(mode=0o750, parents=True, exist_ok=True)
        system_sql = metadata / "system.sql"
        if not system_sql.exists():
            write_private(system_sql, f"ATTACH DATABASE _ UUID '{uuid.uuid4()}' ENGINE = Atomic\n")
        return fresh

    def _wait_until_answering(self, state: dict[str, Any], wait: float) -> None:
        deadline = time.monotonic() + wait
        while not answers(state["host"], state["http_port"], state["tcp_port"]):
            if process.start_ticks(state["pid"]) != state["start_ticks"]:
                raise self._start_failure(state)
            if time.monotonic() > deadline:
                _end(state["pid"], state["start_ticks"], 5.0)
                raise EmbeddedError(
                    "timeout",
                    f"Answers on {state['host']}:{state['http_port']} and :{state['tcp_port']} were expected within "
                    f"{wait:g} s; the engine gave none and was ended. See {self.layout.error_log}.",
                )
            time.sleep(_POLL_SECONDS)

    def _start_failure(self, state: dict[str, Any]) -> EmbeddedError:
        text = _tail(self.layout.engine_output)
        for name in ("http_port", "tcp_port"):
            if "Address already in use" in text and not process.port_is_free(state["host"], state[name]):
                return _port_taken(state["host"], state[name], name)
        kind = "disk_full" if "No space left on device" in text else "start_failed"
        return EmbeddedError(
            kind,
            f"The engine was expected to stay up, but ended while it started: {_first_exception(text)} "
            f"See {self.layout.engine_output}.",
        )

    def _write_state(self, pid: int, options: Options) -> dict[str, Any]:
        state = {
            "pid": pid,
            "start_ticks": process.start_ticks(pid),
            "boot_id": process.boot_id(),
            "host": options.host,
            "http_port": options.http_port,
            "tcp_port": options.tcp_port,
        }
        write_private(self.layout.state, json.dumps(state, indent=2) + "\n")
        write_private(self.layout.run / "engine.pid", f"{pid}\n")
        return state

    def _forget_process(self) -> None:
        for path in (self.layout.state, self.layout.run / "engine.pid"):
            path.unlink(missing_ok=True)

    def _running_state(self) -> dict[str, Any] | None:
        """The state file if it is about a live process; pids are reused, so start time and boot must agree."""
        try:
            state: dict[str, Any] = json.loads(self.layout.state.read_text())
        except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
            return self._orphan()
        same_boot = state["boot_id"] == process.boot_id()
        return state if same_boot and process.start_ticks(state["pid"]) == state["start_ticks"] else self._orphan()

    def _orphan(self) -> dict[str, Any] | None:
        """An engine of this folder whose start was ended before it was noted, found by its command line."""
        pid = process.pid_of("--conf-dir", str(self.layout.effective))
        ticks = process.start_ticks(pid) if pid is not None else None
        if pid is None or ticks is None or pid == os.getpid():
            return None
        options = Options.load(self.layout.options).with_drop_ins(self.layout)
        return {
            "pid": pid,
            "start_ticks": ticks,
            "boot_id": process.boot_id(),
            "host": options.host,
            "http_port": options.http_port,
            "tcp_port": options.tcp_port,
        }

    def _differences(self, options: Options, users: Sequence[User] | None) -> list[str]:
        """What a start asks for that the running engine was not started with."""
        asked, stored = dataclasses.asdict(options), dataclasses.asdict(Options.load(self.layout.options))
        unlike = [
            f"{name} was asked to be {asked[name]!r}, but the running one has {stored[name]!r}: restart to change it."
            for name in asked
            if asked[name] != stored[name] and not (name in ("http_port", "tcp_port") and asked[name] == 0)
        ]
        if users is not None and render_users(users) != self.layout.users_xml.read_text():
            unlike.append("Other users were asked for than the running engine has: restart to change them.")
        return unlike

    def _report(
        self, state: dict[str, Any] | None, *, changed: bool, differences: Sequence[str] = ()
    ) -> dict[str, Any]:
        layout = self.layout
        report: dict[str, Any] = {"state": "running" if state else "stopped", "changed": changed, "fresh": False}
        report |= {name: state[name] if state else None for name in ("pid", "host", "http_port", "tcp_port")}
        report["healthy"] = bool(state) and answers(report["host"], report["http_port"], report["tcp_port"])
        report["version"] = layout.version_file.read_text().strip() if layout.version_file.exists() else None
        report["dir"], report["data_dir"], report["log_file"] = map(str, (layout.conf, layout.data, layout.server_log))
        report["config_changed_since_start"] = bool(differences) or (bool(state) and changed_since_start(layout))
        report["warnings"] = [*differences, *(self._warnings() if state else [])]
        return report

    def _warnings(self) -> list[str]:
        try:
            return [
                f"{path}: the user 'default' is the embedded engine's own; what this file says of it has no effect."
                for path, root in drop_ins(self.layout, "users.d")
                if root.find("users/default") is not None
            ]
        except EmbeddedError as error:
            return [str(error)]

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One command at a time per folder."""
        try:
            self.layout.conf.mkdir(mode=0o750, parents=True, exist_ok=True)
            lock = os.open(self.layout.conf / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _not_writable(error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def installed_version(engine_path: str | None) -> str:
    """Version of the installed chdb-core.

    Raises:
        EmbeddedError: ``engine_missing`` or ``engine_too_old``, with the command that installs a right one.
    """
    oldest = _dotted(OLDEST_ENGINE)
    install = f"{sys.executable} -m pip install '{PACKAGE}>={oldest}'"
    install += f" --no-deps --target {engine_path}" if engine_path else ""
    search = [engine_path] if engine_path else sys.path
    found = next(iter(importlib.metadata.distributions(name=PACKAGE, path=search)), None)
    if found is None:
        where = engine_path or f"the environment of {sys.executable}"
        raise EmbeddedError(
            "engine_missing", f"The Python package {PACKAGE} was expected in {where}, but is not there. Run: {install}"
        )
    if _release(found.version) < OLDEST_ENGINE:
        raise EmbeddedError(
            "engine_too_old",
            f"{PACKAGE} {oldest} or newer was expected, as older ones cannot open a port, but found {found.version}. "
            f"Run: {install}",
        )
    return found.version


def _check_free(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _FREE_BYTES_NEEDED:
        raise EmbeddedError(
            "disk_full",
            f"At least {_FREE_BYTES_NEEDED >> 20} MiB free were expected at {folder}, but found {free >> 20} "
            "MiB. Free some space, or choose another folder with --dir.",
        )


def _check_time_zone(name: str) -> None:
    try:
        zoneinfo.ZoneInfo("UTC")
    except zoneinfo.ZoneInfoNotFoundError:
        return  # this machine has no time zone database; the engine carries its own
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise EmbeddedError(
            "bad_argument",
            f"A time zone such as 'UTC' or 'Europe/Moscow' was expected, but found {name!r}. Correct it.",
        ) from error


def answers(host: str, http_port: int, tcp_port: int) -> bool:
    """Whether both interfaces answer. /ping and a bare connection leave no trace in the log tables."""
    probe_host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
    connection = http.client.HTTPConnection(probe_host, http_port, timeout=2)
    try:
        connection.request("GET", "/ping")
        if connection.getresponse().read().strip() != b"Ok.":
            return False
        with socket.create_connection((probe_host, tcp_port), timeout=2):
            return True
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _engine_environment(options: Options) -> dict[str, str]:
    """TZ is how the engine takes its time zone; passwords must not stay readable in /proc/<pid>/environ."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EMBEDDED_PASSWORD_")}
    return kept | {"TZ": options.timezone}


def _port_taken(host: str, port: int, name: str) -> EmbeddedError:
    return EmbeddedError(
        "port_taken",
        f"Port {port} on {host or 'loopback'} was expected to be free ({name}), but {process.port_holder(port)} has "
        f"it. Stop that process, or choose another port with --{name.replace('_', '-')} (0 picks a free one).",
    )


def _not_writable(error: OSError) -> EmbeddedError:
    return EmbeddedError(
        "not_writable",
        f"A folder that can be written was expected, but found: {error.strerror} ({error.filename}). "
        "Give it to the user that runs this, or choose another with --dir.",
    )


def _end(pid: int, start_ticks: int, wait: float) -> bool:
    """SIGTERM, then SIGKILL after ``wait`` seconds. Returns whether the process left by itself."""
    for kill_signal, patience in ((signal.SIGTERM, wait), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, kill_signal)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if process.start_ticks(pid) != start_ticks:
                return kill_signal == signal.SIGTERM
            time.sleep(_POLL_SECONDS)
    raise EmbeddedError("stop_failed", f"Process {pid} was expected to end at SIGKILL, but is still there.")


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _dotted(release: tuple[int, ...]) -> str:
    return ".".join(map(str, release))


def _tail(path: Path, size: int = 8192) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def _first_exception(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("Logging ")]
    last = lines[-1] if lines else "no output."
    return next((line for line in lines if "Exception" in line or "Error" in line), last)
