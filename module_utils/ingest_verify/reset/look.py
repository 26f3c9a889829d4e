"""What a server holds before a reset, why it may not be moved aside, and what a reset would do: nothing is touched."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..client import ConnectError, ServerError, connect
from .content import describe, list_tables, minutes_ago, writers
from .errors import ResetError
from .journal import ASIDE, OTHERS, RUNS, Journal, same_content
from .request import Backend, Request, restore_command


@dataclass
class Holding:
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


def look(backend: Backend, journal: Journal, request: Request) -> Holding:
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
                others = others_of(writers(client, made["since"]), request)
        except ServerError as error:
            return _look_on_disk(backend, journal, made, request, str(error))
        finally:
            client.disconnect()
        own = made is not None and (
            request.throwaway
            or others == []
            or (made.get("others") == [] and same_content(made.get("left") or [], tables))
        )
        return Holding(tables, [], "", RUNS if own else OTHERS, made, hour, since)
    return _look_on_disk(backend, journal, made, request, "the server is down")


def others_of(found: list[dict[str, Any]] | None, request: Request) -> list[dict[str, Any]] | None:
    """Writers that are not the ingest."""
    return None if found is None else [writer for writer in found if not request.ingest.wrote(writer)]


def _look_on_disk(
    backend: Backend, journal: Journal, made: dict[str, Any] | None, request: Request, why: str
) -> Holding:
    store = backend.stores()[0]
    content = store.content()
    tables = [
        {"database": database, "table": table, "engine": "", "rows": None, "bytes": None, "newest_write": None}
        for database, table in content.tables
    ]
    unknown = content.lines(store.name) if content.unknown else []
    # Of a server that is down nobody can tell who wrote last: the inventory's word counts alone.
    own = made is not None and request.throwaway
    return Holding(tables, unknown, why, RUNS if own else OTHERS, made, None, "")


def refusal_of(backend: Backend, holding: Holding, request: Request) -> ResetError | None:
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


def _recent(holding: Holding) -> list[dict[str, Any]]:
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


def plan_of(
    backend: Backend, journal: Journal, holding: Holding, request: Request, refusal: ResetError | None
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
