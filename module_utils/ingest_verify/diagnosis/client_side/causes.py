"""From a client's log, exit code and settings to causes on the side of the client, the source or the configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...findings import Finding, shorten
from ...masking import mask_evidence
from .. import STAGE
from . import context as about
from . import rules
from .context import Context, Judged
from .log_errors import DEFECTS, ClientError, http_status, message_of, server_code, typed_message
from .log_reader import ClientLog
from .rules import judge

_FAILED = ("failed", "fail", "failure", "error", "aborted", "crashed", "critical")
_RETRY = re.compile(
    r"\bretry|\bretries\b|\bretrying|attempt \d+ ?(?:/|of) ?\d+|try(?:ing)? again|back(?:ing)? ?off|\bповтор"
    r"|next try|sleeping",
    re.IGNORECASE,
)
_GAVE_UP = re.compile(
    r"giv(?:e|es|ing) up|gave up|exhausted|after \d+ (?:attempts|tries|retries)|max(?:imum)? retries", re.I
)
_PART = re.compile(
    r"\bshows?\b|\bseats?\b|\bevents?\b|\borders?\b|\bpages?\b|\binventory\b|мест|сеанс|заказ|событи|страниц",
    re.IGNORECASE,
)
_LEFT_OUT = re.compile(
    r"skip|ignor|fail|giv(?:e|ing) up|gave up|could ?n[o']t|cannot|unable|\berror|continu|пропус|не удалось|ошибк",
    re.IGNORECASE,
)
_LOADED = re.compile(r"(?<!not )\b(?:loaded|inserted|saved|written|stored|ok|done)\b|загружен|записан", re.IGNORECASE)
_API_PROGRESS = re.compile(
    r"qtickets|/(?:orders|events|shows|seats)\b|\bpage \d|\bfetch|\bGET\b|\bAPI\b|\bseats\b|\bdownload", re.IGNORECASE
)
_CLICKHOUSE_PROGRESS = re.compile(r"\binsert|clickhouse|\bwrit(?:e|ing|ten)\b|\brows into\b|:8123|:9000", re.IGNORECASE)


@dataclass
class _Candidate:
    error: ClientError
    judged: Judged

    @property
    def retried(self) -> bool:
        return bool(_RETRY.search(self.error.message)) and not _GAVE_UP.search(self.error.message)


def client_findings(log: ClientLog, ingest: Mapping[str, Any]) -> list[Finding]:
    """Findings of stage `qtickets_ingest` from the log and the facts of the run, the cause first.

    `ingest` may hold `exit_code`, `timed_out`, `oom_killed`, `duration_seconds`, `timeout_seconds`, `outcome`, `env`
    (variables that are not secret), `command`, `container`, `database` (that it is expected to write). A run that
    failed gets one error with the others as its effects; a run that ended well gets warnings, and an error only for
    what it left out. Errors that the server reported (`server_code`) are left to the server's side.
    """
    env = ingest.get("env") or {}
    context = Context(
        env, bool(ingest.get("container")), str(ingest.get("command") or ""), str(ingest.get("database") or "")
    )
    outcome = ingest.get("outcome") or log.outcome
    outcome = outcome if isinstance(outcome, Mapping) else {}
    candidates = [_Candidate(error, judge(error, context)) for error in log.errors if error.server_code is None]
    served = [error for error in log.errors if error.server_code is not None]
    if ingest.get("exit_code") not in (0, None) and not served and all(c.judged.generic for c in candidates):
        candidates += _last_words(log, candidates, context)
    findings: list[Finding] = []
    dry = str(env.get("DRY_RUN", "")).strip().strip("'\"").lower() in ("1", "true", "yes", "on")
    if dry or ((outcome.get("metrics") or {}) and _metric(outcome, "dry_run") is True):
        findings.append(_finding(rules.dry_run(), None))
    if _failed(ingest, outcome, log, candidates):
        if cause := _cause(log, ingest, context, outcome, candidates, served):
            findings.append(cause)
    else:
        findings += _of_a_good_run(log, context, outcome, candidates, alone=ingest.get("exit_code") is None)
    return findings


# What a runtime adds behind the last word of a program.
_EPILOGUE = re.compile(r"exit status \d+$|Node\.js v[\d.]+$|note: run with|make: \*\*\*|\W*$", re.IGNORECASE)


def _last_words(log: ClientLog, known: Sequence[_Candidate], context: Context) -> list[_Candidate]:
    """Causes in the last lines of a failed run whose log calls nothing an error: `log.Fatal`, `sys.exit(text)`."""
    found: list[_Candidate] = []
    for line in reversed(log.tail):
        text = line.strip()
        if _EPILOGUE.match(text) or text.startswith(("{", "File ", "at ")):
            continue
        if any(text in candidate.error.text for candidate in known) or len(found) == 3:
            break
        message = message_of(text)
        kind, _ = typed_message(message)
        error = ClientError(kind, message, text=text, http_status=http_status(text), weak=True)
        found.append(_Candidate(error, judge(error, context)))
    # A cause of its own, or the text of a well-known exception.
    specific = [
        c
        for c in found
        if c.judged.cause != "client_exception" or not c.judged.generic or rules.OWN_CODE in c.judged.headline
    ]
    # A number alone may count something; a text in quotes is the name of a key.
    return [c for c in specific if c.judged.cause != "client_key_error" or not c.error.message.strip().isdigit()][:1]


def _failed(
    ingest: Mapping[str, Any], outcome: Mapping[str, Any], log: ClientLog, candidates: Sequence[_Candidate]
) -> bool:
    said = str(outcome.get("outcome") or outcome.get("status") or "").lower()
    if ingest.get("timed_out") or ingest.get("oom_killed") or said in _FAILED:
        return True
    code = ingest.get("exit_code")
    if code is None:
        # A log alone: it failed if it holds errors, unless it says that all went well. A line that only has words of
        # failure is one where something is known of it, or where the log ends with it.
        end = "\n".join(log.tail[-1:])
        telling = [
            c
            for c in candidates
            if not (c.error.weak and c.judged.generic) or c.error.text.splitlines()[0].strip() in end
        ]
        served = any(error.server_code is not None for error in log.errors)
        return bool(telling or served) and said not in ("ok", "success", "succeeded", "done", "completed")
    return int(code) != 0


# A run that failed ----------------------------------------------------------------------------------------------------


def _cause(
    log: ClientLog,
    ingest: Mapping[str, Any],
    context: Context,
    outcome: Mapping[str, Any],
    candidates: list[_Candidate],
    served: Sequence[ClientError],
) -> Finding | None:
    code, timed_out = ingest.get("exit_code"), bool(ingest.get("timed_out"))
    known = _from_outcome(outcome, context, served)
    if known is not None:
        error = next((c.error for c in candidates if _same(c.error, known.error)), known.error)
        finding = _finding(known.judged, error)
        others = [c for c in candidates if c.error is not error]
    else:
        chosen = _elect(candidates, served)
        ended = _by_end(log, ingest, context, outcome, chosen, told=bool(served))
        if ended is not None:
            finding, others = _finding(ended, None), candidates
            finding.evidence.update(_tail(log))
        elif chosen is not None:
            finding, others = _finding(chosen.judged, chosen.error), [c for c in candidates if c is not chosen]
        elif served or code is None:
            return None
        else:
            finding, others = _silent(log, code), []
    if timed_out and not finding.cause.endswith(("timed_out", "slow")):
        limit = ingest.get("timeout_seconds")
        finding.effects.append(
            f"the ingest hung past its time limit{f' of {limit} s' if limit else ''} and was stopped"
        )
    first = next((c.error.order for c in candidates if c not in others), 0)
    loud = any(not c.error.weak for c in candidates if c not in others)
    for other in others[:10]:
        error = other.error
        if loud and error.weak and other.judged.generic:
            # Words of a line without a level tell nothing beside an error that is one.
            continue
        when = "logged before it" if first and error.order < first else "then logged"
        finding.effects.append(f"{when}: {_short(error)}")
    if code not in (None, 0) and finding.actual is None:
        finding.actual = f"exit code {code}"
    return finding


def _elect(candidates: Sequence[_Candidate], served: Sequence[ClientError]) -> _Candidate | None:
    """The candidate that the others follow from, None when the server's own answers explain the run."""
    final = [c for c in candidates if not c.retried] or list(candidates)
    specific = [c for c in final if not c.judged.generic]
    strong = [c for c in specific if not c.error.weak] or specific
    last = max(final, key=lambda c: c.error.order, default=None)
    chosen = None
    if last is not None and last.error.traceback:
        kind, text = about.origin(last.error)
        defect = kind.rpartition(".")[2] in DEFECTS
        reported = [c for c in strong if c is not last and text and text in c.error.message]
        if not last.judged.generic or (defect and not reported):
            chosen = last
    if chosen is None and strong:
        chosen = strong[0]
    if chosen is None and not served:
        tracebacks = [c for c in final if c.error.traceback]
        loud = [c for c in final if not c.error.weak]
        pool = sorted(tracebacks, key=lambda c: -c.error.order) or loud or final
        chosen = pool[0] if pool else None
    if chosen is None:
        return None
    # One error is often logged twice, once with its traceback: that one has the place.
    twins = [c for c in final if c.judged.cause == chosen.judged.cause and c.judged.object == chosen.judged.object]
    return next((c for c in twins if c.error.frame), chosen)


