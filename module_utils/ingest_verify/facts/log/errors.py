"""An error of a log: its exception, its frames, and the codes that its text proves."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field

from ...clickhouse.error_codes import code_named
from .stack_words import TYPE_TAIL


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
    `level` is that of its record, or of the record right above a traceback without one (as in LEVELS; None without).
    `stream` names the service or unit that a collector wrote before its lines. `line` counts its last line in the log
    from 1, `followed` the lines of its own stream after it that are no error. `raised_in` is the library whose code
    raised the exception that began it, empty for the program's own. `peer` is the side (`clickhouse`, `source`) of the
    exchange that failed before it, where the recorder saw it.
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
    level: int | None = None
    stream: str = ""
    line: int = 0
    followed: int = 0
    raised_in: str = ""
    peer: str | None = None


@dataclass
class Raised:
    """One traceback: its frames and the exception that ends it."""

    frames: list[Frame] = field(default_factory=list)
    type: str | None = None
    message: list[str] = field(default_factory=list)


# A NetException that no "Received from" precedes is clickhouse-client's own: it never reached a server.
_SERVER_CODE = (
    # clickhouse-driver repeats the class that the server's packet names; its own failures have none.
    re.compile(r"\bCode:\s*(\d+)\.\s*(DB::\w+)\. \2: "),
    # Servers before 21 write `Code: 252, e.displayText() = DB::Exception: ...`. clickhouse-client says in the same form
    # that it lost the server while it read an answer.
    re.compile(
        r"\bCode:\s*(\d+)[.,]\s*(?:Nested:.*)?\s*(?:e\.displayText\(\) = )?(?:DB|Coordination)::"
        r"(?!NetException:(?! Received from)|Exception: Attempt to read after eof: while receiving packet)\w*Exception",
        re.DOTALL,
    ),
    # Up to 20.x; and what is thrown by none of its own classes.
    re.compile(r"\bCode:\s*(\d+), e\.displayText\(\) = DB::"),
    re.compile(r"\b(?:std::exception|Poco::Exception)\. Code: (\d+)\b"),
    re.compile(r"\bcode: (\d+), message: "),
    # ch-go: the name first.
    re.compile(r"\b[A-Z]+(?:_[A-Z0-9]+)+ \((\d+)\): DB::Exception"),
    re.compile(r"\bcode: ['\"](\d+)['\"],\s*type: ['\"][A-Z_]+['\"]"),
)


def server_code(text: str) -> int | None:
    """The server's exception code if `text` proves that the server sent it, else None.

    clickhouse-driver prints client-side failures as `Code: 210. Connection refused` too; only `DB::Exception`, the
    exception-code header and the structured forms of the Go, JavaScript and connect clients are the server's.
    """
    for pattern in _SERVER_CODE:
        if match := pattern.search(text):
            return int(match[1])
    # Where a program cuts the number off, the name that ends the server's sentence stays.
    return None if "DB::" in text or "Code: " in text else code_named(text)


_HTTP_STATUS = (
    re.compile(r"\b([45]\d\d) (?:Client|Server) Error\b"),
    re.compile(r"\b(?:Client|Server)Error \{ code: ([45]\d\d)\b"),
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
        r"\b([45]\d\d) (?:(?:Request )?(?:Entity|Payload|Content|URI) Too Large|Unauthorized|Forbidden|Too Many "
        r"Requests|Internal Server Error|Bad Gateway"
        r"|Service (?:Temporarily )?Unavailable|Gateway Time-?out)\b",
        re.IGNORECASE,
    ),
)


def http_status(text: str) -> int | None:
    """The first HTTP error status (400 to 599) that `text` names as one, else None."""
    for pattern in _HTTP_STATUS:
        if match := pattern.search(text):
            return int(next(group for group in match.groups() if group))
    return None


_LIBRARY = re.compile(
    r"(?:^|/)(?:site|dist)-packages/|(?:^|[/\\])lib/python\d[\d.]*/"
    r"|\.px[id]$|\.pyx$|^<|/node_modules/|^node:|^internal/|/go/pkg/mod/|/usr/(?:local/)?go/src/"
    r"|^(?:Native|Unknown) |^/rustc/|/\.cargo/registry/|(?:^|/)vendor/",
)


def is_library(path: str) -> bool:
    """Whether a frame's file belongs to the language or an installed package."""
    return _LIBRARY.search(path) is not None


