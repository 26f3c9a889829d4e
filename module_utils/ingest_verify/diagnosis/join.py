"""The join of both sides: which finding is the cause, and which ones are its effects."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..clickhouse.error_codes import kind_of, name_of
from ..facts.log import ClientLog
from ..facts.recorded import Raised, Recorded
from ..findings import Finding
from .aborts import aborted_statements, unlogged_aborts
from .attribution import target_of
from .case import Case
from .client_side import client_findings
from .client_side.code_rules import OWN_CODE
from .recorded_cause import REPORTED_WEIGHT, cause_by_record, locate, silent_recorder, weight
from .result import one_line
from .served import partly_read, too_wide
from .server_side.refusal import Refusal
from .server_side.refused import Refused
from .silence import silence

# Findings of the client's side that an ingest also writes when it merely passes the server's refusal on.
_REPORTING_CAUSES = {"client_exception", "client_key_error", "client_serialization"}
# What the server says of a request whose bytes do not follow the protocol.
_UNREADABLE = {"value", "input", "wire", "cut_request"}
_MENTIONS_SERVER = re.compile(r"(?i)clickhouse|\binsert|\bdatabase|\bquery|\btable|DB::|load(ing)? (failed|error)|chdb")


def join(case: Case, refused: Refused) -> None:
    """Bring both sides together: one finding per cause, what follows from it as its effects, the gravest first."""
    server = refused.errors
    client = client_findings(case.log or ClientLog(), case.ingest) if case.log or case.judged else []
    _locate(case, [*server, *refused.warnings])
    if case.recorded is not None:
        client = _by_record(case, case.recorded, client, server)
    server = _without_garbled(client, server)
    wordless = [finding for finding in client if _is_wordless(finding)]
    causes = list(server)
    for finding in client:
        cause = _cause_behind(finding, server)
        if finding in wordless:
            continue
        if cause is None:
            _add_server_side(case, finding, bool(server))
            causes.append(finding)
        else:
            cause.effects.append(f"the client's log: {finding.headline}")
    causes += aborted_statements(case, refused.aborted, causes)
    causes += unlogged_aborts(case, causes)
    for finding in wordless:
        if any(cause.severity == "error" for cause in causes):
            next(c for c in causes if c.severity == "error").effects.append(finding.headline)
        else:
            _add_server_side(case, finding, False)
            causes.append(finding)
    causes += silence(case, causes)
    if not any(cause.severity == "error" for cause in causes):
        causes += partly_read(case) + too_wide(case)
    _point_to_others(case, causes)
    case.result.findings = [*causes, *refused.warnings, *case.result.findings]
    order = {"error": 0, "warning": 1, "info": 2}
    case.result.findings.sort(key=lambda finding: order[finding.severity])


def _without_garbled(client: Sequence[Finding], server: list[Finding]) -> list[Finding]:
    """The server's refusals, without those of bytes that threads wrote into one another's request: they are effects."""
    shared = next((finding for finding in client if finding.cause == "client_shared_connection"), None)
    if shared is None:
        return server
    garbled = [finding for finding in server if kind_of(int(finding.evidence.get("code") or 0)) in _UNREADABLE]
    shared.effects += [f"the server's query_log: {one_line(str(f.evidence.get('exception')))}" for f in garbled]
    return [finding for finding in server if finding not in garbled]


def _by_record(case: Case, recorded: Recorded, client: list[Finding], server: Sequence[Finding]) -> list[Finding]:
    """The client's findings, where the recorder saw the cause: log lines explain only what no record does."""
    locate(server, recorded)
    case.result.findings += silent_recorder(recorded)
    written = any(entry["insert_finished"] or entry["filled_by"] for entry in case.result.statements_by_target.values())
    errors = [finding for finding in client if finding.severity == "error"]
    bad = case.ingest_failed or bool(errors) or (not written and case.result.proven)
    if not case.judged or not bad or case.ingest.get("timed_out") or case.ingest.get("oom_killed"):
        return client
    found = cause_by_record(case, recorded)
    if found is None:
        return client
    finding, raised = found
    if server and (weight(raised) < REPORTED_WEIGHT or finding.evidence.get("code") or _reports(raised, server)):
        # The server's own record of the refusal is the cause, and what the loader raised for it an echo.
        return client
    told = [e for e in errors if e.cause not in _REPORTING_CAUSES and not _is_wordless(e)]
    if any(e.cause != finding.cause for e in told) and (
        finding.cause in _REPORTING_CAUSES or weight(raised) < REPORTED_WEIGHT
    ):
        # The log names a cause of its own; the record gives the place.
        told[0].evidence.setdefault("location", finding.evidence.get("location"))
        return client
    for error in errors:
        finding.effects += error.effects
        if not any(said in error.headline for said in (raised.origin.text, raised.chain[0].text) if said):
            finding.effects.append(f"the client's log: {error.headline}")
    return [finding, *(other for other in client if other not in errors)]


