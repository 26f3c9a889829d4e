"""A live Compose project with a named volume: beside its data, with a play that is killed, and back by the document.

The tests follow one another, as an operator's day does; each leaves the server up with the rows of production.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.docker.conftest import docker
from tests.docker.shop import FOREIGN, shop_in
from tests.plays import ROOT, documented

ROWS = 123_456
DOCUMENT = "docs/how-to/restore-after-reset.md"


@pytest.fixture(scope="module")
def shop(tmp_path_factory, server_image, base_image):
    """The shop's project, brought up by its own people, with a table that no run made."""
    with shop_in(tmp_path_factory.mktemp("live"), server_image, base_image) as made:
        stack = made.folder / "stack"
        # As on the host that this was measured on: query_log alone.
        listen = "<clickhouse><listen_host>0.0.0.0</listen_host></clickhouse>"
        (stack / "etc/config.d/listen.xml").write_text(listen)
        docker("compose", "--project-directory", str(stack), "-f", str(stack / "stack.yml"), "up", "--detach")
        made.client_when_up().execute("CREATE DATABASE shop")
        made.client().execute("CREATE TABLE shop.sales (id UInt64) ENGINE = MergeTree ORDER BY id")
        made.client().execute(f"INSERT INTO shop.sales SELECT number FROM numbers({ROWS})")
        yield made


def rows(shop) -> int:
    return int(shop.client_when_up().execute("SELECT count() FROM shop.sales")[0][0])


def confirmed(shop) -> dict[str, object]:
    """As the refusal asks for it: the container, and the program that wrote the rows a moment ago."""
    return {"clickhouse_reset_confirm": shop.container, "clickhouse_reset_writers": ["owner: python-driver"]}


def started(shop) -> str:
    return docker("inspect", "--format", "{{.State.StartedAt}}", shop.container).strip()


def configuration(shop) -> dict[str, str]:
    return {str(path.relative_to(shop.folder)): path.read_text() for path in (shop.folder / "stack/etc").rglob("*.xml")}


STAGES = ("--tags", "clickhouse_reset,schema_apply,query_logging")


def test_beside_live_data_nothing_is_written_or_restarted_unless_it_is_named(shop):
    before = started(shop), configuration(shop)
    # Long enough for the server's log; nothing comes of a user whose statements are not logged.
    kept = shop.run(*STAGES, clickhouse_reset_mode="keep", query_logging_wait_seconds=3)
    assert (started(shop), configuration(shop)) == before
    assert rows(shop) == ROWS
    assert kept.status != 0
    assert kept.report["verdict"] == "INCONCLUSIVE", kept.output[-4000:]
    assert kept.report.get("changes", []) == []
    told = str(kept.report["findings"])
    for folder, name in (("users.d", "query-logging"), ("config.d", "log-tables")):
        assert f"{shop.folder}/stack/etc/{folder}/zz-ingest-verify-{name}.xml" in told
    assert f"restart container {shop.container} with -e query_logging_may_restart=true" in told


def test_named_it_is_done_and_told_and_taken_back(shop):
    before = started(shop), configuration(shop)
    done = shop.run(*STAGES, clickhouse_reset_mode="keep", query_logging_may_restart=True)
    assert done.status == 0, done.output[-4000:]
    assert done.report["verdict"] == "PASS"
    # Proven from where its loader runs.
    assert f"user from network {shop.name}-backend" in done.report["stages"]["query_logging"]["summary"]
    assert started(shop) != before[0]
    assert rows(shop) == ROWS
    written, restarted = done.report["changes"]
    assert "zz-ingest-verify-log-tables.xml" in written["to"]
    assert restarted["what"] == f"container {shop.container} restarted"
    assert "--tags query_logging_off" in restarted["undo"]
    off = shop.run("--tags", "query_logging_off")
    assert off.status == 0, off.output[-4000:]
    assert configuration(shop) == before[1]
    assert rows(shop) == ROWS


