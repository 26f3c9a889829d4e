"""What helps when the server refuses a statement of a SQL file: the cause class, the next step, and on whose side."""

from __future__ import annotations

import re
from collections.abc import Mapping

from clickhouse_driver import Client

from .causes import SERVER
from .clickhouse.error_codes import KINDS, kind_of
from .clickhouse.error_codes import cause_of as cause_of_code
from .client import ServerError, query
from .privileges import NAME, grant, needed_privilege, refused_user

# A code that says nothing more special means that this server does not take the statement as it stands.
_OTHER_CAUSE = "server_unsupported_ddl"

_SETTING_LIKE = re.compile(r"\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b")
_MEANT = re.compile(rf"\b[Mm]aybe you meant:? \[?['\"]?({NAME}(?:\.{NAME})*)")
_NOT_LATIN_NAME = re.compile(r"^Unrecognized token: .*failed at position \d+ \(([^\x00-\x7f])")
_SET_TO = re.compile(r"set setting '(\w+)' to ('\w+')")
# What a file that was applied before meets again: what it added is there, what it took away is not.
_ADDED = re.compile(r"^Cannot add (\w+) .*already exists")
_TAKES_AWAY = (
    (
        re.compile(r"(DROP|DETACH|TRUNCATE|RENAME)\s+(\w+(?:\s+(?:COLLECTION|PROFILE|POLICY))?)", re.IGNORECASE),
        re.compile(r"(?:does not|doesn't) exist|[Tt]here is no |Cannot find "),
    ),
    (
        re.compile(
            r"ALTER\s+TABLE\b.*?\b(DROP|RENAME|CLEAR|MODIFY|COMMENT)\s+(COLUMN|INDEX|PROJECTION|CONSTRAINT)\b",
            re.IGNORECASE | re.DOTALL,
        ),
        re.compile(r"Cannot find \w+ .* to \w+|There is no projection "),
    ),
)
_MAKES_TABLE = re.compile(r"(?:CREATE|ATTACH)\s+(?:\w+\s+)*?TABLE\b", re.IGNORECASE)
# Whatever the code: a listed row does not fit the table.
_IN_VALUES = "While executing ValuesBlockInputFormat"

# {at} is file:line, {version} and {login} are the server's and the session's.
_BY_CAUSE = {
    "server_missing_table": "Create the table before {at}, or correct its name or database there.",
    "server_missing_database": "Put CREATE DATABASE IF NOT EXISTS ... before it, or correct the database's name.",
    "server_missing_column": "Correct the column's name at {at}, or add the column to the table first.",
    "server_object_exists": "Write CREATE ... IF NOT EXISTS or CREATE OR REPLACE at {at}.",
    "server_readonly": "Apply the schema as a user whose profile is not read-only; {login} is.",
    "server_type_mismatch": "Correct the type at {at}.",
    "server_memory_limit": "Let {login} use more memory (max_memory_usage, or in schema_apply_settings), or split what"
    " {at} does.",
    "server_no_space": "Free space on the server's disk, then apply the file again.",
    "server_timeout": "Raise max_execution_time for {login}, or split what {at} does.",
    "server_remote_unreachable": "Check the address at {at}, and that the server's own host gets there.",
    "server_quota": "Raise the quota of {login}, or wait for its interval to end.",
}
# What the server lacks, by the kind of the code: nothing at the statement itself is wrong.
_SERVER_LACKS = {
    "missing_macro": "Define that macro in <macros> in a file of the server's config.d, or write its value at {at}.",
    "no_keeper": (
        "Replicated tables and ON CLUSTER need ClickHouse Keeper, and this server has none: configure <zookeeper> in "
        "its config.d, or verify with a schema for a single server (the engine without Replicated, no ON CLUSTER)."
    ),
    "aborted": "Replicated tables and ON CLUSTER wait for ClickHouse Keeper: see that it runs and is reachable.",
    "keeper": "ClickHouse Keeper did not answer as it should: see that it runs and is reachable.",
    "missing_volume": (
        "Configure that volume in <storage_configuration> in the server's config.d and name its policy in SETTINGS "
        "storage_policy, or take the move out of the TTL at {at}."
    ),
    "missing_policy": (
        "Configure that storage policy in <storage_configuration> in the server's config.d, or take it out at {at}."
    ),
    "missing_disk": "Configure that disk in <storage_configuration> in the server's config.d, or take it out at {at}.",
    "users_in_xml": (
        "It is defined in the server's XML (users.d), which SQL cannot change: change it there, and take {at} out of "
        "the file."
    ),
    "no_user_storage": (
        "This server keeps users, roles, quotas and policies in XML only: define it in users.d and take {at} out of "
        "the file, or configure a <local_directory> in <user_directories> in config.d."
    ),
    "missing_collection": "Define that named collection in the server's config.d, or create it before {at}.",
}
_BY_KIND = {
    "throw_if": "This is the file's own check (throwIf): see at {at} what it asks for.",
    "missing_parameter": "Put SET param_<name> = '<value>'; before {at}, or write the value there.",
    "not_implemented": "Take the statement out of the file: this server's build or configuration does not offer it.",
}
_GENERAL = (
    "Correct {at}; what a newer release brought needs a newer server than {version},"
    " what was removed needs its successor or a setting."
)


