"""What a diagnosis found: findings, counts and extracts, and the message and tables that a report makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .. import findings as verdicts
from ..facts.server import StatementGroup
from ..findings import Finding, render_failure, verdict


@dataclass
class Diagnosis:
    """What a diagnosis found; `to_dict` is the module's result."""

    findings: list[Finding] = field(default_factory=list)
    proven: bool = True
    reasons: list[str] = field(default_factory=list)
    counts: dict[str, Any] = field(default_factory=dict)
    excluded: list[dict[str, Any]] = field(default_factory=list)
    extracts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    statements_by_target: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing_evidence: dict[str, str] = field(default_factory=dict)
    policy: str = ""
    window: dict[str, str] = field(default_factory=dict)
    answered: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        return verdict(self.findings, evidence_proven=self.proven)

    def not_proven(self, reason: str) -> None:
        """The evidence does not carry a PASS, for this reason."""
        self.proven = False
        self.reasons.append(reason)

    def message(self, limit: int) -> str:
        """The text that a failing play shows."""
        if self.verdict == verdicts.INCONCLUSIVE:
            return "INCONCLUSIVE: " + "; ".join(self.reasons)
        return render_failure(self.findings, limit=limit)

    def to_dict(self, limit: int) -> dict[str, Any]:
        """JSON-ready data; the message shows at most `limit` findings in full."""
        return {
            "verdict": self.verdict,
            "findings": [finding.to_dict() for finding in self.findings],
            "evidence": {"proven": self.proven, "reason": "; ".join(self.reasons), "missing": self.missing_evidence},
            "counts": self.counts,
            "excluded": self.excluded,
            "extracts": self.extracts,
            "statements_by_target": self.statements_by_target,
            "attribution": self.policy,
            "window": self.window,
            "message": self.message(limit),
            "ledger_data": {"summary": self.summary(), "tables": self.tables(), "answered": self.answered},
        }

    def summary(self) -> str:
        """One line for the report."""
        statements, failed = self.counts.get("statements", 0), self.counts.get("failed", 0)
        excluded = sum(self.counts.get("excluded_failed", {}).values())
        noise = f", {excluded} failing one(s) of others" if excluded else ""
        return f"{statements} statement(s) seen, {failed} failed{noise}; told apart by {self.policy or 'nothing'}"

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Tables for the report, by title."""
        by_target = [{"table": name, **entry} for name, entry in self.statements_by_target.items()]
        titled = {"Statements by target table": by_target, "Failing statements that are not this run's": self.excluded}
        return {title: rows for title, rows in titled.items() if rows}


def collapse(findings: list[Finding], finding: Finding) -> None:
    """Add a finding, or count it onto one with the same cause and object: one cause gives one headline."""
    for known in findings:
        if (known.cause, known.object, known.evidence.get("code")) == (
            finding.cause,
            finding.object,
            finding.evidence.get("code"),
        ):
            sql = str(finding.evidence.get("sql", ""))
            if sql and sql != known.evidence.get("sql"):
                known.effects.append(f"refused for the same reason: {one_line(sql)[:160]}")
            known.evidence["count"] = known.evidence.get("count", 1) + finding.evidence.get("count", 1)
            for key, pick in (("first", min), ("last", max)):
                if finding.evidence.get(key) and known.evidence.get(key):
                    known.evidence[key] = pick(known.evidence[key], finding.evidence[key])
            return
    findings.append(finding)


def excluded_row(reason: str, group: StatementGroup) -> dict[str, Any]:
    """A failing statement that is not counted against the run, as a row of the report's table."""
    return {
        "reason": reason,
        "user": group.program.user,
        "program": group.program.http_user_agent or group.program.client_name,
        "code": group.code,
        "count": group.count,
        "first": group.first,
        "last": group.last,
        "example": one_line(group.query)[:200],
    }


def one_line(text: str) -> str:
    """The text without line ends and runs of blanks."""
    return " ".join(text.split())
