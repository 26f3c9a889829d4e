"""What one error of a client's log comes down to: which side, which cause, which next step."""

from __future__ import annotations

import re
from collections.abc import Callable

from .context import (
    API,
    CLICKHOUSE,
    CONFIGURATION,
    HOST,
    HTTP_PORTS,
    INGEST,
    LOOPBACK,
    NATIVE_PORTS,
    NO_SOURCE,
    SCHEMA,
    SERVER,
    SOURCE,
    URL,
    Context,
    Judged,
    endpoints,
    origin,
    place,
    side_of,
)
from .log_errors import ClientError

# What a headline says where the cause is an exception of the ingest, and not just a word of failure.
OWN_CODE = "The ingest's own code failed"


def judge(error: ClientError, context: Context) -> Judged:
    """The cause of one error. Never fails: what no rule knows is `client_exception` with the text as it is."""
    judged = next(filter(None, (rule(error, context) for rule in _RULES)), None) or _generic(error, context)
    judged.headline, judged.next_step = context.renamed(judged.headline), context.renamed(judged.next_step)
    return judged


# Rules, the more specific first ---------------------------------------------------------------------------------------


_VARIABLE = r"([A-Z][A-Z0-9]*_[A-Z0-9_]+)"
_UNSET = (
    r"(?:not (?:set|found|defined|provided|configured)|missing|required|undefined|empty|unset|unbound|blank|no value)"
)
_NO_VARIABLE = (
    re.compile(
        r"(?i:environment variable|env var(?:iable)?|variable|setting)s?[ :`'\"]+([A-Z][A-Z0-9_]{3,})[`'\"]?"
        rf"(?i:.{{0,20}}{_UNSET})"
    ),
    re.compile(
        r"(?i:missing|required)(?i: required| mandatory)?(?i: environment variable| env var| variable| setting| key)s?"
        r"[ :`'\"\[]+([A-Z][A-Z0-9_]{3,})"
    ),
    # `NAME is empty`, `NAME must be set`, bash's `NAME: unbound variable` and `NAME: parameter null or not set`.
    re.compile(
        rf"\b{_VARIABLE}[`'\"]?:? (?i:(?:(?:is|was|are|has|cannot be|parameter null or)? ?{_UNSET})"
        r"|(?:must|should|has to|needs to) be (?:set|given|provided|defined))"
    ),
    re.compile(r"\b([A-Z][A-Z0-9_]{2,}): (?:unbound variable|parameter (?:null or )?not set)"),
    re.compile(r": line \d+: ([A-Z][A-Z0-9_]{2,}): "),
    re.compile(rf"(?i:could not resolve placeholder|missing (?:env|config)\w*:?) [`'\"]?{_VARIABLE}"),
    re.compile(rf"[`'\"]?{_VARIABLE}[`'\"]?:? (?:Required|Invalid input: expected \w+, received undefined)"),
)


def _missing_variable(error: ClientError, _: Context) -> Judged | None:
    kind, text = origin(error)
    key = bare_key(error) or (text if kind.endswith("KeyError") else "")
    name = None
    code = error.frame.code or "" if error.frame else ""
    if re.search(r"<frozen os>|/os\.py\"|environ\b|getenv", error.text + code) and kind.endswith("KeyError"):
        name = text.strip().strip("'\"")
    elif match := re.fullmatch(r"['\"]([A-Z][A-Z0-9]*_[A-Z0-9_]+)['\"]", key.strip()):
        # A record's field in capitals stands in the line that read it.
        name = match[1] if match[1] not in code else None
    elif match := next(filter(None, (pattern.search(error.text) for pattern in _NO_VARIABLE)), None):
        name = next(filter(None, match.groups()))
    elif "ValidationError" in error.text and "Field required" in error.text and "ettings" in error.text:
        match = re.search(r"^\s*(\w+)\s*\n\s*Field required", error.text, re.MULTILINE)
        name = match[1].upper() if match else "a required setting"
    if name is None:
        return None
    return Judged(
        "config_env_file",
        f"The ingest misses the variable {name}{place(error)}: its environment does not have it.",
        f"Add the line {name}=<value> to the ingest's env file, and check that the ingest is started with that file.",
        CONFIGURATION,
        object=name,
        expected=f"{name} set",
        actual="not set",
    )


_NO_MODULE = re.compile(
    r"No module named '?([\w.]+)|Cannot find (?:module|package) '([^']+)'"
    r"|(?:ClassNotFoundException|NoClassDefFoundError): ([\w./$]+)"
    r"|Could not load file or assembly '([\w.]+)|(\S+\.so[.\d]*): cannot open shared object file"
    r"|version `(GLIBC_[\d.]+)' not found|cannot load such file -- (\S+)|Can't locate (\S+)\.pm in @INC"
)
_NO_TIME_ZONES = re.compile(r"ZoneInfoNotFoundError|No time zone found with key (\S+)|unknown time zone (\S+)")


def _missing_module(error: ClientError, _: Context) -> Judged | None:
    if match := re.search(r"cannot import name '(\w+)' from (?:partially initialized module )?'([\w.]+)'", error.text):
        return Judged(
            "client_missing_module",
            f"The ingest's program finds no {match[1]} in {match[2]}{place(error)}: another version of it is installed "
            "than the program was written for.",
            f"Pin the version of {match[2].partition('.')[0]} that has {match[1]} in the ingest's requirements and "
            "build the image anew; a file of the loader's own with that name would hide the package.",
            INGEST,
            object=match[2],
        )
    zones = _NO_TIME_ZONES.search(error.text)
    match = _NO_MODULE.search(error.text)
    if not match and not zones:
        return None
    name = next(filter(None, match.groups()), "") if match else "tzdata"
    return Judged(
        "client_missing_module",
        f"The ingest's image has no time zone data{place(error)}: {_first_line(error.message)}"
        if zones and not match
        else f"The ingest's program lacks the package {name}{place(error)}: it ended while it loaded.",
        f"Add {name} to the ingest's requirements and build the image anew (docker build --no-cache when in doubt); "
        "if it is there, the image is older than its source.",
        INGEST,
        object=name,
    )


