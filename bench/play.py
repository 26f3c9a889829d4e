"""The local run against a bare script of the same steps, side by side: wall time, CPU, module executions, stages.

`python -m bench.play [runs]` plays `verify.yml -i local` and the bare script in turn, in a folder of their own.
"""

from __future__ import annotations

import json
import os
import re
import resource
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from clickhouse_driver import Client

from tests.plays import ROOT, Site, free_port

# What the runbook asks the server for after a load.
_QUERIES = (
    "SELECT count() FROM system.query_log WHERE type IN ('ExceptionBeforeStart', 'ExceptionWhileProcessing')",
    "SELECT count() FROM system.text_log WHERE level <= 'Error'",
    "SELECT count() FROM zakaz.stg_qtickets_api_orders_raw",
    "SELECT count() FROM zakaz.stg_qtickets_api_inventory_raw",
    "SELECT max(sale_ts) FROM zakaz.stg_qtickets_api_orders_raw",
)


def measured(step: Any) -> tuple[float, float]:
    """Seconds of wall time and of CPU, children included, that `step()` takes."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    step()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def bare(site: Site) -> dict[str, float]:
    """Engine, schema, simulator, the same loader and the runbook's queries, without Ansible; seconds by step."""
    http, native, api = free_port(), free_port(), free_port()
    folder, token = site.folder / "bare", secrets.token_hex(8)
    folder.mkdir(exist_ok=True)
    steps: dict[str, float] = {}

    def run(name: str, *command: str, given: str = "", **environment: str) -> None:
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/ingest", **environment},
            input=given,
            text=True,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        steps[name] = time.perf_counter() - began

    engine = ("--dir", str(folder / "clickhouse"))
    ports = ("--http-port", str(http), "--tcp-port", str(native), "--user=admin", "--passwords-stdin")
    run("engine", "embedded", "start", *engine, *ports, given=json.dumps({"admin": token}))
    ready = folder / "ready.json"
    token_file = folder / "token"
    token_file.write_text(token, encoding="utf-8")
    simulator = subprocess.Popen(
        [sys.executable, "-m", "simulator", "--port", str(api), "--ready-file", str(ready)]
        + ["--token-file", str(token_file)]
        + [f"--{name}={value}" for name, value in site.variables["qtickets_ingest_simulator_options"].items()],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    try:
        client = Client("127.0.0.1", port=native, user="admin", password=token)
        began = time.perf_counter()
        client.execute("CREATE DATABASE IF NOT EXISTS zakaz")
        text = (ROOT / "sql/bootstrap_schema.sql").read_text(encoding="utf-8")
        client.execute("USE zakaz")
        for statement in re.split(r";\s*\n", re.sub(r"--[^\n]*", "", text)):
            if statement.strip():
                client.execute(statement)
        steps["schema"] = time.perf_counter() - began
        while not ready.exists():
            time.sleep(0.01)
        steps["simulator"] = time.perf_counter() - began - steps["schema"]
        run(
            "ingest",
            "qtickets_api",
            QTICKETS_TOKEN=token,
            QTICKETS_BASE_URL=f"http://127.0.0.1:{api}/api/rest/v1",
            ORG_NAME="bench",
            DRY_RUN="false",
            CLICKHOUSE_HOST="127.0.0.1",
            CLICKHOUSE_PORT=str(http),
            CLICKHOUSE_USER="admin",
            CLICKHOUSE_PASSWORD=token,
            CLICKHOUSE_DB="zakaz",
        )
        began = time.perf_counter()
        client.execute("SYSTEM FLUSH LOGS")
        for query in _QUERIES:
            client.execute(query)
        # The engine's end waits for sessions that are open.
        client.disconnect()
        steps["queries"] = time.perf_counter() - began
    finally:
        simulator.terminate()
        simulator.wait()
        run("stop", "embedded", "stop", *engine)
    return steps


def stages(output: str) -> dict[str, float]:
    """Seconds by stage, as the run's own lines tell them."""
    return {name: float(took) for name, took in re.findall(r"^\S (?:\w+: )?(\w+) +(\d+\.\d) s", output, re.MULTILINE)}


def main(runs: int = 3) -> None:
    """Print the table of bench/README.md."""
    os.environ["ANSIBLE_STDOUT_CALLBACK"] = "ingest_verify"
    played, scripted, by_stage, by_step = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="bench.") as place:
        site = Site(Path(place))
        try:
            site.play()  # caches and passwords are made here
            for _ in range(runs):
                scripted.append(measured(lambda: by_step.append(bare(site))))
                played.append(measured(lambda: by_stage.append(stages(site.play().output))))
            executions = len(re.findall("Using module file", site.play("-vvv").output))
        finally:
            site.engine("stop")
    wall, own = (statistics.median(time for time, _ in times) for times in (played, scripted))
    cpu, own_cpu = (statistics.median(time for _, time in times) for times in (played, scripted))
    print("| | the play | bare script | ratio |\n| --- | --- | --- | --- |")
    print(f"| wall time | {wall:.1f} s | {own:.1f} s | {wall / own:.1f} |")
    print(f"| CPU | {cpu:.1f} s | {own_cpu:.1f} s | {cpu / own_cpu:.1f} |")
    print(f"| module executions | {executions} | | |\n")
    for title, rows in (("the play's stage", by_stage), ("the bare script's step", by_step)):
        print(f"| {title} | median |\n| --- | --- |")
        for name in rows[0]:
            print(f"| {name} | {statistics.median(row.get(name, 0.0) for row in rows):.1f} s |")
        print()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
