"""What the source told it has, against what the loader read and wrote: for any loader that the recorder watched."""

from __future__ import annotations

from ..facts.served import Reading, readings
from ..findings import Finding
from . import STAGE
from .case import Case
from .client_side.context import INGEST

# One record is asked for to learn the newest id, or whether there is anything.
_PROBE = 1


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
