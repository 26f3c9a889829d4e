"""Errors in a log, line by line: tracebacks in the shapes that loggers give them, JSON logs, plain `ERROR` lines."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...masking import mask_evidence

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
    # Serilog's and .NET's own short names, and Russian ones.
    **dict.fromkeys(("ftl", "fail", "ошибка", "критическая ошибка"), 3),
    **dict.fromkeys(("warn", "warning", "wrn", "предупреждение"), 2),
    **dict.fromkeys(("info", "information", "notice", "debug", "trace", "verbose", "fine", "ok", "success"), 1),
    **dict.fromkeys(("inf", "dbg", "vrb", "инфо"), 1),
}
_ERROR, _WARNING = 3, 2
_LEVEL_NAMES = "|".join(sorted(_LEVELS, key=len, reverse=True))
# Upper case anywhere near the start, lower case only where a level stands: `level=error`, `[error]`, `error:`.
_LEVEL = re.compile(
    rf"(?:(?<![\w.=/'\"-])(?P<upper>(?-i:{_LEVEL_NAMES.upper()}))(?![\w=/'\"])(?!\s*=)"
    rf"|\b(?:level|lvl|severity)=\"?(?P<key>{_LEVEL_NAMES})\b\"?"
    rf"|[\[<|]\s*(?P<box>{_LEVEL_NAMES})\s*[\]>|]"
    rf"|^(?:{TIME}\s+)?(?P<lead>{_LEVEL_NAMES})\s*:"
    r"|^(?P<glog>[IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ )",
    re.IGNORECASE,
)
# `Log level: ERROR`, `LOG_LEVEL=error`: what is logged, and nothing that went wrong.
_LEVEL_SET = re.compile(r"log[\w ]?level\W{1,4}\w+\W*$", re.IGNORECASE)
_GLOG = {"I": 1, "W": 2, "E": 3, "F": 3}

_TYPE = r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*"
_TYPE_TAIL = r"(?:Error|Exception|Warning|Interrupt|Exit|Timeout|Refused|Group|NotFound|Failure|Iteration|Mismatch)"
_TYPED = re.compile(rf"(?<![\w.])((?:[A-Za-z_]\w*\.)*[A-Z]\w*?{_TYPE_TAIL}\w*)(?::\s|\((?=['\"\d)\[]|[A-Z]\w+\()|\s*$)")
_REPR = re.compile(rf"(?<![\w.])((?:[A-Za-z_]\w*\.)*[A-Z]\w*?{_TYPE_TAIL})\((.*)\)")
_EXCEPTION_LINE = re.compile(rf"^({_TYPE})(?:: ?(.*))?$")

_TRACEBACK = "Traceback (most recent call last)"
# Where one begins: the words end the line, but for rich's frame, or the rest is escaped into it. Data may hold them.
_OPENS = re.compile(re.escape(_TRACEBACK) + r"(?::\s*$|:\s*(?:\\+[rn]|File)|\s*─)")
_FRAME = re.compile(r"File \"(?P<file>[^\"]+)\", line (?P<line>\d+)(?:, in (?P<function>.+))?")
_RICH_FRAME = re.compile(r"^\s*(?P<file>[^\s:]+\.py):(?P<line>\d+) in (?P<function>\S+)")
_RICH_CODE = re.compile(r"^\s*❱\s*\d+\s*(?:│\s*)?(?P<code>.*?)\s*$")
# Exception groups draw a tree in front of their lines.
_GUTTER = re.compile(r"^\s*(?:\| ?|\+ (?=Exception Group)|\+-\+?-+(?: \d+ -+)?$)")
_GUTTER_RULE = re.compile(r"\+?-[+-]*-(?: \d+ -+)?$")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\S+(?:Z|[+-]\d\d:\d\d)$")
_TIME_KEYS = ("timestamp", "@timestamp", "time", "ts", "asctime", "@t", "t")
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")

# Frames of other languages: JVM (with the jar behind it), .NET, Node and Rust (`at ...`), Go, PHP, Ruby.
_AT_FRAME = re.compile(
    r"^\s+at (?:(?:async |new )*(?P<function>[^()]*?) ?\(?)?"
    r"(?P<file>(?:file://|[A-Za-z]:(?=[\\/]))?[^\s():]+\.\w+):(?P<line>\d+)(?::\d+)?\)?(?: ~?\[[^\]]*\])?(?: \{)?$"
    r"|^\s+at (?P<net>.+?) in (?P<net_file>.+):line (?P<net_line>\d+)$"
)
_STACK_LINE = re.compile(
    r"^\s+at \S|^Caused by: |^\s*\.\.\. \d+ (?:more|common)|^goroutine \d+ |^\s+/\S+\.go:\d+"
    r"|^ *---> \S|^ +--- End of "
)
_GO_FUNCTION = re.compile(r"^[\w./*-]*\w\.[\w.()*\[\]]+$")
_GO_FRAME = re.compile(r"^\s+(?P<file>/\S+\.go):(?P<line>\d+)")
_TYPE_AND_TEXT = rf"({_TYPE})(?: \(0x[0-9A-Fa-f]+\))?(?:: (.*))?$"
_CAUSED_BY = re.compile(rf"^Caused by: {_TYPE_AND_TEXT}|^ *---> {_TYPE_AND_TEXT}|^\s*\[?cause\]?: {_TYPE_AND_TEXT}")
_FOREIGN_HEAD = re.compile(
    rf"(?:Exception in thread \"[^\"]*\" |Unhandled exception\. |Uncaught |^)((?:[A-Za-z_]\w*\.)*\w*?{_TYPE_TAIL}\w*)"
    r"(?: \(0x[0-9A-Fa-f]+\))?(?::\s*(.*))?$"
)
# The exception itself on a line of its own below the record that reports it (JVM, .NET).
_QUALIFIED = re.compile(rf"^\s*(?:[A-Za-z_][\w$]*\.)+[A-Z][\w$]*{_TYPE_TAIL}\w*(?: \(0x[0-9A-Fa-f]+\))?(?::|$)")
_JS_STACK = re.compile(r"\n\s+at \S")
_GO_STACK = re.compile(r"\n\s+/\S+\.go:\d+")
# Errors that name their place within the line itself.
_RUST_PANIC = re.compile(
    r"thread '[^']*'(?: \(\d+\))? panicked at (?:'(?P<message>.*)', )?(?P<file>\S+?\.rs):(?P<line>\d+)(?::\d+)?:?$"
)
_PLACED = (
    re.compile(
        r"^(?P<file>\S+\.rb):(?P<line>\d+):in [`'](?P<function>.+?)': (?P<message>.*) \((?P<type>[A-Z][\w:]+)\)$"
    ),
    re.compile(
        r"(?:Uncaught )?(?<![\w\\])(?P<type>[A-Z][\w\\]*(?:Error|Exception)): (?P<message>.*) "
        r"in (?P<file>\S+\.php):(?P<line>\d+)"
    ),
    re.compile(r"^(?P<file>\S+): line (?P<line>\d+): (?P<message>\S.*)$"),
)

# Words that make a line without a level an error; and counters of errors, which do not.
_ERROR_WORDS = re.compile(
    r"\berrors?\b|\w(?:Error|Exception)\b|\bexception\b|\bfatal\b|\bfail(?:ed|ure)?\b|\bpanic(?:ked)?\b|\bcannot\b"
    r"|\bcode: \d+, message: |\bdeadline exceeded\b|: line \d+: |\bunbound variable\b"
    r"|\bcould ?n[o']t\b|\bunable to\b|\brefused\b|\bdenied\b|\btimed out\b|\bnot found\b|\bno such\b|\bunauthorized\b"
    r"|\bKilled\b|\bSegmentation fault\b|\bout of memory\b|\baborted\b|\bcore dumped\b"
    r"|ошибк|исключени|не удалось|сбой|аварийн|отказано|помилк|не вдалося|błąd|wyjątek|fehler|ausnahme|erreur"
    r"|échou|\bechec\b|échec|\berrore\b|\bfallo\b|\bfalló\b|\bexcepción\b|\berro\b|falha|hata|错误|錯誤|失败|异常|エラー|失敗|例外"
    r"|오류",
    re.IGNORECASE,
)
_COUNTERS = re.compile(
    r"\b(?:no|0|without|zero|без|нет) (?:\w+ )?(?:errors?|failures?|failed|ошибок)"
    r"|\b(?:errors|failures|failed|fails)[\"']?\s*[:=]\s*0\b|(?:\b|_)error_?(?:s|_?count|_?rate)?[\"']?=0\b|\bошибок:?\s*0\b"
    r"|(?:\b|_)(?:errors?|exceptions?)[\"']?\s*[:=]\s*(?:None|null|nil|false|no|\[\]|\{\}|\"\"|'')(?=\s*(?:$|[,;)}\]|]))"
    r"|error=$"
    r"|\b(?:errors|failures|exceptions|timed out|refused|denied|(?:error|failure) (?:rate|count|ratio))\b[\w |]{0,20}"
    r"[:=]? ?0(?:[.,]0+)?(?: ?%|\b(?![.,]?\d))|\b\w+Warning: ",
    re.IGNORECASE,
)
# What is written for "there was none" where an error's text would stand.
_NOTHING = re.compile(r"(?:false|no|none|null|nil|0\.0+|\[\]|\{\}|\"\"|'')\W*", re.IGNORECASE)
# Where none of these stands in lower case, no line is an error or the start of one. Plain `in` over a whole chunk is
# what makes a log of 1 GB a matter of seconds.
_NEEDLES = (
    "erro", "exception", "traceback", "fatal", "crit", "severe", "panic", "fail", "cannot", "could n", "couldn",
    "unable to", "refused", "denied", "timed out", "not found", "no such", "unauthorized", "killed", "segmentation",
    "out of memory", "abort", "core dumped", "alert", "emerg", "warn", "caused by", "\tat ", "    at ", 'level"',
    "code: ", "deadline exceeded", ": line ", "  file \"", '"err"', '"success"',
    "fehler", "ausnahme", "erreur", "echec", "fallo", "falha", "excep", "hata",
    '"severity', '"priority"',
    '"outcome"', '"cause"', '"status"', '"log"', "http/1.1 4", "http/1.1 5", 'http/1.1" 4', 'http/1.1" 5',
)  # fmt: skip
_NEEDLE_BYTES = tuple(needle.encode() for needle in _NEEDLES)


def may_hold_errors(chunk: bytes) -> bool:
    """Whether a piece of a log needs a closer look; anything beyond ASCII does, for words of other languages."""
    if not chunk.isascii():
        return True
    lowered = chunk.lower()
    return any(needle in lowered for needle in _NEEDLE_BYTES)


# A NetException that no "Received from" precedes is clickhouse-client's own: it never reached a server.
_SERVER_CODE = (
    re.compile(r"\bCode:\s*(\d+)\.\s*(?:Nested:.*)?\s*DB::(?!NetException:(?! Received from))\w*Exception", re.DOTALL),
    re.compile(r"\bCode:\s*(\d+),\s*e\.displayText\(\)"),
    re.compile(r"received ClickHouse error code (\d+)"),
    re.compile(r"x-clickhouse-exception-code[\"']?\s*[:=,]\s*[\"']?(\d+)", re.IGNORECASE),
    re.compile(r"\bcode: (\d+), message: "),
    re.compile(r"\bcode: ['\"](\d+)['\"],\s*type: ['\"][A-Z_]+['\"]"),
)
_HTTP_STATUS = (
    re.compile(r"\b([45]\d\d) (?:Client|Server) Error\b"),
    re.compile(r"requested URL returned error: ([45]\d\d)\b"),
    re.compile(r"\b(?:Client|Server) error ['\"]([45]\d\d)\b"),
    re.compile(
        r"\bHTTP(?:/\d(?:\.\d)?)?[\"']?[\s:=]+(?:status(?: code)?[\s:=]+|error[\s:=]+)?([45]\d\d)\b", re.IGNORECASE
    ),
    re.compile(
        r"\b(?:status|statusCode|status_code|response|http)(?:[ _-]?(?:code|status))?[\"']?\s*[:=(]?\s*[\"']?"
        r"([45]\d\d)\b",
        re.IGNORECASE,
    ),
    re.compile(r"\b(?:Got|returned|answered|responded(?: with)?|api(?: error)?:?) ([45]\d\d)\b", re.IGNORECASE),
    re.compile(
        r"\b([45]\d\d) (?:Unauthorized|Forbidden|Too Many Requests|Internal Server Error|Bad Gateway"
        r"|Service (?:Temporarily )?Unavailable|Gateway Time-?out)\b",
        re.IGNORECASE,
    ),
)
# A request line of an HTTP client's own log, which stands at INFO whatever the answer was.
_REQUEST_LINE = re.compile(r"HTTP/\d(?:\.\d)?\"? [\"']?(?:[45]\d\d)\b")

_LIBRARY = re.compile(
    r"(?:^|/)(?:site|dist)-packages/|(?:^|[/\\])lib/python\d[\d.]*/|(?:^|[/\\])Lib[/\\](?!.*[/\\]src[/\\])"
    r"|\.px[id]$|\.pyx$|^<|^frozen |/node_modules/|^node:|^internal/|/go/pkg/mod/|/usr/(?:local/)?go/src/"
    r"|^(?:Native|Unknown) |^/rustc/|/\.cargo/registry/|(?:^|/)vendor/",
)
_JVM_LIBRARY = re.compile(
    r"^(?:app/+)?(?:java|javax|jakarta|jdk|sun|com\.(?:sun|clickhouse|fasterxml|zaxxer|google)|kotlinx?|scala"
    r"|org\.(?:apache|spring\w*|hibernate|jooq|postgresql|slf4j)|io\.(?:netty|ktor|micrometer)|okhttp3|retrofit2|feign"
    r"|reactor|ch\.qos|groovy)[./]"
)
_PACKAGE = re.compile(r"(?:site|dist)-packages/([^/]+)|^(clickhouse_connect|clickhouse_driver|asynch)/")
_TAIL = re.compile(
    r"(?:Code: \d+|DB::|Stack trace|\d+\. |\[SQL|\[parameters|\(Background|HTTPDriver|Nested|Received|Check |LINE \d"
    r"|DETAIL|HINT|You must use port|You can also|For more information|\[signal "
    r"|Require stack:|- /|Row \d+:|Column \d+,|ERROR: |: While )"
)


# What a JSON line says beside `status` when it speaks of the run.
_OF_A_RUN = frozenset({
    "rows_processed", "rows", "rows_written", "written", "inserted", "loaded", "job", "run_id", "metrics", "elapsed",
    "duration", "duration_ms", "duration_seconds", "started_at", "finished_at", "exit_code",
})  # fmt: skip
_ROW_SHOWN = re.compile(r"Row \d+:|Column \d+, |ERROR: ")


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
    `order` grows with the place of its last appearance in the log.
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
    order: int = 0


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


def own_frame(tracebacks: list[list[Frame]]) -> Frame | None:
    """The innermost frame of the user's own code in the first of the tracebacks that has one.

    A program installed as a package has none outside site-packages: then it is the innermost frame of the package that
    the last traceback enters first.
    """
    for frames in tracebacks:
        own = [frame for frame in frames if not is_library(frame.file) and not _JVM_LIBRARY.match(frame.function)]
        if own:
            return own[-1]
    for frames in reversed(tracebacks):
        packages = [(match[1] or match[2], frame) for frame in frames if (match := _PACKAGE.search(frame.file))]
        if packages:
            return next(frame for name, frame in reversed(packages) if name == packages[0][0])
    return None


@dataclass
class _Part:
    """One traceback: its frames and the exception that ends it."""

    frames: list[Frame] = field(default_factory=list)
    type: str | None = None
    message: list[str] = field(default_factory=list)


@dataclass
class _Block:
    """Lines that belong to one error while they are being read.

    `state`: `plain` for a message, `frames` and `after` for a traceback and what follows its exception, `chained`
    between two tracebacks, `stack` for other languages, `rust` for a panic, `causes` for a list of causes. `head` is
    what a logger repeats before each line, digits as #. `at` is the part that takes the frames, `braces` how deep in
    the properties that Node prints behind a stack, `code` a server's code that a JSON log carries as data.
    """

    when: str | None
    lines: list[str] = field(default_factory=list)
    message: str | None = None
    type: str | None = None
    parts: list[_Part] = field(default_factory=list)
    state: str = "plain"
    at: int = -1
    braces: int = 0
    code: int | None = None
    column: int = 0
    head: str = ""
    rich: bool = False
    go: bool = False
    warning: bool = False
    weak: bool = False
    blanks: int = 0
    gap: bool = False


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
        self._block: _Block | None = None
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
        text, when = _strip_carriers(raw)
        if self._json or (self._block is None and text.rstrip() == "{"):
            # One object over several lines, as pretty printers write it.
            self._json.append(raw)
            if text.rstrip() in ("}", "},") or len(self._json) > MAX_BLOCK_LINES:
                self._end_json()
            return
        self._feed_line(raw, text, when)

    def _end_json(self) -> None:
        raws, self._json = self._json, []
        lines = [_strip_carriers(raw) for raw in raws]
        whole = " ".join(text.strip() for text, _ in lines).removesuffix(",")
        if not lines or self._feed_json(whole, lines[0][1]):
            return
        for raw, (text, when) in zip(raws, lines, strict=True):
            self._feed_line(raw, text, when)

    def _feed_line(self, raw: str, text: str, when: str | None) -> None:
        if text.startswith("{") and text.rstrip().endswith("}") and self._feed_json(text, when):
            return
        if when is None and (match := _TIME.search(text, 0, 80)):
            when = match[0]
        if self._block is not None and self._continue(self._block, text):
            return
        self._close()
        self._start(text, when)
        self._previous = (text, when)

    # -- one line after the other

    def _start(self, text: str, when: str | None) -> None:
        if _OPENS.search(text):
            self._block = _Block(when)
            self._open_traceback(self._block, text)
            return
        if _STACK_LINE.match(text) and self._previous[0].strip():
            self._block = block = _Block(self._previous[1], lines=[self._previous[0]])
            _set_foreign_head(block, self._previous[0])
            self._continue_stack(block, text)
            return
        if match := _RUST_PANIC.search(text):
            self._block = block = _Block(when, [text], match["message"] or "", type="panic", state="rust")
            block.parts = [_Part([Frame(match["file"], int(match["line"]), "")], "panic", [match["message"] or ""])]
            return
        if (match := _FRAME.fullmatch(text.strip())) and not match["function"]:
            # A script that cannot be compiled: its place comes without the line that announces a traceback.
            self._block = block = _Block(when, [text], "", state="frames")
            block.parts = [_Part([Frame(match["file"], int(match["line"]), "<module>")])]
            return
        level, message = _level_of(text)
        if _LEVEL_SET.search(text):
            return
        if text.startswith("Exception ignored "):
            # Raised while an object was cleared away: it ends nothing.
            level = _WARNING
        if level is None:
            if not _ERROR_WORDS.search(text) or _COUNTERS.search(text):
                return
            message = _RECORD_HEAD.sub("", text, count=1).strip()
        else:
            telling = {_ERROR: None, _WARNING: _ERROR_WORDS}.get(level, _REQUEST_LINE)
            if _NOTHING.fullmatch(message) or (telling and not telling.search(text)):
                return
        self._block = _Block(when, [text], message, warning=level in (1, _WARNING), weak=level is None)
        self._block.type, _ = typed_message(message)
        if match := next(filter(None, (pattern.search(message) for pattern in _PLACED)), None):
            found = match.groupdict()
            frame = Frame(found["file"], int(found["line"]), found.get("function") or "")
            self._block.parts = [_Part([frame], found.get("type"), [found["message"]])]
            self._block.message = found["message"]

    def _open_traceback(self, block: _Block, text: str) -> None:
        before, _, after = text.partition(_TRACEBACK)
        if "\\n" in after:
            self._open_escaped(block, before, after)
            return
        block.rich = "─" in before
        lead = re.sub(r"(?:\+ )?Exception Group $", "", before)
        if lead.strip(" |+╭─"):
            block.head = re.sub(r"\d", "#", lead)
            if not block.lines:
                block.message = _level_of(lead)[1].strip() or None
        elif lead.isspace():
            # Indentation of a whole traceback, by a wrapper or a logger.
            block.column = len(lead)
        block.lines.append(text)
        block.state, block.gap = "frames", False
        block.parts.append(_Part())

    def _open_escaped(self, block: _Block, before: str, after: str) -> None:
        """A logger wrote the whole traceback into one line (logfmt, repr), its line ends as backslash n."""
        quote = before[-1:] if before[-1:] in ("'", '"') else ""
        if quote:
            after = re.split(rf"(?<!\\){quote}", after, maxsplit=1)[0]
        if not block.lines:
            block.lines.append(before.strip())
            block.message = _level_of(before)[1].rstrip("'\" ")
        block.state = "chained"
        for line in _unescape(_TRACEBACK + after).splitlines():
            if not self._continue(block, line):
                break

    def _continue(self, block: _Block, text: str) -> bool:
        """Take the line into the open block, or say that it belongs to the next record."""
        if len(block.lines) > MAX_BLOCK_LINES:
            return False
        if _OPENS.search(text):
            # Words of a line without a level are no head of what happens to follow it, unless it announces something.
            if block.weak and block.state == "plain" and not block.lines[-1].rstrip().endswith(":"):
                return False
            if block.state in ("plain", "chained") or _GUTTER.match(text):
                self._open_traceback(block, text)
                return True
            return False
        if block.state == "plain":
            return self._continue_plain(block, text)
        if block.state == "frames":
            return self._continue_frames(block, text)
        if block.state == "stack":
            return self._continue_stack(block, text)
        if block.state in ("rust", "causes"):
            return self._continue_told(block, text)
        return self._continue_after(block, text)

    def _continue_told(self, block: _Block, text: str) -> bool:
        """The lines below a Rust panic (its message, then a backtrace), and an error's list of causes."""
        bare = text.strip()
        if _is_record(text) or not bare or len(block.lines) > MAX_MESSAGE_LINES:
            block.blanks += not bare
            return not bare and block.blanks < 2
        block.lines.append(text)
        if block.state == "causes":
            block.message = f"{block.message}: {re.sub(r'^[0-9]+: ', '', bare)}"
            return text[0].isspace()
        part = block.parts[0]
        if match := _AT_FRAME.match(text):
            # The backtrace goes outwards from the panic, whose own place is known already.
            part.frames.insert(0, Frame(match["file"] or "", int(match["line"] or 0), block.lines[-2].strip()))
        elif not re.match(r"note: |stack backtrace:|\s+\d+: ", text):
            part.message = [" ".join(filter(None, [*part.message, bare]))]
        return True

    def _continue_plain(self, block: _Block, text: str) -> bool:
        if ".go:" in block.lines[0] and _GO_FUNCTION.match(text):
            block.go = True
            block.parts.append(_Part(message=[block.message or ""]))
            return self._continue_stack(block, text)
        if _STACK_LINE.match(text):
            _set_foreign_head(block, next(line for line in reversed(block.lines) if line.strip()))
            return self._continue_stack(block, text)
        if block.weak and text.strip() and not text.strip("^~ \t"):
            # It was a line of source code, which an interpreter quotes above the error itself.
            self._block = None
            return True
        if text.strip() == "Caused by:":
            block.state = "causes"
            block.lines.append(text)
            return True
        if _QUALIFIED.match(text[:1000]) and not block.weak:
            block.lines.append(text)
            block.message = f"{block.message}\n{text.strip()}"
            return True
        if not text.strip():
            block.blanks += 1
            block.lines.append(text)
            return block.blanks < 2
        if len(block.lines) == 1 and block.lines[0].endswith(":") and not _is_record(text):
            # It only announces; an exception without a text leaves a blank behind the colon.
            if _NOTHING.fullmatch(text.strip()):
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
            and (not _is_record(text) or (_ROW_SHOWN.match(text) and _ROW_SHOWN.match(block.lines[-1])))
            and (text[0].isspace() or _is_tail(text))
        ):
            block.lines.append(text)
            block.message = f"{block.message}\n{text.strip()}"
            return True
        return False

    def _continue_frames(self, block: _Block, text: str) -> bool:
        part = block.parts[-1]
        content = _content(block, text)
        if match := (_RICH_FRAME if block.rich else _FRAME).search(content):
            part.frames.append(Frame(match["file"], int(match["line"]), (match["function"] or "<module>").strip()))
        elif block.rich and (match := _RICH_CODE.match(content)):
            if part.frames:
                part.frames[-1].code = match["code"] or None
        elif not content.strip() or content.startswith((" ", "\t", ">", "└", "│", "╰", "─")):
            stripped = content.strip()
            if not block.rich and part.frames and part.frames[-1].code is None and stripped.strip("^~ "):
                part.frames[-1].code = stripped
        elif match := _EXCEPTION_LINE.match(content.rstrip()):
            part.type, part.message = match[1], [match[2] or ""]
            block.state = "after"
        else:
            # Not an exception's line: the traceback was cut here (a log limit, a crash while writing it).
            return False
        block.lines.append(text)
        return True

    def _continue_after(self, block: _Block, text: str) -> bool:
        content = _content(block, text)
        stripped = content.strip()
        if stripped.startswith(_CHAINED):
            block.state = "chained"
        elif not stripped or _GUTTER_RULE.match(stripped):
            block.blanks += 1
            block.gap = True
            if block.blanks > 12:
                return False
        elif block.state == "after" and not block.gap and self._is_message_tail(block, content):
            block.parts[-1].message.append(stripped)
        else:
            return False
        block.lines.append(text)
        return True

    def _is_message_tail(self, block: _Block, content: str) -> bool:
        part = block.parts[-1]
        if len(part.message) >= MAX_MESSAGE_LINES or _is_record(content):
            return False
        # Validation errors name a field per line, unindented.
        return content[0].isspace() or _is_tail(content) or (part.type or "").endswith(("ValidationError", "Group"))

    def _continue_stack(self, block: _Block, text: str) -> bool:
        block.state = "stack"
        block.go |= text.startswith("goroutine ")
        inside = block.braces > 0
        if inside or text.rstrip().endswith("{"):
            # Node prints an error's own properties behind its stack: the server's code, the cause.
            block.braces = max(0, block.braces + text.count("{") - text.count("}"))
        if match := _AT_FRAME.match(text):
            file, line = match["file"] or match["net_file"], match["line"] or match["net_line"]
            # These languages print the innermost frame first, Python prints it last.
            frame = Frame(file, int(line), (match["function"] or match["net"] or "").strip())
            block.parts[block.at].frames.insert(0, frame)
        elif match := _GO_FRAME.match(text):
            function = re.sub(r"\(.*\)$", "", block.lines[-1].strip())
            block.parts[block.at].frames.insert(0, Frame(match["file"], int(match["line"]), function))
        elif match := _CAUSED_BY.match(text):
            kind = next(filter(None, match.groups()[::2]))
            block.parts.append(_Part(type=kind, message=[next(filter(None, match.groups()[1::2]), "")]))
            block.at = len(block.parts) - 1
        elif text.lstrip().startswith("--- End of inner"):
            # .NET: what follows are the frames of the exception around it.
            block.at = max(0, block.at - 1)
        elif text.strip():
            if not inside and not _STACK_LINE.match(text) and not (block.go and not _is_record(text)):
                return False
        else:
            block.blanks += 1
            if block.blanks > 2:
                return False
        block.lines.append(text)
        return True

    # -- finished blocks

    def _close(self) -> None:
        block, self._block = self._block, None
        if block is None or (block.state == "frames" and not block.message and block.parts[-1].type is None):
            return
        parts = _parts_of(block)
        if head := _report_before(block, parts):
            self._keep(head, [])
        self._keep(block, parts)

    def _keep(self, block: _Block, parts: list[_Part]) -> None:
        self._order += 1
        kind, message, chain = _outcome_of(block, parts)
        key = (block.warning, kind, _group_key(message))
        known = self._groups.get(key)
        if known is None and len(self._groups) >= MAX_GROUPS:
            self.dropped += 1
            if not block.warning:
                self._overflow = _error_of(block, parts, kind, message, chain)
                self._overflow.order = self._order
        elif known is None:
            self._groups[key] = error = _error_of(block, parts, kind, message, chain)
            (self.notes if block.warning else self.errors).append(error)
            error.order = self._order
        else:
            if parts and not known.traceback:
                error = _error_of(block, parts, kind, message, chain)
                known.frame, known.chain, known.text = error.frame, error.chain, error.text
                known.traceback, known.libraries = error.traceback, error.libraries
            known.count += 1
            known.last = block.when or known.last
            known.first = known.first or block.when
            known.order = self._order

    # -- JSON

    def _feed_json(self, text: str, when: str | None) -> bool:
        record = _json_object(text)
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
        own, record = record, _plain_keys(record)
        level = _json_level(record)
        trace = _json_traceback(record)
        message = _json_message(record)
        errors = [record.get(key) for key in ("error", "err", "exception", "errormessage")]
        failed = any(error and not _NOTHING.fullmatch(str(error)) for error in errors)
        # Only its result says that something failed: the loader's last words, or a record of its data.
        said = "cause" not in record and (
            record.get("success") is False or str(record.get("status")).lower() in _FAILED
        )
        if not trace and (level or 1) < _ERROR:
            telling = level == _WARNING and _ERROR_WORDS.search(message)
            if not telling and (level is not None or not (failed or (said and message))):
                return True
        stamp = next((record[key] for key in _TIME_KEYS if record.get(key) is not None), when)
        if isinstance(stamp, Mapping):
            stamp = stamp.get("repr")
        block = _Block(None if stamp is None else str(stamp), [text], message, warning=level == _WARNING)
        block.weak = not (failed or trace) and level is None
        block.type, _ = typed_message(message)
        block.parts, block.code = _json_parts(record, trace), _json_code(own)
        if _TRACEBACK in trace:
            # A serializer escapes what is inside a string once more.
            for line in trace[trace.index(_TRACEBACK) :].splitlines():
                if not self._continue(block, line):
                    break
        else:
            for line in trace.splitlines():
                if not _STACK_LINE.match(line):
                    # Go names the function on the line above its place.
                    block.lines.append(line)
                    continue
                if not block.parts:
                    head = trace.splitlines()[0]
                    block.parts.append(_Part(message=[message])) if _GO_STACK.search(trace) else _set_foreign_head(
                        block, head
                    )
                self._continue_stack(block, line)
        self._block = block
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


