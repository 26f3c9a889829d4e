"""What the source told it has, against what the loader read and wrote: for any loader that the recorder watched."""

from __future__ import annotations

import re

from ..client import identifier
from ..facts.served import Reading, readings
from ..findings import Finding
from . import STAGE
from .case import Case
from .client_side.context import INGEST

# One record is asked for to learn the newest id, or whether there is anything.
_PROBE = 1
_INTEGER = re.compile(r"(?:LowCardinality\(|Nullable\()*(U?)Int(\d+)\b")


def partly_read(case: Case) -> list[Finding]:
    """A good run that left pages of its source unread. A run that failed read less because it failed."""
    recorded = case.recorded
    if recorded is None or not case.judged or case.ingest_failed or not recorded.complete:
        return []
    read = readings(recorded)
    whole = {(reading.host, reading.port, reading.path) for reading in read if reading.whole and reading.records}
    written = [entry["written_rows_with_views"] for entry in case.result.statements_by_target.values()]
    findings = []
    for reading in read:
        if (
            reading.whole
            or reading.uncounted
            or reading.records <= _PROBE
            or (reading.host, reading.port, reading.path) in whole
        ):
            continue
        # Rows that came by another way: what was left here was not needed.
        if reading.total is not None and max(written, default=0) >= reading.total:
            continue
        findings.append(_finding(reading, max(written, default=0)))
    return findings[:1]


def _finding(reading: Reading, written: int) -> Finding:
    address = f"{reading.host}:{reading.port}{reading.path}"
    if reading.total is not None:
        told, missing = f"{reading.total} records", f"{reading.total - reading.records} are missing"
    elif reading.pages is not None:
        told, missing = f"{reading.pages} pages", f"pages after {reading.answers} are missing"
    else:
        told, missing = "a further page", "the rest is missing"
    return Finding(
        STAGE,
        "error",
        "client_pages_unread",
        f"The loader read {reading.records} records of {address}, but the source told of {told}: {missing}.",
        object=address,
        expected=f"{told}, as the source's own paging tells",
        actual=f"{reading.records} records in {reading.answers} answer(s); at most {written} rows written to one table",
        next_step="Let the loader read on until the source's paging says that there is no further page. Check by which "
        "name it looks for the total or the next page: this answer may use another one.",
        fix_side=INGEST,
        evidence={"log_table": "the recorder", "rows": [{"read": reading.records, "told": reading.total}]},
    )


def too_wide(case: Case) -> list[Finding]:
    """Numbers of the source that a column of the same name cannot hold: the server keeps what is left of them, without
    an error. A good run alone is judged: a client that looks first has failed."""
    recorded = case.recorded
    if recorded is None or not case.judged or case.ingest_failed:
        return []
    findings = []
    for name, entry in case.result.statements_by_target.items():
        if not entry["insert_finished"]:
            continue
        columns = case.catalog.columns(*name.split(".", 1))
        for reading in readings(recorded):
            same = [field for field in reading.bits if field in columns]
            # One name alone may be another thing's; the number of rows says that these are the records.
            if len(same) < 2 and entry["written_rows_with_views"] != reading.records:
                continue
            for field in same:
                integer = _INTEGER.match(columns[field])
                holds = int(integer[2]) - (not integer[1]) if integer else 0
                if integer and reading.bits[field] > holds:
                    findings.append(_cut(name, field, columns[field], holds, reading))
    return findings


def _cut(table: str, column: str, kind: str, holds: int, reading: Reading) -> Finding:
    least = 2 ** (reading.bits[column] - 1)
    owner, _, name = table.partition(".")
    return Finding(
        STAGE,
        "warning",
        "data_wrapped_integer",
        f"The source served {column} of {least} or more, and {table} holds it as {kind}, up to {2**holds - 1}: a "
        "greater number is stored as what is left of it, without an error.",
        object=f"{table}.{column}",
        expected=f"a type that holds {least}",
        actual=f"{kind}, in {_answers(reading)}",
        next_step=f"Give the column a wider type (ALTER TABLE {table} MODIFY COLUMN {column} ...), then load again.\n"
        f"To confirm it: SELECT max({identifier(column)}) FROM {identifier(owner)}.{identifier(name)}; it is below "
        f"{2**holds}, whatever the source has.\n"
        "If it is not that: the loader leaves such records out, or the column is another field.",
        fix_side="schema",
        certainty="likely",
        evidence={"log_table": "the recorder"},
    )


def _answers(reading: Reading) -> str:
    """The answers in words."""
    return f"{reading.records} records of {reading.host}:{reading.port}{reading.path}"
