"""Findings and verdicts: what a run observed, in one shape for modules, ledger and report."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .causes import LIKELY, PROVEN, SIDES, by_id
from .report.text import visible

STAGES = ("clickhouse_reset", "schema_apply", "query_logging", "qtickets_ingest", "verify_data")
# What people read: the role's name stays for the pipeline that it was made for.
SHOWN = {"qtickets_ingest": "ingest"}
SEVERITIES = ("error", "warning", "info")

PASS = "PASS"  # noqa: S105 - a verdict
FAIL = "FAIL"
INCONCLUSIVE = "INCONCLUSIVE"
# The cause of a finding that says that a part could not be read.
HOST_MISSING = "evidence_host_missing"
# The play was ended from outside; and a play that verified no stage.
INTERRUPTED = "INTERRUPTED"
NOTHING_RUN = "NOTHING RUN"

# An exception repeats the whole statement or value list at times; past this the reader opens the artifact.
MAX_SHOWN_TEXT = 1500
# Of a long statement: its head, which names verb and target, what is around the place that matters, its end.
_SHOWN_HEAD, _SHOWN_AROUND, _SHOWN_END = 300, 250, 150
# The statement that an exception quotes stands above it already.
_QUOTED_STATEMENT = re.compile(r"((?:[Ii]n scope|[Ii]n query|while processing query:?)\s.{100}).{200,}", re.DOTALL)

# Where the advice of a text begins: a sentence that tells what to do.
_ADVICE = re.compile(
    r"(?<=[.?] )(?:Bring|Change|Choose|Correct|Export|Free|Give|Install|Let|Look|Lower|Make|Mount|Move|Name|Put|Remove"
    r"|Run|See|Set|Start|Stop|Take|Use|Wait)\b(?=[ :])"
)


def _own_advice(cause: str, text: str) -> tuple[str, str]:
    """The text without the advice that it ends with, and that advice: a check of the play says both in one.

    Only of causes whose words are this project's own; others quote a server or a program, which may give orders too.
    """
    advice = _ADVICE.search(text) if cause.startswith(("host_", "config_")) and cause != "host_task_failed" else None
    return (text[: advice.start()].rstrip(), text[advice.start() :]) if advice else (text, "")


@dataclass
class Finding:
    """One thing observed.

    `cause` is an id of the catalogue (`causes`), such as `server_missing_column`; `fix_side` is one of its six words,
    the catalogue's own for the cause where the rule names none and there is a next step. `certainty` is `proven` or
    `likely`: what is likely is told so in the headline. `evidence` holds what
    is known of `sql`, `exception`, `code`, `code_name`, `count`, `first`, `last` (server clock, ISO 8601),
    `log_table`, `query_id`, `location` (file:line), `rows` (offending rows, list of dicts).
    """

    stage: str
    severity: str
    cause: str
    headline: str
    object: str | None = None
    expected: str | None = None
    actual: str | None = None
    next_step: str | None = None
    fix_side: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    effects: list[str] = field(default_factory=list)
    certainty: str | None = None

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity is one of {', '.join(SEVERITIES)}, not {self.severity!r}")
        known = by_id(self.cause)
        if self.next_step is None and self.severity == "error":
            self.headline, own = _own_advice(self.cause, self.headline)
            self.next_step = own or known.step or None
        if self.fix_side is None and self.next_step:
            self.fix_side = known.side
        if self.fix_side is not None and self.fix_side not in SIDES:
            raise ValueError(f"fix_side is one of {', '.join(SIDES)}, not {self.fix_side!r}")
        self.certainty = self.certainty or PROVEN
        if self.certainty == LIKELY and not self.headline.startswith("Likely: "):
            self.headline = f"Likely: {self.headline}"

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON-ready data, without the parts that are not known."""
        known = {key: value for key, value in asdict(self).items() if value not in (None, {}, [])}
        return known if self.certainty == LIKELY else {k: v for k, v in known.items() if k != "certainty"}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Finding:
        """Read back what `to_dict` wrote; raises TypeError on an unknown key."""
        return cls(**data)


