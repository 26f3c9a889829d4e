"""Errors in a log, line by line: tracebacks in the shapes that loggers give them, JSON logs, plain `ERROR` lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from .blocks import MAX_BLOCK_LINES, MAX_MESSAGE_LINES, Block, error_of, group_key, outcome_of, parts_of, report_before
from .errors import ClientError, Frame, Raised, typed_message
from .json_records import (
    cut_json,
    json_code,
    json_level,
    json_message,
    json_object,
    json_parts,
    json_traceback,
    plain_keys,
)
from .levels import ERROR, WARNING
from .line import (
    COUNTERS,
    EPILOGUE,
    ERROR_WORDS,
    LEVEL_SET,
    NOTHING,
    RECORD_BEFORE,
    RECORD_HEAD,
    REQUEST_LINE,
    ROW_SHOWN,
    SHELL_TRACE,
    TIME_STAMP,
    WARNING_WORDS,
    is_record,
    is_tail,
    level_of,
    strip_carriers,
)
from .stack_words import (
    FRAME,
    GO_FUNCTION,
    GO_MARKER,
    GO_STACK,
    OPENS,
    PHP_FRAME,
    PLACED,
    PREFIXED_STACK,
    QUALIFIED,
    RUST_PANIC,
    STACK_LINE,
    THROWN,
    TRACEBACK,
)
from .stacks import continue_markers, continue_stack, continue_told, set_foreign_head
from .tracebacks import continue_traceback, open_traceback

# Different errors kept; a log with more kinds than this repeats itself with changing values.
MAX_GROUPS = 200
MAX_STREAMS = 50
# A line may be a whole dumped payload; what identifies an error stands at its start.
MAX_LINE = 256 << 10
_TIME_KEYS = ("timestamp", "@timestamp", "time", "ts", "asctime", "@t", "t")
# Type, message and chain of a block, as `outcome_of` gives them.
Outcome = tuple[str | None, str, list[tuple[str, str]]]
_FAILED = ("error", "failed", "failure", "fatal")
# What a JSON line says beside `status` when it speaks of the run.
_OF_A_RUN = frozenset({
    "rows_processed", "rows", "rows_written", "written", "inserted", "loaded", "job", "run_id", "metrics", "elapsed",
    "duration", "duration_ms", "duration_seconds", "started_at", "finished_at", "exit_code",
})  # fmt: skip


@dataclass
class Found:
    """What all streams of a log come down to: `errors` in the order of their first appearance, `notes` for what is no
    error and tells of one (warnings, refused requests), `outcome` for the last JSON line with an outcome. Memory is
    bounded by MAX_GROUPS blocks; `dropped` counts what came after."""

    errors: list[ClientError] = field(default_factory=list)
    notes: list[ClientError] = field(default_factory=list)
    outcome: dict[str, Any] | None = None
    dropped: int = 0
    groups: dict[tuple[str, bool, str | None, str], ClientError] = field(default_factory=dict)
    overflow: Callable[[], ClientError] | None = None


class LogParser:
    """Feed it lines, then `finish()`: `found` holds what they come down to. Each service that a collector names before
    its lines has a parser of its own, so that what one prints in the middle of another's traceback does not break it.
    """

    def __init__(self) -> None:
        self.found = Found()
        self._streams: dict[str, ErrorParser] = {}
        self._cut: dict[str, str] = {}
        self._skipped: tuple[str, int] | None = None

    @property
    def idle(self) -> bool:
        """Whether no error is being read, so that uninteresting lines may be skipped."""
        return not self._cut and all(parser.idle for parser in self._streams.values())

    def skip(self, raw: str, count: int = 1) -> None:
        """`count` lines that need no look, `raw` the last of them: kept only as what may stand above a stack."""
        if self._skipped:
            count += self._skipped[1]
        self._skipped = (raw, count)
        if len(self._streams) > 1:
            self._end_skip()

    def _end_skip(self) -> None:
        # Looked at only where one service of several may stand before the next line: most of a log is skipped.
        if self._skipped:
            line = strip_carriers(self._skipped[0])
            self._of(line.stream).skip(line.text, self._skipped[1])
            self._skipped = None

    def feed(self, raw: str, number: int) -> None:
        """One line without its line end, the `number`th of the log."""
        self._end_skip()
        line = strip_carriers(raw)
        text = self._cut.pop(line.stream, "") + line.text
        if line.cut and len(text) < MAX_LINE:
            self._cut[line.stream] = text
            return
        self._of(line.stream).feed(text, line.when, number)

    def finish(self) -> None:
        """End of the log: what is open counts as it is."""
        self._end_skip()
        for parser in self._streams.values():
            parser.finish()
        if self.found.overflow is not None:
            # What a log ends with is what ended the run.
            self.found.errors.append(self.found.overflow())

    def _of(self, stream: str) -> ErrorParser:
        if stream not in self._streams and len(self._streams) >= MAX_STREAMS:
            stream = ""
        return self._streams.setdefault(stream, ErrorParser(stream, self.found))


class ErrorParser:
    """The errors of one stream of lines, put into `found`."""

    def __init__(self, stream: str, found: Found) -> None:
        self._stream, self._found = stream, found
        self._block: Block | None = None
        self._previous: tuple[str, str | None] = ("", None)
        self._number = self._plain = 0
        self._own: list[ClientError] = []
        self._json: list[tuple[str, str | None]] = []
        self._inner = ""
        self._thrown = "", 0

    @property
    def idle(self) -> bool:
        """Whether no error is being read."""
        return self._block is None and not self._json

    def finish(self) -> None:
        """End of the stream."""
        self._end_json()
        self._close()
        for error in self._own:
            error.followed = self._plain - error.followed

    def skip(self, text: str, count: int) -> None:
        """Lines that tell of no error."""
        self._previous = (text, None)
        self._plain += count

    def feed(self, text: str, when: str | None, number: int) -> None:
        """One line, the `number`th of the log."""
        self._number = number
        if thrown := THROWN.match(text):
            self._thrown = thrown[1], number
        if self._json or (self._block is None and text.rstrip() == "{"):
            # One object over several lines, as pretty printers write it.
            self._json.append((text, when))
            if text.rstrip() in ("}", "},") or len(self._json) > MAX_BLOCK_LINES:
                self._end_json()
            return
        self._feed_line(text, when)

    def _end_json(self) -> None:
        lines, self._json = self._json, []
        whole = " ".join(text.strip() for text, _ in lines).removesuffix(",")
        if not lines or self._feed_json(whole, lines[0][1]):
            return
        for text, when in lines:
            self._feed_line(text, when)

    def _feed_line(self, text: str, when: str | None) -> None:
        if (begin := RECORD_BEFORE.match(text)) and self._feed_json(text[begin.end() :], when):
            return
        if when is None and (match := TIME_STAMP.search(text, 0, 80)):
            when = match[0]
        raw, text = text, self._without_head(text)
        if self._block is not None and self._continue(self._block, text):
            if self._block is not None:
                self._block.end = self._number
            return
        self._close()
        self._start(text, when)
        if self._block is not None:
            self._block.end = self._number
        elif text.strip() and not EPILOGUE.match(text.strip()):
            self._plain += 1
        self._previous = (raw, when)

    def _without_head(self, text: str) -> str:
        """A line of a stack without the head that a logger repeats on each line of it."""
        match = PREFIXED_STACK.match(text)
        above = self._block.lines[0] if self._block else self._previous[0]
        if match and re.sub(r"\d", "#", match["head"]) == re.sub(r"\d", "#", above[: match.end("head")]):
            return text[match.end("head") :]
        return text

    # -- one line after the other

    def _start(self, text: str, when: str | None) -> None:
        if OPENS.search(text):
            self._block = Block(when)
            open_traceback(self._block, text)
            # A logger prints the traceback that it was given below its own record, whose level counts for it.
            self._block.level = None if self._block.head else level_of(self._previous[0])[0]
            self._block.warning = self._block.level == WARNING
            return
        if STACK_LINE.match(text) and self._previous[0].strip():
            self._block = block = Block(self._previous[1], lines=[self._previous[0]])
            set_foreign_head(block, self._previous[0])
            continue_stack(block, text)
            return
        if GO_MARKER.match(text):
            self._block = Block(when, [""], "", state="markers")
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
        if LEVEL_SET.search(text) or SHELL_TRACE.match(text) or PHP_FRAME.match(text):
            return
        if RECORD_HEAD.sub("", text, count=1).startswith("Exception ignored "):
            # Raised while an object was cleared away: it ends nothing.
            level = WARNING
        if level is None:
            if COUNTERS.search(text):
                return
            if not ERROR_WORDS.search(text) and not WARNING_WORDS.search(text):
                return
            message = RECORD_HEAD.sub("", text, count=1).strip()
        else:
            telling = {ERROR: None, WARNING: ERROR_WORDS}.get(level, REQUEST_LINE)
            if NOTHING.fullmatch(message) or (telling and not telling.search(text)):
                return
        warning = level in (1, WARNING) or (level is None and not ERROR_WORDS.search(text))
        self._block = Block(when, [text], message, warning=warning, weak=level is None, level=level)
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
        if block.state == "markers" or (block.state == "plain" and GO_MARKER.match(text)):
            return continue_markers(block, text)
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
        announces = block.lines[0].rstrip().endswith(":") and not any(line.strip() for line in block.lines[1:])
        if announces and not is_record(text):
            # It only announces; an exception without a text leaves a blank behind the colon.
            if NOTHING.fullmatch(text.strip()):
                self._block = None
                return True
            block.lines.append(text)
            block.message = f"{block.message} {text.strip()}"
            block.type, _ = typed_message(block.message)
            block.announces, block.blanks = True, 0
            return True
        # An exception's text of several lines: what follows is neither a record of its own nor blank.
        if (
            len(block.lines) < MAX_MESSAGE_LINES
            and not block.blanks
            # The row that a text format could not read is laid out below the message, its failing column last.
            and (not is_record(text) or (ROW_SHOWN.match(text) and ROW_SHOWN.match(block.lines[-1])))
            and (text[0].isspace() or is_tail(text) or (block.announces and len(block.lines) < 20))
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
        found = self._found
        kind, message, chain = outcome_of(block, parts)
        key = (self._stream, block.warning, kind, group_key(message))
        error = found.groups.get(key)
        if error is None and len(found.groups) >= MAX_GROUPS:
            found.dropped += 1
            if not block.warning:
                # Read and masked at the end, and only the last: a log may hold a million of them.
                found.overflow = partial(
                    self._overflow, block, parts, (kind, message, chain), self._thrown, self._plain
                )
            return
        if error is None:
            error = self._error(block, parts, (kind, message, chain), self._thrown)
            found.groups[key] = error
            (found.notes if block.warning else found.errors).append(error)
            self._own.append(error)
        else:
            if parts and not error.traceback:
                known = error_of(block, parts, kind, message, chain)
                error.frame, error.chain, error.text, error.level = known.frame, known.chain, known.text, known.level
                error.traceback, error.libraries, error.raised_in = True, known.libraries, known.raised_in
            error.count += 1
            error.last = block.when or error.last
            error.first = error.first or block.when
        error.line, error.followed = block.end, self._plain

    def _error(self, block: Block, parts: list[Raised], outcome: Outcome, thrown: tuple[str, int]) -> ClientError:
        error = error_of(block, parts, *outcome)
        error.stream = self._stream
        if thrown[1] and 0 < block.end - thrown[1] - len(block.lines) < 6:
            error.raised_in = error.raised_in or thrown[0]
        return error

    def _overflow(
        self, block: Block, parts: list[Raised], outcome: Outcome, thrown: tuple[str, int], plain: int
    ) -> ClientError:
        error = self._error(block, parts, outcome, thrown)
        error.line, error.followed = block.end, self._plain - plain
        return error

    # -- JSON

    def _feed_json(self, text: str, when: str | None) -> bool:
        record = json_object(text)
        if record is None:
            record = cut_json(text)
        if record is None:
            return False
        inner = record.get("log")
        if isinstance(inner, str) and ("stream" in record or "time" in record):
            # Docker's json-file driver: the line itself is inside, long ones in pieces of 16 KiB.
            self._inner += inner
            if not inner.endswith("\n") and len(self._inner) < MAX_LINE and len(inner) > 8192:
                return True
            lines, self._inner = self._inner.splitlines(), ""
            stamp = record.get("time")
            for line in lines:
                told = strip_carriers(line)
                self.feed(told.text, told.when or (stamp if isinstance(stamp, str) else None), self._number)
            return True
        self._close()
        if "outcome" in record or "cause" in record:
            self._found.outcome = record
        elif isinstance(record.get("status"), str) and _OF_A_RUN.intersection(record):
            # Orders and answers have a status too.
            self._found.outcome = record
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
        if trace and level is not None and level < WARNING:
            # The record's own level counts for the traceback in it.
            self._plain += 1
            return True
        if not trace and (level or 1) < ERROR:
            telling = level == WARNING and ERROR_WORDS.search(message)
            if not telling and (level is not None or not (failed or (said and message))):
                self._plain += 1
                self._previous = (message, when)
                return True
        stamp = next((record[key] for key in _TIME_KEYS if record.get(key) is not None), when)
        if isinstance(stamp, Mapping):
            stamp = stamp.get("repr")
        block = Block(None if stamp is None else str(stamp), [text], message, warning=level == WARNING, level=level)
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
        block.end = self._number
        self._block = block
        self._close()
        return True
