"""Catalogue E and H on the server's side: a verdict is only worth what its evidence is."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.client import ConnectError, ServerError, connect, query, send_marker
from ansible.module_utils.ingest_verify.diagnosis.diagnose import diagnose
from ansible.module_utils.ingest_verify.diagnosis.log_only import diagnose_log
from ansible.module_utils.ingest_verify.diagnosis.request import Request
from ansible.module_utils.ingest_verify.diagnosis.result import Diagnosis
from ansible.module_utils.ingest_verify.facts.server import EvidenceError, limits, log_reads
from clickhouse_driver import errors

from embedded.testing import Engine, start_engine
from tests.stages import PASSWORD, Stage, headline

ORDERS = "CREATE TABLE {db}.orders (order_id String, tickets UInt32) ENGINE = MergeTree ORDER BY order_id"


@pytest.fixture
def orders(stage: Stage) -> Stage:
    stage.admin(ORDERS.format(db=stage.database))
    return stage


def causes(diagnosis: Diagnosis) -> list[str]:
    return [finding.cause for finding in diagnosis.findings if finding.severity != "info"]


@pytest.mark.parametrize(
    ("user", "setting", "cause"),
    [
        ("nolog", "log_queries", "evidence_log_queries_off"),
        ("sampled", "log_queries_probability", "evidence_log_queries_limited"),
        ("late", "log_queries_min_type", "evidence_log_queries_limited"),
        ("slow", "log_queries_min_query_duration_ms", "evidence_log_queries_limited"),
    ],
)
def test_row_37_settings_that_hide_statements(orders: Stage, user: str, setting: str, cause: str) -> None:
    orders.send("INSERT INTO orders (order_id) VALUES ('a')", user=user)
    said = orders.judge(users=[user], ingest={"exit_code": 0}, targets=["orders"])
    assert said.verdict == "INCONCLUSIVE"
    assert cause in causes(said)
    found = next(finding for finding in said.findings if finding.cause == cause)
    assert setting in found.headline
    assert user in found.headline
    # 42: what old runbooks say instead is no SQL at all.
    assert "SET GLOBAL log_queries = 1, as old runbooks say, is a syntax error" in found.next_step
    assert f"ALTER USER `{user}` SETTINGS {setting}" in found.next_step


def test_row_37_switched_off_by_the_loaders_own_session(orders: Stage) -> None:
    orders.send("INSERT INTO orders (order_id) VALUES ('a')", log_queries_min_type="QUERY_FINISH")
    said = orders.judge(ingest={"exit_code": 0}, targets=["orders"])
    assert said.verdict == "INCONCLUSIVE"
    assert causes(said) == ["evidence_log_queries_limited"]


def test_row_41_a_text_that_was_cut_still_gives_the_target(orders: Stage) -> None:
    columns = ", ".join(f"column_number_{number}" for number in range(20))
    orders.refused(f"INSERT INTO orders (order_id, {columns}) VALUES (1)", user="cut")
    found = headline(orders.judge(users=["cut"], ingest={"exit_code": 1}, targets=["orders"]))
    assert found.cause == "server_missing_column"
    assert found.object.startswith(f"{orders.database}.orders.column_number_")


def test_row_43_a_reader_without_the_right_to_the_log_is_told_which(orders: Stage) -> None:
    orders.send("INSERT INTO orders (order_id) VALUES ('a')")
    # Of all tables it sees this one.
    orders.admin("CREATE TABLE IF NOT EXISTS default.open_to_all (a Int8) ENGINE = Memory")
    blind = {**orders.login(), "login_user": "blind", "login_password": PASSWORD}
    said = orders.judge(reader=blind, ingest={"exit_code": 0}, targets=["orders"], flush_wait_seconds=1)
    assert said.verdict == "INCONCLUSIVE"
    found = next(finding for finding in said.findings if finding.cause == "evidence_no_access")
    assert "GRANT SELECT ON system.query_log" in found.headline
    assert "GRANT SELECT ON system.*" in found.next_step


def test_row_43_a_reader_of_query_log_alone_judges_and_says_what_it_could_not_see(orders: Stage) -> None:
    orders.refused("INSERT INTO orders (nope) VALUES ('a')")
    reader = {**orders.login(), "login_user": "reader", "login_password": PASSWORD}
    said = orders.judge(reader=reader, ingest={"exit_code": 1}, targets=["orders"])
    assert headline(said).cause == "server_missing_column"
    assert "no right to read system.text_log" in said.missing_evidence["text_log"]


def test_row_44_nothing_seen_of_a_loader_that_claims_rows_is_no_pass(orders: Stage, tmp_path: Path) -> None:
    log = '{"outcome": "ok", "rows_processed": 120}\n'
    said = orders.judge(client_log=log, path=tmp_path / "log", ingest={"exit_code": 0}, targets=["orders"])
    assert said.verdict == "INCONCLUSIVE"
    assert "the loader says that it wrote 120 rows" in said.message(5)


def test_row_44_a_canary_that_was_lost_is_no_pass(orders: Stage) -> None:
    orders.send("INSERT INTO orders (order_id) VALUES ('a')")
    asked: dict[str, Any] = {"ingest": {"exit_code": 0}, "targets": ["orders"]}
    said = orders.judge(evidence_proven=False, evidence_reason="the canary was not found in text_log", **asked)
    assert said.verdict == "INCONCLUSIVE"
    assert "the canary was not found in text_log" in said.message(5)
    assert orders.judge(**asked).verdict == "PASS"


def test_a_user_that_the_server_does_not_know_is_named(orders: Stage) -> None:
    said = orders.judge(users=["ingset"])
    assert said.verdict == "INCONCLUSIVE"
    assert "evidence_unknown_user" in causes(said)
    assert "ingest" in next(f for f in said.findings if f.cause == "evidence_unknown_user").next_step


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"since": "2026-11-23 05:00:00", "until": "2026-11-23 04:00:00"}, "reversed"),
        ({"since": "2999-01-01 00:00:00", "until": "2999-01-02 00:00:00"}, "in the future"),
        ({"since": "yesterday"}, "is not a time"),
        ({"cluster": "nowhere"}, "knows no cluster 'nowhere'"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_in_one_sentence(
    orders: Stage, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(EvidenceError, match=words):
        orders.judge(**asked)


def test_times_with_a_t_and_without_fractions_are_understood(orders: Stage) -> None:
    orders.refused("SELECT broken FROM orders")
    said = orders.judge(since=orders.since[:19].replace(" ", "T") + "Z")
    assert headline(said).cause == "server_missing_column"


def test_row_60_a_restart_in_mid_run_is_the_cause(server: Engine, orders: Stage) -> None:
    orders.send("INSERT INTO orders (order_id) VALUES ('a')")
    before = {**orders.before, "uptime_seconds": orders.before["uptime_seconds"] + 100}
    asked: dict[str, Any] = {"targets": ["orders"]}
    said = orders.judge(window_before=before, ingest={"exit_code": 1}, **asked)
    assert said.findings[0].cause == "server_restarted"
    assert said.findings[0].severity == "error"
    assert any("exit code 1" in effect for effect in said.findings[0].effects)
    # Nothing that is seen went wrong; what was lost with the log nobody knows.
    unharmed = orders.judge(window_before=before, ingest={"exit_code": 0}, **asked)
    assert unharmed.verdict == "INCONCLUSIVE"
    assert "may lack the last seconds" in unharmed.message(5)
    healthy = orders.judge(ingest={"exit_code": 0}, **asked)
    assert healthy.verdict == "PASS"
    assert "server_restarted" not in causes(healthy)


def wait_for_uptime(engine: Engine) -> None:
    """Whole seconds are what a server tells of its age."""
    while engine.query("SELECT uptime()")[0][0] < 3:
        time.sleep(0.1)


def test_row_60_a_refusal_that_a_killed_server_took_with_it_is_no_pass(tmp_path: Path) -> None:
    """Production flushes its logs each 7.5 s; here only on demand, so that the kill comes before it for certain."""
    late = "<flush_interval_milliseconds>600000</flush_interval_milliseconds>"
    logs = ("query_log", "text_log", "session_log", "error_log", "part_log", "asynchronous_insert_log")
    config = f"<clickhouse>{''.join(f'<{log}>{late}</{log}>' for log in logs)}</clickhouse>"
    with start_engine(tmp_path, users={"ingest": {"password": PASSWORD}}, config_xml=config) as engine:
        engine.query(ORDERS.format(db="default"))
        engine.flush_logs()
        asked: dict[str, Any] = {"ingest": {"exit_code": 0}, "targets": ["orders"]}
        wait_for_uptime(engine)
        killed = Stage(engine, "default")
        killed.refused("INSERT INTO orders (nope) VALUES ('a')")
        engine.kill()
        engine.start()
        killed.send("INSERT INTO orders (order_id) VALUES ('b')")
        said = killed.judge(**asked)
        assert said.verdict == "INCONCLUSIVE", said.message(5)
        assert "may lack the last seconds" in said.message(5)
        assert engine.query("SELECT count() FROM system.query_log WHERE exception LIKE '%nope%'") == [(0,)]
        # A load that nobody watched, judged afterwards: the server's uptime alone tells of its restart.
        looked_back = killed.judge(window_before=None, targets=["orders"])
        assert looked_back.verdict == "INCONCLUSIVE", looked_back.message(5)
        assert [finding.cause for finding in looked_back.findings] == ["server_restarted"]
        # The same load after that restart has whole logs.
        wait_for_uptime(engine)
        later = Stage(engine, "default")
        later.send("INSERT INTO orders (order_id) VALUES ('c')")
        assert later.judge(**asked).verdict == "PASS"
        assert later.judge(window_before=None, targets=["orders"]).verdict == "PASS"
        # A server whose first start is in the window has lost nothing.
        engine.query("TRUNCATE TABLE system.query_log")
        later.send("INSERT INTO orders (order_id) VALUES ('d')")
        assert killed.judge(window_before=None, targets=["orders"]).verdict == "PASS"


def test_a_server_that_is_gone_leaves_the_clients_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        'Traceback (most recent call last):\n  File "/app/x.py", line 3, in f\n    a[0]\nIndexError: empty\n'
    )
    said = diagnose_log(Request(client_log=str(log), ingest={"exit_code": 1}), "Nothing accepts connections.")
    assert said.verdict == "FAIL"
    assert [finding.cause for finding in said.findings] == ["server_unreachable"]
    assert any("IndexError" in effect for effect in said.findings[0].effects)
    alone = diagnose_log(Request(client_log=str(log)), "Nothing accepts connections.")
    assert alone.findings[0].cause.startswith("client_")
    log.write_text("all fine\n")
    assert diagnose_log(Request(client_log=str(log)), "Nothing accepts connections.").verdict == "INCONCLUSIVE"


def judge(engine: Engine, **asked: Any) -> Diagnosis:
    login = {"login_host": engine.host, "login_port": engine.tcp_port, "login_user": engine.user}
    client = connect({**login, "login_password": engine.password})
    try:
        return diagnose(partial(query, client), partial(send_marker, client), Request(flush_wait_seconds=3, **asked))
    finally:
        client.disconnect()


def test_row_40_a_rotated_table_still_holds_its_part_of_the_window(tmp_path: Path) -> None:
    """What an upgrade with new columns does: the old query_log becomes query_log_0 with fewer columns."""
    with start_engine(tmp_path, users={"ingest": {"password": PASSWORD}}) as engine:
        stage = Stage(engine, "default")
        stage.refused("SELECT broken FROM system.one")
        engine.flush_logs()
        engine.query(
            "CREATE TABLE system.query_log_0 ENGINE = MergeTree ORDER BY (event_date, event_time) AS"
            " SELECT * EXCEPT (missing_privileges, http_user_agent) FROM system.query_log"
        )
        engine.query("TRUNCATE TABLE system.query_log")
        stage.send("SELECT 1")
        said = stage.judge()
        found = headline(said)
        assert found.evidence["log_table"] == "system.query_log_0"
        assert found.evidence["code_name"] == "UNKNOWN_IDENTIFIER"


def test_row_38_without_query_log_nothing_is_proven(tmp_path: Path) -> None:
    with start_engine(tmp_path, config_xml='<clickhouse><query_log remove="1"/></clickhouse>') as engine:
        said = judge(engine, window_minutes=1)
        assert said.verdict == "INCONCLUSIVE"
        found = next(finding for finding in said.findings if finding.cause == "evidence_not_configured")
        assert "<query_log>" in found.next_step


def test_row_38_without_text_log_the_rest_is_judged_and_its_lack_is_said(tmp_path: Path) -> None:
    removed = '<clickhouse><text_log remove="1"/><session_log remove="1"/></clickhouse>'
    with start_engine(tmp_path, users={"ingest": {"password": PASSWORD}}, config_xml=removed) as engine:
        stage = Stage(engine, "default")
        stage.refused("SELECT broken FROM system.one")
        said = stage.judge()
        assert headline(said).evidence["code_name"] == "UNKNOWN_IDENTIFIER"
        assert "system.text_log does not exist" in said.missing_evidence["text_log"]
        assert "system.session_log does not exist" in said.missing_evidence["session_log"]


# What it may cost ----------------------------------------------------------------------------------------------------


def judge_with(stage: Stage, ask: Callable[[str], list[dict[str, Any]]], **asked: Any) -> Diagnosis:
    request = Request(since=stage.since, database=stage.database, users=["ingest"], flush_wait_seconds=15, **asked)
    client = connect(stage.login())
    try:
        return diagnose(ask, partial(send_marker, client), request)
    finally:
        client.disconnect()


def test_what_was_read_before_a_question_failed_is_kept(orders: Stage) -> None:
    orders.refused("INSERT INTO orders (order_di) VALUES ('a')")
    client = connect(orders.login())

    def short_of_memory(sql: str) -> list[dict[str, Any]]:
        if "system.asynchronous_insert_log" in sql:
            raise ServerError(241, "Query memory limit exceeded", sql)
        return query(client, sql)

    said = judge_with(orders, short_of_memory, ingest={"exit_code": 1}, targets=["orders"])
    assert headline(said).cause == "server_missing_column"
    assert not said.proven
    assert "evidence_no_answer" in causes(said)
    assert "gave no answer (code 241" in said.missing_evidence["asynchronous_insert_log"]
    client.disconnect()


def test_without_an_answer_a_healthy_run_is_not_proven(orders: Stage) -> None:
    orders.send("INSERT INTO orders (order_id) VALUES ('a')")
    client = connect(orders.login())
    asked: list[str] = []

    def hangs(sql: str) -> list[dict[str, Any]]:
        asked.append(sql)
        if "system.asynchronous_insert_log" in sql:
            raise ConnectError("lost", "The connection to ClickHouse broke: SocketTimeoutError: timed out")
        return query(client, sql)

    said = judge_with(orders, hangs, ingest={"exit_code": 0}, targets=["orders"])
    assert said.verdict == "INCONCLUSIVE"
    # Each further question would wait as long again.
    assert "system.asynchronous_insert_log" in asked[-1]
    client.disconnect()


def test_a_diagnosis_ends_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 1.0, 400.0])
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    ask = limits.Limited(lambda sql: [{"sql": sql}])
    assert ask("SELECT 1") == [{"sql": "SELECT 1"}]
    with pytest.raises(ServerError, match="not asked any more: the 300 s of the whole diagnosis are over"):
        ask("SELECT 2")


def test_a_window_of_very_many_statements_is_counted_first_and_says_the_same(
    orders: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        orders.refused("INSERT INTO orders (order_di) VALUES ('a')")
    orders.refused("SELECT nothing FROM orders", agent="other")
    exact = orders.judge(ingest={"exit_code": 1}, targets=["orders"])
    monkeypatch.setattr(log_reads, "MAX_TEXTS", 0)
    counted = orders.judge(ingest={"exit_code": 1}, targets=["orders"])
    one, other = headline(exact), headline(counted)
    assert (one.cause, one.headline, one.next_step) == (other.cause, other.headline, other.next_step)
    for key in ("sql", "exception", "code", "count", "first", "last"):
        assert one.evidence[key] == other.evidence[key]
    assert exact.counts == counted.counts
    assert "counted by the server's hash" in counted.reasons[0]


def test_of_very_many_statements_a_retry_that_succeeded_is_still_told_as_one(
    orders: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_reads, "MAX_TEXTS", 0)
    orders.refused("INSERT INTO later (order_id) VALUES ('a')")
    orders.admin(
        f"CREATE TABLE {orders.database}.later AS {orders.database}.orders ENGINE = MergeTree ORDER BY order_id"
    )
    orders.send("INSERT INTO later (order_id) VALUES ('a')")
    said = orders.judge(ingest={"exit_code": 0}, targets=["later"])
    assert said.verdict == "PASS"


def test_a_reader_who_may_change_no_setting_reads_as_much_and_says_so(orders: Stage) -> None:
    orders.refused("INSERT INTO orders (order_di) VALUES ('a')")
    reader = {**orders.login(), "login_user": "ro", "login_password": PASSWORD}
    said = orders.judge(reader=reader, ingest={"exit_code": 1}, targets=["orders"])
    assert headline(said).cause == "server_missing_column"
    # It may not flush either, and waited for the server's own interval.
    assert said.proven, said.reasons
    assert "evidence_no_bounds" in {finding.cause for finding in said.findings}
    assert "evidence_no_bounds" not in {finding.cause for finding in orders.judge(ingest={"exit_code": 1}).findings}


def test_what_the_server_refused_somebody_else_is_no_cause(tmp_path: Path) -> None:
    """The verifier's own question for a log table that is not configured, and a mistake of another user's."""
    without = '<clickhouse><session_log remove="1"/></clickhouse>'
    users = {name: {"password": PASSWORD} for name in ("ingest", "other")}
    with start_engine(tmp_path, users=users, config_xml=without) as engine:
        stage = Stage(engine, "default")
        # Over the native protocol the server notes a refusal twice, the second time without its sender.
        client = connect(stage.login())
        with pytest.raises(ServerError, match="session_log"):
            query(client, "SELECT 1 FROM system.session_log WHERE 0")
        client.disconnect()
        with pytest.raises(errors.ServerException, match="ordrs"):
            engine.client("other", PASSWORD).execute("SELECT 1 FROM default.ordrs")
        said = stage.judge(
            client_log="exec: no-such-command: not found", path=tmp_path / "loader.log", ingest={"exit_code": 127}
        )
    assert headline(said).cause == "client_no_such_command"
    assert said.proven, said.reasons
