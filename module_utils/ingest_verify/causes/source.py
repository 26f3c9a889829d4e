"""What the source answered, or did not."""

from __future__ import annotations

from .model import CONFIGURATION, LOADER, SOURCE, Cause

SOURCES = (
    Cause(
        "source_unauthorized",
        "The source refuses the token",
        CONFIGURATION,
        "HTTP 401 or 403 from the source's address, or the loader's own cause.",
        never="The address is ClickHouse's or a proxy's before it.",
        row=23,
    ),
    Cause(
        "source_unavailable",
        "The source fails, limits or does not answer",
        SOURCE,
        "HTTP 429 or 5xx from the source's address, or no connection to it.",
        never="The address is ClickHouse's or a proxy's before it.",
        row=24,
        narrower_than=("source_slow",),
    ),
    Cause(
        "source_bad_request",
        "The source refuses the request as it is put",
        LOADER,
        "HTTP 4xx other than 401, 403 and 429 from the source's address.",
        row=25,
    ),
    Cause(
        "source_bad_payload",
        "The source's answer is not what the loader reads",
        SOURCE,
        "HTML, broken JSON or another shape, by the parser's own exception or the loader's own cause.",
        row=25,
    ),
    Cause(
        "source_stream_message",
        "A message of a stream cannot be read",
        SOURCE,
        "The newest error of a Kafka table's consumer names a message, and came after its last commit.",
    ),
    Cause(
        "source_stream_unreachable",
        "A stream's brokers are not reached",
        CONFIGURATION,
        "The newest error of a Kafka table's consumer is librdkafka's of a connection, and came after its last commit.",
    ),
    Cause("source_no_orders", "The source has no orders in the window", SOURCE, "The loader fetched none.", row=26),
    Cause(
        "source_orders_vanished",
        "Orders that were there are no longer served",
        SOURCE,
        "The loader's own cause.",
        row=26,
    ),
    Cause(
        "source_filter_ignored",
        "The source ignores the filter for time",
        SOURCE,
        "Orders outside of the window that was asked for.",
        row=27,
    ),
    Cause(
        "source_unstable_pages",
        "Pages repeat or skip rows",
        SOURCE,
        "The loader met the same order on two pages, or fewer than promised.",
        row=28,
    ),
    Cause(
        "source_partial", "A part of the source failed", SOURCE, "The loader's record says what was left out.", row=29
    ),
    Cause(
        "source_slow",
        "The source is slower than the time limit allows",
        SOURCE,
        "The loader was reading from the source when its time was over.",
        row=30,
    ),
)
