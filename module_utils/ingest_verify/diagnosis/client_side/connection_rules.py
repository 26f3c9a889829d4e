"""Connections that failed and HTTP errors: what happened, and whether ClickHouse or the API is at the other end."""

from __future__ import annotations

import re
from collections.abc import Callable

from ...facts.log.errors import ClientError
from .clickhouse_rules import (
    clickhouse_status,
    connect_timeout,
    connection_lost,
    connection_refused,
    read_timeout,
    tls_mismatch,
    unknown_host,
    wrong_protocol,
)
from .connection_words import (
    CONNECT_TIMEOUT,
    LOST,
    READ_TIMEOUT,
    REFUSED,
    TLS,
    UNKNOWN_HOST,
    UNREACHABLE,
    WRONG_PROTOCOL,
)
from .context import CLICKHOUSE, CONFIGURATION, INGEST, URL, Context, Judged, place, side_of, third_party
from .source_rules import api_slow, api_status, api_unreachable

Rule = Callable[[ClientError, Context], Judged | None]
OTHER_PORT = re.compile(r"Port \d+ is for clickhouse-client")


def hosts_unreachable(error: ClientError, context: Context) -> Judged | None:
    """A driver tried each of its hosts, and tells no more than that."""
    hosts = UNREACHABLE.search(error.text)
    if not hosts or side_of(error, context) != CLICKHOUSE:
        return None
    return Judged(
        "client_unreachable",
        f"The ingest reached none of ClickHouse's hosts: {hosts[1]}{place(error)}.",
        f"Check CLICKHOUSE_HOST and CLICKHOUSE_PORT, and that ClickHouse answers at {hosts[1]}.",
        CONFIGURATION,
        object=hosts[1],
    )


ToClickHouse = Callable[[ClientError, Context], Judged]
ToSource = Callable[[ClientError, Context, str | None], Judged]


# Names of functions say nothing of what failed: Node calls a timer's callback `Timeout._onTimeout`.
_FRAMES = re.compile(r"^\s+at .*$", re.MULTILINE)


def _connection_failed(words: re.Pattern[str], to_clickhouse: ToClickHouse, to_source: ToSource) -> Rule:
    """A rule for one way in which a connection fails, on either side."""

    def connection_failed(error: ClientError, context: Context) -> Judged | None:
        if not words.search(_FRAMES.sub("", error.text)) or (error.http_status and not OTHER_PORT.search(error.text)):
            return None
        side = side_of(error, context)
        if words is WRONG_PROTOCOL and re.search(r"(?i)\bpacket\b|expected Hello|clickhouse-client", error.text):
            side = CLICKHOUSE
        if third_party(error, context):
            return api_unreachable(error, context, None)
        return to_clickhouse(error, context) if side == CLICKHOUSE else to_source(error, context, side)

    return connection_failed


CONNECTION_RULES: tuple[Rule, ...] = (
    hosts_unreachable,
    _connection_failed(WRONG_PROTOCOL, wrong_protocol, api_unreachable),
    _connection_failed(TLS, tls_mismatch, api_unreachable),
    _connection_failed(UNKNOWN_HOST, unknown_host, api_unreachable),
    _connection_failed(REFUSED, connection_refused, api_unreachable),
    _connection_failed(CONNECT_TIMEOUT, connect_timeout, api_unreachable),
    _connection_failed(LOST, connection_lost, api_unreachable),
    _connection_failed(READ_TIMEOUT, read_timeout, api_slow),
)


def http_error(error: ClientError, context: Context) -> Judged | None:
    """An HTTP status from 400 on, of the API, of ClickHouse or of somebody else."""
    status = error.http_status
    if status is None:
        if re.search(
            r"\b(?:unauthorized|invalid (?:api )?token|token (?:is )?(?:wrong|invalid|expired))\b", error.text, re.I
        ):
            status = 401
        else:
            return None
    side, other = side_of(error, context), third_party(error, context)
    if other:
        return Judged(
            "client_http_status",
            f"{other}, which is neither the API nor ClickHouse, answered the ingest with HTTP {status}{place(error)}.",
            f"Check the ingest's settings for {other}. If the load does not need it (a notice, metrics), let the "
            "ingest "
            "log its failure and go on.",
            CONFIGURATION,
            object=other,
            actual=f"HTTP {status}",
        )
    if side == CLICKHOUSE:
        return clickhouse_status(error, status, context)
    if side is None and not URL.search(error.text):
        return Judged(
            "client_http_status",
            f"The ingest got HTTP {status}{place(error)}, but its log does not show from which address.",
            "Let the loader log the address and the answer's body with the status: ClickHouse answers a refused "
            "statement "
            "so too, with its code in the body, and so does a proxy in front of it.",
            INGEST,
            actual=f"HTTP {status}",
            generic=True,
        )
    return api_status(status, error.text, place(error), context)
