"""Exchanges with other hosts: who was asked for what, and what came back. No payloads, no values of queries.

An exchange is written when its answer's head is there, or when it failed. What its body told follows as `answer`:
when the program's parser has read it, else when its thread goes on to the next exchange, else at the end.
"""

import sys
import time
from _thread import get_ident

from . import bodies, exceptions, mask, process, sink
from .guard import quiet

_MAX_SINGLE = 3000
_MAX_SERIES = 300
# Parameters that choose a page and not what is asked for.
_PAGING = ("page", "per_page", "perpage", "pagesize", "page_size", "limit", "offset", "skip", "start", "cursor",
           "after", "before", "next", "from", "size", "count", "take", "page[number]", "page[size]", "page[offset]",
           "page[limit]", "starting_after", "pagetoken", "page_token", "continuation")  # fmt: skip
_VERBS = (
    "INSERT|DESCRIBE|DESC|SELECT|CREATE|ALTER|TRUNCATE|DROP|OPTIMIZE|EXCHANGE|RENAME|DELETE|SHOW|EXISTS|WITH|SYSTEM|SET"
)

_count = 0
_sums = {}
# Thread (and task) → number of its last exchange; → body of the answer that was not counted yet.
_last = {}
_bodies = {}
# Bodies that were not read to their end when their thread asked for something else.
_late = []
_MAX_LATE = 50
_statement = None


def where():
    """What runs here: the thread, and the task in it."""
    loop = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    running = loop() if loop else None
    if running is None:
        return get_ident()
    task = sys.modules["asyncio"].current_task(running)
    return (get_ident(), id(task))


def _last_here():
    return _last.get(where())


class Exchange:
    """One exchange under way."""

    def __init__(self, method, host, port, target="", client=""):
        self.event = {"e": "exchange", "client": client, "method": method, "host": str(host), "port": port}
        self.target = target
        self.text = ""
        self.begun = time.perf_counter()
        self.sent = 0
        self.done = False

    def body(self, head):
        """The first bytes that were sent: a statement may be there."""
        if not self.text and head:
            self.text = (
                head[:2000].decode("utf-8", "replace") if isinstance(head, (bytes, bytearray)) else str(head)[:2000]
            )

    def milliseconds(self):
        """How long it has lasted."""
        return round((time.perf_counter() - self.begun) * 1000, 1)

    def answered(self, status, header, length=None, decoded=False):
        """The head of the answer came; `header` finds one by its lower-case name. The body to feed, None for none.

        `decoded` says that the client feeds it without its compression.
        """
        return finish(self, status, header, length, decoded)

    def failed(self, error):
        """No answer came."""
        fail(self, error)


def finish_inside(exchange, status, header, length=None, decoded=False):
    """Write an exchange that was answered. The body to feed, None where none is counted."""
    if exchange.done:
        return None
    exchange.done = True
    event = exchange.event
    kind = ""
    event.update(status=int(status), ms=exchange.milliseconds(), bytes=length, sent=exchange.sent or None)
    _split(exchange)
    code = header("x-clickhouse-exception-code")
    if any(
        header(name) for name in ("x-clickhouse-query-id", "x-clickhouse-summary", "x-clickhouse-server-display-name")
    ):
        event["clickhouse"] = True
        event["query_id"] = (header("x-clickhouse-query-id") or "")[:80] or None
        event["code"] = int(code) if code and code.isdigit() else None
        event["written_rows"] = _number_in(header("x-clickhouse-summary") or "", "written_rows")
        _add_statement(event, exchange)
    elif event["method"] in ("GET", "POST"):
        for name, key in (
            ("x-total-count", "total"),
            ("x-wp-total", "total"),
            ("x-total-pages", "pages"),
            ("x-wp-totalpages", "pages"),
        ):
            told = header(name)
            if told and told.isdigit():
                event.setdefault("told", {})[key] = int(told)
        if 'rel="next"' in (header("link") or ""):
            event.setdefault("told", {})["has_next"] = True
        kind = bodies.kind_of(header("content-type")) if status in (200, 201, 203, 206) else ""
    if status >= 400 and "verb" not in event:
        # Something between answered in the server's place: what was sent is all that tells whose answer this is.
        _add_statement(event, exchange)
    sums = write_exchange(event)
    if not kind:
        return None
    body = bodies.Body(event["n"], sums, kind, "" if decoded else header("content-encoding"))
    _bodies[where()] = body
    return body


