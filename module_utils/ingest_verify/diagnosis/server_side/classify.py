"""From a statement that the server refused to its cause, the object by name and a next step ready to paste.

Decided by the kind of the error code first, then by what the live catalog says, and only then by the exception's
wording, which differs between versions: 24.8 says `Unknown expression identifier 'x' in scope`, 26.9 `... identifier
`x`. In scope`.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from ...causes import Decision, forms_of, narrowest
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
from .columns import column_count, missing_column, unknown_field
from .input_text import bare_word, json_in_another_format, other_format, values_syntax
from .missing_objects import missing_database, missing_table, view_behind
from .network import socket_failed
from .refusal import Refusal, what_of
from .resources import memory_limit, no_space, replication, time_limit, too_many_parts, too_many_queries
from .schema_statements import refusal_within, unsupported_ddl, view_failed, view_in
from .values import cut_off, type_mismatch

# A right or a limit is the user's or the server's wherever it is met: no correction of a view helps against these.
_NOT_THE_VIEWS = frozenset({"time", "speed", "read_only", "quota", "busy", "socket", "memory", "disk", "grant"})


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
    told = narrowest(held(refusal, catalog))
    return told[0] if told else _as_told(refusal)


def held(refusal: Refusal, catalog: Catalog) -> list[Decision]:
    """What the catalogue's own texts and the rules say of one refusal, each on its own."""
    target = refusal.target
    words = {
        "name": target.name or "",
        "what": what_of(target),
        "target": target.name or "the target",
        "user": refusal.user,
        "brief": refusal.brief,
        "maybe": refusal.hint,
    }
    told = [form.decide(cause.id, found, words) for cause, form, found in forms_of(refusal.kind, refusal.text)]
    asked = [rule for rule, kinds in _RULES if refusal.kind in kinds]
    return told + [decision for rule in asked if (decision := rule(refusal, catalog))]


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
    # What lies with the server, no correction of the statement helps against.
    step = (
        "Correct on the server what its sentence names. What it logged at that time: SELECT event_time, logger_name, "
        "message FROM system.text_log WHERE level <= 'Error' ORDER BY event_time DESC LIMIT 20;"
        if side == "server"
        else f"Run the statement alone as user {refusal.user or 'of the loader'} and correct what the exception names."
    )
    look = f" What is there: SHOW CREATE {refusal.target.kind} {refusal.target.name};" if ddl else ""
    return Decision(
        "server_refused_statement",
        f"The server refused {what_of(refusal.target)} with {name}: {refusal.brief}.{refusal.hint}",
        step + look,
        side,
        object=refusal.target.name,
        actual=refusal.brief,
    )


_VALUES = ("value", "null_value", "input", "computed_column", "array_sizes")
_Rule = Callable[[Refusal, Catalog], "Decision | None"]
# Each on its own, for refusals of these kinds: of those that hold the narrowest decides, as the catalogue says, and not
# the order.
_RULES: tuple[tuple[_Rule, Container[str]], ...] = (
    (missing_table, ("missing_table",)),
    (missing_database, ("missing_database",)),
    (missing_column, ("missing_column",)),
    (unknown_field, _VALUES),
    (bare_word, ("missing_column",)),
    (setting_refused, ("missing_setting",)),
    (column_count, ("column_count",)),
    # Only where the client stayed and read the answer; else they are the effect of its end.
    (cut_off, ("client_gone",)),
    (type_mismatch, _VALUES),
    (json_in_another_format, ("value", "null_value", "input", "column_count", "syntax")),
    (other_format, ("input",)),
    (values_syntax, ("syntax",)),
    (login_refused, LOGIN_KINDS),
    (host_not_allowed, ("login_address",)),
    (remote_login, LOGIN_KINDS),
    (missing_grant, ("grant",)),
    (read_only, ("read_only", "read_only_table")),
    (quota_used_up, ("quota",)),
    (replication, ("keeper", "no_keeper")),
    (time_limit, ("time", "speed")),
    (memory_limit, ("memory",)),
    (too_many_queries, ("busy",)),
    (no_space, ("disk",)),
    (too_many_parts, ("parts", "partitions")),
    (socket_failed, ("socket",)),
    (unsupported_ddl, ("not_implemented", "other_version", "syntax", "missing_setting")),
)
