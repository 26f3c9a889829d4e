"""All declared checks over one connection: one pass per table, each outcome on its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from clickhouse_driver import Client

from ..findings import Finding, shorten
from ..rows import Account, Written, read_accounts, read_written
from .beside import audit, errors_first, hold_contract
from .compare import consistency, existence, trend, trend_needs, user_sql
from .declarations import Check
from .effects import fold, suspect
from .kinds import AGGREGATED, Context, Judge, Judged, Need, Needs, Problem, Values, rows_of_run
from .ledger import account_findings
from .reconcile import number, reconciliation, reconciliation_needs
from .record import adopt, read_records, run_record
from .request import Limits, Request
from .run import Run
from .session import Catalog, ScanError, Session

STAGE = "verify_data"
CAUSES_OF_REFUSAL = {
    "data_missing_table": "Create the table, or correct the check's table (or that of the view behind it).",
    "data_missing_column": "Add the column, or correct the check's column.",
    "data_check_timeout": "Give the check more time (time_limit_seconds) or narrow it (where).",
    "data_check_memory": "Narrow the check (where), or give the user more memory (max_memory_usage).",
    "data_check_no_access": "GRANT SELECT ON {table} TO {user}",
}

_STANDALONE: dict[str, Callable[[Check, Context], Judged]] = {
    "existence": existence,
    "consistency": consistency,
    "sql": user_sql,
}
_NEEDS: dict[str, Needs] = {
    **{kind: needs for kind, (needs, _) in AGGREGATED.items()},
    "reconciliation": reconciliation_needs,
    "trend": trend_needs,
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
    catalog = Catalog(session, _tables(checks, database), limits.seconds)
    context = Context(session, catalog, run, Written(), database, limits.rows_shown, request.history)

    unflushed = session.flush_logs()
    records: dict[str, list[dict[str, Any]] | ScanError] = {}
    for check in checks:
        if check.kind == "run_record":
            records[check.name] = _records(check, context)

    def read_log(sql: str) -> list[dict[str, Any]]:
        return session.read(sql, limits.seconds, "rows' ledger")

    context.written = read_written(read_log, run, database, (ScanError,))
    context.written.notes += [unflushed] if unflushed else []
    context.accounts = read_accounts(
        read_log, context.written, _accounted(checks, database), _told(run, database), (ScanError,)
    )
    answers = _read_aggregates(checks, context)

    outcome = Outcome(overview=_overview(session, request.overview, limits.seconds), history=request.history)
    judged: dict[str, tuple[Judged | ScanError, float]] = {}
    # The run record is compared with the sums that reconciliation finds, the trend with the figures of all.
    order = {"run_record": 1, "trend": 2}
    for check in sorted(checks, key=lambda check: order.get(check.kind, 0)):
        started = time.monotonic()
        mine = answers.get(check.name, _Read())
        result = mine.error or _judge(check, context, mine.values, records, outcome, now)
        judged[check.name] = (result, mine.seconds + time.monotonic() - started)
        if isinstance(result, Judged):
            _collect(check, context, mine.values, result, outcome)
    for check in checks:
        _report(check, context, *judged[check.name], server["user"], outcome)
    outcome.findings = fold(outcome.findings, checks, database)
    suspect(outcome.findings, run.suspects)
    outcome.accounts = list({id(account): account for account in context.accounts.values()}.values())
    outcome.findings += account_findings(outcome.accounts, outcome.findings)
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
    kinds = ("volume", "reconciliation")
    return [f"{check.database or database}.{check.table}" for check in checks if check.kind in kinds]


def _told(run: Run, database: str) -> dict[str, int]:
    """What the loader's metrics say it wrote, by table."""
    written = run.metric("written")
    told = {str(name): number(rows) for name, rows in written.items()} if isinstance(written, Mapping) else {}
    return {name if "." in name else f"{database}.{name}": rows for name, rows in told.items() if rows is not None}


def _tables(checks: Sequence[Check], database: str) -> list[tuple[str, str]]:
    found = [(check.database or database, check.table) for check in checks if check.table]
    for check in checks:
        if check.kind == "referential":
            found.append((check.options["references"][0] or database, check.options["references"][1]))
        elif check.kind == "consistency":
            found.append((check.options["source"][0] or database, check.options["source"][1]))
    return found


