"""Exceptions that the program reports in any way, and those that nobody takes.

`how` says by which way one was met: `uncaught`, `thread`, `asyncio`, `exit` (sys.exit or os._exit while it was
handled), `logged`, `printed`, `future` (kept in a future), `gathered` (an answer of asyncio.gather), `formatted` (its
traceback was made into text), `raised` (in the program's own files; what became of it is not known).
"""

import sys

from . import frames, mask, sink
from .guard import quiet, unwatched
from .imports import wrap

_MAX_CHAIN = 6
_MAX_FULL = 200
# (type, place, text) of an exception → its number; (number, how) → how often it was met.
_known = {}
_met = {}
# Gives the number of the last exchange of this thread; set by `exchanges`.
last_exchange = None


def record_inside(error, how, **details):
    """Record an exception in full when it is met first; after that the way it was met, and then only count it."""
    event = prepared(error, how, **details)
    if event is not None:
        sink.write_inside(event)


def prepared(error, how, **details):
    """The event of an exception, None where it was only counted."""
    if isinstance(error, SystemExit):
        error = error.__context__
    if error is None or isinstance(error, (StopIteration, StopAsyncIteration, GeneratorExit)):
        return None
    key = _key(error)
    number = _known.get(key)
    if number is None:
        if len(_known) >= _MAX_FULL:
            return None
        number = _known[key] = len(_known) + 1
        _met[number, how] = 1
        return {
            "e": "exception",
            "n": number,
            "how": how,
            **details,
            "chain": _chain(error),
            "callers": frames.of_callers(sys._getframe(1)),
            "last_exchange": last_exchange() if last_exchange else None,
        }
    times = _met.get((number, how), 0)
    _met[number, how] = times + 1
    if times:
        return None
    here = last_exchange() if last_exchange else None
    return {"e": "exception", "same": number, "how": how, **details, "last_exchange": here}


def count():
    """How many exceptions were told in full."""
    return len(_known)


record = quiet(record_inside)


def repeated():
    """[[number, how, times]] of what was met more than once."""
    return [[number, how, times] for (number, how), times in _met.items() if times > 1]


def forget():
    """In a forked child: its own are told anew."""
    _known.clear()
    _met.clear()


def _key(error):
    traceback, last = error.__traceback__, None
    steps = 0
    while traceback is not None and steps < 2000:
        last, traceback, steps = traceback, traceback.tb_next, steps + 1
    place = (last.tb_frame.f_code.co_filename, last.tb_lineno) if last is not None else None
    return (type(error), place, _text(error)[:80], id(error) if place is None else 0)


def _chain(error):
    """The exception and what it came from, the last one first."""
    chain = []
    seen = set()
    while error is not None and id(error) not in seen and len(chain) < _MAX_CHAIN:
        seen.add(id(error))
        chain.append(_described(error))
        # A context that `from None` hides is still where it began.
        error = error.__cause__ if error.__cause__ is not None else error.__context__
    return chain


def _described(error):
    kind = type(error)
    module = kind.__module__
    known = {
        "type": kind.__qualname__ if module in ("builtins", "__main__") else module + "." + kind.__qualname__,
        "text": mask.text(_text(error)),
        "frames": frames.of_traceback(error.__traceback__),
    }
    if isinstance(error, KeyError) and error.args:
        known["key_type"] = type(error.args[0]).__name__
    code = getattr(error, "code", None)
    if isinstance(code, int) and module.partition(".")[0] in ("clickhouse_driver", "clickhouse_connect", "asynch"):
        known["code"] = int(code)
    parts = getattr(error, "exceptions", None)
    if isinstance(parts, tuple) and parts and isinstance(parts[0], BaseException):
        known["parts"] = [_chain(part)[0] for part in parts[:5]]
    return known


def _text(error):
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a __str__ of the program's
        return ""


def install():
    """Uncaught exceptions, `sys.exit` and `print` while one is handled."""
    import builtins

    def uncaught(original):
        def excepthook(kind, value, traceback):
            record(value, "uncaught")
            return original(kind, value, traceback)

        return excepthook

    def printing(original):
        def print(*args, **kwargs):
            error = sys.exc_info()[1]
            if error is not None:
                record(error, "printed")
            return original(*args, **kwargs)

        return print

    wrap(sys, "excepthook", uncaught)
    wrap(builtins, "print", printing)


def _threading(module):
    def thread(original):
        def excepthook(args, /):
            if args.exc_value is not None:
                record(args.exc_value, "thread")
            return original(args)

        return excepthook

    wrap(module, "excepthook", thread)


def _traceback(module):
    def init(original):
        def init_traceback(self, exc_type, exc_value=None, *args, **kwargs):
            if isinstance(exc_value, BaseException):
                record(exc_value, "formatted")
            # It makes one of itself for each cause.
            unwatched(original, self, exc_type, exc_value, *args, **kwargs)

        return init_traceback

    wrap(module.TracebackException, "__init__", init)


def _futures(module):
    def kept(original):
        def set_exception(self, exception):
            if isinstance(exception, BaseException):
                record(exception, "future")
            return original(self, exception)

        return set_exception

    wrap(module.Future, "set_exception", kept)


def _event_loop(module):
    def reported(original):
        def call_exception_handler(self, context):
            error = context.get("exception") if isinstance(context, dict) else None
            if isinstance(error, BaseException):
                record(error, "asyncio")
            return original(self, context)

        return call_exception_handler

    wrap(module.BaseEventLoop, "call_exception_handler", reported)


def _tasks(module):
    @quiet
    def look(future):
        results = getattr(future, "_result", None)
        errors = [each for each in results if isinstance(each, BaseException)] if isinstance(results, list) else []
        for error in errors[:20]:
            record_inside(error, "gathered")

    def gathering(original):
        def gather(*args, return_exceptions=False, **kwargs):
            outer = original(*args, return_exceptions=return_exceptions, **kwargs)
            if return_exceptions:
                outer.add_done_callback(look)
            return outer

        return gather

    wrap(module, "gather", gathering)


HOOKS = {
    "threading": _threading,
    "traceback": _traceback,
    "concurrent.futures._base": _futures,
    "asyncio.base_events": _event_loop,
    "asyncio.tasks": _tasks,
}
