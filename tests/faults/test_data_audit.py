"""The audit over the simulator and a real engine: loaders with one deliberate fault each, and the healthy twin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.ingest_verify.audit import AuditError, read_expected, read_mapping, run_audit
from ansible.module_utils.ingest_verify.audit.compare import Frame
from ansible.module_utils.ingest_verify.audit.judge import not_done
from ansible.module_utils.ingest_verify.client import query
from ansible.module_utils.ingest_verify.findings import Finding

from embedded.testing import Engine
from simulator.testing import Running, start_simulator
from tests.conftest import INGEST_PASSWORD, INGEST_USER
from tests.data_checks import INVENTORY, ORDERS, ROOT, Loaded, fresh_database

ENTITIES = read_mapping(yaml.safe_load((ROOT / "pipelines/qtickets.yml").read_text())["audit"]["entities"])
Change = Callable[[dict[str, Any]], dict[str, Any] | None]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with start_simulator(tmp_path_factory.mktemp("api"), orders=120, events=4, seed=7) as running:
        yield running


@pytest.fixture(scope="module")
def answer(api: Running) -> str:
    """What the reference loader prints, over the last day."""
    return reference(api)


@pytest.fixture
def shop(engine: Engine) -> Iterator[Loaded]:
    with fresh_database(engine, INGEST_USER, INGEST_PASSWORD) as target:
        yield target


def reference(api: Running, **more: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "QTICKETS_BASE_URL": api.url,
        "QTICKETS_TOKEN": api.token,
        "QTICKETS_ATTEMPTS": "1",
        "ORG_NAME": "tests",
        "CLICKHOUSE_USER": "none",
        **more,
    }
    command = [sys.executable, "-m", "qtickets_api", "--quiet", "--figures"]
    return subprocess.run(command, cwd=ROOT / "ingest", env=environment, capture_output=True, text=True).stdout


def api_orders(api: Running) -> list[dict[str, Any]]:
    """A foreign loader's reading: orders paid since yesterday, and the unpaid ones, in the order of their ids."""
    since = (datetime.now(UTC) - timedelta(hours=24)).isoformat()
    paid = [{"column": "payed_at", "operator": ">=", "value": since}]
    unpaid = [{"column": "payed_at", "operator": "null"}, {"column": "created_at", "operator": ">=", "value": since}]
    orders: list[dict[str, Any]] = []
    for where in (paid, unpaid):
        for page in range(1, 100):
            found = api.get("/orders", where=where, orderBy={"id": "asc"}, page=page, per_page=50).json()["data"]
            orders += found
            if len(found) < 50:
                break
    return sorted(orders, key=lambda order: int(order["id"]))


def row_of(order: dict[str, Any]) -> dict[str, Any] | None:
    """A healthy loader's row."""
    if not order["payed"] or order["deleted_at"] or not order["payed_at"]:
        return None
    baskets = [basket for basket in order["baskets"] if not basket["deleted_at"] and not basket["refunded_at"]]
    return {
        "order_id": str(order["id"]),
        "event_id": str(order["event_id"]),
        "sale_ts": int(datetime.fromisoformat(order["payed_at"]).timestamp()),
        "tickets_sold": sum(basket["quantity"] for basket in baskets),
        "revenue": round(sum(basket["price"] * basket["quantity"] for basket in baskets), 2),
        "currency": order["currency_id"],
        "_ver": 1,
        "_dedup_key": f"{order['id']:0>32}",
    }


def load(
    shop: Loaded, api: Running, answer: str, change: Change = row_of, pages: int = 99, capacity: bool = True
) -> None:
    rows = [row for order in api_orders(api)[: 50 * pages] if (row := change(order))]
    client = shop.engine.client(database=shop.database)
    client.execute(f"INSERT INTO {ORDERS} ({', '.join(rows[0])}) VALUES", rows)
    events = json.loads(answer)["figures"]["entities"]["events"]["rows"]
    known = [
        {
            "event_id": event["id"],
            "snapshot_ts": datetime.now(UTC).replace(tzinfo=None),
            "tickets_total": int(event["amounts"]["capacity"]) if capacity and event["amounts"]["capacity"] else None,
            "tickets_left": 0,
            "_ver": 1,
        }
        for event in events
    ]
    client.execute(f"INSERT INTO {INVENTORY} ({', '.join(known[0])}) VALUES", known)
    client.disconnect()


