"""playbooks/init.yml writes an inventory that passes on a healthy pipeline, and nothing where it cannot."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from embedded.testing import Engine, start_engine
from tests.plays import ROOT

PASSWORD = "only here"
# Two hosts, of which nobody is at home at the second.
CLUSTER = """<clickhouse><remote_servers><pair>
<shard><replica><host>127.0.0.1</host><port>1</port></replica></shard>
<shard><replica><host>127.0.0.2</host><port>1</port></replica></shard>
</pair></remote_servers></clickhouse>"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    users = {
        "loader": {"password": PASSWORD, "grants": ["GRANT SELECT, INSERT ON shop.*", "GRANT INSERT ON `my-shop`.*"]},
        "nobody": {"password": PASSWORD, "grants": ["GRANT SELECT ON nothing.*"]},
        "narrow": {"password": PASSWORD, "grants": ["GRANT SELECT ON shop.*"]},
        "reader": {"password": PASSWORD, "readonly": True},
    }
    with start_engine(tmp_path_factory.mktemp("server"), users=users, config_xml=CLUSTER) as engine:
        engine.query("CREATE DATABASE shop")
        engine.query(
            "CREATE TABLE shop.sales (id UInt64, sku String, pieces UInt16, sold_at DateTime('UTC'))"
            " ENGINE = MergeTree ORDER BY id"
        )
        engine.query("CREATE DATABASE empty")
        engine.query("CREATE DATABASE spread")
        engine.query("CREATE TABLE spread.sales_local AS shop.sales")
        engine.query("CREATE TABLE spread.sales AS shop.sales ENGINE = Distributed(pair, spread, sales_local)")
        engine.query("CREATE DATABASE `my-shop`")
        engine.query("CREATE TABLE `my-shop`.`sales 2026` (`the id` UInt64) ENGINE = MergeTree ORDER BY `the id`")
        engine.client("loader", PASSWORD).execute(
            "INSERT INTO `my-shop`.`sales 2026` SELECT 1 + number FROM numbers(9)"
        )
        load(engine, 0)
        engine.flush_logs()
        yield engine


def load(engine: Engine, first: int) -> None:
    client = engine.client("loader", PASSWORD, database="shop")
    client.execute(f"INSERT INTO sales SELECT {first} + number + 1, 'a', 2, now('UTC') - number FROM numbers(50)")


def play(*arguments: str, password: str) -> tuple[int, str]:
    environment = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "CLICKHOUSE_PASSWORD": password}
    outcome = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), *arguments],
        cwd=ROOT,
        env={**os.environ, **environment, "INGEST_PASSWORD": PASSWORD},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return outcome.returncode, " ".join((outcome.stdout + outcome.stderr).split())


def init(server: Engine, folder: Path, **answers: object) -> tuple[int, str]:
    given = {
        "init_name": "shop", "init_folder": str(folder), "init_host": server.host, "init_port": str(server.tcp_port),
        "init_user": server.user, "init_password": "", "init_database": "shop", "init_ingest_user": "loader",
        "init_ingest_kind": "observed", "ansible_python_interpreter": sys.executable, **answers,
    }  # fmt: skip
    return play("playbooks/init.yml", "-e", json.dumps(given), password=server.password)


def commands_of_the_how_to() -> list[str]:
    """The ten lines for a server that is there already."""
    text = (ROOT / "docs/how-to/verify-your-own-ingest.md").read_text(encoding="utf-8")
    block = text.split("```bash\n", 1)[1].split("```", 1)[0]
    return [line.partition(" #")[0].strip() for line in block.splitlines()]


def test_the_commands_of_the_how_to_pass_on_a_healthy_pipeline(server: Engine, tmp_path: Path) -> None:
    make, export, verify = commands_of_the_how_to()
    folder = tmp_path / "shop"
    answers = dict(re.findall(r"-e (init_\w+)=(\S+?)(?=[\s\"])", make))
    assert make.startswith('make init ARGS="-e ')
    assert "\tansible-playbook playbooks/init.yml $(ARGS)\n" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.findall(r"(\w+)=", export) == ["CLICKHOUSE_PASSWORD", "INGEST_PASSWORD"]
    assert verify == f"ansible-playbook verify.yml -i inventories/{answers['init_name']}"
    # As it is written there, but for the server's address and its login.
    answers |= {"init_host": server.host, "init_user": server.user}
    status, output = init(server, folder, **answers)
    assert status == 0, output
    assert "1 target(s)" in output
    written = yaml.safe_load((folder / "group_vars/clickhouse.yml").read_text())
    assert written["qtickets_ingest_targets"] == ["sales"]
    assert {check["kind"] for check in written["verify_data_checks"]} == {"volume", "freshness", "duplicates", "values"}
    assert server.password not in (folder / "group_vars/clickhouse.yml").read_text()

    since = server.query("SELECT toString(now64(6, 'UTC'))")[0][0]
    load(server, 1000)
    until = server.query("SELECT toString(now64(6, 'UTC'))")[0][0]
    given = {
        "qtickets_ingest_since": since,
        "qtickets_ingest_until": until,
        "run_context_artifacts_dir": str(tmp_path / "runs"),
    }
    status, output = play("verify.yml", "-i", str(folder), "-e", json.dumps(given), password=server.password)
    assert status == 0, output[-3000:]
    assert "5 of 5 stages ran" in output

    # A second answer to the same name keeps what may have been changed since.
    status, output = init(server, folder)
    assert status != 0
    assert "is there already" in output


def test_a_reader_is_enough_and_names_may_need_quotes(server: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "quoted"
    status, output = init(server, folder, init_database="my-shop", init_user="reader", init_password=PASSWORD)
    assert status == 0, output
    written = yaml.safe_load((folder / "group_vars/clickhouse.yml").read_text())
    assert written["qtickets_ingest_targets"] == ["sales 2026"]
    assert any(check.get("key") == ["the id"] for check in written["verify_data_checks"])


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"init_database": "shopp"}, "sees no database 'shopp'. It sees default, empty, my-shop, shop"),
        ({"init_password": "wrong"}, "refused user"),
        ({"init_user": "nobody", "init_password": PASSWORD}, "User nobody sees no database 'shop'. It sees none."),
        (
            {"init_user": "narrow", "init_password": PASSWORD},
            "User narrow lacks SELECT ON system.query_log: GRANT SELECT ON system.query_log TO `narrow`; The file sql/",
        ),
        ({"init_host": "https://gate.example.org/clickhouse"}, "which such a proxy does not pass on. Give the host's"),
        ({"init_database": "empty"}, "has no table that holds rows of its own, so there is nothing to propose."),
        ({"init_database": "a shop"}, "init_database of letters, digits, underscores and dashes"),
        ({"init_port": "1"}, "Nothing accepts connections at"),
        ({"init_ingest_kind": "cron"}, "observed, process or container"),
        ({"init_name": "../shop"}, "Nothing was written"),
    ],
)
def test_where_it_cannot_it_says_why_and_writes_nothing(
    server: Engine, tmp_path: Path, answers: dict[str, str], told: str
) -> None:
    folder = tmp_path / "shop"
    status, output = init(server, folder, **answers)
    assert status != 0
    assert told in output
    assert not folder.exists()


def test_a_table_over_a_cluster_whose_hosts_are_down_is_left_out_and_named(server: Engine, tmp_path: Path) -> None:
    status, output = init(server, tmp_path / "spread", init_database="spread")
    assert status == 0, output
    assert "rows lie on other hosts, which were not asked: sales (Distributed)" in output
    assert "sales_local" not in (tmp_path / "spread/group_vars/clickhouse.yml").read_text()
