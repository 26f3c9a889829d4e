"""The HTTP side: the API below ``/api/rest/v1`` and the administration below ``/_admin``."""

from __future__ import annotations

import asyncio
import collections
import functools
import hmac
import ipaddress
import json
import random
import re
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from simulator import query as q
from simulator.account import Account, Event, Order, dumps, parse_time
from simulator.faults import WHOLE_ANSWER, Rule, parse_rules

BASE = "/api/rest/v1"
LOG_LIMIT = 100_000
_HTML = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"


def error(status: int, text: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """An error as the vendor words it."""
    return JSONResponse({"error": text, "status": status, **more}, status, headers)


class Simulator:
    """The application's state and its handlers.

    :param account: what is served
    :param token: the only bearer token that is let in
    :param shape: paging shape, see :func:`simulator.query.paging`
    :param page_size: records per page when the request does not say
    :param rules: fault rules from the start; a reset returns to them
    """

    def __init__(self, account: Account, token: str, shape: str, page_size: int, rules: str = "[]") -> None:
        self.account, self.token, self.shape, self.page_size = account, token, shape, page_size
        self._initial_rules = rules
        self.rules = parse_rules(rules)
        self.log: collections.deque[dict[str, Any]] = collections.deque(maxlen=LOG_LIMIT)
        self._requests = 0
        self._started = time.monotonic()
        self._cached = functools.lru_cache(maxsize=16)(self._run)

    def now(self) -> int:
        """The account's clock in epoch seconds: the given ``now`` plus the time since the start."""
        return self.account.now + int(time.monotonic() - self._started)

    def application(self) -> ASGIApp:
        """The ASGI application."""
        any_method = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        routes = [
            Route(BASE + "{path:path}", self.api, methods=any_method),
            Route("/_admin/truth", admin(self.truth)),
            Route("/_admin/requests", admin(self.requests)),
            Route("/_admin/faults", admin(self.faults), methods=["GET", "POST", "DELETE"]),
            Route("/_admin/reset", admin(self.reset), methods=["POST"]),
            Route("/_admin/orders", admin(self.add_orders), methods=["POST"]),
            Route("/_admin/orders/{order_id:int}", admin(self.patch_order), methods=["POST"]),
        ]
        return _WithTransport(Starlette(routes=routes))

    # The API

    async def api(self, request: Request) -> Response:
        """Every request below the base: token, faults, answer, log."""
        path: str = request.path_params["path"]
        self._requests += 1
        entry: dict[str, Any] = {
            "method": request.method, "path": path, "query": self._masked(str(request.query_params)), "status": 0,
            "faults": [],
        }  # fmt: skip
        self.log.append(entry)
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            entry["status"] = 401
            return error(401, "Unauthorized")
        body = await request.body()
        if body:
            entry["body"] = self._masked(body[:2000].decode(errors="replace"))
        rules = [rule for rule in self.rules if rule.fires(path)]
        entry["faults"] = [rule.fault for rule in rules]
        response = self._answer(request, path, body, rules)
        slow = next((rule for rule in rules if rule.fault == "slow"), None)
        if slow and not slow.drip:
            await asyncio.sleep(slow.seconds)
        whole = next((rule for rule in rules if rule.fault in WHOLE_ANSWER), None)
        if whole:
            response = self._spoiled(whole, response)
        elif slow and slow.drip:
            response = _dripping(response, slow.seconds)
        entry["status"] = 0 if isinstance(response, _Reset) else response.status_code
        return response

    def _masked(self, text: str) -> str:
        return text.replace(self.token, "***")

    def _answer(self, request: Request, path: str, body: bytes, rules: list[Rule]) -> Response:
        """The right answer, with the faults that work on its data."""
        if request.method == "POST" and path == "/orders":
            return error(503, "Unknown error", code="UNKNOWN_ERROR", info=[])
        if request.method != "GET":
            return error(405, "Method not allowed")
        match = re.fullmatch(r"/(orders|events)(?:/(\d+))?|/shows/(\d+)/(seats)", path)
        if not match:
            return error(404, "Not found")
        kind = match[1] or match[4]
        columns = q.EVENT_COLUMNS if kind == "events" else q.ORDER_COLUMNS
        query = q.read_query(request.query_params, body, columns, self.page_size)
        if kind == "seats":
            show = self.account.show_by_id.get(int(match[3]))
            return self._encoded({"data": self._seats(show.zones, query)}, rules) if show else error(404, "Not found")
        if match[2]:
            by_id: dict[int, Any] = self.account.event_by_id if kind == "events" else self.account.order_by_id
            record = by_id.get(int(match[2]))
            if record is None:
                return error(404, "Not found")
            return _json(b'{"data":' + self._record(record) + b"}", rules)
        return self._list(kind, query, rules)

    def _list(self, kind: str, query: q.Query, rules: list[Rule]) -> Response:
        unstable, page = not query.order, query.page
        where = query.where
        for rule in rules:
            if rule.fault == "ignore_filter":
                where = tuple(c for c in where if rule.column is not None and c.column != rule.column)
        found = self._cached(kind, where, query.order, self.account.version)
        for rule in rules:
            if rule.fault == "empty":
                found = []
            elif rule.fault == "unstable_order":
                unstable = True
            elif rule.fault == "repeat_page":
                page = min(page, rule.page or max(1, -(-len(found) // query.per_page)))
        rng = random.Random(f"{self.account.seed}:{self._requests}") if unstable else None
        records = q.cut(found, page, query.per_page, rng)
        for rule in rules:
            if rule.fault == "truncate":
                records = records[: len(records) // 2 if rule.records is None else rule.records]
        more = dumps(q.paging(self.shape, query.page, query.per_page, len(found)))[1:-1]
        data = b'{"data":[' + b",".join([self._record(r) for r in records]) + b"]"
        return _json(data + (b"," + more if more else b"") + b"}", rules)

    def _run(self, kind: str, where: Any, order: Any, version: int) -> list[Any]:
        # The account's version is in the key so that a changed account is never answered from the cache.
        records: list[Any] = self.account.events if kind == "events" else self.account.orders
        return q.run(q.Query(where, order, 1, 1, None, False), records)

    def _record(self, record: Order | Event) -> bytes:
        if isinstance(record, Order):
            return self.account.order_bytes(record)
        return dumps(self.account.event_json(record))

    @staticmethod
    def _seats(zones: dict[str, dict[str, Any]], query: q.Query) -> Any:
        def seats_of(zone: dict[str, Any]) -> dict[str, Any]:
            if query.select is None:
                return dict(zone["seats"])
            return {key: {n: s[n] for n in query.select if n in s} for key, s in zone["seats"].items()}

        if query.flat:
            return {key: seat for zone in zones.values() for key, seat in seats_of(zone).items()}
        return {name: {**zone, "seats": seats_of(zone)} for name, zone in zones.items()}

    def _encoded(self, answer: dict[str, Any], rules: list[Rule]) -> Response:
        for rule in rules:
            if rule.fault == "empty":
                answer["data"] = []  # PHP writes an empty map as a list
            elif rule.fault == "truncate":
                answer["data"] = _half(answer["data"], rule.records)
        return _json(dumps(answer), rules)

    @staticmethod
    def _spoiled(rule: Rule, response: Response) -> Response:
        if rule.fault == "status":
            headers = {"Retry-After": str(rule.retry_after)} if rule.retry_after is not None else None
            return error(rule.status, "Some error", headers)
        if rule.fault == "html":
            return Response(_HTML, media_type="text/html")
        body = bytes(response.body)
        if rule.fault == "broken_json":
            return Response(body[: len(body) // 2], media_type="application/json")
        return _Reset(body)

    # Administration

    async def truth(self, request: Request) -> Response:
        """``?from=ISO&to=ISO`` (default: the account's window); ``rows=0`` leaves out the orders."""
        given = request.query_params
        start = parse_time(given["from"]) if "from" in given else self.account.now - int(self.account.hours * 3600)
        end = parse_time(given["to"]) if "to" in given else self.account.now
        return JSONResponse(self.account.truth(start, end, rows=given.get("rows") != "0"))

    async def requests(self, request: Request) -> Response:
        """The log of API requests, oldest first."""
        return JSONResponse({"requests": list(self.log)})

    async def faults(self, request: Request) -> Response:
        """Replace, delete or show the fault rules."""
        if request.method == "POST":
            self.rules = parse_rules(await request.json())
        elif request.method == "DELETE":
            self.rules = []
        shown = [{"fault": r.fault, "path": r.path, "seen": r.seen, "spoiled": r.spoiled} for r in self.rules]
        return JSONResponse({"faults": shown})

    async def reset(self, request: Request) -> Response:
        """Orders, fault rules and request log as they were at the start."""
        self.account.reset()
        self.rules = parse_rules(self._initial_rules)
        self.log.clear()
        self._requests = 0
        return JSONResponse({"ok": True})

    async def patch_order(self, request: Request) -> Response:
        """Change one order, see :meth:`Account.patch_order`."""
        order_id = request.path_params["order_id"]
        if order_id not in self.account.order_by_id:
            return error(404, f"no order {order_id}")
        order = self.account.patch_order(order_id, await request.json(), self.now())
        return _json(b'{"data":' + self._record(order) + b"}", [])

    async def add_orders(self, request: Request) -> Response:
        """Add one order or a list of them, see :meth:`Account.add_order`."""
        given = await request.json()
        specs = given if isinstance(given, list) else [given]
        return JSONResponse({"order_ids": [self.account.add_order(spec, self.now()).id for spec in specs]})


def _half(data: dict[str, Any], keep: int | None) -> dict[str, Any]:
    items = list(data.items())
    return dict(items[: len(items) // 2 if keep is None else keep])


def _json(body: bytes, rules: list[Rule]) -> Response:
    """A JSON answer; decoded again only when a rule changes fields."""
    changes = [rule for rule in rules if rule.fault in ("drop_field", "set_field")]
    if changes:
        answer = json.loads(body)
        for rule in changes:
            rule.spoil(answer)
        body = dumps(answer)
    return Response(body, media_type="application/json")


def _dripping(response: Response, seconds: float, pieces: int = 20) -> Response:
    """The same answer, its body spread over ``seconds``: a time limit per read never strikes."""
    body = bytes(response.body)
    size = -(-len(body) // pieces)

    async def drip() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            await asyncio.sleep(seconds / pieces)
            yield body[start : start + size]

    return StreamingResponse(drip(), response.status_code, media_type="application/json")


class _Reset(Response):
    """Announces the whole body, sends half of it and resets the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        body = bytes(self.body)
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await asyncio.sleep(0)
        transport: asyncio.Transport = scope["simulator.transport"]
        # Linger of zero seconds makes the kernel send RST instead of an orderly FIN.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


class _WithTransport:
    """Hands the connection's transport to the handlers: ASGI has no way to reset a connection."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["simulator.transport"] = getattr(getattr(send, "__self__", None), "transport", None)
        await self.app(scope, receive, send)


def admin(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Only for this machine; what cannot be understood is said, other than in the API."""

    async def guarded(request: Request) -> Response:
        address = ipaddress.ip_address(request.client.host if request.client else "::")
        mapped = getattr(address, "ipv4_mapped", None) or address
        if not mapped.is_loopback:
            return error(403, "administration is open to this machine only")
        try:
            return await handler(request)
        except (ValueError, TypeError, ArithmeticError, AttributeError, LookupError) as problem:
            return error(400, f"{type(problem).__name__}: {problem}")

    return guarded
