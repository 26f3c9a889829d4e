"""The profile of a pipeline gives the roles their defaults; without one nothing is assumed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
READ = """
- hosts: localhost
  gather_facts: false
  vars:
    verify_root: {root}
    run: {{database: shop}}
  tasks:
    - ansible.builtin.import_role: {{name: run_context, tasks_from: pipeline.yml}}
    - ansible.builtin.copy:
        content: "{{{{ {{'checks': checks, 'job': job}} | to_json }}}}"
        dest: {told}
        mode: "0600"
      vars:
        checks: "{{{{ pipeline_profile.checks | default([]) }}}}"
        job: "{{{{ pipeline_profile.job | default('ingest') }}}}"
"""


def read(folder: Path, pipeline: object, **variables: object) -> tuple[int, str, dict]:
    """Read a profile as the run does: exit status, output, and what the roles would see."""
    told = folder / "told.json"
    play = folder / "play.yml"
    play.write_text(READ.format(root=ROOT, told=told))
    outcome = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            "localhost,",
            "-c",
            "local",
            "-e",
            json.dumps(
                {"pipeline": pipeline, "ansible_python_interpreter": sys.executable}
                | {name: value for name, value in variables.items() if value is not None}
            ),
            *([] if pipeline else ["-e", '{"pipeline_profile": {}}']),
            str(play),
        ],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    seen = json.loads(told.read_text()) if told.exists() else {}
    return outcome.returncode, " ".join((outcome.stdout + outcome.stderr).split()), seen


def test_a_profile_of_a_team_of_its_own_is_read_with_its_templates(tmp_path):
    profile = tmp_path / "shop.yml"
    check = {"name": "rows", "kind": "volume", "table": "{{ run.database }}.purchases"}
    profile.write_text(yaml.safe_dump({"job": "shop", "checks": [check]}))
    status, output, seen = read(tmp_path, str(profile))
    assert status == 0, output
    assert seen == {"job": "shop", "checks": [{**check, "table": "shop.purchases"}]}


def test_without_a_profile_nothing_of_qtickets_is_assumed(tmp_path):
    status, output, seen = read(tmp_path, "")
    assert status == 0, output
    assert seen == {"job": "ingest", "checks": []}


@pytest.mark.parametrize("pipeline", ["qtikets", "shop/none.yml", ["qtickets", "shop"]])
def test_an_unknown_profile_is_refused_with_those_there_are(tmp_path, pipeline):
    status, output, _ = read(tmp_path, pipeline)
    assert status != 0
    assert "There is no profile of the pipeline" in output
    assert "qtickets" in output
    assert ("Did you mean qtickets?" in output) == (pipeline == "qtikets")


def test_a_key_that_nothing_reads_is_refused_by_name(tmp_path):
    profile = tmp_path / "shop.yml"
    profile.write_text("job: shop\ntarget: [purchases]\n")
    status, output, _ = read(tmp_path, str(profile))
    assert status != 0
    assert "keys that nothing reads: target." in output


@pytest.mark.parametrize(("pipeline", "chosen"), [("dbt", "dbt"), ("", "no profile")])
def test_a_variable_of_another_profile_is_refused_by_name(tmp_path, pipeline, chosen):
    status, output, seen = read(tmp_path, pipeline, dlt_dataset="raw", dbt_models=["daily"] if pipeline else None)
    assert status != 0
    assert "dlt_dataset belongs to the profile dlt." in output
    assert f"The inventory chooses {chosen}, which does not read it." in output
    assert "dbt_models" not in output
    assert not seen


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").glob("*.yml")), ids=lambda path: path.stem)
def test_a_ready_profile_reads_the_variables_that_it_declares(path):
    text = path.read_text()
    for name in yaml.safe_load(text).get("variables", []):
        assert name.startswith(f"{path.stem}_")
        assert text.count(name) > 2, f"{name}: declared, told in the head, and read"


ENV_CHECK = """
- hosts: localhost
  gather_facts: false
  vars:
    verify_root: {root}
    pipeline: qtickets
    pipeline_profile: {{}}
    run:
      {{database: zakaz, ingest_kind: process, backend: embedded, ingest_user: loader, ingest_password: {inventory},
       login_host: 127.0.0.1, http_port: 8123}}
    qtickets_ingest_env_file: {env_file}
    ansible_python_interpreter: {python}
  tasks:
    - ansible.builtin.import_role: {{name: run_context, tasks_from: pipeline.yml}}
    - ansible.builtin.import_role: {{name: qtickets_ingest, tasks_from: env_file.yml}}
    - ansible.builtin.import_role: {{name: qtickets_ingest, tasks_from: env_secrets.yml}}
"""


@pytest.mark.parametrize("same", [True, False])
def test_another_password_in_the_env_file_than_in_the_inventory_is_told_and_neither_is_shown(tmp_path, same):
    inventory, in_file = "opensesame-1", "opensesame-1" if same else "opensesame-2"
    env_file = tmp_path / "loader.env"
    env_file.write_text(
        "QTICKETS_BASE_URL=http://api/v1\nQTICKETS_TOKEN=f3a91c77\nORG_NAME=hall\nCLICKHOUSE_HOST=db\n"
        f"CLICKHOUSE_DB=zakaz\nCLICKHOUSE_USER=loader\nCLICKHOUSE_PASSWORD={in_file}\n"
    )
    env_file.chmod(0o600)
    play = tmp_path / "play.yml"
    play.write_text(ENV_CHECK.format(root=ROOT, inventory=inventory, env_file=env_file, python=sys.executable))
    outcome = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "-c", "local", "-vvv", str(play)],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = " ".join((outcome.stdout + outcome.stderr).split())
    assert "opensesame" not in said
    assert (outcome.returncode == 0) == same, said[-3000:]
    told = f"CLICKHOUSE_PASSWORD in the env file {env_file} is not the one that the inventory holds."
    assert (told in said) != same
    assert (f"Give CLICKHOUSE_PASSWORD in line 7 of {env_file}" in said) != same


def test_no_default_of_a_role_names_qtickets_tables_or_variables():
    for path in ROOT.glob("roles/*/defaults/main.yml"):
        text = path.read_text()
        assert "stg_qtickets" not in text, path
        assert "QTICKETS_" not in text, path
