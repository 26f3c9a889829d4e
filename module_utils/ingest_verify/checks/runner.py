"""All declared checks over one connection: one pass per table, each outcome on its own."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from decimal import Decimal
from typing import Any

from clickhouse_driver import Client

from ..findings import HOST_MISSING, Finding, shorten
from ..rows import Account, Written, distributed_over, read_accounts, read_written
from .beside import audit, errors_first, hold_contract
from .effects import fold, suspect
from .fields import Check
from .kinds import KINDS
from .kinds.base import Context, Judged, Need, Problem, Values, number
from .ledger import account_findings
from .plain import plain
from .request import Limits, Request
from .run import Run
from .session import Catalog, ScanError, Session

STAGE = "verify_data"
CAUSES_OF_REFUSAL = {
    HOST_MISSING: "Bring the host that the text names back, then check again: it holds a part of {table}.",
    "data_missing_table": "Create the table, or correct the check's table (or that of the view behind it).",
    "data_missing_column": "Add the column, or correct the check's column.",
    "data_check_timeout": "Give the check more time (time_limit_seconds) or narrow it (where).",
    "data_check_memory": "Narrow the check (where), or give the user more memory (max_memory_usage).",
    "data_check_no_access": "GRANT SELECT ON {table} TO {user}",
}


@dataclass
class Outcome:
    """What the module returns: one entry per check, findings, the reconciliation table, figures for the history."""

    checks: list[dict[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    reconciliation: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    overview: list[dict[str, Any]] = field(default_factory=list)
    run: dict[str, Any] = field(default_factory=dict)
    scans: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    history_entry: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    audit: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Read:
    """The aggregates of one check, or why they could not be read."""

    values: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    error: ScanError | None = None


def run_checks(client: Client, request: Request) -> Outcome:
    """Run every check; one that cannot be answered is an error of its own and leaves the others alone.

    Raises ScanError only when the server answers nothing at all (the catalog cannot be read).
    """
    run, database, limits = request.run, request.database, request.limits
    session = Session(client)
    server = session.read(
        "SELECT now64(6, 'UTC') AS now, timezone() AS zone, currentUser() AS user", limits.seconds, "clock"
    )[0]
    now = server["now"].replace(tzinfo=UTC)
    run.close_window(now, limits.look_back_minutes)
    checks = [*request.checks, *_expected(request.expected_tables, request.checks, limits, database)]

    def read_log(sql: str) -> list[dict[str, Any]]:
        return session.read(sql, limits.seconds, "rows' ledger")

    unflushed = session.flush_logs()
    cluster = distributed_over(read_log, (f"{owner}.{table}" for owner, table in _tables(checks, database)))
    # Before any table is asked: a query through Distributed waits for a host that hangs until its time is up.
    unread = session.reach(cluster) if cluster else None
    catalog = Catalog(session, _tables(checks, database), limits.seconds)
    context = Context(session, catalog, run, Written(), database, now, limits.rows_shown, request.history)
    silent = {check.name: error for check in checks if (error := _out_of_reach(check, context))}
    asked = [check for check in checks if check.name not in silent]
    for check in asked:
        if read := KINDS[check.kind].read:
            read(check, context)
    context.written = read_written(read_log, run, database, (ScanError,))
    if unread:
        # Statements that went to such a host are in no log that was read.
        context.written.lost = unread
    context.written.notes += [note for note in (unflushed, unread) if note]
    context.accounts = read_accounts(
        read_log,
        context.written,
        _accounted(checks, database),
        _told(run, database),
        _qualified(run.answered, database),
        (ScanError,),
    )
    answers = _read_aggregates(asked, context)

    outcome = Outcome(overview=_overview(session, request.overview, limits.seconds), history=request.history)
    judged: dict[str, tuple[Judged | ScanError, float]] = {}
    # The run record is compared with the sums that reconciliation finds, the trend with the figures of all.
    for check in sorted(checks, key=lambda check: KINDS[check.kind].turn):
        started = time.monotonic()
        mine = answers.get(check.name, _Read())
        result = silent.get(check.name) or mine.error or _judge(check, context, mine.values)
        judged[check.name] = (result, mine.seconds + time.monotonic() - started)
        if isinstance(result, Judged) and (collect := KINDS[check.kind].collect):
            collect(check, context, mine.values, result)
    outcome.figures, outcome.reconciliation = context.figures, context.reconciled
    for check in checks:
        _report(check, context, *judged[check.name], server["user"], outcome)
    outcome.findings = fold(outcome.findings, checks, database)
    suspect(outcome.findings, run.suspects)
    outcome.accounts = list({id(account): account for account in context.accounts.values()}.values())
    outcome.findings += account_findings(outcome.accounts, outcome.findings)
    if unread:
        step = "Bring the host back, or let this user read there, then check again."
        outcome.findings.append(Finding(STAGE, "warning", HOST_MISSING, unread, next_step=step))
    broken = hold_contract(client, session, request, outcome.findings)
    outcome.audit, differing = audit(session, request)
    outcome.findings = errors_first([*broken, *differing, *outcome.findings])

    outcome.notes = list(dict.fromkeys([*run.notes, *context.written.notes]))
    outcome.scans = session.scans.to_dict()
    outcome.run = {
        "loader_run_id": run.loader_run_id,
        "ver": run.ver,
        "metrics_known": run.metrics is not None,
        "window": {"from": f"{run.start:%F %T}", "to": f"{run.end:%F %T}"},
        "looked_back": run.looked_back,
        "server_time_zone": server["zone"],
        "written_found_by": context.written.by,
    }
    outcome.history_entry = {
        "at": f"{now:%F %T}",
        "ok": not any(finding.severity == "error" for finding in outcome.findings),
        "figures": outcome.figures,
    }
    return outcome


def _expected(tables: Sequence[str], checks: Sequence[Check], limits: Limits, database: str) -> list[Check]:
    """Volume checks by query_log for expected tables that no declared volume check of this run covers."""
    covered = {
        (check.database or database, check.table)
        for check in checks
        if check.kind == "run_record" or (check.kind == "volume" and check.options["this_run"])
    }
    by_log = {"where": None, "final": False, "this_run": {"column": None, "equals": None, "within": None}}
    named = {name: (name.rpartition(".")[0] or database, name.rpartition(".")[2]) for name in tables}
    return [
        Check(
            name=f"rows of this run in {name}",
            kind="volume",
            table=table,
            database=owner,
            severity="error",
            seconds=limits.seconds,
            limits={"min_rows": Decimal(1), "max_rows": None},
            options=by_log,
        )
        for name, (owner, table) in named.items()
        if (owner, table) not in covered
    ]


def _accounted(checks: Sequence[Check], database: str) -> list[str]:
    """The tables whose rows are accounted for: those of which some check asks what this run did to them."""
    return [f"{check.database or database}.{check.table}" for check in checks if KINDS[check.kind].accounted]


def _told(run: Run, database: str) -> dict[str, int]:
    """What the loader's metrics say it wrote, by table."""
    written = run.metric("written")
    told = {str(name): number(rows) for name, rows in written.items()} if isinstance(written, Mapping) else {}
    return _qualified({name: rows for name, rows in told.items() if rows is not None}, database)


