"""What the server refused of the run, statement by statement, and the asynchronous inserts that failed later."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...clickhouse.error_codes import code_in, kind_told
from ...facts.server import StatementGroup
from ...findings import Finding
from ...sql_text import statement_target
from ..attribution import touches
from ..case import Case
from ..result import collapse, excluded_row, one_line
from .classify import async_insert_failed, classify
from .network import broken_by_own_client
from .recovered import recovered
from .refusal import Refusal, to_finding
from .schema_statements import view_in

_MAKES = re.compile(r"(?P<right>CREATE \w+ ON [^.\s]+)\.[^.\s*]+")


@dataclass
class Refused:
    """What was refused: `errors`, `warnings` (a later try succeeded, or no harm was done), and statements that were
    `aborted` since their client went away."""

    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    aborted: list[StatementGroup] = field(default_factory=list)


# With code ABORTED, from 26 on: as much an effect of the client's end as a stream that breaks off.
_CLIENT_LEFT = "Client has dropped the connection"


def refused_statements(case: Case) -> Refused:
    """The run's failed statements by cause; what another host refused as a part of one counts with it."""
    failed = [group for group in case.run if group.code]
    initial_failed = {query_id for group in failed if group.is_initial for query_id in group.query_ids}
    failed = [g for g in failed if g.is_initial or not initial_failed.intersection(g.initial_query_ids)]
    failed = [g for g in failed if g.kind != "AsyncInsertFlush"]
    names = case.evidence.code_names([group.code for group in failed])
    ids = [query_id for group in failed for query_id in group.query_ids]
    views = {
        query_id: row for row in case.evidence.view_failures(case.window, ids[:1000]) for query_id in row["query_ids"]
    }
    server_codes = {error.server_code for error in case.client_errors if error.server_code}
    refused = Refused()
    for group in sorted(failed, key=lambda group: group.first):
        # A client that reads the server's answer did not break off: then the code is about its data.
        if (
            (kind := kind_told(group.code, group.exception)) == "killed"
            or (kind == "client_gone" and group.code not in server_codes)
            or _CLIENT_LEFT in group.exception
            or broken_by_own_client(group.exception)
        ):
            refused.aborted.append(group)
            continue
        refusal = _refusal(case, group, names, views)
        cause = classify(refusal, case.catalog)
        recovery = None if refusal.view else recovered(case, group)
        if recovery and recovery.asked:
            case.result.excluded.append(excluded_row(recovery.words, group))
            continue
        finding = to_finding(cause, refusal, "warning" if recovery else "error")
        finding.evidence.update(
            count=group.count,
            first=group.first,
            last=group.last,
            log_table=group.log_table,
            query_id=group.query_id,
            program=group.program.label,
        )
        if any(group.hosts) and case.request.cluster:
            finding.evidence["hosts"] = group.hosts
        if recovery and recovery.proven:
            finding.headline = f"Failed {group.count} time(s) and {recovery.words}: {finding.headline}"
            finding.next_step = f"Nothing has to be done for this run. To avoid the failure: {finding.next_step}"
        elif recovery:
            _not_known(case, finding, recovery.words)
        collapse(refused.warnings if recovery else refused.errors, finding)
    _put_grants_together(refused.errors)
    return refused


def _put_grants_together(errors: list[Finding]) -> None:
    """A program that makes several tables needs the right for their database: one finding instead of one a table."""
    alike: dict[tuple[str, str], list[Finding]] = {}
    for finding in errors:
        if finding.cause == "server_missing_grant" and (made := _MAKES.fullmatch(finding.object or "")):
            alike.setdefault((made["right"], finding.evidence["program"]), []).append(finding)
    for (right, _), (first, *others) in alike.items():
        if not others:
            continue
        single = str(first.object)
        for name in ("object", "headline", "expected", "next_step"):
            setattr(first, name, str(getattr(first, name)).replace(single, f"{right}.*"))
        first.effects += [f"{other.object}: {one_line(str(other.evidence.get('sql', '')))[:160]}" for other in others]
        for other in others:
            errors.remove(other)


def _not_known(case: Case, finding: Finding, words: str) -> None:
    """A refused INSERT of which nobody can say whether its rows came later: no PASS can stand on it."""
    finding.effects.append(f"cause of the refusal: {finding.cause}")
    finding.cause = "server_retry_unknown"
    finding.headline = f"{finding.headline} Later: {words}."
    finding.next_step = (
        f"Count the rows of {finding.object or 'the table'} against the source. To let a retry be told from another "
        "batch, send insert_deduplication_token, or retry under the same query id. To avoid the failure: "
        f"{finding.next_step}"
    )
    case.result.not_proven(words)


def _refusal(
    case: Case, group: StatementGroup, names: Mapping[int, str], views: Mapping[str, Mapping[str, Any]]
) -> Refusal:
    # query_views_log lays any failure of an INSERT to every view that it fed; the text alone says which one it was.
    texts = [group.exception, *(views[query_id]["last_exception"] for query_id in group.query_ids if query_id in views)]
    return Refusal(
        sql=group.query,
        exception=group.exception,
        code=group.code,
        code_name=names.get(group.code, ""),
        user=group.program.user,
        current_database=group.current_database,
        missing_privileges=group.missing_privileges,
        tables=group.tables,
        view=next(filter(None, map(view_in, texts)), None),
        temporary=case.temporary,
    )


def failed_async_inserts(case: Case) -> list[Finding]:
    """Asynchronous inserts of the run that were accepted and failed at their flush; others' are listed as excluded."""
    rows = case.evidence.async_failures(case.window)
    if not rows:
        return []
    ids = sorted({query_id for row in rows for query_id in row["query_ids"] if query_id})
    owners = {row["query_id"]: row for row in case.evidence.owners(case.window, ids[:1000], case.request.marks)}
    found: list[Finding] = []
    for row in rows:
        senders = [owners[query_id] for query_id in row["query_ids"] if query_id in owners]
        mine = [query_id for query_id in row["query_ids"] if query_id in case.run_ids]
        by_table = not senders and touches(statement_target(row["text"], row["database"]), case.request.targets)
        if not (mine or by_table or (not case.request.filters and not case.request.marks)):
            case.result.excluded.append(
                {
                    "reason": "asynchronous insert of another program",
                    "user": senders[0]["user_name"] if senders else "",
                    "program": (senders[0]["user_agent"] or senders[0]["client"]) if senders else "",
                    "code": code_in(row["exception"]),
                    "count": row["amount"],
                    "first": row["first_at"],
                    "last": row["last_at"],
                    "example": f"{row['database']}.{row['table']}: {row['exception'][:200]}",
                }
            )
            continue
        code = code_in(row["exception"])
        refusal = Refusal(
            sql=row["text"] or f"INSERT INTO {row['database']}.{row['table']}",
            exception=row["exception"],
            code=code,
            code_name=case.code_name(code) if code else "",
            user=senders[0]["user_name"] if senders else case.request.first_user,
            current_database=row["database"],
        )
        cause = async_insert_failed(row["database"], row["table"], row["all_rows"], refusal, case.catalog)
        finding = to_finding(cause, refusal)
        finding.evidence.update(
            count=row["amount"], first=row["first_at"], last=row["last_at"], log_table=row["from_table"]
        )
        collapse(found, finding)
    return found
