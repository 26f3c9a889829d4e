"""The ingest's connection to ClickHouse: port, protocol, TLS, name, time-outs, the HTTP status of a statement."""

from __future__ import annotations

import re

from ...causes import LIKELY
from ...facts.log.errors import ClientError
from .connection_words import CERTIFICATE
from .context import (
    CONFIGURATION,
    HTTP_PORTS,
    INGEST,
    LOOPBACK,
    NATIVE_PORTS,
    SERVER,
    Context,
    Judged,
    endpoints,
    first_line,
    place,
)


def _target(error: ClientError, context: Context) -> tuple[str, int | None]:
    host, port = context.clickhouse
    return next(((h, p) for h, p in endpoints(error.text) if (h, p) != context.api), (host, port))


def _native(error: ClientError) -> bool:
    return "clickhouse_driver" in error.libraries or bool(
        re.search(r"Code: (?:102|209|210)\.|clickhouse_driver|asynch|expected Hello|clickhouse-go", error.text)
    )


_ADDRESS_SYNTAX = re.compile(
    r"Port could not be cast to integer value|net/url: invalid (?:userinfo|port)|invalid port \"[^\"]*\" after host"
    r"|invalid URL escape|URISyntaxException|ERR_INVALID_URL|Could not parse SQLAlchemy URL"
)


def address_syntax(error: ClientError, _: Context) -> Judged | None:
    """An address that a library could not take apart: mostly a password with a character that addresses reserve."""
    frames = f"{error.frame.code}" if error.frame else ""
    port_read = "base 10" in error.text and error.raised_in in ("sqlalchemy", "clickhouse_driver", "clickhouse_connect")
    if not _ADDRESS_SYNTAX.search(error.text) and not (port_read and re.search(r"url|dsn|engine|from_", frames, re.I)):
        return None
    return Judged(
        "config_address_syntax",
        f"An address in the ingest's settings cannot be taken apart{place(error)}: {first_line(error.message)}",
        "Write the characters that an address reserves in its user and password as codes: @ as %40, / as %2F, : as "
        "%3A, "
        "# as %23, ? as %3F, % as %25. In Python, urllib.parse.quote(password, safe='') does it.",
        CONFIGURATION,
        expected="scheme://user:password@host:port/database",
    )


def wrong_protocol(error: ClientError, context: Context) -> Judged:
    """HTTP to the native port, or the other way round."""
    host, port = _target(error, context)
    native_asked_http = bool(re.search(r"expected Hello|packet (?:id )?\[?72", error.text, re.I)) or (
        _native(error) and port in HTTP_PORTS
    )
    spoken, found = ("native protocol", "HTTP") if native_asked_http else ("HTTP", "ClickHouse's native protocol")
    wanted = "the native port (9000, with TLS 9440)" if native_asked_http else "the HTTP port (8123, with TLS 8443)"
    refused, hint = _ITS_PORT.search(error.text), _HINT.search(error.text)
    if refused and hint and not native_asked_http:
        # The server names both ports itself.
        port, wanted = int(refused[1]), f"{hint[1]}, which the server names as its HTTP port"
    return Judged(
        "client_wrong_protocol",
        f"The ingest speaks {spoken} to {host or 'ClickHouse'}:{port or '?'}, and that port speaks {found}.",
        f"Set CLICKHOUSE_PORT in the ingest's env file to {wanted}.",
        CONFIGURATION,
        object=f"{host}:{port}" if port else host or None,
        expected=f"a port that speaks {spoken}",
        actual=f"a port that speaks {found}",
    )


_ITS_PORT = re.compile(r"Port (\d+) is for clickhouse-client")
_HINT = re.compile(r"You must use port (\d+) for HTTP")


# What a TLS library says of bytes that are none of TLS.
_PLAIN_ANSWER = re.compile(r"wrong.version.number|first record does not look like|NotSslRecord|record.layer", re.I)


def tls_mismatch(error: ClientError, context: Context) -> Judged:
    """TLS on one end only, or a certificate that is not trusted."""
    host, port = _target(error, context)
    where = f"{host or 'ClickHouse'}:{port or '?'}"
    if re.search(r"certificate[_ ]required", error.text):
        return Judged(
            "client_tls_mismatch",
            f"{where} wants a certificate of the client, and the ingest sent none: {first_line(error.message)}",
            "Give the ingest a client certificate with its key, signed by the CA that the server trusts. Or let the "
            "server do without: <verificationMode>relaxed</verificationMode> in its <openSSL><server>.",
            CONFIGURATION,
            object=where,
            expected="a client certificate",
            actual="none was sent",
        )
    if CERTIFICATE.search(error.text):
        return Judged(
            "client_tls_mismatch",
            f"The ingest does not trust the certificate of {where}.",
            "Give the ingest the CA that signed it, connect by the name in the certificate, or set "
            "CLICKHOUSE_VERIFY_SSL=false on a network that you trust.",
            CONFIGURATION,
            object=where,
        )
    plain_to_tls = bool(re.search(r"plain HTTP request was sent|HTTP request to an HTTPS", error.text))
    return Judged(
        "client_tls_mismatch",
        f"The ingest speaks {'plain text to the TLS port' if plain_to_tls else 'TLS to the plain port'} {where}.",
        (
            "Set CLICKHOUSE_SECURE=true, or give the plain port (8123 HTTP, 9000 native)."
            if plain_to_tls
            else "Set CLICKHOUSE_SECURE=false, or give the port that has TLS (8443 HTTP, 9440 native)."
        ),
        CONFIGURATION,
        object=where,
        expected="TLS on both ends or on none",
        actual="TLS on one end",
        certainty=None if plain_to_tls or _PLAIN_ANSWER.search(error.text) else LIKELY,
        confirm=f"openssl s_client -connect {where}",
        otherwise="both speak TLS and agree on no version, or a proxy cut the handshake.",
    )