def _content(block: _Block, text: str) -> str:
    """A line of a traceback without what a logger, a frame or an exception group put in front of it."""
    if block.rich:
        return re.sub(r"^[│╭╰]\s?|\s*[│╮╯]$", "", text)
    size = len(block.head)
    if size and re.sub(r"\d", "#", text[:size]) == block.head:
        return text[size:]
    while match := _GUTTER.match(text):
        text = text[match.end() :]
    return text[block.column :] if text[: block.column].isspace() else text


def _set_foreign_head(block: _Block, line: str) -> None:
    # JavaScript's plain `Error: text` would else be read as a level.
    match = _FOREIGN_HEAD.search(line.strip()[:MAX_TEXT])
    message = _level_of(line)[1].strip()
    match = match or _FOREIGN_HEAD.search(message[:MAX_TEXT])
    block.parts.append(_Part(type=match[1] if match else None, message=[(match[2] or "") if match else message]))


_FIELD = re.compile(r"\s(?:error|err|exception|exc|reason)=(?P<value>\"(?:[^\"\\]|\\.)*\"|.+?(?=\s+\w+=|$))")


def _level_of(text: str) -> tuple[int | None, str]:
    """(3 for errors, 2 for warnings, 1 below, None without a level; the message behind level and logger name)."""
    match = _LEVEL.search(text, 0, 160)
    if not match:
        return None, text
    if match["glog"]:
        return _GLOG[match["glog"]], text.partition("] ")[2] or text
    level = _LEVELS[
        next(value for value in (match["upper"], match["key"], match["box"], match["lead"]) if value).lower()
    ]
    message = text[match.end() :]
    if match["key"]:
        found = re.findall(r"\b(msg|message|err|error|exc|exception)=(?:\"((?:[^\"\\]|\\.)*)\"|(\S+))", text)
        message = ": ".join((quoted or bare).replace('\\"', '"') for _, quoted, bare in found) or message
    message = re.sub(r"^:[\w.]+:(?!\s)", "", message)
    message = re.sub(r"^[\s\]|:)>-]+", "", message)
    # `logger - message` and loguru's `module:function:12 - message`.
    message = re.sub(r"^\[?[\w.<>/-]+(?::[\w<>.]+)*\]?\s+[-|]\s+|^\[[\w./ -]+(?::\d+)?\]:?\s+", "", message)
    # Spring Boot's `1 --- [main] c.a.Loader   : `.
    message = re.sub(r"^\d* *--- (?:\[[^\]]*\] )+\S+\s*: ", "", message)
    # zap's console: `loader/main.go:31<tab>load failed<tab>{"error": ...}`.
    message = re.sub(r"^[\w./-]+\.\w+:\d+\t", "", message)
    if (tail := re.search(r"\t(\{\".*\})$", message)) and (fields := _json_object(tail[1])):
        message = f"{message[: tail.start()]}: {_json_message(_plain_keys(fields)) or tail[1]}"
    if (field := _FIELD.search(message)) and not match["key"]:
        # structlog, tracing and their like: `load failed    error="'sku'" job=load`.
        words = re.sub(r"\s+\w+=.*", "", message[: field.start()])
        message = f"{words.strip()}: {field['value'].strip(chr(34))}"
    return level, message.strip()


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def message_of(text: str) -> str:
    """A line without its time, level and logger name."""
    return _level_of(_RECORD_HEAD.sub("", _strip_carriers(text)[0], count=1))[1].strip() or text


