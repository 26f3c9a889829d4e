"""What the server accepted and has not done: mutations that fail and are tried again, rows that wait to be sent."""

from __future__ import annotations

from ...client import quote_identifier, quote_string
from ...findings import Finding
from .. import STAGE
from ..attribution import target_of
from ..case import Case
from .refusal import Refusal

_CHANGES = ("ALTER", "UPDATE", "DELETE")


def waiting_rows(case: Case) -> list[Finding]:
    """Distributed tables that the run wrote into and that still hold rows: an error where a send has failed."""
    found: list[Finding] = []
    for row in case.evidence.waiting_rows(
        sorted(name for name in case.result.statements_by_target if _is_distributed(case, name))
    ):
        sentence = Refusal("", row["reason"], 0, "", "").brief
        files = f"{row['files']} file(s)" + (f", {row['broken']} broken" if row["broken"] else "")
        found.append(
            Finding(
                STAGE,
                "error" if sentence else "warning",
                "server_rows_waiting",
                f"Rows of Distributed {row['name']} wait on this server, and their shard does not have them: {files}"
                + (f". The last send failed: {sentence}." if sentence else "; no send has failed so far."),
                object=row["name"],
                expected="no rows that wait to be sent",
                actual=files,
                next_step="Reach the shard's server from this one, then: SYSTEM FLUSH DISTRIBUTED "
                f"{'.'.join(map(quote_identifier, row['name'].split('.', 1)))};\n"
                "To let the loader wait until its rows have arrived: SETTINGS distributed_foreground_insert = 1.",
                fix_side="server",
                evidence={"exception": row["reason"], "count": row["errors"], "log_table": "system.distribution_queue"},
            )
        )
    return found


def _is_distributed(case: Case, name: str) -> bool:
    facts = case.catalog.table_facts(*name.split(".", 1)) if "." in name else None
    return facts is not None and facts["engine"] == "Distributed"


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
