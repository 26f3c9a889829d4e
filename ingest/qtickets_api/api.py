"""The Qtickets REST API: requests with retries, and lists read to their true end whatever the paging looks like."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import logging
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlencode

import httpx
import msgspec
import stamina

from . import __version__
from .errors import ApiError
from .idset import IdSet
from .model import Identified, One, Page, Paging, Refusal, Rejected, Seat
from .settings import is_near

log = logging.getLogger("qtickets_api.api")

_PASSES = 10
_DEFAULT_PAGE = 50
_MAX_RETRY_AFTER = 60.0
_MAX_PAGES = 1_000_000


class _HasId(Protocol):
    id: int


R = TypeVar("R", bound=_HasId)
T = TypeVar("T")


@dataclass
class HttpStats:
    """What the requests of a run cost; `bytes` are response bodies as decoded."""

    calls: int = 0
    retries: int = 0
    bytes: int = 0

    def as_dict(self) -> dict[str, int]:
        return {"calls": self.calls, "retries": self.retries, "bytes": self.bytes}


@dataclass
class ListStats:
    """How a list was read: every record served, and how many of them had been served before."""

    fetched: int = 0
    duplicate: int = 0
    pages: int = 0


class _RetryableError(Exception):
    """A failed attempt that may do better next time; becomes the `ApiError` it carries when attempts run out."""

    def __init__(self, cause: str, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.cause = cause
        self.wait = wait


def _retry_after(response: httpx.Response) -> float | None:
    value = response.headers.get("Retry-After", "").strip()
    if value.isdigit():
        return min(float(value), _MAX_RETRY_AFTER)
    with contextlib.suppress(ValueError, TypeError):
        until = email.utils.parsedate_to_datetime(value)
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return min(max((until - datetime.now(UTC)).total_seconds(), 0.0), _MAX_RETRY_AFTER)
    return None


def _backoff(error: Exception) -> bool | float:
    if not isinstance(error, _RetryableError):
        return False
    return True if error.wait is None else error.wait


class _ListDecoder(Generic[R]):
    """Decodes a page at once, and record by record only when one of them is broken."""

    def __init__(self, record: type[R]) -> None:
        self._page = msgspec.json.Decoder(Page[record], strict=False)  # type: ignore[valid-type]
        self._raw_page = msgspec.json.Decoder(Page[msgspec.Raw], strict=False)
        self._record = msgspec.json.Decoder(record, strict=False)
        self._identified = msgspec.json.Decoder(Identified, strict=False)

    def __call__(self, body: bytes) -> Page[R | Rejected]:
        try:
            return self._page.decode(body)
        except msgspec.ValidationError:
            raw = self._raw_page.decode(body)
        return Page([self.one(item) for item in raw.data], raw.paging, raw.meta, raw.pagination)

    def one(self, raw: msgspec.Raw) -> R | Rejected:
        """One record, set aside when it is broken."""
        try:
            return self._record.decode(raw)
        except msgspec.ValidationError as error:
            identity = None
            with contextlib.suppress(msgspec.ValidationError):
                identity = self._identified.decode(raw).id
            return Rejected(identity, str(error))


_SEATS = msgspec.json.Decoder(One[msgspec.Raw], strict=False)
_GROUP = msgspec.json.Decoder(dict[str, msgspec.Raw] | list[msgspec.Raw] | None, strict=False)
_ENTRY = msgspec.json.Decoder(dict[str, msgspec.Raw] | None, strict=False)
_SEAT = msgspec.json.Decoder(Seat, strict=False)


def decode_seats(body: bytes) -> list[Seat]:
    """Seats of one show, flat or grouped by zone, each group an object or, as PHP writes some, a list.

    A null says nothing: it stands for a seat of which nothing is known.

    :raises msgspec.ValidationError: a seat or zone of another shape
    """
    return _seats_of(_SEATS.decode(body).data)


def _seats_of(raw: msgspec.Raw) -> list[Seat]:
    group = _GROUP.decode(raw)
    if group is None:
        return [Seat()]
    seats: list[Seat] = []
    for entry in group.values() if isinstance(group, dict) else group:
        fields = _ENTRY.decode(entry) or {}
        seats += _seats_of(fields["seats"]) if "seats" in fields else [_SEAT.decode(entry) if fields else Seat()]
    return seats


class QticketsApi:
    """Reads of one account. An async context manager; every method raises `ApiError` when the source fails for good.

    :param base_url: up to and with `/api/rest/v1`
    :param timeout: seconds for one whole request; a limit per read would never end an answer that drips
    :param attempts: requests in all before a failure that may pass is taken for lasting
    :param retry_wait: first backoff in seconds, doubled with jitter up to 30
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        page_size: int,
        concurrency: int,
        timeout: float,
        attempts: int,
        retry_wait: float,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._page_size, self._concurrency = page_size, concurrency
        self._timeout, self._attempts, self._retry_wait = timeout, attempts, retry_wait
        self.http = HttpStats()
        self._client = httpx.AsyncClient(
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/json",
                "User-Agent": f"qtickets_api/{__version__}",
            },
            timeout=None,  # noqa: S113 - `_attempt` limits the whole request
            trust_env=not is_near(httpx.URL(base_url).host),
            limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
        )

    async def __aenter__(self) -> QticketsApi:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, path: str, params: dict[str, str], decode: Any) -> Any:
        """One GET, retried where that can help, its body decoded by ``decode`` (bytes to anything).

        :raises ApiError: with URL, status and number of attempts in its text
        """
        # httpx would leave `+` alone in a ready URL; in a query it means a space, and the API then ignores the filter.
        url = f"{self._base}{path}" + (f"?{urlencode(params)}" if params else "")
        tries = 0
        try:
            async for attempt in stamina.retry_context(
                on=_backoff, attempts=self._attempts, timeout=None, wait_initial=self._retry_wait, wait_max=30,
                wait_jitter=self._retry_wait,
            ):  # fmt: skip
                with attempt:
                    tries = attempt.num
                    if tries > 1:
                        self.http.retries += 1
                    return await self._attempt(url, decode)
        except _RetryableError as error:
            raise ApiError(error.cause, f"GET {url}: {error} ({tries} attempts)") from error
        raise RuntimeError("retry_context ends by return or raise")

    async def _attempt(self, url: str, decode: Any) -> Any:
        self.http.calls += 1
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._client.get(url)
        except TimeoutError as error:
            raise _RetryableError("api_timeout", f"no complete answer within {self._timeout:g} s") from error
        except httpx.TransportError as error:
            raise _RetryableError("api_unreachable", f"{type(error).__name__}: {error}") from error
        except (httpx.DecodingError, httpx.InvalidURL) as error:
            raise _RetryableError("api_not_json", f"unreadable answer ({type(error).__name__})") from error
        body = response.content
        self.http.bytes += len(body)
        status = response.status_code
        if status == 200:
            try:
                return decode(body)
            except msgspec.ValidationError as error:
                with contextlib.suppress(msgspec.MsgspecError):
                    refusal = msgspec.json.decode(body, type=Refusal, strict=False)
                    status = refusal.status or 500
                if status == 200:
                    raise _RetryableError(
                        "api_unexpected_shape", f"HTTP 200, JSON of another shape: {error}"
                    ) from error
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                html = body.lstrip()[:1] == b"<"
                cause, what = ("api_html", "an HTML page") if html else ("api_broken_json", "broken JSON")
                raise _RetryableError(cause, f"HTTP 200 with {what} instead of the API's answer") from error
        if status in (401, 403):
            raise ApiError(
                "api_unauthorized",
                f"GET {url}: status {status}: the token is wrong or lacks the right (1 attempt); check QTICKETS_TOKEN",
            )
        if status == 429:
            raise _RetryableError("api_rate_limited", "status 429, too many requests", _retry_after(response))
        if status >= 500 or status in (408, 425):
            raise _RetryableError("api_server_error", f"status {status}", _retry_after(response))
        raise ApiError("api_not_found" if status == 404 else "api_http_error", f"GET {url}: status {status}")

    async def find(self, path: str, record: type[R]) -> R | Rejected | None:
        """One record by its path, set aside when it is broken, or None when the API knows none (404).

        :raises ApiError: the source fails for good
        """
        try:
            answer = await self.get(path, {}, msgspec.json.Decoder(One[msgspec.Raw], strict=False).decode)
        except ApiError as error:
            if error.cause == "api_not_found":
                return None
            raise
        return _ListDecoder(record).one(answer.data)

    async def seats(self, show_id: int) -> list[Seat]:
        """Seats of one show; only the fields that are used are asked for, halls hold thousands of seats."""
        select = json.dumps(["max_quantity", "free_quantity", "available", "disabled"])
        return await self.get(f"/shows/{show_id}/seats", {"flat": "true", "select": select}, decode_seats)  # type: ignore[no-any-return]

    async def read(
        self, path: str, where: Sequence[dict[str, Any]], record: type[R], stats: ListStats
    ) -> AsyncGenerator[list[R | Rejected]]:
        """All records of a list, each once, page by page, ordered by id.

        The paging information is believed when it says that more is to come and checked when it says that all is
        there: after a full page one more is asked for, a list whose pages repeat or skip records is read again from
        its start, and only records not seen before are yielded.

        :param stats: counted into while reading
        :raises ApiError: `api_paging_unstable` when records that the API counts are still missing after all passes
        """
        params = {"where": json.dumps(where, ensure_ascii=False), "orderBy": '{"id": "asc"}'}
        decode = _ListDecoder(record)
        seen = IdSet()
        why: str | None = None
        for number in range(1, _PASSES + 1):
            reading = _Pass(seen, number, self._page_size)
            async with contextlib.aclosing(self._pages(path, params, decode, reading)) as pages:
                async for page, fresh in pages:
                    stats.pages += 1
                    stats.fetched += len(page.data)
                    stats.duplicate += len(page.data) - len(fresh)
                    if fresh:
                        yield fresh
            why = reading.doubt()
            # Without a total nothing proves completeness: a whole further pass without a new record is the best sign.
            if why is None or (not reading.counted and number > 1 and not reading.new and not reading.cut):
                return
            log.warning("GET %s: %s; reading the list again from its start (pass %d)", path, why, number + 1)
        raise ApiError("api_paging_unstable", f"GET {self._base}{path}: {why}, after reading the list {_PASSES} times")

    async def _pages(
        self, path: str, params: dict[str, str], decode: _ListDecoder[R], reading: _Pass
    ) -> AsyncGenerator[tuple[Page[R | Rejected], list[R | Rejected]]]:
        """Pages in their order, the next ones already on the way, until ``reading`` says that one was the last;
        with each page the records of it that are new."""
        tasks: deque[asyncio.Task[Page[R | Rejected]]] = deque()
        asked = 0
        try:
            for number in range(1, _MAX_PAGES):
                last = number if number == 1 else reading.last_page or number + 1
                while asked < max(number, last) and len(tasks) < self._concurrency:
                    asked += 1
                    query = {**params, "page": str(asked), "per_page": str(self._page_size)}
                    tasks.append(asyncio.create_task(self.get(path, query, decode)))
                try:
                    page = await tasks.popleft()
                except ApiError as error:
                    # Some servers refuse a page behind the last one instead of serving it empty.
                    if number > 1 and not reading.more and error.cause in ("api_not_found", "api_http_error"):
                        return
                    raise
                yield page, reading.take(page, number)
                if reading.ended:
                    return
            raise ApiError("api_paging_unstable", f"GET {self._base}{path}: no end after {_MAX_PAGES} pages")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class _Pass:
    """One reading of a list from its first page to its last.

    :param seen: ids of all passes, shared; added to here
    :param number: of the pass, from 1. Records too broken to have an id are taken in the first one only
    :param page_size: records asked for per page
    """

    def __init__(self, seen: IdSet, number: int, page_size: int) -> None:
        self._all = seen
        self._first = number == 1
        self._here = seen if self._first else IdSet()
        self._nameless = 0
        self._page_size = min(page_size, _DEFAULT_PAGE)
        self._first_total: int | None = None
        self._overlap = False
        self.total: int | None = None
        self.last_page: int | None = None
        self.new = 0
        self.more = self.ended = self.cut = False

    def take(self, page: Page[R | Rejected], number: int) -> list[R | Rejected]:
        """Take page ``number`` (from 1) into account and return the records of it that no pass had."""
        fresh: list[R | Rejected] = []
        new_here = nameless = 0
        for record in page.data:
            if record.id is None:
                nameless += 1
                if self._first:
                    fresh.append(record)
                continue
            is_new = self._here.add(record.id)
            new_here += is_new
            if is_new and (self._first or self._all.add(record.id)):
                fresh.append(record)
        self.new += len(fresh)
        self._nameless += nameless
        named = len(page.data) - nameless
        repeats = bool(named) and not nameless and not new_here
        self._overlap |= new_here < named and not repeats
        self._conclude(page.info, number, len(page.data), repeats)
        return fresh

    def _conclude(self, info: Paging, number: int, records: int, repeats: bool) -> None:
        self.total = info.total if info.total is not None else self.total
        if self._first_total is None:
            self._first_total = self.total
        if info.last_page or info.pages:
            self.last_page = info.last_page or info.pages
        elif self.total is not None and number == 1 and records:
            self.last_page = -(-self.total // records)  # by its true size: a server caps per_page silently
        if self.total is not None:
            self.more = self._distinct < self.total
        else:
            self.more = bool(info.has_next) or number < (self.last_page or 0)
        told = self.total is not None or info.has_next is not None or self.last_page is not None
        full = records >= (info.perPage or info.per_page or self._page_size)
        self.cut = self.more and (repeats or not records)
        # Without paging information the end is an empty page, or the last one once more. So it is behind a full page
        # whatever was announced: a total of one page's records would otherwise lose all others.
        self.ended = repeats or not records or (told and not self.more and not full)

    @property
    def _distinct(self) -> int:
        return len(self._here) + self._nameless

    @property
    def counted(self) -> bool:
        """Whether the API tells how many records there are; a number that more than so many came belie does not."""
        return self.total is not None and max(self.total, self._first_total or 0) >= self._distinct

    def doubt(self) -> str | None:
        """Why this reading may be incomplete, or None."""
        if self.total is not None and self.counted:
            missing = self.total - len(self._all) - self._nameless
            if missing > 0:
                return f"{missing} of {self.total} records did not come"
            if self._first_total is not None and self.total < self._first_total:
                return f"the list shrank from {self._first_total} to {self.total} records while it was read"
            return None
        if self.cut:
            return "the pages ended before the last one that was announced"
        return "pages repeat records of earlier pages" if self._overlap else None
