"""What loaders that the registries do not carry send: statements over HTTP under another program's name.

Used by the cases' loaders while they are recorded. `send` returns the server's text of a refusal, which the loader
then logs the way its program would.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.parse
import urllib.request
from typing import Any


class Refused(Exception):  # noqa: N818 - reads as what happened
    """The server's answer: `code` and `text`."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def send(sql: str, data: bytes | str = b"", *, agent: str = "Go-http-client/1.1", **settings: object) -> str:
    """Send a statement as the ingest's user; raises Refused."""
    body = data.encode() if isinstance(data, str) else data
    given = {"database": os.environ["CLICKHOUSE_DB"], "query": sql, **settings}
    request = urllib.request.Request(
        f"http://{os.environ['CLICKHOUSE_HOST']}:{os.environ['CLICKHOUSE_PORT']}/?{urllib.parse.urlencode(given)}",
        data=body,
        headers={
            "User-Agent": agent,
            "X-ClickHouse-User": os.environ["CLICKHOUSE_USER"],
            "X-ClickHouse-Key": os.environ["CLICKHOUSE_PASSWORD"],
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        text = error.read().decode().strip()
        raise Refused(int(error.headers.get("X-ClickHouse-Exception-Code") or 0), text) from None


def driver(**more: object) -> Any:
    """A clickhouse-driver client of the ingest."""
    from clickhouse_driver import Client

    return Client(os.environ["CLICKHOUSE_HOST"], **{**_login(), **more})


def connect(**more: object) -> Any:
    """A clickhouse-connect client of the ingest."""
    import clickhouse_connect

    login = _login()
    return clickhouse_connect.get_client(
        host=os.environ["CLICKHOUSE_HOST"], username=login.pop("user"), **{**login, **more}
    )


def _login() -> dict[str, Any]:
    return {
        "port": int(os.environ["CLICKHOUSE_PORT"]),
        "user": os.environ["CLICKHOUSE_USER"],
        "password": os.environ["CLICKHOUSE_PASSWORD"],
        "database": os.environ["CLICKHOUSE_DB"],
    }
