"""The rows' ledger over a real engine: each way in which rows get lost between the client and the table, in numbers
that balance, and its healthy twin."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.checks.report import to_result
from ansible.module_utils.ingest_verify.checks.runner import Outcome
from clickhouse_driver.errors import ServerException

from embedded.testing import Engine, start_engine
from tests.conftest import INGEST_PASSWORD, INGEST_USER
from tests.data_checks import Loaded, errors, only, problems
from tests.stages import PASSWORD, cluster


@pytest.fixture
def shop(engine: Engine, database: str) -> Loaded:
    return Loaded(engine, database, INGEST_USER, INGEST_PASSWORD)


def send(shop: Loaded, *statements: str, **settings: Any) -> None:
    """The loader's run, in a window of its own."""
    shop.start = shop.now()
    client = shop.engine.client(shop.user, shop.password, database=shop.database)
    for statement in statements:
        client.execute(statement, settings=settings)
    client.disconnect()
    shop.end = shop.now()


def volume(table: str, rows: int = 1) -> list[dict[str, Any]]:
    return [{"name": "rows", "kind": "volume", "table": table, "this_run": "query_log", "limits": {"min_rows": rows}}]


def judge(shop: Loaded, table: str, rows: int = 1, **run: Any) -> tuple[Any, dict[str, Any]]:
    """The outcome of a volume check by query_log, and the table's account."""
    known = {"user": shop.user, "window": {"from": shop.start, "to": shop.end}, **run}
    outcome = shop.check(volume(table, rows), run=known)
    accounts = {account.target: account for account in outcome.accounts}
    account = accounts[f"{shop.database}.{table}"].to_dict()
    assert account["remainder"] in (0, None), account
    return outcome, account


