"""What the checks found, as the module returns it and as the run's report shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..findings import FAIL, HOST_MISSING, INCONCLUSIVE, PASS, render_failure, verdict
from ..rows import Account
from .runner import Outcome

_RUNS_SHOWN = 10
_SIDES = ("served", "kept", "claimed", "written", "held")


def to_result(outcome: Outcome) -> dict[str, Any]:
    """The module's result, all of it JSON-ready."""
    judged = verdict(outcome.findings, evidence_proven=True)
    return {
        "verdict": judged,
        "message": _message(outcome, judged),
        "checks": outcome.checks,
        "findings": [finding.to_dict() for finding in outcome.findings],
        "reconciliation": outcome.reconciliation,
        "accounts": [account.to_dict() for account in outcome.accounts],
        "audit": outcome.audit,
        "overview": outcome.overview,
        "figures": outcome.figures,
        "history_entry": outcome.history_entry,
        "run": outcome.run,
        "notes": outcome.notes,
        "scans": outcome.scans,
        "ledger_data": {
            "summary": summary(outcome),
            "tables": tables(outcome),
            "figures": outcome.figures,
            "checks": outcome.checks,
            "accounts": [account.to_dict() for account in outcome.accounts],
            "history": recent_runs(outcome.history, outcome.history_entry) if outcome.history else [],
        },
    }


def _message(outcome: Outcome, judged: str) -> str:
    if judged == PASS:
        return summary(outcome)
    if judged == FAIL:
        return render_failure(outcome.findings)
    unread = next(finding for finding in outcome.findings if finding.cause == HOST_MISSING)
    return f"{INCONCLUSIVE}: {unread.headline}"


def summary(outcome: Outcome) -> str:
    """One line for the report's table of stages."""
    counted = Counter(check["status"] for check in outcome.checks)
    parts = [f"{counted[status]} {status}" for status in ("ok", "warning", "error", "skipped") if counted[status]]
    scans = outcome.scans
    return (
        f"{len(outcome.checks)} checks: {', '.join(parts) or 'none'}; "
        f"{scans['queries']} queries, {scans['rows_read']} rows and {scans['bytes_read']} bytes read"
    )


def tables(outcome: Outcome) -> dict[str, list[dict[str, Any]]]:
    """Tables of the report by title, in order; rows of one table have the same keys."""
    shown: dict[str, list[dict[str, Any]]] = {}
    for item in outcome.overview:
        shown[item["name"]] = item["rows"] if "rows" in item else [{"not answered": item["error"]}]
    if outcome.reconciliation:
        shown["Reconciliation: served, claimed, written, held"] = [_reconciled(row) for row in outcome.reconciliation]
    if outcome.accounts:
        shown["Rows: told, acknowledged, written, in new parts, taken, held"] = [
            _account(account) for account in outcome.accounts
        ]
    if outcome.audit:
        shown |= _audit(outcome.audit)
    shown["Data checks"] = [
        {key: check.get(key) for key in ("name", "table", "status", "expected", "actual")}
        | ({"actual": f"{check['actual']}; {check['reason']}"} if check.get("reason") else {})
        | {"seconds": check["seconds"]}
        for check in outcome.checks
    ]
    if outcome.notes:
        shown["What the data checks had to assume"] = [{"note": note} for note in outcome.notes]
    if outcome.history:
        shown["Last runs"] = recent_runs(outcome.history, outcome.history_entry)
    return shown


def _reconciled(row: Mapping[str, Any]) -> dict[str, Any]:
    dropped: Mapping[str, int] | None = row["dropped"]
    line = {"entity": row["entity"], "table": row["table"]}
    line |= {side: "not known" if row[side] is None else row[side] for side in _SIDES}
    line["dropped"] = (
        "not known" if dropped is None else ", ".join(f"{n} {reason}" for reason, n in dropped.items()) or 0
    )
    return line | {"status": row["status"], "differences explained": "; ".join(row["notes"])}


def _account(account: Account) -> dict[str, Any]:
    figures = {
        "told": account.told,
        "acknowledged": account.acknowledged,
        "acknowledged by": account.acknowledged_by,
        "written": account.written_rows,
        "new parts": account.new_part_rows,
        "before": account.before,
        "others'": account.others,
        "held": account.held,
        "remainder": account.remainder,
    }
    line: dict[str, Any] = {"table": account.target}
    line |= {name: "not known" if figure is None else figure for name, figure in figures.items()}
    line["taken"] = "; ".join(f"{entry['rows']} {entry['reason']}" for entry in account.taken) or 0
    return line | {"not known": "; ".join(account.unknown)}


def _audit(audit: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    figures = [{"entity": name, **counted} for name, counted in audit["entities"].items()]
    shown = {"Audit: what the source serves, and the tables": figures} if figures else {}
    if audit["differences"]:
        shown["Audit: sums that differ"] = audit["differences"]
    if audit["notes"]:
        shown["Audit: what was not compared"] = [{"note": note} for note in audit["notes"]]
    return shown


def recent_runs(history: Sequence[Mapping[str, Any]], current: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The last runs' figures, this one last, with the same columns in each row."""
    entries = [*history[-(_RUNS_SHOWN - 1) :], current]
    names = [name for name in current.get("figures", {}) if not name.endswith(".rows")]
    return [
        {"at": entry.get("at"), "ok": entry.get("ok")} | {name: entry.get("figures", {}).get(name) for name in names}
        for entry in entries
    ]
