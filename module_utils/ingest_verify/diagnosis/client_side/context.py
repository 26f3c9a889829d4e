"""What the rules of the client's side share: what they decide, what is known of the run, whom an error is about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ... import causes
from ...facts.log.errors import ClientError, is_library
from . import qtickets

CONFIGURATION, INGEST, SOURCE = causes.CONFIGURATION, causes.LOADER, causes.SOURCE
SERVER, HOST, SCHEMA = causes.SERVER, causes.HOST, causes.SCHEMA
Judged = causes.Decision
CLICKHOUSE, API = "clickhouse", "source"

LOOPBACK = re.compile(r"^(?:localhost|127\.\d+\.\d+\.\d+|::1|\[::1\]|0\.0\.0\.0)$")
HTTP_PORTS, NATIVE_PORTS = (8123, 8443), (9000, 9440)


_SINK = r"(?:CLICKHOUSE|CH|DB|DATABASE|DBT|WAREHOUSE|DWH|OLAP|SINK|TARGET|DEST(?:INATION)?)"
_ADDRESS = r"(?:HOST|ADDR(?:ESS)?|SERVER|URL|DSN|URI|ENDPOINT|CONN(?:ECTION)?)"
# What the variables of this project's ingest are called elsewhere.
_NAMES = {
    "CLICKHOUSE_HOST": re.compile(rf"(?:^|_){_SINK}_?(?:\w*_)?{_ADDRESS}(?:_|$)"),
    "CLICKHOUSE_PORT": re.compile(rf"(?:^|_){_SINK}_?(?:\w*_)?PORT(?:_|$)"),
    "CLICKHOUSE_DB": re.compile(rf"(?:^|_){_SINK}_?(?:\w*_)?(?:DB|DATABASE|SCHEMA)(?:_NAME)?$|^(?:DB_NAME|DATABASE)$"),
    "CLICKHOUSE_USER": re.compile(rf"(?:^|_){_SINK}_?(?:\w*_)?(?:USER(?:NAME)?|LOGIN)$"),
    "CLICKHOUSE_SECURE": re.compile(rf"(?:^|_){_SINK}_?(?:\w*_)?(?:SECURE|TLS|SSL)$"),
    "QTICKETS_BASE_URL": re.compile(r"(?:API|SOURCE|BASE|UPSTREAM|FEED)\w*(?:URL|HOST|ENDPOINT|URI)|ENDPOINT"),
}
# What is said where the ingest has no variable of that kind, or none that is known.
_IN_WORDS = {
    "CLICKHOUSE_HOST": "its setting for ClickHouse's address",
    "CLICKHOUSE_PORT": "its setting for ClickHouse's port",
    "CLICKHOUSE_DB": "its setting for the database",
    "CLICKHOUSE_USER": "its ClickHouse user",
    "CLICKHOUSE_PASSWORD": "its ClickHouse password",
    "CLICKHOUSE_SECURE": "its setting for TLS",
    "CLICKHOUSE_VERIFY_SSL": "its setting for checking certificates",
    "QTICKETS_BASE_URL": "its setting for the source's address",
    "QTICKETS_TOKEN": "its token for the source",
    "QTICKETS_SINCE_HOURS": "its setting for the window",
}

# An address that is ClickHouse's whatever its variable is called.
_CLICKHOUSE_ADDRESS = re.compile(r"://[^/\s]*:(?:8123|8443|9000|9440)\b|^(?:jdbc:)?(?:clickhouse|chs?)\w*(?:\+\w+)?:")
_WEB_ADDRESS = re.compile(r"https?://")
# Addresses that an ingest may have and does not load from.
NO_SOURCE = re.compile(r"(?i)proxy|hook|sentry|slack|telegram|otel|metric|push|alert")
# Programs that their user configures and does not write.
_TOOLS = re.compile(
    r"(?:^|[\s/|'\"])(?:dbt|sling|ingestr|dlt|meltano|airbyte\S*|(?:tap|target)-\w[\w-]*|singer\S*|clickhouse(?:-client)?"
    r"|curl|vector|logstash|fluent-?bit|embulk|seatunnel\S*|kafka-connect\S*)(?=$|[\s:|'\"])"
)


@dataclass
class Context:
    """What is known of the run's surroundings: where the source and ClickHouse are, by the ingest's own variables,
    whatever their names."""

    env: Mapping[str, str] = field(default_factory=dict)
    container: bool = False
    command: str = ""
    database: str = ""

    def __post_init__(self) -> None:
        self.env = {name: str(value) for name, value in self.env.items()}

    @property
    def ours(self) -> bool:
        """Whether the ingest loads from Qtickets, as its variables say."""
        return "QTICKETS_BASE_URL" in self.env

    def editable(self, text: str) -> bool:
        """Whether the loader is code that its user can change, and no tool that is configured; `text` is what it
        logged."""
        return not self.tool and not _TOOLS.search(text.partition("\n")[0])

    @property
    def tool(self) -> str:
        """The program that the command starts, where its user only configures it."""
        found = _TOOLS.search(self.command)
        return found[0].strip(" /|'\"") if found else ""

    def variable(self, name: str, near: tuple[str, int | None] = ("", None)) -> str:
        """What the ingest calls the variable that is `name` in this project, empty where it has none like it. Of
        several the one that holds the address `near`, which the log names."""
        if name in self.env:
            return name
        found = self._candidates(name)
        held = str(near[1] if name == "CLICKHOUSE_PORT" else near[0] or "")
        holding = [
            other for other in found if held and re.search(rf"(?<![\w.]){re.escape(held)}(?!\w)", self.env[other])
        ]
        if name == "CLICKHOUSE_PORT" and held and not holding:
            holding = [other for other in self.env if "PORT" in other.upper() and str(self.env[other]) == held]
        if name == "CLICKHOUSE_PORT" and not holding and (not found or held):
            # One address may hold both.
            address = self.variable("CLICKHOUSE_HOST", near)
            holding = [address] if ":" in str(self.env.get(address, "")) else []
        if name == "CLICKHOUSE_USER" and not found:
            address = self.variable("CLICKHOUSE_HOST", near)
            holding = [address] if "@" in str(self.env.get(address, "")) else []
        return next(iter([*holding, *found]), "")

    def _candidates(self, name: str) -> list[str]:
        if name not in _NAMES:
            return []
        source = name == "QTICKETS_BASE_URL"
        by_value = [other for other, value in self.env.items() if _CLICKHOUSE_ADDRESS.search(str(value))]
        clickhouse = [other for other in self.env if _NAMES["CLICKHOUSE_HOST"].search(other.upper())] + by_value
        others = [other for other in self.env if not (source and other in clickhouse)]
        found = [other for other in others if _NAMES[name].search(other.upper())]
        if name == "CLICKHOUSE_HOST":
            found += by_value
        if source:
            found += [
                other for other in others if _WEB_ADDRESS.match(str(self.env[other])) and not NO_SOURCE.search(other)
            ]
        return found

    def value(self, name: str) -> str:
        """The value of that variable, empty when it has none."""
        return str(self.env.get(self.variable(name)) or "")

    def renamed(self, text: str, near: tuple[str, int | None] = ("", None)) -> str:
        """A sentence with the ingest's own names for its variables, or with words where it has none."""

        def own(match: re.Match[str]) -> str:
            name = match[0]
            return self.variable(name, near) or (name if self.ours else _IN_WORDS[name])

        said = re.sub("|".join(_IN_WORDS), own, text)
        # Where one address holds both.
        said = re.sub(r"\b([A-Z]\w+) and \1\b", r"\1", said)
        return re.sub(r"(^|\. |\n)its (?=setting|token|ClickHouse)", lambda m: f"{m[1]}The ingest's ", said)

    @property
    def api(self) -> tuple[str, int | None]:
        """(host, port) of the source, ("", None) when not known."""
        return _endpoint(self.value("QTICKETS_BASE_URL"))

    def request(self, path: str, text: str = "") -> str:
        """An address of the source to try, empty where none is known: the one that `text` names, else the path that it
        names below the base; Qtickets also answers `path`."""
        named = next((match[0].rstrip(".,;:)").partition("?")[0] for match in URL.finditer(text)), "")
        base = self.value("QTICKETS_BASE_URL").rstrip("/")
        if named and not self.ours:
            return named
        told = endpoint_path(text)
        if not base:
            return ""
        return f"{base}/{told or path}" if told or self.ours else base

    @property
    def addresses(self) -> list[tuple[str, int | None]]:
        """Every (host, port) of ClickHouse that the ingest was told, the likeliest first."""
        ports = [self.env[name] for name in self._candidates("CLICKHOUSE_PORT")]
        if "CLICKHOUSE_PORT" in self.env:
            ports.insert(0, str(self.env["CLICKHOUSE_PORT"]))
        names = ["CLICKHOUSE_HOST"] if "CLICKHOUSE_HOST" in self.env else self._candidates("CLICKHOUSE_HOST")
        found: list[tuple[str, int | None]] = []
        for name in names:
            address = str(self.env[name]).lower()
            if "://" in address:
                found.append(_endpoint(address.removeprefix("jdbc:")))
                continue
            host, _, behind = address.partition(":")
            found += [(host, int(port)) for port in dict.fromkeys([*ports, behind]) if port.isdigit()] or [(host, None)]
        return [address for address in found if address[0]]

    @property
    def clickhouse(self) -> tuple[str, int | None]:
        """(host, port) of ClickHouse as the ingest was told them."""
        return next(iter(self.addresses), ("", None))

    @property
    def clickhouse_name(self) -> str:
        """ClickHouse's address for a sentence."""
        host, port = self.clickhouse
        return f"{host}:{port}" if host and port else host or "its address"

    def where(self, inside: str, outside: str) -> str:
        """Words for an ingest in a container, and for one that is a process."""
        return inside if self.container else outside


