"""Statements that broke off since their client went away: effects of its end, or all that is known of it."""

from __future__ import annotations

from collections.abc import Sequence

from ..clickhouse.error_codes import code_in, kind_of
from ..client import clean_exception
from ..facts.server import StatementGroup
from ..findings import Finding
from . import STAGE
from .attribution import target_of
from .case import Case
from .result import collapse, one_line

# Failures of the driver within an INSERT, after which it sends no more of it.
_BREAKS_OFF = ("client_serialization", "client_column_count", "client_key_error")


def aborted_statements(case: Case, aborted: Sequence[StatementGroup], causes: list[Finding]) -> list[Finding]:
    """Code 32/33 and their kin are effects of the client's end; alone, they are what is known of it."""
    client = [finding for finding in causes if not finding.cause.startswith("server_") and finding.severity == "error"]
    if aborted and not client and (told := next((f for f in causes if f.cause in _BREAKS_OFF), None)):
        # The loader went on after it; the rows of that statement are lacking all the same.
        told.severity = "error"
        told.headline += " The rows of that INSERT are not written."
        client = [told]
    names = case.evidence.code_names([group.code for group in aborted])
    found: list[Finding] = []
    for group in aborted:
        if kind_of(group.code) == "killed":
            collapse(found, _cancelled(case, group, names.get(group.code, "")))
            continue
        words = (
            f"server code {group.code} {names.get(group.code, '')} for {one_line(group.query)[:120]}"
            f" ({group.count} time(s), last {group.last})"
        )
        if client:
            client[0].effects.append(words)
            continue
        target = target_of(group)
        finding = Finding(
            STAGE,
            "error",
            "client_aborted_insert",
            f"The client broke off in the middle of {target.verb} {target.name or ''}".rstrip()
            + f": the server's {names.get(group.code, group.code)} is the effect, not the cause.",
            object=target.name,
            expected="a statement sent to its end",
            actual=f"the stream ended early ({names.get(group.code, group.code)}); what was sent so far may be written",
            next_step="Look in the ingest's own log and exit code for why it stopped (exception, kill, time "
            "limit); the server is not at fault.",
            fix_side="loader",
            evidence={
                "sql": group.query.strip(),
                "exception": group.exception.partition("Stack trace")[0].strip(),
                "code": group.code,
                "code_name": names.get(group.code, ""),
                "count": group.count,
                "first": group.first,
                "last": group.last,
                "log_table": group.log_table,
                "query_id": group.query_id,
            },
        )
        collapse(found, finding)
    return found


def _cancelled(case: Case, group: StatementGroup, name: str) -> Finding:
    """A statement that was cancelled: by a KILL QUERY that the log holds, else by whom is not known."""
    target = target_of(group)
    what = f"{target.verb} {target.name or ''}".rstrip()
    kill = next(
        (
            row
            for row in case.evidence.kills(case.window)
            if any(query_id and query_id in row["text"] for query_id in group.query_ids)
            or (group.program.user in row["text"] and row["at"] <= group.last)
        ),
        None,
    )
    finding = Finding(
        STAGE,
        "error",
        "server_query_killed" if kill else "server_query_cancelled",
        f"{kill['user_name']} ended {what} of the loader with KILL QUERY (program "
        f"{kill['program'] or 'without a name'!r}, from {kill['client_address'].removeprefix('::ffff:')})."
        if kill
        else f"{what} was cancelled. The server does not log by whom: no KILL QUERY in its log names it.",
        object=target.name,
        expected="a statement that runs to its end",
        actual=one_line(kill["text"])[:300] if kill else name,
        next_step=(
            f"Ask {kill['user_name']}, or look which tool runs as that user, why it ended the statement.\n"
            if kill
            else "Look in the loader's log whether it cancelled the statement itself (a time limit of its own).\n"
        )
        + f"Before a retry count the rows of {target.name or 'the table'}: what was written before stays.",
        evidence={
            "sql": group.query.strip(),
            "exception": clean_exception(group.exception),
            "code": group.code,
            "code_name": name,
            "count": group.count,
            "first": group.first,
            "last": group.last,
            "log_table": group.log_table,
            "query_id": group.query_id,
        },
    )
    if kill:
        finding.evidence["kill"] = {"at": kill["at"], "user": kill["user_name"], "statement": one_line(kill["text"])}
    return finding


def unlogged_aborts(case: Case, causes: Sequence[Finding]) -> list[Finding]:
    """A short HTTP body that breaks off is never parsed: only text_log has it, without user and statement."""
    # A run that ended well and left statements is no such case; one that left none may have lost its only one so.
    if not case.ingest_failed and (case.run or not case.judged):
        return []
    handlers = [
        row
        for row in case.evidence.text_errors(case.window)
        if row["logger_name"].endswith("Handler") and kind_of(code_in(row["text"])) in ("client_gone", "cut_request")
    ]
    if not handlers:
        return []
    line = handlers[0]["text"].partition(", Stack trace")[0]
    client = [finding for finding in causes if not finding.cause.startswith("server_")]
    if client:
        client[0].effects.append(f"the server's text_log: {line} ({len(handlers)} time(s))")
    if causes:
        return []
    code = code_in(line)
    return [
        Finding(
            STAGE,
            "error",
            "client_aborted_insert",
            f"The ingest {'ended while' if case.ingest_failed else 'ended well, left no statement, and'} a client "
            "broke off in the middle of sending a statement: what the server reports is the effect, not the cause.",
            expected="statements sent to their end",
            actual=line,
            next_step="Look in the ingest's own log and exit code for why it stopped (exception, kill, time limit);"
            " the server is not at fault."
            + (
                ""
                if case.ingest_failed
                else "\nTo confirm it: compare the time with the loader's log: it was sending at that moment.\n"
                "If it is not that: another client of the server broke off then."
            ),
            fix_side="loader",
            certainty=None if case.ingest_failed else "likely",
            evidence={
                "exception": clean_exception(line),
                "code": code,
                "code_name": case.code_name(code),
                "count": len(handlers),
                "first": handlers[0]["first_at"],
                "last": handlers[-1]["last_at"],
                "log_table": handlers[0]["from_table"],
            },
        )
    ]
