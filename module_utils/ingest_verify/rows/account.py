"""One account per target table: told, acknowledged, written, in new parts, taken and why, held now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..client import quote_string, quote_table
from .catalog import Place, read_places
from .columns import Seen, read_columns
from .lineage import Event, Lineage, Taken, follow
from .log import Read, Sent, Statements, Written

_TABLES, _EVENTS = 40, 50_000
# Who says what was acknowledged.
RECORDER, SERVER_LOG = "the recorder", "query_log"
# Rows that a merge puts together, or that were there already, are no loss; these are.
LOSSES = ("ttl", "mutation", "dropped", "gone", "delete", "queue", "buffer")


@dataclass
class Account:
    """The rows of one table, from the client to what the table holds; None is a figure that is not known.

    `written_rows` = those taken within the insert + `new_part_rows`;
    `before` + `others` + `new_part_rows` - those taken afterwards = `held`; `remainder` is what is missing from that.
    Rows of the run that are left lie between `left[0]` and `left[1]`. `taken` has `by`, `rows`, `reason`, `of_run`.
    `gaps` are columns that a view into the table does not give, by view; `seen` is what is odd about the columns of
    the run's rows, `sent` how they came.
    """

    target: str
    engine: str = ""
    told: int | None = None
    acknowledged: int | None = None
    acknowledged_by: str = SERVER_LOG
    unanswered: int = 0
    unanswered_rows: int = 0
    written_rows: int | None = None
    new_part_rows: int | None = None
    taken: list[dict[str, Any]] = field(default_factory=list)
    held: int | None = None
    remainder: int | None = None
    before: int | None = None
    others: int | None = None
    left: tuple[int, int] | None = None
    unknown: list[str] = field(default_factory=list)
    gaps: dict[str, list[str]] = field(default_factory=dict)
    seen: Seen = field(default_factory=Seen)
    sent: Sent = field(default_factory=Sent)

    def take(
        self, by: str, rows: int, reason: str, bounds: tuple[int, int] | None = None, *, own: bool = False
    ) -> None:
        """Rows that left on the way; `bounds` is how many of them were the run's (default: all), `own` whether a
        statement of the run itself took them."""
        if rows:
            low, high = bounds or (rows, rows)
            self.taken.append({"by": by, "rows": rows, "reason": reason, "of_run": [low, high], "own": own})

    def lost(self) -> list[dict[str, Any]]:
        """What took rows that were the run's for sure, other than by putting rows of one key together."""
        return [entry for entry in self.taken if entry["by"] in LOSSES and entry["of_run"][0] > 0]

    def stuck(self) -> list[dict[str, Any]]:
        """What keeps back rows of which no figure tells how many."""
        return [entry for entry in self.taken if not entry["rows"]]

    def to_dict(self) -> dict[str, Any]:
        """The account as JSON takes it."""
        return {
            **{key: value for key, value in self.__dict__.items() if key not in ("seen", "sent")},
            "left": list(self.left) if self.left else None,
            "emptied": [column.name for column in self.seen.columns if column.emptied or column.unproven],
        }


def read_accounts(
    read: Read,
    written: Written,
    names: Iterable[str],
    told: Mapping[str, int],
    answered: Mapping[str, Mapping[str, Any]],
    failures: tuple[type[Exception], ...],
) -> dict[str, Account]:
    """Accounts by table. A table whose log tables refuse an answer has an account that says so.

    `names` are 'database.table'; those that the run wrote to are added. `told` is what the loader says it wrote, and
    `answered` its INSERTs as the recorder saw them answered (see `Recorded.answered_inserts`), each by table.
    `failures` are what `read` raises.
    """
    wanted = [*dict.fromkeys([*names, *written.rows, *written.failed])][:_TABLES]
    places = read_places(read, wanted)
    accounts = {name: Account(name, place.engine, told.get(name)) for name, place in places.items()}
    for name, account in accounts.items():
        if written.by is None:
            account.unknown.append("what the run wrote: its statements cannot be told in query_log")
            continue
        account.written_rows = written.of(*name.split(".", 1))
        if account.written_rows is None:
            account.unknown.append(written.lost or "written rows: partitions were moved into the table")
        else:
            account.acknowledged = account.written_rows + written.waiting.get(name, 0)
            account.take("queue", written.waiting.get(name, 0), "asynchronous inserts whose flush failed")
    try:
        _count(read, places, accounts, failures)
        _follow(read, written, places, accounts)
        _fronts(read, places, accounts)
        _waiting(read, places, accounts)
        _gaps(read, places, accounts)
        _acknowledge(read, written, places, accounts, answered)
    except failures as error:
        for account in accounts.values():
            account.unknown.append(f"a log table did not answer: {error}")
    # A view's rows are those of its target, and so are those of a Distributed table that others than it wrote.
    return {
        name: accounts.get(places[name].leads_to or "", account)
        if places[name].engine == "MaterializedView"
        or (places[name].engine == "Distributed" and account.written_rows == 0)
        else account
        for name, account in accounts.items()
    }


