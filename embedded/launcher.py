"""Start, stop and watch one embedded engine per folder."""

from __future__ import annotations

import contextlib
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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from embedded import process
from embedded.config import Layout, Options, User, render_config, render_users
from embedded.errors import EmbeddedError

OLDEST_ENGINE = (26, 7)  # chdb-core 26.5 has no SYSTEM START LISTEN
PACKAGE = "chdb-core"
# Below Linux's default range of ephemeral ports (32768-60999), from which outgoing connections take theirs: a port that was
# free stays free between two starts.
_AUTOMATIC_PORTS = range(12000, 32000)
_PORT_ATTEMPTS = 20
_FREE_BYTES_NEEDED = 64 * 1024 * 1024
_POLL_SECONDS = 0.02


class Launcher:
    """One engine in one folder. Every method returns the object that the command line prints.

    Args:
        layout: where the engine's files are.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def status(self) -> dict[str, Any]:
        """Never changes anything and never fails for a folder that does not exist: that engine is stopped."""
        state = self._running_state()
        if state is None:
            return self._report("stopped", changed=False)
        return self._report("running", changed=False, state=state)

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
            if state is not None:
                return self._report("running", changed=False, state=state)
            options = self.prepare(options, users)
            fresh = self._seed_data()
            arguments = [*self.engine_command(options), "--daemon-log", str(self.layout.engine_output)]
            child = subprocess.run(arguments, capture_output=True, text=True, check=False)
            if child.returncode or not child.stdout.strip().isdigit():
                raise EmbeddedError("start_failed", f"The engine's process could not be made: {child.stderr.strip()}")
            state = self._write_state(int(child.stdout), options)
            self._wait_until_answering(state, wait)
            return self._report("running", changed=True, state=state) | {"fresh": fresh}

    def stop(self, *, wait: float = 30.0) -> dict[str, Any]:
        """SIGTERM, so that the engine flushes its logs; SIGKILL after ``wait`` seconds, reported as ``killed``."""
        if not self.layout.conf.is_dir():
            return self._report("stopped", changed=False)
        with self._lock():
            state = self._running_state()
            if state is None:
                return self._report("stopped", changed=False)
            killed = not _end(state["pid"], state["start_ticks"], wait)
            self.layout.state.unlink(missing_ok=True)
            return self._report("stopped", changed=True) | {"killed": killed}

    def restart(self, options: Options, users: Sequence[User] | None = None, *, wait: float = 30.0) -> dict[str, Any]:
        self.stop(wait=wait)
        return self.start(options, users, wait=wait)

    def run(self, options: Options, users: Sequence[User] | None = None) -> None:
        """Become the engine, in the foreground; does not return."""
        with self._lock():
            state = self._running_state()
            if state is not None:
                raise EmbeddedError(
                    "already_running",
                    f"An engine already runs in {self.layout.conf} (pid {state['pid']}); stop it before `run`.",
                )
            options = self.prepare(options, users)
            self._seed_data()
            self._write_state(os.getpid(), options)
        command = self.engine_command(options)
        os.execv(command[0], command)  # noqa: S606

    def prepare(self, options: Options, users: Sequence[User] | None) -> Options:
        """Check everything that can be known before the engine starts, then write its configuration."""
        version = installed_version(options.engine_path)
        self._make_folders()
        self._check_data_version(version)
        options = self._choose_ports(options)
        _write(self.layout.options, options.to_json())
        _write(self.layout.config_xml, render_config(self.layout, options))
        if users is not None or not self.layout.users_xml.exists():
            _write(self.layout.users_xml, render_users(users or ()))
        return options

    def engine_command(self, options: Options) -> list[str]:
        layout = self.layout
        command = [sys.executable, "-I", str(Path(__file__).with_name("engine.py"))]
        command += ["--conf-dir", str(layout.conf), "--data-dir", str(layout.data)]
        command += ["--version-file", str(layout.version_file)]
        return command + (["--engine-path", options.engine_path] if options.engine_path else [])

    def _make_folders(self) -> None:
        layout = self.layout
        try:
            for folder in (
                layout.conf,
                layout.conf / "config.d",
                layout.conf / "users.d",
                layout.data,
                layout.log,
                layout.run,
            ):
                folder.mkdir(mode=0o750, parents=True, exist_ok=True)
                if not os.access(folder, os.W_OK | os.X_OK) and folder.name not in ("config.d", "users.d"):
                    raise PermissionError(13, "Permission denied", str(folder))
        except OSError as error:
            raise EmbeddedError(
                "not_writable",
                f"The engine needs to write in {layout.conf}, but found: {error.strerror} ({error.filename}). "
                "Give the folder to the user that runs this, or choose another with --dir.",
            ) from error
        free = shutil.disk_usage(layout.data).free
        if free < _FREE_BYTES_NEEDED:
            raise EmbeddedError(
                "disk_full",
                f"The engine needs at least {_FREE_BYTES_NEEDED >> 20} MiB free at {layout.data}, but found {free >> 20} MiB. "
                "Free some space, or choose another folder with --dir.",
            )

    def _check_data_version(self, version: str) -> None:
        try:
            written_by = self.layout.version_file.read_text().strip()
        except FileNotFoundError:
            return
        if _release(written_by) > _release(version):
            raise EmbeddedError(
                "newer_data",
                f"The data in {self.layout.data} were last opened by engine {written_by}, but {PACKAGE} {version} is installed, "
                f"and an older engine may not read them. Install '{PACKAGE}>={'.'.join(map(str, _release(written_by)))}', "
                "or move the folder aside and start fresh.",
            )

    def _choose_ports(self, options: Options) -> Options:
        chosen: dict[str, int] = {}
        for name in ("http_port", "tcp_port"):
            port = getattr(options, name)
            if port:
                if not process.port_is_free(options.host, port):
                    raise port_taken(options.host, port, name)
                chosen[name] = port
                continue
            for _ in range(_PORT_ATTEMPTS):
                port = random.choice(_AUTOMATIC_PORTS)  # noqa: S311 - not a secret
                if port not in chosen.values() and process.port_is_free(options.host, port):
                    chosen[name] = port
                    break
            else:
                raise EmbeddedError(
                    "port_taken", f"No free port found on {options.host} after {_PORT_ATTEMPTS} attempts."
                )
        return options.changed(**chosen)

    def _seed_data(self) -> bool:
        """Make the ``system`` database one on disk; returns whether the data folder was empty before.

        By default it lives in memory and query_log is lost at a restart. Only the absence of the file counts: a folder from
        a server has it already.
        """
        metadata = self.layout.data / "metadata"
        fresh = not metadata.is_dir()
        metadata.mkdir(parents=True, exist_ok=True)
        system_sql = metadata / "system.sql"
        if not system_sql.exists():
            _write(system_sql, f"ATTACH DATABASE _ UUID '{uuid.uuid4()}' ENGINE = Atomic\n")
        return fresh

    def _wait_until_answering(self, state: dict[str, Any], wait: float) -> None:
        deadline = time.monotonic() + wait
        while not answers(state["host"], state["http_port"], state["tcp_port"]):
            if process.start_ticks(state["pid"]) != state["start_ticks"]:
                self.layout.state.unlink(missing_ok=True)
                raise self._start_failure(state)
            if time.monotonic() > deadline:
                _end(state["pid"], state["start_ticks"], 5.0)
                self.layout.state.unlink(missing_ok=True)
                raise EmbeddedError(
                    "timeout",
                    f"The engine did not answer on {state['host']}:{state['http_port']} and :{state['tcp_port']} within "
                    f"{wait:g} s and was ended. See {self.layout.engine_output} and {self.layout.error_log}.",
                )
            time.sleep(_POLL_SECONDS)

    def _start_failure(self, state: dict[str, Any]) -> EmbeddedError:
        text = _tail(self.layout.engine_output)
        for name in ("http_port", "tcp_port"):
            if "Address already in use" in text and not process.port_is_free(state["host"], state[name]):
                return port_taken(state["host"], state[name], name)
        return EmbeddedError(
            "start_failed",
            f"The engine ended while it started: {_first_exception(text)} See {self.layout.engine_output}.",
        )

    def _write_state(self, pid: int, options: Options) -> dict[str, Any]:
        state = {
            "pid": pid,
            "start_ticks": process.start_ticks(pid),
            "boot_id": process.boot_id(),
            "started_at": time.time(),
            "host": options.host,
            "http_port": options.http_port,
            "tcp_port": options.tcp_port,
        }
        _write(self.layout.state, json.dumps(state, indent=2) + "\n")
        _write(self.layout.run / "engine.pid", f"{pid}\n")
        return state

    def _running_state(self) -> dict[str, Any] | None:
        """The state file's content if it speaks of a live process; pids are reused, so start time and boot must agree."""
        try:
            state: dict[str, Any] = json.loads(self.layout.state.read_text())
        except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
            return None
        same_boot = state["boot_id"] == process.boot_id()
        return state if same_boot and process.start_ticks(state["pid"]) == state["start_ticks"] else None

    def _report(self, word: str, *, changed: bool, state: dict[str, Any] | None = None) -> dict[str, Any]:
        layout = self.layout
        report: dict[str, Any] = {"state": word, "changed": changed, "fresh": False}
        report |= {name: (state or {}).get(name) for name in ("pid", "host", "http_port", "tcp_port")}
        report["version"] = layout.version_file.read_text().strip() if layout.version_file.exists() else None
        report["data_dir"] = str(layout.data)
        report["log_file"] = str(layout.server_log)
        report["config_changed_since_start"] = bool(state) and self._config_changed(
            state["started_at"] if state else 0.0
        )
        return report

    def _config_changed(self, started_at: float) -> bool:
        folders = [self.layout.conf / "config.d", self.layout.conf / "users.d"]
        watched = [self.layout.users_xml, *folders, *self.layout.drop_ins()]
        return any(path.stat().st_mtime > started_at for path in watched if path.exists())

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One command at a time per folder."""
        try:
            self.layout.conf.mkdir(mode=0o750, parents=True, exist_ok=True)
            lock = os.open(self.layout.conf / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise EmbeddedError(
                "not_writable",
                f"The engine needs to write in {self.layout.conf}, but found: {error.strerror}. "
                "Give the folder to the user that runs this, or choose another with --dir.",
            ) from error
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
    install = f"{sys.executable} -m pip install '{PACKAGE}>={'.'.join(map(str, OLDEST_ENGINE))}'"
    install += f" --target {engine_path}" if engine_path else ""
    found = next(
        iter(importlib.metadata.distributions(name=PACKAGE, path=[engine_path] if engine_path else sys.path)), None
    )
    if found is None:
        raise EmbeddedError(
            "engine_missing",
            f"The Python package {PACKAGE} was expected in {engine_path or sys.executable} and is not there. Run: {install}",
        )
    if _release(found.version) < OLDEST_ENGINE:
        raise EmbeddedError(
            "engine_too_old",
            f"{PACKAGE} {'.'.join(map(str, OLDEST_ENGINE))} or newer was expected, because older ones cannot listen on a port; "
            f"found {found.version}. Run: {install}",
        )
    return found.version


def port_taken(host: str, port: int, name: str) -> EmbeddedError:
    return EmbeddedError(
        "port_taken",
        f"Port {port} on {host} was expected to be free ({name}), but {process.port_holder(port)} has it. "
        f"Stop that process, or choose another port with --{name.replace('_', '-')} (0 picks a free one).",
    )


def answers(host: str, http_port: int, tcp_port: int) -> bool:
    """Whether both interfaces answer. /ping and a bare connection leave no trace in the log tables."""
    probe_host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
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
    raise EmbeddedError("stop_failed", f"Process {pid} was expected to end after SIGKILL, but is still there.")


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _write(path: Path, text: str) -> None:
    """Atomic, and readable for the owner only: users.xml holds password hashes."""
    temporary = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


def _tail(path: Path, size: int = 8192) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def _first_exception(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("Logging ")]
    return next(
        (line for line in lines if "Exception" in line or "Error" in line), lines[-1] if lines else "no output."
    )
