"""Rows and bytes that the data checks read: one pass per table, against one query per check and Great Expectations.

python -m bench.checks                                   # 100 million rows, some 15 GB of disk while it runs
python -m bench.checks --rows 5000000 --gx-python /tmp/gx/bin/python

The checks are the role's own on the orders staging table. `--gx-python` names an interpreter with great_expectations,
clickhouse-sqlalchemy and clickhouse-driver (`python -m venv /tmp/gx; /tmp/gx/bin/pip install ...`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ansible.module_utils

ROOT = Path(__file__).resolve().parents[1]
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))
for folder in (ROOT, ROOT / "ingest"):
    sys.path.insert(0, str(folder))

from ansible.module_utils.ingest_verify.checks import read_request, run_checks  # noqa: E402

from embedded.testing import Engine, start_engine  # noqa: E402
from tests.data_checks import ORDERS, Loaded, fresh_database, role_checks  # noqa: E402

EVENTS = 500
VER = 2
BATCH = 10_000_000
# The last percent of the orders is this run's, written again over an earlier version.
SHARE_OF_RUN = 100


def fill(target: Loaded, rows: int) -> None:
    """Orders of an earlier run, merged, then this run's own on top; without the view, which is not what is measured."""
    target.query("DROP VIEW mv_qtickets_sales_latest")
    target.query(
        "INSERT INTO dim_events (event_id, event_name, city, _ver) "
        f"SELECT number, 'e', 'c', {VER} FROM numbers({EVENTS})"
    )
    row = (
        f"toString(number), toString(number % {EVENTS}), 'moscow', now() - number % 86400, 1 + number % 3, "
        "toDecimal64(100 + number % 5000, 2), 'RUB', {ver}, lower(hex(sipHash128(number)))"
    )
    for first in range(0, rows, BATCH):
        count = min(BATCH, rows - first)
        target.query(f"INSERT INTO {ORDERS} SELECT {row.format(ver=1)} FROM numbers({first}, {count})")
    target.query(f"OPTIMIZE TABLE {ORDERS} FINAL")
    target.query(f"INSERT INTO {ORDERS} SELECT {row.format(ver=VER)} FROM numbers({rows // SHARE_OF_RUN})")


def split(checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The checks with each rule for a column as a check of its own, as tools have them that know no common pass."""
    rules = ("not_empty", "not_epoch", "not_wrapped", "whole_cents", "ranges")
    apart = []
    for check in checks:
        declared = {rule: check[rule] for rule in rules if rule in check}
        rest = {key: value for key, value in check.items() if key not in declared}
        if not declared:
            apart.append(check)
        for rule, value in declared.items():
            columns = [{name: limits} for name, limits in value.items()] if isinstance(value, dict) else [value]
            columns = value if isinstance(value, list) else columns
            apart += [{**rest, "name": f"{check['name']}: {rule} {column}", rule: column} for column in columns]
    return apart


def metrics(target: Loaded) -> dict[str, Any]:
    """What the loader of this run would have recorded."""
    rows, tickets, revenue = target.query(
        f"SELECT count(), sum(tickets_sold), toString(sum(revenue)) FROM {ORDERS} WHERE _ver = {VER}"
    )[0]
    orders = {"fetched": rows, "kept": rows, "dropped": {}}
    return {
        "ver": VER,
        "entities": {"orders": orders},
        "written": {ORDERS: rows},
        "sums": {"tickets_sold": tickets, "revenue": revenue},
    }


def read_by(engine: Engine, since: str, user: str) -> dict[str, int]:
    """What a user's queries on the orders read since a moment, from the server's own log."""
    engine.flush_logs()
    queries, rows, size, milliseconds = engine.query(
        "SELECT count(), sum(read_rows), sum(read_bytes), sum(query_duration_ms) FROM system.query_log "
        f"WHERE type != 'QueryStart' AND query_kind = 'Select' AND user = '{user}' "
        f"AND event_time_microseconds > '{since}' AND arrayExists(name -> endsWith(name, '.{ORDERS}'), tables)"
    )[0]
    return {"queries": queries, "rows": rows, "bytes": size, "ms": milliseconds}


def measure(target: Loaded, groups: list[list[dict[str, Any]]], user: str) -> dict[str, Any]:
    """Run each group of checks on its own, as `user`; the outcome's statuses beside what was read."""
    since = target.now()
    statuses: list[str] = []
    known = {"metrics": metrics(target), "window": {"from": since, "to": since}}
    for checks in groups:
        request = read_request(
            {"database": target.database, "checks": checks, "run": known, "limits": {"seconds": 3600}}
        )
        client = target.engine.client(user, "", database=target.database)
        client.connection.send_receive_timeout = 3600
        outcome = run_checks(client, request)
        client.disconnect()
        statuses += [f"{check['name']}: {check['status']}" for check in outcome.checks]
    return read_by(target.engine, since, user) | {"statuses": statuses}


def great_expectations(target: Loaded, python: str, user: str) -> dict[str, Any]:
    """The same checks as expectations, as far as it has them."""
    since = target.now()
    url = f"clickhouse+native://{user}:@{target.engine.host}:{target.engine.tcp_port}/{target.database}"
    done = subprocess.run(
        [python, str(Path(__file__).with_name("checks_great_expectations.py")), url, ORDERS, str(VER)],
        env={**os.environ, "GX_ANALYTICS_ENABLED": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"Great Expectations failed:\n{done.stderr[-2000:]}")
    return read_by(target.engine, since, user) | {"statuses": json.loads(done.stdout.splitlines()[-1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--gx-python", help="interpreter that has great_expectations")
    args = parser.parse_args()
    checks = [
        check for check in role_checks()[0] if check["table"] == ORDERS and check["kind"] not in ("consistency", "sql")
    ]
    # The limits keep a machine that does other work alive; they are the same for all.
    limits = {"max_memory_usage": 9_000_000_000, "max_bytes_before_external_group_by": 2_000_000_000}
    names = ("together", "apart", "rules", "expectations")
    users = {name: {"password": "", "profile_settings": limits} for name in names}
    with (
        tempfile.TemporaryDirectory(prefix="bench-checks-") as folder,
        start_engine(Path(folder), users=users) as engine,
        fresh_database(engine, "together", "") as target,
    ):
        started = time.monotonic()
        fill(target, args.rows)
        print(f"{args.rows} rows written in {time.monotonic() - started:.0f} s", flush=True)
        measured = {"one pass per table": measure(target, [checks], "together")}
        measured["one query per check"] = measure(target, [[check] for check in checks], "apart")
        measured["one query per rule"] = measure(target, [[check] for check in split(checks)], "rules")
        if args.gx_python:
            measured["Great Expectations"] = great_expectations(target, args.gx_python, "expectations")
    ours = measured["one pass per table"]
    print("| way | queries | rows read | bytes read | seconds | rows, times | bytes, times |")
    print("|---|---|---|---|---|---|---|")
    for name, found in measured.items():
        print(
            f"| {name} | {found['queries']} | {found['rows'] / 1e6:.1f} M | {found['bytes'] / 1e9:.2f} GB | "
            f"{found['ms'] / 1e3:.1f} | {found['rows'] / ours['rows']:.1f} | {found['bytes'] / ours['bytes']:.1f} |"
        )
    for name, found in measured.items():
        print(f"{name}: {'; '.join(found['statuses'])}")


if __name__ == "__main__":
    main()