def _acknowledge(
    read: Read,
    written: Written,
    places: Mapping[str, Place],
    accounts: Mapping[str, Account],
    answered: Mapping[str, Mapping[str, Any]],
) -> None:
    """What the program saw acknowledged, where its recorder tells: rows whose answer was lost on its way are not."""
    for name, account in accounts.items():
        seen = answered.get(name)
        if seen is None or account.acknowledged is None or written.statements is None:
            continue
        account.acknowledged_by = RECORDER
        if not seen["unanswered"]:
            continue
        account.acknowledged = None
        ids = ", ".join(map(quote_string, seen["ids"]))
        if len(seen["ids"]) < seen["unanswered"] or "part_log" not in written.statements.tables:
            account.unknown.append(
                f"acknowledged rows: {seen['unanswered']} INSERT(s) got no answer, and which of the written rows are "
                "theirs is not known"
            )
            continue
        place = places[name]
        row = read(
            "SELECT sum(rows) AS rows, uniqExact(query_id) AS inserts FROM system.part_log AS everywhere "
            f"WHERE {written.statements.since} AND event_type = 'NewPart' "
            f"AND database = {quote_string(place.database)} AND table = {quote_string(place.name)} "
            f"AND query_id IN ({ids})"
        )[0]
        account.unanswered_rows, account.unanswered = int(row["rows"]), int(row["inserts"])
        account.acknowledged = (account.written_rows or 0) - account.unanswered_rows


def _waiting(read: Read, places: Mapping[str, Place], accounts: Mapping[str, Account]) -> None:
    """Asynchronous inserts that were acknowledged and still stand in the server's memory, rows unknown."""
    named = ", ".join(f"({quote_string(p.database)}, {quote_string(p.name)})" for p in places.values())
    for row in (
        read(
            "SELECT concat(database, '.', table) AS title, sum(length(`entries.query_id`)) AS inserts "
            f"FROM system.asynchronous_inserts WHERE (database, table) IN ({named}) GROUP BY title"
        )
        if named
        else []
    ):
        reason = f"{row['inserts']} asynchronous INSERT(s) stand in the server's queue (system.asynchronous_inserts)"
        accounts[row["title"]].taken.append(_entry("queue", reason))


def _gaps(read: Read, places: Mapping[str, Place], accounts: Mapping[str, Account]) -> None:
    """Columns of a view's target that its SELECT does not give, and for which nobody declared a default."""
    for name, view in places.items():
        target = places.get(view.leads_to or "") if view.engine == "MaterializedView" else None
        # Several views may fill one row of an engine that puts rows together, each its own columns.
        if target is None or target.merges() or not accounts[target.title].written_rows:
            continue
        rows = read(
            f"SELECT name FROM system.columns WHERE database = {quote_string(target.database)} "
            f"AND table = {quote_string(target.name)} AND default_kind = '' AND NOT startsWith(type, 'Nullable') "
            "AND name NOT IN (SELECT name FROM system.columns "
            f"WHERE database = {quote_string(view.database)} AND table = {quote_string(view.name)})"
        )
        if rows:
            accounts[target.title].gaps[name] = [row["name"] for row in rows]


