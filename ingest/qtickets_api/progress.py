"""Progress of a run: a bar on a terminal, a log line every few seconds elsewhere, or nothing."""

from __future__ import annotations

import logging
import sys
import time

from tqdm import tqdm

log = logging.getLogger("qtickets_api.progress")


class Progress:
    """Pages, orders and rows so far, and orders per second.

    :param quiet: show nothing
    :param every: seconds between two lines without a terminal
    """

    def __init__(self, *, quiet: bool = False, every: float = 5.0) -> None:
        self._quiet, self._every = quiet, every
        self._began = self._shown = time.monotonic()
        self._bar = (
            tqdm(unit=" orders", file=sys.stderr, dynamic_ncols=True) if sys.stderr.isatty() and not quiet else None
        )

    def update(self, *, pages: int, orders: int, rows: int) -> None:
        """Show totals; cheap enough to be called for every page."""
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.set_postfix(pages=pages, rows=rows, refresh=False)
            self._bar.update(orders - self._bar.n)
            return
        now = time.monotonic()
        if now - self._shown >= self._every:
            self._shown = now
            log.info("%d pages, %d orders, %d rows, %.0f orders/s", pages, orders, rows, orders / (now - self._began))

    def close(self) -> None:
        """Leave the terminal in order."""
        if self._bar is not None:
            self._bar.close()
