"""One line of a log: what carriers and loggers put around the message, its level, and whether it tells of an error."""

from __future__ import annotations

import re
from typing import NamedTuple

from .json_records import json_message, json_object, plain_keys
from .levels import LEVELS

# Year first, or as people in Europe write it: `28.11.2026 05:00:00`, `28/Nov/2026:05:00:00`.
TIME = (
    r"(?:\d{4}[-/.]\d\d[-/.]\d\d[T ]|\d\d?[./-](?:\d\d|[^\W\d]{3,4}\.?)[./-]\d{4}[:, ]+)"
    r"\d\d:\d\d:\d\d(?:[.,]\d+)?(?:\s?(?:Z|[+-]\d\d:?\d\d))?"
)
TIME_STAMP = re.compile(TIME)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# What carriers put before each line: compose, `docker logs -t` and Kubernetes, CRI, kubectl --prefix, journald (whose
# month is in the machine's language).
_CARRIERS = (
    re.compile(r"^(?P<stream>[\w.-]+)\s+\| ?(?=\S|\s|$)"),
    re.compile(
        r"^(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?[+-]\d\d:?\d\d) \S+ (?P<stream>[\w./@-]+)\[\d+\]: "
    ),
    re.compile(r"^(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) "),
    re.compile(r"^std(?:out|err) (?P<part>[FP]) "),
    re.compile(r"^\[pod/(?P<stream>[^\]]+)\] "),
    re.compile(r"^[^\W\d]{3,5}\.? [ \d]\d \d\d:\d\d:\d\d \S+ (?P<stream>[\w./@-]+)(?:\[\d+\])?: "),
)
# A record's own head, which some loggers repeat on each line of a traceback.
RECORD_HEAD = re.compile(
    rf"^\[?(?P<time>{TIME}|\d\d?:\d\d(?::\d\d)?(?:[.,]\d+)?(?: ?[AP]M)?(?=\s))\]?"
    r"[\s|:,-]*(?:\[?(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b\]?)?"
    r"(?:\s*(?:\[[^\]]*\]|[\w.:-]+(?=\s[-|:]\s)))?[\s|:-]{0,3}",
    re.IGNORECASE,
)
# A JSON record, with the time that a collector put before it.
RECORD_BEFORE = re.compile(rf"^(?:\[?{TIME}\]? +)?(?=\{{)")
_LEVEL_NAMES = "|".join(sorted(LEVELS, key=len, reverse=True))
# Upper case anywhere near the start, lower case only where a level stands: `level=error`, `[error]`, `error:`.
_LEVEL = re.compile(
    rf"(?:(?<![\w.=/'\"-])(?P<upper>(?-i:(?!FAIL|FINE\b|OK\b|SUCCESS){_LEVEL_NAMES.upper()}))(?![\w=/'\"])(?!\s*=)"
    rf"|\b(?:level|lvl|severity)=\"?(?P<key>{_LEVEL_NAMES})\b\"?"
    rf"|[\[<|]\s*(?P<box>{_LEVEL_NAMES})\s*[\]>|]"
    rf"|^(?:{TIME}\s+)?(?P<lead>{_LEVEL_NAMES})\s*:"
    r"|^(?P<glog>[IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ )",
    re.IGNORECASE,
)
# `Log level: ERROR`, `LOG_LEVEL=error`: what is logged, and nothing that went wrong.
LEVEL_SET = re.compile(r"log[\w ]?level\W{1,4}\w+\W*$", re.IGNORECASE)
_GLOG = {"I": 1, "W": 2, "E": 3, "F": 3}
# Words that make a line without a level an error; and counters of errors, which do not.
ERROR_WORDS = re.compile(
    r"\berrors?\b|\w(?:Error|Exception)\b|\bexception\b|\bfatal\b|\bfail(?:ed|ure)?\b|\bpanic(?:ked)?\b|\bcannot\b"
    r"|\bcode: \d+, message: |\bdeadline exceeded\b|: line \d+: |\bunbound variable\b"
    r"|\bcould ?n[o']t\b|\bunable to\b|\brefused\b|\bdenied\b|\btimed out\b|\bnot found\b|\bno such\b|\bunauthorized\b"
    r"|\bbad address\b"
    r"|\bKilled\b|\bSegmentation fault\b|\bout of memory\b|\baborted\b"
    r"|ошибк|исключени|не удалось|сбой|отказано|помилк|błąd|fehler|ausnahme|erreur|échec|\berrore\b|\bfallo\b|falha"
    r"|\bhata|错误|失败|エラー|失敗|오류",
    re.IGNORECASE,
)
# Of a line without a level: that something was not as the program expects it.
WARNING_WORDS = re.compile(
    r"\bunexpected\b|\bmalformed\b|\binvalid\b|\bunrecogni[sz]ed\b|\bskipp(?:ing|ed)\b", re.IGNORECASE
)
COUNTERS = re.compile(
    r"\b(?:no|0|without|zero|без|нет) (?:\w+ )?(?:errors?|failures?|failed|ошибок)"
    r"|\b(?:errors|failures|failed|fails)[\"']?\s*[:=]\s*0\b|(?:\b|_)error_?(?:s|_?count|_?rate)?[\"']?=0\b"
    r"|(?:\b|_)(?:errors?|exceptions?)[\"']?\s*[:=]\s*(?:None|null|nil|false|no|\[\]|\{\}|\"\"|'')(?=\s*(?:$|[,;)}\]|]))"
    r"|error=$"
    r"|\b(?:errors|failures|exceptions|timed out|refused|denied|(?:error|failure) (?:rate|count|ratio))\b[\w |]{0,20}"
    r"[:=]? ?0(?:[.,]0+)?(?: ?%|\b(?![.,]?\d))|\b\w+Warning: "
    # dbt in its first run, and in each after a change of its profile: it then reads all files.
    r"|\bunable to do partial parsing\b[^.]*",
    re.IGNORECASE,
)
# A shell that shows its commands (set -x): what they say is not yet what happened.
SHELL_TRACE = re.compile(r"\+{1,4} \S")
# What is written for "there was none" where an error's text would stand.
NOTHING = re.compile(r"(?:false|no|none|null|nil|0\.0+|\[\]|\{\}|\"\"|'')\W*", re.IGNORECASE)
# A request line of an HTTP client's own log, which stands at INFO whatever the answer was.
REQUEST_LINE = re.compile(r"HTTP/\d(?:\.\d)?\"? [\"']?(?:[45]\d\d)\b")
_TAIL = re.compile(
    r"(?:Code: \d+|DB::|Stack trace|\d+\. |\[SQL|\[parameters|\(Background|HTTPDriver|Nested|Received|Check |LINE \d"
    r"|DETAIL|HINT|You must use port|You can also|For more information|\[signal "
    r"|:$|</?\w+[ >]|Require stack:|- /|Row \d+:|Column \d+,|ERROR: |: While )"
)
ROW_SHOWN = re.compile(r"Row \d+:|Column \d+, |ERROR: ")
# Where none of these stands in lower case, no line is an error or the start of one. Plain `in` over a whole chunk is
# what makes a log of 1 GB a matter of seconds.
_NEEDLES = (
    "erro", "exception", "traceback", "fatal", "crit", "severe", "panic", "fail", "cannot", "could n", "couldn",
    "unable to", "refused", "denied", "timed out", "not found", "no such", "unauthorized", "killed", "segmentation",
    "out of memory", "abort", "alert", "emerg", "warn", "caused by", "\tat ", "    at ", 'level"',
    "/node_modules/", "code: ", "deadline exceeded", ": line ", "  file \"", '"err"', '"success"',
    "fehler", "ausnahme", "erreur", "echec", "fallo", "falha", "excep", "hata",
    "unexpected", "malformed", "invalid", "recogni", "skipp", ".go:",
    '"severity', '"priority"', "stdout p ", "stderr p ",
    '"outcome"', '"cause"', '"status"', '"log"', "http/1.1 4", "http/1.1 5", 'http/1.1" 4', 'http/1.1" 5',
)  # fmt: skip
_NEEDLE_BYTES = tuple(needle.encode() for needle in _NEEDLES)


