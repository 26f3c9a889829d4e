"""From a statement that the server refused to its cause, the object by name and a next step ready to paste.

Decided by error code first, then by what the live catalog says, and only then by the exception's wording, which differs
between versions: 24.8 says `Unknown expression identifier 'x' in scope`, 26.9 `... identifier `x`. In scope`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..catalog import Catalog
from .access import (
    host_not_allowed,
    login_refused,
    missing_grant,
    quota_used_up,
    read_only,
    remote_login,
    setting_refused,
)
from .codes import (
    COLUMN_COUNT,
    MISSING_COLUMN,
    MISSING_DATABASE,
    MISSING_TABLE,
    NOT_THE_VIEWS,
    TYPE_CODES,
    TYPE_NAMES,
)
from .columns import column_count, missing_column
from .input_text import bare_word, other_format, values_syntax
from .missing_objects import missing_database, missing_table, view_behind
from .refusal import Cause, Refusal, what_of
from .resources import memory_limit, no_space, replication, time_limit, too_many_parts, too_many_queries
from .rules import RULES
from .schema_statements import refusal_within, unsupported_ddl, view_failed, view_in
from .values import cut_off, type_mismatch


def classify(refusal: Refusal, catalog: Catalog) -> Cause:
    """The cause of one refused statement. Never fails: a code that is not known gives a general cause with the text."""
    view = refusal.view or view_in(refusal.exception) or view_behind(refusal, catalog)
    if not view:
        return _classify_plain(refusal, catalog)
    if refusal.code in NOT_THE_VIEWS:
        cause = _classify_plain(refusal, catalog)
        cause.headline = f"{cause.headline.rstrip('.')}, while it pushed rows to view {view}."
        return cause
    within = refusal_within(refusal, catalog, view)
    return view_failed(refusal, catalog, view, _classify_plain(within, catalog) if within else None)


def _classify_plain(refusal: Refusal, catalog: Catalog) -> Cause:
    handlers: list[_Handler] = [_special, *filter(None, [_HANDLERS.get(refusal.code)])]
    if refusal.code in TYPE_CODES or TYPE_NAMES.search(refusal.code_name):
        handlers.append(type_mismatch)
    # A schema statement is wrong in itself; a value or a column that it names is nothing to convert or to add.
    in_itself = refusal.code in TYPE_CODES or (refusal.code == 16 and refusal.target.verb == "CREATE")
    handlers.insert(1 if in_itself else len(handlers), unsupported_ddl)
    for handler in handlers:
        if cause := handler(refusal, catalog):
            return cause
    return _generic(refusal)


def _special(refusal: Refusal, catalog: Catalog) -> Cause | None:
    """A cause that the code and the text tell by themselves."""
    target = refusal.target
    for rule in RULES:
        if refusal.code in rule.codes and (found := re.search(rule.pattern, refusal.text)):
            break
    else:
        return remote_login(refusal) or bare_word(refusal, catalog) or other_format(refusal)
    guess = re.search(r"[Mm]aybe you meant:? \[?'?([\w.]+)", refusal.text)
    words = {
        "name": next(filter(None, found.groups()), None) or target.name or "",
        "what": what_of(target),
        "target": target.name or "the target",
        "user": refusal.user,
        "brief": refusal.brief,
        "maybe": f" Is {guess[1]} meant?" if guess else "",
    }
    return Cause(
        rule.cause,
        rule.headline.format(**words),
        object=rule.object.format(**words) or None,
        expected=rule.expected.format(**words) if rule.expected else None,
        actual=refusal.brief,
        next_step=rule.next_step.format(**words),
        fix_side=rule.fix_side,
    )


def async_insert_failed(database: str, table: str, rows: int, refusal: Refusal, catalog: Catalog) -> Cause:
    """An asynchronous insert that was accepted and failed at its flush; the reason is classified as an INSERT's is."""
    inner = classify(refusal, catalog)
    amount = f"{rows} row(s)" if rows else "the rows"
    return Cause(
        "server_async_insert_failed",
        f"An asynchronous INSERT into {database}.{table} was accepted and failed later, {amount} lost: "
        f"{inner.headline}",
        object=inner.object or f"{database}.{table}",
        expected=inner.expected,
        actual=inner.actual or refusal.text,
        next_step=(f"{inner.next_step}\n" if inner.next_step else "")
        + "Let the ingest wait for the outcome: wait_for_async_insert = 1 (or async_insert = 0); the failed rows "
        "have to be sent again.",
        fix_side=inner.fix_side,
    )


def _generic(refusal: Refusal) -> Cause:
    return Cause(
        "server_refused_statement",
        f"The server refused {what_of(refusal.target)} with {refusal.code_name or 'code ' + str(refusal.code)}: "
        f"{refusal.brief}",
        object=refusal.target.name,
        actual=refusal.brief,
        next_step=f"Run the statement alone as user {refusal.user} and correct what the exception names.",
        fix_side="the ingest, unless the exception names the server",
    )


_Handler = Callable[[Refusal, Catalog], "Cause | None"]
_HANDLERS: dict[int, _Handler] = {
    **dict.fromkeys(MISSING_TABLE, missing_table),
    **dict.fromkeys(MISSING_DATABASE, missing_database),
    **dict.fromkeys(MISSING_COLUMN, missing_column),
    **dict.fromkeys(COLUMN_COUNT, column_count),
    # Only where the client stayed and read the answer; else they are the effect of its end (ABORT_CODES).
    **dict.fromkeys((32, 33), cut_off),
    **dict.fromkeys((192, 193, 194, 516), login_refused),
    **dict.fromkeys((225, 285, 286, 319, 999), replication),
    **dict.fromkeys((115, 452, 472), setting_refused),
    **dict.fromkeys((159, 160), time_limit),
    **dict.fromkeys((164, 242), read_only),
    **dict.fromkeys((173, 241), memory_limit),
    62: values_syntax,
    195: host_not_allowed,
    201: quota_used_up,
    **dict.fromkeys((202, 700, 745, 749, 762), too_many_queries),
    243: no_space,
    **dict.fromkeys((252, 565), too_many_parts),
    **dict.fromkeys((291, 497), missing_grant),
}
