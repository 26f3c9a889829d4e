"""Orders of a shop by dlt, from a CSV file: append, merge or replace."""

import csv
import os
from collections.abc import Iterator
from typing import Any

import dlt
from dlt.destinations import clickhouse


@dlt.resource(name="orders", write_disposition=os.environ.get("DISPOSITION", "append"), primary_key="id")
def orders() -> Iterator[dict[str, Any]]:
    with open(os.environ["SOURCE"]) as source:
        for row in csv.DictReader(source):
            yield {"id": int(row["id"]), "sku": row["sku"], "pieces": int(row["pieces"]), "sold_at": row["sold_at"]}


server = {
    "host": os.environ["CLICKHOUSE_HOST"], "port": int(os.environ["CLICKHOUSE_PORT"]),
    "http_port": int(os.environ["CLICKHOUSE_HTTP_PORT"]), "database": os.environ["CLICKHOUSE_DB"], "secure": 0,
    "username": os.environ["CLICKHOUSE_USER"], "password": os.environ["CLICKHOUSE_PASSWORD"],
}  # fmt: skip
pipeline = dlt.pipeline(
    "shop",
    destination=clickhouse(credentials=server),
    dataset_name=os.environ.get("DATASET", "raw"),
    pipelines_dir=os.environ["STATE"],
)
print(pipeline.run(orders()))
