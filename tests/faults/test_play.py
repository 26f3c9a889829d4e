"""The play as a person runs it: a healthy run, and the faults a production ingest has died of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plays import ROOT, Site

ORDERS = "stg_qtickets_api_orders_raw"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    place = Site(tmp_path_factory.mktemp("site"))
    # Letters beyond Latin-1: no header of HTTP can hold them.
    (place.folder / "admin.password").write_text("пароль №1 $x{y}", encoding="utf-8")
    yield place
    place.engine("stop")


@pytest.fixture(scope="module")
def healthy(site):
    """The healthy twin of every fault below, played first."""
    played = site.play()
    assert played.status == 0, played.output[-8000:]
    return played


def test_a_healthy_run_passes_and_says_where_the_report_is(healthy, site):
    assert healthy.report["verdict"] == "PASS"
    assert healthy.errors == []
    assert [stage["status"] for stage in healthy.report["stages"].values()] == ["ok"] * 5
    summary = healthy.output.split("Show the summary")[-1]
    assert "report.html" in summary
    assert len(summary.split("PLAY RECAP")[0].strip().splitlines()) <= 24
    folder = next(iter(site.reports())).parent
    assert f"report: {folder}/report.html" in healthy.output.split("PLAY RECAP")[1]
    assert {"run.json", "report.md", "report.json", "report.html", "junit.xml", "MANIFEST.sha256", "ingest.log"} <= {
        path.name for path in folder.iterdir()
    }


def test_no_secret_is_in_output_or_artifacts(healthy, site):
    secrets = site.secrets()
    assert len(secrets) >= 3
    texts = [healthy.output] + [
        path.read_text(encoding="utf-8", errors="replace")
        for path in (site.folder / "artifacts").rglob("*")
        if path.is_file()
    ]
    assert not [secret for secret in secrets for text in texts if secret in text]


def test_a_second_run_beside_the_first_ones_data_changes_no_schema_and_counts_its_own_rows(site, healthy):
    client = site.client()
    client.execute("CREATE DATABASE IF NOT EXISTS shop")
    client.execute("CREATE OR REPLACE TABLE shop.sales (id UInt64) ENGINE = MergeTree ORDER BY id")
    client.execute("INSERT INTO shop.sales SELECT number FROM numbers(1000)")
    newest = client.execute(f"SELECT max(_ver) FROM zakaz.{ORDERS}")[0][0]
    others = f"""
        SELECT (SELECT sum(cityHash64(*)) FROM shop.sales),
            (SELECT sum(cityHash64(*)) FROM zakaz.{ORDERS} WHERE _ver <= {newest}),
            (SELECT groupArray((name, create_table_query)) FROM system.tables WHERE database IN ('shop', 'zakaz'))
    """
    client.execute(f"SYSTEM STOP MERGES zakaz.{ORDERS}")
    before, pid = client.execute(others), site.engine("status")["pid"]
    again = site.play("-vvv", clickhouse_reset_mode="keep")
    assert again.report["verdict"] == "PASS", again.output[-6000:]
    # Every row that is not this run's own, by its checksum.
    assert client.execute(others) == before
    assert site.engine("status")["pid"] == pid
    assert not again.report.get("changes")
    client.execute(f"SYSTEM START MERGES zakaz.{ORDERS}")
    client.execute("DROP DATABASE shop SYNC")
    applied = again.output.split("TASK [schema_apply", 1)[1].split("TASK [query_logging")[0]
    assert "changed: [local]" not in applied
    assert "catalog unchanged" in again.report["stages"]["schema_apply"]["summary"]
    # Each costs 0.25 to 0.5 s, which a person waits for.
    assert again.output.count("Using module file") <= 14
    # This verbosity shows the shell's command lines, which `ps` shows to everybody.
    assert not [secret for secret in site.secrets() if secret in again.output]


@pytest.fixture
def keyless(site, healthy) -> Iterator[Site]:
    """The staging table as somebody made it who did not know of its key, which cannot be dropped from a table."""
    client, view = site.client(), "mv_qtickets_sales_latest"
    table, feeding = (client.execute(f"SHOW CREATE TABLE zakaz.{name}")[0][0] for name in (ORDERS, view))
    lines = [line for line in table.splitlines() if not line.strip().startswith("`_dedup_key`")]
    older = (
        "\n".join(lines).replace("ORDER BY _dedup_key", "ORDER BY order_id").replace("`_ver` UInt64,", "`_ver` UInt64")
    )
    client.execute(f"DROP VIEW zakaz.{view} SYNC")
    client.execute(f"DROP TABLE zakaz.{ORDERS} SYNC")
    client.execute(older)
    yield site
    client = site.client()
    client.execute(f"DROP TABLE zakaz.{ORDERS} SYNC")
    client.execute(table)
    client.execute(feeding)


def test_a_staging_table_without_its_key_column_is_named(keyless):
    played = keyless.play("--tags", "qtickets_ingest")
    assert played.status != 0
    assert played.headline["cause"] == "server_missing_column"
    assert "_dedup_key" in played.headline["headline"]
    assert ORDERS in played.headline["evidence"]["sql"]
    assert "ADD COLUMN" in played.headline["next_step"]
    assert "_dedup_key" in played.headline["next_step"]


def test_a_loader_that_dies_before_its_first_insert_is_named(site, healthy, tmp_path):
    loader = tmp_path / "loader.py"
    # The case this project exists for: the text of a KeyError(1), logged as if the server had said it.
    loader.write_text(
        "import json, os, sys, urllib.request\n"
        "url = 'http://%s:%s/?query=' % (os.environ['CLICKHOUSE_HOST'], os.environ['CLICKHOUSE_PORT'])\n"
        "request = urllib.request.Request(url + 'DESCRIBE%20TABLE%20zakaz.stg_qtickets_api_orders_raw')\n"
        "request.add_header('X-ClickHouse-User', os.environ['CLICKHOUSE_USER'])\n"
        "request.add_header('X-ClickHouse-Key', os.environ['CLICKHOUSE_PASSWORD'])\n"
        "urllib.request.urlopen(request).read()\n"
        "try:\n"
        "    {0: 'order_id'}[1]\n"
        "except Exception as error:\n"
        "    print(f'ERROR Unexpected ClickHouse error: {error}', file=sys.stderr)\n"
        "    sys.exit(1)\n"
    )
    played = site.play("--tags", "qtickets_ingest", qtickets_ingest_command=["python3", str(loader)])
    assert played.status != 0
    assert played.headline["cause"] == "client_key_error"
    assert "KeyError" in played.headline["headline"]
    # The recorder saw the exception where it was raised, which the log does not tell.
    assert f"{loader}:8" in str(played.headline["evidence"])
    assert played.headline["fix_side"] == "loader"
    assert "/report.html" in played.output.split("PLAY RECAP")[1]


def test_logging_that_is_off_is_turned_on_proven_and_turned_off_again(site, healthy):
    users = site.folder / "clickhouse" / "users.d"
    hiding = users / "quiet.xml"
    hiding.write_text("<clickhouse><profiles><default><log_queries>0</log_queries></default></profiles></clickhouse>")
    site.engine("restart")
    ours = users / "zz-ingest-verify-query-logging.xml"
    try:
        rows = site.client().execute(f"SELECT count() FROM zakaz.{ORDERS}")
        # A run of its own, which no earlier ingest of this file has a part in. Data that stays needs no confirmation.
        keep = {"clickhouse_reset_mode": "keep", "clickhouse_reset_throwaway": False}
        kept = site.play("--tags", "clickhouse_reset", **keep)
        assert kept.status == 0, kept.output[-4000:]
        # Beside live data nothing is restarted or configured unless that is asked for.
        before = site.engine("status")["pid"]
        asked = site.play("--tags", "query_logging", query_logging_wait_seconds=3)
        assert not asked.report["evidence"]["proven"]
        assert not ours.exists()
        assert site.engine("status")["pid"] == before
        (told,) = [finding for finding in asked.report["findings"] if finding["cause"] == "evidence_log_queries_off"]
        assert str(ours) in told["next_step"]
        assert "query_logging_may_restart=true" in told["next_step"]
        assert not asked.report.get("changes")
        played = site.play("--tags", "query_logging", query_logging_may_restart=True)
        assert played.status == 0, played.output[-4000:]
        assert site.engine("status")["pid"] != before
        written, restarted = played.report["changes"]
        assert written["to"] == str(ours)
        assert "--tags query_logging_off" in written["undo"]
        assert restarted["what"] == "the embedded engine restarted"
        assert played.report["run_id"] == kept.report["run_id"]
        assert site.client().execute(f"SELECT count() FROM zakaz.{ORDERS}") == rows
        assert played.report["evidence"]["proven"]
        assert "<log_queries>1</log_queries>" in ours.read_text()
        nothing = site.play("--tags", "verify")
        assert nothing.status != 0
        assert "no stage has the tag(s) verify" in " ".join(nothing.output.split())
        # It is wanted after a failed run above all.
        ledger = next(reversed(site.reports())).with_name("run.json")
        failed = {"stage": "verify_data", "severity": "error", "cause": "data_empty", "headline": "nothing there"}
        ledger.write_text(json.dumps(json.loads(ledger.read_text()) | {"findings": [failed]}))
        off = site.play("--tags", "query_logging_off")
        assert off.status == 0, off.output[-4000:]
        assert not ours.exists()
        assert site.client().execute("SELECT value FROM system.settings WHERE name = 'log_queries'") == [("0",)]
    finally:
        hiding.unlink()
        site.engine("restart")


def test_without_an_inventory_the_play_says_what_to_give(site):
    played = site.play(inventory=str(ROOT / "tests" / "empty_inventory.yml"))
    assert played.status != 0
    assert "-i prod" in played.output
    assert "-i local" in played.output
    assert "Did you mean" not in played.output
    assert "Did you mean -i prod?" in " ".join(site.play(inventory="produ").output.split())


def test_from_another_folder_the_play_says_where_to_run_it(tmp_path):
    play = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        str(ROOT / "verify.yml"),
        "-i",
        str(ROOT / "local"),
    ]
    bare = {key: value for key, value in os.environ.items() if key != "ANSIBLE_CONFIG"}
    done = subprocess.run(play, cwd=tmp_path, env=bare, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert f"(cd {ROOT})" in done.stdout


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"clickhouse_database": "za kaz"}, ["expected letters, digits, underscores and dashes"]),
        ({"clickhouse_user": ""}, ["clickhouse_user is empty"]),
        (
            {"clickhouse_reset_mode": "kepp"},
            ["clickhouse_reset failed findings: 1 error(s), 0 warning(s) error [config_variable] Validation"],
        ),
        (
            {
                "clickhouse_reset_wait_seconds": 0,
                "qtickets_ingest_env_managed": False,
                "qtickets_ingest_env_file": "/no/such.env",
                "qtickets_ingest_env_sample": "",
            },
            ["error [config_variable] clickhouse_reset_wait_seconds is 0", "The env file /no/such.env does not exist"],
        ),
    ],
)
def test_a_bad_variable_is_refused_in_one_sentence_before_anything_changes(site, healthy, variables, said):
    rows = site.client().execute(f"SELECT count() FROM zakaz.{ORDERS}")
    played = site.play(**variables)
    assert played.status != 0
    assert all(sentence in " ".join(played.output.split()) for sentence in said), played.output[-3000:]
    assert site.client().execute(f"SELECT count() FROM zakaz.{ORDERS}") == rows


def test_what_stopped_the_ingest_before_it_ran_is_still_said_after_a_diagnosis(site, healthy):
    tags = "clickhouse_reset,qtickets_ingest"
    refused = site.play("--tags", tags, clickhouse_reset_mode="keep", qtickets_ingest_timeout_seconds=0)
    assert refused.headline["cause"] == "config_variable"
    looked = site.play("--tags", "run_diagnosis")
    assert looked.status != 0
    assert looked.headline == refused.headline


def test_tables_are_never_moved_aside_without_a_confirmation(site, healthy):
    rows = site.client().execute(f"SELECT count() FROM zakaz.{ORDERS}")[0][0]
    refused = site.play("--tags", "clickhouse_reset", clickhouse_reset_throwaway=False)
    assert refused.status != 0
    assert refused.headline["cause"] == "host_not_confirmed"
    text = " ".join(refused.output.split())
    assert f"zakaz.{ORDERS}" in text
    assert "-e clickhouse_reset_confirm=clickhouse" in text
    assert "-e clickhouse_reset_mode=keep" in text
    assert site.client().execute(f"SELECT count() FROM zakaz.{ORDERS}")[0][0] == rows
    # A server that refuses the login lists nothing; that is not the same as holding nothing.
    locked = site.play("--tags", "clickhouse_reset", clickhouse_reset_throwaway=False, clickhouse_password="no-such")
    assert locked.status != 0
    assert f"zakaz.{ORDERS} (its rows are not known)" in " ".join(locked.output.split())
    assert "refused user" in " ".join(locked.output.split())
    assert site.client().execute(f"SELECT count() FROM zakaz.{ORDERS}")[0][0] == rows
    confirming = {"clickhouse_reset_throwaway": False, "clickhouse_reset_confirm": "clickhouse"}
    # The earlier tests of this file wrote as another user just now.
    busy = site.play("--tags", "clickhouse_reset", **confirming)
    assert busy.headline["cause"] == "host_in_use"
    confirmed = site.play("--tags", "clickhouse_reset", clickhouse_reset_quiet_minutes=0, **confirming)
    assert confirmed.status == 0, confirmed.output[-4000:]
    assert site.client().execute("SELECT count() FROM system.databases WHERE name = 'zakaz'")[0][0] == 0
    assert list((site.folder / "clickhouse").glob("data.*Z"))


@pytest.mark.parametrize("inventory", ["local", "prod"])
def test_the_play_can_be_listed(site, inventory):
    """Which reads all of its files, as --syntax-check does."""
    played = site.play("--list-tags", inventory=inventory)
    assert played.status == 0, played.output
    for tag in ("clickhouse_reset", "schema_apply", "query_logging", "qtickets_ingest", "verify_data"):
        assert tag in played.output


def test_check_mode_sends_nothing_and_shows_the_plan(tmp_path):
    fresh = Site(tmp_path)
    played = fresh.play("--check", "--diff")
    assert played.status == 0, played.output[-6000:]
    assert "stg_qtickets_api_orders_raw" in played.output
    assert fresh.engine("status")["state"] == "stopped"
    assert fresh.reports() == {}
