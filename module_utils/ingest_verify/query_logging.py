"""Whether the server really records what the ingest's user runs: settings, log tables, and a failing canary."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from xml.sax.saxutils import escape

from clickhouse_driver import Client

from .client import ConnectError, ServerError, connect, query, quote_identifier, quote_string, table_columns
from .findings import Finding
from .loader_network import LoaderNetwork

STAGE = "query_logging"
# Sends one statement and returns its rows as dicts by column name; raises as `client.query` does.
Ask = Callable[[str], list[dict[str, Any]]]

# Values at which no statement of a user stays out of system.query_log.
WANTED = {
    "log_queries": "1",
    "log_queries_probability": "1",
    "log_queries_min_type": "QUERY_START",
    "log_queries_min_query_duration_ms": "0",
}
# Below this a long INSERT or SELECT is cut so far that the offending part may be missing.
MINIMUM_QUERY_LENGTH = 10_000

# The name sorts last, since files of users.d are merged in the order of their names.
DROP_IN_NAME = "zz-ingest-verify-query-logging.xml"
LOG_TABLES_DROP_IN_NAME = "zz-ingest-verify-log-tables.xml"

LOG_TABLES_DROP_IN = """\
<clickhouse>
    <query_log>
        <database>system</database>
        <table>query_log</table>
        <flush_interval_milliseconds>1000</flush_interval_milliseconds>
    </query_log>
    <text_log>
        <database>system</database>
        <table>text_log</table>
        <level>information</level>
        <flush_interval_milliseconds>1000</flush_interval_milliseconds>
    </text_log>
</clickhouse>
"""


@dataclass
class Account:
    """Where a user is defined: `storage` as in system.users (`users_xml`, `local_directory`, ...), the names of its
    profiles, and its own settings as (name, value) in order."""

    name: str
    storage: str
    profiles: list[str]
    settings: list[tuple[str, str]]


@dataclass
class Proof:
    """Outcome of the canary: `proven`, the `reason` in one sentence, its `marker`, and the seconds it took."""

    proven: bool
    reason: str
    marker: str
    seconds: float = 0.0


def hiding_settings(ask: Ask) -> dict[str, str]:
    """Settings of the session's user that keep statements out of the log or cut them: name to value found."""
    names = ", ".join(map(quote_string, [*WANTED, "log_queries_cut_to_length"]))
    rows = ask(f"SELECT name, value FROM system.settings WHERE name IN ({names})")
    found = {row["name"]: row["value"] for row in rows}
    hiding = {name: found[name] for name, wanted in WANTED.items() if name in found and not _same(found[name], wanted)}
    cut = found.get("log_queries_cut_to_length")
    if cut is not None and int(cut) < MINIMUM_QUERY_LENGTH:
        hiding["log_queries_cut_to_length"] = cut
    return hiding


def _same(found: str, wanted: str) -> bool:
    try:
        return float(found) == float(wanted)
    except ValueError:
        return found == wanted


def read_account(client: Client, user: str) -> Account:
    """Where `user` is defined and which settings profile it has; raises ServerError when that cannot be read."""
    users = query(client, "SELECT storage FROM system.users WHERE name = %(user)s", {"user": user})
    elements = query(
        client,
        "SELECT setting_name, value, inherit_profile FROM system.settings_profile_elements"
        " WHERE user_name = %(user)s ORDER BY index",
        {"user": user},
    )
    return Account(
        name=user,
        storage=users[0]["storage"] if users else "",
        profiles=[row["inherit_profile"] for row in elements if row["inherit_profile"]],
        settings=[(row["setting_name"], row["value"]) for row in elements if row["setting_name"]],
    )


def wanted_value(name: str) -> str:
    """The value that makes setting `name` hide nothing."""
    return WANTED.get(name, "100000")


def drop_in(account: Account, hiding: Mapping[str, str]) -> str:
    """A users.d file for a user defined in XML: its profile's settings, set to values that hide nothing."""
    profile = account.profiles[0] if account.profiles else "default"
    settings = "".join(f"            <{name}>{escape(wanted_value(name))}</{name}>\n" for name in sorted(hiding))
    return (
        "<clickhouse>\n    <profiles>\n"
        f"        <{profile}>\n{settings}        </{profile}>\n"
        "    </profiles>\n</clickhouse>\n"
    )


