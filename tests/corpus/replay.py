"""Play a case offline: its recorded rows stand in for the system tables of a local engine, and `diagnose` asks them.

Rows are kept by system table, not by statement, so that a change of the product's SQL does not make a recording
worthless. The SQL runs on the local engine as it is, only `system.<table>` leads to the recorded rows and the clock is
the recorded one. That costs some tenths of a second a case; answers are kept, so that a statement which did not change
costs nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from ansible.module_utils.ingest_verify.client import ServerError, connect, query
from ansible.module_utils.ingest_verify.diagnosis.diagnose import diagnose
from ansible.module_utils.ingest_verify.diagnosis.log_only import diagnose_log
from ansible.module_utils.ingest_verify.diagnosis.request import Request
from ansible.module_utils.ingest_verify.diagnosis.result import Diagnosis
from ansible.module_utils.ingest_verify.facts.server import read_window

from embedded.testing import Engine, start_engine

from .case import Case, Recording
from .data import PASSWORD, USER, play_data

LOGS = (
    "query_log", "query_views_log", "asynchronous_insert_log", "text_log", "session_log", "part_log", "crash_log",
)  # fmt: skip
"""Log tables: everything that they hold of the run is recorded."""
CATALOG = ("databases", "tables", "columns")
"""Of these the system database's own rows are the local engine's."""
STATE = (
    "errors", "users", "settings_profile_elements", "mutations", "parts", "replicas", "distribution_queue", "processes",
    "merges", "asynchronous_inserts", "kafka_consumers", "quotas_usage", "dictionaries",
)  # fmt: skip
RECORDED = (*LOGS, *CATALOG, *STATE)
_KEPT = Path(__file__).resolve().parent / ".answers.jsonl"
_NONE, _CASE = "corpus_none", "corpus_case"
# Not within a literal: the name of a log table is told in the findings.
_ROTATED = re.compile(r"_\d+$")
_SYSTEM_TABLE = re.compile(r"(?<![\w.'`])system\.(`?)(\w+)\1")
EMPTY = Recording(
    {"since": "2026-11-23 04:00:00.000000", "until": "2026-11-23 04:02:00.000000", "uptime_seconds": 86400},
    {"users": [{"name": "ingest", "storage": "users_xml"}], "databases": [{"name": "shop", "engine": "Atomic"}]},
)
"""A server that saw nothing of the run."""
# What the local engine would log of the replay itself costs more than its answers.
_QUIET = """<clickhouse>
    <logger><level>error</level></logger>
    <text_log><level>error</level></text_log>
    <background_schedule_pool_size>2</background_schedule_pool_size>
