"""The simulator as its users meet it: a process behind a real socket."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from simulator.account import PERSONAL_MARKER
from simulator.testing import ROOT, Running, start_simulator

NOW = "2026-11-23T10:00:00+03:00"
BY_ID = {"id": "asc"}


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with start_simulator(tmp_path_factory.mktemp("simulator"), now=NOW) as running:
        yield running


@pytest.fixture
def api(process: Running) -> Running:
    process.admin("POST", "reset")
    return process


def window(truth: dict) -> list[dict]:
    return [
        {"column": "payed", "value": True},
        {"column": "deleted_at", "operator": "null"},
        {"column": "payed_at", "operator": ">=", "value": truth["from"]},
        {"column": "payed_at", "operator": "<", "value": truth["to"]},
    ]


def read_all(api: Running, **parameters: object) -> list[dict]:
    """Every page until one is empty: right for each paging shape."""
    records: list[dict] = []
    for page in range(1, 50):
        got = api.get("/orders", page=page, **parameters).json()["data"]
        if not got:
            return records
        records += got
    raise AssertionError("the pages never end")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("documented", {"paging": {"perPage": 100, "currentPage": 2, "total": 213}}),
        ("meta", {"meta": {"current_page": 2, "last_page": 3, "has_next": True}}),
        ("pagination", {"pagination": {"page": 2, "pages": 3, "per_page": 100, "total": 213}}),
        ("none", {}),
    ],
)
def test_paging_shapes(tmp_path: Path, shape: str, expected: dict) -> None:
    with start_simulator(tmp_path, now=NOW, paging=shape, page_size=100, prebuilt=shape == "none") as api:
        where = window(api.truth())
        answer = api.get("/orders", where=where, orderBy=BY_ID, page=2).json()
        assert {k: v for k, v in answer.items() if k != "data"} == expected
        ids = [order["id"] for order in read_all(api, where=where, orderBy=BY_ID)]
        assert ids == [order["order_id"] for order in api.truth()["orders"]]
        assert api.stop() == 0


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic x", "Bearer"])
def test_without_the_token_nothing_is_served(api: Running, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    response = httpx.get(api.url + "/orders", headers=headers, trust_env=False)
    assert response.status_code == 401
    assert response.json() == {"error": "Unauthorized", "status": 401}


def test_the_documented_body_of_a_get_filters_as_the_query_string_does(api: Running) -> None:
    body = {"where": window(api.truth()), "orderBy": BY_ID, "per_page": 7}
    headers = {"Authorization": f"Bearer {api.token}"}
    by_body = httpx.request("GET", api.url + "/orders", json=body, headers=headers, trust_env=False).json()
    assert by_body == api.get("/orders", **body).json()
    assert len(by_body["data"]) == 7


def test_an_offset_that_lost_its_plus_brings_years_old_orders(api: Running) -> None:
    where = json.dumps([{"column": "payed_at", "operator": ">=", "value": api.truth()["from"]}])
    headers = {"Authorization": f"Bearer {api.token}"}
    for query, year in (
        (f"where={where}", "2020"),
        (f"where={where.replace('+', '%2B')}", "2026"),
        ("since=2026", "2020"),
    ):
        response = httpx.get(f"{api.url}/orders?{query}&orderBy={json.dumps(BY_ID)}", headers=headers, trust_env=False)
        assert response.status_code == 200
        assert response.json()["data"][0]["payed_at"].startswith(year)


def test_without_an_order_pages_repeat_and_skip(api: Running) -> None:
    where = window(api.truth())
    ids = [order["id"] for order in read_all(api, where=where)]
    assert len(set(ids)) < len(ids) == 213
    api.faults([{"fault": "unstable_order", "path": "/orders"}])
    ids = [order["id"] for order in read_all(api, where=where, orderBy=BY_ID)]
    assert len(set(ids)) < len(ids) == 213


def test_post_is_no_search(api: Running) -> None:
    response = httpx.post(api.url + "/orders", headers={"Authorization": f"Bearer {api.token}"}, trust_env=False)
    assert response.status_code == 503
    assert response.json() == {"error": "Unknown error", "status": 503, "code": "UNKNOWN_ERROR", "info": []}


def test_events_and_seats(api: Running) -> None:
    everything = api.get("/events", orderBy=BY_ID).json()["data"]
    live = api.get("/events", where=[{"column": "deleted_at", "operator": "null"}], orderBy=BY_ID).json()["data"]
    assert (len(everything), len(live)) == (7, 6)
    assert [type(event.get("city")) for event in live[:3]] == [str, dict, type(None)]
    assert all(isinstance(event["city_id"], int) for event in live)
    assert api.get(f"/events/{live[0]['id']}").json()["data"] == live[0]
    show = live[0]["shows"][0]["id"]
    wanted = ["max_quantity", "free_quantity", "available", "disabled", "admission"]
    flat = api.get(f"/shows/{show}/seats", flat="true", select=wanted).json()["data"]
    zoned = api.get(f"/shows/{show}/seats").json()["data"]
    assert set(flat) == {seat for zone in zoned.values() for seat in zone["seats"]}
    assert all(list(seat) == wanted for seat in flat.values())
    assert any(seat["admission"] and not seat["available"] and seat["max_quantity"] > 100 for seat in flat.values())
    for path in ("/shows/1/seats", "/events/1", "/orders/1", "/cities"):
        assert api.get(path).json() == {"error": "Not found", "status": 404}


def test_personal_data_is_marked(api: Running) -> None:
    order = read_all(api)[0]
    details, basket = order["client"]["details"], order["baskets"][0]
    personal = [order["client"]["email"], details["name"], details["surname"], details["phone"], basket["barcode"]]
    personal += [value for key, value in basket.items() if key.startswith("client_")]
    assert all(PERSONAL_MARKER in value.lower() for value in personal)
    assert PERSONAL_MARKER not in json.dumps([api.truth(), api.requests(), api.get("/events").json()]).lower()


def test_orders_changed_and_added_later(api: Running) -> None:
    order = next(o for o in api.truth()["orders"] if o["tickets_sold"] == 1)
    changed = api.admin("POST", f"orders/{order['order_id']}", {"refund": True})["data"]
    assert changed["updated_at"] > changed["payed_at"]
    assert api.get(f"/orders/{order['order_id']}").json()["data"]["refunds"]
    assert {o["order_id"]: o["revenue"] for o in api.truth()["orders"]}[order["order_id"]] == "0.00"
    spec = {"payed_at": "2026-11-23T09:00:00+03:00", "baskets": [{"price": "0.10", "quantity": 3}]}
    before = read_all(api, where=window(api.truth()), orderBy=BY_ID)
    (added,) = api.admin("POST", "orders", spec)["order_ids"]
    assert {o["order_id"]: o["revenue"] for o in api.truth()["orders"]}[added] == "0.30"
    after = read_all(api, where=window(api.truth()), orderBy=BY_ID)
    assert [order["id"] for order in after] == [*(order["id"] for order in before), added]
    with pytest.raises(httpx.HTTPStatusError, match="unknown keys"):
        api.admin("POST", f"orders/{added}", {"refnd": True})
    with pytest.raises(httpx.HTTPStatusError, match="no order 5"):
        api.admin("POST", "orders/5", {"cancel": True})


def test_a_status_fault_heals_and_is_logged(api: Running) -> None:
    api.faults([{"fault": "status", "path": "/orders", "status": 429, "retry_after": 3, "times": 2}])
    answers = [api.get("/orders") for _ in range(3)]
    assert [a.status_code for a in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "3"
    assert answers[0].json() == {"error": "Some error", "status": 429}
    assert api.get("/events").status_code == 200
    assert [(entry["path"], entry["status"]) for entry in api.requests()] == [
        ("/orders", 429), ("/orders", 429), ("/orders", 200), ("/events", 200),
    ]  # fmt: skip
    assert api.token not in json.dumps(api.requests())
    api.get("/orders", token=api.token)
    assert api.token not in json.dumps(api.requests())


def test_answers_that_are_no_json(api: Running) -> None:
    api.faults([{"fault": "html", "path": "/orders", "times": 1}, {"fault": "broken_json", "path": "/events"}])
    page = api.get("/orders")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for path in ("/orders", "/events"):
        assert api.get(path).status_code == 200
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|delimiter"):
        api.get("/events").json()


def test_reset_in_the_middle_of_the_body(api: Running) -> None:
    api.faults([{"fault": "reset", "path": "/orders", "times": 1}])
    with pytest.raises(httpx.ReadError, match="reset"):
        api.get("/orders")
    assert api.get("/orders").status_code == 200


@pytest.mark.parametrize("drip", [False, True])
def test_slower_than_the_time_limit(api: Running, drip: bool) -> None:
    """A dripping answer gets past a limit on each read; only a limit on the whole request stops it."""
    api.faults([{"fault": "slow", "path": "/orders", "seconds": 2, "drip": drip, "times": 1}])
    request = httpx.Request("GET", api.url + "/orders", headers={"Authorization": f"Bearer {api.token}"})
    with httpx.Client(trust_env=False, timeout=1) as client:
        if drip:
            assert len(client.send(request).json()["data"]) == 50
        else:
            with pytest.raises(httpx.ReadTimeout):
                client.send(request)
        assert client.send(request).status_code == 200


def test_faults_in_the_data(api: Running) -> None:
    where = window(api.truth())

    def page(number: int = 1) -> dict:
        return api.get("/orders", where=where, orderBy=BY_ID, page=number).json()

    healthy = page()
    api.faults([{"fault": "drop_field", "path": "/orders", "field": "baskets", "records": 1}])
    assert [("baskets" in o) for o in page()["data"]] == [False] + [True] * 49
    api.faults([{"fault": "set_field", "path": "/orders", "field": "baskets.price", "value": "free"}])
    assert {basket["price"] for order in page()["data"] for basket in order["baskets"]} == {"free"}
    api.faults([{"fault": "drop_field", "path": "/orders", "field": "$.data"}])
    assert list(page()) == ["paging"]
    api.faults([{"fault": "empty", "path": "/orders"}])
    assert page() == {"data": [], "paging": {"perPage": 50, "currentPage": 1, "total": 0}}
    api.faults([{"fault": "ignore_filter", "path": "/orders", "column": "payed_at"}])
    assert page()["data"][0]["payed_at"].startswith("2020")
    api.faults([{"fault": "repeat_page", "path": "/orders", "page": 1}])
    assert page(3)["data"] == healthy["data"]
    api.faults([{"fault": "repeat_page", "path": "/orders"}])
    assert page(9)["data"] == page(5)["data"] != []
    api.faults([{"fault": "truncate", "path": "/orders", "records": 3}])
    assert (len(page()["data"]), page()["paging"]) == (3, healthy["paging"])
    api.admin("DELETE", "faults")
    assert page() == healthy


def test_one_show_fails(api: Running) -> None:
    shows = [show["id"] for event in api.get("/events").json()["data"] for show in event["shows"]]
    api.faults([{"fault": "status", "path": f"/shows/{shows[0]}/seats", "status": 500}])
    assert [api.get(f"/shows/{show}/seats").status_code for show in shows[:3]] == [500, 200, 200]
    api.faults([{"fault": "empty", "path": f"/shows/{shows[0]}/seats"}])
    assert api.get(f"/shows/{shows[0]}/seats").json() == {"data": []}


def test_wrong_rules_change_nothing(api: Running) -> None:
    api.faults([{"fault": "html", "path": "/orders"}])
    with pytest.raises(httpx.HTTPStatusError, match="unknown fault"):
        api.faults([{"fault": "fire"}])
    assert [rule["fault"] for rule in api.admin("GET", "faults")["faults"]] == ["html"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "simulator", *arguments]
    variables = os.environ | {"SIMULATOR_TOKEN": "t"} | environment
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=30)


def test_start_that_cannot_work_says_why() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run("--port", str(taken.getsockname()[1]))
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "Address already in use; choose another --port" in result.stderr
    for variables, text in (
        ({"SIMULATOR_TOKEN": ""}, "SIMULATOR_TOKEN is not set"),
        ({"SIMULATOR_PAGING": "odd"}, "must be one of documented, meta"),
        ({"SIMULATOR_FAULTS": "{"}, "SIMULATOR_FAULTS: the fault rules are not JSON"),
        ({"SIMULATOR_NOW": "today"}, "--now"),
    ):
        result = run(**variables)
        assert (result.returncode, text in result.stderr) == (2, True), result.stderr


def test_environment_ready_file_and_pid_file(tmp_path: Path) -> None:
    ready, pid = tmp_path / "ready", tmp_path / "pid"
    ready.write_text("left by a killed simulator")
    variables = {
        "SIMULATOR_TOKEN": "t", "SIMULATOR_READY_FILE": str(ready), "SIMULATOR_PID_FILE": str(pid),
        "SIMULATOR_EVENTS": "2", "SIMULATOR_FAULTS": '[{"fault": "status", "status": 403}]',
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator"], cwd=ROOT, env=os.environ | variables, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        announced = json.loads(process.stdout.readline())
        assert announced == json.loads(ready.read_text())
        assert announced["pid"] == process.pid == int(pid.read_text())
        api = Running(announced["url"], announced["port"], "t", process)
        assert api.get("/orders").status_code == 403
        assert len(api.truth()["events"]) == 2
    finally:
        process.terminate()
        assert process.wait(10) == 0
        process.stdout.close()
    assert not ready.exists()
    assert not pid.exists()


def test_the_helper_says_why_a_start_failed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="must be one of documented"), start_simulator(tmp_path, paging="odd"):
        pass