def alter_user(account: Account, changes: Mapping[str, str]) -> str:
    """ALTER USER that sets `changes` and repeats the settings and profiles the user has.

    `SETTINGS` replaces the whole list, and `MODIFY SETTING` is newer than 24.8.
    """
    settings = {**dict(account.settings), **changes}
    parts = [f"{quote_identifier(name)} = {quote_string(value)}" for name, value in settings.items()]
    parts += [f"PROFILE {quote_string(profile)}" for profile in account.profiles]
    return f"ALTER USER {quote_identifier(account.name)} SETTINGS {', '.join(parts) or 'NONE'}"


def missing_log_tables(client: Client) -> list[str]:
    """Names of the log tables a diagnosis rests on that the server does not keep."""
    _flush(client)
    return [table for table in ("query_log", "text_log") if not table_columns(client, table)]


def _flush(client: Client) -> None:
    """Write the log buffers out where this user may; without the grant the server's own interval does it."""
    try:
        query(client, "SYSTEM FLUSH LOGS")
    except ServerError as error:
        if error.code != 497:  # ACCESS_DENIED
            raise


@dataclass
class Session:
    """The ingest's user, logged in: `hiding` as `hiding_settings` tells it, `ask` sends a statement, `place` is from
    where, empty for this host."""

    hiding: dict[str, str]
    ask: Ask
    place: str = ""


@dataclass
class Refused:
    """A login that the server refused for its address, as far as that is known: one sentence, and the findings."""

    reason: str
    findings: list[Finding] = field(default_factory=list)


def session_of(ingest: Mapping[str, Any], client: Client, network: LoaderNetwork | None = None) -> Session | Refused:
    """A session as the ingest's user from `network` or this host, or why its addresses keep it out from there.

    `ingest` holds `login_*` values, `client` reads the system tables. The server gives one answer to a wrong password
    and to an address that is not allowed; its error counters tell them apart. Raises ConnectError where the login is
    refused for another reason or nothing answers, NotAskedError where nothing can be sent from `network`.
    """
    before = _login_counters(client)
    try:
        if network is not None:
            ask: Ask = partial(network.ask, ingest)
        else:
            ask = partial(query, connect(ingest, bounds={}))
        return Session(hiding_settings(ask), ask, f" from {network.shown}" if network else "")
    except ConnectError as error:
        if error.kind != "authentication":
            raise
        refused = _refused_address(ingest["login_user"], client, before, network)
        if refused is None:
            raise
        return refused


def _login_counters(client: Client) -> dict[int, int]:
    """How often the server has met each reason for refusing a login; empty where this reader is not told."""
    sql = "SELECT code, toInt64(sum(value)) AS value FROM system.errors WHERE code IN (192, 193, 195) GROUP BY code"
    try:
        return {192: 0, 193: 0, 195: 0} | {row["code"]: row["value"] for row in query(client, sql)}
    except ServerError:
        return {}


def _refused_address(
    user: str, client: Client, before: Mapping[int, int], network: LoaderNetwork | None
) -> Refused | None:
    """Whether it was the address; None when it was name or password."""
    allowed = _allowed_addresses(client, user)
    now = _login_counters(client)
    risen = {code for code, value in now.items() if value > before.get(code, value)}
    if not allowed or (risen and 195 not in risen):
        return None
    only = f"User {user} may log in from {', '.join(allowed)} only"
    if network is None:
        return Refused(
            f"{only}, and this play logs in from another address. Whether its password is right, and whether its"
            " statements are logged, is not known from here"
        )
    if risen != {195}:
        return Refused(
            f"{only}, and the server refused it from {network.shown}. Whether that was its address or its password is"
            " not known"
        )
    headline = f"The server refused user {user} from {network.shown}: it may log in from {', '.join(allowed)} only"
    place = network.subnet or "<the network's addresses>"
    finding = Finding(
        STAGE,
        "warning",
        "server_host_not_allowed",
        headline,
        object=user,
        expected=f"a login from {network.shown}, where the loader runs",
        actual=", ".join(allowed),
        next_step=(
            f"Add <ip>{place}</ip> to <networks> of user {user} (users.d), or for a user defined by SQL:\n"
            f"ALTER USER {quote_identifier(user)} ADD HOST IP {quote_string(place)}\n"
            "Where the loader's container has a fixed address or name that is allowed, nothing has to be done."
        ),
    )
    return Refused(headline, [finding])


