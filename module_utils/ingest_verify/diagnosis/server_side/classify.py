"""From a statement that the server refused to its cause, the object by name and a next step ready to paste.

Decided by the kind of the error code first, then by what the live catalog says, and only then by the exception's
wording, which differs between versions: 24.8 says `Unknown expression identifier 'x' in scope`, 26.9 `... identifier
`x`. In scope`.
"""

from __future__ import annotations

from collections.abc import Callable

from ...causes import Decision, forms_of
from ...clickhouse.error_codes import KINDS, LOGIN_KINDS, name_of
from ...facts.catalog import Catalog
from .access import (
    host_not_allowed,
    login_refused,
    missing_grant,
    quota_used_up,
    read_only,
    remote_login,
    setting_refused,
)
from .columns import column_count, missing_column
from .input_text import bare_word, other_format, values_syntax
from .missing_objects import missing_database, missing_table, view_behind
from .network import socket_failed
from .refusal import Refusal, what_of
from .resources import memory_limit, no_space, replication, time_limit, too_many_parts, too_many_queries
from .schema_statements import refusal_within, unsupported_ddl, view_failed, view_in
from .values import cut_off, type_mismatch

# A right or a limit is the user's or the server's wherever it is met: no correction of a view helps against these.
_NOT_THE_VIEWS = frozenset({"time", "speed", "read_only", "quota", "busy", "socket", "memory", "disk", "grant"})
_VALUES = frozenset({"value", "null_value", "input", "computed_column", "array_sizes"})


def classify(refusal: Refusal, catalog: Catalog) -> Decision:
    """The cause of one refused statement. Never fails: a code that is not known is told with the server's own text."""
    view = refusal.view or view_in(refusal.exception) or view_behind(refusal, catalog)
    if not view:
        return _classify_plain(refusal, catalog)
    if refusal.kind in _NOT_THE_VIEWS:
        cause = _classify_plain(refusal, catalog)
        cause.headline = f"{cause.headline.rstrip('.')}, while it pushed rows to view {view}."
        return cause
    within = refusal_within(refusal, catalog, view)
    return view_failed(refusal, catalog, view, _classify_plain(within, catalog) if within else None)


def _classify_plain(refusal: Refusal, catalog: Catalog) -> Decision:
    handlers: list[_Handler] = [_special, *filter(None, [_HANDLERS.get(refusal.kind)])]
    if refusal.kind in _VALUES:
        handlers.append(type_mismatch)
    # A schema statement is wrong in itself; a value or a column that it names is nothing to convert or to add.
    verb = refusal.target.verb
    if (verb in ("CREATE", "ALTER") and refusal.kind in _VALUES) or (
        verb == "CREATE" and name_of(refusal.code) == "NO_SUCH_COLUMN_IN_TABLE"
    ):
        handlers = [_special]
    handlers.append(unsupported_ddl)
    for handler in handlers:
        if cause := handler(refusal, catalog):
            return cause
    return _as_told(refusal)


def _special(refusal: Refusal, catalog: Catalog) -> Decision | None:
    """A cause that the code and the text tell by themselves."""
    target = refusal.target
    cause, form, found = next(forms_of(refusal.kind, refusal.text), (None, None, None))
    if refusal.kind == "socket":
        return socket_failed(refusal, catalog)
    if cause is None or form is None or found is None:
        return remote_login(refusal) or bare_word(refusal, catalog) or other_format(refusal)
    words = {
        "name": target.name or "",
        "what": what_of(target),
        "target": target.name or "the target",
        "user": refusal.user,
        "brief": refusal.brief,
        "maybe": refusal.hint,
    }
    return form.decide(cause.id, found, words)


def async_insert_failed(database: str, table: str, rows: int, refusal: Refusal, catalog: Catalog) -> Decision:
    """An asynchronous insert that was accepted and failed at its flush; the reason is classified as an INSERT's is."""
    inner = classify(refusal, catalog)
    amount = f"{rows} row(s)" if rows else "the rows"
    return Decision(
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


def _as_told(refusal: Refusal) -> Decision:
    """What no cause explains: the statement and the server's own sentence, without a guess of ours."""
    name = refusal.code_name or name_of(refusal.code) or f"code {refusal.code}"
    ddl = refusal.target.verb in ("ALTER", "DROP", "RENAME", "EXCHANGE", "TRUNCATE", "OPTIMIZE", "DETACH")
    known = KINDS.get(refusal.kind)
    side = known.side if known else "schema" if ddl or refusal.target.verb == "CREATE" else "loader"
    look = f" What is there: SHOW CREATE {refusal.target.kind} {refusal.target.name};" if ddl else ""
    return Decision(
        "server_refused_statement",
        f"The server refused {what_of(refusal.target)} with {name}: {refusal.brief}.{refusal.hint}",
        f"Run the statement alone as user {refusal.user or 'of the loader'} and correct what the exception names."
        + look,
        side,
        object=refusal.target.name,
        actual=refusal.brief,
    )


_Handler = Callable[[Refusal, Catalog], "Decision | None"]
_HANDLERS: dict[str, _Handler] = {
    "missing_table": missing_table,
    "missing_database": missing_database,
    "missing_column": missing_column,
    "missing_setting": setting_refused,
    "column_count": column_count,
    # Only where the client stayed and read the answer; else they are the effect of its end.
    "client_gone": cut_off,
    **dict.fromkeys(LOGIN_KINDS, login_refused),
    "login_address": host_not_allowed,
    "grant": missing_grant,
    "keeper": replication,
    "no_keeper": replication,
    "time": time_limit,
    "speed": time_limit,
    "read_only": read_only,
    "read_only_table": read_only,
    "memory": memory_limit,
    "syntax": values_syntax,
    "quota": quota_used_up,
    "busy": too_many_queries,
    "disk": no_space,
    "parts": too_many_parts,
    "partitions": too_many_parts,
}
