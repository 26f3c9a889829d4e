"""The join and the verdict: what the server refused, what the client says, and which of the two is the cause."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import findings as verdicts
from ..client import ServerError, clean_exception
from ..findings import Finding, render_failure, verdict
from ..sql_text import has_select, statement_target
from . import STAGE
from .attribution import Attribution, attribute, target_of, touches
from .catalog import Catalog, mentions
from .client_side import ClientError, ClientLog, client_findings, read_client_log
from .client_side.code_rules import OWN_CODE
from .evidence import Evidence, Query, StatementGroup, parse_time
from .server_side.classify import async_insert_failed, classify
from .server_side.codes import ABORT_CODES, EXISTS_CODES, MISSING_CODES, UNLOGGED_ABORT_CODES, code_in, is_recoverable
from .server_side.refusal import Cause, Refusal, to_finding

# Findings of the client's side that an ingest also writes when it merely passes the server's refusal on.
_REPORTING_CAUSES = {"client_exception", "client_key_error", "client_failed", "client_serialization"}
_MENTIONS_SERVER = re.compile(r"(?i)clickhouse|\binsert|\bdatabase|\bquery|\btable|DB::|load(ing)? (failed|error)|chdb")
_AUTHENTICATION_CODES = {192, 193, 194, 195, 516}
# How clients put the statement into their own message: clickhouse-client, SQLAlchemy, Spring.
_SQL_TOLD = re.compile(
    r"\(in query: (.+?)\)\.? \(?[A-Z]|\[SQL: (.+?)\](?:\n|$)|for SQL \[(.+?)\]; SQL state", re.DOTALL
)
_MAKES_TEMPORARY = re.compile(r"(?i)\s*CREATE\s+(?:OR\s+REPLACE\s+)?TEMPORARY\s")
# An ALTER that changes rows, and no columns.
_CHANGES_ROWS = re.compile(r"(?i)\b(?:PARTITION|PART|UPDATE|DELETE)\b")
_EXTRACT_ROWS = 500
NO_LOG = ClientLog(errors=[], outcome=None, lines=0, bytes=0, encoding="utf-8", truncated=False)


@dataclass
class Request:
    """What is asked of a diagnosis. Times are UTC text by the server's clock; lists are empty where nothing is known.

    `ingest` may hold `exit_code`, `timed_out`, `oom_killed`, `duration_seconds`, `env`, `outcome`; None when no ingest
    of this run is judged (a look at any window). `window_before` and `window_after` are results of `read_window`.
    """

    since: str | None = None
    until: str | None = None
    window_minutes: float = 5
    database: str | None = None
    users: Sequence[str] = ()
    log_comment: str | None = None
    loader_run_id: str | None = None
    http_user_agent: str | None = None
    client_name: str | None = None
    client_address: Sequence[str] = ()
    cluster: str | None = None
    targets: Sequence[str] = ()
    client_log: str | None = None
    ingest: Mapping[str, Any] | None = None
    window_before: Mapping[str, Any] | None = None
    window_after: Mapping[str, Any] | None = None
    evidence_proven: bool = True
    evidence_reason: str | None = None
    max_shown: int = 5
    flush_wait_seconds: float = 30

    @property
    def filters(self) -> dict[str, list[str]]:
        """Conditions on query_log by column."""
        given = {
            "user": list(self.users),
            "http_user_agent": [self.http_user_agent] if self.http_user_agent else [],
            "client_name": [self.client_name] if self.client_name else [],
            "address": list(self.client_address),
        }
        return {column: values for column, values in given.items() if values}

    @property
    def marks(self) -> list[str]:
        return [mark for mark in (self.log_comment, self.loader_run_id) if mark]


@dataclass
class Diagnosis:
    """What a diagnosis found; `to_dict` is the module's result."""

    findings: list[Finding] = field(default_factory=list)
    proven: bool = True
    reasons: list[str] = field(default_factory=list)
    counts: dict[str, Any] = field(default_factory=dict)
    excluded: list[dict[str, Any]] = field(default_factory=list)
    extracts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    statements_by_target: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing_evidence: dict[str, str] = field(default_factory=dict)
    policy: str = ""
    window: dict[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        return verdict(self.findings, evidence_proven=self.proven)

    def not_proven(self, reason: str) -> None:
        """The evidence does not carry a PASS, for this reason."""
        self.proven = False
        self.reasons.append(reason)

    def message(self, limit: int) -> str:
        """The text that a failing play shows."""
        if self.verdict == verdicts.INCONCLUSIVE:
            return "INCONCLUSIVE: " + "; ".join(self.reasons)
        return render_failure(self.findings, limit=limit)

    def to_dict(self, limit: int) -> dict[str, Any]:
        """JSON-ready data; the message shows at most `limit` findings in full."""
        return {
            "verdict": self.verdict,
            "findings": [finding.to_dict() for finding in self.findings],
            "evidence": {"proven": self.proven, "reason": "; ".join(self.reasons), "missing": self.missing_evidence},
            "counts": self.counts,
            "excluded": self.excluded,
            "extracts": self.extracts,
            "statements_by_target": self.statements_by_target,
            "attribution": self.policy,
            "window": self.window,
            "message": self.message(limit),
            "ledger_data": {"summary": self.summary(), "tables": self.tables()},
        }

    def summary(self) -> str:
        """One line for the report."""
        statements, failed = self.counts.get("statements", 0), self.counts.get("failed", 0)
        excluded = sum(self.counts.get("excluded_failed", {}).values())
        noise = f", {excluded} failing one(s) of others" if excluded else ""
        return f"{statements} statement(s) seen, {failed} failed{noise}; told apart by {self.policy or 'nothing'}"

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Tables for the report, by title."""
        by_target = [{"table": name, **entry} for name, entry in self.statements_by_target.items()]
        titled = {"Statements by target table": by_target, "Failing statements that are not this run's": self.excluded}
        return {title: rows for title, rows in titled.items() if rows}


def diagnose(query: Query, execute_marker: Callable[[str], None], request: Request) -> Diagnosis:
    """Judge a window. `execute_marker` sends a statement under the query id it is given, with logging on.

    Raises EvidenceError when the question itself cannot be answered (reversed window, unknown cluster).
    """
    return _Diagnoser(query, execute_marker, request).run()


def diagnose_log(request: Request, reason: str) -> Diagnosis:
    """Judge by the client's log alone, since the server cannot be asked for this `reason` (one sentence)."""
    result = Diagnosis()
    log = _client_log(request)
    if log is not None:
        result.findings = client_findings(log, request.ingest or {})
        served = [error for error in log.errors if error.server_code is not None]
        result.findings += [_log_only_finding(error, request) for error in served]
    if request.ingest is not None:
        # What an ingest says of a server that went away is the effect of that.
        told = [f for f in result.findings if f.severity == "error" and f.cause.startswith(("client_", "server_"))]
        gone = Finding(
            STAGE,
            "error",
            "server_unreachable",
            f"ClickHouse does not answer after the ingest: {reason}",
            expected="a server that answers",
            actual=reason,
            next_step="Look whether it runs and why it went down: docker ps -a, docker logs, its error log.",
            fix_side="server",
            effects=[f"the client's log: {finding.headline}" for finding in told],
        )
        result.findings = [gone, *(finding for finding in result.findings if finding not in told)]
    result.not_proven(f"the server's log tables could not be read: {reason}")
    return result


def _told_refusal(error: ClientError, request: Request, name: str) -> Refusal:
    """A refusal as the client tells it: the statement only where its message repeats it."""
    told = _SQL_TOLD.search(error.text)
    return Refusal(
        sql=next(filter(None, told.groups()), "") if told else "",
        exception=error.text,
        code=error.server_code or 0,
        code_name=name,
        user=(list(request.users) or [""])[0],
        current_database=request.database or "",
    )


def _log_only_finding(error: ClientError, request: Request) -> Finding:
    def unanswered(sql: str) -> list[dict[str, Any]]:
        raise ServerError(0, "the server is not asked", sql)

    name = re.search(r"\(([A-Z][A-Z0-9_]{3,})\)", error.text)
    refusal = _told_refusal(error, request, name[1] if name else "")
    # What exists is not known; the code and the text still say what was refused.
    finding = to_finding(classify(refusal, Catalog(Evidence(unanswered))), refusal)
    finding.headline = f"By the client's log (code {error.server_code}): {finding.headline}"
    finding.next_step = f"{finding.next_step or ''}\nJudge again with the server reachable: it knows the statement."
    known = {"count": error.count, "first": error.first, "last": error.last, "log_table": "the client's log"}
    finding.evidence.update({key: value for key, value in known.items() if value is not None})
    return finding


def _client_log(request: Request) -> ClientLog | None:
    """The client's log; that of a run of ours was captured by us."""
    return read_client_log(request.client_log, captured=request.ingest is not None) if request.client_log else None


class _Diagnoser:
    def __init__(self, query: Query, execute_marker: Callable[[str], None], request: Request) -> None:
        self.request = request
        self.execute_marker = execute_marker
        self.evidence = Evidence(query, request.cluster)
        self.catalog = Catalog(self.evidence)
        self.result = Diagnosis()
        self.log = _client_log(request)
        self.client_text = "\n".join(error.text for error in self.log.errors) if self.log else ""
        self.ingest = {"database": request.database, **(request.ingest or {})}

    def run(self) -> Diagnosis:
        self._prove_channel()
        window = self.evidence.window(self.request.since, self.request.until, self.request.window_minutes)
        self.window = window
        self.result.window = {"from": window.since, "to": window.until}
        self._report_hidden_evidence()
        attribution = self._attribute()
        server, warnings, aborted = self._server_findings(attribution)
        server += self._async_findings(attribution)
        server += self._unlogged_findings(attribution, server)
        self._count(attribution)
        self._join(server, warnings, aborted, attribution)
        self._restart()
        self._background(attribution)
        self._list_noise(attribution)
        self._take_extracts(attribution)
        self.result.missing_evidence = dict(self.evidence.missing)
        return self.result

    # The channel -------------------------------------------------------------------------------------------------

    def _prove_channel(self) -> None:
        silent = self.evidence.check_cluster()
        if silent:
            self.result.not_proven(silent)
            self._evidence_finding(
                "evidence_host_missing", silent, "Bring the host back or judge again once it is there."
            )
        reason = self.evidence.prove(self.execute_marker, self.request.flush_wait_seconds)
        if reason:
            self.result.not_proven(reason)
            cause, step = (
                "evidence_canary_lost",
                "Run the stage query_logging: ansible-playbook verify.yml --tags query_logging.",
            )
            if "query_log" in self.evidence.no_access:
                cause = "evidence_no_access"
                step = (
                    "GRANT SELECT ON system.* TO the reading user"
                    " (for a user in XML: <query>GRANT SELECT ON system.*</query> in its grants)."
                )
            elif "query_log" in self.evidence.missing:
                cause = "evidence_not_configured"
                step = (
                    "Put a <query_log> section directly under <clickhouse> in config.d and restart the server"
                    " (elsewhere in the XML it is ignored silently)."
                )
            self._evidence_finding(cause, reason, step)
        if not self.request.evidence_proven:
            self.result.not_proven(self.request.evidence_reason or "the canary of the run was not found")
        for name in ("text_log", "query_views_log", "session_log", "asynchronous_insert_log", "part_log"):
            self.evidence.tables(name)

    def _evidence_finding(self, cause: str, headline: str, step: str, severity: str = "warning", **extra: Any) -> None:
        # A setting keeps its own spelling.
        if "_" not in headline.split(" ")[0]:
            headline = headline[0].upper() + headline[1:]
        self.result.findings.append(
            Finding(STAGE, severity, cause, headline, next_step=step, fix_side="server: logging", evidence=extra)
        )

    def _report_hidden_evidence(self) -> None:
        known = self.evidence.users()
        for user in self.request.users:
            if known is not None and user not in known:
                self.result.not_proven(f"the server knows no user {user!r}")
                self._evidence_finding(
                    "evidence_unknown_user",
                    f"the server knows no user {user!r}: none of its statements can be found",
                    f"Give the user that the ingest logs in with; the server has {', '.join(known[:20])}.",
                )
            settings = dict(self.evidence.user_settings(user) or {})
            for row in self.evidence.run_settings(self.window, [user]):
                # A statement that was sampled is logged with log_queries_probability = 1, whatever its profile says.
                if hiding({row["name"]: row["value"]}):
                    settings[row["name"]] = row["value"]
            for name, value, problem in hiding(settings):
                self.result.not_proven(f"{name} = {value} for user {user!r}: {problem}")
                self._evidence_finding(
                    {"log_queries": "evidence_log_queries_off"}.get(name, "evidence_log_queries_limited"),
                    f"{name} = {value} for the ingest's user {user!r}: {problem}",
                    f"ALTER USER `{user}` SETTINGS {HIDING_DEFAULTS[name]}; for a user in XML set it in the user's "
                    "profile in users.d "
                    "(SET GLOBAL log_queries = 1, as old runbooks say, is a syntax error in every version).",
                )

    # The run's statements ----------------------------------------------------------------------------------------

    def _attribute(self) -> Attribution:
        request, evidence = self.request, self.evidence
        groups, total = evidence.statements(
            self.window, request.filters, request.marks, only_started_inside=request.ingest is not None
        )
        if total > len(groups):
            self.result.reasons.append(f"{total} shapes of statements in the window, {len(groups)} were read")
        narrowed = bool(request.filters)
        programs = {group.program for group in groups}
        active = evidence.active_before(self.window, request.filters) if narrowed and len(programs) > 1 else set()
        attribution = attribute(
            groups,
            narrowed=narrowed,
            # A log_comment that was asked for by name; a loader may leave its run id out.
            marked=bool(request.log_comment),
            targets=request.targets,
            active_before=active,
            client_text=self.client_text,
        )
        self.result.policy = attribution.policy
        self.programs = {group.program for group in attribution.run}
        made = [target_of(group) for group in attribution.run if _MAKES_TEMPORARY.match(group.query) and not group.code]
        self.temporary = frozenset(target.table for target in made if target.table)
        self.run_ids = {query_id for group in attribution.run for query_id in group.query_ids}
        return attribution

    def _refusal(
        self, group: StatementGroup, names: Mapping[int, str], views: Mapping[str, Mapping[str, Any]]
    ) -> Refusal:
        view = next((views[query_id] for query_id in group.query_ids if query_id in views), None)
        return Refusal(
            sql=group.query,
            exception=group.exception,
            code=group.code,
            code_name=names.get(group.code, ""),
            user=group.program.user,
            current_database=group.current_database,
            missing_privileges=group.missing_privileges,
            tables=group.tables,
            view=view["view_name"] if view else None,
            temporary=self.temporary,
        )

    def _server_findings(self, attribution: Attribution) -> tuple[list[Finding], list[Finding], list[StatementGroup]]:
        """Errors, warnings (recovered by a retry) and groups that only say that the client went away."""
        failed = [group for group in attribution.run if group.code]
        initial_failed = {query_id for group in failed if group.is_initial for query_id in group.query_ids}
        failed = [g for g in failed if g.is_initial or not initial_failed.intersection(g.initial_query_ids)]
        failed = [g for g in failed if g.kind != "AsyncInsertFlush"]
        names = self.evidence.code_names([group.code for group in failed])
        ids = [query_id for group in failed for query_id in group.query_ids]
        views = {
            query_id: row
            for row in self.evidence.view_failures(self.window, ids[:1000])
            for query_id in row["query_ids"]
        }
        server_codes = {error.server_code for error in self.log.errors if error.server_code} if self.log else set()
        errors: list[Finding] = []
        warnings: list[Finding] = []
        aborted: list[StatementGroup] = []
        for group in sorted(failed, key=lambda group: group.first):
            # A client that reads the server's answer did not break off: then the code is about its data.
            if group.code in ABORT_CODES and group.code not in server_codes:
                aborted.append(group)
                continue
            refusal = self._refusal(group, names, views)
            cause = classify(refusal, self.catalog)
            recovered = None if refusal.view else self._recovered(group, attribution)
            finding = to_finding(cause, refusal, "warning" if recovered else "error")
            finding.evidence.update(
                count=group.count,
                first=group.first,
                last=group.last,
                log_table=group.log_table,
                query_id=group.query_id,
                program=group.program.label,
            )
            if any(group.hosts) and self.request.cluster:
                finding.evidence["hosts"] = group.hosts
            if recovered:
                finding.headline = f"Failed {group.count} time(s) and {recovered}: {finding.headline}"
                finding.next_step = f"Nothing has to be done for this run. To avoid the failure: {finding.next_step}"
            _collapse(warnings if recovered else errors, finding)
        return errors, warnings, aborted

    def _recovered(self, group: StatementGroup, attribution: Attribution) -> str | None:
        """Why a failure did no harm, in words: a later try succeeded, or what the statement asked for was there."""
        target = target_of(group)
        later = [g for g in attribution.run if not g.code and g.outcome == "finished" and g.last > group.last]
        if is_recoverable(group.code):
            for other in later:
                if other.hash == group.hash or (target.name and target_of(other) == target):
                    return "succeeded on retry"
        used = [target_of(other) for other in later if target.name and target_of(other).name == target.name]
        if group.code in EXISTS_CODES and target.verb in ("CREATE", "ALTER"):
            # A CREATE TABLE ... AS SELECT would have brought rows.
            done = used if target.kind == "TABLE" and not has_select(group.query) else target.kind != "TABLE" and later
            return "the run went on with what was there" if done else None
        if group.code in MISSING_CODES and target.verb == "DROP":
            return "there was nothing to drop" if later else None
        if group.code in MISSING_CODES and target.verb in ("SELECT", "DESCRIBE", "SHOW", "CHECK"):
            made = any(other.verb in ("CREATE", "INSERT") for other in used)
            return "the run then made what it had looked for" if made else None
        return None

    def _async_findings(self, attribution: Attribution) -> list[Finding]:
        rows = self.evidence.async_failures(self.window)
        if not rows:
            return []
        ids = sorted({query_id for row in rows for query_id in row["query_ids"] if query_id})
        owners = {row["query_id"]: row for row in self.evidence.owners(self.window, ids[:1000], self.request.marks)}
        found: list[Finding] = []
        for row in rows:
            senders = [owners[query_id] for query_id in row["query_ids"] if query_id in owners]
            mine = [query_id for query_id in row["query_ids"] if query_id in self.run_ids]
            by_table = not senders and touches(statement_target(row["text"], row["database"]), self.request.targets)
            if not (mine or by_table or (not self.request.filters and not self.request.marks)):
                self.result.excluded.append(
                    {
                        "reason": "asynchronous insert of another program",
                        "user": senders[0]["user_name"] if senders else "",
                        "program": (senders[0]["user_agent"] or senders[0]["client"]) if senders else "",
                        "code": code_in(row["exception"]),
                        "count": row["amount"],
                        "first": row["first_at"],
                        "last": row["last_at"],
                        "example": f"{row['database']}.{row['table']}: {row['exception'][:200]}",
                    }
                )
                continue
            code = code_in(row["exception"])
            refusal = Refusal(
                sql=row["text"] or f"INSERT INTO {row['database']}.{row['table']}",
                exception=row["exception"],
                code=code,
                code_name=self.evidence.code_names([code]).get(code, "") if code else "",
                user=senders[0]["user_name"] if senders else (list(self.request.users) or [""])[0],
                current_database=row["database"],
            )
            cause = async_insert_failed(row["database"], row["table"], row["all_rows"], refusal, self.catalog)
            finding = to_finding(cause, refusal)
            finding.evidence.update(
                count=row["amount"], first=row["first_at"], last=row["last_at"], log_table=row["from_table"]
            )
            _collapse(found, finding)
        return found

    # Refusals that leave no row in query_log ---------------------------------------------------------------------

    def _unlogged_findings(self, attribution: Attribution, known: Sequence[Finding]) -> list[Finding]:
        """Logins, settings and databases refused before a query_log row is due, and what only the client reports."""
        found: list[Finding] = []
        known_codes = {finding.evidence.get("code") for finding in known} | {g.code for g in attribution.run if g.code}
        users = list(self.request.users)
        refused_logins = self.evidence.login_failures(self.window, users)
        for error in self.log.errors if self.log else []:
            code = error.server_code
            if code is None or code in known_codes:
                continue
            known_codes.add(code)
            if code in _AUTHENTICATION_CODES:
                found.append(self._login_finding(refused_logins, error))
            else:
                found.append(self._reported_finding(error))
        nothing_sent = not attribution.run
        failed = self.ingest.get("exit_code") not in (0, None)
        if refused_logins and nothing_sent and failed and users and not known_codes & _AUTHENTICATION_CODES:
            found.append(self._login_finding(refused_logins, None))
        if nothing_sent and failed and not found and not known_codes:
            found += self._unlogged_refusals()
        return found

    def _unlogged_refusals(self) -> list[Finding]:
        """Requests refused before query_log was due, of a run that failed, sent nothing else and says nothing."""
        found: list[Finding] = []
        for row in self.evidence.text_errors(self.window):
            code = code_in(row["text"])
            if not code or code in ABORT_CODES | UNLOGGED_ABORT_CODES or not row["logger_name"].endswith("Handler"):
                continue
            name = self.evidence.code_names([code]).get(code, "")
            user = (list(self.request.users) or [""])[0]
            text = row["text"].partition(", Stack trace")[0]
            refusal = Refusal("", text, code, name, user, self.request.database or "")
            finding = to_finding(classify(refusal, self.catalog), refusal)
            finding.headline += " (The server noted it in the ingest's window, without its sender.)"
            finding.evidence.update(
                count=row["amount"], first=row["first_at"], last=row["last_at"], log_table=row["from_table"]
            )
            _collapse(found, finding)
        return found

    def _login_finding(self, refused: Sequence[Mapping[str, Any]], error: ClientError | None) -> Finding:
        user = (
            refused[0]["name"] if refused else (list(self.request.users) or [_user_in(error.text if error else "")])[0]
        )
        code = self._login_code() or (error.server_code if error else None) or 516
        address = refused[0]["address"].removeprefix("::ffff:") if refused else ""
        text = str(error.text if error else refused[0]["reason"])
        if code == 195 and address:
            text = f"Connections from {address} are not allowed. {text}"
        refusal = Refusal("", text, code, self.evidence.code_names([code]).get(code, ""), user)
        finding = to_finding(classify(refusal, self.catalog), refusal)
        finding.evidence.update(log_table="system.session_log" if refused else "the client's log and system.errors")
        if refused:
            finding.evidence.update(
                count=sum(row["amount"] for row in refused), first=refused[0]["first_at"], last=refused[-1]["last_at"]
            )
        elif error:
            finding.evidence.update(count=error.count)
        return finding

    def _login_code(self) -> int | None:
        """192, 193 or 195, which the server keeps to itself: the one whose counter rose within the window."""
        for row in self._risen():
            if row["code"] in (192, 193, 194, 195):
                return int(row["code"])
        return None

    def _risen(self) -> list[dict[str, Any]]:
        """Counters of system.errors that rose: against those before the ingest, or by their last time in the window."""
        before = (self.request.window_before or {}).get("errors")
        risen = []
        for row in self.evidence.error_counters():
            key = f"{row['code']}:{row['name']}:{row['remote']}"
            if before is not None:
                rise = row["value"] - before.get(key, 0)
            else:
                rise = 1 if self.window.since[:19] <= row["last_time"] <= self.window.until else 0
            if rise > 0:
                risen.append({**row, "rise": rise})
        return risen

    def _reported_finding(self, error: ClientError) -> Finding:
        code = error.server_code or 0
        refusal = _told_refusal(error, self.request, self.evidence.code_names([code]).get(code, ""))
        lines = [row for row in self.evidence.text_errors(self.window) if f"Code: {code}." in row["text"]]
        finding = to_finding(classify(refusal, self.catalog), refusal)
        finding.evidence.update(count=error.count)
        if lines:
            finding.evidence.update(log_table="system.text_log", first=lines[0]["first_at"], last=lines[-1]["last_at"])
        else:
            finding.evidence.update(log_table="the client's log")
        return finding

    # Counting ----------------------------------------------------------------------------------------------------

    def _count(self, attribution: Attribution) -> None:
        statements = sum(group.count for group in attribution.run)
        failed = sum(group.count for group in attribution.run if group.code)
        by_reason: dict[str, int] = {}
        for reason, group in attribution.excluded:
            if group.code:
                by_reason[reason] = by_reason.get(reason, 0) + group.count
        self.result.counts = {
            "statements": statements,
            "failed": failed,
            "programs": len(self.programs),
            "excluded_failed": by_reason,
        }
        by_target: dict[str, dict[str, Any]] = {}
        for given in self.request.targets:
            qualified = given if "." in given or not self.request.database else f"{self.request.database}.{given}"
            by_target[qualified] = _empty_target()
        for group in attribution.run:
            target = target_of(group)
            name = target.name
            if not name or target.verb not in ("INSERT", "DESCRIBE"):
                continue
            if name not in by_target and self.request.targets and not touches(target, self.request.targets):
                continue
            entry = by_target.setdefault(name, _empty_target())
            if target.verb == "DESCRIBE":
                entry["describe"] += group.count
            elif group.code:
                entry["insert_failed"] += group.count
            else:
                entry["insert_finished"] += group.count
                entry["written_rows"] += group.written_rows
            if group.last >= (entry["last_at"] or ""):
                entry["last_at"], entry["last_statement"] = group.last, _one_line(group.query)
        self.unfinished = self._unfinished()
        for row in self.unfinished:
            target = statement_target(row["text"], row["session_database"])
            if target.name and target.verb == "INSERT":
                by_target.setdefault(target.name, _empty_target())["insert_unfinished"] += 1
        self.result.statements_by_target = by_target

    def _unfinished(self) -> list[dict[str, Any]]:
        rows = self.evidence.unfinished(self.window, self.request.filters, self.request.marks)
        if any(row["in_run"] for row in rows):
            return [row for row in rows if row["in_run"]]
        return [] if self.request.marks and self.run_ids else rows

    # The join ----------------------------------------------------------------------------------------------------

    def _join(
        self,
        server: list[Finding],
        warnings: list[Finding],
        aborted: list[StatementGroup],
        attribution: Attribution,
    ) -> None:
        judged = self.request.ingest is not None
        client = client_findings(self.log or NO_LOG, self.ingest) if self.log or judged else []
        self._locate(server + warnings)
        wordless = [finding for finding in client if _is_wordless(finding)]
        causes = list(server)
        for finding in client:
            cause = self._cause_behind(finding, server)
            if finding in wordless:
                continue
            if cause is None:
                self._add_server_side(finding, attribution, bool(server))
                causes.append(finding)
            else:
                cause.effects.append(f"the client's log: {finding.headline}")
        causes += self._abort_findings(aborted, causes)
        causes += self._unlogged_aborts(causes)
        for finding in wordless:
            if any(cause.severity == "error" for cause in causes):
                next(c for c in causes if c.severity == "error").effects.append(finding.headline)
            else:
                self._add_server_side(finding, attribution, False)
                causes.append(finding)
        causes += self._silence(causes, attribution)
        self._point_to_others(causes, attribution)
        self.result.findings = [*causes, *warnings, *self.result.findings]
        order = {"error": 0, "warning": 1, "info": 2}
        self.result.findings.sort(key=lambda finding: order[finding.severity])

    def _locate(self, server: Sequence[Finding]) -> None:
        """Put the place in the client's code where a refusal arrived into the server's finding."""
        for error in self.log.errors if self.log else []:
            for finding in server:
                if error.server_code is not None and error.server_code == finding.evidence.get("code") and error.frame:
                    finding.evidence.setdefault("location", f"{error.frame.file}:{error.frame.line}")

    @staticmethod
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

    def _point_to_others(self, causes: Sequence[Finding], attribution: Attribution) -> None:
        """Beside a cause that says nothing: what another program of the user was refused, which may be its part."""
        vague = [finding for finding in causes if finding.severity == "error" and _is_vague(finding)]
        if not vague or attribution.certain or any(finding.cause.startswith("server_") for finding in causes):
            return
        failed = [group for _, group in attribution.excluded if group.code and target_of(group).verb == "INSERT"]
        for group in failed[:1]:
            target = target_of(group)
            refused = Refusal(group.query, group.exception, group.code, "", group.program.user, group.current_database)
            program = group.program.http_user_agent or group.program.client_name
            vague[0].next_step = (
                f"{vague[0].next_step or ''}\nMeanwhile the server refused INSERT {target.name or ''} of another "
                f"program of this user ({program}): {refused.brief}. If that is a part of the ingest, it is the cause."
            )

    def _add_server_side(self, finding: Finding, attribution: Attribution, refused: bool) -> None:
        """Say what the server saw of the run when the cause lies with the client."""
        if not finding.cause.startswith("client_") or finding.severity != "error" or refused:
            return
        seen = [g for g in attribution.run if target_of(g).verb in ("DESCRIBE", "INSERT", "SELECT", "CREATE")]
        last = max(seen, key=lambda group: group.last, default=None)
        inserts = sum(entry["insert_finished"] for entry in self.result.statements_by_target.values())
        if not attribution.run:
            words = "the server saw no statement of this run"
        else:
            words = f"no statement of this run failed on the server; INSERTs that finished: {inserts}"
        if last is not None:
            words += f"; the last statement seen was {_one_line(last.query)[:160]} at {last.last}"
        finding.actual = f"{finding.actual}; {words}" if finding.actual else words

    def _abort_findings(self, aborted: Sequence[StatementGroup], causes: list[Finding]) -> list[Finding]:
        """Code 32/33 and their kin are effects of the client's end; alone, they are what is known of it."""
        client = [
            finding for finding in causes if not finding.cause.startswith("server_") and finding.severity == "error"
        ]
        names = self.evidence.code_names([group.code for group in aborted])
        found: list[Finding] = []
        for group in aborted:
            words = (
                f"server code {group.code} {names.get(group.code, '')} for {_one_line(group.query)[:120]}"
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
                actual=f"the stream ended early ({names.get(group.code, group.code)}); what was sent so far may be "
                "written",
                next_step="Look in the ingest's own log and exit code for why it stopped (exception, kill, time "
                "limit); the server is not at fault.",
                fix_side="the ingest",
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
            _collapse(found, finding)
        return found

    def _unlogged_aborts(self, causes: Sequence[Finding]) -> list[Finding]:
        """A short HTTP body that breaks off is never parsed: only text_log has it, without user and statement."""
        if self.ingest.get("exit_code") in (0, None):
            return []
        handlers = [
            row
            for row in self.evidence.text_errors(self.window)
            if row["logger_name"].endswith("Handler") and code_in(row["text"]) in UNLOGGED_ABORT_CODES
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
                "The ingest ended while a client broke off in the middle of sending a statement: "
                "what the server reports is the effect, not the cause.",
                expected="statements sent to their end",
                actual=line,
                next_step="Look in the ingest's own log and exit code for why it stopped (exception, kill, time limit);"
                " the server is not at fault.",
                fix_side="the ingest",
                evidence={
                    "exception": clean_exception(line),
                    "code": code,
                    "code_name": self.evidence.code_names([code]).get(code, ""),
                    "count": len(handlers),
                    "first": handlers[0]["first_at"],
                    "last": handlers[-1]["last_at"],
                    "log_table": handlers[0]["from_table"],
                },
            )
        ]

    def _silence(self, causes: Sequence[Finding], attribution: Attribution) -> list[Finding]:
        """Judge a run that no finding explains: nothing seen, nothing written, or an exit code without a word."""
        if any(finding.severity == "error" for finding in causes):
            return []
        judged = self.request.ingest is not None
        if not attribution.run:
            if not judged and not self.request.filters and not self.request.marks:
                return []
            who = ", ".join(self.request.users) or "the ingest"
            if self.request.log_comment:
                who += f" with log_comment {self.request.log_comment}"
            claimed = _claimed_rows(self.ingest, self.log)
            words = f"query_log holds no statement of {who} between {self.window.since} and {self.window.until} (UTC)"
            if claimed:
                words += f", yet the loader says that it wrote {claimed} rows"
            self.result.not_proven(words)
            self._evidence_finding(
                "evidence_no_statements",
                words,
                "Check that the ingest writes to this server (CLICKHOUSE_HOST), as this user, and that log_queries = "
                "1 holds for it.",
            )
        if not judged:
            return []
        exit_code = self.ingest.get("exit_code")
        if exit_code not in (0, None):
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
                    fix_side="the ingest",
                )
            ]
        wrote = any(entry["insert_finished"] for entry in self.result.statements_by_target.values())
        wrote = wrote or self._reached_otherwise(attribution)
        if self.request.targets and attribution.run and not wrote and self.result.proven:
            last = max(attribution.run, key=lambda group: group.last)
            return [
                Finding(
                    STAGE,
                    "error",
                    "client_no_insert",
                    "The ingest ended with exit code 0 and sent no INSERT to any of its tables.",
                    object=", ".join(self.request.targets),
                    expected="an INSERT into each of them",
                    actual=f"{self.result.counts['statements']} statement(s), the last one "
                    f"{_one_line(last.query)[:160]}",
                    next_step="Check DRY_RUN, the time window asked of the source, and errors that the ingest "
                    "swallows.",
                    fix_side="the ingest",
                )
            ]
        return []

    def _reached_otherwise(self, attribution: Attribution) -> bool:
        """Whether a target was changed by other means than an INSERT that names it: a table or partition put in its
        place, rows brought by a CREATE, or pushed by a view or an engine (Buffer, Distributed) behind another table."""
        names = [name.rpartition(".")[2] for name in self.request.targets]
        for group in attribution.run:
            target = target_of(group)
            texts: list[str] = []
            if group.code or group.outcome != "finished":
                continue
            if target.verb == "INSERT":
                owners = [(target.database, target.table)]
                owners += [(view.rpartition(".")[0], view.rpartition(".")[2]) for view in group.views]
                facts = [self.catalog.table_facts(*owner) for owner in owners]
                texts = [str(known["create_table_query"]) for known in facts if known]
            elif target.verb in ("EXCHANGE", "RENAME") or (
                target.verb == "ALTER" and _CHANGES_ROWS.search(group.query)
            ):
                texts = [group.query]
            elif target.verb in ("DELETE", "UPDATE") or (target.verb == "CREATE" and has_select(group.query)):
                texts = [target.table or ""]
            if any(mentions(text, name) for text in texts for name in names):
                return True
        return False

    # Around the statements ---------------------------------------------------------------------------------------

    def _restart(self) -> None:
        before, after = self.request.window_before or {}, self.request.window_after or {}
        # The reading after the ingest fails when the server was down just then.
        after = after if after.get("at") else self.evidence.clock()
        if not before.get("at") or before.get("uptime_seconds") is None:
            return
        elapsed = (parse_time(after["at"]) - parse_time(before["at"])).total_seconds()
        # uptime() counts whole seconds; a restart leaves a gap far above the two that rounding can make.
        if after["uptime_seconds"] >= before["uptime_seconds"] + elapsed - 2:
            return
        harmed = bool(self.unfinished) or self.ingest.get("exit_code") not in (0, None)
        finding = Finding(
            STAGE,
            "error" if harmed else "warning",
            "server_restarted",
            f"The server restarted in the middle of the run, {after['uptime_seconds']} s before its end.",
            expected="one server process for the whole run",
            actual=f"uptime {after['uptime_seconds']} s after {elapsed:.0f} s of run; {len(self.unfinished)} "
            "statement(s) never ended",
            next_step="Look why it went down: docker inspect (OOMKilled), docker logs, the server's error log, "
            "SELECT * FROM system.crash_log; then run the ingest again.",
            fix_side="server",
            evidence={"sql": self.unfinished[0]["text"]} if self.unfinished else {},
        )
        errors = [f for f in self.result.findings if f.severity == "error" and f.cause.startswith("client_")]
        if harmed and errors:
            finding.effects = [f"{other.cause}: {other.headline}" for other in errors]
            self.result.findings = [f for f in self.result.findings if f not in errors]
        self.result.findings.insert(0, finding)

    def _background(self, attribution: Attribution) -> None:
        """Parts and mutations of the target tables that failed behind the statements' back."""
        tables = sorted(self.result.statements_by_target)
        reported = {finding.evidence.get("code") for finding in self.result.findings}
        for row in self.evidence.part_failures(self.window, tables):
            if row["code"] in reported or (
                row["event"] == "NewPart" and not self.run_ids.intersection(row["query_ids"])
            ):
                continue
            refusal = Refusal(
                f"{row['event']} in {row['database']}.{row['table']}",
                row["last_exception"],
                row["code"],
                self.evidence.code_names([row["code"]]).get(row["code"], ""),
                "",
            )
            finding = to_finding(
                Cause(
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
            self.result.findings.append(finding)
        for row in self.evidence.failing_mutations(tables):
            self.result.findings.append(
                Finding(
                    STAGE,
                    "warning",
                    "server_mutation_failed",
                    f"Mutation {row['mutation_id']} of {row['database']}.{row['table']} fails and is tried again: "
                    f"{row['reason'][:200]}",
                    object=f"{row['database']}.{row['table']}",
                    actual=row["reason"],
                    next_step=f"KILL MUTATION WHERE mutation_id = '{row['mutation_id']}' AND table = "
                    f"'{row['table']}'; then correct it.",
                    evidence={
                        "sql": f"ALTER TABLE {row['database']}.{row['table']} {row['command']}",
                        "last": row["last_at"],
                        "log_table": "system.mutations",
                    },
                )
            )

    def _list_noise(self, attribution: Attribution) -> None:
        excluded = self.result.excluded
        for reason, group in attribution.excluded:
            if group.code:
                excluded.append(
                    {
                        "reason": reason,
                        "user": group.program.user,
                        "program": group.program.http_user_agent or group.program.client_name,
                        "code": group.code,
                        "count": group.count,
                        "first": group.first,
                        "last": group.last,
                        "example": _one_line(group.query)[:200],
                    }
                )
        by_reason = self.result.counts["excluded_failed"]
        others, total = self.evidence.noise(self.window, self.request.filters, self.request.marks)
        if total:
            by_reason["another user or program"] = total
        excluded += [{"reason": "another user or program", **_noise_row(row)} for row in others]
        if self.request.filters:
            earlier = self.evidence.earlier_failures(self.window, self.request.filters)
            if earlier:
                by_reason["before the window"] = sum(row["amount"] for row in earlier)
            excluded += [{"reason": "before the window", **_noise_row(row)} for row in earlier]
        if by_reason:
            total = sum(by_reason.values())
            listed = ", ".join(f"{count} {reason}" for reason, count in by_reason.items())
            self.result.findings.append(
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

    def _take_extracts(self, attribution: Attribution) -> None:
        failed = [query_id for group in attribution.run if group.code for query_id in group.query_ids]
        other = [query_id for group in attribution.run if not group.code for query_id in group.query_ids]
        ids = [*failed, *other][:1000]
        self.result.extracts = {
            "query_log": self.evidence.extract(self.window, ids, _EXTRACT_ROWS),
            "text_log": self.evidence.text_of(self.window, ids),
        }


HIDING_DEFAULTS = {
    "log_queries": "log_queries = 1",
    "log_queries_probability": "log_queries_probability = 1",
    "log_queries_min_type": "log_queries_min_type = 'QUERY_START'",
    "log_queries_min_query_duration_ms": "log_queries_min_query_duration_ms = 0",
}


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


def _empty_target() -> dict[str, Any]:
    return {
        "describe": 0,
        "insert_finished": 0,
        "insert_failed": 0,
        "insert_unfinished": 0,
        "written_rows": 0,
        "last_at": None,
        "last_statement": None,
    }


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _user_in(text: str) -> str:
    found = re.search(r"(?:DB::Exception:\s*)([\w.@-]+): Authentication failed", text)
    return found.group(1) if found else "?"


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


def _claimed_rows(ingest: Mapping[str, Any], log: ClientLog | None) -> int:
    outcome = ingest.get("outcome") or (log.outcome if log else None) or {}
    for key in ("rows_processed", "rows", "rows_written", "written", "inserted"):
        value = outcome.get(key) if isinstance(outcome, Mapping) else None
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0


def _collapse(findings: list[Finding], finding: Finding) -> None:
    """Add a finding, or count it onto one with the same cause and object: one cause gives one headline."""
    for known in findings:
        if (known.cause, known.object, known.evidence.get("code")) == (
            finding.cause,
            finding.object,
            finding.evidence.get("code"),
        ):
            sql = str(finding.evidence.get("sql", ""))
            if sql and sql != known.evidence.get("sql"):
                known.effects.append(f"refused for the same reason: {_one_line(sql)[:160]}")
            known.evidence["count"] = known.evidence.get("count", 1) + finding.evidence.get("count", 1)
            for key, pick in (("first", min), ("last", max)):
                if finding.evidence.get(key) and known.evidence.get(key):
                    known.evidence[key] = pick(known.evidence[key], finding.evidence[key])
            return
    findings.append(finding)
