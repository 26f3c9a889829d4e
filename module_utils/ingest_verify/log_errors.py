"""Errors in a log, line by line: tracebacks in the shapes that loggers give them, JSON logs, plain `ERROR` lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .masking import mask_evidence

# Different errors kept; a log with more kinds than this repeats itself with changing values.
MAX_GROUPS = 200
MAX_TEXT = 4000
# A traceback of a runaway recursion has a thousand frames; message lines of an exception may carry a whole statement.
MAX_BLOCK_LINES = 400
MAX_MESSAGE_LINES = 60

TIME = r"\d{4}[-/.]\d\d[-/.]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:\s?(?:Z|[+-]\d\d:?\d\d))?"
_TIME = re.compile(TIME)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# What carriers put before each line: compose, `docker logs -t` and Kubernetes, CRI, kubectl --prefix, journald.
_CARRIERS = (
    re.compile(r"^[\w.-]+\s+\| ?(?=\S|\s|$)"),
    re.compile(r"^(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) "),
    re.compile(r"^std(?:out|err) [FP] "),
    re.compile(r"^\[pod/[^\]]+\] "),
    re.compile(r"^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ [\w./@-]+(?:\[\d+\])?: "),
)
# A record's own head, which some loggers repeat on each line of a traceback.
_RECORD_HEAD = re.compile(
    rf"^\[?(?P<time>{TIME})\]?[\s|:,-]*(?:\[?(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b\]?)?"
    r"(?:\s*(?:\[[^\]]*\]|[\w.:-]+(?=\s[-|:]\s)))?[\s|:-]{0,3}",
    re.IGNORECASE,
)

_LEVELS = {
    **dict.fromkeys(("error", "err", "critical", "crit", "fatal", "severe", "alert", "emerg", "emergency", "panic"), 3),
    **dict.fromkeys(("warn", "warning"), 2),
    **dict.fromkeys(("info", "information", "notice", "debug", "trace", "verbose", "fine", "ok", "success"), 1),
}
_ERROR, _WARNING = 3, 2
_LEVEL_NAMES = "|".join(sorted(_LEVELS, key=len, reverse=True))
# Upper case anywhere near the start, lower case only where a level stands: `level=error`, `[error]`, `error:`.
_LEVEL = re.compile(
    rf"(?:(?<![\w.=/'\"-])(?P<upper>{_LEVEL_NAMES.upper()})(?![\w=/'\"])(?!\s*=)"
    rf"|\b(?:level|lvl|severity)=\"?(?P<key>{_LEVEL_NAMES})\b\"?"
    rf"|[\[<|]\s*(?P<box>{_LEVEL_NAMES})\s*[\]>|]"
    rf"|^(?:{TIME}\s+)?(?P<lead>{_LEVEL_NAMES})\s*:"
    r"|^(?P<glog>[IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ )",
    re.IGNORECASE,
)
_GLOG = {"I": 1, "W": 2, "E": 3, "F": 3}

_TYPE = r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*"
_TYPE_TAIL = r"(?:Error|Exception|Warning|Interrupt|Exit|Timeout|Refused|Group|NotFound|Failure|Iteration|Mismatch)"
_TYPED = re.compile(rf"(?<![\w.])((?:[A-Za-z_]\w*\.)*[A-Z]\w*?{_TYPE_TAIL}\w*)(?::\s|\((?=['\"\d)\[]|[A-Z]\w+\()|\s*$)")
_REPR = re.compile(rf"(?<![\w.])((?:[A-Za-z_]\w*\.)*[A-Z]\w*?{_TYPE_TAIL})\((.*)\)")
_EXCEPTION_LINE = re.compile(rf"^({_TYPE})(?:: ?(.*))?$")

_TRACEBACK = "Traceback (most recent call last)"
_FRAME = re.compile(r"File \"(?P<file>[^\"]+)\", line (?P<line>\d+)(?:, in (?P<function>.+))?")
_RICH_FRAME = re.compile(r"^\s*(?P<file>[^\s:]+\.py):(?P<line>\d+) in (?P<function>\S+)")
_RICH_CODE = re.compile(r"^\s*❱\s*\d+\s*(?:│\s*)?(?P<code>.*?)\s*$")
_GUTTER = re.compile(r"^(\s*)(?:\+-\+-+ \d+ -+|\+-+$|[|+] )")
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")

# Frames of other languages: JVM, .NET and Node (`at ...`), Go, PHP, Ruby.
_AT_FRAME = re.compile(
    r"^\s+at (?:(?P<function>[^()]*?) ?\(?)?(?P<file>[^\s():]+\.\w+):(?P<line>\d+)(?::\d+)?\)?$"
    r"|^\s+at (?P<net>.+?) in (?P<net_file>.+):line (?P<net_line>\d+)$"
)
_STACK_LINE = re.compile(r"^\s+at \S|^Caused by: |^\s*\.\.\. \d+ (?:more|common)|^goroutine \d+ |^\s+/\S+\.go:\d+")
_GO_FRAME = re.compile(r"^\s+(?P<file>/\S+\.go):(?P<line>\d+)")
_CAUSED_BY = re.compile(rf"^Caused by: ({_TYPE})(?:: (.*))?$")
_FOREIGN_HEAD = re.compile(
    rf"(?:Exception in thread \"[^\"]*\" |Unhandled exception\. |Uncaught |^)({_TYPE}{_TYPE_TAIL}\w*)(?::\s*(.*))?$"
)

# Words that make a line without a level an error; and counters of errors, which do not.
_WORDS = (
    r"\berrors?\b|\w(?:Error|Exception)\b|\bexception\b|\bfatal\b|\bfail(?:ed|ure)?\b|\bpanic\b|\bcannot\b"
    r"|\bcould ?n[o']t\b|\bunable to\b|\brefused\b|\bdenied\b|\btimed out\b|\bnot found\b|\bno such\b|\bunauthorized\b"
    r"|\bKilled\b|\bSegmentation fault\b|\bout of memory\b|\baborted\b|\bcore dumped\b"
    r"|ошибк|исключени|не удалось|сбой|аварийн|отказано|помилк|не вдалося|błąd|wyjątek|fehler|ausnahme|erreur"
    r"|échou|\bechec\b|échec|\berrore\b|\bfallo\b|\bfalló\b|\bexcepción\b|\berro\b|falha|hata|错误|錯誤|失败|异常|エラー|失敗|例外|오류"
)
_ERROR_WORDS = re.compile(_WORDS, re.IGNORECASE)
_COUNTERS = re.compile(
    r"\b(?:no|0|without|zero|без|нет) (?:\w+ )?(?:errors?|failures?|failed|ошибок)|\b(?:errors|failures|failed|fails)[\"']?\s*[:=]\s*0\b"
    r"|\berror_?(?:s|_?count|_?rate)?[\"']?=0\b|\berrors?[\"']?\s*[:=]\s*(?:None|null|\[\]|\"\"|'')(?!\w)|\bошибок:?\s*0\b",
    re.IGNORECASE,
)
# A fast look at a line: one that matches none of this is neither an error nor part of one.
INTERESTING = re.compile(
    _WORDS + r"|traceback|critical|severe|emerg|\balert\b|\bcrit\b|\bwarn|caused by|^\s+at \S|^[EF]\d{4} "
    r"|\\\"level\\\"|\"(?:level|severity|levelname)\"\s*:\s*(?:[45678]0\b|\"(?:e|c|f|w|a))|\"(?:outcome|cause|status)\"",
    re.IGNORECASE,
)

_SERVER_CODE = (
    re.compile(r"\bCode:\s*(\d+)\.\s*(?:Nested:.*)?\s*DB::(?:\w*Exception)", re.DOTALL),
    re.compile(r"\bCode:\s*(\d+),\s*e\.displayText\(\)"),
    re.compile(r"received ClickHouse error code (\d+)"),
    re.compile(r"x-clickhouse-exception-code[\"']?\s*[:=,]\s*[\"']?(\d+)", re.IGNORECASE),
    re.compile(r"\bcode: (\d+), message: "),
    re.compile(r"\bcode: ['\"](\d+)['\"],\s*type: ['\"][A-Z_]+['\"]"),
)
_HTTP_STATUS = (
    re.compile(r"\b([45]\d\d) (?:Client|Server) Error\b"),
    re.compile(r"\b(?:Client|Server) error ['\"]([45]\d\d)\b"),
    re.compile(r"\bHTTP(?:/\d(?:\.\d)?)?[\"']?[\s:=]+(?:status(?: code)?[\s:=]+|error[\s:=]+)?([45]\d\d)\b", re.IGNORECASE),
    re.compile(r"\b(?:status|statusCode|status_code|response|http)(?:[ _-]?(?:code|status))?[\"']?\s*[:=(]?\s*[\"']?([45]\d\d)\b", re.IGNORECASE),
    re.compile(r"\bGot ([45]\d\d)\b|\b([45]\d\d) (?:Unauthorized|Forbidden|Too Many Requests|Internal Server Error|Bad Gateway|Service (?:Temporarily )?Unavailable|Gateway Time-?out)\b", re.IGNORECASE),
)

_LIBRARY = re.compile(
    r"(?:^|/)(?:site|dist)-packages/|(?:^|[/\\])lib/python\d[\d.]*/|(?:^|[/\\])Lib[/\\](?!.*[/\\]src[/\\])"
    r"|^<|^frozen |/node_modules/|^node:|^internal/|/go/pkg/mod/|/usr/(?:local/)?go/src/|^(?:Native|Unknown) ",
)
_PACKAGE = re.compile(r"(?:site|dist)-packages/([^/]+)")


@dataclass
class Frame:
    """One place in code: `file` as the log names it, `line` from 1, the line's text where the log has it."""

    file: str
    line: int
    function: str
    code: str | None = None


