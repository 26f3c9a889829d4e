"""What the parts of a diagnosis share: the question, the evidence, the run's statements and the client's log."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..facts.catalog import Catalog
from ..facts.log import ClientError, ClientLog
from ..facts.recorded import Recorded
from ..facts.server import Evidence, StatementGroup, Window
from .attribution import Attribution, target_of
from .request import Request
from .result import Diagnosis

_MAKES_TEMPORARY = re.compile(r"(?i)\s*CREATE\s+(?:OR\s+REPLACE\s+)?TEMPORARY\s")


@dataclass
class Case:
    """One window to be judged. All but `result` is only read; what the parts find goes there, in the order of
    `diagnose`."""

    request: Request
    evidence: Evidence
    window: Window
    attribution: Attribution
    log: ClientLog | None
    result: Diagnosis

    @cached_property
    def catalog(self) -> Catalog:
        """The live catalog."""
        return Catalog(self.evidence)

    @property
    def run(self) -> list[StatementGroup]:
        """The run's own statements."""
        return self.attribution.run

    @cached_property
    def run_ids(self) -> set[str]:
        """The query ids of the run's statements."""
        return {query_id for group in self.run for query_id in group.query_ids}

    @cached_property
    def temporary(self) -> frozenset[str]:
        """Names of the temporary tables that the run made."""
        made = [target_of(group) for group in self.run if _MAKES_TEMPORARY.match(group.query) and not group.code]
        return frozenset(target.table for target in made if target.table)

    @cached_property
    def unfinished(self) -> list[dict[str, Any]]:
        """The run's statements that started and never ended, rows of `Evidence.unfinished`."""
        rows = self.evidence.unfinished(self.window, self.request.filters, self.request.marks)
        if any(row["in_run"] for row in rows):
            return [row for row in rows if row["in_run"]]
        return [] if self.request.marks and self.run_ids else rows

    @cached_property
    def recorded(self) -> Recorded | None:
        """What the recorder saw inside the ingest, None where it was not asked to."""
        return self.request.read_recorded()

    @property
    def client_errors(self) -> Sequence[ClientError]:
        """The errors of the client's log, none without one."""
        return self.log.errors if self.log else []

    @property
    def judged(self) -> bool:
        """Whether an ingest of this run is judged, and not just any window."""
        return self.request.ingest is not None

    @property
    def ingest(self) -> Mapping[str, Any]:
        """What is known of the ingest's process, and the database that it writes."""
        return {"database": self.request.database, **(self.request.ingest or {})}

    @property
    def ingest_failed(self) -> bool:
        """Whether the ingest's process ended with another exit code than 0."""
        return self.ingest.get("exit_code") not in (0, None)

    def code_name(self, code: int) -> str:
        """The server's own name of an error code."""
        return self.evidence.code_names([code]).get(code, "")
