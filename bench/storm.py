"""What a diagnosis costs when its window holds millions of failing statements, and what it costs inserts beside it.

python -m bench.storm                          # 10 million failing statements of one shape
python -m bench.storm --rows 50000000
python -m bench.storm --rows 20000 --distinct 10000
python -m bench.storm --text-rows 20000000
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import ansible.module_utils
from clickhouse_driver import Client

ROOT = Path(__file__).resolve().parents[1]
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))

from ansible.module_utils.ingest_verify import client as client_module  # noqa: E402
from ansible.module_utils.ingest_verify.client import BOUNDS, connect, query, send_marker  # noqa: E402
from ansible.module_utils.ingest_verify.diagnosis.diagnose import diagnose  # noqa: E402
from ansible.module_utils.ingest_verify.diagnosis.request import Request  # noqa: E402
from ansible.module_utils.ingest_verify.diagnosis.result import Diagnosis  # noqa: E402

from embedded.testing import Engine, start_engine  # noqa: E402

# A loader that repeats INSERTs into tables that are not there, without end: each statement has a row of its own.
FAILING = """
INSERT INTO system.query_log (type, event_date, event_time, event_time_microseconds, query_start_time,
    query_start_time_microseconds, query_id, initial_query_id, is_initial_query, query_kind, user, initial_user,
    http_user_agent, address, normalized_query_hash, query, current_database, exception_code, exception)
SELECT 'ExceptionBeforeStart', toDate(at), toDateTime(at), at, toDateTime(at), at, id, id, 1, 'Insert', 'ingest',
    'ingest', 'loader/1', toIPv6('::ffff:172.18.0.5'), cityHash64(name),
    concat('INSERT INTO zakaz.', name, ' (a, b) VALUES (', toString(number), ')'), 'zakaz', 60,
    concat('Code: 60. DB::Exception: Table zakaz.', name, ' does not exist. (UNKNOWN_TABLE), Stack trace: ',
        repeat('x', 300))
FROM (SELECT number, now64(6) - toIntervalMicrosecond(toInt64((1 - number / {rows}) * 240 * 1000000)) AS at,
    toString(generateUUIDv4(number)) AS id,
    concat('missing_', if({distinct} > 1, hex(sipHash64(number % {distinct})), 'one')) AS name
    FROM numbers({start}, {count}))
"""
TEXT = """
INSERT INTO system.text_log (event_date, event_time, event_time_microseconds, level, query_id, logger_name, message)
SELECT toDate(at), toDateTime(at), at, 'Error', toString(generateUUIDv4(number)), 'DynamicQueryHandler',
    concat('Code: 516. DB::Exception: nobody', toString(number), ': Authentication failed. (AUTHENTICATION_FAILED)')
FROM (SELECT number, now64(6) - toIntervalMicrosecond(toInt64((1 - number / {rows}) * 240 * 1000000)) AS at
    FROM numbers({start}, {count}))
"""
CHUNK = 1_000_000
WAYS = {
    "2 threads": {"max_threads": 2},
    "1 thread": {"max_threads": 1},
}


def fill(client: Client, statement: str, rows: int, distinct: int) -> None:
    for start in range(0, rows, CHUNK):
        count = min(CHUNK, rows - start)
        client.execute(statement.format(rows=rows, start=start, count=count, distinct=distinct))


def judge(engine: Engine) -> tuple[Diagnosis, float]:
    """The diagnosis, and how long it took in seconds."""
    login = {"login_host": engine.host, "login_port": engine.tcp_port, "login_user": engine.user}
    begun = time.perf_counter()
    client = connect({**login, "login_password": engine.password})
    # A run that failed and sent nothing that query_log knows is when text_log is read.
    request = Request(
        users=["ingest"], database="zakaz", window_minutes=10, ingest={"exit_code": 1, "env": {}}, targets=["orders"]
    )
    answer = diagnose(partial(query, client), partial(send_marker, client), request)
    client.disconnect()
    return answer, time.perf_counter() - begun


class Writer(threading.Thread):
    """Inserts without end, and notes how long each one took."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.client = engine.client(settings={"log_queries": 0})
        self.client.execute("CREATE TABLE default.beside (id UInt64, text String) ENGINE = MergeTree ORDER BY id")
        self.seconds: list[float] = []
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            begun = time.perf_counter()
            self.client.execute(
                "INSERT INTO default.beside SELECT number, toString(cityHash64(number)) FROM numbers(100000)"
            )
            self.seconds.append(time.perf_counter() - begun)


def beside(engine: Engine, rounds: int) -> None:
    """Inserts before and during one diagnosis: the ways in turn, so that a busy machine slows all of them alike."""
    writer = Writer(engine)
    writer.start()
    quiet: dict[str, list[float]] = {way: [] for way in WAYS}
    loaded: dict[str, list[float]] = {way: [] for way in WAYS}
    judged: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, settings in WAYS.items():
            start = len(writer.seconds)
            time.sleep(max(1.0, judged[way][-1] if judged[way] else 0))
            middle = len(writer.seconds)
            client_module.BOUNDS = {**BOUNDS, **settings}
            judged[way].append(judge(engine)[1])
            end = len(writer.seconds)
            quiet[way] += writer.seconds[start:middle]
            loaded[way] += writer.seconds[middle:end]
    writer.ended.set()
    writer.join()
    print("| way | one diagnosis | an insert before | during | more |\n|---|---|---|---|---|")
    for way in WAYS:
        before, during = (statistics.median(each[way]) * 1000 for each in (quiet, loaded))
        print(
            f"| {way} | {statistics.median(judged[way]):.1f} s | {before:.0f} ms | {during:.0f} ms"
            f" | {(during / before - 1) * 100:+.0f} % |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="failing statements in the window")
    parser.add_argument("--distinct", type=int, default=1, help="tables that they name")
    parser.add_argument("--text-rows", type=int, default=0, help="errors in text_log that belong to no statement")
    parser.add_argument("--beside", action="store_true", help="measure inserts without and with the diagnosis")
    parser.add_argument("--rounds", type=int, default=5, help="with --beside: diagnoses of each way")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        start_engine(Path(folder), users={"ingest": {}, "admin": {"password": "p"}}) as engine,
    ):
        engine.query("SELECT 1")
        engine.flush_logs()
        client = engine.client(client_name="bench", settings={"log_queries": 0})
        client.execute("CREATE DATABASE zakaz")
        fill(client, FAILING, options.rows, options.distinct)
        fill(client, TEXT, options.text_rows, 1)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answer, seconds = judge(engine)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        engine.flush_logs()
        slowest, memory, size, count = client.execute(
            "SELECT max(query_duration_ms), max(memory_usage), max(read_bytes), count() FROM system.query_log"
            " WHERE type != 'QueryStart' AND position(client_name, 'clickhouse-ingest-verify') > 0"
        )[0]
        print(f"{options.rows:,} failing, {options.distinct:,} distinct, {options.text_rows:,} in text_log")
        print(
            f"{answer.verdict}, {len(answer.findings)} findings {answer.reasons}: {seconds:.1f} s, {count} statements"
        )
        print(f"one statement at most: {slowest / 1000:.1f} s, {memory / 2**20:.0f} MiB, {size / 2**20:.0f} MiB read")
        print(f"the module: {before / 1024:.0f} MiB before, {after / 1024:.0f} MiB after")
        if options.beside:
            beside(engine, options.rounds)


if __name__ == "__main__":
    main()