def _reports(raised: Raised, server: Sequence[Finding]) -> bool:
    """Whether an exception passes a refusal of the server on."""
    texts = "\n".join(str(link) for link in raised.chain)
    names = [str(f.evidence.get("code_name") or "?") for f in server]
    codes = {f.evidence.get("code") for f in server} - {None}
    return any(name in texts for name in names) or any(link.code in codes for link in raised.chain)


def _locate(case: Case, server: Sequence[Finding]) -> None:
    """Put the place in the client's code where a refusal arrived into the server's finding."""
    for error in case.client_errors:
        for finding in server:
            if error.server_code is not None and error.server_code == finding.evidence.get("code") and error.frame:
                finding.evidence.setdefault("location", f"{error.frame.file}:{error.frame.line}")


def _cause_behind(finding: Finding, server: Sequence[Finding]) -> Finding | None:
    """The server's refusal that a finding of the client's side merely reports, else None."""
    if finding.severity != "error" or finding.cause not in _REPORTING_CAUSES:
        return None
    text = f"{finding.headline}\n{finding.evidence.get('exception', '')}"
    for cause in server:
        exception = str(cause.evidence.get("exception", ""))
        if str(cause.evidence.get("code_name") or "?") in text or (exception[:40] and exception[:40] in text):
            return cause
    if not server:
        return None
    # A word of failure without an exception and without a place reports something: the refusal, where there is one.
    return server[0] if _MENTIONS_SERVER.search(text) or _is_vague(finding) else None


def _point_to_others(case: Case, causes: Sequence[Finding]) -> None:
    """Beside a cause that says nothing: what another program of the user was refused, which may be its part."""
    vague = [finding for finding in causes if finding.severity == "error" and _is_vague(finding)]
    if not vague or case.attribution.certain or any(finding.cause.startswith("server_") for finding in causes):
        return
    failed = [group for _, group in case.attribution.excluded if group.code and target_of(group).verb == "INSERT"]
    for group in failed[:1]:
        target = target_of(group)
        refused = Refusal(group.query, group.exception, group.code, "", group.program.user, group.current_database)
        program = group.program.http_user_agent or group.program.client_name
        vague[0].next_step = (
            f"{vague[0].next_step or ''}\nMeanwhile the server refused INSERT {target.name or ''} of another "
            f"program of this user ({program}): {refused.brief}. If that is a part of the ingest, it is the cause."
        )


def _add_server_side(case: Case, finding: Finding, refused: bool) -> None:
    """Say what the server saw of the run when the cause lies with the client."""
    if not finding.cause.startswith("client_") or finding.severity != "error" or refused:
        return
    seen = [g for g in case.run if target_of(g).verb in ("DESCRIBE", "INSERT", "SELECT", "CREATE")]
    last = max(seen, key=lambda group: group.last, default=None)
    # Also those into tables that are swapped in afterwards.
    inserts = sum(g.count for g in case.run if g.outcome == "finished" and target_of(g).verb == "INSERT")
    broken = sorted({f"{group.code} {name_of(group.code)}".rstrip() for group in case.run if group.code})
    if case.run:
        words = (
            f"statements of this run that ended with an error on the server: code {', '.join(broken)}"
            if broken
            else "no statement of this run failed on the server"
        )
        words += f"; INSERTs that finished: {inserts}"
    else:
        words = "the server saw no statement of this run"
    if last is not None:
        words += f"; the last statement seen was {one_line(last.query)[:160]} at {last.last}"
    finding.actual = f"{finding.actual}; {words}" if finding.actual else words


def _is_vague(finding: Finding) -> bool:
    """A word of failure that names neither an exception nor a place."""
    return (
        finding.cause == "client_exception"
        and OWN_CODE not in finding.headline
        and not finding.evidence.get("location")
    )


def _is_wordless(finding: Finding) -> bool:
    """An exit code that nothing in the log explains: it gives way to whatever the server knows."""
    return finding.cause == "client_exception" and "exception" not in finding.evidence
