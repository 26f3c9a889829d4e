"""Foreign loaders with real clients whose failure the words of their log do not tell: each with its healthy twin."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.diagnosis.result import Diagnosis

from tests.stages import PASSWORD, Stage, errors, headline

PAGES = """
import logging, os, sys
from concurrent.futures import ThreadPoolExecutor
from clickhouse_driver import Client
logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s [%(threadName)s] %(message)s", stream=sys.stdout)

def connect():
    return Client(os.environ["CH_HOST"], port=int(os.environ["CH_PORT"]), user=os.environ["CH_USER"],
                  password=os.environ["CH_PASSWORD"], database=os.environ["CH_DB"], send_receive_timeout=2)

shared, failed = connect() if os.environ["SHARE"] else None, []

def load(page):
    client = shared or connect()
    try:
        client.execute("SELECT count(), sleep(0.2) FROM pages WHERE page = %(page)s", {"page": page})
        client.execute("INSERT INTO pages (page, n) VALUES", [(page, n) for n in range(3000)])
        logging.info("page %s loaded", page)
    except Exception as error:
        failed.append(page)
        if os.environ["LOG_AS"] == "trace":
            logging.exception("page %s failed", page)
        else:
            logging.error("page %s failed: %s", page, error)

with ThreadPoolExecutor(4) as pool:
    list(pool.map(load, range(12)))
logging.info("%s of 12 pages failed", len(failed))
sys.exit(1 if failed else 0)
"""
READINGS = """
import logging, os, sys
import clickhouse_connect
logging.basicConfig(level="INFO", format="%(asctime)s - %(name)s - %(levelname)s - %(message)s", stream=sys.stdout)
log = logging.getLogger("import_csv")
try:
    client = clickhouse_connect.get_client(
        host=os.environ["CLICKHOUSE_HOST"], port=int(os.environ["CLICKHOUSE_PORT"]), compress=False,
        username=os.environ["CLICKHOUSE_USER"], password=os.environ["CLICKHOUSE_PASSWORD"],
        database=os.environ["CLICKHOUSE_DB"])
    if os.environ["WHAT"] == "big":
        client.insert("readings", [[n, "x" * 50] for n in range(60000)], column_names=["id", "note"])
    else:
        client.command("INSERT INTO readings SELECT number, toString(sleepEachRow(0.5)) FROM numbers(6) "
                       "SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 60000000")
    log.info("inserted")
except Exception as error:
    log.error("import failed: %s", error)
    sys.exit(1)
"""
SHIPPER = """
import datetime, json, logging, os, sys, warnings
import clickhouse_connect
logging.basicConfig(level="DEBUG", format="%(asctime)s %(levelname)-7s %(name)s | %(message)s", stream=sys.stdout)
logging.captureWarnings(True)
log = logging.getLogger("shipper")
warnings.warn("this will be an error in the future", DeprecationWarning)
try:
    import no_such_parser
except ImportError:
    log.debug("no fast parser, falling back to the standard one", exc_info=True)
client = clickhouse_connect.get_client(host=os.environ["CH_HOST"], port=int(os.environ["CH_PORT"]),
    username=os.environ["CH_USER"], password=os.environ["CH_PASSWORD"], database=os.environ["CH_DB"])
records = [("error", "Code: 241. DB::Exception: Memory limit (total) exceeded (MEMORY_LIMIT_EXCEEDED)"),
           ("fatal", "Traceback (most recent call last): KeyError: 'price'"),
           ("warn", "connection refused, retrying in 5s"), ("info", "payment failed: card declined")]
for level, text in records:
    log.info("sample of the batch: %s", json.dumps({"level": level, "message": text}))
client.insert("app_logs", [[datetime.datetime(2026, 11, 28), l, t] for l, t in records],
              column_names=["time", "level", "message"])
