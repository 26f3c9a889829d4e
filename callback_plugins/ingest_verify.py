"""What a person sees of a run: a line for each stage, the ingest's progress, a failure once, the verdict last.

It changes nothing of what is run: `ANSIBLE_STDOUT_CALLBACK=default` shows the same play as Ansible does.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible import constants as C  # noqa: N812 - Ansible's own name for them
from ansible import module_utils
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.utils.color import stringc

# ansible.cfg's `module_utils` is for modules; a plugin finds this project's by itself.
_OURS = str(Path(__file__).resolve().parents[1] / "module_utils")
if _OURS not in module_utils.__path__:
    module_utils.__path__.append(_OURS)

from ansible.module_utils.ingest_verify.control_node import CAUSE
from ansible.module_utils.ingest_verify.env_file import parse_env
from ansible.module_utils.ingest_verify.findings import FAIL, PASS, SHOWN, Finding, render_failure
from ansible.module_utils.ingest_verify.masking import Masker, secret_values
from ansible.module_utils.ingest_verify.report.text import visible

DOCUMENTATION = """
name: ingest_verify
type: stdout
short_description: One line for each stage, the ingest's progress, the cause once, the verdict last
description:
  - On a terminal the running stage's line is updated in place; in a file each line stands once.
  - C(-v) adds the task banners, C(-vv) is Ansible's own output with these lines between.
  - Secrets and personal data are masked in all of it, at every verbosity. Secrets are known by the names of environment
    variables, of the play's variables and of the ingest's env file, others by their shape.
extends_documentation_fragment: [default_callback, result_format_callback]
"""

PREFLIGHT = "preflight"
# Where the ingest's module writes its progress, in the run's folder.
PROGRESS_FILE = "progress.json"
_REPORT = "report"
_STEPS = ("clickhouse_reset", "schema_apply", "query_logging", "qtickets_ingest", "run_diagnosis", "verify_data")
# Task files that a run looks at before anything is touched.
_EARLY = {
    ("clickhouse_reset", "early"),
    ("schema_apply", "preflight"),
    ("query_logging", "preflight"),
    ("qtickets_ingest", "early"),
    ("verify_data", "preflight"),
}
# They only keep the books of the stage that calls them.
_BOOKS = {("run_context", "enter"), ("run_context", "record"), ("verify_data", "audit")}
_TICK_SECONDS = 0.5
# In a file, where each look at the progress is a line of its own.
_PLAIN_SECONDS = 60.0
_STALE_SECONDS = 15.0
_TAIL = 4096
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# What Ansible colours its own lines with.
_COLOUR = re.compile(r"(\x1b\[(?:0|[01];3[0-7]|[0-9;]*38;5;\d{1,3})m)")
# Of the shell, and no passwords.
_NO_SECRETS = {"PWD", "OLDPWD"}
_OF_TOTAL = re.compile(r"(?<![\d./])(\d[\d,]*) ?(?:/|of) ?(\d[\d,]*)(?![\d./])")


def clean(text: str) -> str:
    """One line of `text` without what steers a terminal; of a text without end its last 4 KB."""
    shown: str = visible(" ".join(_ESCAPES.sub(" ", text[-_TAIL:]).split()))
    return shown


def _harmless(text: str) -> str:
    """The text without what steers a terminal, but for Ansible's own colours."""
    return "".join(part if _COLOUR.fullmatch(part) else visible(part) for part in _COLOUR.split(text))


def fit(text: str, width: int | None) -> str:
    """The text in `width` columns, cut at its end; whole where the width is None."""
    return text if width is None or len(text) <= width else text[: max(width - 1, 0)] + "…"


def bar(line: str) -> str:
    """A bar for a log line that counts up to a total, such as `120/480` or `120 of 480`; empty for others."""
    counts = _OF_TOTAL.findall(line)
    if not counts:
        return ""
    done, total = (int(number.replace(",", "")) for number in counts[-1])
    if not 0 < total >= done:
        return ""
    filled = round(10 * done / total)
    return f"[{'#' * filled}{'-' * (10 - filled)}] {round(100 * done / total)}%"


