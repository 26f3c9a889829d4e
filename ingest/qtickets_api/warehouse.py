"""ClickHouse: every statement of a run, each findable again by its `log_comment`."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

import clickhouse_connect
import stamina
from clickhouse_connect import common
from clickhouse_connect.driver import exceptions as ch
from clickhouse_connect.driver import options as driver_options
from clickhouse_connect.driver.httpclient import HttpClient
from clickhouse_connect.driver.httputil import get_pool_manager
from urllib3.util import Timeout

from . import __version__
from .errors import ClickHouseError
from .settings import Settings, is_near
from .transform import OrderRow, Window, dedup_key

log = logging.getLogger("qtickets_api.clickhouse")
T = TypeVar("T")

ORDERS = "stg_qtickets_api_orders_raw"
INVENTORY = "stg_qtickets_api_inventory_raw"
EVENTS = "dim_events"
SALES = "fact_qtickets_sales_daily"
LATEST = "fact_qtickets_inventory_latest"
RUNS = "meta_job_runs"

# The contract's types are sent with the data and the server converts where a column differs. Asking for the types
# first would make the client refuse a changed table, and the refusal would be in no log of the server.
_ORDER_COLUMNS = {
    "order_id": "String", "event_id": "String", "city": "LowCardinality(String)", "sale_ts": "DateTime",
    "tickets_sold": "UInt32", "revenue": "Decimal(18, 2)", "currency": "LowCardinality(String)", "_ver": "UInt64",
    "_dedup_key": "FixedString(32)",
}  # fmt: skip
_INVENTORY_COLUMNS = {
    "snapshot_ts": "DateTime", "event_id": "String", "event_name": "String", "city": "LowCardinality(String)",
    "tickets_total": "Nullable(UInt32)", "tickets_left": "Nullable(UInt32)", "_ver": "UInt64",
    "_dedup_key": "FixedString(32)",
}  # fmt: skip
_LATEST_COLUMNS = {name: kind for name, kind in _INVENTORY_COLUMNS.items() if name != "_dedup_key"}
_EVENT_COLUMNS = {
    "event_id": "String", "event_name": "String", "city": "LowCardinality(String)", "start_date": "Nullable(Date)",
    "end_date": "Nullable(Date)", "tickets_total": "UInt32", "tickets_left": "UInt32", "_ver": "UInt64",
}  # fmt: skip
_RUN_COLUMNS = {
    "job": "LowCardinality(String)", "run_id": "UUID", "started_at": "DateTime", "finished_at": "DateTime",
    "status": "LowCardinality(String)", "rows_processed": "UInt64", "message": "String", "metrics": "String",
}  # fmt: skip

_DAYS_PER_STATEMENT = 366
_IN_WINDOW = "toUnixTimestamp(sale_ts) >= {start:UInt32} AND toUnixTimestamp(sale_ts) < {end:UInt32}"
_KNOWN_COLUMNS = "order_id, event_id, city, toUnixTimestamp(sale_ts), currency, toDate(sale_ts, {zone:String})"
# Through text, since casting a Float64 cuts it off; its shortest text has the two decimals that were stored.
_STAGED_SALES = (
    "SELECT toDate(sale_ts, {zone:String}) AS day, event_id, toString(city) AS city, tickets_sold AS tickets,"
    f" toDecimal64(toString(revenue), 2) AS money FROM {ORDERS} FINAL WHERE day IN {{days:Array(Date)}}"
)

# TOO_MANY_SIMULTANEOUS_QUERIES, SOCKET_TIMEOUT, NETWORK_ERROR, TABLE_IS_READ_ONLY, TOO_MANY_PARTS
_PASSING_CODES = {202, 209, 210, 242, 252}
# UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, IP_ADDRESS_NOT_ALLOWED, AUTHENTICATION_FAILED
_LOGIN_CODES = {192, 193, 194, 195, 516}


@dataclass(frozen=True)
class KnownOrder:
    """An order as the staging table holds it; `sale_ts` in epoch seconds."""

    order_id: str
    event_id: str
    city: str
    sale_ts: int
    currency: str
    day: date


@dataclass
class EventRow:
    """One event's row for the dimension and, where it has a snapshot, the inventory tables."""

    event_id: str
    name: str
    city: str
    start: date | None
    end: date | None
    tickets_total: int | None = None
    tickets_left: int | None = None


@dataclass
class WriteStats:
    """Rows the server acknowledged per table, seconds spent in statements, statements sent again."""

    rows: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    retries: int = 0

    def add(self, table: str, rows: int) -> None:
        self.rows[table] = self.rows.get(table, 0) + rows


