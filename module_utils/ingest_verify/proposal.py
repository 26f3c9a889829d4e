"""Data checks proposed for a database from its catalog, its query_log and its data: none that is not true of it now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clickhouse_driver import Client

from .checks.request import read_request
from .checks.runner import run_checks
from .client import ServerError, query, quote_identifier, quote_table
from .sql_text import statement_target

# More tables than this nobody reads through; the most recently written ones are proposed.
MOST_TABLES = 30
# How far back the loads of the ingest's user are looked for.
DAYS = 7
# A newest row that is older says that the table is not loaded any more.
_STALE_MINUTES = 30 * 24 * 60

_TIME = re.compile(r"^(?:LowCardinality\()?(?:Nullable\()?Date(?:Time(?:64)?)?(?:32)?\b")
# Names of load times and event times, the likelier ones first.
_TIME_NAMES = (
    re.compile(r"load|ingest|insert|_at$"),
    re.compile(r"updat|modif|chang"),
    re.compile(r"creat|time|^ts$|_ts$|stamp"),
    re.compile(r"date|day"),
)
_WRAPS = re.compile(r"^(?:Nullable\()?UInt(?:8|16|32)\b")
_FLAG = re.compile(r"^(?:is|has)_|_flag$|^(?:deleted|active|enabled|sign)$")
_TELLS_ITS_DEFAULT = re.compile(r"^(?:U?Int|Float|Decimal|String|FixedString|LowCardinality\(String|DateTime|Date\b)")


@dataclass(frozen=True)
class Proposed:
    """A declaration of a data check, and why it was proposed, in one sentence."""

    check: dict[str, Any]
    why: str


@dataclass
class Proposal:
    """`tables` is how many hold rows of their own, `targets` are those that the ingest's user wrote lately; `notes` say
    what was left out."""

    tables: int = 0
    targets: list[str] = field(default_factory=list)
    checks: list[Proposed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def propose(
    client: Client, database: str, user: str, bookkeeping: Mapping[str, Sequence[str]] | None = None
) -> Proposal:
    """Propose checks for the tables of `database` that `user` loads, or for all of them where no load was seen.

    `bookkeeping` has regular expressions by profile: tables that match one as a whole are a loader's
    own, and no target.

    Raises ServerError when the catalog cannot be read.
    """
    found = Proposal()
    tables = _tables(client, database)
    _leave_out(tables, bookkeeping or {}, found)
    found.tables = len(tables)
    if spread := _distributed(client, database):
        found.notes.append(
            f"Left out, since their rows lie on other hosts, which were not asked: {', '.join(spread[:5])}"
            + (f" and {len(spread) - 5} more" if len(spread) > 5 else "")
            + " (Distributed). Name them in qtickets_ingest_targets yourself if the load writes through them."
        )
    if not tables:
        return found
    written = [name for name in _written(client, database, user) if name in tables]
    if not written:
        found.notes.append(
            f"No INSERT of user {user} into {database} is in query_log for the last {DAYS} days, so the targets are not"
            " known. Fill in qtickets_ingest_targets."
        )
    chosen = written or sorted(tables, key=lambda name: -tables[name]["total_rows"])
    if len(chosen) > MOST_TABLES:
        which = "that were written last" if written else "with most rows"
        found.notes.append(
            f"{database} has {len(tables)} tables; checks were proposed for {MOST_TABLES} of them, those {which}."
        )
        chosen = chosen[:MOST_TABLES]
    found.targets = sorted(chosen) if written else []
    columns = _columns(client, database, chosen)
    # Ansible would read such a name in an inventory as a template.
    for name in [name for name in chosen if _is_template(name, *(column["name"] for column in columns[name]))]:
        found.notes.append(f"Left out, since its names hold braces that Ansible reads: {name}.")
        chosen.remove(name)
        found.targets = [target for target in found.targets if target != name]
    candidates = [
        proposed
        for name in chosen
        if tables[name]["total_rows"]
        for proposed in _candidates(client, database, name, tables[name], columns[name])
    ]
    found.checks = [_volume(name) for name in found.targets if name in chosen] + _true_now(
        client, database, candidates, found
    )
    return found


def _leave_out(tables: dict[str, dict[str, Any]], bookkeeping: Mapping[str, Sequence[str]], found: Proposal) -> None:
    """Take a loader's own tables out, and say whose they are."""
    for profile, patterns in bookkeeping.items():
        own = [name for name in sorted(tables) if any(re.fullmatch(pattern, name) for pattern in patterns)]
        for name in own:
            del tables[name]
        if own:
            shown = ", ".join(own[:5]) + (f" and {len(own) - 5} more" if len(own) > 5 else "")
            found.notes.append(
                f"Left out, since a loader keeps its own books there: {shown}. If {profile} writes them, set pipeline:"
                f" {profile} (pipelines/{profile}.yml tells its variables)."
            )


