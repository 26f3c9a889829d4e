"""Proof that the evidence channel carries: a marker statement that has to come out in the log tables."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable

from ...client import ServerError, quote_string
from .log_tables import UNANSWERED, LogTables

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
        try:
            execute_marker(query_id)
            refused = self.flush()
            if self.wait_for(query_id, seconds):
                return self.wait_for_hosts(seconds)
        except UNANSWERED as error:
            return f"the marker statement could not be looked for ({error})"
        reason = (
            self.missing.get("query_log")
            or f"the marker statement did not appear in system.query_log within {seconds:g} s"
        )
        return f"{reason}; {refused}" if refused else reason

    def wait_for_hosts(self, seconds: float) -> str | None:
        """Wait, at most `seconds`, until each host that answers has logged its part of one statement: the others flush
        by their own interval (7.5 s by default). None when they have, else how many have not."""
        if not self.cluster:
            return None
        mark = str(uuid.uuid4())
        begin = "SELECT count() AS n FROM clusterAllReplicas("
        self.query(f"{begin}{quote_string(self.cluster)}, system.one) WHERE {quote_string(mark)} != ''{self.tolerant}")
        self.flush()
        recent = "event_date >= today() - 1 AND event_time >= now() - 3600"
        sent = (
            f"SELECT query_id FROM system.query_log WHERE {recent} AND is_initial_query"
            f" AND startsWith(query, {quote_string(begin)}) AND position(query, {quote_string(mark)}) > 0"
        )
        deadline = time.monotonic() + seconds
        while True:
            found = 0
            # A host makes its log table with the first row.
            with contextlib.suppress(ServerError):
                found = self.query(
                    f"SELECT toInt64(uniqExact(shardNum())) AS n FROM {self._origin('query_log')}"
                    f" WHERE {recent} AND initial_query_id GLOBAL IN ({sent}){self.tolerant}"
                )[0]["n"]
            if found >= self.answering:
                return None
            if time.monotonic() >= deadline:
                return (
                    f"{self.answering - found} of the {self.answering} answering hosts of cluster {self.cluster!r} did"
                    f" not log their part of the marker statement within {seconds:g} s"
                )
            time.sleep(0.5)
