"""Statements that change the schema, and the views that an INSERT pushes to."""

from __future__ import annotations

import re

from ...causes import Decision
from ...client import clean_exception
from ...facts.catalog import Catalog
from .refusal import ASIDE, Refusal, what_of


def unsupported_ddl(refusal: Refusal, catalog: Catalog) -> Decision | None:
    """A schema statement that this server does not accept; None for any other statement."""
    target = refusal.target
    if target.verb not in ("CREATE", "ALTER", "DROP", "RENAME", "EXCHANGE", "TRUNCATE", "OPTIMIZE", "DETACH"):
        return None
    return Decision(
        "server_unsupported_ddl",
        f"This server does not accept {what_of(target)}: {refusal.brief}.{refusal.hint}",
        object=target.name,
        expected="DDL that this server version knows",
        actual=refusal.brief,
        next_step="Correct what the server's sentence names. If it is right for another version (SELECT version()), "
        "write it for this one, or upgrade the server.",
        fix_side="schema",
    )


_VIEW_IN_TEXT = re.compile(r"pushing to view\s+`?([\w.$]+)`?(?:\.`?([\w$]+)`?)?(?:\s+\([0-9a-f-]{36}\))?")


def view_in(exception: str) -> str | None:
    """The view that the exception names as being pushed to."""
    found = _VIEW_IN_TEXT.search(exception)
    if not found:
        return None
    return ".".join(part for part in found.groups() if part).rstrip(".")


def refusal_within(refusal: Refusal, catalog: Catalog, view: str) -> Refusal | None:
    """The same refusal as one of the view's own SELECT; None where this reader does not see the view."""
    database, _, name = view.rpartition(".")
    facts = catalog.table_facts(database or refusal.current_database, name)
    definition = str(facts["create_table_query"]) if facts else ""
    if not definition:
        return None
    select = re.search(r"(?is)\bAS\s+((?:WITH|SELECT)\b.*)", definition)
    return Refusal(
        sql=select.group(1) if select else definition,
        exception=_VIEW_IN_TEXT.sub("", clean_exception(refusal.exception)),
        code=refusal.code,
        code_name=refusal.code_name,
        user=refusal.user,
        current_database=database or refusal.current_database,
        view=view,
    )


def view_failed(refusal: Refusal, catalog: Catalog, view: str, inner: Decision | None) -> Decision:
    """A materialized view that did not take the rows pushed to it; `inner` is the cause within its SELECT."""
    target = refusal.target
    source = target.name or "the source table"
    reason = refusal.text
    reason = re.sub(r":?\s*while pushing to view.*", "", reason, flags=re.DOTALL).strip() or refusal.text
    reason = ASIDE.split(reason, maxsplit=1)[0] or reason
    engine = str((catalog.table_facts(target.database, target.table) or {}).get("engine", ""))
    kept = "MergeTree" in engine
    # A Null table keeps nothing; what its other views took stays.
    where = f"the tables that the other views of {source} fill" if engine == "Null" else source
    step = f"Correct the view: SHOW CREATE TABLE {view};"
    if (
        inner
        and inner.cause in ("server_missing_column", "server_missing_table", "server_missing_database")
        and inner.next_step
    ):
        step += f" {inner.actual}. {inner.next_step}"
    step += (
        f"\nBefore a retry look for the rows of this INSERT in {where}: they may have stayed, and a retry then "
        "doubles them" + (" (a ReplacingMergeTree merges them by key later, other engines do not)." if kept else ".")
    )
    return Decision(
        "server_view_failed",
        f"Materialized view {view} failed while INSERT pushed rows from {source} to it: {reason[:200]}",
        object=view,
        expected=f"view {view} takes every row that {source} takes",
        actual=reason,
        next_step=step,
        fix_side="schema",
    )
