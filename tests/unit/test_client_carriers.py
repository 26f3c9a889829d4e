"""What carries a log changes no answer: prefixes on each line, colours, other line ends, another service's lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.diagnosis.client_side import client_findings
from ansible.module_utils.ingest_verify.facts.log import read_client_log

from tests.unit import test_client_causes as causes
from tests.unit import test_client_kinds as kinds

LINES = next(mark for mark in causes.test_a_line_alone_names_its_cause.pytestmark if mark.name == "parametrize")
LOGS: list[tuple[str, dict[str, Any]]] = [
    *((f"INFO start\n{line}\n", {"env": causes.ENV, "container": True}) for line, _ in LINES.args[1]),
    *((f"{text}\n", {"env": causes.ENV, "container": True}) for text, *_ in causes.OTHER_TEAMS),
    *((text, {"env": kinds.ENV}) for text in (kinds.SHARED_TEXT, kinds.SHARED_TRACE, kinds.SHARED_SESSION)),
    *((text, {"env": kinds.ENV}) for text, _ in kinds.LIBRARY),
]


def before_each(prefix: str) -> Callable[[str], str]:
    return lambda text: "".join(prefix.format(n=n % 60) + line + "\n" for n, line in enumerate(text.splitlines()))


def with_another_service(text: str) -> str:
    return "".join(f"app-1 | {line}\ndb-1  | INFO checkpoint {n} done\n" for n, line in enumerate(text.splitlines()))


CARRIERS: dict[str, Callable[[str], str]] = {
    "compose": before_each("app-1  | "),
    "kubectl": before_each("[pod/app-7f/loader] "),
    "journald": before_each("Nov 28 05:00:{n:02d} host loader[17]: "),
    "journald, in Russian": before_each("ноя 28 05:00:{n:02d} host loader[17]: "),
    "journald, ISO": before_each("2026-11-28T05:00:{n:02d}+0300 host loader[17]: "),
    "CRI": before_each("2026-11-28T05:00:{n:02d}.123456789Z stdout F "),
    "docker logs -t": before_each("2026-11-28T05:00:{n:02d}.123456789Z "),
    "time": before_each("2026-11-28 05:00:{n:02d},123 "),
    "time in brackets": before_each("[2026-11-28 05:00:{n:02d}] "),
    "time, day first": before_each("28.11.2026 05:00:{n:02d} "),
    "Windows": lambda text: text.replace("\n", "\r\n"),
    "colours": lambda text: "".join(f"\x1b[31m{line}\x1b[0m\n" for line in text.splitlines()),
    "another service": with_another_service,
}


def judged(folder: Path, text: str, ingest: dict[str, Any]) -> list[tuple[str, str | None]]:
    path = folder / "ingest.log"
    path.write_bytes(text.encode())
    found = client_findings(read_client_log(path), {"exit_code": 1, **ingest})
    return [(finding.cause, finding.object) for finding in found if finding.severity == "error"]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_what_carries_a_log_changes_no_answer(tmp_path: Path, carrier: str) -> None:
    changed = []
    for text, ingest in LOGS:
        bare, carried = (judged(tmp_path, each, ingest) for each in (text, CARRIERS[carrier](text)))
        if bare != carried:
            changed.append((text, bare, carried))
    assert changed == []
