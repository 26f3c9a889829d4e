"""Trend: this run's figure against the median of earlier runs on the same weekday."""

from __future__ import annotations

import statistics
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from ..fields import (
    Check,
    Field,
    a_text,
    at_least_one,
)
from .base import (
    THIS_RUN,
    Context,
    Judged,
    Kind,
    Need,
    Problem,
    Values,
    count,
    decimal,
    figures_of,
)


def _needs(check: Check, context: Context) -> list[Need]:
    table = context.table(check)
    mine = context.run.condition(check.options["this_run"], table.columns)
    return [Need("rows", count())] + ([Need("mine", count(mine))] if mine else [])


def _judge(check: Check, context: Context, values: Values) -> Judged:
    """This run's figure against the median of earlier days of the same weekday; a day counts by its last run."""
    figures_of(check, context, values)
    table, figures = context.table(check), context.figures
    figure = f"{table.name}.{check.options['figure']}"
    current = figures.get(figure)
    factor, wanted = float(check.limits["max_factor"]), int(check.limits["min_runs"])
    weekday = context.now.strftime("%A")
    days = {_day(entry.get("at")): entry["figures"].get(figure) for entry in context.history if entry.get("ok")}
    told = [value for day, value in days.items() if day and day < context.now.date() and day.strftime("%A") == weekday]
    past = [float(number) for value in told if (number := decimal(value)) is not None]
    expected = f"{figure} within a factor of {factor:g} of the median of earlier {weekday}s"
    if current is None:
        return Judged(
            expected,
            f"no figure {figure}",
            skipped=f"this run has no figure {figure}; there are {', '.join(sorted(figures))}",
        )
    if len(past) < wanted:
        return Judged(
            expected, f"{current}", skipped=f"{len(past)} earlier {weekday}(s) in the history, {wanted} are needed"
        )
    median = statistics.median(past)
    judged = Judged(f"{expected}, which is {median:g} over {len(past)} day(s)", f"{current}")
    value = float(Decimal(str(current)))
    if value > median * factor or value * factor < median:
        judged.problems.append(
            Problem(
                "data_trend",
                f"{figure} is {current}, the median of {len(past)} earlier {weekday}(s) is {median:g}.",
                judged.expected,
                f"{current}",
                "See whether the source had such a day; if so, nothing has to be done.",
                severity="warning",
            )
        )
    return judged


def _day(at: Any) -> date | None:
    try:
        return datetime.fromisoformat(str(at)).date()
    except ValueError:
        return None


KIND = Kind(
    needs=_needs,
    judge=_judge,
    severities=("warning",),
    turn=2,
    options={"figure": Field(a_text, "rows_of_run"), **THIS_RUN},
    limits={"max_factor": Field(at_least_one, Decimal(3)), "min_runs": Field(at_least_one, Decimal(4))},
)
