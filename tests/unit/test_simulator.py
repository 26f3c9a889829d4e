"""The simulator's parts without a socket: queries, pages, fault rules, the account."""

import json
import random
import re
from datetime import datetime
from decimal import Decimal

import pytest

from simulator import query as q
from simulator.account import MOSCOW, Account, parse_time
from simulator.faults import FaultError, Rule, parse_rules

NOW = parse_time("2026-11-23T10:00:00+03:00")


def account(**options: object) -> Account:
    settings = {"seed": 42, "events_count": 6, "orders_count": 240, "hours": 24, "now": NOW} | options
    return Account(**settings)


def read(**parameters: object) -> q.Query:
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in parameters.items()}
    return q.read_query(texts, b"", q.ORDER_COLUMNS, 50)


@pytest.mark.parametrize(
    "where",
    [
        "not json",
        {"column": "payed", "value": True},
        [{"column": "since", "value": "2026-11-22"}],
        [{"column": ["id"], "value": 1}],
        [{"column": "payed_at", "operator": ">=", "value": "2026-11-22T10:00:00 03:00"}],
        [{"column": "payed_at", "operator": ">=", "value": 5}],
        [{"column": "payed_at", "operator": "~", "value": "2026-11-22T10:00:00+03:00"}],
        [{"column": "id", "operator": "in", "value": "12"}],
        [{"column": "id"}],
        ["payed"],
    ],
)
def test_what_is_not_understood_is_ignored(where: object) -> None:
    assert read(where=where).where == ()


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"column": "payed", "value": 1}, ("payed", "=", True)),
        ({"column": "deleted_at", "operator": "null"}, ("deleted_at", "null", None)),
        ({"column": "id", "operator": "in", "value": [1, "2"]}, ("id", "in", frozenset({1, 2}))),
        ({"column": "payed_at", "operator": "<", "value": "2026-11-23T07:00:00Z"}, ("payed_at", "<", NOW)),
    ],
)
def test_understood_filters(where: dict, expected: tuple) -> None:
    (clause,) = read(where=[where]).where
    assert (clause.column, clause.operator, clause.value) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, 50), ({"per_page": 20}, 20), ({"per_page": 1000}, 200), ({"per_page": "x"}, 50), ({"per_page": 0}, 50)],
)
def test_page_size(given: dict, expected: int) -> None:
    assert read(**given).per_page == expected


def test_body_of_the_get_is_read_and_the_query_string_wins() -> None:
    body = b'{"page": 3, "per_page": 10, "orderBy": {"id": "desc"}}'
    query = q.read_query({"page": "2"}, body, q.ORDER_COLUMNS, 50)
    assert (query.page, query.per_page, query.order) == (2, 10, (("id", True),))


@pytest.mark.parametrize("total", [101, 120, 150])
def test_unstable_pages_repeat_and_so_skip(total: int) -> None:
    records, rng = list(range(total)), random.Random(1)
    pages = [r for page in (1, 2, 3) for r in q.cut(records, page, 50, rng)]
    assert len(pages) == total
    assert len(set(pages)) < total
    assert [r for page in (1, 2, 3) for r in q.cut(records, page, 50, None)] == records
    assert q.cut(records, 5, 50, rng) == []


def test_same_seed_same_account() -> None:
    def served(one: Account) -> list[bytes]:
        return [one.order_bytes(order) for order in one.orders]

    first, again, other = account(), account(), account(seed=43)
    assert served(first) == served(again)
    assert served(first) != served(other)


def test_a_small_account_has_every_kind_of_order() -> None:
    one = account()
    orders = [json.loads(one.order_bytes(o)) for o in one.orders if o.payed_at is None or o.payed_at >= NOW - 86400]
    baskets = [basket for order in orders for basket in order["baskets"]]
    assert one.orders[0].created_at < NOW - 5 * 365 * 86400
    assert {str(order["payed"]) for order in orders} == {"True", "False", "1", "0"}
    assert any(order["deleted_at"] for order in orders)
    assert any(basket["refunded_at"] for basket in baskets)
    assert any(basket["deleted_at"] for basket in baskets)
    assert any(basket["quantity"] > 1 for basket in baskets)
    assert any(isinstance(basket["price"], float) for basket in baskets)
    assert {type(order["utm"]) for order in orders} == {list, dict}
    assert {order["payed_at"][-6:] for order in orders if order["payed_at"]} == {"+03:00", "+05:00", "+00:00"}


