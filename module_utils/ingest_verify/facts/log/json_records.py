"""A line of JSON as a log record: its level, its text, and the exceptions that it carries as data."""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .errors import Frame, Raised
from .levels import ERROR, LEVELS, WARNING
from .stack_words import FRAME, GO_STACK, JS_STACK, TRACEBACK, TYPE_TAIL


def json_object(text: str) -> dict[str, Any] | None:
    """The object that a text is, None when it is something else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


_CUT_FIELD = re.compile(r'"([\w.@]+)"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+(?=[,}])|true|false|null)')
_CUT_TAIL = re.compile(r'"([\w.@]+)"\s*:\s*"((?:[^"\\]|\\.)*)$')


def cut_json(text: str) -> dict[str, Any] | None:
    """What a record says that a collector cut (16 KiB): its plain fields, and the one that it breaks off in; None for
    a text that has no end of a record missing."""
    if text.rstrip().endswith("}") or not re.match(r'\{\s*"', text):
        return None
    with contextlib.suppress(ValueError, RecursionError):
        json.JSONDecoder().raw_decode(text)
        return None
    record = {key: json.loads(value, strict=False) for key, value in _CUT_FIELD.findall(text)}
    if tail := _CUT_TAIL.search(text):
        value = re.sub(r"\\(?:u[0-9a-fA-F]{0,3})?$", "", tail[2])
        record.setdefault(tail[1], json.loads(f'"{value}"', strict=False))
    return record or None


def _nested(record: Mapping[str, Any], *path: str) -> Any:
    if ".".join(path) in record:
        return record[".".join(path)]
    value: Any = record
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


# What loguru, tracing and the clouds wrap the record's own fields into.
_WRAPPERS = ("record", "fields", "jsonpayload")


@functools.lru_cache(maxsize=4096)
def _plain_key(key: str) -> str:
    return re.sub(r"[^a-z.@]", "", key.lower())


def plain_keys(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record by lower-case keys without separators but dots and signs, with the fields of its wrappers."""
    plain = {_plain_key(key): value for key, value in record.items()}
    for name in _WRAPPERS:
        if isinstance(plain.get(name), Mapping):
            plain = {**plain, **plain_keys(plain[name])}
    return plain


def json_level(record: Mapping[str, Any]) -> int | None:
    """The level as in LEVELS, from its name or from the numbers of pino, Python and syslog; None without one."""
    values = [
        record.get(key, _nested(record, "log", "level") if key == "level" else None)
        for key in ("level", "levelname", "severity", "severitytext", "lvl", "loglevel", "@l", "priority")
    ]
    values = [value.get("name") if isinstance(value, Mapping) else value for value in values]
    for value in values:
        # A name tells more than a number that stands beside it.
        if isinstance(value, str) and value.lower() in LEVELS:
            return LEVELS[value.lower()]
    for value in filter(None, values):
        if "priority" in record or "shortmessage" in record:
            # Syslog counts downwards (journald, GELF).
            value = {"3": 50, "4": 40}.get(str(value), 60 if str(value) in ("0", "1", "2") else 10)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            # pino, bunyan: 50 and 60; Python's levelno: 40 and 50, told apart by who writes WARNING as 30.
            if value >= (40 if "levelno" in record else 50):
                return ERROR
            return WARNING if value >= 40 else 1
    return None


_CODE_WORD = re.compile(r"[\w.:/-]{1,60}")
# Where and by whom, not what.
_BOOKKEEPING = {
    "time", "timestamp", "@timestamp", "ts", "date", "datetime", "t", "@t", "level", "severity", "lvl", "logger",
    "name", "app", "service", "host", "hostname", "pod", "env", "thread", "threadname", "process", "processname",
    "module", "function", "caller", "file", "filename", "pathname", "version", "user", "useragent",
}  # fmt: skip