@dataclass
class _Host:
    """What is known of one host's run."""

    ledger: dict[str, Any] = field(default_factory=dict)
    folder: str = ""
    # Findings that were shown, by stage, cause and headline.
    shown: set[tuple[str, str, str]] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    late_failures: list[str] = field(default_factory=list)
    headline: str = ""

    @property
    def judged(self) -> str:
        return str(self.ledger.get("verdict") or "") if self.headline else ""


@dataclass
class _Step:
    """The stage that runs now."""

    name: str
    host: str
    since: float
    task: str = ""
    failed: bool = False
    told: float = 0.0


def _never_fails(method: Callable[..., None]) -> Callable[..., None]:
    """What is shown never ends a play: an error in it is told once, and Ansible's own output takes over."""

    @functools.wraps(method)
    def guarded(self: CallbackModule, *args: Any, **kwargs: Any) -> None:
        if not self.broken:
            try:
                method(self, *args, **kwargs)
                return
            except Exception as error:  # noqa: BLE001 - whatever it is
                self.give_up(error)
        own = getattr(Default, method.__name__, None)
        if own is not None:
            with contextlib.suppress(Exception):
                own(self, *args, **kwargs)

    return guarded


class CallbackModule(Default):  # type: ignore[misc]  # Ansible has no types
    """Ansible's events as lines for a person."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "ingest_verify"

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self._hosts: dict[str, _Host] = {}
        self._several = False
        self._step: _Step | None = None
        self._began = time.monotonic()
        self._ended = False
        self._pid = os.getpid()
        self._screen = threading.RLock()
        self._drawn = False
        self._secrets: set[str] = set()
        self._masker = Masker()
        self._read_env_files: set[str] = set()
        self._learn(os.environ)
        self._terminal = sys.stdout.isatty() and os.environ.get("TERM", "") != "dumb"
        marks = {"ok": "✔", "warning": "!", "failed": "✘", "run": "…", "interrupted": "■"}
        try:
            "".join(marks.values()).encode(sys.stdout.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            marks = {"ok": "ok", "warning": "!", "failed": "x", "run": ".", "interrupted": "-"}
        self._marks = marks
        self._stand_before_the_display()
        atexit.register(self._leave)
        threading.Thread(target=self._watch, daemon=True).start()

    # What the play tells.

    @_never_fails
    def v2_playbook_on_start(self, playbook: Any) -> None:
        if self._talks(2):
            super().v2_playbook_on_start(playbook)

    @_never_fails
    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._play = play
        self._learn_of_play(play)
        self._finish_step()
        if self._talks(2):
            self._clear()
            super().v2_playbook_on_play_start(play)
        self._check_mode = play.check_mode

    @_never_fails
    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._note_task(task)
        if self._talks(1):
            self._clear()
            super().v2_playbook_on_task_start(task, is_conditional)

    @_never_fails
    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self.v2_playbook_on_task_start(task, False)

    @_never_fails
    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        name, role = host.get_name(), _place(task)
        if role in _BOOKS:
            return
        step = _step_of(role) or (PREFLIGHT if name == "localhost" else "")
        if not step:
            return
        if self._step and (self._step.name, self._step.host) == (step, name):
            self._step.task = task.get_name()
            return
        if self._step and role == ("run_report", "record_failure"):
            self._step.failed = True
        self._finish_step()
        with self._screen:
            now = time.monotonic()
            self._step = _Step(step, name, now, task.get_name(), told=now)

    @_never_fails
    def v2_runner_on_ok(self, result: Any) -> None:
        self._learn(result.result)
        self._note_result(result)
        if self._talks(1):
            self._clear()
            super().v2_runner_on_ok(result)
        else:
            self._tell_warnings(result)

    @_never_fails
    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._learn(result.result)
        if not ignore_errors:
            host = self._host(result.host.get_name())
            text = _text_of(result.result)
            (host.late_failures if host.judged else host.failures).append(text)
        if self._talks(2):
            self._clear()
            super().v2_runner_on_failed(result, ignore_errors)
        else:
            self._tell_warnings(result)

    @_never_fails
    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._host(result.host.get_name()).failures.append(_text_of(result.result))
        if self._talks(2):
            self._clear()
            super().v2_runner_on_unreachable(result)

    @_never_fails
    def v2_runner_on_skipped(self, result: Any) -> None:
        if self._talks(1):
            self._clear()
            super().v2_runner_on_skipped(result)

    @_never_fails
    def v2_runner_item_on_ok(self, result: Any) -> None:
        if self._talks(1):
            self._clear()
            super().v2_runner_item_on_ok(result)

    @_never_fails
    def v2_runner_item_on_failed(self, result: Any) -> None:
        if self._talks(2):
            self._clear()
            super().v2_runner_item_on_failed(result)

    @_never_fails
    def v2_runner_item_on_skipped(self, result: Any) -> None:
        if self._talks(1):
            self._clear()
            super().v2_runner_item_on_skipped(result)

    @_never_fails
    def v2_playbook_on_include(self, included_file: Any) -> None:
        if self._talks(1):
            self._clear()
            super().v2_playbook_on_include(included_file)

    @_never_fails
    def v2_on_file_diff(self, result: Any) -> None:
        self._clear()
        super().v2_on_file_diff(result)

    @_never_fails
    def v2_runner_retry(self, result: Any) -> None:
        if self._talks(1):
            self._clear()
            super().v2_runner_retry(result)

    @_never_fails
    def v2_playbook_on_no_hosts_matched(self) -> None:
        # --limit leaves the control node out too, whose plays only look at the inventory.
        if "localhost" not in self._play.hosts:
            self._say("No host is left to verify: --limit takes none of the group `clickhouse`.", C.COLOR_ERROR)

    @_never_fails
    def v2_playbook_on_no_hosts_remaining(self) -> None:
        if self._talks(1):
            super().v2_playbook_on_no_hosts_remaining()

    @_never_fails
    def v2_playbook_on_stats(self, stats: Any) -> None:
        if self._step and (stats.failures.get(self._step.host) or stats.dark.get(self._step.host)):
            self._step.failed = True
        self._finish_step()
        self._ended = True
        if self._talks(2):
            super().v2_playbook_on_stats(stats)
        for name in sorted(stats.processed):
            if name in self._hosts:
                report = (stats.custom.get(name) or {}).get("report")
                self._tell_outcome(name, bool(stats.failures.get(name) or stats.dark.get(name)), report)

    # What is made of it.

    def give_up(self, error: Exception) -> None:
        """Tell once that nothing is shown this way any more."""
        self.broken = True
        with contextlib.suppress(Exception):
            self._clear()
            self._display.warning(f"The run's display failed and the play goes on under Ansible's own: {error!r}")

    def _talks(self, verbosity: int) -> bool:
        return bool(self._display.verbosity >= verbosity)

    def _host(self, name: str) -> _Host:
        return self._hosts.setdefault(name, _Host())

    def _note_task(self, task: Any) -> None:
        if self._step and _place(task) not in _BOOKS:
            self._step.task = task.get_name()

    def _learn(self, named: Mapping[str, Any]) -> None:
        """Keep the values of secret names, at any depth, so that they are masked from now on."""
        found = {
            text
            for values in _by_name(named)
            # A template is no value yet: the result of the task that fills it in tells that.
            for text in secret_values({name: value for name, value in values.items() if name not in _NO_SECRETS})
            if "{{" not in text
        }
        for path in {str(values["env_file"]) for values in _by_name(named) if values.get("env_file")}:
            if path not in self._read_env_files:
                self._read_env_files.add(path)
                with contextlib.suppress(OSError):
                    found.update(secret_values(parse_env(Path(path).read_bytes(), path).values))
        if found - self._secrets:
            self._secrets |= found
            self._masker = Masker(sorted(self._secrets))

    def _learn_of_play(self, play: Any) -> None:
        variables = play.get_variable_manager()
        # A pattern without hosts, or a vault that cannot be opened, ends the play by itself.
        with contextlib.suppress(Exception):
            # Of all its batches: `serial` starts the play anew for each.
            hosts = variables._inventory.get_hosts(play.hosts, ignore_restrictions=True)
            self._several = self._several or len(hosts) > 1
            for host in hosts:
                self._learn(variables.get_vars(play=play, host=host, include_hostvars=False))

    def _note_result(self, result: Any) -> None:
        host, role = self._host(result.host.get_name()), _place(result.task)
        answer = result.result
        if result.task.action.rpartition(".")[2] == "run_ledger" and isinstance(answer.get("ledger"), dict):
            host.ledger, host.folder = answer["ledger"], str(answer.get("dir") or "")
            if role[0] == "run_report" and host.ledger.get("verdict"):
                host.headline = str(host.ledger["verdict"])
        elif role[0] == "run_report":
            if result.task.action.rpartition(".")[2] == "run_report" and answer.get("headline"):
                host.headline = f"{answer.get('verdict')}: {answer['headline']}"
            elif (
                result.task.action.rpartition(".")[2] == "debug"
                and host.headline
                and isinstance(answer.get("msg"), str)
            ):
                host.headline = clean(self._masker.text(answer["msg"]).partition("\n")[0])
        elif result.task.action.rpartition(".")[2] == "debug" and answer.get("msg"):
            told = answer["msg"] if isinstance(answer["msg"], list) else [answer["msg"]]
            for line in told:
                told_line = clean(self._masker.text(str(line)))
                self._say(f"    {self._marks['warning']} {told_line}", C.COLOR_HIGHLIGHT)

    def _tell_warnings(self, result: Any) -> None:
        if result.result.get("warnings") or result.result.get("deprecations"):
            self._clear()
            self._handle_warnings(result.result)

    def _finish_step(self) -> None:
        """The line of the stage that ran, with its findings below."""
        with self._screen:
            step, self._step = self._step, None
        if step is None or (step.name in (PREFLIGHT, _REPORT) and not step.failed and step.host == "localhost"):
            return
        if step.name == _REPORT:
            return
        host = self._host(step.host)
        stage = "qtickets_ingest" if step.name == "run_diagnosis" else step.name
        found = [
            finding
            for finding in host.ledger.get("findings", [])
            if finding.get("stage") == stage and finding.get("cause") != CAUSE
        ]
        new = [finding for finding in found if _key(finding) not in host.shown]
        host.shown |= {_key(finding) for finding in new}
        errors = [finding for finding in new if finding["severity"] == "error"]
        warnings = [finding for finding in new if finding["severity"] == "warning"]
        failed = step.failed or bool(errors)
        recorded = host.ledger.get("stages", {}).get(stage, {})
        if step.name == "run_diagnosis":
            told = "no error on the server or in the ingest's log"
        else:
            told = str(recorded.get("summary") or "")
        if failed:
            told = (
                errors[0]["headline"] if errors else (host.failures[-1].partition("\n")[0] if host.failures else told)
            )
        failed = failed or recorded.get("status") == "failed"
        mark = "failed" if failed else "warning" if warnings else "ok"
        self._say_step(step, mark, told)
        for finding in warnings:
            headline = clean(self._masker.text(finding["headline"]))
            self._say(f"    {self._marks['warning']} [{finding['cause']}] {headline}", C.COLOR_WARN)

    def _say_step(self, step: _Step, mark: str, told: str) -> None:
        color = {"ok": C.COLOR_OK, "warning": C.COLOR_WARN}.get(mark, C.COLOR_ERROR)
        took = f"{time.monotonic() - step.since:.1f} s"
        # Masked before it is cut: half of a secret is not known again.
        told = clean(self._masker.text(told))
        text = f"{self._head(step, took)}  {told}".rstrip()
        text = fit(text, self._width(2))
        self._clear()
        self._display.display(f"{stringc(self._marks[mark], color)} {text}")

    def _tell_outcome(self, name: str, failed: bool, report: str | None) -> None:
        """The failure once, then what was changed, the verdict, and the report's path."""
        host, named = self._hosts[name], self._named(name)
        ledger = host.ledger if host.judged else {}
        verdict = host.judged
        others = [text for text in host.late_failures if not verdict or not text.startswith(f"{verdict}:")]
        if verdict == FAIL:
            findings = [Finding.from_dict(finding) for finding in ledger.get("findings", [])]
            self._say(f"\n{named}{render_failure(findings)}", C.COLOR_ERROR)
        elif not verdict and failed:
            others = host.failures[-1:] + others
        for change in ledger.get("changes", []):
            self._say(f"{named}{_change(change)}", C.COLOR_CHANGED)
        for text in others:
            self._say(f"\n{named}{text}", C.COLOR_ERROR)
        took = f"{time.monotonic() - self._began:.1f} s"
        if others and verdict == PASS:
            self._say(f"\n{named}FAILED after the verdict {host.headline} ({took})", C.COLOR_ERROR)
        elif verdict:
            color = C.COLOR_OK if verdict == PASS else C.COLOR_ERROR
            headline = _failed_in(ledger) if verdict == FAIL else host.headline
            self._say(f"\n{named}{headline} ({took})", color)
        elif failed and name != "localhost":
            self._say(f"\n{named}FAILED ({took})", C.COLOR_ERROR)
        elif not verdict and not failed and name != "localhost":
            done = "checked, nothing was changed" if self._check_mode else "done"
            self._say(f"\n{named}{done} ({took})", C.COLOR_OK)
        if report and verdict:
            self._say(f"{named}report: {report}")

    # The screen.

    def _named(self, host: str) -> str:
        return f"{host}: " if self._several else ""

    def _width(self, taken: int = 0) -> int | None:
        if not self._terminal:
            return None
        try:
            return max(os.get_terminal_size(sys.stdout.fileno()).columns - taken, 20)
        except (OSError, ValueError):
            return 80 - taken

    def _say(self, text: str, color: str | None = None) -> None:
        self._clear()
        # Not wrapped: a command that is copied from a terminal's own long line stays one line.
        self._display.display(text, color=color)

    def _stand_before_the_display(self) -> None:
        """Mask whatever is printed, Ansible's own warnings and errors too, take out of it what steers a terminal, and
        let it begin on a line of its own."""
        show = self._display.display

        @functools.wraps(show)
        def display(msg: Any, *args: Any, **kwargs: Any) -> Any:
            if self._terminal and os.getpid() == self._pid:  # a worker's copy has no line
                self._clear()
            return show(_harmless(self._masker.text(str(msg))), *args, **kwargs)

        self._display.display = display

    def _clear(self) -> None:
        """Take the running stage's line away, so that what follows stands alone."""
        with self._screen:
            if self._drawn:
                self._write("\r\x1b[K")
                self._drawn = False

    def _write(self, text: str) -> None:
        # Past Python's buffer: a fork would write that twice.
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            os.write(sys.stdout.fileno(), text.encode(sys.stdout.encoding or "utf-8", "replace"))

    def _watch(self) -> None:
        """The thread that keeps the running stage's line."""
        while not (self._ended or self.broken):
            time.sleep(_TICK_SECONDS)
            try:
                self._tick()
            except Exception as error:  # noqa: BLE001 - the play goes on
                self.give_up(error)

    def _tick(self) -> None:
        with self._screen:
            step, now = self._step, time.monotonic()
            if step is None or self._ended or self._talks(1):
                return
            if self._terminal:
                text = fit(f"{self._marks['run']} {self._running(step, now)}", self._width(1))
                self._write(f"\r{text}\x1b[K")
                self._drawn = True
            elif now - step.told >= _PLAIN_SECONDS:
                step.told = now
                self._display.display(f"{self._marks['run']} {self._running(step, now)}")

    def _running(self, step: _Step, now: float) -> str:
        seconds = int(now - step.since)
        took = f"{seconds} s" if seconds < 60 else f"{seconds // 60} min {seconds % 60:02} s"
        progress = self._progress(step) if step.name == "qtickets_ingest" else {}
        line = clean(self._masker.text(str(progress.get("line") or "")))
        rows = progress.get("rows")
        parts = [
            f"{int(rows):,} rows" if isinstance(rows, int | float) else "",
            bar(line),
            line or step.task.rpartition(" : ")[2],
        ]
        return f"{self._head(step, took)}  {'  '.join(part for part in parts if part)}"

    def _head(self, step: _Step, took: str) -> str:
        return f"{self._named(step.host)}{SHOWN.get(step.name, step.name):<16} {took:>8}"

    def _progress(self, step: _Step) -> dict[str, Any]:
        folder = self._host(step.host).folder
        if not folder:
            return {}
        path = Path(folder) / PROGRESS_FILE
        try:
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                return {}
            read = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return read if isinstance(read, dict) else {}

    def _leave(self) -> None:
        """After Ctrl-C: the stage that did not end, and a line of its own for what follows."""
        if os.getpid() != self._pid or self._ended or self.broken:
            return
        self._ended = True
        with contextlib.suppress(Exception):
            self._clear()
            step = self._step
            if step:
                self._say_step(step, "interrupted", "did not end: the play was stopped here")
            folder = next((host.folder for host in self._hosts.values() if host.folder), "")
            if folder:
                self._say(f"run's folder: {folder}")