def test_truth_equals_what_a_careful_reader_takes_from_the_json() -> None:
    one = account()
    truth = one.truth(NOW - 86400, NOW)
    expected = {}
    for order in one.orders:
        body = json.loads(one.order_bytes(order), parse_float=Decimal)
        payed_at = body["payed_at"] and datetime.fromisoformat(body["payed_at"])
        if not body["payed"] or body["deleted_at"] or not NOW - 86400 <= payed_at.timestamp() < NOW:
            continue
        live = [b for b in body["baskets"] if not b["deleted_at"] and not b["refunded_at"]]
        tickets, revenue = sum(b["quantity"] for b in live), sum((b["price"] * b["quantity"] for b in live), Decimal())
        expected[body["id"]] = (tickets, revenue, payed_at.astimezone(MOSCOW).isoformat())
    found = {o["order_id"]: (o["tickets_sold"], Decimal(o["revenue"]), o["payed_at"]) for o in truth["orders"]}
    assert found == expected
    assert truth["totals"]["orders"] == len(expected)
    assert Decimal(truth["totals"]["revenue"]) == sum(revenue for _, revenue, _ in expected.values())


def test_truth_of_the_halls() -> None:
    one = account()
    for event, stated in zip(one.events, one.truth(0, 0)["events"], strict=False):
        seats = [s for show in event.shows for zone in show.zones.values() for s in zone["seats"].values()]
        usable = [seat for seat in seats if not seat["disabled"]]
        total = sum(seat["max_quantity"] for seat in usable)
        left = sum(seat["free_quantity"] for seat in usable if seat["available"])
        assert (stated["tickets_total"], stated["tickets_left"]) == ((total, left) if seats else (None, None))
    stated = one.truth(0, 0)["events"]
    assert {e["tickets_left"] for e in stated} >= {0, None}
    assert {e["city"] for e in stated} >= {"москва", "902"}


def test_patches_change_the_truth_and_the_answer() -> None:
    one = account()
    order = next(
        o for o in one.orders if o.payed and not o.deleted_at and len(o.baskets) > 1 and o.payed_at > NOW - 80000
    )
    window = (order.payed_at, order.payed_at + 1)
    before = one.truth(*window)["orders"][0]
    one.order_bytes(order)
    one.patch_order(order.id, {"refund": [order.baskets[0].id]}, NOW)
    after = one.truth(*window)["orders"][0]
    assert after["tickets_sold"] == before["tickets_sold"] - order.baskets[0].quantity
    assert json.loads(one.order_bytes(order))["updated_at"] == "2026-11-23T10:00:00+03:00"
    one.patch_order(order.id, {"price_factor": "1.1", "cancel": True}, NOW)
    assert one.truth(*window)["orders"] == []
    with pytest.raises(ValueError, match="no baskets"):
        one.patch_order(order.id, {"refund": [1]}, NOW)
    one.reset()
    assert one.truth(*window)["orders"][0] == before


def test_a_rule_counts_after_every_times() -> None:
    rule = Rule.parse({"fault": "status", "path": "/orders", "after": 1, "every": 2, "times": 2})
    assert [rule.fires("/orders") for _ in range(7)] == [False, True, False, True, False, False, False]
    assert not rule.fires("/orders/7")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ('{"fault": "html"}', "JSON list"),
        ("[", "not JSON"),
        ('[{"fault": "fire"}]', "unknown fault 'fire'"),
        ('[{"fault": "html", "pth": "/x"}]', "unknown keys"),
        ('[{"fault": "html", "path": "("}]', "regular expression"),
        ('[{"fault": "html", "times": "2"}]', "times must be"),
        ('[{"fault": "drop_field"}]', "needs a field"),
        ('[{"fault": "slow", "seconds": "long"}]', "seconds must be"),
    ],
)
def test_a_wrong_rule_is_refused(raw: str, text: str) -> None:
    with pytest.raises(FaultError, match=re.escape(text)):
        parse_rules(raw)


def test_one_spoiled_record_is_the_same_at_each_try() -> None:
    rule = Rule.parse({"fault": "drop_field", "field": "baskets.price", "records": 1})
    for first in (3, 3, 1):
        answer = {"data": [{"id": n, "baskets": [{"price": 1}, {"price": 2}]} for n in range(first, first + 3)]}
        rule.spoil(answer)
        assert [r["id"] for r in answer["data"] if r["baskets"] == [{}, {}]] == [3]


@pytest.mark.parametrize(
    "data",
    [{"id": 1, "free": 5}, {"A-1;1": {"free": 5}}, {"A": {"zone_id": "A", "seats": {"A-1;1": {"free": 5}}}}],
    ids=["object", "flat seats", "seats by zone"],
)
def test_set_field_reaches_every_shape(data: dict) -> None:
    answer = {"data": data}
    Rule.parse({"fault": "set_field", "field": "free", "value": "many"}).spoil(answer)
    assert '"free": "many"' in json.dumps(answer)
    Rule.parse({"fault": "drop_field", "field": "$.data"}).spoil(answer)
    assert answer == {}
