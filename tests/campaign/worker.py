"""One reset, restore or removal as the modules do it, in a process of its own that can be killed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ansible.module_utils.ingest_verify.reset import flow
from ansible.module_utils.ingest_verify.reset.compose import Compose
from ansible.module_utils.ingest_verify.reset.content import Ingest
from ansible.module_utils.ingest_verify.reset.embedded import Embedded
from ansible.module_utils.ingest_verify.reset.journal import RUNS, Journal
from ansible.module_utils.ingest_verify.reset.request import Answer, Backend, Request

from tests.plays import ROOT

PASSWORD = "pw"


def backend_of(site: dict[str, Any]) -> Backend:
    """What is reset: an engine in a folder, or a Compose project."""
    if site["kind"] == "embedded":
        options = {"host": "127.0.0.1", "http_port": site["http"], "tcp_port": site["native"], "timezone": "UTC"}
        return Embedded(str(ROOT), site["folder"], options, {"admin": PASSWORD}, 60)
    return Compose(
        directory=site["folder"],
        files=[],
        service="clickhouse",
        container=site["container"],
        network=site["network"],
        targets=["/var/lib/clickhouse", "/var/log/clickhouse-server"],
        host="127.0.0.1",
        http_port=site["http"],
        native_port=site["native"],
        password=PASSWORD,
        wait_seconds=60,
    )


def act(what: str, site: dict[str, Any]) -> str:
    """What it said of itself."""
    backend = backend_of(site)
    login = {
        "login_host": "127.0.0.1",
        "login_port": site["native"],
        "login_user": "admin",
        "login_password": PASSWORD,
    }
    request = Request(
        login=login,
        http_port=site["http"],
        ingest=Ingest("loader"),
        run_id="campaign",
        confirm=backend.place,
        writers=["admin: production"],
        wait_seconds=60,
    )
    if what == "reset":
        return flow.reset(backend, request).summary
    if what == "restore":
        return flow.restore(backend, request).summary
    journal, answer = Journal(backend.journal_folder), Answer()
    for move in journal.moves():
        if move.made_by == RUNS:
            flow.delete(backend, request, move.stamp, answer, journal)
    return f"{len(answer.changes)} deleted"


if __name__ == "__main__":
    print(act(sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))))
