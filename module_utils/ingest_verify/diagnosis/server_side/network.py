"""A socket that timed out or broke: the loader's own, or one that the server opened to another system."""

from __future__ import annotations

import re

from ...causes import Decision
from ...facts.catalog import Catalog
from ...sql_text import has_select
from .refusal import Refusal, what_of

_OWN_CLIENT = re.compile(r"receiving data from client")
# The server's own end of a connection that it accepted has a port that it listens on, the client's an ephemeral one.
_ENDS = re.compile(r"peer: \[?[\w.:-]+?\]?:(\d+), local: \[?[\w.:-]+?\]?:(\d+)")
_EPHEMERAL = 32768
_WAITED = re.compile(r"Waited for (\d+) seconds?, timeout is (\d+)|,?\s(\d+) ms\)")
_ADDRESS = re.compile(r"([\w-]+(?:\.[\w-]+)*:\d{1,5})\b|address of host: ([\w.-]+)")
# Table engines that write to, or read from, another system when they are inserted into.
_REMOTE_ENGINES = (
    "Distributed", "MySQL", "PostgreSQL", "MongoDB", "URL", "S3", "Kafka", "HDFS", "AzureBlob", "Buffer",
)  # fmt: skip


def reads_elsewhere(refusal: Refusal, catalog: Catalog) -> bool:
    """Whether the statement makes the server open a connection of its own."""
    target = refusal.target
    if has_select(refusal.sql) or target.kind == "FUNCTION" or target.verb not in ("INSERT", ""):
        return True
    engine = str((catalog.table_facts(target.database, target.table) or {}).get("engine", ""))
    return any(name in engine for name in _REMOTE_ENGINES)


def _accepted(text: str) -> bool:
    """Whether the connection is one that the server accepted."""
    ends = _ENDS.search(text)
    return ends is not None and int(ends[2]) < _EPHEMERAL <= int(ends[1])


def broken_by_own_client(text: str) -> bool:
    """Whether the loader's own connection broke, which is an effect of the loader's end."""
    return _accepted(text) and re.search(r"Connection reset by peer|Broken pipe", text) is not None


def from_own_client(refusal: Refusal, catalog: Catalog) -> bool:
    """Whether the socket was the loader's own: the server's text says so, or the statement has no other."""
    return bool(_OWN_CLIENT.search(refusal.text)) or _accepted(refusal.text) or not reads_elsewhere(refusal, catalog)


def socket_failed(refusal: Refusal, catalog: Catalog) -> Decision:
    """SOCKET_TIMEOUT or NETWORK_ERROR of a statement, by whose socket it was."""
    what = what_of(refusal.target)
    if from_own_client(refusal, catalog):
        return _idle(refusal, what) if "imeout" in refusal.text else _gone(refusal, what)
    named = _ADDRESS.search(refusal.text)
    address = next(filter(None, named.groups())) if named else None
    return Decision(
        "server_remote_unreachable",
        f"The server itself could not reach what {what} reads from or writes to: {refusal.brief}.",
        "Check the address in the statement's table function, or in the cluster of its Distributed table (SELECT * "
        "FROM system.clusters), and that the server's own host gets there. The loader's network does not matter here.",
        "server",
        object=address or refusal.target.name,
        expected="another system that answers the server",
        actual=refusal.brief,
    )


def _idle(refusal: Refusal, what: str) -> Decision:
    waited = _WAITED.search(refusal.text)
    seconds = (waited[2] or str(int(waited[3]) // 1000)) if waited else ""
    how_long = f" {seconds} s" if seconds else ""
    return Decision(
        "client_idle_in_insert",
        f"The server waited{how_long} for the loader's next rows of {what} and gave up: the loader sent nothing for "
        "longer.",
        "End the INSERT while the feed is idle: collect rows first, then send them in one go.\n"
        "Or let the server wait longer for its user: SETTINGS receive_timeout = ... over the native protocol, "
        "http_receive_timeout = ... over HTTP.\n"
        f"What was sent before may be written: count the rows of {refusal.target.name or 'the table'} before a retry.",
        "loader",
        object=refusal.target.name,
        expected=f"rows, or the statement's end, within{how_long or ' receive_timeout'}",
        actual=refusal.brief,
    )


def _gone(refusal: Refusal, what: str) -> Decision:
    return Decision(
        "client_aborted_insert",
        f"The connection to the loader broke in the middle of {what}: {refusal.brief}.",
        "Look in the loader's own log and exit status for why it stopped. What was sent so far may be written.",
        "loader",
        object=refusal.target.name,
        expected="a statement sent to its end",
        actual=refusal.brief,
    )