def unknown_host(error: ClientError, context: Context) -> Judged:
    """The name of ClickHouse's host does not resolve."""
    match = re.search(
        r"(?:ENOTFOUND|EAI_AGAIN) ([\w.-]+)|host: ([\w.-]+)|lookup ([\w.-]+)"
        r"|UnknownHostException: ([\w.-]+)"
        r"|(?:bad address|resolve host(?: address|:)?|address of host:?) ['\"]?([\w.-]+)",
        error.text,
    )
    named = next((group for group in match.groups() if group), None) if match else None
    host = (named or _target(error, context)[0] or "of ClickHouse").rstrip(".")
    network = "clickhouse_default" if context.ours else "<network>"
    inside = (
        f" Within Docker the name is that of the container or service ({host}), and only containers of the same "
        "network "
        f"(qtickets_ingest_network) know it: docker network inspect {network} lists who is in it."
    )
    return Judged(
        "client_unknown_host",
        f"The ingest cannot resolve ClickHouse's host name {host}.",
        "Check CLICKHOUSE_HOST in the env file."
        + context.where(inside, f" Where the ingest runs: getent hosts {host}"),
        CONFIGURATION,
        object=host,
        expected="a name that resolves where the ingest runs",
        actual="name not known",
    )


def connection_refused(error: ClientError, context: Context) -> Judged:
    """Nothing listens where the ingest connects to."""
    host, port = _target(error, context)
    where = f"{host}:{port}" if port else host or "ClickHouse"
    if context.container and LOOPBACK.match(host):
        return Judged(
            "client_connection_refused",
            f"The ingest connects to {where}, and inside a container that is the container itself, not ClickHouse.",
            "Set CLICKHOUSE_HOST in the env file to the name of ClickHouse's container"
            f"{' (ch-zakaz)' if context.ours else ''}, and run the ingest in the same Docker network.",
            CONFIGURATION,
            object=where,
            expected="the name of ClickHouse's container",
            actual=host,
        )
    if LOOPBACK.match(host):
        action = f"Check that ClickHouse runs and listens on port {port}: ss -ltn | grep {port}; otherwise correct "
        action += "CLICKHOUSE_HOST and CLICKHOUSE_PORT in the env file."
    else:
        inside = (
            " If its own health check is green and nobody else gets in, it listens on loopback inside its container: "
            f"docker exec {'ch-zakaz' if context.ours else '<its container>'} ss -ltn (or cat /proc/net/tcp) must show "
            "0.0.0.0 or [::], set by <listen_host>::</listen_host> in config.d."
        )
        outside = (
            f" On its host, ss -ltn must show it listening on 0.0.0.0 or [::]:{port or '<port>'}, not on 127.0.0.1."
        )
        action = (
            f"Check that ClickHouse is up and that {port or 'the port'} (CLICKHOUSE_PORT) is its port: 8123 for HTTP, "
            "9000 for its own protocol, where it is not configured otherwise." + context.where(inside, outside)
        )
    return Judged(
        "client_connection_refused",
        f"Nothing accepts the ingest's connection to ClickHouse at {where}.",
        action,
        SERVER,
        object=where,
        expected=f"a ClickHouse that listens at {where}",
        actual="connection refused",
    )


def connect_timeout(error: ClientError, context: Context) -> Judged:
    """Not even a refusal comes back."""
    host, port = _target(error, context)
    return Judged(
        "client_connect_timeout",
        f"The ingest's connection to ClickHouse at {host}:{port or '?'} gets no answer at all.",
        "A firewall drops the packets or the address is another machine's: check CLICKHOUSE_HOST, and the port's rule.",
        CONFIGURATION,
        object=f"{host}:{port}",
    )


def read_timeout(error: ClientError, _: Context) -> Judged:
    """ClickHouse was reached and its answer took too long."""
    return Judged(
        "client_socket_timeout",
        f"The ingest gave up waiting for ClickHouse's answer{place(error)}; the server may have finished the statement "
        "all the same.",
        "Look in system.query_log for the statement's duration; raise the client's receive timeout above it, or send "
        "smaller batches.",
        INGEST,
        generic=True,
    )


