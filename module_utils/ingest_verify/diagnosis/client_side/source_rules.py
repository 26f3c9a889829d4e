"""The API that the ingest loads from: out of reach, refusing, slow, or answering with other data than asked for."""

from __future__ import annotations

import re

from .connection_words import CONNECT_TIMEOUT, REFUSED, TLS, UNKNOWN_HOST
from .context import (
    API,
    CLICKHOUSE,
    CONFIGURATION,
    INGEST,
    SOURCE,
    URL,
    Context,
    Judged,
    endpoints,
    first_line,
    place,
    side_of,
    third_party,
)
from .errors import ClientError

_SOME_ADDRESS = "An address the ingest needs (the API, or ClickHouse: the log does not say which)"


def api_unreachable(error: ClientError, context: Context, side: str | None) -> Judged:
    """No connection to the API, or (`side` None) to an address of which the log does not say whose it is."""
    host = next((h for h, _ in endpoints(error.text)), "") or (context.api[0] if side == API else "")
    text = error.text
    who = "The API" if side == API else f"{host}, an address the ingest needs," if host else _SOME_ADDRESS
    other = third_party(error, context)
    if other:
        who = f"{other}, which is neither the API nor ClickHouse,"
    if UNKNOWN_HOST.search(text):
        what = "cannot be resolved"
        action = (
            "Check the host in QTICKETS_BASE_URL, that it runs if it is a container (its name goes with it when it "
            "stops), and DNS where the ingest runs"
        )
    elif TLS.search(text):
        what = "fails the TLS handshake"
        action = (
            "Check http/https and the port in QTICKETS_BASE_URL, the CA certificates of the image, and a proxy between"
        )
    elif REFUSED.search(text) and not CONNECT_TIMEOUT.search(text):
        what, action = "refuses the connection", "Check that the API is up and that QTICKETS_BASE_URL is right"
    elif CONNECT_TIMEOUT.search(text):
        what, action = "does not answer the connection", "Check the way out of the ingest's network (firewall, proxy)"
    else:
        what, action = "breaks the connection", "Try again later; if it stays, ask the API's operator"
    probe = f": curl -sS -m 10 -o /dev/null -w '%{{http_code}}\\n' {context.request('events', error.text)}"
    if side is None and host and not other:
        return Judged(
            "client_unreachable",
            f"{who} {what}{place(error)}.",
            f"Check which of the ingest's settings names {host} (ClickHouse's is CLICKHOUSE_HOST with CLICKHOUSE_PORT, "
            "the API's QTICKETS_BASE_URL), and that something answers there as seen from the ingest's container: "
            "localhost there is the container itself.",
            CONFIGURATION,
            object=host,
        )
    if other:
        return Judged(
            "client_unreachable",
            f"{who} {what}{place(error)}.",
            f"Check {other} and the way to it from the ingest's container. If the load does not need it (a notice, "
            "metrics), let the ingest log its failure and go on.",
            CONFIGURATION,
            object=other,
        )
    return Judged(
        "source_unavailable" if side == API else "client_unreachable",
        f"{who} {what}{f' ({host})' if host else ''}{place(error)}.",
        f"{action}{probe}" + ("" if side == API else "; and ClickHouse: CLICKHOUSE_HOST and CLICKHOUSE_PORT."),
        SOURCE if side == API else CONFIGURATION,
        object=host or None,
    )


def api_slow(error: ClientError, context: Context, side: str | None) -> Judged:
    """An answer took longer than the ingest waits; `side` None when the log does not say whose."""
    if side is None:
        return Judged(
            "client_socket_timeout",
            f"The ingest gave up waiting for an answer{place(error)}; its log does not say whose.",
            "Log the address with the error; then raise the time-out on that side or ask for smaller pieces.",
            INGEST,
            generic=True,
        )
    return Judged(
        "source_slow",
        f"The API answers more slowly than the ingest waits{place(error)}.",
        "Measure one request: curl -sS -o /dev/null -w '%{time_total}\\n' "
        f"{context.request('orders?per_page=50', error.text)} (with the token); then raise the ingest's request "
        "time-out and time limit, ask for smaller pages or a shorter window, or call the API's operator.",
        SOURCE,
        object=context.api[0] or None,
    )


