"""What runs inside the ingest's process: which exceptions it meets, whom it talks to, how it starts and ends.

Standard library only, CPython 3.8 and newer. No module of the standard library is imported before the program imports
it (a program may have a `queue.py` of its own); hooks are put in place when the program imports what they hook.
"""


def start(path):
    """Record into the file `path` from now on. Never raises into the program (see `guard.quiet`)."""
    from . import exceptions, http_clients, imports, logs, native_clients, parsers, process, sink, swallowed

    if not sink.open_file(path):
        return
    process.install()
    exceptions.install()
    swallowed.install()
    for part in (exceptions, logs, process, parsers, http_clients, native_clients):
        imports.HOOKS.update(part.HOOKS)
    imports.install()
