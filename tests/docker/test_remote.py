"""The control node is not the target host: the play goes over a connection, with what the target needs named first."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from tests.docker.conftest import docker
from tests.docker.shop import FOREIGN, shop_in


@pytest.fixture(scope="module")
def shop(tmp_path_factory, server_image, base_image):
    with shop_in(tmp_path_factory.mktemp("remote"), server_image, base_image) as made:
        yield made


@pytest.fixture(scope="module")
def target(shop, base_image):
    """A host of its own as far as Ansible can tell: a container that shares engine and project folder only."""
    name = f"{shop.name}-target"
    command = Path(shutil.which("docker") or "").resolve()
    docker(
        "run", "--detach", "--init", "--name", name, "--network", "host",
        "--volume", "/var/run/docker.sock:/var/run/docker.sock",
        "--volume", f"{command}:/usr/bin/docker:ro",
        "--volume", "/usr/libexec/docker/cli-plugins:/usr/libexec/docker/cli-plugins:ro",
        "--volume", f"{shop.folder}:{shop.folder}",
        base_image, "sleep", "3600",
    )  # fmt: skip
    yield name
    docker("rm", "--force", name)


@pytest.fixture(scope="module")
def inventory(shop, target):
    """The document's inventory with a remote host in it."""
    folder = shop.folder / "inventory"
    shutil.copytree(FOREIGN / "inventory", folder)
    hosts = {
        "ansible_connection": "community.docker.docker",
        "ansible_host": target,
        "ansible_python_interpreter": "/usr/local/bin/python3",
    }
    (folder / "hosts.yml").write_text(yaml.safe_dump({"clickhouse": {"hosts": {"shop": hosts}}}))
    return str(folder)


@pytest.mark.row(62)
def test_a_remote_target_says_what_it_lacks_and_passes_once_it_has_it(shop, target, inventory):
    refused = shop.run(inventory=inventory)
    assert refused.status != 0
    found = re.search(
        r"lacks clickhouse-driver, requests\. Install with: (/\S+ -m pip install [\w -]+)", refused.output
    )
    assert found, refused.output[-4000:]
    docker("exec", target, *shlex.split(found[1]))

    played = shop.run(inventory=inventory)
    assert played.status == 0, played.output[-8000:]
    assert played.report["verdict"] == "PASS"
    log = next((shop.folder / "artifacts").glob("*/ingest.log"))
    assert "loading 50 purchases" in log.read_text()
