"""Whole projects of other teams, diagnosis and data checks: each with a healthy run that looks odd, and a fault."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from embedded.testing import Engine, start_engine
from tests.loaders import DATABASE, PASSWORD, Judged, Loader, environment
from tests.plays import free_port

# Loads by curl: lines of a log in German dates, and each command shown.
SHELL = """
set -uo pipefail
log() { echo "[$(date '+%d.%m.%Y %H:%M:%S')] $*"; }
run() { curl -sS --fail-with-body -u "$CLICKHOUSE_USER:$CLICKHOUSE_PASSWORD" \\
    "http://$CLICKHOUSE_HOST:$CLICKHOUSE_HTTP_PORT/?database=$CLICKHOUSE_DB&query=$1" --data-binary "${2:-}"; }
log "start, errors so far: 0"
[ "$MODE" = trace ] && set -x
curl -sS http://127.0.0.1:1/ping || log "not ready yet (1/5)"
{ echo "sku,name,stock,price"; for i in $(seq 1 40); do echo "SKU$i,\\"Name, $i\\",$i,$i$POINT"50; done; } > stock.csv
run "INSERT%20INTO%20stock%20(sku,name,stock,price)%20FORMAT%20CSVWithNames" @stock.csv || {
    log "ERROR: load of stock.csv failed (curl $?)"; exit 1; }
log "done"
"""
STOCK = (
    "CREATE TABLE shop.stock (sku String, name String, stock UInt32, price Decimal(9, 2), at DateTime DEFAULT now()) "
    "ENGINE = ReplacingMergeTree(at) ORDER BY sku",
)
# A Node program with pino's records, which tries a table of a newer version first.
NODE = """
const log = (level, msg, more) => console.log(JSON.stringify({ level, time: Date.now(), pid: 7, ...more, msg }));
const env = process.env, bad = env.MODE === "bad";
const send = async (query, body) => {
  const address = `http://${env.CLICKHOUSE_HOST}:${env.CLICKHOUSE_HTTP_PORT}/?` +
    new URLSearchParams({ query, database: env.CLICKHOUSE_DB });
  const answer = await fetch(address, { method: "POST", body, headers: {
    "X-ClickHouse-User": env.CLICKHOUSE_USER, "X-ClickHouse-Key": env.CLICKHOUSE_PASSWORD } });
  const text = await answer.text();
  if (!answer.ok) throw Object.assign(new Error(text), { code: answer.headers.get("x-clickhouse-exception-code") });
  return text;
};
(async () => {
  const rows = [...Array(120).keys()].map(i => JSON.stringify({ order_id: i, city: ["Riga", "Tallinn"][i % 2],
    promo: i % 3 ? null : "X", qty: bad && i === 77 ? "3 pcs" : 1 + i % 4 })).join("\\n");
  log(30, "starting", { retries: 0, error: null });
  try { await send("INSERT INTO orders_v2 FORMAT JSONEachRow", rows); }
  catch (err) { log(40, "insert failed, falling back to orders", { err: { message: err.message, stack: err.stack } }); }
  await send("INSERT INTO orders FORMAT JSONEachRow", rows);
  log(30, "inserted", { status: "ok", rows: 120, rejected: 0, errors: [] });
})().catch(err => {
  log(50, "etl failed", { err: { message: err.message, stack: err.stack } });
  process.exitCode = 1;
});
"""
ORDERS = (
    "CREATE TABLE shop.orders (order_id UInt64, city LowCardinality(String), promo Nullable(String), qty UInt16) "
    "ENGINE = MergeTree ORDER BY order_id",
)
# Threads with slog's records. A part that is refused is counted, and the program says that all went well.
GO = """
import json, os, sys, threading, urllib.error, urllib.parse, urllib.request
env, mode = os.environ, os.environ["MODE"]

def slog(level, msg, **more):
    told = " ".join(f"{k}={json.dumps(str(v))}" for k, v in more.items())
    head = f"time=2026-11-28T10:00:00.123Z level={level} source=/src/main.go:40"
    sys.stdout.write(f"{head} msg={json.dumps(msg)} {told}\\n")

