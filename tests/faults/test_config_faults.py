"""Section D of the failure catalogue: settings that make the ingest do something else. Rows 31 to 34."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.ingest_verify.env_file import ensure_env_file
from ansible.module_utils.ingest_verify.findings import Finding, render_failure

from tests.client_runs import HTTP, OURS, Loaders

REQUIRED = ["QTICKETS_BASE_URL", "QTICKETS_TOKEN", "ORG_NAME", "CLICKHOUSE_HOST", "CLICKHOUSE_DB"]


def refusals(
    loaders: Loaders, database: str, mode: int = 0o600, raw: bytes | None = None, **changes: str
) -> list[Finding]:
    """What the check of an env file with the settings of a healthy run and `changes` finds wrong."""
    path = Path(loaders.folder) / ".env"
    lines = [f"{name}={value}" for name, value in {**loaders.env, **changes}.items()]
    path.write_bytes(raw or ("\n".join(lines) + "\n").encode())
    path.chmod(mode)
    report = ensure_env_file(str(path), required=REQUIRED, expect={"CLICKHOUSE_DB": database}, write=False)
    return [finding for finding in report.findings if finding.severity == "error"]


def test_a_healthy_env_file_is_accepted(loaders: Loaders, database: str) -> None:
    assert refusals(loaders, database) == []


@pytest.mark.parametrize("value", ["true", "1", "yes", '"true"'])
def test_31_a_dry_run_is_refused_before_it_starts(loaders: Loaders, database: str, value: str) -> None:
    found = refusals(loaders, database, DRY_RUN=value)
    assert "config_dry_run" in [finding.cause for finding in found]
    assert "DRY_RUN=false" in render_failure(found)


@pytest.mark.parametrize("loader", [OURS, HTTP])
def test_31_a_dry_run_that_ran_is_named(loaders: Loaders, loader: str) -> None:
    finding = loaders.run(loader, DRY_RUN="true").cause
    assert (finding.cause, finding.object) == ("config_dry_run", "DRY_RUN")


@pytest.mark.parametrize("name", ["QTICKETS_TOKEN", "ORG_NAME"])
@pytest.mark.parametrize("value", ["", "<put it here>", "changeme"])
def test_32_a_stand_in_is_refused_by_name(loaders: Loaders, database: str, name: str, value: str) -> None:
    found = refusals(loaders, database, **{name: value})
    assert [(finding.cause, finding.object) for finding in found] == [("config_placeholder", name)]


@pytest.mark.parametrize(("name", "value"), [("QTICKETS_TOKEN", "changeme"), ("ORG_NAME", "")])
def test_32_a_stand_in_that_our_loader_meets_is_named(loaders: Loaders, name: str, value: str) -> None:
    finding = loaders.run(OURS, **{name: value}).cause
    assert (finding.cause, finding.object) == ("config_placeholder", name)


def test_32_a_variable_that_a_foreign_loader_misses_is_named(loaders: Loaders) -> None:
    del loaders.env["QTICKETS_TOKEN"]
    finding = loaders.run(HTTP).cause
    assert (finding.cause, finding.object) == ("config_env_file", "QTICKETS_TOKEN")


def test_33_a_missing_file_is_refused(loaders: Loaders) -> None:
    report = ensure_env_file(str(loaders.folder / "nowhere" / ".env"), write=False)
    assert [finding.cause for finding in report.findings] == ["config_env_file"]


def test_33_a_world_readable_file_is_refused(loaders: Loaders, database: str) -> None:
    found = refusals(loaders, database, mode=0o644)
    assert [finding.cause for finding in found] == ["config_env_file"]
    assert "chmod 600" in (found[0].next_step or "")


def test_33_windows_line_ends_and_quotes_are_refused(loaders: Loaders, database: str) -> None:
    text = "\r\n".join(f"{name}={value}" for name, value in loaders.env.items()).encode()
    found = refusals(loaders, database, raw=text)
    assert [finding.cause for finding in found] == ["config_env_file"]
    assert "Windows" in found[0].headline
    found = refusals(loaders, database, ORG_NAME='"verification"')
    assert [finding.cause for finding in found] == ["config_env_file"]
    assert "ORG_NAME" in found[0].headline


def test_33_quotes_that_reach_our_loader_are_named(loaders: Loaders) -> None:
    finding = loaders.run(OURS, QTICKETS_TOKEN=f'"{loaders.env["QTICKETS_TOKEN"]}"').cause
    assert (finding.cause, finding.object) == ("config_env_file", "QTICKETS_TOKEN")


def test_34_another_environments_database_is_refused(loaders: Loaders, database: str) -> None:
    found = refusals(loaders, database, CLICKHOUSE_DB="zakaz_test")
    assert [(finding.cause, finding.object) for finding in found] == [("config_other_database", "CLICKHOUSE_DB")]