_FILE = re.compile(
    r"(?:FileNotFoundError|PermissionError|IsADirectoryError|NotADirectoryError|Errno (?:2|13|20|21|30)\b"
    r"|read-only file system|EROFS"
    r"|no such file\b|permission denied|ENOENT|EACCES|NoSuchFileException|AccessDeniedException"
    r"|can't open file)",
    re.IGNORECASE,
)
_FILE_NAME = re.compile(r"(?:: |open |file |'|\")((?:/|\./|[A-Za-z]:\\)[^'\":\s,)]+)|\bopen ([\w.-]+\.\w+):")


def _file(error: ClientError, _: Context) -> Judged | None:
    kind, text = origin(error)
    told = f"{kind}: {text}" if kind else error.message
    if not _FILE.search(told) or "://" in told:
        return None
    found = _FILE_NAME.search(text or error.message)
    name = (found[1] or found[2]) if found else None
    denied = re.search(r"(?i)permission|denied|EACCES|Errno (?:13|30)|read-only|EROFS", told) is not None
    return Judged(
        "client_file_denied" if denied else "client_file_missing",
        f"The ingest {'may not use' if denied else 'does not find'} the file {name or 'that it needs'}{place(error)}.",
        f"Look at it as the ingest sees it: ls -la {name or '<file>'} in its container (docker run --rm --entrypoint "
        f"ls <image> -la {name or '<file>'}). "
        + (
            "Its owner or mode does not fit the user that the container runs as: chown or chmod it, or mount the "
            "folder writable."
            if denied
            else "It has to be copied in the Dockerfile or mounted with -v, and a relative name counts from the "
            "container's working directory."
        ),
        INGEST,
        object=name,
        expected="a file that the ingest may use" if denied else "a file",
        actual="permission denied" if denied else "no such file",
    )


_ARGUMENTS = re.compile(
    r"the following arguments are required: (?P<a>.+)|unrecognized arguments: (?P<b>.+)|[Nn]o such option:? (?P<c>\S+)"
    r"|[Mm]issing (?:option|argument) (?P<d>\S+)|flag provided but not defined: (?P<e>\S+)|unknown (?:flag|option"
    r"|shorthand flag|command):? (?P<f>.+)|invalid choice: (?P<g>\S+)|argument (?P<h>\S+): (?:invalid|expected)"
    r"|(?:unexpected|required) argument[s:]* (?P<i>'[^']+'|.+)"
)


def _arguments(error: ClientError, context: Context) -> Judged | None:
    match = _ARGUMENTS.search(error.message)
    if not match or error.traceback:
        return None
    name = next(group for group in match.groups() if group).strip()
    command = f" ({context.command})" if context.command else ""
    return Judged(
        "client_bad_arguments",
        f"The ingest is started with other arguments than its program takes: {_first_line(error.message)}",
        f"Correct the command that starts it{command}: the image's ENTRYPOINT and CMD (docker image inspect -f "
        "'{{.Config.Entrypoint}} {{.Config.Cmd}}' <image>), what the inventory adds; --help lists what it takes.",
        CONFIGURATION,
        object=name,
    )


_POOL = re.compile(
    r"acquire conn timeout|QueuePool limit|connection pool (?:is )?(?:exhausted|full)|request timed out after \d+ ?ms"
    r"|Connection is not available|Timeout acquiring a connection|pool timed out",
    re.IGNORECASE,
)


def _pool(error: ClientError, _: Context) -> Judged | None:
    if not _POOL.search(error.text):
        return None
    return Judged(
        "client_pool_exhausted",
        f"The ingest waited in vain for a free connection of its own pool{place(error)}: no statement was refused.",
        "Give every batch, row set and connection back (Close, defer, with), run fewer workers than the pool has "
        "connections, or raise its size and time-out (MaxOpenConns, pool_size, maximumPoolSize).",
        INGEST,
        expected="a free connection in the pool",
    )


_BARE_KEY = re.compile(
    r"^(?:(?P<lead>.*?\S)\s*(?::|=|-|–)\s+)?(?P<key>-?\d{1,9}|'[^'\n]{1,80}'|\"[^\"\n]{1,80}\")$", re.DOTALL
)
_LEAD_WORDS = re.compile(
    r"err|exc|fail|unexpected|problem|cannot|could|ошибк|сбой|не удалось|исключен|fehler|błąd", re.I
)


def bare_key(error: ClientError) -> str | None:
    """The key when all that an error says is a number or a quoted name, which is how `str(KeyError(key))` prints."""
    if error.type is not None or error.traceback:
        return None
    match = _BARE_KEY.match(error.message.strip())
    if not match or error.http_status or error.server_code:
        return None
    lead = match["lead"]
    if lead is not None and not _LEAD_WORDS.search(lead):
        return None
    # What the key is said of: an error, or one name (`load failed: orders: 'sku'`); a sentence says something itself.
    said = (lead or "").rpartition(": ")[2].strip()
    if " " in said and not _LEAD_WORDS.search(said):
        return None
    # "exit code: 1", "failed with status 1", "errors: 3" count or end something.
    if lead and re.search(
        r"(?i)(?:code|status|exit|count|total|errors|failures|attempts?|rows|line|port|id)\W*$", lead
    ):
        return None
    return match["key"]


# How a missing key reads in Ruby, .NET, PHP, Elixir and Kotlin.
_NO_KEY = re.compile(
    r"key not found: [:\"']?(\w+)|given key [\"'](.+?)[\"'] was not present|Undefined (?:array key|index:?) [\"']?(\w+)"
    r"|\bkey :(\w+) not found in|Key (\w+) is missing in the map"
)


