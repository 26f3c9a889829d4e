"""Run the ingest as a process: its log in a file, a time limit for its whole process group, what its end means."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from .control_node import not_written
from .facts.log import read_client_log
from .guard import MARK
from .masking import Masker, secret_values

# What a program needs of its surroundings; the rest of the controller's environment would not be there in a container.
_INHERITED = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "LD_LIBRARY_PATH",
)
_MAX_LINE = 256 << 10
# A client that prints in a circle must not fill the disk: past the limit only the last lines are kept.
_LOG_LIMIT = 1 << 30
_LOG_TAIL = 1 << 20
# How long children of an ended ingest may go on writing into its log.
_DRAIN_SECONDS = 2.0
_POLL_SECONDS = 0.1


class ProcessError(Exception):
    """The ingest could not even be tried: no such working folder, a log file that cannot be written, a bad command."""


@dataclass
class ProcessResult:
    """How one execution ended.

    `exit_code` is as a shell and Docker count it: 128 + n for signal n, 127 no such command, 126 not executable.
    `started` and `ended` are this host's clock, UTC. `oom_killed` is false when not known.
    """

    exit_code: int
    signal: str | None
    timed_out: bool
    oom_killed: bool
    duration_seconds: float
    started: str
    ended: str
    log_file: str
    log_bytes: int
    outcome: dict[str, Any] | None
    explained: str
    # A finding without its stage: part of the log could not be written.
    not_written: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON-ready data."""
        return asdict(self)


def split_command(command: str | Sequence[str]) -> list[str]:
    """The command as a list of words; a string is split as a shell would, without its expansions.

    Raises ProcessError for an empty or unbalanced command.
    """
    try:
        words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
    except ValueError as error:
        raise ProcessError(f"The command {command!r} cannot be split into words: {error}") from None
    if not words or not words[0]:
        raise ProcessError("The command is empty: name the program that loads the data.")
    return words


def run_process(
    command: str | Sequence[str],
    *,
    log_file: str | os.PathLike[str],
    environment: Mapping[str, str] | None = None,
    chdir: str | None = None,
    timeout_seconds: float,
    grace_seconds: float = 10,
    secrets: Sequence[str] = (),
    owner: str = "",
) -> ProcessResult:
    """Run the command to its end or its time limit. `owner` marks it as a run's own (`guard.Owner.text`).

    Its stdout and stderr go into `log_file` (mode 0600) line by line as they come, with secrets masked: values of
    secret-named variables, `secrets`, and what looks like one.

    At the time limit the whole process group gets SIGTERM, after `grace_seconds` SIGKILL. A failing command is a result
    and not an error; raises ProcessError only when it could not be tried.
    """
    words = split_command(command)
    if chdir is not None and not os.path.isdir(chdir):
        raise ProcessError(f"The working folder {chdir} does not exist: check the path.")
    given = {key: str(value) for key, value in (environment or {}).items()}
    masker = Masker([*secrets, *secret_values(given)])
    base = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    # Without it Python keeps its last lines in a buffer, which dies with the process.
    env = {**base, "PYTHONUNBUFFERED": "1", **given, **({MARK: owner} if owner else {})}
    try:
        log = _LogCopy(Path(log_file), masker)
    except OSError as error:
        raise ProcessError(f"The log file {log_file} cannot be written ({error.strerror}): check its folder.") from None
    started, clock, kills = datetime.now(UTC), time.monotonic(), _oom_kills()
    with log:
        code, timed_out = _run(words, env, chdir, log, clock + timeout_seconds, grace_seconds)
    ended = datetime.now(UTC)
    number = code - 128 if code > 128 else 0
    oom_killed = number == signal.SIGKILL and not timed_out and _oom_kills() > kills
    return ProcessResult(
        exit_code=code,
        signal=signal_name(number),
        timed_out=timed_out,
        oom_killed=oom_killed,
        duration_seconds=round(time.monotonic() - clock, 3),
        started=started.isoformat(timespec="milliseconds"),
        ended=ended.isoformat(timespec="milliseconds"),
        log_file=str(log_file),
        log_bytes=log.written,
        outcome=read_client_log(log_file, captured=True).outcome,
        explained=explain_exit(code, timed_out=timed_out, oom_killed=oom_killed, timeout_seconds=timeout_seconds),
        not_written=not_written(Path(log_file), log.error) if log.error else None,
    )


# SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV: what a process does to itself.
CRASHES = (132, 133, 134, 135, 136, 139)


def explain_exit(
    exit_code: int | None,
    *,
    timed_out: bool,
    oom_killed: bool,
    error: str = "",
    timeout_seconds: float = 0,
    memory: str = "",
    container: bool = False,
) -> str:
    """What the end of a process or a container means, in one sentence; exit codes as a shell and `docker run` give
    them. `error` is what Docker said, `memory` the limit as it takes it."""
    known = {
        0: "It ended with exit code 0.",
        125: f"Docker could not run it (exit code 125): {error}",
        126: f"Its command is there but cannot be executed (exit code 126): {error or 'is it executable?'}",
        127: f"Its command does not exist{' in the image' if container else ''} (exit code 127): "
        f"{error or 'is the command spelled right?'}",
    }
    limit = f"its limit{f' of {memory}' if memory else ''}" if container else "the host had"
    if timed_out:
        return f"It hung past its time limit of {timeout_seconds:g} s and was stopped."
    if exit_code is None:
        return f"Docker could not tell how it ended: {error or 'the container or the engine went away'}."
    if oom_killed and exit_code != 137:
        return f"A process in it was killed for memory: it needed more than {limit} (exit code {exit_code})."
    if oom_killed:
        return f"It was killed for memory (exit code {exit_code}): it needed more than {limit}."
    if exit_code in known and (container or exit_code != 125):
        return known[exit_code]
    name = signal_name(exit_code - 128) if exit_code > 128 else None
    if name is None:
        return f"It failed by itself with exit code {exit_code}."
    if exit_code in CRASHES:
        return f"Its process crashed ({name}, exit code {exit_code})."
    by = ", not for its own memory limit: docker kill, the engine or the host" if container and exit_code == 137 else ""
    return f"It was ended by {name} (exit code {exit_code}) from outside{by}."