def _is_template(*names: str) -> bool:
    return any(mark in name for name in names for mark in ("{{", "{%", "{#"))


def _tables(client: Client, database: str) -> dict[str, dict[str, Any]]:
    """Tables that hold rows themselves, by name, with engine, sorting_key and total_rows."""
    rows = query(
        client,
        "SELECT name, engine, sorting_key, ifNull(total_rows, 0) AS total_rows FROM system.tables WHERE"
        " database = %(database)s AND NOT is_temporary AND NOT startsWith(name, '.inner')"
        " AND (engine LIKE '%%MergeTree' OR engine IN ('Log', 'TinyLog', 'StripeLog', 'Memory'))",
        {"database": database},
    )
    return {row["name"]: row for row in rows}


def _distributed(client: Client, database: str) -> list[str]:
    """Tables over a cluster, of which a host may be down."""
    rows = query(
        client,
        "SELECT name FROM system.tables WHERE database = %(database)s AND engine = 'Distributed' ORDER BY name",
        {"database": database},
    )
    return [row["name"] for row in rows]


def _columns(client: Client, database: str, tables: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    rows = query(
        client,
        "SELECT table, name, type, default_kind FROM system.columns WHERE database = %(database)s"
        " AND table IN %(tables)s ORDER BY table, position",
        {"database": database, "tables": list(tables)},
    )
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in tables}
    for row in rows:
        if row["default_kind"] not in ("ALIAS", "EPHEMERAL"):
            found[row["table"]].append(row)
    return found


def _written(client: Client, database: str, user: str) -> list[str]:
    """Tables of `database` that finished INSERTs of `user` name or fill, the last written first."""
    rows = query(
        client,
        "SELECT substring(query, 1, 300) AS head, current_database FROM system.query_log WHERE type = 'QueryFinish'"
        " AND query_kind = 'Insert' AND user = %(user)s AND event_date >= today() - %(days)s"
        " GROUP BY head, current_database ORDER BY max(event_time) DESC LIMIT 1000",
        {"user": user, "days": DAYS},
    )
    targets = (statement_target(row["head"], row["current_database"]) for row in rows)
    named = [target.table for target in targets if target.table and target.database in (None, database)]
    return list(dict.fromkeys([*_swapped_in(client, database, user), *named]))


def _swapped_in(client: Client, database: str, user: str) -> list[str]:
    """The filled tables' names of today: one that is filled and then exchanged keeps its UUID."""
    try:
        rows = query(
            client,
            "SELECT t.name AS name FROM system.tables AS t INNER JOIN (SELECT table_uuid, max(event_time) AS at"
            " FROM system.part_log WHERE event_type = 'NewPart' AND event_date >= today() - %(days)s AND query_id IN"
            " (SELECT query_id FROM system.query_log WHERE type = 'QueryFinish' AND query_kind = 'Insert'"
            " AND user = %(user)s AND event_date >= today() - %(days)s) GROUP BY table_uuid) AS p"
            " ON p.table_uuid = t.uuid WHERE t.database = %(database)s ORDER BY p.at DESC, name",
            {"database": database, "user": user, "days": DAYS},
        )
    except ServerError:
        return []  # without part_log the names of the statements are all that is known
    return [row["name"] for row in rows]


def _declared(table: str) -> str:
    """The name as a check's declaration takes it."""
    return quote_identifier(table) if "." in table else table


def _volume(table: str) -> Proposed:
    return Proposed(
        {"name": f"rows of this run in {table}", "kind": "volume", "table": _declared(table), "this_run": "query_log"},
        "The ingest's user inserted into it lately.",
    )