def figures(account: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(account[name] for name in ("acknowledged", "written_rows", "new_part_rows", "held"))


def taken(account: dict[str, Any]) -> dict[str, int]:
    return {entry["by"]: entry["rows"] for entry in account["taken"]}


TICKETS = (
    "CREATE TABLE tickets (id UInt64, sold_at DateTime) ENGINE = MergeTree PARTITION BY toYYYYMM(sold_at) "
    "ORDER BY id TTL sold_at + INTERVAL 180 DAY"
)


def test_rows_that_stay(shop: Loaded) -> None:
    shop.query(TICKETS)
    shop.query("INSERT INTO tickets SELECT number, now() FROM numbers(50)")
    send(shop, "INSERT INTO tickets SELECT number, now() FROM numbers(600)")
    outcome, account = judge(shop, "tickets", 600)
    assert problems(outcome) == []
    assert figures(account) == (600, 600, 600, 650)
    assert (account["before"], account["taken"], account["left"], account["unknown"]) == (50, [], [600, 600], [])


@pytest.mark.parametrize("fresh", [50, 0])
def test_08_rows_that_a_ttl_took_at_once(shop: Loaded, fresh: int) -> None:
    shop.query(TICKETS)
    shop.query(f"INSERT INTO tickets SELECT number, now() FROM numbers({fresh})")
    send(shop, "INSERT INTO tickets SELECT number, now() - INTERVAL 400 DAY FROM numbers(600)")
    shop.query("OPTIMIZE TABLE tickets FINAL")
    outcome, account = judge(shop, "tickets", 600)
    finding = only(errors(outcome), "data_rows_taken")
    assert "wrote 600 row(s), and 600 of them are gone" in finding.headline
    assert "TTL sold_at + toIntervalDay(180)" in finding.headline
    assert "MODIFY TTL" in str(finding.next_step)
    assert figures(account) == (600, 600, 600, fresh)
    assert taken(account) == {"ttl": 600}


def test_a_ttl_that_takes_a_part_of_them_is_told_and_is_no_error(shop: Loaded) -> None:
    shop.query(TICKETS)
    send(
        shop,
        "INSERT INTO tickets SELECT number, if(number < 10, now() - INTERVAL 400 DAY, now()) FROM numbers(600)",
    )
    shop.query("OPTIMIZE TABLE tickets FINAL")
    outcome, account = judge(shop, "tickets", 500)
    assert errors(outcome) == []
    assert "10 of them are gone" in only(outcome.findings, "data_rows_taken").headline
    assert figures(account) == (600, 600, 600, 590)


# Rows of one key ----------------------------------------------------------------------------------------------------


def test_rows_of_one_key_are_replaced_within_the_insert_and_by_merges(shop: Loaded) -> None:
    shop.query("CREATE TABLE prices (id UInt64, price UInt64) ENGINE = ReplacingMergeTree(price) ORDER BY id")
    shop.query("INSERT INTO prices SELECT number, 0 FROM numbers(8)")
    send(shop, "INSERT INTO prices SELECT number % 10, 1 + number FROM numbers(30)")
    outcome, account = judge(shop, "prices")
    assert problems(outcome) == []
    assert figures(account) == (30, 30, 10, 18)
    assert taken(account) == {"insert": 20}
    shop.query("OPTIMIZE TABLE prices FINAL")
    outcome, account = judge(shop, "prices")
    assert problems(outcome) == []
    assert figures(account) == (30, 30, 10, 10)
    assert taken(account) == {"insert": 20, "merge": 8}
    assert account["taken"][1]["reason"] == "ReplacingMergeTree keeps the newest row of one key (ORDER BY id)"
    assert account["left"] == [2, 10]
    assert account["unknown"] == ["which of the rows that were put together were of this run"]


@pytest.mark.parametrize(
    ("engine_sql", "values", "said"),
    [
        ("SummingMergeTree ORDER BY id", "number % 5, 1", "adds the rows"),
        ("CollapsingMergeTree(sign) ORDER BY id", "number % 5, if(number < 20, 1, -1)", "sign 1 and -1"),
    ],
)
def test_an_engine_that_puts_rows_together_is_named(shop: Loaded, engine_sql: str, values: str, said: str) -> None:
    shop.query(f"CREATE TABLE merged (id UInt64, sign Int8) ENGINE = {engine_sql}")
    send(shop, f"INSERT INTO merged SELECT {values} FROM numbers(30)")
    outcome, account = judge(shop, "merged", 30)
    assert problems(outcome) == []
    assert account["written_rows"] == 30
    assert taken(account) == {"insert": 30 - account["new_part_rows"]}
    assert said in account["taken"][0]["reason"]


def test_identical_blocks_that_deduplication_dropped(shop: Loaded) -> None:
    shop.query(
        "CREATE TABLE hits (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 9"
    )
    block = "INSERT INTO hits FORMAT Values (1), (2), (3)"
    send(shop, block, block, "INSERT INTO hits FORMAT Values (4), (5)")
    outcome, account = judge(shop, "hits", 5)
    assert errors(outcome) == []
    finding = only(outcome.findings, "data_deduplicated")
    assert "3 of 8 row(s)" in finding.headline
    assert "insert_deduplication_token" in str(finding.next_step)
    assert figures(account) == (8, 8, 5, 5)
    assert taken(account) == {"deduplicated": 3}


def test_blocks_that_differ_are_all_kept(shop: Loaded) -> None:
    shop.query(
        "CREATE TABLE hits (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 9"
    )
    send(shop, "INSERT INTO hits FORMAT Values (1), (2)", "INSERT INTO hits FORMAT Values (2), (3)")
    outcome, account = judge(shop, "hits", 4)
    assert problems(outcome) == []
    assert figures(account) == (4, 4, 4, 4)


# Statements that take rows ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "by", "lost"),
    [
        ("ALTER TABLE notes DELETE WHERE id < 7 SETTINGS mutations_sync = 2", "mutation", 7),
        ("DELETE FROM notes WHERE id < 7", "delete", 7),
        ("TRUNCATE TABLE notes", "dropped", 20),
        ("ALTER TABLE notes DROP PARTITION tuple()", "dropped", 20),
        ("ALTER TABLE notes DETACH PARTITION tuple()", "dropped", 20),
    ],
)
def test_a_statement_that_takes_the_runs_rows_is_named_with_its_user(
    shop: Loaded, statement: str, by: str, lost: int
) -> None:
    shop.query("CREATE TABLE notes (id UInt64) ENGINE = MergeTree ORDER BY id")
    send(shop, "INSERT INTO notes SELECT number FROM numbers(20)")
    shop.query(statement)
    outcome, account = judge(shop, "notes", 20)
    finding = only(errors(outcome), "data_rows_taken")
    assert f"{lost} of them are gone" in finding.headline
    assert "by user admin" in finding.headline
    assert statement.split(" SETTINGS")[0] in finding.headline
    assert figures(account) == (20, 20, 20, 20 - lost)
    assert set(taken(account)) <= {by, "gone"}


