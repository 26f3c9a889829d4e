"""Real loaders in their profiles: two healthy runs pass; a fault is told by its cause, side, object and fix."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from embedded.testing import Engine, start_engine
from tests.loaders import DATABASE, HERE, PASSWORD, Judged, Loader, environment, make_environment, write_orders
from tests.plays import Site

NARROW = ["GRANT SELECT, INSERT ON *.*"]
SALES = "(id UInt64, sku String, pieces UInt32, sold_at DateTime('UTC')) ENGINE = MergeTree ORDER BY id"


@dataclass
class Place:
    """The server, the loaders' programs, and a source that they read."""

    engine: Engine
    folder: Path
    programs: Path
    source: Path

    def url(self, user: str = "loader", password: str = PASSWORD, *, http: bool = False, query: str = "") -> str:
        port = self.engine.http_port if http else self.engine.tcp_port
        return f"clickhouse://{user}:{password}@{self.engine.host}:{port}/{query}"

    def loader(self, name: str, **given: object) -> Loader:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return Loader(self.engine, folder, name, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Place]:
    cache = getattr(pytestconfig, "cache", None)
    programs = make_environment(Path(cache.mkdir("loaders")) if cache else tmp_path_factory.mktemp("loaders"))
    folder = tmp_path_factory.mktemp("real")
    users = {
        "loader": {"password": PASSWORD, "grants": ["GRANT ALL ON *.*"]},
        "narrow": {"password": PASSWORD, "grants": NARROW},
    }
    with start_engine(folder / "engine", users=users) as engine:
        engine.query(f"CREATE DATABASE {DATABASE}")
        engine.query(f"CREATE TABLE {DATABASE}.sales {SALES}")
        engine.query(
            f"INSERT INTO {DATABASE}.sales SELECT number, 'S' || toString(number % 7), 1, now() FROM numbers(90)"
        )
        source = folder / "orders.csv"
        write_orders(source)
        yield Place(engine, folder, programs, source)


@pytest.fixture(scope="module")
def dlt(place: Place) -> Loader:
    env = {**environment(place.engine), "SOURCE": str(place.source), "STATE": str(place.folder / "dlt-state")}
    inventory = {"dlt_dataset": "raw", "dlt_tables": ["orders"]}
    return place.loader("dlt", command=[str(place.programs / "python"), "dlt_load.py"], env=env, inventory=inventory)


@pytest.fixture(scope="module")
def dbt(place: Place) -> Loader:
    project = place.folder / "project"
    shutil.copytree(HERE / "dbt", project)
    return place.loader(
        "dbt",
        command=[str(place.programs / "dbt"), "--no-use-colors", "build", "--profiles-dir", "."],
        workdir=project,
        env=environment(place.engine),
        inventory={"dbt_models": ["daily", "by_sku"]},
        database="marts",
    )


@pytest.fixture(scope="module")
def sling(place: Place) -> Loader:
    # The wheel has the program and no command for it.
    program = next(place.programs.parent.glob("lib/*/site-packages/sling_linux_amd64/bin/sling-linux-amd64"))
    command = f"{program} run --src-stream file://{{SOURCE}} --tgt-conn SHOP --tgt-object shop.sling_orders"
    env = {
        "SOURCE": str(place.source), "SHOP": place.url(query=DATABASE), "SLING_DISABLE_TELEMETRY": "true",
        "SLING_HOME_DIR": str(place.folder / "sling-home"),
    }  # fmt: skip
    inventory = {"sling_tables": ["sling_orders"]}
    return place.loader("sling", command=[*command.split(), "--mode", "full-refresh"], env=env, inventory=inventory)


@pytest.fixture(scope="module")
def ingestr(place: Place) -> Loader:
    env = {
        "SOURCE_URI": f"csv://{place.source}", "SOURCE_TABLE": "orders", "GONG_DISABLE_TELEMETRY": "1",
        "DESTINATION_URI": place.url(query="?secure=0"), "DESTINATION_TABLE": "shop.ingestr_orders",
    }  # fmt: skip
    command = [str(place.programs / "ingestr"), "ingest", "--yes", "--progress", "log"]
    return place.loader("ingestr", command=command, env=env, inventory={"ingestr_tables": ["ingestr_orders"]})


def headline(judged: Judged, cause: str, side: str, named: str, *fix: str) -> None:
    """One error, with this cause, side and object, and these words in its fix."""
    assert judged.verdict == "FAIL", judged
    assert len(judged.errors) == 1, judged
    found = judged.errors[0]
    assert (found.cause, found.fix_side) == (cause, side), judged
    assert named in (found.object or ""), judged
    for words in fix:
        assert words in (found.next_step or ""), judged