def _endpoint(url: str) -> tuple[str, int | None]:
    try:
        # SQLAlchemy names the driver behind the scheme: `clickhouse+native://`.
        parts = urlsplit(re.sub(r"^(\w+)\+\w+(?=:)", r"\1", url))
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
    re.compile(r"(?<!->)(\[[0-9a-f:]*:[0-9a-f:]*\]):(\d{2,5})\b"),
    # Go: `read tcp <local>-><peer>`.
    re.compile(r"->([\w.-]+):(\d{1,5})\b"),
    # librdkafka: the broker's address before the attempt's own.
    re.compile(r"\[thrd:([\w.-]+):(\d{1,5})/"),
    # infi, clickhouse-jdbc and Go list the hosts that they tried.
    re.compile(r"\bhosts? (?:are|is) unreachable: \[?([\w.-]+):(\d{1,5})\b"),
    re.compile(r"(?<![\w./:@-])((?=[\w.-]*[A-Za-z])[\w-]+(?:\.[\w-]+)*):(\d{4,5})(?=: | failed\b)"),
    re.compile(
        r"\b(?:to|from|at|server|host|tcp|connect|E[A-Z]{5,})\s+'?([A-Za-z][\w.-]*|\d+\.\d+\.\d+\.\d+):(\d{2,5})\b(?!->)"
    ),
)
_API_WORDS = re.compile(
    rf"{qtickets.WORDS}|\bAPI\b|\bapi[_. ]|\bseats? (?:of|for)\b|\bREST\b|Bearer"
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


_PATH = (
    re.compile(r"\"(?:path|endpoint|resource|uri)\": \"/?([\w./-]+)\""),
    re.compile(r"\b(?:path|endpoint|resource|uri)=/?([\w./-]+)"),
    re.compile(r"\b(?:GET|POST|PUT|PATCH) /?((?!https?:)[A-Za-z][\w./-]*)"),
    re.compile(r"\bHTTP [45]\d\d (?:for|from|on|at) /?((?!https?:)[A-Za-z][\w./-]*)"),
)


def endpoint_path(text: str) -> str:
    """The path of a request that a record names, without its leading slash; empty without one."""
    return next((match[1].rstrip(".,:") for pattern in _PATH if (match := pattern.search(text))), "")


_METHOD = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE)\b(?= |\")|\"method\": \"(\w+)\"")