def _records(check: Check, context: Context) -> list[dict[str, Any]] | ScanError:
    try:
        found = read_records(check, context)
    except ScanError as error:
        return error
    adopt(found, context)
    return found


def _read_aggregates(checks: Sequence[Check], context: Context) -> dict[str, _Read]:
    """Read what all aggregated checks need: one query per table, and one more where FINAL is needed.

    When a combined query fails, its checks are asked one by one, so that the reason stays with the check it belongs to.
    """
    read: dict[str, _Read] = {}
    passes: dict[tuple[str, str, bool], list[tuple[Check, list[Need]]]] = {}
    for check in checks:
        if check.kind not in _NEEDS:
            continue
        read[check.name] = _Read()
        try:
            table = context.table(check)
            needs = _NEEDS[check.kind](check, context)
        except ScanError as error:
            read[check.name].error = error
            continue
        for final in (False, True):
            part = [need for need in needs if need.final is final]
            if part:
                passes.setdefault((table.database, table.name, final), []).append((check, part))
    for (database, name, final), wanted in passes.items():
        source = context.catalog.get(database, name)
        assert source is not None  # noqa: S101 - context.table found it
        origin = f"{source.quoted}{' FINAL' if final else ''}"
        _pass(origin, wanted, context.session, read)
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


def _judge(
    check: Check,
    context: Context,
    values: Values,
    records: Mapping[str, list[dict[str, Any]] | ScanError],
    outcome: Outcome,
    now: datetime,
) -> Judged | ScanError:
    judges: dict[str, Judge] = {
        **{kind: judge for kind, (_, judge) in AGGREGATED.items()},
        "reconciliation": reconciliation,
    }
    try:
        if check.kind in judges:
            return judges[check.kind](check, context, values)
        if check.kind == "run_record":
            found = records[check.name]
            return found if isinstance(found, ScanError) else run_record(check, context, found, _totals(outcome))
        if check.kind == "trend":
            _figures(check, context, values, outcome)
            return trend(check, context, values, outcome.figures, now)
        return _STANDALONE[check.kind](check, context)
    except ScanError as error:
        return error
    except (ValueError, TypeError, ArithmeticError) as error:
        # A value that no rule foresaw is this check's trouble, never that of the others.
        return ScanError(f"its figures cannot be read: {type(error).__name__}: {error}", "")


def _totals(outcome: Outcome) -> dict[str, int | None]:
    """Sums over the tables that count as processed; None for a side that one of them does not have."""
    rows = [row for row in outcome.reconciliation if row["counts_as_processed"]]
    totals: dict[str, int | None] = {}
    for side in ("claimed", "written", "held"):
        known = [row[side] for row in rows if row[side] is not None]
        totals[side] = sum(known) if rows and len(known) == len(rows) else None
    return totals


def _figures(check: Check, context: Context, values: Values, outcome: Outcome) -> None:
    table = context.table(check)
    outcome.figures[f"{table.name}.rows"] = int(values["rows"])
    rows, _ = rows_of_run(check, context, values) if check.options["this_run"] else (None, "")
    if rows is not None:
        outcome.figures[f"{table.name}.rows_of_run"] = rows


def _collect(check: Check, context: Context, values: Values, result: Judged, outcome: Outcome) -> None:
    """Keep what later checks, the report and the history need of a check's values."""
    if check.kind == "volume":
        _figures(check, context, values, outcome)
    if check.kind == "reconciliation" and result.reconciliation:
        outcome.reconciliation.append(result.reconciliation)
        for name, value in values.items():
            if name.startswith("sum "):
                outcome.figures[f"{check.table}.{name.removeprefix('sum ')}"] = plain(value)


def _report(
    check: Check, context: Context, result: Judged | ScanError, seconds: float, user: str, outcome: Outcome
) -> None:
    table = f"{check.database or context.database}.{check.table}" if check.table else None
    entry: dict[str, Any] = {"name": check.name, "kind": check.kind, "table": table, "severity": check.severity}
    if isinstance(result, ScanError):
        finding = _refused(check, table, result, user)
        outcome.findings.append(finding)
        entry |= {"status": "error", "expected": "an answer", "actual": str(result), "rows": None}
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
        severity="warning" if check.kind == "trend" else "error",
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


def plain(value: Any) -> Any:
    """A value as JSON takes it; times, decimals and ids as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no NaN
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace").rstrip("\0")
    return str(value)
