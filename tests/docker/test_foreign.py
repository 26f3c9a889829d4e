"""docs/how-to/verify-your-own-ingest.md as it stands: another compose project, schema, loader and checks."""

from __future__ import annotations

import json
import os

import pytest

from tests.docker.conftest import docker
from tests.docker.shop import FOREIGN, shop_in
from tests.plays import ROOT


@pytest.fixture(scope="module")
def shop(tmp_path_factory, server_image, base_image):
    with shop_in(tmp_path_factory.mktemp("shop"), server_image, base_image) as made:
        yield made


@pytest.fixture(scope="module")
def healthy(shop):
    """The healthy twin of every fault below: a first run on a host where nothing is there yet."""
    played = shop.run("-vvv")
    assert played.status == 0, played.output[-8000:]
    return played


@pytest.fixture
def ready(shop, healthy):
    """A server with the schema, the loader as it should be."""
    shop.write_env()
    yield shop
    if not docker("ps", "--filter", f"name={shop.container}", "--format", "{{.Names}}").strip():
        shop.start_server()


def test_the_document_shows_the_inventory_that_runs_here():
    text = (ROOT / "docs/how-to/verify-your-own-ingest.md").read_text(encoding="utf-8")
    for name in ("hosts.yml", "group_vars/clickhouse.yml"):
        assert (FOREIGN / "inventory" / name).read_text(encoding="utf-8").strip() in text


def test_a_foreign_project_passes_by_variables_alone(shop, healthy):
    assert healthy.report["verdict"] == "PASS"
    assert [stage["status"] for stage in healthy.report["stages"].values()] == ["ok"] * 5
    # The loader's user had log_queries off: the role mended that, or nothing would have been proven.
    assert (shop.folder / "stack/etc/users.d/zz-ingest-verify-query-logging.xml").exists()
    texts = [healthy.output] + [
        path.read_text(encoding="utf-8", errors="replace")
        for path in (shop.folder / "artifacts").rglob("*")
        if path.is_file()
    ]
    assert not [secret for secret in shop.passwords.values() for text in texts if secret in text]
    assert shop.loader_container() == ""
    # Each costs up to half a second, which a person waits for. Those that mend the logging are of this first run alone.
    mending = healthy.output.split("TASK [query_logging : Change what keeps")[1].split("TASK [run_context : Record")[0]
    assert healthy.output.count("Using module file") - mending.count("Using module file") <= 18
    assert "Using module file" in mending


def test_the_runs_folder_holds_the_servers_settings_log_and_inspect(shop, healthy):
    assert healthy.report["environment"]["settings_changed"], healthy.report["missing"]
    (folder,) = {path.parent for path in (shop.folder / "artifacts").rglob("report.json")
                 if healthy.report["run_id"] in str(path)}  # fmt: skip
    inspected = json.loads((folder / "docker-inspect.json").read_text(encoding="utf-8"))
    assert inspected["Name"].strip("/") == shop.container
    assert all(entry.endswith("=***") for entry in inspected["Config"]["Env"])
    assert (folder / "server.log").stat().st_size > 0
    listed = (folder / "MANIFEST.sha256").read_text(encoding="utf-8")
    for name in ("docker-inspect.json", "server.log", "snapshot.json", "query_log.jsonl", "statements.sql"):
        assert f"  {name}\n" in listed, name


def test_a_loader_killed_in_the_middle_is_named(ready):
    ready.write_env(BATCHES=50, PAUSE_SECONDS=1)
    with ready.in_the_middle(lambda: docker("kill", ready.loader_container())):
        played = ready.run("--tags", "qtickets_ingest")
    assert played.status != 0
    assert "137" in played.headline["headline"], played.headline
    assert "memory" not in played.headline["cause"]
    assert played.headline["cause"].startswith("client_killed"), played.headline


@pytest.mark.row(60)
def test_clickhouse_killed_in_the_middle_is_named(ready):
    ready.write_env(BATCHES=50, PAUSE_SECONDS=1)
    with ready.in_the_middle(lambda: docker("kill", ready.container)):
        played = ready.run("--tags", "qtickets_ingest")
    assert played.status != 0
    assert played.report["verdict"] == "FAIL"
    assert any(ready.container in str(finding) or "server" in finding["cause"] for finding in played.errors), (
        played.errors
    )


def test_a_broken_loader_image_is_named_with_the_failing_step(ready):
    dockerfile = ready.folder / "loader/Dockerfile"
    good = dockerfile.read_text()
    try:
        dockerfile.write_text(good + "RUN echo unpacking && cat /no/such/file\n")
        played = ready.run("--tags", "qtickets_ingest")
    finally:
        dockerfile.write_text(good)
    assert played.status != 0
    assert played.headline["cause"] == "host_image_not_built"
    assert "could not be built" in played.headline["headline"]
    assert "/no/such/file" in played.headline["headline"]


