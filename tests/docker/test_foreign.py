"""docs/how-to/verify-your-own-ingest.md as it stands: another compose project, schema, loader and checks."""

from __future__ import annotations

import os
import shutil
import uuid

import pytest

from tests.docker.conftest import docker
from tests.plays import ROOT, Site, free_port

FOREIGN = ROOT / "tests/foreign"


class Shop(Site):
    """The foreign project in a folder, with names, ports and passwords of its own."""

    def __init__(self, folder, server_image: str, base_image: str) -> None:
        super().__init__(folder)
        self.name = f"shop{uuid.uuid4().hex[:6]}"
        for part in ("stack", "loader"):
            shutil.copytree(FOREIGN / part, folder / part)
        shutil.copy(FOREIGN / "schema.sql", folder)
        self.passwords = {"SHOP_OWNER_PASSWORD": uuid.uuid4().hex, "SHOP_LOADER_PASSWORD": uuid.uuid4().hex}
        http, native = free_port(), free_port()
        (folder / "stack/.env").write_text(
            f"SHOP_STACK={self.name}\nSHOP_IMAGE={server_image}\nSHOP_HTTP_PORT={http}\nSHOP_NATIVE_PORT={native}\n"
        )
        (folder / "secrets").mkdir()
        self.env_file = folder / "secrets/loader.env"
        self.env_file.write_text(
            f"WAREHOUSE_URL=http://{self.name}-db:8123\nWAREHOUSE_USER=loader\n"
            f"WAREHOUSE_PASSWORD={self.passwords['SHOP_LOADER_PASSWORD']}\n"
        )
        self.env_file.chmod(0o600)
        # What differs from the document is where things lie and what they are called on this machine.
        self.variables = {
            "run_context_artifacts_dir": str(folder / "artifacts"),
            "clickhouse_http_port": http,
            "clickhouse_port": native,
            "clickhouse_reset_project_dir": str(folder / "stack"),
            "clickhouse_reset_container": f"{self.name}-db",
            "clickhouse_reset_network": f"{self.name}-backend",
            "schema_apply_file": str(folder / "schema.sql"),
            "qtickets_ingest_image": f"{self.name}_loader:test",
            "qtickets_ingest_build_context": str(folder / "loader"),
            "qtickets_ingest_build_args": {"BASE_IMAGE": base_image},
            "qtickets_ingest_network": f"{self.name}-backend",
            "qtickets_ingest_container_prefix": f"{self.name}_run",
            "qtickets_ingest_env_file": str(self.env_file),
        }

    def run(self, *args, **variables):
        return self.play(*args, **{"inventory": str(FOREIGN / "inventory"), **variables})

    def down(self) -> None:
        docker(
            "compose",
            "--project-directory",
            str(self.folder / "stack"),
            "-f",
            str(self.folder / "stack/stack.yml"),
            "down",
            "--volumes",
            "--timeout",
            "1",
        )
        for volume in docker("volume", "ls", "--filter", f"name={self.name}_", "--format", "{{.Name}}").split():
            docker("volume", "rm", volume)
        docker("image", "rm", "--force", self.variables["qtickets_ingest_image"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory, server_image, base_image):
    made = Shop(tmp_path_factory.mktemp("shop"), server_image, base_image)
    os.environ.update(made.passwords)
    yield made
    made.down()
    for name in made.passwords:
        del os.environ[name]


def test_the_document_shows_the_inventory_that_runs_here():
    text = (ROOT / "docs/how-to/verify-your-own-ingest.md").read_text(encoding="utf-8")
    for name in ("hosts.yml", "group_vars/clickhouse.yml"):
        assert (FOREIGN / "inventory" / name).read_text(encoding="utf-8").strip() in text


def test_a_foreign_project_passes_by_variables_alone(shop):
    played = shop.run()
    assert played.status == 0, played.output[-8000:]
    assert played.report["verdict"] == "PASS"
    assert [stage["status"] for stage in played.report["stages"].values()] == ["ok"] * 5
    # The loader's user had log_queries off: the role mended that, or nothing would have been proven.
    assert (shop.folder / "stack/etc/users.d/zz-ingest-verify-query-logging.xml").exists()
    texts = [played.output] + [
        path.read_text(encoding="utf-8", errors="replace")
        for path in (shop.folder / "artifacts").rglob("*")
        if path.is_file()
    ]
    assert not [secret for secret in shop.passwords.values() for text in texts if secret in text]


def test_a_column_the_foreign_loader_needs_is_named_when_it_is_gone(shop):
    prepared = shop.run(
        "--tags",
        "clickhouse_reset,schema_apply,query_logging",
        clickhouse_reset_confirm=shop.variables["clickhouse_reset_container"],
    )
    assert prepared.status == 0, prepared.output[-8000:]
    schema = shop.folder / "schema.sql"
    docker(
        "exec",
        shop.variables["clickhouse_reset_container"],
        "clickhouse-client",
        "--user",
        "owner",
        "--password",
        shop.passwords["SHOP_OWNER_PASSWORD"],
        "--query",
        "ALTER TABLE shop.purchases DROP COLUMN sku",
    )
    assert "sku" in schema.read_text()
    played = shop.run(playbook="playbooks/ingest.yml")
    assert played.status != 0
    assert played.headline["cause"] == "server_missing_column", played.headline
    assert "sku" in played.headline["headline"]