def _qualified(by_table: Mapping[str, Any], database: str) -> dict[str, Any]:
    return {name if "." in name else f"{database}.{name}": value for name, value in by_table.items()}


def _tables(checks: Sequence[Check], database: str) -> list[tuple[str, str]]:
    found = [(check.database or database, check.table) for check in checks if check.table]
    for check in checks:
        if others := KINDS[check.kind].others:
            found += others(check, database)
    return found


def _read_aggregates(checks: Sequence[Check], context: Context) -> dict[str, _Read]:
    """Read what all aggregated checks need: one query per table, and one more where FINAL is needed.

    When a combined query fails, its checks are asked one by one, so that the reason stays with the check it belongs to.
    """
    read: dict[str, _Read] = {}
    passes: dict[tuple[str, str, bool], list[tuple[Check, list[Need]]]] = {}
    for check in checks:
        wanted = KINDS[check.kind].needs
        if wanted is None:
            continue
        read[check.name] = _Read()
        try:
            table = context.table(check)
            needs = wanted(check, context)
        except ScanError as error:
            read[check.name].error = error
            continue
        for final in (False, True):
            part = [need for need in needs if need.final is final]
            if part:
                passes.setdefault((table.database, table.name, final), []).append((check, part))
    for (database, name, final), parts in passes.items():
        source = context.catalog.get(database, name)
        assert source is not None  # noqa: S101 - context.table found it
        origin = f"{source.quoted}{' FINAL' if final else ''}"
        _pass(origin, parts, context.session, read)
    return read


def _pass(origin: str, wanted: list[tuple[Check, list[Need]]], session: Session, read: dict[str, _Read]) -> None:
    expressions = list(dict.fromkeys(need.sql for _, needs in wanted for need in needs))
    columns = ", ".join(f"{sql} AS _f{index}" for index, sql in enumerate(expressions))
    names = ", ".join(check.name for check, _ in wanted)
    started = time.monotonic()
    try:
        row = session.read(f"SELECT {columns} FROM {origin}", sum(check.seconds for check, _ in wanted), names)[0]
    except ScanError as error:
        if len(wanted) == 1:
            read[wanted[0][0].name].error = error
            return
        for check, needs in wanted:
            _pass(origin, [(check, needs)], session, read)
        return
    seconds = time.monotonic() - started
    for check, needs in wanted:
        read[check.name].seconds += seconds
        for need in needs:
            read[check.name].values[need.name] = row[f"_f{expressions.index(need.sql)}"]


