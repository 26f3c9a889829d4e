"""The transforms, against oracles in whole kopecks and epoch seconds."""

from __future__ import annotations

import json
import string
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qtickets_api import transform
from qtickets_api.api import _ListDecoder, decode_seats
from qtickets_api.idset import IdSet
from qtickets_api.model import Basket, City, Event, Order, Rejected, Seat, Show

KOPECKS = st.integers(0, 10**9)
STAMPS = st.sampled_from([None, "", "2026-11-20T10:00:00+03:00"])
ZONES = st.sampled_from(["Europe/Moscow", "UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata"])


@st.composite
def baskets(draw: st.DrawFn) -> tuple[dict[str, Any], int, int]:
    """A basket as JSON, with the tickets and kopecks it counts for."""
    kopecks, quantity = draw(KOPECKS), draw(st.integers(0, 50))
    deleted, refunded = draw(STAMPS), draw(STAMPS)
    counts = not deleted and not refunded
    body = {
        "id": 1, "barcode": "pii-1", "price": kopecks / 100, "quantity": quantity, "client_email": "pii-@x.invalid",
        "deleted_at": deleted, "refunded_at": refunded,
    }  # fmt: skip
    return body, quantity if counts else 0, quantity * kopecks if counts else 0


def order_json(**changes: Any) -> dict[str, Any]:
    order = {
        "id": 17, "event_id": 5, "payed": True, "payed_at": "2026-11-20T10:00:00+03:00", "currency_id": "RUB",
        "deleted_at": None, "updated_at": "2026-11-20T10:00:00+03:00", "baskets": [], "client": {"email": "pii-17"},
    }  # fmt: skip
    return order | changes


def decode(*orders: Any) -> list[Order | Rejected]:
    return _ListDecoder(Order)(json.dumps({"data": list(orders)}).encode()).data


@given(st.lists(baskets(), max_size=8))
def test_sold_is_exact_to_the_kopeck(made: list[tuple[dict[str, Any], int, int]]) -> None:
    [order] = decode(order_json(baskets=[body for body, _, _ in made]))
    assert isinstance(order, Order)
    tickets, revenue = transform.sold(order)
    assert tickets == sum(count for _, count, _ in made)
    assert revenue * 100 == sum(kopecks for _, _, kopecks in made)
    assert revenue.as_tuple().exponent == -2


@given(st.sampled_from([True, False, 1, 0, "1", "0", "true", "false"]))
def test_payed_in_every_form_it_was_seen(value: object) -> None:
    [order] = decode(order_json(payed=value))
    assert isinstance(order, Order)
    assert order.payed is (str(value).lower() in ("true", "1"))


@pytest.mark.parametrize("price", ["NaN", "Infinity", -1, "1e30", "sNaN"])
def test_absurd_prices_are_refused(price: object) -> None:
    [order] = decode(order_json(baskets=[{"price": price, "quantity": 1}]))
    assert isinstance(order, Order)
    with pytest.raises(transform.InvalidRecordError):
        transform.sold(order)


@pytest.mark.parametrize("quantity", [-1, 2**32])
def test_absurd_quantities_are_refused(quantity: int) -> None:
    with pytest.raises(transform.InvalidRecordError):
        transform.sold(Order(1, 1, True, None, "RUB", [Basket(Decimal(0), quantity)]))


@given(st.decimals("0", "1000000", allow_nan=False, allow_infinity=False, places=4))
def test_money_rounds_half_up(value: Decimal) -> None:
    assert abs(transform.money(value) - value) <= Decimal("0.005")
    assert transform.money(Decimal("0.005")) == Decimal("0.01")


