"""Molecule's docker scenario on a real engine: Compose up, build, run, verify, and a case that must fail."""

from __future__ import annotations

import shutil

from tests.plays import ROOT, molecule


def test_the_docker_scenario_passes_also_where_an_earlier_clone_was_prepared(engine_of_docker, base_image):
    """Molecule keeps "prepared" outside the project: a fresh clone at the same path once skipped its preparation."""
    status, output = molecule("prepare", "-s", "docker", "--force", BASE_IMAGE=base_image)
    assert status == 0, output[-8000:]
    shutil.rmtree(ROOT / "var/molecule-docker")
    status, output = molecule("test", "-s", "docker", BASE_IMAGE=base_image)
    assert status == 0, output[-8000:]