def _place(task: Any) -> tuple[str, str]:
    """The task's role, and the file of it that was asked for (`main` where none was)."""
    role = getattr(task, "_role", None)
    if role is None:
        return "", ""
    files = getattr(role, "_from_files", None) or {}
    return role.get_name(), str(files.get("tasks") or "main").rpartition("/")[2].removesuffix(".yml")


def _step_of(place: tuple[str, str]) -> str:
    role, file = place
    if role == "run_context" or (role, file) in _EARLY:
        return PREFLIGHT
    if role == "run_report" or (role, file) == ("clickhouse_reset", "end"):
        return _REPORT
    return role if role in _STEPS else ""


def _by_name(data: Any) -> Iterable[Mapping[str, Any]]:
    """The data's mappings, at any depth, each with names that are texts."""
    if isinstance(data, Mapping):
        yield {
            str(name): value
            for name, value in data.items()
            if isinstance(value, int) or (isinstance(value, str) and len(value) <= _TAIL)
        }
    for value in data.values() if isinstance(data, Mapping) else data if isinstance(data, list | tuple) else ():
        if isinstance(value, Mapping | list | tuple):
            yield from _by_name(value)


def _key(finding: dict[str, Any]) -> tuple[str, str, str]:
    return str(finding.get("stage")), str(finding.get("cause")), str(finding.get("headline"))


