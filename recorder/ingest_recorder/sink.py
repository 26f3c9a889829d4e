"""Where events go: one line of JSON each, added by one write, so that what was written stays whatever ends the process.

The file is opened for each event: a program may close every descriptor that it did not open, and use the number again.
"""

import os
import time
from _thread import get_ident

from .guard import quiet

VERSION = 1
# Bounds: lines of one process, bytes of one line, bytes of the file over all processes, seconds of the recorder's work.
MAX_EVENTS = 20_000
MAX_LINE = 16 << 10
MAX_FILE = 32 << 20
MAX_SECONDS = 20.0

_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_file = ""
_number = 0
# Good exchanges wait here for the next other event, for the 32nd of them or for a second to pass: each call of the
# system lets another thread take the interpreter, and a busy one gives it back only after 5 ms.
_waiting = []
_written = 0.0
_MAX_WAITING = 32
_MAX_WAIT_SECONDS = 1.0
_left = MAX_EVENTS
_spent = 0.0
# The first line of a process; a forked child writes it when it has something to say.
_start_event = None
_ESCAPES = {code: f"\\u{code:04x}" for code in range(32)}
_ESCAPES.update({ord('"'): '\\"', ord("\\"): "\\\\", 0x7F: "\\u007f", 0x2028: "\\u2028", 0x2029: "\\u2029"})


def open_file(path):
    """Whether the file can be written. It is made where it is missing."""
    global _file, _number
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _CLOEXEC, 0o600)
    except OSError:
        return False
    _number = os.fstat(descriptor).st_ino
    os.close(descriptor)
    _file = os.path.abspath(path)
    return True


def file_number():
    """A number that all processes of one run share and no other run has: it salts hashes."""
    return _number


def start_with(event, at_once):
    """Take the process's first event; write it now, or with the first one that follows."""
    global _start_event, _left, _spent
    _left, _spent, _start_event = MAX_EVENTS, 0.0, event
    # A forked child has those of its parent.
    del _waiting[:]
    if at_once:
        write({})


def silent():
    """Whether this process has written nothing yet."""
    return _start_event is not None


def exhausted():
    """Whether nothing is written any more."""
    return _left <= 0 or _spent > MAX_SECONDS


def worked(seconds):
    """Time that the recorder took for something else than writing."""
    global _spent
    _spent += seconds


def write_inside(event, may_wait=False):
    """Add one event; `v`, `t` (Unix time), `pid` and `thread` are put to it. Past a bound it is dropped."""
    global _left, _spent, _start_event, _written
    if not _file or exhausted():
        return
    begun = time.perf_counter()
    events = [each for each in (_start_event, event) if each]
    _start_event = None
    _left -= len(events)
    if _left <= 0:
        events.append({"e": "limit", "what": "events"})
    _waiting.extend(_line(each) for each in events)
    if may_wait and _left > 0 and len(_waiting) < _MAX_WAITING and begun - _written < _MAX_WAIT_SECONDS:
        return
    lines = b"".join(_waiting)
    del _waiting[:]
    _written = begun
    descriptor = os.open(_file, os.O_WRONLY | os.O_APPEND | _CLOEXEC)
    try:
        if os.fstat(descriptor).st_size + len(lines) <= MAX_FILE:
            os.write(descriptor, lines)
        else:
            _left = 0
    finally:
        os.close(descriptor)
    _spent += time.perf_counter() - begun


write = quiet(write_inside)


def _line(event):
    head = {"v": VERSION, "t": round(time.time(), 3), "pid": os.getpid(), "thread": get_ident()}
    head.update(event)
    line = encode(head).encode("utf-8", "backslashreplace")
    if len(line) > MAX_LINE:
        slim = {key: value for key, value in head.items() if not isinstance(value, (dict, list))}
        slim["cut"] = True
        line = encode(slim).encode("utf-8", "backslashreplace")[:MAX_LINE]
    return line + b"\n"


def encode(value):
    """JSON of plain values. The standard library's `json` is not loaded on the program's behalf."""
    kind = type(value)
    # Most of what is written: a plain text or number is tried before everything else.
    if kind is str:
        return '"' + (value if value.isalnum() else value.translate(_ESCAPES)) + '"'
    if kind is int:
        return str(value)
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value) if value - value == 0 else "null"
    if isinstance(value, str):
        return '"' + str.translate(value, _ESCAPES) + '"'
    if isinstance(value, dict):
        return "{" + ",".join([encode(str(key)) + ":" + encode(each) for key, each in value.items()]) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([encode(each) for each in value]) + "]"
    return encode(type(value).__name__)
