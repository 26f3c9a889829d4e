"""What the recorder saw, as the cause of a run that failed or wrote nothing: facts before words.

An exception counts by the way in which it was met. One that ended the process comes before one that was logged, and
that before one that was printed or only raised. Whose fault it is, is decided by the peer of the exchange before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ..facts.log.errors import PACKAGE, ClientError, Frame
from ..facts.recorded import Exchange, Link, Place, Raised, Recorded
from ..findings import Finding
from . import STAGE
from .case import Case
from .client_side.candidates import finding_of
from .client_side.context import API, CLICKHOUSE, INGEST, Context
from .client_side.rules import judge

# How much a way of being met says about the end of a run.
_WEIGHT = {"uncaught": 6, "exit": 5, "logged": 4, "thread": 4, "asyncio": 4, "future": 2, "gathered": 2, "printed": 2,
           "formatted": 1, "raised": 0}  # fmt: skip
_WARNING_WEIGHT = 3
# Below this weight a healthy run is full of such exceptions: they explain a bad end and prove none.
REPORTED_WEIGHT = 3
# Probes for optional modules and fields; nothing that ends a load by itself.
_PROBES = ("ImportError", "ModuleNotFoundError", "AttributeError")


def weight(raised: Raised) -> int:
    """How strongly an exception is tied to the run's end, 0 to 6."""
    ways = {how: _WEIGHT.get(how, 0) for how in raised.how}
    if "logged" in ways and raised.level < 40:
        ways["logged"] = _WARNING_WEIGHT
    return max(ways.values(), default=0)


def elect(recorded: Recorded) -> Raised | None:
    """The exception that a bad run most likely follows from, None without one that touches the program's own code.

    Of those met in the strongest way the first after the last INSERT that the server acknowledged: what comes later
    mostly follows from it.
    """
    found = [raised for raised in recorded.exceptions if raised.place is not None]
    found = [raised for raised in found if weight(raised) or raised.origin.type.rpartition(".")[2] not in _PROBES]
    if not found:
        return None
    strongest = max(weight(raised) for raised in found)
    # A warning and an exception that was only printed say about the same.
    near = [raised for raised in found if weight(raised) >= min(strongest, 4) or weight(raised) == strongest]
    if strongest >= 5:
        return next(raised for raised in reversed(near) if weight(raised) == strongest)
    written = [e.order for e in recorded.exchanges if e.verb == "INSERT" and e.status == 200 and not e.code]
    after = [raised for raised in near if raised.order > max(written, default=-1)]
    return after[0] if after and strongest else near[-1]


def side_of_peer(exchange: Exchange, recorded: Recorded, context: Context) -> str:
    """Whom an exchange was with: by the peer's own answers, then by the addresses that the ingest was told."""
    peer = (exchange.host.lower(), exchange.port)
    if exchange.clickhouse or any(e.clickhouse and (e.host.lower(), e.port) == peer for e in recorded.exchanges):
        return CLICKHOUSE
    if peer in context.addresses or exchange.client in ("clickhouse-driver", "asynch"):
        return CLICKHOUSE
    return API


def failed(exchange: Exchange) -> bool:
    """Whether an exchange brought no good answer."""
    return bool(exchange.error) or bool(exchange.code) or (exchange.status or 0) >= 400


def cause_by_record(case: Case, recorded: Recorded) -> tuple[Finding, Raised] | None:
    """The cause that the recorder proves for a bad run, with its exception; None where it saw none."""
    raised = elect(recorded)
    if raised is None:
        return None
    context = Context(
        case.ingest.get("env") or {},
        bool(case.ingest.get("container")),
        str(case.ingest.get("command") or ""),
        str(case.ingest.get("database") or ""),
    )
    exchange = recorded.exchange(raised)
    error = _as_client_error(raised, exchange, recorded, context)
    finding = _rows_as_dictionaries(raised, exchange) or finding_of(judge(error, context), error)
    place = raised.place
    if place is not None:
        finding.evidence["location"] = f"{place} in {place.function}"
    finding.evidence["exception"] = shown(raised)
    finding.evidence["count"] = max(raised.how.values())
    finding.evidence["log_table"] = "the recorder"
    if exchange is not None and exchange.table and not finding.object:
        finding.object = exchange.table
    finding.actual = "; ".join(filter(None, [finding.actual, _before(exchange, recorded)]))
    if weight(raised) == 0:
        finding.headline = (
            "Nothing reported an error; the last exception in the loader's own code is likely the cause. "
            f"{finding.headline}"
        )
    return finding, raised


def shown(raised: Raised) -> str:
    """The chain of an exception, where it began last, with the program's own lines."""
    lines = []
    for link in raised.chain:
        lines.append(str(link))
        own = [frame for frame in link.frames if frame.own]
        lines += [f"  {frame} in {frame.function}{f': {frame.code}' if frame.code else ''}" for frame in own[-4:]]
        if link.frames and not link.frames[-1].own:
            lines.append(f"  raised at {link.frames[-1]} in {link.frames[-1].function}")
    return "\n".join(lines)