def _count(
    read: Read,
    places: Mapping[str, Place],
    accounts: Mapping[str, Account],
    failures: tuple[type[Exception], ...],
) -> None:
    for name, place in places.items():
        if place.engine in ("Kafka", "NATS", "RabbitMQ", "FileLog", "Null", "MaterializedView"):
            continue
        try:
            counted = read(f"SELECT count() AS rows FROM {quote_table(*name.split('.', 1))}")
            accounts[name].held = int(counted[0]["rows"])
        except failures as error:
            accounts[name].unknown.append(f"rows held now: {error}")


def _follow(read: Read, written: Written, places: Mapping[str, Place], accounts: Mapping[str, Account]) -> None:
    merging = {name: place for name, place in places.items() if place.has_parts}
    if not merging or written.statements is None:
        return
    if "part_log" not in written.statements.tables:
        for name in merging:
            accounts[name].unknown.append(
                "rows of new parts and what took them: system.part_log is not configured (<part_log> in config.xml)"
            )
        return
    buffered = _buffered(places)
    events = _events(read, written.statements, merging, buffered)
    parts = _parts(read, merging)
    statements = _statements(read, written.statements, merging)
    for name, place in merging.items():
        active, inactive = parts.get(place.title, ({}, {}))
        if len(events) > _EVENTS:
            accounts[name].unknown.append(f"what became of its parts: more than {_EVENTS} events in part_log")
            continue
        own = [event for key, event in events if key == place.key]
        account = accounts[name]
        if name in written.unclear:
            account.written_rows = None
        if place.key in buffered and any(event.owner == "run" for event in own):
            account.unknown.append("rows that others wrote past the Buffer: they are counted as the run's")
        line = follow(own, active, inactive)
        _settle(account, place, line, sum(active.values()), statements)
        account.sent = written.sent.get(name, account.sent)
        account.seen = read_columns(read, place.database, place.name, line.own)


def _buffered(places: Mapping[str, Place]) -> set[str]:
    """Tables that a Buffer writes to in the background, under no query id."""
    behind = [place.leads_to or "" for place in places.values() if place.engine == "Buffer"]
    return {places[name].key for name in behind if name in places}


def _events(
    read: Read, statements: Statements, places: Mapping[str, Place], buffered: set[str]
) -> list[tuple[str, Event]]:
    named = ", ".join(f"({quote_string(p.database)}, {quote_string(p.name)})" for p in places.values())
    uuids = ", ".join(quote_string(place.uuid) for place in places.values())
    failed = "'ExceptionWhileProcessing'"
    rows = read(
        "SELECT if(toUInt128(table_uuid) = 0, concat(database, '.', table), toString(table_uuid)) AS key, "
        "toString(event_type) AS kind, part_name, partition_id, rows, read_rows, merged_from, query_id, "
        "toString(merge_reason) AS reason, toInt32(error) AS error, "
        f"multiIf(query_id = '', '', query_id IN ({statements.ids(failed)}), 'failed', "
        f"query_id IN ({statements.ids(chr(39) + 'QueryFinish' + chr(39))}), 'run', '') AS owner "
        f"FROM system.part_log WHERE {statements.since} "
        "AND event_type IN ('NewPart', 'MergeParts', 'DownloadPart', 'RemovePart', 'MutatePart') "
        f"AND (table_uuid IN ({uuids}) OR (toUInt128(table_uuid) = 0 AND (database, table) IN ({named}))) "
        f"ORDER BY event_time_microseconds LIMIT {_EVENTS + 1}"
    )
    return [
        (
            row["key"],
            Event(
                row["kind"],
                row["part_name"],
                row["partition_id"],
                int(row["rows"]),
                int(row["read_rows"]),
                tuple(row["merged_from"]),
                row["reason"],
                row["query_id"],
                "run" if row["key"] in buffered and row["kind"] == "NewPart" else row["owner"],
                int(row["error"]),
            ),
        )
        for row in rows
    ]


