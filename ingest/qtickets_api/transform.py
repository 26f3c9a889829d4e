"""From the API's records to table columns: pure functions, money in `Decimal`, times as epoch seconds."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from hashlib import md5
from typing import NamedTuple
from zoneinfo import ZoneInfo

from .model import City, Event, Order, Seat

_KOPECK = Decimal("0.01")
_ZERO = Decimal(0)
_md5 = functools.partial(md5, usedforsecurity=False)
MAX_UINT32 = 2**32 - 1
MAX_REVENUE = Decimal(10) ** 16
"""Limit of Decimal(18, 2)."""
MIN_DATE, MAX_DATE = date(1970, 1, 1), date(2149, 6, 6)
"""Range of ClickHouse's Date."""


class InvalidRecordError(ValueError):
    """A record that decodes but cannot be right; the text holds no value of it."""


@dataclass(frozen=True)
class Window:
    """Half-open range of epoch seconds."""

    start: int
    end: int

    def __contains__(self, moment: int) -> bool:
        return self.start <= moment < self.end


class OrderRow(NamedTuple):
    """An order that counts: `sale_ts` in epoch seconds, `revenue` in roubles with two decimals."""

    order_id: int
    event_id: int
    sale_ts: int
    tickets_sold: int
    revenue: Decimal
    currency: str


def dedup_key(*identity: object) -> str:
    """32 hex digits from what identifies a row, and from nothing that can change."""
    return _md5(":".join(map(str, identity)).encode()).hexdigest()


def money(value: Decimal) -> Decimal:
    """Round half up to kopecks.

    :raises InvalidRecordError: not a finite number that Decimal(18, 2) holds, or negative
    """
    if not value.is_finite() or value.is_signed() or value >= MAX_REVENUE:
        raise InvalidRecordError("an amount of money is negative, too large or no number")
    rounded = value.quantize(_KOPECK, ROUND_HALF_UP)
    if rounded >= MAX_REVENUE:
        raise InvalidRecordError("an amount of money is too large")
    return rounded


def sold(order: Order) -> tuple[int, Decimal]:
    """Tickets and revenue (roubles, exact to the kopeck) over baskets neither removed nor refunded.

    :raises InvalidRecordError: negative or absurd quantities or prices
    """
    tickets, revenue = 0, _ZERO
    for basket in order.baskets:
        if not basket.deleted_at and not basket.refunded_at:
            price, quantity = basket.price, basket.quantity
            if quantity < 0 or price.is_signed() or not price.is_finite():
                raise InvalidRecordError("a basket has a negative quantity or no sane price")
            tickets += quantity
            revenue += price if quantity == 1 else price * quantity
    if tickets > MAX_UINT32:
        raise InvalidRecordError("more tickets than UInt32 holds")
    return tickets, money(revenue)


def epoch(moment: datetime) -> int:
    """Whole epoch seconds of a time that carries its offset.

    :raises InvalidRecordError: without offset, or outside what ClickHouse's DateTime holds
    """
    if moment.tzinfo is None:
        raise InvalidRecordError("a time has no UTC offset")
    seconds = int(moment.timestamp())
    if not 0 <= seconds <= MAX_UINT32:
        raise InvalidRecordError("a time is outside 1970-2106")
    return seconds


def city_of(event: Event) -> str:
    """The event's city in lower case: its name where the API gives one, else the id as text, else empty."""
    city = (
        event.city if isinstance(event.city, City) else City(name=event.city) if isinstance(event.city, str) else None
    )
    if city and city.name and city.name.strip():
        return city.name.strip().lower()
    number = event.city if isinstance(event.city, int) else city.id if city else None
    number = event.city_id if event.city_id is not None else number
    return "" if number is None else str(number).strip().lower()


def event_dates(event: Event, zone: ZoneInfo) -> tuple[date | None, date | None]:
    """First and last day of the event's shows in ``zone``; a show without finish ends on the day it starts.

    Dates of shows are shown to people, no figure hangs on them: one that cannot be read counts as not given.
    """
    first = [day for show in event.shows or [] if (day := _day(show.start_date, zone))]
    last = [day for show in event.shows or [] if (day := _day(show.finish_date, zone) or _day(show.start_date, zone))]
    return min(first, default=None), max(last, default=None)


def _day(text: str | None, zone: ZoneInfo) -> date | None:
    try:
        moment = datetime.fromisoformat(text or "")
        day = (moment.astimezone(zone) if moment.tzinfo else moment).date()
    except (ValueError, OverflowError):
        return None
    return day if MIN_DATE <= day <= MAX_DATE else None


def seat_totals(seats: Iterable[Seat]) -> tuple[int | None, int | None]:
    """Capacity and tickets left; None for a figure that some seat does not state.

    Capacity counts every seat that is not disabled; left counts the free ones among those that can be bought.
    """
    total: int | None = 0
    left: int | None = 0
    for seat in seats:
        if seat.disabled:
            continue
        total = None if total is None or seat.max_quantity is None else total + max(seat.max_quantity, 0)
        if seat.available is None:
            left = None
        elif seat.available:
            left = None if left is None or seat.free_quantity is None else left + max(seat.free_quantity, 0)
    return total, left
