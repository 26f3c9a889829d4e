"""The recorder never disturbs the program: what fails in it is dropped, and it does not look at itself."""

from _thread import get_ident

# Threads that are inside the recorder: an exception's own __str__ may log.
_inside = set()


def quiet(function):
    """The function, which from now on neither raises nor runs inside itself; its result is None then.

    Only `Exception` is dropped: a KeyboardInterrupt that arrives here is the program's.
    """

    def quietly(*args, **kwargs):
        thread = get_ident()
        if thread in _inside:
            return None
        _inside.add(thread)
        try:
            return function(*args, **kwargs)
        except Exception:  # noqa: BLE001
            return None
        finally:
            _inside.discard(thread)

    return quietly


def unwatched(function, *args, **kwargs):
    """Call a function of the program while the recorder looks away on this thread; it may raise."""
    thread = get_ident()
    if thread in _inside:
        return function(*args, **kwargs)
    _inside.add(thread)
    try:
        return function(*args, **kwargs)
    finally:
        _inside.discard(thread)


def forget():
    """In a forked child: threads of the parent are not here."""
    _inside.clear()
