"""A small ``clickhouse-client`` for the stand-in image: enough for health checks and one statement at a time.

Speaks HTTP, so that the server formats the answer; a native port of 9000 is taken for the HTTP port 8123.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
from collections.abc import Sequence
from urllib.parse import urlencode

from embedded.container import CLIENT_LOGIN


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0, or 1 with the server's text on standard error."""
    args = _parser().parse_args(argv)
    user, password = args.user or os.environ.get("CLICKHOUSE_USER"), args.password
    if password is None:
        password = os.environ.get("CLICKHOUSE_PASSWORD", "")
    if user in (None, "default") and CLIENT_LOGIN.exists():
        login = json.loads(CLIENT_LOGIN.read_text())
        user, password = login["user"], login["password"]
    parameters = {"default_format": args.format, **({"database": args.database} if args.database else {})}
    data = b"" if sys.stdin.isatty() or (args.query and not _reads_input(args.query)) else sys.stdin.buffer.read()
    if args.query and data:
        parameters["query"] = args.query
    body = data or (args.query or "").encode()
    port = {9000: 8123, 9440: 8443}.get(args.port, args.port)
    connection = http.client.HTTPConnection(args.host, port, timeout=args.receive_timeout)
    headers = {"X-ClickHouse-User": user or "default", "X-ClickHouse-Key": password}
    try:
        connection.request("POST", f"/?{urlencode(parameters)}", body, headers)
        response = connection.getresponse()
        answer = response.read()
    except OSError as error:
        print(f"Code: 210. Connection to {args.host}:{port} failed: {error}", file=sys.stderr)
        return 1
    finally:
        connection.close()
    (sys.stdout if response.status == http.client.OK else sys.stderr).buffer.write(answer)
    return 0 if response.status == http.client.OK else 1


def _reads_input(query: str) -> bool:
    """Whether the statement takes its rows from standard input, as ``INSERT … FORMAT …`` does."""
    words = query.upper().split()
    return bool(words) and words[0] == "INSERT" and not {"SELECT", "VALUES"} & set(words)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="clickhouse-client", add_help=False, description=__doc__)
    parser.add_argument("--help", action="help")
    parser.add_argument("-h", "--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("-u", "--user")
    parser.add_argument("--password")
    parser.add_argument("-d", "--database")
    parser.add_argument("-q", "--query")
    parser.add_argument("-f", "--format", default="TabSeparated")
    parser.add_argument("--receive_timeout", type=float, default=300)
    parser.add_argument("-n", "--multiquery", action="store_true", help="accepted; one statement is what it can do")
    return parser


if __name__ == "__main__":
    sys.exit(main())