def fail_inside(exchange, error):
    """Write an exchange that got no answer."""
    if exchange.done:
        return
    exchange.done = True
    event = exchange.event
    kind = type(error)
    event.update(ms=exchange.milliseconds(), error=kind.__name__, sent=exchange.sent or None)
    number = getattr(error, "errno", None)
    if isinstance(number, int):
        event["errno"] = number
    _split(exchange)
    _add_statement(event, exchange)
    write_exchange(event)


finish = quiet(finish_inside)
fail = quiet(fail_inside)


def _split(exchange):
    """Path without values; the names of the query's parameters, and a number that tells two queries apart."""
    target = exchange.target
    path, _, query = target.partition("?")
    if "://" in path:
        path = "/" + path.split("://", 1)[1].partition("/")[2]
    exchange.event["path"] = mask.text(path or "/", 200)
    # Values stay as they were sent: they are compared, and only a statement among them is read.
    pairs = [
        (_decoded(name), value) for name, _, value in (pair.partition("=") for pair in query[:8000].split("&") if pair)
    ]
    names = sorted({name for name, _ in pairs})
    if names:
        exchange.event["parameters"] = [mask.text(name, 40) for name in names[:20]]
    exchange.pairs = pairs
    exchange.event["asked"] = _series(pairs, exchange.text)


def _decoded(text):
    if "%" not in text and "+" not in text:
        return text
    from urllib.parse import unquote_plus

    return unquote_plus(text)


def _series(pairs, body):
    """A number for what was asked, without the page: equal for the pages of one reading, no way back to the values."""
    # zlib's does the same, where the interpreter has it.
    from binascii import crc32

    kept = sorted((n, v) for n, v in pairs if n.lower() not in _PAGING and not mask.is_secret_name(n))
    if body.startswith("{"):
        from json import JSONDecoder

        try:
            given = JSONDecoder().decode(body)
            kept += sorted((str(n), repr(v)) for n, v in given.items() if str(n).lower() not in _PAGING)
        except ValueError:
            kept.append(("body", body))
    salted = repr((sink.file_number(), kept)).encode("utf-8", "replace")
    return f"{crc32(salted) & 0xFFFFFFFF:08x}"


def _number_in(text, name):
    import re

    found = re.search('"' + name + r'"\s*:\s*"?(\d+)', text)
    return int(found.group(1)) if found else None


def _add_statement(event, exchange):
    asked = {name: _decoded(value) for name, value in exchange.pairs if name in ("query", "query_id")}
    verb, table = statement(asked.get("query") or exchange.text)
    if verb:
        event["verb"], event["table"] = verb, table
        # Whatever becomes of the answer, the server's log knows the statement by it.
        event["query_id"] = event.get("query_id") or mask.text(asked.get("query_id", ""), 80) or None


def statement(text):
    """(verb, table or None) of a statement; ("", None) for what is none."""
    global _statement
    if _statement is None:
        import re

        name = r"((?:[`\"][^`\"]{1,100}[`\"]|[\w$]{1,100})(?:\s*\.\s*(?:[`\"][^`\"]{1,100}[`\"]|[\w$]{1,100}))?)"
        lead = r"(?:\s|/\*.*?\*/|--[^\n]*\n|[0-9a-fA-F]+\r\n)*"
        _statement = (
            re.compile(lead + "(" + _VERBS + r")\b", re.IGNORECASE | re.DOTALL),
            re.compile(r"\bINTO\s+(?:TABLE\s+)?(?!FUNCTION\b)" + name, re.IGNORECASE),
            re.compile(r"\b(?:DESC|DESCRIBE|EXISTS)\s+(?:TABLE\s+)?(?!\()" + name, re.IGNORECASE),
            re.compile(r"\b(?:FROM|TABLE|VIEW)\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?(?!\()" + name, re.IGNORECASE),
        )
    found = _statement[0].match(text)
    if not found:
        return "", None
    verb = found.group(1).upper()
    verb = "DESCRIBE" if verb == "DESC" else verb
    pattern = {"INSERT": _statement[1], "DESCRIBE": _statement[2], "EXISTS": _statement[2]}.get(verb, _statement[3])
    table = pattern.search(text)
    plain = table.group(1).replace("`", "").replace('"', "").replace(" ", "") if table else None
    return verb, mask.text(plain, 120) if plain else None