def _out_of_reach(check: Check, context: Context) -> ScanError | None:
    """Why a check is not asked: its table is spread over a cluster of which a host does not answer."""
    silent = context.session.silent
    for place in (silent and _tables([check], context.database)) or ():
        table = context.catalog.get(*place)
        if table and table.engine == "Distributed":
            return ScanError(str(silent), "", cause=HOST_MISSING)
    return None


def _judge(check: Check, context: Context, values: Values) -> Judged | ScanError:
    try:
        return KINDS[check.kind].judge(check, context, values)
    except ScanError as error:
        return error
    except (ValueError, TypeError, ArithmeticError) as error:
        # A value that no rule foresaw is this check's trouble, never that of the others.
        return ScanError(f"its figures cannot be read: {type(error).__name__}: {error}", "")


def _report(
    check: Check, context: Context, result: Judged | ScanError, seconds: float, user: str, outcome: Outcome
) -> None:
    table = f"{check.database or context.database}.{check.table}" if check.table else None
    entry: dict[str, Any] = {"name": check.name, "kind": check.kind, "table": table, "severity": check.severity}
    if isinstance(result, ScanError):
        finding = _refused(check, table, result, user)
        outcome.findings.append(finding)
        entry |= {"status": finding.severity, "expected": "an answer", "actual": str(result), "rows": None}
    else:
        findings = [_finding(check, table, problem, context) for problem in result.problems]
        outcome.findings.extend(findings)
        severities = {finding.severity for finding in findings}
        status = (
            "error" if "error" in severities else "warning" if severities else "skipped" if result.skipped else "ok"
        )
        entry |= {"status": status, "expected": result.expected, "actual": result.actual, "rows": result.rows}
        if result.skipped:
            entry["reason"] = result.skipped
    outcome.checks.append(entry | {"seconds": round(seconds, 3)})


def _refused(check: Check, table: str | None, error: ScanError, user: str) -> Finding:
    return Finding(
        stage=STAGE,
        # A part of the table that nobody could ask is no fault of its rows.
        severity="warning" if error.cause == HOST_MISSING else KINDS[check.kind].severities[0],
        cause=error.cause,
        headline=f"{table or 'A query'}: the check '{check.name}' could not be answered: {shorten(str(error), 300)}",
        object=table,
        expected=f"an answer within {check.seconds:g} s",
        actual=shorten(str(error), 300),
        next_step=CAUSES_OF_REFUSAL.get(error.cause, "Correct the check, or what it looks at.").format(
            table=table, user=user
        ),
        evidence={
            key: value
            for key, value in {
                "check": check.name,
                "sql": error.sql,
                "exception": str(error),
                "code": error.code,
            }.items()
            if value
        },
    )


def _finding(check: Check, table: str | None, problem: Problem, context: Context) -> Finding:
    rows = [{key: plain(value) for key, value in row.items()} for row in problem.rows]
    evidence: dict[str, Any] = {"check": check.name}
    if problem.columns:
        evidence["columns"] = list(problem.columns)
    if problem.rows_sql:
        evidence["rows_sql"] = problem.rows_sql
        try:
            rows = [
                {key: plain(value) for key, value in row.items()}
                for row in context.session.read(problem.rows_sql, check.seconds, check.name)
            ]
        except ScanError as error:
            evidence["rows_error"] = str(error)
    if problem.sql:
        evidence["rows_sql"] = problem.sql
    if rows:
        evidence["rows"] = rows[: context.rows_shown]
    severity = problem.severity if problem.severity and check.severity == "error" else check.severity
    return Finding(
        stage=STAGE,
        severity=severity,
        cause=problem.cause,
        headline=problem.headline,
        object=table,
        expected=problem.expected,
        actual=problem.actual,
        next_step=problem.next_step,
        evidence=evidence,
    )


def _overview(session: Session, queries: Sequence[Mapping[str, str]], seconds: float) -> list[dict[str, Any]]:
    """The queries whose rows are only shown; one that fails shows its reason."""
    shown = []
    for item in queries:
        entry: dict[str, Any] = {"name": item["name"], "query": item["query"].strip()}
        try:
            rows = session.read(entry["query"].rstrip(";"), seconds, item["name"])
            entry["rows"] = [{key: plain(value) for key, value in row.items()} for row in rows]
        except ScanError as error:
            entry["error"] = str(error)
        shown.append(entry)
    return shown
