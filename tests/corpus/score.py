"""Judge the product's answers to cases, and print how many are right: `make score`, `make score CORPUS=<folder>`."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml
from ansible.module_utils.ingest_verify.diagnosis.result import Diagnosis
from ansible.module_utils.ingest_verify.findings import Finding, render

from .case import CASES, Case, read_cases
from .replay import Replay, start_replay

RIGHT, LIKELY, TOLD, WRONG, SILENT, FALSE_ALARM = RESULTS = (
    "right", "likely", "told as facts", "wrong", "silent", "false alarm",
)  # fmt: skip
BAD = (WRONG, SILENT, FALSE_ALARM)
# Causes that claim nothing beyond what was seen.
FACTS = {
    "client_failed", "client_exit", "client_exception", "client_log_error", "server_refused_statement",
    "client_logged_exception", "client_unknown", "told_as_facts",
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """The product's answer to one case, and what it is worth."""

    case: Case
    result: str
    why: str
    cause: str
    headline: str


def judge(case: Case, diagnosis: Diagnosis) -> Answer:
    """What an answer is worth, by what the case expects."""
    expect = case.expect
    errors = [finding for finding in diagnosis.findings if finding.severity == "error"]
    loud = [finding for finding in diagnosis.findings if finding.severity != "info"]
    first = errors[0] if errors else None
    shown = first or (loud[0] if loud else None)

    def answer(result: str, why: str = "") -> Answer:
        headline = shown.headline if shown else diagnosis.verdict
        return Answer(case, result, why, shown.cause if shown else "", headline)

    everything = "\n".join(map(render, loud))
    false = [word for word in expect.never if _stands(word, everything)]
    if case.healthy:
        if errors:
            return answer(FALSE_ALARM, f"{diagnosis.verdict}: {len(errors)} error(s)")
        if false:
            return answer(FALSE_ALARM, f"says {false[0]!r}")
        missing = [word for word in expect.says if not _stands(word, everything)]
        return answer(TOLD, f"lacks {missing[0]!r}") if missing else answer(RIGHT)
    if first is None:
        missing = [word for word in expect.says if not _stands(word, everything)]
        if diagnosis.verdict == expect.verdict and loud and not missing:
            return answer(RIGHT)
        return answer(SILENT, diagnosis.verdict)
    if false:
        return answer(WRONG, f"says {false[0]!r}")
    text = render(first)
    right_cause = not expect.cause or first.cause in expect.cause
    missing = [word for word in [*expect.says, *([expect.object] if expect.object else [])] if not _stands(word, text)]
    if expect.side and first.fix_side and not any(_stands(side, first.fix_side) for side in expect.side):
        missing.append(f"side {expect.side[0]}")
    if right_cause and not missing and (expect.cause or first.cause not in FACTS):
        return answer(LIKELY if _is_likely(first) else RIGHT)
    words = [*expect.told, *expect.says]
    lacks = f"lacks {(missing or ['the cause'])[0]!r}"
    # Facts that were shown, or the right cause told in part.
    shown_facts = not words or any(_stands(word, everything) for word in words)
    if shown_facts and (right_cause or first.cause in FACTS):
        return answer(TOLD, lacks)
    return answer(WRONG, f"{first.cause} instead of {' or '.join(expect.cause)}" if expect.cause else lacks)


def _is_likely(finding: Finding) -> bool:
    return getattr(finding, "certainty", "") == "likely" or bool(re.match(r"likely\b", finding.headline, re.IGNORECASE))


def _stands(word: str, text: str) -> bool:
    """Whether a word (`/pattern/` is a regular expression) stands in the text, whatever its case and line breaks."""
    flat = re.sub(r"\s+", " ", text)
    if len(word) > 2 and word[0] == word[-1] == "/":
        return re.search(word[1:-1], flat, re.IGNORECASE) is not None
    return word.casefold() in flat.casefold()


def play(replay: Replay, case: Case) -> Answer:
    """Play and judge one case; a crash of the product is a wrong answer."""
    try:
        return judge(case, replay.play(case))
    except Exception as error:  # noqa: BLE001 - whatever it is, the product did not answer
        result = FALSE_ALARM if case.healthy else WRONG
        return Answer(case, result, f"crash: {type(error).__name__}: {error}", "crash", str(error)[:200])


