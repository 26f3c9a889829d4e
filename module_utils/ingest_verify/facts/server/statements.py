"""Statements as the log tables hold them: who sent them, in groups of the same shape and outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Program:
    """Who sent a statement, as far as the server knows."""

    user: str
    client_name: str
    http_user_agent: str
    client_hostname: str
    address: str

    @property
    def label(self) -> str:
        name = self.http_user_agent or self.client_name or "no name given"
        host = f" on {self.client_hostname}" if self.client_hostname else ""
        return f"user {self.user!r}, program {name!r}{host}, from {self.address}"


@dataclass
class StatementGroup:
    """Statements of one program with the same shape and the same outcome.

    `texts` holds a hash of each different text, `sent` (rows, bytes) of each that was read, `tokens` the deduplication
    tokens that were sent with them.

    `outcome` is `finished`, `refused` (before it started) or `failed` (while it ran); `code` is 0 when finished.
    """

    program: Program
    in_run: bool
    outcome: str
    code: int
    count: int
    first: str
    last: str
    query: str
    exception: str
    query_id: str
    query_ids: list[str]
    current_database: str
    kind: str
    tables: list[str]
    views: list[str]
    missing_privileges: list[str]
    written_rows: int
    hosts: list[str]
    is_initial: bool
    initial_query_ids: list[str] = field(default_factory=list)
    log_table: str = "system.query_log"
    texts: frozenset[int] = frozenset()
    sent: tuple[tuple[int, int], ...] = ()
    tokens: frozenset[str] = frozenset()


def program_of(row: Mapping[str, Any]) -> Program:
    """The program that a row of query_log names."""
    address = str(row["client_address"]).removeprefix("::ffff:")
    return Program(row["user"], row["client_name"], row["http_user_agent"], row["client_hostname"], address)


_OUTCOMES = {2: "finished", 3: "refused", 4: "failed"}


def statement_group(row: Mapping[str, Any]) -> StatementGroup:
    """A row of `Evidence.statements` as a group."""
    return StatementGroup(
        program=program_of(row),
        in_run=bool(row["in_run"]),
        outcome=_OUTCOMES.get(row["outcome"], "finished"),
        code=row["code"],
        count=row["amount"],
        first=row["first_at"],
        last=row["last_at"],
        query=row["text"],
        exception=row["last_exception"],
        query_id=row["last_id"],
        query_ids=list(row["ids"]),
        current_database=row["current_database"],
        kind=row["kind"],
        # Quoted where a name needs it, unlike what the catalog says.
        tables=[name.replace("`", "") for name in row["all_tables"]],
        views=[name.replace("`", "") for name in row["all_views"]],
        missing_privileges=list(row["privileges"]),
        written_rows=row["written"],
        hosts=list(row["hosts"]),
        is_initial=bool(row["is_initial"]),
        initial_query_ids=list(row["initial_ids"]),
        log_table=row["from_table"],
        texts=frozenset(row["texts"]),
        sent=tuple((rows, size) for rows, size in row["sent"]),
        tokens=frozenset(row["tokens"]),
    )
