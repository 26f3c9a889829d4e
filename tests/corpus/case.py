"""A case's folder as an object."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

CASES = Path(__file__).resolve().parent / "cases"
RECORDING = "recorded.jsonl"


@dataclass(frozen=True)
class Expected:
    """What has to be said. A healthy case expects PASS and no error.

    `cause` lists the ids that are right; `says` must all stand in the first error's text, `told` in the text of an
    answer that only tells facts, `never` in no error or warning at all.
    """

    verdict: str = "FAIL"
    side: list[str] = field(default_factory=list)
    cause: list[str] = field(default_factory=list)
    object: str | None = None
    says: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    never: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Recording:
    """What the server's tables held: rows by table, and the clock around the run."""

    meta: dict[str, Any]
    rows: dict[str, list[dict[str, Any]]]

    @cached_property
    def digest(self) -> str:
        """Names the rows."""
        return hashlib.sha256(json.dumps(self.rows, sort_keys=True).encode()).hexdigest()[:24]


class CaseError(Exception):
    """A case's folder that cannot be read; the text names folder and key."""


@dataclass(frozen=True)
class Case:
    """One folder below `cases/`."""

    folder: Path
    data: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Case:
        """Raises CaseError for a folder without a readable case.yml, or with keys that nobody reads."""
        try:
            data = yaml.safe_load((folder / "case.yml").read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise CaseError(f"{folder}: {error}") from None
        known = {
            "what",
            "source",
            "batch",
            "kind",
            "client",
            "asked",
            "ingest",
            "server",
            "play",
            "data",
            "expect",
            "first",
        }
        unknown = set(data) - known - {"today", "row", "dress"}
        if unknown or not {"what", "expect", "kind"} <= set(data) or data["kind"] not in ("fault", "healthy"):
            raise CaseError(f"{folder}: what, kind (fault or healthy), expect are needed; not known: {sorted(unknown)}")
        return cls(folder, data)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def healthy(self) -> bool:
        return bool(self.data["kind"] == "healthy")

    @cached_property
    def expect(self) -> Expected:
        given = dict(self.data["expect"] or {})
        if self.healthy:
            given.setdefault("verdict", "PASS")
        for key in ("side", "cause", "says", "told", "never"):
            value = given.get(key, [])
            given[key] = [str(item) for item in (value if isinstance(value, list) else [value])]
        return Expected(**given)

    @property
    def log(self) -> Path | None:
        """The loader's log, None where the case has none."""
        path = self.folder / "loader.log"
        return path if path.exists() else None

    @cached_property
    def recording(self) -> Recording | None:
        """None where the case was written without a server."""
        path = self.folder / RECORDING
        if not path.exists():
            return None
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        rows: dict[str, list[dict[str, Any]]] = {}
        for table, row in lines[1:]:
            rows.setdefault(table, []).append(row)
        return Recording(lines[0], rows)

    @property
    def ingest(self) -> dict[str, Any] | None:
        """What is known of the loader's process; None where a log alone is judged."""
        recorded = self.recording.meta.get("ingest") if self.recording else None
        own = self.data.get("ingest")
        if own is None and recorded is None:
            return None
        return {**(recorded or {}), **(own or {})}


def read_cases(folder: Path = CASES) -> list[Case]:
    """All cases of a folder, by name. Raises CaseError for one that cannot be read."""
    return [Case.read(path.parent) for path in sorted(folder.glob("*/case.yml"))]
