"""`python -m qtickets_api`: command line, logging, signals, and the outcome as the last line of stdout."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from . import __version__
from .errors import EXIT_INTERNAL, EXIT_OK, ConfigError, LoaderError, TerminatedError
from .progress import Progress
from .run import Run
from .settings import Settings, load_settings
from .transform import Window

log = logging.getLogger("qtickets_api")

_EPILOG = """\
Settings come from the environment (QTICKETS_TOKEN, ORG_NAME, CLICKHOUSE_HOST, ...; ingest/README.md lists them). An env
file fills in what the environment does not say; the options here win over both.

Exit status: 0 everything written and recorded as ok; 2 configuration; 3 the API; 4 ClickHouse; 5 the data;
1 a defect of the loader itself; 130, 143 stopped by SIGINT, SIGTERM.
The last line on stdout is one JSON object with the outcome."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """A wrong option gets an outcome line as every other failure does."""
        raise ConfigError(f"{message}; see --help", "config_usage")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m qtickets_api",
        description="Load Qtickets orders, events and seats into ClickHouse.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--since-hours", metavar="N", help="load orders paid in the last N hours (default: QTICKETS_SINCE_HOURS)"
    )
    start.add_argument(
        "--from", dest="start", metavar="TIME", help="start of the window, ISO 8601; without offset in REPORT_TZ"
    )
    add("--to", dest="end", metavar="TIME", help="end of the window, exclusive (default: now)")
    add("--dry-run", action="store_true", default=None, help="fetch and transform, print the metrics, write nothing")
    add(
        "--figures",
        action="store_true",
        help="load nothing; print what a correct load of the window leaves, row by row",
    )
    add("--env-file", type=Path, metavar="FILE", help="NAME=value lines, read as docker run --env-file does")
    add("--log-level", metavar="LEVEL", help="debug, info, warning or error (default: LOG_LEVEL)")
    add("--quiet", action="store_true", help="no progress")
    add("--version", action="version", version=f"qtickets_api {__version__}")
    return parser


def make_window(settings: Settings, start: str | None, end: str | None, now: int) -> Window:
    """The window in epoch seconds: ``start`` and ``end`` as given, else the last `QTICKETS_SINCE_HOURS` before ``now``.

    :raises ConfigError: not ISO 8601, reversed, or starting in the future
    """

    def moment(option: str, text: str) -> int:
        try:
            parsed = datetime.fromisoformat(text)
            return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=settings.report_tz)).timestamp())
        except (ValueError, OverflowError):
            wanted = "ISO 8601 such as 2026-11-23 or 2026-11-23T10:00:00+03:00"
            raise ConfigError(f"{option}: expected {wanted}, got {text!r}", "config_window") from None

    until = now if end is None else moment("--to", end)
    since = moment("--from", start) if start is not None else until - int(settings.qtickets_since_hours * 3600)
    if since >= until:
        raise ConfigError(f"the window is empty: {_iso(since)} is not before {_iso(until)}", "config_window")
    if since > now or not 0 <= since < until < 2**32:
        raise ConfigError(f"the window starts in the future or lies outside 1970-2106: {_iso(since)}", "config_window")
    return Window(since, until)


def _iso(moment: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def _set_up_logging(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("httpx", "httpcore", "stamina", "clickhouse_connect", "urllib3"):  # some log whole requests
        logging.getLogger(name).setLevel(logging.WARNING)


async def _execute(run: Run, *, figures: bool) -> dict[str, Any] | None:
    """The run, or only the figures of a correct one, ended early by SIGTERM or SIGINT.

    :raises TerminatedError: instead of whatever the cancellation led to
    """
    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(run.expect() if figures else run.execute())
    received: list[signal.Signals] = []

    def stop(signum: signal.Signals) -> None:
        received.append(signum)
        run.hurry()
        work.cancel()

    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop, signum)
    try:
        return await work
    except (asyncio.CancelledError, LoaderError):
        if received and run.recorded is None:
            raise TerminatedError(received[0], received[0].name) from None
        raise


def _outcome(error: BaseException | None, settings: Settings | None, run: Run | None) -> dict[str, Any]:
    metrics = run.metrics() if run else {}
    outcome: dict[str, Any] = {
        "outcome": "ok",
        "exit_code": EXIT_OK,
        "cause": None,
        "error_type": None,
        "message": "",
        "run_id": str(settings.run_id) if settings else None,
        "job": settings.job_name if settings else None,
        "window": metrics.get("orders_window"),
        "rows_processed": run.rows_processed if run else 0,
        "metrics": metrics,
    }
    if isinstance(error, LoaderError):
        kind = type(error.__cause__ or error).__name__
        outcome |= {"exit_code": error.exit_code, "cause": error.cause, "error_type": kind, "message": str(error)}
    elif error is not None:
        kind = type(error).__name__
        outcome |= {"exit_code": EXIT_INTERNAL, "cause": "internal", "error_type": kind, "message": f"{kind}: {error}"}
    return outcome | ({"outcome": "failed"} if error is not None else {})


def _report(error: BaseException, outcome: dict[str, Any], run: Run | None) -> None:
    """Log the failure with its type, and with its traceback where that says more than the sentence; record it."""
    plain = isinstance(error, ConfigError | TerminatedError)
    text = f"{outcome['error_type']}: {outcome['cause']}: {outcome['message']}"
    log.error("failed: %s", text, exc_info=None if plain else error)
    if run is not None:
        try:
            run.record("failed", f"{outcome['cause']}: {outcome['message']}")
        except Exception as second:  # noqa: BLE001 - the first failure is the one to report
            log.error("the failed run is not in meta_job_runs: %s: %s", type(second).__name__, second)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the loader; returns the exit status."""
    _set_up_logging("INFO")
    settings: Settings | None = None
    run: Run | None = None
    error: BaseException | None = None
    expected: dict[str, Any] | None = None
    try:
        options = _parser().parse_args(argv)
        given = {
            "qtickets_since_hours": options.since_hours,
            "dry_run": options.dry_run or options.figures or None,
            "log_level": options.log_level,
        }
        settings = load_settings(
            options.env_file, **{name: value for name, value in given.items() if value is not None}
        )
        _set_up_logging(settings.log_level)
        now = time.time_ns() // 1000
        window = make_window(settings, options.start, options.end, now // 1_000_000)
        run = Run(settings, window, now, Progress(quiet=options.quiet))
        log.info(
            "run %s of job %s for %s: orders paid from %s to %s%s",
            settings.run_id,
            settings.job_name,
            settings.org_name,
            _iso(window.start),
            _iso(window.end),
            ", dry run: nothing will be written" if settings.dry_run else "",
        )
        expected = asyncio.run(_execute(run, figures=options.figures))
    except (Exception, KeyboardInterrupt, asyncio.CancelledError) as caught:  # noqa: BLE001 - every failure gets its outcome
        error = caught
    outcome = _outcome(error, settings, run) | ({"figures": expected} if expected else {})
    if error is not None:
        _report(error, outcome, run)
    if run is not None:
        run.close()
    print(json.dumps(outcome, ensure_ascii=False), flush=True)
    return int(outcome["exit_code"])


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # Not sys.exit: it would wait for a statement that still runs in its thread, far beyond the time that a container
    # is given to stop.
    os._exit(status)
