"""Another team's loader: standard library only, plain HTTP, no run id, no job table, its own words in the log."""

import datetime
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

URL = os.environ["WAREHOUSE_URL"]
USER = os.environ["WAREHOUSE_USER"]
PASSWORD = os.environ["WAREHOUSE_PASSWORD"]
ROWS = int(os.environ.get("ROWS", "50"))
# Batches with a pause between them, as of a source that is slow to answer.
BATCHES = int(os.environ.get("BATCHES", "1"))
PAUSE_SECONDS = float(os.environ.get("PAUSE_SECONDS", "0"))


def send(sql: str, body: str = "") -> str:
    request = urllib.request.Request(
        URL + "/?" + urllib.parse.urlencode({"query": sql}),
        data=body.encode(),
        headers={"X-ClickHouse-User": USER, "X-ClickHouse-Key": PASSWORD},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def main() -> None:
    now = datetime.datetime.now(datetime.UTC)
    rows = [
        {
            "id": number,
            "bought_at": (now - datetime.timedelta(minutes=number)).strftime("%Y-%m-%d %H:%M:%S"),
            "sku": f"sku-{number % 7}",
            "amount": f"{number}.50",
        }
        for number in range(ROWS)
    ]
    print(f"loading {len(rows)} purchases into {URL}", flush=True)
    for batch in range(BATCHES):
        lines = "\n".join(map(json.dumps, rows[batch::BATCHES]))
        send("INSERT INTO shop.purchases (id, bought_at, sku, amount) FORMAT JSONEachRow", lines)
        time.sleep(PAUSE_SECONDS)
    send(
        "INSERT INTO shop.purchases_by_day SELECT toDate(bought_at) AS day, sku, sum(amount) FROM shop.purchases FINAL"
        " WHERE bought_at >= now() - INTERVAL 1 DAY GROUP BY day, sku"
    )
    print("done", flush=True)


try:
    main()
except urllib.error.HTTPError as error:
    sys.exit(f"warehouse refused with HTTP {error.code}")
