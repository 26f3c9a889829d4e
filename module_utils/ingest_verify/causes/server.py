"""The server refused a statement, or something on it failed behind the statements' back."""

from __future__ import annotations

from .model import CONFIGURATION, LOADER, LOG, SCHEMA, SERVER, SOURCE, Cause, Form

_REMOTE_ADDRESS = r"(?:([\w-]+(?:\.[\w-]+)*:\d{1,5})\b|address of host: ([\w.-]+))"

SERVERS = (
    Cause(
        "server_refused_statement",
        "The server refused a statement, and its own sentence says why",
        LOADER,
        "A statement failed with a code for which no narrower cause holds. It is told with the server's own sentence.",
        forms=(
            Form(
                ("missing_function",),
                r"[Ff]unction (?:with name )?[`']?(\w+)",
                "The server refused {what} with UNKNOWN_FUNCTION: it knows no function {name}.{maybe}",
                "Correct the function's name in the statement, or use one that this server has (SELECT version()). "
                "Functions of a similar name: SELECT name FROM system.functions WHERE name ILIKE '%{name}%';",
                LOADER,
                "a function that this server has",
                example="Function with name `toUInt46` does not exist. In scope SELECT toUInt46(1)",
            ),
            Form(
                ("statement",),
                r"[Cc]olumn [`']?([\w.]+)|[`'\"]([\w.]+)[`'\"]|",
                "The server refused {what}: {brief}.",
                "Correct the statement as the exception says, and run it alone as user {user}.",
                LOADER,
                example="JOIN  INNER JOIN ... ambiguous identifier 'id'",
            ),
        ),
        step="Correct the statement as the exception says, and run it alone as the same user.",
    ),
    Cause(
        "server_missing_table",
        "A table does not exist",
        SCHEMA,
        "UNKNOWN_TABLE, and the catalog has no table of the name that the statement or the text gives.",
        never="The statement was the client's own question, and the run then made what it had looked for.",
        row=1,
        narrower_than=("server_refused_statement",),
        step="Apply the schema, or correct the table's name in the loader.",
        command="ansible-playbook verify.yml -i prod --tags schema_apply",
    ),
    Cause(
        "server_stream_refused",
        "What a stream read cannot be written",
        SCHEMA,
        "The newest error of a Kafka table's consumer is the server's, names no message, and is newer than a commit.",
        step="Correct the view behind the stream, or its target table.",
        command="SELECT database, table, exceptions.text FROM system.kafka_consumers;",
    ),
    Cause(
        "server_missing_database",
        "A database does not exist",
        SCHEMA,
        "UNKNOWN_DATABASE, or UNKNOWN_TABLE in a database that the catalog does not have.",
        row=1,
        narrower_than=("server_missing_table", "server_refused_statement"),
        step="Apply the schema, or correct the database's name in the loader's settings.",
        command="ansible-playbook verify.yml -i prod --tags schema_apply",
    ),
    Cause(
        "server_missing_column",
        "A column does not exist",
        SCHEMA,
        "The text or the INSERT's list names a column that the catalog's table does not have.",
        row=2,
        narrower_than=("server_refused_statement", "server_type_mismatch"),
        forms=(
            Form(
                ("arguments",),
                r"No such attribute [`'](\w+)",
                "The dictionary has no attribute {name}: the server refused {what}.",
                "Correct the attribute's name, or add it to the dictionary: SELECT name, attribute.names FROM "
                "system.dictionaries;",
                SCHEMA,
                example="No such attribute 'nam'",
            ),
        ),
        step="Add the column with the ALTER that the finding shows, or take it out of the loader's INSERT.",
        command="ansible-playbook verify.yml -i prod --tags schema_apply",
    ),
    Cause(
        "server_computed_column",
        "A value for a column that the server computes",
        LOADER,
        "The text says MATERIALIZED or ALIAS, or the catalog does of a column in the INSERT's list.",
        row=4,
        narrower_than=("server_missing_column", "server_type_mismatch", "server_unsupported_ddl"),
        forms=(
            Form(
                ("computed_column",),
                r"Cannot insert column (\S+?),? because it is (?:MATERIALIZED|ALIAS)",
                "Column {name} of {target} is computed by the server, which takes no value for it.",
                "Leave {name} out of the INSERT's columns and values. If the loader has to fill it, make it a DEFAULT "
                "column.",
                LOADER,
                object="{target}.{name}",
                example="Cannot insert column total, because it is MATERIALIZED column",
            ),
        ),
        step="Leave the computed column out of the INSERT, or make it a DEFAULT column.",
        command="SHOW CREATE TABLE db.table;",
    ),
    Cause(
        "server_duplicate_column",
        "A column is listed twice",
        LOADER,
        "DUPLICATE_COLUMN.",
        narrower_than=("server_object_exists",),
        forms=(
            Form(
                ("duplicate_column",),
                r"[Cc]olumn [`']?(\w+)",
                "Column {name} is listed twice: the server refused {what}: {brief}.",
                "Name each column once. In an ALTER write ADD COLUMN IF NOT EXISTS {name}.",
                LOADER,
                object="{target}.{name}",
                example="Column a specified more than once",
            ),
        ),
        step="Name each column once. In an ALTER write ADD COLUMN IF NOT EXISTS.",
    ),
    Cause(
        "server_type_mismatch",
        "A value does not fit its column",
        LOADER,
        "A code of kind value, null_value or input, for an INSERT; the column by the text or by its only type.",
        row=3,
        narrower_than=("server_refused_statement",),
        likely="The server ran out of bytes in a binary row: its layout, or a body that was cut off.",
        step="Convert the value in the loader, or change the column's type in the schema.",
        command="DESCRIBE TABLE db.table;",
    ),
    Cause(
        "server_column_count",
        "Rows with another number of values than columns",
        LOADER,
        "A code of kind column_count, or a text format that met a row of another length.",
        row=4,
        narrower_than=("server_type_mismatch",),
        step="Send one value for each column of the INSERT's list, and name the columns in the INSERT.",
        command="DESCRIBE TABLE db.table;",
    ),
    Cause(
        "server_bad_input",
        "The rows' text is cut off, or in another format than announced",
        LOADER,
        "The parser stopped at the first byte, or at the end of the data inside a value.",
        row=3,
        narrower_than=("server_type_mismatch",),
        forms=(
            Form(
                ("input", "value"),
                r"\\xEF\\xBB\\xBF|\ufeff()",
                "What {what} was sent begins with a byte order mark (BOM), which its first column takes for a part of "
                "its value: {brief}.",
                "Remove the mark before the data is sent: sed -i '1s/^\\xEF\\xBB\\xBF//' FILE, or in Python open(..., "
                "encoding='utf-8-sig'). A format with a header line (CSVWithNames) skips it too.",
                SOURCE,
                "data without a byte order mark",
                object="{target}",
                example=r"Cannot parse input: expected ',' before: '\xEF\xBB\xBF2010,64\r\n2011,3'",
            ),
        ),
        likely="The rows begin as JSON does, and the statement says another format.",
        step="Send whole rows in the format that the statement names.",
    ),
    Cause(
        "server_array_sizes",
        "Arrays of one row have different lengths",
        LOADER,
        "SIZES_OF_ARRAYS_DONT_MATCH with both names.",
        narrower_than=("server_type_mismatch",),
        forms=(
            Form(
                ("array_sizes",),
                r"Elements ('[^']+' and '[^']+')",
                "The arrays {name} of one row have different lengths: the server refused {what}.",
                "Send arrays of the same length for all columns of one Nested structure.",
                LOADER,
                "arrays of one length within a row",
                example="Elements 'a.x' and 'a.y' of Nested data structure 'a' (Array columns) have different array "
                "sizes",
            ),
        ),
        step="Send arrays of the same length for all columns of one Nested structure.",
    ),
    Cause(
        "server_constraint_violated",
        "A row violates a constraint",
        LOADER,
        "VIOLATED_CONSTRAINT with its name.",
        forms=(
            Form(
                ("constraint",),
                r"Constraint [`'](\w+)",
                "A row of {what} violates the constraint {name}: {brief}.",
                "Correct or set aside such rows in the loader. If the rule is wrong: ALTER TABLE {target} DROP "
                "CONSTRAINT `{name}`;",
                LOADER,
                "rows that satisfy {name}",
                example="Constraint `positive` for table t is violated at row 1",
            ),
        ),
        step="Correct such rows in the loader, or drop the constraint if the rule is wrong.",
        command="SHOW CREATE TABLE db.table;",
    ),
    Cause(
        "server_check_failed",
        "A throwIf in the statement was met",
        LOADER,
        "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO.",
        forms=(
            Form(
                ("throw_if",),
                "",
                "A check in {what} failed (throwIf): {brief}.",
                "Find the rows that the check names. Correct them at their source, or correct the check in the "
                "statement.",
                LOADER,
                example="Value passed to 'throwIf' function is non-zero",
            ),
        ),
        step="Correct the rows that the check names, or the check in the statement.",
    ),
    Cause(
        "server_object_exists",
        "What is to be made exists already",
        LOADER,
        "A code of kind exists.",
        forms=(
            Form(
                ("exists",),
                r"(?:[Tt]able|[Dd]atabase|[Vv]iew|[Dd]ictionary) (\S+) already exists",
                "{name} exists already: the server refused {what}.",
                "Write IF NOT EXISTS, CREATE OR REPLACE, or DROP ... IF EXISTS before it. To put one table in "
                "another's place, use EXCHANGE TABLES. What an earlier, broken run left has to be dropped once.",
                LOADER,
                "no {name} yet",
                example="Table shop.orders already exists",
            ),
        ),
        step="Write IF NOT EXISTS or CREATE OR REPLACE. Drop once what an earlier, broken run left.",
    ),
    Cause(
        "server_not_writable",
        "A table that takes no rows",
        LOADER,
        "NOT_IMPLEMENTED: write is not supported by the storage.",
        narrower_than=("server_unsupported_ddl",),
        forms=(
            Form(
                ("not_implemented",),
                r"write is not supported by storage (\w+)",
                "{target} is a {name}, which takes no rows: the server refused {what}.",
                "Insert into the table that it reads from: SHOW CREATE TABLE {target};",
                LOADER,
                "a table that rows can be inserted into",
                "{target}",
                example="Method write is not supported by storage View",
            ),
        ),
        step="Insert into the table that it reads from.",
        command="SHOW CREATE TABLE db.table;",
    ),
    Cause(
        "server_syntax_error",
        "The server cannot parse the statement",
        LOADER,
        "SYNTAX_ERROR, or something after the rows of VALUES.",
        narrower_than=("server_type_mismatch", "server_unsupported_ddl"),
        forms=(
            Form(
                ("syntax",),
                r"Multi-statements are not allowed",
                "{what} came with another statement in the same request. The server takes one statement at a time.",
                "Send each statement in a request of its own. A migration tool has an option for it "
                "(golang-migrate: x-multi-statement=true in the database's URL), or takes one statement per file.",
                LOADER,
                "one statement in each request",
                example="Syntax error (Multi-statements are not allowed): failed at position 37 (end of query): ;",
            ),
            Form(
                ("syntax",),
                r"((?:Single|Double|Back) quoted string|Multiline comment) is not closed",
                "{what} ends within a quoted text or a comment: {brief}.",
                "Look at where the statement ends. A tool that cuts a file at each semicolon also cuts at one within "
                "quotes: send the statement whole. A quote within a text is written as \\' or ''.",
                LOADER,
                "a statement whose quotes are closed",
                "{target}",
                example="Single quoted string is not closed: Syntax error: failed at position 224 (')",
            ),
            Form(
                ("input",),
                r"expected '\(' before: '([A-Z]{2,}[\w ]*)[^\n]*Values",
                "{what} has {name} after its VALUES. ClickHouse does not support that.",
                "Leave it out: ClickHouse has no ON CONFLICT, ON DUPLICATE KEY or RETURNING. A ReplacingMergeTree "
                "replaces rows by its key.",
                LOADER,
                "rows in parentheses and nothing after them",
                "{target}",
                example="Cannot parse input: expected '(' before: 'ON CONFLICT (id) DO NOTHING': While executing "
                "ValuesBlockInputFormat",
            ),
        ),
        step="Correct the statement at the place that the exception shows.",
    ),
    Cause(
        "server_missing_parameter",
        "A placeholder was sent without its value",
        LOADER,
        "UNKNOWN_QUERY_PARAMETER, or the parser stopped at a driver's or template's placeholder.",
        narrower_than=("server_syntax_error", "server_missing_column", "server_column_count"),
        forms=(
            Form(
                ("missing_parameter",),
                r"Substitution [`'](\w+)",
                "The statement's parameter {name} has no value: the server refused {what}.",
                "Send param_{name}=... with the request (in a driver: parameters={{'{name}': ...}}).",
                LOADER,
                "a value for {{{name}}}",
                example="Substitution `id` is not set",
            ),
            Form(
                ("missing_column", "syntax"),
                r"(?:\bhere: |failed at position \d+ \([^)]{1,3}\)(?: \(line \d+, col \d+\))?: |expression identifier "
                r"[`'])(%s|%\(\w+\)s|\?|:[A-Za-z_]\w*|\$\d+|@\w+|\$?\{{1,2}\s*[A-Za-z_][\w.]*\s*\}{1,2})",
                "The placeholder {name} was sent unfilled: the server refused {what}.",
                "Hand the values over in the call that sends the statement, in the way of its driver "
                "(clickhouse-driver: %(name)s and a dictionary; clickhouse-connect: parameters=...; JDBC: a prepared "
                "statement). Send rows through the driver's insert. Render a template first.",
                LOADER,
                "a value in place of {name}",
                example="Syntax error: failed at position 34 (?): ?, ?). Expected one of: expression",
            ),
        ),
        step="Hand the values over in the call that sends the statement, in the way of its driver.",
    ),
    Cause(
        "server_bad_argument",
        "A function does not take its arguments",
        LOADER,
        "A code of kind function_arguments, or BAD_ARGUMENTS that names a function or a time zone.",
        forms=(
            Form(
                ("arguments",),
                r"time zone ([\w/+-]+)",
                "The server knows no time zone {name}: it refused {what}.",
                "Write the zone's name as the server has it: SELECT time_zone FROM system.time_zones WHERE time_zone "
                "ILIKE '%part of the name%';",
                LOADER,
                "a time zone that this server has",
                example="Cannot load time zone Europe/Kiew",
            ),
            Form(
                ("arguments", "function_arguments"),
                r"function (?:with name )?[`']?(\w+)",
                "The server refused {what}: function {name} does not take what it is given: {brief}.",
                "Correct the arguments of {name} in the statement, with a conversion where the type is wrong "
                "(toUInt64OrNull(x), toDateTime(x), toString(x)). What it takes: SELECT syntax, arguments FROM "
                "system.functions WHERE name = '{name}';",
                LOADER,
                example="Illegal type String of argument of function plus",
            ),
        ),
        step="Correct the function's arguments in the statement.",
        command="SELECT name, syntax FROM system.functions WHERE name ILIKE '%name%';",
    ),
    Cause(
        "server_missing_dictionary",
        "A dictionary does not exist",
        SCHEMA,
        "BAD_ARGUMENTS that says so and names it.",
        narrower_than=("server_bad_argument", "server_remote_unreachable"),
        forms=(
            Form(
                ("arguments", "poco"),
                r"[Dd]ictionary \(?[`']?([\w.`-]+?)[`']?\)? (?:not found|does ?n.t exist)",
                "Dictionary {name} does not exist: the server refused {what}.",
                "Create it, or correct its name (with its database) in the statement. What "
                "there is: SELECT database, name, status, last_exception FROM system.dictionaries;",
                SCHEMA,
                "dictionary {name}",
                example="Dictionary (`shop.rates`) not found",
            ),
        ),
        step="Create the dictionary, or correct its name.",
        command="SELECT database, name, status, last_exception FROM system.dictionaries;",
    ),
    Cause(
        "server_unknown_format",
        "A format that the server does not have",
        LOADER,
        "UNKNOWN_FORMAT.",
        forms=(
            Form(
                ("missing_format",),
                r"[Uu]nknown format (\w+)",
                "The server knows no format {name}: it refused {what}.{maybe}",
                "Correct FORMAT {name} in the statement. What there is: SELECT name FROM system.formats WHERE "
                "is_input;",
                LOADER,
                example="Unknown format JSONEachRows. Maybe you meant: ['JSONEachRow']",
            ),
        ),
        step="Correct the format's name in the statement.",
        command="SELECT name FROM system.formats WHERE is_input;",
    ),
    Cause(
        "server_missing_file",
        "A file on the server is not there",
        LOADER,
        "FILE_DOESNT_EXIST.",
        forms=(
            Form(
                ("missing_file",),
                r"[Ff]ile (\S+?)[,.]? (?:does ?n.t|does not) exist",
                "The server has no file {name}: it refused {what}.",
                "file(...) reads on the server, below its user_files folder, not where the loader runs. Put the file "
                "there, or send its content with the INSERT.",
                LOADER,
                example="File /var/lib/clickhouse/user_files/a.csv doesn't exist",
            ),
            Form(
                ("format_schema",),
                r"parse '([^']+)' (?:file|schema)",
                "The server cannot read the schema file {name} of the format: it refused {what}: {brief}.",
                "Put {name} into the server's folder for such files (format_schema_path, by default "
                "/var/lib/clickhouse/format_schemas). The setting format_schema is relative to it.",
                CONFIGURATION,
                "the file {name} below format_schema_path",
                example="Cannot parse 'events.proto' file, found an error at line -1, column 0, File not found.",
            ),
        ),
        step="Put the file below the server's user_files folder, or send its content with the INSERT.",
    ),
    Cause(
        "server_missing_collection",
        "A named collection that the server does not have",
        CONFIGURATION,
        "NAMED_COLLECTION_DOESNT_EXIST.",
        forms=(
            Form(
                ("missing_collection",),
                r"collection [`']?([\w.-]+)",
                "The server has no named collection {name}: it refused {what}.",
                "Correct its name in the statement, or create it: CREATE NAMED COLLECTION {name} AS ...; or in "
                "config.d below <named_collections>. What there is: SELECT name FROM system.named_collections;",
                CONFIGURATION,
                "named collection {name}",
                example="There is no named collection `landing_zone`",
            ),
        ),
        step="Create the named collection, or correct its name in the statement.",
        command="SELECT name FROM system.named_collections;",
    ),
    Cause(
        "server_missing_cluster",
        "A cluster that the server does not know",
        CONFIGURATION,
        "The text says that the cluster was not found.",
        forms=(
            Form(
                ("bad_get", "missing_cluster"),
                r"[Cc]luster [`'](\w+)[`'] not found",
                "The server knows no cluster {name}: it refused {what}.",
                "Correct the name (SELECT DISTINCT cluster FROM system.clusters;), or leave ON CLUSTER and Distributed "
                "out on a single server.",
                CONFIGURATION,
                "cluster {name}",
                example="Requested cluster 'prod' not found",
            ),
        ),
        step="Correct the cluster's name, or leave ON CLUSTER out on a single server.",
        command="SELECT DISTINCT cluster FROM system.clusters;",
    ),
    Cause(
        "server_session",
        "One session used by two statements at once, or gone",
        LOADER,
        "SESSION_IS_LOCKED or SESSION_NOT_FOUND.",
        forms=(
            Form(
                ("session",),
                r"Session (\S+)",
                "The server refused {what}: {brief}.",
                "Use one session_id from one thread at a time, or none at all (clickhouse-connect: "
                "autogenerate_session_id = False, or one client per thread). Behind a load balancer a session must "
                "stay on one server.",
                LOADER,
                "one statement at a time in a session",
                example="Session 71dd is locked by a concurrent client",
            ),
        ),
        step="Use a session from one thread at a time, or no session_id at all.",
    ),
    Cause(
        "server_missing_grant",
        "A user lacks a privilege",
        SERVER,
        "ACCESS_DENIED; the privilege and the user by the server's own text.",
        row=5,
        step="Run the GRANT that the finding shows as an administrator.",
        command="SHOW GRANTS FOR loader;",
    ),
    Cause(
        "server_authentication",
        "A wrong password or an unknown user",
        CONFIGURATION,
        "A login was refused; the user by the server's own text, or by session_log.",
        row=6,
        likely="HTTP 401 or 403 at ClickHouse's address without the server's text: a proxy may have said it.",
        step="Correct the user or the password in the settings, or set it on the server.",
        command="SELECT name, auth_type FROM system.users;",
    ),
    Cause(
        "server_host_not_allowed",
        "A user may not log in from this address",
        SERVER,
        "IP_ADDRESS_NOT_ALLOWED, by the text or by the counters of system.errors.",
        row=7,
        narrower_than=("server_authentication",),
        step="Allow the user to log in from this address.",
        command="SHOW CREATE USER loader;",
    ),
    Cause(
        "server_remote_login",
        "Another server refused this server's login",
        SERVER,
        "A login code with 'Received from' in the text of a statement that was let in.",
        narrower_than=("server_authentication",),
        step="Correct the user and password that this server uses for the other one "
        "(remote_servers, or the table function).",
        command="SELECT cluster, host_name, user FROM system.clusters;",
    ),
    Cause(
        "server_readonly",
        "A read-only profile or table",
        SERVER,
        "READONLY or TABLE_IS_READ_ONLY.",
        row=8,
        forms=(
            Form(
                ("read_only",),
                r"method GET implies readonly",
                "{what} was sent with GET, and over HTTP that only reads: {brief}.",
                "Send the statement with POST, as its body or with --data-binary. The user's rights are not the "
                "reason.",
                LOADER,
                "a statement that writes, sent with POST",
                "{target}",
                example="ingest: Cannot execute query in readonly mode. For queries over HTTP, method GET implies "
                "readonly. You should use method POST for modifying queries.",
            ),
        ),
        step="Give the user a profile that may write, or write into a table that takes rows.",
        command="SELECT name, value FROM system.settings WHERE name = 'readonly';",
    ),
    Cause(
        "server_quota",
        "A quota is used up",
        SERVER,
        "QUOTA_EXCEEDED.",
        row=8,
        step="Wait until the quota's interval is over, or raise the quota.",
        command="SHOW QUOTAS;",
    ),
    Cause(
        "server_setting_refused",
        "A setting that the server does not take from this user",
        LOADER,
        "A code of kind missing_setting, or READONLY that names a setting; or the client's own sentence of one.",
        narrower_than=("server_readonly",),
        forms=(
            Form(
                (LOG,),
                r"\b[Ss]etting (\w+) is (?:unknown or )?read-?only",
                "The user's profile does not let the setting {name} be changed, and the client was told to send it"
                "{place}.",
                "Take {name} out of the client's settings in the ingest. Or allow it in the user's profile: remove its "
                "constraint. To see it: SELECT name, value, readonly FROM system.settings WHERE name = '{name}';",
                LOADER,
                "settings that this user may change",
                example="clickhouse_connect.driver.exceptions.ProgrammingError: Setting max_threads is readonly",
            ),
        ),
        step="Take the setting out of the loader's statements, or allow the user to change it.",
        command="SELECT name, value, readonly FROM system.settings WHERE changed;",
    ),
    Cause(
        "server_limit",
        "A limit of the user's profile",
        LOADER,
        "A code of kind limit; the setting by the text.",
        never="TABLE_SIZE_EXCEEDS_MAX_DROP_SIZE_LIMIT, which is the server's own.",
        row=12,
        narrower_than=("server_syntax_error",),
        forms=(
            Form(
                ("syntax",),
                r"[Mm]ax query size exceeded",
                "{what} is longer than max_query_size: its rows are part of the SQL text.",
                "Send the rows as data after the statement (FORMAT JSONEachRow, the driver's insert), in smaller "
                "batches, or raise max_query_size for user {user}.",
                LOADER,
                example="Max query size exceeded: '2'",
            ),
            Form(
                ("limit",),
                r"(?s).*?\b(max_\w+)|",
                "{what} went over a limit of user {user}: {brief}.",
                "Ask for less in one statement (a filter, smaller batches), or raise the limit that the text names for "
                "user {user}: ALTER USER ... SETTINGS <setting> = ...; To see the limits: SELECT name, value FROM "
                "system.settings WHERE name LIKE 'max_%' AND changed;",
                LOADER,
                example="Limit for rows to read exceeded, max rows: 10.00",
            ),
        ),
        step="Ask for less in one statement, or raise the limit that the text names.",
        command="SELECT name, value FROM system.settings WHERE name LIKE 'max_%' AND changed;",
    ),
    Cause(
        "server_drop_limit",
        "A table or partition is too big to be dropped without a word",
        SERVER,
        "TABLE_SIZE_EXCEEDS_MAX_DROP_SIZE_LIMIT.",
        forms=(
            Form(
                ("drop_limit",),
                r"(max_\w+_to_drop)|",
                "The server does not drop {target}: it is bigger than the server allows: {brief}.",
                "This limit is the server's, not the user's. Where the drop is meant, allow it once: create the file "
                "flags/force_drop_table in the server's data folder (the exception names its path), or send the "
                "statement with SETTINGS max_table_size_to_drop = 0, max_partition_size_to_drop = 0.",
                SERVER,
                "a table or partition below max_table_size_to_drop",
                "{target}",
                example="Table or Partition in shop.orders was not dropped. Reason: 1. Size (60.00 GB) is greater than "
                "max_[table/partition]_size_to_drop (50.00 GB)",
            ),
        ),
        step="Where the drop is meant, allow it once with max_table_size_to_drop = 0.",
    ),
    Cause(
        "server_object_limit",
        "The server has as many tables, databases or views as it may",
        SERVER,
        "A code of kind object_limit.",
        forms=(
            Form(
                ("object_limit",),
                r"(max_\w+)|",
                "The server has as many objects as it may, and refused {what}: {brief}.",
                "Drop what is not needed, or raise the limit in the server's configuration (max_table_num_to_throw, "
                "max_database_num_to_throw).",
                SERVER,
                example="Too many tables. The limit (server configuration parameter `max_table_num_to_throw`) is set "
                "to 5, the current number is 5",
            ),
        ),
        step="Drop what is not needed, or raise the limit in the server's configuration.",
        command="SELECT count() FROM system.tables;",
    ),
    Cause(
        "server_locked",
        "Another statement holds the table's lock",
        SERVER,
        "DEADLOCK_AVOIDED or another code of kind locked.",
        narrower_than=("server_unsupported_ddl",),
        forms=(
            Form(
                ("locked",),
                "",
                "{what} waited for a lock that another statement holds, and was given up: {brief}.",
                "Find what holds it: SELECT query_id, elapsed, query FROM system.processes ORDER BY elapsed DESC; and "
                "SELECT database, table, mutation_id, command FROM system.mutations WHERE NOT is_done; Then send the "
                "statement again, or raise lock_acquire_timeout.",
                SERVER,
                "a lock that is free within lock_acquire_timeout",
                "{target}",
                example='WRITE locking attempt on "shop.t" has timed out! (120000ms) Possible deadlock avoided. '
                "Client should retry",
            ),
        ),
        step="Find the statement that holds the lock, wait for it, and send this one again.",
        command="SELECT query_id, elapsed, query FROM system.processes ORDER BY elapsed DESC;",
    ),
    Cause(
        "server_query_killed",
        "Somebody ended a statement with KILL QUERY",
        SERVER,
        "QUERY_WAS_CANCELLED, and query_log holds a KILL QUERY of another program in the window that names the query "
        "or its user.",
        narrower_than=("client_aborted_insert", "server_query_cancelled"),
        step="Ask who ended the statement, then run the ingest again.",
        command="SELECT event_time, user, query FROM system.query_log WHERE query ILIKE 'KILL QUERY%';",
    ),
    Cause(
        "server_query_cancelled",
        "A statement was cancelled",
        SERVER,
        "QUERY_WAS_CANCELLED, and no KILL QUERY is known.",
        step="Find out what cancelled the statement: the client's time limit, a lost connection or a person. "
        "Then run again.",
    ),
    Cause(
        "server_query_id",
        "A query id that is in use",
        LOADER,
        "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING.",
        forms=(
            Form(
                ("query_id_taken",),
                r"id = (\S+)",
                "A statement with the query id {name} is still running: the server refused {what}.",
                "Let each statement have an id of its own. A retry after a time-out meets the first try: look whether "
                "it has finished before it is sent again (SELECT * FROM system.processes WHERE query_id = '{name}';).",
                LOADER,
                "an id of its own for each statement",
                example="Query with id = load-7 is already running.",
            ),
        ),
        step="Let each statement have an id of its own.",
        command="SELECT query_id, elapsed FROM system.processes;",
    ),
    Cause(
        "server_wire",
        "Data that the server cannot decompress or check",
        LOADER,
        "A code of kind wire for an INSERT.",
        forms=(
            Form(
                ("wire",),
                "",
                "The server could not decompress what the client sent for {what}: {brief}.",
                "Let the client name the compression that it uses (Content-Encoding over HTTP, the compression option "
                "of a native driver), or switch compression off to see whether the rows arrive. An old driver needs a "
                "newer version.",
                LOADER,
                "data in the compression that the request announces",
                "{target}",
                example="Unknown compression method: 110",
            ),
        ),
        step="Let the client name the compression that it uses, or switch compression off.",
    ),
    Cause(
        "server_memory_limit",
        "A memory limit was reached",
        SERVER,
        "MEMORY_LIMIT_EXCEEDED; which limit by the text.",
        row=9,
        step="Send smaller batches, or raise the memory limit that the text names.",
        command="SELECT name, value FROM system.settings WHERE name LIKE 'max_memory%';",
    ),
    Cause(
        "server_too_many_parts",
        "Too many parts or partitions",
        LOADER,
        "TOO_MANY_PARTS or TOO_MANY_PARTITIONS; merges or the partition key by the text.",
        row=10,
        step="Insert fewer, larger batches, and use a coarser partition key.",
        command="SELECT table, count() FROM system.parts WHERE active GROUP BY table ORDER BY 2 DESC;",
    ),
    Cause(
        "server_no_space",
        "The server's disk is full",
        SERVER,
        "NOT_ENOUGH_SPACE, or system.disks.",
        row=11,
        step="Free space on the server's disk.",
        command="SELECT name, path, formatReadableSize(free_space) FROM system.disks;",
    ),
    Cause(
        "server_timeout",
        "A statement took longer than its time limit",
        SERVER,
        "TIMEOUT_EXCEEDED or TOO_SLOW.",
        row=12,
        step="Make the statement smaller, or raise max_execution_time for the user.",
    ),
    Cause(
        "server_cluster_ddl_waits",
        "An ON CLUSTER statement was not finished on all hosts in time",
        SERVER,
        "TIMEOUT_EXCEEDED or UNFINISHED, and the text speaks of a distributed DDL task.",
        never="The statement's own time limit ended it.",
        narrower_than=("server_timeout", "server_mutation_failed"),
        forms=(
            Form(
                ("time", "mutation"),
                r"(?s)(?:Watching task|Distributed DDL task).*?(\d+ of \d+ hosts|\d+ unfinished hosts)|"
                r"distributed_ddl_task_timeout",
                "{what} ON CLUSTER was not finished on {name} in time: {brief}.",
                "The hosts go on with it in the background. Look which of them wait, and why: SELECT entry, host, "
                "status, exception_text FROM system.distributed_ddl_queue WHERE status != 'Finished' ORDER BY entry "
                "DESC LIMIT 20; Then wait for them, or raise distributed_ddl_task_timeout. Write IF NOT EXISTS, so "
                "that the statement may be sent again.",
                SERVER,
                "all hosts of the cluster done within distributed_ddl_task_timeout",
                "{target}",
                example="Distributed DDL task /clickhouse/task_queue/ddl/query-0000000376 is not finished on 4 of 5 "
                "hosts (0 of them are currently executing the task, 0 are inactive). Was waiting for 180.6 seconds, "
                "which is longer than distributed_ddl_task_timeout",
            ),
        ),
        step="Look which hosts of the cluster are behind, and wait for them.",
        command="SELECT entry, host, status, exception_text FROM system.distributed_ddl_queue WHERE status != "
        "'Finished';",
    ),
    Cause(
        "server_too_many_queries",
        "More queries at once than the server takes",
        SERVER,
        "A code of kind busy.",
        step="Run fewer statements at once, or raise the limit that the text names.",
        command="SELECT user, count() FROM system.processes GROUP BY user;",
    ),
    Cause(
        "server_replication",
        "Keeper or replicas are missing",
        SERVER,
        "A code of kind keeper or no_keeper.",
        narrower_than=("server_unsupported_ddl",),
        forms=(
            Form(
                ("no_keeper",),
                "without ZooKeeper",
                "This server has no Keeper, which {what} needs: {brief}.",
                "On a single server use the engine's plain form (MergeTree without Replicated) and no ON CLUSTER. Else "
                "configure <zookeeper> in config.d and restart the server.",
                SCHEMA,
                "a server with Keeper",
                example="Can't create replicated table without ZooKeeper",
            ),
        ),
        step="Bring Keeper and the replicas back. On a single server use engines without Replicated.",
        command="SELECT database, table, is_readonly, zookeeper_exception FROM system.replicas;",
    ),
    Cause(
        "server_remote_unreachable",
        "The server cannot reach what the statement reads from or writes to",
        SERVER,
        "A code of kind remote; or of kind socket or poco, and the text names another host, or the statement reads "
        "from a table function or a Distributed table.",
        never="The text says that the server was reading from its own client.",
        forms=(
            Form(
                ("remote", "poco", "distributed_backlog"),
                # Poco's own errors say what and not where.
                rf"(?s).*?{_REMOTE_ADDRESS}|.*(?:refused|reset|timed? ?out)",
                "The server itself could not reach what {what} reads from or writes to: {brief}.",
                "Check the address in the statement's table function, or in the cluster of its Distributed table "
                "(SELECT * FROM system.clusters), and that the server's own host gets there. The loader's network does "
                "not matter here.",
                SERVER,
                "another system that answers the server",
                example="All connection tries failed. Log: Code: 210. DB::NetException: Connection refused "
                "(10.0.0.7:9000)",
            ),
        ),
        step="Check the address in the statement or the cluster, from the server's own host.",
        command="SELECT cluster, host_name, port, errors_count FROM system.clusters;",
    ),
    Cause(
        "server_remote_refused",
        "Another system refuses what the statement reads from or writes to",
        LOADER,
        "A code of kind remote, and the text tells the other system's HTTP status or its word for a refusal.",
        never="The other system was not reached.",
        narrower_than=("server_remote_unreachable",),
        forms=(
            Form(
                ("remote",),
                r"HTTP (?:status|response) code: ([45]\d\d)"
                r"|(?i:(access ?denied|no ?such ?(?:bucket|key)|not authorized to perform))",
                "Another system refused what {what} reads from or writes to ({name}): {brief}.",
                "Check the address, the path and the credentials in the statement's table function, or in the named "
                "collection that it uses. The loader's own login and network do not matter here.",
                LOADER,
                "an answer of the other system",
                object="{target}",
                example="Failed to get object info: No response body.. HTTP response code: 403",
            ),
            Form(
                ("std",),
                r"type: (pqxx|mysqlxx)::(?!broken_connection|ConnectionFailed)",
                "The database that {what} reads from refused it ({name}): {brief}.",
                "Correct in the other database, or in the source's settings here, what its sentence names. "
                "pqxx is PostgreSQL's client, mysqlxx MySQL's.",
                SOURCE,
                "an answer of the other database",
                object="{target}",
                example="std::exception. Code: 1001, type: pqxx::undefined_table, e.what() = ERROR: relation "
                '"shop.cities" does not exist',
            ),
        ),
        step="Check the address, the path and the credentials in the statement's table function or named collection.",
    ),
    Cause(
        "server_guarded",
        "The server refuses by default what a setting would allow",
        SCHEMA,
        "The text names a setting allow_... or enable_... that is off.",
        narrower_than=("server_refused_statement", "server_unsupported_ddl", "server_computed_column"),
        forms=(
            Form(
                ("", "computed_column"),
                r"[`'\s]((?:allow|enable)_\w+)",
                "The server refused {what}: {brief}.",
                "Change the statement as the server's sentence says. Only where it is wanted as it is, allow it: "
                "{name} = 1, in the SETTINGS of the table for a MergeTree setting, else in those of the statement.",
                SCHEMA,
                "a statement that needs no {name}",
                object="{target}",
                example="Sorting key contains nullable columns, but setting `allow_nullable_key` is disabled",
            ),
        ),
        step="Change the statement as the server says. Allow the setting only where it is wanted.",
    ),
    Cause(
        "server_view_failed",
        "A materialized view failed while an INSERT pushed rows to it",
        SCHEMA,
        "The text says 'while pushing to view', or a view needs the missing table.",
        row=13,
        step="Correct the view's SELECT or its target table. Until then every INSERT into its source fails.",
        command="SHOW CREATE TABLE db.view;",
    ),
    Cause(
        "server_async_insert_failed",
        "An asynchronous insert that was accepted failed later",
        LOADER,
        "A row of asynchronous_insert_log with an error.",
        row=14,
        step="Correct the rows as the error says, and send them again. Let the loader use wait_for_async_insert = 1.",
        command="SELECT event_time, table, exception FROM system.asynchronous_insert_log WHERE exception != '';",
    ),
    Cause(
        "server_unsupported_ddl",
        "The server does not accept a schema statement",
        SCHEMA,
        "A schema statement failed with a code of kind other_version, not_implemented, syntax or missing_setting.",
        row=15,
        narrower_than=("server_refused_statement",),
        step="Write the schema statement in a form that this server's version takes.",
        command="SELECT version();",
    ),
    Cause(
        "server_schema_drift",
        "A table is not what the schema file says",
        SCHEMA,
        "The catalog before and after.",
        step="Bring the table to what the schema file says with an ALTER, or correct the file.",
        command="SHOW CREATE TABLE db.table;",
    ),
    Cause(
        "server_wrong_engine",
        "A table has another engine than the contract says",
        SCHEMA,
        "The catalog.",
        step="Make the table anew with the engine that the contract says, and move its rows.",
        command="SHOW CREATE TABLE db.table;",
    ),
    Cause(
        "server_wrong_key",
        "A table has another key than the contract says",
        SCHEMA,
        "The catalog.",
        step="Make the table anew with the key that the contract says, and move its rows.",
        command="SHOW CREATE TABLE db.table;",
    ),
    Cause(
        "server_mutation_failed",
        "A mutation fails and is tried again",
        LOADER,
        "A row of system.mutations with a failure, or UNFINISHED with the mutation's name.",
        forms=(
            Form(
                ("mutation",),
                r"mutation '([^']+)'",
                "The mutation of {what} fails: {brief}",
                "Correct the rows, or the expression, that the text names. Until then the mutation is tried again and "
                "holds up later ones: KILL MUTATION WHERE mutation_id = '{name}'; What waits: SELECT database, table, "
                "mutation_id, latest_fail_reason FROM system.mutations WHERE NOT is_done;",
                LOADER,
                object="{target}",
                example="Exception happened during execution of mutation 'mutation_3.txt' with part 'all_1_1_0'",
            ),
        ),
        step="Correct the rows or the expression, or end the mutation with KILL MUTATION.",
        command="SELECT database, table, mutation_id, latest_fail_reason FROM system.mutations WHERE NOT is_done;",
    ),
    Cause(
        "server_too_many_mutations",
        "A table has as many unfinished mutations as it may",
        LOADER,
        "TOO_MANY_MUTATIONS.",
        forms=(
            Form(
                ("mutations",),
                r"mutations \((\d+)\)",
                "{target} has {name} unfinished mutations and takes no more: the server refused {what}.",
                "Each ALTER ... UPDATE or DELETE rewrites whole parts. Change many rows in one statement, or let the "
                "loader insert new versions of rows into a ReplacingMergeTree. What waits, and why: SELECT "
                "mutation_id, command, parts_to_do, latest_fail_reason FROM system.mutations WHERE NOT is_done AND "
                "concat(database, '.', table) = '{target}';",
                LOADER,
                "fewer unfinished mutations than number_of_mutations_to_throw",
                "{target}",
                example="Too many unfinished mutations (1000) in table shop.states",
            ),
        ),
        step="Change many rows in one statement, and wait until earlier mutations are done.",
        command="SELECT database, table, mutation_id, command FROM system.mutations WHERE NOT is_done;",
    ),
    Cause(
        "server_rows_waiting",
        "Rows of a Distributed table wait on the server that took them",
        SERVER,
        "A row of system.distribution_queue of a table that the run wrote into.",
        step="Look why the rows are not sent to their shard.",
        command="SELECT database, table, data_files, error_count, last_exception FROM system.distribution_queue WHERE "
        "data_files > 0;",
    ),
    Cause(
        "server_part_failed",
        "A merge or another change of a part failed",
        SERVER,
        "A row of part_log with an error.",
        step="Read the error of the part, and mend what it names: disk, memory or data.",
        command="SELECT event_time, table, part_name, exception FROM system.part_log WHERE error != 0;",
    ),
    Cause(
        "server_restarted",
        "The server restarted in the middle of the run",
        SERVER,
        "uptime() fell.",
        row=60,
        step="Find out why the server restarted, then run again.",
        command="SELECT uptime();",
    ),
    Cause(
        "server_connection_lost",
        "The server went away while it answered",
        SERVER,
        "The connection broke.",
        row=60,
        step="Look into the server's log for the reason, then run again.",
    ),
    Cause(
        "server_unreachable",
        "The server does not answer after the loader",
        SERVER,
        "No connection to it.",
        row=60,
        step="Start the server, or look into its log for why it ended.",
        command="docker ps --all",
    ),
    Cause(
        "server_too_old",
        "The server is older than what is supported",
        SERVER,
        "SELECT version().",
        step="Update the server to a version that is supported.",
        command="SELECT version();",
    ),
    Cause(
        "server_rows_repeated",
        "An INSERT of the schema file writes its rows again at each run",
        SCHEMA,
        "The file was applied before, and the statement is not idempotent.",
        step="Make the INSERT of the schema file repeatable, or take it out of the file.",
    ),
    Cause(
        "server_retry_unknown",
        "A refused INSERT, and it is not known whether its rows arrived later",
        LOADER,
        "A passing refusal of an INSERT, and a later INSERT into the same table that is not known to be the same rows.",
        row=55,
        step="Compare the rows in the table with what was to be sent, and send what is missing.",
    ),
)
