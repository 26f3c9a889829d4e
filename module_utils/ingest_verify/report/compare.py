"""What differs between two runs, and for a PASS after a FAIL: what it took."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..ledger import is_about
from .text import one_line

SNAPSHOT_NAME = "snapshot.json"
_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
_MAX_CHANGES, _MAX_DIFF_LINES = 40, 120
# A table that is made anew has another UUID; every reset makes all of them anew.
_UUID = re.compile(r"\n UUID [0-9a-f-]+")


def runs_of(
    artifacts_dir: Path, host: str | None = None, *, diagnoses: bool = False
) -> list[tuple[str, dict[str, Any]]]:
    """Run ids with their ledgers, oldest first; what cannot be read is left out, and so is a diagnosis alone."""
    found = []
    for folder in sorted(artifacts_dir.glob("*Z-*")) if artifacts_dir.is_dir() else []:
        ledger = read_json(folder / "run.json")
        if not _RUN_ID.fullmatch(folder.name) or not isinstance(ledger, dict):
            continue
        if ledger.get("kind") == "diagnosis" and not diagnoses:
            continue
        if host is None or ledger.get("host") == host:
            found.append((folder.name, ledger))
    return found


def read_json(path: Path) -> Any:
    """The file's content, None where it is absent or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def compare_runs(
    artifacts_dir: Path, ledger: Mapping[str, Any], with_run: str = "", translate: Callable[[str], str] = str
) -> dict[str, Any]:
    """This run against `with_run`, or against the host's run before it.

    Keys: `with`, `sentence`, `gone` and `new` (causes), `changes` (what, diff). Raises LookupError for a run that is
    named and not there.
    """
    _ = translate
    run_id = str(ledger.get("run_id"))
    mine = str(ledger.get("host")), str(ledger.get("target") or "")
    runs = [entry for entry in runs_of(artifacts_dir) if with_run or is_about(entry[1], *mine)]
    if with_run:
        others = [entry for entry in runs if entry[0] == with_run]
        if not others:
            raise LookupError(f"{artifacts_dir} holds no run {with_run}.")
    else:
        others = [entry for entry in runs if entry[0] < run_id]
    if not others:
        return {"sentence": _("This is the first run of this host: there is nothing to compare it with.")}
    other_id, other = others[-1]
    before, after = _causes(other), _causes(ledger)
    gone, new = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    changes, missing = _changes(artifacts_dir / other_id, artifacts_dir / run_id, _)
    took = other.get("verdict") == "FAIL" and ledger.get("verdict") == "PASS"
    if took:
        sentence = _(
            "Run {run} failed, this one passes. What it took: {gone} causes are gone, {changes} things differ."
        )
    else:
        sentence = _(
            "Compared with run {run} ({verdict}): {gone} causes are gone, {new} are new, {changes} things differ."
        )
    return {
        "with": other_id,
        "sentence": sentence.format(
            run=other_id, verdict=other.get("verdict"), gone=len(gone), new=len(new), changes=len(changes)
        ) + (f" {missing}" if missing else ""),
        "what_it_took": took,
        "gone": [f"{cause}: {before[cause]}" for cause in gone],
        "new": [f"{cause}: {after[cause]}" for cause in new],
        "changes": changes,
    }  # fmt: skip


def _causes(ledger: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"{finding.get('cause')} ({finding['object']})" if finding.get("object") else str(finding.get("cause")):
        one_line(finding.get("headline"), 200)
        for finding in reversed(ledger.get("findings") or [])
        if finding.get("severity") == "error"
    }  # fmt: skip


def _changes(old_folder: Path, new_folder: Path, _: Callable[[str], str]) -> tuple[list[dict[str, str]], str]:
    old, new = read_json(old_folder / SNAPSHOT_NAME), read_json(new_folder / SNAPSHOT_NAME)
    if not isinstance(old, dict) or not isinstance(new, dict):
        which = old_folder.name if not isinstance(old, dict) else new_folder.name
        return [], _("Schema and settings cannot be compared: the snapshot of run {run} could not be read.").format(
            run=which
        )
    changes = []
    for section in sorted(old.keys() & new.keys()):
        before, after = old[section], new[section]
        if not isinstance(before, dict) or not isinstance(after, dict):
            continue
        for name in sorted(before.keys() | after.keys()):
            first, second = _text(before.get(name)), _text(after.get(name))
            if first != second:
                changes.append({"what": f"{section}: {name}", "diff": _diff(first, second)})
    if len(changes) > _MAX_CHANGES:
        more = len(changes) - _MAX_CHANGES
        changes = [*changes[:_MAX_CHANGES], {"what": _("and {more} more").format(more=more), "diff": ""}]
    return changes, ""


def _text(value: Any) -> str:
    return (
        "" if value is None else _UUID.sub("", value if isinstance(value, str) else json.dumps(value, sort_keys=True))
    )


def _diff(before: str, after: str) -> str:
    if not before.startswith("CREATE") and not after.startswith("CREATE") and "\n" not in before + after:
        return f"- {before}\n+ {after}"
    # A CREATE statement in one line: a line per column shows what changed.
    old, new = (
        re.sub(r", (?=`)|(?<=[)`\w]) (?=ENGINE|ORDER BY|PARTITION BY|TTL|SETTINGS|AS SELECT)", ",\n", text)
        for text in (before, after)
    )
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=2))[2:]
    return "\n".join(lines[:_MAX_DIFF_LINES] + (["…"] if len(lines) > _MAX_DIFF_LINES else []))
