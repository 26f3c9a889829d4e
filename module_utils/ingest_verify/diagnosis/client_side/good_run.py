"""What is to be said of a run that ended well: parts that it left out, errors that it went on after, retries."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...facts.log.reader import ClientLog
from ...findings import Finding
from . import context as about
from . import source_rules
from .candidates import Candidate, brief, finding_of
from .context import Context, Judged
from .outcome import metric
from .rules import judge

_PART = re.compile(
    r"\bshows?\b|\bseats?\b|\bevents?\b|\borders?\b|\bpages?\b|\binventory\b|мест|сеанс|заказ|событи|страниц",
    re.IGNORECASE,
)
_LEFT_OUT = re.compile(
    r"skip|ignor|fail|giv(?:e|ing) up|gave up|could ?n[o']t|cannot|unable|\berror|continu|пропус|не удалось|ошибк",
    re.IGNORECASE,
)
_ODD = re.compile(
    r"(?:unexpected|malformed|invalid|unrecogni[sz]ed)\b.*\b(?:response|answer|format|payload|body|json|record|shape)s?\b",
    re.IGNORECASE,
)


def findings_of_a_good_run(
    log: ClientLog, context: Context, outcome: Mapping[str, Any], candidates: Sequence[Candidate], *, alone: bool
) -> list[Finding]:
    """Warnings of a run that ended well, and an error for what it left out; `alone` where only the log is known."""
    findings: list[Finding] = []
    fetched = metric(outcome, "entities", "orders", "fetched")
    own = fetched is not None
    if fetched == 0:
        findings.append(finding_of(source_rules.no_orders(context), None))
    notes = [Candidate(error, judge(error, context)) for error in log.notes if error.server_code is None]
    loud = [c for c in candidates if not c.error.weak or alone]
    left_out = [] if own else [c for c in [*candidates, *notes] if _is_left_out(c, context)]
    if left_out:
        findings.append(_partial(left_out))
    for candidate in [c for c in loud if c not in left_out][:5]:
        finding = finding_of(candidate.judged, candidate.error)
        finding.severity = "warning"
        finding.headline += " The log goes on after it." if alone else " The ingest went on and ended well."
        findings.append(finding)
    odd = [
        c for c in notes if c.error.weak and c.error.count > 2 and c not in left_out and _ODD.search(c.error.message)
    ]
    for candidate in odd[:3]:
        times = candidate.error.count
        judged = Judged(
            "source_bad_payload",
            f"The ingest logged {times} times what it did not expect, and went on: {brief(candidate.error.message)}",
            "Compare one such answer with what the loader reads from it, and count what is missing in its table.",
            about.SOURCE,
            expected="answers in the form that the loader reads",
            actual=f"{times} of another form",
        )
        finding = finding_of(judged, candidate.error)
        finding.severity = "warning"
        findings.append(finding)
    retried = [c for c in notes if c not in left_out and c.judged.cause.startswith("source_")]
    if retried:
        finding = finding_of(retried[0].judged, retried[0].error)
        finding.severity = "warning"
        finding.evidence["count"] = sum(c.error.count for c in retried)
        finding.headline = f"The API failed and answered at a later try: {brief(retried[0].error.message)}"
        finding.next_step = "Nothing, while it stays rare; else tell the API's operator the times."
        findings.append(finding)
    return findings


def _is_left_out(candidate: Candidate, context: Context) -> bool:
    error = candidate.error
    # Names of shows and customers stand in quotes, and may say anything.
    words = re.sub(r"'[^']*'|\"[^\"]*\"|«[^»]*»", "''", error.message)
    if candidate.retried or not _PART.search(words) or not _LEFT_OUT.search(words):
        return False
    return about.side_of(error, context) != about.CLICKHOUSE


def _partial(left_out: Sequence[Candidate]) -> Finding:
    first = left_out[0].error
    count = sum(c.error.count for c in left_out)
    judged = Judged(
        "source_partial",
        f"The ingest left out what the API failed to give ({count} time(s)) and still ended with success: "
        f"{brief(first.message)}",
        "Run again to complete the data; and let the loader fail, or record the run as failed, when a part is missing. "
        + left_out[0].judged.next_step,
        about.INGEST,
        expected="every show and page loaded, or a run that says it failed",
        actual=f"{count} part(s) missing, exit code 0",
    )
    finding = finding_of(judged, first)
    finding.evidence["count"] = count
    finding.evidence["rows"] = [{"line": brief(c.error.message), "count": c.error.count} for c in left_out[:5]]
    return finding
