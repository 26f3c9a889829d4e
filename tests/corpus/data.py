"""Play a case about the rows themselves: its statements run on the local engine, and the declared checks judge them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from ansible.module_utils.ingest_verify.checks import read_request, run_checks
from ansible.module_utils.ingest_verify.client import connect, query
from ansible.module_utils.ingest_verify.diagnosis.result import Diagnosis

from embedded.testing import Engine

from .case import Case

USER, PASSWORD = "ingest", "Corpus-pw-4711"
DATABASE = "shop"


def statements(text: str) -> list[str]:
    """The statements of a text, each ended by a semicolon at the end of its line."""
    return [part.strip() for part in re.split(r";\s*\n|;\s*$", text) if part.strip()]


def play_data(case: Case, engine: Engine) -> Diagnosis:
    """The checks' answer: `schema` and `after` are statements of an admin, `before` and `run` of the loader."""
    given: dict[str, Any] = case.data["data"]
    login = {"login_host": engine.host, "login_port": engine.tcp_port, "login_user": engine.user}
    admin = connect({**login, "login_password": engine.password})
    ask = partial(query, admin)
    ask(f"CREATE DATABASE {DATABASE}")
    ask(f"USE {DATABASE}")
    try:
        _send(ask, given.get("schema", ""))
        _load(engine, given.get("before", ""), {})
        since = ask("SELECT toString(now64(6, 'UTC')) AS at")[0]["at"]
        _load(engine, given.get("run", ""), given.get("settings") or {})
        until = ask("SELECT toString(now64(6, 'UTC')) AS at")[0]["at"]
        _send(ask, given.get("after", ""))
        run = {"user": USER, "window": {"from": since, "to": until}, **(given.get("known") or {})}
        request = read_request({"database": DATABASE, "checks": given["checks"], "run": run})
        found = run_checks(admin, request).findings
    finally:
        ask("DROP DATABASE shop SYNC")
        admin.disconnect()
    return Diagnosis(findings=found)


def _load(engine: Engine, text: str, settings: dict[str, Any]) -> None:
    # Not the product's own connection: its statements are never those of a run.
    client = engine.client(USER, PASSWORD, database=DATABASE)
    _send(lambda statement: client.execute(statement, settings=settings), text)
    client.disconnect()


def _send(ask: Callable[[str], Any], text: str) -> None:
    for statement in statements(text):
        ask(statement)
