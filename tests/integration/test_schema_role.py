"""Role schema_apply as people run it, `verify.yml --tags schema_apply`, against a real engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from embedded.testing import Engine

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "sql/bootstrap_schema.sql"

Play = Callable[..., "Result"]


class Result:
    """A finished play."""

    def __init__(self, done: subprocess.CompletedProcess[str], artifacts: Path) -> None:
        self.code, self.output = done.returncode, done.stdout + done.stderr
        self.artifacts = artifacts

    @property
    def stage(self) -> dict[str, object]:
        """The stage's entry in the newest ledger."""
        ledger = max(self.artifacts.glob("*/run.json"))
        stage: dict[str, object] = json.loads(ledger.read_text())["stages"]["schema_apply"]
        return stage


@pytest.fixture
def play(engine: Engine, login: dict[str, object], database: str, tmp_path: Path) -> Play:
    inventory = tmp_path / "hosts.yml"
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "clickhouse_host": login["login_host"],
        "clickhouse_port": login["login_port"],
        "clickhouse_user": login["login_user"],
        "clickhouse_password": login["login_password"],
        "clickhouse_database": database,
        "pipeline": "qtickets",
        "run_context_artifacts_dir": str(tmp_path / "artifacts"),
    }
    inventory.write_text(yaml.safe_dump({"clickhouse": {"hosts": {"here": variables}}}))

    def run(*arguments: str, **extra: object) -> Result:
        command = [
            sys.executable,
            "-m",
            "ansible",
            "playbook",
            str(ROOT / "verify.yml"),
            "-i",
            str(inventory),
            "--tags",
            "schema_apply",
        ]
        done = subprocess.run(
            [*command, "-e", json.dumps(extra), *arguments],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Result(done, tmp_path / "artifacts")

    return run


def count_tables(engine: Engine, database: str) -> int:
    return int(engine.query(f"SELECT count() FROM system.tables WHERE database = '{database}'")[0][0])


def test_check_sends_nothing_and_the_real_thing_all(play: Play, engine: Engine, database: str) -> None:
    engine.query(f"DROP DATABASE {database} SYNC")
    checked = play("--check", "--diff")
    assert checked.code == 0, checked.output
    assert "bootstrap_schema.sql:12: CREATE TABLE IF NOT EXISTS stg_qtickets_api_orders_raw" in checked.output
    assert engine.query(f"SELECT count() FROM system.databases WHERE name = '{database}'") == [(0,)]

    first = play()
    assert first.code == 0, first.output
    assert count_tables(engine, database) == 9
    assert "contract holds: 7 tables" in str(first.stage["summary"])


def test_a_refused_statement_fails_the_play_with_file_line_and_exception(play: Play, tmp_path: Path) -> None:
    file = tmp_path / "schema.sql"
    file.write_text(
        "CREATE TABLE IF NOT EXISTS one (a Int32) ENGINE = Memory;\nCREATE TABLE two\n(a Sting) ENGINE = Memory;\n"
    )
    result = play(schema_apply_file=str(file))
    assert result.code != 0
    assert f"{file}:3: ClickHouse" in result.output
    assert "offending SQL:" in result.output
    assert "UNKNOWN_TYPE" in result.output
    assert result.stage["status"] == "failed"
    # The cause and no list of a thousand lines' statements.
    assert "not sent" not in result.output.replace("not sent after it", "")


def test_a_foreign_schema_is_held_against_its_own_contract(play: Play, tmp_path: Path, database: str) -> None:
    file = tmp_path / "foreign.sql"
    file.write_bytes("CREATE TABLE IF NOT EXISTS t (a Int32 COMMENT 'цена') ENGINE = Memory".encode("cp1251"))
    contract = {"t": {"columns": {"a": "Int32", "price": "Decimal(18, 2)"}}}
    breach = play(schema_apply_file=str(file), schema_apply_contract=contract)
    assert breach.code != 0
    assert f"Column price is missing in {database}.t" in breach.output
    assert f"ALTER TABLE `{database}`.`t` ADD COLUMN `price` Decimal(18, 2) AFTER `a`;" in breach.output


def test_settings_and_drift_are_what_the_inventory_says(
    play: Play, engine: Engine, database: str, tmp_path: Path
) -> None:
    engine.query(f"CREATE TABLE {database}.old (a Int32) ENGINE = Memory")
    file = tmp_path / "schema.sql"
    file.write_text(
        "CREATE TABLE IF NOT EXISTS old (a Int32, b String) ENGINE = Memory;\n"
        "CREATE TABLE whole (n Nested(x Int32)) ENGINE = Memory;\n"
    )
    own = {"schema_apply_contract": {}, "schema_apply_settings": {"flatten_nested": 0}, "schema_apply_drift": "fail"}
    result = play(schema_apply_file=str(file), **own)
    assert result.code != 0
    assert "ERROR [server_schema_drift]" in result.output
    types = engine.query(f"SELECT type FROM system.columns WHERE database = '{database}' AND table = 'whole'")
    assert types == [("Nested(x Int32)",)]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"schema_apply_file": "/absent/schema.sql"}, "nothing there, neither on here nor on the control node"),
        ({"schema_apply_contract": {"t": {"column": {}}}}, "found none for t"),
        ({"schema_aply_file": "own.sql", "schema_apply_dir": "/srv"}, "schema_aply_file (is schema_apply_file meant?)"),
    ],
)
def test_bad_input_is_one_sentence_and_touches_nothing(
    play: Play, engine: Engine, database: str, extra: dict[str, object], message: str
) -> None:
    result = play(**extra)
    assert result.code != 0
    assert message in " ".join(result.output.split())
    assert count_tables(engine, database) == 0