@dataclass
class ClientError:
    """One kind of error that a client logged, seen `count` times between `first` and `last` (the log's own times).

    `type` and `message` are those of the exception that came out last; `chain` lists (type, message) in the order
    printed, so its first entry is where it began. `frame` is the innermost frame of the user's own code in the first
    traceback that has one. `server_code` is set only where the text proves that the server said it: a bare number never
    is a code. `libraries` names third-party packages on the stack. `weak` marks a line that has no level, only words.
    """

    type: str | None
    message: str
    frame: Frame | None = None
    first: str | None = None
    last: str | None = None
    count: int = 1
    chain: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""
    server_code: int | None = None
    http_status: int | None = None
    libraries: list[str] = field(default_factory=list)
    traceback: bool = False
    weak: bool = False


def server_code(text: str) -> int | None:
    """The server's exception code if `text` proves that the server sent it, else None.

    clickhouse-driver prints client-side failures as `Code: 210. Connection refused` too; only `DB::Exception`, the
    exception-code header and the structured forms of the Go, JavaScript and connect clients are the server's.
    """
    for pattern in _SERVER_CODE:
        if match := pattern.search(text):
            return int(match[1])
    return None


def http_status(text: str) -> int | None:
    """The first HTTP error status (400 to 599) that `text` names as one, else None."""
    for pattern in _HTTP_STATUS:
        if match := pattern.search(text):
            return int(next(group for group in match.groups() if group))
    return None


