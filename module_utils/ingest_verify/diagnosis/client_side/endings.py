"""How the ingest's process ended, where its log does not say why: killed, crashed, never started, hung, silent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...causes import LIKELY
from ...facts.log.json_records import json_message, json_object, plain_keys
from ...facts.log.line import EPILOGUE
from ...facts.log.reader import ClientLog
from ...findings import Finding
from ...process import CRASHES, signal_name
from . import context as about
from . import qtickets
from .candidates import Candidate, brief, finding_of, last_lines
from .context import Context, Judged

_API_PROGRESS = re.compile(rf"{qtickets.WORDS}|\bpage \d|\bfetch|\bGET\b|\bAPI\b|\bseats\b|\bdownload", re.IGNORECASE)
_CLICKHOUSE_PROGRESS = re.compile(r"\binsert|clickhouse|\bwrit(?:e|ing|ten)\b|\brows into\b|:8123|:9000", re.IGNORECASE)


def cause_by_end(
    log: ClientLog,
    ingest: Mapping[str, Any],
    context: Context,
    outcome: Mapping[str, Any],
    chosen: Candidate | None,
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
        return _over_its_limit(log, code, str(ingest.get("memory") or ""))
    if ingest.get("timed_out"):
        return None if chosen and not chosen.judged.generic else _timed_out(log, ingest, context, outcome)
    if match := _NOT_EXECUTED.search(log.tail[-1] if log.tail else ""):
        # What runs the container says so with any exit code.
        kind = 127 if match[1].lower().startswith("no such") else 126
        return _not_started(kind, int(code or 0), log, context)
    if code in (125, 126, 127):
        # A shell names its own line, whichever command was missing.
        raised = chosen is not None and (
            (chosen.error.traceback and chosen.error.type) or chosen.judged.cause.startswith("host_")
        )
        return None if raised else _not_started(int(code), int(code), log, context)
    if code == 137:
        memory = chosen is not None and chosen.judged.cause == "client_killed_memory"
        return None if memory else _killed(log, ingest)
    if isinstance(code, int) and 128 < code < 160:
        name = signal_name(code - 128) or f"signal {code - 128}"
        if code in CRASHES:
            if told or (chosen is not None and (chosen.error.traceback or not chosen.judged.generic)):
                # .NET, Rust and Node abort after an error that nobody caught, and have printed it.
                return None
            return Judged(
                "client_crashed",
                f"The ingest's process crashed ({name}, exit code {code}): native code in it failed, no Python "
                f"exception.{_crash_place(log)}",
                "Run it with PYTHONFAULTHANDLER=1 to see where"
                + context.where(
                    "; check that the image fits the machine (docker image inspect -f '{{.Architecture}}')", ""
                )
                + ", and update the package with native code that it names.",
                about.INGEST,
            )
        return Judged(
            "client_terminated",
            f"The ingest was told to stop from outside ({name}, exit code {code}) before it was done.",
            "Find who stopped it: "
            + context.where("docker events, docker stop by ", "")
            + "a person or a deployment, a service manager, a host that shut down; then run it again.",
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


def _over_its_limit(log: ClientLog, code: Any, memory: str) -> Judged:
    """The kernel's kill at the limit `memory` (as Docker takes it, empty when not known). It may have met a child only:
    then `code` is what its parent made of that, 0 too."""
    last = f" Its last line: {brief(log.tail[-1])}" if log.tail else ""
    limit = f"more than its limit{f' of {memory}' if memory else ''}"
    if code in (137, None):
        what = f"The ingest was killed for memory (exit code 137): it needed {limit}."
    else:
        what = (
            f"A process of the ingest was killed for memory: it needed {limit}. The ingest itself went on and ended "
            f"with exit code {code}, so a part of its work may be missing."
        )
    return Judged(
        "client_killed_memory",
        what + last,
        "Raise the limit (qtickets_ingest_memory, as docker run --memory) or load in smaller batches: a shorter "
        "window, fewer rows per insert; docker stats shows what it takes.",
        about.INGEST,
        expected=f"memory within the limit{f' of {memory}' if memory else ''}",
        actual="killed for memory" + ("" if code in (137, None) else f", exit code {code}"),
    )


def _killed(log: ClientLog, ingest: Mapping[str, Any]) -> Judged:
    last = f" Its last line: {brief(log.tail[-1])}" if log.tail else ""
    if ingest.get("container") and ingest.get("oom_killed") is False:
        # Docker says of a container that it was its own limit, where it was.
        return Judged(
            "client_killed",
            "The ingest was killed with SIGKILL (exit code 137) by something outside, and not for its own memory "
            f"limit: docker kill, the engine, or the host short of memory.{last}",
            "Look who did it: docker events --since 1h --filter event=kill (a person, a deployment, a watchdog); "
            "dmesg -T | grep -i -E 'oom|killed process' for a host short of memory; then run it again.",
            about.HOST,
        )
    return Judged(
        "client_killed",
        f"The ingest was killed with SIGKILL (exit code 137) by something outside: mostly the kernel, for "
        f"memory.{last}",
        "Look who did it: dmesg -T | grep -i -E 'oom|killed process'"
        + (
            "; docker inspect -f '{{.State.OOMKilled}}' <container>; docker events for a docker kill"
            if ingest.get("container")
            else ""
        )
        + ". For memory: raise the limit or load in smaller batches.",
        about.HOST,
    )


def _not_started(kind: int, code: int, log: ClientLog, context: Context) -> Judged:
    """Why nothing ran: `kind` is 125, 126 or 127 as a shell and Docker count, `code` what the container ended with."""
    told = "\n".join(log.tail)
    match = re.search(
        r"exec:? \\?\"?([^\"\\:]+)\\?\"?: (?:executable file not found|no such file|stat |permission denied)"
        r"|(?:^|\s)([\w./-]+): (?:\d+: )?(?:command )?not found|can't open file '([^']+)'",
        told,
        re.MULTILINE,
    )
    command = next((group for group in match.groups() if group), "") if match else ""
    command = command or context.command
    shown = f" {command}" if command else ""
    said = f" ({brief(log.tail[-1])})" if log.tail else ""
    if kind == 127:
        return Judged(
            "client_no_such_command",
            f"There is no such command as the ingest's{shown} (exit code {code}){said}.",
            context.where(
                "Check the command or the image's ENTRYPOINT (docker image inspect -f '{{.Config.Entrypoint}} "
                "{{.Config.Cmd}}'), and that the image has it: docker run --rm --entrypoint sh <image> -c 'command -v "
                "<command>'.",
                "Check the command, and that it is in the PATH that the ingest is started with (command -v <command>).",
            )
            + " A script that is there lacks its interpreter: look at its first line (#!), and for Windows line ends.",
            about.INGEST,
            object=command or None,
        )
    if kind == 126:
        return Judged(
            "client_not_executable",
            f"The ingest's command{shown} is there and cannot be executed (exit code {code}){said}.",
            f"Make it executable (chmod +x{context.where(', in the Dockerfile too', '')}), check its first line (#!) "
            "and "
            "that it has no Windows line ends, and that it was built for this machine's architecture.",
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
    last = next(filter(None, map(_said, reversed(log.tail))), "")
    known = False
    asking = bool(_API_PROGRESS.search(last)) and not _CLICKHOUSE_PROGRESS.search(last)
    metrics = outcome.get("metrics")
    if isinstance(metrics, Mapping) and isinstance(metrics.get("http"), Mapping):
        asking, known = not any((metrics.get("written") or {}).values()), True
    told = f" Its last line: {brief(last)}" if last else " It logged nothing."
    if asking:
        return Judged(
            "source_slow",
            f"The ingest was still reading from the API when its time limit{after} was over.{told}",
            "Measure one request: curl -sS -o /dev/null -w '%{time_total}\\n' "
            f"{context.request('orders?per_page=50')} (with the token). Then raise the time limit "
            "(qtickets_ingest_timeout_seconds), ask for a shorter window, or call the API's operator.",
            about.SOURCE,
            expected=f"done within{after.removeprefix(' of')}" if after else None,
            actual="still reading",
            # Its last line is all that says so, where its own record does not.
            certainty=None if known else LIKELY,
            confirm="give each request to the API a time-out of its own, and run again.",
            otherwise="it hung after that line, in a part that logs nothing.",
        )
    return Judged(
        "client_timed_out",
        f"The ingest hung past its time limit{after} and was stopped.{told}",
        "See what it waited for: run it again and, before the limit, look into system.processes on the server and into "
        "the process (py-spy dump --pid <pid> for Python); give each request and statement a time-out of its own. If "
        "it only needs longer, "
        "raise qtickets_ingest_timeout_seconds.",
        about.INGEST,
        expected=f"done within{after.removeprefix(' of')}" if after else None,
        actual="still running",
    )


def _said(line: str) -> str:
    """What a line of the log tells of the work; nothing for the record of an outcome."""
    if not line.lstrip().startswith("{"):
        return line
    record = json_object(line)
    return "" if record is None or "outcome" in record else json_message(plain_keys(record))


def silent_end(log: ClientLog, code: Any) -> Finding:
    """A run that failed and whose log names no error."""
    said = next((line for line in reversed(log.tail) if not EPILOGUE.match(line.strip())), "")
    last = f" The last line: {brief(said)}" if said else ""
    number = " A number alone may be all that str(KeyError(...)) prints." if said.strip().isdigit() else ""
    judged = Judged(
        "client_exception",
        f"The ingest ended with exit code {code}, and its log "
        + (f"names no error, of ClickHouse or of the API.{last}" if log.tail else "is empty."),
        "Let the loader log the exception before it exits (logger.exception, or no bare `except: sys.exit(1)`); run it "
        f"once with LOG_LEVEL=DEBUG, PYTHONUNBUFFERED=1 and python -X dev.{number}",
        about.INGEST,
        expected="exit code 0, or a log that says why not",
        actual=f"exit code {code}",
    )
    finding = finding_of(judged, None)
    finding.evidence.update(last_lines(log))
    return finding
