"""What the rules of the client's side share: what they decide, what is known of the run, whom an error is about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from .errors import ClientError, is_library

CONFIGURATION, INGEST, SOURCE, SERVER, HOST = "configuration", "the ingest", "the source", "server", "host"
SCHEMA = "schema"
CLICKHOUSE, API = "clickhouse", "source"

LOOPBACK = re.compile(r"^(?:localhost|127\.\d+\.\d+\.\d+|::1|\[::1\]|0\.0\.0\.0)$")
HTTP_PORTS, NATIVE_PORTS = (8123, 8443), (9000, 9440)


@dataclass
class Judged:
    """The parts of a Finding that one error decides. `generic` causes give way to specific ones."""

    cause: str
    headline: str
    next_step: str
    fix_side: str
    object: str | None = None
    expected: str | None = None
    actual: str | None = None
    generic: bool = False


# What the variables of this project's ingest are called elsewhere, the likelier names first.
_NAMES = {
    "CLICKHOUSE_HOST": re.compile(r"CLICKHOUSE.*(?:HOST|ADDR|SERVER|URL|DSN|URI|ENDPOINT)"
                                  r"|^CH_(?:HOST|ADDR|SERVER|URL|DSN|ENDPOINT)|^(?:DB|DATABASE)_(?:HOST|URL|DSN)"
                                  r"|(?:WAREHOUSE|DWH|OLAP)\w*(?:HOST|ADDR|URL|DSN|URI|ENDPOINT)"),
    "CLICKHOUSE_PORT": re.compile(r"CLICKHOUSE.*PORT|^CH_PORT|(?:WAREHOUSE|DWH|OLAP)\w*PORT|^(?:DB|DATABASE)_PORT"),
    "CLICKHOUSE_DB": re.compile(r"CLICKHOUSE.*(?:DB|DATABASE)|^CH_(?:DB|DATABASE)|(?:WAREHOUSE|DWH)\w*(?:DB|DATABASE)"
                                r"|^(?:DB_NAME|DB_DATABASE|DATABASE)"),
    "CLICKHOUSE_USER": re.compile(r"(?:CLICKHOUSE.*|^CH_|(?:WAREHOUSE|DWH|OLAP)\w*|^(?:DB|DATABASE)_)(?:USER|LOGIN)"),
    "QTICKETS_BASE_URL": re.compile(r"(?:API|SOURCE|BASE|UPSTREAM)\w*(?:URL|HOST|ENDPOINT|URI)|_API$|ENDPOINT"),
}  # fmt: skip

# An address that is ClickHouse's whatever its variable is called.
_CLICKHOUSE_ADDRESS = re.compile(r"://[^/\s]*:(?:8123|8443|9000|9440)\b|^(?:jdbc:)?(?:clickhouse|chs?)\w*:")
_WEB_ADDRESS = re.compile(r"https?://")
# Addresses that an ingest may have and does not load from.
NO_SOURCE = re.compile(r"(?i)proxy|hook|sentry|slack|telegram|otel|loki|metric|push|alert|notif")


@dataclass
class Context:
    """What is known of the run's surroundings: where the API and ClickHouse are, by the ingest's own variables,
    whatever their names."""

    env: Mapping[str, Any] = field(default_factory=dict)
    container: bool = False
    command: str = ""
    database: str = ""

    def variable(self, name: str) -> str:
        """What the ingest calls the variable that is `name` in this project; `name` where nothing is like it."""
        if name in self.env or name not in _NAMES:
            return name
        api = name == "QTICKETS_BASE_URL"
        by_value = [other for other, value in self.env.items() if _CLICKHOUSE_ADDRESS.search(str(value))]
        clickhouse = [other for other in self.env if _NAMES["CLICKHOUSE_HOST"].search(other.upper())] + by_value
        others = [other for other in self.env if not (api and other in clickhouse)]
        found = [other for other in others if _NAMES[name].search(other.upper())]
        if name == "CLICKHOUSE_HOST":
            found += by_value
        if api:
            found += [
                other for other in others if _WEB_ADDRESS.match(str(self.env[other])) and not NO_SOURCE.search(other)
            ]
        if not found and name == "CLICKHOUSE_PORT":
            # One address holds both.
            return self.variable("CLICKHOUSE_HOST") if self.variable("CLICKHOUSE_HOST") != "CLICKHOUSE_HOST" else name
        return found[0] if found else name

    def value(self, name: str) -> str:
        """The value of that variable, empty when it has none."""
        return str(self.env.get(self.variable(name)) or "")

    def renamed(self, text: str) -> str:
        """A sentence with the ingest's own names for its variables."""
        said = re.sub("|".join(_NAMES), lambda match: self.variable(match[0]), text)
        # Where one address holds both.
        return re.sub(r"\b([A-Z]\w+) and \1\b", r"\1", said)

    @property
    def api(self) -> tuple[str, int | None]:
        """(host, port) of the API, ("", None) when not known."""
        return _endpoint(self.value("QTICKETS_BASE_URL"))

    @property
    def ours(self) -> bool:
        """Whether the ingest loads from the API that this project knows, by its variable; so it is when nothing is
        known."""
        return not self.env or "QTICKETS_BASE_URL" in self.env

    @property
    def token(self) -> str:
        """What the API's token is called; secrets of other ingests are not among the variables."""
        return "QTICKETS_TOKEN" if self.ours else "the API's token"

    def request(self, path: str, text: str = "") -> str:
        """An address of the API to try: the one that `text` names, else `path` below the base where it is known."""
        named = next((match[0].rstrip(".,;:").partition("?")[0] for match in URL.finditer(text)), "")
        base = self.value("QTICKETS_BASE_URL").rstrip("/")
        if named and not (self.ours and base):
            return named
        return f"{base or '<QTICKETS_BASE_URL>'}/{path}" if self.ours else base or "<the API's address>"

    @property
    def clickhouse(self) -> tuple[str, int | None]:
        """(host, port) of ClickHouse as the ingest was told them."""
        address, port = self.value("CLICKHOUSE_HOST"), self.value("CLICKHOUSE_PORT")
        if "://" in address:
            return _endpoint(address.removeprefix("jdbc:"))
        port = port if port != address else ""
        host, _, behind = address.lower().partition(":")
        port = port or behind
        return host, int(port) if port.isdigit() else None

    @property
    def clickhouse_name(self) -> str:
        """ClickHouse's address for a sentence."""
        host, port = self.clickhouse
        return f"{host}:{port}" if host and port else host or "its address"


