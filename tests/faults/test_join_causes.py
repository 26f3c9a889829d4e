"""The join: cause and effect told apart, retries, swallowed errors, and what is not this run's."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from clickhouse_driver import Client

from tests.stages import PASSWORD, RefusedError, Stage, errors, headline

ORDERS = "CREATE TABLE {db}.orders (order_id String, tickets UInt32) ENGINE = MergeTree ORDER BY order_id"

KEY_ERROR = """2026-11-23 04:00:00 INFO loading orders
2026-11-23 04:00:01 ERROR Unexpected ClickHouse error: 1
"""
TRACEBACK = """2026-11-23 04:00:01 ERROR load failed
Traceback (most recent call last):
  File "/app/loader/main.py", line 41, in <module>
    main()
  File "/app/loader/transform.py", line 17, in to_row
    return row["event_id"]
KeyError: 'event_id'
"""


@pytest.fixture
def orders(stage: Stage) -> Stage:
    stage.admin(ORDERS.format(db=stage.database))
    return stage


def test_row_16_a_number_as_message_is_the_clients_key_error(orders: Stage, tmp_path) -> None:
    orders.send("DESCRIBE TABLE orders")
    said = orders.judge(client_log=KEY_ERROR, path=tmp_path / "log", ingest={"exit_code": 1}, targets=["orders"])
    found = headline(said)
    assert found.cause == "client_key_error"
    assert "no statement of this run failed on the server" in found.actual
    assert "DESCRIBE TABLE orders" in found.actual
    assert "UNSUPPORTED_METHOD" not in said.message(5)
    target = said.statements_by_target[f"{orders.database}.orders"]
    assert (target["describe"], target["insert_finished"], target["insert_failed"]) == (1, 0, 0)
    assert target["filled_by"] is None


def test_row_19_a_traceback_gives_the_place_in_the_loader(orders: Stage, tmp_path) -> None:
    orders.send("DESCRIBE TABLE orders")
    said = orders.judge(client_log=TRACEBACK, path=tmp_path / "log", ingest={"exit_code": 1}, targets=["orders"])
    found = headline(said)
    assert found.cause.startswith("client_")
    assert found.evidence["location"].startswith("/app/loader/transform.py:17")
    assert "no statement of this run failed on the server" in found.actual


def test_the_clients_report_of_a_refusal_is_no_second_cause(orders: Stage, tmp_path) -> None:
    answer = orders.refused("INSERT INTO orders (order_id, event) VALUES ('a', 'b')")
    log = f"2026-11-23 04:00:01 ERROR insert failed: {answer}\n2026-11-23 04:00:02 ERROR giving up\n"
    said = orders.judge(client_log=log, path=tmp_path / "log", ingest={"exit_code": 2}, targets=["orders"])
    found = headline(said)
    assert found.cause == "server_missing_column"


def test_a_vague_report_of_a_refusal_becomes_its_effect(orders: Stage, tmp_path) -> None:
    orders.refused("INSERT INTO orders (order_id, event) VALUES ('a', 'b')")
    said = orders.judge(client_log=KEY_ERROR, path=tmp_path / "log", ingest={"exit_code": 1}, targets=["orders"])
    found = headline(said)
    assert found.cause == "server_missing_column"
    assert any("Unexpected ClickHouse error: 1" in effect for effect in found.effects)


def test_a_word_of_failure_is_the_effect_of_what_the_server_refused(orders: Stage, tmp_path) -> None:
    orders.refused("INSERT INTO orders (order_id, event) VALUES ('a', 'b')")
    log = "INFO start\nERROR worker 9 died\n"
    said = orders.judge(client_log=log, path=tmp_path / "log", ingest={"exit_code": 1}, targets=["orders"])
    found = headline(said)
    assert found.cause == "server_missing_column"
    assert any("worker 9 died" in effect for effect in found.effects)


def test_a_dashboard_under_the_ingests_user_is_not_blamed_for_its_failure(orders: Stage, tmp_path) -> None:
    orders.refused("SELECT broken FROM orders", agent="Grafana/10")
    said = orders.judge(client_log=TRACEBACK, path=tmp_path / "log", ingest={"exit_code": 1}, targets=["orders"])
    assert headline(said).cause == "client_key_error"
    assert said.counts["excluded_failed"]["another program of the same user"] == 1


def test_what_another_program_was_refused_is_pointed_to_where_nothing_explains_the_failure(
    orders: Stage, tmp_path
) -> None:
    orders.send("INSERT INTO orders (order_id) VALUES ('a')")
    orders.refused("INSERT INTO order_lines (order_id) VALUES ('a')", agent="loader-child/1")
    given = {"client_log": "ERROR load failed\n", "path": tmp_path / "log", "targets": ["orders"]}
    found = headline(orders.judge(ingest={"exit_code": 1}, **given))
    assert found.cause == "client_exception"
    assert "order_lines does not exist" in (found.next_step or "")
    assert orders.judge(ingest={"exit_code": 0}, **given).verdict == "PASS"


def test_a_request_refused_before_query_log_is_found_without_the_clients_log(orders: Stage) -> None:
    orders.refused("INSERT INTO orders (order_id) VALUES ('a')", database="nowhere_at_all")
    found = headline(orders.judge(ingest={"exit_code": 1}, targets=["orders"]))
    assert (found.cause, found.object) == ("server_missing_database", "nowhere_at_all")
    assert found.evidence["log_table"] == "system.text_log"
    assert "Stack trace" not in found.headline


def test_the_statement_is_taken_from_the_clients_message_where_the_server_never_saw_it(orders: Stage, tmp_path) -> None:
    """clickhouse-client parses the rows itself, so that the server has nothing to log."""
    log = (
        "Code: 27. DB::Exception: Cannot parse input: expected ',' before: ';b': (at row 1)\nRow 1:\n"
        'Column 0,   name: order_id, type: String, parsed text: "a"\n'
        "Column 1,   name: tickets,  type: UInt32, parsed text: <EMPTY>ERROR\n"
        ": While executing ParallelParsingBlockInputFormat: data for INSERT was parsed from stdin: (in query: "
        f"INSERT INTO {orders.database}.orders FORMAT CSV). (CANNOT_PARSE_INPUT_ASSERTION_FAILED)\n"
    )
    said = orders.judge(client_log=log, path=tmp_path / "log", ingest={"exit_code": 27}, targets=["orders"])
    found = headline(said)
    assert (found.cause, found.object) == ("server_type_mismatch", f"{orders.database}.orders.tickets")


def test_a_refusal_that_the_loader_swallowed_fails_the_run(orders: Stage, tmp_path) -> None:
    orders.refused("INSERT INTO orders (order_id, event) VALUES ('a', 'b')")
    log = '{"status": "ok", "rows_processed": 1}\n'
    said = orders.judge(client_log=log, path=tmp_path / "log", ingest={"exit_code": 0}, targets=["orders"])
    assert headline(said).cause == "server_missing_column"


def test_a_swallowed_batch_is_not_taken_for_a_retry(orders: Stage) -> None:
    orders.send('INSERT INTO orders FORMAT JSONEachRow {"order_id": "a", "tickets": 1}')
    orders.refused('INSERT INTO orders FORMAT JSONEachRow {"order_id": "b", "tickets": "x"}')
    orders.send('INSERT INTO orders FORMAT JSONEachRow {"order_id": "c", "tickets": 1}')
    said = orders.judge(ingest={"exit_code": 0}, targets=["orders"])
    assert headline(said).cause == "server_type_mismatch"


HARMLESS = {
    "a look for a table that the run then makes": [
        "!SELECT 1 FROM runs LIMIT 1", "CREATE TABLE runs (id UInt8) ENGINE = Memory", "INSERT INTO runs VALUES (1)",
    ],
    "a table that was there": ["!CREATE TABLE orders (id UInt8) ENGINE = Memory"],
    "a column that was there": ["!ALTER TABLE orders ADD COLUMN tickets UInt32"],
    "a view that was there": [
        "CREATE VIEW shown AS SELECT * FROM orders", "!CREATE VIEW shown AS SELECT order_id FROM orders",
    ],
    "nothing to drop": ["!DROP TABLE orders_tmp"],
}  # fmt: skip


def _play(orders: Stage, statements: list[str]) -> None:
    for sql in statements:
        orders.refused(sql[1:]) if sql.startswith("!") else orders.send(sql)


@pytest.mark.parametrize("name", HARMLESS)
def test_a_refusal_that_leaves_what_was_asked_for_is_no_error(orders: Stage, name: str) -> None:
    _play(orders, [*HARMLESS[name], "INSERT INTO orders (order_id) VALUES ('a')"])
    said = orders.judge(ingest={"exit_code": 0}, targets=["orders"])
    assert said.verdict == "PASS", said.message(5)
    asked = HARMLESS[name][0].startswith("!SELECT")
    # A question is answered by a refusal: nothing failed there.
    told = [finding.severity for finding in said.findings if finding.cause.startswith("server_")]
    assert told == ([] if asked else ["warning"])
    if not asked:
        # The same as the last thing that the run did.
        again = Stage(orders.engine, orders.database)
        _play(again, [sql for sql in HARMLESS[name] if sql.startswith("!")])
        assert headline(again.judge(ingest={"exit_code": 1}, targets=["orders"])).severity == "error"


def test_rows_that_a_table_which_exists_kept_out_are_a_failure(orders: Stage) -> None:
    orders.refused("CREATE TABLE orders ENGINE = Memory AS SELECT 'a' AS order_id")
    orders.send("INSERT INTO orders (order_id) VALUES ('a')")
    assert headline(orders.judge(ingest={"exit_code": 0}, targets=["orders"])).cause == "server_object_exists"


def test_a_log_comment_that_no_statement_carries_blames_no_other_run(orders: Stage) -> None:
    orders.refused("INSERT INTO orders (nope) VALUES ('a')", log_comment="run 1")
    said = orders.judge(log_comment="run 2")
    assert said.verdict == "INCONCLUSIVE", said.message(5)
    assert "log_comment run 2" in said.message(5)
    assert headline(orders.judge(log_comment="run 1")).cause == "server_missing_column"


def test_row_55_a_retry_that_succeeds_is_a_warning_with_the_count(stage: Stage) -> None:
    for _ in range(3):
        stage.refused("INSERT INTO orders (order_id) VALUES ('a')")
    stage.admin(ORDERS.format(db=stage.database))
    stage.send("INSERT INTO orders (order_id) VALUES ('a')")
    said = stage.judge(ingest={"exit_code": 0}, targets=["orders"])
    assert said.verdict == "PASS"
    warnings = [finding for finding in said.findings if finding.severity == "warning"]
    assert [finding.cause for finding in warnings] == ["server_missing_table"]
    assert warnings[0].headline.startswith("Failed 3 time(s) and succeeded on retry")
    assert warnings[0].evidence["count"] == 3


def test_retries_that_all_fail_are_one_finding(orders: Stage) -> None:
    for _ in range(4):
        orders.refused("INSERT INTO orders (order_id, event) VALUES ('a', 'b')")
    found = headline(orders.judge(ingest={"exit_code": 1}, targets=["orders"]))
    assert found.evidence["count"] == 4
    assert found.evidence["first"] < found.evidence["last"]


def test_one_missing_table_behind_several_statements_is_one_cause(stage: Stage) -> None:
    stage.admin(ORDERS.format(db=stage.database))
    stage.refused("INSERT INTO staging (order_id) VALUES ('a')")
    stage.refused("INSERT INTO orders SELECT order_id, tickets FROM staging")
    found = headline(stage.judge(ingest={"exit_code": 1}, targets=["orders", "staging"]))
    assert found.object == f"{stage.database}.staging"
    assert found.evidence["count"] == 2
    assert any("INSERT INTO orders SELECT" in effect for effect in found.effects)


def break_off(stage: Stage) -> None:
    """A native client whose rows raise in the middle of the stream."""

    def rows() -> Iterator[tuple[str]]:
        yield from ((str(number),) for number in range(5000))
        raise KeyError("event_id")

    native = Client(stage.engine.host, port=stage.engine.tcp_port, user="ingest", password=PASSWORD)
    with pytest.raises(KeyError):
        native.execute(
            f"INSERT INTO {stage.database}.orders (order_id) VALUES", rows(), settings={"insert_block_size": 1000}
        )
    native.disconnect()
    # The server notices the end of the connection a moment later.
    inserts = f"SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO {stage.database}.%'"
    deadline = time.monotonic() + 30
    while stage.engine.query(inserts) != [(0,)]:
        assert time.monotonic() < deadline, "the server still waits for rows"


def hang_up(stage: Stage) -> None:
    """Announce 1000 bytes of an INSERT over HTTP, send 40 and hang up."""
    body = b'{"order_id": "a", "tickets": 1}\n{"order_'
    sql = "INSERT+INTO+orders+FORMAT+JSONEachRow"
    head = (
        f"POST /?query={sql}&database={stage.database}&user=ingest&password={PASSWORD.replace(' ', '+')} HTTP/1.1\r\n"
        f"Host: {stage.engine.host}\r\nUser-Agent: {stage.agent}\r\nContent-Length: 1000\r\n\r\n"
    )
    with socket.create_connection((stage.engine.host, stage.engine.http_port), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(10)
        while connection.recv(4096):
            pass


def test_row_18_a_broken_stream_is_the_effect_of_the_clients_failure(orders: Stage, tmp_path) -> None:
    break_off(orders)
    said = orders.judge(client_log=TRACEBACK, path=tmp_path / "log", ingest={"exit_code": 1}, targets=["orders"])
    found = headline(said)
    assert found.cause.startswith("client_")
    assert found.evidence["location"].startswith("/app/loader/transform.py:17")
    assert any("ATTEMPT_TO_READ_AFTER_EOF for INSERT INTO " in effect for effect in found.effects)


def test_row_18_without_a_word_from_the_client_it_is_still_the_client(orders: Stage) -> None:
    break_off(orders)
    found = headline(orders.judge(ingest={"exit_code": 1}, targets=["orders"]))
    assert found.cause == "client_aborted_insert"
    assert found.object == f"{orders.database}.orders"
    assert "exit code" in found.next_step
    twin = Stage(orders.engine, orders.database)
    twin.send('INSERT INTO orders FORMAT JSONEachRow {"order_id": "a"}')
    assert twin.judge(ingest={"exit_code": 0}, targets=["orders"]).verdict == "PASS"


def test_row_18_a_request_that_was_never_parsed_is_found_in_text_log(orders: Stage) -> None:
    hang_up(orders)
    found = headline(orders.judge(ingest={"exit_code": 1}, targets=["orders"]))
    assert found.cause == "client_aborted_insert"
    assert found.evidence["code_name"] == "CANNOT_READ_ALL_DATA"
    assert found.evidence["log_table"] == "system.text_log"


def test_a_page_that_was_cut_off_is_told_where_the_client_read_the_servers_answer(orders: Stage, tmp_path) -> None:
    said = orders.refused('INSERT INTO orders FORMAT JSONEachRow {"order_id": "a"} {"order_id": "b"')
    assert "Code: 33." in said
    found = headline(
        orders.judge(client_log=f"ERROR load failed: {said}\n", path=tmp_path / "log", ingest={"exit_code": 1})
    )
    assert found.cause == "server_bad_input"
    assert "cut off" in found.headline
    assert "Content-Length" in (found.next_step or "")


def test_row_22_a_kill_for_memory_is_the_cause_of_the_broken_stream(orders: Stage) -> None:
    break_off(orders)
    found = headline(orders.judge(ingest={"exit_code": 137, "oom_killed": True}, targets=["orders"]))
    assert found.cause == "client_killed_memory"
    assert any("ATTEMPT_TO_READ_AFTER_EOF" in effect for effect in found.effects)


def test_row_6_a_wrong_password_is_named_though_query_log_never_saw_it(orders: Stage, tmp_path) -> None:
    answer = orders.refused("INSERT INTO orders (order_id) VALUES ('a')", password="wrong")
    said = orders.judge(
        client_log=f"ERROR cannot load: {answer}\n", path=tmp_path / "log", ingest={"exit_code": 1}, targets=["orders"]
    )
    found = headline(said)
    assert found.cause == "server_authentication"
    assert found.object == "ingest"
    assert "the password of ingest is wrong" in found.headline
    assert found.evidence["log_table"] == "system.session_log"


def test_row_6_an_unknown_user_is_named(orders: Stage, tmp_path) -> None:
    answer = orders.refused("INSERT INTO orders (order_id) VALUES ('a')", user="ingset", password="wrong")
    said = orders.judge(
        client_log=f"ERROR cannot load: {answer}\n",
        path=tmp_path / "log",
        ingest={"exit_code": 1},
        users=["ingset"],
        targets=["orders"],
    )
    found = headline(said)
    assert found.cause == "server_authentication"
    assert "there is no user ingset" in found.headline
    assert "the nearest existing name is ingest" in found.actual


@pytest.mark.parametrize("logged", [True, False])
def test_row_6_the_user_of_the_env_file_is_blamed_and_not_the_inventory_s(orders: Stage, tmp_path, logged) -> None:
    answer = orders.refused("INSERT INTO orders (order_id) VALUES ('a')", user="mem", password="wrong")
    said = orders.judge(
        client_log=f"ERROR cannot load: {answer}\n" if logged else "",
        path=tmp_path / "log",
        ingest={"exit_code": 1, "env": {"CLICKHOUSE_USER": "mem", "CLICKHOUSE_HOST": "127.0.0.1"}},
        users=["ingest"],
        targets=["orders"],
    )
    found = headline(said)
    assert (found.cause, found.object) == ("server_authentication", "mem")
    assert "ingest " not in found.headline


def test_row_6_a_refused_login_is_found_without_the_clients_log(orders: Stage) -> None:
    orders.refused("INSERT INTO orders (order_id) VALUES ('a')", password="wrong")
    found = errors(orders.judge(ingest={"exit_code": 1}, targets=["orders"]))[0]
    assert found.cause == "server_authentication"


def test_row_7_an_address_that_is_not_allowed_is_told_from_a_wrong_password(orders: Stage, tmp_path) -> None:
    answer = orders.refused("INSERT INTO orders (order_id) VALUES ('a')", user="away")
    assert "516" in answer
    said = orders.judge(
        client_log=f"ERROR cannot load: {answer}\n",
        path=tmp_path / "log",
        ingest={"exit_code": 1},
        users=["away"],
        targets=["orders"],
    )
    found = headline(said)
    assert found.cause == "server_host_not_allowed"
    assert found.object == "away"
    assert "127.0.0.1" in found.headline
    assert "<ip>127.0.0.1</ip>" in found.next_step


def test_a_setting_refused_before_query_log_is_named_from_the_clients_log(orders: Stage, tmp_path) -> None:
    answer = orders.refused("INSERT INTO orders (order_id) VALUES ('a')", no_such_setting=1)
    said = orders.judge(
        client_log=f"ERROR {answer}\n", path=tmp_path / "log", ingest={"exit_code": 1}, targets=["orders"]
    )
    found = headline(said)
    assert (found.cause, found.object) == ("server_setting_refused", "no_such_setting")
    assert found.evidence["log_table"] == "system.text_log"


def test_rows_53_and_54_failures_of_others_and_of_before_are_listed_not_blamed(server, orders: Stage) -> None:
    orders.refused("SELECT no_such_column FROM orders")
    # Failures of before the window lie more than the grace before it when the server's clock says so.
    run = Stage(server, orders.database)
    run.send("INSERT INTO orders (order_id) VALUES ('a')")
    run.refused("SELECT 1 FROM nowhere", user="other")
    run.refused("INSERT INTO orders (order_id, nope) VALUES ('a', 1)", user="other")
    said = run.judge(ingest={"exit_code": 0}, targets=["orders"])
    assert said.verdict == "PASS", said.message(5)
    assert said.counts["excluded_failed"]["another user or program"] == 2
    noise = [finding for finding in said.findings if finding.cause == "noise_excluded"]
    assert len(noise) == 1
    assert noise[0].severity == "info"
    assert {row["user"] for row in said.excluded} >= {"other"}


def test_row_53_the_same_user_from_another_program_is_not_blamed(orders: Stage) -> None:
    orders.send("INSERT INTO orders (order_id) VALUES ('a')")
    for _ in range(3):
        orders.refused("SELECT broken FROM orders", agent="Grafana/10")
    native = Client(
        orders.engine.host, port=orders.engine.tcp_port, user="ingest", password=PASSWORD, client_name="cli"
    )
    with pytest.raises(Exception, match="nowhere"):
        native.execute("SELECT * FROM nowhere")
    native.disconnect()
    said = orders.judge(ingest={"exit_code": 0}, targets=["orders"])
    assert said.verdict == "PASS", said.message(5)
    assert said.counts["excluded_failed"]["another program of the same user"] == 4
    # The same failures by the ingest itself are its own.
    twin = Stage(orders.engine, orders.database)
    twin.send("INSERT INTO orders (order_id) VALUES ('a')")
    twin.refused("SELECT broken FROM orders")
    assert headline(twin.judge(ingest={"exit_code": 0}, targets=["orders"])).cause == "server_missing_column"


def test_row_53_a_log_comment_tells_two_runs_of_one_program_apart(orders: Stage) -> None:
    mine, theirs = "4f0c2c1e-0000-4000-8000-000000000001", "4f0c2c1e-0000-4000-8000-000000000002"
    orders.send("INSERT INTO orders (order_id) VALUES ('a')", log_comment=f"qtickets_api {mine}")
    orders.refused("INSERT INTO orders (nope) VALUES ('a')", log_comment=f"qtickets_api {theirs}")
    asked = {"ingest": {"exit_code": 0}, "targets": ["orders"]}
    said = orders.judge(loader_run_id=mine, **asked)
    assert said.verdict == "PASS", said.message(5)
    assert said.policy == "log_comment"
    assert said.counts["excluded_failed"]["no log_comment of this run"] == 1
    assert headline(orders.judge(loader_run_id=theirs, **asked)).cause == "server_missing_column"


def test_this_projects_own_statements_are_never_the_runs(orders: Stage) -> None:
    own = Client(
        orders.engine.host,
        port=orders.engine.tcp_port,
        user="ingest",
        password=PASSWORD,
        client_name="clickhouse-ingest-verify",
    )
    with pytest.raises(Exception, match="nowhere"):
        own.execute("SELECT * FROM nowhere")
    own.disconnect()
    orders.send("INSERT INTO orders (order_id) VALUES ('a')")
    said = orders.judge(ingest={"exit_code": 0}, targets=["orders"])
    assert said.verdict == "PASS"
    assert said.counts["statements"] == 1


def test_a_crowd_of_failing_queries_by_others_leaves_the_verdict_alone(orders: Stage) -> None:
    """200 failing queries within one run, of another user and of the same user in another program."""
    stop = threading.Event()
    failed = []

    def fail() -> None:
        while not stop.is_set() and len(failed) < 400:
            user = "other" if len(failed) % 2 else "ingest"
            try:
                orders.send(f"SELECT missing_{len(failed)} FROM orders", user=user, agent="dashboard/3")
            except RefusedError:
                failed.append(user)

    crowd = threading.Thread(target=fail)
    crowd.start()
    for number in range(20):
        orders.send(f"INSERT INTO orders (order_id) VALUES ('{number}')")
    while len(failed) < 200:
        stop.wait(0.01)
    stop.set()
    crowd.join()
    said = orders.judge(ingest={"exit_code": 0}, targets=["orders"])
    assert said.verdict == "PASS", said.message(5)
    excluded = said.counts["excluded_failed"]
    assert excluded["another user or program"] + excluded["another program of the same user"] == len(failed)
    assert said.statements_by_target[f"{orders.database}.orders"]["insert_finished"] == 20


def test_an_exit_code_without_a_word_is_not_a_pass(orders: Stage, tmp_path) -> None:
    orders.send("INSERT INTO orders (order_id) VALUES ('a')")
    said = orders.judge(
        client_log="starting\ndone\n", path=tmp_path / "log", ingest={"exit_code": 3}, targets=["orders"]
    )
    found = errors(said)
    assert len(found) == 1
    assert "exit code 3" in found[0].headline


def test_exit_code_0_without_any_insert_is_not_a_pass(orders: Stage) -> None:
    orders.send("DESCRIBE TABLE orders")
    found = headline(orders.judge(ingest={"exit_code": 0}, targets=["orders"]))
    assert found.cause == "client_no_insert"
    assert "DESCRIBE TABLE orders" in found.actual


def test_a_target_that_is_no_table_is_a_slip_of_the_inventory(orders: Stage) -> None:
    orders.send("INSERT INTO orders (order_id) VALUES ('a')")
    found = headline(orders.judge(ingest={"exit_code": 0}, targets=["order"]))
    assert (found.cause, found.object) == ("config_targets", f"{orders.database}.order")
    assert f"Is {orders.database}.orders meant?" in found.headline
    assert "qtickets_ingest_targets" in (found.next_step or "")
    # One that is there and was filled is enough: the other may be made by a later run.
    assert orders.judge(ingest={"exit_code": 0}, targets=["order", "orders"]).verdict == "PASS"


_TMP = ["CREATE TABLE orders_tmp AS orders", "INSERT INTO orders_tmp (order_id) VALUES ('a')"]
OTHER_WAYS = {
    "a swap": [*_TMP, "EXCHANGE TABLES orders_tmp AND orders"],
    "a new name": [*_TMP, "RENAME TABLE orders TO orders_old, orders_tmp TO orders"],
    "a partition": [*_TMP, "ALTER TABLE orders_tmp MOVE PARTITION tuple() TO TABLE orders"],
    "a new table": ["CREATE OR REPLACE TABLE orders ENGINE = Memory AS SELECT 'a' AS order_id, 1 AS tickets"],
    "an update": ["ALTER TABLE orders UPDATE tickets = 1 WHERE 1"],
    "a view": [
        "CREATE TABLE stream (order_id String) ENGINE = Null",
        "CREATE MATERIALIZED VIEW mv TO orders AS SELECT order_id, toUInt32(1) AS tickets FROM stream",
        "INSERT INTO stream VALUES ('a')",
    ],
    "a view whose name needs quotes": [
        "CREATE TABLE stream (order_id String) ENGINE = Null",
        "CREATE MATERIALIZED VIEW `m-v` TO orders AS SELECT order_id, toUInt32(1) AS tickets FROM stream",
        "INSERT INTO stream VALUES ('a')",
    ],
    "a buffer": [
        "CREATE TABLE buffered AS orders ENGINE = Buffer(currentDatabase(), orders, 1, 1, 1, 1, 1, 1, 1)",
        "INSERT INTO buffered (order_id) VALUES ('a')",
    ],
}


@pytest.mark.parametrize("way", OTHER_WAYS)
def test_rows_that_reach_a_target_by_another_way_than_its_insert_are_a_pass(orders: Stage, way: str) -> None:
    _play(orders, OTHER_WAYS[way])
    said = orders.judge(ingest={"exit_code": 0}, targets=["orders"])
    assert said.verdict == "PASS", said.message(5)
    entry = said.statements_by_target[f"{orders.database}.orders"]
    assert (entry["insert_finished"], entry["filled_by"]) == (0, OTHER_WAYS[way][-1].removesuffix(" ('a')"))


@pytest.mark.parametrize(
    "shows",
    [
        "CREATE VIEW shown AS SELECT order_id FROM orders",
        r"CREATE TABLE shown (order_id String) ENGINE = Merge(currentDatabase(), '^orders(_\\d+)?$')",
    ],
)
@pytest.mark.parametrize("into", ["orders", "parked"])
def test_a_target_that_shows_other_tables_is_filled_by_an_insert_into_one_of_them(
    orders: Stage, shows: str, into: str
) -> None:
    orders.admin(f"CREATE TABLE {orders.database}.parked AS {orders.database}.orders")
    _play(orders, [shows, f"INSERT INTO {into} (order_id) VALUES ('a')"])
    said = orders.judge(ingest={"exit_code": 0}, targets=["shown"])
    if into == "orders":
        assert said.verdict == "PASS", said.message(5)
    else:
        assert headline(said).cause == "client_no_insert"


@pytest.mark.parametrize(
    "statements",
    [
        _TMP,
        ["ALTER TABLE orders ADD COLUMN city String"],
        ["CREATE TABLE IF NOT EXISTS orders (a Int8) ENGINE = Memory"],
    ],
)
def test_rows_that_stay_elsewhere_are_no_insert(orders: Stage, statements: list[str]) -> None:
    _play(orders, statements)
    assert headline(orders.judge(ingest={"exit_code": 0}, targets=["orders"])).cause == "client_no_insert"


def test_row_14_an_asynchronous_insert_that_failed_later(server, orders: Stage) -> None:
    """The embedded engine inserts synchronously: the rows that a server would log are written into its log table."""
    orders.send("INSERT INTO orders (order_id) VALUES ('a')")
    server.flush_logs()
    orders.admin(
        f"""
        INSERT INTO system.asynchronous_insert_log (event_date, event_time, event_time_microseconds, query, database,
            table, format, query_id, rows, exception, status)
        SELECT event_date, event_time, event_time_microseconds,
            'INSERT INTO {orders.database}.orders (order_id, tickets) VALUES', '{orders.database}', 'orders', 'Values',
            query_id, 3, 'Code: 6. DB::Exception: Cannot parse string ''x'' as UInt32. (CANNOT_PARSE_TEXT)',
            'FlushError'
        FROM system.query_log
        WHERE type = 'QueryFinish' AND current_database = '{orders.database}' AND query_kind = 'Insert'"""
    )
    said = orders.judge(ingest={"exit_code": 0}, targets=["orders"])
    found = headline(said)
    assert found.cause == "server_async_insert_failed"
    assert found.object == f"{orders.database}.orders.tickets"
    assert "wait_for_async_insert = 1" in found.next_step
    assert "3 row(s)" in found.headline
