"""``python -m simulator``: options, listening socket, ready file."""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from simulator.account import Account, parse_time
from simulator.app import BASE, Simulator
from simulator.faults import FaultError

SHAPES = ("documented", "meta", "pagination", "none")


def number(least: int, most: int) -> Callable[[str], int]:
    """An argparse type: an integer between two limits."""

    def integer(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be between {least} and {most}, found {value}")
        return value

    return integer


def hours(text: str) -> float:
    """An argparse type: a positive number of hours."""
    value = float(text)
    if not 0 < value < 24 * 366:
        raise argparse.ArgumentTypeError(f"must be more than 0 and less than a year, found {text}")
    return value


def shape(text: str) -> str:
    """An argparse type: argparse checks ``choices`` only on the command line, not in defaults from the environment."""
    if text not in SHAPES:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(SHAPES)}, found {text!r}")
    return text


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options from the command line, else from ``SIMULATOR_<NAME>``, else the default."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="A Qtickets REST API for tests and local runs. The token comes from SIMULATOR_TOKEN; "
        "each option may also come from SIMULATOR_<NAME>.",
    )

    def add(name: str, kind: Callable[[str], Any], default: str, text: str) -> None:
        variable = "SIMULATOR_" + name.upper().replace("-", "_")
        value = os.environ.get(variable) or default or None
        parser.add_argument("--" + name, type=kind, default=value, help=f"{text} (default: {default or 'none'})")

    add("host", str, "127.0.0.1", "address to listen on")
    add("port", number(0, 65535), "0", "port; 0 takes a free one")
    add("seed", int, "42", "same seed and scale, same data")
    add("events", number(1, 10_000), "6", "live events")
    add("orders", number(0, 5_000_000), "240", "orders in the window")
    add("hours", hours, "24", "length of the window")
    add("hall-seats", number(0, 20_000), "120", "numbered seats per hall")
    add("paging", shape, "documented", "shape of the paging information: " + ", ".join(SHAPES))
    add("page-size", number(1, 200), "50", "records per page when the request does not say")
    add("now", parse_time, "", "end of the window, ISO 8601 (default: the time of the start)")
    add("ready-file", Path, "", "file that gets the address once the simulator listens")
    add("pid-file", Path, "", "file that gets the process id")
    add("seconds", number(0, 366 * 86400), "0", "time after which it ends by itself; 0 never")
    parser.add_argument("--token-file", type=Path, help="read the token from this file instead of SIMULATOR_TOKEN")
    parser.add_argument(
        "--prebuilt",
        action="store_true",
        default=os.environ.get("SIMULATOR_PREBUILT", "").lower() in ("1", "true", "yes"),
        help="serialize all orders before listening, without rarely read fields",
    )
    return parser.parse_args(arguments)


def write_atomically(path: Path, text: str) -> None:
    """A reader sees the whole file or none."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


class Server(uvicorn.Server):
    """Announces the address as soon as it listens."""

    announce: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.announce()


def fail(text: str) -> int:
    """One sentence, and the exit status for a wrong start."""
    print(f"simulator: {text}", file=sys.stderr)
    return 2


def main() -> int:
    """Run until SIGTERM or SIGINT; 0 after a clean end, 2 when it cannot start."""
    given = options()
    try:
        token = given.token_file.read_text().strip() if given.token_file else os.environ.get("SIMULATOR_TOKEN", "")
    except OSError as error:
        return fail(f"the token file {given.token_file} cannot be read: {error.strerror}")
    if not token:
        return fail("SIMULATOR_TOKEN is not set; set it to the token that requests must carry")
    family = socket.AF_INET6 if ":" in given.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((given.host, given.port))
        listener.listen(256)
    except OSError as problem:
        where = f"{given.host}:{given.port}"
        return fail(
            f"cannot listen on {where}: {problem.strerror}; choose another --port (0 takes a free one) or --host"
        )
    if given.ready_file:  # one left by a killed simulator would point to nobody
        given.ready_file.unlink(missing_ok=True)
    gc.disable()  # millions of objects that all stay: collecting among them would only cost time
    now = int(time.time()) if given.now is None else given.now
    account = Account(
        given.seed, given.events, given.orders, given.hours, now, hall_seats=given.hall_seats, lean=given.prebuilt
    )
    try:
        simulator = Simulator(account, token, given.paging, given.page_size, os.environ.get("SIMULATOR_FAULTS", ""))
    except FaultError as problem:
        return fail(f"SIMULATOR_FAULTS: {problem}")
    if given.prebuilt:
        account.prebuild()
    gc.freeze()
    gc.enable()

    port = listener.getsockname()[1]
    host = f"[{given.host}]" if family == socket.AF_INET6 else given.host
    ready = json.dumps({"url": f"http://{host}:{port}{BASE}", "port": port, "pid": os.getpid()})

    def announce() -> None:
        if given.pid_file:
            write_atomically(given.pid_file, f"{os.getpid()}\n")
        if given.ready_file:
            write_atomically(given.ready_file, ready + "\n")
        print(ready, flush=True)

    app = simulator.application()
    server = Server(
        uvicorn.Config(app, lifespan="off", log_level="error", access_log=False, timeout_graceful_shutdown=1)
    )
    server.announce = announce
    # uvicorn raises the signal again once it has shut down; with its default action that would look like a crash.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: None)
    signal.signal(signal.SIGALRM, lambda *_: setattr(server, "should_exit", True))
    signal.alarm(given.seconds)
    try:
        server.run(sockets=[listener])
    finally:
        for path in (given.pid_file, given.ready_file):
            if path:
                path.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