log.info("shipped 4 records, failed=0, error_rate=0.0")
"""


def play(stage: Stage, folder: Path, program: str, port: int, **env: str) -> tuple[int, str]:
    """Run a loader against the stage; (exit code, its log)."""
    login = {"HOST": stage.engine.host, "PORT": str(port), "USER": "ingest", "PASSWORD": PASSWORD, "DB": stage.database}
    names = {f"{prefix}_{name}": value for prefix in ("CH", "CLICKHOUSE") for name, value in login.items()}
    (folder / "loader.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "loader.py"], env={**os.environ, **names, **env}, cwd=folder, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def judge(stage: Stage, folder: Path, log: str, code: int | None, env: dict[str, Any], *targets: str) -> Diagnosis:
    ingest = None if code is None else {"exit_code": code, "env": env}
    return stage.judge(client_log=log, path=folder / "log", ingest=ingest, targets=targets)


@pytest.mark.parametrize("log_as", ["text", "trace"])
def test_threads_that_share_a_client_are_named(stage: Stage, tmp_path: Path, log_as: str) -> None:
    stage.admin(f"CREATE TABLE {stage.database}.pages (page UInt32, n UInt32) ENGINE = MergeTree ORDER BY (page, n)")
    port = stage.engine.tcp_port
    code, log = play(stage, tmp_path, PAGES, port, SHARE="yes", LOG_AS=log_as)
    assert code == 1, log
    for known in (code, None):
        said = judge(stage, tmp_path, log, known, {"CH_HOST": stage.engine.host, "CH_PORT": port}, "pages")
        found = headline(said)
        assert (found.cause, found.fix_side) == ("client_shared_connection", "loader"), log
        assert "one client of its own" in (found.next_step or "")


def test_threads_with_a_client_each_give_no_finding(stage: Stage, tmp_path: Path) -> None:
    stage.admin(f"CREATE TABLE {stage.database}.pages (page UInt32, n UInt32) ENGINE = MergeTree ORDER BY (page, n)")
    code, log = play(stage, tmp_path, PAGES, stage.engine.tcp_port, SHARE="", LOG_AS="text")
    assert code == 0, log
    assert errors(judge(stage, tmp_path, log, code, {}, "pages")) == []


@pytest.fixture
def proxy(stage: Stage) -> Iterator[int]:
    """A reverse proxy as an ingress is by default: bodies above 1 MiB are refused, it waits 1 s; its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status: int, body: bytes, kind: str = "text/html") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def page(self, title: str) -> None:
            self.close_connection = True
            text = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
            self.answer(int(title[:3]), f"{text}<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n".encode())

        def do_POST(self) -> None:
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                body = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if len(body) > 1 << 20:
                self.page("413 Request Entity Too Large")
                return
            upstream = http.client.HTTPConnection(stage.engine.host, stage.engine.http_port, timeout=1)
            passed = {
                key: value
                for key, value in self.headers.items()
                if key.lower() not in ("host", "transfer-encoding", "content-length", "connection")
            }
            try:
                upstream.request(self.command, self.path, body, passed)
                got = upstream.getresponse()
                self.answer(got.status, got.read(), got.getheader("Content-Type") or "text/plain")
            except TimeoutError:
                self.page("504 Gateway Time-out")

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("what", "cause", "told"),
    [("big", "client_proxy_refused", "never got"), ("slow", "client_proxy_timeout", "may have finished")],
)
def test_a_proxy_in_front_of_clickhouse_is_named(
    stage: Stage, tmp_path: Path, proxy: int, what: str, cause: str, told: str
) -> None:
    stage.admin(f"CREATE TABLE {stage.database}.readings (id UInt64, note String) ENGINE = MergeTree ORDER BY id")
    code, log = play(stage, tmp_path, READINGS, proxy, WHAT=what)
    assert code == 1, log
    env = {"CLICKHOUSE_HOST": "127.0.0.1", "CLICKHOUSE_PORT": str(proxy), "CLICKHOUSE_DB": stage.database}
    found = headline(judge(stage, tmp_path, log, code, env, "readings"))
    assert (found.cause, found.object) == (cause, f"127.0.0.1:{proxy}")
    assert told in found.headline
    assert "API" not in f"{found.headline} {found.next_step}"


def test_a_proxy_that_lets_pass_gives_no_finding(stage: Stage, tmp_path: Path, proxy: int) -> None:
    stage.admin(f"CREATE TABLE {stage.database}.readings (id UInt64, note String) ENGINE = MergeTree ORDER BY id")
    code, log = play(stage, tmp_path, READINGS.replace("range(60000)", "range(60)"), proxy, WHAT="big")
    assert code == 0, log
    assert errors(judge(stage, tmp_path, log, code, {}, "readings")) == []


@pytest.mark.parametrize("known", [True, False])
def test_a_log_full_of_words_of_failure_gives_no_finding(stage: Stage, tmp_path: Path, known: bool) -> None:
    stage.admin(
        f"CREATE TABLE {stage.database}.app_logs (time DateTime, level LowCardinality(String), message String) "
        "ENGINE = MergeTree ORDER BY time"
    )
    code, log = play(stage, tmp_path, SHIPPER, stage.engine.http_port)
    assert code == 0, log
    said = judge(stage, tmp_path, log, code if known else None, {}, "app_logs")
    assert said.verdict == "PASS"
    assert [finding for finding in said.findings if finding.severity != "info"] == []
