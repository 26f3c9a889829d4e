"""Findings of what is odd about the columns of a run's rows. A warning needs rows from before, or how the rows came, to
say that it is not meant; what may be right is told as information."""

from __future__ import annotations

import re

from ..findings import Finding
from ..rows import Account
from ..rows.columns import LEAST, MANY, Odd

_BY_PLACE = re.compile(r"csv|tsv|tabseparated|customseparated|values")
_NAMES = (
    "Compare the names of the fields that the loader sends with the table's columns: a field that is no column is"
    " dropped without an error. Set input_format_skip_unknown_fields = 0 for the loader's user. The server then names"
    " the field."
)
_COMPARE = "Compare what the loader sends for these columns with the source."


def column_findings(account: Account) -> list[Finding]:
    """Columns without values, gaps, rows that are cut, no numbers, one value everywhere; each in one finding."""
    columns, tail = account.seen.columns, account.seen.tail
    cut = _cut(account)
    told = tail.names if tail and cut else ()
    found = [
        _emptied(account, [column for column in columns if column.emptied]),
        _unproven(account, [column for column in columns if column.unproven]),
        cut,
        _new_gaps(account, [column for column in columns if column.new_gaps and column.name not in told]),
        _no_number(account, [column for column in columns if column.nan and not column.nan_before]),
        _constant(account, [column for column in columns if column.constant is not None]),
    ]
    return [finding for finding in found if finding]


def _finding(account: Account, cause: str, headline: str, actual: str, step: str, severity: str = "warning") -> Finding:
    return Finding(
        stage="verify_data",
        severity=severity,
        cause=cause,
        headline=f"{account.target}: {headline}",
        object=account.target,
        actual=actual,
        next_step=step,
        evidence={"account": account.to_dict()},
    )


def _emptied(account: Account, columns: list[Odd]) -> Finding | None:
    if not columns:
        return None
    said = ", ".join(f"{c.name} in {c.empty:.0%} of {c.rows} row(s), before in {c.before:.0%}" for c in columns)
    headline, step = f"this run left columns without values: {said}.", _why_empty(account, columns)
    return _finding(account, "data_column_empty", headline, "NULL or the type's default", step)


def _unproven(account: Account, columns: list[Odd]) -> Finding | None:
    """Without rows before there is nothing to say that it should be otherwise."""
    if not columns:
        return None
    names = ", ".join(column.name for column in columns)
    headline = f"every row of this run has NULL or the type's default in {names}. That may be right."
    actual = "no rows from before to compare with"
    return _finding(account, "data_column_empty", headline, actual, _why_empty(account, columns), "info")


def _why_empty(account: Account, columns: list[Odd]) -> str:
    """What the statements say about it: another name since then, no place in the column list, fields by name."""
    steps = []
    for column in columns:
        if renamed := account.seen.renamed(column.name):
            old, said = renamed
            steps.append(f"{said}. Let the loader send {column.name} in place of {old}.")
    sent = account.sent
    if sent.columns and (left_out := [column.name for column in columns if column.name not in sent.columns]):
        steps.append(f"The INSERTs of this run list their columns and leave out {', '.join(left_out)}. Add them there.")
    return " ".join(steps) or (_NAMES if sent.by_name else _COMPARE)


def _cut(account: Account) -> Finding | None:
    """Rows that end early. A reader that accepts them is a reason to warn; rows from before alone say no more than
    that it is new."""
    tail = account.seen.tail
    if tail is None:
        return None
    accepting = _lenient(account, "variable_number_of_columns")
    known = tail.earlier >= MANY
    if not accepting and not (known and len(tail.names) > 1):
        return None
    names = ", ".join(tail.names)
    last = f"the last column ({names}) has" if len(tail.names) == 1 else f"the last columns ({names}) have"
    never = f" None of {tail.earlier} row(s) before is so." if tail.earlier else ""
    step = (
        f"The INSERTs ran with {' and '.join(accepting)}: a line that is too short is filled up with defaults and no "
        "error. Leave the setting out. The server then names the first short line."
        if accepting
        else "Look for lines of the source that are too short. A reader that fills them up says nothing."
    )
    return _finding(
        account,
        "data_rows_cut",
        f"in {tail.count} of {tail.rows} row(s) of this run {last} no value, as in a line that ends early.{never}",
        f"NULL or the type's default in {names}",
        step,
        "warning" if accepting and tail.earlier >= LEAST else "info",
    )


def _new_gaps(account: Account, columns: list[Odd]) -> Finding | None:
    if not columns:
        return None
    said = ", ".join(f"{c.name} in {round(c.empty * c.rows)} of {c.rows} row(s)" for c in columns)
    formats = [name for name in sorted(account.sent.formats) if _BY_PLACE.match(name)]
    if formats:
        how = f"The rows came as {', '.join(name.upper() for name in formats)}, where an empty field becomes 0 or ''."
    elif account.sent.by_name:
        how = "The rows name their fields: a field that is null or missing becomes 0 or ''."
    else:
        how = ""
    step = "Look whether the source has a value there. If not, make the column Nullable and let the loader send NULL."
    return _finding(
        account,
        "data_value_gaps",
        f"this run stored the type's default or NULL where no row before has it: {said}.",
        f"none in {min(column.earlier for column in columns)} row(s) before",
        f"{how} {step}".strip(),
        "warning" if how else "info",
    )


def _no_number(account: Account, columns: list[Odd]) -> Finding | None:
    if not columns:
        return None
    said = ", ".join(f"{column.name} in {column.nan} of {column.rows} row(s)" for column in columns)
    return _finding(
        account,
        "data_not_a_number",
        f"values that are no number (NaN) were stored: {said}.",
        said,
        "Let the loader refuse text that is no number, such as 12,50 with a comma, before it sends the row.",
    )


def _constant(account: Account, columns: list[Odd]) -> Finding | None:
    """A run for one city or one day has one value too, so this is never more than told."""
    if not columns:
        return None
    said = ", ".join(f"{column.name} = {column.constant}" for column in columns)
    return _finding(
        account,
        "data_constant_column",
        f"all {columns[0].rows} row(s) of this run have one value: {said}. Rows before have more. That may be right.",
        f"one value, more than {min(column.values for column in columns) - 1} in {columns[0].earlier} row(s) before",
        "Compare some of the rows with the source.",
        "info",
    )


def _lenient(account: Account, word: str) -> list[str]:
    return [name for name in sorted(account.sent.lenient) if word in name]
