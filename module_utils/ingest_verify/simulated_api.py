"""The simulated API as a process of its own, which outlives the call that starts it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .guard import MARK

_POLL_SECONDS = 0.02


class SimulatedApiError(Exception):
    """It did not start; the message says why."""


def _log_of(ready_file: Path) -> Path:
    return ready_file.with_suffix(".log")


def start(
    root: Path,
    port: int,
    ready_file: Path,
    token_file: Path,
    options: Mapping[str, Any],
    owner: str,
    seconds: int,
    wait_seconds: float = 30,
) -> dict[str, Any]:
    """Start `python -m simulator` of the project in `root` and wait until it listens; its url, port and pid.

    It ends by itself after `seconds`. The token goes by file: `ps` shows arguments and `/proc` the environment. `owner`
    marks it as a run's own, for `run_guard`. Raises SimulatedApiError.
    """
    command = [sys.executable, "-m", "simulator", f"--port={port}", f"--ready-file={ready_file}"]
    command += [f"--token-file={token_file}", f"--seconds={seconds}"]
    command += [f"--{name}={value}" for name, value in options.items()]
    log = _log_of(ready_file)
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command,
            cwd=root,
            env={**os.environ, MARK: owner},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + wait_seconds
    while not ready_file.exists():
        if process.poll() is not None:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            log.unlink()
            raise SimulatedApiError(said[-1] if said else f"it ended with exit code {process.returncode}")
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise SimulatedApiError(f"it did not listen on port {port} within {wait_seconds:g} s")
        time.sleep(_POLL_SECONDS)
    told: dict[str, Any] = json.loads(ready_file.read_text(encoding="utf-8"))
    return told


def stop(ready_file: Path) -> bool:
    """End the one that wrote `ready_file`; whether there was one.

    Nothing of the run needs it to be gone: it serves nobody any more, and its own alarm ends it at the latest.
    """
    try:
        pid = int(json.loads(ready_file.read_text(encoding="utf-8"))["pid"])
    except FileNotFoundError:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    # It would remove its file a moment later: the report lists what is in the folder.
    for path in (ready_file, _log_of(ready_file)):
        path.unlink(missing_ok=True)
    return True
