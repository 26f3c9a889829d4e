"""Findings of the rows' accounts, beside those of the checks: what took rows, or keeps them back, in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..findings import Finding
from ..rows import Account
from .columns import column_findings
from .kinds.volume import AGAINST

STAGE = "verify_data"


def account_findings(accounts: Iterable[Account], findings: Sequence[Finding]) -> list[Finding]:
    """Warnings for what no check made an error of; `findings` are those of the checks."""
    told = {finding.object for finding in findings if finding.cause == "data_rows_taken"}
    found: list[Finding] = []
    for account in accounts:
        if account.target not in told:
            found += _losses(account)
        found += _unanswered(account) + _deduplicated(account) + _gaps(account) + column_findings(account)
    return found


def _warning(account: Account, cause: str, headline: str, actual: str, next_step: str) -> Finding:
    return Finding(
        stage=STAGE,
        severity="warning",
        cause=cause,
        headline=f"{account.target}: {headline}",
        object=account.target,
        actual=actual,
        next_step=next_step,
        evidence={"account": account.to_dict()},
    )


def _losses(account: Account) -> list[Finding]:
    # What the run's own statements took is its design.
    lost = [entry for entry in account.lost() if not entry["own"]]
    stuck = account.stuck()
    if not lost and not stuck:
        return []
    gone = sum(entry["of_run"][0] for entry in lost)
    said = [f"{entry['of_run'][0]} by {entry['reason']}" for entry in lost] + [entry["reason"] for entry in stuck]
    headline = (
        f"this run wrote {account.written_rows} row(s), and {gone} of them are gone: " if gone else "rows are held up: "
    )
    steps = dict.fromkeys(AGAINST[entry["by"]] for entry in [*lost, *stuck])
    return [
        _warning(
            account,
            "data_rows_taken",
            f"{headline}{'; '.join(said)}.",
            f"{account.written_rows} written, {account.held} row(s) in the table now",
            " ".join(steps),
        )
    ]


def _unanswered(account: Account) -> list[Finding]:
    if not account.unanswered_rows:
        return []
    return [
        _warning(
            account,
            "data_answer_lost",
            f"the server wrote {account.unanswered_rows} row(s) of {account.unanswered} INSERT(s) whose answer never "
            "reached the loader. Where it sends them again, they stand there twice.",
            f"{account.acknowledged} row(s) acknowledged, {account.written_rows} written",
            "Let the loader repeat an INSERT with the same insert_deduplication_token (a table that is not Replicated "
            "needs non_replicated_deduplication_window), or look whether its rows are there before it does. Give what "
            "stands between more time than the INSERT takes.",
        )
    ]


def _deduplicated(account: Account) -> list[Finding]:
    rows = sum(entry["rows"] for entry in account.taken if entry["by"] == "deduplicated")
    if not rows:
        return []
    return [
        _warning(
            account,
            "data_deduplicated",
            f"{rows} of {account.written_rows} row(s) that this run sent were dropped: their blocks are identical to "
            "blocks that the table had taken before.",
            f"{rows} row(s) in blocks with error INSERT_WAS_DEDUPLICATED (system.part_log)",
            "For a batch that was sent again nothing has to be done. If the rows are new ones that look alike, give "
            "each batch an insert_deduplication_token of its own.",
        )
    ]


def _gaps(account: Account) -> list[Finding]:
    return [
        _warning(
            account,
            "data_view_columns",
            f"view {view} gives no {', '.join(columns)}: this run's rows got the type's default there.",
            f"{account.written_rows} row(s) written through the view",
            f"Add the columns to the view's SELECT (ALTER TABLE {view} MODIFY QUERY SELECT ...). If the default is "
            f"meant, declare it: ALTER TABLE {account.target} MODIFY COLUMN {columns[0]} DEFAULT ...",
        )
        for view, columns in account.gaps.items()
    ]
