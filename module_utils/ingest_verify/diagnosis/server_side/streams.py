"""A stream that the server itself reads: nobody sends a statement, so its consumers are what tells how it goes."""

from __future__ import annotations

import re
from typing import Any

from ...causes import CONFIGURATION, SCHEMA, SOURCE
from ...client import clean_exception, quote_table
from ...findings import Finding
from .. import STAGE
from ..case import Case

_STACK = re.compile(r",? ?Stack trace \(when|\n0\. ")
_MESSAGE = re.compile(r"while parsing Kafka message \(topic: (\S+?), partition: (\d+), offset: (\d+)\)")
_UNREACHABLE = re.compile(
    r"brokers are down|Connect to \S+ failed|Failed to resolve|timed out|Broker transport failure|Disconnected"
)


def streams(case: Case) -> list[dict[str, Any]]:
    """The consumers that fill the targets of a load that somebody else runs, where no statement was seen of it."""
    if case.run or not case.ingest.get("observed") or not case.request.targets:
        return []
    database = case.request.database or ""
    targets = [name if "." in name else f"{database}.{name}" for name in case.request.targets]
    return case.evidence.consumers(targets)


def stopped(consumers: list[dict[str, Any]]) -> list[Finding]:
    """One error for each queue whose consumer failed after it last read something."""
    worst = {f"{row['database']}.{row['table']}": row for row in reversed(consumers) if row["failing"]}
    return [_finding(queue, row) for queue, row in sorted(worst.items())]


def _finding(queue: str, row: dict[str, Any]) -> Finding:
    text = _STACK.split(clean_exception(row["error"]))[0].strip()
    table = quote_table(row["database"], row["table"])
    if at := _MESSAGE.search(text):
        cause, side = "source_stream_message", SOURCE
        headline = f"{queue} cannot read a message of topic {at[1]}, partition {at[2]}, offset {at[3]}: {_first(text)}"
        step = (
            "The stream stands still at this message. Correct it where it is produced.\n"
            f"To go on without such messages, make {table} again with one of these settings: kafka_handle_error_mode = "
            "'stream' keeps them apart in the columns _error and _raw_message; kafka_skip_broken_messages drops them."
        )
    elif _UNREACHABLE.search(text):
        cause, side = "source_stream_unreachable", CONFIGURATION
        headline = f"{queue} does not reach its brokers: {_first(text)}"
        step = (
            "See that the broker runs, and that the server's host reaches the address that it is told.\n"
            f"SELECT engine_full FROM system.tables WHERE database = '{row['database']}' AND name = '{row['table']}';"
        )
    else:
        cause, side = "server_stream_refused", SCHEMA
        headline = f"What {queue} read cannot be written: {_first(text)}"
        step = f"Correct the view that reads {table}, or the table that it fills.\nSHOW CREATE TABLE {table};"
    return Finding(
        STAGE,
        "error",
        cause,
        headline,
        object=queue,
        expected="consumers that read and commit",
        actual=f"{row['messages']} message(s), last commit {row['committed_at']}, last error {row['failed_at']} (UTC)",
        next_step=f"{step}\nWhat the consumers say: SELECT * FROM system.kafka_consumers FORMAT Vertical;",
        fix_side=side,
        evidence={"exception": text, "last": row["failed_at"], "log_table": "system.kafka_consumers"},
    )


def _first(text: str) -> str:
    return " ".join(text.split())[:400]
