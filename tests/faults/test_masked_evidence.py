"""What the server keeps of a run's statements and rows holds secrets and people: no module answers with them."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.client import quote_string
from ansible.module_utils.testing import patch_module_args

from embedded.testing import Engine
from tests.conftest import INGEST_USER
from tests.stages import Stage

LIBRARY = Path(__file__).resolve().parents[2] / "library"
TOKEN = "tok'en/4711+Zq\"7"
HIDDEN = ("4711", "Zq", "ivan.petrov", "123-45-67", "1111 1111")
ROW = f"({quote_string(TOKEN)}, 'ivan.petrov@example.org', '+7 916 123-45-67', '4111 1111 1111 1111')"


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_text(f"QTICKETS_TOKEN={TOKEN}\nORG_NAME=bolshoi\n")
    return path


def answer_of(module: str, capfd: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        runpy.run_path(str(LIBRARY / f"{module}.py"), run_name="__main__")
    answer: dict[str, Any] = json.loads(capfd.readouterr().out)
    return answer


def test_a_refused_statement_is_shown_without_its_secrets(
    stage: Stage, env_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    database = stage.database
    stage.admin(f"CREATE TABLE {database}.t (a String, b String, c String) ENGINE = MergeTree ORDER BY a")
    stage.refused(f"INSERT INTO {database}.t (a, b, c, d) SELECT * FROM VALUES{ROW}")
    stage.refused(f"SELECT throwIf(1, concat('the token ', {quote_string(TOKEN)}, ' of ivan.petrov@example.org'))")
    answer = answer_of(
        "clickhouse_query_errors", capfd, **stage.login(), since=stage.since, user="ingest", database=database,
        fail_on="never", secrets_file=str(env_file),
    )  # fmt: skip
    said = json.dumps(answer, ensure_ascii=False)
    assert answer.get("verdict") == "FAIL", said
    for hidden in HIDDEN:
        assert hidden not in said, hidden
    assert f"INSERT INTO {database}.t (a, b, c, d) SELECT * FROM VALUES('***'" in said, "what is no secret stays"
    assert "<e-mail>" in said
    assert "the token ***" in said
    assert answer["extracts"], "the rows of the log tables are masked too, and kept"


def test_failing_rows_of_a_check_are_shown_without_people(
    engine: Engine, database: str, login: dict[str, object], env_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    engine.query(f"CREATE TABLE {database}.t (a String, b String, c String, d String) ENGINE = MergeTree ORDER BY a")
    engine.query(f"INSERT INTO {database}.t VALUES {ROW}")
    checks = [{"name": "nobody is here", "kind": "sql", "query": f"SELECT *, 17 AS seats FROM {database}.t"}]
    answer = answer_of(
        "clickhouse_checks", capfd, **login, database=database, checks=checks, secrets_file=str(env_file)
    )
    said = json.dumps(answer, ensure_ascii=False)
    assert answer["failed"], said
    for hidden in HIDDEN:
        assert hidden not in said, hidden
    rows = answer["findings"][0]["evidence"]["rows"]
    assert rows[0] == {"a": "***", "b": "<e-mail>", "c": "<phone>", "d": "<card>", "seats": 17}


def test_a_healthy_answer_is_not_touched(
    engine: Engine, database: str, login: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    engine.query(f"CREATE TABLE {database}.t (id UInt64, at DateTime) ENGINE = MergeTree ORDER BY id")
    overview = [{"name": "rows", "query": f"SELECT 4111111111111112 AS id, 79161234567 AS n, '{INGEST_USER}' AS who"}]
    answer = answer_of("clickhouse_checks", capfd, **login, database=database, checks=[], overview=overview)
    assert "***" not in json.dumps(answer)
    assert answer["overview"][0]["rows"][0] == {"id": 4111111111111112, "n": 79161234567, "who": INGEST_USER}