def test_a_run_that_empties_its_table_first_has_lost_nothing(shop: Loaded) -> None:
    shop.query("CREATE TABLE notes (id UInt64) ENGINE = MergeTree ORDER BY id")
    shop.query("INSERT INTO notes SELECT number FROM numbers(20)")
    send(shop, "TRUNCATE TABLE notes", "INSERT INTO notes SELECT number FROM numbers(30)")
    outcome, account = judge(shop, "notes", 30)
    assert problems(outcome) == []
    assert figures(account) == (30, 30, 30, 30)


# Other ways into a table --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize(
    "swap", ["EXCHANGE TABLES fresh AND purchases", "RENAME TABLE purchases TO old, fresh TO purchases"]
)
def test_tables_that_are_swapped_are_followed(shop: Loaded, swap: str, second: bool) -> None:
    shop.query("CREATE TABLE purchases (id UInt64) ENGINE = MergeTree ORDER BY id")
    if second:
        shop.query("INSERT INTO purchases SELECT number FROM numbers(600)")
    send(
        shop,
        "CREATE TABLE fresh (id UInt64) ENGINE = MergeTree ORDER BY id",
        "INSERT INTO fresh SELECT number FROM numbers(600)",
        swap,
        "DROP TABLE IF EXISTS old SYNC",
    )
    outcome, account = judge(shop, "purchases", 600)
    assert problems(outcome) == []
    assert figures(account) == (600, 600, 600, 600)


def test_tables_that_a_select_made_and_partitions_that_were_moved_are_followed(shop: Loaded) -> None:
    send(
        shop,
        "CREATE TABLE marts ENGINE = MergeTree ORDER BY id AS SELECT number AS id FROM numbers(40)",
        "CREATE TABLE stage AS marts",
        "INSERT INTO stage SELECT number FROM numbers(25)",
        "ALTER TABLE marts REPLACE PARTITION tuple() FROM stage",
    )
    outcome, account = judge(shop, "marts", 25)
    assert problems(outcome) == []
    assert account["held"] == 25


def test_a_swap_that_brought_nothing_new_is_named(shop: Loaded) -> None:
    for table in ("purchases", "fresh"):
        shop.query(f"CREATE TABLE {table} (id UInt64) ENGINE = MergeTree ORDER BY id")
        shop.query(f"INSERT INTO {table} SELECT number FROM numbers(600)")
    send(shop, "EXCHANGE TABLES fresh AND purchases")
    outcome, _ = judge(shop, "purchases")
    assert "none of them from this run" in only(errors(outcome), "data_not_from_this_run").headline


VIEWED = [
    "CREATE TABLE bought (id UInt64, sku String, amount UInt32) ENGINE = MergeTree ORDER BY id",
    "CREATE TABLE copied (id UInt64, sku String, amount UInt32) ENGINE = MergeTree ORDER BY id",
]


def test_a_views_target_has_its_account(shop: Loaded) -> None:
    for statement in VIEWED:
        shop.query(statement)
    shop.query("CREATE MATERIALIZED VIEW copy TO copied AS SELECT id, sku, amount FROM bought WHERE id < 10")
    send(shop, "INSERT INTO bought SELECT number, 'a', 1 FROM numbers(20)")
    outcome, account = judge(shop, "copied", 10)
    assert problems(outcome) == []
    assert figures(account) == (10, 10, 10, 10)
    assert figures(judge(shop, "bought")[1]) == (20, 20, 20, 20)


