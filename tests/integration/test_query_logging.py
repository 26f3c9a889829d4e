"""The evidence channel is proven on a real engine, and found wanting where it hides statements."""

from __future__ import annotations

import runpy

import pytest
from ansible.module_utils.ingest_verify import query_logging
from ansible.module_utils.ingest_verify.client import ConnectError, connect, query

from embedded.testing import start_engine
from tests.plays import ROOT

HIDING = {
    "log_queries": "0",
    "log_queries_probability": "0.5",
    "log_queries_min_type": "QUERY_FINISH",
    "log_queries_min_query_duration_ms": "1000",
    "log_queries_cut_to_length": "100",
}


@pytest.fixture(scope="module")
def hiding_engine(tmp_path_factory):
    users = {
        "clear": {"password": "p", "grants": ["GRANT ALL ON *.*"]},
        "away": {"password": "p", "networks": ["10.9.9.9"]},
        "near": {"password": "p", "networks": ["127.0.0.1"]},
        "hidden": {"password": "p", "grants": ["GRANT ALL ON *.*"], "profile_settings": HIDING},
    }
    with start_engine(tmp_path_factory.mktemp("hiding"), users=users) as engine:
        yield engine


def login_of(engine, user, password="p"):
    return {
        "login_host": engine.host,
        "login_port": engine.tcp_port,
        "login_user": user,
        "login_password": password,
    }


def logged_in(engine, user, password="p"):
    """The user's session, and the reader's connection."""
    reader = connect(login_of(engine, "admin", engine.password))
    session = query_logging.session_of(login_of(engine, user, password), reader)
    return session, reader


def test_canary_of_a_plain_user_is_found_in_both_logs(hiding_engine):
    session, reader = logged_in(hiding_engine, "clear")
    proof = query_logging.run_canary(session, reader, ["query_log", "text_log"], 20)
    assert proof.proven, proof.reason
    assert session.hiding == {}


def test_canary_of_a_user_with_log_queries_off_is_lost(hiding_engine):
    session, reader = logged_in(hiding_engine, "hidden")
    proof = query_logging.run_canary(session, reader, ["query_log"], 1)
    assert not proof.proven
    assert "was not in system.query_log" in proof.reason


def test_every_hiding_setting_is_named_with_the_value_that_mends_it(hiding_engine):
    hiding = logged_in(hiding_engine, "hidden")[0].hiding
    assert {name: float(value) if name != "log_queries_min_type" else value for name, value in hiding.items()} == {
        name: float(value) if name != "log_queries_min_type" else value for name, value in HIDING.items()
    }
    finding = query_logging.settings_finding("hidden", hiding, "warning")
    assert "log_queries = 0" in finding.headline
    assert "ALTER USER `hidden` SETTINGS log_queries = '1', log_queries_probability = '1'" in finding.next_step


def test_drop_in_for_an_xml_user_makes_the_canary_visible(tmp_path):
    users = {"hidden": {"password": "p", "grants": ["GRANT ALL ON *.*"], "profile_settings": HIDING}}
    with start_engine(tmp_path, users=users) as engine:
        session, reader = logged_in(engine, "hidden")
        account = query_logging.read_account(reader, "hidden")
        assert account.storage == "users_xml"
        (engine.dir / "users.d" / query_logging.DROP_IN_NAME).write_text(query_logging.drop_in(account, session.hiding))
        engine.restart()
        session, reader = logged_in(engine, "hidden")
        assert session.hiding == {}
        assert query_logging.run_canary(session, reader, ["query_log"], 20).proven


def test_log_tables_that_are_not_configured_are_named(tmp_path):
    without = '<clickhouse><text_log remove="1"/></clickhouse>'
    with start_engine(tmp_path, config_xml=without) as engine:
        client = connect(login_of(engine, "admin", engine.password))
        assert query_logging.missing_log_tables(client) == ["text_log"]
        drop_in = engine.dir / "config.d" / query_logging.LOG_TABLES_DROP_IN_NAME
        drop_in.write_text(query_logging.LOG_TABLES_DROP_IN)
        engine.restart()
        client = connect(login_of(engine, "admin", engine.password))
        query(client, "SELECT 1")
        assert query_logging.missing_log_tables(client) == []


def test_alter_user_repeats_what_the_user_has():
    settings = [("max_threads", "4"), ("log_queries", "0"), ("format_csv_delimiter", "'")]
    account = query_logging.Account("in`gest", "local_directory", ["team's"], settings)
    statement = query_logging.alter_user(account, {"log_queries": "1"})
    assert statement == (
        "ALTER USER `in\\`gest` SETTINGS `max_threads` = '4', `log_queries` = '1', `format_csv_delimiter` = '\\'',"
        " PROFILE 'team\\'s'"
    )


def test_a_user_of_other_addresses_is_not_told_that_its_password_is_wrong(hiding_engine):
    reader = connect(login_of(hiding_engine, "admin", hiding_engine.password))
    for password in ("p", "wrong"):
        refused = query_logging.session_of(login_of(hiding_engine, "away", password), reader)
        assert "User away may log in from 10.9.9.9 only" in refused.reason
        assert "Whether its password is right" in refused.reason


def test_a_wrong_password_is_told_although_the_user_has_addresses_of_its_own(hiding_engine):
    reader = connect(login_of(hiding_engine, "admin", hiding_engine.password))
    assert query_logging.session_of(login_of(hiding_engine, "near"), reader).hiding == {}
    with pytest.raises(ConnectError, match="refused user 'near'"):
        query_logging.session_of(login_of(hiding_engine, "near", "wrong"), reader)


@pytest.mark.parametrize(("user", "password"), [("clear", "wrong"), ("nobody", "p")])
def test_a_wrong_password_and_an_unknown_user_are_refused_logins(hiding_engine, user, password):
    reader = connect(login_of(hiding_engine, "admin", hiding_engine.password))
    with pytest.raises(ConnectError, match=f"refused user '{user}'"):
        query_logging.session_of(login_of(hiding_engine, user, password), reader)


def test_where_the_loaders_network_cannot_be_tried_this_host_is_and_it_is_told(hiding_engine):
    module = runpy.run_path(str(ROOT / "library/clickhouse_query_logging.py"))
    reader = connect(login_of(hiding_engine, "admin", hiding_engine.password))
    asked = {
        **login_of(hiding_engine, "admin"), "ingest_user": "clear", "ingest_password": "p", "client_kwargs": {},
        "from_networks": ["backend"], "server_container": "no-such-container", "owner": "",
    }  # fmt: skip
    session, untried = module["session_of"](asked, reader)
    assert session.hiding == {}
    assert untried.startswith("; not tried from network backend, where the loader runs: ")
    here, nothing = module["session_of"]({**asked, "from_networks": []}, reader)
    assert (here.hiding, nothing) == ({}, "")