</clickhouse>"""
DEFAULTS = {"database": "shop", "users": ["ingest"]}
"""What is asked where a case does not say otherwise."""


class Replay:
    """Plays one case after the other; the local engine starts with the first statement that was never asked before.

    Answers are kept in a file beside the cases, by statement and recording: only what changed is asked anew.
    """

    def __init__(self, folder: Path, kept: Path | None = _KEPT) -> None:
        self._folder = folder
        self._kept = kept
        self._answers: dict[str, Any] = {}
        self._loaded = ""
        self._stack = ExitStack()
        self._engine: Engine | None = None
        if kept and kept.exists():
            for line in kept.read_text(encoding="utf-8").splitlines():
                # A line that two writers mixed up is asked again.
                with suppress(ValueError):
                    self._answers.update([json.loads(line)])

    def play(self, case: Case, log: Path | None = None, recording: Recording | None = None) -> Diagnosis:
        """The product's answer to a case; `log` and `recording` stand in for the case's own."""
        if "data" in case.data:
            return play_data(case, self._running())
        path = log or case.log
        asked = {**DEFAULTS, **(case.data.get("asked") or {})}
        request = partial(Request, client_log=str(path) if path else None, ingest=case.ingest, **asked)
        if case.data.get("server") == "none":
            return diagnose_log(request(), "nothing listens at the address that was given")
        server = _Server(self, recording or case.recording or EMPTY)
        meta = server.recording.meta
        before = {**read_window(partial(server.query, then=True)), "at": meta["since"]}
        before["uptime_seconds"] = meta["uptime_seconds"]
        waits = 0 if meta.get("unproven") else 5
        given = request(since=meta["since"], until=meta["until"], window_before=before, flush_wait_seconds=waits)
        return diagnose(server.query, server.mark, given)

    def close(self) -> None:
        """End the local engine."""
        self._stack.close()

    def answer(self, sql: str, recording: Recording) -> list[dict[str, Any]]:
        """The rows of a statement whose tables are already those of the recording."""
        # What no row of the case can change, such as the columns of the log tables, is asked once for all cases.
        own = recording.digest if f"{_CASE}." in sql else ""
        key = hashlib.sha256(f"{own}\n{sql}".encode()).hexdigest()[:24]
        if key not in self._answers:
            self._answers[key] = self._ask(sql, recording)
            text = json.dumps([key, self._answers[key]], default=str)
            # A value that JSON does not give back as it was is asked each time.
            if self._kept and json.loads(text) == [key, self._answers[key]]:
                with self._kept.open("a", encoding="utf-8") as file:
                    file.write(text + "\n")
        found = self._answers[key]
        if isinstance(found, dict):
            raise ServerError(found["code"], found["message"], sql)
        return [dict(row) for row in found]

    def _ask(self, sql: str, recording: Recording) -> Any:
        self._running()
        if f"{_CASE}." in sql and self._loaded != recording.digest:
            self._load(recording)
        try:
            return query(self._client, sql)
        except ServerError as error:
            return {"code": error.code, "message": error.message}

    def _running(self) -> Engine:
        if self._engine is None:
            self._engine = self._start()
        return self._engine

    def _start(self) -> Engine:
        users = {USER: {"password": PASSWORD, "grants": ["GRANT ALL ON *.*"]}}
        engine = self._stack.enter_context(start_engine(self._folder, users=users, config_xml=_QUIET))
        login = {"login_host": engine.host, "login_port": engine.tcp_port, "login_password": engine.password}
        self._client = connect({**login, "login_user": engine.user})
        self._stack.callback(self._client.disconnect)
        run = partial(query, self._client)
        run("SYSTEM FLUSH LOGS")
        # A few rows: threads and compiled expressions would cost more than the answers.
        run("SET max_threads = 1, compile_expressions = 0, compile_aggregate_expressions = 0, log_queries = 0")
        run(f"CREATE DATABASE {_NONE}")
        present = {row["name"] for row in run("SELECT name FROM system.tables WHERE database = 'system'")}
        for name in sorted(present.intersection(RECORDED)):
            run(f"CREATE TABLE {_NONE}.{name} AS system.{name} ENGINE = Memory")
        for name in CATALOG:
            key = "name" if name == "databases" else "database"
            run(f"INSERT INTO {_NONE}.{name} SELECT * FROM system.{name} WHERE {key} = 'system'")
        return engine

    def _load(self, recording: Recording) -> None:
        run = partial(query, self._client)
        run(f"DROP DATABASE IF EXISTS {_CASE} SYNC")
        run(f"CREATE DATABASE {_CASE}")
        for table, rows in sorted(recording.rows.items()):
            like = _ROTATED.sub("", table.removesuffix("_before"))
            run(f"CREATE TABLE {_CASE}.{table} AS {_NONE}.{like} ENGINE = Memory")
            if table in CATALOG:
                run(f"INSERT INTO {_CASE}.{table} SELECT * FROM {_NONE}.{table}")
            self._insert(table, rows)
        self._loaded = recording.digest

    def _insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        engine = self._running()
        settings = {"input_format_skip_unknown_fields": 1, "date_time_input_format": "best_effort"}
        sql = f"INSERT INTO {_CASE}.{table} FORMAT JSONEachRow"
        login = {"user": engine.user, "password": engine.password}
        url = f"{engine.http_url}/?{urllib.parse.urlencode({'query': sql, **login, **settings})}"
        lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        with urllib.request.urlopen(url, data=lines.encode(), timeout=30):
            pass


class _Server:
    """Answers the product's statements from a case's rows, by the clock of its end."""

    def __init__(self, replay: Replay, recording: Recording) -> None:
        self.recording = recording
        self._replay = replay
        self._marker = ""
        meta = recording.meta
        self._denied = set(meta.get("denied", ()))
        # Who may not read a table does not see it in the catalog either.
        self._absent = set(meta.get("absent", ())) | self._denied
        self._rotated = [name for name in recording.rows if _ROTATED.search(name)]
        took = (_time(meta["until"]) - _time(meta["since"])).total_seconds()
        now = f"toDateTime64('{meta['until']}', 6, 'UTC')"
        self._clock = [
            (re.compile(r"\bnow64\([^)]*\)"), now),
            (re.compile(r"\bnow\(\)"), f"toDateTime({now})"),
            (re.compile(r"\btoday\(\)"), f"toDate({now})"),
            # Smaller than it was by the clock where the server went down in between.
            (re.compile(r"\buptime\(\)"), f"toUInt32({meta.get('uptime_after', meta['uptime_seconds'] + took)})"),
            (re.compile(r"\bhostName\(\)"), "'ch-1'"),
        ]

    def query(self, sql: str, *, then: bool = False) -> list[dict[str, Any]]:
        """The rows of one statement; `then` asks the counters as they stood before the run."""
        if sql.startswith("SYSTEM FLUSH LOGS"):
            return []
        if self._marker and self._marker in sql:
            # Asks whether the marker came out in query_log.
            return [{"n": int(not self.recording.meta.get("unproven"))}]
        for pattern, text in self._clock:
            sql = pattern.sub(text, sql)
        # Of the system database the local engine's own rows are the answer.
        of_system = "database = 'system'" in sql

        def lead(match: re.Match[str]) -> str:
            name = match[2]
            if name in self._denied:
                raise ServerError(497, f"Not enough privileges to SELECT from system.{name}.", sql)
            if name in self._absent:
                raise ServerError(60, f"Table system.{name} does not exist.", sql)
            if name not in (*RECORDED, *self._rotated):
                return match[0]
            own = "errors_before" if then and name == "errors" else name
            held = own in self.recording.rows and not of_system
            return f"{_CASE}.{own}" if held else f"{_NONE}.{name}"

        sql = _SYSTEM_TABLE.sub(lead, sql)
        for name in self._rotated if of_system else ():
            like = f"SELECT * FROM {_NONE}.columns WHERE table = '{_ROTATED.sub('', name)}'"
            like = f"SELECT * REPLACE ('{name}' AS table) FROM ({like})"
            sql = sql.replace(f"{_NONE}.columns", f"(SELECT * FROM {_NONE}.columns UNION ALL {like})")
        if self._absent and of_system:
            hidden = ", ".join(f"'{name}'" for name in sorted(self._absent))
            sql = sql.replace(
                f"{_NONE}.columns",
                f"(SELECT * FROM {_NONE}.columns WHERE NOT (database = 'system' AND table IN ({hidden})))",
            )
        return self._replay.answer(sql, self.recording)

    def mark(self, query_id: str) -> None:
        """The marker statement of the channel's proof."""
        self._marker = query_id


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f")


@contextmanager
def start_replay(folder: Path | None = None, kept: Path | None = _KEPT) -> Iterator[Replay]:
    """A replay whose local engine, where one was needed, is ended afterwards."""
    with tempfile.TemporaryDirectory() as made:
        replay = Replay(folder or Path(made), kept)
        try:
            yield replay
        finally:
            replay.close()
