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
from typing import Any

from . import __version__
from .errors import EXIT_OK, ConfigError, LoaderError, Terminated
from .progress import Progress
from .run import Run
from .settings import Settings, load_settings
from .transform import Window

log = logging.getLogger("qtickets_api")

_EPILOG = """\
Settings come from the environment (QTICKETS_TOKEN, ORG_NAME, CLICKHOUSE_HOST, ...), see ingest/README.md; an env file fills
in what the environment does not say, and the options here win over both.

Exit status: 0 everything written and recorded as ok; 2 configuration; 3 the API; 4 ClickHouse; 5 the data;
1 a defect of the loader itself; 130, 143 stopped by SIGINT, SIGTERM.
The last line on stdout is one JSON object with the outcome."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m qtickets_api", description="Load Qtickets orders, events and seats into ClickHouse.", epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--since-hours", type=float, metavar="N", help="load orders paid in the last N hours (default: QTICKETS_SINCE_HOURS)")
    parser.add_argument("--from", dest="start", metavar="TIME", help="start of the window, ISO 8601; without offset in REPORT_TZ")
    parser.add_argument("--to", dest="end", metavar="TIME", help="end of the window (exclusive; default: now)")
    parser.add_argument("--dry-run", action="store_true", default=None, help="fetch and transform, print the metrics, write nothing")
    parser.add_argument("--env-file", type=Path, metavar="FILE", help="NAME=value lines, read as docker run --env-file does")
    parser.add_argument("--log-level", metavar="LEVEL", help="debug, info, warning or error (default: LOG_LEVEL)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--version", action="version", version=f"qtickets_api {__version__}")
    return parser


def make_window(settings: Settings, start: str | None, end: str | None, now: int) -> Window:
    """The window in epoch seconds: ``start`` and ``end`` as given, else the last `QTICKETS_SINCE_HOURS` before ``now``.

    :raises ConfigError: not ISO 8601, reversed, or wholly in the future
    """

    def moment(option: str, text: str) -> int:
        try:
            parsed = datetime.fromisoformat(text)
        except ValueError:
            raise ConfigError(f"{option}: expected ISO 8601 such as 2026-11-23 or 2026-11-23T10:00:00+03:00, got {text!r}") from None
        return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=settings.report_tz)).timestamp())

    until = moment("--to", end) if end else now
    since = moment("--from", start) if start else until - int(settings.qtickets_since_hours * 3600)
    if since >= until:
        raise ConfigError(f"the window is empty: it starts at or after its end ({start or 'since-hours'} to {end or 'now'})")
    if since > now:
        raise ConfigError(f"--from: {start} lies in the future")
    return Window(since, until)


def _set_up_logging(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("httpx", "httpcore", "stamina", "clickhouse_connect"):  # they log whole requests
        logging.getLogger(name).setLevel(logging.WARNING)


async def _execute(run: Run) -> None:
    """The run, cancelled by SIGTERM and SIGINT.

    :raises Terminated: instead of whatever the cancellation led to
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task
    received: list[signal.Signals] = []

    def stop(signum: signal.Signals) -> None:
        received.append(signum)
        task.cancel()

    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop, signum)
    try:
        await run.execute()
    except asyncio.CancelledError:
        if received:
            raise Terminated(received[0], received[0].name) from None
        raise


def _outcome(error: BaseException | None, settings: Settings | None, run: Run | None) -> dict[str, Any]:
    metrics = run.metrics() if run else {}
    known = isinstance(error, LoaderError)
    return {
        "outcome": "failed" if error else "ok",
        "exit_code": EXIT_OK if error is None else error.exit_code if isinstance(error, LoaderError) else 1,
        "cause": None if error is None else error.cause if known else "internal",  # type: ignore[attr-defined]
        "error_type": None if error is None else type(error.__cause__ if known and error.__cause__ else error).__name__,
        "message": "" if error is None else str(error) if known else f"{type(error).__name__}: {error}",
        "run_id": str(settings.run_id) if settings else None,
        "job": settings.job_name if settings else None,
        "window": metrics.get("orders_window"),
        "rows_processed": run.rows_processed if run else 0,
        "metrics": metrics,
    }


def _record_failure(run: Run, outcome: dict[str, Any]) -> None:
    try:
        run.record("failed", f"{outcome['cause']}: {outcome['message']}")
    except Exception as error:  # noqa: BLE001 - the first failure is the one to report
        log.error("the failed run could not be recorded in meta_job_runs: %s: %s", type(error).__name__, error)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the loader; returns the exit status."""
    options = _parser().parse_args(argv)
    _set_up_logging("INFO")
    settings: Settings | None = None
    run: Run | None = None
    error: BaseException | None = None
    try:
        overrides = {"qtickets_since_hours": options.since_hours, "dry_run": options.dry_run, "log_level": options.log_level}
        settings = load_settings(options.env_file, **{name: value for name, value in overrides.items() if value is not None})
        _set_up_logging(settings.log_level)
        now = time.time_ns() // 1000
        window = make_window(settings, options.start, options.end, now // 1_000_000)
        run = Run(settings, window, now, Progress(quiet=options.quiet))
        log.info("run %s of job %s starts%s", settings.run_id, settings.job_name, " (dry run)" if settings.dry_run else "")
        asyncio.run(_execute(run))
    except (Exception, KeyboardInterrupt) as caught:  # noqa: BLE001 - the one place where every failure gets its outcome
        error = caught
    outcome = _outcome(error, settings, run)
    if error is not None:
        log.error("%s failed: %s: %s", settings.job_name if settings else "qtickets_api", outcome["cause"], outcome["message"],
                  exc_info=error)  # fmt: skip
        if run:
            _record_failure(run, outcome)
    if run:
        run.progress.close()
    print(json.dumps(outcome, ensure_ascii=False), flush=True)
    return int(outcome["exit_code"])


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # Not sys.exit: a statement that still runs in its thread would be waited for, far beyond the time that a container is
    # given to stop.
    os._exit(status)
