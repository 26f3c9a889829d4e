"""The journal: what was moved aside, when, by which run, and who had made it. It lies beside the data."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .errors import ResetError

FOLDER = ".ingest-verify"
STAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{6}Z(?:-\d+)?")
# A move is complete in state `aside` alone.
MOVING, ASIDE, RETURNING = "moving", "aside", "returning"
RUNS, OTHERS = "runs", "others"


@dataclass
class Move:
    """One move of a server's data.

    Attributes:
        stamp: UTC time, the suffix of the places' names.
        run_id: the run that moved it.
        why: `reset` or `restore`.
        made_by: `runs` when runs of this project made all of it, else `others`.
        tables: rows of `content.list_tables` as noted before the server was stopped; of a server that was down only
            database and table are known (rows None).
        parts: target path to [from, to], as a person would name the places.
        state: `moving` from before the first rename until after the last, then `aside`; `returning` while brought back.
    """

    stamp: str
    run_id: str
    why: str
    made_by: str
    tables: list[dict[str, Any]]
    parts: dict[str, list[str]] = field(default_factory=dict)
    state: str = MOVING
    made: dict[str, Any] | None = None

    @property
    def rows(self) -> int | None:
        """Rows of all tables; None when the server was down."""
        known = [table["rows"] for table in self.tables if table.get("rows") is not None]
        return sum(known) if known or not self.tables else None

    @property
    def size(self) -> int | None:
        """Bytes on disk of all tables; None when the server was down."""
        known = [table["bytes"] for table in self.tables if table.get("bytes") is not None]
        return sum(known) if known or not self.tables else None

    def row(self) -> dict[str, Any]:
        """What it is and where, as a row of the report."""
        where = ", ".join(names[1] for names in self.parts.values())
        return {
            "moved aside": self.stamp,
            "tables": len(self.tables),
            "rows": self.rows,
            "bytes": self.size,
            "where": where,
        }

    def line(self) -> str:
        """What it is, in one line."""
        rows = "rows not known (the server was down)" if self.rows is None else f"{self.rows} rows, {self.size} bytes"
        whose = "made by runs of this project" if self.made_by == RUNS else "not made by a run"
        state = "" if self.state == ASIDE else f", not complete ({self.state})"
        return f"{self.stamp}: {len(self.tables)} tables, {rows}, {whose}{state}"


class Journal:
    """The notes in one folder; reading it never fails for a folder that is not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def moves(self) -> list[Move]:
        """Every move that is not gone, newest first."""
        found = []
        for path in sorted((self.folder / "moves").glob("*.json"), reverse=True):
            try:
                found.append(Move(**json.loads(path.read_text(encoding="utf-8"))))
            except (ValueError, TypeError) as error:
                raise ResetError(
                    "journal", f"The note {path} cannot be read: {error}. Move it out of the way."
                ) from error
        return found

    def find(self, stamp: str) -> Move | None:
        return next((move for move in self.moves() if move.stamp == stamp), None)

    def note(self, move: Move) -> None:
        """Write or replace the note of a move."""
        self._write(self.folder / "moves" / f"{move.stamp}.json", asdict(move))

    def forget(self, move: Move) -> None:
        (self.folder / "moves" / f"{move.stamp}.json").unlink(missing_ok=True)

    def new_stamp(self) -> str:
        """A suffix for what is moved aside now, in UTC; no two moves share one."""
        stamp = base = f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"
        number = 1
        while (self.folder / "moves" / f"{stamp}.json").exists():
            number += 1
            stamp = f"{base}-{number}"
        return stamp

    def made(self) -> dict[str, Any] | None:
        """Who made the data that is in place: `run_id`, `since` (the server's clock), and as of a run's end `left`
        (its tables) and `others` (programs that wrote besides the ingest, None when that is not known).

        None: no run of this project began it.
        """
        try:
            made = json.loads((self.folder / "made.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        return made if isinstance(made, dict) else None

    def set_made(self, made: dict[str, Any] | None) -> None:
        if made is None:
            (self.folder / "made.json").unlink(missing_ok=True)
        else:
            self._write(self.folder / "made.json", made)

    def _write(self, path: Path, data: Any) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            ignore = self.folder / ".gitignore"
            if not ignore.exists():
                # The project's folder is often a checkout.
                ignore.write_text("*\n", encoding="utf-8")
            fresh = path.with_suffix(".new")
            with fresh.open("w", encoding="utf-8") as file:
                json.dump(data, file, indent=1, default=str)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            raise ResetError(
                "journal",
                f"The note {path} of what is moved aside cannot be written ({error.strerror}). Nothing is moved "
                "without one. Give this user the right to write there, or run the play with `-b`.",
            ) from error


def same_content(one: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]]) -> bool:
    """Whether nothing was written between two listings. Merges in the background do not count."""

    def signature(tables: Sequence[dict[str, Any]]) -> dict[tuple[str, str], Any]:
        return {(table["database"], table["table"]): table["block"] or table["rows"] for table in tables}

    return signature(one) == signature(other)
