"""What the catalogue is made of: a cause, and the sentences in which a rule decides for one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter

LOADER, SOURCE, SCHEMA = "loader", "source", "schema"
SERVER, CONFIGURATION, HOST = "server", "configuration", "host"
SIDES = (LOADER, SOURCE, SCHEMA, SERVER, CONFIGURATION, HOST)
"""On whose side something has to be done."""

PROVEN, LIKELY = "proven", "likely"
"""A fact says it; or facts make it likely, and it is told with what would confirm it."""

LOG = "log"
"""The kind of a text that a client's log has, where the server's have the kind of their code."""

WORDS = frozenset({"name", "what", "target", "user", "brief", "maybe", "place"})
"""What a sentence may ask for: the object, verb and target of the statement, its target, the user, the text's own
sentence, the server's own guess at a name, and the place in the loader's code. A pattern's named groups may be too."""


@dataclass(frozen=True)
class Form:
    """One way in which the server, or a client's log, says a cause: the kinds of a text, and what it holds.

    `kinds` are classes of `clickhouse.error_codes`, "" for codes without one, and LOG for an error of a client's log.
    The pattern's group `name`, or its first, is the object; without one the statement's target is. `example` is a real
    text that the form answers. What is only likely has `confirm` and `otherwise`; `decisive` is as in Decision.
    """

    kinds: tuple[str, ...]
    pattern: str
    says: str
    fix: str
    side: str
    expected: str | None = None
    object: str = "{name}"
    example: str = ""
    actual: str = "{brief}"
    confirm: str | None = None
    otherwise: str | None = None
    decisive: bool = False

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise ValueError(f"side is one of {', '.join(SIDES)}, not {self.side!r}")
        for template in (self.says, self.fix, self.expected or "", self.object, self.actual):
            if unknown := fields_of(template) - WORDS - set(re.compile(self.pattern).groupindex):
                raise ValueError(f"no such field: {', '.join(sorted(unknown))} in {template!r}")

    def decide(self, cause: str, found: re.Match[str], words: Mapping[str, str]) -> Decision:
        """What it says of a text in which its pattern was found; `words` are those of WORDS that are known."""
        named = {name: text or "" for name, text in found.groupdict().items()}
        first = next(filter(None, found.groups()), None) or words.get("name", "")
        said = {**dict.fromkeys(WORDS, ""), **words, "name": first, **named}
        return Decision(
            cause,
            self.says.format(**said),
            self.fix.format(**said),
            self.side,
            object=self.object.format(**said) or None,
            expected=self.expected.format(**said) if self.expected else None,
            actual=self.actual.format(**said),
            certainty=LIKELY if self.confirm else None,
            confirm=self.confirm,
            otherwise=self.otherwise,
            decisive=self.decisive,
        )


@dataclass(frozen=True)
class Cause:
    """One thing that is known to go wrong.

    `holds` says in terms of facts when it may be named, `never` when not. `row` is its row of the failure catalogue.
    `likely` says when it is no more than that; a cause without it is named where a fact says it, and nowhere else.
    `narrower_than` names causes that hold for the same facts and say less. `side` is None where nobody has to act.
    `step` is the next step in general, that of an error whose rule names none; `command` is one to paste for it.
    """

    id: str
    title: str
    side: str | None
    holds: str
    never: str = ""
    confirm: str = ""
    step: str = field(kw_only=True)
    command: str = field(default="", kw_only=True)
    row: int | None = None
    likely: str = ""
    narrower_than: tuple[str, ...] = ()
    forms: tuple[Form, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.side is not None and self.side not in SIDES:
            raise ValueError(f"{self.id}: side is one of {', '.join(SIDES)}, not {self.side!r}")


@dataclass
class Decision:
    """What a rule decides about one failure: the cause, and the parts of a finding that say it.

    It is proven where `certainty` is None. What is likely says what would `confirm` it, and what it is `otherwise`;
    both are passed over where it is proven. `generic` decisions give way to specific ones; the others of a run follow
    from a `decisive` one.
    """

    cause: str
    headline: str
    next_step: str = ""
    fix_side: str | None = None
    object: str | None = None
    expected: str | None = None
    actual: str | None = None
    certainty: str | None = None
    confirm: str | None = None
    otherwise: str | None = None
    generic: bool = False
    decisive: bool = False

    @property
    def steps(self) -> str | None:
        """The next step, and what would confirm what is only likely; None without either."""
        lines = [self.next_step]
        if self.certainty == LIKELY:
            lines += [f"To confirm it: {self.confirm}"] if self.confirm else []
            lines += [f"If it is not that: {self.otherwise}"] if self.otherwise else []
        return "\n".join(filter(None, lines)) or None


def fields_of(template: str) -> set[str]:
    """The names of a template's fields."""
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}