def test_limits_of_the_columns_are_taken_to_the_last_value() -> None:
    top = Decimal("9999999999999999.99")
    assert transform.money(top) == top
    for over in (top + Decimal("0.005"), transform.MAX_REVENUE):
        with pytest.raises(transform.InvalidRecordError, match="too large"):
            transform.money(over)
    most = Order(1, 1, True, None, "RUB", [Basket(Decimal(0), 2**32 - 1)])
    assert transform.sold(most) == (2**32 - 1, Decimal(0))
    window = transform.Window(10, 20)
    assert [moment in window for moment in (9, 10, 19, 20)] == [False, True, True, False]
    shows = [Show(1, "1970-01-01", "2149-06-06"), Show(2, "1969-12-31", "2149-06-07")]
    assert transform.event_dates(Event(1, shows=shows), ZoneInfo("UTC")) == (date(1970, 1, 1), date(2149, 6, 6))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(string.ascii_lowercase), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(["id", "event_id", "payed", "payed_at", "currency_id", "baskets"]), json_values)
def test_any_value_anywhere_is_decoded_or_set_aside(field: str, value: object) -> None:
    """One bad record never spoils its neighbours, and the reason shows none of its values."""
    good, strange = decode(order_json(), order_json(**{"id": 18, field: value}))
    assert isinstance(good, Order)
    if isinstance(strange, Rejected):
        assert strange.reason.isascii()
        assert "pii" not in strange.reason


@given(st.sampled_from(["id", "event_id", "payed", "payed_at", "currency_id", "baskets"]))
def test_a_missing_field_sets_the_order_aside_by_name(field: str) -> None:
    broken = order_json()
    del broken[field]
    _, rejected = decode(order_json(id=1), broken)
    assert isinstance(rejected, Rejected)
    assert field in rejected.reason
    assert rejected.id == (None if field == "id" else 17)


@given(st.integers(0, 2**32 - 1), st.integers(-12 * 4, 14 * 4))
def test_epoch_does_not_depend_on_the_offset(seconds: int, quarters: int) -> None:
    zone = timezone(timedelta(minutes=15 * quarters))
    text = datetime.fromtimestamp(seconds, zone).isoformat()
    [order] = decode(order_json(payed_at=text))
    assert isinstance(order, Order)
    assert order.payed_at is not None
    assert transform.epoch(order.payed_at) == seconds


@pytest.mark.parametrize("text", ["2026-11-20T10:00:00", "1969-12-31T00:00:00+00:00", "2200-01-01T00:00:00+00:00"])
def test_times_that_cannot_be_stored_are_refused(text: str) -> None:
    with pytest.raises(transform.InvalidRecordError):
        transform.epoch(datetime.fromisoformat(text))


@given(st.integers(1, 10**12), st.integers(1, 10**9))
def test_dedup_key_is_32_hex_digits_and_takes_both_ids_apart(order_id: int, event_id: int) -> None:
    key = transform.dedup_key(order_id, event_id)
    assert len(key) == 32
    assert set(key) <= set("0123456789abcdef")
    assert key == transform.dedup_key(order_id, event_id)
    assert key not in {transform.dedup_key(order_id, event_id + 1), transform.dedup_key(order_id + 1, event_id)}
    assert transform.dedup_key(1, 23) != transform.dedup_key(12, 3)


@pytest.mark.parametrize(
    ("body", "city"),
    [
        ({"city": "Нижний НОВГОРОД "}, "нижний новгород"),
        ({"city": {"id": 2, "name": "Казань"}, "city_id": 2}, "казань"),
        ({"city": {"id": 2}}, "2"),
        ({"city": {"id": "msk"}}, "msk"),
        ({"city": 902}, "902"),
        ({"city": "", "city_id": 902}, "902"),
        ({"city": None, "city_id": "902"}, "902"),
        ({}, ""),
    ],
)
def test_city_in_every_shape(body: dict[str, Any], city: str) -> None:
    event = msgspec.convert({"id": 1, **body}, Event, strict=False)
    assert transform.city_of(event) == city


@given(st.lists(st.tuples(st.integers(86_400, 4 * 10**9), st.integers(0, 10**6)), max_size=5), ZONES)
def test_event_dates_are_days_of_the_report_zone(shows: list[tuple[int, int]], zone_name: str) -> None:
    zone = ZoneInfo(zone_name)
    made = [
        Show(
            1, datetime.fromtimestamp(start, UTC).isoformat(), datetime.fromtimestamp(start + length, zone).isoformat()
        )
        for start, length in shows
    ]
    first, last = transform.event_dates(Event(1, shows=made), zone)
    starts = [datetime.fromtimestamp(start, zone).date() for start, _ in shows]
    ends = [datetime.fromtimestamp(start + length, zone).date() for start, length in shows]
    assert (first, last) == (min(starts, default=None), max(ends, default=None))