def may_hold_errors(chunk: bytes) -> bool:
    """Whether a piece of a log needs a closer look; anything beyond ASCII does, for words of other languages."""
    if not chunk.isascii():
        return True
    lowered = chunk.lower()
    return any(needle in lowered for needle in _NEEDLE_BYTES)


class Line(NamedTuple):
    """A line without what carriers put before it: the time and the service (`stream`) that they gave it, and whether
    only a part of the line stands here (`cut`)."""

    text: str
    when: str | None = None
    stream: str = ""
    cut: bool = False


def strip_carriers(raw: str) -> Line:
    """The line without colours and what carriers put before it."""
    text = _ANSI.sub("", raw) if "\x1b" in raw else raw
    text = text.rstrip("\r\n\0").lstrip("\ufeff\0")
    found: dict[str, str] = {}
    for _ in range(3):
        for carrier in _CARRIERS:
            match = carrier.match(text)
            if match and match.groupdict().get("stream", "").lower() not in LEVELS:
                found |= {key: value for key, value in match.groupdict().items() if value}
                text = text[match.end() :]
                break
        else:
            break
    return Line(text, found.get("time"), found.get("stream", ""), found.get("part") == "P")


# What a runtime adds behind the last word of a program.
EPILOGUE = re.compile(r"exit status \d+$|Node\.js v[\d.]+$|note: run with|make: \*\*\*|\W*$", re.IGNORECASE)
_FIELD = re.compile(r"\s(?:error|err|exception|exc|reason)=(?P<value>\"(?:[^\"\\]|\\.)*\"|.+?(?=\s+\w+=|$))")


def level_of(text: str) -> tuple[int | None, str]:
    """(3 for errors, 2 for warnings, 1 below, None without a level; the message behind level and logger name)."""
    match = _LEVEL.search(text, 0, 160)
    if not match:
        return None, text
    if match["glog"]:
        return _GLOG[match["glog"]], text.partition("] ")[2] or text
    level = LEVELS[
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
    if (tail := re.search(r"\t(\{\".*\})$", message)) and (fields := json_object(tail[1])):
        message = f"{message[: tail.start()]}: {json_message(plain_keys(fields)) or tail[1]}"
    if (field := _FIELD.search(message)) and not match["key"]:
        # structlog, tracing and their like: `load failed    error="'sku'" job=load`.
        words = re.sub(r"\s+\w+=.*", "", message[: field.start()])
        message = f"{words.strip()}: {field['value'].strip(chr(34))}"
    return level, message.strip()


def message_of(text: str) -> str:
    """A line without its time, level and logger name."""
    return level_of(RECORD_HEAD.sub("", strip_carriers(text).text, count=1))[1].strip() or text


def is_record(text: str) -> bool:
    """Whether a line begins a log record of its own."""
    return bool(TIME_STAMP.match(text.lstrip("[ "))) or text.startswith("{") or level_of(text[:120])[0] is not None


def is_tail(text: str) -> bool:
    """Whether an unindented line may go on with an exception's text: known shapes only, or prose would be eaten."""
    return _TAIL.match(text) is not None
