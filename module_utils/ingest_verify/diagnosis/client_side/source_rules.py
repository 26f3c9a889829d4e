"""The API that the ingest loads from: out of reach, refusing, slow, or answering with other data than asked for."""

from __future__ import annotations

import re

from ...causes import LIKELY
from ...facts.log.errors import ClientError
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
    method,
    place,
    side_of,
    third_party,
)
from .qtickets import AUTHORIZATION, BASE_URL, FILTER, NEWEST, ORDERED, POST_IS_NO_SEARCH


def api_unreachable(error: ClientError, context: Context, side: str | None) -> Judged:
    """No connection to the source, or (`side` None) to an address of which the log does not say whose it is."""
    host = next((h for h, _ in endpoints(error.text)), "") or (context.api[0] if side == API else "")
    other = third_party(error, context)
    what, action = _how(error.text, context)
    inside = context.where(" as seen from the ingest's container: localhost there is the container itself", "")
    if other:
        return Judged(
            "client_unreachable",
            f"{other}, which is neither the API nor ClickHouse, {what}{place(error)}.",
            f"Check {other} and the way to it. If the load does not need it (a notice, metrics), let the ingest log "
            "its "
            "failure and go on.",
            CONFIGURATION,
            object=other,
        )
    if side == API:
        return Judged(
            "source_unavailable",
            f"The API {what}{f' ({host})' if host else ''}{place(error)}.",
            action + probe(context, "events", error.text),
            SOURCE,
            object=host or None,
        )
    if host:
        # Where ClickHouse is known to be elsewhere, its settings have no part in it.
        which = (
            " (ClickHouse: CLICKHOUSE_HOST with CLICKHOUSE_PORT; the source: QTICKETS_BASE_URL)"
            if not context.clickhouse[0] or host == context.clickhouse[0]
            else ""
        )
        return Judged(
            "client_unreachable",
            f"{host}, an address the ingest needs, {what}{place(error)}.",
            f"Find the ingest's setting that names {host}{which}, and check that something answers there{inside}.",
            CONFIGURATION,
            object=host,
        )
    return Judged(
        "client_unreachable",
        f"An address that the ingest needs {what}{place(error)}. Its log does not show whether it is ClickHouse's or "
        "the "
        "source's.",
        f"Check both: ClickHouse at {context.clickhouse_name} by CLICKHOUSE_HOST and CLICKHOUSE_PORT, the source by "
        "QTICKETS_BASE_URL" + probe(context, "events", error.text),
        CONFIGURATION,
    )


def _how(text: str, context: Context) -> tuple[str, str]:
    """In which way a connection failed, and what to check first."""
    if UNKNOWN_HOST.search(text):
        runs = context.where(", that its container runs (its name goes with it when it stops)", "")
        return "cannot be resolved", f"Check the host in QTICKETS_BASE_URL{runs}, and DNS where the ingest runs"
    if TLS.search(text):
        step = "Check http/https and the port in QTICKETS_BASE_URL, the CA certificates there, and a proxy between"
        return "fails the TLS handshake", step
    if CONNECT_TIMEOUT.search(text):
        return "does not answer the connection", "Check the way out of the ingest's network (firewall, proxy)"
    if REFUSED.search(text):
        return "refuses the connection", "Check that the API is up and that QTICKETS_BASE_URL is right"
    step = (
        "Look whether the other end was restarted at that time; if it was not, it closed a connection that was kept "
        "idle (keep-alive), or a proxy did: let the client retry"
    )
    return "breaks the connection", step


def probe(context: Context, path: str, text: str, what: str = "%{{http_code}}") -> str:
    """A command that asks the source, empty where its address is not known."""
    url = context.request(path, text)
    return f": curl -sS -m 10 -o /dev/null -w '{what.format()}\\n' {url}" if url else "."


def api_slow(error: ClientError, context: Context, side: str | None) -> Judged:
    """An answer took longer than the ingest waits; `side` None when the log does not say whose."""
    if side is None:
        return Judged(
            "client_socket_timeout",
            f"The ingest gave up waiting for an answer{place(error)}. Its log does not show whose.",
            "If it was ClickHouse's, system.query_log has the statement with its duration; if not, measure one request "
            "to the source. Then raise the time-out on that side, or ask for smaller pieces.",
            INGEST,
            generic=True,
        )
    return Judged(
        "source_slow",
        f"The API answers more slowly than the ingest waits{place(error)}.",
        f"Measure one request, with the token{probe(context, 'orders?per_page=50', error.text, '%{{time_total}}')} "
        "Then "
        "raise the ingest's request time-out and time limit, ask for smaller pages or a shorter window, or call the "
        "API's operator.",
        SOURCE,
        object=context.api[0] or None,
    )