def audit(shop: Loaded, answer: str, began: float | None = None) -> tuple[dict[str, Any], list[Finding]]:
    client = shop.engine.client(database=shop.database)
    try:
        frame = Frame(None, None, 60, began or datetime.now(UTC).timestamp() + 60)
        return run_audit(lambda sql: query(client, sql), shop.database, ENTITIES, read_expected(answer), frame, ())
    finally:
        client.disconnect()


def one(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, [f"{finding.cause}: {finding.headline}" for finding in findings]
    return findings[0]


def test_a_right_load_agrees(shop: Loaded, api: Running, answer: str) -> None:
    load(shop, api, answer)
    result, findings = audit(shop, answer)
    assert findings == []
    assert result["status"] == "agrees"
    assert result["entities"]["orders"]["expected"] > 90
    assert result["differences"] == result["notes"] == []


def test_the_reference_loader_agrees_with_itself(shop: Loaded, api: Running, answer: str) -> None:
    shop.load(api)
    result, findings = audit(shop, answer)
    assert [finding.headline for finding in findings] == []
    assert result["status"] == "agrees"


def test_pages_after_the_first_are_named(shop: Loaded, api: Running, answer: str) -> None:
    load(shop, api, answer, pages=1)
    result, findings = audit(shop, answer)
    finding = one(findings)
    assert finding.cause == "data_audit_not_fetched"
    total, missing = result["entities"]["orders"]["expected"], result["entities"]["orders"]["missing"]
    assert f"{missing} of {total} orders ({missing / total:.0%}) were not loaded" in finding.headline
    assert "none of those after them" in finding.headline
    assert "revenue" in str(finding.actual)
    assert "until a page is empty" in str(finding.next_step)
    assert len(finding.evidence["rows"]) == 5
    assert any(line["figure"] == "revenue" for line in result["differences"])


def test_orders_left_out_here_and_there_are_no_pages(shop: Loaded, api: Running, answer: str) -> None:
    load(shop, api, answer, lambda order: None if order["id"] % 7 == 0 else row_of(order))
    assert one(audit(shop, answer)[1]).cause == "data_audit_missing"


def counted(order: dict[str, Any], **more: Any) -> dict[str, Any] | None:
    """The row of an order taken for one that counts."""
    return row_of(
        {**order, "payed": True, "deleted_at": None, "payed_at": order["payed_at"] or order["created_at"], **more}
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda order: counted(order) if order["deleted_at"] and order["payed"] else row_of(order), "are deleted"),
        (lambda order: counted(order) if not order["payed"] and not order["deleted_at"] else row_of(order), "not paid"),
        (
            lambda order: row_of({**order, "baskets": [{**b, "refunded_at": None, "deleted_at": None}
                                                       for b in order["baskets"]]}),
            "refunded parts",
        ),
    ],
)  # fmt: skip
def test_what_must_not_count_is_named(shop: Loaded, api: Running, answer: str, change: Change, reason: str) -> None:
    load(shop, api, answer, change)
    finding = one(audit(shop, answer)[1])
    assert finding.cause == "data_audit_not_counting"
    assert reason in finding.headline
    assert "revenue" in str(finding.actual)
    assert finding.evidence["rows"][0]["id"]


def test_capacity_that_the_source_tells_and_the_table_does_not(shop: Loaded, api: Running, answer: str) -> None:
    load(shop, api, answer, capacity=False)
    finding = one(audit(shop, answer)[1])
    assert finding.cause == "data_audit_unknown"
    assert "tickets_total is NULL" in finding.headline


def changed(**columns: Callable[[Any], Any]) -> Change:
    def change(order: dict[str, Any]) -> dict[str, Any] | None:
        row = row_of(order)
        return row and {name: columns[name](value) if name in columns else value for name, value in row.items()}

    return change


def test_money_rounded_to_whole_units(shop: Loaded, api: Running, answer: str) -> None:
    load(shop, api, answer, changed(revenue=round))
    finding = one(audit(shop, answer)[1])
    assert finding.cause == "data_audit_rounding"


def test_money_seven_per_cent_too_high(shop: Loaded, api: Running, answer: str) -> None:
    load(shop, api, answer, changed(revenue=lambda value: value * 1.25))
    finding = one(audit(shop, answer)[1])
    assert finding.cause == "data_audit_differs"
    assert "by the factor 1.25" in finding.headline


