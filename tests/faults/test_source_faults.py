"""Section C of the failure catalogue: the API fails. Our loader and a foreign one, against the simulator's faults."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.testing import Running
from tests.client_runs import HTTP, NATIVE, OURS, Loaders

BOTH = pytest.mark.parametrize("loader", [OURS, HTTP])


def status(code: int, path: str = "/orders", **more: Any) -> dict[str, Any]:
    return {"fault": "status", "path": path, "status": code, **more}


@pytest.mark.parametrize(("loader", "code"), [(OURS, 401), (HTTP, 403)])
def test_23_a_refused_token_is_named(loaders: Loaders, simulator: Running, loader: str, code: int) -> None:
    simulator.faults([status(code, ".*")])
    finding = loaders.run(loader).cause
    assert (finding.cause, finding.object) == ("source_unauthorized", "QTICKETS_TOKEN")
    assert str(code) in finding.headline
    assert "QTICKETS_TOKEN" in (finding.next_step or "")


def test_23_a_wrong_token_is_named_and_not_shown(loaders: Loaders) -> None:
    run = loaders.run(HTTP, QTICKETS_TOKEN="tok-4711-not-the-right-one", FOREIGN_LOG="crash")
    assert run.cause.cause == "source_unauthorized"
    assert "4711" not in run.log + str(run.findings)


@pytest.mark.parametrize(("loader", "code"), [(OURS, 429), (HTTP, 429), (OURS, 503), (HTTP, 500)])
def test_24_an_api_that_keeps_failing_is_named(loaders: Loaders, simulator: Running, loader: str, code: int) -> None:
    simulator.faults([status(code)])
    finding = loaders.run(loader).cause
    assert finding.cause == "source_unavailable"
    assert f"HTTP {code}" in finding.headline


def test_24_a_failure_that_a_retry_heals_is_no_error(loaders: Loaders, simulator: Running) -> None:
    simulator.faults([status(503, times=1)])
    run = loaders.run(OURS)
    assert run.result.exit_code == 0, run.log
    assert run.errors == []


@pytest.mark.parametrize("loader", [OURS, HTTP, NATIVE])
def test_24_an_api_that_is_gone_is_named(loaders: Loaders, loader: str) -> None:
    finding = loaders.run(loader, QTICKETS_BASE_URL="http://127.0.0.1:9/api/rest/v1").cause
    assert finding.cause == "source_unavailable"
    assert "refuses the connection" in finding.headline
    assert "http://127.0.0.1:9/api/rest/v1" in (finding.next_step or "")


@BOTH
def test_24_an_api_whose_name_does_not_resolve_is_named(loaders: Loaders, loader: str) -> None:
    finding = loaders.run(loader, QTICKETS_BASE_URL="http://qtickets.invalid/api/rest/v1").cause
    assert finding.cause == "source_unavailable"
    assert "cannot be resolved" in finding.headline


def test_24_a_wrong_base_url_is_named(loaders: Loaders) -> None:
    finding = loaders.run(HTTP, QTICKETS_BASE_URL=loaders.env["QTICKETS_BASE_URL"] + "x").cause
    assert (finding.cause, finding.object) == ("config_base_url", "QTICKETS_BASE_URL")


@BOTH
@pytest.mark.parametrize("fault", ["html", "broken_json"])
def test_25_an_answer_that_is_not_json_is_named(loaders: Loaders, simulator: Running, loader: str, fault: str) -> None:
    simulator.faults([{"fault": fault, "path": "/orders"}])
    finding = loaders.run(loader).cause
    assert finding.cause == "source_bad_payload"
    assert "curl" in (finding.next_step or "")
    assert "where=" not in finding.headline


def test_25_fields_of_another_type_are_named(loaders: Loaders, simulator: Running) -> None:
    simulator.faults([{"fault": "set_field", "path": "/orders", "field": "payed_at", "value": {"date": "today"}}])
    assert loaders.run(OURS).cause.cause == "source_bad_payload"


def test_25_a_missing_field_is_named_with_the_place_that_reads_it(loaders: Loaders, simulator: Running) -> None:
    simulator.faults([{"fault": "drop_field", "path": "/orders", "field": "payed_at"}])
    finding = loaders.run(HTTP, FOREIGN_LOG="traceback").cause
    assert (finding.cause, finding.object) == ("client_key_error", "payed_at")
    assert "API" in (finding.next_step or "")


def test_26_no_orders_at_all_is_named(loaders: Loaders, simulator: Running) -> None:
    simulator.faults([{"fault": "empty", "path": "/orders"}])
    assert loaders.run(OURS).cause.cause == "source_no_orders"


def test_27_an_ignored_filter_is_named(loaders: Loaders, simulator: Running) -> None:
    simulator.faults([{"fault": "ignore_filter", "path": "/orders"}])
    finding = loaders.run(OURS).cause
    assert finding.cause == "source_filter_ignored"
    assert "%2B" in (finding.next_step or "")


def test_28_unstable_pages_are_named(loaders: Loaders, simulator: Running) -> None:
    simulator.faults([{"fault": "repeat_page", "path": "/orders", "page": 1}])
    finding = loaders.run(OURS, QTICKETS_PAGE_SIZE="10").cause
    assert finding.cause == "source_unstable_pages"
    assert "orderBy" in (finding.next_step or "")


def test_29_a_show_that_is_left_out_by_a_job_that_says_ok_is_named(loaders: Loaders, simulator: Running) -> None:
    simulator.faults([status(500, r"/shows/\d+/seats", every=2)])
    run = loaders.run(HTTP)
    assert run.result.exit_code == 0
    assert run.cause.cause == "source_partial"
    assert run.cause.evidence["count"] >= 1


def test_29_our_loader_fails_when_a_shows_seats_fail(loaders: Loaders, simulator: Running) -> None:
    simulator.faults([status(500, r"/shows/\d+/seats")])
    run = loaders.run(OURS)
    assert run.result.exit_code != 0
    assert run.cause.cause == "source_unavailable"
    assert "/seats" in run.cause.headline


def test_30_an_api_slower_than_a_requests_limit_is_named(loaders: Loaders, simulator: Running) -> None:
    simulator.faults([{"fault": "slow", "path": "/orders", "seconds": 3}])
    finding = loaders.run(HTTP, REQUEST_TIMEOUT="0.3").cause
    assert finding.cause == "source_slow"
    finding = loaders.run(OURS, QTICKETS_TIMEOUT="0.3").cause
    assert finding.cause == "source_slow"


@BOTH
def test_30_an_api_slower_than_the_runs_limit_is_named(loaders: Loaders, simulator: Running, loader: str) -> None:
    simulator.faults([{"fault": "slow", "path": "/orders", "seconds": 8}])
    run = loaders.run(loader, timeout=3)
    assert run.result.timed_out
    assert run.cause.cause == "source_slow"
    assert "time limit" in run.cause.headline