def _key_error(error: ClientError, context: Context) -> Judged | None:
    if not error.traceback and (match := _NO_KEY.search(error.message)):
        name = next(filter(None, match.groups()))
        return Judged(
            "client_key_error",
            f"{OWN_CODE}{place(error)}: the data has no key {name} ({_first_line(error.message)}).",
            f"Look at the data that the code reads {name} from; treat the field as optional or reject the record by "
            "name." + ("" if error.frame else " Log the stack with it, so that file and line are known."),
            INGEST,
            object=name,
        )
    key = bare_key(error)
    if key is not None:
        number = key.lstrip("-").isdigit()
        what = (
            f"a record has no key {key}: rows given as dictionaries where the code (or clickhouse-connect's insert) "
            "takes "
            "them by position, or a lookup table without that id"
            if number
            else f"a record, from the API or a row for ClickHouse, has no field {key}"
        )
        said = error.message.strip().splitlines()[-1]
        return Judged(
            "client_key_error",
            f"{OWN_CODE}, and its log says only {said!r}: {key} is all that str(KeyError({key})) "
            "prints, it is no ClickHouse error code.",
            "In the loader, where this line is logged, write logger.exception(...) or repr(error) instead of "
            "str(error), and run again: the traceback names file, line and key. Look there for this: " + what + ".",
            INGEST,
            object=key.strip("'\""),
            expected="an error with its type and place",
            actual=f"the text {key} alone",
        )
    kind, text = origin(error)
    if not kind.endswith("KeyError") or not text:
        return None
    text = text.strip()
    if match := re.search(r"\[([^\[\]]+)\](?:, dtype='\w+'\))?\]? (?:not in index|are in the \[)", text):
        # pandas names the columns that its frame has not.
        text = match[1].partition(",")[0].strip()
    driver = "clickhouse_driver" in error.libraries or "clickhouse_connect" in error.libraries
    row = driver or (context.clickhouse[0] and "insert" in (error.frame.code or "" if error.frame else ""))
    if row and text.lstrip("-").isdigit():
        action = (
            "Give the rows as tuples or lists in the order of the columns: clickhouse-connect's insert takes no "
            "dictionaries, and clickhouse-driver takes either all rows as dictionaries or none."
        )
    elif row:
        action = f"Put {text} into every row that is handed to the driver (None where the column is Nullable)."
    else:
        action = (
            f"Look at the data in that line: what it reads has no {text}. If it comes from the API, ask the API for "
            "that "
            "record and compare; treat the field as optional or reject the record by name."
        )
    if error.frame is None:
        action = "Log the whole exception (logger.exception) so that file and line are known. " + action
    return Judged(
        "client_key_error",
        f"{OWN_CODE} with KeyError: {text}{place(error)}: the {'row' if row else 'data'} has no key {text}.",
        action,
        INGEST,
        object=text.strip("'\""),
    )


_SERIALIZATION = (
    re.compile(
        r"\((?P<column>\w+) (?P<type>[A-Z][\w]*(?:\([^()]*(?:\([^()]*\))*[^()]*\))?)\)[: ]+"
        r"(?P<why>converting (?P<got>\S+) to [^\"\n]*)"
    ),
    re.compile(
        r"Error serializing column [`'\"](?P<column>[^`'\"]+)[`'\"] into data type "
        r"(?P<quote>[`'\"])(?P<type>.+?)(?P=quote)(?!\w)"
    ),
    re.compile(
        r"Expected (?P<type>\S+) got <class '(?P<got>[^']+)'>: (?P<value>.*?) for column \"(?P<column>[^\"]+)\"",
        re.DOTALL,
    ),
    re.compile(r"Type mismatch in VALUES section.*?Column (?P<column>[\w.]+): (?P<why>.*)"),
    re.compile(
        r"Unable to create (?:native|Python) array(?: for(?: source)? column [`'\"](?P<column>[^`'\"]+)[`'\"])?"
    ),
    re.compile(r"Failed to write column [`'\"](?P<column>[^`'\"]+)[`'\"]: ?(?P<why>.*)"),
    re.compile(r"Invalid None value in non-Nullable column(?:, column name: `(?P<column>[^`]+)`)?"),
    re.compile(
        r"(?P<why>argument out of range|required argument is not an integer|'[bBhHiIlLqQfd]' format requires [^\n]*"
        r"|u?byte format requires[^\n]*|int too large to convert|TooLargeStringSize|Type mismatch in VALUES section)"
    ),
    re.compile(
        r"(?P<why>'(?P<got>\w+)' object has no attribute '(?P<attribute>encode|timestamp|tzinfo|utcoffset|toordinal)')"
    ),
)
_WRITES_A_COLUMN = re.compile(
    r"clickhouse_driver/(?:columns|block\.py|varint|writer)|clickhouse_connect/(?:datatypes|driverc"
    r"|driver/(?:transform|insert|dataconv))"
)
_KIND_BY_ATTRIBUTE = {"encode": "String", "timestamp": "DateTime", "tzinfo": "DateTime", "utcoffset": "DateTime"}