def signal_name(number: int) -> str | None:
    """SIGTERM for 15; None for a number that is no signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return None


def _run(
    words: list[str], env: dict[str, str], chdir: str | None, log: _LogCopy, deadline: float, grace: float
) -> tuple[int, bool]:
    """(exit code, whether the time limit ended it)."""
    try:
        process = subprocess.Popen(
            words,
            env=env,
            cwd=chdir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        # The shell's own two codes, so that a process and a container tell the same story.
        missing = isinstance(error, FileNotFoundError)
        log.write(f"{words[0]}: {'command not found' if missing else f'cannot execute: {error.strerror}'}\n".encode())
        return (127 if missing else 126), False
    with _killed_with_us(process):
        timed_out = _stream(process, log, deadline, grace)
    code = process.wait()
    return (128 - code if code < 0 else code), timed_out


def _stream(process: subprocess.Popen[bytes], log: _LogCopy, deadline: float, grace: float) -> bool:
    """Copy output until the process and its pipe are done; whether the time limit was reached."""
    assert process.stdout is not None  # noqa: S101 - for the type checker
    pipe = process.stdout.fileno()
    os.set_blocking(pipe, False)
    timed_out, killed, ended, open_ = False, False, 0.0, True
    while open_ or process.poll() is None:
        now = time.monotonic()
        if not ended and process.poll() is not None:
            ended = now
        if ended and open_ and now > ended + _DRAIN_SECONDS:
            # Left-over children hold the pipe; the ingest itself has ended.
            break
        if not ended and now >= deadline:
            if not timed_out:
                timed_out, deadline = True, now + grace
                _signal_group(process, signal.SIGTERM)
            elif not killed:
                killed = True
                _signal_group(process, signal.SIGKILL)
        if open_:
            ready, _, _ = select.select([pipe], [], [], _POLL_SECONDS)
            if ready:
                with contextlib.suppress(BlockingIOError):
                    data = os.read(pipe, 1 << 16)
                    open_ = bool(data)
                    log.feed(data)
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_SECONDS)
    _signal_group(process, signal.SIGKILL)
    process.stdout.close()
    return timed_out


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    # The group outlives its leader as long as one child is left; its id is not given anew before that.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


@contextlib.contextmanager
def _killed_with_us(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """An aborted play must not leave a loader behind that goes on writing."""

    def stop(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    numbers = (signal.SIGTERM, signal.SIGHUP) if threading.current_thread() is threading.main_thread() else ()
    previous = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        if process.poll() is None:
            _signal_group(process, signal.SIGKILL)
            process.wait()
        for number, handler in previous.items():
            signal.signal(number, handler)


def append_log(log_file: Path, source: IO[bytes], secrets: Sequence[str]) -> None:
    """Put the rest of `source` behind what a log file holds, masked and limited as `run_process` does."""
    with _LogCopy(log_file, Masker(secrets), append=True) as log:
        while data := source.read(1 << 16):
            log.feed(data)


class _LogCopy:
    """The log file: whole lines, secrets masked; past _LOG_LIMIT bytes only the last _LOG_TAIL of the rest is kept."""

    def __init__(self, path: Path, masker: Masker, *, append: bool = False) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | (0 if append else os.O_TRUNC), 0o600)
        os.fchmod(descriptor, 0o600)
        self._stream = os.fdopen(descriptor, "wb")
        self._stream.seek(0, os.SEEK_END)
        self._masker = masker
        self._rest = b""
        # The last line as it came and as it was written: a secret may go on in the next one.
        self._last = self._last_masked = b""
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._left_out = 0
        self.written = 0
        # Why a part of it is missing.
        self.error: OSError | None = None

    def __enter__(self) -> _LogCopy:
        return self

    def __exit__(self, *_: object) -> None:
        if self._rest:
            self.write(self._rest)
        try:
            # Closing writes what is left, and fails as writing does.
            with self._stream:
                if self._left_out:
                    self._stream.write(b"[... %d bytes of the ingest's output left out ...]\n" % self._left_out)
                for line in self._tail:
                    self._stream.write(line)
        except OSError as error:
            self.error = self.error or error

    def feed(self, data: bytes) -> None:
        """A piece of output as it came."""
        lines, newline, rest = (self._rest + data).rpartition(b"\n")
        if newline:
            self.write(lines + newline)
        while len(rest) > _MAX_LINE:
            # Cut a runaway line where a word ends, so that no secret is cut into two unrecognised halves.
            cut = rest.rfind(b" ", 1, _MAX_LINE) + 1 or _MAX_LINE
            self.write(rest[:cut])
            rest = rest[cut:]
        self._rest = rest

    def write(self, lines: bytes) -> None:
        """Lines, masked together with the one before them."""
        raw = self._last + lines
        text = self._masker.text(raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        again = not text.startswith(self._last_masked)
        new = text if again else text[len(self._last_masked) :]
        if self.written < _LOG_LIMIT:
            try:
                if again:
                    self._stream.seek(-len(self._last_masked), os.SEEK_CUR)
                    self._stream.truncate()
                    self.written -= len(self._last_masked)
                self._stream.write(new)
                self._stream.flush()
                self.written += len(new)
            except OSError as error:
                # The disk is full: the ingest's end and its last lines still get told.
                self.error = self.error or error
                self._keep(new)
        else:
            for line in new.splitlines(keepends=True):
                self._keep(line)
        # Lines that became one mask are done with.
        one_to_one = raw.count(b"\n") == text.count(b"\n")
        self._last, self._last_masked = (_last_line(raw), _last_line(text)) if one_to_one else (b"", b"")

    def _keep(self, line: bytes) -> None:
        self._tail.append(line)
        self._tail_size += len(line)
        while self._tail_size > _LOG_TAIL and len(self._tail) > 1:
            dropped = len(self._tail.popleft())
            self._tail_size -= dropped
            self._left_out += dropped


def _last_line(lines: bytes) -> bytes:
    """The last line with its end; of a long one nothing, since a log's width breaks no secret there."""
    line = lines[lines.rfind(b"\n", 0, len(lines) - 1) + 1 :]
    return line if len(line) <= 4096 else b""


def _oom_kills() -> int:
    """Processes that the kernel has killed for memory since boot, 0 where it does not say (before Linux 4.13)."""
    try:
        text = Path("/proc/vmstat").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill ")), 0)
