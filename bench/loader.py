"""The loader against the limit and against a naive loader, side by side: rows per second and peak memory.

    python bench/loader.py --orders 10000 100000 1000000

Each contender is a process of its own on the same embedded engine; the simulator serves orders serialized beforehand.
`loader` is `python -m qtickets_api` over HTTP. `no fetch` is the same program, its pages in memory before it starts:
what it does beside fetching, from decoding to the proven facts. `limit` holds the rows themselves in memory and inserts
them by clickhouse-connect in batches of the loader's size: nothing that ends in these INSERTs can be faster. `naive`
reads the same pages with `json` and inserts row by row; it is measured on its first rows, a million would take hours.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver import options as driver_options

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from embedded.testing import Engine, start_engine  # noqa: E402
from simulator.testing import Running, start_simulator  # noqa: E402

FROM, NOW, HOURS = "2026-11-06T15:30:00+03:00", "2026-11-20T15:30:00+03:00", 14 * 24
NAIVE_ROWS, BATCH = 300, 32_768
TABLE = "stg_qtickets_api_orders_raw"
CONTENDERS = ("loader", "no fetch", "limit", "naive")
WINDOW = ["--from", FROM, "--to", NOW, "--quiet"]


@dataclass
class Line:
    """One line of the table; `work` is the seconds that the rate is made of, `cpu` the client's own seconds of CPU: of
    the whole process for the loader over HTTP, of `work` alone for the others."""

    orders: int
    contender: str
    rows: int
    work: float
    cpu: float
    total: float
    peak_mib: float


def run(command: Sequence[str], env: dict[str, str]) -> tuple[dict[str, Any], float, float, float]:
    """Last line of the command's output as JSON, seconds of CPU, seconds in all, peak memory in MiB.

    :raises SystemExit: the command failed
    """
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, env=os.environ | env)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        last = out.read().splitlines()[-1:]
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {last}")
    cpu = usage.ru_utime + usage.ru_stime
    return json.loads(last[0]), cpu, time.monotonic() - began, usage.ru_maxrss / 1024


def database(engine: Engine, name: str) -> None:
    """A fresh database with the reference schema."""
    engine.query(f"CREATE DATABASE {name}")
    client = engine.client(database=name)
    for statement in (ROOT / "sql" / "bootstrap_schema.sql").read_text().split(";\n"):
        if "CREATE" in statement:
            client.execute(statement)


def measure(engine: Engine, api: Running, orders: int) -> list[Line]:
    """All contenders with one number of orders; the loader's facts are checked against the source's truth.

    :raises SystemExit: they differ
    """
    env = {
        "QTICKETS_BASE_URL": api.url, "QTICKETS_TOKEN": api.token, "ORG_NAME": "bench",
        "PYTHONPATH": str(ROOT / "ingest"),
        "CLICKHOUSE_HOST": engine.host, "CLICKHOUSE_PORT": str(engine.http_port), "CLICKHOUSE_USER": engine.user,
        "CLICKHOUSE_PASSWORD": engine.password, "CLICKHOUSE_BATCH_ROWS": str(BATCH),
    }  # fmt: skip
    lines = []
    for contender in CONTENDERS:
        name = f"bench_{contender.replace(' ', '_')}"
        database(engine, name)
        mine = env | {"CLICKHOUSE_DB": name}
        if contender == "loader":
            outcome, cpu, total, peak = run([sys.executable, "-m", "qtickets_api", *WINDOW], mine)
            rows, work = outcome["metrics"]["entities"]["orders"]["kept"], outcome["metrics"]["seconds"]["total"]
        else:
            outcome, _, total, peak = run([sys.executable, __file__, "--child", contender], mine)
            rows, work, cpu = outcome["rows"], outcome["work"], outcome["cpu"]
        if contender in ("loader", "no fetch"):
            truth = api.admin("GET", "truth", **{"from": FROM, "to": NOW, "rows": "0"})["totals"]
            sums = f"SELECT sum(tickets_sold), sum(revenue) FROM {name}.fact_qtickets_sales_daily FINAL"
            if engine.query(sums) != [(truth["tickets_sold"], Decimal(truth["revenue"]))]:
                raise SystemExit("the loader's facts are not the source's truth")
        lines.append(Line(orders, contender, rows, work, cpu, total, peak))
        print(f"{orders} {contender}: {rows / work:,.0f} rows/s, {peak:,.0f} MiB", file=sys.stderr)
    for contender in CONTENDERS:
        engine.query(f"DROP DATABASE bench_{contender.replace(' ', '_')} SYNC")
    return lines


def client() -> Any:
    """A connection as the loader's settings say, and as quick as its own."""
    driver_options.pd = None
    env = os.environ
    return clickhouse_connect.get_client(
        host=env["CLICKHOUSE_HOST"], port=int(env["CLICKHOUSE_PORT"]), username=env["CLICKHOUSE_USER"],
        password=env["CLICKHOUSE_PASSWORD"], database=env["CLICKHOUSE_DB"], compress="lz4",
        settings={"async_insert": 0},
    )  # fmt: skip


