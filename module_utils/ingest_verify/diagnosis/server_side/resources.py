"""What the server ran out of: memory, disk, parts, time, queries at once, replicas."""

from __future__ import annotations

import re

from ...causes import Decision
from ...client import quote_table
from ...facts.catalog import Catalog
from .refusal import Refusal, table_of, what_of


def memory_limit(refusal: Refusal, catalog: Catalog) -> Decision:
    """Out of memory: the query, the user's queries together, or the whole server."""
    text = refusal.text
    if re.search(r"(?i)\(total\)", text):
        which, setting, side = "the whole server", "max_server_memory_usage", "server"
    elif re.search(r"(?i)for user|user memory limit", text):
        which, setting, side = (
            f"all queries of user {refusal.user}",
            "max_memory_usage_for_user",
            "server",
        )
    else:
        which, setting, side = "one query", "max_memory_usage", "loader"
    amounts = re.search(r"would use ([\d.]+ \w+)", text)
    maximum = re.search(r"maximum: ([\d.]+ \w+)", text)
    return Decision(
        "server_memory_limit",
        f"The memory limit for {which} ({setting}) was reached by {what_of(refusal.target)}.",
        object=setting,
        expected=f"at most {maximum.group(1)}" if maximum else f"less than {setting}",
        actual=f"would use {amounts.group(1)}" if amounts else text[:300],
        next_step=f"Insert smaller batches, or raise {setting} for user {refusal.user}. What used it: SELECT query_id, "
        "formatReadableSize(memory_usage), query FROM system.query_log WHERE event_date = today() AND type != "
        "'QueryStart' ORDER BY memory_usage DESC LIMIT 5;",
        fix_side=side,
    )


def too_many_parts(refusal: Refusal, catalog: Catalog) -> Decision:
    """More parts than the merges keep up with, or partitions than one INSERT may touch."""
    target = refusal.target
    if re.search(r"(?i)partitions for single INSERT", refusal.text) or refusal.kind == "partitions":
        return Decision(
            "server_too_many_parts",
            f"One INSERT into {target.name or 'the table'} touches more partitions than "
            "max_partitions_per_insert_block allows.",
            object=target.name,
            expected="few partitions per INSERT",
            actual=refusal.text,
            next_step="Sort or split the rows by the table's partition key before inserting, or choose a coarser "
            "PARTITION BY.",
            fix_side="loader",
        )
    if "in all partitions" in refusal.text:
        return Decision(
            "server_too_many_parts",
            f"{table_of(target)} has too many parts over all of its partitions: its partition key splits the rows "
            "too finely.",
            "Choose a coarser PARTITION BY (a month, or none): make a table with it, copy the rows, and EXCHANGE the "
            f"two. Which partitions there are: SELECT partition, count() FROM system.parts WHERE active AND table = "
            f"'{target.table or '<table>'}' GROUP BY partition ORDER BY count() DESC LIMIT 20;",
            "schema",
            object=target.name,
            expected="fewer parts in all than max_parts_in_total",
            actual=refusal.brief,
        )
    named = re.search(r"in table '([^'\s]+)", refusal.text)
    name = named.group(1).replace("`", "") if named else target.name
    database, _, table = (name or "").partition(".")
    parts = catalog.evidence.active_parts(database, table) if table else None
    sql_name = quote_table(database, table) if table else name or "<table>"
    return Decision(
        "server_too_many_parts",
        f"{f'Table {name}' if name else table_of(target)} has too many parts: merges do not keep up with the inserts.",
        object=name,
        expected="fewer parts per partition than parts_to_throw_insert",
        actual=refusal.text + (f" Active parts now: {parts}." if parts is not None else ""),
        next_step="Insert fewer, bigger batches (or switch on async_insert for the ingest's user). Look whether merges "
        f"run: SELECT * FROM system.merges WHERE table = '{table or '<table>'}'; SYSTEM START MERGES {sql_name};",
        fix_side="loader",
    )


def no_space(refusal: Refusal, catalog: Catalog) -> Decision:
    """The server's disk is full."""
    disks = [
        f"{row['name']} ({row['path']}): {row['free'] // 2**20} of {row['total'] // 2**20} MiB free"
        for row in catalog.evidence.disks()
    ]
    return Decision(
        "server_no_space",
        f"The server has no space left for {what_of(refusal.target)}.",
        object=refusal.target.name,
        expected="free space on the server's disk",
        actual="; ".join(disks) or refusal.text,
        next_step="Free space on the server's host (df -h; the largest tables: SELECT database, table, "
        "formatReadableSize(sum(bytes_on_disk)) FROM system.parts GROUP BY 1, 2 ORDER BY sum(bytes_on_disk) DESC "
        "LIMIT 10;), then run the ingest again.",
        fix_side="server",
    )


def time_limit(refusal: Refusal, catalog: Catalog) -> Decision:
    """The statement took longer than its time limit."""
    limit = re.search(r"maximum:\s*([\d.]+)(?: (ms|sec\w*))?", refusal.text)
    setting = "max_execution_time" if refusal.kind == "time" else "min_execution_speed / max_estimated_execution_time"
    # Another limit under the same code: how long the client waits for the flush of its asynchronous insert.
    if re.search(r"wait for async insert", refusal.text, re.IGNORECASE):
        setting = "wait_for_async_insert_timeout"
    return Decision(
        "server_timeout",
        f"The server ended {what_of(refusal.target)} at its time limit ({setting}).",
        object=refusal.target.name,
        expected=f"done within {limit[1]} {limit[2] or 'seconds'}" if limit else f"done within {setting}",
        actual=refusal.text[:300],
        next_step=f"Make the statement cheaper or insert smaller batches, or raise {setting} for user {refusal.user}.",
        fix_side="loader",
    )


def too_many_queries(refusal: Refusal, catalog: Catalog) -> Decision:
    """More queries at once than the server takes."""
    return Decision(
        "server_too_many_queries",
        f"The server already ran as many queries as it may and refused {what_of(refusal.target)}.",
        object=refusal.user,
        expected="fewer than max_concurrent_queries (for the server, the user or the kind)",
        actual=refusal.text,
        next_step="SELECT user, count() FROM system.processes GROUP BY user; then let the ingest retry, or raise the "
        "limit.",
        fix_side="server",
    )


def replication(refusal: Refusal, catalog: Catalog) -> Decision:
    """No Keeper, or too few replicas."""
    return Decision(
        "server_replication",
        f"Keeper or too few replicas kept the server from {what_of(refusal.target)}: {refusal.brief}",
        object=refusal.target.name,
        expected="Keeper and enough live replicas",
        actual=refusal.text,
        next_step="SELECT database, table, is_readonly, active_replicas, total_replicas, zookeeper_exception FROM "
        "system.replicas;",
        fix_side="server",
    )