def _by_end(
    log: ClientLog,
    ingest: Mapping[str, Any],
    context: Context,
    outcome: Mapping[str, Any],
    chosen: _Candidate | None,
    *,
    told: bool,
) -> Judged | None:
    """The cause that lies in how the process ended, None where the log knows better; `told` when the log has an answer
    of the server."""
    code = ingest.get("exit_code")
    if isinstance(code, int) and -64 < code < 0:
        # As Python counts a signal.
        code = 128 - code
    if ingest.get("oom_killed"):
        return _killed_for_memory(log, certain=True)
    if ingest.get("timed_out"):
        return None if chosen and not chosen.judged.generic else _timed_out(log, ingest, context, outcome)
    if match := _NOT_EXECUTED.search(log.tail[-1] if log.tail else ""):
        # What runs the container says so with any exit code.
        kind = 127 if match[1].lower().startswith("no such") else 126
        return _not_started(kind, int(code or 0), log, context)
    if code in (125, 126, 127):
        # A shell names its own line, whichever command was missing.
        raised = chosen is not None and chosen.error.traceback and chosen.error.type
        return None if raised else _not_started(int(code), int(code), log, context)
    if code == 137:
        memory = chosen is not None and chosen.judged.cause == "client_killed_memory"
        return None if memory else _killed_for_memory(log, certain=False)
    if isinstance(code, int) and 128 < code < 160:
        names = {
            139: "SIGSEGV",
            134: "SIGABRT",
            143: "SIGTERM",
            130: "SIGINT",
            129: "SIGHUP",
            135: "SIGBUS",
            132: "SIGILL",
            133: "SIGTRAP",
        }
        name = names.get(code, f"signal {code - 128}")
        if code in (139, 134, 135, 132, 133):
            if told or (chosen is not None and (chosen.error.traceback or not chosen.judged.generic)):
                # .NET, Rust and Node abort after an error that nobody caught, and have printed it.
                return None
            return Judged(
                "client_crashed",
                f"The ingest's process crashed ({name}, exit code {code}): native code in it failed, no Python "
                f"exception.{_crash_place(log)}",
                "Run it with PYTHONFAULTHANDLER=1 to see where; check that the image fits the machine (docker image "
                "inspect "
                "-f '{{.Architecture}}') and update the package with native code that it names.",
                about.INGEST,
            )
        return Judged(
            "client_terminated",
            f"The ingest was told to stop from outside ({name}, exit code {code}) before it was done.",
            "Find who stopped it: docker events, docker stop by a person or a deployment, a host that shut down; "
            "then run "
            "it again.",
            about.HOST,
        )
    return None


