"""Molecule's docker scenario on a real engine: Compose up, build, run, verify, and a case that must fail."""

from __future__ import annotations

import hashlib
import shutil

from tests.plays import ROOT, molecule


def test_the_docker_scenario_passes_also_where_an_earlier_clone_was_prepared(engine_of_docker, base_image, tmp_path):
    """Molecule keeps "prepared" outside the project: a fresh clone at the same path once skipped its preparation."""
    (tmp_path / "state.yml").write_text("prepared: true\n")
    shutil.rmtree(ROOT / "var/molecule-docker", ignore_errors=True)
    kept = {"MOLECULE_EPHEMERAL_DIRECTORY": str(tmp_path), "BASE_IMAGE": base_image}
    # This verbosity shows the shell's command lines, which `ps` shows to everybody.
    status, output = molecule("test", "-s", "docker", ANSIBLE_VERBOSITY="3", **kept)
    assert status == 0, output[-8000:]
    password = (ROOT / "var/molecule-docker/admin.password").read_text(encoding="utf-8").strip()
    assert password not in output
    assert hashlib.sha256(password.encode()).hexdigest() not in output