def test_a_view_that_leaves_out_columns_of_its_target_is_named(shop: Loaded) -> None:
    for statement in VIEWED:
        shop.query(statement)
    shop.query("CREATE MATERIALIZED VIEW copy TO copied AS SELECT id, sku FROM bought")
    send(shop, "INSERT INTO bought SELECT number, 'a', 1 FROM numbers(20)")
    outcome, account = judge(shop, "copied", 20)
    finding = only(outcome.findings, "data_view_columns")
    assert "amount" in finding.headline
    assert "MODIFY QUERY" in str(finding.next_step)
    assert finding.severity == "warning"
    assert account["new_part_rows"] == 20


def test_rows_in_a_buffers_memory_are_told_apart(shop: Loaded) -> None:
    shop.query("CREATE TABLE notes (id UInt64) ENGINE = MergeTree ORDER BY id")
    far = "1, 600, 600, 1000000, 1000000, 100000000, 100000000"
    shop.query(f"CREATE TABLE front AS notes ENGINE = Buffer({shop.database}, notes, {far})")
    send(shop, "INSERT INTO front SELECT number FROM numbers(12)")
    outcome, account = judge(shop, "front", 12)
    assert taken(account) == {"buffer": 12}
    assert "memory" in only(outcome.findings, "data_rows_taken").headline
    shop.query("OPTIMIZE TABLE front")
    outcome, account = judge(shop, "front", 12)
    assert problems(outcome) == []
    behind = {account.target: account for account in outcome.accounts}[f"{shop.database}.notes"]
    assert (behind.new_part_rows, behind.held) == (12, 12)


# Without part_log, after a restart, over a cluster -------------------------------------------------------------------


CONFIG = """<clickhouse>
    <part_log remove="1"/>
    <remote_servers>
        <gone><shard><replica><host>127.0.0.1</host><port>1</port></replica></shard></gone>
        <here><shard><replica><host>127.0.0.2</host><port>{port}</port><user>admin</user><password>{password}</password>
        </replica></shard></here>
    </remote_servers>
</clickhouse>"""


def test_without_part_log_the_account_says_what_it_cannot_know(tmp_path: Path) -> None:
    with start_engine(tmp_path, config_xml='<clickhouse><part_log remove="1"/></clickhouse>') as engine:
        engine.query("CREATE DATABASE shop")
        shop = Loaded(engine, "shop", engine.user, engine.password)
        shop.query("CREATE TABLE purchases (id UInt64) ENGINE = MergeTree ORDER BY id")
        shop.query("INSERT INTO purchases SELECT number FROM numbers(600)")
        send(
            shop,
            "CREATE TABLE fresh AS purchases",
            "INSERT INTO fresh SELECT number FROM numbers(600)",
            "EXCHANGE TABLES fresh AND purchases",
        )
        outcome, account = judge(shop, "purchases", 600)
        assert problems(outcome) == []
        assert figures(account) == (600, 600, None, 600)
        assert "part_log is not configured" in account["unknown"][0]


def test_after_a_kill_rows_that_the_log_lost_are_not_known(tmp_path: Path) -> None:
    slow = "<clickhouse><query_log><flush_interval_milliseconds>3600000</flush_interval_milliseconds></query_log>"
    with start_engine(tmp_path, config_xml=f"{slow}</clickhouse>") as engine:
        engine.query("CREATE DATABASE shop")
        shop = Loaded(engine, "shop", engine.user, engine.password)
        shop.query("CREATE TABLE purchases (id UInt64, at DateTime DEFAULT now()) ENGINE = MergeTree ORDER BY id")
        send(shop, "INSERT INTO purchases (id) SELECT number FROM numbers(600)")
        engine.kill()
        while shop.start[:19] >= time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - 2)):
            time.sleep(0.1)
        engine.start()
        shop.end = shop.now()
        fresh = {"name": "fresh", "kind": "freshness", "table": "purchases", "column": "at", "this_run": "query_log"}
        run = {"user": shop.user, "window": {"from": shop.start, "to": shop.end}}
        outcome = shop.check([*volume("purchases"), fresh], run=run)
        assert problems(outcome) == []
        assert [check["status"] for check in outcome.checks] == ["skipped", "ok"]
        assert any("started anew" in note for note in outcome.notes)


