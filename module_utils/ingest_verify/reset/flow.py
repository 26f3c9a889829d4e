"""The order of a reset, a restore and a run's end, for whatever runs the server."""

from __future__ import annotations

import base64
import http.client
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from ..client import ConnectError, ServerError, connect
from ..docker_cli import DockerError, reason
from ..server import describe_server, list_grants, wait_for_server
from .content import Ingest, clock, describe, differences, list_tables, minutes_ago, writers
from .errors import ResetError
from .journal import ASIDE, MOVING, OTHERS, RETURNING, RUNS, Journal, Move, same_content
from .stores import Store, end_helpers

STAGE = "clickhouse_reset"


class Backend(Protocol):
    """What runs the server. `place` is the word that a confirmation repeats."""

    place: str
    journal_folder: Path

    def stores(self) -> Sequence[Store]:
        """The places to move; the first is the data folder."""

    def running(self) -> bool: ...

    def check(self, *, moving: bool) -> None:
        """Raise ResetError with everything that stands in the way; touches nothing. `moving`: data is to be moved."""

    def prepare(self, *, fresh: bool) -> bool:
        """What takes time or may fail and can be done beforehand (images, settings); whether anything changed."""

    def stop(self) -> bool: ...

    def start(self, *, keep: bool) -> bool:
        """Start and wait; whether it was down. `keep`: a running server is not restarted. Raises ResetError."""

    def reach(self) -> list[str]:
        """Prove that clients reach it, raise ResetError; remarks on what could not be proven."""


@dataclass
class Request:
    """What is asked of a reset; the fields are documented with the modules' options."""

    login: Mapping[str, Any]
    http_port: int
    ingest: Ingest
    run_id: str
    inventory: str = "<inventory>"
    mode: str = "fresh"
    confirm: str = ""
    throwaway: bool = False
    passwordless: bool = False
    quiet_minutes: int = 10
    writers: Sequence[str] = ()
    wait_seconds: float = 120
    keep_backups: int = 3
    check_mode: bool = False


