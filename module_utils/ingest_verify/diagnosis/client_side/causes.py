"""From a client's log, exit code and settings to causes on the side of the client, the source or the configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...clickhouse.error_codes import kind_of
from ...facts.log.errors import DEFECTS, ClientError, http_status, typed_message
from ...facts.log.levels import WARNING
from ...facts.log.line import COUNTERS, EPILOGUE, ERROR_WORDS, is_record, level_of, message_of, strip_carriers
from ...facts.log.reader import ClientLog
from ...findings import Finding
from . import code_rules, program_rules
from . import context as about
from .candidates import Candidate, around, finding_of, last_lines, one_line, same_error
from .context import Context
from .endings import cause_by_end, silent_end
from .good_run import findings_of_a_good_run
from .outcome import cause_in_outcome, metric
from .rules import judge

# `Topic: [sales], Partition: [0], Offset: [881]`
_LABELS = re.compile(r"(?:\(?\w+: ?\[[^\]]*\]\)?[,\s]*)+")
_WELL = ("ok", "success", "succeeded", "done", "completed", "finished")
_FAILED = ("failed", "fail", "failure", "error", "aborted", "crashed", "critical")


def client_findings(log: ClientLog, ingest: Mapping[str, Any]) -> list[Finding]:
    """Findings of stage `qtickets_ingest` from the log and the facts of the run, the cause first.

    `ingest` may hold `exit_code`, `timed_out`, `oom_killed`, `memory` (the limit, as Docker takes it),
    `duration_seconds`, `timeout_seconds`, `outcome`, `env` (variables that are not secret), `command`, `container`,
    `database` (that it is expected to write). A run that failed gets one error with the others as its effects; a run
    that ended well gets warnings, and an error only for what it left out. Errors that the server reported
    (`server_code`) are left to the server's side.
    """
    env = ingest.get("env") or {}
    context = Context(
        env, bool(ingest.get("container")), str(ingest.get("command") or ""), str(ingest.get("database") or "")
    )
    outcome = ingest.get("outcome") or log.outcome
    outcome = outcome if isinstance(outcome, Mapping) else {}
    errors = [error for error in log.errors if not _below_error(log, error)]
    candidates = [Candidate(error, judge(error, context)) for error in errors if error.server_code is None]
    served = [error for error in errors if error.server_code is not None]
    if ingest.get("exit_code") not in (0, None) and not served and all(c.judged.generic for c in candidates):
        candidates += _last_words(log, candidates, context)
    findings: list[Finding] = []
    dry = str(env.get("DRY_RUN", "")).strip().strip("'\"").lower() in ("1", "true", "yes", "on")
    if dry or ((outcome.get("metrics") or {}) and metric(outcome, "dry_run") is True):
        findings.append(finding_of(program_rules.dry_run(), None))
    if _failed(ingest, outcome, log, candidates):
        if cause := _cause(log, ingest, context, outcome, candidates, served):
            findings.append(cause)
    else:
        findings += findings_of_a_good_run(log, context, outcome, candidates, alone=ingest.get("exit_code") is None)
    for finding in findings:
        # A variable that the program itself asks for keeps the name that it has there.
        if finding.cause not in ("config_env_file", "config_placeholder"):
            finding.headline = context.renamed(finding.headline)
            finding.next_step = finding.next_step and context.renamed(finding.next_step)
    return findings


def _below_error(log: ClientLog, error: ClientError) -> bool:
    """Whether a traceback stands below a record that is no error, and the program went on after it."""
    return error.traceback and error.level == 1 and any(is_record(line) for line in log.after(error))


_DONE = re.compile(
    r"(?<!not )\b(?:done|finished|completed?|succe(?:ss|ed)\w*|loaded|inserted|saved|written|stored|shipped"
    r"|committed|imported|processed|synced|ok)\b|загружен|записан|готово|заверш[её]н|успешно",
    re.IGNORECASE,
)


def _ends_well(log: ClientLog, last_error: int) -> bool:
    """Whether the last lines of a log, after its last error, say that the work was done."""
    # A warning that precedes the end ended nothing.
    ending = [text for number, text in log.ending if number > last_error]
    after = [message_of(text) for text in ending if level_of(text)[0] != WARNING]
    failed = [text for text in after if ERROR_WORDS.search(text) and not COUNTERS.search(text)]
    return any(_DONE.search(text) for text in after) and not failed


def _last_words(log: ClientLog, known: Sequence[Candidate], context: Context) -> list[Candidate]:
    """Causes in the last lines of a failed run whose log calls nothing an error: `log.Fatal`, `sys.exit(text)`."""
    found: list[Candidate] = []
    for number, line in reversed(log.ending):
        text = strip_carriers(line).text.strip()
        if EPILOGUE.match(text) or text.startswith(("{", "File ", "at ")):
            continue
        message = message_of(text)
        same = [c for c in known if message in c.error.text or number == c.error.line]
        if any(not candidate.error.weak for candidate in same) or len(found) == 3:
            break
        if same:
            continue
        kind, _ = typed_message(message)
        error = ClientError(kind, message, text=text, http_status=http_status(text), weak=True)
        found.append(Candidate(error, judge(error, context)))
    # A cause of its own, or the text of a well-known exception.
    specific = [
        c
        for c in found
        if c.judged.cause != "client_exception" or not c.judged.generic or code_rules.OWN_CODE in c.judged.headline
    ]
    # A number alone may count something; a text in quotes is the name of a key.
    return [c for c in specific if c.judged.cause != "client_key_error" or not c.error.message.strip().isdigit()][:1]


def _failed(
    ingest: Mapping[str, Any], outcome: Mapping[str, Any], log: ClientLog, candidates: Sequence[Candidate]
) -> bool:
    said = str(outcome.get("outcome") or outcome.get("status") or "").lower()
    if ingest.get("timed_out") or ingest.get("oom_killed") or said in _FAILED:
        return True
    code = ingest.get("exit_code")
    if code is None:
        # A log alone: it failed if it holds errors, unless its end or its record says that all went well. A line that
        # only has words of failure is one where something is known of it, or where the log ends with it.
        end = "\n".join(log.tail[-1:])
        telling = [
            c.error
            for c in candidates
            if not (c.error.weak and c.judged.generic) or c.error.text.splitlines()[0].strip() in end
        ]
        telling += [error for error in log.errors if error.server_code is not None and not _below_error(log, error)]
        return bool(telling) and said not in _WELL and not _ends_well(log, max(error.line for error in telling))
    return int(code) != 0


# A run that failed ----------------------------------------------------------------------------------------------------


def _cause(
    log: ClientLog,
    ingest: Mapping[str, Any],
    context: Context,
    outcome: Mapping[str, Any],
    candidates: list[Candidate],
    served: Sequence[ClientError],
) -> Finding | None:
    code, timed_out = ingest.get("exit_code"), bool(ingest.get("timed_out"))
    known = cause_in_outcome(outcome, context, served)
    if known is not None:
        error = next((c.error for c in candidates if same_error(c.error, known.error)), known.error)
        finding = finding_of(known.judged, error)
        others = [c for c in candidates if c.error is not error]
    else:
        # What comes once and last after a time limit is the answer to the play's own signal.
        waited = [c for c in candidates if not timed_out or (c.error.count > 1 and not c.error.followed)]
        chosen = _elect(waited, served, context)
        ended = cause_by_end(log, ingest, context, outcome, chosen, told=bool(served))
        if ended is not None:
            finding, others = finding_of(ended, None), candidates
            finding.evidence.update(last_lines(log))
        elif chosen is not None:
            finding, others = finding_of(chosen.judged, chosen.error), [c for c in candidates if c is not chosen]
            if chosen.judged.cause == "client_exception" and not chosen.error.traceback:
                finding.effects += around(log, chosen.error)
        elif served or code is None:
            return None
        else:
            finding, others = silent_end(log, code), []
    if timed_out and not finding.cause.endswith(("timed_out", "slow")):
        limit = ingest.get("timeout_seconds")
        finding.effects.append(
            f"the play stopped the ingest at its time limit{f' of {limit} s' if limit else ''} "
            "(qtickets_ingest_timeout_seconds)"
        )
    first = next((c.error.line for c in candidates if c not in others), 0)
    loud = any(not c.error.weak for c in candidates if c not in others)
    for other in others[:10]:
        error = other.error
        if loud and error.weak and other.judged.generic:
            # Words of a line without a level tell nothing beside an error that is one.
            continue
        when = "logged before it" if first and error.line < first else "then logged"
        finding.effects.append(f"{when}: {one_line(error)}")
    if code not in (None, 0) and finding.actual is None:
        finding.actual = f"exit code {code}"
    return finding


# A connection that was not made, or broke.
_CONNECTIONS = ("client_connection_refused", "client_connect_timeout", "client_unknown_host", "client_unreachable")


def _survived(candidate: Candidate, served: Sequence[ClientError]) -> bool:
    """Whether the server answered the program after a connection had failed: then its answer ended the run."""
    answered = any(
        error.line > candidate.error.line and kind_of(error.server_code or 0) not in ("client_gone", "socket")
        for error in served
    )
    return answered and candidate.judged.cause in _CONNECTIONS


def _first_at_the_end(candidates: Sequence[Candidate]) -> Candidate | None:
    """What the program went on after did not end it: the last counts, with what stands right above it."""
    if not candidates:
        return None
    end = max(candidates, key=lambda c: c.error.line).error
    together = [c for c in candidates if c.error.stream == end.stream and c.error.followed == end.followed]
    return min(together, key=lambda c: c.error.line)


def _elect(candidates: Sequence[Candidate], served: Sequence[ClientError], context: Context) -> Candidate | None:
    """The candidate that the others follow from, None when the server's own answers explain the run."""
    if decisive := [c for c in candidates if c.judged.decisive]:
        return decisive[0]
    final = [c for c in candidates if not c.retried] or list(candidates)
    # A chat or a collector of metrics ends no load.
    final = [c for c in final if not about.third_party(c.error, context)] or final
    specific = [c for c in final if not c.judged.generic]
    strong = [c for c in specific if not c.error.weak] or specific
    last = max(final, key=lambda c: c.error.line, default=None)
    chosen = None
    if last is not None and last.error.traceback:
        kind, text = about.origin(last.error)
        defect = kind.rpartition(".")[2] in DEFECTS
        reported = [c for c in strong if c is not last and text and text in c.error.message]
        if not last.judged.generic or (defect and not reported):
            chosen = last
    if chosen is None:
        chosen = _first_at_the_end(strong)
    if chosen is None and not served:
        tracebacks = sorted((c for c in final if c.error.traceback), key=lambda c: -c.error.line)
        loud = [c for c in final if not c.error.weak]
        chosen = next(iter(tracebacks), None) or _first_at_the_end(loud or final)
        # A wrapper says less than what stands right above it.
        above = [c for c in tracebacks if chosen and c.error.followed == chosen.error.followed]
        chosen = next((c for c in above if c.judged.cause != "client_exception"), chosen)
    if chosen is None or _survived(chosen, served):
        return None
    if _LABELS.fullmatch(chosen.error.message.strip()):
        # It names the batch that failed; why, stands above it.
        why = [c for c in final if c.error.line < chosen.error.line and not c.error.weak]
        chosen = max(why, key=lambda c: c.error.line, default=chosen)
    # One error is often logged twice, once with its traceback: that one has the place.
    twins = [c for c in final if c.judged.cause == chosen.judged.cause and c.judged.object == chosen.judged.object]
    return next((c for c in twins if c.error.frame), chosen)
