"""A finding reads as lines that a person on call understands."""

from __future__ import annotations

import pytest
from ansible.module_utils.ingest_verify.findings import Finding, render, render_failure, shorten, verdict


def finding(**changes):
    return Finding(
        **{
            "stage": "qtickets_ingest",
            "severity": "error",
            "cause": "server_missing_column",
            "headline": "Table t has no column c",
            **changes,
        }
    )


def test_the_text_leads_with_the_headline_and_ends_with_the_next_step():
    text = render(
        finding(
            evidence={"sql": "INSERT INTO t\n(c) VALUES", "exception": "No such column c", "code": 16, "count": 3},
            expected="column c",
            next_step="ALTER TABLE t ADD COLUMN c String",
            fix_side="server",
        )
    )
    lines = text.splitlines()
    assert lines[0] == "ERROR [server_missing_column] Table t has no column c"
    assert "    INSERT INTO t" in lines
    assert "  exception (code 16): No such column c" in lines
    assert "  seen: 3 time(s)" in lines
    assert lines[-1] == "  fix (server): ALTER TABLE t ADD COLUMN c String"


def test_only_so_many_errors_are_shown_and_the_rest_is_counted():
    text = render_failure([finding(headline=f"number {n}") for n in range(7)], limit=2)
    assert "number 1" in text
    assert "number 2" not in text
    assert "5 more error finding(s)" in text


def test_warnings_fail_nothing():
    assert verdict([finding(severity="warning")], evidence_proven=True) == "PASS"
    assert render_failure([finding(severity="warning")]) == ""


def test_a_long_statement_keeps_its_head_and_tail():
    text = shorten("A" * 5000 + "END", 300)
    assert text.endswith("END")
    assert "[4703 characters left out]" in text


def test_a_long_statement_is_shown_around_the_name_that_matters():
    sql = "SELECT " + ", ".join(f"tickets AS t{n}" for n in range(900)) + ", city, event_id FROM zakaz.orders"
    exception = f"Unknown expression identifier `city`. In scope {sql}. (UNKNOWN_IDENTIFIER)"
    text = render(finding(object="zakaz.orders.city", evidence={"sql": sql, "exception": exception}))
    assert "SELECT tickets AS t0" in text
    assert ", city, event_id FROM zakaz.orders" in text
    assert len(text) < 1900
    middle = "INSERT INTO t SELECT " + "a, " * 900 + "wrong_name, " + "b, " * 900 + "1"
    assert "wrong_name" in render(finding(object="t.wrong_name", evidence={"sql": middle}))


def test_an_unknown_severity_is_refused():
    with pytest.raises(ValueError, match="severity is one of"):
        finding(severity="fatal")


def test_dict_form_leaves_out_what_is_not_known_and_reads_back():
    data = finding(object="t", severity="warning").to_dict()
    assert set(data) == {"stage", "severity", "cause", "headline", "object"}
    assert Finding.from_dict(data) == finding(object="t", severity="warning")


def test_what_is_inferred_is_told_as_likely_once():
    told = finding(certainty="likely")
    assert render(told).startswith("ERROR [server_missing_column] Likely: Table t has no column c")
    assert Finding.from_dict(told.to_dict()).headline == told.headline
    assert finding().headline == "Table t has no column c"
    assert "certainty" not in finding().to_dict()


def test_a_finding_without_a_step_of_its_own_has_that_of_its_cause():
    for cause in ("host_task_failed", "host_engine_not_started"):
        assert "fix (host): " in render(finding(cause=cause))
    assert finding(cause="host_task_failed", severity="warning").next_step is None
    assert finding(cause="host_task_failed", next_step="Run it.").next_step == "Run it."


def test_a_headline_that_ends_with_its_own_advice_is_followed_by_no_other():
    taken = "Port 19000 is taken: expected it free, found process 7 (nc)."
    own = "See by whom: ss -ltnp. Stop that program, or set clickhouse_port to a free one."
    told = finding(cause="host_port_taken", headline=f"{taken} {own}", stage="clickhouse_reset")
    assert (told.headline, told.next_step) == (taken, own)
    assert render(Finding.from_dict(told.to_dict())).count("Stop") == 1
    # Without one, the cause's; and what a server says is left as it is.
    assert finding(cause="host_port_taken", headline=taken).next_step.startswith("Stop")
    quoted = "Code: 241. Memory limit exceeded. Set max_memory_usage higher."
    assert finding(cause="server_memory_limit", headline=quoted).headline == quoted