_NOT_EXECUTED = re.compile(
    r"^(?:exec |standard_init_linux\S* )\S+.*: (no such file or directory|exec format error|permission denied)", re.I
)


def _crash_place(log: ClientLog) -> str:
    """The innermost frame of Python's faulthandler, which prints them the other way round than a traceback; C++'s own
    words."""
    said = re.search(r"terminate called after .*?'(.+)'(?:\n\s*what\(\): +(.+))?", "\n".join(log.tail))
    if said:
        return f" It said: {': '.join(filter(None, said.groups()))}."
    match = re.search(r"File \"([^\"]+)\", line (\d+) in (\S+)", "\n".join(log.tail))
    return f" It was at {match[1]}:{match[2]} in {match[3]}." if match else ""


def _killed_for_memory(log: ClientLog, *, certain: bool) -> Judged:
    last = f" Its last line: {_shown(log.tail[-1])}" if log.tail else ""
    if certain:
        return Judged(
            "client_killed_memory",
            f"The ingest was killed for memory (exit code 137): it needed more than its limit.{last}",
            "Raise the limit (docker run --memory) or load in smaller batches: a shorter window, fewer rows per "
            "insert; "
            "docker stats shows what it takes.",
            about.INGEST,
            expected="memory within the limit",
            actual="killed for memory",
        )
    return Judged(
        "client_killed",
        f"The ingest was killed with SIGKILL (exit code 137) by something outside: mostly the kernel, for "
        f"memory.{last}",
        "Look who did it: dmesg -T | grep -i -E 'oom|killed process'; docker inspect -f '{{.State.OOMKilled}}' "
        "<container>; "
        "docker events for a docker kill. For memory: raise the limit or load in smaller batches.",
        about.HOST,
    )


