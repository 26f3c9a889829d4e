"""What a correct load of a window leaves in the tables, as data for somebody else's loader to be held against.

The form is that of docs/reference/audit.md: per entity the rows with their id, and the ids that do not count with why.
No personal data, and nothing of ClickHouse.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from .model import Basket, Order
from .transform import InvalidRecordError, Window, epoch, sold
from .warehouse import EventRow


class Figures:
    """Expected rows, in the source's own order. Times are ISO 8601 in ``zone``, numbers are texts."""

    def __init__(self, window: Window, zone: ZoneInfo) -> None:
        self._window, self._zone = window, zone
        self._orders: list[dict[str, Any]] = []
        self._excluded: dict[str, str] = {}
        self._seen: set[str] = set()

    def take(self, order: Order) -> None:
        """One order that the source served for the window."""
        number = str(order.id)
        if number in self._seen:
            return  # A filter that the API ignored.
        self._seen.add(number)
        if order.payed_at is None or not order.payed:
            self._excluded[number] = "not paid"
        elif order.deleted_at:
            self._excluded[number] = "deleted"
        elif epoch(order.payed_at) in self._window:
            try:
                tickets, revenue = sold(order)
            except InvalidRecordError:
                return
            self._orders.append(
                {
                    "id": number,
                    "time": order.payed_at.astimezone(self._zone).isoformat(),
                    "group": {"event_id": str(order.event_id)},
                    "currency": order.currency_id,
                    "amounts": {"tickets": str(tickets), "revenue": f"{revenue:.2f}"},
                    "gross": _gross(order.baskets),
                    **({"changed": order.updated_at.isoformat()} if order.updated_at else {}),
                }
            )

    def to_dict(self, events: Iterable[EventRow]) -> dict[str, Any]:
        """Everything, with the events' capacity: null where the source does not say."""
        rows = [
            {"id": row.event_id, "amounts": {"capacity": _text(row.tickets_total), "left": _text(row.tickets_left)}}
            for row in events
        ]
        window = {
            name: datetime.fromtimestamp(moment, self._zone).isoformat()
            for name, moment in (("from", self._window.start), ("to", self._window.end))
        }
        return {
            "window": window,
            "entities": {"orders": {"rows": self._orders, "excluded": self._excluded}, "events": {"rows": rows}},
        }


def _gross(baskets: list[Basket]) -> dict[str, str]:
    """The amounts with tickets that were removed or refunded: what a loader stores that does not look."""
    revenue = sum((basket.price * basket.quantity for basket in baskets), Decimal(0))
    return {"tickets": str(sum(basket.quantity for basket in baskets)), "revenue": f"{revenue:.2f}"}


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