def cause_of(error: ServerError) -> str:
    """The cause class of a refusal."""
    if _IN_VALUES in error.message:
        return "server_type_mismatch"
    if _added(error):
        return "server_object_exists"
    return cause_of_code(error.code) or _OTHER_CAUSE


def advice(client: Client, error: ServerError, location: str, version: str, login: str) -> tuple[str, str]:
    """(next step, side on which it is to be taken) for a statement that was refused at `location` (file:line).

    `client` is asked for the settings that the message names, and for the clusters that there are.
    """
    cause, kind = cause_of(error), kind_of(error.code)
    values = {"at": location, "version": version, "login": login}
    if cause == "server_missing_grant" and (privilege := needed_privilege(error.message)):
        return _grant(client, error, privilege, login, location), "server"
    if step := _change_of_the_file(client, error, cause, location):
        return step, "schema"
    if kind in ("missing_cluster", "bad_get"):
        return _no_cluster(client, location), "server"
    if kind in _SERVER_LACKS:
        return _SERVER_LACKS[kind].format_map(values), "server"
    step = _BY_CAUSE.get(cause) or _BY_KIND.get(kind)
    side = "server" if step and KINDS[kind].side == SERVER else "schema"
    step = (step or _GENERAL).format_map(values)
    meant = _MEANT.search(error.message)
    return f"Is {meant[1]} meant? {step}" if meant else step, side


def _change_of_the_file(client: Client, error: ServerError, cause: str, location: str) -> str | None:
    """The step where the message itself says what to write."""
    if cause == _OTHER_CAUSE and (step := _switched_off(client, error.message, location)):
        return step
    if _IN_VALUES in error.message:
        return f"Correct the row that the message names, in VALUES at {location}."
    if wanted := _SET_TO.search(error.message):
        return f"Add SETTINGS {wanted[1]} = {wanted[2]} to the table at {location}."
    if step := _applied_before(error, location):
        return step
    if "max_query_size" in error.message:
        return f"Put SET max_query_size = 10000000; before {location}, or split the statement."
    if _NOT_LATIN_NAME.match(error.message):
        return f"Put names with other letters than Latin ones into backquotes at {location}."
    return None


def _grant(client: Client, error: ServerError, privilege: str, login: str, location: str) -> str:
    """The GRANT that is missing, for the user who was refused, and how it is given where SQL cannot give it."""
    refused = refused_user(error.message) or login
    try:
        storages = query(client, "SELECT storage FROM system.users WHERE name = %(user)s", {"user": refused})
    except ServerError:
        storages = []
    step = grant(refused, [privilege], next((str(row["storage"]) for row in storages), None))
    if refused == login:
        return step
    return (
        f"{step}\n{refused} is not the user who applies the file: what {location} reads through (a dictionary's "
        f"SOURCE, a view's DEFINER) logs in as {refused}. Or name the user there: SOURCE(CLICKHOUSE(USER "
        f"'{login}' PASSWORD '...' ...))."
    )


