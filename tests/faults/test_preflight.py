"""Everything that would stop a run and can be known beforehand is told at once, and nothing is touched."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.plays import Site, mounted

# What each obstacle is told with: its cause class, a part of its text, and what mends it.
TOLD = [
    ("config_variable", "No role reads verify_data_cheks (is verify_data_checks meant?)", "Correct the names"),
    ("host_port_taken", "for the embedded engine", "set clickhouse_port and clickhouse_http_port"),
    ("config_variable", "qtickets_ingest_timeout_seconds is 0", "Correct it in the inventory"),
    ("config_variable", "No loader is named", "qtickets_ingest_command"),
    ("config_placeholder", "QTICKETS_TOKEN", "QTICKETS_TOKEN"),
    ("config_dry_run", "DRY_RUN", "DRY_RUN=false"),
    ("config_schema_file", "found nothing there", "Correct schema_apply_file"),
    ("host_port_taken", "where the simulated API is to listen", "set qtickets_ingest_simulator_port"),
    ("config_data_check", "verify_data_extra_checks[0].not_nul", "Correct the declaration"),
]


@pytest.mark.parametrize("mode", [[], ["--check"]], ids=["run", "check"])
def test_all_obstacles_are_told_together(tmp_path: Path, mode: list[str]) -> None:
    site = Site(tmp_path)
    env_file = tmp_path / "loader.env"
    env_file.write_text(
        "QTICKETS_BASE_URL=http://127.0.0.1:1\nQTICKETS_TOKEN=change-me\nORG_NAME=acme\nCLICKHOUSE_USER=qtickets\nCLICKHOUSE_HOST=127.0.0.1\nCLICKHOUSE_DB=zakaz\nDRY_RUN=true\n",
        encoding="utf-8",
    )
    with (
        socket.create_server(("127.0.0.1", site.variables["clickhouse_http_port"])),
        socket.create_server(("127.0.0.1", site.variables["qtickets_ingest_simulator_port"])),
    ):
        played = site.play(
            *mode,
            verify_data_cheks=[],
            verify_data_extra_checks=[{"name": "x", "kind": "values", "table": "t", "not_nul": "id"}],
            qtickets_ingest_timeout_seconds=0,
            qtickets_ingest_command=[],
            qtickets_ingest_env_managed=False,
            qtickets_ingest_env_file=str(env_file),
            schema_apply_file="/no/such.sql",
        )
    assert played.status != 0
    said = " ".join(played.output.split())
    assert f"{len(TOLD)} things would stop this run. Nothing was touched." in said, played.output[-5000:]
    for _, text, fix in TOLD:
        assert text in said
        assert fix in said
    assert site.engine("status")["state"] == "stopped"
    if not mode:
        told = [(finding["cause"], finding["headline"]) for finding in played.errors]
        assert len(told) == len(TOLD)
        for cause, text, _ in TOLD:
            assert any(cause == known and text in headline for known, headline in told), (cause, text, told)


def test_folders_that_cannot_be_written_are_told_with_the_rest(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    folder.mkdir()
    played = Site(folder).play(under=mounted(folder, "40m", read_only=True), qtickets_ingest_timeout_seconds=0)
    assert played.status == 2
    said = " ".join(played.output.split())
    assert "3 things would stop this run. Nothing was touched." in said, played.output
    for path, variable in ((folder / "artifacts", "run_context_artifacts_dir"), (folder, "local_dir")):
        assert f"cannot write into {path}: its file system is mounted read-only." in said
        assert f"Mount it for writing, or set {variable} to another folder." in said
    assert "qtickets_ingest_timeout_seconds is 0" in said


def test_a_dockerfile_that_stands_elsewhere_is_offered(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    place = repository / "dashboard-mvp" / "integrations" / "qtickets_api"
    place.mkdir(parents=True)
    (place / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    wanted = {"qtickets_ingest_build_context": str(repository), "ingest_kind": "container"}
    played = Site(tmp_path).play("--check", **wanted, qtickets_ingest_dockerfile="integrations/qtickets_api/Dockerfile")
    assert played.status != 0
    assert f"is qtickets_ingest_build_context {repository}/dashboard-mvp?" in " ".join(played.output.split())