def report(answers: Iterable[Answer], *, every: bool = False) -> str:
    """Counts, the answers that are not right, and which cause claimed which cases."""
    answers = list(answers)
    counts = Counter(answer.result for answer in answers)
    lines = []
    for answer in answers:
        mark = answer.case.data.get("today")
        stale = mark and answer.result not in BAD
        if every or answer.result != RIGHT or stale:
            note = " (its mark `today` can go)" if stale else " (known)" if mark else ""
            lines.append(f"{answer.result.upper()}  {answer.case.name}{note}: {answer.why}")
            lines.append(f"    [{answer.cause}] {' '.join(answer.headline.split())[:200]}")
    claimed: dict[str, list[str]] = defaultdict(list)
    for answer in answers:
        claimed[answer.cause or "nothing"].append(answer.case.name)
    lines += ["", "Which cause claimed which cases:"]
    lines += [f"  {cause} ({len(names)}): {', '.join(names)}" for cause, names in sorted(claimed.items())]
    total = len(answers) or 1
    healthy = sum(answer.case.healthy for answer in answers)
    public = sum(bool(answer.case.data.get("source")) for answer in answers)
    lines += ["", f"{len(answers)} cases, {healthy} of them healthy, {public} from public reports"]
    lines += [f"{result:>14}: {counts[result]:4d}  {100 * counts[result] / total:5.1f} %" for result in RESULTS]
    return "\n".join(lines)


def history(cases: Iterable[Case]) -> str:
    """The table of first answers by batch, as README.md shows it."""
    batches: dict[int, list[dict[str, str]]] = defaultdict(list)
    for case in cases:
        batches[case.data["batch"]].append(case.data["first"])
    lines = []
    for batch, firsts in sorted(batches.items()):
        counts = Counter(first["result"] for first in firsts)
        shares = [f"{counts[result]} ({100 * counts[result] / len(firsts):.0f} %)" for result in RESULTS]
        lines.append(f"| {batch} | {min(first['at'] for first in firsts)} | {len(firsts)} | {' | '.join(shares)} |")
    return "\n".join(lines)


def note(answer: Answer, key: str) -> None:
    """Write `first` or `today` into the case's file."""
    data = {"result": answer.result, "cause": answer.cause, "said": " ".join(answer.headline.split())[:160]}
    if key == "first":
        data["at"] = datetime.now().strftime("%Y-%m-%d %H:%M")
    path = answer.case.folder / "case.yml"
    text = re.sub(rf"^{key}:.*\n(?:[ ].*\n)*", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    path.write_text(
        text.rstrip("\n") + "\n" + yaml.safe_dump({key: data}, allow_unicode=True, width=1000, sort_keys=False)
    )


def main() -> None:
    """Play all cases of a folder and print the score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path, nargs="?", default=CASES)
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--every", action="store_true", help="list the right answers too")
    parser.add_argument("--show", action="store_true", help="print the findings in full")
    parser.add_argument("--history", action="store_true", help="print the table of first answers")
    parser.add_argument("--note", choices=("first", "today"), help="write the answer into each case.yml that lacks it")
    options = parser.parse_args()
    started = time.monotonic()
    answers = []
    with start_replay() as replay:
        for case in read_cases(options.corpus):
            if options.only not in case.name:
                continue
            answers.append(play(replay, case))
            if options.show:
                found = replay.play(case)
                print(
                    f"== {case.name}\n"
                    + "\n\n".join(map(render, found.findings))
                    + f"\n{found.verdict} {found.reasons}"
                )
    for answer in answers:
        if options.note == "first" and "first" not in answer.case.data:
            note(answer, "first")
        if options.note == "today":
            path = answer.case.folder / "case.yml"
            if answer.result in BAD:
                note(answer, "today")
            elif "today" in answer.case.data:
                text = re.sub(r"^today:.*\n(?:[ ].*\n)*", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
                path.write_text(text, encoding="utf-8")
    print(report(answers, every=options.every))
    if options.history:
        print(history(read_cases(options.corpus)))
    print(f"played in {time.monotonic() - started:.1f} s")
    sys.exit(any(answer.result in BAD for answer in answers))


if __name__ == "__main__":
    main()
