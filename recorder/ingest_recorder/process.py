"""The process: versions, start, end, exit status, and the children that it started."""

import atexit
import os
import sys

from . import exceptions, guard, mask, sink, swallowed
from .guard import quiet
from .imports import wrap

# Whose versions a reader of a failure wants to know.
_LIBRARIES = (
    "clickhouse_connect", "clickhouse_driver", "asynch", "aiochclient", "clickhouse_sqlalchemy", "chdb", "infi",
    "requests", "urllib3", "httpx", "httpcore", "aiohttp", "uvloop", "orjson", "ujson", "simplejson", "pydantic",
    "pandas", "numpy", "pyarrow", "polars", "sqlalchemy", "airbyte_cdk", "dlt", "celery", "airflow", "prefect",
    "dagster", "loguru", "structlog", "tenacity", "backoff", "sentry_sdk", "gevent", "eventlet",
)  # fmt: skip

_ended = False
_status = None


def install():
    """Write the start, and the end when it comes."""
    sink.start_with(_started(), at_once=True)
    atexit.register(_at_exit)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forked)

    def leaving(original):
        def exit(status=None, /):
            _leave(status)
            return original(status)

        return exit

    def leaving_at_once(original):
        def _exit(status):
            error = sys.exc_info()[1]
            if error is not None and status:
                exceptions.record(error, "exit", status=_number(status))
            _end(_number(status), even_silent=bool(status))
            return original(status)

        return _exit

    wrap(sys, "exit", leaving)
    wrap(os, "_exit", leaving_at_once)


@quiet
def _leave(status):
    global _status
    _status = _number(status)
    error = sys.exc_info()[1]
    if error is not None and _status:
        exceptions.record_inside(error, "exit", status=_status)


def left_with(status):
    """A SystemExit was raised with this status, by whatever way."""
    global _status
    _status = _number(status)


def _number(status):
    if status is None:
        return 0
    return int(status) & 0xFF if isinstance(status, int) else 1


def _started(**details):
    version = ".".join(str(part) for part in sys.version_info[:3])
    event = {"e": "process_start", "ppid": os.getppid(), "runtime": sys.implementation.name + " " + version}
    event["platform"] = sys.platform
    words = getattr(sys, "orig_argv", None) or getattr(sys, "argv", None) or []
    event["program"] = [mask.text(os.path.basename(word), 80) for word in words[:3] if not word.startswith("-c")][:3]
    event.update(details)
    return event


@quiet
def _forked():
    global _ended, _status
    guard.forget()
    exceptions.forget()
    swallowed.forget()
    if forget_exchanges:
        forget_exchanges()
    _ended, _status = False, None
    # A program may fork thousands of times: a child is told of when there is something to tell.
    sink.start_with(_started(forked=True), at_once=False)


def _at_exit():
    # Set before any hook of the program's own ran.
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    status = _status
    if isinstance(error, BaseException):
        exceptions.record(error, "uncaught")
        status = 1
    _end(status, even_silent=True)


def _end(status, even_silent):
    global _ended
    if _ended or (sink.silent() and not even_silent):
        return
    _ended = True
    swallowed.flush()
    event = {"e": "process_end", "status": status, "repeated": exceptions.repeated()[:200]}
    event["libraries"] = _libraries()
    event.update(totals() if totals else {})
    sink.write(event)


# Gives the sums of the exchanges; forgets them in a forked child. Set by `exchanges`.
totals = forget_exchanges = None


def _libraries():
    found = {}
    for name in _LIBRARIES:
        module = sys.modules.get(name)
        version = getattr(module, "__version__", None) if module is not None else None
        if isinstance(version, str):
            found[name] = version[:40]
    return found


def _subprocess(module):
    def ended(original):
        def _handle_exitstatus(self, *args, **kwargs):
            result = original(self, *args, **kwargs)
            _child(self.pid, self.args, self.returncode)
            return result

        return _handle_exitstatus

    wrap(module.Popen, "_handle_exitstatus", ended)


def _popen_fork(module):
    def polling(original):
        def poll(self, *args, **kwargs):
            known = self.returncode
            result = original(self, *args, **kwargs)
            if known is None and result is not None:
                _child(self.pid, "multiprocessing", result)
            return result

        return poll

    wrap(module.Popen, "poll", polling)


@quiet
def _child(pid, command, status):
    """A child ended; a negative status is the signal that ended it."""
    first = command if isinstance(command, (str, bytes)) else next(iter(command), "")
    name = os.path.basename(os.fsdecode(first).split(" ")[0])
    sink.write_inside({"e": "child", "child": pid, "program": mask.text(name, 60), "status": status})


HOOKS = {"subprocess": _subprocess, "multiprocessing.popen_fork": _popen_fork}
