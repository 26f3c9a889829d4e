"""Proof that the evidence channel carries: a marker statement that has to come out in the log tables."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from ...client import ServerError, quote_string
from .log_tables import LogTables

OWN_CLIENT_NAME = "clickhouse-ingest-verify"


class Channel(LogTables):
    """Proof that what a statement does reaches the log tables."""

    def flush(self) -> str | None:
        """Ask for a flush of the log tables; returns why it was not possible, else None."""
        try:
            self.query("SYSTEM FLUSH LOGS")
        except ServerError as error:
            if error.code == 497:
                return (
                    "no right to flush (GRANT SYSTEM FLUSH LOGS ON *.* TO the reading user);"
                    " waited for the server's own interval"
                )
            return f"SYSTEM FLUSH LOGS failed with code {error.code}: {error.message}"
        return None

    def wait_for(self, query_id: str, seconds: float) -> bool:
        """Wait, at most `seconds`, until the statement with this id is in query_log."""
        deadline = time.monotonic() + seconds
        pause = 0.05
        while True:
            self._tables.pop("query_log", None)
            if "query_log" in self.tables("query_log"):
                self.missing.pop("query_log", None)
                found = self.query(
                    "SELECT count() AS n FROM system.query_log WHERE event_date >= today() - 1"
                    f" AND event_time >= now() - 3600 AND query_id = {quote_string(query_id)}"
                )[0]["n"]
                if int(found):
                    return True
            elif "query_log" in self.no_access:
                return False
            if time.monotonic() >= deadline:
                return False
            time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(pause * 2, 1.0)

    def prove(self, execute_marker: Callable[[str], None], seconds: float) -> str | None:
        """Send a marker statement, flush, and wait for it. None when it was found, else the reason in a sentence."""
        query_id = f"{OWN_CLIENT_NAME}-{uuid.uuid4()}"
        execute_marker(query_id)
        refused = self.flush()
        if self.wait_for(query_id, seconds):
            return None
        reason = (
            self.missing.get("query_log")
            or f"the marker statement did not appear in system.query_log within {seconds:g} s"
        )
        return f"{reason}; {refused}" if refused else reason
