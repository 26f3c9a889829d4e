"""What Docker's refusals mean, and what the bookkeeping of data moved aside keeps, without an engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible.module_utils.ingest_verify import docker_cli
from ansible.module_utils.ingest_verify.compose_project import listening_sockets
from ansible.module_utils.ingest_verify.process import explain_exit
from ansible.module_utils.ingest_verify.reset.stores import look_into

DATA = "/var/lib/clickhouse"


@pytest.mark.parametrize(
    ("text", "kind", "part"),
    [
        (
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
            "no_permission",
            "usermod -aG docker",
        ),
        ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", "engine_down", "start it"),
        ("docker: 'compose' is not a docker command.\nSee 'docker --help'", "no_plugin", "docker-compose-plugin"),
        ("Error: No such container: ch-zakaz", "not_found", "No such container"),
        ("Error response from daemon: conflict", "refused", "conflict"),
        ("", "refused", "no message"),
    ],
)
def test_a_refusal_is_one_sentence_with_its_kind(text, kind, part):
    error = docker_cli.explain(text, "compose up")
    assert error.kind == kind
    assert part in str(error)


def test_a_missing_command_is_named_with_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(docker_cli.DockerError, match="install Docker Engine") as raised:
        docker_cli.run(["info"])
    assert raised.value.kind == "no_cli"


def test_an_engine_that_hangs_is_named(monkeypatch, tmp_path):
    command = tmp_path / "docker"
    command.write_text("#!/bin/sh\nexec sleep 60\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(docker_cli.DockerError, match="did not answer within 1 s") as raised:
        docker_cli.run(["info"], timeout=1)
    assert raised.value.kind == "timeout"


@pytest.mark.parametrize(
    ("code", "part"),
    [(0, "exit code 0"), (3, "failed by itself"), (125, "could not run"), (137, "from outside"), (143, "SIGTERM")],
)
def test_an_exit_code_is_explained(code, part):
    assert part in explain_exit(code, container=True, timed_out=False, oom_killed=False, error="why")


def test_a_time_limit_and_a_memory_limit_come_before_the_code():
    assert "time limit of 5 s" in explain_exit(137, container=True, timed_out=True, oom_killed=False, timeout_seconds=5)
    assert "limit of 64m" in explain_exit(137, container=True, timed_out=False, oom_killed=True, memory="64m")
    child = explain_exit(1, container=True, timed_out=False, oom_killed=True, memory="64m")
    assert "A process in it" in child
    assert "limit of 64m" in child
    assert "exit code 1" in child
    assert "could not tell" in explain_exit(None, timed_out=False, oom_killed=False)


def test_listening_sockets_are_read_from_the_kernels_table():
    rest = "00000000:00000000 00:00000000 00000000   101        0"
    table = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        f"   0: 0100007F:1FBB 00000000:0000 0A {rest} 11 1\n"
        f"   1: 00000000:2328 00000000:0000 0A {rest} 12 1\n"
        f"   2: 0100007F:1FBB 0100007F:D431 01 {rest} 13 1\n"
    )
    assert listening_sockets([table]) == [("0100007F", 8123, "11"), ("00000000", 9000, "12")]


def data_folder(folder: Path, *tables: str) -> Path:
    """A server's data folder as 24.8 leaves it: the database's folder is a link with the container's path."""
    store = folder / "store/abc/abc-def"
    store.mkdir(parents=True)
    for table in tables:
        (store / f"{table}.sql").touch()
    (folder / "metadata").mkdir()
    (folder / "metadata/shop.sql").touch()
    (folder / "metadata/shop").symlink_to(f"{DATA}/store/abc/abc-def")
    (folder / "metadata/system").mkdir()
    (folder / "metadata/system/query_log.sql").touch()
    return folder


def test_tables_are_counted_through_links_of_the_containers_file_system(tmp_path):
    content = look_into(data_folder(tmp_path / "data", "orders", "events"), DATA)
    assert content.tables == [("shop", "events"), ("shop", "orders")]
    assert content.lines("data") == ["database shop, 2 tables"]
    assert not look_into(data_folder(tmp_path / "empty"), DATA).precious


def test_what_cannot_be_judged_counts_as_precious(tmp_path):
    assert not look_into(tmp_path / "absent", DATA).precious
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").touch()
    assert look_into(tmp_path / "other", DATA).precious
