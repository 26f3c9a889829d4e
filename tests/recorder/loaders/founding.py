"""A loader like the one that this project was made for: rows as dictionaries, an error told by its text alone."""

import json
import logging
import os
import sys
import urllib.request

import clickhouse_connect

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s - %(message)s")
logger = logging.getLogger("qtickets_api")


def fetch_orders():
    """Orders of the source."""
    with urllib.request.urlopen(os.environ["SOURCE_URL"] + "/orders", timeout=10) as answer:
        return json.loads(answer.read())["data"]


class ClickHouseWriter:
    """Writes rows."""

    def __init__(self):
        self.ch_client = clickhouse_connect.get_client(
            host=os.environ["CLICKHOUSE_HOST"],
            port=int(os.environ["CLICKHOUSE_PORT"]),
            username=os.environ["CLICKHOUSE_USER"],
            password=os.environ["CLICKHOUSE_PASSWORD"],
            database=os.environ["CLICKHOUSE_DB"],
        )

    def insert(self, table, rows):
        """Insert rows."""
        try:
            if os.environ.get("HEALTHY"):
                self.ch_client.insert(table, [list(row.values()) for row in rows], column_names=list(rows[0]))
            else:
                self.ch_client.insert(table, rows, column_names=list(rows[0]))  # the call
        except Exception as e:
            logger.error(f"Unexpected ClickHouse error: {e}")
            return False
        return True


def main():
    """Load."""
    rows = [{"order_id": str(order["id"]), "tickets": order["tickets"]} for order in fetch_orders()]
    logger.info("fetched %d orders", len(rows))
    if not ClickHouseWriter().insert(os.environ["CLICKHOUSE_DB"] + ".orders", rows):
        sys.exit(1)
    logger.info("done")


main()