def write_exchange(event):
    """Number an exchange, add it to the sums and write it. Returns its sums."""
    global _count
    _count += 1
    event["n"] = _count
    here = where()
    if len(_last) > 2000:
        settle()
        _last.clear()
    elif here in _bodies or _late:
        _settle(_bodies.pop(here, None))
    _last[here] = _count
    series = (event["host"], event["port"], event["method"], event.get("path"), event.get("asked"), event.get("status"))
    sums = _sums.get(series)
    if sums is None and len(_sums) < _MAX_SERIES:
        sums = _sums[series] = {"times": 0, "written_rows": 0, "records": 0}
    if sums is not None:
        sums["times"] += 1
        sums["written_rows"] += event.get("written_rows") or 0
    if _count <= _MAX_SINGLE or event.get("error") or event.get("code") or event.get("status", 200) >= 400:
        good = not event.get("error") and not event.get("code") and event.get("status", 200) < 400
        sink.write_inside({key: value for key, value in event.items() if value is not None}, may_wait=good)
    return sums


def waiting_here():
    """The body that this thread (or task) has read and nobody has counted, None without one."""
    body = _bodies.get(where())
    return body if body is not None and not body.done and body.whole() else None


def waiting():
    """Whether any body waits to be counted."""
    return bool(_bodies)


def tell(body, told):
    """Write what a body told."""
    body.drop()
    if body.sums is not None:
        body.sums["records"] += told.get("records", 0)
    if told and body.number <= _MAX_SINGLE:
        sink.write_inside({"e": "answer", "exchange": body.number, **told}, may_wait=True)


def _count_now(body):
    begun = time.perf_counter()
    if not sink.exhausted():
        try:
            told = body.count()
        except Exception:  # noqa: BLE001 - a body that cannot be read stays uncounted
            told = {}
        tell(body, told)
    body.drop()
    sink.worked(time.perf_counter() - begun)


def _settle(body):
    """Count a body that its thread has left, and those left before that were read to their end since."""
    if body is not None and not body.done:
        _late.append(body)
    for each in _late[:]:
        if not each.done and each.whole():
            _count_now(each)
        if each.done:
            _late.remove(each)
    if len(_late) > _MAX_LATE:
        _late.pop(0).drop()


def settle():
    """Count every body that was read to its end."""
    for body in list(_bodies.values()):
        _settle(body)
    _bodies.clear()
    _settle(None)


def _make_room():
    for body in [*_bodies.values()]:
        if not body.done and body.whole():
            _count_now(body)
    return sum(body.size for body in [*_bodies.values(), *_late])


def forget():
    """In a forked child: exchanges of the parent are the parent's."""
    global _count
    _count = 0
    for each in (_sums, _last, _bodies):
        each.clear()
    del _late[:]


def _totals():
    settle()
    if _count <= _MAX_SINGLE:
        return {"exchanges": _count}
    keys = ("host", "port", "method", "path", "asked", "status")
    series = [
        {**dict(zip(keys, key)), **sums} for key, sums in sorted(_sums.items(), key=lambda each: -each[1]["times"])
    ]
    return {"exchanges": _count, "series": series[:40]}


exceptions.last_exchange = _last_here
bodies.make_room = _make_room
process.totals = _totals
process.forget_exchanges = forget
