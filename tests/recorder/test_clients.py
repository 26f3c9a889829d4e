"""Exchanges over the clients that loaders use: whom they were with, and what came back."""

from __future__ import annotations

import pytest

from tests.data_checks import Loaded as Checked
from tests.recorder.conftest import Loaded
from tests.stages import PASSWORD

NATIVE = """
import os, clickhouse_driver
client = clickhouse_driver.Client(
    os.environ["CLICKHOUSE_HOST"], port=int(os.environ["PORT"]), user="ingest",
    password=os.environ["CLICKHOUSE_PASSWORD"], database=os.environ["CLICKHOUSE_DB"],
)
for sql, rows in (("INSERT INTO orders (order_id, tickets) VALUES", [("1", 2)]), ("SELECT nope FROM orders", None)):
    try:
        client.execute(sql, rows)
    except Exception as error:
        print(error)
"""
HTTPX = """
import os, asyncio, httpx
print(httpx.get(os.environ["SOURCE_URL"] + "/orders?page=1&key=abcdef").json())
async def ask():
    async with httpx.AsyncClient() as client:
        print((await client.get(os.environ["SOURCE_URL"] + "/orders?page=2&key=abcdef")).json())
asyncio.run(ask())
"""
AIOHTTP = """
import os, asyncio, aiohttp
async def ask():
    async with aiohttp.ClientSession(os.environ["SOURCE_URL"]) as client:
        for page in (1, 2):
            async with client.get("/orders", params={"page": page, "key": "abcdef"}) as answer:
                print(await answer.json())
asyncio.run(ask())
"""
ASYNCH = """
import asyncio, os
from asynch import connect
async def load():
    async with connect(
        host=os.environ["CLICKHOUSE_HOST"], port=int(os.environ["PORT"]), user="ingest",
        password=os.environ["CLICKHOUSE_PASSWORD"], database=os.environ["CLICKHOUSE_DB"],
    ) as client:
        sent = ("INSERT INTO orders (order_id, tickets) VALUES", [("1", 2)]), ("SELECT nope FROM orders", None)
        for sql, rows in sent:
            try:
                async with client.cursor() as cursor:
                    await cursor.execute(sql, rows)
            except Exception as error:
                print(error)
asyncio.run(load())
"""

LOST = """
import os, sys
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit
proxy, server = urlsplit(os.environ["SOURCE_URL"]), (os.environ["CLICKHOUSE_HOST"], int(os.environ["CLICKHOUSE_PORT"]))
login = {"user": "ingest", "password": os.environ["CLICKHOUSE_PASSWORD"], "database": os.environ["CLICKHOUSE_DB"]}
for number, (host, port) in enumerate([(proxy.hostname, proxy.port), server] if sys.argv[1] == "proxy" else [server]):
    asked = HTTPConnection(host, port)
    asked.request("POST", "/?" + urlencode({**login, "query_id": f"{login['database']}-{number}"}),
                  b"INSERT INTO orders FORMAT CSV\\na,1\\nb,2\\n")
    print(asked.getresponse().status)
"""


@pytest.mark.parametrize("way", ["proxy", "direct"])
def test_an_insert_whose_answer_was_lost_is_written_and_not_acknowledged(loaded: Loaded, way: str) -> None:
    (loaded.folder / "lost.py").write_text(LOST)
    loaded.source.behind = (loaded.stage.engine.host, loaded.stage.engine.http_port)
    began = loaded.stage.since
    run = loaded.run(str(loaded.folder / "lost.py"), [way])
    lost = way == "proxy"
    name = f"{loaded.stage.database}-0"
    assert run.recorded.answered_inserts() == {
        "orders": {"answered": 1, "unanswered": int(lost), "ids": [name] if lost else []}
    }
    shop = Checked(loaded.stage.engine, loaded.stage.database, "ingest", PASSWORD)
    asked = {"name": "rows", "kind": "volume", "table": "orders", "this_run": "query_log", "limits": {"min_rows": 1}}
    window = {"from": began, "to": shop.now()}
    outcome = shop.check([asked], run={"user": "ingest", "window": window, "answered": run.recorded.answered_inserts()})
    (account,) = outcome.accounts
    assert (account.acknowledged, account.acknowledged_by) == (2, "the recorder")
    assert account.written_rows == (4 if lost else 2)
    assert [finding.cause for finding in outcome.findings] == (["data_answer_lost"] if lost else [])
    if lost:
        assert "wrote 2 row(s) of 1 INSERT(s) whose answer never reached the loader" in outcome.findings[0].headline
        assert "insert_deduplication_token" in (outcome.findings[0].next_step or "")


@pytest.mark.parametrize("program", [NATIVE, ASYNCH], ids=["clickhouse-driver", "asynch"])
def test_a_native_driver(loaded: Loaded, program: str) -> None:
    (loaded.folder / "native.py").write_text(program)
    run = loaded.run(str(loaded.folder / "native.py"), PORT=str(loaded.stage.engine.tcp_port))
    insert, select = run.recorded.exchanges
    assert (insert.verb, insert.table, insert.status, insert.clickhouse) == ("INSERT", "orders", 200, True)
    assert insert.peer == f"{loaded.stage.engine.host}:{loaded.stage.engine.tcp_port}"
    assert (select.verb, select.code, select.status) == ("SELECT", 47, None)


def test_a_server_that_is_not_there(loaded: Loaded) -> None:
    (loaded.folder / "native.py").write_text(NATIVE)
    run = loaded.run(str(loaded.folder / "native.py"), PORT="1")
    assert [(e.host, e.port, e.error, e.code) for e in run.recorded.exchanges] == [
        (loaded.stage.engine.host, 1, "NetworkError", None)
    ] * 2


@pytest.mark.parametrize("program", [HTTPX, AIOHTTP], ids=["httpx", "aiohttp"])
def test_an_http_client(loaded: Loaded, program: str) -> None:
    (loaded.folder / "client.py").write_text(program)
    loaded.source.total = 70
    run = loaded.run(str(loaded.folder / "client.py"))
    assert run.result.exit_code == 0, run.log.read_text()
    first, second = run.recorded.exchanges
    assert [(e.method, e.path, e.status, e.parameters) for e in (first, second)] == [
        ("GET", "/orders", 200, ("key", "page"))
    ] * 2
    assert [(e.told["records"], e.told["total"]) for e in (first, second)] == [(50, 70), (20, 70)]
    assert first.asked == second.asked
    assert "abcdef" not in run.file.read_text()