def _not_started(kind: int, code: int, log: ClientLog, context: Context) -> Judged:
    """Why nothing ran: `kind` is 125, 126 or 127 as a shell and Docker count, `code` what the container ended with."""
    told = "\n".join(log.tail)
    match = re.search(
        r"exec:? \\?\"?([^\"\\:]+)\\?\"?: (?:executable file not found|no such file|stat |permission denied)"
        r"|(?:^|\s)([\w./-]+): (?:\d+: )?(?:command )?not found|can't open file '([^']+)'|(\S+): cannot execute",
        told,
        re.MULTILINE,
    )
    command = next((group for group in match.groups() if group), "") if match else ""
    command = command or context.command
    shown = f" {command}" if command else ""
    said = f" ({_shown(log.tail[-1])})" if log.tail else ""
    if kind == 127:
        return Judged(
            "client_no_such_command",
            f"There is no such command as the ingest's{shown} (exit code {code}){said}.",
            "Check the command or the image's ENTRYPOINT (docker image inspect -f '{{.Config.Entrypoint}} "
            "{{.Config.Cmd}}'), and that the image has it: docker run --rm --entrypoint sh <image> -c 'command -v "
            "<command>'. A script that is there lacks its interpreter: look at its first line (#!), and for "
            "Windows line ends in it.",
            about.INGEST,
            object=command or None,
        )
    if kind == 126:
        return Judged(
            "client_not_executable",
            f"The ingest's command{shown} is there and cannot be executed (exit code {code}){said}.",
            "Make it executable (chmod +x, in the Dockerfile too), check its first line (#!) and that it has no "
            "Windows "
            "line ends, and that the image was built for this machine's architecture.",
            about.INGEST,
            object=command or None,
        )
    return Judged(
        "client_not_started",
        f"Docker could not start the ingest's container (exit code {code}){said}.",
        "Correct what Docker's message names: an option, the network, the image, the env file.",
        about.CONFIGURATION,
    )


def _timed_out(log: ClientLog, ingest: Mapping[str, Any], context: Context, outcome: Mapping[str, Any]) -> Judged:
    limit = ingest.get("timeout_seconds") or ingest.get("duration_seconds")
    after = f" of {limit:g} s" if isinstance(limit, (int, float)) else ""
    last = next((line for line in reversed(log.tail) if not line.lstrip().startswith("{")), "")
    asking = bool(_API_PROGRESS.search(last)) and not _CLICKHOUSE_PROGRESS.search(last)
    metrics = outcome.get("metrics")
    if isinstance(metrics, Mapping) and isinstance(metrics.get("http"), Mapping):
        asking = not any((metrics.get("written") or {}).values())
    told = f" Its last line: {_shown(last)}" if last else " It logged nothing."
    if asking:
        return Judged(
            "source_slow",
            f"The ingest was still reading from the API when its time limit{after} was over.{told}",
            "Measure one request: curl -sS -o /dev/null -w '%{time_total}\\n' "
            f"{context.request('orders?per_page=50')} (with the token). Then raise the time limit "
            "(qtickets_ingest_timeout_seconds), ask for a shorter window, or call the API's operator.",
            about.SOURCE,
            expected=f"done within{after}" if after else None,
            actual="still reading",
        )
    return Judged(
        "client_timed_out",
        f"The ingest hung past its time limit{after} and was stopped.{told}",
        "See what it waited for: run it again and, before the limit, py-spy dump --pid <pid> (or docker top and the "
        "server's "
        "system.processes); give each request and statement a time-out of its own. If it only needs longer, raise "
        "qtickets_ingest_timeout_seconds.",
        about.INGEST,
        expected=f"done within{after}" if after else None,
        actual="still running",
    )


