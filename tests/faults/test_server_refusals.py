"""Catalogue A: the server refused a statement. Cause, object and next step by name; the healthy twin is silent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.client import quote_string

from tests.stages import PASSWORD, Stage, headline

ORDERS = (
    "CREATE TABLE {db}.orders (order_id String, event_id String, sale_ts DateTime, tickets UInt32)"
    " ENGINE = MergeTree ORDER BY order_id"
)
# The server lays another's failure to it as well, in query_views_log.
HEALTHY_VIEW = (
    "CREATE MATERIALIZED VIEW {db}.zz_healthy ENGINE = MergeTree ORDER BY order_id AS SELECT order_id FROM {db}.orders"
)
CITIES = (
    "CREATE OR REPLACE DICTIONARY {{db}}.cities (id UInt64, name String) PRIMARY KEY id LAYOUT(FLAT()) LIFETIME(0)"
    f" SOURCE(CLICKHOUSE(USER '{{user}}' PASSWORD {quote_string(PASSWORD)} DB '{{{{db}}}}' TABLE 'city'))"
)


@dataclass(frozen=True)
class Fault:
    """How a row of the catalogue is played, what must be said, and the twin that must pass."""

    row: int
    send: str
    cause: str
    object: str
    next_step: str
    headline: str = ""
    setup: tuple[str, ...] = (ORDERS,)
    user: str = "ingest"
    settings: dict[str, Any] = field(default_factory=dict)
    # The same with the cause removed: other settings, another user, or the repair that the next step names.
    twin: str | None = None
    twin_user: str = "ingest"
    repair: tuple[str, ...] = ()
    expected: str = ""
    actual: str = ""
    # What the same program sends first, with success.
    before: str = ""


FAULTS = {
    "table_missing": Fault(
        1,
        "INSERT INTO {db}.order (order_id) VALUES ('a')",
        "server_missing_table",
        "{db}.order",
        "schema_apply",
        headline="Is {db}.orders meant?",
        twin="INSERT INTO {db}.orders (order_id) VALUES ('a')",
    ),
    "table_missing_in_select": Fault(
        1,
        "INSERT INTO {db}.orders SELECT * FROM {db}.raw",
        "server_missing_table",
        "{db}.raw",
        "schema_apply",
        repair=("CREATE TABLE {db}.raw AS {db}.orders",),
    ),
    "database_missing": Fault(
        1,
        "INSERT INTO {db}_prod.orders (order_id) VALUES ('a')",
        "server_missing_database",
        "{db}_prod",
        "CREATE DATABASE",
        headline="Is {db} meant?",
        twin="INSERT INTO {db}.orders (order_id) VALUES ('a')",
    ),
    "column_missing": Fault(
        2,
        "INSERT INTO {db}.orders (order_id, evnt_id) VALUES ('a', 'b')",
        "server_missing_column",
        "{db}.orders.evnt_id",
        "ALTER TABLE `{db}`.`orders` ADD COLUMN `evnt_id`",
        headline="Is event_id meant?",
        repair=("ALTER TABLE {db}.orders ADD COLUMN evnt_id String",),
    ),
    "column_missing_type_known_elsewhere": Fault(
        2,
        "INSERT INTO orders (order_id, city) VALUES ('a', 'kazan')",
        "server_missing_column",
        "{db}.orders.city",
        "ALTER TABLE `{db}`.`orders` ADD COLUMN `city` LowCardinality(String);",
        setup=(ORDERS, "CREATE TABLE {db}.inventory (city LowCardinality(String)) ENGINE = MergeTree ORDER BY city"),
        repair=("ALTER TABLE {db}.orders ADD COLUMN city LowCardinality(String)",),
    ),
    "column_missing_in_json": Fault(
        2,
        'INSERT INTO orders FORMAT JSONEachRow {{"order_id": "a", "tikets": 1}}',
        "server_missing_column",
        "{db}.orders.tikets",
        "ADD COLUMN `tikets`",
        headline="Is tickets meant?",
        settings={"input_format_skip_unknown_fields": 0},
        repair=("ALTER TABLE {db}.orders ADD COLUMN tikets UInt32",),
    ),
    "column_missing_in_select": Fault(
        2,
        "SELECT max(saled_ts) FROM {db}.orders",
        "server_missing_column",
        "{db}.orders.saled_ts",
        "ADD COLUMN `saled_ts`",
        headline="Is sale_ts meant?",
        twin="SELECT max(sale_ts) FROM {db}.orders",
    ),
    "column_missing_in_the_source_of_a_new_table": Fault(
        2,
        "CREATE TABLE {db}.daily ENGINE = MergeTree ORDER BY tuple() AS SELECT order_id, ticket FROM {db}.orders",
        "server_missing_column",
        "{db}.orders.ticket",
        "`{db}`.`orders` ADD COLUMN",
        headline="Is tickets meant?",
        twin="CREATE TABLE {db}.daily ENGINE = MergeTree ORDER BY tuple() AS SELECT order_id FROM {db}.orders",
    ),
    "column_missing_in_one_of_several_sources": Fault(
        2,
        "INSERT INTO orders (order_id) SELECT l.skus FROM raw AS r JOIN lines AS l ON l.id = r.id",
        "server_missing_column",
        "{db}.lines.skus",
        "it should send `sku`",
        setup=(
            ORDERS,
            "CREATE TABLE {db}.raw (id String, qty UInt32) ENGINE = MergeTree ORDER BY id",
            "CREATE TABLE {db}.lines (id String, sku String) ENGINE = MergeTree ORDER BY id",
        ),
        twin="INSERT INTO orders (order_id) SELECT l.sku FROM raw AS r JOIN lines AS l ON l.id = r.id",
    ),
    "column_missing_in_a_subquery": Fault(
        2,
        "ALTER TABLE orders DELETE WHERE order_id IN (SELECT idd FROM raw)",
        "server_missing_column",
        "{db}.raw.idd",
        "it should send `id`",
        setup=(ORDERS, "CREATE TABLE {db}.raw (id String) ENGINE = MergeTree ORDER BY id"),
        twin="ALTER TABLE orders DELETE WHERE order_id IN (SELECT id FROM raw)",
    ),
    "column_missing_below_a_view": Fault(
        2,
        "INSERT INTO orders (order_id) SELECT order_id FROM sold WHERE tickets > 0",
        "server_missing_column",
        "{db}.orders.tickets",
        "a view that it reads does",
        setup=(
            ORDERS,
            "CREATE VIEW {db}.sold AS SELECT order_id, tickets FROM {db}.orders",
            "ALTER TABLE {db}.orders RENAME COLUMN tickets TO amount",
        ),
        repair=("CREATE OR REPLACE VIEW {db}.sold AS SELECT order_id, amount AS tickets FROM {db}.orders",),
    ),
    "text_in_double_quotes": Fault(
        2,
        'INSERT INTO orders (order_id) SELECT "a"',
        "server_refused_statement",
        "{db}.orders",
        "Run the statement alone",
        twin="INSERT INTO orders (order_id) SELECT 'a'",
    ),
    "key_that_is_no_column": Fault(
        15,
        "CREATE TABLE {db}.daily (id UInt8) ENGINE = MergeTree ORDER BY day",
        "server_refused_statement",
        "{db}.daily",
        "correct what the exception names",
        headline="day",
        twin="CREATE TABLE {db}.daily (id UInt8) ENGINE = MergeTree ORDER BY id",
    ),
    "table_missing_that_another_is_made_like": Fault(
        1,
        "CREATE TABLE {db}.daily AS {db}.raw",
        "server_missing_table",
        "{db}.raw",
        "schema_apply",
        repair=("CREATE TABLE {db}.raw (id UInt8) ENGINE = Memory",),
    ),
    "mutation_that_cannot_end": Fault(
        3,
        "ALTER TABLE orders MODIFY COLUMN event_id UInt32",
        "server_mutation_failed",
        "{db}.orders",
        "KILL MUTATION",
        headline="Cannot parse string",
        setup=(ORDERS, "INSERT INTO {db}.orders (order_id, event_id) VALUES ('a', 'x')"),
        twin="SELECT count() FROM orders",
    ),
    "replicated_without_keeper": Fault(
        15,
        "CREATE TABLE {db}.daily (id UInt8) ENGINE = ReplicatedMergeTree('/a', 'b') ORDER BY id",
        "server_replication",
        "{db}.daily",
        "MergeTree without Replicated",
        twin="CREATE TABLE {db}.daily (id UInt8) ENGINE = MergeTree ORDER BY id",
    ),
    "type_in_values": Fault(
        3,
        "INSERT INTO orders (order_id, sale_ts) VALUES ('a', 'yesterday')",
        "server_type_mismatch",
        "{db}.orders.sale_ts",
        "MODIFY COLUMN `sale_ts`",
        expected="DateTime",
        twin="INSERT INTO orders (order_id, sale_ts) VALUES ('a', '2026-11-23 04:00:00')",
    ),
    "type_in_json": Fault(
        3,
        'INSERT INTO orders FORMAT JSONEachRow {{"order_id": "a", "tickets": "two"}}',
        "server_type_mismatch",
        "{db}.orders.tickets",
        "MODIFY COLUMN `tickets`",
        expected="UInt32",
        actual="wo",
        twin='INSERT INTO orders FORMAT JSONEachRow {{"order_id": "a", "tickets": 2}}',
    ),
    "type_in_csv": Fault(
        3,
        "INSERT INTO orders (order_id, sale_ts, tickets) FORMAT CSV\na,2026-11-23 04:00:00,one\n",
        "server_type_mismatch",
        "{db}.orders.tickets",
        "MODIFY COLUMN `tickets`",
        expected="UInt32",
        twin="INSERT INTO orders (order_id, sale_ts, tickets) FORMAT CSV\na,2026-11-23 04:00:00,1\n",
    ),
    "type_in_select": Fault(
        3,
        "INSERT INTO orders (tickets) SELECT 'many'",
        "server_type_mismatch",
        "{db}.orders.tickets",
        "MODIFY COLUMN `tickets` String",
        expected="UInt32",
        actual="'many'",
        twin="INSERT INTO orders (tickets) SELECT '3'",
    ),
    "null_into_plain_column": Fault(
        3,
        "INSERT INTO orders (order_id, tickets) VALUES ('a', NULL)",
        "server_type_mismatch",
        "{db}.orders.tickets",
        "Nullable(UInt32)",
        expected="UInt32",
        actual="NULL",
        settings={"input_format_null_as_default": 0},
        repair=("ALTER TABLE {db}.orders MODIFY COLUMN tickets Nullable(UInt32)",),
    ),
    "fixed_string_too_long": Fault(
        3,
        "INSERT INTO keys (key) VALUES ('longer than four')",
        "server_type_mismatch",
        "{db}.keys.key",
        "MODIFY COLUMN `key`",
        expected="FixedString(4)",
        setup=("CREATE TABLE {db}.keys (key FixedString(4)) ENGINE = MergeTree ORDER BY key",),
        repair=("DROP TABLE {db}.keys SYNC", "CREATE TABLE {db}.keys (key String) ENGINE = MergeTree ORDER BY key"),
    ),
    "enum_value_unknown": Fault(
        3,
        "INSERT INTO jobs (status) VALUES ('done')",
        "server_type_mismatch",
        "{db}.jobs.status",
        "MODIFY COLUMN `status` Enum8('ok' = 1, 'failed' = 2, 'done' = 3);",
        expected="Enum8",
        setup=("CREATE TABLE {db}.jobs (status Enum8('ok' = 1, 'failed' = 2)) ENGINE = MergeTree ORDER BY status",),
        twin="INSERT INTO jobs (status) VALUES ('ok')",
    ),
    "word_for_no_value": Fault(
        3,
        'INSERT INTO levels FORMAT JSONEachRow {{"level": "n/a"}}',
        "server_type_mismatch",
        "{db}.levels.level",
        "ALTER TABLE `{db}`.`levels` MODIFY COLUMN `level` Nullable(UInt8);",
        setup=("CREATE TABLE {db}.levels (level UInt8) ENGINE = MergeTree ORDER BY tuple()",),
        twin='INSERT INTO levels FORMAT JSONEachRow {{"level": null}}',
    ),
    "data_cut_off": Fault(
        3,
        'INSERT INTO levels FORMAT JSONEachRow {{"level": 1}} {{"level": 2, "na',
        "server_bad_input",
        "{db}.levels",
        "Content-Length",
        headline="ends in the middle of row 2",
        setup=("CREATE TABLE {db}.levels (level UInt8, name String) ENGINE = MergeTree ORDER BY tuple()",),
        twin='INSERT INTO levels FORMAT JSONEachRow {{"level": 1}} {{"level": 2, "name": ""}}',
    ),
    "array_into_named_tuple": Fault(
        3,
        'INSERT INTO places FORMAT JSONEachRow {{"pos": [53.5, 49.4]}}',
        "server_type_mismatch",
        "{db}.places.pos",
        "Convert the value in the ingest before it is sent.",
        actual="(an array)",
        setup=("CREATE TABLE {db}.places (pos Tuple(lat Float64, lon Float64)) ENGINE = MergeTree ORDER BY tuple()",),
        twin='INSERT INTO places FORMAT JSONEachRow {{"pos": {{"lat": 53.5, "lon": 49.4}}}}',
    ),
    "null_into_low_cardinality": Fault(
        3,
        "INSERT INTO cities (city) VALUES (NULL)",
        "server_type_mismatch",
        "{db}.cities.city",
        "LowCardinality(Nullable(String))",
        expected="LowCardinality(String)",
        actual="NULL",
        setup=("CREATE TABLE {db}.cities (city LowCardinality(String)) ENGINE = MergeTree ORDER BY tuple()",),
        settings={"input_format_null_as_default": 0},
        repair=("ALTER TABLE {db}.cities MODIFY COLUMN city LowCardinality(Nullable(String))",),
    ),
    "null_from_a_select": Fault(
        3,
        "INSERT INTO orders (order_id, tickets) SELECT 'a', CAST(NULL AS Nullable(UInt32))",
        "server_type_mismatch",
        "{db}.orders.tickets",
        "Nullable(UInt32)",
        actual="NULL",
        settings={"insert_null_as_default": 0},
        repair=("ALTER TABLE {db}.orders MODIFY COLUMN tickets Nullable(UInt32)",),
    ),
    "tuple_that_is_none": Fault(
        3,
        "INSERT INTO pairs VALUES ((1))",
        "server_type_mismatch",
        "{db}.pairs.pair",
        "Convert the value",
        expected="Tuple(a UInt8, b String)",
        setup=("CREATE TABLE {db}.pairs (pair Tuple(a UInt8, b String)) ENGINE = Memory",),
        twin="INSERT INTO pairs VALUES ((1, 'a'))",
    ),
    "decimal_for_an_integer_in_tsv": Fault(
        3,
        "INSERT INTO orders FORMAT TSV\na\tb\t2026-11-23 04:00:00\t1.0\n",
        "server_type_mismatch",
        "{db}.orders.tickets",
        "Convert the value",
        actual='"1.0" (a decimal number)',
        twin="INSERT INTO orders FORMAT TSV\na\tb\t2026-11-23 04:00:00\t1\n",
    ),
    "conversion_within_the_select": Fault(
        3,
        "INSERT INTO orders (sale_ts) SELECT sale_ts FROM orders WHERE sale_ts > '{{{{ ds }}}}'",
        "server_type_mismatch",
        "{db}.orders",
        "Correct the literal",
        headline="itself converts or compares",
        twin="INSERT INTO orders (sale_ts) SELECT sale_ts FROM orders WHERE sale_ts > '2026-11-23 00:00:00'",
    ),
    "python_dictionary_as_json": Fault(
        3,
        "INSERT INTO orders FORMAT JSONEachRow {{'order_id': 'a'}}",
        "server_bad_input",
        "{db}.orders",
        "json.dumps",
        twin='INSERT INTO orders FORMAT JSONEachRow {{"order_id": "a"}}',
    ),
    "placeholder_in_values": Fault(
        3,
        "INSERT INTO orders (order_id, tickets) VALUES (%s, %s)",
        "server_missing_parameter",
        "%s",
        "driver",
        twin="INSERT INTO orders (order_id, tickets) VALUES ('a', 1)",
    ),
    "placeholder_in_where": Fault(
        3,
        "SELECT count() FROM orders WHERE order_id = ?",
        "server_missing_parameter",
        "?",
        "driver",
        twin="SELECT count() FROM orders WHERE order_id = 'a'",
    ),
    "template_not_rendered": Fault(
        3,
        "INSERT INTO {{{{ table }}}} VALUES (1)",
        "server_missing_parameter",
        "{{ table }}}}",
        "Render a template",
        twin="INSERT INTO orders (tickets) VALUES (1)",
    ),
    "upsert_of_another_database": Fault(
        15,
        "INSERT INTO orders (order_id) VALUES ('a') ON CONFLICT DO NOTHING",
        "server_syntax_error",
        "{db}.orders",
        "ReplacingMergeTree",
        headline="ON CONFLICT DO NOTHING",
        twin="INSERT INTO orders (order_id) VALUES ('a')",
    ),
    "time_without_quotes": Fault(
        3,
        "INSERT INTO orders (order_id, sale_ts) VALUES ('a', 2026-11-23 04:00:00)",
        "server_type_mismatch",
        "{db}.orders",
        "hand the rows to the driver",
        headline="2026-11-23 04:00:00 stands without quotes",
        twin="INSERT INTO orders (order_id, sale_ts) VALUES ('a', '2026-11-23 04:00:00')",
    ),
    "too_many_values": Fault(
        4,
        "INSERT INTO orders (order_id, tickets) VALUES ('a', 12,5)",
        "server_column_count",
        "{db}.orders",
        "Name the columns",
        twin="INSERT INTO orders (order_id, tickets) VALUES ('a', 12)",
    ),
    "csv_with_semicolons": Fault(
        4,
        "INSERT INTO orders (order_id, event_id) FORMAT CSV\na;b\n",
        "server_column_count",
        "{db}.orders",
        "format_csv_delimiter",
        settings={"input_format_csv_allow_variable_number_of_columns": 0},
        twin="INSERT INTO orders (order_id, event_id) FORMAT CSV\na,b\n",
    ),
    "too_few_values": Fault(
        4,
        "INSERT INTO orders VALUES ('a', 'b')",
        "server_column_count",
        "{db}.orders",
        "INSERT INTO {db}.orders (`order_id`, `event_id`, `sale_ts`, `tickets`)",
        expected="4 values per row, in this order: order_id String, event_id String, sale_ts DateTime, tickets UInt32",
        twin="INSERT INTO orders (order_id, event_id) VALUES ('a', 'b')",
    ),
    "too_few_columns_in_select": Fault(
        4,
        "INSERT INTO orders SELECT 'a', 'b'",
        "server_column_count",
        "{db}.orders",
        "INSERT INTO {db}.orders (`order_id`",
        headline="2 sent, 4 expected",
        twin="INSERT INTO orders (order_id, event_id) SELECT 'a', 'b'",
    ),
    "too_few_columns_in_tsv": Fault(
        4,
        "INSERT INTO orders FORMAT TSV\na\tb\n",
        "server_column_count",
        "{db}.orders",
        "INSERT INTO {db}.orders (`order_id`",
        twin="INSERT INTO orders (order_id, event_id) FORMAT TSV\na\tb\n",
    ),
    "grant_missing": Fault(
        5,
        "INSERT INTO orders (order_id, event_id) VALUES ('a', 'b')",
        "server_missing_grant",
        "INSERT ON {db}.orders",
        "GRANT INSERT ON {db}.orders TO `noinsert`;",
        headline="User noinsert lacks INSERT(order_id, event_id) ON {db}.orders",
        user="noinsert",
    ),
    "grant_missing_for_ddl": Fault(
        5,
        "TRUNCATE TABLE orders",
        "server_missing_grant",
        "TRUNCATE ON {db}.orders",
        "GRANT TRUNCATE ON {db}.orders TO `noinsert`;",
        user="noinsert",
    ),
    "readonly_profile": Fault(
        8,
        "INSERT INTO orders (order_id) VALUES ('a')",
        "server_readonly",
        "ro",
        "SETTINGS PROFILE",
        headline="read-only",
        user="ro",
    ),
    "quota_used_up": Fault(
        8,
        "INSERT INTO orders (order_id) SELECT toString(number) FROM numbers(100)",
        "server_quota",
        "frugal",
        "system.quotas_usage",
        user="frugal",
    ),
    "memory_of_a_query": Fault(
        9,
        "INSERT INTO orders (order_id) SELECT toString(number) FROM numbers(1000000)",
        "server_memory_limit",
        "max_memory_usage",
        "raise max_memory_usage for user mem",
        headline="one query",
        user="mem",
    ),
    "memory_of_a_user": Fault(
        9,
        "INSERT INTO orders (order_id) SELECT toString(number) FROM numbers(1000000)",
        "server_memory_limit",
        "max_memory_usage_for_user",
        "raise max_memory_usage_for_user",
        headline="all queries of user memuser",
        user="memuser",
    ),
    "too_many_parts": Fault(
        10,
        "INSERT INTO parts VALUES (1)",
        "server_too_many_parts",
        "{db}.parts",
        "SYSTEM START MERGES `{db}`.`parts`",
        setup=(
            "CREATE TABLE {db}.parts (id UInt64) ENGINE = MergeTree ORDER BY id"
            " SETTINGS parts_to_throw_insert = 1, parts_to_delay_insert = 1",
            "SYSTEM STOP MERGES {db}.parts",
            "INSERT INTO {db}.parts SELECT 1",
        ),
        repair=("ALTER TABLE {db}.parts MODIFY SETTING parts_to_throw_insert = 300, parts_to_delay_insert = 300",),
    ),
    "too_many_partitions": Fault(
        10,
        "INSERT INTO parts SELECT number FROM numbers(10)",
        "server_too_many_parts",
        "{db}.parts",
        "partition key",
        setup=("CREATE TABLE {db}.parts (id UInt64) ENGINE = MergeTree PARTITION BY id ORDER BY id",),
        settings={"max_partitions_per_insert_block": 3},
        twin="INSERT INTO parts SELECT number FROM numbers(3)",
    ),
    "no_space": Fault(
        11,
        "INSERT INTO heavy VALUES (1)",
        "server_no_space",
        "{db}.heavy",
        "df -h",
        actual="MiB free",
        setup=("CREATE TABLE {db}.heavy (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS storage_policy = 'full'",),
        repair=("DROP TABLE {db}.heavy SYNC", "CREATE TABLE {db}.heavy (id UInt64) ENGINE = MergeTree ORDER BY id"),
    ),
    "timeout": Fault(
        12,
        "INSERT INTO orders (order_id) SELECT toString(sum(number)) FROM numbers(100000000000)",
        "server_timeout",
        "{db}.orders",
        "raise max_execution_time for user ingest",
        settings={"max_execution_time": 0.2},
        twin="INSERT INTO orders (order_id) SELECT toString(sum(number)) FROM numbers(1000)",
    ),
    "view_fails": Fault(
        13,
        "INSERT INTO orders (order_id, event_id) VALUES ('a', 'not a number')",
        "server_view_failed",
        "{db}.by_event",
        "a retry then doubles them",
        headline="Materialized view {db}.by_event failed while INSERT pushed rows from {db}.orders",
        setup=(
            ORDERS,
            "CREATE TABLE {db}.events (event UInt64) ENGINE = MergeTree ORDER BY event",
            "CREATE MATERIALIZED VIEW {db}.by_event TO {db}.events"
            " AS SELECT toUInt64(event_id) AS event FROM {db}.orders",
            HEALTHY_VIEW,
        ),
        twin="INSERT INTO orders (order_id, event_id) VALUES ('a', '17')",
    ),
    "view_target_lost": Fault(
        13,
        "INSERT INTO orders (order_id, event_id) VALUES ('a', 'b')",
        "server_view_failed",
        "{db}.by_event",
        "SHOW CREATE TABLE {db}.by_event",
        setup=(
            ORDERS,
            "CREATE TABLE {db}.events (event String) ENGINE = MergeTree ORDER BY event",
            "CREATE MATERIALIZED VIEW {db}.by_event TO {db}.events AS SELECT event_id AS event FROM {db}.orders",
            "DROP TABLE {db}.events SYNC",
        ),
        repair=("CREATE TABLE {db}.events (event String) ENGINE = MergeTree ORDER BY event",),
    ),
    "ddl_unknown_type": Fault(
        15,
        "CREATE TABLE {db}.later (id UInt65) ENGINE = MergeTree ORDER BY id",
        "server_unsupported_ddl",
        "{db}.later",
        "upgrade the server",
        headline="Is UInt64 meant?",
        twin="CREATE TABLE {db}.later (id UInt64) ENGINE = MergeTree ORDER BY id",
    ),
    "ddl_unknown_engine": Fault(
        15,
        "CREATE TABLE {db}.later (id UInt64) ENGINE = MergeTre ORDER BY id",
        "server_unsupported_ddl",
        "{db}.later",
        "upgrade the server",
        headline="Is MergeTree meant?",
        twin="CREATE TABLE {db}.later (id UInt64) ENGINE = MergeTree ORDER BY id",
    ),
    "syntax_error": Fault(
        15,
        "SELECT order_id FROM {db}.orders WHERE",
        "server_syntax_error",
        "{db}.orders",
        "where the ingest builds it",
        twin="SELECT order_id FROM {db}.orders WHERE 1",
    ),
    "unknown_function": Fault(
        1,
        "SELECT no_such_function(1)",
        "server_refused_statement",
        "no_such_function",
        "use one that this server has",
        headline="UNKNOWN_FUNCTION",
        twin="SELECT abs(1)",
    ),
    "table_missing_of_a_like_named_view": Fault(
        1,
        "INSERT INTO {db}.order (order_id) VALUES ('a')",
        "server_missing_table",
        "{db}.order",
        "correct the name in the ingest",
        # Its definition holds the missing name only as a part of other names.
        setup=(
            ORDERS,
            "CREATE MATERIALIZED VIEW {db}.mv ENGINE = MergeTree ORDER BY order_id AS SELECT order_id FROM {db}.orders",
        ),
        twin="INSERT INTO {db}.orders (order_id) VALUES ('a')",
    ),
    "table_missing_with_an_odd_name": Fault(
        1,
        "INSERT INTO `{db}`.`заказы 2026.v1` (order_id) VALUES ('a')",
        "server_missing_table",
        "{db}.заказы 2026.v1",
        "schema_apply",
        repair=("CREATE TABLE {db}.`заказы 2026.v1` AS {db}.orders",),
    ),
    "table_missing_in_the_connections_database": Fault(
        1,
        "INSERT INTO orders (order_id) VALUES ('a')",
        "server_missing_table",
        "default.orders",
        "The ingest's connection is to database default",
        settings={"database": "default"},
        twin="INSERT INTO orders (order_id) VALUES ('a')",
    ),
    "temporary_table_of_another_session": Fault(
        1,
        "INSERT INTO staging VALUES ('a')",
        "server_missing_table",
        "{db}.staging",
        "in one session",
        before="CREATE TEMPORARY TABLE staging (order_id String)",
        repair=("CREATE TABLE {db}.staging (order_id String) ENGINE = Memory",),
    ),
    "computed_column": Fault(
        4,
        "INSERT INTO jobs (id, twice) VALUES (1, 2)",
        "server_computed_column",
        "{db}.jobs.twice",
        "Leave `twice` out",
        setup=("CREATE TABLE {db}.jobs (id UInt8, twice UInt8 ALIAS id * 2) ENGINE = MergeTree ORDER BY id",),
        twin="INSERT INTO jobs (id) VALUES (1)",
    ),
    "value_without_quotes": Fault(
        3,
        "INSERT INTO orders (order_id, tickets) VALUES ('a', None)",
        "server_type_mismatch",
        "{db}.orders",
        "in SQL text it would be NULL",
        headline="The value None stands without quotes",
        twin="INSERT INTO orders (order_id, tickets) VALUES ('a', 1)",
    ),
    "quote_within_a_value": Fault(
        3,
        "INSERT INTO orders (order_id, event_id) VALUES ('a', 'L'Artiste')",
        "server_syntax_error",
        "{db}.orders.event_id",
        "hand the rows to the driver",
        headline="'L'Artiste'",
        twin="INSERT INTO orders (order_id, event_id) VALUES ('a', 'L\\'Artiste')",
    ),
    "page_instead_of_rows": Fault(
        3,
        "INSERT INTO orders FORMAT JSONEachRow <html>502 Bad Gateway</html>",
        "server_bad_input",
        "{db}.orders",
        "status, content type",
        headline="is not JSONEachRow: it begins with <html>502",
        twin='INSERT INTO orders FORMAT JSONEachRow {{"order_id": "a"}}',
    ),
    "array_column_of_a_row_in_tsv": Fault(
        3,
        "INSERT INTO tagged FORMAT TSV\na\tnone\n",
        "server_type_mismatch",
        "{db}.tagged.tags",
        "Convert the value",
        expected="Array(String)",
        setup=("CREATE TABLE {db}.tagged (id String, tags Array(String)) ENGINE = MergeTree ORDER BY id",),
        twin="INSERT INTO tagged FORMAT TSV\na\t['none']\n",
    ),
    "constraint_violated": Fault(
        3,
        "INSERT INTO orders (order_id, tickets) VALUES ('a', 0)",
        "server_constraint_violated",
        "positive",
        "DROP CONSTRAINT `positive`",
        actual="tickets = 0",
        setup=(ORDERS, "ALTER TABLE {db}.orders ADD CONSTRAINT positive CHECK tickets > 0"),
        twin="INSERT INTO orders (order_id, tickets) VALUES ('a', 1)",
    ),
    "constraint_violated_beside_a_view": Fault(
        3,
        "INSERT INTO orders (order_id, tickets) VALUES ('a', 0)",
        "server_constraint_violated",
        "positive",
        "DROP CONSTRAINT `positive`",
        setup=(ORDERS, "ALTER TABLE {db}.orders ADD CONSTRAINT positive CHECK tickets > 0", HEALTHY_VIEW),
        twin="INSERT INTO orders (order_id, tickets) VALUES ('a', 1)",
    ),
    "view_as_target": Fault(
        1,
        "INSERT INTO shown (order_id) VALUES ('a')",
        "server_not_writable",
        "{db}.shown",
        "SHOW CREATE TABLE {db}.shown",
        setup=(ORDERS, "CREATE VIEW {db}.shown AS SELECT * FROM {db}.orders"),
        twin="INSERT INTO orders (order_id) VALUES ('a')",
    ),
    "dictionary_missing": Fault(
        1,
        "INSERT INTO orders (order_id) SELECT dictGetString('{db}.cities', 'name', toUInt64(1))",
        "server_missing_dictionary",
        "{db}.cities",
        "system.dictionaries",
        twin="INSERT INTO orders (order_id) SELECT 'a'",
    ),
    "staging_left_behind": Fault(
        15,
        "CREATE TABLE orders (id UInt8) ENGINE = MergeTree ORDER BY id",
        "server_object_exists",
        "{db}.orders",
        "IF NOT EXISTS",
        repair=("DROP TABLE {db}.orders SYNC",),
    ),
    "remote_unreachable": Fault(
        20,
        "INSERT INTO FUNCTION remote('127.0.0.1:1', '{db}', 'orders') (order_id) VALUES ('a')",
        "server_remote_unreachable",
        "127.0.0.1:1",
        "the server's own host",
        twin="INSERT INTO orders (order_id) VALUES ('a')",
    ),
    "grant_missing_for_exchange": Fault(
        5,
        "EXCHANGE TABLES orders AND orders_new",
        "server_missing_grant",
        "SELECT, INSERT, CREATE TABLE, DROP TABLE ON {db}.orders",
        "GRANT SELECT, INSERT, CREATE TABLE, DROP TABLE ON {db}.orders_new TO `noinsert`;",
        setup=(ORDERS, "CREATE TABLE {db}.orders_new AS {db}.orders"),
        user="noinsert",
    ),
    "grant_missing_to_the_definer_of_a_view": Fault(
        5,
        "INSERT INTO orders (order_id) VALUES ('a')",
        "server_missing_grant",
        "INSERT ON default.{db}_daily",
        "GRANT INSERT ON default.{db}_daily TO `narrow`;",
        headline="User narrow lacks INSERT(order_id) ON default.{db}_daily",
        setup=(
            ORDERS,
            "CREATE TABLE default.{db}_daily (order_id String) ENGINE = MergeTree ORDER BY order_id",
            "CREATE MATERIALIZED VIEW {db}.daily_mv TO default.{db}_daily DEFINER = narrow SQL SECURITY DEFINER"
            " AS SELECT order_id FROM {db}.orders",
        ),
        repair=("ALTER TABLE {db}.daily_mv MODIFY SQL SECURITY NONE",),
    ),
    "grant_missing_while_a_view_is_filled": Fault(
        5,
        "INSERT INTO orders (order_id) VALUES ('a')",
        "server_missing_grant",
        "SELECT ON {db}.city",
        "GRANT SELECT ON {db}.city TO `blind`;",
        headline="while it pushed rows to view {db}.daily_mv",
        setup=(
            ORDERS,
            "CREATE TABLE {db}.city (id UInt64, name String) ENGINE = MergeTree ORDER BY id",
            CITIES.format(user="blind"),
            "CREATE MATERIALIZED VIEW {db}.daily_mv ENGINE = MergeTree ORDER BY name"
            " AS SELECT dictGet('{db}.cities', 'name', toUInt64(tickets)) AS name FROM {db}.orders",
        ),
        repair=(CITIES.format(user="ingest"),),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_refused_statement_is_named(stage: Stage, name: str) -> None:
    fault = FAULTS[name]

    def fill(text: str) -> str:
        return text.format(db=stage.database)

    for statement in fault.setup:
        stage.admin(fill(statement))
    if fault.before:
        stage.send(fault.before, user=fault.user)
    said = stage.refused(fill(fault.send), user=fault.user, **fault.settings)
    diagnosis = stage.judge(users=[fault.user], ingest={"exit_code": 1}, server_setup={"schema_file": "sql/schema.sql"})
    found = headline(diagnosis)
    assert found.cause == fault.cause
    assert (found.object or "") == fill(fault.object)
    assert fill(fault.next_step) in (found.next_step or "")
    assert fill(fault.headline) in found.headline
    assert fill(fault.expected) in (found.expected or "")
    assert fill(fault.actual) in (found.actual or "")
    assert found.fix_side
    # Offending SQL, exception text and code name, always; no stack noise.
    assert found.evidence["sql"].split()[0] == fault.send.split()[0]
    assert f"Code: {found.evidence['code']}." in said
    assert found.evidence["code_name"] in said
    assert found.evidence["exception"][:40] in said
    assert "Stack trace" not in found.evidence["exception"]
    assert found.evidence["first"] >= stage.since
    text = diagnosis.message(5)
    assert "offending SQL" in text
    assert found.headline in text

    # The healthy twin: with the cause removed, nothing is said.
    for statement in fault.repair:
        stage.admin(fill(statement))
    twin = Stage(stage.engine, stage.database)
    settings = fault.settings if fault.repair else {}
    twin.send(fill(fault.twin or fault.send), user=fault.twin_user, **settings)
    healthy = twin.judge(users=[fault.twin_user], ingest={"exit_code": 0})
    assert healthy.verdict == "PASS", healthy.message(5)
    assert [finding.cause for finding in healthy.findings if finding.severity != "info"] == []
