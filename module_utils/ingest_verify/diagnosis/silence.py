"""A run that no finding explains: nothing seen, nothing written, or an exit code without a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..facts.log import ClientLog
from ..findings import Finding
from . import STAGE
from .case import Case
from .proof import evidence_finding
from .result import one_line
from .server_side.streams import stopped, streams


def silence(case: Case, causes: Sequence[Finding]) -> list[Finding]:
    """Judge a run that no finding explains: nothing seen, nothing written, or an exit code without a word."""
    if any(finding.severity == "error" for finding in causes):
        return []
    if consumers := streams(case):
        return stopped(consumers)
    if not case.run and (case.judged or case.request.filters or case.request.marks):
        _nothing_seen(case)
    if not case.judged:
        return []
    if case.ingest_failed:
        exit_code = case.ingest["exit_code"]
        return [
            Finding(
                STAGE,
                "error",
                "client_exception",
                f"The ingest ended with exit code {exit_code} and its log names no error; no statement of this "
                "run failed on the server.",
                expected="exit code 0, or a log that says why not",
                actual=f"exit code {exit_code}",
                next_step="Read the ingest's log in the run's folder; run it once with LOG_LEVEL=DEBUG.",
                fix_side="loader",
            )
        ]
    wrote = any(entry["insert_finished"] or entry["filled_by"] for entry in case.result.statements_by_target.values())
    if not wrote and case.result.proven and (unknown := _unknown_targets(case)):
        return [unknown]
    if case.request.targets and case.run and not wrote and case.result.proven:
        last = max(case.run, key=lambda group: group.last)
        return [
            Finding(
                STAGE,
                "error",
                "client_no_insert",
                "The ingest ended with exit code 0 and sent no INSERT to any of its tables.",
                object=", ".join(case.request.targets),
                expected="an INSERT into each of them",
                actual=f"{case.result.counts['statements']} statement(s), the last one {one_line(last.query)[:160]}",
                next_step="Check DRY_RUN, the time window asked of the source, and errors that the ingest swallows.",
                fix_side="loader",
            )
        ]
    return []


def _nothing_seen(case: Case) -> None:
    """Statements were to be found and there is none: that proves nothing."""
    who = ", ".join(case.request.users) or "the ingest"
    if case.request.log_comment:
        who += f" with log_comment {case.request.log_comment}"
    claimed = claimed_rows(case.ingest, case.log)
    words = f"query_log holds no statement of {who} between {case.window.since} and {case.window.until} (UTC)"
    if claimed:
        words += f", yet the loader says that it wrote {claimed} rows"
    case.result.not_proven(words)
    step = (
        "Check that the ingest writes to this server (CLICKHOUSE_HOST), as this user, and that log_queries = 1 holds "
        "for it."
    )
    case.result.findings.append(evidence_finding("evidence_no_statements", words, step))


def _unknown_targets(case: Case) -> Finding | None:
    """Targets that no table has the name of: a slip in the inventory, and no failure of the ingest."""
    named = [name.rpartition(".")[::2] for name in case.request.targets]
    owned = [(owner or case.request.database or "", name) for owner, name in named]
    missing = [(owner, name) for owner, name in owned if not case.catalog.has_table(owner, name)]
    # A reader sees the tables that it has rights on: one that sees none of a database cannot say what it lacks.
    seen = {owner for owner, _ in case.catalog.tables}
    if not missing or len(missing) < len(owned) or not all(owner in seen for owner, _ in missing):
        return None
    owner, name = missing[0]
    near = case.catalog.nearest_table(owner, name)
    return Finding(
        STAGE,
        "error",
        "config_targets",
        f"There is no table {owner}.{name}, which is named as a target of the ingest."
        + (f" Is {near} meant?" if near else ""),
        object=f"{owner}.{name}",
        expected="targets that are tables",
        actual=f"no such table: {', '.join('.'.join(table) for table in missing)}",
        next_step="Correct qtickets_ingest_targets in the inventory, or apply the schema that holds the table.",
        fix_side="configuration",
    )


def claimed_rows(ingest: Mapping[str, Any], log: ClientLog | None) -> int:
    """How many rows the loader says that it wrote, 0 where it says none."""
    outcome = ingest.get("outcome") or (log.outcome if log else None) or {}
    for key in ("rows_processed", "rows", "rows_written", "written", "inserted"):
        value = outcome.get(key) if isinstance(outcome, Mapping) else None
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0