def _candidates(
    client: Client, database: str, name: str, table: dict[str, Any], columns: Sequence[dict[str, Any]]
) -> Iterable[Proposed]:
    place = _declared(name)
    if (time := _time_column(columns)) is not None:
        minutes = _age(client, database, name, time)
        if minutes is not None and 0 <= minutes < _STALE_MINUTES:
            # Three times today's age, and never less than a day: a load that is late is no news.
            error = max(1440, round(3 * minutes / 60) * 60)
            yield Proposed(
                {
                    "name": f"{name} is fresh", "kind": "freshness", "table": place, "column": time,
                    "limits": {"warn_age_minutes": error // 2, "error_age_minutes": error},
                },
                f"The newest {time} was {_span(minutes)} old.",
            )  # fmt: skip
    if key := _plain_key(table["sorting_key"], columns):
        why = f"{table['engine']} is sorted by it, and no key stood there twice."
        yield Proposed({"name": f"each key of {name} once", "kind": "duplicates", "table": place, "key": key}, why)
    wraps = [c["name"] for c in columns if _WRAPS.match(c["type"]) and not _FLAG.search(c["name"])]
    if wraps:
        yield Proposed(
            {"name": f"no wrapped numbers in {name}", "kind": "values", "table": place, "not_wrapped": wraps},
            "A negative number in an unsigned column becomes a huge one.",
        )
    empty = _filled(client, database, name, columns)
    if empty:
        yield Proposed(
            {"name": f"columns of {name} are filled", "kind": "values", "table": place, "not_default": empty},
            "A JSON field that was renamed or dropped leaves its column at the default, without an error.",
        )


def _time_column(columns: Sequence[dict[str, Any]]) -> str | None:
    times = [column["name"] for column in columns if _TIME.match(column["type"])]
    for likely in _TIME_NAMES:
        for name in times:
            if likely.search(name.lower()):
                return str(name)
    return str(times[0]) if times else None


def _age(client: Client, database: str, table: str, column: str) -> int | None:
    """Minutes since the newest value; None without one. Negative for one in the future."""
    place = quote_table(database, table)
    rows = query(
        client,
        f"SELECT intDiv(toInt64(toUnixTimestamp64Milli(now64(3))) - toInt64(toUnixTimestamp64Milli("
        f"toDateTime64(max({quote_identifier(column)}), 3))), 60000) AS minutes, count() AS n FROM {place}",
    )
    return int(rows[0]["minutes"]) if rows and rows[0]["n"] and rows[0]["minutes"] is not None else None


def _plain_key(sorting_key: str, columns: Sequence[dict[str, Any]]) -> list[str]:
    """The sorting key as column names; empty where an expression is part of it, or there is none."""
    names = {column["name"] for column in columns}
    parts = [part.strip().strip("`") for part in sorting_key.split(",")] if sorting_key else []
    return parts if parts and all(part in names for part in parts) else []


def _filled(client: Client, database: str, table: str, columns: Sequence[dict[str, Any]]) -> list[str]:
    """Columns without a DEFAULT of their own in which no row holds the type's default."""
    names = [c["name"] for c in columns if not c["default_kind"] and _TELLS_ITS_DEFAULT.match(c["type"])]
    names = [name for name in names if not _FLAG.search(name)]
    if not names:
        return []
    counts = ", ".join(
        f"countIf({quote_identifier(name)} = defaultValueOfArgumentType({quote_identifier(name)})) AS c{index}"
        for index, name in enumerate(names)
    )
    row = query(client, f"SELECT {counts} FROM {quote_table(database, table)}")[0]
    return [name for index, name in enumerate(names) if row[f"c{index}"] == 0]


def _true_now(client: Client, database: str, candidates: Sequence[Proposed], found: Proposal) -> list[Proposed]:
    """The candidates that hold for the data as it is; the others become notes."""
    if not candidates:
        return []
    request = read_request({"database": database, "checks": [proposed.check for proposed in candidates]})
    outcome = run_checks(client, request)
    status = {check["name"]: check["status"] for check in outcome.checks}
    for proposed in candidates:
        if status[proposed.check["name"]] != "ok":
            found.notes.append(f"Left out, since it does not hold now: {proposed.check['name']}.")
    return [proposed for proposed in candidates if status[proposed.check["name"]] == "ok"]


def _span(minutes: int) -> str:
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"
