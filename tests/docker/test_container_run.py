"""One-shot containers on a real engine: output in full, each way to end explained, nothing left behind."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import uuid

import pytest
from ansible.module_utils.ingest_verify.container_run import NotStarted, run_container
from ansible.module_utils.ingest_verify.diagnosis.client_side import client_findings
from ansible.module_utils.ingest_verify.facts.log import read_client_log
from ansible.module_utils.ingest_verify.facts.recorded import read_recorded
from ansible.module_utils.ingest_verify.process import explain_exit
from ansible.module_utils.ingest_verify.run_snapshot import server_evidence

from tests.docker.conftest import docker
from tests.plays import ROOT


@pytest.fixture
def run(base_image, tmp_path):
    """Runs a shell line in a container; checks that none is left. Returns (outcome, log)."""
    name = f"t{uuid.uuid4().hex[:8]}"

    def run_line(*command: str, **options):
        log = tmp_path / "run.log"
        options = {"image": base_image, "network": "bridge", "timeout_seconds": 60, **options}
        outcome = run_container(name=name, log_file=log, command=command, **options)
        return outcome, log.read_text()

    run_line.name = name
    yield run_line
    left = docker("ps", "--all", "--filter", f"name={name}", "--format", "{{.Names}}").strip()
    docker("rm", "--force", name, check=False)
    assert left == ""


def cause(outcome, tmp_path, **limits):
    """What the diagnosis names as the one cause of a run that ended so."""
    ingest = {**outcome.to_dict(), "container": True, **limits}
    (found,) = client_findings(read_client_log(tmp_path / "run.log"), ingest)
    return found


def test_a_good_run_keeps_both_streams(run, base_image):
    outcome, log = run("sh", "-c", "echo one; echo two >&2; echo three")
    # Docker carries the two streams in two pipes: their order among each other is not kept.
    assert sorted(log.split()) == ["one", "three", "two"]
    assert (outcome.exit_code, outcome.timed_out, outcome.oom_killed) == (0, False, False)
    assert outcome.image == base_image
    assert outcome.image_id.startswith("sha256:")


def test_a_failing_run_keeps_its_output_and_its_last_json_line(run):
    outcome, log = run("sh", "-c", 'echo before; echo \'{"outcome": "failed", "cause": "KeyError(1)"}\'; exit 3')
    assert outcome.exit_code == 3
    assert "failed by itself with exit code 3" in outcome.explained
    assert log.startswith("before\n")
    assert outcome.outcome == {"outcome": "failed", "cause": "KeyError(1)"}


@pytest.mark.row(22)
def test_memory_is_told_from_a_kill(run, tmp_path):
    outcome, _ = run("python", "-c", "x = bytearray(400 * 2**20)", memory="64m")
    assert outcome.oom_killed
    assert "killed for memory (exit code 137)" in outcome.explained
    assert "64m" in outcome.explained
    assert cause(outcome, tmp_path).cause == "client_killed_memory"


def test_a_kill_from_outside_is_no_memory_kill(run, tmp_path):
    def kill() -> None:
        for _ in range(100):
            if subprocess.run(["docker", "kill", run.name], capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.1)

    killer = threading.Thread(target=kill)
    killer.start()
    outcome, log = run("sh", "-c", "echo started; exec sleep 60")
    killer.join()
    assert outcome.exit_code == 137
    assert not outcome.oom_killed
    assert "SIGKILL" in outcome.explained
    assert "from outside" in outcome.explained
    assert log in ("started\n", "")
    assert cause(outcome, tmp_path).cause == "client_killed"


def test_a_servers_container_leaves_its_log_and_inspect_without_secrets(base_image):
    name, secret = f"t{uuid.uuid4().hex[:8]}", "H3alth-check'x"
    log = "/var/log/clickhouse-server/clickhouse-server.log"
    line = f"echo printed; mkdir -p {log.rpartition('/')[0]}; seq 1 500 > {log}; echo ready; exec sleep 60"
    options = [f"--env=CLICKHOUSE_PASSWORD={secret}", "--env=TZ=UTC", "--label=project=shop"]
    options += ["--health-cmd", f"client --password {secret}"]
    docker("run", "--detach", "--init", "--name", name, *options, base_image, "sh", "-c", line)
    try:
        for _ in range(200):
            if "ready" in docker("logs", name):
                break
            time.sleep(0.05)
        found = server_evidence({"container": name})
        inspected = json.loads(found["docker-inspect.json"])
        assert "H3alth" not in found["docker-inspect.json"]
        assert {"CLICKHOUSE_PASSWORD=***", "TZ=***"} <= set(inspected["Config"]["Env"])
        assert inspected["Config"]["Healthcheck"]["Test"][-1].startswith("client --password")
        assert inspected["Config"]["Labels"]["project"] == "shop"
        assert found["server.log"].split()[:2] == ["301", "302"]
        docker("kill", name)
        assert server_evidence({"container": name})["server.log"].split() == ["printed", "ready"]
    finally:
        docker("rm", "--force", name, check=False)
    assert server_evidence({"container": name}) == {}


@pytest.mark.parametrize(
    ("command", "code", "part", "named"),
    [
        (["no-such-command"], 127, "does not exist in the image", "client_no_such_command"),
        (["/etc/passwd"], 126, "cannot be executed", "client_not_executable"),
    ],
)
def test_a_command_that_cannot_be_run_is_explained(run, tmp_path, command, code, part, named):
    outcome, log = run(*command)
    assert outcome.exit_code == code
    assert part in outcome.explained
    assert command[0] in log
    assert cause(outcome, tmp_path).cause == named


def test_a_run_that_hangs_is_stopped_at_its_limit_with_its_output(run, tmp_path):
    outcome, log = run("sh", "-c", "trap '' TERM; echo hanging; while :; do sleep 1; done", timeout_seconds=2)
    assert outcome.timed_out
    assert "time limit of 2 s" in outcome.explained
    assert log == "hanging\n"
    found = cause(outcome, tmp_path, timeout_seconds=2)
    assert found.cause == "client_timed_out"
    assert "2 s" in found.headline


def test_secrets_are_in_the_environment_and_not_in_the_log_or_on_a_command_line(run, tmp_path):
    env_file = tmp_path / "env"
    env_file.write_text("API_TOKEN=s3cr3t-value\nPLAIN=shown\n")
    env_file.chmod(0o600)
    _, log = run("sh", "-c", 'echo "$API_TOKEN|$PLAIN|$RUN_ID"', env_file=env_file, env={"RUN_ID": "r-1"})
    assert log == "***|shown|r-1\n"


def test_what_does_not_let_a_container_start_is_one_sentence(run, base_image):
    with pytest.raises(NotStarted, match="network 'no-such-network' does not exist") as raised:
        run("true", network="no-such-network")
    assert raised.value.kind == "network_missing"
    with pytest.raises(NotStarted, match="image 'no-such-image:1' is not on this host"):
        run("true", image="no-such-image:1")
    # Under another name nobody would remove it, restarted again and again nobody would see it end.
    for option in (f"--name={run.name}-other", "--restart=always"):
        with pytest.raises(NotStarted, match=f"{option} cannot be given"):
            run("true", options=[option])
    docker("create", "--name", run.name, base_image, "true")
    with pytest.raises(NotStarted, match=f"docker rm -f {run.name}"):
        run("true")
    docker("rm", run.name)


@pytest.mark.row(59)
def test_a_second_run_beside_the_first_is_refused(run, base_image):
    first = f"{run.name}_20261123T041500Z"
    docker("run", "--detach", "--rm", "--init", "--name", first, base_image, "sleep", "60")
    try:
        with pytest.raises(NotStarted, match=first):
            run("true", alone_as=run.name)
    finally:
        docker("rm", "--force", first)
    outcome, _ = run("true", alone_as=f"{run.name}_")
    assert outcome.exit_code == 0


def test_a_log_in_files_a_second_network_and_further_options(run, tmp_path):
    mounted, env_file = tmp_path / "mounted", tmp_path / "env"
    mounted.mkdir()
    (mounted / "a.log").write_text("of an earlier run\n")
    (mounted / "a.log").chmod(0o666)
    env_file.write_text("API_TOKEN=s3cr3t-value\n")
    network = f"{run.name}-other"
    docker("network", "create", network)
    lines = """
    echo "printed by $(id -u)"; echo "$API_TOKEN, $(ls /sys/class/net | wc -w) interfaces" >> /logs/a.log
    mkdir /tmp/own; echo '{"outcome": "failed", "cause": "in the file"}' > /tmp/own/b.log; exit 3
    """
    try:
        outcome, log = run(
            "-c",
            lines,
            env_file=env_file,
            volumes=[f"{mounted}:/logs"],
            options=["--user=1000", "--entrypoint=/bin/sh"],
            extra_networks=[network],
            log_paths=["/logs/a.log", "/tmp/own", "/tmp/none.log"],
        )
    finally:
        docker("network", "rm", network)
    assert log.splitlines() == [
        "printed by 1000",
        "***, 3 interfaces",
        '{"outcome": "failed", "cause": "in the file"}',
        "[the ingest left no /tmp/none.log in its container]",
    ]
    assert outcome.exit_code == 3
    assert outcome.outcome == {"outcome": "failed", "cause": "in the file"}


def test_signals_have_their_names():
    explained = explain_exit(143, timed_out=False, oom_killed=False)
    assert "SIGTERM" in explained
    assert "from outside" in explained
    crashed = explain_exit(139, timed_out=False, oom_killed=False)
    assert crashed == "Its process crashed (SIGSEGV, exit code 139)."
    assert (
        explain_exit(None, timed_out=False, oom_killed=False, error="gone")
        == "Docker could not tell how it ended: gone."
    )


@pytest.mark.parametrize("options", [[], ["--user=12345:12345", "--read-only", "--cap-drop=ALL"]])
def test_the_recorder_comes_up_whatever_the_user_and_with_a_read_only_root(run, tmp_path, options):
    file = tmp_path / "recorder.jsonl"
    outcome, _ = run(
        "python", "-c", "import sys, logging\ntry: {}['a']\nexcept KeyError as e: logging.error(e); sys.exit(3)",
        options=options, recorder_dir=ROOT / "recorder", recorder_file=file,
    )  # fmt: skip
    assert outcome.exit_code == 3
    recorded = read_recorded(file)
    assert recorded.gaps == []
    assert [(raised.origin.type, raised.origin.text) for raised in recorded.exceptions] == [("KeyError", "'a'")]


def test_a_program_of_another_language_runs_as_it_is(run, tmp_path):
    file = tmp_path / "recorder.jsonl"
    outcome, _ = run("sh", "-c", "true", recorder_dir=ROOT / "recorder", recorder_file=file)
    assert outcome.exit_code == 0
    assert file.read_text() == ""
