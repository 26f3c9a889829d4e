"""How many statements were seen, failed and were left out, and what happened to each target table."""

from __future__ import annotations

from typing import Any

from ..sql_text import statement_target
from .attribution import target_of, touches
from .case import Case
from .result import one_line


def count_statements(case: Case) -> None:
    """Fill the result's `counts`."""
    by_reason: dict[str, int] = {}
    for reason, group in case.attribution.excluded:
        if group.code:
            by_reason[reason] = by_reason.get(reason, 0) + group.count
    case.result.counts = {
        "statements": sum(group.count for group in case.run),
        "failed": sum(group.count for group in case.run if group.code),
        "programs": len({group.program for group in case.run}),
        "excluded_failed": by_reason,
    }


def count_by_target(case: Case) -> None:
    """Fill the result's `statements_by_target`: the tables asked for, and without any those that were written."""
    by_target: dict[str, dict[str, Any]] = {}
    for given in case.request.targets:
        qualified = given if "." in given or not case.request.database else f"{case.request.database}.{given}"
        by_target[qualified] = _empty_target()
    for group in case.run:
        target = target_of(group)
        name = target.name
        if not name or target.verb not in ("INSERT", "DESCRIBE"):
            continue
        if name not in by_target and case.request.targets and not touches(target, case.request.targets):
            continue
        entry = by_target.setdefault(name, _empty_target())
        if target.verb == "DESCRIBE":
            entry["describe"] += group.count
        elif group.code:
            entry["insert_failed"] += group.count
        else:
            entry["insert_finished"] += group.count
            # query_log counts what was pushed into views too.
            entry["written_rows_with_views"] += group.written_rows
        if group.last >= (entry["last_at"] or ""):
            entry["last_at"], entry["last_statement"] = group.last, one_line(group.query)
    for row in case.unfinished:
        target = statement_target(row["text"], row["session_database"])
        if target.name and target.verb == "INSERT":
            by_target.setdefault(target.name, _empty_target())["insert_unfinished"] += 1
    case.result.statements_by_target = by_target


def _empty_target() -> dict[str, Any]:
    return {
        "describe": 0,
        "insert_finished": 0,
        "insert_failed": 0,
        "insert_unfinished": 0,
        "written_rows_with_views": 0,
        "last_at": None,
        "last_statement": None,
    }