def _serialization(error: ClientError, context: Context) -> Judged | None:
    text = "\n".join([error.text, *(f"{kind}: {message}" for kind, message in error.chain)])
    found: dict[str, str] = {}
    for pattern in _SERIALIZATION:
        if match := pattern.search(text):
            found = {**{key: value for key, value in match.groupdict().items() if value}, **found}
    if not found and not _WRITES_A_COLUMN.search(text) and not any(p.search(text) for p in _SERIALIZATION[3:6]):
        return None
    if not found.get("column") and side_of(error, context) == API:
        return None
    kind, message = origin(error)
    column = found.get("column")
    kind_of_column = found.get("type") or _KIND_BY_ATTRIBUTE.get(found.get("attribute", ""))
    why = found.get("why") or (f"{kind}: {message}" if kind else message)
    value = f" (value {found['value'][:60]}, Python {found['got']})" if found.get("value") and found.get("got") else ""
    if not value and found.get("got"):
        value = f" (given was {found['got']})"
    into = f"column {column}" if column else "a column"
    into += f" of type {kind_of_column}" if kind_of_column else ""
    wanted = kind_of_column or "the column's type"
    return Judged(
        "client_serialization",
        f"The client could not write a value into {into}{value}{place(error)}: {why.strip().splitlines()[0]}. The "
        "server "
        "never got the row.",
        f"Convert the value to {wanted} before the insert ({_conversion(kind_of_column)})"
        + ("" if column else "; to learn which column, log the whole exception, or insert with types_check=True "
           "(clickhouse-driver)")
        + ". If the value is right, widen the column instead (ALTER TABLE ... MODIFY COLUMN).",
        INGEST,
        object=column,
        expected=kind_of_column,
        actual=found.get("got") or why.strip().splitlines()[0],
    )  # fmt: skip


def _conversion(kind: str | None) -> str:
    base = re.sub(r"^(?:Nullable|LowCardinality)\(", "", kind or "")
    if base.startswith(("UInt", "Int")):
        return "int(...), within the type's range; None only where the column is Nullable"
    if base.startswith(("DateTime", "Date")):
        return "datetime.fromisoformat(...), no text"
    if base.startswith(("String", "FixedString", "Enum")):
        return "str(...); None only where the column is Nullable"
    if base.startswith("Decimal"):
        return "Decimal(str(...))"
    return "int, str, Decimal or datetime as the column asks; None only where it is Nullable"


def _columns(error: ClientError, context: Context) -> Judged | None:
    if match := re.search(r"Unrecognized column [`'\"]([^`'\"]+)[`'\"] in table [`'\"]?([\w.`]+)", error.text):
        column, table = match[1], match[2].replace("`", "").rstrip(".")
        database = context.value("CLICKHOUSE_DB") or context.database
        if "." not in table and database:
            table = f"{database}.{table}"
        # The client has compared with DESCRIBE TABLE: the server's table lacks the column, though no INSERT was sent.
        return Judged(
            "server_missing_column",
            f"Table {table} has no column {column}: the client saw that in the table's description and sent no INSERT.",
            f"If the schema is behind the loader: ALTER TABLE {table} ADD COLUMN `{column}` <type>; "
            f"if the name is wrong, correct it in the loader{place(error)}.",
            SCHEMA,
            object=f"{table}.{column}",
            expected=f"column {column}",
            actual="no such column",
        )
    match = re.search(
        r"[Ee]xpected (\d+) (?:columns|arguments|values), (?:but )?got (\d+)"
        r"|Insert data column count does not match column names",
        error.text,
    )
    if not match:
        return None
    known = match[1] is not None
    return Judged(
        "client_column_count",
        "The rows that the ingest hands to its driver have another number of values than the INSERT has columns"
        + (f": {match[2]} instead of {match[1]}" if known else "")
        + f"{place(error)}. The server never got the rows.",
        "Name the columns of the insert, and build each row with one value per name, in that order.",
        INGEST,
        expected=f"{match[1]} values per row" if known else None,
        actual=f"{match[2]}" if known else None,
    )


_WRONG_PROTOCOL = re.compile(
    r"Port (\d+) is for clickhouse-client program|expected Hello or Exception, got|Unknown packet (?:id )?72\b"
    r"|Unexpected packet (?:id )?72\b|unexpected packet \[?72|BadStatusLine|Received HTTP/0\.9"
    r"|malformed HTTP (?:response|status)"
    r"|Parse Error: Expected HTTP/|invalid HTTP version|illegal status line",
    re.IGNORECASE,
)
_TLS = re.compile(
    r"WRONG_VERSION_NUMBER|wrong version number|RECORD_LAYER_FAILURE|record layer failure|UNKNOWN_PROTOCOL"
    r"|unknown protocol"
    r"|PACKET_LENGTH_TOO_LONG|first record does not look like a TLS handshake|SSL handshake|EPROTO\b"
    r"|UNEXPECTED_EOF_WHILE"
    r"|plain HTTP request was sent to HTTPS port|HTTP request to an HTTPS server|CERTIFICATE_VERIFY_FAILED"
    r"|certificate verify failed|self[- ]signed certificate|Hostname mismatch|x509:|SSLError|NotSslRecordException",
    re.IGNORECASE,
)
_CERTIFICATE = re.compile(r"CERTIFICATE|certificate|Hostname mismatch|x509:", re.IGNORECASE)
_UNKNOWN_HOST = re.compile(
    r"Name or service not known|Temporary failure in name resolution|getaddrinfo|nodename nor servname|gaierror"
    r"|No address associated with hostname|NameResolutionError|\bENOTFOUND\b|EAI_AGAIN|UnknownHost|no such host"
    r"|Not found address of host|\bhost not found|Имя или служба не известны"
    r"|(?:Could not|unable to) resolve host|Failed to resolve|Name does not resolve|getaddrinfo failed|DNS_ERROR",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"Connection refused|Couldn't connect to server|ECONNREFUSED|ConnectionRefused|actively refused"
    r"|(?<!connect\.errors\.)\bConnectException\b(?!.*timed out)"
    r"|Errno 111\b|Connect call failed"
    r"|Errno 61\b|No route to host|Network is unreachable|EHOSTUNREACH|All connection attempts failed"
    r"|соединение отклонено|в соединении отказано|Verbindungsaufbau abgelehnt",
    re.IGNORECASE,
)
_CONNECT_TIMEOUT = re.compile(
    r"ConnectTimeout|connect(?:ion)? timed? ?out|ETIMEDOUT|Errno 110\b|dial tcp .*i/o timeout", re.I
)
_READ_TIMEOUT = re.compile(
    r"ReadTimeout|read timed? ?out|timed out|TimeoutE(?:rror|xception)|SocketTimeout|deadline exceeded|ESOCKETTIMEDOUT"
    r"|no complete answer within|Timeout (?:exceeded|while)|\btimeout\b|время ожидания|тайм-?аут",
    re.IGNORECASE,
)
_LOST = re.compile(
    r"Connection reset|ECONNRESET|Broken ?pipe|\bEPIPE\b|Empty reply from server|premature close|[]:] EOF$"
    r"|RemoteDisconnected|RemoteProtocolError|Connection aborted|EOFError"
    r"|unexpected EOF|Unexpected EOF|IncompleteRead|ChunkedEncodingError|server (?:closed|disconnected)|socket hang up"
    r"|Connection (?:was )?closed|peer closed connection|closed the connection",
    re.IGNORECASE | re.MULTILINE,
)


