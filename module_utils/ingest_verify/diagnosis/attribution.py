"""Whose statements are the run's: by the mark it put on them where there is one, else by who wrote what and when."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..client import clean_exception
from ..facts.server import Program, StatementGroup
from ..sql_text import Target, statement_target

_WRITING = {"INSERT", "CREATE", "ALTER", "DROP", "TRUNCATE", "OPTIMIZE", "DELETE", "UPDATE", "RENAME", "EXCHANGE"}


# Programs that people and dashboards read with; none of them loads.
_SHOWS = (
    "grafana", "dbeaver", "datagrip", "metabase", "superset", "redash", "tabix", "tableau", "power bi", "powerbi",
    "looker", "datalens", "mozilla", "exporter", "zabbix",
)  # fmt: skip


@dataclass
class Attribution:
    """`run` holds the run's statements; `excluded` those of others, each with the reason; `policy` says in words by
    what they were told apart, `certain` whether by a mark that only this run carries."""

    run: list[StatementGroup]
    excluded: list[tuple[str, StatementGroup]] = field(default_factory=list)
    policy: str = ""
    certain: bool = False


def target_of(group: StatementGroup) -> Target:
    """Verb and target of a group's statement."""
    return statement_target(group.query, group.current_database)


def touches(target: Target, names: Iterable[str]) -> bool:
    """Whether a statement is about one of `names` (`table` or `database.table`)."""
    if target.table is None:
        return False
    return any(name in (target.table, target.name) for name in names)


def attribute(
    groups: Sequence[StatementGroup],
    *,
    narrowed: bool,
    marked: bool = False,
    targets: Sequence[str],
    active_before: set[Program],
    client_text: str,
) -> Attribution:
    """Tell the run's statements from those of other programs that share its user.

    With a mark (`in_run`) only marked statements count, and so they do where the run is known to be `marked`. Without
    any filter (`narrowed` false) all do. Otherwise tools that show data and wrote nothing are left out, and one program
    is the run; of several, in this order: those whose failure the client's own log reports, those that write to
    `targets`, those that write at all; of several writers, those that were not active before the window already.
    """
    if marked or any(group.in_run for group in groups):
        run = [group for group in groups if group.in_run]
        others = [("no log_comment of this run", group) for group in groups if not group.in_run]
        return Attribution(run, others, "log_comment", certain=True)
    if not narrowed:
        return Attribution(
            list(groups), [], "every statement in the window (no user, program or log_comment was given)"
        )
    reported = {group.program for group in groups if group.code and is_reported(group, client_text)}
    shown = {group.program for group in groups if _shows(group.program)}
    shown -= reported | {group.program for group in groups if _writes(group)}
    others = [("another program of the same user", group) for group in groups if group.program in shown]
    groups = [group for group in groups if group.program not in shown]
    programs = list(dict.fromkeys(group.program for group in groups))
    if len(programs) <= 1:
        return Attribution(list(groups), others, "user and window: one program only")

    writers = {group.program for group in groups if touches(target_of(group), targets) and _writes(group)}
    policy = "user and window, then the programs that write to the target tables"
    if not writers:
        writers = {group.program for group in groups if _writes(group)}
        policy = "user and window, then the programs that write"
    if len(writers) > 1 and writers - active_before - reported:
        fresh = writers - active_before
        policy += " and were not active before the window"
        writers = fresh or writers
    chosen = writers | reported
    if not chosen:
        fresh = set(programs) - active_before
        chosen = fresh or set(programs)
        policy = "user and window, then the programs that were not active before the window"
    run = [group for group in groups if group.program in chosen]
    reason = "another program of the same user"
    others += [(reason, group) for group in groups if group.program not in chosen]
    return Attribution(run, others, policy)


def _shows(program: Program) -> bool:
    names = f"{program.http_user_agent} {program.client_name}".lower()
    return any(name in names for name in _SHOWS)


def _writes(group: StatementGroup) -> bool:
    return target_of(group).verb in _WRITING


def is_reported(group: StatementGroup, client_text: str) -> bool:
    """Whether the client's log repeats this failure: its query id, or its code and a telling part of its text."""
    if not client_text:
        return False
    if any(query_id and query_id in client_text for query_id in group.query_ids):
        return True
    message = re.sub(r"\s*\([A-Z][A-Z0-9_]+\).*", "", clean_exception(group.exception), flags=re.DOTALL)
    message = " ".join(message.split())[:80].rstrip(" .")
    # Clients wrap and cut; a shorter text than this would be said of many statements.
    return len(message) > 20 and message in " ".join(client_text.split())
