"""Declarations: what may be said, and where a wrong one is refused. What the checks make of figures: the pure parts."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.ingest_verify.checks import DeclarationError, Run, parse_checks, read_request
from ansible.module_utils.ingest_verify.checks.declarations import KINDS
from ansible.module_utils.ingest_verify.checks.kinds.reconciliation import _sum_cause
from ansible.module_utils.ingest_verify.checks.session import Table
from hypothesis import given
from hypothesis import strategies as st

from tests.data_checks import role_checks

ROOT = Path(__file__).resolve().parents[2]
VOLUME: dict[str, Any] = {"name": "a", "kind": "volume", "table": "t"}


@pytest.mark.parametrize(
    ("declaration", "place", "said"),
    [
        ("volume", "", "expected a check with name, kind and table"),
        ({"kind": "volume", "table": "t"}, ".name", "found none"),
        ({**VOLUME, "name": ""}, ".name", "not empty"),
        ({"name": "a", "table": "t"}, ".kind", "found none"),
        ({**VOLUME, "kind": "volum"}, ".kind", "expected one of existence, volume, .*did you mean volume"),
        ({"name": "a", "kind": "volume"}, ".table", "found none"),
        ({**VOLUME, "table": "a.b.c"}, ".table", "table or database.table"),
        ({**VOLUME, "table": "`t`"}, ".table", "without quotes"),
        ({**VOLUME, "table": ".t"}, ".table", "table or database.table"),
        ({**VOLUME, "limits": {"min_rows": 1.5}}, ".limits.min_rows", "whole number"),
        ({**VOLUME, "limits": {"min_rows": 10, "max_rows": 5}}, ".limits.max_rows", r"at least min_rows \(10\)"),
        ({**VOLUME, "limits": {"max_rows": 0}}, ".limits.max_rows", r"at least min_rows \(1\)"),
        (
            {
                **VOLUME,
                "kind": "freshness",
                "column": "t",
                "limits": {"warn_age_minutes": 90, "error_age_minutes": "60"},
            },
            ".limits.error_age_minutes",
            "at least warn_age_minutes",
        ),
        ({**VOLUME, "kind": "values", "ranges": {"x": {"min": 5, "max": 1}}}, ".ranges.x.max", "at least min"),
        (
            {**VOLUME, "kind": "duplicates", "key": "k", "limits": {"max_unmerged_share": 90}},
            ".limits.max_unmerged_share",
            "between 0 and 1",
        ),
        ({**VOLUME, "kind": "trend", "limits": {"max_factor": 0.5}}, ".limits.max_factor", "at least 1"),
        ({**VOLUME, "kind": "trend", "limits": {"min_runs": 0.2}}, ".limits.min_runs", "at least 1"),
        (
            {**VOLUME, "kind": "consistency", "source": "s", "key": "k", "values": "v", "money": "w"},
            ".money",
            "expected one of v",
        ),
        ({**VOLUME, "severity": "fatal"}, ".severity", "expected one of error, warning"),
        ({**VOLUME, "limits": {"min_row": 1}}, ".limits.min_row", "did you mean min_rows"),
        ({**VOLUME, "limits": {"min_rows": "many"}}, ".limits.min_rows", "expected a number"),
        ({**VOLUME, "limits": {"min_rows": -1}}, ".limits.min_rows", "at least 0"),
        ({**VOLUME, "limits": [1]}, ".limits", "expected a mapping with one of min_rows, max_rows"),
        ({**VOLUME, "colum": "x"}, ".colum", "a volume check has no such option"),
        ({**VOLUME, "time_limit_seconds": 0}, ".time_limit_seconds", "above 0"),
        ({**VOLUME, "this_run": {"column": "x"}}, ".this_run", "either equals .* or within"),
        ({**VOLUME, "this_run": {"column": "x", "equals": "version"}}, ".this_run.equals", "ver, loader_run_id"),
        ({**VOLUME, "this_run": {"equals": "ver"}}, ".this_run.column", "found none"),
        ({**VOLUME, "final": "yes"}, ".final", "true or false"),
        ({**VOLUME, "kind": "freshness"}, ".column", "found none"),
        ({**VOLUME, "kind": "freshness", "column": "t", "time_zone": "Moscow"}, ".time_zone", "Europe/Moscow"),
        ({**VOLUME, "kind": "values"}, "", "at least one of not_null, not_empty"),
        ({**VOLUME, "kind": "values", "ranges": {"x": {}}}, ".ranges.x", "min, max or both"),
        ({**VOLUME, "kind": "values", "ranges": {"x": {"min": "nan"}}}, ".ranges.x.min", "expected a number"),
        ({**VOLUME, "kind": "values", "not_null": 5}, ".not_null", "expected a list of names"),
        ({**VOLUME, "kind": "duplicates", "key": []}, ".key", "expected a list of names"),
        ({**VOLUME, "kind": "referential", "column": "x", "references": "t"}, ".references", "table.column"),
        ({**VOLUME, "kind": "reconciliation", "one_row_each": True}, ".entity", "expected the entity"),
        ({**VOLUME, "kind": "run_record", "columns": {"id": "x"}}, ".columns.id", "expected one of run_id, job"),
        ({**VOLUME, "kind": "trend", "severity": "error"}, ".severity", "never fails a run"),
        (
            {**VOLUME, "kind": "consistency", "source": "s", "key": "k", "values": "v", "touched_key": "x"},
            ".touched_key",
            "expected one of k",
        ),
        ({"name": "a", "kind": "sql"}, ".query", "found none"),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_place_and_what_is_allowed(
    declaration: Any, place: str, said: str
) -> None:
    with pytest.raises(DeclarationError, match=said) as refused:
        parse_checks([{**VOLUME, "name": "right"}, declaration])
    assert refused.value.place == f"verify_data_checks[1]{place}"


def test_two_checks_of_one_name_are_refused() -> None:
    with pytest.raises(DeclarationError, match=r"verify_data_checks\[1\]\.name: expected a name of its own"):
        parse_checks([VOLUME, VOLUME])
    with pytest.raises(DeclarationError, match="expected a list of checks, found 'volume'"):
        parse_checks("volume")


def test_extra_checks_have_a_place_of_their_own() -> None:
    with pytest.raises(DeclarationError) as refused:
        read_request({"database": "d", "checks": [VOLUME], "extra_checks": [{**VOLUME, "name": "b", "kind": "x"}]})
    assert refused.value.place == "verify_data_extra_checks[0].kind"
    with pytest.raises(DeclarationError, match="another check is 'a' too"):
        read_request({"database": "d", "checks": [VOLUME], "extra_checks": [VOLUME]})


def test_numbers_may_be_text_as_templates_make_them() -> None:
    check = parse_checks([{**VOLUME, "limits": {"min_rows": "5"}, "time_limit_seconds": "2.5"}])[0]
    assert (check.limits["min_rows"], check.seconds) == (Decimal(5), 2.5)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    kind=st.sampled_from(sorted(KINDS)),
    data=st.data(),
)
def test_whatever_is_declared_is_read_or_refused_with_a_place(kind: str, data: st.DataObject) -> None:
    names = [*KINDS[kind].options, "limits", "severity", "time_limit_seconds"]
    options = data.draw(st.dictionaries(st.sampled_from(names), json_like, max_size=4))
    place = "verify_data_checks[0]"
    try:
        parse_checks([{"name": "a", "kind": kind, "table": "t", **options}])
    except DeclarationError as refused:
        place = refused.place
    assert place.startswith("verify_data_checks[0]")


def test_the_roles_own_checks_are_right_and_name_no_place_of_the_python_code() -> None:
    checks, overview = role_checks()
    request = read_request({"database": "d", "checks": checks, "overview": overview})
    assert {check.kind for check in request.checks} == set(KINDS)
    sources = (ROOT / "module_utils/ingest_verify/checks").glob("*.py")
    assert not [path.name for path in sources if "qtickets" in path.read_text().lower()]


def test_the_roles_overview_begins_with_the_runbooks_three_queries() -> None:
    names = [item["name"] for item in role_checks()[1]]
    assert [name.split()[0] for name in names] == ["Staging", "Last", "Totals"]
    specs = yaml.safe_load((ROOT / "roles/verify_data/meta/argument_specs.yml").read_text())
    assert set(specs["argument_specs"]) == {"main"}


@pytest.mark.parametrize(
    ("difference", "column_type", "cause"),
    [
        ("256", "UInt8", "data_wrapped_integer"),
        ("-4294967296", "UInt32", "data_wrapped_integer"),
        ("65536", "Int64", "data_wrapped_integer"),
        # Money does not wrap: this is an order of 1280 that is missing.
        ("1280", "Decimal(18, 2)", "data_sum_mismatch"),
        ("-512", "Float64", "data_sum_mismatch"),
        ("0.37", "Decimal(18, 2)", "data_money_rounding"),
        ("-2", "Float64", "data_money_rounding"),
        ("100", "Decimal(18, 2)", "data_sum_mismatch"),
    ],
)
def test_a_difference_of_sums_is_explained(difference: str, column_type: str, cause: str) -> None:
    assert _sum_cause(Decimal(difference), 3, column_type)[0] == cause


@pytest.mark.parametrize(
    ("column_type", "bare"),
    [
        ("LowCardinality(Nullable(String))", "String"),
        ("Nullable(Decimal(18, 2))", "Decimal(18, 2)"),
        ("DateTime('Europe/Moscow')", "DateTime('Europe/Moscow')"),
        ("UInt32", "UInt32"),
    ],
)
def test_the_bare_type_of_a_column(column_type: str, bare: str) -> None:
    assert Table("d", "t", "MergeTree", (), {"c": column_type}).bare_type("c") == bare


def test_rows_are_shown_by_key_or_ids_without_hashes_and_free_text() -> None:
    columns = {"order_id": "String", "client_name": "String", "_dedup_key": "FixedString(32)", "_ver": "UInt64"}
    assert Table("d", "t", "MergeTree", ("_dedup_key",), columns).shown(["_ver"]) == "order_id, _ver"
    assert Table("d", "t", "MergeTree", ("order_id",), columns).shown() == "order_id"


def test_a_run_takes_its_version_from_metrics_and_tells_what_it_had_to_assume() -> None:
    run = Run.read({"metrics": '{"ver": 17}', "window": {"from": "2026-11-23 04:00:00.25"}})
    run.close_window(datetime(2026, 11, 23, 5, tzinfo=UTC), 5)
    assert (run.ver, run.looked_back, run.notes) == (17, False, [])
    assert run.condition({"column": "_ver", "equals": "ver", "within": None}, {}) == "(_ver = 17)"
    within = {"column": "at", "equals": None, "within": "window"}
    assert "04:00:00'" in str(run.condition(within, {"at": "DateTime"}))
    assert "04:00:00.250000'" in str(run.condition(within, {"at": "Nullable(DateTime64(3))"}))

    unknown = Run.read({"metrics": "not JSON"})
    unknown.close_window(datetime(2026, 11, 23, 5, tzinfo=UTC), 5)
    assert unknown.looked_back
    assert "last 5 minutes" in unknown.notes[0]
    assert unknown.condition({"column": "_ver", "equals": "ver", "within": None}, {}) is None
