"""What the source answered, or did not."""

from __future__ import annotations

from .model import CONFIGURATION, LOADER, SOURCE, Cause, Form

SOURCES = (
    Cause(
        "source_unauthorized",
        "The source refuses the token",
        CONFIGURATION,
        "HTTP 401 or 403 from the source's address, or the loader's own cause.",
        never="The address is ClickHouse's or a proxy's before it.",
        row=23,
        likely="HTTP 403 of another API than Qtickets: a firewall in front of it says so too.",
        step="Put a valid token into the env file.",
    ),
    Cause(
        "source_unavailable",
        "The source fails, limits or does not answer",
        SOURCE,
        "HTTP 429 or 5xx from the source's address, or no connection to it.",
        never="The address is ClickHouse's or a proxy's before it.",
        row=24,
        narrower_than=("source_slow",),
        step="Wait until the source answers again, or ask its operator.",
    ),
    Cause(
        "source_bad_request",
        "The source refuses the request as it is put",
        LOADER,
        "HTTP 4xx other than 401, 403 and 429 from the source's address.",
        row=25,
        step="Correct the request's address and parameters in the loader.",
    ),
    Cause(
        "source_bad_payload",
        "The source's answer is not what the loader reads",
        SOURCE,
        "HTML, broken JSON or another shape, by the parser's own exception or the loader's own cause.",
        row=25,
        likely="The parser met the end at once, and the log does not show whether it read an answer or a file.",
        step="Compare the source's answer with what the loader reads, and correct the side that is wrong.",
    ),
    Cause(
        "source_no_orders",
        "The source has no orders in the window",
        SOURCE,
        "The loader fetched none.",
        row=26,
        step="Check the window and the organisation. If there were orders, ask the source's operator.",
    ),
    Cause(
        "source_stream_message",
        "A message of a stream cannot be read",
        SOURCE,
        "The newest error of a Kafka table's consumer names a message, and came after its last commit; or a log holds "
        "the server's sentence of it.",
        narrower_than=("server_type_mismatch", "server_refused_statement", "server_bad_input"),
        forms=(
            Form(
                ("", "input", "value", "null_value", "format_schema"),
                r"while parsing Kafka message \(topic: ([^,]+, partition: \d+, offset: \d+)\)",
                "A Kafka table cannot read a message (topic {name}): {brief}.",
                "Read that message with the consumer's own tool, and correct its format at its producer. To go on "
                "without such messages: kafka_skip_broken_messages, or kafka_handle_error_mode = 'stream'.",
                SOURCE,
                "a message in the table's format",
                example="Expected end of line: (at row 1): while parsing Kafka message (topic: trips, partition: 0, "
                "offset: 39218)'",
            ),
        ),
        step="Correct the message's format at its producer, or let the table skip broken ones "
        "(kafka_skip_broken_messages).",
        command="SELECT database, table, exceptions.text FROM system.kafka_consumers;",
    ),
    Cause(
        "source_stream_unreachable",
        "A stream's brokers are not reached",
        CONFIGURATION,
        "The newest error of a Kafka table's consumer is librdkafka's of a connection, and came after its last commit.",
        step="Correct the brokers' addresses in the table, and open the way from the server's host.",
        command="SELECT database, table, exceptions.text FROM system.kafka_consumers;",
    ),
    Cause(
        "source_orders_vanished",
        "Orders that were there are no longer served",
        SOURCE,
        "The loader's own cause.",
        row=26,
        step="Ask the source's operator whether the orders were deleted.",
    ),
    Cause(
        "source_filter_ignored",
        "The source ignores the filter for time",
        SOURCE,
        "Orders outside of the window that was asked for.",
        row=27,
        likely="The loader says that orders lie outside of the window, and not why.",
        step="Let the loader filter by time itself, and tell the source's operator.",
    ),
    Cause(
        "source_unstable_pages",
        "Pages repeat or skip rows",
        SOURCE,
        "The loader met the same order on two pages, or fewer than promised.",
        row=28,
        step="Read with a stable order, and run again when the source is quiet.",
    ),
    Cause(
        "source_partial",
        "A part of the source failed",
        SOURCE,
        "The loader's record says what was left out.",
        row=29,
        step="Run again, and look which part failed if it happens twice.",
    ),
    Cause(
        "source_slow",
        "The source is slower than the time limit allows",
        SOURCE,
        "The loader was reading from the source when its time was over.",
        row=30,
        likely="The last line of the log is all that says what it waited for.",
        step="Raise the time limit, or ask the source for less at once.",
    ),
)