@dataclass
class Answer:
    """What came of it. `changes` are entries of the run's ledger; `plan` are the lines of a run in check mode."""

    changed: bool = False
    changes: list[dict[str, Any]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    plan: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    tables: list[dict[str, Any]] = field(default_factory=list)
    server: dict[str, Any] = field(default_factory=dict)
    grants: list[str] = field(default_factory=list)
    summary: str = ""


def restore_command(request: Request, stamp: str) -> str:
    """The command that brings a move's data back."""
    return f"ansible-playbook playbooks/restore.yml -i {request.inventory} -e clickhouse_reset_restore={stamp}"


def reset(backend: Backend, request: Request) -> Answer:
    """Start the server empty, its data moved aside and noted; or, with mode `keep`, start it on what it has.

    Everything that can be known to stand in the way is looked at before anything is touched. Raises ResetError.
    """
    journal, answer = Journal(backend.journal_folder), Answer()
    fresh = request.mode == "fresh"
    backend.check(moving=fresh)
    if not fresh:
        return _keep(backend, request, answer)
    if not request.check_mode:
        _settle(backend, journal, answer)
    holding = _look(backend, journal, request)
    refusal = _refusal(backend, holding, request)
    if request.check_mode:
        answer.plan = _plan(backend, journal, holding, request, refusal)
        answer.changed = True
        answer.tables = holding.tables
        return answer
    if refusal is not None:
        raise refusal
    backend.prepare(fresh=True)
    move = _move_aside(backend, journal, holding, request, "reset", answer)
    answer.changed = True
    # Before the start: what an interrupted run leaves is known to be none of production's.
    journal.set_made({"run_id": request.run_id, "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"})
    try:
        backend.start(keep=False)
        answer.remarks += backend.reach()
        _prove(request, answer)
    except ResetError as error:
        if move is not None:
            command = restore_command(request, move.stamp)
            text = f"{error}\nThe data it had was moved aside to {_to(move)}. Bring it back with:\n  {command}"
            raise ResetError(error.kind, text, answer.changes) from error
        raise
    journal.set_made({"run_id": request.run_id, "since": answer.server.pop("second")})
    answer.kept = [other.row() for other in journal.moves() if other.made_by == OTHERS]
    answer.summary = f"ClickHouse {answer.server['version']}, started empty"
    if move is not None and move.tables:
        rows = "an unknown number of" if move.rows is None else str(move.rows)
        answer.summary += (
            f"; {len(move.tables)} tables with {rows} rows were moved aside to {_to(move)}."
            f" Bring them back with: {restore_command(request, move.stamp)}"
        )
    return answer


def _keep(backend: Backend, request: Request, answer: Answer) -> Answer:
    """Nothing is moved, stopped or restarted; a server that is down is started."""
    if request.check_mode:
        answer.plan = [f"{backend.place} is kept as it is: nothing is stopped, moved or restarted."]
        if not backend.running():
            answer.plan.append("It does not run and would be started.")
        return answer
    if not backend.running():
        backend.prepare(fresh=False)
    answer.changed = backend.start(keep=True)
    answer.remarks += backend.reach()
    _prove(request, answer)
    answer.summary = f"ClickHouse {answer.server['version']}, kept as it was"
    return answer


@dataclass
class _Holding:
    """What the server holds before a reset."""

    tables: list[dict[str, Any]]
    unknown: list[str]
    reason: str
    made_by: str
    made: dict[str, Any] | None
    hour: list[dict[str, Any]] | None
    since: str

    @property
    def precious(self) -> bool:
        return bool(self.tables or self.unknown)


def _look(backend: Backend, journal: Journal, request: Request) -> _Holding:
    made = journal.made()
    if backend.running():
        try:
            client = connect(request.login)
        except (ConnectError, ServerError) as error:
            return _look_on_disk(backend, journal, made, request, str(error))
        try:
            tables = list_tables(client)
            hour = writers(client, minutes_ago(client, 60))
            since = minutes_ago(client, request.quiet_minutes)
            others = None
            if made is not None:
                others = _others(writers(client, made["since"]), request)
        except ServerError as error:
            return _look_on_disk(backend, journal, made, request, str(error))
        finally:
            client.disconnect()
        own = made is not None and (
            request.throwaway
            or others == []
            or (made.get("others") == [] and same_content(made.get("left") or [], tables))
        )
        return _Holding(tables, [], "", RUNS if own else OTHERS, made, hour, since)
    return _look_on_disk(backend, journal, made, request, "the server is down")


def _others(found: list[dict[str, Any]] | None, request: Request) -> list[dict[str, Any]] | None:
    """Writers that are not the ingest."""
    return None if found is None else [writer for writer in found if not request.ingest.wrote(writer)]


def _look_on_disk(
    backend: Backend, journal: Journal, made: dict[str, Any] | None, request: Request, why: str
) -> _Holding:
    store = backend.stores()[0]
    content = store.content()
    tables = [
        {"database": database, "table": table, "engine": "", "rows": None, "bytes": None, "newest_write": None}
        for database, table in content.tables
    ]
    unknown = content.lines(store.name) if content.unknown else []
    if made is not None and made.get("left") is not None and not unknown:
        names = {(table["database"], table["table"]) for table in made["left"]}
        if names == set(content.tables):
            tables = made["left"]
    # Of a server that is down nobody can tell who wrote last: the inventory's word counts alone.
    own = made is not None and request.throwaway
    return _Holding(tables, unknown, why, RUNS if own else OTHERS, made, None, "")


def _refusal(backend: Backend, holding: _Holding, request: Request) -> ResetError | None:
    """Why what the server holds may not be moved aside."""
    if not holding.precious or request.throwaway:
        return None
    if request.confirm != backend.place:
        listing = describe(holding.tables) + holding.unknown + ([f"({holding.reason})"] if holding.reason else [])
        lines = "\n".join(f"  {line}" for line in listing)
        return ResetError(
            "not_confirmed",
            f"{backend.place} holds tables: expected an empty server or a confirmation, found\n{lines}\n"
            "Nothing was touched. Go on with one of these:\n"
            f"  start empty, the data moved aside:  -e clickhouse_reset_confirm={backend.place}\n"
            "  verify beside the live data:        -e clickhouse_reset_mode=keep",
        )
    if holding.made_by == RUNS:
        return None
    busy = [
        writer
        for writer in _recent(holding)
        if not request.ingest.wrote(writer) and _writer_name(writer) not in request.writers
    ]
    if not busy:
        return None
    lines = "\n".join(f"  {_writer_line(writer)}" for writer in busy)
    names = json.dumps({"clickhouse_reset_writers": [_writer_name(writer) for writer in busy]}, ensure_ascii=False)
    return ResetError(
        "in_use",
        f"Another program than the ingest wrote into {backend.place} within the last {request.quiet_minutes} minutes:\n"
        f"{lines}\nNothing was touched. A reset would take its tables away. Stop it, or name it:\n"
        f"  -e {shlex.quote(names)}",
    )


def _recent(holding: _Holding) -> list[dict[str, Any]]:
    """Who wrote within the quiet minutes; without a query_log the tables themselves tell when, and not who."""
    if holding.hour is not None:
        return [writer for writer in holding.hour if writer["last"] >= holding.since]
    written = [table for table in holding.tables if holding.since and (table["newest_write"] or "") >= holding.since]
    if not written:
        return []
    names = [f"{table['database']}.{table['table']}" for table in written]
    last = max(table["newest_write"] for table in written)
    return [{"user": "not known", "program": "", "statements": "some", "written": names, "last": last}]


def _writer_name(writer: Mapping[str, Any]) -> str:
    return f"{writer['user']}: {writer['program'] or 'no name'}"


def _writer_line(writer: Mapping[str, Any]) -> str:
    tables = ", ".join(writer["written"][:5]) + (" ..." if len(writer["written"]) > 5 else "")
    return f"{_writer_name(writer)}, {writer['statements']} statements into {tables}, the last at {writer['last']} UTC"


def _plan(
    backend: Backend, journal: Journal, holding: _Holding, request: Request, refusal: ResetError | None
) -> list[str]:
    """What a run would do to this host, in about ten lines."""
    stamp = "<UTC time>"
    rows = [table["rows"] for table in holding.tables if table.get("rows") is not None]
    size = sum(table.get("bytes") or 0 for table in holding.tables)
    newest = max((table["newest_write"] for table in holding.tables if table.get("newest_write")), default=None)
    amount = f"{len(holding.tables)} tables"
    if rows:
        amount += f", {sum(rows)} rows, {size} bytes"
    elif holding.tables:
        amount += f", rows not known ({holding.reason})"
    moved = [store for store in backend.stores() if not store.empty()]
    lines = [
        f"Stopped: {backend.place}, {'which runs' if backend.running() else 'which is down already'}, "
        "for about 10 s: data is renamed and not copied, whatever its size.",
        f"It holds: {amount}; newest write {newest + ' UTC' if newest else 'not known' if holding.tables else 'none'}.",
    ]
    if holding.hour is None:
        lines.append("Who wrote within the last hour: not known (the server is down, or keeps no system.query_log).")
    else:
        who = "; ".join(_writer_line(writer) for writer in holding.hour[:5]) or "nobody"
        lines.append(f"Who wrote within the last hour: {who}.")
    lines += [f"Moved: {store.name} to {store.aside_name(stamp)}." for store in moved] or ["Moved: nothing."]
    aside = [move for move in journal.moves() if move.state == ASIDE]
    lines.append(
        f"Kept: all of it, and what was moved aside before ({len(aside)}); whose data no run made is never deleted."
    )
    doomed = sum(1 for move in aside if move.made_by == RUNS) + (holding.made_by == RUNS) - request.keep_backups
    lines.append(
        f"Deleted: nothing before the run passes; then {max(0, doomed)} of the moves whose data runs made themselves."
    )
    if any(move.state != ASIDE for move in journal.moves()):
        lines.append("First: an interrupted reset or restore is undone.")
    if refusal is not None and refusal.kind == "not_confirmed":
        lines.append(f"Needed: -e clickhouse_reset_confirm={backend.place}; without it nothing is touched.")
    elif refusal is not None:
        lines.append(f"Refused as it is now: {' '.join(str(refusal).split())}")
    lines.append(f"Undo: {restore_command(request, stamp)}")
    return lines


def _move_aside(
    backend: Backend, journal: Journal, holding: _Holding, request: Request, why: str, answer: Answer
) -> Move | None:
    """Stop, note, rename, note; puts back and starts again when a rename fails. None when there was nothing to move."""
    stores = [store for store in backend.stores() if not store.empty()]
    if not stores:
        answer.changed |= backend.stop()
        return None
    stamp = journal.new_stamp()
    move = Move(
        stamp=stamp,
        run_id=request.run_id,
        why=why,
        made_by=holding.made_by,
        tables=holding.tables,
        parts={store.target: [store.name, store.aside_name(stamp)] for store in stores},
        made=holding.made,
    )
    journal.note(move)
    try:
        backend.stop()
        for store in stores:
            store.put_aside(stamp)
        _check_catalog(stores[0], move)
    except (OSError, DockerError, ResetError) as error:
        for store in reversed(stores):
            if store.has_aside(stamp):
                store.bring_back(stamp)
        journal.forget(move)
        backend.start(keep=False)
        raise ResetError(
            "data_not_moved",
            f"The data of {backend.place} could not be moved aside ({reason(error)}). It is in place again and the "
            "server runs on it. Moving it needs the right to write in its parent folder: run the play with `-b`.",
        ) from error
    move.state = ASIDE
    journal.note(move)
    journal.set_made(None)
    answer.changed = True
    # An empty server has nothing that a person would want back.
    if holding.precious:
        answer.changes.append(_change(move, "data moved aside", move.parts, restore_command(request, stamp)))
    return move


def _to(move: Move) -> str:
    return ", ".join(names[1] for names in move.parts.values())


def _change(move: Move, what: str, parts: Mapping[str, Sequence[str]], undo: str) -> dict[str, Any]:
    """An entry of the run's ledger."""
    rows = "" if move.rows is None else f", {move.rows} rows"
    return {
        "stage": STAGE,
        "what": f"{what}: {len(move.tables)} tables{rows}",
        "from": ", ".join(names[0] for names in parts.values()),
        "to": ", ".join(names[1] for names in parts.values()),
        "undo": undo,
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }


def _check_catalog(store: Store, move: Move) -> None:
    """What was moved must show on disk each table that keeps its data there. Raises ResetError."""
    content = store.content(move.stamp)
    if content.unknown is not None:
        return
    there = set(content.tables)
    lost = [
        f"{table['database']}.{table['table']}"
        for table in move.tables
        if table["engine"].endswith("MergeTree") and (table["database"], table["table"]) not in there
    ]
    if lost:
        raise ResetError("data_not_moved", f"its catalog does not show {', '.join(lost[:5])} after the move")


def _settle(backend: Backend, journal: Journal, answer: Answer) -> Move | None:
    """Bring to an end what an interrupted reset or restore began; the move that was undone, if one was."""
    undone = None
    end_helpers(list(backend.stores()))
    stores = {store.target: store for store in backend.stores()}
    for move in journal.moves():
        if move.state == ASIDE:
            continue
        parts = [stores[target] for target in move.parts if target in stores]
        if move.state == MOVING and not any(store.has_aside(move.stamp) for store in parts):
            # Ended before the first rename.
            journal.forget(move)
            undone = undone or move
            continue
        blocked = (backend.running() and move.state == MOVING) or any(
            not store.empty() and store.has_aside(move.stamp) and not _mixed(store, move) for store in parts
        )
        if blocked:
            # Somebody started it on the empty place: that is newer data, and what was moved aside is whole.
            move.state = ASIDE
            journal.note(move)
            continue
        backend.stop()
        for store in parts:
            if store.has_aside(move.stamp):
                store.bring_back(move.stamp)
        journal.set_made(move.made if move.made_by == RUNS else None)
        journal.forget(move)
        undone = undone or move
        answer.changed = True
        what = (
            f"An interrupted {move.why} was undone" if move.state == MOVING else "An interrupted restore was finished"
        )
        answer.remarks.append(f"{what}: the data of {move.stamp} is in place again.")
    return undone


def _mixed(store: Store, move: Move) -> bool:
    """Whether the place and what was moved out of it are two halves of one folder: an interrupted move of a volume."""
    return store.content().unknown is not None or store.content(move.stamp).unknown is not None


def _prove(request: Request, answer: Answer) -> None:
    """The server answers on both ports as the configured user, and not without the password."""
    host, user = str(request.login["login_host"]), str(request.login["login_user"])
    try:
        client = wait_for_server(request.login, request.wait_seconds)
        try:
            answer.server = {**describe_server(client), "second": clock(client)}
            answer.grants = list_grants(client)
            answer.tables = list_tables(client)
        finally:
            client.disconnect()
    except (ConnectError, ServerError) as error:
        raise ResetError("wrong_answer", f"The server was started and cannot be used: {error}") from error
    status, text = _ask_http(host, request.http_port, user, str(request.login["login_password"]))
    if text.strip() != "1":
        raise ResetError(
            "wrong_answer",
            f"HTTP port {request.http_port} of {host} did not answer SELECT 1 for user {user}: expected 1, found "
            f"status {status or 'none'}{': ' + text[:200] if text else ''}. Check clickhouse_http_port, the user and "
            "its password.",
        )
    if not request.passwordless:
        status, _ = _ask_http(host, request.http_port, user, None)
        if status == http.client.OK:
            raise ResetError(
                "wrong_answer",
                f"User {user} needs no password: expected a refusal without one, found status 200. Give the user a "
                "password in users.d, or set run_context_passwordless where this is meant.",
            )


def _ask_http(host: str, port: int, user: str, password: str | None) -> tuple[int | None, str]:
    """(status, text) of SELECT 1; (None, why) when nothing answers."""
    # Not ClickHouse's own headers: a header loses blanks at its end, and letters beyond Latin-1 cannot stand in one.
    token = base64.b64encode(f"{user}:{password or ''}".encode()).decode()
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", "/?query=SELECT%201", headers={"Authorization": f"Basic {token}"})
        response = connection.getresponse()
        return response.status, response.read(4096).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return None, str(error)
    finally:
        connection.close()


def close(backend: Backend, request: Request, *, passed: bool) -> Answer:
    """A run's end: note what it left, and when it passed delete the oldest of what runs made themselves.

    Never fails for a server that is down: then what it left counts as not made by a run.
    """
    journal, answer = Journal(backend.journal_folder), Answer()
    made = journal.made()
    if request.check_mode:
        return answer
    if made is not None:
        try:
            client = connect(request.login)
            try:
                made["left"] = list_tables(client)
                made["others"] = _others(writers(client, made["since"]), request)
            finally:
                client.disconnect()
            journal.set_made(made)
        except (ConnectError, ServerError) as error:
            answer.remarks.append(f"What the run left could not be noted: {error}")
    if passed and request.mode == "fresh":
        own = [move for move in journal.moves() if move.state == ASIDE and move.made_by == RUNS]
        for move in own[request.keep_backups :]:
            delete(backend, request, move.stamp, answer, journal)
    return answer


def delete(backend: Backend, request: Request, stamp: str, answer: Answer, journal: Journal) -> None:
    """Delete one move's data. Raises ResetError when there is none of that name."""
    move = journal.find(stamp)
    if move is None:
        raise _no_such_move(_there(backend, journal), stamp)
    stores = {store.target: store for store in backend.stores()}
    try:
        for target in move.parts:
            if target in stores and stores[target].has_aside(stamp):
                stores[target].delete(stamp)
    except (OSError, DockerError) as error:
        answer.remarks.append(f"{_to(move)} could not be deleted: {reason(error)}")
        return
    journal.forget(move)
    answer.changed = True
    whose = "that runs of this project had made" if move.made_by == RUNS else "by your order"
    change = _change(move, f"data deleted {whose}", {key: [names[1], ""] for key, names in move.parts.items()}, "")
    answer.changes.append(change)


def _no_such_move(there: Sequence[Move], stamp: str) -> ResetError:
    listing = "\n".join(f"  {move.line()}" for move in there) or "  (nothing was moved aside)"
    return ResetError(
        "no_backup",
        f"No data was moved aside under {stamp}. There is, newest first:\n{listing}\nName one of these times.",
    )


def restore(backend: Backend, request: Request, stamp: str = "") -> Answer:
    """Bring back what a reset moved aside: the data that no run made, or what was moved aside under `stamp`.

    What is there now is itself moved aside. Data that no run made is never moved without a name given. Afterwards the
    server holds the tables and rows that were noted, or ResetError is raised.
    """
    journal, answer = Journal(backend.journal_folder), Answer()
    backend.check(moving=True)
    undone = None if request.check_mode else _settle(backend, journal, answer)
    there = _there(backend, journal)
    move = next((move for move in there if move.stamp == stamp), None)
    if stamp and move is None and not (undone and undone.stamp == stamp):
        raise _no_such_move(there, stamp)
    holding = _look(backend, journal, request)
    listing = [move.line() for move in there]
    move = move or (None if stamp else _choose(there, holding))
    if request.check_mode:
        answer.plan = [f"There is: {line}" for line in listing] or ["Nothing was moved aside."]
        answer.plan.append(
            f"Brought back: {move.line()}" if move else "Brought back: nothing; name a time to bring another back."
        )
        if move and holding.precious:
            answer.plan.append(f"Moved aside: the {len(holding.tables)} tables that are there now.")
        return answer
    if move is None:
        return _stay(backend, request, answer, undone, listing)
    _move_aside(backend, journal, holding, request, "restore", answer)
    backend.stop()
    move.state = RETURNING
    journal.note(move)
    stores = {store.target: store for store in backend.stores()}
    try:
        for target in move.parts:
            if target in stores:
                stores[target].bring_back(move.stamp)
    except (OSError, DockerError) as error:
        raise ResetError(
            "data_not_moved",
            f"The data of {move.stamp} could not be brought back ({reason(error)}). It is complete in {_to(move)}. "
            "Mend that and run the same command again.",
            answer.changes,
        ) from error
    journal.set_made(move.made if move.made_by == RUNS else None)
    journal.forget(move)
    answer.changed = True
    undo = next((change["undo"] for change in answer.changes), "")
    back = {target: names[::-1] for target, names in move.parts.items()}
    answer.changes.append(_change(move, "data brought back", back, undo))
    backend.start(keep=False)
    answer.remarks += backend.reach()
    _prove(request, answer)
    _compare(move, answer)
    answer.summary = f"the data of {move.stamp} is back and proven: {_proof(move)}"
    return answer


def _stay(backend: Backend, request: Request, answer: Answer, undone: Move | None, listing: Sequence[str]) -> Answer:
    """Nothing is to be brought back: see that the server runs on what it has."""
    backend.prepare(fresh=False)
    answer.changed |= backend.start(keep=True)
    answer.remarks += backend.reach()
    _prove(request, answer)
    if undone is not None:
        _compare(undone, answer)
    text = f"; proven: {_proof(undone)}" if undone is not None else ""
    answer.summary = f"the data that is in place stays: no run made it{text}"
    if listing:
        answer.summary += (
            ". To bring another back, name its time with -e clickhouse_reset_restore=<time>: " + "; ".join(listing)
        )
    return answer


def _proof(move: Move) -> str:
    if move.rows is None:
        return f"the {len(move.tables)} tables that were noted are there (their rows were not known)"
    return f"{len(move.tables)} tables with {move.rows} rows, as noted before the reset"


def _compare(move: Move, answer: Answer) -> None:
    lacking, remarks = differences(move.tables, answer.tables)
    answer.remarks += remarks
    if lacking:
        raise ResetError(
            "not_restored",
            f"The server runs on the data of {move.stamp}, and it is not what was noted before the reset: "
            f"{'; '.join(lacking[:10])}. See the server's log for tables that it could not load.",
            answer.changes,
        )


def _there(backend: Backend, journal: Journal) -> list[Move]:
    """The complete moves, newest first, whose data is where it was put: one may have been brought back by hand."""
    stores = {store.target: store for store in backend.stores()}
    return [
        move
        for move in journal.moves()
        if move.state == ASIDE
        and all(target in stores and stores[target].has_aside(move.stamp) for target in move.parts)
    ]


def _choose(there: Sequence[Move], holding: _Holding) -> Move | None:
    """The move to bring back when none was named; None when what is in place is to stay."""
    complete = [move for move in there if move.tables]
    precious = [move for move in complete if move.made_by == OTHERS]
    resets = [move for move in complete if move.why == "reset"]
    if holding.precious and holding.made is None:
        # What is there now no run began. It is not moved without being named.
        return None
    if precious:
        return precious[0]
    return resets[0] if resets and not holding.precious else None