def test_rows_that_stand_in_a_distributed_tables_queue(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.2", 0))
        port = probe.getsockname()[1]
    password = "of the cluster"
    config = CONFIG.format(port=port, password=password).replace('<part_log remove="1"/>', "")
    users = {"admin": {"password": password}}
    with start_engine(tmp_path, host="127.0.0.2", tcp_port=port, config_xml=config, users=users) as engine:
        engine.query("CREATE DATABASE shop")
        shop = Loaded(engine, "shop", engine.user, engine.password)
        shop.query("CREATE TABLE purchases (id UInt64) ENGINE = MergeTree ORDER BY id")
        for cluster in ("gone", "here"):
            shop.query(f"CREATE TABLE to_{cluster} AS purchases ENGINE = Distributed({cluster}, shop, purchases, id)")
        send(shop, "INSERT INTO to_here SELECT number FROM numbers(12)", prefer_localhost_replica=0)
        shop.query("SYSTEM FLUSH DISTRIBUTED to_here")
        outcome, account = judge(shop, "to_here", 12)
        assert problems(outcome) == []
        assert (account["written_rows"], account["held"], account["taken"]) == (12, 12, [])
        behind = next(account for account in outcome.accounts if account.target == "shop.purchases")
        assert behind.new_part_rows == 12

        send(shop, "INSERT INTO to_gone SELECT number FROM numbers(5)")
        with contextlib.suppress(ServerException):
            shop.query("SYSTEM FLUSH DISTRIBUTED to_gone")
        outcome, account = judge(shop, "to_gone", 5)
        finding = only(outcome.findings, "data_rows_taken")
        assert "in the queue of shop.to_gone" in finding.headline
        assert "127.0.0.1:1" in finding.headline
        assert taken(account) == {"queue": 5}

        shop.query("SYSTEM STOP DISTRIBUTED SENDS to_here")
        send(shop, "INSERT INTO to_here SELECT number FROM numbers(7)", prefer_localhost_replica=0)
        finding = only(errors(judge(shop, "to_here", 7)[0]), "data_rows_taken")
        assert "sends are stopped" in finding.headline


def test_a_run_over_three_shards_is_counted_once_whichever_host_it_wrote_to(tmp_path: Path) -> None:
    with cluster(tmp_path, ["127.0.0.1", "127.0.0.2", "127.0.0.3"]) as hosts:
        first, second, third = hosts
        for host in hosts:
            host.query("CREATE DATABASE shop")
            host.query("CREATE TABLE shop.part_of_sales (id UInt64) ENGINE = MergeTree ORDER BY id")
            host.query(
                "CREATE TABLE shop.sales AS shop.part_of_sales ENGINE = Distributed(trio, shop, part_of_sales, id)"
            )
        shop = Loaded(first, "shop", "ingest", PASSWORD)
        for through in (first, second):
            # The third of them that its own shard takes is written within the INSERT.
            shop.start = shop.now()
            client = through.client("ingest", PASSWORD, database="shop")
            client.execute(
                "INSERT INTO sales SELECT number FROM numbers(300)", settings={"distributed_foreground_insert": 1}
            )
            shop.end = shop.now()
            outcome, account = judge(shop, "sales", 300)
            assert problems(outcome) == []
            assert account["written_rows"] == 300

        def last_run() -> Outcome:
            window = {"from": shop.start, "to": shop.end}
            return shop.check(volume("sales", 300), run={"user": "ingest", "window": window})

        third.stop()
        outcome = last_run()
        # A part that nobody could ask is no fault of the rows: not decided, and the host is named.
        assert {(finding.severity, finding.cause) for finding in outcome.findings} == {
            ("warning", "evidence_host_missing")
        }
        assert to_result(outcome)["verdict"] == "INCONCLUSIVE"
        assert f"No answer from 127.0.0.3:{third.tcp_port}" in to_result(outcome)["message"]
        third.start()
        assert to_result(last_run())["verdict"] == "PASS"
        pid = second.launcher.status()["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            outcome = last_run()
        finally:
            os.kill(pid, signal.SIGCONT)
        assert {finding.cause for finding in outcome.findings} == {"evidence_host_missing"}
        assert f"No answer from 127.0.0.2:{second.tcp_port}" in to_result(outcome)["message"]


# Written, and empty --------------------------------------------------------------------------------------------------


GOODS = "CREATE TABLE goods (id UInt64, name String, price Float64) ENGINE = MergeTree ORDER BY id"


def json_rows(first: int, **fields: Any) -> str:
    rows = "\n".join(json.dumps({"id": first + n, **fields}) for n in range(20))
    return f"INSERT INTO goods FORMAT JSONEachRow {rows}"


def test_without_rows_from_before_an_empty_column_is_said_and_not_judged(shop: Loaded) -> None:
    shop.query(GOODS)
    send(shop, json_rows(0, nmae="a", price=12.5), input_format_skip_unknown_fields=1)
    finding = only(judge(shop, "goods", 20)[0].findings, "data_column_empty")
    assert finding.severity == "info"
    assert "in name. That may be right" in finding.headline


def csv_rows(first: int, *rows: str) -> str:
    lines = "\n".join(f"{first + n},{row}" if row else str(first + n) for n, row in enumerate(rows))
    return f"INSERT INTO goods FORMAT CSV\n{lines}"


def before(shop: Loaded) -> None:
    """200 rows of an earlier run, each with a name and a price."""
    shop.query(GOODS)
    send(shop, "INSERT INTO goods SELECT number, concat('n', toString(number)), 1 + number / 4 FROM numbers(200)")


SHORT = {"input_format_csv_allow_variable_number_of_columns": 1}
FULL = [f"m{n},{n + 1}.5" for n in range(20)]


def test_short_rows_that_the_loader_itself_filled_up_are_told(shop: Loaded) -> None:
    before(shop)
    send(shop, "INSERT INTO goods SELECT 1000 + number, if(number < 2, '', 'm'), if(number < 2, 0, 3) FROM numbers(20)")
    finding = only(judge(shop, "goods", 20)[0].findings, "data_rows_cut")
    assert finding.severity == "info"
    assert "None of 200 row(s) before is so" in finding.headline


def test_zeros_that_the_loader_sent_as_such_are_told_and_those_known_before_are_not(shop: Loaded) -> None:
    before(shop)
    rows = "SELECT {first} + number, 'm', if(number < 4, 0, number) FROM numbers(20)"
    send(shop, "INSERT INTO goods " + rows.format(first=1000))
    assert only(judge(shop, "goods", 20)[0].findings, "data_value_gaps").severity == "info"
    send(shop, csv_rows(2000, *FULL, *["m,"] * 4))
    assert problems(judge(shop, "goods", 20)[0]) == []


def test_one_value_in_all_rows_is_told_where_it_is_known_from_before(shop: Loaded) -> None:
    before(shop)
    send(shop, "INSERT INTO goods SELECT 1000 + number, concat('m', toString(number)), 2.5 FROM numbers(20)")
    outcome, _ = judge(shop, "goods", 20)
    finding = only(outcome.findings, "data_constant_column")
    assert finding.severity == "info"
    assert "price = 2.5" in finding.headline
    # A version of the run, or a currency that never was another one, is as it should be.
    send(shop, "INSERT INTO goods SELECT 2000 + number, 'version-7', number FROM numbers(1, 20)")
    assert problems(judge(shop, "goods", 20)[0]) == []