def is_library(path: str) -> bool:
    """Whether a frame's file belongs to the language or an installed package."""
    return _LIBRARY.search(path) is not None


def own_frame(frames: list[Frame]) -> Frame | None:
    """The innermost frame of the user's own code. A program installed as a package has none outside site-packages:
    then it is the innermost frame of the package that the stack enters first."""
    own = [frame for frame in frames if not is_library(frame.file)]
    if own:
        return own[-1]
    packages = [(match[1], frame) for frame in frames if (match := _PACKAGE.search(frame.file))]
    return next((frame for name, frame in reversed(packages) if name == packages[0][0]), None)


@dataclass
class _Part:
    """One traceback: its frames and the exception that ends it."""

    frames: list[Frame] = field(default_factory=list)
    type: str | None = None
    message: list[str] = field(default_factory=list)


@dataclass
class _Block:
    """Lines that belong to one error while they are being read."""

    when: str | None
    lines: list[str] = field(default_factory=list)
    message: str | None = None
    type: str | None = None
    parts: list[_Part] = field(default_factory=list)
    column: int = 0
    state: str = "plain"  # plain -> frames -> after; `stack` for other languages
    headed: bool = False
    rich: bool = False
    warning: bool = False
    weak: bool = False
    blanks: int = 0


class ErrorParser:
    """Feed it lines, then `finish()`: `errors` in the order of their first appearance, `notes` for warnings that
    tell of failures, `outcome` for the last JSON line with an outcome. Memory is bounded by MAX_GROUPS blocks."""

    def __init__(self) -> None:
        self.errors: list[ClientError] = []
        self.notes: list[ClientError] = []
        self.outcome: dict[str, Any] | None = None
        self.dropped = 0
        self._groups: dict[tuple[bool, str | None, str], ClientError] = {}
        self._block: _Block | None = None
        self._previous: tuple[str, str | None] = ("", None)

    @property
    def idle(self) -> bool:
        """Whether no error is being read, so that uninteresting lines may be skipped."""
        return self._block is None

    def finish(self) -> None:
        """End of the log: what is open counts as it is."""
        self._close()

    def skip(self, raw: str) -> None:
        """A line that INTERESTING does not match: kept only as what may stand above a stack."""
        self._previous = (raw, None)

    def feed(self, raw: str) -> None:
        """One line without its line end."""
        text, when = _strip_carriers(raw)
        if text.startswith("{") and text.rstrip().endswith("}") and self._feed_json(text, when):
            return
        if when is None and (match := _TIME.search(text, 0, 80)):
            when = match[0]
        if self._block is not None and self._continue(text):
            return
        self._close()
        self._start(text, when)
        self._previous = (text, when)

    # -- blocks

    def _start(self, text: str, when: str | None) -> None:
        if _TRACEBACK in text:
            self._block = _Block(when)
            self._open_traceback(text)
            return
        if _STACK_LINE.match(text) and self._previous[0].strip():
            self._block = _Block(self._previous[1], lines=[self._previous[0]], state="stack")
            self._set_foreign_head(self._block, self._previous[0])
            self._continue(text)
            return
        level, message = _level_of(text)
        if level is None:
            if not _ERROR_WORDS.search(text) or _COUNTERS.search(text):
                return
            message = _RECORD_HEAD.sub("", text, count=1).strip()
        elif level == 1 or (level == _WARNING and not _ERROR_WORDS.search(message)):
            return
        block = _Block(when, lines=[text], message=message, warning=level == _WARNING, weak=level is None)
        block.type, _ = _typed_message(message)
        if "\\n" in text and _TRACEBACK.split(" (")[0] in text:
            block.message = message
        self._block = block

    def _open_traceback(self, text: str) -> None:
        block = self._block
        assert block is not None  # noqa: S101 - the callers have just set it
        before, _, after = text.partition(_TRACEBACK)
        if "\\n" in after:
            # One line holds it all, escaped by a logger (logfmt, repr).
            head = before.strip()
            if head and not block.lines:
                block.lines.append(head)
                block.message = _level_of(head)[1]
            for line in _unescape(_TRACEBACK + after).splitlines():
                if line.startswith(_TRACEBACK):
                    self._open_traceback(line)
                else:
                    self._continue(line)
            return
        block.rich = "─" in before
        head = _RECORD_HEAD.match(text)
        block.headed = head is not None and head.end() > 0
        # Indentation of a whole traceback (a logger's or a wrapper's) counts only where nothing else stands before it.
        block.column = len(before) if before.isspace() else 0
        if before.strip(" +|╭─") and not block.lines:
            block.message = _level_of(before)[1].strip()
        block.lines.append(text)
        block.state = "frames"
        block.parts.append(_Part())

    def _continue(self, text: str) -> bool:
        """Take the line into the open block, or say that it belongs to the next record."""
        block = self._block
        assert block is not None  # noqa: S101 - the callers have just looked
        if len(block.lines) > MAX_BLOCK_LINES:
            return False
        if _TRACEBACK in text:
            if block.state == "plain" or block.state == "chained" or (block.parts and _GUTTER.match(text)):
                self._open_traceback(text)
                return True
            return False
        return {
            "plain": self._continue_plain,
            "frames": self._continue_frames,
            "after": self._continue_after,
            "chained": self._continue_after,
            "stack": self._continue_stack,
        }[block.state](block, text)

    def _continue_plain(self, block: _Block, text: str) -> bool:
        if _STACK_LINE.match(text):
            self._set_foreign_head(block, block.lines[-1])
            return self._continue_stack(block, text)
        if not text.strip():
            block.blanks += 1
            return block.blanks < 2
        # An exception's text of several lines: what follows is neither a record of its own nor blank.
        if len(block.lines) < MAX_MESSAGE_LINES and not _is_record(text) and (text[0].isspace() or _is_tail(text)):
            block.lines.append(text)
            block.message = f"{block.message}\n{text.strip()}"
            return True
        return False

    def _continue_frames(self, block: _Block, text: str) -> bool:
        part = block.parts[-1]
        content = self._content(block, text)
        if match := (_RICH_FRAME if block.rich else _FRAME).search(content):
            part.frames.append(Frame(match["file"], int(match["line"]), (match["function"] or "<module>").strip()))
        elif block.rich and (match := _RICH_CODE.match(content)):
            if part.frames:
                part.frames[-1].code = match["code"] or None
        elif content.startswith((" ", "\t", ">", "└", "│", "╰")) or not content.strip():
            stripped = content.strip()
            if part.frames and part.frames[-1].code is None and stripped and not set(stripped) <= set("^~"):
                part.frames[-1].code = None if block.rich else stripped
        elif match := _EXCEPTION_LINE.match(content.rstrip()):
            part.type, part.message = match[1], [match[2] or ""]
            block.state = "after"
        else:
            # Not an exception's line: the traceback was cut here (a log limit, a crash while writing it).
            return False
        block.lines.append(text)
        return True

    def _continue_after(self, block: _Block, text: str) -> bool:
        content = self._content(block, text)
        if any(content.strip().startswith(chained) for chained in _CHAINED):
            block.state = "chained"
        elif not content.strip() or set(content.strip()) <= set("+-0123456789 .") and "--" in content:
            block.blanks += 1
            if block.blanks > 6:
                return False
            if block.state == "after" and not content.strip():
                block.lines.append(text)
                block.state = "after"
                self._blank_after = True
                return True
        elif block.state == "after" and self._is_message_tail(block, content, text):
            block.parts[-1].message.append(content.strip())
        else:
            return False
        block.lines.append(text)
        self._blank_after = False
        return True

    _blank_after = False

    def _is_message_tail(self, block: _Block, content: str, text: str) -> bool:
        if self._blank_after or _is_record(text if not block.headed else content):
            return False
        return len(block.parts[-1].message) < MAX_MESSAGE_LINES and (content[0].isspace() or _is_tail(content))

    def _continue_stack(self, block: _Block, text: str) -> bool:
        block.state = "stack"
        part = block.parts[-1]
        if match := _AT_FRAME.match(text):
            file, line = match["file"] or match["net_file"], match["line"] or match["net_line"]
            # These languages print the innermost frame first, Python prints it last.
            part.frames.insert(0, Frame(file, int(line), (match["function"] or match["net"] or "").strip()))
        elif match := _GO_FRAME.match(text):
            part.frames.insert(0, Frame(match["file"], int(match["line"]), block.lines[-1].strip()))
        elif match := _CAUSED_BY.match(text):
            block.parts.append(_Part(type=match[1], message=[match[2] or ""]))
        elif not (_STACK_LINE.match(text) or (text.strip() and "go" in block.lines[0] and not _is_record(text)) or not text.strip()):
            return False
        elif not text.strip():
            block.blanks += 1
            if block.blanks > 2:
                return False
        block.lines.append(text)
        return True

    def _set_foreign_head(self, block: _Block, line: str) -> None:
        message = _level_of(line)[1].strip()
        match = _FOREIGN_HEAD.search(message)
        block.parts.append(_Part(type=match[1] if match else None, message=[(match[2] or "") if match else message]))

    def _content(self, block: _Block, text: str) -> str:
        if block.rich:
            return re.sub(r"^[│╭╰]\s?|\s*[│╮╯]$", "", text)
        if block.headed and (match := _RECORD_HEAD.match(text)):
            text = text[match.end() :]
        while match := _GUTTER.match(text):
            text = text[match.end() :] if "|" in match[0] or "+ " in match[0] else ""
        return text[block.column :] if text[: block.column].isspace() else text

    def _close(self) -> None:
        block, self._block = self._block, None
        self._blank_after = False
        if block is not None:
            self._add(_error_of(block), block.warning)

    def _add(self, error: ClientError, warning: bool) -> None:
        key = (warning, error.type, _group_key(error.message))
        known = self._groups.get(key)
        if known is None:
            if len(self._groups) >= MAX_GROUPS:
                self.dropped += 1
                return
            self._groups[key] = error
            (self.notes if warning else self.errors).append(error)
            return
        known.count += error.count
        known.last = error.last or known.last
        known.first = known.first or error.first
        if error.traceback and not known.traceback:
            known.frame, known.chain, known.text, known.traceback = error.frame, error.chain, error.text, True
            known.libraries = error.libraries

    # -- JSON

    def _feed_json(self, text: str, when: str | None) -> bool:
        try:
            record = json.loads(text)
        except ValueError:
            return False
        if not isinstance(record, dict):
            return False
        inner = record.get("log")
        if isinstance(inner, str) and ("stream" in record or "time" in record):
            # Docker's json-file driver: the line itself is inside.
            stamp = record.get("time")
            for line in inner.splitlines():
                text = f"{stamp} {line}" if isinstance(stamp, str) and re.match(r"\d{4}-\d\d-\d\dT\S+Z$", stamp) else line
                self.feed(text)
            return True
        self._close()
        if "outcome" in record or "cause" in record or isinstance(record.get("status"), str):
            self.outcome = record
        level = _json_level(record)
        trace = _json_traceback(record)
        if level is None and not trace and not (record.get("error") or record.get("exception")):
            return True
        if level is not None and level < _WARNING and not trace:
            return True
        stamp = next((record[key] for key in ("timestamp", "@timestamp", "time", "ts", "asctime", "@t", "t") if key in record), when)
        message = _json_message(record)
        if level == _WARNING and not trace and not _ERROR_WORDS.search(message):
            return True
        block = _Block(str(stamp) if stamp is not None else None, lines=[text], message=message, warning=level == _WARNING)
        block.type, _ = _typed_message(message)
        self._block = block
        for part in _json_parts(record):
            block.parts.append(part)
        for line in trace.splitlines():
            if block.parts and block.state == "plain" and _STACK_LINE.match(line):
                self._continue_stack(block, line)
            elif not self._continue(line):
                break
        self._close()
        return True


