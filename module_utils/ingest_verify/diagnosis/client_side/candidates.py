"""One error of the log with its cause, and how both become a finding."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ...facts.log.errors import ClientError
from ...facts.log.reader import ClientLog
from ...findings import Finding, shorten
from ...masking import mask
from .. import STAGE
from . import context as about
from .context import Judged

_RETRY = re.compile(
    r"\bretry|\bretries\b|\bretrying|attempt \d+ ?(?:/|of) ?\d+|try(?:ing)? again|back(?:ing)? ?off|\bповтор",
    re.IGNORECASE,
)
_GAVE_UP = re.compile(r"giv(?:e|es|ing) up|exhausted|after \d+ (?:attempts|tries|retries)|max(?:imum)? retries", re.I)


@dataclass
class Candidate:
    """One error that may be the run's cause, with what a rule made of it."""

    error: ClientError
    judged: Judged

    @property
    def retried(self) -> bool:
        return bool(_RETRY.search(self.error.message)) and not _GAVE_UP.search(self.error.message)


def finding_of(judged: Judged, error: ClientError | None) -> Finding:
    """What was judged, as a finding of the ingest's stage."""
    return Finding(
        stage=STAGE,
        severity="error",
        cause=judged.cause,
        headline=mask(judged.headline),
        object=judged.object,
        expected=judged.expected,
        actual=judged.actual,
        next_step=judged.steps,
        fix_side=judged.fix_side,
        certainty=judged.certainty,
        evidence=_evidence(error) if error else {},
    )


def _evidence(error: ClientError) -> dict[str, Any]:
    known: dict[str, Any] = {
        "exception": exception_of(error),
        "count": error.count,
        "first": error.first,
        "last": error.last,
        "location": about.place(error).removeprefix(" at ") or None,
        "log_table": "the ingest's log",
    }
    return {key: value for key, value in known.items() if value is not None}


def exception_of(error: ClientError) -> str:
    """The error without its stack: the logged line, the chain of exceptions, the user's line of code."""
    if not error.traceback:
        return shorten(error.text, 600)
    first = error.text.splitlines()[0]
    lines = [] if "Traceback" in first or first.startswith("{") else [first]
    lines += [f"{kind}: {text}".rstrip(": ") for kind, text in error.chain if kind]
    if error.frame and error.frame.code:
        lines.append(f"{error.frame.file}:{error.frame.line}: {error.frame.code}")
    return shorten("\n".join(lines), 1000)


def last_lines(log: ClientLog) -> dict[str, Any]:
    """The end of the log as evidence, where no error of it is."""
    lines = log.tail[-5:]
    return {"exception": "\n".join(brief(line) for line in lines), "log_table": "the ingest's log"} if lines else {}


def around(log: ClientLog, error: ClientError) -> list[str]:
    """What the log says right before an error that nothing explains, and what it ends with, as effects of it."""
    told = {line.strip() for line in error.text.splitlines()}
    lines = [(number, text.strip()) for number, text in log.ending if text.strip() not in told]
    before = [brief(text) for number, text in lines if number < error.line][-2:]
    after = [brief(text) for number, text in lines if number > error.line][-3:]
    return [
        f"{words}: {' / '.join(texts)}"
        for words, texts in (("the log before it", before), ("the log ends with", after))
        if texts
    ]


def same_error(error: ClientError, other: ClientError) -> bool:
    """Whether one of two errors repeats the other's message."""
    return (
        bool(other.message) and (other.message in error.text or error.message in other.message) and bool(error.message)
    )


def one_line(error: ClientError) -> str:
    """An error as an effect of another: type, message, how often."""
    kind = f"{error.type}: " if error.type and not error.message.startswith(error.type) else ""
    times = f" ({error.count} times)" if error.count > 1 else ""
    return f"{kind}{brief(error.message)}{times}"


def brief(text: str) -> str:
    """The first line of a text, 200 characters at most."""
    lines = text.strip().splitlines()
    return shorten(lines[0], 200) if lines else ""