@pytest.mark.row(36)
def test_an_image_older_than_its_sources_is_a_warning(ready, healthy):
    # The build may come from Docker's cache, whose images are older than this copy of the sources.
    for path in (ready.folder / "loader").iterdir():
        os.utime(path, (0, 0))
    source = next((ready.folder / "loader").glob("*.py"))
    source.touch()
    played = ready.run("--tags", "qtickets_ingest", qtickets_ingest_build=False)
    assert played.status == 0, played.output[-4000:]
    (stale,) = [finding for finding in played.report["findings"] if finding["cause"] == "config_stale_image"]
    assert stale["severity"] == "warning"
    assert source.name in stale["headline"]
    assert "qtickets_ingest_build" in stale["next_step"]
    assert "config_stale_image" not in str(healthy.report)


def test_a_loader_without_sources_or_an_env_file_of_ours_runs_as_it_is(ready):
    played = ready.run(
        "--tags",
        "qtickets_ingest",
        qtickets_ingest_build=False,
        qtickets_ingest_build_context=str(ROOT),
        qtickets_ingest_env_file="",
        qtickets_ingest_env_required=[],
        qtickets_ingest_env_expected={},
        qtickets_ingest_container_options=[f"--env-file={ready.env_file}"],
    )
    assert played.status == 0, played.output[-4000:]
    assert played.report["stages"]["qtickets_ingest"]["status"] == "ok"
    assert "config_stale_image" not in str(played.report)


def test_a_reset_without_confirmation_touches_nothing(ready):
    rows, started = ready.kept(), docker("inspect", "--format", "{{.State.StartedAt}}", ready.container)
    played = ready.run("--tags", "clickhouse_reset")
    assert played.status != 0
    assert "shop.purchases" in played.headline["headline"]
    assert f"clickhouse_reset_confirm={ready.container}" in played.headline["headline"]
    assert ready.kept() == rows
    assert docker("inspect", "--format", "{{.State.StartedAt}}", ready.container) == started


def test_an_image_that_is_not_there_is_named_before_anything_is_touched(ready):
    started = docker("inspect", "--format", "{{.State.StartedAt}}", ready.container)
    played = ready.run(
        "--tags",
        "clickhouse_reset",
        clickhouse_reset_confirm=ready.container,
        clickhouse_reset_environment={"SHOP_IMAGE": "registry.invalid/no-such-image:1"},
    )
    assert played.status != 0
    assert played.headline["cause"] == "host_image_missing"
    assert "registry.invalid/no-such-image:1" in played.headline["headline"]
    assert "Nothing was changed" in played.headline["headline"]
    assert docker("inspect", "--format", "{{.State.StartedAt}}", ready.container) == started


@pytest.mark.row(58)
def test_after_a_failed_reset_the_documented_command_brings_the_data_back(ready, base_image):
    rows = ready.kept()
    assert rows > 0
    # An image that is there and is no server.
    failed = ready.run(
        "--tags",
        "clickhouse_reset",
        clickhouse_reset_confirm=ready.container,
        clickhouse_reset_wait_seconds=15,
        clickhouse_reset_environment={"SHOP_IMAGE": base_image},
    )
    assert failed.status != 0
    assert failed.headline["cause"] == "host_unhealthy", failed.headline
    assert "playbooks/restore.yml" in failed.headline["next_step"]
    text = (ROOT / "docs/how-to/restore-after-reset.md").read_text(encoding="utf-8")
    assert "ansible-playbook playbooks/restore.yml -i prod\n" in text
    restored = ready.run(playbook="playbooks/restore.yml")
    assert restored.status == 0, restored.output[-6000:]
    assert ready.kept() == rows


def test_a_column_the_foreign_loader_needs_is_named_when_it_is_gone(ready):
    ready.client().execute("ALTER TABLE shop.purchases DROP COLUMN sku")
    played = ready.run("--tags", "qtickets_ingest")
    assert played.status != 0
    assert played.headline["cause"] == "server_missing_column", played.headline
    assert "sku" in played.headline["headline"]
    assert "ADD COLUMN" in played.headline["next_step"]


@pytest.mark.row(56)
def test_an_engine_that_is_down_is_one_sentence(ready, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/docker.sock")
    played = ready.run("--tags", "clickhouse_reset", clickhouse_reset_confirm=ready.container)
    assert played.status != 0
    assert played.headline["cause"] == "host_engine_down", played.headline
    assert "start it" in played.headline["headline"]
