"""The runs of an artifacts folder as a table: `python -m ingest_verify.report.runs [FOLDER]`, as `make runs` does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .compare import runs_of
from .text import duration, one_line, seconds_between


def lines(artifacts_dir: Path, limit: int = 30) -> list[str]:
    """One line per run, the newest last: id, host, verdict, duration, rows, cause."""
    shown = runs_of(artifacts_dir)[-limit:]
    if not shown:
        return [f"{artifacts_dir} holds no run."]
    table = [("run", "host", "verdict", "duration", "rows", "cause")]
    table += [(run_id, *_columns(ledger)) for run_id, ledger in shown]
    widths = [max(len(row[i]) for row in table) for i in range(5)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip() for row in table
    ]


def _columns(ledger: dict[str, Any]) -> tuple[str, str, str, str, str]:
    errors = [finding for finding in ledger.get("findings") or [] if finding.get("severity") == "error"]
    cause = f"{errors[0].get('cause')}: {one_line(errors[0].get('headline'), 90)}" if errors else ""
    outcome = (ledger.get("ingest") or {}).get("outcome") or {}
    rows = outcome.get("rows_processed", outcome.get("rows", "")) if isinstance(outcome, dict) else ""
    length = duration(seconds_between(ledger.get("started_at"), ledger.get("ended_at")))
    return one_line(ledger.get("host"), 40), str(ledger.get("verdict") or "no verdict"), length, str(rows), cause


def main() -> int:
    """Print the table."""
    print("\n".join(lines(Path(sys.argv[1] if len(sys.argv) > 1 else "artifacts"))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
