"""The ingest's login is proven from where a containerised loader runs: its network, by the server image's client."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from ansible.module_utils.ingest_verify import docker_cli, query_logging
from ansible.module_utils.ingest_verify.client import ConnectError, connect
from ansible.module_utils.ingest_verify.loader_network import LoaderNetwork, NotAskedError
from ansible.module_utils.ingest_verify.server import wait_for_server

from tests.docker.conftest import docker
from tests.plays import free_port

PASSWORD = uuid.uuid4().hex
# Containers of the network get addresses of its upper half; the host's logins come from its gateway, in the lower one.
SUBNET, GATEWAY, CONTAINERS = "10.231.77.0/24", "10.231.77.1", "10.231.77.128/25"
USERS = {"owner": "::/0", "anywhere": "::/0", "inside": CONTAINERS, "host_only": GATEWAY}
USER = """
        <{name}>
            <password>{password}</password>
            <networks><ip>{ip}</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
        </{name}>"""


@pytest.fixture(scope="module")
def name() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def port(tmp_path_factory, server_image, name) -> Iterator[int]:
    """The published native port of container `name` on network `name`, whose users may log in from here or there."""
    published = free_port()
    users = "".join(USER.format(name=user, ip=ip, password=PASSWORD) for user, ip in USERS.items())
    file = tmp_path_factory.mktemp("users") / "test.xml"
    file.write_text(f"<clickhouse><users>{users}\n</users></clickhouse>")
    file.chmod(0o644)
    docker("network", "create", "--subnet", SUBNET, "--ip-range", CONTAINERS, "--gateway", GATEWAY, name)
    try:
        docker(
            "run", "--detach", "--name", name, "--network", name, "--publish", f"127.0.0.1:{published}:9000",
            "--volume", f"{file}:/etc/clickhouse-server/users.d/test.xml:ro", server_image,
        )  # fmt: skip
        wait_for_server(login(published, "owner"), 60).disconnect()
        yield published
    finally:
        docker("rm", "--force", "--volumes", name, check=False)
        docker("network", "rm", name)


@pytest.fixture(scope="module")
def network(name, port) -> LoaderNetwork:
    return LoaderNetwork.find(name, ["not-of-the-server", name], port)


def login(port: int, user: str, password: str = PASSWORD) -> dict[str, Any]:
    return {"login_host": "127.0.0.1", "login_port": port, "login_user": user, "login_password": password}


def session_of(port: int, user: str, network: LoaderNetwork | None, password: str = PASSWORD):
    reader = connect(login(port, "owner"))
    return query_logging.session_of(login(port, user, password), reader, network), reader


def test_a_user_of_the_loaders_network_alone_passes_from_there(port, network):
    assert (network.port, network.subnet) == (9000, SUBNET)
    kept_out, _ = session_of(port, "inside", None)
    assert f"User inside may log in from {CONTAINERS} only" in kept_out.reason
    session, reader = session_of(port, "inside", network)
    assert session.hiding == {}
    proof = query_logging.run_canary(session, reader, ["query_log"], 20)
    assert proof.proven, proof.reason
    assert f"user from network {network.name} ({SUBNET}) was found" in proof.reason


def test_a_user_kept_out_from_there_is_told_so_and_no_wrong_password(port, network):
    """Its password is right, and from this host it may log in."""
    assert session_of(port, "host_only", None)[0].hiding == {}
    refused, _ = session_of(port, "host_only", network)
    assert refused.reason == (
        f"The server refused user host_only from network {network.name} ({SUBNET}): it may log in from {GATEWAY} only"
    )
    (finding,) = refused.findings
    assert finding.cause == "server_host_not_allowed"
    assert f"<ip>{SUBNET}</ip>" in finding.next_step
    assert "password" not in refused.reason + finding.next_step


def test_a_wrong_password_is_told_from_there(port, network):
    for user in ("anywhere", "inside"):
        with pytest.raises(ConnectError, match=f"refused user '{user}' from network") as raised:
            session_of(port, user, network, "wrong")
        assert raised.value.kind == "authentication"


def test_what_cannot_be_tried_blames_nobody(port, network, name, base_image):
    with pytest.raises(NotAskedError, match="image has no clickhouse-client"):
        session_of(port, "anywhere", replace(network, image=base_image))
    with pytest.raises(NotAskedError, match="is not on network elsewhere"):
        LoaderNetwork.find(name, ["elsewhere"], port)
    with pytest.raises(NotAskedError, match="there is no container"):
        LoaderNetwork.find(f"{name}-none", [name], port)
    with pytest.raises(ConnectError, match="nothing answers at") as raised:
        session_of(port, "anywhere", replace(network, port=9999))
    assert raised.value.kind == "refused"


def test_the_password_is_on_no_command_line_and_nothing_stays(port, network, monkeypatch):
    called = []
    real = docker_cli.call
    monkeypatch.setattr(docker_cli, "call", lambda arguments: called.append(arguments) or real(arguments))
    assert session_of(port, "anywhere", network)[0].hiding == {}
    assert called
    assert PASSWORD not in str(called)
    assert len(docker("ps", "--all", "--quiet", "--filter", f"network={network.name}").split()) == 1
