"""The ingest's own code: a key that is not there, an exception told by its text alone, and what no rule knows."""

from __future__ import annotations

import re

from ...facts.log.errors import ClientError
from .context import INGEST, Context, Judged, first_line, origin, place
from .row_rules import lacking_element

# What a headline says where the cause is an exception of the ingest, and not just a word of failure.
OWN_CODE = "The ingest's own code failed"
# A number counts as a key only behind a colon: behind other signs it ends a sentence (`limit is != 0`).
_BARE_KEY = re.compile(
    r"^(?:(?P<lead>.*?\S)\s*(?::\s+(?=.*$)|(?:=|-|–)\s+(?=['\"])))?(?P<key>-?\d{1,9}|'[^'\n]{1,80}'|\"[^\"\n]{1,80}\")$",
    re.DOTALL,
)
_LEAD_WORDS = re.compile(r"\berr(?:or)?s?\b|\w(?:Error|Exception)\b|\bfail|\bunexpected\b|ошибк", re.I)


def bare_key(error: ClientError) -> str | None:
    """The key when all that an error says is a number or a quoted name, which is how `str(KeyError(key))` prints."""
    if error.type is not None or error.traceback:
        return None
    match = _BARE_KEY.match(error.message.strip())
    if (
        not match
        or error.http_status
        or error.server_code
        or "[Errno " in error.text
        or any(known[0].search(error.message) for known in _TEXTS)
    ):
        return None
    lead = match["lead"]
    if lead is not None and not _LEAD_WORDS.search(lead):
        return None
    # What the key is said of: an error, or one name (`load failed: orders: 'sku'`); a sentence says something itself.
    said = (lead or "").rpartition(": ")[2].strip()
    if " " in said and not _LEAD_WORDS.search(said):
        return None
    # "exit code: 1", "failed with status 1", "errors: 3", "configured to fail if: 0" count or end something.
    if lead and re.search(
        r"(?i)(?:code|status|exit|count|total|errors|failures|attempts?|rows|line|port|id|if|left|limit)\W*$", lead
    ):
        return None
    if match["key"].lstrip("-").isdigit() and "," in (lead or ""):
        return None
    return match["key"]


def _told_whole(error: ClientError, context: Context) -> str:
    """How a message that is less than its exception becomes whole: where it is written, or by the tool's own option."""
    if not context.editable(error.text):
        return "Run the tool again with its debug output on:"
    return (
        "In the loader, where this line is logged, write logger.exception(...) or repr(error) instead of str(error), "
        "and "
        "run again:"
    )


# How a missing key reads in Ruby, .NET, PHP, Elixir and Kotlin.
_NO_KEY = re.compile(
    r"key not found: [:\"']?(\w+)|given key [\"'](.+?)[\"'] was not present|Undefined (?:array key|index:?) [\"']?(\w+)"
    r"|\bkey :(\w+) not found in|Key (\w+) is missing in the map"
)


def key_error(error: ClientError, context: Context) -> Judged | None:
    """A record or row without the key that the code reads, or only the key that `str(KeyError(key))` prints."""
    if lacking_element(error):
        return None
    if not error.traceback and (match := _NO_KEY.search(error.message)):
        name = next(filter(None, match.groups()))
        return Judged(
            "client_key_error",
            f"{OWN_CODE}{place(error)}: the data has no key {name} ({first_line(error.message)}).",
            f"Look at the data that the code reads {name} from; treat the field as optional or reject the record by "
            "name.",
            INGEST,
            object=name,
        )
    key = bare_key(error)
    if key is not None:
        number = key.lstrip("-").isdigit()
        what = (
            f"a record has no key {key}: rows given as dictionaries where the code (or clickhouse-connect's insert) "
            "takes them by position, or a lookup table without that id"
            if number
            else f"a record, from the API or a row for ClickHouse, has no field {key}"
        )
        said = error.message.strip().splitlines()[-1]
        return Judged(
            "client_key_error",
            f"{OWN_CODE}, and its log says only {said!r}: {key} is all that str(KeyError({key})) "
            "prints, it is no ClickHouse error code.",
            f"{_told_whole(error, context)} the traceback names file, line and key. Look there for this: {what}.",
            INGEST,
            object=key.strip("'\""),
            expected="an error with its type and place",
            actual=f"the text {key} alone",
            certainty="likely",
            confirm="the traceback, as above.",
            otherwise="another exception whose text is no more than that.",
        )
    kind, text = origin(error)
    if not kind.endswith("KeyError") or not text or (error.traceback and error.raised_in and error.frame is None):
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
            "that record and compare; treat the field as optional or reject the record by name."
        )
    if error.frame is None:
        action = f"{_told_whole(error, context)} the traceback names file and line. {action}"
    return Judged(
        "client_key_error",
        f"{OWN_CODE} with KeyError: {text}{place(error)}: the {'row' if row else 'data'} has no key {text}.",
        action,
        INGEST,
        object=text.strip("'\""),
    )


