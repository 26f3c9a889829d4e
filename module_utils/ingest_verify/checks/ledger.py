"""Findings of the rows' accounts, beside those of the checks: what took rows, or keeps them back, in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..findings import Finding
from ..rows import Account
from .kinds import AGAINST

STAGE = "verify_data"


def account_findings(accounts: Iterable[Account], findings: Sequence[Finding]) -> list[Finding]:
    """Warnings for what no check made an error of; `findings` are those of the checks."""
    told = {finding.object for finding in findings if finding.cause == "data_rows_taken"}
    found: list[Finding] = []
    for account in accounts:
        if account.target not in told:
            found += _losses(account)
        found += _deduplicated(account) + _gaps(account) + _emptied(account)
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


def _emptied(account: Account) -> list[Finding]:
    found = []
    spoken = [column for column in account.emptied if column.speaks]
    if spoken:
        said = ", ".join(f"{c.name} in {c.empty:.0%} of {c.rows} row(s), before in {c.before:.0%}" for c in spoken)
        found.append(
            _warning(
                account,
                "data_column_empty",
                f"this run left columns without values: {said}.",
                "NULL or the type's default",
                _NAMES if account.by_name else "Compare what the loader sends for these columns with the source.",
            )
        )
    # Without rows before there is nothing to say that it should be otherwise.
    unproven = [column.name for column in account.emptied if column.before is None and column.empty == 1]
    if unproven and account.by_name:
        finding = _warning(
            account,
            "data_column_empty",
            f"every row of this run has NULL or the type's default in {', '.join(unproven)}. That may be right.",
            "no rows from before to compare with",
            _NAMES,
        )
        finding.severity = "info"
        found.append(finding)
    if wrong := [column for column in account.emptied if column.nan and not column.nan_before]:
        said = ", ".join(f"{column.name} in {column.nan} of {column.rows} row(s)" for column in wrong)
        found.append(
            _warning(
                account,
                "data_not_a_number",
                f"values that are no number (NaN) were stored: {said}.",
                said,
                "Let the loader refuse text that is no number, such as 12,50 with a comma, before it sends the row.",
            )
        )
    return found


_NAMES = (
    "Compare the names of the fields that the loader sends with the table's columns: a field that is no column is"
    " dropped without an error. Set input_format_skip_unknown_fields = 0 for the loader's user. The server then names"
    " the field."
)
