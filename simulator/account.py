"""The account behind the API: events, halls and orders made from a seed, their JSON, and the truth about them.

Money is kept in kopecks (int) and times in epoch seconds (int), so that the truth is computed from whole numbers and
shares no code with the JSON that is served.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

MOSCOW = timezone(timedelta(hours=3))
PERSONAL_MARKER = "pii-"
"""Part of every value that is personal data, whatever the letter case (e-mail, phone, names, barcodes, free text)."""

DAY = 86_400
HISTORY_OLD, HISTORY_RECENT = 200, 60
_OFFSETS = {0: timezone(timedelta(hours=5)), 1: timezone(timedelta(0))}
_CITIES = (
    (1, "Москва"), (2, "Казань"), (3, "Санкт-Петербург"), (4, "Нижний Новгород"), (5, "Уфа"), (6, "Sochi"),
)  # fmt: skip
_NAMES = (
    "Концерт «Лето» 2026", "O'Clock: the \"Show\"", "Щелкунчик, балет", "Stand-up 18+ \\ финал", "Ёлка 🎄 для детей",
    "Лекция без зала",
)  # fmt: skip
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_PRICES = (123_450, 10, 99_999, 150_000, 250_050, 333_333, 70, 1_200_000, 49_990, 100)


@dataclass(slots=True)
class Show:
    """One date of an event; ``start``, ``finish`` in epoch seconds, ``price`` in kopecks."""

    id: int
    start: int
    finish: int
    price: int
    zones: dict[str, dict[str, Any]]
    total: int
    left: int


@dataclass(slots=True)
class Event:
    """An event; ``city_shape`` says in which of the three observed ways its city is served."""

    id: int
    name: str
    city_id: int
    city_name: str
    city_shape: str
    shows: list[Show]
    deleted_at: int | None
    is_active: int = 1

    @property
    def city(self) -> str:
        """What a loader must store: the name in lower case, or the id as text where the API gives no name."""
        return str(self.city_id) if self.city_shape == "id" else self.city_name.lower()


@dataclass(slots=True)
class Basket:
    """One ticket, or several of a standing zone; money in kopecks per ticket."""

    id: int
    show_id: int
    price: int
    original: int
    quantity: int
    deleted_at: int | None = None
    refunded_at: int | None = None


@dataclass(slots=True)
class Order:
    """One order; times in epoch seconds, ``offset`` the zone its times are served in."""

    id: int
    event_id: int
    payed: bool
    payed_at: int | None
    created_at: int
    updated_at: int
    deleted_at: int | None
    offset: timezone
    baskets: list[Basket]
    currency_id: str = "RUB"

    @property
    def client_id(self) -> int:
        return 500_000 + self.id % 9973

    @property
    def uniqid(self) -> str:
        return f"u{self.id:010x}"

    @property
    def price(self) -> int:
        return sum(b.price * b.quantity for b in self.baskets)


def money(kopecks: int) -> int | float:
    """Kopecks as the JSON number that PHP would write: whole roubles without a fraction."""
    return kopecks // 100 if kopecks % 100 == 0 else kopecks / 100


def rubles(kopecks: int) -> str:
    """Kopecks as an exact decimal string with two places."""
    return f"{kopecks // 100}.{kopecks % 100:02d}"


def iso(seconds: int | None, zone: timezone = MOSCOW) -> str | None:
    """Epoch seconds as ISO 8601 with offset."""
    return None if seconds is None else datetime.fromtimestamp(seconds, zone).isoformat()


def parse_time(value: object) -> int:
    """ISO 8601 to epoch seconds; a value without offset is the account's own time (Moscow).

    :raises ValueError: not a string, or not ISO 8601 (such as an offset whose ``+`` arrived as a space)
    """
    if not isinstance(value, str):
        raise ValueError(f"not a time: {value!r}")
    moment = datetime.fromisoformat(value)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=MOSCOW)).timestamp())


def _hall(show_id: int, size: int, kind: str, rng: random.Random) -> tuple[dict[str, dict[str, Any]], int, int]:
    """Zones of one hall with ``size`` numbered seats, their capacity and the tickets left."""
    total = left = 0
    zones: dict[str, dict[str, Any]] = {}

    def add(zone: str, title: str, row: str, place: str, quantity: int, free: int, state: str) -> None:
        seat_id = f"{zone}-{row};{place}"
        seats = zones.setdefault(zone, {"zone_id": zone, "name": title, "seats": {}})["seats"]
        seats[seat_id] = {
            "id": seat_id, "zone_id": zone, "name": f"{title}, {row}-{place}", "row": row, "place": place,
            "admission": quantity > 1, "max_quantity": quantity, "free_quantity": free,
            "ordered_quantity": 0, "payed_quantity": quantity - free,
            "available": state in ("free", "disabled"), "disabled": state == "disabled", "ordered": state == "sold",
            "price": money(rng.choice(_PRICES)), "currency_id": "RUB",
        }  # fmt: skip

    if kind != "standing":
        for index in range(size):
            roll = rng.random()
            state = "sold" if kind == "sold out" or roll < 0.3 else "free"
            # Held back: a free place that nobody can buy; disabled: not part of the hall at all.
            state = "held" if state == "free" and roll > 0.95 else "disabled" if 0.9 < roll <= 0.95 else state
            zone, title = ("CENTER_PARTERRE", "Партер") if index < size * 2 // 3 else ("BALCONY", "Балкон")
            add(zone, title, str(index // 20 + 1), str(index % 20 + 1), 1, 0 if state == "sold" else 1, state)
            if state != "disabled":
                total += 1
                left += state == "free"
    if kind == "sold out":
        add("FAN", "Танцпол", "1", "1", 300, 0, "sold")
        total += 300
    else:
        capacity = rng.randrange(200, 900)
        free = rng.randrange(0, capacity)
        add("FAN", "Танцпол", "1", "1", capacity, free, "free")
        add("VIP", "VIP", "1", "1", 150, 40, "held")
        add("TECH", "Технический", "1", "1", 500, 500, "disabled")
        total += capacity + 150
        left += free
    return zones, total, left


def _events(seed: int, count: int, hall_seats: int, now: int) -> list[Event]:
    rng = random.Random(f"events:{seed}")
    today = now - (now + 3 * 3600) % DAY  # midnight in Moscow
    events = []
    for index in range(count + max(1, count // 6)):
        deleted = index >= count
        shape = ("string", "object", "id")[index % 3]
        city_id, city_name = _CITIES[index % len(_CITIES)]
        if shape == "id":  # an id that no other event explains by a name
            city_id = 900 + index
        kind = {3: "standing", 4: "sold out", 5: "none"}.get(index % 6, "seats")
        event_id = 33_700 + index * 7
        shows = []
        for number in range(0 if kind == "none" else 1 + index % 2):
            show_id = 41_000 + index * 10 + number
            # One minute past midnight and a finish on the next day: dates must be taken in the report time zone.
            start = today + DAY * (7 + index + number * 3) + (60 if number else 21 * 3600)
            hall = _hall(show_id, hall_seats, kind, random.Random(f"hall:{seed}:{show_id}"))
            shows.append(Show(show_id, start, start + 4 * 3600, rng.choice(_PRICES), *hall))
        events.append(
            Event(event_id, f"{_NAMES[index % len(_NAMES)]} #{index + 1}", city_id, city_name, shape, shows,
                  now - 30 * DAY if deleted else None)
        )  # fmt: skip
    return events


@dataclass
class Account:
    """Everything that the API serves.

    :param seed: same seed, scale and ``now`` give the same account
    :param events: live events; a few deleted ones come on top
    :param orders: orders of the window ``now - hours … now``, cancelled and unpaid ones among them; 260 older ones
        (most of them years old) come on top
    :param now: end of the window, epoch seconds
    :param lean: leave out of an order what no loader reads (for a million of them)
    """

    seed: int
    events_count: int
    orders_count: int
    hours: float
    now: int
    hall_seats: int = 120
    lean: bool = False
    events: list[Event] = field(init=False)
    orders: list[Order] = field(init=False)
    version: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.events = _events(self.seed, self.events_count, self.hall_seats, self.now)
        self.event_by_id = {event.id: event for event in self.events}
        self.show_by_id = {show.id: show for event in self.events for show in event.shows}
        self.reset()

    def reset(self) -> None:
        """Make the orders anew, as they were at the start."""
        self._order_ids = itertools.count(1_000_001)
        self._basket_ids = itertools.count(7_000_001)
        self.orders = list(self._generate())
        self.order_by_id = {order.id: order for order in self.orders}
        self._rendered: dict[int, bytes] = {}
        self.version += 1

    def _generate(self) -> Iterator[Order]:
        rng = random.Random(f"orders:{self.seed}")
        live = [event for event in self.events if event.deleted_at is None]
        start = self.now - int(self.hours * 3600)
        for index in range(HISTORY_OLD):  # oldest first: ids grow with time, as the vendor's do
            created = start - 6 * 365 * DAY + index * 5 * DAY
            yield self._order(rng, rng.choice(self.events), created, created + 120, index)
        for index in range(HISTORY_RECENT):
            age = 2 * DAY * (HISTORY_RECENT - index) if index < HISTORY_RECENT // 2 else 3000 * (HISTORY_RECENT - index)
            payed_at = start - age + 2999  # the last one is paid one second before the window
            yield self._order(rng, rng.choice(live), payed_at - 300, payed_at, index)
        span = self.now - start
        for index in range(self.orders_count):
            payed_at = start + index * max(span - 5, 0) // self.orders_count  # the first one exactly at its start
            waited = 20 * DAY if index % 40 == 13 else rng.randrange(20, 900)  # booked long ago, paid now
            yield self._order(rng, rng.choice(live), payed_at - waited, payed_at, index)

    def _order(self, rng: random.Random, event: Event, created: int, payed_at: int, index: int) -> Order:
        """One order; its special features go by ``index``, so that a small account has each of them too."""
        # An event without shows still has orders: their show is over and no longer listed.
        show_id = event.shows[index % len(event.shows)].id if event.shows else 40_000
        quantity = 2 + index % 5 if index % 12 == 4 else 1
        baskets = []
        for _ in range(1 + (index % 7 in (2, 5)) + (index % 11 == 3)):
            price = rng.choice(_PRICES)
            baskets.append(Basket(next(self._basket_ids), show_id, price, price + price // 10, quantity))
        order_id = next(self._order_ids)
        zone = _OFFSETS.get(index % 10, MOSCOW)
        order = Order(order_id, event.id, True, payed_at, created, payed_at, None, zone, baskets)
        later = min(payed_at + 1800, self.now)
        if index % 25 == 3:
            order.payed, order.payed_at = False, None
        elif index % 50 == 21:  # a payment that was taken back: only the flag says so
            order.payed = False
        elif index % 20 == 7:
            order.deleted_at = order.updated_at = later
        if index % 16 == 5:
            for basket in baskets if index % 32 == 5 else baskets[:1]:
                basket.refunded_at = order.updated_at = later
        if index % 30 == 9:
            baskets.append(Basket(next(self._basket_ids), show_id, 500_000, 500_000, 1, deleted_at=later))
        return order

    def order_bytes(self, order: Order) -> bytes:
        """The order as JSON; made once and kept until the order changes."""
        body = self._rendered.get(order.id)
        if body is None:
            body = self._rendered[order.id] = dumps(self._order_json(order))
        return body

    def prebuild(self) -> None:
        """Serialize every order now, so that serving a page is one join of ready pieces."""
        for order in self.orders:
            self.order_bytes(order)

    def _order_json(self, order: Order) -> dict[str, Any]:
        zone, number = order.offset, order.id
        created, updated = iso(order.created_at, zone), iso(order.updated_at, zone)
        original = sum(b.original * b.quantity for b in order.baskets)
        refunded = [b for b in order.baskets if b.refunded_at is not None]
        body: dict[str, Any] = {
            "id": number,
            "uniqid": order.uniqid,
            "payed": int(order.payed) if number % 3 == 0 else order.payed,
            "payed_at": iso(order.payed_at, zone),
            "created_at": created,
            "updated_at": updated,
            "deleted_at": iso(order.deleted_at, zone),
            "client_id": order.client_id,
            "client": {
                "id": order.client_id,
                "email": f"pii-mail-{number}@example.invalid",
                "details": {
                    "name": f"PII-Имя-{number}", "surname": f"PII-Фамилия-{number}", "middlename": None,
                    "phone": f"+7900-PII-{number}",
                },
            },
            "payment_id": number + 17,
            "payment_type_id": "card",
            "event_id": order.event_id,
            "price": money(order.price),
            "original_price": money(original),
            "currency_id": order.currency_id,
            "baskets": [self._basket_json(order, b, created, updated) for b in order.baskets],
        }  # fmt: skip
        if not self.lean:
            body["utm"] = [] if number % 2 else {"utm_source": "vk", "utm_term": f"pii-term-{number}"}
            body["custom"] = {"comment": f"pii-comment-{number}"}
            body["fields"] = [{"name": "passport", "value": f"pii-passport-{number}"}]
            body["integrations"] = []
        if refunded:
            body["refunds"] = [
                {"id": b.id + 1, "basket_id": b.id, "amount": money(_refund(b)), "created_at": iso(b.refunded_at, zone)}
                for b in refunded
            ]
        return body

    def _basket_json(self, order: Order, basket: Basket, created: str | None, updated: str | None) -> dict[str, Any]:
        zone = order.offset
        refund = None if basket.refunded_at is None else _refund(basket)
        seat = "FAN-1;1" if basket.quantity > 1 else f"CENTER_PARTERRE-{basket.id % 30 + 1};{basket.id % 20 + 1}"
        body: dict[str, Any] = {
            "id": basket.id,
            "barcode": f"PII-{basket.id:012d}",
            "show_id": basket.show_id,
            "seat_id": seat,
            "price": money(basket.price),
            "original_price": money(basket.original),
            "discount_value": money(basket.original - basket.price),
            "quantity": basket.quantity,
            "checked_at": None,
            "created_at": created,
            "updated_at": updated,
            "deleted_at": iso(basket.deleted_at, zone),
            "refunded_at": iso(basket.refunded_at, zone),
            "refunded_amount": None if refund is None else money(refund),
            "refunded_deduction_amount": None if refund is None else money(basket.price * basket.quantity - refund),
        }
        if not self.lean:
            body["client_name"] = f"PII-Гость-{basket.id}"
            body["client_surname"] = f"PII-Гостев-{basket.id}"
            body["client_email"] = f"pii-guest-{basket.id}@example.invalid"
            body["client_phone"] = f"+7901-PII-{basket.id}"
        return body

    def event_json(self, event: Event) -> dict[str, Any]:
        """The event as served; its city in the event's own shape, ``city_id`` always."""
        body: dict[str, Any] = {
            "id": event.id, "name": event.name, "is_active": event.is_active, "scheme_id": 77, "currency_id": "RUB",
            "place_name": f"Зал {event.id}", "place_address": "ул. Ленина, 1", "place_description": None,
            "site_url": "https://example.invalid/", "city_id": event.city_id,
            "description": "<p>Описание</p>", "deleted_at": iso(event.deleted_at),
            "shows": [
                {
                    "id": show.id, "is_active": 1, "sale_start_date": iso(show.start - 60 * DAY),
                    "sale_finish_date": iso(show.start), "open_date": iso(show.start - 3600),
                    "start_date": iso(show.start), "finish_date": iso(show.finish),
                    "prices": [{"id": show.id * 10, "default_price": money(show.price), "color_theme": "#ff0000"}],
                }
                for show in event.shows
            ],
        }  # fmt: skip
        if event.city_shape == "string":
            body["city"] = event.city_name
        elif event.city_shape == "object":
            body["city"] = {"id": event.city_id, "name": event.city_name}
        return body

    def truth(self, start: int, end: int, *, rows: bool = True) -> dict[str, Any]:
        """What a correct loader ends up with for orders paid in ``start <= payed_at < end`` (epoch seconds).

        :param rows: False leaves out the list of orders
        """
        counted: list[dict[str, Any]] = []
        orders = tickets_all = revenue_all = cancelled = unpaid = 0
        for order in self.orders:
            if order.payed_at is None or not start <= order.payed_at < end:
                continue
            if not order.payed:
                unpaid += 1
            elif order.deleted_at is not None:
                cancelled += 1
            else:
                tickets = revenue = 0
                for basket in order.baskets:
                    if basket.deleted_at is None and basket.refunded_at is None:
                        tickets += basket.quantity
                        revenue += basket.quantity * basket.price
                orders += 1
                tickets_all += tickets
                revenue_all += revenue
                if rows:
                    counted.append({
                        "order_id": order.id, "event_id": order.event_id,
                        "city": self.event_by_id[order.event_id].city, "payed_at": iso(order.payed_at),
                        "tickets_sold": tickets, "revenue": rubles(revenue), "currency": order.currency_id,
                    })  # fmt: skip
        events = [
            {"event_id": e.id, "name": e.name, "city": e.city, "city_id": e.city_id,
             "tickets_total": sum(s.total for s in e.shows) if e.shows else None,
             "tickets_left": sum(s.left for s in e.shows) if e.shows else None,
             "start_date": _date(min((s.start for s in e.shows), default=None)),
             "end_date": _date(max((s.finish for s in e.shows), default=None))}
            for e in self.events if e.deleted_at is None
        ]  # fmt: skip
        totals = {"orders": orders, "tickets_sold": tickets_all, "revenue": rubles(revenue_all), "events": len(events),
                  "cancelled": cancelled, "unpaid": unpaid}  # fmt: skip
        return {"from": iso(start), "to": iso(end), "orders": counted, "events": events, "totals": totals}

    def patch_order(self, order_id: int, patch: dict[str, Any], now: int) -> Order:
        """Change an order after the fact: ``refund``, ``remove`` (lists of basket ids, or true for all of them),
        ``cancel``, ``payed`` (booleans), ``price_factor`` (decimal string).

        :raises KeyError: no such order
        :raises ValueError: unknown key or basket
        """
        order = self.order_by_id[order_id]
        unknown = set(patch) - {"refund", "remove", "cancel", "payed", "price_factor"}
        if unknown:
            raise ValueError(f"unknown keys in the patch: {sorted(unknown)}")
        for key, name in (("refund", "refunded_at"), ("remove", "deleted_at")):
            for basket in self._chosen(order, patch.get(key, [])):
                setattr(basket, name, now)
        if "cancel" in patch:
            order.deleted_at = now if patch["cancel"] else None
        if "payed" in patch:
            order.payed = bool(patch["payed"])
            order.payed_at = (order.payed_at or now) if order.payed else None
        if "price_factor" in patch:
            factor = Decimal(str(patch["price_factor"]))
            for basket in order.baskets:
                basket.price = int((basket.price * factor).quantize(Decimal(1), ROUND_HALF_UP))
        order.updated_at = now
        self._rendered.pop(order.id, None)
        self.version += 1
        return order

    @staticmethod
    def _chosen(order: Order, wanted: Any) -> Iterable[Basket]:
        if wanted is True:
            return order.baskets
        unknown = set(wanted) - {basket.id for basket in order.baskets}
        if unknown:
            known = [basket.id for basket in order.baskets]
            raise ValueError(f"order {order.id} has no baskets {sorted(unknown)}; it has {known}")
        return [basket for basket in order.baskets if basket.id in wanted]

    def add_order(self, spec: dict[str, Any], now: int) -> Order:
        """Add an order from ``{"event_id", "payed_at", "currency_id", "payed", "baskets": [{"price", "quantity"}]}``,
        each key optional; price in roubles as a decimal string.

        :raises ValueError: unknown key, event or a malformed value
        """
        unknown = set(spec) - {"event_id", "payed_at", "currency_id", "payed", "baskets"}
        if unknown:
            raise ValueError(f"unknown keys in the order: {sorted(unknown)}")
        event = self.event_by_id.get(spec.get("event_id", self.events[0].id))
        if event is None:
            raise ValueError(f"no event {spec['event_id']}; there are {sorted(self.event_by_id)}")
        payed_at = parse_time(spec["payed_at"]) if "payed_at" in spec else now
        show_id = event.shows[0].id if event.shows else 40_000
        baskets = []
        for item in spec.get("baskets") or [{}]:
            price = int(Decimal(str(item.get("price", "1000.50"))) * 100)
            baskets.append(Basket(next(self._basket_ids), show_id, price, price, int(item.get("quantity", 1))))
        order = Order(next(self._order_ids), event.id, bool(spec.get("payed", True)), payed_at, payed_at, now, None,
                      MOSCOW, baskets, str(spec.get("currency_id", "RUB")))  # fmt: skip
        self.orders.append(order)
        self.order_by_id[order.id] = order
        self.version += 1
        return order


def _refund(basket: Basket) -> int:
    """Amount paid back: nine tenths, the rest is the vendor's deduction."""
    return basket.price * basket.quantity * 9 // 10


def _date(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, MOSCOW).date().isoformat()


def dumps(value: Any) -> bytes:
    """Compact JSON in UTF-8."""
    return _ENCODER.encode(value).encode()