def _is_record(text: str) -> bool:
    """Whether a line begins a log record of its own."""
    return bool(_TIME.match(text.lstrip("[ "))) or text.startswith("{") or _level_of(text[:120])[0] is not None


def _is_tail(text: str) -> bool:
    """Whether an unindented line may go on with an exception's text: known shapes only, or prose would be eaten."""
    return _TAIL.match(text) is not None


def _unescape(text: str) -> str:
    return text.replace("\\r", "").replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"').replace("\\'", "'")


def typed_message(message: str) -> tuple[str | None, str]:
    """An exception type named in a line, and what stands behind it (`repr` is taken apart)."""
    if match := _REPR.search(message):
        return match[1], match[2].rstrip(",")
    if match := _TYPED.search(message):
        return match[1], message[match.end() :].strip()
    return None, message


def _group_key(message: str) -> str:
    # What may be a key (1, 'event_id') is told apart exactly, other numbers are ids that change from line to line.
    head, colon, tail = message.rpartition(": ")
    if not re.fullmatch(r"-?\d{1,3}|['\"].{1,40}['\"]", tail):
        head, colon, tail = message, "", ""
    return re.sub(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|\d+", "#", head)[:500] + colon + tail


# A traceback of one of these is a defect at its own place, and no report of something that was logged before.
DEFECTS = (
    "TypeError", "ValueError", "AttributeError", "IndexError", "KeyError", "ZeroDivisionError", "AssertionError",
    "NameError", "UnboundLocalError", "RecursionError", "UnicodeDecodeError", "UnicodeEncodeError", "OverflowError",
    "SyntaxError", "IndentationError", "NotImplementedError", "StopIteration", "InvalidOperation",
)  # fmt: skip


def _report_before(block: _Block, parts: list[_Part]) -> _Block | None:
    """The record right above a traceback that is about something else, taken out of the block: it carries a status or a
    server's code, and the traceback, a defect of the code, does not."""
    if block.state != "after" or not block.message or _TRACEBACK in block.lines[0] or not parts:
        return None
    if (parts[0].type or "").rpartition(".")[2] not in DEFECTS:
        return None
    head, *rest = block.lines
    below = "\n".join(rest)
    if (http_status(head), server_code(head)) == (http_status(below), server_code(below)):
        return None
    if not (http_status(head) or server_code(head)):
        return None
    block.lines = rest
    return _Block(block.when, [head], block.message, type=typed_message(block.message)[0], weak=block.weak)


def _parts_of(block: _Block) -> list[_Part]:
    """The block's exceptions, where it began first."""
    parts = [part for part in block.parts if part.type or part.frames or any(part.message)]
    if block.state == "stack":
        # JVM style prints the outcome first and its origin last.
        parts.reverse()
    elif len(parts) > 1 and (parts[0].type or "").endswith("Group"):
        # A group stands before its members, which are where it began.
        parts = [*parts[1:], parts[0]]
    return parts


def _outcome_of(block: _Block, parts: list[_Part]) -> tuple[str | None, str, list[tuple[str, str]]]:
    """(type, message, chain) of what came out."""
    chain = [(part.type or "", "\n".join(part.message).strip()) for part in parts]
    if not chain:
        message = block.message or ""
        kind, rest = typed_message(message)
        return kind, message, [(kind, rest)] if kind else []
    if not chain[-1][0]:
        return block.type, block.message or chain[-1][1], chain
    return chain[-1][0], chain[-1][1], chain


def _error_of(
    block: _Block, parts: list[_Part], kind: str | None, message: str, chain: list[tuple[str, str]]
) -> ClientError:
    frame = own_frame([part.frames for part in parts])
    packages = [match for part in parts for item in part.frames if (match := _PACKAGE.search(item.file))]
    whole = "\n".join(block.lines) + "\n" + message
    if frame is not None and frame.code:
        frame.code = mask_evidence(frame.code)
    return ClientError(
        type=kind,
        message=mask_evidence(message).strip()[:MAX_TEXT],
        frame=frame,
        first=block.when,
        last=block.when,
        chain=[(name, mask_evidence(text)[:MAX_TEXT]) for name, text in chain],
        text=_trim(mask_evidence("\n".join(block.lines).rstrip())),
        server_code=block.code or server_code(whole),
        http_status=http_status(whole),
        libraries=list(dict.fromkeys(match[1] or match[2] for match in packages)),
        traceback=any(part.frames for part in parts),
        weak=block.weak,
    )


def _trim(text: str) -> str:
    if len(text) <= MAX_TEXT:
        return text
    return text[: MAX_TEXT // 3] + "\n... cut ...\n" + text[-MAX_TEXT * 2 // 3 :]


def _nested(record: Mapping[str, Any], *path: str) -> Any:
    if ".".join(path) in record:
        return record[".".join(path)]
    value: Any = record
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


# What loguru, tracing and the clouds wrap the record's own fields into.
_WRAPPERS = ("record", "fields", "jsonpayload")
_FAILED = ("error", "failed", "failure", "fatal")


@functools.lru_cache(maxsize=4096)
def _plain_key(key: str) -> str:
    return re.sub(r"[^a-z.@]", "", key.lower())


def _plain_keys(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record by lower-case keys without separators but dots and signs, with the fields of its wrappers."""
    plain = {_plain_key(key): value for key, value in record.items()}
    for name in _WRAPPERS:
        if isinstance(plain.get(name), Mapping):
            plain = {**plain, **_plain_keys(plain[name])}
    return plain


def _json_level(record: Mapping[str, Any]) -> int | None:
    values = [
        record.get(key, _nested(record, "log", "level") if key == "level" else None)
        for key in ("level", "levelname", "severity", "severitytext", "lvl", "loglevel", "@l", "priority")
    ]
    values = [value.get("name") if isinstance(value, Mapping) else value for value in values]
    for value in values:
        # A name tells more than a number that stands beside it.
        if isinstance(value, str) and value.lower() in _LEVELS:
            return _LEVELS[value.lower()]
    for value in filter(None, values):
        if "priority" in record or "shortmessage" in record:
            # Syslog counts downwards (journald, GELF).
            value = {"3": 50, "4": 40}.get(str(value), 60 if str(value) in ("0", "1", "2") else 10)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            # pino, bunyan: 50 and 60; Python's levelno: 40 and 50, told apart by who writes WARNING as 30.
            if value >= (40 if "levelno" in record else 50):
                return _ERROR
            return _WARNING if value >= 40 else 1
    return None


def _json_message(record: Mapping[str, Any]) -> str:
    texts: list[str] = []
    for key in (
        "message", "msg", "event", "@m", "renderedmessage", "shortmessage", "textpayload", "body", "errormessage",
        "error", "err", "exception", "detail",
    ):  # fmt: skip
        value = record.get(key)
        if isinstance(value, Mapping):
            value = value.get("message") or value.get("msg") or value.get("stringValue") or value.get("value")
        if isinstance(value, str) and value.strip() and _TRACEBACK not in value and not _JS_STACK.search(value):
            if not any(value in known for known in texts):
                texts.append(value.strip())
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and key in ("error", "err", "exception"):
            texts.append(str(value))
    return ": ".join(texts)


def _json_traceback(record: Mapping[str, Any]) -> str:
    for value in _walk_strings(record, depth=3):
        if _TRACEBACK in value or _JS_STACK.search(value) or _GO_STACK.search(value):
            return value
    return ""


def _json_code(record: Mapping[str, Any]) -> int | None:
    """The server's code where a JSON log keeps an error's properties: `{"code": "60", "type": "UNKNOWN_TABLE"}`."""
    for value in (record, *record.values()):
        if isinstance(value, Mapping) and re.fullmatch(r"[A-Z][A-Z0-9_]{4,}", str(value.get("type"))):
            code = str(value.get("code"))
            if code.isdigit():
                return int(code)
    return None


def _walk_strings(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, Mapping):
        for item in value.values():
            yield from _walk_strings(item, depth - 1)
    elif depth and isinstance(value, list):
        for item in value:
            yield from _walk_strings(item, depth - 1)


def _json_parts(record: Mapping[str, Any], trace: str) -> list[_Part]:
    """Exceptions that a JSON log carries as data: structlog's dict tracebacks, ECS, pino's `err`."""
    parts: list[_Part] = []
    stacks = record.get("exception")
    for stack in stacks if isinstance(stacks, list) else []:
        if isinstance(stack, Mapping) and "exc_type" in stack:
            frames = [
                Frame(
                    str(item.get("filename")),
                    _number(item.get("lineno")),
                    str(item.get("name") or ""),
                    item.get("line"),
                )
                for item in stack.get("frames") or []
                if isinstance(item, Mapping)
            ]
            parts.insert(0, _Part(frames, str(stack["exc_type"]), [str(stack.get("exc_value", ""))]))
    if _TRACEBACK not in trace and not parts:
        parts = list(_json_exceptions(record, depth=3))
    return parts


_EXCEPTION_NAME = re.compile(rf"{_TYPE_TAIL}$|^(?:[a-z_]\w*\.)+[A-Z]\w+$")


def _json_exceptions(value: Any, depth: int, key: str = "") -> Iterator[_Part]:
    """Every object in a record that gives an exception's type with its text, and the stack that it has."""
    if isinstance(value, list) and depth:
        for item in value:
            yield from _json_exceptions(item, depth - 1, key)
    if not isinstance(value, Mapping) or depth < 0:
        return
    plain = _plain_keys(value)
    name = next((plain[k] for k in ("type", "errortype", "name", "class") if isinstance(plain.get(k), str)), "")
    text = next((plain[k] for k in ("message", "errormessage", "value") if isinstance(plain.get(k), str)), None)
    if name and text is not None and (key in ("error", "err", "exception") or _EXCEPTION_NAME.search(name)):
        yield _Part(_json_frames(plain), name, [text])
        return
    if isinstance(value.get("error.type"), str) and isinstance(value.get("error.message"), str):
        yield _Part(type=value["error.type"], message=[value["error.message"]])
        return
    for inner, item in value.items():
        yield from _json_exceptions(item, depth - 1, inner)


def _json_frames(plain: Mapping[str, Any]) -> list[Frame]:
    """The frames of an exception, innermost last: Sentry's, log4j's (the other way round), Python's lines as text."""
    stack = plain.get("extendedstacktrace") or plain.get("stacktrace") or plain.get("frames") or []
    stack = stack.get("frames") if isinstance(stack, Mapping) else stack
    frames = []
    for item in stack if isinstance(stack, list) else []:
        if isinstance(item, str) and (match := _FRAME.search(item)):
            frames.append(
                Frame(match["file"], int(match["line"]), match["function"] or "", item.partition("\n")[2].strip())
            )
        elif isinstance(item, Mapping):
            file, line = item.get("filename") or item.get("file"), item.get("lineno") or item.get("line")
            function = ".".join(str(item[k]) for k in ("class", "method", "function") if item.get(k))
            frames.append(Frame(str(file), _number(line), function, item.get("context_line")))
    return frames[::-1] if "extendedstacktrace" in plain else frames


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
