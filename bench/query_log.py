"""Rows read and time of the diagnosis in a big query_log, against the same statements that filter by event_time only.

python -m bench.query_log            # 20 million rows over 90 days
python -m bench.query_log --rows 2000000
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible.module_utils
from clickhouse_driver import Client

ROOT = Path(__file__).resolve().parents[1]
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))

from ansible.module_utils.ingest_verify.client import query  # noqa: E402
from ansible.module_utils.ingest_verify.facts.server import Evidence  # noqa: E402

from embedded.testing import start_engine  # noqa: E402

# Every 50th statement fails, users and programs vary, each statement has its start and its end.
FILL = """
INSERT INTO system.query_log (type, event_date, event_time, event_time_microseconds, query_start_time,
    query_start_time_microseconds, query_id, initial_query_id, is_initial_query, query_kind, user, initial_user,
    client_name, http_user_agent, address, normalized_query_hash, query, current_database, written_rows, exception_code,
    exception)
SELECT if(number % 2 = 0, 'QueryStart', if(number % 50 = 1, 'ExceptionWhileProcessing', 'QueryFinish')),
    toDate(at), toDateTime(at), at, toDateTime(at), at, toString(intDiv(number, 2)), toString(intDiv(number, 2)), 1,
    ['Select', 'Insert'][1 + intDiv(number, 2) % 2], ['ingest', 'dashboard', 'dbt', 'admin'][1 + intDiv(number, 2) % 4],
    ['ingest', 'dashboard', 'dbt', 'admin'][1 + intDiv(number, 2) % 4], '',
    ['loader/1', 'Grafana/10', 'dbt/1.8', 'curl/8'][1 + intDiv(number, 2) % 4], toIPv6('::ffff:172.18.0.5'),
    cityHash64(intDiv(number, 2) % 1000), concat('INSERT INTO t', toString(intDiv(number, 2) % 1000), ' (a, b) VALUES'),
    'zakaz', 100, if(number % 50 = 1, 60, 0), if(number % 50 = 1, 'Code: 60. DB::Exception: Table t does not exist', '')
FROM (SELECT number, now64(6) - toIntervalMicrosecond(toInt64((1 - number / {rows}) * {days} * 86400 * 1000000)) AS at
    FROM numbers({start}, {count}))
"""
_DATES = re.compile(r"event_date >= toDate\('[^']+'\) AND event_date <= toDate\('[^']+'\) AND ")


def naive_form(sql: str) -> str:
    """The same statement without the conditions on event_date."""
    return _DATES.sub("", sql)


class Counting:
    """Runs statements and adds up the rows and bytes that the server says it read, and the time."""

    def __init__(self, client: Client, rewrite: Callable[[str], str] = str) -> None:
        self.client = client
        self.rewrite = rewrite
        self.rows = 0
        self.seconds = 0.0

    def __call__(self, sql: str) -> list[dict[str, Any]]:
        started = time.perf_counter()
        result = query(self.client, self.rewrite(sql))
        self.seconds += time.perf_counter() - started
        self.rows += self.client.last_query.progress.rows
        return result


def ask(evidence: Evidence) -> list[Any]:
    """What one diagnosis asks of query_log."""
    window = evidence.window(None, None, 5)
    filters = {"user": ["ingest"]}
    return [
        evidence.statements(window, filters, [], only_started_inside=True),
        evidence.unfinished(window, filters, []),
        evidence.noise(window, filters, []),
        evidence.earlier_failures(window, filters),
        evidence.active_before(window, filters),
        evidence.run_settings(window, ["ingest"]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, start_engine(Path(folder)) as engine:
        engine.flush_logs()
        client = engine.client(client_name="bench", settings={"log_queries": 0, "use_query_condition_cache": 0})
        chunk = 1_000_000
        for start in range(0, options.rows, chunk):
            count = min(chunk, options.rows - start)
            client.execute(FILL.format(rows=options.rows, days=options.days, start=start, count=count))
        client.execute("OPTIMIZE TABLE system.query_log")
        parts, size = client.execute(
            "SELECT count(), formatReadableSize(sum(bytes_on_disk)) FROM system.parts"
            " WHERE active AND table = 'query_log'"
        )[0]
        print(f"query_log: {options.rows:,} rows over {options.days} days, {parts} parts, {size}\n")
        print("| server | filter | rows read | times fewer | ms (median) |")
        print("| --- | --- | ---: | ---: | ---: |")
        # Newer servers put minmax indices on a log table's times, which 24.8 has not.
        for server, skip in (("24.8: no minmax index on times", 0), ("26.9: with minmax indices", 1)):
            client.execute(f"SET use_skip_indexes = {skip}")
            naive = 0
            for label, rewrite in (("`event_time` only", naive_form), ("`event_date` first (ours)", str)):
                times = []
                for _ in range(options.repeat):
                    counting = Counting(client, rewrite)
                    ask(Evidence(counting))
                    times.append(counting.seconds * 1000)
                naive = naive or counting.rows
                cells = f"{counting.rows:,} | {naive / counting.rows:.0f} | {statistics.median(times):.0f}"
                print(f"| {server} | {label} | {cells} |")


if __name__ == "__main__":
    main()