def api_status(status: int, text: str, where: str, context: Context) -> Judged:
    """What an HTTP status of the API means."""
    url = next(
        (match[0].rstrip(".,;:") for match in URL.finditer(text) if "mozilla" not in match[0]), context.request("")
    )
    url = url.partition("?")[0]
    if status in (401, 403):
        return Judged(
            "source_unauthorized",
            f"The API refused the token: HTTP {status} for {url}{where}.",
            f"Put a valid value for {context.token} into the ingest's env file (it is wrong, expired or lacks the "
            "right); try it: curl -sS -o /dev/null -w '%{http_code}\\n' -H 'Authorization: Bearer <token>' "
            f"{context.request('events', text)}",
            CONFIGURATION,
            object=context.token,
            expected="HTTP 200",
            actual=f"HTTP {status}",
        )
    if status == 404:
        return Judged(
            "config_base_url",
            f"The API knows no such address: HTTP 404 for {url}{where}.",
            "Check QTICKETS_BASE_URL in the env file" + (": https://qtickets.ru/api/rest/v1" if context.ours else "."),
            CONFIGURATION,
            object="QTICKETS_BASE_URL",
            actual=url,
        )
    if status == 429:
        return Judged(
            "source_unavailable",
            f"The API limits the ingest's requests: HTTP 429 for {url}{where}, longer than the ingest retries.",
            "Lower the ingest's concurrency, honour Retry-After, and run again later; another program may use the same "
            "token.",
            SOURCE,
            expected="HTTP 200",
            actual="HTTP 429",
        )
    if status >= 500:
        post = re.search(r"\bPOST\b.*/orders", text)
        return Judged(
            "source_unavailable",
            f"The API fails: HTTP {status} for {url}{where}, longer than the ingest retries.",
            "Read orders with GET: POST /orders is no search, the API answers it with 503."
            if post
            else "Run again when the API answers: curl -sS -o /dev/null -w '%{http_code}\\n' "
            f"{context.request('events', text)}; if it stays, ask its operator with the time and the address.",
            INGEST if post else SOURCE,
            expected="HTTP 200",
            actual=f"HTTP {status}",
        )
    return Judged(
        "source_bad_request",
        f"The API refuses the request itself: HTTP {status} for {url}{where}.",
        "Compare the request's parameters with the API's documentation; log the answer's body.",
        INGEST,
        actual=f"HTTP {status}",
    )


_JSON = re.compile(
    r"JSONDecodeError|Expecting value: line|Expecting property name|Extra data: line|Unterminated string starting"
    r"|Unexpected token .* JSON|is not valid JSON|(?:in|broken|invalid|malformed|not|unreadable) JSON\b"
    r"|looking for beginning of value"
    r"|unexpected end of JSON|Unexpected end of JSON|text/html|<!DOCTYPE|<html|JsonParse|JsonSyntax"
    r"|HTML (?:page )?instead"
    r"|simplejson|orjson\.|msgspec\.(?:Decode|Validation)Error|^jq: error|parse error: Invalid (?:numeric )?literal",
    re.IGNORECASE | re.MULTILINE,
)
# Libraries that hold a record against a model, and name the field that does not fit.
_SHAPE = (
    re.compile(r"cannot unmarshal \w+ into Go (?:struct field (?P<field>[\w.]+)|value) of type"),
    re.compile(r"(?:missing|unknown|duplicate) field `(?P<field>\w+)`"
               r"|invalid type: .{1,60}, expected .{1,60} at line \d+"),
    re.compile(r"(?:MismatchedInput|InvalidFormat|UnrecognizedProperty|ValueInstantiation)Exception"
               r"(?:.*?(?:\[\"|Unrecognized field \")(?P<field>\w+)\")?", re.DOTALL),
    re.compile(r"Expected (?:a |an )?(?:BEGIN_\w+|\w+) but was \w+ at .*?path \$?\.?(?P<field>[\w.\[\]]+)"),
    re.compile(r"The JSON value could not be converted to .*?Path: \$\.?(?P<field>[\w.\[\]]+)", re.DOTALL),
    re.compile(r"validation errors? for (?!\w*Settings|\w*Config)\w+\n\s*(?P<field>[\w.]+)\n"),
    re.compile(r"ZodError\b(?:.*?\"path\": \[\s*\"(?P<field>\w+)\")?", re.DOTALL),
)  # fmt: skip


def other_shape(error: ClientError, context: Context) -> Judged | None:
    """A record that does not fit the model that the loader holds it against."""
    match = next(filter(None, (pattern.search(error.text) for pattern in _SHAPE)), None)
    if not match or side_of(error, context) == CLICKHOUSE:
        return None
    judged = bad_payload(_told(error), place(error), context, html=False)
    judged.object = match["field"]
    if match["field"]:
        judged.next_step = (
            f"Look at {match['field']} in the record that the source sent, and let the loader take it as it comes "
            f"(optional, another type) or reject that record by name. {judged.next_step}"
        )
    return judged


