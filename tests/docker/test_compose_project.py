"""What stands in the way of a reset, and data moved aside and back, on a real engine."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

import pytest
from ansible.module_utils.ingest_verify.compose_project import ProjectError, problems, read_project
from ansible.module_utils.ingest_verify.compose_reach import reach_problems, wait_until_listening
from ansible.module_utils.ingest_verify.reset import stores
from ansible.module_utils.ingest_verify.reset.compose import Compose

from tests.docker.conftest import docker
from tests.plays import ROOT, free_port

TARGETS = ("/var/lib/clickhouse", "/var/log/clickhouse-server")


def found(folder, **changes):
    """Kind to sentence of everything that stands in the way."""
    expected = {
        "container": folder.container,
        "network": folder.network,
        "login_ports": (folder.native, folder.http),
        "data_targets": TARGETS,
        "min_free_mb": 1,
        "reset": True,
    }
    project = read_project(str(folder.folder), "server")
    return {problem.kind: str(problem) for problem in problems(project, **{**expected, **changes})}


def up(folder, table="one.sql"):
    folder.compose("up", "--detach", "--wait")
    project = read_project(str(folder.folder), "server")
    wait_until_listening(project, "127.0.0.1", (folder.http, folder.native), 30)
    return project


def test_nothing_stands_in_the_way_of_a_new_or_a_running_project(project):
    assert found(project) == {}
    up(project)
    assert found(project) == {}


def test_names_that_differ_from_the_inventory_are_named(project):
    assert project.container in found(project, container="ch-zakaz")["name_mismatch"]
    assert "clickhouse_reset_network" in found(project, network="other_default")["network_missing"]
    sentence = found(project, login_ports=(project.native, 9))["port_mismatch"]
    assert "port 9 " in sentence
    assert f"{project.http}->8123" in sentence


@pytest.mark.row(57)
def test_a_port_held_by_a_process_is_named_with_the_process(project):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", project.http))
        holder.listen()
        sentence = found(project)["port_taken"]
    assert str(project.http) in sentence
    assert "python" in sentence or "pytest" in sentence
    assert "port_taken" not in found(project)


@pytest.mark.row(57)
def test_a_port_held_by_another_container_is_named_with_it(project, base_image):
    name = f"{project.name}-holder"
    docker(
        "run",
        "--detach",
        "--rm",
        "--init",
        "--name",
        name,
        "-p",
        f"127.0.0.1:{project.http}:1",
        base_image,
        "sleep",
        "60",
    )
    try:
        assert f"container {name!r}" in found(project)["port_taken"]
    finally:
        docker("rm", "--force", name)


def test_a_stray_container_with_the_name_is_named(project, base_image):
    docker("create", "--name", project.container, base_image, "true")
    try:
        assert "belongs to no compose project" in found(project)["name_taken"]
    finally:
        docker("rm", project.container)


def test_a_project_of_the_same_name_in_another_folder_is_not_taken_down(project, tmp_path):
    up(project)
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "docker-compose.yml").write_text((project.folder / "docker-compose.yml").read_text())
    other = read_project(str(copy), "server")
    kinds = problems(
        other,
        container=project.container,
        network=project.network,
        login_ports=(),
        data_targets=TARGETS,
        min_free_mb=1,
        reset=True,
    )
    assert [problem.kind for problem in kinds] == ["name_taken"]
    assert str(project.folder) in str(kinds[0])


@pytest.mark.row(61)
def test_a_full_disk_and_data_without_a_mount_are_refused_before_anything_is_touched(project):
    assert "at least 999999999 MB" in found(project, min_free_mb=999999999)["disk_full"]
    project.write(store="./elsewhere", volumes="")
    compose = project.folder / "docker-compose.yml"
    compose.write_text(compose.read_text().replace("/elsewhere:/var/lib/clickhouse", "/elsewhere:/srv"))
    project.compose("up", "--detach")
    assert "own layer" in found(project)["data_in_container"]
    assert found(project, reset=False) == {}


@pytest.mark.parametrize(
    ("text", "kind", "part"),
    [
        (None, "compose_missing", "No compose file"),
        ("services: [", "compose_invalid", "not valid"),
        ("services: {server: {image: x, ports: [a b c]}}", "compose_invalid", "not valid"),
        ("services: {server: {image: '${MISSING_ONE:?is needed}'}}", "compose_invalid", "is needed"),
        ("services: {db: {image: x}}", "compose_invalid", "no service 'server', it has: db"),
    ],
)
def test_a_broken_compose_file_is_one_sentence(project, text, kind, part):
    file = project.folder / "docker-compose.yml"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    with pytest.raises(ProjectError, match=part) as raised:
        read_project(str(project.folder), "server")
    assert raised.value.kind == kind


def test_a_service_of_a_profile_is_told_from_a_wrong_name(project, monkeypatch):
    (project.folder / "docker-compose.yml").write_text("services: {server: {image: x, profiles: [db]}}")
    with pytest.raises(ProjectError, match=r"a profile \(db\).*COMPOSE_PROFILES"):
        read_project(str(project.folder), "server")
    monkeypatch.setenv("COMPOSE_PROFILES", "db")
    assert read_project(str(project.folder), "server").image == "x"


def test_the_files_that_the_projects_own_settings_name_are_read(project, monkeypatch):
    """COMPOSE_FILE stands in many an .env; its names are relative to the project, wherever the play runs."""
    (project.folder / "prod.yml").write_text("services: {server: {image: other}}")
    (project.folder / ".env").write_text("COMPOSE_FILE=docker-compose.yml:prod.yml\n")
    monkeypatch.chdir("/")
    assert read_project(str(project.folder), "server").image == "other"
    (project.folder / "docker-compose.yml").rename(project.folder / "base.yml")
    (project.folder / ".env").write_text("COMPOSE_FILE=base.yml:prod.yml\n")
    with pytest.raises(ProjectError, match=r"clickhouse_reset_files: \[base.yml, prod.yml\]") as raised:
        read_project(str(project.folder), "server")
    assert raised.value.kind == "compose_missing"
    assert read_project(str(project.folder), "server", ["base.yml", "prod.yml"]).image == "other"
    (project.folder / ".env").unlink()


@pytest.mark.parametrize("mode", ["bridge", "none", "service:gate"])
def test_a_server_that_others_cannot_find_by_its_name_is_refused_beforehand(project, mode):
    server = f"{{image: x, network_mode: '{mode}', container_name: {project.container}}}"
    (project.folder / "docker-compose.yml").write_text(f"services: {{server: {server}, gate: {{image: y}}}}")
    assert f"network_mode '{mode}'" in found(project, network=mode)["network_missing"]


def test_data_inside_a_larger_mount_is_refused_beforehand(project):
    compose = project.folder / "docker-compose.yml"
    compose.write_text(compose.read_text().replace(":/var/lib/clickhouse", ":/var/lib"))
    assert "inside the mount at /var/lib, which" in found(project)["data_in_container"]
    assert found(project, reset=False) == {}


def test_a_server_on_the_hosts_network_has_the_hosts_ports(project):
    compose = project.folder / "docker-compose.yml"
    compose.write_text(
        f"services: {{server: {{image: x, container_name: {project.container}, network_mode: host,"
        " healthcheck: {disable: true}}}"
    )
    assert found(project, network="host", reset=False) == {}
    assert "not on 'other'" in found(project, network="other", reset=False)["network_missing"]
    assert not read_project(str(project.folder), "server").waitable
    compose.write_text(compose.read_text().replace(", healthcheck: {disable: true}", ""))
    assert read_project(str(project.folder), "server").waitable


def test_a_volume_that_docker_mounts_from_elsewhere_does_not_count_as_empty(project, tmp_path):
    device = tmp_path / "device"
    (device / "metadata" / "shop").mkdir(parents=True)
    (device / "metadata" / "shop" / "one.sql").touch()
    options = f"{{type: none, o: bind, device: {device}}}"
    project.write(store="state", volumes=f"volumes: {{state: {{driver_opts: {options}}}}}")
    project.compose("create")
    store = read_project(str(project.folder), "server").stores[TARGETS[0]]
    assert stores.Volume(TARGETS[0], store.source, project.image).content().tables == [("shop", "one")]
    assert not any(Path(docker("volume", "inspect", "-f", "{{.Mountpoint}}", store.source).strip()).iterdir())


def test_a_file_instead_of_a_folder_and_a_folder_without_a_name_are_told(project, tmp_path):
    with pytest.raises(ProjectError, match=r"clickhouse_reset_files to \[docker-compose.yml\]"):
        read_project(str(project.folder / "docker-compose.yml"), "server")
    nameless = tmp_path / "Склад"
    nameless.mkdir()
    (nameless / "compose.yaml").write_text("services: {server: {image: x}}")
    with pytest.raises(ProjectError, match="COMPOSE_PROJECT_NAME"):
        read_project(str(nameless), "server")


def test_a_missing_folder_is_named(engine_of_docker):
    with pytest.raises(ProjectError, match="/no/such/folder does not exist"):
        read_project("/no/such/folder", "server")


def place_of(project, kind):
    """The data store of a project that was up and is stopped."""
    if kind != "bind":
        project.write(store="state", volumes="volumes: {state: }")
    up(project)
    project.compose("stop", "--timeout", "1")
    (store,) = Compose(
        str(project.folder), [], "server", project.container, project.network, TARGETS, "127.0.0.1", 1, 2, "", 30
    ).stores()
    return store


@pytest.mark.parametrize("kind", ["bind", "volume", "volume without rights"])
def test_data_goes_aside_and_comes_back(project, kind, monkeypatch):
    if kind == "volume without rights":
        # A user of Docker who may not enter its folder: a container does the renames.
        monkeypatch.setattr(stores.Volume, "_folder", lambda _: None)
    store = place_of(project, kind)
    stamp = "2026-11-23T041500Z"
    whole = store.content()
    assert whole.tables == [("shop", "one")] or kind == "volume without rights"
    assert not store.empty()
    assert not store.has_aside(stamp)
    for _ in range(2):
        # Again, as after an interruption.
        store.put_aside(stamp)
        assert store.empty()
        assert store.has_aside(stamp)
    monkeypatch.undo()
    assert store.content(stamp).tables == [("shop", "one")]
    if kind == "volume without rights":
        monkeypatch.setattr(stores.Volume, "_folder", lambda _: None)
    store.bring_back(stamp)
    store.bring_back(stamp)
    assert not store.empty()
    assert not store.has_aside(stamp)
    store.put_aside(stamp)
    store.delete(stamp)
    assert store.empty()
    assert not store.has_aside(stamp)


def test_bind_mounts_come_back_by_hand_as_the_document_says(project):
    text = (ROOT / "docs/how-to/restore-after-reset.md").read_text(encoding="utf-8")
    (block,) = [block for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) if "mv data data.failed" in block]
    store, stamp = place_of(project, "bind"), "2026-11-23T041500Z"
    assert stamp in block
    store.put_aside(stamp)
    # This project's server keeps no logs; production's has a mount for them.
    for name in ("logs", f"logs.{stamp}"):
        (project.folder / name).mkdir()
    (project.folder / ".env").write_text("TABLE=of_the_run.sql\n")
    up(project)
    assert store.content().tables == [("shop", "of_the_run")]
    (project.folder / ".env").unlink()
    done = subprocess.run(["sh", "-ec", block], cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert store.content().tables == [("shop", "one")]
    assert {"data.failed", "logs.failed"} <= {path.name for path in project.folder.iterdir()}


def test_a_volume_whose_move_was_cut_in_two_is_whole_again(project, monkeypatch):
    store = place_of(project, "volume")
    folder = store._folder()
    for name in ("access", "store", "user_files"):
        (folder / name).mkdir()
    before = sorted(path.name for path in folder.iterdir())
    real, calls = Path.rename, []

    def rename(self, target):
        calls.append(self)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", rename)
        with pytest.raises(KeyboardInterrupt):
            store.put_aside("2026-11-23T041500Z")
    assert store.has_aside("2026-11-23T041500Z")
    store.bring_back("2026-11-23T041500Z")
    assert sorted(path.name for path in folder.iterdir()) == before
    assert store.content().tables == [("shop", "one")]


def reach(folder, **changes):
    expected = {
        "host": "127.0.0.1",
        "http_port": folder.http,
        "native_port": folder.native,
        "network": folder.network,
    }
    return reach_problems(read_project(str(folder.folder), "server"), **{**expected, **changes})


def test_a_server_that_all_can_reach_has_no_problem(project):
    up(project)
    assert reach(project) == ([], [])


@pytest.mark.row(21)
def test_a_server_on_loopback_inside_its_container_is_named_as_such(project):
    project.write(listen="127.0.0.1")
    up(project)
    (problem,), _ = reach(project)
    assert problem.kind == "loopback_only"
    assert "listen_host" in str(problem)


def test_a_wrong_published_port_and_a_wrong_network_are_named(project):
    up(project)
    (problem,), _ = reach(project, http_port=free_port())
    assert f"{project.http}->8123" in str(problem)
    inside, _ = reach(project, network="bridge")
    assert [
        f"From inside network 'bridge', {project.container}:{port}" in str(problem)
        for port, problem in zip((8123, 9000), inside, strict=True)
    ] == [True, True]


def test_the_state_of_a_folder_is_told_without_a_server(tmp_path: Path):
    data = tmp_path / "data"
    assert not stores.look_into(data, TARGETS[0]).precious
    data.mkdir()
    assert not stores.look_into(data, TARGETS[0]).precious
    (data / "something").touch()
    assert stores.look_into(data, TARGETS[0]).precious