def json_message(record: Mapping[str, Any]) -> str:
    """What the record says, its error behind its message."""
    texts: list[str] = []
    for key in (
        "message", "msg", "event", "@m", "renderedmessage", "shortmessage", "textpayload", "body", "errormessage",
        "error", "err", "exception", "detail",
    ):  # fmt: skip
        value = record.get(key)
        if isinstance(value, Mapping):
            value = value.get("message") or value.get("msg") or value.get("stringValue") or value.get("value")
        if isinstance(value, str) and value.strip() and TRACEBACK not in value and not JS_STACK.search(value):
            if not any(value in known for known in texts):
                texts.append(value.strip())
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and key in ("error", "err", "exception"):
            texts.append(str(value))
    # An event's code alone says nothing: what the program has to say of it stands in a field of its own naming.
    if texts and all(_CODE_WORD.fullmatch(text) for text in texts):
        said = [value.strip() for key, value in record.items() if key not in _BOOKKEEPING and isinstance(value, str)]
        texts += [text for text in said if " " in text and TRACEBACK not in text][:2]
    return ": ".join(texts)


def json_traceback(record: Mapping[str, Any]) -> str:
    """The traceback or stack that one of the record's strings holds, empty without one."""
    for value in _strings_in(record, depth=3):
        if TRACEBACK in value or JS_STACK.search(value) or GO_STACK.search(value):
            return value
    return ""


def json_code(record: Mapping[str, Any]) -> int | None:
    """The server's code where a JSON log keeps an error's properties: `{"code": "60", "type": "UNKNOWN_TABLE"}`."""
    for value in (record, *record.values()):
        if isinstance(value, Mapping) and re.fullmatch(r"[A-Z][A-Z0-9_]{4,}", str(value.get("type"))):
            code = str(value.get("code"))
            if code.isdigit():
                return int(code)
    return None


def _strings_in(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, Mapping):
        for item in value.values():
            yield from _strings_in(item, depth - 1)
    elif depth and isinstance(value, list):
        for item in value:
            yield from _strings_in(item, depth - 1)


def json_parts(record: Mapping[str, Any], trace: str) -> list[Raised]:
    """Exceptions that a JSON log carries as data: structlog's dict tracebacks, ECS, pino's `err`."""
    parts: list[Raised] = []
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
            parts.insert(0, Raised(frames, str(stack["exc_type"]), [str(stack.get("exc_value", ""))]))
    if TRACEBACK not in trace and not parts:
        parts = list(_exceptions_in(record, depth=3))
    return parts


_EXCEPTION_NAME = re.compile(rf"{TYPE_TAIL}$|^(?:[a-z_]\w*\.)+[A-Z]\w+$")


def _exceptions_in(value: Any, depth: int, key: str = "") -> Iterator[Raised]:
    """Every object in a record that gives an exception's type with its text, and the stack that it has."""
    if isinstance(value, list) and depth:
        for item in value:
            yield from _exceptions_in(item, depth - 1, key)
    if not isinstance(value, Mapping) or depth < 0:
        return
    plain = plain_keys(value)
    name = next((plain[k] for k in ("type", "errortype", "name", "class") if isinstance(plain.get(k), str)), "")
    text = next((plain[k] for k in ("message", "errormessage", "value") if isinstance(plain.get(k), str)), None)
    if name and text is not None and (key in ("error", "err", "exception") or _EXCEPTION_NAME.search(name)):
        yield Raised(_frames_in(plain), name, [text])
        return
    if isinstance(value.get("error.type"), str) and isinstance(value.get("error.message"), str):
        yield Raised(type=value["error.type"], message=[value["error.message"]])
        return
    for inner, item in value.items():
        yield from _exceptions_in(item, depth - 1, inner)


def _frames_in(plain: Mapping[str, Any]) -> list[Frame]:
    """The frames of an exception, innermost last: Sentry's, log4j's (the other way round), Python's lines as text."""
    stack = plain.get("extendedstacktrace") or plain.get("stacktrace") or plain.get("frames") or []
    stack = stack.get("frames") if isinstance(stack, Mapping) else stack
    frames = []
    for item in stack if isinstance(stack, list) else []:
        if isinstance(item, str) and (match := FRAME.search(item)):
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