def no_text(error: ClientError, context: Context) -> Judged | None:
    """A word of failure with nothing behind it."""
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
        "such as TimeoutError(), AssertionError() or httpx.ReadTimeout('').",
        f"{_told_whole(error, context)} the traceback names type, file and line.",
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
                r"|does not match format|unconverted data remains|day is out of range|month must be in"), "ValueError",
     "a text of the source does not have the form that the code reads"),
    (re.compile(r"ConversionSyntax"), "decimal.InvalidOperation",
     "a text of the source is no number"),
    (re.compile(r"unsupported operand type|can only concatenate|must be str, not|not all arguments converted"
                r"|unexpected keyword argument|missing \d+ required positional|cannot unpack|object is not iterable"),
     "TypeError", "the code puts together values of types that do not fit"),
    (re.compile(r"(?:too many|not enough) values to unpack"), "ValueError",
     "a record has another number of fields than the code reads"),
    (re.compile(r"(?:division|modulo) by zero"), "ZeroDivisionError", "a count that the code divides by is 0"),
    (re.compile(r"maximum recursion depth"), "RecursionError", "the code calls itself without end"),
    (re.compile(r"codec can't (?:de|en)code"), "UnicodeError", "a text has another encoding than the code reads"),
    (re.compile(r"Cannot read propert(?:y|ies) (?:'\w+' )?of (?:undefined|null)"),
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


def text_alone(error: ClientError, context: Context) -> Judged | None:
    """The text of a well-known exception, logged without its type and place."""
    if error.type or error.traceback or error.frame:
        return None
    found = next((item for item in _TEXTS if item[0].search(error.message)), None)
    if found is None:
        return None
    if not context.editable(error.text):
        return Judged(
            "client_exception",
            f"The ingest reports: {first_line(error.message)}",
            f"Look at the record that it was reading: {found[2]}.",
            INGEST,
            actual=first_line(error.message),
            generic=True,
        )
    return Judged(
        "client_exception",
        f"{OWN_CODE}, and its log says only {first_line(error.message)!r}: that is the text of "
        f"{found[1]}, which comes from the code and not from ClickHouse.",
        f"{_told_whole(error, context)} the traceback names file and line. Look there for this: {found[2]}.",
        INGEST,
        expected="an error with its type and place",
        actual=first_line(error.message),
        certainty="likely",
        confirm="the traceback, as above.",
        otherwise="a message of the loader's own, or of a library, in the same words.",
        generic=True,
    )


def unexplained(error: ClientError, context: Context) -> Judged:
    """An error that no rule knows: its type, place and text as far as the log has them, and what is not known."""
    kind, text = origin(error)
    message = first_line(text or error.message) if kind else first_line(error.message)
    if kind and context.tool:
        # A tool's own frames say nothing to somebody who configures it; its sentence does.
        return Judged(
            "client_exception",
            f"{context.tool} ended with {kind}: {' '.join((text or error.message).split())[:600]}",
            f"That is {context.tool}'s own sentence. Correct what it names in its project or settings.",
            INGEST,
            generic=True,
        )
    shown = f" with {kind}{f': {message}' if message else ''}" if kind else ""
    if error.raised_in:
        return Judged(
            "client_exception",
            f"The library {error.raised_in} failed{shown or f': {message}'}. The ingest called it{place(error)}.",
            f"The reason is the one that {error.raised_in} names, in the data or the settings that it was given there; "
            "that line itself may be right. Not known from the log: what it was given.",
            INGEST,
            generic=True,
        )
    if kind and error.frame:
        headline = f"{OWN_CODE}{shown}{place(error)}."
    elif kind:
        headline = f"The ingest ended{shown}."
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
        line = f"Line {error.line} of the ingest's log says it" if error.line else "The ingest's log says it"
        action = f"{line}; the lines before show what the ingest was doing. Not known from the log: where in its code."
    return Judged("client_exception", headline, action, INGEST, generic=True)
