"""A loader that reads pages: MODE=first the first one only, all until the total is reached, cut one page in part."""

import json
import os
import urllib.request

import clickhouse_connect
import requests

MODE = os.environ["MODE"]
BASE = os.environ["SOURCE_URL"]


def page(number, path="/orders"):
    """One page."""
    answer = requests.get(BASE + path, params={"page": number}, timeout=10)
    answer.raise_for_status()
    return answer.json()["data"]


def orders():
    """Orders, as far as MODE reads."""
    if MODE == "httpx":
        import httpx

        return httpx.get(BASE + "/orders", timeout=10).json()["data"]
    if MODE == "cut":
        with urllib.request.urlopen(BASE + "/orders?page=2", timeout=10) as answer:
            answer.read(20)
    found = page(1)
    number = 2
    while MODE == "all" and (more := page(number)):
        found += more
        number += 1
    return found


client = clickhouse_connect.get_client(
    host=os.environ["CLICKHOUSE_HOST"], port=int(os.environ["CLICKHOUSE_PORT"]), database=os.environ["CLICKHOUSE_DB"],
    username=os.environ["CLICKHOUSE_USER"], password=os.environ["CLICKHOUSE_PASSWORD"],
)  # fmt: skip
if MODE == "json":
    lines = [json.dumps({"order_id": str(order["id"]), "tickets": order["tickets"]}) for order in orders()]
    client.raw_insert("orders", insert_block="\n".join(lines), fmt="JSONEachRow")
else:
    rows = [[str(order["id"]), order["tickets"]] for order in orders()]
    client.insert("orders", rows, column_names=["order_id", "tickets"])
print("done")
