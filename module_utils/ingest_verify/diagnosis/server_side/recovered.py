"""A refusal that did no harm: a later try brought the same rows, what was asked for was there, or it was a question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...clickhouse.error_codes import KINDS, is_recoverable, kind_of
from ...facts.catalog import mentions
from ...facts.server import StatementGroup
from ...sql_text import Target, has_select
from ..attribution import is_reported, target_of
from ..case import Case
from ..silence import claimed_rows

# What a statement would make is there already; what it names is not.
_EXISTS = ("exists", "duplicate_column")
_MISSING = ("missing_table", "missing_database")
_READS = ("SELECT", "DESCRIBE", "SHOW", "CHECK", "EXISTS")
# How programs ask what there is and what the server can do before they go on.
_ASKS = (*_READS, "EXCHANGE")
# A first run has nothing yet that the new table could be exchanged with.
_SWAPS = ("RENAME", "EXCHANGE")
_ANSWERS = (*_MISSING, "not_implemented", "other_version", "missing_function")
# A message that names something, and not only that something failed.
_NAMES = re.compile(r"[`'\"][\w.]+[`'\"]")
_WRITES = ("CREATE", "INSERT", "ALTER", "RENAME", "EXCHANGE")


@dataclass(frozen=True)
class Recovery:
    """Why a refusal did no harm, in words. `proven` is false where it is not known whether the rows arrived; `asked`
    where the statement was the program's own question, whose answer it knew to use, or where it then made what was
    missing: nothing failed."""

    words: str
    proven: bool = True
    asked: bool = False


def recovered(case: Case, group: StatementGroup) -> Recovery | None:
    """What became of a refused statement within the run; None where nothing made up for it."""
    target = target_of(group)
    later = [g for g in case.run if not g.code and g.outcome == "finished" and g.last > group.last]
    if is_recoverable(group.code) and (found := _retried(case, group, later)):
        return found
    used = [target_of(other) for other in later if target.name and target_of(other).name == target.name]
    kind = kind_of(group.code)
    if kind in _EXISTS and target.verb in ("CREATE", "ALTER"):
        # A CREATE TABLE ... AS SELECT would have brought rows.
        done = used if target.kind == "TABLE" and not has_select(group.query) else target.kind != "TABLE" and later
        return Recovery("the run went on with what was there") if done else None
    if kind in _MISSING and target.verb == "DROP":
        return Recovery("there was nothing to drop") if later else None
    if kind in _MISSING and target.verb in (*_READS, *_SWAPS) and _made(later, group, target):
        return Recovery("the run then made what it had looked for", asked=True)
    if kind in _MISSING and target.verb == "INSERT" and (instead := _wrote_instead(case, group, target, later)):
        return Recovery(f"the run ended well and then wrote into {instead}")
    if kind in _ANSWERS and target.verb in _ASKS and _went_on(case, group):
        return Recovery("the program's own question: it went on without", asked=True)
    return None


def _retried(case: Case, group: StatementGroup, later: Sequence[StatementGroup]) -> Recovery | None:
    """Whether the same program sent the same text again, and the rows of it arrived."""
    same = [
        other
        for other in later
        if other.program == group.program
        and group.texts
        and group.texts <= other.texts
        and target_of(other).name == target_of(group).name
    ]
    if not same:
        return None
    if target_of(group).verb != "INSERT" or has_select(group.query):
        return Recovery("succeeded on retry")
    again = [sent for other in same for sent in other.sent]
    ids = {query_id for other in same for query_id in other.query_ids}
    tokens = {token for other in same for token in other.tokens} - {""}
    if tokens and group.tokens and group.tokens <= tokens:
        return Recovery("succeeded on retry (the same deduplication token)")
    if ids.issuperset(group.query_ids):
        return Recovery("succeeded on retry (the same query id)")
    if any(rows for rows, _ in group.sent):
        # Each of the tries has to be found again, by its rows and their size.
        return Recovery("succeeded on retry (as many rows)") if set(group.sent) <= set(again) else None
    arrived = sum(rows for rows, _ in again)
    if (told := claimed_rows(case.ingest, case.log)) and told <= arrived:
        return Recovery("succeeded on retry (all rows that the loader reports)")
    before = [g for g in case.run if not g.code and g.texts & group.texts and g.first < group.last]
    kind = KINDS.get(kind_of(group.code))
    if kind and kind.before_data and not before:
        # Nothing of this text could pass before the object was there.
        return Recovery("succeeded on retry")
    return Recovery(
        f"a later INSERT of the same text brought {arrived} row(s); whether these are the refused ones is not known",
        proven=False,
    )


def _made(later: Sequence[StatementGroup], group: StatementGroup, target: Target) -> bool:
    """Whether what a question or a swap did not find was made afterwards; after a swap by the same program alone."""
    swap = target.verb in _SWAPS
    makes = ("CREATE", *_SWAPS) if swap else _WRITES
    return target.table is not None and any(
        target_of(other).verb in makes
        and mentions(other.query, target.table)
        and (not swap or other.program == group.program)
        for other in later
    )


def _wrote_instead(case: Case, group: StatementGroup, target: Target, later: Sequence[StatementGroup]) -> str | None:
    """The table of the ingest's own that the same program wrote into, where what it first named was none of them, and
    as many rows arrived as the program says that it wrote."""
    own = {name.rpartition(".")[2] for name in case.request.targets}
    if not case.judged or case.ingest_failed or case.ingest.get("exit_code") is None or target.table in own:
        return None
    wrote = [
        g for g in later if g.program == group.program and target_of(g).verb == "INSERT" and target_of(g).table in own
    ]
    arrived = sum(rows for other in wrote for rows, _ in other.sent)
    told = claimed_rows(case.ingest, case.log)
    return str(target_of(wrote[-1]).name) if told and told == arrived else None


def _went_on(case: Case, group: StatementGroup) -> bool:
    """Whether the same program wrote afterwards, and does not itself give this refusal as the reason of its failure."""
    table = target_of(group).table
    told = "\n".join(error.text for error in case.client_errors)
    if table in {name.rpartition(".")[2] for name in case.request.targets}:
        return False
    if case.ingest_failed and (is_reported(group, told) or (table and table in told)):
        return False
    # Whoever goes on to write, or to anything that succeeds, has taken the refusal for an answer.
    later = [other for other in case.run if other.program == group.program and other.last > group.last]
    if any(not other.code or target_of(other).verb in _WRITES for other in later):
        return True
    # Without one the log alone can say that it failed for a reason of its own.
    return case.ingest_failed and any(error.type and _NAMES.search(error.message) for error in case.client_errors)
