"""The connection to ClickHouse: login parameters as in the ClickHouse collection, errors in one sentence."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from clickhouse_driver import Client, errors

from .findings import Finding

# 24.8 is the oldest server whose system tables this project was measured against.
MINIMUM_VERSION = (24, 8)

# What one of the verifier's own statements may cost, since it runs beside production's load: seconds, bytes, and a
# priority below that of statements with a smaller number, on two of its cores. A check's own limit of time wins.
BOUNDS: Mapping[str, Any] = {
    "max_execution_time": 120,
    "max_memory_usage": 4 << 30,
    "max_bytes_before_external_group_by": 2 << 30,
    "max_bytes_before_external_sort": 2 << 30,
    "priority": 10,
    "max_threads": 2,
    "log_comment": json.dumps({"tool": "clickhouse-ingest-verify"}),
}
# READONLY and SETTING_CONSTRAINT_VIOLATION: the user may not change settings.
SETTINGS_REFUSED = (164, 452)
# AUTHENTICATION_FAILED, and what some servers tell: UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD.
LOGIN_CODES = (516, 192, 193, 194)

_STACK_TRACE = re.compile(r"[.,]?\s*Stack trace:.*", re.DOTALL)
# Not the words that the parser takes for something else than a column where an expression may stand.
_PLAIN_NAME = re.compile(
    r"(?!(?:all|and|array|as|between|case|cast|distinct|div|else|end|except|exists|false|final|format|from|group|having"
    r"|ilike|in|interval|into|is|join|like|limit|mod|not|null|offset|on|or|order|over|prewhere|sample|select|settings"
    r"|then|true|union|using|when|where|window|with)\Z)[a-z_][a-z0-9_]*",
    re.IGNORECASE | re.ASCII,
)
_DB_EXCEPTION = re.compile(r"^(?:Code: \d+(?:\.\s*|, e\.displayText\(\) = ))?DB::Exception:\s*")


class ConnectError(Exception):
    """No usable connection. `kind` is one of `unknown_host`, `refused`, `timeout`, `protocol`, `tls`,
    `authentication`, `server`, `too_old`, `lost`; the text says what was expected, what was found and what to do."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class ServerError(Exception):
    """The server refused a statement: `code` as in `system.errors`, `message` without the stack trace."""

    def __init__(self, code: int, message: str, sql: str | None = None) -> None:
        super().__init__(f"code {code}: {message}")
        self.code = code
        self.message = message
        self.sql = sql


class UnreadableError(ServerError):
    """The server answered, and the driver cannot read a value of the answer, such as a time after the year 9999."""


_CAUSE_OF_KIND = {
    "unknown_host": "client_unknown_host",
    "refused": "client_connection_refused",
    "timeout": "client_connect_timeout",
    "closed": "client_connection_refused",
    "protocol": "client_wrong_protocol",
    "tls": "client_tls_mismatch",
    "authentication": "server_authentication",
    "server": "server_refused_statement",
    "too_old": "server_too_old",
    "lost": "server_connection_lost",
}

_STEPS = {
    "client_connection_refused": "Look whether the server runs and listens there: ss -ltn, and <listen_host> in its "
    "configuration. The address is login_host and login_port of the inventory.",
    "client_connect_timeout": "Look whether a firewall or a wrong address is in the way: the address is login_host and "
    "login_port of the inventory.",
    "client_unknown_host": "Correct login_host in the inventory, or the name's entry in DNS or /etc/hosts.",
    "client_wrong_protocol": "Give login_port the port of the native protocol (9000, with TLS 9440).",
    "server_connection_lost": "Read the server's error log for that time, then run again.",
}


def error_finding(error: ConnectError | ServerError, stage: str, where: str | None = None) -> Finding:
    """The finding of a stage that could not talk to the server; `where` is its address, as far as it is of interest."""
    if isinstance(error, ConnectError):
        cause = _CAUSE_OF_KIND[error.kind]
        return Finding(stage, "error", cause, str(error), object=where, next_step=_STEPS.get(cause))
    evidence = {"sql": error.sql, "exception": error.message, "code": error.code}
    known = {key: value for key, value in evidence.items() if value is not None}
    return Finding(
        stage, "error", "server_refused_statement", f"The server refused a statement: {error}", evidence=known
    )


def clean_exception(text: str) -> str:
    """An exception's text without `DB::Exception:` prefix, stack trace and trailing version noise."""
    text = _STACK_TRACE.sub("", text)
    text = re.sub(r"\s*\(version [^)]*\)+\s*$", "", text)
    # Up to 20.x: `Code: 60, e.displayText() = DB::Exception: Table ... doesn't exist., e.what() = DB::Exception`.
    text = re.sub(r",? e\.what\(\) = [\w:]+\s*$", "", text)
    return _DB_EXCEPTION.sub("", text).strip()


