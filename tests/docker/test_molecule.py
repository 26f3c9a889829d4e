"""Molecule's docker scenario on a real engine: Compose up, build, run, verify, and a case that must fail."""

from __future__ import annotations

from tests.plays import molecule


def test_the_docker_scenario_passes(engine_of_docker, base_image):
    status, output = molecule("test", "-s", "docker", BASE_IMAGE=base_image)
    assert status == 0, output[-8000:]
