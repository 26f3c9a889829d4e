"""Mutations that fail and are tried again: an ALTER that was accepted and never finishes."""

from __future__ import annotations

from ...client import quote_identifier, quote_string
from ...findings import Finding
from .. import STAGE
from ..attribution import target_of
from ..case import Case
from .refusal import Refusal

_CHANGES = ("ALTER", "UPDATE", "DELETE")


def failing_mutations(case: Case) -> list[Finding]:
    """Of the targets and of each table that the run altered: an error where the run's own statement began it."""
    altered = {target_of(group).name: group for group in case.run if target_of(group).verb in _CHANGES}
    tables = sorted({*case.result.statements_by_target, *(name for name in altered if name)})
    found: list[Finding] = []
    for row in case.evidence.failing_mutations(tables):
        name = f"{row['database']}.{row['table']}"
        own = name in altered and case.window.since[:19] <= row["created_at"][:19] <= case.window.until
        sentence = Refusal("", row["reason"], 0, "", "").brief
        table, mutation = quote_string(row["table"]), quote_string(row["mutation_id"])
        found.append(
            Finding(
                STAGE,
                "error" if own else "warning",
                "server_mutation_failed",
                f"Mutation {row['mutation_id']} of {name} fails and is tried again: {sentence}."
                + (" The ALTER was accepted without waiting for it." if own else ""),
                object=name,
                expected="a mutation that ends",
                actual=sentence,
                next_step="Reading the changed column fails until then. End the mutation: KILL MUTATION WHERE "
                f"database = {quote_string(row['database'])} AND table = {table} AND mutation_id = {mutation};\n"
                f"Then correct the rows that the sentence names, or the ALTER. What the table is now: SHOW CREATE "
                f"TABLE {quote_identifier(row['database'])}.{quote_identifier(row['table'])};\n"
                "Let the loader wait for its ALTER, so that the failure reaches it: SETTINGS alter_sync = 1, "
                "mutations_sync = 1.",
                fix_side="loader" if own else "server",
                evidence={
                    "sql": altered[name].query.strip() if own else f"ALTER TABLE {name} {row['command']}",
                    "exception": row["reason"],
                    "last": row["last_at"],
                    "log_table": "system.mutations",
                },
            )
        )
    return found