def login_argument_spec() -> dict[str, dict[str, Any]]:
    """The `login_*` options that every module here shares, named as in the ClickHouse collection."""
    return {
        "login_host": {"type": "str", "default": "localhost"},
        "login_port": {"type": "int", "default": 9000},
        "login_user": {"type": "str", "default": "default"},
        "login_password": {"type": "str", "default": "", "no_log": True},
        "login_db": {"type": "str", "default": "default"},
        "client_kwargs": {"type": "dict", "default": {}},
    }


def connect(params: Mapping[str, Any], bounds: Mapping[str, Any] = BOUNDS) -> Client:
    """Open and prove a native connection with the `login_*` values of `params`, whose statements have these `bounds`.

    A user who may not change settings gets a connection without bounds. Raises ConnectError with the reason when the
    host is unknown, the port is closed or speaks another protocol, the login is refused, TLS fails, or the server is
    older than MINIMUM_VERSION.
    """
    host, port, user = params["login_host"], params["login_port"], params["login_user"]
    kwargs = {"connect_timeout": 10, "client_name": "clickhouse-ingest-verify", **(params.get("client_kwargs") or {})}
    if bounds:
        # A server that works sends its progress all the time: one that is silent for so long hangs.
        kwargs.setdefault("send_receive_timeout", 60)
    kwargs["settings"] = {**bounds, **(kwargs.get("settings") or {})}
    for option in ("ca_certs", "certfile", "keyfile"):
        # The driver reports an absent file as a port where nothing listens.
        if kwargs.get(option) and not os.access(kwargs[option], os.R_OK):
            raise ConnectError(
                "tls",
                f"The TLS file {kwargs[option]} ({option} in client_kwargs) cannot be read. Correct its path or mode.",
            )
    client = Client(
        host=host,
        port=port,
        user=user,
        password=params.get("login_password") or "",
        database=params.get("login_db") or "default",
        **kwargs,
    )
    try:
        version_text = str(client.execute("SELECT version()")[0][0])
    except (errors.Error, OSError, EOFError) as error:
        client.disconnect()
        if bounds and isinstance(error, errors.ServerException) and error.code in SETTINGS_REFUSED:
            return connect(params, bounds={})
        raise explain_connect_error(error, host, port, user, secure=bool(kwargs.get("secure"))) from error
    version = tuple(int(part) for part in version_text.split(".")[:2])
    if version < MINIMUM_VERSION:
        client.disconnect()
        wanted = ".".join(map(str, MINIMUM_VERSION))
        raise ConnectError(
            "too_old",
            f"ClickHouse {wanted} or newer is expected at {host}:{port}, found {version_text}: upgrade the server.",
        )
    return client


def explain_connect_error(error: Exception, host: str, port: int, user: str, *, secure: bool = False) -> ConnectError:
    """The reason for a failed connection as a ConnectError with one sentence a person can act on."""
    text = str(error)
    where = f"{host}:{port}"
    if isinstance(error, errors.ServerException):
        message = clean_exception(error.message)
        if error.code in LOGIN_CODES:
            return ConnectError(
                "authentication",
                f"ClickHouse at {where} refused user {user!r}: {message} Check the user's name and password.",
            )
        return ConnectError("server", f"ClickHouse at {where} refused the first query (code {error.code}): {message}")
    if "/" in host:
        return ConnectError(
            "unknown_host",
            f"{host!r} is an address of HTTP, as a proxy with a path has one. Statements are sent over ClickHouse's"
            " native protocol, which such a proxy does not pass on. Give the host's name alone and the native port"
            " (9000, with TLS 9440).",
        )
    if _is_unknown_host(host):
        return ConnectError(
            "unknown_host", f"The host name {host!r} cannot be resolved: check the name, DNS or the Docker network."
        )
    if isinstance(error, (errors.UnexpectedPacketFromServerError, EOFError)) and _speaks_http(host, port):
        return ConnectError(
            "protocol",
            f"{where} speaks HTTP, not ClickHouse's native protocol: give the native port (9000 by default).",
        )
    if "SSL" in text or "X509" in text:
        text = re.sub(r"^Code: \d+\.\s*", "", text)
        told = next((advice for word, advice in _TLS_ADVICE.items() if word in text), "")
        return ConnectError("tls", f"The TLS handshake with {where} failed: {text}. {told}".strip())
    if isinstance(error, EOFError) and secure:
        return ConnectError(
            "tls",
            f"{where} closed the TLS connection after the handshake. Where the server wants a client certificate, set"
            " certfile and keyfile in client_kwargs.",
        )
    if not secure and not isinstance(error, (errors.SocketTimeoutError, TimeoutError)) and _speaks_tls(host, port):
        return ConnectError(
            "tls", f"{where} speaks TLS. Set secure: true in client_kwargs, and ca_certs where its CA is a private one."
        )
    if isinstance(error, (errors.SocketTimeoutError, TimeoutError)):
        return ConnectError("timeout", f"No answer from {where} in time: is a firewall or a wrong address in between?")
    if isinstance(error, EOFError):
        return ConnectError(
            "closed",
            f"{where} took the connection and closed it without a word: the server behind this published port is not"
            " up, or this is not its native port (9000 by default).",
        )
    if isinstance(error, errors.UnexpectedPacketFromServerError):
        return ConnectError(
            "protocol",
            f"{where} does not speak ClickHouse's native protocol ({text or 'connection closed'}): check the port.",
        )
    return ConnectError(
        "refused", f"Nothing accepts connections at {where}: is ClickHouse up, and is this its native port?"
    )


