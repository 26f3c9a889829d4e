"""Record cases anew on the real engine: `make corpus`. Plays `play` of each case.yml and keeps log, rows and exit code.

Names of this machine, ports, passwords and folders are replaced; rows keep the columns that carry a value.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ansible.module_utils.ingest_verify.client import connect, query
from ansible.module_utils.ingest_verify.env_file import public_env
from ansible.module_utils.ingest_verify.process import run_process

from embedded.testing import Engine, start_engine

from .case import CASES, RECORDING, Case, read_cases
from .data import PASSWORD, USER, statements
from .replay import CATALOG, LOGS, STATE

# Big, of no use to a diagnosis, or of this machine.
_LEFT_OUT = re.compile(
    r"ProfileEvents|.*thread.*|revision|client_version.*|client_revision|.*port|os_user|used_.*|transaction_id|"
    r"partitions|uuid|data_paths|metadata_path|.*_uuid|formatted_query|hostname|client_hostname|.*trace.*|symbols|"
    r"lines|script_.*|asynchronous_read_counters|source_file|source_line|query_masked.*|quota_key|distributed_depth|"
    r"projections|session_id|auth_.*|roles|profiles|as_select|settings|valid_until|clickhouse_version|connection_.*|"
    r"system_processor|build_id|host_.*|grantees_.*|default_roles_.*|columns|loading_depend.*|message_format_string|"
    r"value[1-9]\d*|definer|storage_policy|parameterized_view_parameters|.*modification_time|type_id|path|result_.*|"
    r"is_secure|read_bytes|read_rows|initial_.*time.*|initial_address|columns_written|skip_indices|is_internal|"
    r"query_cache_usage|http_method|http_referer|forwarded_for|interface|server_settings|has_own_data|statistics|"
    r"serialization_hint|numeric_.*|disk_name|.*hash_of.*|.*_tid|removal_.*|.*_time_attempt.*|last_removal.*|"
    r".*allocated|delete_ttl.*|.*_bytes_in_memory.*|marks.*|refcount|.*compressed.*|bytes_on_disk|lifetime_.*|"
    r"data_version|min_block.*|max_block.*|part_type|primary_key_size|files|.*_ttl_info.*|visible|"
    r"last_error_format_string|active_.*|path_on_disk|data_path"
)
_SETTINGS = re.compile(
    r"log_queries|log_comment|async_insert|wait_for_async|max_|insert_|readonly|date_time_input|input_"
)
_VIA = {"clickhouse-driver": "tcp", "asynch": "tcp", "clickhouse-sqlalchemy": "tcp"}


def record(cases: Iterable[Case], python: str) -> Iterator[Case]:
    """Play cases and write `loader.log` and the recording into their folders.

    Cases share an engine, unless one asks for users or a configuration of its own.
    """
    cases = list(cases)
    own = [case for case in cases if {"user", "config_xml", "users_xml"} & set(case.data["play"])]
    with tempfile.TemporaryDirectory() as made:
        users = {USER: {"password": PASSWORD}, "other": {"password": PASSWORD}}
        with start_engine(Path(made) / "engine", users=users) as engine:
            for number, case in enumerate(case for case in cases if case not in own):
                _play(case, engine, Path(made) / str(number), python)
                yield case
    for case in own:
        play = case.data["play"]
        users[USER] = {"password": PASSWORD, **(play.get("user") or {})}
        xml = {key: play[key].replace("@PASSWORD@", PASSWORD) for key in ("config_xml", "users_xml") if key in play}
        with tempfile.TemporaryDirectory() as made, start_engine(Path(made) / "engine", users=users, **xml) as engine:
            _play(case, engine, Path(made) / "0", python)
        yield case


def _play(case: Case, engine: Engine, folder: Path, python: str) -> None:
    play: dict[str, Any] = case.data["play"]
    login = {"login_host": engine.host, "login_port": engine.tcp_port, "login_user": engine.user}
    client = connect({**login, "login_password": engine.password})
    ask = partial(query, client)
    database = {"database": "shop", **(case.data.get("asked") or {})}["database"]
    ask(f"CREATE DATABASE IF NOT EXISTS `{database}`")
    for statement in statements(play.get("schema", "")):
        ask(statement)
    ask("SYSTEM FLUSH LOGS")
    counters = _rows(engine, "errors")
    since = ask("SELECT toString(now64(6, 'UTC')) AS at")[0]["at"]
    uptime = ask("SELECT toInt64(uptime()) AS s")[0]["s"]
    (folder / "app").mkdir(parents=True)
    for path in case.folder.iterdir():
        if path.suffix in (".py", ".mjs", ".json", ".csv"):
            (folder / "app" / path.name).write_bytes(path.read_bytes())
    log = folder / "app.log"
    native = (play.get("port") or _VIA.get(str(case.data.get("client")), "http")) == "tcp"
    env = {
        "CLICKHOUSE_HOST": engine.host, "CLICKHOUSE_PORT": str(engine.tcp_port if native else engine.http_port),
        "CLICKHOUSE_OTHER_PORT": str(engine.http_port if native else engine.tcp_port),
        "CLICKHOUSE_USER": USER, "CLICKHOUSE_PASSWORD": PASSWORD, "CLICKHOUSE_DB": database,
        "PYTHONPATH": str(Path(__file__).resolve().parent), "NODE_PATH": os.environ.get("CORPUS_NODE", ""),
        "PYTHONUNBUFFERED": "1", **(play.get("env") or {}),
    }  # fmt: skip
    command = play.get("command") or [python, "loader.py"]
    result = run_process(
        command, log_file=log, environment=env, chdir=str(folder / "app"),
        timeout_seconds=float(play.get("timeout", 60)), grace_seconds=2,
    )  # fmt: skip
    for statement in statements(play.get("after", "")):
        ask(statement)
    ask("SYSTEM FLUSH LOGS")
    until = ask("SELECT toString(now64(6, 'UTC')) AS at")[0]["at"]
    hidden = [
        (str(engine.http_port), "8123"), (str(engine.tcp_port), "9000"), (PASSWORD, "********"),
        (str(folder / "app"), "/app"), (str(folder), "/var/lib"), (str(engine.dir), "/var/lib/clickhouse"),
        (socket.gethostname(), "loader-1"),
        (str(Path(__file__).resolve().parent), "/app"), (str(Path(python).absolute().parent.parent), "/venv"),
        (sys.prefix, "/venv"), (os.environ.get("CORPUS_NODE", "/nowhere"), "/app/node_modules"),
    ]  # fmt: skip

    def clean(text: str) -> str:
        for found, shown in hidden:
            text = re.sub(rf"(?<![\w.]){re.escape(found)}(?!\d)", lambda _, to=shown: to, text)
        return re.sub(r"/(?:root|home)/[^\s\"':,]*?/lib/python", "/usr/lib/python", text)

    # The counters first: a table that this engine does not have would count as an error of the run.
    # An upgrade leaves the old form of a log table behind under another name.
    rotated = [
        row["name"]
        for row in ask("SELECT name FROM system.tables WHERE database = 'system' AND match(name, '_log_[0-9]+$')")
    ]
    rows = {name: _rows(engine, name, since) for name in (*STATE, *LOGS, *CATALOG, *rotated)}
    then = {(row["code"], row["remote"]): row for row in counters}
    now = rows["errors"]
    rows["errors"] = [r for r in now if then.get((r["code"], r["remote"]), {}).get("value") != r["value"]]
    rows["errors_before"] = [then[r["code"], r["remote"]] for r in rows["errors"] if (r["code"], r["remote"]) in then]
    ingest = result.to_dict()
    kept = ("exit_code", "signal", "timed_out", "oom_killed", "duration_seconds", "outcome", "explained")
    shown_env = {
        key: value
        for key, value in public_env(env).items()
        if key.startswith("CLICKHOUSE") or key in (play.get("env") or {})
    }
    shown_env.pop("CLICKHOUSE_OTHER_PORT", None)
    meta = {
        "since": since, "until": until, "uptime_seconds": uptime,
        "ingest": {
            **{key: ingest[key] for key in kept}, "timeout_seconds": float(play.get("timeout", 60)), "env": shown_env,
            "command": play.get("shown_command", "python loader.py"), "container": bool(play.get("container")),
        },
    }  # fmt: skip
    meta.update(play.get("meta") or {})
    lines = [json.dumps(meta)]
    for name, found in rows.items():
        lines += [json.dumps([name, _slim(row)], default=str, ensure_ascii=False) for row in found]
    (case.folder / RECORDING).write_text(clean("\n".join(lines)) + "\n", encoding="utf-8")
    (case.folder / "loader.log").write_text(clean(log.read_text(errors="replace")), encoding="utf-8")
    for row in ask(
        "SELECT name FROM system.databases"
        " WHERE name NOT IN ('system', 'default') AND lower(name) != 'information_schema'"
    ):
        ask(f"DROP DATABASE `{row['name']}` SYNC")
    client.disconnect()


def _rows(engine: Engine, table: str, since: str = "") -> list[dict[str, Any]]:
    """What a system table holds of the run; the recorder's own statements and the system's rows are left out."""
    admin = engine.user
    where = {
        # The start of a statement says nothing that its end does not.
        "query_log": f"user != '{admin}' AND (type != 'QueryStart' OR query_id NOT IN (SELECT query_id FROM"
        " system.query_log WHERE type != 'QueryStart'))", "session_log": f"user != '{admin}' AND interface != 'Local'",
        "text_log": "level <= 'Warning' AND query_id NOT IN (SELECT query_id FROM system.query_log"
        f" WHERE user = '{admin}')",
        "databases": "name NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema', 'default')",
        "part_log": "database != 'system'",
        "crash_log": "1",
        "parts": "database != 'system' AND active", "merges": "database != 'system'",
        "processes": f"user NOT IN ('{admin}', '')", "users": f"name != '{admin}'", "errors": "value > 0",
        "quotas_usage": "0",
    }  # fmt: skip
    where["query_log_0"] = where["query_log"]
    default = "database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema')" if table in CATALOG else "1"
    since = (
        f" AND event_time_microseconds >= toDateTime64('{since}', 6, 'UTC')"
        if re.sub(r"_\d+$", "", table) in LOGS and table != "crash_log"
        else ""
    )
    sql = f"SELECT * FROM system.{table} WHERE {where.get(table, default)}{since} FORMAT JSONEachRow"
    settings = {"user": engine.user, "password": engine.password, "output_format_json_quote_64bit_integers": 0}
    try:
        with urllib.request.urlopen(
            f"{engine.http_url}/?{urllib.parse.urlencode(settings)}", data=sql.encode(), timeout=30
        ) as answer:
            return [json.loads(line) for line in answer.read().decode().splitlines()]
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise RuntimeError(f"{table}: {error.read().decode()[:500]}") from None
        return []  # a table that this engine does not have


def _slim(row: dict[str, Any]) -> dict[str, Any]:
    if isinstance(row.get("Settings"), dict):
        row["Settings"] = {key: value for key, value in row["Settings"].items() if _SETTINGS.match(key)}
    return {
        key: value
        for key, value in row.items()
        if value not in ("", "0", "[]", "{}", None, 0, [], {}) and not _LEFT_OUT.fullmatch(key)
    }


def main() -> None:
    """Record all cases that have a `play`, or those whose name holds the word given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="?", default="")
    parser.add_argument("--corpus", type=Path, default=CASES)
    parser.add_argument("--missing", action="store_true", help="only cases without a recording")
    options = parser.parse_args()
    python = os.environ.get("CORPUS_PYTHON", sys.executable)
    wanted = [
        case
        for case in read_cases(options.corpus)
        if "play" in case.data and options.only in case.name and not (options.missing and case.recording)
    ]
    for case in record(wanted, python):
        print(f"{case.name}: {(case.folder / RECORDING).stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main()
