"""What the recorder costs: the same run of the loader with and without it, in turns.

    python -m bench.recorder --orders 100000 --rounds 9

Wall time is that of the whole process, from its start to its end; CPU is the process's own. Each round plays both, and
the cost is the median of the rounds' ratios: the machine's other work comes and goes more slowly than a round.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import ansible.module_utils

from bench.loader import BATCH, HOURS, NOW, ROOT, WINDOW, database, run
from embedded.testing import start_engine
from simulator.testing import start_simulator

ansible.module_utils.__path__.append(str(ROOT / "module_utils"))

from ansible.module_utils.ingest_verify.facts.recorded import read_recorded  # noqa: E402
from ansible.module_utils.ingest_verify.recorder import make_file, variables  # noqa: E402


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench.recorder."))
    file = folder / "recorder.jsonl"
    (folder / "api").mkdir()
    scale = {"orders": asked.orders, "hours": HOURS, "now": NOW, "prebuilt": True, "timeout": 600}
    took: dict[str, list[tuple[float, float]]] = {"without": [], "with": []}
    with (
        start_engine(folder / "engine") as engine,
        start_simulator(folder / "api", **scale) as api,
    ):
        for number in range(asked.rounds + 1):
            for contender in took if number % 2 else reversed(took):
                name = f"bench_{contender}_{number}"
                database(engine, name)
                env = {
                    "QTICKETS_BASE_URL": api.url, "QTICKETS_TOKEN": api.token, "ORG_NAME": "bench",
                    "CLICKHOUSE_HOST": engine.host, "CLICKHOUSE_PORT": str(engine.http_port), "CLICKHOUSE_DB": name,
                    "CLICKHOUSE_USER": engine.user, "CLICKHOUSE_PASSWORD": engine.password,
                    "CLICKHOUSE_BATCH_ROWS": str(BATCH), "PYTHONPATH": str(ROOT / "ingest"),
                }  # fmt: skip
                if contender == "with":
                    make_file(str(file), 0o600)
                    env |= variables(str(ROOT / "recorder"), str(file), env)
                _, cpu, wall, _ = run([sys.executable, "-m", "qtickets_api", *WINDOW], env)
                engine.query(f"DROP DATABASE {name} SYNC")
                # The first round fills caches.
                if number:
                    took[contender].append((wall, cpu))
                print(f"{number} {contender}: {wall:.2f} s, {cpu:.2f} s of CPU", file=sys.stderr)
    recorded = read_recorded(file)
    if not recorded.processes or not recorded.exchanges:
        raise SystemExit(f"nothing was recorded: {recorded.gaps}")
    more = [
        statistics.median(one[part] / other[part] for one, other in zip(took["with"], took["without"], strict=True)) - 1
        for part in (0, 1)
    ]
    print("| orders | recorder | least s | median s | CPU s (median) | events | bytes | wall time more | CPU more |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, rounds in took.items():
        walls, cpus = zip(*rounds, strict=True)
        events = len(file.read_bytes().splitlines()) if name == "with" else 0
        size = file.stat().st_size if name == "with" else 0
        print(
            f"| {asked.orders:,} | {name} | {min(walls):.2f} | {statistics.median(walls):.2f} | "
            f"{statistics.median(cpus):.2f} | {events} | {size:,} | "
            + (f"{more[0]:+.1%} | {more[1]:+.1%} |" if name == "with" else "| |")
        )


if __name__ == "__main__":
    main()
