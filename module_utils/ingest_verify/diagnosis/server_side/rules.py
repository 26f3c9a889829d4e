"""Refusals that need nothing but their code and text to be named: what each means, of what, and what helps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """What a refusal means by its code and, where one code says many things, by its text.

    The pattern's first group is the object; without one the statement's target is. The sentences are filled with
    `name` (the object), `what` (verb and target), `target`, `user`, `brief` (the server's own sentence) and `maybe`
    (the server's own guess).
    """

    codes: tuple[int, ...]
    pattern: str
    cause: str
    headline: str
    next_step: str
    fix_side: str
    expected: str | None = None
    object: str = "{name}"


_INGEST_SQL = "the ingest: the statement that it builds"
RULES: tuple[Rule, ...] = (
    Rule(
        (35, 34, 42, 43),
        r"function (?:with name )?[`']?(\w+)",
        "server_bad_argument",
        "The server refused {what}: function {name} does not take what it is given: {brief}.",
        "Correct the arguments of {name} in the statement, with a conversion where the type is wrong "
        "(toUInt64OrNull(x), toDateTime(x), toString(x)); what it takes: SELECT syntax, arguments FROM "
        "system.functions WHERE name = '{name}';",
        _INGEST_SQL,
    ),
    Rule(
        (46, 63),
        r"[Ff]unction (?:with name )?[`']?(\w+)",
        "server_refused_statement",
        "The server refused {what} with UNKNOWN_FUNCTION: it knows no function {name}.{maybe}",
        "Run the statement alone as user {user} and correct what the exception names: the function's name, or one that "
        "is newer than this server (SELECT version()). What there is: SELECT name FROM system.functions WHERE name "
        "ILIKE '%{name}%';",
        _INGEST_SQL,
        "a function that this server has",
    ),
    Rule(
        (36, 1000),
        r"[Dd]ictionary \(?[`']?([\w.`-]+?)[`']?\)? (?:not found|does ?n.t exist)",
        "server_missing_dictionary",
        "Dictionary {name} does not exist: the server refused {what}.",
        "Create it by applying the schema, or correct its name (with its database) in the statement. What there is: "
        "SELECT database, name, status, last_exception FROM system.dictionaries;",
        "schema",
        "dictionary {name}",
    ),
    Rule(
        (36,),
        r"No such attribute [`'](\w+)",
        "server_missing_column",
        "The dictionary has no attribute {name}: the server refused {what}.",
        "Correct the attribute's name, or add it to the dictionary: SELECT name, attribute.names FROM "
        "system.dictionaries;",
        "schema, or the ingest",
    ),
    Rule(
        (48,),
        r"write is not supported by storage (\w+)",
        "server_not_writable",
        "{target} is a {name}, which takes no rows: the server refused {what}.",
        "Insert into the table that it reads from: SHOW CREATE TABLE {target};",
        "the ingest: its target table",
        "a table that rows can be inserted into",
        "{target}",
    ),
    Rule(
        (44,),
        r"Cannot insert column (\S+?),? because it is (?:MATERIALIZED|ALIAS)",
        "server_computed_column",
        "Column {name} of {target} is computed by the server, which takes no value for it.",
        "Leave {name} out of the INSERT's columns and values; if the ingest has to fill it, make it a DEFAULT column.",
        "the ingest",
        object="{target}.{name}",
    ),
    Rule(
        (190,),
        r"Elements ('[^']+' and '[^']+')",
        "server_array_sizes",
        "The arrays {name} of one row have different lengths: the server refused {what}.",
        "Send arrays of the same length for all columns of one Nested structure.",
        "the ingest",
        "arrays of one length within a row",
    ),
    Rule(
        (469,),
        r"Constraint [`'](\w+)",
        "server_constraint_violated",
        "A row of {what} violates the constraint {name}: {brief}.",
        "Correct or set aside such rows in the ingest. If the rule is wrong: ALTER TABLE {target} DROP CONSTRAINT "
        "`{name}`;",
        "the ingest, when the row is wrong; the schema, when the constraint is",
        "rows that satisfy {name}",
    ),
    Rule(
        (395,),
        "",
        "server_check_failed",
        "A check in {what} failed (throwIf): {brief}.",
        "Look for the rows that the check names; correct them at their source, or the check in the statement.",
        "the data, or the check",
    ),
    Rule(
        (15,),
        r"[Cc]olumn [`']?(\w+)",
        "server_duplicate_column",
        "Column {name} stands there twice: the server refused {what}: {brief}.",
        "Name each column once; in an ALTER write ADD COLUMN IF NOT EXISTS {name}.",
        _INGEST_SQL,
        object="{target}.{name}",
    ),
    Rule(
        (57, 82),
        r"(?:[Tt]able|[Dd]atabase|[Vv]iew|[Dd]ictionary) (\S+) already exists",
        "server_object_exists",
        "{name} exists already: the server refused {what}.",
        "Write IF NOT EXISTS (CREATE OR REPLACE, or DROP ... IF EXISTS before it; to put one table in another's place, "
        "EXCHANGE TABLES); something that an earlier, broken run left behind has to be dropped once.",
        "the ingest",
        "no {name} yet",
    ),
    Rule(
        (73,),
        r"[Uu]nknown format (\w+)",
        "server_unknown_format",
        "The server knows no format {name}: it refused {what}.{maybe}",
        "Correct FORMAT {name} in the statement; what there is: SELECT name FROM system.formats WHERE is_input;",
        _INGEST_SQL,
    ),
    Rule(
        (456,),
        r"Substitution [`'](\w+)",
        "server_missing_parameter",
        "The statement's parameter {name} has no value: the server refused {what}.",
        "Send param_{name}=... with the request (in a driver: parameters={{'{name}': ...}}).",
        "the ingest",
        "a value for {{{name}}}",
    ),
    Rule(
        (47, 62),
        r"(?:\bhere: |failed at position \d+ \([^)]{1,3}\)(?: \(line \d+, col \d+\))?: |expression identifier [`'])"
        r"(%s|%\(\w+\)s|\?|:[A-Za-z_]\w*|\$\d+|@\w+|\$?\{{1,2}\s*[A-Za-z_][\w.]*\s*\}{1,2})",
        "server_missing_parameter",
        "The placeholder {name} reached the server as it stands, without a value for it: the server refused {what}.",
        "Hand the values over in the call that sends the statement, in the way of its driver (clickhouse-driver: "
        "%(name)s and a dictionary; clickhouse-connect: parameters=...; JDBC: a prepared statement), rows through the "
        "driver's insert; a template has to be rendered first.",
        "the ingest",
        "a value in place of {name}",
    ),
    Rule(
        (27,),
        r"expected '\(' before: '([A-Z]{2,}[\w ]*)[^\n]*Values",
        "server_syntax_error",
        "Behind the rows of VALUES stands {name}, which is no row: the server refused {what}.",
        "Leave it out: ClickHouse has no ON CONFLICT, ON DUPLICATE KEY or RETURNING (a ReplacingMergeTree replaces "
        "rows by its key).",
        _INGEST_SQL,
        "rows in parentheses and nothing behind them",
        "{target}",
    ),
    Rule(
        (225,),
        r"(?i)without ZooKeeper|zookeeper[^.]*not configured|no ZooKeeper",
        "server_replication",
        "This server has no Keeper, which {what} needs: {brief}.",
        "On a single server use the engine's plain form (MergeTree without Replicated) and no ON CLUSTER; else "
        "configure <zookeeper> in config.d and restart the server.",
        "schema, or server: Keeper",
        "a server with Keeper",
    ),
    Rule(
        (341,),
        r"mutation '([^']+)'",
        "server_mutation_failed",
        "The mutation of {what} fails: {brief}",
        "Correct the rows, or the expression, that the text names. Until then the mutation is tried again and holds up "
        "later ones: KILL MUTATION WHERE mutation_id = '{name}'; what waits: SELECT database, table, mutation_id, "
        "latest_fail_reason FROM system.mutations WHERE NOT is_done;",
        "the ingest's ALTER, or the rows of {target}",
        object="{target}",
    ),
    Rule(
        (62,),
        r"[Mm]ax query size exceeded",
        "server_limit",
        "{what} is longer than max_query_size: its rows are part of the SQL text.",
        "Send the rows as data behind the statement (FORMAT JSONEachRow, the driver's insert), in smaller batches; or "
        "raise max_query_size for user {user}.",
        "the ingest",
    ),
    Rule(
        (158, 161, 162, 167, 168, 191, 290, 306, 307, 359, 396),
        r"(?s).*?\b(max_\w+)|",
        "server_limit",
        "{what} went over a limit of user {user}: {brief}.",
        "Ask for less in one statement (a filter, smaller batches), or raise the limit that the text names for user "
        "{user}: ALTER USER ... SETTINGS <setting> = ...; see SELECT name, value FROM system.settings WHERE name LIKE "
        "'max_%' AND changed;",
        "the ingest's statement, or the user's profile",
    ),
    Rule(
        (372, 373),
        r"Session (\S+)",
        "server_session",
        "The server refused {what}: {brief}.",
        "Use one session_id from one thread at a time, or none at all (clickhouse-connect: autogenerate_session_id = "
        "False, or one client per thread); behind a load balancer a session must stay on one server.",
        "the ingest",
        "one statement at a time in a session",
    ),
    Rule(
        (107,),
        r"[Ff]ile (\S+?)[,.]? (?:does ?n.t|does not) exist",
        "server_missing_file",
        "The server has no file {name}: it refused {what}.",
        "file(...) reads on the server, below its user_files folder, not where the ingest runs: put the file there, or "
        "send its content with the INSERT.",
        "the ingest",
    ),
    Rule(
        (170, 701),
        r"[Cc]luster [`'](\w+)[`'] not found",
        "server_missing_cluster",
        "The server knows no cluster {name}: it refused {what}.",
        "Correct the name (SELECT DISTINCT cluster FROM system.clusters;), or leave ON CLUSTER and Distributed out on "
        "a single server.",
        "configuration",
        "cluster {name}",
    ),
    Rule(
        (86, 198, 209, 210, 279, 499, 501, 519, 574, 614, 1000),
        # Poco's own errors say what and not where.
        r"(?s).*?(?:([\w-]+(?:\.[\w-]+)*:\d{1,5})\b|address of host: ([\w.-]+))|.*(?:refused|reset|timed? ?out)",
        "server_remote_unreachable",
        "The server itself could not reach what {what} reads from or writes to: {brief}.",
        "Check the address in the statement's table function, or in the cluster of its Distributed table (SELECT * "
        "FROM system.clusters), and that the server's own host gets there: the ingest's network does not matter here.",
        "server: its way to the other system",
        "another system that answers the server",
    ),
    Rule(
        (125, 179, 184, 206, 207, 215, 352, 386, 403),
        r"[Cc]olumn [`']?([\w.]+)|[`'\"]([\w.]+)[`'\"]|",
        "server_refused_statement",
        "The server refused {what}: {brief}.",
        "Correct the statement as the exception says, and run it alone as user {user}.",
        _INGEST_SQL,
    ),
)
