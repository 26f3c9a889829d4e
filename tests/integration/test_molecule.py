"""Molecule's default scenario, run as CI and developers run it."""

from __future__ import annotations

from tests.plays import molecule


def test_the_default_scenario_passes():
    status, output = molecule("test", "-s", "default")
    assert status == 0, output[-8000:]
