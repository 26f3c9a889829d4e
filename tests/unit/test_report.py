"""A run's report: forms of one model, bad input, comparison of runs, the bundle that is proven clean."""

from __future__ import annotations

import hashlib
import html
import json
import re
import tarfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from ansible.module_utils.ingest_verify.masking import Masker
from ansible.module_utils.ingest_verify.report import bundle, compare, runs, text
from ansible.module_utils.ingest_verify.report.language import Language
from ansible.module_utils.ingest_verify.report.write import Wanted, Written, write_report
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/reference/report.schema.json").read_text(encoding="utf-8"))
SQL = "INSERT INTO zakaz.orders (id, amount) VALUES (1, 'x')"
ERROR = {
    "stage": "qtickets_ingest", "severity": "error", "cause": "server_missing_column", "object": "zakaz.orders",
    "headline": "zakaz.orders has no column amount.",
    "next_step": "Add it: ALTER TABLE zakaz.orders ADD COLUMN amount Int32",
    "evidence": {"sql": SQL, "exception": "Code: 16. No such column amount", "code": 16, "count": 3,
                 "first": "2026-11-28 08:45:02.100000", "last": "2026-11-28 08:45:03.000000"},
}  # fmt: skip


def ledger_of(run_id: str = "20261128T084501Z-abcdef", verdict: str = "FAIL", **more: Any) -> dict[str, Any]:
    return {
        "run_id": run_id, "host": "prod-1", "backend": "compose", "verdict": verdict,
        "started_at": "2026-11-28T08:45:01Z", "ended_at": "2026-11-28T08:48:06Z",
        "findings": [ERROR] if verdict == "FAIL" else [],
        "server": {"host": "127.0.0.1", "port": 9000, "version": "25.8.1.1", "timezone": "Europe/Moscow"},
        "stages": {
            "schema_apply": {"status": "ok", "started_at": "2026-11-28T08:45:02Z", "ended_at": "2026-11-28T08:45:05Z"},
            "qtickets_ingest": {"status": "failed" if verdict == "FAIL" else "ok", "summary": "3 statements"},
            "verify_data": {
                "status": "ok",
                "checks": [
                    {"name": "orders fresh", "kind": "freshness", "table": "zakaz.orders", "status": "ok",
                     "seconds": 0.1,
                     "expected": "younger than 60 min", "actual": "5 min"},
                    {"name": "orders once", "kind": "duplicates", "table": "zakaz.orders", "status": "error",
                     "seconds": 0.2,
                     "expected": "0", "actual": "2"},
                ],
                "accounts": [{"target": "zakaz.orders", "told": 12, "acknowledged": 12, "written_rows": 12,
                              "new_part_rows": 10,
                              "held": 10, "remainder": 2, "taken": [{"by": "merge", "rows": 2, "reason": "same key"}],
                              "unknown": []}],
            },
        },
        "ingest": {"exit_code": 1, "duration_seconds": 61.2, "user": "loader"},
        "changes": [{"stage": "clickhouse_reset", "what": "data moved aside", "from": "/data", "to": "/data.1",
                     "undo": "ansible-playbook playbooks/restore.yml -i prod", "at": "2026-11-28T08:45:10Z"}],
        **more,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "artifacts" / "20261128T084501Z-abcdef"
    path.mkdir(parents=True)
    (path / "ingest.log").write_text("start\nERROR no column amount\n")
    (path / "run.json").write_text(json.dumps(ledger_of()))
    return path


def written(
    folder: Path, ledger: dict[str, Any] | None = None, secrets: tuple[str, ...] = (), **wanted: Any
) -> Written:
    return write_report(folder, ledger or ledger_of(), secrets, Wanted(**wanted))


def read(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")


def test_one_model_makes_every_form(folder: Path) -> None:
    made = written(folder)
    report = json.loads(read(folder, "report.json"))
    jsonschema.validate(report, SCHEMA)
    assert (report["verdict"], report["headline"]) == ("FAIL", "zakaz.orders has no column amount.")
    assert report["summary"].startswith("3 of 5 stages ran; failed: qtickets_ingest;")
    page = read(folder, "report.html")
    assert page.index("zakaz.orders has no column amount.") < page.index("Timeline"), "verdict and cause on top"
    for said in ("ALTER TABLE zakaz.orders ADD COLUMN", "orders once", "data moved aside", "no column amount",
                 "3 min 5 s",
                 "2026-11-28 08:45:02.100 UTC", "restore.yml"):  # fmt: skip
        assert said in page, said
    written(folder, ledger_of(findings=[{**ERROR, "fix_side": "loader"}]))
    assert "Fix (loader)<" in read(folder, "report.html")
    assert {path.stat().st_mode & 0o777 for path in bundle.files_of(folder)} - {0o644} == {0o600}
    assert made.paths["report.html"].endswith("/report.html")


def test_markdown_fits_a_ticket(folder: Path) -> None:
    findings = [{**ERROR, "headline": f"finding {i}", "next_step": "\n".join(map(str, range(30)))} for i in range(40)]
    written(folder, ledger_of(findings=findings, changes=[ledger_of()["changes"][0]] * 30))
    lines = read(folder, "report.md").splitlines()
    assert len(lines) <= 80
    assert max(line.count(" | ") for line in lines) < 6
    assert sum(line.startswith("~~~~") for line in lines) % 2 == 0, "no fence stays open"
    assert "report.html" in lines[-1]


HOSTILE = [
    "![x](http://evil.example/a.png)", "[x](javascript:alert(1))", "<script>alert(1)</script>",
    "</script><img src=x onerror=a>",
    "`` ` ``", "| a | b |", "http://evil.example", "<b>", "~~~~\n# head", "\x1b[31mred\x1b[0m", "\u202egnp.exe",
    "\u200f\u2067\u05d0",
    "{{ 7 * 7 }}",
    "{% raw %}", "'\"; DROP TABLE", "\x00\x07", "# head\n## head", "&lt;", "a\u2028b", "__x__ *y*", "x@y.z",
]  # fmt: skip


def hostile_ledger(value: str) -> dict[str, Any]:
    finding = {
        **ERROR, "headline": value, "object": value, "cause": value, "next_step": value,
        "expected": value, "actual": value,
        "effects": [value], "evidence": {"sql": value, "exception": value, "rows": [{value: value}], "location": value,
                                         "check": value, "log_table": value, "rows_sql": value},
    }  # fmt: skip
    ledger = ledger_of(findings=[finding])
    ledger["host"] = value
    ledger["stages"]["schema_apply"] |= {"summary": value, "tables": {value: [{value: value}]}}
    ledger["stages"]["verify_data"]["checks"][0] |= {"name": value, "table": value, "actual": value}
    ledger["stages"]["verify_data"]["accounts"][0] |= {"target": value, "unknown": [value]}
    ledger["changes"] = [dict.fromkeys(("stage", "what", "from", "to", "undo", "at"), value)]
    ledger["ingest"] |= {"env": {value: value}, "command": value, "explained": value}
    return ledger


def check_harmless(folder: Path) -> None:
    page = read(folder, "report.html")
    assert re.findall(r"<script>", page) == ["<script>"], "the page's own alone"
    assert not re.search(r"<(?:img|b\s|iframe|link rel=.style)", page)
    assert not re.search(r"(?:src|href)=[\"']?(?:http|javascript)", page)
    # An element's own brackets alone: every value is escaped.
    for form in ("report.html", "report.md", "junit.xml", "metrics.prom"):
        content = read(folder, form)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", content), form
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).enable("table").parse(read(folder, "report.md"))
    kinds = {child.type for token in tokens for child in [token, *(token.children or [])]}
    assert not kinds & {"link_open", "image", "html_inline", "html_block"}, kinds
    headings = [token for token in tokens if token.type == "heading_open"]
    assert len(headings) <= 4
    ElementTree.fromstring(read(folder, "junit.xml"))
    jsonschema.validate(json.loads(read(folder, "report.json")), SCHEMA)


@pytest.mark.parametrize("value", HOSTILE)
def test_names_and_texts_act_nowhere(folder: Path, value: str) -> None:
    written(folder, hostile_ledger(value))
    check_harmless(folder)


@given(st.text(max_size=60))
def test_no_text_acts_in_markdown(value: str) -> None:
    for shown in (text.markdown(value), text.code(value)):
        assert "\n" not in shown
        tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(
            f"- x {shown}\n\n| {shown} |\n| --- |\n"
        )
        kinds = {child.type for token in tokens for child in [token, *(token.children or [])]}
        assert not kinds & {"link_open", "image", "html_inline", "html_block", "heading_open"}


def test_a_flood_is_cut_and_said(folder: Path) -> None:
    huge = {**ERROR, "evidence": {**ERROR["evidence"], "sql": "SELECT '" + "x" * 1_000_000 + "'"}}
    others = [{**ERROR, "headline": f"finding {i}", "severity": "warning"} for i in range(5000)]
    written(folder, ledger_of(findings=[*others, huge]))
    report = json.loads(read(folder, "report.json"))
    assert report["counts"] == {"warning": 5000, "error": 1}
    assert report["findings"][0]["severity"] == "error", "the error is not lost behind the warnings"
    assert any("5001 findings" in sentence for sentence in report["cut"])
    assert any("sql" in sentence for sentence in report["cut"])
    page = read(folder, "report.html")
    assert "5001 findings" in page
    assert len(page) < 3_000_000
    assert len(read(folder, "report.json")) < 3_000_000


def test_many_large_statements_stay_small(folder: Path) -> None:
    findings = [{**ERROR, "evidence": {"sql": f"SELECT {i} -- " + "y" * 20_000}} for i in range(210)]
    written(folder, ledger_of(findings=findings))
    assert len(read(folder, "report.html")) < 3_000_000


def test_no_wide_table_and_none_with_sql_and_every_time_has_its_zone(folder: Path) -> None:
    wide = {f"column {i}": i for i in range(8)}
    ledger = ledger_of()
    ledger["stages"]["qtickets_ingest"]["tables"] = {
        "Statements by target": [
            {**wide, "last_at": "2026-11-28 08:45:03.504582", "last_statement": SQL},
            {**wide, "last_at": None, "last_statement": None},
        ],
        "Last records": [{"job": "x", "started_at": "2026-11-28 11:45:01+03:00", "note": "2026-11-28 11:45:01"}],
        "Statements": [{"query": "SELECT 4711", "n": 1}],
    }
    written(folder, ledger)
    page = read(folder, "report.html")
    heads = re.findall(r"<thead>.*?</thead>", page, re.DOTALL)
    assert heads
    assert max(head.count("<th ") for head in heads) <= 6
    for body in re.findall(r"<tbody>.*?</tbody>", page, re.DOTALL):
        assert "INSERT" not in re.sub("<[^>]*>", "", body)
        assert "4711" not in body
    text_only = html.unescape(re.sub("<[^>]*>", "", page))
    assert "column 7" in text_only
    assert text_only.count(SQL) == 2, "of the finding and of the table"
    for said in ("2026-11-28 08:45:03.504 UTC", "2026-11-28 08:45:01 UTC"):
        assert said in page
    assert "11:45:01+03:00" not in page
    assert ">2026-11-28 11:45:01<" in page, "of a value without a zone none is invented"


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "20261128T084501Z-abcdef"
    folder.mkdir()
    (folder / "query_log.jsonl").write_text(
        '{"time": "2026-11-28 08:45:02", "query": "SELECT 1", "event": "QueryFinish"}\nbroken\n'
    )
    (folder / "snapshot.json").write_text("{")
    written(folder, {"run_id": folder.name, "host": "h", "started_at": "2026-11-28T08:45:01Z"})
    report = json.loads(read(folder, "report.json"))
    jsonschema.validate(report, SCHEMA)
    said = " ".join(report["missing"])
    for part in ("did not run", "No trend", "No snapshot", "1 damaged line", "No rows' account"):
        assert part in said, part
        assert part.split("'")[0] in read(folder, "report.html")
    assert "first run of this host" in report["comparison"]["sentence"]


def test_junit_has_a_case_per_stage_check_and_target(folder: Path) -> None:
    written(folder)
    suites = {suite.get("name"): suite for suite in ElementTree.fromstring(read(folder, "junit.xml"))}
    names = {name: [case.get("name") for case in suite] for name, suite in suites.items()}
    assert names["data checks"] == ["orders fresh", "orders once"]
    assert names["targets"] == ["zakaz.orders"]
    assert len(names["stages"]) == 5
    assert [suites[name].get("failures") for name in ("stages", "data checks", "targets")] == ["1", "1", "1"]
    assert suites["stages"].get("skipped") == "2"
    assert suites["stages"].get("timestamp") == "2026-11-28T08:45:01+00:00"
    (ingest,) = [case for case in suites["stages"] if case.get("name") == "qtickets_ingest"]
    assert "ERROR no column amount" in str(ingest.findtext("system-out"))
    evidence = {**ERROR["evidence"], "check": "orders once"}
    written(folder, ledger_of(findings=[{**ERROR, "evidence": evidence}]))
    for form in ("report.html", "report.md", "report.json", "junit.xml"):
        assert "orders once" in read(folder, form), form
    assert 'message="orders once: zakaz.orders has no column amount."' in read(folder, "junit.xml")
    healthy = written(folder, ledger_of(verdict="PASS", stages={"schema_apply": {"status": "ok"}}))
    assert healthy.model["verdict"] == "PASS"
    assert "failure" not in read(folder, "junit.xml").replace("failures=", "")


def test_metrics_are_what_the_textfile_collector_reads(folder: Path) -> None:
    target = folder.parent / "verify.prom"
    written(folder, metrics_file=str(target))
    lines = target.read_text().splitlines()
    assert 'ingest_verify_verdict{host="prod-1"} 1' in lines
    assert 'ingest_verify_table_rows{host="prod-1",table="zakaz.orders"} 10' in lines
    assert 'ingest_verify_stage_seconds{host="prod-1",stage="schema_apply"} 3' in lines
    assert 'ingest_verify_fresh{host="prod-1",check="orders fresh",table="zakaz.orders"} 1' in lines
    shape = re.compile(r'# (?:HELP|TYPE) \w+ .+|\w+\{(?:\w+="(?:[^"\\]|\\.)*",?)+\} -?[\d.e+]+')
    assert all(shape.fullmatch(line) for line in lines)
    assert target.stat().st_mode & 0o777 == 0o644, "another user's collector reads it"


def test_what_it_took_names_the_gone_cause_and_the_ddl(folder: Path) -> None:
    before, after = (
        "CREATE TABLE t (`id` Int32) ENGINE = Log",
        "CREATE TABLE t (`id` Int32, `amount` Int32) ENGINE = Log",
    )
    old = folder.parent / "20261127T084501Z-000001"
    old.mkdir()
    (old / "run.json").write_text(json.dumps(ledger_of(old.name)))
    (old / "snapshot.json").write_text(
        json.dumps({"schema": {"table zakaz.orders": before}, "env file": {"A": "hash 1"}})
    )
    (folder / "snapshot.json").write_text(
        json.dumps({"schema": {"table zakaz.orders": after}, "env file": {"A": "hash 2"}, "missing": []})
    )
    made = written(folder, ledger_of(verdict="PASS")).model["comparison"]
    assert made["what_it_took"]
    assert made["with"] == old.name
    assert made["gone"] == ["server_missing_column (zakaz.orders): zakaz.orders has no column amount."]
    assert [change["what"] for change in made["changes"]] == ["env file: A", "schema: table zakaz.orders"]
    assert "+`amount` Int32)" in made["changes"][1]["diff"].replace("+ ", "+")
    assert "What it took" in read(folder, "report.html")
    with pytest.raises(LookupError, match="no run 20200101T000000Z-000000"):
        written(folder, compare="20200101T000000Z-000000")
    (old / "snapshot.json").write_text("not JSON")
    assert "could not be read" in written(folder, compare=old.name).model["comparison"]["sentence"]


def test_the_same_run_again_differs_in_nothing(folder: Path) -> None:
    schema = {"schema": {"table a": "CREATE TABLE a\n UUID 0-1"}, "missing": []}
    again = {"schema": {"table a": "CREATE TABLE a\n UUID 0-2"}, "missing": []}
    old = folder.parent / "20261127T084501Z-000001"
    old.mkdir()
    (old / "run.json").write_text(json.dumps(ledger_of(old.name)))
    (old / "snapshot.json").write_text(json.dumps(schema))
    (folder / "snapshot.json").write_text(json.dumps(again))
    made = written(folder).model["comparison"]
    assert (made["gone"], made["new"], made["changes"]) == ([], [], [])


def test_runs_are_listed_and_old_ones_go(folder: Path) -> None:
    for day in range(10, 15):
        old = folder.parent / f"202611{day}T084501Z-00000{day - 10}"
        old.mkdir()
        (old / "run.json").write_text(json.dumps(ledger_of(old.name, "PASS")))
    other = folder.parent / "20261101T084501Z-0000ff"
    other.mkdir()
    (other / "run.json").write_text(json.dumps({**ledger_of(other.name), "host": "another"}))
    (folder.parent / "notes").mkdir()
    alone = folder.parent / "20261105T084501Z-0000fe"
    alone.mkdir()
    (alone / "run.json").write_text(json.dumps({**ledger_of(alone.name), "kind": "diagnosis"}))
    (folder.parent / "20261110T084501Z-000000.tar.gz").write_text("")
    table = runs.lines(folder.parent)
    assert len(table) == 8
    assert re.search(r"abcdef +prod-1 +FAIL +3 min 5 s +server_missing_column: zakaz.orders has no column", table[-1])
    written(folder, keep=3)
    left = sorted(path.name for path in folder.parent.iterdir() if path.is_dir())
    assert not list(folder.parent.glob("*.tar.gz")), "a run's archive goes with it"
    assert left == [other.name, "20261113T084501Z-000003", "20261114T084501Z-000004", folder.name, "notes"]
    assert runs.lines(folder.parent / "nowhere") == [f"{folder.parent / 'nowhere'} holds no run."]


def test_the_bundle_is_listed_and_packed(folder: Path) -> None:
    made = written(folder, archive=True)
    for line in read(folder, "MANIFEST.sha256").splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    with tarfile.open(made.paths["archive"]) as archive:
        names = {Path(name).name for name in archive.getnames()}
        assert {info.uid for info in archive.getmembers()} == {0}
    assert {"report.html", "ingest.log", "run.json", "MANIFEST.sha256"} <= names
    assert Path(made.paths["archive"]).stat().st_mode & 0o777 == 0o600


def exchange(number: int, **told: int) -> str:
    return json.dumps({
        "v": 1, "e": "exchange", "pid": 7, "thread": 1, "t": 1764319502.5 + number, "n": number, "client": "requests",
        "method": "GET", "host": "api.example.org", "port": 443, "path": "/orders", "asked": "q1", "status": 200,
        "ms": 20, "told": told,
    }) + "\n"  # fmt: skip


@pytest.mark.parametrize(("pages", "said"), [(1, "not all"), (2, "")])
def test_the_sources_own_figures_stand_beside_what_was_read_and_written(folder: Path, pages: int, said: str) -> None:
    answers = [exchange(number, records=6, total=12, page=number) for number in range(1, pages + 1)]
    start = {"v": 1, "e": "process_start", "pid": 7, "ppid": 1, "t": 1764319502, "runtime": "python", "program": ["x"]}
    (folder / "recorder.jsonl").write_text("".join([json.dumps(start) + "\n", *answers]))
    report = written(folder).model
    assert report["served"] == [
        {"source": "api.example.org:443/orders", "told": 12, "pages_told": None, "read": 6 * pages, "answers": pages,
         "whole": pages == 2}
    ]  # fmt: skip
    jsonschema.validate(json.loads(read(folder, "report.json")), SCHEMA)
    page = re.sub(r"\s*<[^>]*>\s*", " ", read(folder, "report.html"))
    for shown in (page, read(folder, "report.md").replace("`", "")):
        assert re.search(
            rf"api.example.org:443/orders.*12 records.*{6 * pages} records.*{said}.*zakaz.orders:? 12", shown, re.DOTALL
        )
        assert ("not all" in shown) == bool(said)


SECRET = "s3cr3t/tok en+4711"


def test_everything_in_the_folder_is_masked(folder: Path) -> None:
    half = len(SECRET) // 2
    (folder / "ingest.log").write_text(f"key {SECRET[:half]}\n  {SECRET[half:]} end\nX-Api-Key: hunterhunter\n")
    (folder / "recorder.jsonl").write_text(
        json.dumps({"event": "exchange", "t": 1, "url": f"http://x/?token={SECRET}"}) + "\n"
    )
    (folder / "query_log.jsonl").write_text(
        json.dumps({"time": "2026-11-28 08:45:02", "query": f"SELECT '{SECRET}', 'ivan@example.org'", "written": 4111})
        + "\n"
    )
    (folder / "server.log").write_text("user +7 916 123-45-67 paid 4111 1111 1111 1111\n")
    ledger = ledger_of(
        findings=[{**ERROR, "headline": f"refused: {SECRET}", "evidence": {"sql": f"SELECT '{SECRET}'"}}]
    )
    (folder / "run.json").write_text(json.dumps(ledger))
    written(folder, ledger, (SECRET,))
    for path in bundle.files_of(folder):
        content = path.read_text(encoding="utf-8")
        for hidden in ("4711", "s3cr3t", "hunterhunter", "ivan@", "123-45-67", "1111 1111"):
            assert hidden not in content, (path.name, hidden)
    assert "4111" in read(folder, "query_log.jsonl"), "a count of rows stays"


def test_what_is_still_there_fails_and_is_not_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A form that writes what masking did not see: the second look finds it."""
    monkeypatch.setattr(bundle, "mask_files", lambda *_: [])
    (folder / "ingest.log").write_text(f"key {SECRET}\n")
    (folder / "other.txt").write_text("nothing here, id 4111111111111112\n")
    with pytest.raises(bundle.LeakError) as raised:
        written(folder, None, (SECRET,))
    assert "ingest.log still holds" in str(raised.value)
    assert "a configured secret" in str(raised.value)
    assert "4711" not in str(raised.value)


def test_a_file_that_is_too_large_is_cut_in_its_middle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_FILE", 10_000)
    (folder / "ingest.log").write_text("".join(f"line {i}\n" for i in range(5000)))
    report = written(folder).model
    content = read(folder, "ingest.log")
    assert len(content) < 11_000
    assert content.startswith("line 0\n")
    assert content.endswith("line 4999\n")
    assert "bytes left out" in content
    assert any("ingest.log had" in sentence for sentence in report["cut"])


def test_the_whole_folder_has_a_limit_and_small_files_stay_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_FOLDER", 60_000)
    row = json.dumps({"time": "2026-11-28 08:45:02", "query": "SELECT 1", "event": "QueryFinish"}) + "\n"
    for name in ("query_log.jsonl", "part_log.jsonl", "text_log.jsonl"):
        (folder / name).write_text(row * 2000)
    (folder / "server.log").write_text("whole\n" * 100)
    report = written(folder).model
    for name in ("query_log.jsonl", "part_log.jsonl", "text_log.jsonl"):
        assert (folder / name).stat().st_size < 20_000
        assert any(sentence.startswith(f"{name} had ") for sentence in report["cut"]), name
        assert name in read(folder, "report.html")
    assert read(folder, "server.log") == "whole\n" * 100
    assert not any("damaged" in sentence for sentence in report["missing"]), "what was left out is no damage"
    assert json.loads(read(folder, "run.json"))["host"] == "prod-1"


def test_a_failed_notification_is_a_warning_without_its_token(folder: Path) -> None:
    pytest.importorskip("apprise")
    made = written(folder, notify=["json://127.0.0.1:1/s3cr3t-4711", "nonsense"])
    assert len(made.warnings) == 1
    assert "json" in made.warnings[0]
    assert "4711" not in made.warnings[0]


def test_openlineage_tells_the_run_and_its_tables(folder: Path) -> None:
    pytest.importorskip("openlineage")
    written(folder, lineage_namespace="shop")
    event = json.loads(read(folder, "openlineage.json"))
    assert event["eventType"] == "FAIL"
    assert event["job"] == {"facets": {}, "name": "ingest", "namespace": "shop"}
    assert [output["name"] for output in event["outputs"]] == ["zakaz.orders"]


def test_an_unknown_language_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="expected one of en, ru"):
        written(folder, language="xx")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, ""), ("2026-11-28T08:45:01Z", "2026-11-28 08:45:01 UTC"),
     ("2026-11-28 08:45:01.5", "2026-11-28 08:45:01.500 UTC"),
     ("2026-11-28T11:45:01+03:00", "2026-11-28 08:45:01 UTC"), ("yesterday", "yesterday")],
)  # fmt: skip
def test_times_have_one_format(value: Any, shown: str) -> None:
    assert text.when(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, ""), (0.004, "0 s"), (0.24, "0.24 s"), (9, "9 s"), (59.6, "60 s"), (185, "3 min 5 s"), (3725, "1 h 2 min")],
)
def test_durations_are_readable(seconds: float | None, shown: str) -> None:
    assert text.duration(seconds) == shown


def test_masked_data_in_json_keeps_its_shape(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"password": "hunter22", "rows": [1, 2]}))
    bundle.mask_files(tmp_path, Masker())
    assert json.loads((tmp_path / "a.json").read_text()) == {"password": "***", "rows": [1, 2]}
    assert compare.read_json(tmp_path / "none.json") is None


def test_english_needs_no_catalogue() -> None:
    assert Language().text("Findings") == "Findings"
