"""One run: read the source, stage, correct, prove, write the facts, and only then record `ok`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from . import transform
from .api import ListStats, QticketsApi
from .errors import ApiError, ClickHouseError, DataError
from .figures import Figures
from .model import Event, Order, Rejected, Seat, Show
from .progress import Progress
from .settings import Settings
from .transform import OrderRow, Window
from .warehouse import INVENTORY, ORDERS, SALES, EventRow, KnownOrder, Warehouse

log = logging.getLogger("qtickets_api.run")
T = TypeVar("T")

_LOOKUP = 2048  # 80 KB of keys; a server takes 128 KB in one form field
_IDS_PER_REQUEST = 100
_CLEAR_FROM = 10
_NAMED = 20
_MISSING_LIMIT = 10_000


@dataclass
class Entity:
    """What became of the records of one kind: `fetched` = `kept` + everything dropped."""

    fetched: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    example: str = ""

    def drop(self, reason: str, count: int = 1) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + count

    def as_dict(self) -> dict[str, Any]:
        return {"fetched": self.fetched, "kept": self.kept, "dropped": dict(self.dropped)}


def _orders_entity() -> Entity:
    reasons = ("not_payed", "deleted", "outside_window", "invalid", "duplicate", "unknown")
    return Entity(dropped=dict.fromkeys(reasons, 0))


def _plain_entity() -> Entity:
    return Entity(dropped=dict.fromkeys(("deleted", "invalid", "duplicate"), 0))


class Run:
    """The state of one run.

    :param window: orders paid in it are loaded; orders changed in it correct what earlier runs loaded
    :param started_at: epoch microseconds; also this run's `_ver`
    """

    def __init__(self, settings: Settings, window: Window, started_at: int, progress: Progress) -> None:
        self.settings, self.window, self.ver = settings, window, started_at
        self.started_at = started_at // 1_000_000
        self.progress = progress
        self.orders, self.events, self.seats = _orders_entity(), _plain_entity(), _plain_entity()
        self.corrected = 0
        self.changes_seen = True
        self.tickets, self.revenue = 0, Decimal(0)
        self.api = QticketsApi(
            settings.qtickets_base_url,
            settings.qtickets_token.get_secret_value(),
            page_size=settings.qtickets_page_size,
            concurrency=settings.qtickets_concurrency,
            timeout=settings.qtickets_timeout,
            attempts=settings.qtickets_attempts,
            retry_wait=settings.qtickets_retry_wait,
        )
        self.warehouse: Warehouse | None = None
        self.recorded: str | None = None
        self._fetch_seconds = 0.0
        self._began = time.monotonic()
        self._thread = ThreadPoolExecutor(1, "clickhouse")
        self._cities: dict[int, str] = {}
        self._rows: dict[int, EventRow] = {}
        self._days: set[date] = set()
        self._batch: list[OrderRow] = []
        self._inserting: asyncio.Future[None] | None = None
        self._doubtful: list[Order] = []

    # What the run reports

    def metrics(self) -> dict[str, Any]:
        """Counts of the run so far, in the shape that `meta_job_runs.metrics` holds."""
        written = self.warehouse.stats if self.warehouse else None
        zone = self.settings.report_tz
        return {
            "ver": self.ver,
            "dry_run": self.settings.dry_run,
            "orders_window": {name: datetime.fromtimestamp(moment, zone).isoformat() for name, moment in
                              (("from", self.window.start), ("to", self.window.end))},
            "entities": {
                "orders": {**self.orders.as_dict(), "corrected": self.corrected, "changes_seen": self.changes_seen},
                "events": self.events.as_dict(),
                "seats": self.seats.as_dict(),
            },
            "sums": {"tickets_sold": self.tickets, "revenue": f"{self.revenue:.2f}"},
            "written": dict(written.rows) if written else {},
            "http": self.api.http.as_dict(),
            "clickhouse": {"retries": written.retries if written else 0},
            "seconds": {"total": round(time.monotonic() - self._began, 3), "fetch": round(self._fetch_seconds, 3),
                        "insert": round(written.seconds if written else 0.0, 3)},
        }  # fmt: skip

    @property
    def rows_processed(self) -> int:
        """Rows written to the two staging tables."""
        rows = self.warehouse.stats.rows if self.warehouse else {}
        return rows.get(ORDERS, 0) + rows.get(INVENTORY, 0)

    # The run

    async def execute(self) -> None:
        """Run to the end, the record included.

        :raises LoaderError: its class says whose failure it is
        """
        s = self.settings
        if not s.dry_run:
            self.warehouse = await self._in_thread(lambda: Warehouse(s, self.ver))
            self.ver = self.warehouse.ver
        async with self.api:
            live = await self._load_events()
            snapshot_ts = int(time.time())
            async with _tasks() as group:
                group.create_task(self._load_seats(live))
                group.create_task(self._load_orders())
            if not self.orders.kept:
                log.warning("no order of the window counts: %s", self.orders.as_dict())
            if self.warehouse:
                await self._write(self.warehouse, live, snapshot_ts)

    async def expect(self) -> dict[str, Any]:
        """What a correct load of the window leaves, without a look at ClickHouse.

        :raises LoaderError: the source does not answer as it should
        """
        figures = Figures(self.window, self.settings.report_tz)
        start, end = (
            datetime.fromtimestamp(moment, self.settings.report_tz).isoformat()
            for moment in (self.window.start, self.window.end)
        )
        unpaid = [
            {"column": "payed_at", "operator": "null"},
            {"column": "created_at", "operator": ">=", "value": start},
        ]
        async with self.api:
            live = await self._load_events()
            await self._load_seats(live)
            await self._read_orders([_at_least("payed_at", start), _before("payed_at", end)], figures.take)
            with contextlib.suppress(ApiError):  # The vendor names no filterable columns: the answer may be all orders.
                await self._read_orders(unpaid, figures.take)
        return figures.to_dict(self._rows[event.id] for event in live)

    async def _write(self, warehouse: Warehouse, live: list[Event], snapshot_ts: int) -> None:
        rows = list(self._rows.values())
        snapshot = [self._rows[event.id] for event in live]
        keys = [transform.dedup_key(row.event_id, row.city, snapshot_ts) for row in snapshot]
        await self._in_thread(lambda: warehouse.insert_inventory(snapshot, snapshot_ts, keys))
        await self._in_thread(lambda: warehouse.insert_events(rows))
        await self._prove_staging(warehouse)
        days = self._days | _days_of(self.window, self.settings)
        await self._in_thread(lambda: warehouse.rewrite_days(days))
        await self._in_thread(lambda: warehouse.insert_latest(snapshot, snapshot_ts))
        await self._prove_facts(warehouse, days)
        # From here on a signal comes too late: all is written, and a record in flight must not be contradicted.
        await _finish(self._in_thread(lambda: self.record("ok", "")))

    async def _prove_facts(self, warehouse: Warehouse, days: set[date]) -> None:
        await self._prove_same_server(warehouse)
        differing = await self._in_thread(lambda: warehouse.days_that_differ(days))
        if differing:
            raise DataError(
                "facts_differ",
                f"{SALES} differs from the orders it is made of, in {_shown(differing)} (tickets and revenue missing in"
                " the facts): did another run write at the same time? The next run repairs it",
            )

    async def _prove_same_server(self, warehouse: Warehouse) -> None:
        if await self._in_thread(warehouse.restarted):
            raise ClickHouseError(
                "clickhouse_restarted",
                "the server was restarted during the run: rows that it acknowledged may not have reached its disk",
            )

    async def _prove_staging(self, warehouse: Warehouse) -> None:
        """Read back what was staged: a value that a type swallowed, or a lost row, must not reach the facts."""
        await self._prove_same_server(warehouse)
        staged = await self._in_thread(warehouse.staged)
        sent = (self.orders.kept, self.tickets, self.revenue)
        if staged != sent:
            raise DataError(
                "staging_differs",
                f"{ORDERS} holds {staged[0]} orders, {staged[1]} tickets, revenue {staged[2]} of this run;"
                f" sent were {sent[0]}, {sent[1]}, {sent[2]}: a column's type changes values, or another run wrote at"
                " the same time",
            )

    def record(self, status: str, message: str) -> None:
        """Write the row of `meta_job_runs`. At most one per run."""
        if self.warehouse and self.recorded is None:
            now = int(time.time())
            self.warehouse.record(status, self.started_at, now, self.rows_processed, message, self.metrics())
            self.recorded = status

    def hurry(self) -> None:
        """Let what is left take seconds: a signal asked to stop."""
        if self.warehouse:
            self.warehouse.hurry()

    def close(self) -> None:
        """Give back threads, connections and the terminal; what is still on its way is not waited for."""
        self.progress.close()
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self.warehouse:
            self.warehouse.close()

    def _in_thread(self, call: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, call)

    # Events and seats

    async def _load_events(self) -> list[Event]:
        stats, live = ListStats(), []
        where = [{"column": "deleted_at", "operator": "null"}]
        async for page in self.api.read("/events", where, Event, stats):
            for event in page:
                if isinstance(event, Rejected):
                    self._reject(self.events, "event", event)
                elif event.deleted_at:
                    self.events.drop("deleted")
                else:
                    self._take_event(event)
                    live.append(event)
                    self.events.kept += 1
        self.events.fetched += stats.fetched
        self.events.drop("duplicate", stats.duplicate)
        self._check_invalid(self.events, "events")
        return live

    def _take_event(self, event: Event) -> None:
        city = self._cities[event.id] = transform.city_of(event)
        start, end = transform.event_dates(event, self.settings.report_tz)
        self._rows[event.id] = EventRow(str(event.id), event.name or "", city, start, end)

    async def _load_seats(self, live: list[Event]) -> None:
        """Seats of all shows, at most `QTICKETS_CONCURRENCY` at a time. One show that fails fails the run."""
        shows = [(event, show) for event in live for show in event.shows or []]
        totals: dict[int, list[tuple[int | None, int | None]]] = {}
        queue = iter(shows)

        async def worker() -> None:
            for event, show in queue:
                seats = await self._seats(event, show)
                self.seats.fetched += len(seats)
                self.seats.kept += len(seats)
                totals.setdefault(event.id, []).append(transform.seat_totals(seats))

        async with _tasks() as group:
            for _ in range(min(self.settings.qtickets_concurrency, len(shows))):
                group.create_task(worker())
        for event_id, parts in totals.items():
            row = self._rows[event_id]
            row.tickets_total, row.tickets_left = (_sum_known(part[i] for part in parts) for i in (0, 1))
            if row.tickets_total is None or row.tickets_left is None:
                log.warning(
                    "event %d: some seats do not say how many tickets they stand for; stored as unknown", event_id
                )

    async def _seats(self, event: Event, show: Show) -> list[Seat]:
        try:
            return await self.api.seats(show.id)
        except ApiError as error:
            raise ApiError(error.cause, f"seats of show {show.id} (event {event.id}): {error}") from error

    async def _learn_city(self, event_id: int) -> None:
        """An event that the list left out (deleted, or broken there) and that has orders is asked for by its id."""
        event = await self.api.find(f"/events/{event_id}", Event)
        if not isinstance(event, Event) or event.id != event_id:
            log.warning("event %d has orders, but no usable record: its city and name stay empty", event_id)
            event = Event(event_id)
        self._take_event(event)

    # Orders

    async def _load_orders(self) -> None:
        zone = self.settings.report_tz
        start, end = (
            datetime.fromtimestamp(moment, zone).isoformat() for moment in (self.window.start, self.window.end)
        )
        paid = [_at_least("payed_at", start), _before("payed_at", end)]
        changed = [_at_least("updated_at", start), _before("updated_at", end)]
        await self._read_orders(paid, self._take)
        # Paid earlier and changed in the window: refunds, cancellations. Then payments taken back, whose date the API
        # clears; `created_at` keeps the abandoned carts of the window out of that list.
        unpaid = [{"column": "payed_at", "operator": "null"}, _before("created_at", start)]
        try:
            await self._read_orders([*changed, _before("payed_at", start)], self._take_earlier)
            await self._read_orders([*changed, *unpaid], self._take_unpaid)
        except ApiError as error:
            if error.cause != "api_filter_ignored":
                raise
            # The vendor names no filterable columns. The window's own orders do not hang on this one.
            self.changes_seen = False
            log.warning("later changes of orders paid before the window are not picked up: %s", error)
        # Inserts before look-ups: a table that lacks a column is then refused in an INSERT, where people look for it.
        await self._flush()
        await self._correct()
        await self._flush()
        await self._settled()
        await self._confirm_vanished()
        await self._flush()
        await self._settled()
        self._check_invalid(self.orders, "orders")

    async def _read_orders(self, where: list[dict[str, Any]], take: Callable[[Order], Any]) -> None:
        stats = ListStats()
        base = self.orders.fetched, self.orders.dropped["duplicate"]
        pages = self.api.read("/orders", where, Order, stats)
        outside_before = self.orders.dropped["outside_window"]
        try:
            while True:
                waited = time.monotonic()
                page = await anext(pages, None)
                self._fetch_seconds += time.monotonic() - waited
                self.orders.fetched = base[0] + stats.fetched
                self.orders.dropped["duplicate"] = base[1] + stats.duplicate
                if page is None:
                    break
                await self._take_page(page, take)
                self._check_window(self.orders.dropped["outside_window"] - outside_before, stats.fetched, final=False)
                self.progress.update(pages=stats.pages, orders=self.orders.fetched, rows=self.orders.kept)
        finally:
            await pages.aclose()
        self._check_window(self.orders.dropped["outside_window"] - outside_before, stats.fetched, final=True)
        self._check_invalid(self.orders, "orders")

    async def _take_page(self, page: list[Order | Rejected], take: Callable[[Order], Any]) -> None:
        for order in page:
            if isinstance(order, Rejected):
                self._reject(self.orders, "order", order)
                continue
            try:
                take(order)
            except transform.InvalidRecordError as error:
                self._reject(self.orders, "order", Rejected(order.id, str(error)))
        if len(self._doubtful) >= _LOOKUP:
            await self._flush()
            await self._correct()
        if len(self._batch) >= self.settings.clickhouse_batch_rows:
            await self._flush()

    def _take(self, order: Order) -> None:
        if order.payed_at is None:
            self.orders.drop("not_payed")
            return
        paid_at = transform.epoch(order.payed_at)
        if not self.window.start <= paid_at < self.window.end:
            self.orders.drop("outside_window")
        elif _counts(order):
            self._batch.append(OrderRow(order.id, order.event_id, paid_at, *transform.sold(order), order.currency_id))
        else:
            self._doubtful.append(order)

    def _take_earlier(self, order: Order) -> None:
        changed = order.updated_at is not None and transform.epoch(order.updated_at) in self.window
        if changed and order.payed_at is not None and transform.epoch(order.payed_at) < self.window.start:
            self._doubtful.append(order)
        else:
            self.orders.drop("outside_window")

    def _take_unpaid(self, order: Order) -> None:
        if order.payed_at is None and order.updated_at is not None and transform.epoch(order.updated_at) in self.window:
            self._doubtful.append(order)
        else:
            self.orders.drop("outside_window")

    async def _correct(self) -> None:
        """Write again the doubtful orders that staging knows. What it does not know stays out: such an order belongs to
        a window that was never loaded, and a day made of these strays alone would be a wrong one."""
        orders, self._doubtful = self._doubtful, []
        known = await self._known([transform.dedup_key(order.id, order.event_id) for order in orders])
        for order in orders:
            staged = known.get(transform.dedup_key(order.id, order.event_id))
            if staged is not None:
                self._write_again(order, staged)
            else:
                self.orders.drop("unknown" if _counts(order) else "deleted" if order.payed else "not_payed")

    def _write_again(self, order: Order | Rejected | None, staged: KnownOrder) -> None:
        """A staged order with its present figures, or with zero when it does not count any more (None: it is gone).

        Zero, because the tables have no mark for deleted rows; it stays dated on the day that it has to correct.
        """
        tickets, revenue, paid_at = 0, Decimal(0), staged.sale_ts
        try:
            if isinstance(order, Rejected):
                raise transform.InvalidRecordError(order.reason)
            # An order that was moved to another event has a row of its own there; this one counts no more.
            here = order is not None and order.event_id == int(staged.event_id)
            if here and order is not None and order.payed_at is not None and _counts(order):
                (tickets, revenue), paid_at = transform.sold(order), transform.epoch(order.payed_at)
        except transform.InvalidRecordError as error:
            self._reject(self.orders, "order", Rejected(int(staged.order_id), str(error)))
            return
        row = OrderRow(int(staged.order_id), int(staged.event_id), paid_at, tickets, revenue, staged.currency)
        self._cities.setdefault(row.event_id, staged.city)
        self._batch.append(row)
        self.corrected += 1
        self._days |= {staged.day, self._day(paid_at)}

    async def _known(self, keys: list[str]) -> dict[str, KnownOrder]:
        warehouse = self.warehouse
        if warehouse is None or not keys:
            return {}
        found: dict[str, KnownOrder] = {}
        for i in range(0, len(keys), _LOOKUP):
            part = keys[i : i + _LOOKUP]
            found |= await self._in_thread(lambda part=part: warehouse.known(part))  # type: ignore[misc]
        return found

    async def _confirm_vanished(self) -> None:
        """Ask for the orders that staging counts in the window and the list did not bring; gone ones count no more."""
        if self.warehouse is None:
            return
        warehouse, limit = self.warehouse, self.settings.qtickets_max_vanished
        missing = await self._in_thread(lambda: warehouse.unconfirmed(self.window, _MISSING_LIMIT + 1))
        gone: list[KnownOrder] = []
        for i in range(0, len(missing) if len(missing) <= _MISSING_LIMIT else 0, _IDS_PER_REQUEST):
            gone += await self._ask_again({int(order.order_id): order for order in missing[i : i + _IDS_PER_REQUEST]})
            if len(gone) > limit:
                break
        if len(missing) > _MISSING_LIMIT or len(gone) > limit:
            raise DataError(
                "orders_vanished",
                f"{len(missing)} orders that earlier runs loaded for this window did not come, and {len(gone)} of those"
                f" asked for by id are unknown to the API (limit {limit}): another account's token? If they are really"
                " gone, raise QTICKETS_MAX_VANISHED",
            )
        for staged in gone:
            self._write_again(None, staged)

    async def _ask_again(self, asked: dict[int, KnownOrder]) -> list[KnownOrder]:
        """Take the present state of staged orders; those that the API does not know any more are returned."""
        stats, left = ListStats(), dict(asked)
        where = [{"column": "id", "operator": "in", "value": sorted(asked)}]
        async with contextlib.aclosing(self.api.read("/orders", where, Order, stats)) as pages:
            async for page in pages:
                others = [order for order in page if order.id not in asked]
                self.orders.drop("outside_window", len(others))
                for order in page:
                    if order.id is not None and (staged := left.pop(order.id, None)) is not None:
                        self._write_again(order, staged)
                if others:
                    log.warning("the API ignored the filter on id: %d orders are asked for one by one", len(left))
                    break
        self.orders.fetched += stats.fetched
        self.orders.drop("duplicate", stats.duplicate)
        gone = []
        for order_id, staged in left.items():
            found = await self.api.find(f"/orders/{order_id}", Order)
            self.orders.fetched += 1
            if found is None:
                gone.append(staged)
            else:
                self._write_again(found, staged)
        return gone

    # Batches

    async def _flush(self) -> None:
        """Hand the batch to the writing thread and go on reading; at most one batch is on its way."""
        batch, self._batch = self._batch, []
        warehouse = self.warehouse
        self.orders.kept += len(batch)
        self.tickets += sum(row.tickets_sold for row in batch)
        self.revenue += sum((row.revenue for row in batch), Decimal(0))
        await self._settled()
        for event_id in {row.event_id for row in batch} - self._cities.keys():
            await self._learn_city(event_id)
        if warehouse is not None and batch:
            cities = [self._cities[row.event_id] for row in batch]
            self._inserting = self._in_thread(lambda: self._stage(warehouse, batch, cities))

    def _stage(self, warehouse: Warehouse, batch: list[OrderRow], cities: list[str]) -> None:
        ids = {row.order_id for row in batch}
        elsewhere = warehouse.days_elsewhere(min(ids), max(ids), self.window)
        self._days |= {day for order_id, day in elsewhere if int(order_id) in ids}
        warehouse.insert_orders(batch, cities)

    async def _settled(self) -> None:
        """Wait for the batch on its way, if there is one."""
        if self._inserting is not None:
            inserting, self._inserting = self._inserting, None
            await inserting

    # Limits

    def _day(self, moment: int) -> date:
        return datetime.fromtimestamp(moment, self.settings.report_tz).date()

    def _reject(self, entity: Entity, kind: str, record: Rejected) -> None:
        entity.drop("invalid")
        text = f"{kind} {record.id if record.id is not None else '(without id)'}: {record.reason}"
        entity.example = entity.example or text
        if entity.dropped["invalid"] <= _NAMED:
            log.warning("set aside: %s", text)

    def _check_invalid(self, entity: Entity, kind: str) -> None:
        bad, different = entity.dropped["invalid"], entity.fetched - entity.dropped["duplicate"]
        limit = max(self.settings.qtickets_max_invalid, different // 100)
        if bad > limit or (bad and 2 * bad > different):
            raise DataError(
                "too_many_invalid",
                f"{bad} of {different} {kind} are invalid (limit {limit}); the first: {entity.example}",
            )

    def _check_window(self, outside: int, fetched: int, *, final: bool) -> None:
        share = self.settings.qtickets_max_outside_share
        if outside > share * fetched and (final or outside >= _CLEAR_FROM):
            raise ApiError(
                "api_filter_ignored",
                f"{outside} of {fetched} orders lie outside the window that was asked for (limit {share:.0%}):"
                " the API ignored the filter",
            )


def _counts(order: Order) -> bool:
    return order.payed and not order.deleted_at and order.payed_at is not None


def _shown(rows: list[tuple[Any, ...]]) -> str:
    return "; ".join(" ".join(map(str, row)) for row in rows)


def _at_least(column: str, value: str) -> dict[str, str]:
    return {"column": column, "operator": ">=", "value": value}


def _before(column: str, value: str) -> dict[str, str]:
    return {"column": column, "operator": "<", "value": value}


def _days_of(window: Window, settings: Settings) -> set[date]:
    first = datetime.fromtimestamp(window.start, settings.report_tz).date()
    last = datetime.fromtimestamp(window.end - 1, settings.report_tz).date()
    return {date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1)}


def _sum_known(values: Iterable[int | None]) -> int | None:
    """The sum, or None when one of the values is unknown."""
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


@contextlib.asynccontextmanager
async def _tasks() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that fails with the first error itself instead of a group around it."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from first.__cause__


async def _finish(work: asyncio.Future[None]) -> None:
    """Wait for ``work`` even when the waiting task is cancelled meanwhile."""
    while not work.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(work)
    work.result()