@pytest.mark.parametrize("name", ["dlt", "dbt", "sling", "ingestr"])
def test_two_healthy_runs_pass(name: str, request: pytest.FixtureRequest) -> None:
    loader: Loader = request.getfixturevalue(name)
    first = loader.run()
    assert first.verdict == "PASS", first
    # The second one swaps tables, where the loader does: dbt and ingestr by EXCHANGE.
    second = loader.run()
    assert second.verdict == "PASS", second
    assert not [finding for finding in second.findings if finding.severity != "info"], second
    for table in loader.profile["targets"]:
        assert loader.engine.query(f"SELECT count() > 0 FROM {loader.database}.{table}") == [(1,)]


def test_dlt_loses_a_column_that_the_table_no_longer_has(dlt: Loader, place: Place) -> None:
    """dlt knows its schema by heart and the server skips unknown fields: neither says a word."""
    if place.engine.query("EXISTS shop.raw___orders") == [(0,)]:
        dlt.run()
    place.engine.query("ALTER TABLE shop.raw___orders DROP COLUMN sku")
    judged = dlt.run()
    assert judged.exit_code == 0
    headline(judged, "data_rule_broken", "loader", "raw____dlt_version")
    assert judged.errors[0].evidence["rows"][0] == {"table": "raw___orders", "columns_that_are_missing": "sku"}, judged
    # Another way of writing is another schema, for which dlt looks at the tables: the column comes back.
    for way in ("merge", "replace"):
        judged = dlt.run(DISPOSITION=way)
        assert judged.verdict == "PASS", judged


def without_source(loader: Loader) -> Judged:
    name = "SOURCE_URI" if "SOURCE_URI" in loader.env else "SOURCE"
    return loader.run(**{name: loader.env[name].replace("orders.csv", "missing.csv")})


@pytest.mark.parametrize("name", ["dlt", "sling", "ingestr"])
def test_a_source_that_is_not_there_is_named(name: str, request: pytest.FixtureRequest) -> None:
    judged = without_source(request.getfixturevalue(name))
    headline(judged, "client_file_missing", "loader", "missing.csv", "ls -la")


def as_narrow(loader: Loader) -> Judged:
    """Run it as a user who may not make tables."""
    narrowed = {key: value.replace("://loader:", "://narrow:") for key, value in loader.env.items()}
    state = {"STATE": f"{loader.env['STATE']}-narrow"} if "STATE" in loader.env else {}
    loader.user = "narrow"
    try:
        user = {"CLICKHOUSE_USER": "narrow"} if "CLICKHOUSE_USER" in loader.env else {}
        return loader.run(**{**narrowed, **user, **state})
    finally:
        loader.user = "loader"


@pytest.mark.parametrize(
    ("name", "grant"),
    [
        ("dlt", "GRANT CREATE TABLE ON shop.fresh___dlt_sentinel_table TO `narrow`"),
        ("dbt", "GRANT CREATE TABLE ON marts.* TO `narrow`"),
        ("sling", "GRANT CREATE TABLE ON shop.sling_orders_tmp TO `narrow`"),
        ("ingestr", "GRANT CREATE DATABASE ON shop.* TO `narrow`"),
    ],
)
def test_a_missing_grant_is_told_as_one_statement(name: str, grant: str, request: pytest.FixtureRequest) -> None:
    loader: Loader = request.getfixturevalue(name)
    loader.env = {**loader.env, "DATASET": "fresh"}
    judged = as_narrow(loader)
    headline(judged, "server_missing_grant", "server", grant.split(" ON ")[0].removeprefix("GRANT "), grant)


@pytest.mark.parametrize(("name", "variable"), [("sling", "SHOP"), ("ingestr", "DESTINATION_URI")])
def test_the_http_port_for_the_native_one_is_named(name: str, variable: str, request: pytest.FixtureRequest) -> None:
    loader: Loader = request.getfixturevalue(name)
    engine = loader.engine
    judged = loader.run(**{variable: loader.env[variable].replace(f":{engine.tcp_port}", f":{engine.http_port}")})
    headline(judged, "client_wrong_protocol", "configuration", str(engine.http_port), f"Set {variable}", "native port")


@pytest.fixture
def changed(place: Place) -> Iterator[Callable[[str, str], None]]:
    """Change something on the server for one test, and change it back."""
    back: list[str] = []

    def change(there: str, again: str) -> None:
        place.engine.query(there)
        back.append(again)

    yield change
    for statement in back:
        place.engine.query(statement)


def test_a_table_that_dbt_reads_is_gone(dbt: Loader, changed: Callable[[str, str], None]) -> None:
    changed("RENAME TABLE shop.sales TO shop.sales_old", "RENAME TABLE shop.sales_old TO shop.sales")
    headline(dbt.run(), "server_missing_table", "schema", "shop.sales", "shop.sales_old")


def test_a_test_of_the_dbt_project_fails(dbt: Loader, changed: Callable[[str, str], None]) -> None:
    changed("INSERT INTO shop.sales VALUES (1000, '', 1, now())", "ALTER TABLE shop.sales DELETE WHERE id = 1000")
    changed("SELECT 1", "ALTER TABLE marts.by_sku DELETE WHERE sku = ''")
    headline(dbt.run(), "client_failed_test", "loader", "not_empty_sku", "dbt show --select not_empty_sku")


