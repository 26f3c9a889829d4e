"""Users and their rights: login, address, privilege, read-only profile, quota."""

from __future__ import annotations

import re
from dataclasses import replace

from ...causes import Decision
from ...client import quote_identifier
from ...facts.catalog import Catalog, nearest
from ...privileges import grant, lacking_privilege, needed_privilege, refused_user
from .refusal import QUOTED, REMOTE, Refusal, table_of, what_of

_EXCHANGED = re.compile(r"(?is)\s*EXCHANGE\s+TABLES\s+([\w.`]+)\s+AND\s+([\w.`]+)")


def missing_grant(refusal: Refusal, catalog: Catalog) -> Decision:
    """A privilege that the ingest's user lacks, with the GRANT or the lines of XML that give it."""
    refusal = replace(refusal, user=refused_user(refusal.text) or refusal.user)
    # "Missing permissions" is what lacks; the sentence before it and the column name all that the statement needs.
    lacking = lacking_privilege(refusal.text)
    wanted = [] if lacking else [privilege for privilege in refusal.missing_privileges if " ON " in privilege]
    if not wanted and (found := lacking or needed_privilege(refusal.text)):
        wanted = [found]
    target = refusal.target
    if not wanted:
        privilege = {"DESCRIBE": "SHOW COLUMNS", "DROP": "DROP TABLE", "CREATE": f"CREATE {target.kind}"}.get(
            target.verb, target.verb
        )
        wanted = [f"{privilege or '<privilege>'} ON {target.name or '<database>.<table>'}"]
    if swapped := _EXCHANGED.match(refusal.sql):
        # The server names one table's rights at a time; an exchange wants all of them on both (InterpreterRenameQuery).
        wanted = [
            "SELECT, INSERT, CREATE TABLE, DROP TABLE ON "
            + (name if "." in name or not refusal.current_database else f"{refusal.current_database}.{name}")
            for name in swapped.groups()
        ]
    # The whole table rather than the columns of one statement: the next statement may name others.
    grants = list(dict.fromkeys(re.sub(r"\([^)]*\)(?=\s*(?:,|ON))", "", privilege) for privilege in wanted))
    return Decision(
        "server_missing_grant",
        f"User {refusal.user} lacks {' and '.join(wanted)}: the server refused {what_of(target)}.",
        object=grants[0],
        expected=f"user {refusal.user} with {', '.join(wanted)}",
        actual="the privilege is missing",
        next_step=grant(refusal.user, grants, catalog.evidence.user_storage(refusal.user)),
        fix_side="server",
    )


def login_refused(refusal: Refusal, catalog: Catalog) -> Decision:
    """A wrong password or user, as far as this reader sees the users or the code tells them apart."""
    known = catalog.evidence.users()
    detail = {
        "unknown_user": f"there is no user {refusal.user}",
        "wrong_password": f"the password of {refusal.user} is wrong",
        "no_password": f"user {refusal.user} needs a password and none was sent",
    }.get(refusal.kind)
    if detail is None and known is not None:
        detail = (
            f"the password of {refusal.user} is wrong" if refusal.user in known else f"there is no user {refusal.user}"
        )
    near = nearest(refusal.user, known or []) if known and refusal.user not in known else None
    return Decision(
        "server_authentication",
        f"The server refused the login of user {refusal.user}: {detail or 'wrong password or no such user'}.",
        object=refusal.user,
        expected=f"user {refusal.user} with the password in the ingest's settings",
        actual=(detail or refusal.text) + (f"; the nearest existing name is {near}" if near else ""),
        next_step="Correct CLICKHOUSE_USER and CLICKHOUSE_PASSWORD in the ingest's env file (no quotes, no "
        f"line end behind the value); try them: clickhouse-client --user {refusal.user} --password --query 'SELECT 1'.",
        fix_side="configuration",
    )