def _added(error: ServerError) -> str | None:
    """What a statement other than a CREATE TABLE would have added to a table that has one of this name."""
    match = _ADDED.search(error.message)
    return match[1].upper() if match and not _MAKES_TABLE.match(error.sql or "") else None


def _applied_before(error: ServerError, location: str) -> str | None:
    """The step for a statement that goes through only once."""
    sql = error.sql or ""
    if added := _added(error):
        verb = "CREATE" if sql.upper().startswith("CREATE") else "ADD"
        return f"Write {verb} {added} IF NOT EXISTS at {location}."
    for statement, refusal in _TAKES_AWAY:
        if (match := statement.match(sql)) and refusal.search(error.message):
            verb = " ".join(f"{match[1]} {match[2]}".upper().split())
            return f"Write {verb} IF EXISTS at {location} if an earlier run of the file did it, else correct the name."
    return None


def unusable_setting(client: Client, settings: Mapping[str, str]) -> tuple[str, str, str] | None:
    """(name, reason, next step) for the first of the settings that this server does not know or take; None when all are
    good."""
    if not settings:
        return None
    rows = query(
        client,
        "SELECT name, 'query' AS kind FROM system.settings WHERE name IN %(names)s"
        " UNION ALL SELECT name, 'table' FROM system.merge_tree_settings WHERE name IN %(names)s",
        {"names": tuple(settings)},
    )
    known = {row["name"] for row in rows if row["kind"] == "query"}
    of_tables = {row["name"] for row in rows} - known
    for name, value in settings.items():
        if name in of_tables:
            step = f"Write SETTINGS {name} = {value} into the CREATE TABLE that needs it, and take it out here."
            return name, "it is a setting of MergeTree tables, not of statements", step
        if name not in known:
            if "_" in name and name.partition("_")[0] in ("SQL", "custom", "param"):
                continue
            return (
                name,
                "this server knows no such setting",
                "Correct its name, or take it out of schema_apply_settings.",
            )
        try:
            query(client, "SELECT 1", settings={name: value})
        except ServerError as error:
            return name, f"{value!r} is refused: {error.message}", "Correct its value in schema_apply_settings."
    return None


def _switched_off(client: Client, message: str, location: str) -> str | None:
    """The step for a message that names a switch which would let the statement through."""
    names = list(dict.fromkeys(_SETTING_LIKE.findall(message)))
    if not names:
        return None
    switches = query(
        client,
        "SELECT name, 'query' AS kind FROM system.settings WHERE name IN %(names)s AND type = 'Bool' AND value = '0'"
        " UNION ALL SELECT name, 'table' FROM system.merge_tree_settings"
        " WHERE name IN %(names)s AND type = 'Bool' AND value = '0'",
        {"names": tuple(names)},
    )
    kinds = {row["name"]: row["kind"] for row in switches}
    for name in names:
        if kinds.get(name) == "query":
            return f"Put SET {name} = 1; before {location}, or {name}: 1 into schema_apply_settings."
        if kinds.get(name) == "table":
            return f"Add SETTINGS {name} = 1 to the table at {location}."
    return None


def _no_cluster(client: Client, location: str) -> str:
    known = [str(row["cluster"]) for row in query(client, "SELECT DISTINCT cluster FROM system.clusters ORDER BY 1")]
    there = f"there are: {', '.join(known)}" if known else "there is none"
    return (
        f"Define that cluster in <remote_servers> in the server's config.d ({there}), or verify with a schema for a"
        f" single server (no ON CLUSTER, no Distributed at {location})."
    )
