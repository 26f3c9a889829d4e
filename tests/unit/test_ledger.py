"""The ledger is the only way from one stage to a later one."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest
from ansible.module_utils.ingest_verify.ledger import Ledger, LedgerError, carry_out, find_last, refuse_second_run

ERROR = {"stage": "schema_apply", "severity": "error", "cause": "server_unsupported_ddl", "headline": "no"}


def test_a_new_run_is_found_again_by_its_host_only(tmp_path):
    first = Ledger.create(tmp_path, "target", {"backend": "compose"})
    assert find_last(tmp_path, "target") == first.data["run_id"]
    assert find_last(tmp_path, "another") is None
    assert find_last(tmp_path / "absent", "target") is None


def test_a_run_is_found_by_server_and_database_whatever_an_inventory_calls_the_host(tmp_path):
    shop = {"target": "db.example.org:9000/shop"}
    first = Ledger.create(tmp_path, "prod", shop)
    assert find_last(tmp_path, "another alias", shop["target"]) == first.data["run_id"]
    # The same alias for another server or database is another run's.
    assert find_last(tmp_path, "prod", "db2.example.org:9000/shop") is None
    assert find_last(tmp_path, "prod", "db.example.org:9000/stock") is None
    # Ledgers of before had no target.
    old = Ledger.create(tmp_path, "old", {})
    assert find_last(tmp_path, "old", "db3.example.org:9000/shop") == old.data["run_id"]


def test_the_newest_run_wins_and_a_damaged_one_is_passed_over(tmp_path):
    old = Ledger.create(tmp_path, "target", {})
    new_folder = tmp_path / "29991231T000000Z-abcdef"
    new_folder.mkdir()
    for damaged in ("{ half", "[]", '"text"', '{"run_id": "another", "host": "target"}'):
        (new_folder / "run.json").write_text(damaged)
        assert find_last(tmp_path, "target") == old.data["run_id"]
        refuse_second_run(tmp_path, "target", None)
    (new_folder / "run.json").write_text(json.dumps({"run_id": new_folder.name, "host": "target"}))
    assert find_last(tmp_path, "target") == new_folder.name
    assert Ledger.load(tmp_path, new_folder.name).judge() == "NOTHING RUN"


def test_the_folder_is_its_owners_alone(tmp_path):
    ledger = Ledger.create(tmp_path, "target", {})
    assert stat.S_IMODE(ledger.folder.stat().st_mode) == 0o700


def test_a_stage_run_again_speaks_for_itself(tmp_path):
    ledger = Ledger.create(tmp_path, "target", {})
    ledger.record_stage("schema_apply", "failed", {}, [ERROR])
    assert ledger.judge() == "FAIL"
    ledger.record_stage("schema_apply", "ok", {}, [])
    assert ledger.judge() == "PASS"


def test_an_ingest_refused_before_it_began_takes_nothing_over_from_an_earlier_one(tmp_path):
    ledger = Ledger.create(tmp_path, "target", {})
    ledger.merge({"window": {"from": "a", "to": "b"}, "ingest": {"exit_code": 0}})
    ledger.record_stage("qtickets_ingest", "ok", {"window_before": {}}, [])
    assert {"window", "ingest"} <= ledger.data.keys()
    ledger.record_stage("qtickets_ingest", "failed", {}, [])
    assert not {"window", "ingest"} & ledger.data.keys()


def test_data_checks_of_an_earlier_ingest_say_nothing_of_a_later_one(tmp_path):
    ledger = Ledger.create(tmp_path, "target", {})
    ledger.record_stage("qtickets_ingest", "ok", {"window_before": {"at": "1"}}, [])
    ledger.record_stage("verify_data", "failed", {}, [{**ERROR, "stage": "verify_data"}])
    # The diagnosis records the same ingest again.
    ledger.record_stage("qtickets_ingest", "ok", {"window_before": {"at": "1"}}, [])
    assert ledger.judge() == "FAIL"
    ledger.record_stage("qtickets_ingest", "ok", {"window_before": {"at": "2"}}, [])
    assert "verify_data" not in ledger.data["stages"]
    assert ledger.data["findings"] == []


def test_findings_stand_in_the_order_of_the_stages(tmp_path):
    ledger = Ledger.create(tmp_path, "target", {})
    ledger.record_stage("verify_data", "failed", {}, [{**ERROR, "stage": "verify_data"}])
    ledger.record_stage("schema_apply", "failed", {}, [ERROR])
    assert [finding["stage"] for finding in ledger.data["findings"]] == ["schema_apply", "verify_data"]


@pytest.mark.parametrize("stage", ["qtickets_ingest", "query_logging"])
def test_a_stage_that_needs_evidence_is_inconclusive_without_its_proof(tmp_path, stage):
    ledger = Ledger.create(tmp_path, "target", {})
    ledger.record_stage("schema_apply", "ok", {}, [])
    assert ledger.judge() == "PASS"
    ledger.record_stage(stage, "ok", {}, [])
    assert ledger.judge() == "INCONCLUSIVE"
    ledger.merge({"evidence": {"proven": True}})
    assert ledger.judge() == "PASS"


def test_an_error_outweighs_missing_evidence(tmp_path):
    ledger = Ledger.create(tmp_path, "target", {})
    ledger.record_stage("qtickets_ingest", "failed", {}, [{**ERROR, "stage": "qtickets_ingest"}])
    assert ledger.judge() == "FAIL"


def test_what_was_saved_is_read_back(tmp_path):
    ledger = Ledger.create(tmp_path, "target", {})
    ledger.merge({"window": {"from": "2026-01-01 00:00:00.000000"}})
    ledger.save()
    assert Ledger.load(tmp_path, ledger.data["run_id"]).data == ledger.data
    assert [path.name for path in ledger.folder.iterdir()] == ["run.json"]


def test_changes_of_the_host_add_up_with_their_stage_and_time(tmp_path):
    ledger = Ledger.create(tmp_path, "target", {})
    ledger.enter("clickhouse_reset")
    ledger.merge({"changes": [{"what": "data moved aside", "from": "/data", "to": "/data.1", "undo": "mv"}]})
    ledger.enter("query_logging")
    ledger.merge({"changes": [{"what": "restart"}], "evidence": {}})
    ledger.merge({"changes": []})
    assert [(change["stage"], change["what"]) for change in ledger.data["changes"]] == [
        ("clickhouse_reset", "data moved aside"),
        ("query_logging", "restart"),
    ]
    assert all(change["at"] for change in ledger.data["changes"])
    assert ledger.data["evidence"] == {}


def test_rows_and_figures_are_kept_and_a_run_that_is_checked_again_replaces_its_line(tmp_path):
    figures = tmp_path / "history.jsonl"
    figures.write_text('{"run_id": "20260101T000000Z-000000", "ok": true}')
    ledger = Ledger.create(tmp_path, "target", {})
    for rows in (1, 2):
        ledger.keep_figures(figures, {"figures": {"t": rows}})
    first, own = map(json.loads, figures.read_text().splitlines())
    assert (first["ok"], own) == (True, {"run_id": ledger.data["run_id"], "figures": {"t": 2}})
    ledger.keep_rows({"query_log": [{"a": 1}, {"a": 2}], "part_log": []})
    assert ledger.data["files"] == ["query_log.jsonl"]
    kept = ledger.folder / "query_log.jsonl"
    assert [json.loads(line) for line in kept.read_text().splitlines()] == [{"a": 1}, {"a": 2}]
    assert kept.stat().st_mode & 0o777 == 0o600
    with pytest.raises(LedgerError, match="cannot write"):
        ledger.keep_figures(tmp_path / "no" / "history.jsonl", {})


def test_an_unknown_stage_and_an_absent_run_are_refused(tmp_path):
    ledger = Ledger.create(tmp_path, "target", {})
    with pytest.raises(LedgerError, match="not a stage"):
        ledger.record_stage("ingest", "ok", {}, [])
    with pytest.raises(LedgerError, match="cannot be read"):
        Ledger.load(tmp_path, "20260101T000000Z-000000")


def test_a_second_run_on_the_same_host_is_refused_while_the_first_is_at_work(tmp_path):
    with subprocess.Popen(["sleep", "60"]) as first:
        start = int(Path(f"/proc/{first.pid}/stat").read_text().rpartition(")")[2].split()[19])
        process = {"pid": first.pid, "start": start}
        ledger = Ledger.create(tmp_path, "target", {"process": process})
        with pytest.raises(LedgerError, match=f"Another run is at work on target: run {ledger.data['run_id']}"):
            refuse_second_run(tmp_path, "target", None)
        refuse_second_run(tmp_path, "another", None)
        refuse_second_run(tmp_path, "target", process)
        ledger.merge({"target": "127.0.0.1:9000/shop"})
        ledger.save()
        with pytest.raises(LedgerError, match=r"at work on 127\.0\.0\.1:9000/shop"):
            refuse_second_run(tmp_path, "another", None, "127.0.0.1:9000/shop")
        refuse_second_run(tmp_path, "target", None, "127.0.0.1:9000/stock")
        first.terminate()
    # A play that was killed leaves its ledger open; its process is gone, so it stands in nobody's way.
    refuse_second_run(tmp_path, "target", None)


def test_a_judged_run_is_at_work_no_more(tmp_path):
    ledger = Ledger.create(tmp_path, "target", {"process": {"pid": 1, "start": 0}})
    ledger.judge()
    assert "process" not in ledger.data


def test_a_stage_that_did_not_end_is_no_pass(tmp_path):
    ledger = Ledger.create(tmp_path, "target", {"process": {"pid": 1, "start": 0}})
    ledger.record_stage("schema_apply", "ok", {}, [])
    ledger.enter("qtickets_ingest")
    ledger.save()
    # The next play meets a ledger whose process is gone.
    later = Ledger.load(tmp_path, ledger.data["run_id"])
    later.take_up({"pid": 2, "start": 0})
    assert later.judge() == "INTERRUPTED"
    assert later.data["stages"]["qtickets_ingest"]["status"] == "interrupted"
    # The stage run again and recorded speaks for itself.
    later.enter("qtickets_ingest")
    later.merge({"evidence": {"proven": True}})
    later.record_stage("qtickets_ingest", "ok", {"window_before": {"at": "1"}}, [])
    assert later.judge() == "PASS"


def test_a_run_that_ended_by_itself_is_not_interrupted_when_another_play_takes_it_up(tmp_path):
    ledger = Ledger.create(tmp_path, "target", {"process": {"pid": 1, "start": 0}})
    ledger.enter("schema_apply")
    ledger.record_stage("schema_apply", "ok", {}, [])
    ledger.judge()
    ledger.take_up({"pid": 2, "start": 0})
    assert ledger.judge() == "PASS"


def test_an_error_of_an_interrupted_run_is_still_a_failure(tmp_path):
    ledger = Ledger.create(tmp_path, "target", {"process": {"pid": 1, "start": 0}})
    ledger.record_stage("schema_apply", "failed", {}, [ERROR])
    ledger.enter("query_logging")
    ledger.take_up({"pid": 2, "start": 0})
    assert ledger.judge() == "FAIL"


def test_a_diagnosis_of_a_window_is_no_run_that_stages_continue(tmp_path):
    run = Ledger.create(tmp_path, "target", {"kind": "verify"})
    Ledger.create(tmp_path, "target", {"kind": "diagnosis"})
    assert find_last(tmp_path, "target") == run.data["run_id"]


def test_a_folder_without_a_run_has_nothing_to_report(tmp_path):
    asked = {"artifacts_dir": str(tmp_path), "state": "existing", "host": "target", "run_id": None}
    with pytest.raises(LedgerError, match="NOTHING RUN"):
        carry_out(asked, check_mode=False)
    assert list(tmp_path.iterdir()) == []


def test_the_ledger_keeps_a_run_from_its_opening_to_its_verdict(tmp_path):
    def ledger(state: str, *, check: bool = False, **more: object) -> dict:
        nothing = {"run_id": None, "facts": {}, "stage": None, "status": "ok", "data": {}, "findings": []}
        asked = {"artifacts_dir": str(tmp_path), "host": "h", "state": state, **nothing, **more}
        return carry_out(asked, check_mode=check)

    planned = ledger("new", check=True)
    assert (planned["run_id"], planned["dir"]) == ("check-mode", "")
    assert planned["ledger"] == {"stages": {}, "findings": []}
    assert list(tmp_path.iterdir()) == []

    run = ledger("last", facts={"backend": "compose"})
    assert run["ledger"]["backend"] == "compose"
    assert ledger("last")["run_id"] == run["run_id"]
    stage = {"run_id": run["run_id"], "stage": "schema_apply", "status": "failed", "data": {"summary": "two of three"}}
    finding = {"stage": "schema_apply", "severity": "error", "cause": "server_quota", "headline": "enough"}
    planned = ledger("update", **stage, findings=[finding], check=True)
    assert planned["ledger"]["stages"]["schema_apply"]["summary"] == "two of three"
    assert ledger("last")["ledger"]["stages"] == {}
    ledger("update", **stage, findings=[finding], facts={"server": {"version": "26.9"}})
    judged = ledger("judged", run_id=run["run_id"])["ledger"]
    assert (judged["verdict"], judged["server"]) == ("FAIL", {"version": "26.9"})
    # A finding without a next step gets its cause's own.
    assert [{key: kept[key] for key in finding} for kept in judged["findings"]] == [finding]
    assert judged["findings"][0]["next_step"]
    assert json.loads(Path(run["dir"], "run.json").read_text()) == judged
    assert ledger("new")["run_id"] != run["run_id"]
