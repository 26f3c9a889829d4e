"""What the foreign loaders share: reading the API, turning answers into rows, and ways to log a failure."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

FAULT = os.environ.get("FOREIGN_FAULT", "")
STYLE = os.environ.get("FOREIGN_LOG", "swallow")
ORDERS = "stg_qtickets_api_orders_raw"
ORDER_COLUMNS = ("order_id", "event_id", "city", "sale_ts", "tickets_sold", "revenue", "currency", "_ver", "_dedup_key")
INVENTORY = "stg_qtickets_api_inventory_raw"
INVENTORY_COLUMNS = (
    "snapshot_ts", "event_id", "event_name", "city", "tickets_total", "tickets_left", "_ver", "_dedup_key"
)  # fmt: skip

log = logging.getLogger("loader")


def say(level: str, message: str) -> None:
    """One log line in the chosen style."""
    if STYLE == "json":
        record = {"timestamp": datetime.now(UTC).isoformat(), "level": level, "logger": "loader", "event": message}
        print(json.dumps(record), flush=True)
    elif STYLE == "print":
        print(message, flush=True)
    else:
        log.log(getattr(logging, level.upper()), message)


def get(path: str, **parameters: Any) -> Any:
    """The `data` of one answer of the API."""
    response = requests.get(
        os.environ["QTICKETS_BASE_URL"] + path,
        params={key: value if isinstance(value, str) else json.dumps(value) for key, value in parameters.items()},
        headers={"Authorization": f"Bearer {os.environ['QTICKETS_TOKEN']}", "Accept": "application/json"},
        timeout=float(os.environ.get("REQUEST_TIMEOUT", "20")),
    )
    response.raise_for_status()
    return response.json()["data"]


def read_orders() -> list[dict[str, Any]]:
    """Paid orders of the window, page by page."""
    hours = int(os.environ.get("QTICKETS_SINCE_HOURS", "24"))
    since = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
    where = [{"column": "payed_at", "operator": ">=", "value": since}]
    orders: list[dict[str, Any]] = []
    for page in range(1, 200):
        say("info", f"fetching page {page} of /orders")
        found = get("/orders", where=where, orderBy={"id": "asc"}, page=page, per_page=200)
        orders += [order for order in found if order["payed"] and not order["deleted_at"]]
        if len(found) < 200:
            break
    return orders


def order_rows(orders: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows of the orders' staging table."""
    version = time.time_ns() // 1000
    cities: dict[Any, str] = {}
    for number, order in enumerate(orders):
        baskets = [b for b in order["baskets"] if not b["deleted_at"] and not b["refunded_at"]]
        if FAULT == "transform" and number == 3:
            raise ValueError(f"order {order['id']}: month must be in 1..12")
        city = cities[1] if FAULT == "key_number" and number == 3 else cities.get(order["event_id"], "")
        row = {
            "order_id": str(order["id"]),
            "event_id": str(order["event_id"]),
            "city": city,
            "sale_ts": datetime.fromisoformat(order["payed_at"]).replace(tzinfo=None),
            "tickets_sold": sum(basket["quantity"] for basket in baskets),
            "revenue": sum(basket["price"] * basket["quantity"] for basket in baskets),
            "currency": order["currency_id"],
            "_ver": version,
            "_dedup_key": f"{order['id']:0>32}",
        }
        if FAULT == "key_name" and number == 3:
            del row["event_id"]
            row["event_id"] = row["event_id"]
        if FAULT == "serialize" and number == 3:
            row["tickets_sold"] = -1
        if FAULT == "abort" and number == 3:
            raise RuntimeError("the iterator over orders broke off")
        yield row


def inventory_rows() -> list[dict[str, Any]]:
    """Rows of the inventory's staging table; a show whose seats fail is left out, as such loaders do."""
    now, rows = datetime.now(UTC).replace(tzinfo=None, microsecond=0), []
    for event in get("/events", where=[{"column": "deleted_at", "operator": "null"}], per_page=200):
        total = left = 0
        for show in event["shows"] or []:
            try:
                seats = get(f"/shows/{show['id']}/seats", flat="true")
            except requests.RequestException as error:
                say("warning", f"seats of show {show['id']} failed, skipping: {error}")
                continue
            total += sum(seat["max_quantity"] for seat in seats.values())
            left += sum(seat["free_quantity"] for seat in seats.values())
        rows.append(
            {
                "snapshot_ts": now, "event_id": str(event["id"]), "event_name": event["name"], "city": "",
                "tickets_total": total, "tickets_left": left, "_ver": time.time_ns() // 1000, "_dedup_key": "0" * 32,
            }
        )  # fmt: skip
    return rows


def before_work() -> None:
    """Faults that need no data."""
    if FAULT == "hang":
        say("info", "waiting for a lock")
        time.sleep(600)
    if FAULT == "silent":
        sys.exit(1)
    if FAULT == "sigkill":
        say("info", "sorting 40000000 rows in memory")
        os.kill(os.getpid(), 9)


def run(job: Callable[[], int]) -> int:
    """Run the job, and tell of a failure in the chosen style."""
    if STYLE not in ("json", "print"):
        logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s - %(message)s", stream=sys.stdout)
    if STYLE == "crash":
        say("info", f"done, {job()} rows")
        return 0
    try:
        before_work()
        say("info", f"done, {job()} rows")
    except Exception as error:
        if STYLE == "swallow":
            log.error(f"Unexpected ClickHouse error: {error}")
        elif STYLE == "traceback":
            log.exception("load failed")
        elif STYLE == "json":
            record = {"level": "error", "event": "load failed", "exception": traceback.format_exc()}
            print(json.dumps({"timestamp": datetime.now(UTC).isoformat(), **record}), flush=True)
        else:
            print("error:", error, flush=True)
        return 1
    return 0