def _silent(log: ClientLog, code: Any) -> Finding:
    said = next((line for line in reversed(log.tail) if not _EPILOGUE.match(line.strip())), "")
    last = f" The last line: {_shown(said)}" if said else ""
    number = " A number alone may be all that str(KeyError(...)) prints." if said.strip().isdigit() else ""
    judged = Judged(
        "client_exception",
        f"The ingest ended with exit code {code}, and its log "
        + (f"names no error, of ClickHouse or of the API.{last}" if log.tail else "is empty."),
        "Let the loader log the exception before it exits (logger.exception, or no bare `except: sys.exit(1)`); run "
        "it once "
        f"with LOG_LEVEL=DEBUG, PYTHONUNBUFFERED=1 and python -X dev.{number}",
        about.INGEST,
        expected="exit code 0, or a log that says why not",
        actual=f"exit code {code}",
    )
    finding = _finding(judged, None)
    finding.evidence.update(_tail(log))
    return finding


# What the loader's own last line says -----------------------------------------------------------------------------


def _from_outcome(outcome: Mapping[str, Any], context: Context, served: Sequence[ClientError]) -> _Candidate | None:
    """The cause that a loader names itself in its outcome line (names of ingest/README.md), None for other loaders."""
    cause, message = outcome.get("cause"), mask_evidence(str(outcome.get("message") or outcome.get("error") or ""))
    if not isinstance(cause, str) or not cause:
        return None
    kind = str(outcome.get("error_type") or "") or None
    text = f"{kind}: {message}" if kind else message
    error = ClientError(kind, message, text=text, http_status=http_status(text), server_code=server_code(text))
    judged: Judged | None = None
    if cause in ("api_unauthorized", "api_rate_limited", "api_server_error", "api_http_error", "api_not_found"):
        usual = {"api_unauthorized": 401, "api_rate_limited": 429, "api_server_error": 503, "api_not_found": 404}
        status = error.http_status or usual.get(cause, 400)
        # The named cause decides the class, the status only its number.
        status = status if cause != "api_unauthorized" or status in (401, 403) else 401
        judged = rules.api_status(status, message, "", context)
    elif cause == "api_timeout":
        judged = rules.api_slow(error, context, about.API)
    elif cause == "api_unreachable":
        judged = rules.api_unreachable(error, context, about.API)
    elif cause in ("api_html", "api_broken_json", "api_not_json", "api_unexpected_shape", "too_many_invalid"):
        judged = rules.bad_payload(message, "", context, html=cause == "api_html")
    elif cause == "api_paging_unstable":
        judged = rules.unstable_pages(message)
    elif cause == "api_filter_ignored":
        judged = rules.filter_ignored(message, context)
    elif cause.startswith("config_"):
        judged = _configuration(cause, message)
    elif cause == "orders_vanished":
        judged = _named(
            "source_orders_vanished", message, "Check QTICKETS_TOKEN and ORG_NAME: is it this account's?", about.SOURCE
        )
    elif cause in ("facts_differ", "staging_differs"):
        step = "Look at the checks of verify_data: they name the table and the column; then run again."
        judged = _named(f"data_{cause}", message, step, about.SCHEMA)
    elif cause == "clickhouse_restarted":
        judged = _named(
            "server_restarted", message, "Look why it restarted (docker logs), then run again.", about.SERVER
        )
    elif cause.startswith("clickhouse_") and not served and error.server_code is None:
        error.text = f"ClickHouse: {text}"
        judged = judge(error, context)
        judged.generic = False
    return _Candidate(error, judged) if judged else None


def _named(cause: str, message: str, step: str, side: str) -> Judged:
    return Judged(cause, f"The loader says: {message}", step, side)


