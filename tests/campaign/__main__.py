"""`python -m tests.campaign`: kills at random moments, on the embedded engine, bind mounts and named volumes.

Each round: production's table is in place; a reset is killed with all its children at a random moment; every third
time a restore is killed too, every fourth time the next run's reset comes in between. Then the restore, as
`playbooks/restore.yml` calls it, must bring back every row. Needs a Docker Engine for all but the embedded engine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clickhouse_driver import Client

from tests.plays import ROOT, free_port

ROWS = 200_000
PASSWORD = "pw"
KINDS = ("embedded", "bind", "volume")
COMPOSE = """\
name: {name}
services:
  clickhouse:
    image: {image}
    container_name: {name}-server
    environment: {{CLICKHOUSE_USER: admin, CLICKHOUSE_PASSWORD: {password}}}
    stop_grace_period: 10s
    ports: ["127.0.0.1:{http}:8123", "127.0.0.1:{native}:9000"]
    volumes: ["{data}:/var/lib/clickhouse", "{log}:/var/log/clickhouse-server"]
{volumes}
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--kinds", default=",".join(KINDS), help="comma-separated (default: all)")
    parser.add_argument("--kills", type=int, default=30, help="rounds for each kind (default: 30)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the random moments (default: the time)")
    given = parser.parse_args()
    moments = random.Random(given.seed)
    print(f"seed {given.seed}")
    lost = 0
    for kind in given.kinds.split(","):
        with tempfile.TemporaryDirectory(prefix="campaign.") as folder, place(kind, Path(folder)) as site:
            lost += campaign(site, given.kills, moments)
    return 1 if lost else 0


def campaign(site: dict[str, Any], rounds: int, moments: random.Random) -> int:
    """Rows that were lost, of all rounds; prints one line with the figures."""
    produce(site)
    before = checksum(site)
    lengths = {}
    for what in ("reset", "restore"):
        begun = time.monotonic()
        run(site, what)
        lengths[what] = time.monotonic() - begun
    states: Counter[str] = Counter()
    kills = lost = 0
    for number in range(rounds):
        kills += killed(site, "reset", moments.uniform(0, lengths["reset"]))
        states[state(site)] += 1
        if number % 4 == 3:
            run(site, "reset")
        if number % 3 == 2:
            kills += killed(site, "restore", moments.uniform(0, lengths["restore"]))
            states[state(site)] += 1
        said = run(site, "restore")
        found = checksum(site)
        if found != before:
            lost += max(1, before[0] - found[0])
            print(f"{site['kind']}, round {number}: expected {before}, found {found}; the restore said: {said}")
            break
        run(site, "clean")
    seen = ", ".join(f"{name} {count}" for name, count in sorted(states.items()))
    print(f"{site['kind']}: {kills} kills in {rounds} rounds; left behind: {seen}; lost rows: {lost}", flush=True)
    return lost


def start(site: dict[str, Any], what: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _AS_A_PLUGIN, what, site["file"]],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


# The project's module_utils stand where Ansible would put them.
_AS_A_PLUGIN = """
import sys, runpy
from ansible import module_utils
module_utils.__path__.append("module_utils")
runpy.run_module("tests.campaign.worker", run_name="__main__")
"""


def run(site: dict[str, Any], what: str) -> str:
    """To its end; fails with what it said."""
    process = start(site, what)
    said, _ = process.communicate(timeout=300)
    if process.returncode:
        raise SystemExit(f"{site['kind']}: {what} failed:\n{said[-3000:]}")
    return said.strip()


def killed(site: dict[str, Any], what: str, after: float) -> int:
    """SIGKILL with all children after so many seconds; 0 when it had ended by then."""
    process = start(site, what)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after)
    running = process.poll() is None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    return int(running)


def state(site: dict[str, Any]) -> str:
    """What the journal says of the newest move, as a person would."""
    moves = sorted((Path(site["journal"]) / "moves").glob("*.json"))
    if not moves:
        return "in place"
    return str(json.loads(moves[-1].read_text(encoding="utf-8"))["state"])


def client(site: dict[str, Any]) -> Client:
    return Client("127.0.0.1", port=site["native"], user="admin", password=PASSWORD, client_name="production")


def produce(site: dict[str, Any]) -> None:
    run(site, "reset")
    (Path(site["journal"]) / "made.json").unlink(missing_ok=True)
    connection = client(site)
    connection.execute("CREATE DATABASE shop")
    connection.execute("CREATE TABLE shop.sales (id UInt64, text String) ENGINE = MergeTree ORDER BY id")
    connection.execute(f"INSERT INTO shop.sales SELECT number, toString(cityHash64(number)) FROM numbers({ROWS})")
    connection.disconnect()


def checksum(site: dict[str, Any]) -> tuple[int, int]:
    """(rows, checksum) of production's table; zeros where it is not there."""
    connection = client(site)
    try:
        return connection.execute("SELECT count(), sum(cityHash64(*)) FROM shop.sales")[0]  # type: ignore[no-any-return]
    except Exception as error:  # noqa: BLE001 - whatever it is, the rows are not there
        print(f"{site['kind']}: {str(error)[:200]}")
        return 0, 0
    finally:
        connection.disconnect()


@contextlib.contextmanager
def place(kind: str, folder: Path) -> Iterator[dict[str, Any]]:
    """A server of the campaign's own, gone afterwards."""
    name = f"campaign{uuid.uuid4().hex[:6]}"
    home = folder / "server"
    home.mkdir()
    site: dict[str, Any] = {
        "kind": kind,
        "folder": str(home),
        "http": free_port(),
        "native": free_port(),
        "container": f"{name}-server",
        "network": f"{name}_default",
        "file": str(folder / "site.json"),
        "journal": str(home / ".ingest-verify"),
    }
    Path(site["file"]).write_text(json.dumps(site), encoding="utf-8")
    if kind == "embedded":
        try:
            yield site
        finally:
            subprocess.run(
                [sys.executable, "-m", "embedded", "stop", "--dir", str(home)],
                cwd=ROOT,
                check=False,
                capture_output=True,
            )
        return
    image = os.environ.get("CLICKHOUSE_IMAGE", "local/ch-zakaz:embedded")
    mounts = {"data": "./data", "log": "./log"} if kind == "bind" else {"data": "data", "log": "log"}
    volumes = "" if kind == "bind" else "volumes: {data: , log: }"
    text = COMPOSE.format(name=name, image=image, password=PASSWORD, volumes=volumes, **mounts, **site)
    (home / "docker-compose.yml").write_text(text, encoding="utf-8")
    try:
        yield site
    finally:
        down = ["docker", "compose", "--project-directory", str(home), "down", "--volumes", "--timeout", "1"]
        subprocess.run(down, check=False, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
