"""Errors in a log, line by line: tracebacks in the shapes that loggers give them, JSON logs, plain `ERROR` lines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .blocks import MAX_BLOCK_LINES, MAX_MESSAGE_LINES, Block, error_of, group_key, outcome_of, parts_of, report_before
from .errors import ClientError, Frame, Raised, typed_message
from .json_records import json_code, json_level, json_message, json_object, json_parts, json_traceback, plain_keys
from .levels import ERROR, WARNING
from .log_line import (
    COUNTERS,
    ERROR_WORDS,
    LEVEL_SET,
    NOTHING,
    RECORD_HEAD,
    REQUEST_LINE,
    ROW_SHOWN,
    TIME_STAMP,
    is_record,
    is_tail,
    level_of,
    strip_carriers,
)
from .stack_words import FRAME, GO_FUNCTION, GO_STACK, OPENS, PLACED, QUALIFIED, RUST_PANIC, STACK_LINE, TRACEBACK
from .stacks import continue_stack, continue_told, set_foreign_head
from .tracebacks import continue_traceback, open_traceback

# Different errors kept; a log with more kinds than this repeats itself with changing values.
MAX_GROUPS = 200
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\S+(?:Z|[+-]\d\d:\d\d)$")
_TIME_KEYS = ("timestamp", "@timestamp", "time", "ts", "asctime", "@t", "t")
_FAILED = ("error", "failed", "failure", "fatal")
# What a JSON line says beside `status` when it speaks of the run.
_OF_A_RUN = frozenset({
    "rows_processed", "rows", "rows_written", "written", "inserted", "loaded", "job", "run_id", "metrics", "elapsed",
    "duration", "duration_ms", "duration_seconds", "started_at", "finished_at", "exit_code",
})  # fmt: skip


class ErrorParser:
    """Feed it lines, then `finish()`: `errors` in the order of their first appearance, `notes` for what is no error and
    tells of one (warnings, refused requests), `outcome` for the last JSON line with an outcome. Memory is bounded by
    MAX_GROUPS blocks; `dropped` counts what came after."""

    def __init__(self) -> None:
        self.errors: list[ClientError] = []
        self.notes: list[ClientError] = []
        self.outcome: dict[str, Any] | None = None
        self.dropped = 0
        self._groups: dict[tuple[bool, str | None, str], ClientError] = {}
        self._block: Block | None = None
        self._previous: tuple[str, str | None] = ("", None)
        self._order = 0
        self._overflow: ClientError | None = None
        self._json: list[str] = []

    @property
    def idle(self) -> bool:
        """Whether no error is being read, so that uninteresting lines may be skipped."""
        return self._block is None and not self._json

    def finish(self) -> None:
        """End of the log: what is open counts as it is."""
        self._end_json()
        self._close()
        if self._overflow is not None:
            # What a log ends with is what ended the run.
            self.errors.append(self._overflow)

    def skip(self, raw: str) -> None:
        """A line that needs no look: kept only as what may stand above a stack."""
        self._previous = (raw, None)

    def feed(self, raw: str) -> None:
        """One line without its line end."""
        text, when = strip_carriers(raw)
        if self._json or (self._block is None and text.rstrip() == "{"):
            # One object over several lines, as pretty printers write it.
            self._json.append(raw)
            if text.rstrip() in ("}", "},") or len(self._json) > MAX_BLOCK_LINES:
                self._end_json()
            return
        self._feed_line(raw, text, when)

    def _end_json(self) -> None:
        raws, self._json = self._json, []
        lines = [strip_carriers(raw) for raw in raws]
        whole = " ".join(text.strip() for text, _ in lines).removesuffix(",")
        if not lines or self._feed_json(whole, lines[0][1]):
            return
        for raw, (text, when) in zip(raws, lines, strict=True):
            self._feed_line(raw, text, when)

    def _feed_line(self, raw: str, text: str, when: str | None) -> None:
        if text.startswith("{") and text.rstrip().endswith("}") and self._feed_json(text, when):
            return
        if when is None and (match := TIME_STAMP.search(text, 0, 80)):
            when = match[0]
        if self._block is not None and self._continue(self._block, text):
            return
        self._close()
        self._start(text, when)
        self._previous = (text, when)

    # -- one line after the other

    def _start(self, text: str, when: str | None) -> None:
        if OPENS.search(text):
            self._block = Block(when)
            open_traceback(self._block, text)
            return
        if STACK_LINE.match(text) and self._previous[0].strip():
            self._block = block = Block(self._previous[1], lines=[self._previous[0]])
            set_foreign_head(block, self._previous[0])
            continue_stack(block, text)
            return
        if match := RUST_PANIC.search(text):
            self._block = block = Block(when, [text], match["message"] or "", type="panic", state="rust")
            block.parts = [Raised([Frame(match["file"], int(match["line"]), "")], "panic", [match["message"] or ""])]
            return
        if (match := FRAME.fullmatch(text.strip())) and not match["function"]:
            # A script that cannot be compiled: its place comes without the line that announces a traceback.
            self._block = block = Block(when, [text], "", state="frames")
            block.parts = [Raised([Frame(match["file"], int(match["line"]), "<module>")])]
            return
        level, message = level_of(text)
        if LEVEL_SET.search(text):
            return
        if text.startswith("Exception ignored "):
            # Raised while an object was cleared away: it ends nothing.
            level = WARNING
        if level is None:
            if not ERROR_WORDS.search(text) or COUNTERS.search(text):
                return
            message = RECORD_HEAD.sub("", text, count=1).strip()
        else:
            telling = {ERROR: None, WARNING: ERROR_WORDS}.get(level, REQUEST_LINE)
            if NOTHING.fullmatch(message) or (telling and not telling.search(text)):
                return
        self._block = Block(when, [text], message, warning=level in (1, WARNING), weak=level is None)
        self._block.type, _ = typed_message(message)
        if match := next(filter(None, (pattern.search(message) for pattern in PLACED)), None):
            found = match.groupdict()
            frame = Frame(found["file"], int(found["line"]), found.get("function") or "")
            self._block.parts = [Raised([frame], found.get("type"), [found["message"]])]
            self._block.message = found["message"]

    def _continue(self, block: Block, text: str) -> bool:
        """Take the line into the open block, or say that it belongs to the next record."""
        if len(block.lines) > MAX_BLOCK_LINES:
            return False
        if OPENS.search(text):
            # Words of a line without a level are no head of what happens to follow it, unless it announces something.
            if block.weak and block.state == "plain" and not block.lines[-1].rstrip().endswith(":"):
                return False
            return continue_traceback(block, text)
        if block.state == "plain":
            return self._continue_plain(block, text)
        if block.state == "stack":
            return continue_stack(block, text)
        if block.state in ("rust", "causes"):
            return continue_told(block, text)
        return continue_traceback(block, text)

    def _continue_plain(self, block: Block, text: str) -> bool:
        if ".go:" in block.lines[0] and GO_FUNCTION.match(text):
            block.go = True
            block.parts.append(Raised(message=[block.message or ""]))
            return continue_stack(block, text)
        if STACK_LINE.match(text):
            set_foreign_head(block, next(line for line in reversed(block.lines) if line.strip()))
            return continue_stack(block, text)
        if block.weak and text.strip() and not text.strip("^~ \t"):
            # It was a line of source code, which an interpreter quotes above the error itself.
            self._block = None
            return True
        if text.strip() == "Caused by:":
            block.state = "causes"
            block.lines.append(text)
            return True
        if QUALIFIED.match(text[:1000]) and not block.weak:
            block.lines.append(text)
            block.message = f"{block.message}\n{text.strip()}"
            return True
        if not text.strip():
            block.blanks += 1
            block.lines.append(text)
            return block.blanks < 2
        if len(block.lines) == 1 and block.lines[0].endswith(":") and not is_record(text):
            # It only announces; an exception without a text leaves a blank behind the colon.
            if NOTHING.fullmatch(text.strip()):
                self._block = None
                return True
            block.lines.append(text)
            block.message = f"{block.message} {text.strip()}"
            block.type, _ = typed_message(block.message)
            return True
        # An exception's text of several lines: what follows is neither a record of its own nor blank.
        if (
            len(block.lines) < MAX_MESSAGE_LINES
            and not block.blanks
            # The row that a text format could not read is laid out below the message, its failing column last.
            and (not is_record(text) or (ROW_SHOWN.match(text) and ROW_SHOWN.match(block.lines[-1])))
            and (text[0].isspace() or is_tail(text))
        ):
            block.lines.append(text)
            block.message = f"{block.message}\n{text.strip()}"
            return True
        return False

    # -- finished blocks

    def _close(self) -> None:
        block, self._block = self._block, None
        if block is None or (block.state == "frames" and not block.message and block.parts[-1].type is None):
            return
        parts = parts_of(block)
        if head := report_before(block, parts):
            self._keep(head, [])
        self._keep(block, parts)

    def _keep(self, block: Block, parts: list[Raised]) -> None:
        self._order += 1
        kind, message, chain = outcome_of(block, parts)
        key = (block.warning, kind, group_key(message))
        known = self._groups.get(key)
        if known is None and len(self._groups) >= MAX_GROUPS:
            self.dropped += 1
            if not block.warning:
                self._overflow = error_of(block, parts, kind, message, chain)
                self._overflow.order = self._order
        elif known is None:
            self._groups[key] = error = error_of(block, parts, kind, message, chain)
            (self.notes if block.warning else self.errors).append(error)
            error.order = self._order
        else:
            if parts and not known.traceback:
                error = error_of(block, parts, kind, message, chain)
                known.frame, known.chain, known.text = error.frame, error.chain, error.text
                known.traceback, known.libraries = error.traceback, error.libraries
            known.count += 1
            known.last = block.when or known.last
            known.first = known.first or block.when
            known.order = self._order

    # -- JSON

    def _feed_json(self, text: str, when: str | None) -> bool:
        record = json_object(text)
        if record is None:
            return False
        inner = record.get("log")
        if isinstance(inner, str) and ("stream" in record or "time" in record):
            # Docker's json-file driver: the line itself is inside.
            stamp = record.get("time")
            for line in inner.splitlines():
                self.feed(f"{stamp} {line}" if isinstance(stamp, str) and _RFC3339.match(stamp) else line)
            return True
        self._close()
        if "outcome" in record or "cause" in record:
            self.outcome = record
        elif isinstance(record.get("status"), str) and _OF_A_RUN.intersection(record):
            # Orders and answers have a status too.
            self.outcome = record
        own, record = record, plain_keys(record)
        level = json_level(record)
        trace = json_traceback(record)
        message = json_message(record)
        errors = [record.get(key) for key in ("error", "err", "exception", "errormessage")]
        failed = any(error and not NOTHING.fullmatch(str(error)) for error in errors)
        # Only its result says that something failed: the loader's last words, or a record of its data.
        said = "cause" not in record and (
            record.get("success") is False or str(record.get("status")).lower() in _FAILED
        )
        if not trace and (level or 1) < ERROR:
            telling = level == WARNING and ERROR_WORDS.search(message)
            if not telling and (level is not None or not (failed or (said and message))):
                return True
        stamp = next((record[key] for key in _TIME_KEYS if record.get(key) is not None), when)
        if isinstance(stamp, Mapping):
            stamp = stamp.get("repr")
        block = Block(None if stamp is None else str(stamp), [text], message, warning=level == WARNING)
        block.weak = not (failed or trace) and level is None
        block.type, _ = typed_message(message)
        block.parts, block.code = json_parts(record, trace), json_code(own)
        if TRACEBACK in trace:
            # A serializer escapes what is inside a string once more.
            for line in trace[trace.index(TRACEBACK) :].splitlines():
                if not self._continue(block, line):
                    break
        else:
            for line in trace.splitlines():
                if not STACK_LINE.match(line):
                    # Go names the function on the line above its place.
                    block.lines.append(line)
                    continue
                if not block.parts and GO_STACK.search(trace):
                    block.parts.append(Raised(message=[message]))
                elif not block.parts:
                    set_foreign_head(block, trace.splitlines()[0])
                continue_stack(block, line)
        self._block = block
        self._close()
        return True
