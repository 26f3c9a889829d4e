"""Whether the evidence carries: the channel is proven by a marker, hosts and users are there, no setting hides any."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..facts.server import Evidence, Window
from ..findings import Finding
from . import STAGE
from .request import Request
from .result import Diagnosis

_HIDING_DEFAULTS = {
    "log_queries": "log_queries = 1",
    "log_queries_probability": "log_queries_probability = 1",
    "log_queries_min_type": "log_queries_min_type = 'QUERY_START'",
    "log_queries_min_query_duration_ms": "log_queries_min_query_duration_ms = 0",
}


def prove_channel(
    evidence: Evidence, execute_marker: Callable[[str], None], request: Request, result: Diagnosis
) -> None:
    """Say in `result` what keeps the log tables from telling all; `execute_marker` as in `diagnose`."""
    silent = evidence.check_cluster()
    if silent:
        result.not_proven(silent)
        step = "Bring the host back or judge again once it is there."
        result.findings.append(evidence_finding("evidence_host_missing", silent, step))
    reason = evidence.prove(execute_marker, request.flush_wait_seconds)
    if reason:
        result.not_proven(reason)
        result.findings.append(evidence_finding(*_why_not_proven(evidence, reason)))
    if not request.evidence_proven:
        result.not_proven(request.evidence_reason or "the canary of the run was not found")
    if not evidence.bounded():
        result.findings.append(
            Finding(
                STAGE,
                "info",
                "evidence_no_bounds",
                "The verifier's user may change no setting: its statements ran without limits of time, memory and"
                " priority.",
                next_step="Set max_execution_time, max_memory_usage and priority in the profile of that user.",
                fix_side="server",
            )
        )
    for name in ("text_log", "query_views_log", "session_log", "asynchronous_insert_log", "part_log"):
        evidence.tables(name)


def _why_not_proven(evidence: Evidence, reason: str) -> tuple[str, str, str]:
    """(cause, headline, next step) of a marker that was not found."""
    if "query_log" in evidence.no_access:
        step = (
            "GRANT SELECT ON system.* TO the reading user"
            " (for a user in XML: <query>GRANT SELECT ON system.*</query> in its grants)."
        )
        return "evidence_no_access", reason, step
    if "query_log" in evidence.missing:
        step = (
            "Put a <query_log> section directly under <clickhouse> in config.d and restart the server"
            " (elsewhere in the XML it is ignored silently)."
        )
        return "evidence_not_configured", reason, step
    step = "Run the stage query_logging: ansible-playbook verify.yml --tags query_logging."
    return "evidence_canary_lost", reason, step


def report_hidden_evidence(evidence: Evidence, window: Window, users: Sequence[str], result: Diagnosis) -> None:
    """Say in `result` which of the `users` the server does not know, and which settings of theirs hide statements."""
    known = evidence.users()
    for user in users:
        if known is not None and user not in known:
            result.not_proven(f"the server knows no user {user!r}")
            result.findings.append(
                evidence_finding(
                    "evidence_unknown_user",
                    f"the server knows no user {user!r}: none of its statements can be found",
                    f"Give the user that the ingest logs in with; the server has {', '.join(known[:20])}.",
                )
            )
        settings = dict(evidence.user_settings(user) or {})
        for row in evidence.run_settings(window, [user]):
            # A statement that was sampled is logged with log_queries_probability = 1, whatever its profile says.
            if hiding({row["name"]: row["value"]}):
                settings[row["name"]] = row["value"]
        for name, value, problem in hiding(settings):
            result.not_proven(f"{name} = {value} for user {user!r}: {problem}")
            result.findings.append(
                evidence_finding(
                    {"log_queries": "evidence_log_queries_off"}.get(name, "evidence_log_queries_limited"),
                    f"{name} = {value} for the ingest's user {user!r}: {problem}",
                    f"ALTER USER `{user}` SETTINGS {_HIDING_DEFAULTS[name]}; for a user in XML set it in the user's "
                    "profile in users.d (SET GLOBAL log_queries = 1, as old runbooks say, is a syntax error in every "
                    "version).",
                )
            )


def report_unanswered(evidence: Evidence, result: Diagnosis) -> None:
    """Say in `result` which log tables gave no answer; what was read before and after stays."""
    for reason in evidence.failed.values():
        if reason not in result.reasons:
            result.not_proven(reason)
            step = (
                "Find the code in the server's log and mend it there, or judge a shorter window: "
                "ansible-playbook playbooks/diagnose.yml -e since=... -e until=..."
            )
            result.findings.append(evidence_finding("evidence_no_answer", reason, step))


def evidence_finding(cause: str, headline: str, step: str) -> Finding:
    """A finding about the evidence itself, which alone is no failure."""
    # A setting keeps its own spelling.
    if "_" not in headline.split(" ")[0]:
        headline = headline[0].upper() + headline[1:]
    return Finding(STAGE, "warning", cause, headline, next_step=step, fix_side="server")


def hiding(settings: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Settings that keep statements out of query_log: name, value, and what that hides."""
    found = []
    if settings.get("log_queries", "1") in ("0", "false"):
        found.append(("log_queries", settings["log_queries"], "its statements are not logged at all"))
    if _number(settings.get("log_queries_probability", "1")) < 1:
        value = settings["log_queries_probability"]
        found.append(("log_queries_probability", value, "only a sample of its statements is logged"))
    if settings.get("log_queries_min_type", "QUERY_START") not in ("QUERY_START", "1"):
        value = settings["log_queries_min_type"]
        # EXCEPTION_BEFORE_START still logs every failure, but no INSERT that finished.
        found.append(("log_queries_min_type", value, "statements that start or finish are not logged"))
    if _number(settings.get("log_queries_min_query_duration_ms", "0")) > 0:
        value = settings["log_queries_min_query_duration_ms"]
        found.append(("log_queries_min_query_duration_ms", value, "shorter statements are not logged"))
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
