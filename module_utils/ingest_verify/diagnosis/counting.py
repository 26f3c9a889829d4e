"""How many statements were seen, failed and were left out, and what happened to each target table."""

from __future__ import annotations

import re
from typing import Any

from ..facts.catalog import mentions
from ..facts.server import StatementGroup
from ..sql_text import has_select, statement_target
from .attribution import target_of, touches
from .case import Case
from .result import one_line

# An ALTER that changes rows, and no columns.
_CHANGES_ROWS = re.compile(r"(?i)\b(?:PARTITION|PART|UPDATE|DELETE)\b")


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
    asked = list(by_target)
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
    for name in asked:
        if not by_target[name]["insert_finished"] and (by := _filled_otherwise(case, name)):
            by_target[name]["filled_by"] = one_line(by.query)
    case.result.statements_by_target = by_target


# It holds no rows: to make it brings none.
_PLAIN_VIEW = re.compile(r"(?i)\s*CREATE\s+(?:OR\s+REPLACE\s+)?VIEW\b")
# The database and table that a Distributed table hands its rows to.
_BEHIND = re.compile(r"ENGINE = Distributed\([^,]+, [^,]+, [`']?(\w+)")
# The tables that a Merge table shows, as a regular expression of the server's.
_MERGED = re.compile(r"ENGINE = Merge\(.*, '((?:[^'\\]|\\.)*)'\)")


def _filled_otherwise(case: Case, name: str) -> StatementGroup | None:
    """The last statement that changed a target by other means than an INSERT that names it: a table or partition put in
    its place, rows brought by a CREATE, or pushed by a view or an engine (Buffer, Distributed) behind another table. Of
    a Distributed target also what changed the table behind it; of a view or Merge table an INSERT into what it shows.
    """
    database, _, table = name.rpartition(".")
    own = case.catalog.table_facts(database, table)
    behind = _BEHIND.search(str(own["create_table_query"])) if own else None
    tables = [table, *([behind[1]] if behind else [])]
    for group in sorted(case.run, key=lambda group: group.last, reverse=True):
        target = target_of(group)
        texts: list[str] = []
        if group.code or group.outcome != "finished":
            continue
        if target.verb == "INSERT":
            owners = [(target.database, target.table)]
            owners += [(view.rpartition(".")[0], view.rpartition(".")[2]) for view in group.views]
            facts = [case.catalog.table_facts(*owner) for owner in owners]
            texts = [str(known["create_table_query"]) for known in facts if known]
            if own and target.table and _shows(str(own["create_table_query"]), target.table):
                return group
        elif target.verb in ("EXCHANGE", "RENAME") or (target.verb == "ALTER" and _CHANGES_ROWS.search(group.query)):
            texts = [group.query]
        elif target.verb in ("DELETE", "UPDATE") or (
            target.verb == "CREATE" and has_select(group.query) and not _PLAIN_VIEW.match(group.query)
        ):
            texts = [target.table or ""]
        if any(mentions(text, one) for text in texts for one in tables):
            return group
    return None


def _shows(definition: str, table: str) -> bool:
    """Whether a table that only reads others (a view, a Merge table) shows this one."""
    if definition.startswith("CREATE VIEW "):
        return mentions(definition, table)
    merged = _MERGED.search(definition)
    try:
        return merged is not None and re.search(merged[1].replace("\\\\", "\\"), table) is not None
    except re.error:
        # The server's expressions are not Python's.
        return False


def _empty_target() -> dict[str, Any]:
    return {
        "describe": 0,
        "insert_finished": 0,
        "insert_failed": 0,
        "insert_unfinished": 0,
        "filled_by": None,
        "written_rows_with_views": 0,
        "last_at": None,
        "last_statement": None,
    }
