"""The order of a reset, a restore and a run's end, for whatever runs the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ..client import ConnectError, ServerError, connect
from ..compose_project import ProjectError
from ..docker_cli import DockerError, reason
from .content import clock, list_tables
from .errors import ResetError
from .journal import ASIDE, MOVING, OTHERS, RETURNING, RUNS, Journal, Move
from .look import Holding, look, others_since, plan_of, refusal_of
from .proof import compare, proof_of, prove
from .request import Answer, Backend, Request, restore_command
from .stores import Store, end_helpers

STAGE = "clickhouse_reset"


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
    holding = look(backend, journal, request)
    refusal = refusal_of(backend, holding, request)
    if request.check_mode:
        answer.plan = plan_of(backend, journal, holding, request, refusal)
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
        prove(request, answer)
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


def obstacles(make: Callable[[], Backend], request: Request) -> list[ResetError | ProjectError | DockerError]:
    """What would keep `reset` from its work, as far as it can be known without touching anything."""
    found: list[ResetError | ProjectError | DockerError] = []
    fresh = request.mode == "fresh"
    try:
        make().check(moving=fresh)
    except (ResetError, ProjectError, DockerError) as error:
        found += getattr(error, "parts", None) or [error]
    # A port of somebody else's says nothing of the data, which can be looked at all the same.
    try:
        if fresh:
            backend = make()
            holding = look(backend, Journal(backend.journal_folder), request)
            refusal = refusal_of(backend, holding, request)
            # A dry run's plan says which confirmation is needed, and what would be moved.
            found += [refusal] if refusal and not request.check_mode else []
    except (ResetError, ProjectError, DockerError) as error:
        if not found:
            found.append(error)
    return found


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
    prove(request, answer)
    answer.summary = f"ClickHouse {answer.server['version']}, kept as it was"
    return answer


def _move_aside(
    backend: Backend, journal: Journal, holding: Holding, request: Request, why: str, answer: Answer
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
        journal.set_made(move.made)
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
                made |= {
                    "left": list_tables(client),
                    "others": others_since(client, made, request),
                    "until": clock(client),
                }
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
    holding = look(backend, journal, request)
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
    journal.set_made(move.made)
    journal.forget(move)
    answer.changed = True
    undo = next((change["undo"] for change in answer.changes), "")
    back = {target: names[::-1] for target, names in move.parts.items()}
    answer.changes.append(_change(move, "data brought back", back, undo))
    backend.start(keep=False)
    answer.remarks += backend.reach()
    prove(request, answer)
    compare(move, answer)
    answer.summary = f"the data of {move.stamp} is back and proven: {proof_of(move)}"
    return answer


def _stay(backend: Backend, request: Request, answer: Answer, undone: Move | None, listing: Sequence[str]) -> Answer:
    """Nothing is to be brought back: see that the server runs on what it has."""
    backend.prepare(fresh=False)
    answer.changed |= backend.start(keep=True)
    answer.remarks += backend.reach()
    prove(request, answer)
    if undone is not None:
        compare(undone, answer)
    text = f"; proven: {proof_of(undone)}" if undone is not None else ""
    answer.summary = f"the data that is in place stays: no run made it{text}"
    if listing:
        answer.summary += (
            ". To bring another back, name its time with -e clickhouse_reset_restore=<time>: " + "; ".join(listing)
        )
    return answer


def _there(backend: Backend, journal: Journal) -> list[Move]:
    """The complete moves, newest first, whose data is where it was put: one may have been brought back by hand."""
    stores = {store.target: store for store in backend.stores()}
    return [
        move
        for move in journal.moves()
        if move.state == ASIDE
        and all(target in stores and stores[target].has_aside(move.stamp) for target in move.parts)
    ]


def _choose(there: Sequence[Move], holding: Holding) -> Move | None:
    """The move to bring back when none was named; None when what is in place is to stay."""
    complete = [move for move in there if move.tables]
    # What an interrupted run began is kept too, and is not what an operator wants back.
    precious = [move for move in complete if move.made_by == OTHERS and _foreign(move.made)]
    resets = [move for move in complete if move.why == "reset"]
    if holding.precious and _foreign(holding.made):
        # What is there now no run made. It is not moved without being named.
        return None
    if precious:
        return precious[0]
    return resets[0] if resets and not holding.precious else None


def _foreign(made: Mapping[str, Any] | None) -> bool:
    """Whether no run began this data, or another program is known to have written into it since."""
    return made is None or bool(made.get("foreign") or made.get("others"))