def _before(exchange: Exchange | None, recorded: Recorded) -> str:
    """The last exchange before an exception, and whether any INSERT had been sent."""
    if exchange is None:
        last = "no exchange with another host before it"
    else:
        what = f"{exchange.verb} {exchange.table}".strip() if exchange.verb else f"{exchange.method} {exchange.path}"
        got = f"HTTP {exchange.status}" if exchange.status and exchange.method != "NATIVE" else "answered"
        got = exchange.error or (f"code {exchange.code}" if exchange.code else got)
        last = f"last exchange before it: {what} at {exchange.host}:{exchange.port}, {got}"
    inserts = [e for e in recorded.exchanges if e.verb == "INSERT"]
    if not inserts and recorded.complete:
        return f"{last}; the loader sent no INSERT"
    return last


def _rows_as_dictionaries(raised: Raised, exchange: Exchange | None) -> Finding | None:
    """clickhouse-connect's insert reads the first row by position: of a dictionary that is a key."""
    origin = raised.origin
    inside = [frame for frame in origin.frames if "clickhouse_connect/" in frame.file.replace("\\", "/")]
    call = _call_of(raised, "insert")
    if origin.type != "KeyError" or origin.key_type != "int" or not inside or inside[-1] != origin.frames[-1]:
        return None
    if not any("insert" in frame.function or "insert" in frame.file.rpartition("/")[2] for frame in inside):
        return None
    place = call or raised.place
    table = exchange.table if exchange is not None and exchange.clickhouse else ""
    return Finding(
        STAGE,
        "error",
        "client_rows_as_dictionaries",
        f"KeyError: {origin.text} at {place} in {place.function if place else ''}: the rows"
        f"{f' for {table}' if table else ''} were given to clickhouse-connect's insert as dictionaries. It reads each "
        "row by position. No INSERT reached the server.",
        object=table or None,
        expected="each row a list or tuple in the order of column_names",
        actual="rows that are dictionaries",
        next_step="Give the rows by position:\n"
        "  columns = list(rows[0])\n"
        "  client.insert(table, [[row[name] for name in columns] for row in rows], column_names=columns)",
        fix_side=INGEST,
    )


def _call_of(raised: Raised, word: str) -> Place | None:
    """The program's own line that called a library's function of that name."""
    frames = raised.origin.frames
    calls = [frame for frame, inner in pairwise(frames) if frame.own and word in inner.function]
    return calls[-1] if calls else None


def _as_client_error(raised: Raised, exchange: Exchange | None, recorded: Recorded, context: Context) -> ClientError:
    """The exception as the log's reader would give it, had the program logged all of it; the peer's address, status and
    code are put to it as facts."""
    first: Link = raised.chain[0]
    place = raised.place
    frames = [frame for link in reversed(raised.chain) for frame in link.frames]
    libraries = {(match[1] or match[2]) for frame in frames if (match := PACKAGE.search(frame.file))}
    last = raised.origin.frames[-1] if raised.origin.frames else None
    raised_in = PACKAGE.search(last.file) if last is not None and not last.own else None
    text = "\n".join([*(str(link) for link in raised.chain), *(f"{frame.file} {frame.code}" for frame in frames)])
    status = server_code = None
    side = None
    if exchange is not None and failed(exchange):
        side = side_of_peer(exchange, recorded, context)
        status = exchange.status if (exchange.status or 0) >= 400 else None
        server_code = exchange.code
        text += f"\nhttp://{exchange.host}:{exchange.port}{exchange.path if side == API else ''}"
    return ClientError(
        first.type,
        first.text,
        Frame(place.file, place.line, place.function, place.code or None) if place else None,
        count=max(raised.how.values()),
        chain=[(link.type, link.text) for link in reversed(raised.chain)],
        text=text,
        server_code=server_code,
        http_status=status,
        libraries=sorted(libraries),
        traceback=True,
        raised_in=(raised_in[1] or raised_in[2]) if raised_in else "",
        peer=side,
    )


def silent_recorder(recorded: Recorded) -> list[Finding]:
    """What the recorder cannot tell, each as information."""
    return [
        Finding(
            STAGE,
            "info",
            "evidence_recorder",
            gap,
            next_step="Nothing has to be done: the run is judged by the server's logs and the ingest's own. Where the "
            "recorder should not run at all: qtickets_ingest_recorder: off.",
        )
        for gap in recorded.gaps
    ]


def locate(findings: Sequence[Finding], recorded: Recorded) -> None:
    """Put the place in the loader's code into findings of refused statements, by the server's own code."""
    for raised in recorded.exceptions:
        exchange = recorded.exchange(raised)
        codes = {link.code for link in raised.chain} | ({exchange.code} if exchange else set())
        for finding in findings:
            if finding.evidence.get("code") in codes - {None} and raised.place is not None:
                finding.evidence.setdefault("location", f"{raised.place} in {raised.place.function}")
