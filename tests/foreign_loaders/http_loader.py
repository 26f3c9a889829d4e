"""A loader that speaks plain HTTP with requests: rows as JSONEachRow in a streamed POST."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import requests

from tests.foreign_loaders import common


def insert(table: str, columns: Iterable[str], rows: Iterable[dict[str, Any]]) -> int:
    """POST rows as they are made; the answer's text is not looked at, as such loaders do."""
    count = 0

    def body() -> Iterator[bytes]:
        nonlocal count
        for row in rows:
            count += 1
            yield (json.dumps(row, default=str) + "\n").encode()

    scheme = "https" if os.environ.get("CLICKHOUSE_SECURE") == "true" else "http"
    response = requests.post(
        f"{scheme}://{os.environ['CLICKHOUSE_HOST']}:{os.environ['CLICKHOUSE_PORT']}/",
        params={
            "database": os.environ["CLICKHOUSE_DB"],
            "query": f"INSERT INTO {table} ({', '.join(columns)}) FORMAT JSONEachRow",
        },
        auth=(os.environ["CLICKHOUSE_USER"], os.environ["CLICKHOUSE_PASSWORD"]),
        data=body(),
        timeout=20,
    )
    response.raise_for_status()
    return count


def job() -> int:
    """Orders, then inventory."""
    rows = common.order_rows(common.read_orders())
    count = insert(common.ORDERS, common.ORDER_COLUMNS, rows if common.FAULT == "abort" else list(rows))
    return count + insert(common.INVENTORY, common.INVENTORY_COLUMNS, common.inventory_rows())


if __name__ == "__main__":
    sys.exit(common.run(job))