def _configuration(cause: str, message: str) -> Judged:
    placeholder = bool(re.search(r"placeholder|empty|missing", message))
    name = re.search(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b", message)
    return Judged(
        "config_placeholder" if placeholder else "config_env_file",
        f"The loader refuses its settings ({cause}): {message}",
        f"Correct {name[0] if name else 'the setting that it names'} in the ingest's env file and run again.",
        about.CONFIGURATION,
        object=name[0] if name else None,
    )


# A run that ended well ----------------------------------------------------------------------------------------------


def _of_a_good_run(
    log: ClientLog, context: Context, outcome: Mapping[str, Any], candidates: Sequence[_Candidate], *, alone: bool
) -> list[Finding]:
    findings: list[Finding] = []
    fetched = _metric(outcome, "entities", "orders", "fetched")
    own = fetched is not None
    if fetched == 0:
        findings.append(_finding(rules.no_orders(context), None))
    notes = [_Candidate(error, judge(error, context)) for error in log.notes if error.server_code is None]
    loud = [c for c in candidates if not c.error.weak or alone]
    left_out = [] if own else [c for c in [*candidates, *notes] if _is_left_out(c, context)]
    if left_out:
        findings.append(_partial(left_out))
    for candidate in [c for c in loud if c not in left_out][:5]:
        finding = _finding(candidate.judged, candidate.error)
        finding.severity = "warning"
        finding.headline += " The log goes on after it." if alone else " The ingest went on and ended well."
        findings.append(finding)
    retried = [c for c in notes if c not in left_out and c.judged.cause.startswith("source_")]
    if retried:
        finding = _finding(retried[0].judged, retried[0].error)
        finding.severity = "warning"
        finding.evidence["count"] = sum(c.error.count for c in retried)
        finding.headline = f"The API failed and answered at a later try: {_shown(retried[0].error.message)}"
        finding.next_step = "Nothing, while it stays rare; else tell the API's operator the times."
        findings.append(finding)
    return findings


def _is_left_out(candidate: _Candidate, context: Context) -> bool:
    error = candidate.error
    # Names of shows and customers stand in quotes, and may say anything.
    words = re.sub(r"'[^']*'|\"[^\"]*\"|«[^»]*»", "''", error.message)
    if candidate.retried or not _PART.search(words) or not _LEFT_OUT.search(words):
        return False
    if error.weak and _LOADED.search(words) and not candidate.error.http_status:
        return False
    return about.side_of(error, context) != about.CLICKHOUSE


def _partial(left_out: Sequence[_Candidate]) -> Finding:
    first = left_out[0].error
    count = sum(c.error.count for c in left_out)
    judged = Judged(
        "source_partial",
        f"The ingest left out what the API failed to give ({count} time(s)) and still ended with success: "
        f"{_shown(first.message)}",
        "Run again to complete the data; and let the loader fail, or record the run as failed, when a part is missing. "
        + left_out[0].judged.next_step,
        about.INGEST,
        expected="every show and page loaded, or a run that says it failed",
        actual=f"{count} part(s) missing, exit code 0",
    )
    finding = _finding(judged, first)
    finding.evidence["count"] = count
    finding.evidence["rows"] = [{"line": _shown(c.error.message), "count": c.error.count} for c in left_out[:5]]
    return finding


def _metric(outcome: Mapping[str, Any], *path: str) -> Any:
    value: Any = outcome.get("metrics")
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


# Findings -----------------------------------------------------------------------------------------------------------


def _finding(judged: Judged, error: ClientError | None) -> Finding:
    return Finding(
        stage=STAGE,
        severity="error",
        cause=judged.cause,
        headline=mask_evidence(judged.headline),
        object=judged.object,
        expected=judged.expected,
        actual=judged.actual,
        next_step=judged.next_step,
        fix_side=judged.fix_side,
        evidence=_evidence(error) if error else {},
    )


def _evidence(error: ClientError) -> dict[str, Any]:
    known: dict[str, Any] = {
        "exception": _exception(error),
        "count": error.count,
        "first": error.first,
        "last": error.last,
        "location": about.place(error).removeprefix(" at ") or None,
        "log_table": "the ingest's log",
    }
    return {key: value for key, value in known.items() if value is not None}


def _exception(error: ClientError) -> str:
    """The error without its stack: the logged line, the chain of exceptions, the user's line of code."""
    if not error.traceback:
        return shorten(error.text, 600)
    first = error.text.splitlines()[0]
    lines = [] if "Traceback" in first or first.startswith("{") else [first]
    lines += [f"{kind}: {text}".rstrip(": ") for kind, text in error.chain if kind]
    if error.frame and error.frame.code:
        lines.append(f"{error.frame.file}:{error.frame.line}: {error.frame.code}")
    return shorten("\n".join(lines), 1000)


def _tail(log: ClientLog) -> dict[str, Any]:
    lines = log.tail[-5:]
    return {"exception": "\n".join(_shown(line) for line in lines), "log_table": "the ingest's log"} if lines else {}


def _same(error: ClientError, other: ClientError) -> bool:
    return (
        bool(other.message) and (other.message in error.text or error.message in other.message) and bool(error.message)
    )


def _short(error: ClientError) -> str:
    kind = f"{error.type}: " if error.type and not error.message.startswith(error.type) else ""
    times = f" ({error.count} times)" if error.count > 1 else ""
    return f"{kind}{_shown(error.message)}{times}"


def _shown(text: str) -> str:
    lines = text.strip().splitlines()
    return shorten(lines[0], 200) if lines else ""