_PROXY = re.compile(
    r"ProxyError|connect to proxy|Tunnel connection failed|CONNECT tunnel failed|Proxy Authentication Required"
    r"|proxyconnect tcp"
)


def _proxy(error: ClientError, _: Context) -> Judged | None:
    if not _PROXY.search(error.text):
        return None
    return Judged(
        "client_unreachable",
        f"The ingest's requests go through a proxy, which does not let them pass{place(error)}: "
        f"{_first_line(error.message)}",
        "Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY in the ingest's environment: the proxy's address and its login; "
        "ClickHouse's name and other internal ones belong into NO_PROXY.",
        CONFIGURATION,
        object="HTTPS_PROXY",
    )


def _connection(error: ClientError, context: Context) -> Judged | None:
    text = error.text
    if error.http_status and not re.search(r"Port \d+ is for clickhouse-client", text):
        return None
    for pattern, to_clickhouse, to_api in _CONNECTION_RULES:
        if pattern.search(text):
            side = side_of(error, context)
            if pattern is _WRONG_PROTOCOL and re.search(r"(?i)\bpacket\b|expected Hello|clickhouse-client", text):
                side = CLICKHOUSE
            if third_party(error, context):
                return api_unreachable(error, context, None)
            # Which of the two it was cannot be told without a name; a loader talks to the API first and longest.
            return to_clickhouse(error, context) if side == CLICKHOUSE else to_api(error, context, side)
    return None


def _clickhouse_target(error: ClientError, context: Context) -> tuple[str, int | None]:
    host, port = context.clickhouse
    return next(((h, p) for h, p in endpoints(error.text) if (h, p) != context.api), (host, port))


def _native(error: ClientError) -> bool:
    return "clickhouse_driver" in error.libraries or bool(
        re.search(r"Code: (?:102|209|210)\.|clickhouse_driver|asynch|expected Hello|clickhouse-go", error.text)
    )


def _clickhouse_protocol(error: ClientError, context: Context) -> Judged:
    host, port = _clickhouse_target(error, context)
    native_asked_http = bool(re.search(r"expected Hello|packet (?:id )?\[?72", error.text, re.I)) or (
        _native(error) and port in HTTP_PORTS
    )
    spoken, found = ("native protocol", "HTTP") if native_asked_http else ("HTTP", "ClickHouse's native protocol")
    wanted = "the native port (9000, with TLS 9440)" if native_asked_http else "the HTTP port (8123, with TLS 8443)"
    return Judged(
        "client_wrong_protocol",
        f"The ingest speaks {spoken} to {host or 'ClickHouse'}:{port or '?'}, and that port speaks {found}.",
        f"Set CLICKHOUSE_PORT in the ingest's env file to {wanted}.",
        CONFIGURATION,
        object=f"{host}:{port}" if port else host or None,
        expected=f"a port that speaks {spoken}",
        actual=f"a port that speaks {found}",
    )


def _clickhouse_tls(error: ClientError, context: Context) -> Judged:
    host, port = _clickhouse_target(error, context)
    where = f"{host or 'ClickHouse'}:{port or '?'}"
    if _CERTIFICATE.search(error.text):
        return Judged(
            "client_tls_mismatch",
            f"The ingest does not trust the certificate of {where}.",
            "Give the ingest the CA that signed it, connect by the name in the certificate, or set "
            "CLICKHOUSE_VERIFY_SSL=false on a network that you trust.",
            CONFIGURATION,
            object=where,
        )
    plain_to_tls = bool(re.search(r"plain HTTP request was sent|HTTP request to an HTTPS", error.text))
    return Judged(
        "client_tls_mismatch",
        f"The ingest speaks {'plain text to the TLS port' if plain_to_tls else 'TLS to the plain port'} {where}.",
        (
            "Set CLICKHOUSE_SECURE=true, or give the plain port (8123 HTTP, 9000 native)."
            if plain_to_tls
            else "Set CLICKHOUSE_SECURE=false, or give the port that has TLS (8443 HTTP, 9440 native)."
        ),
        CONFIGURATION,
        object=where,
        expected="TLS on both ends or on none",
        actual="TLS on one end",
    )


def _clickhouse_unknown(error: ClientError, context: Context) -> Judged:
    match = re.search(
        r"Failed to resolve '([^']+)'|(?:ENOTFOUND|EAI_AGAIN) ([\w.-]+)|host: ([\w.-]+)|lookup ([\w.-]+)"
        r"|UnknownHostException: ([\w.-]+)",
        error.text,
    )
    named = next((group for group in match.groups() if group), None) if match else None
    host = (named or _clickhouse_target(error, context)[0] or "of ClickHouse").rstrip(".")
    return Judged(
        "client_unknown_host",
        f"The ingest cannot resolve ClickHouse's host name {host}.",
        f"Check CLICKHOUSE_HOST in the env file. Within Docker the name is that of the container or service "
        f"({host}), and "
        "only containers of the same network know it: docker run --network clickhouse_default; "
        "docker network inspect clickhouse_default lists who is in it.",
        CONFIGURATION,
        object=host,
        expected="a name that resolves where the ingest runs",
        actual="name not known",
    )


