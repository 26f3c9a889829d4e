"""The exception that is being handled when the program logs at level WARNING or higher: logging, loguru, structlog."""

import sys
from types import FunctionType

from .exceptions import record_inside
from .guard import quiet
from .imports import wrap

_WARNING = 30
_METHODS = {"warning": 30, "warn": 30, "error": 40, "err": 40, "exception": 40, "critical": 50, "fatal": 50}


def _error_of(given):
    """The exception that a log call was given (an exception, exc_info's tuple, True), or the one being handled."""
    if isinstance(given, BaseException):
        return given
    value = given[1] if isinstance(given, tuple) and len(given) == 3 else getattr(given, "value", None)
    return value if isinstance(value, BaseException) else sys.exc_info()[1]


@quiet
def _logged(error, level, logger):
    if error is not None:
        record_inside(error, "logged", level=int(level), logger=str(logger)[:80])


def _logging(module):
    def handling(original):
        def handle(self, log_record):
            if log_record.levelno >= _WARNING:
                error = _error_of(log_record.exc_info)
                if error is None and isinstance(log_record.args, tuple):
                    error = next((each for each in log_record.args if isinstance(each, BaseException)), None)
                if error is not None:
                    _logged(error, log_record.levelno, log_record.name)
            return original(self, log_record)

        return handle

    # Called after the place of the call was looked up, so the program's log lines keep theirs.
    wrap(module.Logger, "handle", handling)


def _loguru(module):
    def emitting(original):
        def emit(self, log_record, *args, **kwargs):
            try:
                level = log_record["level"].no
                error = _error_of(log_record.get("exception")) if level >= _WARNING else None
            except Exception:  # noqa: BLE001
                error = None
            if error is not None:
                _logged(error, level, log_record.get("name"))
            return original(self, log_record, *args, **kwargs)

        return emit

    # `Logger._log` counts frames to find its caller: a wrapper there would change the program's log lines.
    wrap(module.Handler, "emit", emitting)


def _structlog(module):
    def processing(original):
        def _process_event(self, method_name, event, event_kw):
            level = methods.get(method_name)
            if level is not None:
                error = find(event_kw.get("exc_info"))
                if error is not None:
                    note(error, level, "structlog")
            return original(self, method_name, event, event_kw)

        methods, find, note = _METHODS, _error_of, _logged
        # structlog looks for the first caller whose module is not its own.
        scope = {"__name__": "structlog", "__builtins__": __builtins__}
        return FunctionType(_process_event.__code__, scope, "_process_event", None, _process_event.__closure__)

    wrap(module.BoundLoggerBase, "_process_event", processing)


HOOKS = {"logging": _logging, "loguru._handler": _loguru, "structlog._base": _structlog}