def _told(error: ClientError) -> str:
    """The message in one line, with the indented lines of a validation error."""
    return " ".join(line.strip() for line in error.message.partition("\nFor further")[0].splitlines()[:4])[:300]


def unreadable_answer(error: ClientError, context: Context) -> Judged | None:
    """An answer that is no JSON."""
    # A catch-all that calls every failure "ClickHouse error" is no proof; a ClickHouse client on the stack is.
    if not _JSON.search(error.text) or any(library.startswith("clickhouse") for library in error.libraries):
        return None
    if error.frame and re.search(r"\bopen\(|config|settings", f"{error.frame.function} {error.frame.code}", re.I):
        # A file of the ingest's own.
        return None
    html = re.search(r"text/html|<!DOCTYPE|<html|HTML|line 1 column 1 \(char 0\)", error.text, re.IGNORECASE)
    return bad_payload(error.message, place(error), context, html=html is not None)


def bad_payload(text: str, where: str, context: Context, *, html: bool) -> Judged:
    """The API's answer cannot be read."""
    return Judged(
        "source_bad_payload",
        f"The API's answer is not what the ingest expects{' (a page, or nothing at all)' if html else ''}{where}: "
        f"{first_line(text)}",
        "Look at the answer itself: curl -sS -i -H 'Authorization: Bearer <token>' -H 'Accept: application/json' "
        f"{context.request('orders', text)} | head -c 500. HTML comes from a proxy in front of the API "
        "(maintenance, block): try later or ask its operator; a missing or changed field needs the loader adapted.",
        SOURCE,
        expected="the documented JSON",
        actual="HTML or an empty body" if html else "broken JSON, or JSON of another shape",
    )


_FILTER_IGNORED = re.compile(
    r"ignor\w+ (?:the |our |its |this )?(?:\w+ )?filter|filters? (?:was |were |is |are )?(?:\w+ )?ignored"
    r"|outside (?:of )?(?:the )?(?:\w+ )?window|older than the (?:\w+ )?window",
    re.IGNORECASE,
)


def source_words(error: ClientError, context: Context) -> Judged | None:
    """What a loader says in words of the API's answers: filter ignored, no orders, unstable pages."""
    text = error.message
    if _FILTER_IGNORED.search(text):
        return filter_ignored(text, context)
    if re.search(r"(?i)\b(?:no|zero|0) (?:\w+ )?orders\b|\borders(?: fetched| found| received)?[:=] ?0\b", text):
        return no_orders(context)
    if re.search(
        r"(?i)(?:pages?|paging|pagination|list)\b.*\b(?:unstable|repeat\w*|same records|shift\w*|skip\w*)", text
    ):
        return unstable_pages(text)
    return None


def filter_ignored(text: str, context: Context) -> Judged:
    """The API answered with orders from outside the window."""
    return Judged(
        "source_filter_ignored",
        f"The API ignored the ingest's filter and answered with orders from outside the window: {first_line(text)}",
        'Send the filter as the API reads it: where=[{"column":"payed_at","operator":">=","value":"...+03:00"}], '
        "JSON-encoded as a query parameter with + written as %2B (curl -G --data-urlencode does it); unknown "
        "parameters such as since= are ignored with HTTP 200. Then check what came back against the window.",
        INGEST,
        object=context.api[0] or None,
        expected="orders of the window only",
        actual=first_line(text),
    )


def no_orders(context: Context) -> Judged:
    """A window that should have orders has none."""
    hours = context.env.get("QTICKETS_SINCE_HOURS")
    return Judged(
        "source_no_orders",
        f"The API has no orders at all in the window{f' of {hours} hours' if hours else ''}.",
        "Ask for a longer window (QTICKETS_SINCE_HOURS) and look at the newest order: curl -sS -G "
        f"-H 'Authorization: Bearer <token>' {context.request('orders')} "
        '--data-urlencode \'orderBy={"id":"desc"}\' -d per_page=1. If it is recent, the filter or the time zone is '
        "wrong; if it is old, the token belongs to another organisation, or nothing was sold.",
        SOURCE,
        expected="some orders in the window",
        actual="0",
    )


def unstable_pages(text: str) -> Judged:
    """Pages repeat or skip records."""
    return Judged(
        "source_unstable_pages",
        f"The API's pages repeat or skip records: {first_line(text)}",
        'Ask with orderBy={"id":"asc"}: only then is the order of pages stable; and compare the ids read with the '
        "total that the paging block names.",
        INGEST,
        expected="each record on one page",
        actual=first_line(text),
    )
