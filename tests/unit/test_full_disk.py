"""The control node's disk is full or read-only: real file systems, mounted for one process alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible.module_utils.ingest_verify.control_node import ROOM, why_not_writable

from tests.plays import ROOT, mounted

START = """
import json, sys
from pathlib import Path
from ansible import module_utils
module_utils.__path__.append("module_utils")
from ansible.module_utils.ingest_verify.control_node import why_not_writable
from ansible.module_utils.ingest_verify.ledger import Ledger, carry_out
from ansible.module_utils.ingest_verify.process import run_process
disk = Path(sys.argv[1])
"""
LEDGER = """
def call(state, known=None, **more):
    asked = {"artifacts_dir": disk, "state": state, "host": "h", "run_id": ledger.data["run_id"], "facts": {},
             "stage": None, "status": "ok", "data": {}, "findings": [], **more}
    return carry_out(asked, check_mode=False, known=known)["ledger"]
ledger = Ledger.create(disk, "h", {})
known = call("entered", stage="qtickets_ingest")
rows = [{"text": "x" * 1000}] * 1263
proven = {"evidence": {"proven": True}}
known = call("update", known, stage="qtickets_ingest", extracts={"query_log": rows}, facts=proven)
known = call("entered", known, stage="verify_data")
known = call("update", known, stage="verify_data", data={"summary": "x" * 30000}, findings=FINDINGS)
print(json.dumps(call("judged", known)))
"""


def on_disk(size: str, folder: Path, code: str, *, read_only: bool = False) -> Any:
    command = [*mounted(folder, size, read_only=read_only), sys.executable, "-c", START + code, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ledger_on(size: str, folder: Path, *findings: dict[str, Any]) -> Any:
    return on_disk(size, folder, LEDGER.replace("FINDINGS", repr(list(findings))))


def test_a_run_whose_files_cannot_be_kept_goes_on_to_its_verdict_and_tells_path_and_bytes(tmp_path: Path) -> None:
    judged = ledger_on("24k", tmp_path)
    (told,) = judged["findings"]
    assert told["cause"] == "host_files_not_written"
    assert "query_log.jsonl needs 1,279,419 bytes" in told["headline"]
    assert "df -h" in told["next_step"]
    assert "xxxx" not in json.dumps(told)
    # The stages are recorded as they were, though their records are nowhere but here.
    assert {name: stage["status"] for name, stage in judged["stages"].items()} == {
        "qtickets_ingest": "ok",
        "verify_data": "ok",
    }
    assert judged["verdict"] == "FAIL"


def test_the_runs_own_causes_come_first(tmp_path: Path) -> None:
    own = {"stage": "verify_data", "severity": "error", "cause": "data_stale", "headline": "The newest order is old."}
    judged = ledger_on("24k", tmp_path, own)
    assert [finding["cause"] for finding in judged["findings"]] == ["data_stale", "host_files_not_written"]


def test_a_disk_with_room_says_nothing(tmp_path: Path) -> None:
    judged = ledger_on("40m", tmp_path)
    assert (judged["verdict"], judged["findings"]) == ("PASS", [])
    assert on_disk("40m", tmp_path, "print(json.dumps(why_not_writable(str(disk), 'x')))") == {}


def test_a_disk_that_fills_in_the_ingests_log_is_no_fault_of_the_ingest(tmp_path: Path) -> None:
    code = """
done = run_process([sys.executable, "-c", "for n in range(3000): print('loaded', n)"], log_file=disk / "ingest.log",
                   timeout_seconds=60, grace_seconds=1)
print(json.dumps(done.to_dict()))
"""
    done = on_disk("16k", tmp_path, code)
    assert done["exit_code"] == 0
    assert done["not_written"]["cause"] == "host_files_not_written"
    assert "0 bytes free" in done["not_written"]["headline"]
    assert on_disk("1m", tmp_path, code)["not_written"] is None


def test_a_folder_that_cannot_be_written_is_known_beforehand(tmp_path: Path) -> None:
    ask = "print(json.dumps(why_not_writable(str(disk / 'new' / 'folder'), 'local_dir')))"
    told = on_disk("40m", tmp_path, ask, read_only=True)
    assert "mounted read-only" in told["headline"]
    assert "set local_dir to another folder" in told["next_step"]
    assert f"a run needs up to {ROOM:,}" in on_disk("1m", tmp_path, ask)["headline"]
    (tmp_path / "file").write_text("")
    assert "is no folder" in why_not_writable(str(tmp_path / "file" / "x"), "local_dir")["headline"]