def test_event_dates_that_cannot_be_read_count_as_not_given() -> None:
    show = Show(1, "0000-00-00 00:00:00", None)
    assert transform.event_dates(Event(1, shows=[show]), ZoneInfo("UTC")) == (None, None)
    naive = Show(2, "2026-12-01 23:30:00", "2026-12-02 01:00:00")
    assert transform.event_dates(Event(1, shows=[show, naive]), ZoneInfo("Asia/Tokyo")) == (
        date(2026, 12, 1),
        date(2026, 12, 2),
    )


seats = st.builds(
    Seat,
    max_quantity=st.integers(0, 900),
    free_quantity=st.integers(0, 900),
    available=st.booleans(),
    disabled=st.booleans(),
)


@given(st.lists(seats))
def test_seat_totals(made: list[Seat]) -> None:
    total = left = 0
    for seat in made:
        assert seat.max_quantity is not None
        assert seat.free_quantity is not None
        total += 0 if seat.disabled else seat.max_quantity
        left += seat.free_quantity if seat.available and not seat.disabled else 0
    assert transform.seat_totals(made) == (total, left)


def test_unknown_seat_figures_stay_unknown() -> None:
    known = Seat(10, 5, True, False)
    assert transform.seat_totals([known, Seat(None, 5, True)]) == (None, 10)
    assert transform.seat_totals([known, Seat(1, 1, None)]) == (11, None)
    assert transform.seat_totals([known, Seat(1, None, True)]) == (11, None)
    assert transform.seat_totals([known, Seat(-1, -1, True)]) == (10, 5)
    assert transform.seat_totals([known, Seat(None, None, None, True)]) == (10, 5)
    assert transform.seat_totals([]) == (0, 0)


SEAT = {"max_quantity": 1, "free_quantity": 1, "available": True, "disabled": False, "admission": False}


@pytest.mark.parametrize(
    "data",
    [
        {"A-1;1": SEAT, "A-1;2": SEAT},
        {"A": {"zone_id": "A", "name": "A", "seats": {"A-1;1": SEAT}}, "B": {"seats": {"B-1;1": SEAT}}},
        {"A": {"seats": [SEAT, SEAT]}, "B": {"seats": []}},
        [SEAT, SEAT],
        [{"zone_id": "A", "seats": {"A-1;1": SEAT}}, {"zone_id": "B", "seats": [SEAT]}],
    ],
)
def test_seats_flat_or_grouped(data: object) -> None:
    assert decode_seats(json.dumps({"data": data}).encode()) == [Seat(1, 1, True, False)] * 2


@pytest.mark.parametrize("data", [None, {"A-1;1": None}, {"A": {"seats": None}}, {"A-1;1": {"disabled": None}}])
def test_seats_of_which_nothing_is_said_are_unknown(data: object) -> None:
    assert transform.seat_totals(decode_seats(json.dumps({"data": data}).encode())) == (None, None)


def test_no_seats_and_broken_seats() -> None:
    assert decode_seats(b'{"data": []}') == []
    with pytest.raises(msgspec.ValidationError):
        decode_seats(b'{"data": {"A-1;1": {"max_quantity": "many"}}}')


@given(st.lists(st.integers(0, 300) | st.integers(0, 10**12)))
def test_id_set_is_a_set(values: list[int]) -> None:
    mine, real = IdSet(), set()
    for value in values:
        assert mine.add(value) is (value not in real)
        real.add(value)
    assert len(mine) == len(real)


def test_id_set_turns_dense_without_forgetting() -> None:
    ids = IdSet()
    assert all(ids.add(value) for value in range(70_000, 140_000))
    assert not any(ids.add(value) for value in range(70_000, 140_000))
    assert len(ids) == 70_000


def test_city_of_an_object_without_a_name_or_id() -> None:
    assert transform.city_of(Event(1, city=City())) == ""