def _clickhouse_refused(error: ClientError, context: Context) -> Judged:
    host, port = _clickhouse_target(error, context)
    where = f"{host}:{port}" if port else host or "ClickHouse"
    if context.container and LOOPBACK.match(host):
        return Judged(
            "client_connection_refused",
            f"The ingest connects to {where}, and inside a container that is the container itself, not ClickHouse.",
            "Set CLICKHOUSE_HOST in the env file to the name of ClickHouse's container (ch-zakaz), and run the "
            "ingest in "
            "the same Docker network.",
            CONFIGURATION,
            object=where,
            expected="the name of ClickHouse's container",
            actual=host,
        )
    if LOOPBACK.match(host):
        action = f"Check that ClickHouse runs and listens on port {port}: ss -ltn | grep {port}; otherwise correct "
        action += "CLICKHOUSE_HOST and CLICKHOUSE_PORT in the env file."
    else:
        action = (
            f"Check that ClickHouse is up and that {port or 'the port'} is its port. If its own health check is "
            "green and "
            "nobody else gets in, it listens on loopback inside its container: docker exec ch-zakaz ss -ltn (or cat "
            "/proc/net/tcp) must show 0.0.0.0 or [::], set by <listen_host>::</listen_host> in config.d."
        )
    return Judged(
        "client_connection_refused",
        f"Nothing accepts the ingest's connection to ClickHouse at {where}.",
        action,
        SERVER,
        object=where,
        expected=f"a ClickHouse that listens at {where}",
        actual="connection refused",
    )


def _clickhouse_connect_timeout(error: ClientError, context: Context) -> Judged:
    host, port = _clickhouse_target(error, context)
    return Judged(
        "client_connect_timeout",
        f"The ingest's connection to ClickHouse at {host}:{port or '?'} gets no answer at all.",
        "A firewall drops the packets or the address is another machine's: check CLICKHOUSE_HOST, and the port's rule.",
        CONFIGURATION,
        object=f"{host}:{port}",
    )


def _clickhouse_read_timeout(error: ClientError, _: Context) -> Judged:
    return Judged(
        "client_socket_timeout",
        f"The ingest gave up waiting for ClickHouse's answer{place(error)}; the server may have finished the statement "
        "all the same.",
        "Look in system.query_log for the statement's duration; raise the client's receive timeout above it, or send "
        "smaller batches.",
        INGEST,
        generic=True,
    )


def _clickhouse_lost(error: ClientError, context: Context) -> Judged:
    _, port = _clickhouse_target(error, context)
    native = _native(error)
    if (native and port in HTTP_PORTS) or (not native and port in NATIVE_PORTS):
        return _clickhouse_protocol(error, context)
    return Judged(
        "client_connection_lost",
        f"The ingest's connection to ClickHouse broke{place(error)}.",
        "Look whether the server was restarted or killed at that time (docker ps, its log, system.crash_log); if it "
        "was "
        "not, a proxy or a keep-alive time-out cut the connection: let the client retry.",
        SERVER,
        generic=True,
    )


def third_party(error: ClientError, context: Context) -> str | None:
    """The host that an error names when it is neither the API's nor ClickHouse's: both are known, or
    the name says what it is (a chat, a proxy, a collector of metrics). An address in
    numbers, or with a port of ClickHouse, may be one of the two."""
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


_SOME_ADDRESS = "An address the ingest needs (the API, or ClickHouse: the log does not say which)"


def api_unreachable(error: ClientError, context: Context, side: str | None) -> Judged:
    host = next((h for h, _ in endpoints(error.text)), "") or (context.api[0] if side == API else "")
    text = error.text
    who = "The API" if side == API else f"{host}, an address the ingest needs," if host else _SOME_ADDRESS
    other = third_party(error, context)
    if other:
        who = f"{other}, which is neither the API nor ClickHouse,"
    if _UNKNOWN_HOST.search(text):
        what, action = "cannot be resolved", "Check the host in QTICKETS_BASE_URL, and DNS where the ingest runs"
    elif _TLS.search(text):
        what = "fails the TLS handshake"
        action = (
            "Check http/https and the port in QTICKETS_BASE_URL, the CA certificates of the image, and a proxy between"
        )
    elif _REFUSED.search(text) and not _CONNECT_TIMEOUT.search(text):
        what, action = "refuses the connection", "Check that the API is up and that QTICKETS_BASE_URL is right"
    elif _CONNECT_TIMEOUT.search(text):
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


_CONNECTION_RULES: tuple[
    tuple[
        re.Pattern[str], Callable[[ClientError, Context], Judged], Callable[[ClientError, Context, str | None], Judged]
    ],
    ...,
] = (
    (_WRONG_PROTOCOL, _clickhouse_protocol, api_unreachable),
    (_TLS, _clickhouse_tls, api_unreachable),
    (_UNKNOWN_HOST, _clickhouse_unknown, api_unreachable),
    (_REFUSED, _clickhouse_refused, api_unreachable),
    (_CONNECT_TIMEOUT, _clickhouse_connect_timeout, api_unreachable),
    (_LOST, _clickhouse_lost, api_unreachable),
    (_READ_TIMEOUT, _clickhouse_read_timeout, api_slow),
)


