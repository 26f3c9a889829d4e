"""docs/how-to/restore-after-reset.md, followed as it is written, on data that no run made."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from tests.faults.test_interrupted import interrupt
from tests.plays import ROOT, Site

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


def documented(site: Site, *more: str) -> str:
    """The document's own command with this site's inventory; what it said."""
    command = "ansible-playbook playbooks/restore.yml -i prod"
    assert f"{command}\n" in (ROOT / "docs/how-to/restore-after-reset.md").read_text(encoding="utf-8")
    played = site.play(*more, playbook=command.split()[1], clickhouse_reset_throwaway=False)
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
    assert f"1 tables with {ROWS} rows, as noted before the reset" in documented(site)
    assert rows(site) == ROWS
    again = documented(site)
    assert "the data that is in place stays: no run made it" in again
    assert "clickhouse_reset_restore=<time>" in again
    assert rows(site) == ROWS


def test_after_a_run_that_was_killed_the_same_command_brings_it_back(site):
    interrupt(site, 9, **CONFIRMED)
    documented(site)
    assert rows(site) == ROWS


def test_deleting_is_done_by_name_alone(site):
    nothing = site.play(playbook="playbooks/delete_moved_aside.yml")
    assert nothing.status != 0
    assert "clickhouse_reset_delete=<time>" in " ".join(nothing.output.split())
    moves = sorted((site.folder / "clickhouse/.ingest-verify/moves").glob("*.json"))
    stamp = json.loads(moves[0].read_text(encoding="utf-8"))["stamp"]
    gone = site.play(playbook="playbooks/delete_moved_aside.yml", clickhouse_reset_delete=stamp)
    assert gone.status == 0, gone.output[-4000:]
    assert not (site.folder / f"clickhouse/data.{stamp}").exists()
    assert rows(site) == ROWS
