"""What a loader read from its source, by the recorder: records of the answers, and what their paging told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .recorded import Exchange, Recorded


@dataclass(frozen=True)
class Reading:
    """All answers to one question, whatever the page. `total` and `pages` are what the paging told, None where it told
    none; `more` says that the last answer told of a next page; `uncounted` answers were not read to their end, or could
    not be counted. `bits` are those that the greatest whole number of each field of the records needs."""

    host: str
    port: int
    path: str
    answers: int
    records: int
    total: int | None
    pages: int | None
    more: bool
    uncounted: int = 0
    bits: Mapping[str, int] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether nothing that the source told of was left."""
        if self.total is not None:
            return self.records >= self.total
        return not self.more and (self.pages is None or self.answers >= self.pages)


def readings(recorded: Recorded) -> list[Reading]:
    """Every question that a source answered with records, the one with the most of them first.

    Answers of ClickHouse and questions of whose answers none was counted are left out. A page that was asked for twice
    counts once where the answers tell their page.
    """
    clickhouse = {(e.host, e.port) for e in recorded.exchanges if e.clickhouse}
    by_question: dict[tuple[str, int, str, str], list[Exchange]] = {}
    for exchange in recorded.exchanges:
        peer = (exchange.host, exchange.port)
        if exchange.status == 200 and exchange.method != "HEAD" and peer not in clickhouse:
            by_question.setdefault((*peer, exchange.path, exchange.asked), []).append(exchange)
    found = [
        replace(_reading(question, counted), uncounted=len(answers) - len(counted))
        for question, answers in by_question.items()
        if (counted := [answer for answer in answers if "records" in answer.told])
    ]
    return sorted(found, key=lambda reading: -reading.records)


def _reading(question: tuple[str, int, str, str], answers: list[Exchange]) -> Reading:
    pages: dict[object, Exchange] = {}
    for answer in answers:
        told = answer.told
        page = told.get("page", told.get("offset", (answer.pid, answer.number)))
        known = pages.get(page)
        if known is None or known.told["records"] <= told["records"]:
            pages[page] = answer
    totals = [answer.told["total"] for answer in answers if "total" in answer.told]
    counts = [answer.told["pages"] for answer in answers if "pages" in answer.told]
    return Reading(
        host=question[0],
        port=question[1],
        path=question[2],
        answers=len(pages),
        records=sum(answer.told["records"] for answer in pages.values()),
        total=max(totals) if totals else None,
        pages=max(counts) if counts else None,
        more=bool(answers[-1].told.get("has_next")),
        bits={name: max(a.bits.get(name, 0) for a in answers) for answer in answers for name in answer.bits},
    )
