"""An ingest's log file read in one pass with bounded memory, whatever its size and encoding."""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from ...masking import mask
from .errors import ClientError
from .json_records import json_object
from .line import EPILOGUE, may_hold_errors, strip_carriers
from .parser import MAX_LINE, LogParser

# Read whole up to here, which takes about half a minute; of a longer log the beginning and the end.
DEFAULT_MAX_BYTES = 1 << 30
TAIL_LINES = 20
_CHUNK = 1 << 20
_DIGITS = bytes(b"0"[0] if 48 <= byte <= 57 else byte for byte in range(256))
_MAX_SHAPES = 10_000
# Lines that may be nothing and yet are kept: an outcome, and an error with its stack.
_TELLING = (b'"outcome"', b'"cause"', b'"status"', b'"log"', b"rror", b"xception")

_FIGURE = re.compile(r"(?<![\w.])([A-Za-z]\w*)=(-?\d+(?:\.\d+)?)(?![\w.:/-])")

_MAGIC = {
    b"\x1f\x8b": "gzip-compressed",
    b"\x28\xb5\x2f\xfd": "zstd-compressed",
    b"\xfd7zXZ": "xz-compressed",
    b"BZh": "bzip2-compressed",
    b"PK\x03\x04": "a zip archive",
    b"\x7fELF": "a program",
    b"\x89PNG": "an image",
    b"SQLite format 3": "a database",
}
_CYRILLIC = ("cp1251", "cp866", "koi8-r")


class LogFileError(Exception):
    """The log cannot be read; the text says what was expected, what was found and what to do."""


@dataclass
class ClientLog:
    """What a client's log says.

    `errors` by first appearance; `notes` are warnings that tell of failures (a retry, a skipped show); `outcome` is the
    last JSON line with an outcome, cause or status; `ending` the last lines with their numbers. `lines` and `bytes`
    count what was read;
    `truncated` says that a middle part was left out. `warnings` are sentences about the reading itself.
    """

    errors: list[ClientError] = field(default_factory=list)
    outcome: dict[str, Any] | None = None
    lines: int = 0
    bytes: int = 0
    encoding: str = "utf-8"
    truncated: bool = False
    warnings: list[str] = field(default_factory=list)
    notes: list[ClientError] = field(default_factory=list)
    ending: list[tuple[int, str]] = field(default_factory=list)
    path: str | None = None

    @property
    def tail(self) -> list[str]:
        """The last lines."""
        return [text for _, text in self.ending]

    @property
    def figures(self) -> dict[str, float]:
        """The plain numbers that the end of the log gives by name, in a record or as `name=number`; the last counts."""
        found: dict[str, float] = {}
        for text in self.tail:
            line = strip_carriers(text).text
            record = json_object(line) if line.startswith("{") else None
            if record is not None:
                inner = [value for value in record.values() if isinstance(value, dict)]
                pairs = [pair for each in (record, *inner) for pair in each.items()]
                found |= {k: v for k, v in pairs if isinstance(v, (int, float)) and not isinstance(v, bool)}
            else:
                found |= {name: float(value) for name, value in _FIGURE.findall(line)}
        return found

    def after(self, error: ClientError) -> list[str]:
        """What the service that logged `error` said after it, as far as the end of the log holds it."""
        lines = [strip_carriers(text) for number, text in self.ending if number > error.line]
        said = [line.text.strip() for line in lines if line.stream == error.stream]
        return [text for text in said if not EPILOGUE.match(text)]


def read_client_log(
    path: str | os.PathLike[str], *, max_bytes: int = DEFAULT_MAX_BYTES, captured: bool = False
) -> ClientLog:
    """Read the log at `path`; of more than `max_bytes` only the first and the last half of that are read.

    Memory stays at a few chunks of 1 MiB. Encodings: UTF-8 and UTF-16 as a whole, Windows and DOS Cyrillic, KOI8-R and
    Latin line by line; broken bytes are replaced. Raises LogFileError when there is no readable text file; what was
    `captured` from a run may hold anything, and is read as it is.
    """
    name = os.fspath(path)
    try:
        status = os.stat(name)
        if stat.S_ISDIR(status.st_mode):
            raise LogFileError(f"A log file is expected at {name}, found a directory: name the file in it.")
        if not stat.S_ISREG(status.st_mode):
            raise LogFileError(
                f"A log file is expected at {name}, found a device or pipe: write the log to a file first."
            )
        with open(name, "rb") as stream:
            return _read(stream, name, status.st_size, max_bytes, captured)
    except FileNotFoundError:
        raise LogFileError(f"No log file at {name}: check the path, or whether the ingest ever started.") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise LogFileError(f"The log file {name} cannot be read ({reason}): check its owner and mode.") from error