def store(part):
    state = "resold" if mode == "swallow" and part == 3 else "sold"
    rows = [{"ticket_id": part * 50 + n, "state": state} for n in range(50)]
    asked = {"query": "INSERT INTO tickets FORMAT JSONEachRow", "database": env["CLICKHOUSE_DB"]}
    query = urllib.parse.urlencode(asked)
    request = urllib.request.Request(
        f"http://{env['CLICKHOUSE_HOST']}:{env['CLICKHOUSE_HTTP_PORT']}/?{query}",
        data="\\n".join(map(json.dumps, rows)).encode(),
        headers={"X-ClickHouse-User": env["CLICKHOUSE_USER"], "X-ClickHouse-Key": env["CLICKHOUSE_PASSWORD"],
                 "User-Agent": "tickets/2.3 clickhouse-go/2.40.1 (lv:go/1.24.1; os:linux)"})
    if mode == "flaky" and part == 2:
        slog("WARN", "insert failed, will retry", part=part, attempt=1, err="read tcp 10.0.0.4:51012->10.0.0.7:8123: "
             "read: connection reset by peer")
    try:
        urllib.request.urlopen(request, timeout=20).read()
        slog("INFO", "part stored", part=part, err="<nil>")
    except urllib.error.HTTPError as error:
        text = error.read().decode().split("DB::Exception: ", 1)[-1].split(" (version")[0]
        code = error.headers["X-ClickHouse-Exception-Code"]
        slog("ERROR", "part failed", part=part, err=f"code: {code}, message: {text}")

