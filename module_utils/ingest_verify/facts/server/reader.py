"""Everything that a diagnosis asks the server, in one object; and what is read before and after an ingest."""

from __future__ import annotations

from typing import Any

from ...client import quote_string
from .channel import Channel
from .limits import Query
from .log_reads import LogReads
from .server_facts import ServerFacts


class Evidence(Channel, LogReads, ServerFacts):
    """Reads a server's log tables and catalog; each part stands in the module of its name."""


def read_window(query: Query, marker: str | None = None, cluster: str | None = None) -> dict[str, Any]:
    """The server's clock, version, uptime, hosts and error counters, to be read before and after an ingest."""
    evidence = Evidence(query, cluster)
    silent = evidence.check_cluster()
    if marker:
        query(f"SELECT {quote_string(marker)}")
    counters = evidence.error_counters()
    return {
        **evidence.clock(),
        "errors": {f"{row['code']}:{row['name']}:{row['remote']}": row["value"] for row in counters},
        "hosts": evidence.hosts(),
        "missing_hosts": silent,
    }
