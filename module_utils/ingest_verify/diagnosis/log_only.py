"""A diagnosis where the server cannot be asked: by the client's log alone."""

from __future__ import annotations

import re
from typing import Any

from ..client import ServerError
from ..facts.catalog import Catalog
from ..facts.log import ClientError
from ..facts.server import Evidence
from ..findings import Finding
from . import STAGE
from .client_side import client_findings
from .request import Request
from .result import Diagnosis
from .server_side.classify import classify
from .server_side.refusal import to_finding
from .server_side.unlogged import told_refusal
from .setup import look_at_server


def diagnose_log(request: Request, reason: str) -> Diagnosis:
    """Judge by the client's log alone, since the server cannot be asked for this `reason` (one sentence)."""
    result = Diagnosis()
    log = request.read_log()
    if log is not None:
        result.findings = client_findings(log, request.ingest or {})
        served = [error for error in log.errors if error.server_code is not None]
        result.findings += [_log_only_finding(error, request) for error in served]
    if request.ingest is not None:
        # What an ingest says of a server that went away is the effect of that.
        told = [f for f in result.findings if f.severity == "error" and f.cause.startswith(("client_", "server_"))]
        gone = Finding(
            STAGE,
            "error",
            "server_unreachable",
            f"ClickHouse does not answer after the ingest: {reason}",
            expected="a server that answers",
            actual=reason,
            next_step=look_at_server(request.server_setup),
            fix_side="server",
            effects=[f"the client's log: {finding.headline}" for finding in told],
        )
        result.findings = [gone, *(finding for finding in result.findings if finding not in told)]
    result.not_proven(f"the server's log tables could not be read: {reason}")
    return result


def _log_only_finding(error: ClientError, request: Request) -> Finding:
    def unanswered(sql: str) -> list[dict[str, Any]]:
        raise ServerError(0, "the server is not asked", sql)

    name = re.search(r"\(([A-Z][A-Z0-9_]{3,})\)", error.text)
    refusal = told_refusal(error, request, name[1] if name else "")
    # What exists is not known; the code and the text still say what was refused.
    finding = to_finding(classify(refusal, Catalog(Evidence(unanswered))), refusal)
    finding.headline = f"By the client's log (code {error.server_code}): {finding.headline}"
    finding.next_step = f"{finding.next_step or ''}\nJudge again with the server reachable: it knows the statement."
    known = {"count": error.count, "first": error.first, "last": error.last, "log_table": "the client's log"}
    finding.evidence.update({key: value for key, value in known.items() if value is not None})
    return finding
