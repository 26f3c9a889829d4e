"""What went on around the run's statements: a restart, failing parts and mutations, failures of others, extracts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ..causes import Decision
from ..facts.server import UNANSWERED, parse_time
from ..findings import Finding
from . import STAGE
from .case import Case
from .result import excluded_row
from .server_side.refusal import Refusal, to_finding
from .setup import look_at_server

_EXTRACT_ROWS = 500


def restart(case: Case) -> None:
    """A server that went down in the middle of the run: the cause of what the client then says."""
    how = _restarted(case)
    if how is None:
        return
    harmed = bool(case.unfinished) or case.ingest_failed
    # What a server had not flushed when it was killed is in no log: a refusal among it as well.
    case.result.not_proven(
        "the server restarted inside the window, and its log tables may lack the last seconds before that"
    )
    finding = Finding(
        STAGE,
        "error" if harmed else "warning",
        "server_restarted",
        f"The server restarted in the middle of the run, {how[0]} before its end.",
        expected="one server process for the whole run",
        actual=f"{how[1]}; {len(case.unfinished)} statement(s) never ended",
        next_step=look_at_server(case.request.server_setup)
        + "\nDid it crash? SELECT * FROM system.crash_log ORDER BY event_time DESC LIMIT 1;\n"
        "Then run the ingest again.",
        fix_side="server",
        evidence={"sql": case.unfinished[0]["text"]} if case.unfinished else {},
    )
    errors = [f for f in case.result.findings if f.severity == "error" and f.cause.startswith("client_")]
    if harmed and errors:
        finding.effects = [f"{other.cause}: {other.headline}" for other in errors]
        case.result.findings = [f for f in case.result.findings if f not in errors]
    case.result.findings.insert(0, finding)


def _restarted(case: Case) -> tuple[str, str] | None:
    """How long before the window's end the server restarted, and what tells so; None when it did not.

    `uptime()` counts whole seconds; a restart leaves a gap far above the two that rounding can make.
    """
    before, after = case.request.window_before or {}, case.request.window_after or {}
    # The reading after the ingest fails when the server was down just then; of a load that is over there is none.
    try:
        after = after if after.get("uptime_seconds") is not None else case.evidence.clock()
    except UNANSWERED:
        return None
    uptime = after["uptime_seconds"]
    if before.get("at") and before.get("uptime_seconds") is not None:
        elapsed = (parse_time(after["at"]) - parse_time(before["at"])).total_seconds()
        if uptime >= before["uptime_seconds"] + elapsed - 2:
            return None
        return f"{uptime} s", f"uptime {uptime} s after {elapsed:.0f} s of run"
    # Nobody read the server's uptime before the load: then its start lies inside the window, as far as whole seconds
    # can tell, and its logs go back further. A server that first started there has lost nothing.
    latest = parse_time(after["at"]) - timedelta(seconds=uptime)
    earliest, until = latest - timedelta(seconds=1), parse_time(case.window.until)
    if latest <= parse_time(case.window.since) or earliest >= until:
        return None
    if not case.evidence.logged_before(case.window, earliest):
        return None
    return f"{max((until - latest).total_seconds(), 0):.0f} s", f"it started at {str(latest)[:19]} UTC"


def background(case: Case) -> None:
    """Parts and mutations of the target tables that failed behind the statements' back."""
    tables = sorted(case.result.statements_by_target)
    reported = {finding.evidence.get("code") for finding in case.result.findings}
    for row in case.evidence.part_failures(case.window, tables):
        if row["code"] in reported or (row["event"] == "NewPart" and not case.run_ids.intersection(row["query_ids"])):
            continue
        refusal = Refusal(
            f"{row['event']} in {row['database']}.{row['table']}",
            row["last_exception"],
            row["code"],
            case.code_name(row["code"]),
            "",
        )
        finding = to_finding(
            Decision(
                "server_part_failed",
                f"{row['event']} failed in {row['database']}.{row['table']}: {refusal.text[:200]}",
            ),
            refusal,
            "warning",
        )
        finding.object = f"{row['database']}.{row['table']}"
        finding.next_step = "SELECT * FROM system.part_log WHERE error != 0 ORDER BY event_time DESC LIMIT 10;"
        finding.evidence.update(
            count=row["amount"], first=row["first_at"], last=row["last_at"], log_table="system.part_log"
        )
        case.result.findings.append(finding)


def list_noise(case: Case) -> None:
    """List and count the failing statements that are not the run's."""
    excluded = case.result.excluded
    for reason, group in case.attribution.excluded:
        if group.code:
            excluded.append(excluded_row(reason, group))
    by_reason = case.result.counts["excluded_failed"]
    others, total = case.evidence.noise(case.window, case.request.filters, case.request.marks)
    if total:
        by_reason["another user or program"] = total
    excluded += [{"reason": "another user or program", **_noise_row(row)} for row in others]
    if case.request.filters:
        earlier = case.evidence.earlier_failures(case.window, case.request.filters)
        if earlier:
            by_reason["before the window"] = sum(row["amount"] for row in earlier)
        excluded += [{"reason": "before the window", **_noise_row(row)} for row in earlier]
    if by_reason:
        total = sum(by_reason.values())
        listed = ", ".join(f"{count} {reason}" for reason, count in by_reason.items())
        case.result.findings.append(
            Finding(
                STAGE,
                "info",
                "noise_excluded",
                f"{total} failing statement(s) are not this run's and were not counted against it: {listed}.",
                evidence={
                    "rows": [{k: v for k, v in row.items() if k != "example"} for row in excluded[:5]],
                    "count": total,
                },
            )
        )


def take_extracts(case: Case) -> None:
    """Rows of the log tables about the run, failed statements first, for its folder."""
    failed = [query_id for group in case.run if group.code for query_id in group.query_ids]
    other = [query_id for group in case.run if not group.code for query_id in group.query_ids]
    ids = [*failed, *other][:1000]
    case.result.extracts = {
        "query_log": case.evidence.extract(case.window, ids, _EXTRACT_ROWS),
        "text_log": case.evidence.text_of(case.window, ids),
    }


def _noise_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "user": row["user"],
        "program": row["program"],
        "code": row["code"],
        "code_name": row["code_name"],
        "count": row["amount"],
        "first": row["first_at"],
        "last": row["last_at"],
        "example": row["example"],
    }
