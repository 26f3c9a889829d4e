"""What the data stage looks at beside the declared checks: the contract once more, and the source asked again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clickhouse_driver import Client

from ..audit import AuditError, read_expected, run_audit
from ..audit.compare import Frame
from ..audit.judge import not_done
from ..client import quote_string
from ..contract import check_contract
from ..findings import Finding
from .request import Request
from .run import Run
from .session import ScanError, Session

STAGE = "verify_data"
_SAME_THING = frozenset({"data_missing_table", "data_missing_column", "data_column_type"})
_MARGIN = 60.0


def hold_contract(client: Client, session: Session, request: Request, findings: list[Finding]) -> list[Finding]:
    """The contract held again; findings of checks that trip over the same table or column become effects of it."""
    if not request.contract:
        return []
    broken = check_contract(client, request.database, request.contract, STAGE)
    for finding in broken:
        place = str(finding.object)
        table = place if place.count(".") < 2 else place.rpartition(".")[0]
        if request.contract_held:
            finding.headline += " It was right when the schema stage of this run ended."
        if said := _changed_by(session, request, table):
            finding.evidence["sql"] = said
        for other in [other for other in findings if other.object == table and other.cause in _SAME_THING]:
            finding.effects.append(f"check '{other.evidence.get('check')}': {other.headline}")
            findings.remove(other)
    return broken


def _changed_by(session: Session, request: Request, table: str) -> str | None:
    """The last statement of the window that changed the table, with its user."""
    try:
        rows = session.read(
            "SELECT user, substring(query, 1, 500) AS sql, formatDateTime(event_time, '%F %T', 'UTC') AS at "
            f"FROM system.query_log WHERE {request.run.log_days()} "
            f"AND {request.run.window_sql('event_time_microseconds', 'DateTime64(6)')} AND type = 'QueryFinish' "
            "AND query_kind IN ('Alter', 'Drop', 'Rename', 'Create') "
            f"AND has(arrayMap(name -> replaceAll(name, '`', ''), tables), {quote_string(table)}) "
            "ORDER BY event_time_microseconds DESC LIMIT 1",
            request.limits.seconds,
            "contract",
        )
    except ScanError:
        return None
    return f"{rows[0]['sql']}  -- user {rows[0]['user']}, {rows[0]['at']} UTC" if rows else None


def audit(session: Session, request: Request) -> tuple[dict[str, Any], list[Finding]]:
    """The audit's result and findings; both empty where none was asked for."""
    if request.audit is None or request.audit.answer is None:
        return {}, []
    try:
        expected = read_expected(request.audit.answer)
    except AuditError as error:
        return not_done(str(error), wanted=request.audit.wanted)
    return run_audit(
        lambda sql: session.read(sql, request.limits.seconds, "audit"),
        request.database,
        request.audit.entities,
        expected,
        _frame(request.run),
        (ScanError,),
    )


def _frame(run: Run) -> Frame:
    """Rows as near to the window's ends as the load lasted may belong to either side."""
    if run.start is None or run.end is None or run.looked_back:
        return Frame(None, None, _MARGIN, float("inf"))
    lasted = (run.end - run.start).total_seconds()
    return Frame(None, None, lasted + _MARGIN, run.start.timestamp())


def errors_first(findings: Sequence[Finding]) -> list[Finding]:
    """The findings in their order, errors before the others."""
    return sorted(findings, key=lambda finding: finding.severity != "error")
