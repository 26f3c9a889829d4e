"""The ingest as a process: exit codes, signals, time limit, log copy. Real processes."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path

import pytest
from ansible.module_utils.ingest_verify.facts.log import LogFileError, read_client_log
from ansible.module_utils.ingest_verify.process import (
    ProcessError,
    ProcessResult,
    explain_exit,
    run_process,
    split_command,
)


def run(folder: Path, *command: str, timeout: float = 30, grace: float = 5, **environment: str) -> ProcessResult:
    return run_process(
        command, log_file=folder / "ingest.log", environment=environment, timeout_seconds=timeout, grace_seconds=grace
    )


def log(folder: Path) -> str:
    return (folder / "ingest.log").read_text()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def ends(pid: int) -> bool:
    """Whether the process is gone within a bounded time: a signal that was sent is delivered a moment later."""
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not alive(pid)


def test_a_good_run_has_its_output_times_and_outcome(tmp_path: Path) -> None:
    result = run(tmp_path, "sh", "-c", 'echo one; echo two >&2; echo \'{"outcome":"ok","rows":3}\'')
    assert (result.exit_code, result.signal, result.timed_out, result.oom_killed) == (0, None, False, False)
    assert result.outcome == {"outcome": "ok", "rows": 3}
    assert log(tmp_path).splitlines()[:2] == ["one", "two"]
    assert result.log_bytes == len(log(tmp_path))
    assert result.started <= result.ended
    assert result.started.endswith("+00:00")
    assert stat.S_IMODE((tmp_path / "ingest.log").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("script", "code", "name"),
    [
        ("exit 3", 3, None),
        ("kill -KILL $$", 137, "SIGKILL"),
        ("kill -SEGV $$", 139, "SIGSEGV"),
        ("exit 255", 255, None),
    ],
)
def test_an_end_is_counted_as_a_shell_counts_it(tmp_path: Path, script: str, code: int, name: str | None) -> None:
    result = run(tmp_path, "sh", "-c", script)
    assert (result.exit_code, result.signal) == (code, name)
    assert str(code) in result.explained


def test_a_kill_for_memory_is_told_from_another_one() -> None:
    assert "for memory" in explain_exit(137, timed_out=False, oom_killed=True, timeout_seconds=9)
    assert "by SIGKILL" in explain_exit(137, timed_out=False, oom_killed=False, timeout_seconds=9)


def test_a_missing_command_is_127_and_said_in_the_log(tmp_path: Path) -> None:
    assert run(tmp_path, "no-such-loader").exit_code == 127
    assert log(tmp_path) == "no-such-loader: command not found\n"


def test_a_missing_interpreter_is_127_as_a_shell_has_it(tmp_path: Path) -> None:
    script = tmp_path / "loader"
    script.write_text("#!/no/such/python\n")
    script.chmod(0o755)
    assert run(tmp_path, str(script)).exit_code == 127


def test_a_file_that_is_not_executable_is_126(tmp_path: Path) -> None:
    (tmp_path / "loader").write_text("#!/bin/sh\n")
    assert run(tmp_path, str(tmp_path / "loader")).exit_code == 126
    assert "Permission denied" in log(tmp_path)


def test_at_the_time_limit_the_whole_group_ends_with_sigterm(tmp_path: Path) -> None:
    result = run(tmp_path, "sh", "-c", "sleep 300 & echo $!; wait", timeout=1)
    assert (result.timed_out, result.exit_code, result.signal) == (True, 143, "SIGTERM")
    assert ends(int(log(tmp_path).split()[0]))
    assert "time limit of 1 s" in result.explained


def test_who_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    result = run(tmp_path, "sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done", timeout=1, grace=0.2)
    assert (result.timed_out, result.exit_code, result.oom_killed) == (True, 137, False)
    assert log(tmp_path).startswith("up\n")


def test_who_cleans_up_at_sigterm_has_its_last_words_logged(tmp_path: Path) -> None:
    script = "trap 'echo cleaned; exit 9' TERM; echo up; while :; do sleep 0.05; done"
    result = run(tmp_path, "sh", "-c", script, timeout=1)
    assert (result.timed_out, result.exit_code) == (True, 9)
    assert "cleaned" in log(tmp_path)


def test_left_over_children_do_not_outlive_the_run(tmp_path: Path) -> None:
    result = run(tmp_path, "sh", "-c", "sleep 300 & echo $!")
    assert result.exit_code == 0
    assert ends(int(log(tmp_path)))


def test_each_line_is_there_and_secrets_are_not(tmp_path: Path) -> None:
    code = (
        "import os\n"
        "for i in range(20000): print('line', i)\n"
        "print('token is', os.environ['QTICKETS_TOKEN'], 'and', 'http://u:pw12345@h/')\n"
        "print('word ' * 200000 + 'end')\n"
        "print('no newline', end='')"
    )
    result = run(tmp_path, sys.executable, "-c", code, QTICKETS_TOKEN="abcd1234efgh")
    text = log(tmp_path)
    assert result.exit_code == 0, text[-500:]
    assert [f"line {i}" for i in range(20000)] == text.splitlines()[:20000]
    assert "abcd1234efgh" not in text
    assert "pw12345" not in text
    assert text.count("word ") == 200000
    assert text.endswith("no newline")


def test_bytes_of_other_encodings_come_through_unchanged(tmp_path: Path) -> None:
    run(tmp_path, "printf", "\\377\\376 \\317\\360\\350\\n")
    assert (tmp_path / "ingest.log").read_bytes() == b"\xff\xfe \xcf\xf0\xe8\n"


def test_a_command_that_prints_binary_data_has_its_outcome_all_the_same(tmp_path: Path) -> None:
    script = "import os, sys; os.write(1, bytes(range(256)) * 20 + b'\\nERROR no rows\\n'); sys.exit(3)"
    result = run(tmp_path, sys.executable, "-c", script)
    assert result.exit_code == 3
    assert [error.text for error in read_client_log(result.log_file, captured=True).errors] == ["ERROR no rows"]
    # A file that somebody names may be the wrong one.
    with pytest.raises(LogFileError, match="binary"):
        read_client_log(result.log_file)


def test_the_environment_is_what_is_given_and_little_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QTICKETS_TOKEN", "of-the-controller")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy")
    run(tmp_path, "env", ORG_NAME="bolshoi")
    names = {line.partition("=")[0] for line in log(tmp_path).splitlines()}
    assert {"ORG_NAME", "PATH"} <= names
    assert not names & {"QTICKETS_TOKEN", "HTTP_PROXY"}


def test_what_cannot_be_tried_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="does not exist"):
        run_process(["true"], log_file=tmp_path / "log", chdir=str(tmp_path / "nowhere"), timeout_seconds=1)
    with pytest.raises(ProcessError, match="cannot be written"):
        run_process(["true"], log_file=tmp_path / "nowhere" / "log", timeout_seconds=1)
    with pytest.raises(ProcessError, match="is empty"):
        split_command([])
    with pytest.raises(ProcessError, match="cannot be split"):
        split_command("echo 'open")
    assert split_command("python3 -m 'a b'") == ["python3", "-m", "a b"]


def test_standard_input_is_closed(tmp_path: Path) -> None:
    assert run(tmp_path, "cat").exit_code == 0


def test_the_working_folder_is_the_given_one(tmp_path: Path) -> None:
    run_process(["pwd"], log_file=tmp_path / "ingest.log", chdir=str(tmp_path), timeout_seconds=30)
    assert log(tmp_path).strip() == os.path.realpath(tmp_path)


@pytest.mark.parametrize("pause", ["", "; sleep 0.2"])
def test_a_secret_over_two_lines_is_not_in_the_log(tmp_path: Path, pause: str) -> None:
    """Also where its second half comes later, when the first one is on the disk already."""
    code = f"echo before; printf 'key is s3cr3t-'; echo{pause}; echo '   4711-tail and on'; echo after"
    run(tmp_path, "sh", "-c", code, QTICKETS_TOKEN="s3cr3t-4711-tail")
    assert log(tmp_path) == "before\nkey is *** and on\nafter\n"


def test_an_ordinary_log_is_copied_as_it_is_in_whatever_pieces_it_comes(tmp_path: Path) -> None:
    code = "for i in 1 2 3 4 5; do printf 'row %s ' $i; [ $i = 3 ] && sleep 0.1; echo written; done; printf 'no end'"
    run(tmp_path, "sh", "-c", code, QTICKETS_TOKEN="s3cr3t-4711-tail")
    assert log(tmp_path) == "".join(f"row {i} written\n" for i in range(1, 6)) + "no end"