def _strip_carriers(raw: str) -> tuple[str, str | None]:
    text = _ANSI.sub("", raw) if "\x1b" in raw else raw
    text = text.rstrip("\r\n\0").lstrip("\ufeff\0")
    when = None
    for _ in range(3):
        for carrier in _CARRIERS:
            if match := carrier.match(text):
                when = match.groupdict().get("time") or when
                text = text[match.end() :]
                break
        else:
            break
    return text, when


def _level_of(text: str) -> tuple[int | None, str]:
    """(3 for errors, 2 for warnings, 1 below, None without a level; the message behind level and logger name)."""
    match = _LEVEL.search(text, 0, 160)
    while match and match["upper"] and match["upper"] != match["upper"].upper():
        match = _LEVEL.search(text, match.end(), 160)
    if not match:
        return None, text
    if match["glog"]:
        return _GLOG[match["glog"]], text.partition("] ")[2] or text
    level = _LEVELS[next(value for value in (match["upper"], match["key"], match["box"], match["lead"]) if value).lower()]
    message = text[match.end() :]
    if match["key"]:
        found = re.findall(r"\b(msg|message|err|error|exc|exception)=(?:\"((?:[^\"\\]|\\.)*)\"|(\S+))", text)
        message = ": ".join((quoted or bare).replace('\\"', '"') for _, quoted, bare in found) or message
    message = re.sub(r"^:[\w.]+:(?!\s)", "", message)
    message = re.sub(r"^[\s\]|:)>-]+", "", message)
    # `logger - message` and loguru's `module:function:12 - message`.
    message = re.sub(r"^\[?[\w.<>/-]+(?::[\w<>.]+)*\]?\s+[-|]\s+|^\[[\w./ -]+(?::\d+)?\]:?\s+", "", message)
    return level, message.strip()


