"""The way from a question to a verdict: the evidence, what the server refused, what the client says, and their join."""

from __future__ import annotations

from collections.abc import Callable

from ..facts.log import ClientLog
from ..facts.server import Evidence, Query, Window
from .attribution import Attribution, attribute
from .case import Case
from .counting import count_by_target, count_statements
from .join import join
from .proof import prove_channel, report_hidden_evidence, report_unanswered
from .request import Request
from .result import Diagnosis
from .server_side.mutations import failing_mutations, waiting_rows
from .server_side.refused import failed_async_inserts, refused_statements
from .server_side.unlogged import full_disk, unlogged_refusals
from .setup import name_schema_file
from .surroundings import background, list_noise, restart, take_extracts


def diagnose(query: Query, execute_marker: Callable[[str], None], request: Request) -> Diagnosis:
    """Judge a window. `execute_marker` sends a statement under the query id it is given, with logging on.

    Raises EvidenceError when the question itself cannot be answered (reversed window, unknown cluster), LogFileError
    when the client's log cannot be read.
    """
    evidence, result, log = Evidence(query, request.cluster), Diagnosis(), request.read_log()
    prove_channel(evidence, execute_marker, request, result)
    window = evidence.window(request.since, request.until, request.window_minutes)
    result.window = {"from": window.since, "to": window.until}
    report_hidden_evidence(evidence, window, request.users, result)
    case = Case(request, evidence, window, _attribution(evidence, window, request, log, result), log, result)

    refused = refused_statements(case)
    refused.errors += failed_async_inserts(case)
    refused.errors += unlogged_refusals(case, refused.errors)
    refused.errors += [] if refused.errors else full_disk(case)
    count_statements(case)
    count_by_target(case)
    told = {(finding.cause, finding.object) for finding in refused.errors}
    mutations = [one for one in [*failing_mutations(case), *waiting_rows(case)] if (one.cause, one.object) not in told]
    refused.errors += [finding for finding in mutations if finding.severity == "error"]
    refused.warnings += [finding for finding in mutations if finding.severity == "warning"]
    report_unanswered(evidence, result)
    join(case, refused)
    result.answered = case.recorded.answered_inserts() if case.recorded else {}
    restart(case)
    background(case)
    list_noise(case)
    take_extracts(case)
    report_unanswered(evidence, result)
    for finding in result.findings:
        name_schema_file(finding, request.server_setup)
    result.missing_evidence = {**evidence.missing, **evidence.failed}
    return result


def _attribution(
    evidence: Evidence, window: Window, request: Request, log: ClientLog | None, result: Diagnosis
) -> Attribution:
    """Read the window's statements and say which of them are the run's."""
    groups, total = evidence.statements(
        window, request.filters, request.marks, only_started_inside=request.ingest is not None
    )
    report_unanswered(evidence, result)
    if evidence.simplified:
        result.reasons.append(evidence.simplified)
    if total > len(groups):
        result.reasons.append(f"{total} shapes of statements in the window, {len(groups)} were read")
    narrowed = bool(request.filters)
    programs = {group.program for group in groups}
    attribution = attribute(
        groups,
        narrowed=narrowed,
        # A log_comment that was asked for by name; a loader may leave its run id out.
        marked=bool(request.log_comment),
        targets=request.targets,
        active_before=evidence.active_before(window, request.filters) if narrowed and len(programs) > 1 else set(),
        client_text="\n".join(error.text for error in log.errors) if log else "",
    )
    result.policy = attribution.policy
    return attribution