_JVM_LIBRARY = re.compile(
    r"^(?:app/+)?(?:java|javax|jakarta|jdk|sun|ru\.yandex\.clickhouse|com\.(?:sun|clickhouse|amazonaws|mongodb|mysql|microsoft|github\.housepower|fasterxml|zaxxer|google)|kotlinx?|scala"
    r"|io\.(?:airbyte|confluent|debezium)|com\.altinity|xenon|org\.(?:apache|spring\w*|mybatis|hibernate|jooq|postgresql|slf4j)|io\.(?:netty|ktor|micrometer)|okhttp3|retrofit2|feign"
    r"|reactor|ch\.qos|groovy)[./]"
)
PACKAGE = re.compile(r"(?:site|dist)-packages/([^/]+)|^(clickhouse_connect|clickhouse_driver|asynch)/")


# Packages that programs call and that are none themselves.
_CLIENTS = frozenset({
    "clickhouse_connect", "clickhouse_driver", "clickhouse_sqlalchemy", "asynch", "aiochclient", "sqlalchemy", "pandas",
    "numpy", "polars", "pyarrow", "requests", "urllib3", "httpx", "httpcore", "aiohttp",
})  # fmt: skip


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
        packages = [(match[1] or match[2], frame) for frame in frames if (match := PACKAGE.search(frame.file))]
        packages = [(name, frame) for name, frame in packages if name not in _CLIENTS]
        if packages:
            return next(frame for name, frame in reversed(packages) if name == packages[0][0])
    return None


def raised_in(parts: list[Raised]) -> str:
    """The library whose code raised the exception that the others follow from: the package of its innermost frame, or
    the class path of the JVM; empty where that is the program itself or the language."""
    for part in parts:
        for frame in reversed(part.frames):
            if not _OF_THE_LANGUAGE.search(frame.file) and not _JVM_LANGUAGE.match(frame.function):
                return _library_of(frame, part.type or "")
    return ""


# A frame of the language itself passes on what was asked of it; who asked stands outwards.
_OF_THE_LANGUAGE = re.compile(r"(?:^|/)lib/python\d[\d.]*/(?!(?:site|dist)-packages/)|^<|^node:|^internal/")
_JVM_LANGUAGE = re.compile(r"^(?:app/+)?(?:java|javax|jdk|sun)[./]")


def _library_of(last: Frame, kind: str) -> str:
    if match := PACKAGE.search(last.file):
        return match[1] or match[2]
    if match := re.search(r"/node_modules/((?:@[^/]+/)?[^/]+)|/go/pkg/mod/((?:[^/@]+/)*[^/@]+)", last.file):
        # Go writes a capital in a module's path as `!` and the small letter.
        return re.sub(r"!(\w)", lambda capital: capital[1].upper(), match[1] or match[2])
    if match := re.match(r"(\w+)/.*\.px[id]$", last.file):
        return match[1]
    root = kind.partition(".")
    if is_library(last.file) and root[1] and root[0] not in sys.stdlib_module_names:
        # Compiled modules name no package in their frames; the exception's own name does.
        return root[0]
    if _JVM_LIBRARY.match(last.function):
        return ".".join(last.function.split(".")[:3])
    return ""


_TYPED = re.compile(rf"(?<![\w.])((?:[A-Za-z_]\w*\.)*[A-Z]\w*?{TYPE_TAIL}\w*)(?::\s|\((?=['\"\d)\[]|[A-Z]\w+\()|\s*$)")
_REPR = re.compile(rf"(?<![\w.])((?:[A-Za-z_]\w*\.)*[A-Z]\w*?{TYPE_TAIL})\((.*)\)")


def typed_message(message: str) -> tuple[str | None, str]:
    """An exception type named in a line, and what stands behind it (`repr` is taken apart)."""
    if match := _REPR.search(message):
        return match[1], match[2].rstrip(",")
    if match := _TYPED.search(message):
        return match[1], message[match.end() :].strip()
    return None, message


# A traceback of one of these is a defect at its own place, and no report of something that was logged before.
DEFECTS = (
    "TypeError", "ValueError", "AttributeError", "IndexError", "KeyError", "ZeroDivisionError", "AssertionError",
    "NameError", "UnboundLocalError", "RecursionError", "UnicodeDecodeError", "UnicodeEncodeError", "OverflowError",
    "SyntaxError", "IndentationError", "NotImplementedError", "StopIteration", "InvalidOperation",
)  # fmt: skip
