"""CPython 3.12 and newer: exceptions that pass through the program's own files, whatever becomes of them.

The first place of each is written at once, so that it stays when the process is killed; of further ones the last are
kept, and written at the end. Nothing holds an exception itself: that would keep the program's objects alive.
"""

import sys

from . import exceptions, frames, sink
from .guard import quiet

_AT_ONCE = 50
_KEPT = 50
_MAX_PLACES = 5000
# (code, offset, type) → how often such an exception passed there.
_places = {}
_ring = []
_QUIET = ("StopIteration", "StopAsyncIteration", "GeneratorExit", "CancelledError", "KeyboardInterrupt")


def install():
    """Watch raised exceptions, where the interpreter can do that and a tool's number is free."""
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is None:
        return
    for number in (4, 3):
        if monitoring.get_tool(number) is None:
            monitoring.use_tool_id(number, "ingest recorder")
            monitoring.register_callback(number, monitoring.events.RAISE, _raised)
            monitoring.set_events(number, monitoring.events.RAISE)
            return


def _raised(code, offset, error):
    if not frames.is_own(code.co_filename):
        return
    place = (code, offset, type(error))
    times = _places.get(place)
    if times is not None:
        _places[place] = times + 1
        return
    if len(_places) < _MAX_PLACES:
        _first(place, error)


@quiet
def _first(place, error):
    from . import process

    _places[place] = 1
    if isinstance(error, SystemExit):
        process.left_with(error.code)
        if error.__context__ is not None and error.code:
            exceptions.record_inside(error, "exit")
        return
    if type(error).__name__ in _QUIET:
        return
    traceback = error.__traceback__
    inner = traceback.tb_next if traceback is not None else None
    while inner is not None:
        if frames.is_own(inner.tb_frame.f_code.co_filename):
            # On its way out: it was told where it came into the program's files.
            return
        inner = inner.tb_next
    if exceptions.count() < _AT_ONCE:
        exceptions.record_inside(error, "raised")
    else:
        _ring.extend(filter(None, [exceptions.prepared(error, "raised")]))
        del _ring[:-_KEPT]


@quiet
def flush():
    """Write what the ring holds."""
    for event in _ring:
        sink.write_inside(event)
    del _ring[:]


def forget():
    """In a forked child."""
    _places.clear()
    del _ring[:]