def _text_of(result: dict[str, Any]) -> str:
    """A failed task's message; a failed loop keeps it in the results, and a command says more on stderr."""
    failed = [item for item in result.get("results") or [] if isinstance(item, dict) and item.get("failed")]
    result = failed[0] if failed else result
    text = str(result.get("msg") or "the task failed without a message")
    lines = str(result.get("stderr") or result.get("module_stderr") or "").strip().splitlines()
    return "\n".join([text, *lines[-3:]])


def _failed_in(ledger: dict[str, Any]) -> str:
    """The verdict FAIL in one line; the errors in full stand above it."""
    errors = [finding for finding in ledger.get("findings", []) if finding.get("severity") == "error"]
    more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
    if not errors:
        return str(FAIL)
    if all(finding["cause"] == CAUSE for finding in errors):
        return f"{FAIL}: {CAUSE} on the control node; of the stages none failed"
    stage = errors[0]["stage"]
    return f"{FAIL}: {errors[0]['cause']} in {SHOWN.get(stage, stage)}{more}"


def _change(change: dict[str, Any]) -> str:
    way = " -> ".join(str(change[end]) for end in ("from", "to") if change.get(end))
    undo = f"; to undo: {change['undo']}" if change.get("undo") else ""
    return f"changed: {change.get('what', 'something')}{' ' + way if way else ''}{undo}"
