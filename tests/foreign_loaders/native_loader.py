"""A loader that speaks the native protocol with clickhouse-driver: rows as dictionaries."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from clickhouse_driver import Client

from tests.foreign_loaders import common


def insert(client: Client, table: str, columns: Iterable[str], rows: Iterable[dict[str, Any]]) -> int:
    """One INSERT; a generator is sent block by block."""
    return int(client.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES", rows) or 0)


def job() -> int:
    """Orders, then inventory."""
    client = Client(
        os.environ["CLICKHOUSE_HOST"],
        port=int(os.environ["CLICKHOUSE_PORT"]),
        user=os.environ["CLICKHOUSE_USER"],
        password=os.environ["CLICKHOUSE_PASSWORD"],
        database=os.environ["CLICKHOUSE_DB"],
        secure=os.environ.get("CLICKHOUSE_SECURE") == "true",
        settings={"insert_block_size": 2} if common.FAULT == "abort" else {},
    )
    if common.FAULT == "tuple_rows":
        rows = [tuple(row.values()) for row in common.order_rows(common.read_orders())]
        return insert(client, common.ORDERS, common.ORDER_COLUMNS, [rows[0], dict(enumerate(rows[1][1:], 1))])
    rows = common.order_rows(common.read_orders())
    count = insert(client, common.ORDERS, common.ORDER_COLUMNS, rows if common.FAULT == "abort" else list(rows))
    return count + insert(client, common.INVENTORY, common.INVENTORY_COLUMNS, common.inventory_rows())


if __name__ == "__main__":
    sys.exit(common.run(job))
