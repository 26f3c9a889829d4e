"""One cause, one headline: findings that follow from another one become its effects, and causes come first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..findings import Finding
from .declarations import Check

_NOTHING = frozenset({"data_empty", "data_not_from_this_run", "data_rows_taken", "data_other_database"})
# Rows that an exception which nobody heard of may have kept away.
_FEWER = _NOTHING | {"data_too_few", "data_stale", "data_count_mismatch"}
_CHANGED = frozenset({"data_wrapped_integer", "data_money_rounding", "data_sum_mismatch"})

# The nearer to the root, the earlier; what is not listed comes last, in the order of the checks.
_RANKS: tuple[frozenset[str], ...] = (
    frozenset({"data_missing_table", "data_missing_column", "data_column_type", "data_check_no_access"}),
    _NOTHING,
    frozenset({"data_run_record"}),
    frozenset({"data_epoch", "data_future", "data_stale", "data_duplicates", "data_wrapped_integer", "data_null"}),
    frozenset({"data_money_rounding", "data_out_of_range", "data_empty_key", "data_missing_reference"}),
    frozenset({"data_count_mismatch"}),
    frozenset({"data_sum_mismatch"}),
    frozenset({"data_aggregate_mismatch"}),
)


def fold(findings: Sequence[Finding], checks: Sequence[Check], database: str) -> list[Finding]:
    """The findings with effects folded into their causes, errors first and causes before what may follow from them."""
    by_name = {check.name: check for check in checks}

    def place(finding: Finding) -> tuple[bool, int, bool]:
        # A record's total differs because a table's count does, not the other way round.
        recorded = by_name[finding.evidence["check"]].kind == "run_record"
        return finding.severity != "error", _rank(finding), recorded

    ordered = sorted(findings, key=place)
    kept: list[Finding] = []
    for finding in ordered:
        root = next((other for other in kept if _follows(finding, other, by_name, database)), None)
        if root is None:
            kept.append(finding)
        else:
            root.effects.append(f"check '{finding.evidence['check']}': {finding.headline}")
    return kept


def suspect(findings: Sequence[Finding], suspects: Sequence[str]) -> None:
    """Put what the ingest met and went on after into the next step of the errors that may have come of it."""
    for finding in findings:
        if suspects and finding.severity == "error" and finding.cause in _FEWER:
            said = "\n".join(f"- {text}" for text in suspects)
            finding.next_step = f"First mend what the ingest met and went on after:\n{said}\n{finding.next_step}"


def _rank(finding: Finding) -> int:
    return next((rank for rank, causes in enumerate(_RANKS) if finding.cause in causes), len(_RANKS))


def _follows(finding: Finding, root: Finding, checks: Mapping[str, Check], database: str) -> bool:
    """Whether `finding` is what `root` leaves behind elsewhere, or the same thing seen by another check."""
    check = checks[finding.evidence["check"]]
    same = finding.object == root.object
    above = root.object in _upstream(check, database)
    if finding.cause in _NOTHING:
        # What the run did not stage, it could not derive either; of two empty tables the first is the cause.
        return root.cause in _NOTHING
    if finding.cause == "data_count_mismatch":
        counted = same or check.kind == "run_record"
        return counted and root.cause in {*_NOTHING, "data_duplicates", "data_count_mismatch"} and root is not finding
    if finding.cause in _CHANGED:
        columns, others = (set(item.evidence.get("columns", ())) for item in (finding, root))
        apart = columns and others and not columns & others
        return same and not apart and root.cause in {*_CHANGED, "data_out_of_range", "data_epoch"}
    if finding.cause == "data_aggregate_mismatch":
        return above and root.cause in {*_NOTHING, *_CHANGED, "data_count_mismatch", "data_out_of_range"}
    if finding.cause == "data_missing_reference":
        return above and root.cause in _NOTHING
    return False


def _upstream(check: Check, database: str) -> set[str]:
    """The tables that the check's own one is compared with."""
    if check.kind == "consistency":
        source = check.options["source"]
        return {f"{source[0] or database}.{source[1]}"}
    if check.kind == "referential":
        other = check.options["references"]
        return {f"{other[0] or database}.{other[1]}"}
    return set()