def connection_lost(error: ClientError, context: Context) -> Judged:
    """An open connection broke; at a port of the other protocol that is what its answer does."""
    _, port = _target(error, context)
    native = _native(error)
    asks_http = not native and re.search(r"https?://|HTTPS?Connection|httpx|urllib3|aiohttp|RemoteDisc", error.text)
    if (native and port in HTTP_PORTS) or (asks_http and port in NATIVE_PORTS):
        judged = wrong_protocol(error, context)
        judged.certainty = LIKELY
        judged.confirm = (
            f"curl -sS http://{judged.object or 'HOST:PORT'}/ping prints Ok. where the port is that of HTTP."
        )
        judged.otherwise = "the server, or a proxy before it, closed the connection for another reason."
        return judged
    return Judged(
        "client_connection_lost",
        f"The ingest's connection to ClickHouse broke: {first_line(error.message)}",
        "Look whether the server was restarted or killed at that time (its uptime, its log, system.crash_log). If it "
        "was "
        "not, it had closed a connection that was kept idle, or a proxy cut it: keep connections shorter than the "
        "server's keep_alive_timeout (SELECT value FROM system.server_settings WHERE name = 'keep_alive_timeout'), or "
        "let the client retry.",
        SERVER,
        generic=True,
    )


_PROXY_GAVE_UP = (499, 502, 503, 504, 524)


def clickhouse_status(error: ClientError, status: int, context: Context) -> Judged:
    """An HTTP error at ClickHouse's address, without the server's own text: ClickHouse's, or a proxy's before it."""
    host, port = _target(error, context)
    where = f"{host}:{port}" if host and port else context.clickhouse_name
    page = bool(re.search(r"<html|<title>|\bnginx\b|upstream", error.text, re.IGNORECASE))
    # ClickHouse answers neither of these itself.
    if status in (413, 414):
        return Judged(
            "client_proxy_refused",
            f"A proxy in front of ClickHouse, at {where}, refused the ingest's request as too large (HTTP {status}). "
            "ClickHouse never got it.",
            "Send smaller batches, or raise the proxy's limit (nginx: client_max_body_size; ingress-nginx: annotation "
            "nginx.ingress.kubernetes.io/proxy-body-size), or connect to ClickHouse without the proxy.",
            CONFIGURATION,
            object=where,
            expected="a proxy that takes the ingest's batches",
            actual=f"HTTP {status}",
        )
    if status == 504 or (status in _PROXY_GAVE_UP and page):
        return Judged(
            "client_proxy_timeout",
            f"A proxy in front of ClickHouse, at {where}, gave up waiting (HTTP {status}). The statement may have "
            "finished on the server all the same.",
            "Look before you run it again, or its rows may be there twice: SELECT type, query_duration_ms, "
            "written_rows, "
            "exception FROM system.query_log WHERE query_kind = 'Insert' ORDER BY event_time DESC LIMIT 5. Then "
            "raise the "
            "proxy's time-out (nginx: proxy_read_timeout), send smaller batches, or connect without the proxy.",
            CONFIGURATION,
            object=where,
            expected="a proxy that waits as long as the statement takes",
            actual=f"HTTP {status}",
        )
    if status in (401, 403):
        user = context.value("CLICKHOUSE_USER")
        return Judged(
            "server_authentication",
            f"ClickHouse at {where} refused the ingest's login or privilege (HTTP {status}); its log keeps no "
            "exception text.",
            f"Check CLICKHOUSE_USER{f' ({user})' if user else ''} and CLICKHOUSE_PASSWORD in the env file: curl -sS "
            f"'http://{where}/?query=SELECT+1' --user {user or '<user>'} shows the server's reason.",
            CONFIGURATION,
            object=str(user) if user else None,
            certainty=LIKELY,
            confirm="the same curl: ClickHouse's own text begins with 'Code:'.",
            otherwise="a proxy in front of ClickHouse refused it, and system.session_log has no LoginFailure.",
        )
    return Judged(
        "client_exception",
        f"ClickHouse at {where} answered HTTP {status}, and the ingest's log keeps none of the answer's text"
        f"{place(error)}.",
        (
            "ClickHouse answers so where it does not know a table, a database, a column or a function. "
            if status == 404
            else ""
        )
        + "Look in system.query_log for a failing statement of that time: it has the code and the reason. If there is "
        "none, "
        + (
            "the port is the native protocol's (9000), which answers HTTP with 400: set CLICKHOUSE_PORT to the HTTP "
            "port "
            "(8123)."
            if status == 400
            else "what stands in front of ClickHouse answered (a proxy, a mesh), or the statement was never parsed."
        ),
        INGEST,
        actual=f"HTTP {status}",
        generic=True,
    )