def test_the_swapped_tables_of_dbt_pass_in_the_play(dbt: Loader, place: Place, tmp_path: Path) -> None:
    env = tmp_path / "loader.env"
    env.write_text("".join(f"{key}={value}\n" for key, value in dbt.env.items()))
    env.chmod(0o600)
    played = Site(tmp_path).play(
        clickhouse_backend="external", pipeline="dbt", dbt_models=["daily", "by_sku"], clickhouse_database="marts",
        clickhouse_host=place.engine.host, clickhouse_port=place.engine.tcp_port, clickhouse_user=place.engine.user,
        clickhouse_password=place.engine.password, verifier_user=place.engine.user,
        verifier_password=place.engine.password, ingest_user="loader", ingest_password=PASSWORD,
        qtickets_ingest_simulator=False, qtickets_ingest_env_managed=False, qtickets_ingest_env_file=str(env),
        qtickets_ingest_command=list(dbt.command), qtickets_ingest_workdir=str(dbt.workdir),
    )  # fmt: skip
    assert played.status == 0, played.output[-5000:]
    assert played.report["verdict"] == "PASS"


class Stream:
    """A broker, a table with engine Kafka that reads from it, and a view behind that."""

    QUEUE = "(id UInt64, sku String) ENGINE = Kafka('{broker}', 'sales', 'group', 'JSONEachRow')"
    SETTINGS = "kafka_flush_interval_ms = 300, kafka_poll_timeout_ms = 100"

    def __init__(self, place: Place) -> None:
        self.engine = place.engine
        self.broker = subprocess.Popen(
            [place.programs / "python", HERE / "kafka_broker.py"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        broker = self._answer()
        self.send(0)
        self.engine.query("CREATE TABLE shop.streamed (id UInt64, sku String) ENGINE = MergeTree ORDER BY id")
        self.engine.query(f"CREATE TABLE shop.queue {self.QUEUE.format(broker=broker)} SETTINGS {self.SETTINGS}")
        self.engine.query("CREATE MATERIALIZED VIEW shop.view TO shop.streamed AS SELECT * FROM shop.queue")
        self.wait("SELECT count() FROM shop.streamed", 1)

    def _answer(self) -> str:
        assert self.broker.stdout is not None
        return self.broker.stdout.readline().strip()

    def send(self, *ids: object) -> None:
        assert self.broker.stdin is not None
        for number in ids:
            self.broker.stdin.write(f"sales {json.dumps({'id': number, 'sku': 'a'})}\n")
            self.broker.stdin.flush()
            assert self._answer() == "sent"

    def wait(self, sql: str, least: int) -> None:
        """Wait until a figure is reached: the stream works at its own pace."""
        deadline = time.monotonic() + 60
        while self.engine.query(sql)[0][0] < least:
            assert time.monotonic() < deadline, f"{sql}: still below {least}"
            time.sleep(0.05)

    def wait_for_error(self, words: str) -> None:
        """Wait until the consumer's newest error has these words and is newer than its last commit."""
        newest = f"`exceptions.text`[-1] LIKE '%{words}%' AND `exceptions.time`[-1] > last_commit_time"
        self.wait(f"SELECT count() FROM system.kafka_consumers WHERE {newest}", 1)


@pytest.fixture(scope="module")
def stream(place: Place) -> Iterator[Stream]:
    running = Stream(place)
    yield running
    running.broker.kill()
    place.engine.query("DROP TABLE shop.queue SYNC")


@pytest.fixture(scope="module")
def kafka(place: Place) -> Loader:
    return place.loader("kafka", inventory={"kafka_queues": ["shop.queue"], "kafka_tables": ["streamed"]})


def test_a_stream_is_judged_by_what_it_pushed_and_by_its_consumers(kafka: Loader, stream: Stream) -> None:
    count = "SELECT count() FROM shop.streamed"
    told: list[Judged] = []
    for first in (1, 21):
        with kafka.observed(told):
            stream.send(*range(first, first + 20))
            stream.wait(count, first + 20)
        assert told[-1].verdict == "PASS", told[-1]
        assert all(finding.severity == "info" for finding in told[-1].findings), told[-1]

    with kafka.observed(told):
        pass  # nobody produces
    headline(told[-1], "data_not_from_this_run", "loader", "shop.streamed")

    with kafka.observed(told):
        stream.send("no number")
        stream.wait_for_error("while parsing Kafka message")
    headline(told[-1], "source_stream_message", "source", "shop.queue", "kafka_handle_error_mode", "kafka_skip_broken")
    assert "topic sales" in told[-1].errors[0].headline
    assert "Stack trace" not in told[-1].errors[0].headline

    stream.broker.kill()
    with kafka.observed(told):
        stream.wait_for_error("brokers are down")
    headline(told[-1], "source_stream_unreachable", "configuration", "shop.queue", "engine_full", "kafka_consumers")
