"""Loaders that run under the recorder as the ingest stage runs them, and a source that tells a total."""

from __future__ import annotations

import json
import os
import sys
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import brotli
import pytest
from ansible.module_utils.ingest_verify.env_file import public_env
from ansible.module_utils.ingest_verify.facts.recorded import Recorded, read_recorded
from ansible.module_utils.ingest_verify.findings import Finding
from ansible.module_utils.ingest_verify.process import ProcessResult, run_process
from ansible.module_utils.ingest_verify.recorder import make_file, variables

from tests.stages import PASSWORD, Stage, server, stage  # noqa: F401 - fixtures

ROOT = Path(__file__).resolve().parents[2]
LOADERS = Path(__file__).with_name("loaders")


def encoded(coding: str, body: bytes) -> tuple[str, bytes]:
    """A body's coding by its name in HTTP, and the coded body."""
    name = coding.removesuffix("chunked").rstrip("-")
    if name == "br":
        return "br", brotli.compress(body)
    if name in ("gzip", "deflate", "raw-deflate"):
        stream = zlib.compressobj(wbits={"gzip": 31, "deflate": 15, "raw-deflate": -15}[name])
        return name.removeprefix("raw-"), stream.compress(body) + stream.flush()
    return "", body


class Source:
    """An API with `total` orders in pages of 50, that tells its total as Qtickets documents it."""

    def __init__(self) -> None:
        self.total, self.per_page, self.status, self.tells, self.tickets = 3, 50, 200, True, 1
        # What it stands before, as a proxy that loses the answers: (host, port).
        self.behind = ("127.0.0.1", 0)
        source = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body by one write: TCP would hold the second back.
            wbufsize = 1 << 20

            def do_GET(self) -> None:
                asked = parse_qs(urlsplit(self.path).query)
                page = int(asked.get("page", ["1"])[0])
                orders = range((page - 1) * source.per_page, min(page * source.per_page, source.total))
                answer: dict[str, object] = {"data": [{"id": number, "tickets": source.tickets} for number in orders]}
                if source.tells:
                    answer["paging"] = {"perPage": source.per_page, "currentPage": page, "total": source.total}
                words = urlsplit(self.path).path.split("/")
                coding, form = words[2:4] if len(words) == 4 else ("plain", "json")
                body, kind = json.dumps(answer if source.status == 200 else {"error": "no"}).encode(), "json"
                if form == "lines":
                    body = b"".join(b'{"id": %d, "tickets": 1}\n' % number for number in orders)
                    kind = "x-ndjson"
                elif form == "csv":
                    body = b"id,tickets\n" + b"".join(b"%d,1\n" % number for number in orders)
                self.send_response(source.status)
                self.send_header("Content-Type", "text/csv" if form == "csv" else f"application/{kind}")
                self.send_header("X-Total-Count", str(source.total)) if source.tells else None
                content_coding, body = encoded(coding, body)
                if content_coding:
                    self.send_header("Content-Encoding", content_coding)
                if "chunked" in coding:
                    self.send_header("Transfer-Encoding", "chunked")
                    body = b"".join(
                        b"%x\r\n%s\r\n" % (len(part), part)
                        for part in [body[at : at + 700] for at in range(0, len(body), 700)] + [b""]
                    )
                else:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                behind = HTTPConnection(*source.behind)
                behind.request("POST", self.path, self.rfile.read(int(self.headers["Content-Length"])))
                behind.getresponse().read()
                behind.close()
                self.send_response(504)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def source() -> Iterator[Source]:
    running = Source()
    yield running
    running.server.shutdown()
    running.server.server_close()


@dataclass
class Run:
    """How a loader ended, what it logged, what was recorded."""

    result: ProcessResult
    log: Path
    file: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def recorded(self) -> Recorded:
        return read_recorded(self.file)

    @property
    def ingest(self) -> dict[str, object]:
        return {**self.result.to_dict(), "env": public_env(self.env)}


def run_loader(folder: Path, command: list[str], python: str = sys.executable, **env: str) -> Run:
    """Run a Python program under the recorder."""
    file, log = folder / "recorder.jsonl", folder / "ingest.log"
    make_file(str(file), 0o600)
    given = {**env, **variables(str(ROOT / "recorder"), str(file), env)}
    result = run_process(
        [python, *command], log_file=log, environment=given, chdir=str(folder), timeout_seconds=60, grace_seconds=2
    )
    return Run(result, log, file, env)


def interpreters() -> list[str]:
    """Every CPython from 3.8 to 3.14 that this machine has, one of each minor version, and those that the variable
    RECORDER_PYTHONS names: paths, as in PATH. Of musl for one."""
    found: dict[int, str] = {}
    folders = [*Path.home().glob(".pyenv/versions/*/bin"), *map(Path, os.get_exec_path())]
    for minor in range(8, 15):
        for folder in folders:
            python = folder / f"python3.{minor}"
            # A shim of a version manager may be there without the version.
            if minor not in found and "shims" not in folder.parts and os.access(python, os.X_OK):
                found[minor] = str(python)
    named = [path for path in os.environ.get("RECORDER_PYTHONS", "").split(os.pathsep) if path]
    return [*found.values(), *named] or [sys.executable]


@dataclass
class Loaded:
    """Runs loaders against one source and one database, and judges them as the play does."""

    stage: Stage
    source: Source
    folder: Path

    def run(self, name: str, arguments: Sequence[str] = (), python: str | None = None, **env: str) -> Run:
        given = {
            "SOURCE_URL": self.source.url, "CLICKHOUSE_HOST": self.stage.engine.host,
            "CLICKHOUSE_PORT": str(self.stage.engine.http_port), "CLICKHOUSE_DB": self.stage.database,
            "NATIVE_PORT": str(self.stage.engine.tcp_port),
            "CLICKHOUSE_USER": "ingest", "CLICKHOUSE_PASSWORD": PASSWORD, **env,
        }  # fmt: skip
        return run_loader(self.folder, [str(LOADERS / name), *arguments], python or sys.executable, **given)

    def judge(self, run: Run, *targets: str) -> list[Finding]:
        """The error findings of the first run."""
        said = self.stage.judge(
            client_log=run.log.read_text(), path=run.log, ingest=run.ingest, targets=list(targets),
            recorder_file=str(run.file),
        )  # fmt: skip
        self.message = said.message(5)
        self.findings = said.findings
        return [finding for finding in said.findings if finding.severity == "error"]


@pytest.fixture
def loaded(stage: Stage, source: Source, tmp_path: Path) -> Loaded:  # noqa: F811 - the fixture
    stage.admin(
        f"CREATE TABLE {stage.database}.orders (order_id String, tickets UInt32) ENGINE = MergeTree ORDER BY order_id"
    )
    return Loaded(stage, source, tmp_path)
