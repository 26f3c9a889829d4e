"""sql/grants.sql and its twin in XML: enough for a run, and no more than a run needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ansible.module_utils.ingest_verify.client import connect, query, send_marker
from ansible.module_utils.ingest_verify.diagnosis.diagnose import diagnose
from ansible.module_utils.ingest_verify.diagnosis.request import Request

from embedded.testing import Engine, start_engine
from simulator.testing import start_simulator
from tests.data_checks import Loaded, errors, fresh_database

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "only here"
STATEMENT = re.compile(r"^(GRANT .+?) TO (\w+);$", re.MULTILINE)


def granted() -> dict[str, list[str]]:
    """Each user's grants as sql/grants.sql gives them."""
    found: dict[str, list[str]] = {}
    for grant, user in STATEMENT.findall((ROOT / "sql/grants.sql").read_text()):
        found.setdefault(user, []).append(grant)
    return found


def users() -> dict[str, dict[str, object]]:
    """The file's users, and for each of its grants a user who lacks just that one, in databases `test_*`."""
    found: dict[str, dict[str, object]] = {}
    for user, grants in granted().items():
        here = [grant.replace("zakaz.*", "test_*.*") for grant in grants]
        found[user] = {"password": PASSWORD, "grants": here}
        for index in range(len(here)):
            found[f"{user}_without_{index}"] = {"password": PASSWORD, "grants": here[:index] + here[index + 1 :]}
    return found


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """The pipeline, loaded by the real loader with the loader's grants."""
    with (
        start_simulator(tmp_path_factory.mktemp("api"), events=4, orders=60, seed=7) as simulator,
        start_engine(tmp_path_factory.mktemp("engine"), users=users()) as engine,
        fresh_database(engine, "loader", PASSWORD) as target,
    ):
        target.load(simulator)
        yield target


def judge(loaded: Loaded, user: str) -> tuple[str, dict[str, str]]:
    """Verdict and missing evidence of a diagnosis by this user; its statements are counted from here on."""
    engine: Engine = loaded.engine
    client = connect(
        {"login_host": engine.host, "login_port": engine.tcp_port, "login_user": user, "login_password": PASSWORD,
         "login_db": None, "client_kwargs": {}}
    )  # fmt: skip
    request = Request(
        users=["loader"], since=loaded.start, until=loaded.end, database=loaded.database,
        targets=[f"{loaded.database}.meta_job_runs"], ingest={"exit_code": 0},
    )  # fmt: skip
    result = diagnose(partial(query, client), partial(send_marker, client), request)
    return result.verdict, result.missing_evidence


def lacking(engine: Engine, user: str) -> list[str]:
    """What the server missed in this user's grants, by its own log."""
    engine.flush_logs()
    rows = engine.client().execute(
        "SELECT DISTINCT arrayJoin(missing_privileges) AS p FROM system.query_log WHERE user = %(user)s ORDER BY p",
        {"user": user},
    )
    return [row[0] for row in rows]


def test_the_loader_and_the_verifier_need_nothing_else(loaded: Loaded) -> None:
    verdict, missing = judge(loaded, "verifier")
    outcome = loaded.check(login=("verifier", PASSWORD))
    assert (verdict, missing) == ("PASS", {})
    assert not errors(outcome), errors(outcome)
    assert lacking(loaded.engine, "loader") == []
    assert lacking(loaded.engine, "verifier") == []


@pytest.mark.parametrize("index", range(len(granted()["verifier"])))
def test_each_grant_of_the_verifier_is_needed(loaded: Loaded, index: int) -> None:
    user = f"verifier_without_{index}"
    verdict, missing = judge(loaded, user)
    outcome = loaded.check(login=(user, PASSWORD))
    assert (verdict, missing) != ("PASS", {}) or errors(outcome) or lacking(loaded.engine, user)


def test_the_loader_without_its_grant_writes_nothing(loaded: Loaded) -> None:
    client = loaded.engine.client("loader_without_0", PASSWORD)
    with pytest.raises(Exception, match="Not enough privileges"):
        client.execute(f"INSERT INTO {loaded.database}.dim_events (event_id) VALUES", [("1",)])


@pytest.mark.parametrize("user", ["loader", "verifier"])
@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE {db}.dim_events", "ALTER TABLE {db}.dim_events DROP COLUMN city", "TRUNCATE TABLE {db}.dim_events",
     "CREATE TABLE {db}.more (a UInt8) ENGINE = Memory", "CREATE DATABASE {db}_more"],
)  # fmt: skip
def test_neither_may_change_the_schema(loaded: Loaded, user: str, statement: str) -> None:
    client = loaded.engine.client(user, PASSWORD)
    with pytest.raises(Exception, match="Not enough privileges"):
        client.execute(statement.format(db=loaded.database))


def test_the_verifier_writes_no_data(loaded: Loaded) -> None:
    client = loaded.engine.client("verifier", PASSWORD)
    with pytest.raises(Exception, match="Not enough privileges"):
        client.execute(f"INSERT INTO {loaded.database}.dim_events (event_id) VALUES", [("1",)])


def test_the_twin_in_xml_grants_the_same() -> None:
    tree = ElementTree.parse(ROOT / "deploy/clickhouse/users.d/least_privilege.xml.sample")
    twin = {
        user.tag: [query.text for query in user.iterfind("grants/query")]
        for user in tree.getroot().find("users") or []
    }  # fmt: skip
    assert twin == granted()
