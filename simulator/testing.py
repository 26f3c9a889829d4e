"""Start the simulator as a process of its own, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Running:
    """A simulator that listens: ``url`` is the API's base, ``token`` what requests must carry."""

    url: str
    port: int
    token: str
    process: subprocess.Popen[bytes]

    def admin(self, method: str, path: str, json: Any = None, **parameters: str) -> Any:
        """Call ``/_admin/<path>`` and decode the answer.

        :raises httpx.HTTPStatusError: refused; the message carries the reason
        """
        address = f"http://127.0.0.1:{self.port}/_admin/{path.removeprefix('/_admin').lstrip('/')}"
        response = httpx.request(method, address, json=json, params=parameters, timeout=120, trust_env=False)
        if response.is_error:
            raise httpx.HTTPStatusError(response.text, request=response.request, response=response)
        return response.json()

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        """GET below the API's base with the token; values other than text are sent as JSON."""
        encoded = {k: v if isinstance(v, str) else json.dumps(v) for k, v in parameters.items()}
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        return httpx.get(self.url + path, params=encoded, headers=headers, timeout=60, trust_env=False)

    def faults(self, rules: list[dict[str, Any]]) -> None:
        """Replace the fault rules; an empty list heals everything."""
        self.admin("POST", "faults", rules)

    def truth(self, start: str | None = None, end: str | None = None) -> dict[str, Any]:
        """What a correct loader ends up with for ``start <= payed_at < end`` (ISO 8601; default: the window)."""
        window = {"from": start, "to": end}
        answer: dict[str, Any] = self.admin("GET", "truth", **{k: v for k, v in window.items() if v is not None})
        return answer

    def requests(self) -> list[dict[str, Any]]:
        """The log of API requests, oldest first."""
        entries: list[dict[str, Any]] = self.admin("GET", "requests")["requests"]
        return entries

    def stop(self, timeout: float = 10) -> int:
        """SIGTERM, wait, and give the exit status; may be called again."""
        self.process.terminate()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@contextlib.contextmanager
def start_simulator(
    tmp_path: Path,
    *,
    token: str | None = None,
    faults: list[dict[str, Any]] | None = None,
    timeout: float = 60,
    **options: Any,
) -> Iterator[Running]:
    """Run ``python -m simulator`` until the block ends.

    :param tmp_path: folder for the ready file and the process's error output
    :param token: default: a fresh one
    :param faults: fault rules from the start
    :param timeout: seconds to wait until it listens
    :param options: the command line's options, such as ``orders=1000``, ``page_size=20``, ``prebuilt=True``
    :raises RuntimeError: it ended or did not listen in time; the text carries its error output
    """
    token = token or secrets.token_hex(16)
    ready, errors = tmp_path / f"simulator-{secrets.token_hex(4)}.json", tmp_path / "simulator.stderr"
    command = [sys.executable, "-m", "simulator", "--ready-file", str(ready)]
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        command += [flag] if value is True else [] if value is False or value is None else [flag, str(value)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SIMULATOR_")}
    environment |= {"SIMULATOR_TOKEN": token, "SIMULATOR_FAULTS": json.dumps(faults or [])}
    with errors.open("wb") as stderr:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=stderr)
    running = None
    try:
        deadline = time.monotonic() + timeout
        while not ready.exists():
            if process.poll() is not None:
                raise RuntimeError(f"the simulator ended with {process.returncode}: {errors.read_text()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the simulator did not listen within {timeout} s: {errors.read_text()}")
            time.sleep(0.02)
        address = json.loads(ready.read_text())
        running = Running(address["url"], address["port"], token, process)
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
