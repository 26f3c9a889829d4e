"""A server that is there already and is left as it is, with a loader of another team: by variables alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from embedded.testing import Engine, start_engine
from tests.plays import Played, Site

PASSWORD = "loader only"
LOADER = """
import sys
from clickhouse_driver import Client
client = Client("127.0.0.1", port=int(sys.argv[1]), user="loader", password="{password}", database="shop")
client.execute("INSERT INTO sales (id, sku) VALUES", [(n, "a") for n in range(40)])
print("40 rows sent")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    users = {
        "loader": {"password": PASSWORD, "grants": ["GRANT SELECT, INSERT ON shop.*"]},
        "reader": {"password": PASSWORD, "readonly": True},
    }
    with start_engine(tmp_path_factory.mktemp("server"), users=users) as engine:
        engine.query("CREATE DATABASE shop")
        engine.query("CREATE TABLE shop.sales (id UInt64, sku String) ENGINE = MergeTree ORDER BY id")
        engine.query("CREATE TABLE shop.kept (id UInt64) ENGINE = MergeTree ORDER BY id")
        engine.query("INSERT INTO shop.kept SELECT number FROM numbers(1000)")
        yield engine


def play(server: Engine, folder: Path, *args: str, **variables: Any) -> Played:
    loader = folder / "load.py"
    loader.write_text(LOADER.format(password=PASSWORD))
    return Site(folder).play(
        *args,
        **{
            "clickhouse_backend": "external",
            "pipeline": "",
            "clickhouse_host": server.host,
            "clickhouse_port": server.tcp_port,
            "clickhouse_user": server.user,
            "clickhouse_password": server.password,
            "verifier_user": server.user,
            "verifier_password": variables.get("clickhouse_password", server.password),
            "clickhouse_database": "shop",
            "ingest_user": "loader",
            "ingest_password": PASSWORD,
            "schema_apply_file": "",
            "qtickets_ingest_simulator": False,
            "qtickets_ingest_env_managed": False,
            "qtickets_ingest_env_file": "",
            "qtickets_ingest_command": [sys.executable, str(loader), str(server.tcp_port)],
            "qtickets_ingest_targets": ["sales"],
            "verify_data_checks": [
                {"name": "sales of this run", "kind": "volume", "table": "sales", "this_run": "query_log"}
            ],
            **variables,
        },
    )


AUDIT = "Audit: what the source serves, and the tables"


def audited(*ids: int) -> dict[str, Any]:
    """A reference that says which sales the source has."""
    rows = [{"id": str(number), "amounts": {}} for number in ids]
    answer = json.dumps({"entities": {"sales": {"rows": rows}}})
    return {
        "verify_data_audit_command": [sys.executable, "-c", f"print({answer!r})"],
        "verify_data_audit_entities": {"sales": {"table": "sales", "id": "id", "amounts": {}}},
    }


def test_a_healthy_load_passes_read_only_and_nothing_else_is_touched(server: Engine, tmp_path: Path) -> None:
    # The verifier's profile has readonly = 1: it may change no setting, its own limits neither.
    played = play(server, tmp_path, verifier_user="reader", verifier_password=PASSWORD)
    assert played.status == 0, played.output[-4000:]
    assert played.report["verdict"] == "PASS"
    assert server.query("SELECT count() FROM shop.kept") == [(1000,)]
    assert server.query("SELECT count() FROM shop.sales") == [(40,)]


def test_a_load_that_somebody_else_ran_is_judged_by_its_window(server: Engine, tmp_path: Path) -> None:
    client = server.client("loader", PASSWORD, database="shop")
    since = server.query("SELECT toString(now64(6, 'UTC'))")[0][0]
    client.execute("INSERT INTO sales (id, sku) VALUES", [(1, "b")])
    until = server.query("SELECT toString(now64(6, 'UTC'))")[0][0]
    window = {"qtickets_ingest_since": since, "qtickets_ingest_until": until}
    played = play(server, tmp_path, ingest_kind="observed", **window, **audited(1))
    assert played.status == 0, played.output[-4000:]
    assert played.report["stages"]["verify_data"]["tables"][AUDIT][0]["missing"] == 0
    with pytest.raises(Exception, match="No such column"):
        client.execute("INSERT INTO sales (id, nothing) VALUES", [(1, "b")])
    later = server.query("SELECT toString(now64(6, 'UTC'))")[0][0]
    window = {"qtickets_ingest_since": until, "qtickets_ingest_until": later}
    played = play(server, tmp_path, ingest_kind="observed", **window)
    assert played.status != 0
    assert played.headline["cause"] == "server_missing_column"
    assert "nothing" in played.headline["headline"]


def test_a_load_that_somebody_else_ran_is_audited(server: Engine, tmp_path: Path) -> None:
    client = server.client("loader", PASSWORD, database="shop")
    since = server.query("SELECT toString(now64(6, 'UTC'))")[0][0]
    client.execute("INSERT INTO sales (id, sku) VALUES", [(1, "b")])
    until = server.query("SELECT toString(now64(6, 'UTC'))")[0][0]
    window = {"qtickets_ingest_since": since, "qtickets_ingest_until": until}
    played = play(server, tmp_path, ingest_kind="observed", **window, **audited(1, 777))
    assert played.status != 0
    assert played.headline["cause"] == "data_audit_not_fetched"


def test_a_login_that_is_refused_and_an_unknown_kind_are_one_sentence(server: Engine, tmp_path: Path) -> None:
    played = play(server, tmp_path, clickhouse_password="wrong")
    assert played.status != 0
    assert f"refused user '{server.user}'" in " ".join(played.output.split())
    played = play(server, tmp_path, "--tags", "clickhouse_reset", ingest_kind="cron")
    assert played.status != 0
    assert "one of: container, process, observed" in " ".join(played.output.split())