def _parts(read: Read, places: Mapping[str, Place]) -> dict[str, tuple[dict[str, int], dict[str, int]]]:
    """Rows of the active and of the inactive parts by table."""
    named = ", ".join(f"({quote_string(p.database)}, {quote_string(p.name)})" for p in places.values())
    found: dict[str, tuple[dict[str, int], dict[str, int]]] = {}
    for row in read(
        f"SELECT concat(database, '.', table) AS title, name, active, rows FROM system.parts "
        f"WHERE (database, table) IN ({named})"
    ):
        found.setdefault(row["title"], ({}, {}))[not row["active"]][row["name"]] = int(row["rows"])
    return found


def _statements(read: Read, statements: Statements, places: Mapping[str, Place]) -> list[dict[str, Any]]:
    """Who changed or dropped rows of the tables since the run began, whoever it was."""
    tables = ", ".join(quote_string(place.title) for place in places.values())
    return read(
        "SELECT query_id, user, query_kind, substring(query, 1, 300) AS sql, tables, "
        "formatDateTime(event_time, '%F %T', 'UTC') AS at, "
        f"{statements.window} AND {statements.condition} AS own FROM system.query_log "
        f"WHERE {statements.since} AND type = 'QueryFinish' "
        "AND query_kind IN ('Alter', 'Drop', 'Truncate', 'Delete', 'Update') AND is_initial_query "
        f"AND hasAny(arrayMap(name -> replaceAll(name, '`', ''), tables), [{tables}]) "
        "ORDER BY event_time_microseconds LIMIT 200"
    )


def _settle(account: Account, place: Place, line: Lineage, in_parts: int, statements: list[dict[str, Any]]) -> None:
    """Put what became of the parts into the account, and see whether it balances."""
    account.new_part_rows, account.before, account.others = line.new, line.before, line.others + line.failed
    account.unknown += line.unknown
    if line.failed:
        account.unknown.append(f"whether the {line.failed} rows of INSERTs that failed half-way were sent again")
    account.take("deduplicated", line.deduplicated, "identical blocks that the table had taken before")
    within = 0
    if account.written_rows is None or (not account.written_rows and line.new):
        account.written_rows = account.acknowledged = line.new + line.deduplicated
    else:
        within = account.written_rows - line.deduplicated - line.new
    if within > 0 and (how := place.merges()):
        account.take("insert", within, f"within the insert: {how}")
        within = 0
    for taken in line.taken:
        reason, own = _reason(taken, place, statements)
        account.take(taken.by, taken.rows, reason, (taken.low, taken.high), own=own)
    masked = in_parts - account.held if account.held is not None else 0
    if masked > 0:
        who, own = _by_whom(place, statements, r"\bDELETE\b")
        bounds = max(0, line.high - int(account.held or 0)), min(masked, line.high)
        account.take("delete", masked, f"marked as deleted{who}", bounds, own=own)
    account.taken = _joined(account.taken)
    account.remainder = within + line.expected - in_parts
    account.left = max(0, line.low - max(masked, 0)), min(line.high, account.held or 0)
    if line.low != line.high:
        account.unknown.append("which of the rows that were put together were of this run")


def _reason(taken: Taken, place: Place, statements: list[dict[str, Any]]) -> tuple[str, bool]:
    """Why the rows were taken, and whether the run did it itself."""
    if taken.by == "ttl":
        return f"the table's TTL {place.ttl}" if place.ttl else "a TTL that the table had", False
    if taken.by == "merge":
        ttl = f"a merge, by the table's TTL {place.ttl}" if place.ttl else "a merge left out rows marked as deleted"
        return place.merges() or ttl, False
    if taken.by == "mutation":
        who, own = _by_whom(place, statements, r"\b(?:DELETE|UPDATE)\b")
        return f"a mutation{who}", own
    if statement := next((row for row in statements if taken.detail and row["query_id"] == taken.detail), None):
        return _said(statement), bool(statement["own"])
    who, own = _by_whom(place, statements, r"\b(?:DROP|DETACH|TRUNCATE|REPLACE|MOVE)\b")
    return f"dropped{who}", own


def _by_whom(place: Place, statements: list[dict[str, Any]], verbs: str) -> tuple[str, bool]:
    fitting = [
        row
        for row in statements
        if place.title in [name.replace("`", "") for name in row["tables"]] and re.search(verbs, row["sql"], re.I)
    ]
    if not fitting:
        return ", by a statement that query_log does not have", False
    more = f" and {len(fitting) - 1} more" if len(fitting) > 1 else ""
    return f": {_said(fitting[-1])}{more}", all(row["own"] for row in fitting)