def _is_record(text: str) -> bool:
    """Whether a line begins a log record of its own."""
    return bool(_TIME.match(text.lstrip("[ "))) or text.startswith("{") or _level_of(text[:120])[0] is not None


def _is_tail(text: str) -> bool:
    """Whether an unindented line may go on with an exception's text: known shapes only, or prose would be eaten."""
    return bool(re.match(r"(?:Code: \d+|DB::|Stack trace|\d+\. |\[SQL|\[parameters|\(Background|HTTPDriver|Nested|Received|Check |LINE \d|DETAIL|HINT|For more information)", text))


def _unescape(text: str) -> str:
    return text.replace("\\r", "").replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"').replace("\\'", "'")


def _typed_message(message: str) -> tuple[str | None, str]:
    """An exception type named in a line, and what stands behind it (`repr` is taken apart)."""
    if match := _REPR.search(message):
        return match[1], match[2].rstrip(",")
    if match := _TYPED.search(message):
        return match[1], message[match.end() :].strip()
    return None, message


def _group_key(message: str) -> str:
    # Short texts are told apart exactly: 1 and 'event_id' are all that an exception said.
    if len(message) <= 24:
        return message
    return re.sub(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|\d+", "#", message)[:500]


def _error_of(block: _Block) -> ClientError:
    parts = [part for part in block.parts if part.type or part.frames or part.message]
    raw = "\n".join(block.lines)
    chain = [(part.type or "", "\n".join(part.message).strip()) for part in parts]
    if parts and block.state == "stack":
        # JVM style prints the outcome first and its origin last.
        chain.reverse()
    frame = next((found for part in (reversed(parts) if block.state == "stack" else parts) if (found := own_frame(part.frames))), None)
    kind, message = (chain[-1][0] or None, chain[-1][1]) if chain else (None, block.message or "")
    if not chain:
        kind, rest = _typed_message(message)
        if kind:
            chain = [(kind, rest)]
    elif block.state != "stack" and kind is None:
        kind, message = block.type, block.message or message
    libraries: list[str] = []
    for part in parts:
        for found in (match[1] for frame_ in part.frames if (match := _PACKAGE.search(frame_.file))):
            if found not in libraries:
                libraries.append(found)
    masked = mask_evidence(raw)
    if len(masked) > MAX_TEXT:
        masked = masked[: MAX_TEXT // 3] + "\n... cut ...\n" + masked[-MAX_TEXT * 2 // 3 :]
    whole = raw + "\n" + message
    if frame is not None and frame.code:
        frame.code = mask_evidence(frame.code)
    return ClientError(
        type=kind,
        message=mask_evidence(message).strip()[:MAX_TEXT],
        frame=frame,
        first=block.when,
        last=block.when,
        chain=[(name, mask_evidence(text)[:MAX_TEXT]) for name, text in chain],
        text=masked,
        server_code=server_code(whole),
        http_status=http_status(whole),
        libraries=libraries,
        traceback=bool(any(part.frames for part in parts)),
        weak=block.weak,
    )


def _nested(record: Mapping[str, Any], *path: str) -> Any:
    if ".".join(path) in record:
        return record[".".join(path)]
    value: Any = record
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _json_level(record: Mapping[str, Any]) -> int | None:
    for key in ("level", "levelname", "severity", "lvl", "log_level", "loglevel", "@l", "level_name"):
        value = record.get(key, _nested(record, "log", "level") if key == "level" else None)
        if isinstance(value, str) and value.lower() in _LEVELS:
            return _LEVELS[value.lower()]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            # pino, bunyan: 50 and 60; Python's levelno: 40 and 50, told apart by who writes WARNING as 30.
            return _ERROR if value >= 40 and "levelno" in record or value >= 50 else _WARNING if value >= 40 else 1
    return None


def _json_message(record: Mapping[str, Any]) -> str:
    texts: list[str] = []
    for key in ("message", "msg", "event", "@m", "error_message", "error", "err", "exception", "detail"):
        value = record.get(key)
        if isinstance(value, Mapping):
            value = value.get("message") or value.get("msg")
        if isinstance(value, str) and value.strip() and _TRACEBACK not in value and "\n    at " not in value:
            if not any(value in known for known in texts):
                texts.append(value.strip())
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and key in ("error", "err", "exception"):
            texts.append(str(value))
    return ": ".join(texts)


def _json_traceback(record: Mapping[str, Any]) -> str:
    for value in _walk_strings(record, depth=3):
        if _TRACEBACK in value or "\n    at " in value or value.startswith("goroutine "):
            return value
    return ""


def _walk_strings(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, Mapping):
        for item in value.values():
            yield from _walk_strings(item, depth - 1)
    elif depth and isinstance(value, list):
        for item in value:
            yield from _walk_strings(item, depth - 1)


def _json_parts(record: Mapping[str, Any]) -> list[_Part]:
    """Exceptions that a JSON log carries as data: structlog's dict tracebacks, ECS, pino's `err`."""
    parts: list[_Part] = []
    stacks = record.get("exception")
    for stack in stacks if isinstance(stacks, list) else []:
        if isinstance(stack, Mapping) and "exc_type" in stack:
            frames = [
                Frame(str(item.get("filename")), int(item.get("lineno") or 0), str(item.get("name") or ""), item.get("line") or None)
                for item in stack.get("frames") or []
                if isinstance(item, Mapping)
            ]
            parts.insert(0, _Part(frames, str(stack["exc_type"]), [str(stack.get("exc_value", ""))]))
    for key in ("error", "err", "exception"):
        name = _nested(record, key, "type") or _nested(record, key, "name") or _nested(record, key, "class")
        text = _nested(record, key, "message")
        if isinstance(name, str) and isinstance(text, str) and not _json_traceback(record).startswith(_TRACEBACK):
            parts.append(_Part(type=name, message=[text]))
    return parts
