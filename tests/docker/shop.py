"""The foreign project of tests/foreign/ in a folder, with names, ports and passwords of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from clickhouse_driver import Client

from tests.docker.conftest import docker
from tests.plays import ROOT, Played, Site, free_port

FOREIGN = ROOT / "tests/foreign"


class Shop(Site):
    """A site of another team: the document's inventory, and by variables what differs on this machine."""

    def __init__(self, folder: Path, server_image: str, base_image: str) -> None:
        super().__init__(folder)
        self.name = f"shop{uuid.uuid4().hex[:6]}"
        for part in ("stack", "loader"):
            shutil.copytree(FOREIGN / part, folder / part)
        shutil.copy(FOREIGN / "schema.sql", folder)
        self.passwords = {"SHOP_OWNER_PASSWORD": uuid.uuid4().hex, "SHOP_LOADER_PASSWORD": uuid.uuid4().hex}
        self.http, self.native = free_port(), free_port()
        (folder / "stack/.env").write_text(
            f"SHOP_STACK={self.name}\nSHOP_IMAGE={server_image}\n"
            f"SHOP_HTTP_PORT={self.http}\nSHOP_NATIVE_PORT={self.native}\n"
            + "".join(f"{key}={value}\n" for key, value in self.passwords.items())
        )
        (folder / "secrets").mkdir()
        self.container = f"{self.name}-db"
        self.env_file = folder / "secrets/loader.env"
        self.write_env()
        self.variables = {
            "run_context_artifacts_dir": str(folder / "artifacts"),
            "clickhouse_http_port": self.http,
            "clickhouse_port": self.native,
            "clickhouse_reset_project_dir": str(folder / "stack"),
            "clickhouse_reset_container": self.container,
            "clickhouse_reset_network": f"{self.name}-backend",
            "schema_apply_file": str(folder / "schema.sql"),
            "qtickets_ingest_image": f"{self.name}_loader:test",
            "qtickets_ingest_build_context": str(folder / "loader"),
            "qtickets_ingest_build_args": {"BASE_IMAGE": base_image},
            "qtickets_ingest_network": f"{self.name}-backend",
            "qtickets_ingest_container_prefix": f"{self.name}_run",
            "qtickets_ingest_env_file": str(self.env_file),
        }

    def write_env(self, **more: str | int | float) -> None:
        """The loader's env file, mode 0600."""
        values = {
            "WAREHOUSE_URL": f"http://{self.container}:8123",
            "WAREHOUSE_USER": "loader",
            "WAREHOUSE_PASSWORD": self.passwords["SHOP_LOADER_PASSWORD"],
            **more,
        }
        self.env_file.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        self.env_file.chmod(0o600)

    def run(self, *args: str, **variables) -> Played:
        """A play with the document's inventory."""
        return self.play(*args, **{"inventory": str(FOREIGN / "inventory"), **variables})

    def client(self) -> Client:
        return Client(
            "127.0.0.1",
            port=self.native,
            user="owner",
            password=self.passwords["SHOP_OWNER_PASSWORD"],
            connect_timeout=5,
        )

    def purchases(self) -> int:
        return int(self.client().execute("SELECT count() FROM shop.purchases")[0][0])

    def kept(self) -> int:
        """Rows as they are once each key is merged, whenever that comes."""
        return int(self.client().execute("SELECT count() FROM shop.purchases FINAL")[0][0])

    def loader_container(self) -> str:
        return docker("ps", "--filter", f"name={self.name}_run_", "--format", "{{.Names}}").strip()

    @contextlib.contextmanager
    def in_the_middle(self, act: Callable[[], object]) -> Iterator[None]:
        """While the body plays: `act` once the loader has written its first rows and still runs."""
        before, done = self.purchases(), threading.Event()

        def watch() -> None:
            while not done.wait(0.1):
                with contextlib.suppress(Exception):
                    if self.loader_container() and self.purchases() > before:
                        act()
                        return

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def client_when_up(self) -> Client:
        """The same once the server answers."""
        for _ in range(300):
            with contextlib.suppress(Exception):
                client = self.client()
                client.execute("SELECT 1")
                return client
            time.sleep(0.1)
        raise AssertionError(docker("logs", self.container))

    def start_server(self) -> None:
        """Bring a killed server back, and wait for it."""
        docker("start", self.container)
        self.client_when_up()

    def down(self) -> None:
        stack = self.folder / "stack"
        project = ["compose", "--project-directory", str(stack), "-f", str(stack / "stack.yml")]
        docker(*project, "down", "--volumes", "--remove-orphans", "--timeout", "1")
        for volume in docker("volume", "ls", "--filter", f"name={self.name}_", "--format", "{{.Name}}").split():
            docker("volume", "rm", volume)
        subprocess.run(["docker", "image", "rm", "--force", str(self.variables["qtickets_ingest_image"])], check=False)


@contextlib.contextmanager
def shop_in(folder: Path, server_image: str, base_image: str) -> Iterator[Shop]:
    """A shop whose passwords are in the environment, as the document says; gone with its data afterwards."""
    made = Shop(folder, server_image, base_image)
    os.environ.update(made.passwords)
    try:
        yield made
    finally:
        made.down()
        for name in made.passwords:
            os.environ.pop(name, None)