def _allowed_addresses(client: Client, user: str) -> list[str]:
    """Where a user may log in from; empty for anywhere, for an unknown user, and where this reader is not told."""
    columns = ("host_ip", "host_names", "host_names_regexp", "host_names_like")
    try:
        rows = query(client, f"SELECT {', '.join(columns)} FROM system.users WHERE name = %(user)s", {"user": user})
    except ServerError:
        return []
    allowed = [str(place) for row in rows for column in columns for place in row[column]]
    return [] if {"::/0", "0.0.0.0/0"} & set(allowed) else allowed


def run_canary(session: Session, client: Client, tables: list[str], wait_seconds: float) -> Proof:
    """Fail on purpose as the ingest's user, then look for it in each of `tables` (`query_log`, `text_log`).

    `client` reads the log tables. Waits on the rows themselves, for at most `wait_seconds`.
    """
    marker = f"ingest_verify_canary_{secrets.token_hex(8)}"
    try:
        session.ask(f"SELECT * FROM {quote_identifier(marker)}")
    except ServerError:
        pass
    else:
        return Proof(False, "the canary statement did not fail, so it proves nothing", marker)
    started = time.monotonic()
    lost = list(tables)
    while lost and time.monotonic() - started < wait_seconds:
        try:
            _flush(client)
            lost = [table for table in lost if not _holds(client, table, marker)]
        except ServerError as error:
            return Proof(False, f"the log tables could not be read: code {error.code}: {error.message}", marker)
        if lost:
            time.sleep(0.1)
    seconds = round(time.monotonic() - started, 3)
    sought = f"a failing statement of the ingest's user{session.place}"
    if lost:
        where = " and ".join(f"system.{table}" for table in lost)
        return Proof(False, f"{sought} was not in {where} after {seconds} s", marker, seconds)
    where = " and ".join(f"system.{table}" for table in tables)
    return Proof(True, f"{sought} was found in {where} after {seconds} s", marker, seconds)


def _holds(client: Client, table: str, marker: str) -> bool:
    condition = {
        "query_log": "type IN ('ExceptionBeforeStart', 'ExceptionWhileProcessing') AND position(query, %(marker)s) > 0",
        # Levels Fatal, Critical and Error; the reader's own statements come as Debug.
        "text_log": "level IN ('Fatal', 'Critical', 'Error') AND position(message, %(marker)s) > 0",
    }[table]
    # The day before too: the canary may fail just before midnight and be looked for just after.
    sql = f"SELECT 1 FROM system.{table} WHERE event_date >= today() - 1 AND {condition} LIMIT 1"
    return bool(query(client, sql, {"marker": marker}))


def settings_finding(user: str, hiding: Mapping[str, str], severity: str) -> Finding:
    """What the ingest's user hides, with the values that would not."""
    actual = ", ".join(f"{name} = {value}" for name, value in hiding.items())
    return Finding(
        stage=STAGE,
        severity=severity,
        cause="evidence_log_queries_off",
        headline=f"Statements of user {user} may be missing from system.query_log: {actual}",
        object=user,
        expected=", ".join(f"{name} = {wanted_value(name)}" for name in hiding),
        actual=actual,
        fix_side="server",
        next_step=(
            f"Set these in the user's settings profile (users.d), or for a user defined by SQL:\n"
            f"ALTER USER {quote_identifier(user)} SETTINGS "
            + ", ".join(f"{name} = '{wanted_value(name)}'" for name in hiding)
            + "\n(`SET GLOBAL log_queries = 1` of old runbooks is a syntax error in every ClickHouse version.)"
        ),
    )


def tables_finding(missing: list[str]) -> Finding:
    """Log tables that the server does not keep, with the configuration that adds them."""
    names = ", ".join(f"system.{table}" for table in missing)
    return Finding(
        stage=STAGE,
        severity="warning",
        cause="evidence_not_configured",
        headline=f"The server keeps no {names}",
        object=missing[0],
        expected="<query_log> and <text_log> directly below the root element of the server's configuration",
        actual=f"no table {names} after a flush",
        fix_side="server",
        next_step=(
            f"Put this into config.d/{LOG_TABLES_DROP_IN_NAME} and restart the server"
            f" (below <profiles> or <users> it is accepted and has no effect):\n{LOG_TABLES_DROP_IN}"
        ),
    )