def verdict(findings: Iterable[Finding], *, evidence_proven: bool) -> str:
    """`FAIL` when any finding is an error; else `PASS` only if the evidence channel was proven and every host that
    holds a part of the answer gave it."""
    found = list(findings)
    if any(finding.severity == "error" for finding in found):
        return FAIL
    whole = evidence_proven and not any(finding.cause == HOST_MISSING for finding in found)
    return PASS if whole else INCONCLUSIVE


def _block(label: str, text: Any) -> str:
    lines = str(text).strip().splitlines() or [""]
    if len(lines) == 1:
        return f"  {label}: {lines[0]}"
    return f"  {label}:\n" + textwrap.indent("\n".join(lines), "    ")


def shorten(text: str, limit: int = MAX_SHOWN_TEXT) -> str:
    """The text, cut in its middle to `limit` characters with the number of those left out."""
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    tail = limit - head
    return f"{text[:head]} … [{len(text) - limit} characters left out] … {text[-tail:]}"


def shorten_around(text: str, name: str | None) -> str:
    """A long statement around the last place where `name` (an object, its last part is what counts) stands as a word;
    its head and its end without one."""
    word = (name or "").rpartition(".")[2].strip("`\"' ")
    places = [match.start() for match in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", text)] if word else []
    middle = [place for place in places if _SHOWN_HEAD < place < len(text) - _SHOWN_END]
    if len(text) <= MAX_SHOWN_TEXT or not middle or any(place <= _SHOWN_HEAD for place in places):
        return shorten(text)
    begin = max(_SHOWN_HEAD, middle[-1] - _SHOWN_AROUND)
    end = min(len(text) - _SHOWN_END, middle[-1] + _SHOWN_AROUND)
    return (
        f"{text[:_SHOWN_HEAD]} … [{begin - _SHOWN_HEAD} characters left out] … {text[begin:end]}"
        f" … [{len(text) - _SHOWN_END - end} characters left out] … {text[-_SHOWN_END:]}"
    )


def render(finding: Finding) -> str:
    """The finding as the lines that a person on call reads in the terminal."""
    evidence = finding.evidence
    lines = [f"{finding.severity.upper()} [{finding.cause}] {finding.headline}"]
    if evidence.get("sql"):
        lines.append(_block("offending SQL", shorten_around(str(evidence["sql"]), finding.object)))
    if evidence.get("exception"):
        code = evidence.get("code")
        label = f"exception (code {code} {evidence.get('code_name') or ''}".rstrip() + ")" if code else "exception"
        lines.append(_block(label, shorten(_QUOTED_STATEMENT.sub(r"\1 …", str(evidence["exception"])))))
    if evidence.get("location"):
        lines.append(_block("where", evidence["location"]))
    if evidence.get("check"):
        lines.append(_block("data check", evidence["check"]))
    if evidence.get("count"):
        first, last = evidence.get("first"), evidence.get("last")
        when = "" if not first else f", at {first}" if first == last else f", from {first} to {last}"
        # The log tables' times are read as UTC, a log's are its own.
        when += " UTC" if when and str(evidence.get("log_table", "")).startswith("system.") else ""
        lines.append(_block("seen", f"{evidence['count']} time(s){when}"))
    if finding.expected is not None:
        lines.append(_block("expected", finding.expected))
    if finding.actual is not None:
        lines.append(_block("actual", finding.actual))
    for row in evidence.get("rows", [])[:5]:
        lines.append(_block("row", ", ".join(f"{key}={value}" for key, value in row.items())))
    for effect in finding.effects:
        lines.append(_block("as a result", effect))
    if finding.next_step:
        side = f" ({finding.fix_side})" if finding.fix_side else ""
        lines.append(_block(f"fix{side}", finding.next_step))
    if evidence.get("log_table"):
        lines.append(_block("evidence", evidence["log_table"]))
    # Names and texts come from servers and logs.
    return visible("\n".join(lines))


def render_failure(findings: Iterable[Finding], *, limit: int = 5) -> str:
    """The text a failing play shows: the errors, at most `limit` of them in full, the rest counted."""
    errors = [finding for finding in findings if finding.severity == "error"]
    shown = [render(finding) for finding in errors[:limit]]
    if len(errors) > limit:
        shown.append(f"... and {len(errors) - limit} more error finding(s), all in report.html")
    return "\n\n".join(shown)