def descendants(pid: int) -> list[int]:
    """The process and all below it: Ansible's workers and modules have sessions of their own."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def kill_in_the_ingest(shop, **variables) -> str:
    """SIGKILL to the play and all its processes once the loader has written; the loader's container."""
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")), "verify.yml", "-i", str(FOREIGN / "inventory"),
        "-e", json.dumps({**shop.variables, **variables}),
    ]  # fmt: skip
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    with (shop.folder / "killed.log").open("w") as log:
        play = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 300
        while not (shop.loader_container() and shop.purchases()):
            assert play.poll() is None, (shop.folder / "killed.log").read_text()[-4000:]
            assert time.monotonic() < deadline
            time.sleep(0.2)
        for pid in descendants(play.pid):
            os.kill(pid, signal.SIGKILL)
        play.wait(60)
    return shop.loader_container()


def of_runs(shop) -> list[str]:
    """Every container on this host that is marked as a run's and belongs to this shop, whatever its state."""
    marked = docker("ps", "--all", "--filter", "label=clickhouse-ingest-verify.owner", "--format", "{{.Names}}").split()
    return [name for name in marked if name.startswith(shop.name)]


def test_what_a_killed_play_left_goes_before_anything_is_touched_and_the_next_plain_run_passes(shop, base_image):
    shop.write_env(BATCHES=50, PAUSE_SECONDS=1)
    loader = kill_in_the_ingest(shop, **confirmed(shop))
    # A second one that has ended meanwhile: its environment would stay in it for good.
    owner = docker("inspect", "--format", '{{index .Config.Labels "clickhouse-ingest-verify.owner"}}', loader).strip()
    ended = f"{shop.name}_run_ended"
    docker(
        "create", "--name", ended, "--label", f"clickhouse-ingest-verify.owner={owner}",
        "--env-file", str(shop.env_file), base_image, "true",
    )  # fmt: skip
    assert sorted(of_runs(shop)) == sorted([loader, ended])
    shop.write_env()
    played = shop.run(**confirmed(shop))
    assert played.status == 0, played.output[-6000:]
    assert played.report["verdict"] == "PASS"
    said = " ".join(played.output.split())
    for name in (loader, ended):
        sentence = f"container {name} of an interrupted run"
        assert sentence in said, said[:6000]
        assert said.index(sentence) < said.index("TASK [clickhouse_reset")
    assert of_runs(shop) == []


def test_after_that_run_passed_the_documented_command_brings_the_data_back(shop):
    """It lies below the moves of the killed run and of the one that passed."""
    playbook = "playbooks/restore.yml"
    played = shop.run(*documented(DOCUMENT, playbook), playbook=playbook)
    assert played.status == 0, played.output[-6000:]
    assert f"tables with {ROWS} rows, as noted before the reset" in " ".join(played.output.split())
    assert rows(shop) == ROWS


def test_after_a_run_that_failed_it_comes_back_by_hand_as_the_document_says(shop, server_image):
    failed = shop.run(qtickets_ingest_container_command=["no-such-command"], **confirmed(shop))
    assert failed.report["verdict"] == "FAIL"
    assert failed.headline["cause"] == "client_no_such_command", failed.headline
    (change,) = [change for change in failed.report["changes"] if f"{ROWS} rows" in change["what"]]
    stamp = re.search(r"\d{4}-\d\d-\d\dT\d{6}Z", change["to"])[0]
    text = (ROOT / DOCUMENT).read_text(encoding="utf-8")
    assert "For a volume, `docker compose stop`, then as root in a container" in text
    (block,) = [block for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) if "docker run" in block]
    enter, moves = block.strip().split("\n")
    volume = docker("volume", "ls", "--filter", f"name={shop.name}_", "--format", "{{.Name}}").strip()
    enter = enter.replace("clickhouse_data", volume).replace("clickhouse/clickhouse-server:24.8", server_image)
    moves = re.sub(r"\d{4}-\d\d-\d\dT\d{6}Z", stamp, moves)
    docker("stop", shop.container)
    # A terminal is what a test has not.
    docker(*enter.replace(" -it ", " ").split()[1:], "-c", f"set -e; {moves}")
    docker("start", shop.container)
    assert rows(shop) == ROWS