def test_a_number_that_its_column_cannot_hold(shop: Loaded, api: Running, answer: str) -> None:
    shop.query(f"ALTER TABLE {ORDERS} MODIFY COLUMN tickets_sold UInt8")
    load(shop, api, answer)
    more = json.loads(answer)
    # Not the first one, which lies at the edge of the window.
    order = more["figures"]["entities"]["orders"]["rows"][20]
    sold = order["amounts"] = order["gross"]
    sold["tickets"] = str(int(sold["tickets"]) + 256)
    finding = one(audit(shop, json.dumps(more))[1])
    assert finding.cause == "data_wrapped_integer"
    assert f"UInt8 cannot hold {sold['tickets']}, so {int(sold['tickets']) - 256} was stored" in finding.headline
    # A number that fits and is another one was not cut by the type.
    sold["tickets"] = str(int(sold["tickets"]) - 250)
    assert one(audit(shop, json.dumps(more))[1]).cause == "data_audit_differs"


def test_times_three_hours_behind(shop: Loaded, api: Running, answer: str) -> None:
    load(shop, api, answer, changed(sale_ts=lambda moment: moment - 3 * 3600))
    finding = one(audit(shop, answer)[1])
    assert finding.cause == "data_audit_time_shift"
    assert "3 hour(s) behind the source" in finding.headline


def test_another_currency_stored_as_roubles(shop: Loaded, tmp_path: Path) -> None:
    with start_simulator(tmp_path, orders=30, events=2, seed=3) as api:
        for _ in range(3):
            api.admin(
                "POST", "orders", {"currency_id": "EUR", "payed_at": f"{datetime.now(UTC) - timedelta(hours=2):%FT%TZ}"}
            )
        answer = reference(api)
        load(shop, api, answer, changed(currency=lambda _: "RUB"))
        finding = one(audit(shop, answer)[1])
        assert finding.cause == "data_audit_currency"
        assert "EUR as RUB" in finding.headline
        assert "nothing was converted" in finding.headline


def test_an_order_that_changed_between_both_readings_is_told_apart(shop: Loaded, tmp_path: Path) -> None:
    with start_simulator(tmp_path, orders=30, events=2, seed=3) as api:
        load(shop, api, reference(api))
        began = datetime.now(UTC).timestamp() - 5
        shown = next(row for order in api_orders(api) if (row := row_of(order)))
        api.admin("POST", f"orders/{shown['order_id']}", {"price_factor": "1.5"})
        result, findings = audit(shop, reference(api), began)
        assert findings == []
        assert result["entities"]["orders"]["changed between the readings"] == 1


# Another answer -----------------------------------------------------------------------------------------------------


def test_a_refused_token_is_a_clear_sentence(api: Running) -> None:
    with pytest.raises(AuditError, match=r"401.*check QTICKETS_TOKEN"):
        read_expected(reference(api, QTICKETS_TOKEN="of-somebody-else-1234567"))
    result, (finding,) = not_done("the token is wrong", wanted=False)
    assert (result["status"], finding.severity) == ("not done", "info")


def test_an_empty_answer_proves_nothing(shop: Loaded, api: Running, answer: str) -> None:
    load(shop, api, answer)
    empty = json.loads(answer)["figures"]
    empty["entities"]["orders"] = {"rows": []}
    result, findings = audit(shop, json.dumps(empty))
    assert findings == []
    assert "the source now serves none" in result["notes"][0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "printed nothing"),
        ("Traceback (most recent call last):\n  ...", "no JSON object"),
        ('{"entities": []}', "no `entities`"),
        ('{"error": "no such account"}', "no such account"),
        ('{"entities": {"orders": {}}}', "no list `entities.orders.rows`"),
        ('{"entities": {"orders": {"rows": [{}]}}}', "has no id"),
        ('{"entities": {"orders": {"rows": [{"id": 1, "time": "2026-01-01 00:00:00"}]}}}', "no time with its zone"),
        ('{"entities": {"orders": {"rows": [{"id": 1, "amounts": {"n": "x"}}]}}}', "no mapping of names to numbers"),
    ],
)
def test_an_answer_of_another_shape_is_a_clear_sentence(text: str, said: str) -> None:
    with pytest.raises(AuditError, match=said.replace("`", ".")):
        read_expected(text)
