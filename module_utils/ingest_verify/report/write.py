"""One call that makes a run's report: mask what lies there, build the model, write every form, prove it clean."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..masking import Masker
from . import bundle, forms, tell
from .compare import SNAPSHOT_NAME, compare_runs, read_json
from .language import Language
from .model import build_model
from .text import visible_data, when


@dataclass(frozen=True)
class Wanted:
    """What is asked for beside the forms; each default is off or small."""

    language: str = "en"
    compare: str = ""
    archive: bool = False
    keep: int = 0
    notify: Sequence[str] = field(default_factory=tuple)
    link: str = ""
    metrics_file: str = ""
    lineage_namespace: str = ""


@dataclass
class Written:
    """What came of it: the model, paths by form, warnings in sentences."""

    model: dict[str, Any]
    paths: dict[str, str]
    warnings: list[str]


def write_report(folder: Path, ledger: Mapping[str, Any], secrets: Sequence[str], wanted: Wanted) -> Written:
    """Write every form of the run's report into its folder.

    Raises LeakError when a written file still holds a secret, LookupError when a run to compare with is not there,
    ValueError for an unknown language, OSError when the folder cannot be written.
    """
    masker, language, warnings = Masker(secrets), Language(wanted.language), []
    cut = bundle.mask_files(folder, masker)
    ledger = masker.data(dict(ledger))
    snapshot = read_json(folder / SNAPSHOT_NAME)
    if isinstance(snapshot, dict):
        ledger = {**ledger, "snapshot": snapshot}
    comparison = compare_runs(folder.parent, ledger, wanted.compare, language.text)
    model = build_model(ledger, folder, translate=language.text, comparison=comparison)
    model["cut"] += cut
    if not isinstance(snapshot, dict):
        model["missing"].append(language.text("No snapshot of schema, rights and settings was taken in this run."))
    else:
        model["missing"] += [
            language.text("The snapshot lacks a part. {part}").format(part=part)
            for part in snapshot.get("missing") or []
        ]
    _write_statements(folder, model)
    written_later = ["report.json", "report.html", "report.md", "junit.xml", "metrics.prom"]
    names = {path.relative_to(folder).as_posix() for path in bundle.files_of(folder)} - {bundle.MANIFEST}
    model["files"] = sorted({*names, *written_later})
    model = visible_data(masker.data(model))
    contents = {
        "report.json": json.dumps(model, indent=2, ensure_ascii=False, default=str) + "\n",
        "report.html": forms.to_html(model, language),
        "report.md": forms.to_markdown(model, language),
        "junit.xml": forms.to_junit(model),
        "metrics.prom": forms.to_metrics(model),
    }
    if wanted.lineage_namespace:
        try:
            contents["openlineage.json"] = tell.lineage_event(model, wanted.lineage_namespace)
        except ImportError:
            warnings.append("No OpenLineage event: install openlineage-python (requirements/extras.lock).")
    for name, content in contents.items():
        bundle.write(folder / name, content)
    bundle.prove_clean(folder, masker)
    bundle.write_manifest(folder)
    paths = {name: str(folder / name) for name in contents}
    if wanted.archive:
        paths["archive"] = str(bundle.pack(folder))
    if wanted.metrics_file:
        with contextlib.suppress(OSError):
            bundle.write(Path(wanted.metrics_file), contents["metrics.prom"])
            Path(wanted.metrics_file).chmod(0o644)
    if wanted.notify:
        warning = tell.notify(model, wanted.notify, wanted.link or paths["report.html"])
        warnings += [warning] if warning else []
    bundle.prune(folder.parent, str(model["host"]), wanted.keep, folder.name)
    return Written(model, paths, warnings)


def _write_statements(folder: Path, model: Mapping[str, Any]) -> None:
    """The SQL that the ingest sent, in order, as a file that one can read."""
    extract = folder / "query_log.jsonl"
    if not extract.exists():
        return
    pieces = []
    with extract.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            with contextlib.suppress(ValueError):
                row = json.loads(line)
                if isinstance(row, dict) and row.get("event") != "QueryStart" and row.get("query"):
                    outcome = f"code {row['exception_code']}" if row.get("exception_code") else "ok"
                    pieces.append(f"-- {when(row.get('time'))}, {outcome}\n{row['query']};\n")
    bundle.write(folder / "statements.sql", "\n".join(pieces))
