"""Refusals that leave no row in query_log: logins, settings, databases, and what only the client reports."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

from ...clickhouse.error_codes import LOGIN_KINDS, code_in, kind_of
from ...facts.log import ClientError
from ...findings import Finding
from ...privileges import refused_user
from .. import STAGE
from ..case import Case
from ..client_side.candidates import exception_of
from ..client_side.context import Context
from ..request import Request
from ..result import collapse
from .classify import classify
from .refusal import Refusal, to_finding

# The server reserves a MiB for the smallest part.
_LEAST_FREE_BYTES = 16 * 2**20
# A request that broke off, or that somebody ended: no refusal.
_NO_REFUSAL = ("client_gone", "cut_request", "socket", "killed", "aborted")
# How clients put the statement into their own message: clickhouse-client, SQLAlchemy, Spring.
_SQL_TOLD = re.compile(
    r"\(in query: (.+?)\)\.? \(?[A-Z]|\[SQL: (.+?)\](?:\n|$)|for SQL \[(.+?)\]; SQL state", re.DOTALL
)
# Of an HTTP client that logs the address of its request.
_SQL_ASKED = re.compile(r"https?://[^\s\"'<>]*[?&]query=([^&\s\"'<>]+)")
# clickhouse-go puts the server's sentence after its code; what stands before it is the program's own.
_GO_SENTENCE = re.compile(r"\bcode: \d+, message: (.+)", re.DOTALL)
_SERVER_TEXT = re.compile(
    r"(?:Code: \d+\. |Code: \d+, e\.displayText\(\) = )?(?:DB|Coordination)::\w*Exception: |std::exception\. Code: \d+"
)
# In a log that shows strings as they are written in code.
_ESCAPED_END = re.compile(r"(?:\\n)?\s*\(version [^()]*(?:\([^()]*\))?\).*|\\n:? ?(?=While executing)", re.DOTALL)


def unlogged_refusals(case: Case, known: Sequence[Finding]) -> list[Finding]:
    """Logins, settings and databases refused before a query_log row is due, and what only the client reports."""
    found: list[Finding] = []
    known_codes = {finding.evidence.get("code") for finding in known} | {group.code for group in case.run if group.code}
    # The user of the env file, or the one whom the server's text names, is the one who was refused.
    told = [_user_in(error.text) for error in case.client_errors]
    named = {*told, *([] if case.run else [_context(case).value("CLICKHOUSE_USER")])} - {""}
    users = sorted({*case.request.users, *named}) if case.request.users else []
    refused_logins = case.evidence.login_failures(case.window, users)
    if named.intersection(row["name"] for row in refused_logins):
        refused_logins = [row for row in refused_logins if row["name"] in named]
    for error in case.client_errors:
        code = error.server_code
        if code is None or code in known_codes:
            continue
        known_codes.add(code)
        if kind_of(code) in LOGIN_KINDS:
            found.append(_login_finding(case, refused_logins, error))
        else:
            found.append(_reported_finding(case, error))
    nothing_sent = not case.run
    failed = case.ingest_failed
    if (
        refused_logins
        and nothing_sent
        and failed
        and users
        and not any(kind_of(code) in LOGIN_KINDS for code in known_codes if code)
    ):
        found.append(_login_finding(case, refused_logins, None))
    if nothing_sent and failed and not found and not known_codes:
        found += _told_by_text_log(case)
    return found


def _told_by_text_log(case: Case) -> list[Finding]:
    """Requests refused before query_log was due, of a run that failed, sent nothing else and says nothing."""
    found: list[Finding] = []
    for row in case.evidence.text_errors(case.window):
        code = code_in(row["text"])
        if not code or kind_of(code) in _NO_REFUSAL or not row["logger_name"].endswith("Handler"):
            continue
        name = case.code_name(code)
        user = case.request.first_user
        text = row["text"].partition(", Stack trace")[0]
        refusal = Refusal("", text, code, name, user, case.request.database or "")
        finding = to_finding(classify(refusal, case.catalog), refusal)
        finding.headline += " (The server noted it in the ingest's window, without its sender.)"
        finding.evidence.update(
            count=row["amount"], first=row["first_at"], last=row["last_at"], log_table=row["from_table"]
        )
        collapse(found, finding)
    return found


def _login_finding(case: Case, refused: Sequence[Mapping[str, Any]], error: ClientError | None) -> Finding:
    told = _user_in(error.text) if error else ""
    of_env = _context(case).value("CLICKHOUSE_USER")
    user = told or (refused[0]["name"] if refused else of_env or case.request.first_user or "?")
    refused = [row for row in refused if row["name"] == user]
    code = _login_code(case) or (error.server_code if error else None) or 516
    address = refused[0]["address"].removeprefix("::ffff:") if refused else ""
    text = str(error.text if error else refused[0]["reason"] if refused else "")
    if code == 195 and address:
        text = f"Connections from {address} are not allowed. {text}"
    refusal = Refusal("", text, code, case.code_name(code), user)
    finding = to_finding(classify(refusal, case.catalog), refusal)
    finding.evidence.update(log_table="system.session_log" if refused else "the client's log and system.errors")
    if refused:
        finding.evidence.update(
            count=sum(row["amount"] for row in refused), first=refused[0]["first_at"], last=refused[-1]["last_at"]
        )
    elif error:
        finding.evidence.update(count=error.count)
    return _as_told(case, finding, error)


def _login_code(case: Case) -> int | None:
    """192, 193 or 195, which the server keeps to itself: the one whose counter rose within the window."""
    for row in _risen(case):
        if kind_of(row["code"]) in LOGIN_KINDS and kind_of(row["code"]) != "login":
            return int(row["code"])
    return None


def _risen(case: Case) -> list[dict[str, Any]]:
    """Counters of system.errors that rose: against those before the ingest, or by their last time in the window."""
    before = (case.request.window_before or {}).get("errors")
    risen = []
    for row in case.evidence.error_counters():
        key = f"{row['code']}:{row['name']}:{row['remote']}"
        if before is not None:
            rise = row["value"] - before.get(key, 0)
        else:
            rise = 1 if case.window.since[:19] <= row["last_time"] <= case.window.until else 0
        if rise > 0:
            risen.append({**row, "rise": rise})
    return risen


def _reported_finding(case: Case, error: ClientError) -> Finding:
    code = error.server_code or 0
    refusal = told_refusal(error, case.request, case.code_name(code))
    lines = [row for row in case.evidence.text_errors(case.window) if f"Code: {code}." in row["text"]]
    finding = to_finding(classify(refusal, case.catalog), refusal)
    finding.evidence.update(count=error.count)
    if lines:
        finding.evidence.update(log_table="system.text_log", first=lines[0]["first_at"], last=lines[-1]["last_at"])
    else:
        finding.evidence.update(log_table="the client's log")
    return _as_told(case, finding, error)


def _as_told(case: Case, finding: Finding, error: ClientError | None) -> Finding:
    """A refusal known from the client's log: without the client's stack, with its own names for its variables."""
    if error and error.traceback:
        finding.evidence["exception"] = exception_of(error)
    context = _context(case)
    if finding.next_step and not context.ours:
        # Secrets are not among the variables that are known.
        finding.next_step = context.renamed(finding.next_step.replace("CLICKHOUSE_PASSWORD", "its password"))
    return finding


_BYTES_SHOWN = re.compile(r"\bb['\"]Code: \d")


def told_refusal(error: ClientError, request: Request, name: str) -> Refusal:
    """A refusal as the client tells it: the statement only where its message repeats it."""
    # Python shows an answer's bytes as one line: b'Code: 27 ...\\n...'.
    text = error.text.replace("\\n", "\n") if _BYTES_SHOWN.search(error.text) else error.text
    told = _SQL_TOLD.search(text)
    asked = _SQL_ASKED.search(text)
    sentence = _GO_SENTENCE.search(text)
    # What the loader says before the server's own text is no part of the exception.
    server = _SERVER_TEXT.search(text)
    return Refusal(
        sql=next(filter(None, told.groups()), "") if told else unquote_plus(asked[1]) if asked else "",
        exception=sentence[1] if sentence else _ESCAPED_END.sub(" ", text[server.start() if server else 0 :]),
        code=error.server_code or 0,
        code_name=name,
        user=refused_user(error.text) or request.first_user,
        current_database=request.database or "",
    )


def _context(case: Case) -> Context:
    return Context((case.request.ingest or {}).get("env") or {})


def _user_in(text: str) -> str:
    """Whose login the server's text says was refused, empty where it names nobody."""
    found = re.search(r"(?:DB::Exception:\s*)([\w.@-]+): Authentication failed", text)
    return found.group(1) if found else ""


def full_disk(case: Case) -> list[Finding]:
    """A disk so full that the server cannot write its own log tables either: nobody else can tell of a refusal."""
    if case.result.proven:
        return []
    full = [row for row in case.evidence.disks() if row["name"] == "default" and row["free"] < _LEAST_FREE_BYTES]
    return [
        Finding(
            STAGE,
            "error",
            "server_no_space",
            f"The server's disk is full ({row['path']}): it can write neither rows nor its log tables.",
            object=row["path"],
            expected="free space on the server's disk",
            actual=f"{row['free'] // 2**20} of {row['total'] // 2**20} MiB free",
            next_step="Free space on the server's host (df -h; the largest tables: SELECT database, table, "
            "formatReadableSize(sum(bytes_on_disk)) FROM system.parts GROUP BY 1, 2 ORDER BY sum(bytes_on_disk) DESC "
            "LIMIT 10;), then run the ingest again.",
            fix_side="server",
        )
        for row in full
    ]