# What OpenSSL says of a handshake, and what to do.
_TLS_ADVICE = {
    "certificate has expired": "The server's certificate has expired. Renew it on the server.",
    "is not valid for": "The certificate names another host. Use a name that the certificate holds as login_host.",
    "unable to get local issuer": "The server's certificate comes from a CA that this host does not know. Set ca_certs"
    " in client_kwargs to the file of that CA.",
    "self-signed certificate": "The server's certificate is signed by itself or by a private CA. Set ca_certs in"
    " client_kwargs to its file.",
    "CERTIFICATE_REQUIRED": "The server wants a client certificate. Set certfile and keyfile in client_kwargs.",
    "WRONG_VERSION_NUMBER": "This port does not speak TLS. Use the TLS port (9440 by default), or leave out secure.",
    "NO_CERTIFICATE_OR_CRL_FOUND": "The file in ca_certs holds no certificate. Correct client_kwargs.",
    "KEY_VALUES_MISMATCH": "certfile and keyfile do not belong together. Correct client_kwargs.",
}


def _is_unknown_host(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror:
        return True
    return False


def _speaks_http(host: str, port: int) -> bool:
    """Ask: the driver's own error does not tell an HTTP answer from any other unexpected one."""
    try:
        with socket.create_connection((host, port), timeout=5) as connection:
            connection.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False


def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), timeout=5) as connection, context.wrap_socket(connection):
            return True
    except OSError as error:
        # A server that wants a client certificate says so only after it spoke TLS.
        return "CERTIFICATE_REQUIRED" in str(error)


def query(
    client: Client, sql: str, params: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Run one statement and return its rows as dicts by column name; `params` fill `%(name)s`.

    Raises ServerError with code and clean text when the server refuses, UnreadableError for a value that the driver
    cannot read, ConnectError when the connection breaks.
    """
    try:
        rows, columns = client.execute(sql, params, with_column_types=True, settings=settings)
    except errors.ServerException as error:
        raise ServerError(error.code, clean_exception(error.message), sql) from error
    except errors.UnknownTypeError as error:
        client.disconnect()  # the rest of the answer is still in the socket
        raise ServerError(
            error.code, f"{error.message}: cast the column to a type that the client reads", sql
        ) from error
    except (ValueError, OverflowError) as error:
        client.disconnect()
        raise UnreadableError(0, f"a value of the answer cannot be read: {error}", sql) from error
    except (errors.Error, OSError, EOFError) as error:
        raise ConnectError("lost", f"The connection to ClickHouse broke: {type(error).__name__}: {error}") from error
    names = [name for name, _ in columns]
    return [dict(zip(names, row, strict=True)) for row in rows]


def send_marker(client: Client, query_id: str) -> None:
    """Send a statement under `query_id` that must be found in query_log, whatever the user's profile says on logging.

    Raises ServerError when even the plain statement is refused.
    """
    logged = {"log_queries": 1, "log_queries_probability": 1, "log_queries_min_query_duration_ms": 0}
    try:
        client.execute("SELECT 1", query_id=query_id, settings=logged)
    except errors.ServerException:
        # readonly = 1 and constraints refuse settings.
        try:
            client.execute("SELECT 1", query_id=query_id)
        except errors.ServerException as error:
            raise ServerError(error.code, clean_exception(error.message), "SELECT 1") from error


def table_columns(client: Client, table: str, database: str = "system") -> list[str]:
    """Names of a table's columns in order, empty when the table is absent or not visible to this user."""
    rows = query(
        client,
        "SELECT name FROM system.columns WHERE database = %(database)s AND table = %(table)s ORDER BY position",
        {"database": database, "table": table},
    )
    return [row["name"] for row in rows]


def quote_identifier(name: str) -> str:
    """`name` in backquotes, safe to place into SQL; raises ValueError when it is empty or holds a NUL."""
    if not name or "\0" in name:
        raise ValueError(f"not a usable identifier: {name!r}")
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def identifier(name: str) -> str:
    """`name` as it stands where it needs no quotes, else in backquotes."""
    return name if _PLAIN_NAME.fullmatch(name) else quote_identifier(name)


def quote_string(value: str) -> str:
    """`value` as a SQL string literal, for statements that take no parameters (DDL)."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_table(database: str, table: str) -> str:
    """`database`.`table`, both quoted."""
    return f"{quote_identifier(database)}.{quote_identifier(table)}"