def api_status(status: int, text: str, where: str, context: Context) -> Judged:
    """What an HTTP status of the source means."""
    named = next((match[0] for match in URL.finditer(text) if "mozilla" not in match[0]), "")
    url = named.rstrip(".,;:").partition("?")[0] or context.request("", text) or "an address that its log does not show"
    verb = method(text)
    asked = f"{verb} {url}" if verb and verb != "GET" else url
    expected, actual = "HTTP 200", f"HTTP {status}"
    if status in (401, 403):
        return Judged(
            "source_unauthorized",
            f"The API refused the token: HTTP {status} for {asked}{where}.",
            "Put a valid value for QTICKETS_TOKEN into the ingest's env file: this one is wrong, expired or lacks the "
            f"right. Try it{probe(context, 'events', text).replace('-m 10', AUTHORIZATION)}",
            CONFIGURATION,
            object="QTICKETS_TOKEN" if context.ours else "the API's token",
            expected=expected,
            actual=actual,
            # Qtickets documents 403 for a bad token; elsewhere a firewall says it too.
            certainty=None if status == 401 or context.ours else LIKELY,
            confirm="Read the body of the answer: the API's own error names the token or a right.",
            otherwise="a firewall or proxy in front of the API refuses the loader's address or its User-Agent. The "
            "answer's body says whose page it is.",
        )
    if status == 404:
        return Judged(
            "config_base_url",
            f"The API knows no such address: HTTP 404 for {asked}{where}.",
            "Check QTICKETS_BASE_URL in the env file" + (f": {BASE_URL}" if context.ours else "."),
            CONFIGURATION,
            object="QTICKETS_BASE_URL" if context.variable("QTICKETS_BASE_URL") else url,
            actual=url,
            certainty=LIKELY,
            confirm=_asked(context, text),
            otherwise="the base URL is right, and that one record or page is not there any more.",
        )
    if status == 429:
        return Judged(
            "source_unavailable",
            f"The API limits the ingest's requests: HTTP 429 for {asked}{where}, longer than the ingest retries.",
            "Lower the ingest's concurrency, honour Retry-After, and run again later; another program may use the same "
            "token.",
            SOURCE,
            expected=expected,
            actual=actual,
        )
    if status >= 500 and verb == "POST":
        no_search = POST_IS_NO_SEARCH if context.ours and "/orders" in text else ""
        return Judged(
            "source_unavailable",
            f"The API answers POST {url} with HTTP {status}{where}.",
            f"{no_search}Ask the same address with GET{probe(context, 'events', text)} Where GET works, the address "
            "does "
            "not take POST, and the loader has to ask in another way; where it fails too, the API is down.",
            INGEST if no_search else SOURCE,
            expected=expected,
            actual=actual,
        )
    if status >= 500:
        return Judged(
            "source_unavailable",
            f"The API fails: HTTP {status} for {asked}{where}, longer than the ingest retries.",
            f"Run again when the API answers{probe(context, 'events', text)} If it stays, ask its operator with the "
            "time "
            "and the address.",
            SOURCE,
            expected=expected,
            actual=actual,
        )
    allowed = " The answer's header Allow names the methods that the address takes." if status == 405 else ""
    return Judged(
        "source_bad_request",
        f"The API refuses the request itself: HTTP {status} for {asked}{where}.",
        f"Compare the request's method and parameters with the API's documentation; log the answer's body.{allowed}",
        INGEST,
        actual=f"HTTP {status}",
    )


def _asked(context: Context, text: str) -> str:
    """How to see whether the source's base address answers at all."""
    return f"ask another address of it{probe(context, 'events', text)} 404 there too means the base URL."


