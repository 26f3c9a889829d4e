"""The API's records, reduced to the fields that are used.

Decoding into these types is also what keeps personal data out: `client`, names, phones and barcodes are skipped by the
decoder and never become Python objects. Money is decoded from the number's own digits into `Decimal`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Generic, TypeVar

import msgspec

T = TypeVar("T")
Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Basket(msgspec.Struct, gc=False):
    """One ticket, or several of a standing zone."""

    price: Decimal
    quantity: int
    deleted_at: str | None = None
    refunded_at: str | None = None


class Order(msgspec.Struct, gc=False):
    """An order; `payed` is the API's own spelling."""

    id: Id
    event_id: Id
    payed: bool
    payed_at: datetime | None
    currency_id: str
    baskets: list[Basket]
    deleted_at: str | None = None
    updated_at: datetime | None = None


class City(msgspec.Struct):
    """The object form of an event's city."""

    id: int | str | None = None
    name: str | None = None


class Show(msgspec.Struct):
    """One date of an event."""

    id: Id
    start_date: str | None = None
    finish_date: str | None = None


class Event(msgspec.Struct):
    """An event; the city comes as text, as an object, or only as `city_id`."""

    id: Id
    name: str | None = None
    city: str | int | City | None = None
    city_id: int | str | None = None
    shows: list[Show] | None = None
    deleted_at: str | None = None


class Seat(msgspec.Struct, gc=False):
    """A seat, or a standing zone with `max_quantity` in the hundreds. `admission` says nothing about availability."""

    max_quantity: int | None = None
    free_quantity: int | None = None
    available: bool | None = None
    disabled: bool | None = None


class Identified(msgspec.Struct):
    """Just enough of a broken record to name it."""

    id: Id


class Paging(msgspec.Struct):
    """The three observed paging objects in one; whatever a shape does not say is None."""

    total: int | None = None
    perPage: int | None = None  # noqa: N815 - the API's name
    per_page: int | None = None
    pages: int | None = None
    last_page: int | None = None
    has_next: bool | None = None


class Page(msgspec.Struct, Generic[T]):
    """A list answer."""

    data: list[T]
    paging: Paging | list[msgspec.Raw] | None = None  # PHP writes an empty object as `[]`
    meta: Paging | list[msgspec.Raw] | None = None
    pagination: Paging | list[msgspec.Raw] | None = None

    @property
    def info(self) -> Paging:
        shapes = (self.paging, self.meta, self.pagination)
        return next((shape for shape in shapes if isinstance(shape, Paging)), Paging())


class One(msgspec.Struct, Generic[T]):
    """An answer to a request for one record."""

    data: T


class Refusal(msgspec.Struct):
    """The API's error body, also seen with HTTP status 200."""

    error: str
    status: int | None = None


class Rejected(msgspec.Struct):
    """A record set aside: its id where it has one, and a reason without any of its values."""

    id: int | None
    reason: str
