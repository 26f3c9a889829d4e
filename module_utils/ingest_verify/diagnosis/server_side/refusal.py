"""A statement that the server refused, what its exception says without the server's asides, and the cause of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...causes import Decision
from ...clickhouse.error_codes import kind_told
from ...client import clean_exception
from ...findings import Finding
from ...sql_text import Target, statement_target
from .. import STAGE

REMOTE = re.compile(r"Received from ([\w.\-\[\]:]+?)\.\s+(?:DB::\w*Exception:\s*)?")
_NESTED_CODE = re.compile(r"Code: \d+\.\s+(?:DB::\w*Exception:\s*)?|^DB::\w*Exception: ")
ASIDE = re.compile(
    r":? [Ww]hile (?:executing|processing|reading header)\b|[:.] In (?:scope|query) | in scope |\.? Expected one of: "
    r"|\.? Note: there are |: data for INSERT was parsed|\n?: (?:Could not print diagnostic|Buffer has gone)"
    r"| \(version |\n?: \nRow \d|\n\nRow \d"
    r"|\.? Maybe you meant"
)
_HINT = re.compile(r"[Mm]aybe you meant:? \[?['`]?([\w.]+)")
_UUID = re.compile(r"\s*\([0-9a-f]{8}-[0-9a-f-]{27}\)")
QUOTED = re.compile(r"[`'\"]([^`'\"]{1,200})[`'\"]")


@dataclass
class Refusal:
    """One failed statement as classification takes it: what was sent, what came back, by whom."""

    sql: str
    exception: str
    code: int
    code_name: str
    user: str
    current_database: str = ""
    missing_privileges: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    view: str | None = None
    # Names of the temporary tables that the same run made.
    temporary: frozenset[str] = frozenset()

    @property
    def kind(self) -> str:
        """The kind of its error code, empty where it has none."""
        return kind_told(self.code, self.exception)

    @property
    def hint(self) -> str:
        """The server's own guess at what was meant, as a sentence; empty where it makes none."""
        found = _HINT.search(self.exception)
        return f" Is {found[1]} meant?" if found else ""

    @property
    def target(self) -> Target:
        target = statement_target(self.sql, self.current_database)
        if target.table is not None or target.verb != "INSERT" or target.kind != "TABLE":
            return target
        # log_queries_cut_to_length may leave no more than the verb of the text.
        named = re.findall(r"\btable\s+[`'\"]?([\w$]+\.[\w$]+)", self.text)
        owner, _, table = next(iter([name for name in self.tables if not name.startswith("_")] + named), "").partition(
            "."
        )
        return Target(target.verb, target.kind, owner, table) if table else target

    @property
    def text(self) -> str:
        """The innermost message: without codes, prefixes of other servers, and ids of tables."""
        text = REMOTE.sub("", clean_exception(self.exception))
        text = _NESTED_CODE.sub("", text)
        text = re.sub(r"\s*\([A-Z][A-Z0-9_]{3,}\)(?=[.,\s]|$)", "", text)
        # Names that the analyzer gives to the tables of a join.
        text = re.sub(r"\b__table\d+\.", "", text)
        return _UUID.sub("", text).strip()

    @property
    def brief(self) -> str:
        """The message's own sentence, without the server's asides: what it was executing, what the parser expected."""
        return " ".join(ASIDE.split(self.text, maxsplit=1)[0].split()).strip(" .:")[:300]


def to_finding(cause: Decision, refusal: Refusal, severity: str = "error") -> Finding:
    """The finding of a classified refusal, without count and times."""
    return Finding(
        stage=STAGE,
        severity=severity,
        cause=cause.cause,
        headline=cause.headline,
        object=cause.object,
        expected=cause.expected,
        actual=cause.actual,
        next_step=cause.steps,
        fix_side=cause.fix_side,
        certainty=cause.certainty,
        evidence={
            key: value
            for key, value in {
                "sql": refusal.sql.strip(),
                "exception": clean_exception(refusal.exception),
                "code": refusal.code,
                "code_name": refusal.code_name,
            }.items()
            if value not in (None, "")
        },
    )


def what_of(target: Target) -> str:
    """Verb and target of a statement, for a headline."""
    return f"{target.verb} {target.name}" if target.name else target.verb or "the statement"


def table_of(target: Target) -> str:
    """A statement's table, for the begin of a headline."""
    return f"Table {target.name}" if target.name else "A table of the server"