threads = [threading.Thread(target=store, args=(part,)) for part in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
slog("INFO", "shutdown", reason="context canceled")
slog("INFO", "finished", parts=4, failed=0)
"""
TICKETS = (
    "CREATE TABLE shop.tickets (ticket_id UInt64, state Enum8('free' = 0, 'sold' = 1)) ENGINE = MergeTree "
    "ORDER BY ticket_id",
)
# A landing table that keeps nothing, two views behind it, and a Distributed table over what one of them fills.
WAREHOUSE = """
import logging, os, sys
from clickhouse_driver import Client
logging.basicConfig(level="INFO", format="%(asctime)s [%(process)d] %(levelname)s %(message)s", stream=sys.stdout)
env = os.environ
client = Client(env["CLICKHOUSE_HOST"], port=int(env["CLICKHOUSE_PORT"]), user=env["CLICKHOUSE_USER"],
                password=env["CLICKHOUSE_PASSWORD"], database=env["CLICKHOUSE_DB"], client_name="warehouse-copy")
try:
    client.execute("INSERT INTO events_in (event_id, kind, amount) VALUES",
                   [(n, ("view", "buy")[n % 2], None if n % 5 else n) for n in range(300)])
    logging.info("copied 300 rows, failures: none")
except Exception:
    logging.critical("copy aborted", exc_info=True)
    sys.exit(70)
"""
COLUMNS = "(event_id UInt64, kind LowCardinality(String), amount Nullable(UInt32))"
EVENTS = (
    f"CREATE TABLE shop.events_in {COLUMNS} ENGINE = Null",
    f"CREATE TABLE shop.events_local {COLUMNS} ENGINE = ReplacingMergeTree ORDER BY (kind, event_id)",
    f"CREATE TABLE shop.events {COLUMNS} ENGINE = Distributed(one, shop, events_local, cityHash64(event_id))",
    "CREATE TABLE shop.kinds (kind LowCardinality(String), n SimpleAggregateFunction(sum, UInt64), "
    "users AggregateFunction(uniq, UInt64)) ENGINE = AggregatingMergeTree ORDER BY kind",
    "CREATE MATERIALIZED VIEW shop.events_mv TO shop.events_local AS SELECT * FROM shop.events_in",
)
KINDS_VIEW = (
    "CREATE MATERIALIZED VIEW shop.kinds_mv TO shop.kinds AS SELECT kind, count() AS n, uniqState(event_id) AS users "
    "FROM shop.events_in {where} GROUP BY kind"
)
COUNTED = [
    {"name": "by kind", "kind": "consistency", "table": "kinds", "source": "events_local", "key": {"kind": "kind"},
     "values": {"n": "count()"}},
    {"name": "once", "kind": "duplicates", "table": "events", "key": ["kind", "event_id"]},
]  # fmt: skip


@dataclass(repr=False)
class Project(Loader):
    """A loader whose profile is written here."""

    targets: Sequence[str] = ()
    checks: Sequence[dict[str, Any]] = ()

    @property
    def profile(self) -> dict[str, Any]:
        return {"targets": list(self.targets), "checks": list(self.checks), "job": self.pipeline}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A server that is a cluster of its own."""
    port = free_port()
    replica = f"<host>127.0.0.1</host><port>{port}</port><user>loader</user><password>{PASSWORD}</password>"
    config = f"<remote_servers><one><shard><replica>{replica}</replica></shard></one></remote_servers>"
    users = {"loader": {"password": PASSWORD}}
    folder = tmp_path_factory.mktemp("projects")
    with start_engine(folder, users=users, tcp_port=port, config_xml=f"<clickhouse>{config}</clickhouse>") as running:
        yield running


@pytest.fixture
def project(engine: Engine, tmp_path: Path) -> Iterator[Any]:
    """Makes a project over a fresh schema and runs it once."""

    def run(program: str, command: Sequence[str], schema: Sequence[str], *targets: str, **given: Any) -> Judged:
        engine.query(f"DROP DATABASE IF EXISTS {DATABASE} SYNC")
        for statement in (f"CREATE DATABASE {DATABASE}", *schema):
            engine.query(statement)
        (tmp_path / "program").write_text(program)
        checks = given.pop("checks", ())
        return Project(
            engine, tmp_path, "foreign", command=[*command, "program"], workdir=tmp_path, targets=targets,
            checks=checks, env={**environment(engine), "PATH": os.environ["PATH"], **given},
        ).run()  # fmt: skip

    yield run
    engine.query(f"DROP DATABASE IF EXISTS {DATABASE} SYNC")


def only(judged: Judged, cause: str, *said: str) -> None:
    """One error, of this cause, with these words in its headline or fix."""
    assert [error.cause for error in judged.errors] == [cause], judged
    text = f"{judged.errors[0].headline}\n{judged.errors[0].next_step}"
    assert not [word for word in said if word not in text], judged


@pytest.mark.parametrize("mode", ["plain", "trace"])
def test_a_script_with_curl_that_waited_passes(project: Any, mode: str) -> None:
    judged = project(SHELL, ["bash"], STOCK, "stock", MODE=mode, POINT=".")
    assert judged.verdict == "PASS", judged
    assert not judged.errors, judged


def test_a_decimal_comma_in_a_csv_is_a_value_too_many(project: Any) -> None:
    judged = project(SHELL, ["bash"], STOCK, "stock", MODE="plain", POINT=",")
    only(judged, "server_column_count", "more values than the 4 columns", "stands in quotes")
    assert "format_csv_delimiter" not in str(judged.errors[0].next_step)


def test_a_node_program_that_falls_back_to_its_table_passes(project: Any) -> None:
    judged = project(NODE, ["node"], ORDERS, "orders", MODE="ok")
    assert judged.verdict == "PASS", judged
    assert "then wrote into shop.orders" in "\n".join(finding.headline for finding in judged.findings), judged


def test_a_node_program_with_a_bad_value_is_told_by_its_column(project: Any) -> None:
    # The refused fallback is none: the second INSERT is refused as well.
    judged = project(NODE.replace("orders_v2", "orders"), ["node"], ORDERS, "orders", MODE="bad")
    only(judged, "server_type_mismatch", "shop.orders.qty", "'pcs'")


def test_a_table_that_is_missing_stays_the_cause_where_nothing_was_written_instead(project: Any) -> None:
    judged = project(NODE.replace("INTO orders ", "INTO orders_v3 "), ["node"], ORDERS, "orders", MODE="ok")
    assert judged.verdict == "FAIL", judged
    assert {error.cause for error in judged.errors} == {"server_missing_table"}, judged


def test_a_program_of_threads_whose_retry_was_taken_passes(project: Any) -> None:
    judged = project(GO, [sys.executable], TICKETS, "tickets", MODE="flaky")
    assert judged.verdict == "PASS", judged


def test_a_part_that_a_program_swallowed_is_named(project: Any) -> None:
    judged = project(GO, [sys.executable], TICKETS, "tickets", MODE="swallow")
    only(judged, "server_type_mismatch", "shop.tickets.state", "'resold'")


@pytest.mark.parametrize("target", ["events_in", "events", "events_local", "kinds"])
def test_a_landing_table_that_keeps_nothing_passes_by_whatever_table_is_its_target(project: Any, target: str) -> None:
    schema = (*EVENTS, KINDS_VIEW.format(where=""))
    judged = project(WAREHOUSE, [sys.executable], schema, target, checks=COUNTED)
    assert judged.verdict == "PASS", judged
    assert not [finding for finding in judged.findings if finding.severity != "info"], judged


def test_a_view_behind_a_landing_table_is_the_cause(project: Any) -> None:
    schema = (*EVENTS, KINDS_VIEW.format(where="WHERE toUInt8(kind) > 0"))
    judged = project(WAREHOUSE, [sys.executable], schema, "events_in", checks=COUNTED)
    only(judged, "server_view_failed", "shop.kinds_mv", "the other views of shop.events_in")


def test_a_distributed_table_that_nothing_filled_fails(project: Any) -> None:
    schema = [statement for statement in EVENTS if "events_mv" not in statement]
    judged = project(WAREHOUSE, [sys.executable], schema, "events")
    assert judged.verdict == "FAIL", judged
