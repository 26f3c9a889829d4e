"""docs/how-to/restore-after-reset.md, followed as it is written, on data that no run made."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from tests.faults.test_interrupted import interrupt
from tests.plays import Site, documented

DOCUMENT = "docs/how-to/restore-after-reset.md"
ROWS = 123_456
# Production's confirmation; its other program has ended, and is named.
CONFIRMED = {
    "clickhouse_reset_throwaway": False,
    "clickhouse_reset_confirm": "clickhouse",
    "clickhouse_reset_writers": ["admin: python-driver"],
}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    """A server with a table of production's."""
    place = Site(tmp_path_factory.mktemp("production"))
    started = place.play("--tags", "clickhouse_reset")
    assert started.status == 0, started.output[-4000:]
    (place.folder / "clickhouse/.ingest-verify/made.json").unlink()
    client = place.client()
    client.execute("CREATE DATABASE shop")
    client.execute("CREATE TABLE shop.sales (id UInt64) ENGINE = MergeTree ORDER BY id")
    client.execute(f"INSERT INTO shop.sales SELECT number FROM numbers({ROWS})")
    yield place
    place.engine("stop")


def restore(site: Site, option: str = "", **values: str) -> str:
    """The document's own command with this site's inventory; what it said."""
    playbook = "playbooks/restore.yml"
    arguments = documented(DOCUMENT, playbook, option, **values)
    played = site.play(*arguments, playbook=playbook, clickhouse_reset_throwaway=False)
    assert played.status == 0, played.output[-5000:]
    return " ".join(played.output.split())


def rows(site: Site) -> int:
    return int(site.client().execute("SELECT count() FROM shop.sales")[0][0])


def test_the_plan_is_shown_and_nothing_is_touched(site):
    pid = site.engine("status")["pid"]
    plan = site.play("--check", "--tags", "clickhouse_reset", clickhouse_reset_throwaway=False)
    assert plan.status == 0, plan.output[-4000:]
    said = " ".join(plan.output.split())
    assert f"It holds: 1 tables, {ROWS} rows" in said
    assert "Needed: -e clickhouse_reset_confirm=clickhouse" in said
    assert "Undo: ansible-playbook playbooks/restore.yml -i local" in said
    assert site.engine("status")["pid"] == pid
    assert rows(site) == ROWS


def test_after_a_run_that_failed_the_report_says_where_the_data_is_and_one_command_brings_it_back(site):
    failing = [sys.executable, "-c", "raise SystemExit('no such key')"]
    failed = site.play(qtickets_ingest_command=failing, **CONFIRMED)
    assert failed.report["verdict"] == "FAIL"
    (change,) = failed.report["changes"]
    assert f"{ROWS} rows" in change["what"]
    assert change["undo"].startswith("ansible-playbook playbooks/restore.yml -i local -e clickhouse_reset_restore=")
    # The terminal says so too, although it was the ingest that failed.
    assert change["undo"] in " ".join(failed.output.split())
    report = next(reversed(site.reports())).with_name("report.md").read_text(encoding="utf-8")
    assert change["to"] in report
    stamp = change["undo"].rpartition("=")[2]
    plan = restore(site, "--check")
    assert f"{ROWS} rows" in plan
    assert stamp in plan
    assert site.client().execute("EXISTS TABLE shop.sales") == [(0,)]
    assert f"1 tables with {ROWS} rows, as noted before the reset" in restore(site)
    assert rows(site) == ROWS
    again = restore(site)
    assert "the data that is in place stays: no run made it" in again
    assert "clickhouse_reset_restore=<time>" in again
    assert rows(site) == ROWS


def test_after_a_run_that_was_killed_the_same_command_brings_it_back(site):
    interrupt(site, 9, **CONFIRMED)
    restore(site)
    assert rows(site) == ROWS


def test_after_a_run_that_passed_it_is_brought_back_by_the_time_in_its_name(site):
    passed = site.play(**CONFIRMED)
    assert passed.report["verdict"] == "PASS", passed.output[-4000:]
    (change,) = [change for change in passed.report["changes"] if f"{ROWS} rows" in change["what"]]
    stamp = change["undo"].rpartition("=")[2]
    restore(site, "clickhouse_reset_restore", clickhouse_reset_restore=stamp)
    assert rows(site) == ROWS


def test_deleting_is_done_by_name_alone(site):
    nothing = site.play(playbook="playbooks/delete_moved_aside.yml")
    assert nothing.status != 0
    assert "clickhouse_reset_delete=<time>" in " ".join(nothing.output.split())
    moves = sorted((site.folder / "clickhouse/.ingest-verify/moves").glob("*.json"))
    stamp = json.loads(moves[0].read_text(encoding="utf-8"))["stamp"]
    playbook = "playbooks/delete_moved_aside.yml"
    by_name = documented(DOCUMENT, playbook, "clickhouse_reset_delete", clickhouse_reset_delete=stamp)
    gone = site.play(*by_name, playbook=playbook)
    assert gone.status == 0, gone.output[-4000:]
    assert not (site.folder / f"clickhouse/data.{stamp}").exists()
    assert rows(site) == ROWS
