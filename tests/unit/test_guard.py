"""One run at a time for each server; what interrupted runs left is ended, and nothing else."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator

import pytest
from ansible.module_utils.ingest_verify import guard
from ansible.module_utils.ingest_verify.guard import MARK, BusyError, Owner, release, start_of, take

PLACE = "127.0.0.1:9000"


@pytest.fixture(autouse=True)
def locks(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "LOCKS", tmp_path / "locks")
    monkeypatch.setattr(guard, "REMOTE_TMP", tmp_path / "remote")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def owner_of(pid: int, run_id: str = "20260101T000000Z-abcdef") -> Owner:
    return Owner(platform.node(), pid, start_of(pid) or 0, run_id)


@pytest.fixture
def gone() -> Owner:
    """A play that has ended."""
    with subprocess.Popen([sys.executable, "-c", "pass"]) as play:
        return owner_of(play.pid)


@pytest.fixture
def playing() -> Iterator[Owner]:
    """A play that is at work."""
    with subprocess.Popen(["sleep", "60"]) as play:
        yield owner_of(play.pid)
        play.terminate()


def started(owner: Owner) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"], env={**os.environ, MARK: owner.text})


def test_a_second_run_is_told_who_holds_the_server(playing):
    take(PLACE, playing, docker=False)
    with pytest.raises(BusyError, match=f"run {playing.run_id}, started .* by process {playing.pid} on"):
        take(PLACE, owner_of(os.getpid()), docker=False)
    assert take("127.0.0.1:9001", owner_of(os.getpid()), docker=False) == []
    assert take(PLACE, playing, docker=False) == []


def test_the_lock_of_a_play_that_is_gone_is_taken_over(gone, playing):
    take(PLACE, gone, docker=False)
    take(PLACE, playing, docker=False)
    with pytest.raises(BusyError):
        take(PLACE, owner_of(os.getpid()), docker=False)


def test_a_lock_of_another_host_is_not_judged_from_here(playing):
    take(PLACE, Owner("elsewhere", 1, 1, "r"), docker=False)
    with pytest.raises(BusyError, match="If elsewhere is gone for good, remove "):
        take(PLACE, playing, docker=False)


def test_a_lock_that_was_cut_names_nobody(playing):
    take(PLACE, playing, docker=False)
    next(guard.LOCKS.iterdir()).write_text('{"owner"')
    take(PLACE, owner_of(os.getpid()), docker=False)


def test_a_place_that_was_given_back_is_free(playing):
    take(PLACE, playing, docker=False)
    release(PLACE, owner_of(os.getpid()))
    with pytest.raises(BusyError):
        take(PLACE, owner_of(os.getpid()), docker=False)
    release(PLACE, playing)
    take(PLACE, owner_of(os.getpid()), docker=False)


def test_a_process_of_a_play_that_is_gone_is_ended_and_no_other(gone, playing):
    left, working, foreign = started(gone), started(playing), subprocess.Popen(["sleep", "60"])
    try:
        planned = take(PLACE, playing, docker=False, check_mode=True)
        assert [f"process {left.pid}" in sentence for sentence in planned] == [True]
        assert left.poll() is None
        assert take(PLACE, playing, docker=False) == planned
        assert left.wait(5) != 0
        assert (working.poll(), foreign.poll()) == (None, None)
        assert take(PLACE, playing, docker=False) == []
    finally:
        for process in (left, working, foreign):
            process.kill()
            process.wait()


def test_one_that_ignores_sigterm_is_killed(gone, playing, monkeypatch):
    monkeypatch.setattr(guard, "_END_SECONDS", 0.3)
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", deaf], env={**os.environ, MARK: gone.text}, stdout=subprocess.PIPE
    ) as left:
        assert left.stdout is not None
        left.stdout.readline()
        take(PLACE, playing, docker=False)
        assert left.wait(5) == -9


@pytest.mark.parametrize("text", ["", "host:1:2", "host:a:2:r", "host:1:b:r"])
def test_what_is_no_mark_of_ours_has_no_owner(text):
    assert Owner.read(text) is None


def test_temporary_files_of_interrupted_runs_are_swept_and_no_others(gone, playing, tmp_path):
    remote = tmp_path / "remote"
    (remote / "async").mkdir(parents=True)
    old = time.time() - 7200
    swept = [
        remote / f"ansible-tmp-1764320000.12-{gone.pid}-28",
        remote / f"async/j4711.{gone.pid}",
        tmp_path / "ingest-verify.env.abc",
        tmp_path / "ingest-verify.inside.abc",
    ]
    kept = [remote / f"ansible-tmp-1764320000.12-{playing.pid}-28", tmp_path / "ingest.log", tmp_path / "env.abc"]
    young = tmp_path / "ingest-verify.young.log"
    young.touch()
    for path in swept + kept:
        if path.name.startswith(("ansible", "ingest-verify.inside")):
            path.mkdir()
        else:
            path.touch()
        os.utime(path, (old, old))
    assert guard.sweep(check_mode=True) == guard.sweep()
    assert not [path for path in swept if path.exists()]
    assert all(path.exists() for path in [*kept, young])
    (said,) = [line for line in take(PLACE, playing, docker=False) if "temporary" in line] or ["nothing"]
    assert said == "nothing"


def test_of_many_that_come_at_once_one_wins(gone):
    take(PLACE, gone, docker=False)
    plays = [subprocess.Popen(["sleep", "60"]) for _ in range(8)]
    won: list[Owner] = []

    def come(owner: Owner) -> None:
        try:
            take(PLACE, owner, docker=False)
        except BusyError:
            return
        won.append(owner)

    try:
        threads = [threading.Thread(target=come, args=(owner_of(play.pid),)) for play in plays]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
    finally:
        for play in plays:
            play.kill()
            play.wait()