def _endpoint(url: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(url)
        usual = {"http": 80, "https": 443, "clickhouse": 9000, "tcp": 9000, "ch": 8123}
        return (parts.hostname or "").lower(), parts.port or usual.get(parts.scheme)
    except ValueError:
        return "", None


URL = re.compile(r"\bhttps?://[^\s'\"<>)]+")
_HOST_PORT = (
    re.compile(r"host='([^']+)', port='?(\d+)"),
    # A driver's `(host:port)`, which a Java frame `(Main.java:12)` and log4j's `(org.a.Task:12)` look like.
    re.compile(
        r"\(((?!(?:\w+\.)+[A-Z]\w*:)(?!\w+\.(?:java|kt|scala|go|[cm]?[jt]sx?|py|cs|c|cc|cpp|h|rs|rb|php):)[\w.-]+):(\d{1,5})[),]"
    ),
    re.compile(r"\bto ([\w.-]+) port (\d{1,5})\b"),
    re.compile(
        r"\b(?:to|from|at|server|host|tcp|connect|E[A-Z]{5,})\s+'?([A-Za-z][\w.-]*|\d+\.\d+\.\d+\.\d+):(\d{2,5})\b"
    ),
)
_API_WORDS = re.compile(
    r"qtickets|/(?:orders|events|shows|seats)\b|\bAPI\b|\bapi[_. ]|\bseats? (?:of|for)\b|\bREST\b|Bearer"
    r"|\bfetch(?:ing)?\b",
    re.IGNORECASE,
)
_CLICKHOUSE_WORDS = re.compile(
    r"click_?house|\bSELECT version\(\)|\bDB::|\bCode: (?:53|102|209|210)\.|\bINSERT\b|\binserting\b|chdb|\bch-",
    re.IGNORECASE,
)
_CLICKHOUSE_FUNCTION = re.compile(
    r"insert|click_?house|write|store|save|sink|flush|execute|(?:^|_)(?:ch|db)(?:_|$)", re.I
)
_API_FUNCTION = re.compile(
    r"fetch|request|download|page|orders|seats|events|shows|(?:^|_)(?:get|read|api)(?:_|$)", re.I
)


def endpoints(text: str) -> list[tuple[str, int | None]]:
    """(host, port) pairs that a text names: URLs, urllib3's pools, a driver's `(host:port)`."""
    found = [_endpoint(match[0]) for match in URL.finditer(text)]
    for pattern in _HOST_PORT:
        found += [(match[1].lower(), int(match[2])) for match in pattern.finditer(text)]
    return [(host, port) for host, port in found if host]


def side_of(error: ClientError, context: Context) -> str | None:
    """Whether an error is about ClickHouse or about the API: by address first, then by library, then by words."""
    text = error.text
    clickhouse, api = context.clickhouse, context.api
    for host, port in endpoints(text):
        if host == api[0] and port == api[1] and (host, port) != clickhouse:
            return API
        if host == clickhouse[0] and port == clickhouse[1]:
            return CLICKHOUSE
    for match in URL.finditer(text):
        if re.search(r"[?&](?:query|query_id|database)=", match[0]):
            return CLICKHOUSE
        if re.search(r"/(?:orders|events|shows)\b|/api/|qtickets", match[0]):
            return API
    for host, port in endpoints(text):
        if port in (*HTTP_PORTS, *NATIVE_PORTS) or (host == clickhouse[0] and host != api[0]):
            return CLICKHOUSE
        if host == api[0] and port in (None, api[1]):
            return API
    if any(library.startswith(("clickhouse", "asynch", "aiochclient", "chdb")) for library in error.libraries):
        return CLICKHOUSE
    named = [
        side
        for host, side in ((clickhouse[0], CLICKHOUSE), (api[0], API))
        if host and clickhouse[0] != api[0] and re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", text.lower())
    ]
    if len(named) == 1:
        return named[0]
    function = error.frame.function if error.frame else ""
    for pattern, side in ((_CLICKHOUSE_FUNCTION, CLICKHOUSE), (_API_FUNCTION, API)):
        if pattern.search(function):
            return side
    text = _own_text(text)
    about_clickhouse, about_api = _CLICKHOUSE_WORDS.search(text), _API_WORDS.search(text)
    if bool(about_clickhouse) != bool(about_api):
        return CLICKHOUSE if about_clickhouse else API
    if about_clickhouse and about_api:
        return CLICKHOUSE if _CLICKHOUSE_WORDS.search(error.message) else API
    return None


def _own_text(text: str) -> str:
    """The text without the frames of libraries, whose file names (`requests/api.py`) say nothing."""
    lines, skip = [], False
    for line in text.splitlines():
        match = re.search(r"File \"([^\"]+)\", line \d+", line)
        if match:
            skip = is_library(match[1])
        elif skip and not line.startswith((" ", "\t")):
            skip = False
        if not skip:
            lines.append(line)
    return "\n".join(lines)


def place(error: ClientError) -> str:
    """` at file:line in function`, empty without a frame."""
    frame = error.frame
    return f" at {frame.file}:{frame.line}{f' in {frame.function}' if frame.function else ''}" if frame else ""


def origin(error: ClientError) -> tuple[str, str]:
    """(type, message) of where it began: the first of the chain that says something."""
    return next(((kind, text) for kind, text in error.chain if kind), (error.type or "", error.message))


def third_party(error: ClientError, context: Context) -> str | None:
    """The host that an error names when it is neither the API's nor ClickHouse's: both are known, or the name says what
    it is (a chat, a proxy, a collector of metrics). An address in numbers, or with a port of ClickHouse, may be one of
    the two."""
    named, known = endpoints(error.text), {context.api[0], context.clickhouse[0]} - {""}
    if not named or known.intersection(host for host, _ in named):
        return None
    if len(known) < 2 and not NO_SOURCE.search(named[0][0]):
        return None
    if any(
        port in (*HTTP_PORTS, *NATIVE_PORTS) or re.fullmatch(r"[\d.]+|.*:.*|localhost", host) for host, port in named
    ):
        return None
    return named[0][0]


# An encoded filter is longer than the reason that stands behind it.
_QUERY_STRING = re.compile(r"(https?://[^\s?'\"<>]+)\?[^\s'\"<>:,;)]+")


def first_line(text: str) -> str:
    """A text's first line for a headline, 300 characters at most, without the query strings of its addresses."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return _QUERY_STRING.sub(r"\1?...", lines[0])[:300] if lines else ""