def _http(error: ClientError, context: Context) -> Judged | None:
    status = error.http_status
    if status is None:
        if re.search(
            r"\b(?:unauthorized|invalid (?:api )?token|token (?:is )?(?:wrong|invalid|expired))\b", error.text, re.I
        ):
            status = 401
        else:
            return None
    side, other = side_of(error, context), third_party(error, context)
    if side == CLICKHOUSE and not other:
        return _clickhouse_status(error, status, context)
    if other or (side is None and status in (400, 404, 500) and not URL.search(error.text)):
        who = f"{other}, which is neither the API nor ClickHouse," if other else "An address that the log does not name"
        return Judged(
            "client_exception",
            f"{who} answered the ingest with HTTP {status}{place(error)}.",
            f"Check the ingest's settings for {other}; if the load does not need it (a notice, metrics), let the "
            "ingest log its failure and go on."
            if other
            else "Let the loader log the address and the answer's body with it (curl: without -f, or --fail-with-body)"
            ": ClickHouse answers a refused statement so too, with its code in the body.",
            CONFIGURATION if other else INGEST,
            object=other,
            actual=f"HTTP {status}",
            generic=not other,
        )
    return api_status(status, error.text, place(error), context)


def _clickhouse_status(error: ClientError, status: int, context: Context) -> Judged:
    where = context.clickhouse_name
    if status in (401, 403):
        user = context.value("CLICKHOUSE_USER")
        return Judged(
            "server_authentication",
            f"ClickHouse at {where} refused the ingest's login or privilege (HTTP {status}); its log keeps no "
            "exception "
            "text.",
            f"Check CLICKHOUSE_USER{f' ({user})' if user else ''} and CLICKHOUSE_PASSWORD in the env file: curl -sS "
            f"'http://{where}/?query=SELECT+1' --user {user or '<user>'} shows the server's reason.",
            CONFIGURATION,
            object=str(user) if user else None,
        )
    return Judged(
        "client_exception",
        f"ClickHouse at {where} answered HTTP {status}, and the ingest's log keeps none of the answer's text"
        f"{place(error)}.",
        "Let the loader log the answer's body (response.text): it names the code and the reason. "
        + (
            "If the server's query_log has no failing statement, the port is the native protocol's (9000), which "
            "answers HTTP with 400: set CLICKHOUSE_PORT to the HTTP port (8123)."
            if status == 400
            else "The server's query_log has the failing statement."
        ),
        INGEST,
        actual=f"HTTP {status}",
        generic=True,
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
            else f"Run again when the API answers: curl -sS -o /dev/null -w '%{{http_code}}\\n' "
            f"{context.request('events', text)}; "
            "if it stays, ask its operator with the time and the address.",
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


def _shape(error: ClientError, context: Context) -> Judged | None:
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


def _payload(error: ClientError, context: Context) -> Judged | None:
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
        f"{_first_line(text)}",
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


def _source_words(error: ClientError, context: Context) -> Judged | None:
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
        f"The API ignored the ingest's filter and answered with orders from outside the window: {_first_line(text)}",
        'Send the filter as the API reads it: where=[{"column":"payed_at","operator":">=","value":"...+03:00"}], '
        "JSON-encoded as a query parameter with + written as %2B (curl -G --data-urlencode does it); unknown "
        "parameters "
        "such as since= are ignored with HTTP 200. Then check what came back against the window.",
        INGEST,
        object=context.api[0] or None,
        expected="orders of the window only",
        actual=_first_line(text),
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
        f"The API's pages repeat or skip records: {_first_line(text)}",
        'Ask with orderBy={"id":"asc"}: only then is the order of pages stable; and compare the ids read with the '
        "total that the paging block names.",
        INGEST,
        expected="each record on one page",
        actual=_first_line(text),
    )


def _resources(error: ClientError, _: Context) -> Judged | None:
    if re.search(r"MemoryError|Cannot allocate memory|OutOfMemory|heap out of memory|std::bad_alloc", error.text):
        return Judged(
            "client_killed_memory",
            f"The ingest ran out of memory{place(error)}.",
            "Give it more (docker run --memory), or load in smaller batches: a shorter window, fewer rows per insert.",
            INGEST,
        )
    if re.search(r"No space left on device|Errno 28\b|ENOSPC", error.text):
        return Judged(
            "host_no_space",
            f"The ingest found no space left on its own disk{place(error)}.",
            "Make room where it writes: df -h; docker system df.",
            HOST,
        )
    return None


def _dry_run(error: ClientError, _: Context) -> Judged | None:
    if re.search(r"(?i)\bdry[ _-]?run\b(?!\W*(?:is )?(?:=|:)?\s*(?:off|false|0|no)\b)", error.message):
        return dry_run()
    return None


def dry_run() -> Judged:
    """The ingest was told to write nothing."""
    return Judged(
        "config_dry_run",
        "DRY_RUN is left on: the ingest asked the API and wrote nothing.",
        "Set DRY_RUN=false in the ingest's env file and run again.",
        CONFIGURATION,
        object="DRY_RUN",
        expected="false",
        actual="true",
    )


def _empty_message(error: ClientError, _: Context) -> Judged | None:
    if (
        error.type
        or error.traceback
        or not re.search(
            r"(?i)(?:err\w*|exc\w*|fail\w*|ошибка|сбой)\b[\w ]{0,30}\W{0,3}[:=-]\s*(?:None|null|undefined|\(\)|\{\})?$",
            error.message,
        )
    ):
        return None
    return Judged(
        "client_exception",
        f"The ingest logged an error without a text ({error.message.strip()!r}): some exceptions print as nothing, "
        "such as "
        "TimeoutError(), AssertionError() or httpx.ReadTimeout('').",
        "In the loader, where this line is logged, write logger.exception(...) or repr(error) instead of "
        "str(error), and "
        "run again.",
        INGEST,
        generic=True,
    )