def _is_passing(error: Exception) -> bool:
    if not isinstance(error, ch.Error):
        return False
    # Without a server code it is the connection that failed, unless the client itself refused.
    return error.code in _PASSING_CODES or (error.code is None and isinstance(error, ch.OperationalError))


def _failure(error: ch.Error, what: str) -> ClickHouseError:
    text = f"{what}: {type(error).__name__}: {str(error).strip()}"
    if error.code in _LOGIN_CODES:
        return ClickHouseError("clickhouse_login", text)
    if error.code is not None:
        return ClickHouseError("clickhouse_refused", text)
    if isinstance(error, ch.OperationalError):
        return ClickHouseError("clickhouse_unreachable", text)
    return ClickHouseError("clickhouse_client", text)


class Warehouse:
    """The tables of one run. Not safe for two threads at once; every method raises `ClickHouseError`.

    :param ver: this run's `_ver`, larger than every earlier run's
    """

    def __init__(self, settings: Settings, ver: int) -> None:
        self._s, self.ver = settings, ver
        self._attempts = settings.clickhouse_attempts
        self.stats = WriteStats()
        self._zone = settings.report_tz.key
        comment = json.dumps({"run_id": str(settings.run_id), "job": settings.job_name})
        # The class's own parameters: those given as `settings` would not reach the statements the client sends while it
        # connects, and then not every statement of the run could be found by its comment.
        HttpClient.params = {"log_comment": comment}
        common.set_setting("autogenerate_session_id", False)  # a session would serialize statements and outlive a crash
        common.set_setting("send_os_user", False)
        # Rows are never DataFrames; where pandas is installed, the driver would spend a second on importing it.
        driver_options.pd = None
        self._client: Any = self._retried(self._connect, "connecting")
        self._host, self._started = self._server()
        newest = self._select(f"reading {ORDERS}", f"SELECT max(_ver) FROM {ORDERS}")[0][0]
        if newest >= ver:
            # An earlier run's clock was ahead of this one's, and the highest version wins.
            log.warning("%s holds _ver %d, newer than this run's %d: counting on from there", ORDERS, newest, ver)
            self.ver = newest + 1

    def _connect(self) -> Any:
        s = self._s
        return clickhouse_connect.get_client(
            host=s.clickhouse_host, port=s.clickhouse_port, username=s.clickhouse_user,
            password=s.clickhouse_password.get_secret_value(), database=s.clickhouse_db,
            interface="https" if s.clickhouse_secure else "http", verify=s.clickhouse_verify_ssl, compress="lz4",
            client_name=f"qtickets_api/{__version__}", connect_timeout=10, send_receive_timeout=s.clickhouse_timeout,
            query_retries=0,
            form_encode_query_params=True,  # thousands of keys would not pass as a URL through every proxy
            # On by default from 26.3: an asynchronous insert would be acknowledged before its rows can be read back.
            settings={"async_insert": 0},
            # Left to itself the client takes the environment's proxy, to a container's name too.
            pool_mgr=get_pool_manager(verify=s.clickhouse_verify_ssl) if is_near(s.clickhouse_host) else None,
        )  # fmt: skip

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def hurry(self) -> None:
        """From now on fail within seconds: whoever stops this process does not wait long."""
        self._attempts = 1
        self._client.timeout = Timeout(connect=2, read=4)

    def _retried(self, call: Callable[[], T], what: str) -> T:
        started = time.monotonic()
        wait = self._s.clickhouse_retry_wait
        try:
            for attempt in stamina.retry_context(
                on=_is_passing, attempts=self._attempts, timeout=None, wait_initial=wait, wait_max=15, wait_jitter=wait
            ):
                with attempt:
                    if attempt.num > 1:
                        self.stats.retries += 1
                        log.warning("%s: attempt %d of %d", what, attempt.num, self._attempts)
                    return call()
        except ch.Error as error:
            where = f"{self._s.clickhouse_host}:{self._s.clickhouse_port}, database {self._s.clickhouse_db}"
            raise _failure(error, f"{what} ({where})") from error
        finally:
            self.stats.seconds += time.monotonic() - started
        raise RuntimeError("retry_context ends by return or raise")

    def _insert(self, table: str, columns: dict[str, str], data: Sequence[Sequence[Any]]) -> None:
        rows = len(data[0])
        if rows:
            self._retried(
                lambda: self._client.insert(
                    table,
                    data,
                    column_names=list(columns),
                    column_type_names=list(columns.values()),
                    column_oriented=True,
                ),
                f"INSERT INTO {table}",
            )
            self.stats.add(table, rows)

    def _select(self, what: str, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        return self._retried(lambda: list(self._client.query(sql, parameters=parameters).result_rows), what)

    def _server(self) -> tuple[str, int]:
        sql = "SELECT hostName(), toUnixTimestamp(now() - uptime())"
        host, started = self._select("asking since when the server runs", sql)[0]
        return str(host), int(started)

    def restarted(self) -> bool:
        """Whether the server's process is another one than at the run's begin (2 s of tolerance for its clock)."""
        host, started = self._server()
        return host == self._host and abs(started - self._started) > 2

    # Staging

    def insert_orders(self, rows: Sequence[OrderRow], cities: Sequence[str]) -> None:
        """Append orders, each with its city, to the orders staging table."""
        order_id, event_id, sale_ts, tickets, revenue, currency = zip(*rows, strict=True)
        keys = list(map(dedup_key, order_id, event_id))
        ver = [self.ver] * len(rows)
        ids, events = list(map(str, order_id)), list(map(str, event_id))
        data = [ids, events, cities, sale_ts, tickets, revenue, currency, ver, keys]
        self._insert(ORDERS, _ORDER_COLUMNS, data)

    def known(self, keys: Sequence[str]) -> dict[str, KnownOrder]:
        """The orders among ``keys`` that earlier runs staged, by `_dedup_key`."""
        # Not FINAL: it would merge the whole table for a few keys.
        rows = self._select(
            f"looking up orders in {ORDERS}",
            f"SELECT toString(_dedup_key), {_KNOWN_COLUMNS} FROM {ORDERS}"
            " WHERE _dedup_key IN {keys:Array(FixedString(32))} AND _ver < {ver:UInt64}"
            " ORDER BY _ver DESC LIMIT 1 BY _dedup_key",
            zone=self._zone,
            keys=list(keys),
            ver=self.ver,
        )
        return {row[0]: KnownOrder(*row[1:]) for row in rows}

    def days_elsewhere(self, first_id: int, last_id: int, window: Window) -> list[tuple[str, date]]:
        """Staged orders in a range of ids that are dated outside the window, with the day they count for so far."""
        return self._select(
            f"looking for moved orders in {ORDERS}",
            f"SELECT DISTINCT order_id, toDate(sale_ts, {{zone:String}}) FROM {ORDERS} WHERE _ver < {{ver:UInt64}}"
            " AND toUInt64OrZero(order_id) BETWEEN {first:UInt64} AND {last:UInt64}"
            f" AND NOT ({_IN_WINDOW})",
            zone=self._zone, ver=self.ver, first=first_id, last=last_id, start=window.start, end=window.end,
        )  # fmt: skip

    def unconfirmed(self, window: Window, limit: int) -> list[KnownOrder]:
        """Orders that staging counts in the window and that this run was not served."""
        rows = self._select(
            f"looking for vanished orders in {ORDERS}",
            f"SELECT {_KNOWN_COLUMNS} FROM {ORDERS} FINAL WHERE _ver < {{ver:UInt64}}"
            f" AND (tickets_sold > 0 OR revenue > 0) AND {_IN_WINDOW} AND match(order_id, '^[0-9]{{1,19}}$')"
            " AND match(event_id, '^[0-9]{1,19}$') LIMIT {limit:UInt32}",
            zone=self._zone, ver=self.ver, start=window.start, end=window.end, limit=limit,
        )  # fmt: skip
        return [KnownOrder(*row) for row in rows]

    def staged(self) -> tuple[int, int, Decimal]:
        """Orders, tickets and revenue that this run's rows hold as stored; a row that was sent twice counts once."""
        rows = self._select(
            f"reading back {ORDERS}",
            "SELECT count(), sum(tickets), toString(sum(toDecimal64(toString(money), 2)))"
            f" FROM (SELECT _dedup_key, any(tickets_sold) AS tickets, any(revenue) AS money FROM {ORDERS}"
            " WHERE _ver = {ver:UInt64} GROUP BY _dedup_key)",
            ver=self.ver,
        )  # fmt: skip
        orders, tickets, revenue = rows[0]
        return int(orders), int(tickets), Decimal(revenue)

    # Dimension, facts, record

    def insert_events(self, events: Sequence[EventRow]) -> None:
        """Write the event dimension; an unknown number of tickets is the column's default 0 there."""
        self._insert(
            EVENTS, _EVENT_COLUMNS,
            [[e.event_id for e in events], [e.name for e in events], [e.city for e in events],
             [e.start for e in events], [e.end for e in events], [e.tickets_total or 0 for e in events],
             [e.tickets_left or 0 for e in events], [self.ver] * len(events)],
        )  # fmt: skip

    def _inventory(self, events: Sequence[EventRow], snapshot_ts: int) -> list[list[Any]]:
        rows = [(snapshot_ts, e.event_id, e.name, e.city, e.tickets_total, e.tickets_left, self.ver) for e in events]
        return [list(column) for column in zip(*rows, strict=True)] or [[]] * len(_LATEST_COLUMNS)

    def insert_inventory(self, events: Sequence[EventRow], snapshot_ts: int, keys: list[str]) -> None:
        """Append one snapshot of every event to the inventory staging table."""
        self._insert(INVENTORY, _INVENTORY_COLUMNS, [*self._inventory(events, snapshot_ts), keys])

    def insert_latest(self, events: Sequence[EventRow], snapshot_ts: int) -> None:
        """Write the newest snapshot of every event."""
        self._insert(LATEST, _LATEST_COLUMNS, self._inventory(events, snapshot_ts))

    def rewrite_days(self, days: Iterable[date]) -> None:
        """Write the daily facts of ``days`` anew from every order known for them.

        What no order backs any more becomes 0. All rows of a statement go into one block, and so into one part per
        month: whenever the server or the loader dies, a day is there as it was or as it is, never by halves.
        """
        wanted = sorted(days)
        parameters: dict[str, Any] = {"ver": self.ver, "zone": self._zone}
        for i in range(0, len(wanted), _DAYS_PER_STATEMENT):
            parameters["days"] = wanted[i : i + _DAYS_PER_STATEMENT]
            summary = self._retried(
                lambda: self._client.command(
                    f"INSERT INTO {SALES} (sales_date, event_id, city, tickets_sold, revenue, _ver)"
                    " SELECT day, event_id, city, accurateCast(sum(tickets), 'UInt32'), sum(money), {ver:UInt64}"
                    f" FROM ({_STAGED_SALES} UNION ALL"
                    f" SELECT sales_date, event_id, toString(city), 0, toDecimal64(0, 2) FROM {SALES} FINAL"
                    " WHERE sales_date IN {days:Array(Date)}"
                    ") GROUP BY day, event_id, city",
                    parameters=parameters,
                    settings={
                        "max_insert_threads": 1,
                        "min_insert_block_size_rows": 2**31,
                        "min_insert_block_size_bytes": 2**34,
                        "max_partitions_per_insert_block": 0,
                    },
                ),
                f"INSERT INTO {SALES}",
            )
            self.stats.add(SALES, summary.written_rows)

    def days_that_differ(self, days: Iterable[date]) -> list[tuple[Any, ...]]:
        """Rows (day, event, city, tickets and revenue by staging less those by the facts) that should all be zero."""
        wanted = sorted(days)
        found: list[tuple[Any, ...]] = []
        for i in range(0, len(wanted), _DAYS_PER_STATEMENT):
            found += self._select(
                f"proving {SALES}",
                "SELECT day, event_id, city, sum(tickets) AS more_tickets, sum(money) AS more_money FROM ("
                "SELECT day, event_id, city, toInt64(tickets) AS tickets, toDecimal128(money, 2) AS money"
                f" FROM ({_STAGED_SALES}) UNION ALL"
                " SELECT sales_date, event_id, toString(city), -toInt64(tickets_sold),"
                f" -toDecimal128(toString(revenue), 2) FROM {SALES} FINAL WHERE sales_date IN {{days:Array(Date)}}"
                ") GROUP BY day, event_id, city HAVING more_tickets != 0 OR more_money != 0"
                " ORDER BY day, event_id, city LIMIT 5",
                zone=self._zone,
                days=wanted[i : i + _DAYS_PER_STATEMENT],
            )
        return found

    def record(
        self, status: str, started_at: int, finished_at: int, rows: int, message: str, metrics: dict[str, Any]
    ) -> None:
        """Write this run's row of `meta_job_runs`, once: an insert whose answer was lost is not repeated blindly."""
        run_id = self._s.run_id
        described = json.dumps(metrics, ensure_ascii=False)

        def insert() -> None:
            # With its start: a RUN_ID that an env file fixes is shared by runs, and each of them has its own outcome.
            present = (
                "SELECT count() FROM meta_job_runs WHERE job = {job:String} AND run_id = {run:UUID}"
                " AND toUnixTimestamp(started_at) = {start:UInt32}"
            )
            same = {"job": self._s.job_name, "run": run_id, "start": started_at}
            if not self._client.query(present, parameters=same).result_rows[0][0]:
                self._client.insert(
                    RUNS,
                    [[self._s.job_name, run_id, started_at, finished_at, status, rows, message, described]],
                    column_names=list(_RUN_COLUMNS),
                    column_type_names=list(_RUN_COLUMNS.values()),
                )

        self._retried(insert, f"INSERT INTO {RUNS}")
        self.stats.add(RUNS, 1)
