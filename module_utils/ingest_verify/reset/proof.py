"""The server answers as it should, and holds what was noted."""

from __future__ import annotations

import base64
import http.client

from ..client import ConnectError, ServerError
from ..server import describe_server, list_grants, wait_for_server
from .content import clock, differences, list_tables
from .errors import ResetError
from .journal import Move
from .request import Answer, Request


def prove(request: Request, answer: Answer) -> None:
    """The server answers on both ports as the configured user, and not without the password."""
    host, user = str(request.login["login_host"]), str(request.login["login_user"])
    try:
        client = wait_for_server(request.login, request.wait_seconds)
        try:
            answer.server = {**describe_server(client), "second": clock(client)}
            answer.grants = list_grants(client)
            answer.tables = list_tables(client)
        finally:
            client.disconnect()
    except (ConnectError, ServerError) as error:
        raise ResetError("wrong_answer", f"The server was started and cannot be used: {error}") from error
    status, text = _ask_http(host, request.http_port, user, str(request.login["login_password"]))
    if text.strip() != "1":
        raise ResetError(
            "wrong_answer",
            f"HTTP port {request.http_port} of {host} did not answer SELECT 1 for user {user}: expected 1, found "
            f"status {status or 'none'}{': ' + text[:200] if text else ''}. Check clickhouse_http_port, the user and "
            "its password.",
        )
    if not request.passwordless:
        status, _ = _ask_http(host, request.http_port, user, None)
        if status == http.client.OK:
            raise ResetError(
                "wrong_answer",
                f"User {user} needs no password: expected a refusal without one, found status 200. Give the user a "
                "password in users.d, or set run_context_passwordless where this is meant.",
            )


def _ask_http(host: str, port: int, user: str, password: str | None) -> tuple[int | None, str]:
    """(status, text) of SELECT 1; (None, why) when nothing answers."""
    # Not ClickHouse's own headers: a header loses blanks at its end, and letters beyond Latin-1 cannot stand in one.
    token = base64.b64encode(f"{user}:{password or ''}".encode()).decode()
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", "/?query=SELECT%201", headers={"Authorization": f"Basic {token}"})
        response = connection.getresponse()
        return response.status, response.read(4096).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return None, str(error)
    finally:
        connection.close()


def proof_of(move: Move) -> str:
    if move.rows is None:
        return f"the {len(move.tables)} tables that were noted are there (their rows were not known)"
    return f"{len(move.tables)} tables with {move.rows} rows, as noted before the reset"


def compare(move: Move, answer: Answer) -> None:
    lacking, remarks = differences(move.tables, answer.tables)
    answer.remarks += remarks
    if lacking:
        raise ResetError(
            "not_restored",
            f"The server runs on the data of {move.stamp}, and it is not what was noted before the reset: "
            f"{'; '.join(lacking[:10])}. See the server's log for tables that it could not load.",
            answer.changes,
        )