# How exceptions print when only their text is logged: the type that such a text has, and what it comes down to.
_TEXTS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"(?:list|string|tuple|pop) (?:assignment )?index out of range|pop from empty list"), "IndexError",
     "a list or a line has fewer elements than the code reads: an answer of the source that is empty or shorter"),
    (re.compile(r"'NoneType' object (?:is not|has no attribute|does not|cannot)|of (?:type ')?NoneType\b"), "TypeError",
     "a value that the code reads is None: the source sent null, or a look-up found nothing"),
    (re.compile(r"'\w+' object has no attribute '\w+'"), "AttributeError",
     "a value has another type than the code takes it for"),
    (re.compile(r"(?:string|byte|list|tuple) ind(?:ices|exes) must be"
                r"|'\w+' object is not (?:subscriptable|iterable|callable)"),
     "TypeError", "a value has another type than the code takes it for: an error text where a record was expected"),
    (re.compile(r"invalid literal for int\(\)|could not convert string to|Invalid isoformat string"
                r"|does not match format"
                r"|unconverted data remains|day is out of range|month must be in"), "ValueError",
     "a text of the source does not have the form that the code reads"),
    (re.compile(r"ConversionSyntax|decimal\.\w+"), "decimal.InvalidOperation",
     "a text of the source is no number"),
    (re.compile(r"unsupported operand type|can only concatenate|must be str, not|not all arguments converted"
                r"|unexpected keyword argument|missing \d+ required positional|cannot unpack|object is not iterable"),
     "TypeError", "the code puts together values of types that do not fit"),
    (re.compile(r"(?:too many|not enough) values to unpack"), "ValueError",
     "a record has another number of fields than the code reads"),
    (re.compile(r"(?:division|modulo) by zero"), "ZeroDivisionError", "a count that the code divides by is 0"),
    (re.compile(r"maximum recursion depth"), "RecursionError", "the code calls itself without end"),
    (re.compile(r"codec can't (?:de|en)code"), "UnicodeError", "a text has another encoding than the code reads"),
    (re.compile(r"Cannot read propert(?:y|ies) (?:'\w+' )?of (?:undefined|null)|(?:undefined|null) is not an object"),
     "TypeError", "a record lacks the field that the code reads"),
    (re.compile(r"\b[\w.]+ is not (?:a function|iterable|defined)\b"), "TypeError",
     "a value has another type than the code takes it for"),
    # The same on the JVM, in Go, Rust, .NET, Ruby and PHP.
    (re.compile(r"[Ii]ndex -?\d+ out of bounds for length|index out of (?:range \[|bounds: the len)"
                r"|[Ii]ndex was out(?:side| of)|[Uu]ndefined (?:array )?offset"), "an index out of range",
     "a list or a line has fewer elements than the code reads: an answer of the source that is empty or shorter"),
    (re.compile(r"[Oo]bject reference not set|nil pointer dereference|in nil map|\bfor nil\b|\" is null$"
                r"|on a `None` value|\bon null$|No value present"), "a null reference",
     "a value that the code reads is not there: the source sent null, or a look-up found nothing"),
    (re.compile(r"For input string: |Input string .*not in a correct format|strconv\.\w+: parsing"
                r"|invalid digit found in string|invalid float literal|cannot convert float NaN"),
     "a failed conversion to a number", "a text of the source is no number, or has another decimal sign"),
)  # fmt: skip


def _text_alone(error: ClientError, _: Context) -> Judged | None:
    """The text of a well-known exception, logged without its type and place."""
    if error.type or error.traceback or error.frame:
        return None
    found = next((item for item in _TEXTS if item[0].search(error.message)), None)
    if found is None:
        return None
    return Judged(
        "client_exception",
        f"{OWN_CODE}, and its log says only {_first_line(error.message)!r}: that is the text of "
        f"{found[1]}, which comes from the code and not from ClickHouse.",
        f"In the loader, where this line is logged, write logger.exception(...) or repr(error) instead of str(error), "
        f"and run again: the traceback names file and line. Look there for this: {found[2]}.",
        INGEST,
        expected="an error with its type and place",
        actual=_first_line(error.message),
        generic=True,
    )


def _generic(error: ClientError, _: Context) -> Judged:
    kind, text = origin(error)
    message = _first_line(text or error.message) if kind else _first_line(error.message)
    if kind:
        headline = f"{OWN_CODE} with {kind}{f': {message}' if message else ''}{place(error)}."
    elif error.traceback and error.frame and "Traceback (most recent" not in error.text:
        headline = f"{OWN_CODE}{place(error)}: {message}"
    elif error.traceback and error.frame:
        headline = f"{OWN_CODE}{place(error)}; its log breaks off before it names the exception"
        headline += f": {message}" if message else "."
    else:
        headline = f"The ingest reports: {message}"
    if error.frame:
        code = f" ({error.frame.code})" if error.frame.code else ""
        action = f"Correct {error.frame.file}:{error.frame.line}{code}; this is the loader's own code."
    else:
        action = (
            "Make the loader log the whole exception where this line is written (logger.exception, or repr(error)), "
            "and "
            "run again: the traceback names file and line."
        )
    return Judged("client_exception", headline, action, INGEST, generic=True)


# An encoded filter is longer than the reason that stands behind it.
_QUERY_STRING = re.compile(r"(https?://[^\s?'\"<>]+)\?[^\s'\"<>:,;)]+")


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return _QUERY_STRING.sub(r"\1?...", lines[0])[:300] if lines else ""


_RULES: tuple[Callable[[ClientError, Context], Judged | None], ...] = (
    _missing_variable,
    _missing_module,
    _arguments,
    _columns,
    _key_error,
    _serialization,
    _resources,
    _file,
    _pool,
    _shape,
    _proxy,
    _connection,
    _http,
    _payload,
    _source_words,
    _dry_run,
    _empty_message,
    _text_alone,
)
