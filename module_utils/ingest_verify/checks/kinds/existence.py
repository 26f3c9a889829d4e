"""Existence: the table with its columns and their types."""

from __future__ import annotations

from ...client import quote_string
from ..fields import (
    Check,
    Field,
    some_columns,
)
from ..session import ScanError
from .base import (
    Context,
    Judged,
    Kind,
    Problem,
    Values,
)


def _judge(check: Check, context: Context, values: Values) -> Judged:
    table = context.table(check)
    wanted: dict[str, str | None] = check.options["columns"]
    problems = []
    for name, expected_type in wanted.items():
        actual = table.columns.get(name)
        expected = f"column {name}" + (f" {expected_type}" if expected_type else "")
        if actual is None:
            problems.append(
                Problem(
                    "data_missing_column",
                    f"{table.database}.{table.name} has no column {name}{table.nearest(name)}.",
                    expected,
                    f"columns {', '.join(table.columns)}",
                    f"ALTER TABLE {table.quoted} ADD COLUMN {name} {expected_type or '<type>'}",
                )
            )
        elif expected_type and not _same(actual, expected_type, check, context):
            problems.append(
                Problem(
                    "data_column_type",
                    f"{table.database}.{table.name}.{name} is {actual}, not {expected_type}.",
                    expected,
                    actual,
                    f"ALTER TABLE {table.quoted} MODIFY COLUMN {name} {expected_type}",
                )
            )
    return Judged(
        "the table" + (f" with {', '.join(wanted)}" if wanted else ""),
        f"{table.engine}, {len(table.columns)} column(s)",
        problems=problems,
    )


def _same(actual: str, declared: str, check: Check, context: Context) -> bool:
    """Whether two spellings name one type; the server knows its aliases, such as Decimal64(2) or text."""
    if actual.replace(" ", "") == declared.replace(" ", ""):
        return True
    spelled = f"SELECT toTypeName(defaultValueOfTypeName({quote_string(declared)})) AS type"
    try:
        return bool(context.session.read(spelled, check.seconds, check.name)[0]["type"] == actual)
    except ScanError:
        return False


KIND = Kind(
    judge=_judge,
    options={"columns": Field(some_columns, {})},
)
