"""A reset loses nothing: data moved aside, noted, kept, brought back and proven, on a real engine."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.client import connect
from ansible.module_utils.ingest_verify.reset import flow, stores
from ansible.module_utils.ingest_verify.reset.content import Ingest
from ansible.module_utils.ingest_verify.reset.embedded import Embedded
from ansible.module_utils.ingest_verify.reset.errors import ResetError
from ansible.module_utils.ingest_verify.reset.journal import OTHERS, RUNS, Journal
from ansible.module_utils.ingest_verify.reset.request import Answer, Request
from clickhouse_driver import Client

from tests.plays import ROOT, free_port

ROWS = 123_456
TARGET = "zakaz.orders"


class Server:
    """An embedded engine of the test's own, and what a run does with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clickhouse"
        login = {"login_host": "127.0.0.1", "login_port": free_port(), "login_user": "admin", "login_password": "pw"}
        self.request = Request(
            login=login, http_port=free_port(), ingest=Ingest("loader", [TARGET]), run_id="r1", wait_seconds=30
        )
        options = {"host": "127.0.0.1", "http_port": self.request.http_port, "tcp_port": login["login_port"]}
        passwords = {"admin": "pw", "loader": "pw", "other": "pw"}
        self.backend = Embedded(str(ROOT), str(self.folder), {**options, "timezone": "UTC"}, passwords, 30)
        self.journal = Journal(self.backend.journal_folder)

    def reset(self, **asked: Any) -> Answer:
        return flow.reset(self.backend, replace(self.request, **asked))

    def confirmed(self, **asked: Any) -> Answer:
        return self.reset(confirm="clickhouse", **asked)

    def end(self, *, passed: bool) -> Answer:
        return flow.close(self.backend, self.request, passed=passed)

    def restore(self, stamp: str = "") -> Answer:
        return flow.restore(self.backend, self.request, stamp)

    def execute(self, *statements: str, user: str = "other") -> Any:
        """Statements of another program than the ingest; the answer of the last."""
        client = Client("127.0.0.1", port=self.request.login["login_port"], user=user, password="pw", client_name="erp")
        try:
            return [client.execute(sql) for sql in statements][-1]
        finally:
            client.disconnect()

    def produce(self, name: str = "shop.sales", rows: int = ROWS) -> None:
        """Production's data."""
        self.execute(
            f"CREATE DATABASE IF NOT EXISTS {name.partition('.')[0]}",
            f"CREATE TABLE {name} (id UInt64) ENGINE = MergeTree ORDER BY id",
            f"INSERT INTO {name} SELECT number FROM numbers({rows})",
        )

    def ingest(self) -> None:
        """What a run does: the schema by this project's own client, and the loader's rows."""
        client = connect(self.request.login)
        client.execute("CREATE DATABASE IF NOT EXISTS zakaz")
        client.execute(f"CREATE TABLE IF NOT EXISTS {TARGET} (id UInt64) ENGINE = MergeTree ORDER BY id")
        client.disconnect()
        self.execute(f"INSERT INTO {TARGET} VALUES (1), (2), (3)", user="loader")

    def count(self, name: str = "shop.sales") -> int:
        return int(self.execute(f"SELECT count() FROM {name}")[0][0])

    def aside(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("data.*Z*"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.reset()
    try:
        yield made
    finally:
        made.backend.stop()


@pytest.fixture
def producing(server: Server) -> Server:
    """A server with production's data, which no run began."""
    server.journal.set_made(None)
    server.produce()
    server.request = replace(server.request, writers=["other: erp"])
    return server


@pytest.mark.parametrize("passed", [True, False])
def test_four_confirmed_runs_on_production_data_delete_none_of_it(producing: Server, passed: bool) -> None:
    answers = []
    producing.request = replace(producing.request, keep_backups=1)
    for number in range(4):
        answers.append(producing.confirmed(run_id=f"r{number}"))
        producing.ingest()
        answers.append(producing.end(passed=passed))
    production = [move for move in producing.journal.moves() if move.made_by == OTHERS]
    assert [move.rows for move in production] == [ROWS]
    (kept,) = answers[-2].kept
    assert kept["rows"] == ROWS
    assert Path(kept["where"]).is_dir()
    change = answers[0].changes[0]
    assert str(ROWS) in change["what"]
    assert Path(change["to"]).is_dir()
    assert production[0].stamp in change["undo"]
    # Only what runs made is deleted, after runs that passed, and said so.
    deleted = [change for answer in answers for change in answer.changes if "deleted" in change["what"]]
    assert len(deleted) == (2 if passed else 0), deleted
    answer = producing.restore()
    assert producing.count() == ROWS
    assert f"{ROWS} rows, as noted" in answer.summary


def test_runs_prune_their_own_data_and_no_more(server: Server) -> None:
    server.request = replace(server.request, keep_backups=1)
    changes = []
    for _ in range(4):
        server.ingest()
        changes += server.end(passed=True).changes
        server.confirmed()
    changes += server.end(passed=True).changes
    assert len(server.aside()) == 1
    assert all("that runs of this project had made" in change["what"] for change in changes)
    assert len(changes) == 3


def test_data_that_another_program_wrote_into_is_none_of_the_runs(server: Server) -> None:
    server.ingest()
    server.execute(f"INSERT INTO {TARGET} VALUES (4)")
    server.end(passed=True)
    server.confirmed(writers=["other: erp"], keep_backups=0)
    server.end(passed=True)
    assert [move.made_by for move in server.journal.moves()] == [OTHERS]


def test_data_written_after_a_runs_end_is_none_of_the_runs(server: Server) -> None:
    server.ingest()
    server.end(passed=True)
    server.execute(f"INSERT INTO {TARGET} VALUES (5)")
    server.confirmed(writers=["other: erp"])
    assert [move.made_by for move in server.journal.moves()] == [OTHERS]


def test_without_targets_the_ingest_is_known_by_its_time(server: Server) -> None:
    server.request = replace(server.request, ingest=Ingest("loader"))
    server.ingest()
    second = server.execute("SELECT toString(now(), 'UTC')")[0][0]
    begun = server.journal.made()
    assert begun is not None
    server.request = replace(server.request, ingest=Ingest("loader", (), (begun["since"] + ".0", second + ".999")))
    server.end(passed=True)
    server.request = replace(server.request, ingest=Ingest("loader"))
    server.confirmed()
    assert [move.made_by for move in server.journal.moves()] == [RUNS]


def test_without_targets_a_user_of_its_own_tells_the_ingest(server: Server) -> None:
    server.request = replace(server.request, ingest=Ingest("loader", alone=True))
    server.ingest()
    server.end(passed=True)
    server.ingest()
    server.confirmed()
    assert [move.made_by for move in server.journal.moves()] == [RUNS]


def test_a_reset_is_refused_without_confirmation_and_while_another_program_writes(producing: Server) -> None:
    with pytest.raises(ResetError, match=f"shop.sales .MergeTree.: {ROWS} rows") as refused:
        producing.reset()
    assert refused.value.kind == "not_confirmed"
    with pytest.raises(ResetError, match=r"other: erp, \d statements into shop.sales") as busy:
        producing.confirmed(writers=[])
    assert busy.value.kind == "in_use"
    assert """-e '{"clickhouse_reset_writers": ["other: erp"]}'""" in str(busy.value)
    assert producing.count() == ROWS
    assert producing.aside() == []
    producing.confirmed()
    assert len(producing.aside()) == 1


def test_the_ingests_own_writing_is_no_reason_to_refuse(server: Server) -> None:
    server.journal.set_made(None)
    server.ingest()
    server.confirmed()
    assert [move.made_by for move in server.journal.moves()] == [OTHERS]


def test_the_plan_says_what_would_be_done_and_touches_nothing(producing: Server) -> None:
    before = producing.backend._launcher.status()
    plan = "\n".join(producing.reset(check_mode=True).plan)
    assert len(plan.splitlines()) <= 11
    for part in (
        "Stopped: clickhouse",
        f"1 tables, {ROWS} rows",
        "newest write 20",
        "other: erp",
        "Moved: ",
        "Needed: -e clickhouse_reset_confirm=clickhouse",
        "Undo: ansible-playbook playbooks/restore.yml",
    ):
        assert part in plan
    assert producing.count() == ROWS
    assert producing.backend._launcher.status() == before
    assert producing.aside() == []
    assert producing.journal.moves() == []
    assert "Refused as it is now" in "\n".join(producing.confirmed(check_mode=True, writers=[]).plan)


def test_a_taken_port_is_named_before_the_engine_is_stopped(producing: Server) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        options = {**producing.backend._asked, "http_port": port}
        backend = Embedded(str(ROOT), str(producing.folder), options, producing.backend._passwords, 30)
        with pytest.raises(ResetError, match=rf"Port {port} .* is taken.*Nothing was touched"):
            flow.reset(backend, replace(producing.request, confirm="clickhouse"))
    assert producing.count() == ROWS
    assert producing.backend.running()


def test_an_engine_of_another_folder_is_named_with_the_command_that_stops_it(server: Server, tmp_path: Path) -> None:
    other = Embedded(str(ROOT), str(tmp_path / "clone"), server.backend._asked, server.backend._passwords, 30)
    with pytest.raises(ResetError, match=f"python -m embedded stop --dir {server.folder}"):
        other.check(moving=True)


def test_a_second_restore_leaves_everything_as_it_is(producing: Server) -> None:
    producing.confirmed()
    producing.ingest()
    first = producing.restore()
    assert first.changed
    second = producing.restore()
    assert not second.changed
    assert "clickhouse_reset_restore=<time>" in second.summary
    assert producing.count() == ROWS
    # What the run had made is there too, and comes back by its name.
    (made,) = [move for move in producing.journal.moves() if move.why == "restore"]
    producing.restore(made.stamp)
    assert producing.count(TARGET) == 3
    with pytest.raises(ResetError, match="There is, newest first"):
        producing.restore("2020-01-01T000000Z")
    # Back from the wrong choice.
    producing.restore()
    assert producing.count() == ROWS


def test_a_restore_that_lacks_rows_is_a_failure(producing: Server) -> None:
    producing.confirmed()
    (move,) = producing.journal.moves()
    move.tables[0]["rows"] = ROWS + 1
    producing.journal.note(move)
    with pytest.raises(ResetError, match=f"shop.sales has {ROWS} rows, {ROWS + 1} were noted") as lacking:
        producing.restore()
    assert lacking.value.kind == "not_restored"


def test_deleting_is_a_command_that_names_what_goes(producing: Server) -> None:
    producing.confirmed()
    (move,) = producing.journal.moves()
    answer = Answer()
    with pytest.raises(ResetError, match=f"{ROWS} rows"):
        flow.delete(producing.backend, producing.request, "2020-01-01T000000Z", answer, producing.journal)
    assert producing.aside()
    flow.delete(producing.backend, producing.request, move.stamp, answer, producing.journal)
    assert not producing.aside()
    assert "deleted by your order" in answer.changes[0]["what"]


class _Killed(BaseException):
    """Stands for SIGKILL: nothing of ours runs after it."""


STEPS = ["stop", "put_aside", "start", "reach", "bring_back"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS[:4])
def test_a_reset_that_ends_at_any_step_is_undone_by_the_documented_command(
    producing: Server, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    owner = stores.Folder if step == "put_aside" else Embedded
    with monkeypatch.context() as patched:
        _die(patched, owner, step, after)
        with pytest.raises(_Killed):
            producing.confirmed()
    answer = producing.restore()
    assert producing.count() == ROWS
    assert answer.summary
    assert not producing.restore().changed


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["stop", "put_aside", "bring_back", "start"])
def test_a_restore_that_ends_at_any_step_is_finished_by_the_same_command(
    producing: Server, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    producing.confirmed()
    producing.ingest()
    owner = stores.Folder if step in ("put_aside", "bring_back") else Embedded
    with monkeypatch.context() as patched:
        _die(patched, owner, step, after)
        with pytest.raises(_Killed):
            producing.restore()
    producing.restore()
    assert producing.count() == ROWS


@pytest.mark.parametrize("step", ["put_aside", "start"])
def test_the_next_run_goes_on_after_an_interrupted_one(
    producing: Server, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    owner = stores.Folder if step == "put_aside" else Embedded
    with monkeypatch.context() as patched:
        _die(patched, owner, step, True)
        with pytest.raises(_Killed):
            producing.confirmed()
    producing.confirmed()
    producing.ingest()
    producing.end(passed=True)
    producing.restore()
    assert producing.count() == ROWS


def _die(patched: pytest.MonkeyPatch, owner: type, name: str, after: bool) -> None:
    real = getattr(owner, name)

    def dying(*args: Any, **kwargs: Any) -> Any:
        if after:
            real(*args, **kwargs)
        raise _Killed

    patched.setattr(owner, name, dying)


def test_a_move_that_is_not_possible_leaves_the_server_running_on_its_data(
    producing: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(stores.Folder, "put_aside", refused)
        with pytest.raises(ResetError, match=r"Permission denied.*in place again") as failed:
            producing.confirmed()
    assert failed.value.kind == "data_not_moved"
    assert producing.count() == ROWS
    assert producing.journal.moves() == []


def test_a_server_that_is_down_is_not_taken_for_an_empty_one(producing: Server) -> None:
    producing.backend.stop()
    with pytest.raises(ResetError, match=r"shop.sales .its rows are not known"):
        producing.reset()
    producing.confirmed()
    answer = producing.restore()
    assert producing.count() == ROWS
    assert "the 1 tables that were noted are there" in answer.summary


def test_keep_touches_nothing(producing: Server) -> None:
    ticks = producing.backend._launcher.status()["pid"]
    before = producing.execute("SELECT sum(cityHash64(*)) FROM shop.sales")
    config = {path: os.stat(path).st_mtime_ns for path in producing.folder.glob("*.d/*")}
    answer = producing.reset(mode="keep")
    assert not answer.changed
    assert producing.backend._launcher.status()["pid"] == ticks
    assert producing.execute("SELECT sum(cityHash64(*)) FROM shop.sales") == before
    assert {path: os.stat(path).st_mtime_ns for path in producing.folder.glob("*.d/*")} == config
    assert producing.aside() == []


def test_the_note_is_written_before_anything_is_touched(producing: Server) -> None:
    shutil.rmtree(producing.backend.journal_folder)
    producing.backend.journal_folder.write_text("in the way")
    with pytest.raises(ResetError, match="Nothing is moved without one"):
        producing.confirmed()
    assert producing.count() == ROWS


def test_an_engine_whose_start_was_ended_before_it_was_noted_is_still_known(producing: Server) -> None:
    producing.backend._layout.state.unlink()
    assert producing.backend.running()
    producing.confirmed()
    producing.restore()
    assert producing.count() == ROWS


def test_data_that_was_brought_back_by_hand_is_not_looked_for_again(producing: Server) -> None:
    producing.confirmed()
    producing.backend.stop()
    (aside,) = producing.aside()
    shutil.rmtree(producing.folder / "data")
    (producing.folder / aside).rename(producing.folder / "data")
    producing.restore()
    assert producing.count() == ROWS
    with pytest.raises(ResetError, match="nothing was moved aside"):
        producing.restore(aside.removeprefix("data."))