_JSON = re.compile(
    r"JSONDecodeError|Expecting value: line|Expecting property name|Extra data: line|Unterminated string starting"
    r"|Unexpected token .* JSON|is not valid JSON|(?:in|broken|invalid|malformed|not|unreadable) JSON\b"
    r"|looking for beginning of value"
    r"|unexpected end of JSON|text/html|<!DOCTYPE|<html|JsonParse|JsonSyntax"
    r"|\bjq: error|parse error: Invalid (?:numeric )?literal",
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
    judged = bad_payload(_told(error), place(error), context, html=False, side=side_of(error, context))
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
    """An answer or a file that is no JSON."""
    # A catch-all that calls every failure "ClickHouse error" is no proof; a ClickHouse client on the stack is.
    if not _JSON.search(error.text) or any(library.startswith("clickhouse") for library in error.libraries):
        return None
    if error.frame and re.search(r"\bopen\(|config|settings", f"{error.frame.function} {error.frame.code}", re.I):
        # A file of the ingest's own.
        return None
    html = re.search(r"text/html|<!DOCTYPE|<html|HTML|line 1 column 1 \(char 0\)", error.text, re.IGNORECASE)
    return bad_payload(error.message, place(error), context, html=html is not None, side=side_of(error, context))


def bad_payload(text: str, where: str, context: Context, *, html: bool, side: str | None = API) -> Judged:
    """What the source sent cannot be read; without a `side` it may be a file as well as an answer."""
    if side != API and not context.ours and not html:
        return Judged(
            "source_bad_payload",
            f"What the ingest reads is not the data that it expects{where}: {first_line(text)}",
            "Look at the record at that place in the input, which is cut off, broken or of another shape. The log does "
            "not show whether it is a file or an answer of an address.",
            SOURCE,
            expected="a whole record",
            actual=first_line(text),
        )
    url = context.request("orders", text)
    look = f": curl -sS -i {AUTHORIZATION} -H 'Accept: application/json' {url} | head -c 500" if url else "."
    return Judged(
        "source_bad_payload",
        f"The API's answer is not what the ingest expects{' (a page, or nothing at all)' if html else ''}{where}: "
        f"{first_line(text)}",
        f"Look at the answer itself{look} HTML comes from a proxy in front of the API (maintenance, block): try "
        "later or "
        "ask its operator. A missing or changed field needs the loader adapted.",
        SOURCE,
        expected="the documented JSON",
        actual="HTML or an empty body" if html else "broken JSON, or JSON of another shape",
        certainty=None if side == API or context.ours else LIKELY,
        confirm="Look in the loader which call reads at that place.",
        otherwise="it was a file of the loader's that is empty or no JSON.",
    )


_FILTER_IGNORED = re.compile(
    r"ignor\w+ (?:the |our |its |this )?(?:\w+ )?filter|outside (?:of )?(?:the )?(?:\w+ )?window", re.IGNORECASE
)


def source_words(error: ClientError, context: Context) -> Judged | None:
    """What a loader says in words of the API's answers: filter ignored, no orders, unstable pages."""
    text = error.message
    if _FILTER_IGNORED.search(text):
        # That the filter was ignored is the loader's word; that orders lie outside of the window is no more than that.
        return filter_ignored(text, context, None if "ignor" in text.lower() else LIKELY)
    if re.search(r"(?i)\b(?:no|zero|0) (?:\w+ )?orders\b|\borders(?: fetched| found| received)?[:=] ?0\b", text):
        return no_orders(context)
    if re.search(
        r"(?i)(?:pages?|paging|pagination|list)\b.*\b(?:unstable|repeat\w*|same records|shift\w*|skip\w*)", text
    ):
        return unstable_pages(text, context)
    return None


def filter_ignored(text: str, context: Context, certainty: str | None = None) -> Judged:
    """The source answered with orders from outside the window."""
    return Judged(
        "source_filter_ignored",
        f"The API ignored the ingest's filter and answered with orders from outside the window: {first_line(text)}",
        (FILTER if context.ours else "Send the filter as the API documents it; an unknown parameter is often ignored.")
        + " Then check what came back against the window.",
        INGEST,
        object=context.api[0] or None,
        expected="orders of the window only",
        actual=first_line(text),
        certainty=certainty,
        confirm="Compare the window in the request with the times of the orders that came.",
        otherwise="the loader asks for the window in another time zone than it compares with.",
    )


def no_orders(context: Context) -> Judged:
    """A window that should have orders has none."""
    hours = context.env.get("QTICKETS_SINCE_HOURS")
    newest = (
        f": curl -sS -G {AUTHORIZATION} {context.request('orders')} {NEWEST}" if context.ours else " of the source."
    )
    return Judged(
        "source_no_orders",
        f"The API has no orders at all in the window{f' of {hours} hours' if hours else ''}.",
        f"Ask for a longer window (QTICKETS_SINCE_HOURS) and look at the newest order{newest} If it is recent, the "
        "filter "
        "or the time zone is wrong; if it is old, the token belongs to another organisation, or nothing was sold.",
        SOURCE,
        expected="some orders in the window",
        actual="0",
    )


def unstable_pages(text: str, context: Context) -> Judged:
    """Pages repeat or skip records."""
    ordered = ORDERED if context.ours else "Ask for pages in a fixed order, by an id that never changes;"
    return Judged(
        "source_unstable_pages",
        f"The API's pages repeat or skip records: {first_line(text)}",
        f"{ordered} and compare the ids read with the total that the paging block names.",
        INGEST,
        expected="each record on one page",
        actual=first_line(text),
    )
