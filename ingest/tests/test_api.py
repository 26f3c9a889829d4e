"""Reading the API: every paging shape, every class of failure, healed or lasting, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from qtickets_api.api import ListStats, QticketsApi
from qtickets_api.errors import ApiError
from qtickets_api.model import Event, Order, Rejected, Seat

from simulator.testing import Running, start_simulator

SHAPES = ["documented", "meta", "pagination", "none"]
NOW = "2026-11-20T15:30:00+03:00"
WINDOW = [
    {"column": "payed_at", "operator": ">=", "value": "2026-11-19T15:30:00+03:00"},
    {"column": "payed_at", "operator": "<", "value": NOW},
]


def client(api: Running, **changes: Any) -> QticketsApi:
    options: dict[str, Any] = {"page_size": 50, "concurrency": 3, "timeout": 20, "attempts": 4, "retry_wait": 0.01}
    return QticketsApi(api.url, options.pop("token", api.token), **(options | changes))


def read(
    api: Running, where: list[dict[str, Any]] | None = None, **changes: Any
) -> tuple[list[Order | Rejected], ListStats, QticketsApi]:
    """All orders of the window."""

    async def work() -> tuple[list[Order | Rejected], ListStats, QticketsApi]:
        stats, found = ListStats(), []
        async with client(api, **changes) as source:
            async for page in source.read("/orders", WINDOW if where is None else where, Order, stats):
                found += page
        return found, stats, source

    return asyncio.run(work())


@pytest.fixture(scope="module", params=SHAPES)
def shaped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("shaped")
    with start_simulator(folder, orders=121, page_size=50, now=NOW, paging=request.param) as running:
        yield running


def in_window(api: Running) -> int:
    totals = api.truth()["totals"]
    return int(totals["orders"] + totals["cancelled"] + totals["unpaid"])


@pytest.mark.parametrize("page_size", [7, 50, 121, 200])
def test_every_paging_shape_is_read_to_its_end(shaped: Running, page_size: int) -> None:
    found, stats, _ = read(shaped, page_size=page_size)
    ids = [order.id for order in found]
    assert len(ids) == len(set(ids)) == in_window(shaped)
    assert ids == sorted(i for i in ids if i is not None)
    assert stats.fetched - stats.duplicate == len(ids)


def test_page_sizes_that_the_server_caps(shaped: Running) -> None:
    """The server serves 200 at most, whatever was asked for; nothing may be skipped for it."""
    found, _, _ = read(shaped, where=[], page_size=1000)
    assert len(found) == 121 + 260


def test_an_empty_list(shaped: Running) -> None:
    found, stats, _ = read(shaped, where=[{"column": "id", "value": 1}])
    assert (found, stats.fetched) == ([], 0)


def test_unstable_pages_are_read_again_until_all_is_there(shaped: Running) -> None:
    shaped.faults([{"fault": "unstable_order", "path": "/orders", "times": 9}])
    try:
        found, stats, _ = read(shaped, page_size=20)
    finally:
        shaped.faults([])
    assert len({order.id for order in found}) == len(found) == in_window(shaped)
    assert stats.duplicate


def order(number: int) -> dict[str, Any]:
    paid = {"payed": 1, "payed_at": "2026-11-20T10:00:00+03:00"}
    return {"id": number, "event_id": 1, "currency_id": "RUB", "baskets": [], **paid}


def read_pages(monkeypatch: pytest.MonkeyPatch, serve: Callable[[int], dict[str, Any]]) -> tuple[set[int | None], int]:
    """The ids read from a server whose page ``n`` is ``serve(n)``, and how many pages were asked for."""
    asked = 0

    async def get(_: QticketsApi, path: str, params: dict[str, str], decode: Callable[[bytes], Any]) -> Any:
        nonlocal asked
        asked += 1
        return decode(json.dumps(serve(int(params["page"]))).encode())

    async def work() -> set[int | None]:
        source = QticketsApi(
            "http://127.0.0.1:1", "t", page_size=200, concurrency=1, timeout=1, attempts=1, retry_wait=0
        )
        async with source:
            return {item.id async for page in source.read("/orders", [], Order, ListStats()) for item in page}

    monkeypatch.setattr(QticketsApi, "get", get)
    return asyncio.run(work()), asked


def pages_of(count: int, told: Callable[[int], dict[str, Any]], overlap: int = 0) -> Callable[[int], dict[str, Any]]:
    """A server with pages of 50; ``told`` makes the paging information from the number of records on the page."""

    def serve(number: int) -> dict[str, Any]:
        first = (number - 1) * (50 - overlap)
        data = [order(i) for i in range(1, count + 1)][first : first + 50]
        return {"data": data, **told(len(data))}

    return serve


@pytest.mark.parametrize(
    ("serve", "asked"),
    [
        (pages_of(121, lambda _: {"paging": {"perPage": 50, "total": 121}}), 3),  # the twin that tells the truth
        (pages_of(121, lambda records: {"paging": {"perPage": 50, "total": records}}), 3),
        (pages_of(121, lambda records: {"paging": {"total": min(records, 50)}}), 3),
        (pages_of(100, lambda _: {"meta": {"has_next": False}}), 3),
        (pages_of(121, lambda _: {"paging": []}), 4),
        (pages_of(121, lambda _: {"paging": {"perPage": 50, "total": 121}}, overlap=20), 4),
    ],
)
def test_paging_information_that_is_wrong_loses_no_record(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[[int], dict[str, Any]], asked: int
) -> None:
    found, requests = read_pages(monkeypatch, serve)
    assert len(found) == (100 if requests == 3 and len(found) == 100 else 121)
    assert requests == asked


@pytest.mark.parametrize(("cause", "ends"), [("api_not_found", True), ("api_server_error", False)])
def test_a_page_behind_the_last_may_be_refused(monkeypatch: pytest.MonkeyPatch, cause: str, ends: bool) -> None:
    def serve(number: int) -> dict[str, Any]:
        if number > 2:
            raise ApiError(cause, "no such page")
        return pages_of(100, lambda _: {"paging": {"perPage": 50, "total": 100}})(number)

    if ends:
        assert len(read_pages(monkeypatch, serve)[0]) == 100
    else:
        with pytest.raises(ApiError):
            read_pages(monkeypatch, serve)


def test_a_list_that_never_gets_complete_is_an_error(api: Running) -> None:
    api.faults([{"fault": "truncate", "path": "/orders", "records": 10}])
    with pytest.raises(ApiError, match="did not come") as caught:
        read(api)
    assert caught.value.cause == "api_paging_unstable"


def test_the_same_page_for_ever_is_an_error_where_more_was_announced(api: Running) -> None:
    api.faults([{"fault": "repeat_page", "path": "/orders", "page": 1}])
    with pytest.raises(ApiError) as caught:
        read(api)
    assert caught.value.cause == "api_paging_unstable"


def test_the_offset_of_the_window_is_encoded(api: Running) -> None:
    found, _, _ = read(api)
    assert found
    assert all(isinstance(order, Order) and order.payed_at is not None for order in found)
    assert in_window(api) == len(found)  # a `+` that arrives as a space would bring the oldest orders


HEALING: list[tuple[dict[str, Any], str]] = [
    ({"fault": "status", "status": 429}, "api_rate_limited"),
    ({"fault": "status", "status": 429, "retry_after": 0}, "api_rate_limited"),
    ({"fault": "status", "status": 500}, "api_server_error"),
    ({"fault": "status", "status": 503}, "api_server_error"),
    ({"fault": "html"}, "api_html"),
    ({"fault": "broken_json"}, "api_broken_json"),
    ({"fault": "reset"}, "api_unreachable"),
    ({"fault": "slow", "seconds": 30}, "api_timeout"),
    ({"fault": "slow", "seconds": 30, "drip": True}, "api_timeout"),
    ({"fault": "set_field", "field": "$.data", "value": "gone"}, "api_unexpected_shape"),
    ({"fault": "drop_field", "field": "$.data"}, "api_unexpected_shape"),
]
NAMES = [f"{rule['fault']}-{rule.get('status', rule.get('drip', ''))}-{i}" for i, (rule, _) in enumerate(HEALING)]


@pytest.mark.parametrize(("rule", "cause"), HEALING, ids=NAMES)
def test_a_failure_that_passes_is_survived(api: Running, rule: dict[str, Any], cause: str) -> None:
    api.faults([{**rule, "path": "/orders", "times": 2}])
    found, _, source = read(api, timeout=2 if rule["fault"] == "slow" else 20)
    assert len(found) == in_window(api)
    assert source.http.retries == 2


@pytest.mark.parametrize(("rule", "cause"), HEALING, ids=NAMES)
def test_a_failure_that_lasts_is_named(api: Running, rule: dict[str, Any], cause: str) -> None:
    api.faults([{**rule, "path": "/orders"}])
    with pytest.raises(ApiError) as caught:
        read(api, timeout=0.2 if rule["fault"] == "slow" else 20, concurrency=1)
    text = str(caught.value)
    assert caught.value.cause == cause
    assert f"{api.url}/orders?" in text
    assert "(4 attempts)" in text
    assert api.token not in text
    if "status" in rule:
        assert str(rule["status"]) in text


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_not_tried_again(api: Running, status: int) -> None:
    api.faults([{"fault": "status", "path": "/orders", "status": status}])
    with pytest.raises(ApiError, match=f"status {status}") as caught:
        read(api, concurrency=1)
    assert caught.value.cause == "api_unauthorized"
    assert len([r for r in api.requests() if r["path"] == "/orders"]) == 1


def test_a_wrong_token(api: Running) -> None:
    wrong = Running(api.url, api.port, "not-the-token", api.process)
    with pytest.raises(ApiError) as caught:
        read(wrong)
    assert caught.value.cause == "api_unauthorized"
    assert "not-the-token" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/api", "http://no-such-host.invalid/api"])
def test_nobody_there(api: Running, url: str) -> None:
    with pytest.raises(ApiError, match="4 attempts") as caught:
        read(Running(url, 1, "t", api.process))
    assert caught.value.cause == "api_unreachable"


def test_one_broken_record_is_set_aside(api: Running) -> None:
    api.faults([{"fault": "set_field", "path": "/orders", "field": "event_id", "value": "pii-x", "records": 1}])
    found, _, source = read(api)
    rejected = [order for order in found if isinstance(order, Rejected)]
    assert len(found) == in_window(api)
    assert len(rejected) == 1
    assert "event_id" in rejected[0].reason
    assert "pii" not in rejected[0].reason
    assert source.http.retries == 0


def test_find_one_or_none(api: Running) -> None:
    async def work() -> tuple[Event | Rejected | None, Event | Rejected | None, list[Seat]]:
        async with client(api) as source:
            return (
                await source.find("/events/33700", Event),
                await source.find("/events/999999", Event),
                await source.seats(41000),
            )

    event, nothing, seats = asyncio.run(work())
    assert isinstance(event, Event)
    assert event.id == 33700
    assert nothing is None
    truth = next(e for e in api.truth()["events"] if e["event_id"] == 33700)
    assert sum(s.max_quantity or 0 for s in seats if not s.disabled) == truth["tickets_total"]