def method(text: str) -> str:
    """The method of the request that a record names, empty without one."""
    match = _METHOD.search(text)
    return (match[1] or match[2]).upper() if match else ""


def endpoints(text: str) -> list[tuple[str, int | None]]:
    """(host, port) pairs that a text names: URLs, urllib3's pools, a driver's `(host:port)`."""
    found = [_endpoint(match[0]) for match in URL.finditer(text)]
    for pattern in _HOST_PORT:
        found += [(match[1].lower(), int(match[2])) for match in pattern.finditer(text)]
    return [(host, port) for host, port in found if host]


def side_of(error: ClientError, context: Context) -> str | None:
    """Whether an error is about ClickHouse or about the source: by the recorded peer, by address, by library, then by
    words."""
    if error.peer:
        return error.peer
    if side := side_by_address(error, context):
        return side
    if any(library.startswith(("clickhouse", "asynch", "aiochclient", "chdb")) for library in error.libraries):
        return CLICKHOUSE
    # housepower's is ClickHouse's native JDBC driver.
    if "clickhouse" in error.raised_in.lower() or error.raised_in.startswith("com.github.housepower"):
        return CLICKHOUSE
    text = error.text
    named = [
        side
        for host, side in ((context.clickhouse[0], CLICKHOUSE), (context.api[0], API))
        if host
        and context.clickhouse[0] != context.api[0]
        and re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", text.lower())
    ]
    if len(named) == 1:
        return named[0]
    function = error.frame.function if error.frame else ""
    for pattern, side in ((_CLICKHOUSE_FUNCTION, CLICKHOUSE), (_API_FUNCTION, API)):
        if pattern.search(function):
            return side
    text = _own_text(text)
    about_clickhouse, about_api = _CLICKHOUSE_WORDS.search(text), _API_WORDS.search(text) or endpoint_path(text)
    if bool(about_clickhouse) != bool(about_api):
        # Words alone make no source of an ingest that was told of ClickHouse and of no other address.
        unknown = context.clickhouse[0] and not context.api[0] and not URL.search(text)
        return CLICKHOUSE if about_clickhouse else None if unknown else API
    if about_clickhouse and about_api:
        return CLICKHOUSE if _CLICKHOUSE_WORDS.search(error.message) else API
    return None


def side_by_address(error: ClientError, context: Context) -> str | None:
    """The side that the host and port in an error's text prove, None without a proof."""
    named = endpoints(error.text)
    for endpoint in named:
        if endpoint == context.api and endpoint not in context.addresses:
            return API
        if endpoint in context.addresses:
            return CLICKHOUSE
    for match in URL.finditer(error.text):
        if re.search(r"[?&](?:query|query_id|database)=", match[0]):
            return CLICKHOUSE
        if re.search(rf"{qtickets.WORDS}|/api/", match[0]):
            return API
    for host, port in named:
        if port in (*HTTP_PORTS, *NATIVE_PORTS) or (host == context.clickhouse[0] and host != context.api[0]):
            return CLICKHOUSE
        if host == context.api[0] and port in (None, context.api[1]):
            return API
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
    named, known = endpoints(error.text), {context.api[0], *(host for host, _ in context.addresses)} - {""}
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
    # What only announces is told with what it announces: `... failed with exception:`, dbt's `Compilation Error`.
    told = " ".join(lines[:4]) if lines and re.search(r":$|(?:^|: )[A-Z]\w+ Error$", lines[0]) else "".join(lines[:1])
    return _QUERY_STRING.sub(r"\1?...", told)[:300]
