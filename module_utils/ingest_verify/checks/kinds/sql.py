"""SQL: a query that must return no rows."""

from __future__ import annotations

from decimal import Decimal

from ..fields import (
    Check,
    Field,
    a_text,
    whole,
)
from .base import (
    Context,
    Judged,
    Kind,
    Problem,
    Values,
)


def _judge(check: Check, context: Context, values: Values) -> Judged:
    """A query that must return no rows."""
    query = check.options["query"].strip().rstrip(";").strip()
    allowed = int(check.limits["max_rows"])
    limit = allowed + context.rows_shown
    rows = context.session.read(f"SELECT * FROM (\n{query}\n) LIMIT {limit + 1}", check.seconds, check.name)
    expected = "no rows" if not allowed else f"at most {allowed} row(s)"
    many = "more than " if len(rows) > limit else ""
    judged = Judged(expected, f"{many}{min(len(rows), limit)} row(s)", len(rows))
    if len(rows) > allowed:
        judged.problems.append(
            Problem(
                "data_rule_broken",
                f"{check.name}: the query returned {judged.actual}.",
                expected,
                judged.actual,
                "Correct these rows where they come from and load them again. If they are right, correct the check's "
                f"query, or allow so many rows (limits.max_rows). All of them: {query}",
                rows=rows[: context.rows_shown],
                sql=query,
            )
        )
    return judged


KIND = Kind(
    judge=_judge,
    options={"query": Field(a_text, required=True)},
    limits={"max_rows": Field(whole, Decimal(0))},
    has_table=False,
)