def _said(statement: Mapping[str, Any]) -> str:
    return f"{' '.join(statement['sql'].split())}, by user {statement['user']} at {statement['at']} UTC"


def _joined(taken: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry per reason: each merge is an event of its own."""
    joined: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in taken:
        other = joined.setdefault((entry["by"], entry["reason"]), {**entry, "rows": 0, "of_run": [0, 0]})
        other["rows"] += entry["rows"]
        other["of_run"] = [a + b for a, b in zip(other["of_run"], entry["of_run"], strict=True)]
    return list(joined.values())


# Tables that hand rows on --------------------------------------------------------------------------------------------


def _fronts(read: Read, places: Mapping[str, Place], accounts: Mapping[str, Account]) -> None:
    """Distributed, Buffer and Kafka tables hold nothing themselves: what stands in them has not arrived."""
    for name, place in places.items():
        account, behind = accounts[name], accounts.get(place.leads_to or "")
        if place.engine == "Distributed":
            _queue(read, place, account, behind)
        elif place.engine == "Buffer" and behind is not None and None not in (account.held, behind.held):
            # A Buffer reads its own rows and those of the table behind it.
            standing = int(account.held or 0) - int(behind.held or 0)
            account.take("buffer", standing, f"still in the memory of the Buffer, not in {place.leads_to}")
            account.remainder = None
        elif place.engine == "Kafka":
            _consumers(read, place, account)
        elif not place.has_parts:
            account.unknown.append(f"a table of engine {place.engine} has no parts to follow")


def _queue(read: Read, place: Place, account: Account, behind: Account | None) -> None:
    rows = read(
        "SELECT sum(data_files) AS files, sum(error_count) AS errors, max(is_blocked) AS blocked, "
        "anyIf(last_exception, last_exception != '') AS exception, sum(broken_data_files) AS broken "
        f"FROM system.distribution_queue WHERE database = {quote_string(place.database)} "
        f"AND table = {quote_string(place.name)}"
    )
    files, broken = int(rows[0]["files"] or 0), int(rows[0]["broken"] or 0)
    arrived = behind.new_part_rows if behind else None
    standing = (account.written_rows or 0) - arrived if arrived is not None else None
    if not files and not broken:
        if behind is not None:
            account.unknown.append(f"what other servers took: only {place.leads_to} of this server is accounted for")
        return
    why = str(rows[0]["exception"]).split("Stack trace")[0].strip()[:300] or (
        "sends are stopped (SYSTEM STOP DISTRIBUTED SENDS)" if rows[0]["blocked"] else "no error yet"
    )
    reason = f"{files} file(s) stand in the queue of {place.title}" + (f", {broken} broken" if broken else "")
    if standing is None or standing <= 0:
        account.unknown.append(f"how many rows {reason}: {why}")
        account.taken.append({"by": "queue", "rows": 0, "reason": f"{reason}: {why}", "of_run": [0, 0]})
    else:
        account.take("queue", standing, f"{reason}: {why}")


def _consumers(read: Read, place: Place, account: Account) -> None:
    rows = read(
        "SELECT sum(num_messages_read) AS messages, "
        "arrayDistinct(arrayFlatten(groupArray(`exceptions.text`))) AS texts "
        f"FROM system.kafka_consumers WHERE database = {quote_string(place.database)} "
        f"AND table = {quote_string(place.name)}"
    )
    account.unknown.append(f"its rows: a Kafka table holds none, its consumers read {rows[0]['messages']} message(s)")
    if rows[0]["texts"]:
        account.taken.append(_entry("consumer", str(rows[0]["texts"][-1])[:300]))
    if not place.dependents:
        account.unknown.append(f"no view reads {place.title}, so nothing consumes it")


def _entry(by: str, reason: str) -> dict[str, Any]:
    """Something that keeps rows back of which no figure tells how many."""
    return {"by": by, "rows": 0, "reason": reason, "of_run": [0, 0], "own": False}
