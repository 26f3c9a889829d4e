"""A real Docker Engine for the tests of this folder, and a small compose project that stands for a server."""

from __future__ import annotations

import os
import shutil
import subprocess
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plays import ROOT, free_port

# Answers /ping on both ports as ClickHouse does on the HTTP one; writes a table into its data folder at start.
SERVER = """
import pathlib, socketserver, sys, threading
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(1000)
        self.request.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nOk.\\n")
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
tables = pathlib.Path("/var/lib/clickhouse/metadata/shop")
tables.mkdir(parents=True, exist_ok=True)
(tables / sys.argv[2]).touch()
for port in (8123, 9000):
    threading.Thread(target=Server((sys.argv[1], port), Handler).serve_forever).start()
"""

COMPOSE = """
name: {name}
services:
  server:
    image: {image}
    container_name: {name}-server
    init: true
    stop_grace_period: 1s
    command: [python, /server.py, "{listen}", "${{TABLE:-one.sql}}"]
    ports: ["127.0.0.1:{http}:8123", "127.0.0.1:{native}:9000"]
    volumes: ["{store}:/var/lib/clickhouse", "./server.py:/server.py:ro"]
{volumes}
"""


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.docker)


def docker(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="session")
def engine_of_docker() -> str:
    """Skips where no engine answers; the engine's version otherwise."""
    done = subprocess.run([str(ROOT / ".ci/docker-engine"), "status"], capture_output=True, text=True, check=False)
    if done.returncode:
        # A skipped scenario in CI would be a failure that nobody sees.
        refuse = pytest.fail if os.environ.get("CI") else pytest.skip
        refuse(f"no Docker Engine with Compose and Buildx: {done.stderr.strip()}")
    return docker("version", "--format", "{{.Server.Version}}").strip()


@pytest.fixture(scope="session")
def base_image(engine_of_docker) -> str:
    """An image with Python and a shell: the one of the surroundings, else made locally."""
    if os.environ.get("BASE_IMAGE"):
        return os.environ["BASE_IMAGE"]
    done = subprocess.run([str(ROOT / ".ci/base-image")], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="session")
def server_image(base_image) -> str:
    """A ClickHouse image: the one of the surroundings, else the stand-in with the real engine."""
    if os.environ.get("CLICKHOUSE_IMAGE"):
        return os.environ["CLICKHOUSE_IMAGE"]
    image = "local/ch-zakaz:embedded"
    docker(
        "build",
        "--quiet",
        "--build-arg",
        f"BASE_IMAGE={base_image}",
        "--file",
        str(ROOT / "embedded/Dockerfile"),
        "--tag",
        image,
        str(ROOT),
    )
    return image


class ComposeFolder:
    """A compose project in a folder of its own, with free ports and unique names."""

    def __init__(self, folder: Path, image: str) -> None:
        self.folder = folder
        self.image = image
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self.container = f"{self.name}-server"
        self.network = f"{self.name}_default"
        self.http, self.native = free_port(), free_port()
        (folder / "server.py").write_text(SERVER)
        self.write()

    def write(self, *, listen: str = "0.0.0.0", store: str = "./data", volumes: str = "") -> None:
        text = COMPOSE.format(listen=listen, store=store, volumes=volumes, **vars(self))
        (self.folder / "docker-compose.yml").write_text(textwrap.dedent(text))

    def compose(self, *arguments: str) -> str:
        return docker("compose", "--project-directory", str(self.folder), *arguments)


@pytest.fixture
def project(tmp_path, base_image) -> Iterator[ComposeFolder]:
    """A project that is not up yet; taken down with its volumes afterwards."""
    place = tmp_path / "project"
    place.mkdir()
    made = ComposeFolder(place, base_image)
    yield made
    made.write()
    made.compose("down", "--volumes", "--remove-orphans", "--timeout", "1")
    for volume in docker("volume", "ls", "--filter", f"name={made.name}", "--format", "{{.Name}}").split():
        docker("volume", "rm", volume)
    shutil.rmtree(place, ignore_errors=True)
