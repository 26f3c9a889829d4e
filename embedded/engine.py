"""The engine's own process: loads chdb-core, opens HTTP and native ports, leaves cleanly at SIGTERM.

Started by the launcher as a script in an interpreter of its own, so it needs the standard library only.

Facts measured on chdb-core 26.7.0 and 26.9.0, which the shape of this file follows:

* The engine listens only while a script given to ``query()`` runs ("SYSTEM START LISTEN" through ``connect()`` fails
  with code 49). The script's last statement therefore reads a pipe whose other end this process holds: it costs no CPU,
  neither a time limit nor KILL QUERY ends it, and closing the pipe ends it at once and lets the engine flush its logs.
* Importing the package ``chdb`` opens a throw-away connection, after which ``system.text_log`` stays empty for good.
  Only the extension module is loaded, under a bare package module.
* ``<timezone>`` of config.xml is ignored; the environment variable ``TZ``, which the launcher sets, is not.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.machinery
import os
import resource
import signal
import sys
import threading
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def load_extension(engine_path: str | None) -> Any:
    """Load ``chdb._chdb`` without running the package's ``__init__``.

    Raises:
        ImportError: chdb-core is not installed (in ``engine_path`` when given, else on ``sys.path``).
    """
    spec = importlib.machinery.PathFinder.find_spec("chdb", [engine_path] if engine_path else None)
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("chdb-core is not installed")
    package = types.ModuleType("chdb")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["chdb"] = package
    return importlib.import_module("chdb._chdb")


def serve(conf_dir: Path, data_dir: Path, version_file: Path, engine_path: str | None) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status: 0 after a signal, 1 when the engine ended by itself."""
    # The engine takes config.xml from the current directory, as clickhouse-local does.
    os.chdir(conf_dir)
    os.umask(0o027)
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    # Blocked before the engine makes its threads, so that none of them and no handler of its own can take them.
    stop_signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)
    extension = load_extension(engine_path)
    lifeline, lifeline_end = os.pipe()
    script = ";".join(
        (
            f"SELECT version() INTO OUTFILE {literal(str(version_file))} TRUNCATE FORMAT TSVRaw",
            "SYSTEM START LISTEN HTTP",
            "SYSTEM START LISTEN TCP",
            f"SELECT line FROM file('/proc/self/fd/{lifeline}', 'LineAsString', 'line String')",
            # The engine's own shutdown writes query_log, but not text_log.
            "SYSTEM FLUSH LOGS",
        )
    )
    asked_to_stop, ended = threading.Event(), threading.Event()
    failure = "no exception given"

    def run_engine() -> None:
        nonlocal failure
        try:
            # The format becomes the default of the HTTP interface; a server's is TabSeparated.
            extension.query(script, "TabSeparated", path=str(data_dir))
        except Exception as error:  # noqa: BLE001 - the extension raises bare RuntimeErrors
            failure = str(error)
        ended.set()
        if not asked_to_stop.is_set():
            signal.pthread_kill(main_thread, signal.SIGTERM)

    main_thread = threading.get_ident()
    engine = threading.Thread(target=run_engine, daemon=True)
    engine.start()
    signal.sigwait(stop_signals)
    ended_by_itself = ended.is_set()
    asked_to_stop.set()
    os.close(lifeline_end)
    engine.join()
    if ended_by_itself:
        print(f"the engine ended by itself: {failure}", file=sys.stderr, flush=True)
    return 1 if ended_by_itself else 0


def execute(script: str, data_dir: Path, engine_path: str | None) -> int:
    """Run a script of several statements on the data of an engine that does not run, with every right.

    Returns the exit status: 1 at the first error, which is printed.
    """
    connection = load_extension(engine_path).connect(str(data_dir))
    try:
        connection.query(script, "TabSeparated")
    except Exception as error:  # noqa: BLE001 - the extension raises bare RuntimeErrors
        print(error, file=sys.stderr)
        return 1
    finally:
        connection.close()
    return 0


def literal(text: str) -> str:
    """A ClickHouse string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def daemonise(log_file: Path) -> None:
    """Go on in a child, in a session of its own; the parent prints the child's pid and leaves."""
    child = os.fork()
    if child:
        print(child, flush=True)
        os._exit(0)
    os.setsid()
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="internal: started by the launcher")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--conf-dir", type=Path)
    parser.add_argument("--version-file", type=Path)
    parser.add_argument("--execute", action="store_true", help="run standard input's statements instead of serving")
    parser.add_argument("--engine-path")
    parser.add_argument("--daemon-log", type=Path, help="detach, and write standard output and error here")
    args = parser.parse_args(argv)
    if args.execute:
        return execute(sys.stdin.read(), args.data_dir, args.engine_path)
    if args.daemon_log:
        daemonise(args.daemon_log)
    return serve(args.conf_dir, args.data_dir, args.version_file, args.engine_path)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Past the interpreter's own teardown: threads of the extension are still there and could crash in it.
    os._exit(status)