def _read(stream: BinaryIO, name: str, size: int, max_bytes: int, captured: bool) -> ClientLog:
    log = ClientLog(path=name)
    wide = None
    try:
        wide = _check_text(stream.read(64 << 10), name)
    except LogFileError:
        if not captured:
            raise
    stream.seek(0)
    parser, tail, seen = LogParser(), deque[tuple[int, bytes]](maxlen=TAIL_LINES), set[str]()

    def decode(line: bytes) -> str:
        return line.decode("utf-8", "surrogateescape") if wide else _decode(line, seen)

    log.truncated = size > max_bytes
    spans = [(0, max_bytes // 2), (size - max_bytes // 2, size)] if log.truncated else [(0, size)]
    # Shapes (digits as one) of lines that turned out to be nothing: most of a log repeats a few dozen of them.
    dull: set[bytes] = set()
    for start, end in spans:
        for block in _blocks(stream, start, end, wide, log):
            before, size_of_block = log.lines, block.count(b"\n") + (not block.endswith(b"\n"))
            log.lines += size_of_block
            ending = block.removesuffix(b"\n").rsplit(b"\n", TAIL_LINES)[-TAIL_LINES:]
            tail.extend(
                (number, line) for number, line in enumerate(ending, log.lines - len(ending) + 1) if line.strip()
            )
            if parser.idle and not may_hold_errors(block):
                parser.skip(decode(tail[-1][1]) if tail else "", size_of_block)
                continue
            for number, line in enumerate(block.removesuffix(b"\n").split(b"\n"), before + 1):
                line = line[:MAX_LINE]
                shape = line.translate(_DIGITS)
                text = decode(line)
                if parser.idle and shape in dull:
                    parser.skip(text)
                    continue
                if parser.idle and not may_hold_errors(line) and not line.rstrip().endswith(b"{"):
                    parser.skip(text)
                    continue
                idle = parser.idle
                parser.feed(text, number)
                if idle and parser.idle and len(dull) < _MAX_SHAPES and not any(key in line for key in _TELLING):
                    dull.add(shape)
    parser.finish()
    found = parser.found
    log.errors, log.notes, log.outcome = found.errors, found.notes, found.outcome
    _promote(log)
    log.ending = [(number, mask(decode(line[:1000]))) for number, line in tail]
    log.encoding = wide or "+".join(sorted(seen)) or "utf-8"
    if log.truncated:
        log.warnings.append(
            f"The log has {size / 2**20:.0f} MiB; its first and last {max_bytes / 2**21:.0f} MiB were read, "
            "the middle was not."
        )
    if found.dropped:
        log.warnings.append(f"{found.dropped} more error lines of other kinds were counted and not kept.")
    if "broken" in log.encoding:
        log.warnings.append("The log holds bytes of no known encoding; they are shown as \ufffd.")
    return log


def _promote(log: ClientLog) -> None:
    """Take the server's own text for the error where a client logs it as a warning, and then only that it gives up."""
    last = max((error.line for error in log.errors), default=0)
    wordless = all(
        error.server_code is None and error.http_status is None and error.frame is None and error.type is None
        for error in log.errors
    )
    told = [note for note in log.notes if note.server_code is not None and note.line < last]
    if wordless and told:
        log.notes = [note for note in log.notes if note not in told]
        log.errors = [*told, *log.errors]


def _check_text(head: bytes, name: str) -> str | None:
    """The UTF-16 or UTF-32 variant of the file, None for 8-bit text; raises LogFileError for anything else."""
    for bom, encoding in (
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if head.startswith(bom):
            return encoding
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise LogFileError(f"A text log is expected at {name}, found {what}: unpack it or name the log itself.")
    # A log rotated by copytruncate starts with a run of NULs.
    nuls = len(head) - len(head.lstrip(b"\0"))
    # One of them may be the first half of a character of UTF-16.
    body = head[nuls - nuls % 2 :]
    if not body:
        return None
    # The high bytes of UTF-16 are 0 (Latin) or 4 (Cyrillic).
    half = max(1, len(body) // 2)
    high = [sum(part.count(byte) for byte in (0, 4)) / half for part in (body[::2], body[1::2])]
    if b"\0" in body and max(high) > 0.8 and min(high) < 0.3:
        return "utf-16-be" if high[0] > high[1] else "utf-16-le"
    control = sum(body.count(byte) for byte in range(32) if byte not in (7, 8, 9, 10, 12, 13, 27))
    if control > 8 + len(body) * 0.05:
        raise LogFileError(f"A text log is expected at {name}, found binary data: name the file that holds the log.")
    return None


def _blocks(stream: BinaryIO, start: int, end: int, wide: str | None, log: ClientLog) -> Iterator[bytes]:
    """Pieces of about _CHUNK bytes between two offsets that end where a line ends; UTF-16 comes out as UTF-8."""
    decoder = codecs.getincrementaldecoder(wide)("replace") if wide else None
    if decoder and start:
        # The byte order is told at the start of the file only, and a character must not be cut in two.
        stream.seek(0)
        decoder.decode(stream.read(4))
        start -= start % 4
    stream.seek(start)
    rest, position = b"", start
    while position < end and (chunk := stream.read(min(_CHUNK, end - position))):
        position += len(chunk)
        log.bytes += len(chunk)
        if decoder:
            chunk = decoder.decode(chunk).encode("utf-8", "surrogateescape")
        if b"\r" in chunk:
            # Progress bars end their lines with a bare carriage return; of a pair cut in two a blank line comes.
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield rest + chunk[:cut]
            rest = chunk[cut:]
        elif len(rest) < MAX_LINE:
            rest += chunk
    if rest:
        yield rest


def _decode(line: bytes, seen: set[str]) -> str:
    if line.isascii():
        return line.decode("ascii")
    try:
        text = line.decode("utf-8")
        seen.add("utf-8")
        return text
    except UnicodeDecodeError:
        pass
    replaced = line.decode("utf-8", "replace")
    broken = replaced.count("\ufffd")
    good = sum(1 for char in replaced if ord(char) > 127) - broken
    if good > broken:
        seen.update(("utf-8", "broken"))
        return replaced
    if not re.search(rb"[\x80-\xff]{2}", line):
        seen.add("cp1252")
        return line.decode("cp1252", "replace")
    # Lower-case letters outnumber all else in prose, and each of these code pages has them elsewhere.
    candidates = [(line.decode(encoding, "replace"), encoding) for encoding in _CYRILLIC]
    text, encoding = max(candidates, key=lambda item: len(re.findall("[а-яё]", item[0])))
    if len(re.findall("[а-яё]", text)) * 2 < broken:
        seen.add("broken")
        return replaced
    seen.add(encoding)
    return text
