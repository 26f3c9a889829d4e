"""What the product says while a test plays a row of the failure catalogue, noted for docs/faults.py."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.compose_project import ProjectError
from ansible.module_utils.ingest_verify.container_run import NotStarted
from ansible.module_utils.ingest_verify.findings import Finding

from tests.plays import Played


@dataclass(frozen=True)
class Word:
    """One thing said; `rank` puts what names the cause first: errors that carry effects, errors, warnings."""

    cause: str
    text: str
    rank: int


def _of_finding(severity: str, cause: str, headline: str, effects: object) -> Word | None:
    if severity == "info" and cause != "noise_excluded":
        return None
    return Word(cause, headline, {"error": 0 if effects else 1, "warning": 2, "info": 3}[severity])


def _of_play(played: Played) -> list[Word | None]:
    refused = re.search(r"fatal: .*?\n +msg: (.+?)\n\n", played.output, re.DOTALL)
    if refused and not played.report:
        return [Word("no run opened", " ".join(refused[1].split()), 1)]
    return [
        _of_finding(f["severity"], f["cause"], f["headline"], f.get("effects"))
        for f in played.report.get("findings", [])
    ]


_SPEAKERS: dict[type, tuple[str, Callable[[Any], list[Word | None]]]] = {
    Finding: ("__post_init__", lambda f: [_of_finding(f.severity, f.cause, f.headline, f.effects)]),
    ProjectError: ("__init__", lambda e: [Word(f"host_{e.kind}", str(e), 1)]),
    NotStarted: ("__init__", lambda e: [Word(f"host_{e.kind}", str(e), 1)]),
    Played: ("__init__", _of_play),
}


def _overheard(method: Callable[..., None], speakers: list[object]) -> Callable[..., None]:
    def noting(speaker: object, *arguments: object) -> None:
        method(speaker, *arguments)
        speakers.append(speaker)

    return noting


@pytest.fixture(autouse=True)
def said(request: pytest.FixtureRequest) -> Iterator[None]:
    """With FAULTS_SAID=<file>, append what a test of a row made the product say: findings, reports, refusals."""
    target, row = os.environ.get("FAULTS_SAID"), _row(request)
    if not target or row is None:
        yield
        return
    database = _database(request)
    speakers: list[object] = []
    # A context of its own: the test's `monkeypatch` must end before the fixtures that were set up ahead of it.
    with pytest.MonkeyPatch.context() as patch:
        for kind, (method, _) in _SPEAKERS.items():
            patch.setattr(kind, method, _overheard(getattr(kind, method), speakers))
        yield
    # Only now: a finding gets its effects, and a retry its last word, after it was made.
    words = [word for speaker in speakers for word in _SPEAKERS[type(speaker)][1](speaker)]
    told = sorted((w for w in words if w and (w.cause == "noise_excluded") == (row == 53)), key=lambda word: word.rank)
    if told:
        entry = {"test": request.node.nodeid, "row": row, "cause": told[0].cause, "headline": told[0].text}
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(json.dumps({**entry, "database": database}) + "\n")


def _row(request: pytest.FixtureRequest) -> int | None:
    """The row that a test plays: from its marker, its module's table of faults, or its name (`test_row_16_...`)."""
    if (marker := request.node.get_closest_marker("row")) is not None:
        return int(marker.args[0])
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    fault = getattr(request.module, "FAULTS", {}).get(parameters.get("name"))
    if getattr(fault, "row", None):
        return int(fault.row)
    found = re.match(r"test_(?:rows?_)?(\d{1,2})_", request.node.name)
    return int(found.group(1)) if found else None


def _database(request: pytest.FixtureRequest) -> str:
    """The name of the test's own database, which means nothing to a reader."""
    for name in ("stage", "database"):
        if name in request.fixturenames:
            value = request.getfixturevalue(name)
            return str(getattr(value, "database", value))
    return ""