def host_not_allowed(refusal: Refusal, catalog: Catalog) -> Decision:
    """A login from an address that the user's networks do not hold."""
    found = re.search(r"[Cc]onnections? from\s+(\S+)", refusal.text)
    address = found.group(1).strip(".,") if found else None
    return Decision(
        "server_host_not_allowed",
        f"User {refusal.user} may not log in from {address or 'the ingest address'}: its <networks> (HOST clause) "
        "does not hold it.",
        object=refusal.user,
        expected=f"an address that user {refusal.user} may log in from",
        actual=f"a login from {address}" if address else refusal.text,
        next_step=f"ALTER USER {quote_identifier(refusal.user)} ADD HOST IP '{address or '<address>'}'; for a user in "
        f"XML add <ip>{address or '<address>'}</ip> to its <networks> in users.d and reload.",
        fix_side="server",
    )


def remote_login(refusal: Refusal, catalog: Catalog) -> Decision | None:
    """A login that another server refused to this one: the statement itself was let in."""
    other = REMOTE.search(refusal.exception)
    if other is None or not refusal.sql:
        return None
    return Decision(
        "server_remote_login",
        f"Server {other[1]} refused the login that this server sends it for {what_of(refusal.target)}: "
        f"{refusal.brief}.",
        object=other[1],
        expected=f"a user and a password that {other[1]} knows",
        actual=refusal.brief,
        next_step="Correct user and password in the statement's remote(...), or the cluster's in remote_servers.",
        fix_side="server",
    )


def read_only(refusal: Refusal, catalog: Catalog) -> Decision:
    """A profile without the right to write, or a replica without Keeper."""
    if re.search(r"[Cc]annot modify '\w+' setting", refusal.text):
        return setting_refused(refusal, catalog)
    if refusal.kind == "read_only_table":
        return Decision(
            "server_readonly",
            f"{table_of(refusal.target)} is read-only: its replica has lost its connection to Keeper.",
            object=refusal.target.name,
            expected="a replica that accepts writes",
            actual=refusal.text,
            next_step="SELECT database, table, is_readonly, zookeeper_exception FROM system.replicas WHERE "
            "is_readonly; then SYSTEM RESTART REPLICA for the table.",
            fix_side="server",
        )
    return Decision(
        "server_readonly",
        f"User {refusal.user} has a read-only profile: the server refused {what_of(refusal.target)}.",
        object=refusal.user,
        expected="a profile with readonly = 0 (2 to change settings and read only)",
        actual=refusal.text,
        next_step=f"Give the user a profile that may write: ALTER USER {quote_identifier(refusal.user)} SETTINGS "
        "PROFILE 'default'; for a user in XML change its <profile> in users.d and reload. See: SELECT * FROM "
        f"system.settings_profile_elements WHERE user_name = '{refusal.user}';",
        fix_side="server",
    )


def quota_used_up(refusal: Refusal, catalog: Catalog) -> Decision:
    """The user's quota is at its end."""
    return Decision(
        "server_quota",
        f"The quota of user {refusal.user} is used up: the server refused {what_of(refusal.target)}.",
        object=refusal.user,
        expected="a quota that lasts for a whole ingest",
        actual=refusal.text,
        next_step="SELECT * FROM system.quotas_usage; then raise the quota, or insert fewer and bigger batches.",
        fix_side="server",
    )


def setting_refused(refusal: Refusal, catalog: Catalog) -> Decision:
    """A setting that this server does not know, or that the user may not change."""
    found = QUOTED.search(refusal.text)
    name = found.group(1) if found else (re.search(r"[Ss]etting (\w+)", refusal.text) or [None, None])[1]
    return Decision(
        "server_setting_refused",
        f"The server refused {f'the setting {name}' if name else 'a setting'} that the ingest sends: {refusal.brief}",
        object=name,
        expected="settings that this server version knows and this user may set",
        actual=refusal.text,
        next_step="Remove the setting from the ingest, or allow it in the user's profile (constraints"
        + ("; readonly = 2 lets a reader change settings)." if "readonly mode" in refusal.text else ")."),
        fix_side="loader",
    )