def no_fetch() -> dict[str, float]:
    """The loader twice in this process: a dry run that keeps every answer's bytes, then the run, served from those."""
    sys.path.append(str(ROOT / "ingest"))
    from qtickets_api.__main__ import main as loader
    from qtickets_api.api import QticketsApi

    fetch, bodies = QticketsApi._attempt, {}

    async def keep(self: Any, url: str, decode: Any) -> Any:
        return await fetch(self, url, lambda body: decode(bodies.setdefault(url, body)))

    async def serve(self: Any, url: str, decode: Any) -> Any:
        return decode(bodies[url])

    def play(*arguments: str) -> dict[str, Any]:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            status = loader([*WINDOW, *arguments])
        outcome = json.loads(out.getvalue())
        if status:
            raise SystemExit(f"the loader failed: {outcome}")
        return dict(outcome["metrics"])

    QticketsApi._attempt = keep
    play("--dry-run")
    QticketsApi._attempt = serve
    used = time.process_time()
    metrics = play()
    cpu = time.process_time() - used
    return {"rows": metrics["entities"]["orders"]["kept"], "work": metrics["seconds"]["total"], "cpu": cpu}


def limit() -> dict[str, float]:
    """Insert what the loader staged, from memory; only the inserts are timed."""
    server = client()
    found = server.query(f"SELECT * REPLACE(toUnixTimestamp(sale_ts) AS sale_ts) FROM bench_loader.{TABLE}")
    columns = [list(column) for column in found.result_columns]
    rows = len(columns[0])
    work = cpu = 0.0
    for start in range(0, rows, BATCH):
        batch = [column[start : start + BATCH] for column in columns]
        began, used = time.monotonic(), time.process_time()
        server.insert(TABLE, batch, column_names=list(found.column_names), column_oriented=True)
        work, cpu = work + time.monotonic() - began, cpu + time.process_time() - used
    return {"rows": rows, "work": work, "cpu": cpu}


def naive() -> dict[str, float]:
    """One request after the other, one INSERT per order; the waiting for pages is taken out here as well."""
    server, rows, page = client(), 0, 0
    work = cpu = 0.0
    where = [
        {"column": "payed_at", "operator": ">=", "value": FROM},
        {"column": "payed_at", "operator": "<", "value": NOW},
    ]
    while rows < NAIVE_ROWS:
        page += 1
        query = {"where": json.dumps(where), "orderBy": '{"id": "asc"}', "page": str(page), "per_page": "200"}
        url = f"{os.environ['QTICKETS_BASE_URL']}/orders?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {os.environ['QTICKETS_TOKEN']}"})
        with urllib.request.urlopen(request) as answer:
            orders = json.load(answer)["data"]
        if not orders:
            break
        began, used = time.monotonic(), time.process_time()
        for order in orders[: NAIVE_ROWS - rows]:
            if order["payed"] and not order["deleted_at"]:
                baskets = [b for b in order["baskets"] if not b["deleted_at"] and not b["refunded_at"]]
                row = [
                    str(order["id"]), str(order["event_id"]), "", datetime.fromisoformat(order["payed_at"]),
                    sum(b["quantity"] for b in baskets), sum(Decimal(str(b["price"])) * b["quantity"] for b in baskets),
                    order["currency_id"], 1, f"{order['id']:032d}",
                ]  # fmt: skip
                server.insert(TABLE, [row])
                rows += 1
        work, cpu = work + time.monotonic() - began, cpu + time.process_time() - used
    return {"rows": rows, "work": work, "cpu": cpu}


CHILDREN = {"no fetch": no_fetch, "limit": limit, "naive": naive}


def table(lines: Sequence[Line]) -> str:
    """The lines as Markdown."""
    head = "| orders | contender | rows | rows/s | of the limit | CPU µs/row | seconds in all | peak MiB |"
    text = [head, "|---" * 8 + "|"]
    for line in lines:
        best = next(x.rows / x.work for x in lines if (x.orders, x.contender) == (line.orders, "limit"))
        rate = line.rows / line.work
        micro = line.cpu / line.rows * 1e6
        figures = f"{rate:,.0f} | {rate / best:.0%} | {micro:.0f} | {line.total:.1f} | {line.peak_mib:.0f}"
        text.append(f"| {line.orders:,} | {line.contender} | {line.rows:,} | {figures} |")
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(CHILDREN[options.child]()))
        return
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as folder, start_engine(Path(folder) / "engine") as engine:
        for orders in options.orders:
            where = Path(folder) / f"api-{orders}"
            where.mkdir()
            scale = {"orders": orders, "hours": HOURS, "now": NOW, "prebuilt": True, "timeout": 600}
            with start_simulator(where, **scale) as api:
                lines += measure(engine, api, orders)
    print(table(lines))


if __name__ == "__main__":
    main()
