"""Bodies of a source's answers, counted from their bytes as they came, whatever the program parses them with.

What a body holds is kept by reference until it was counted: nothing is copied, and past a bound it is dropped and
stays uncounted. A body that the program did not read to its end is not counted either.
"""

import sys

from .answers import told_by, told_by_header

# Bytes as they came: of one body, and of all that wait; bytes of JSON that are parsed here.
MAX_BODY = 8 << 20
MAX_WAITING = 16 << 20
MAX_PARSED = 4 << 20

_held = 0
# msgspec's decoders, where the program has it.
_made = []
# Counts what can be counted and returns the bytes that wait on; set by `exchanges`.
make_room = None


def kind_of(content_type):
    """How a body is read, by its type: `json`, `lines` (a record a line), `csv`, `guess`; "" for none of these."""
    kind, _, options = (content_type or "").lower().partition(";")
    kind = kind.strip()
    if any(word in kind for word in ("ndjson", "jsonl", "json-seq", "stream+json", "json-stream")):
        return "lines"
    if "json" in kind:
        return "json"
    if "csv" in kind:
        return "csv-rows" if "absent" in options else "csv"
    if kind in ("", "text/plain", "text/html", "text/javascript", "application/octet-stream"):
        return "guess"
    return ""


class Body:
    """One answer's body under way. `number` and `sums` are its exchange's (see `exchanges`)."""

    def __init__(self, number, sums, kind, encoding):
        self.number, self.sums, self.kind = number, sums, kind
        self.encoding = (encoding or "").strip().lower()
        self.parts = []
        self.size = 0
        self.ended = False
        # Counted, or given up.
        self.done = False
        # The thread (or task) went on to another exchange: nobody's parser is waited for any more.
        self.left = False
        # Asked whether the end was reached, where no read tells it.
        self.at_end = None

    def feed(self, data):
        """Bytes that the program has read."""
        global _held
        if self.done or not data:
            return
        size = len(data)
        if self.size + size > MAX_BODY:
            self.drop()
            return
        if _held + size > MAX_WAITING:
            # Threads may have disturbed the sum: it is made anew.
            _held = make_room()
            if _held + size > MAX_WAITING:
                self.drop()
                return
        self.size += size
        _held += size
        self.parts.append(data)

    def drop(self):
        """Keep nothing any more."""
        global _held
        _held -= self.size
        self.done = True
        self.size = 0
        self.at_end = None
        del self.parts[:]

    def whole(self):
        """Whether the program has read it to its end."""
        if not self.ended and self.at_end is not None:
            self.ended = bool(self.at_end())
        return self.ended

    def length(self):
        """Its length once decoded. Raises for one that cannot be."""
        if self.encoding in ("gzip", "x-gzip"):
            return int.from_bytes(b"".join([part[-4:] for part in self.parts[-4:]])[-4:], "little")
        if self.encoding not in ("", "identity"):
            self.parts, self.encoding = [_decoded(b"".join(self.parts), self.encoding)], ""
        return sum([len(part) for part in self.parts])

    def count(self):
        """What it tells, in numbers; empty where it cannot be read. It is dropped."""
        data = _decoded(b"".join(self.parts), self.encoding)
        self.drop()
        if self.kind in ("csv", "csv-rows"):
            return _rows(data, self.kind == "csv")
        if self.kind == "lines":
            return _lines(data)
        return _json(data)


def _decoded(data, encoding):
    """The body without its transfer's compression. Raises for one that is cut or too large."""
    limit = MAX_BODY * 4
    if encoding in ("", "identity"):
        return data
    if encoding in ("gzip", "x-gzip", "deflate"):
        import zlib

        # `deflate` comes with and without zlib's head.
        bits = 47 if encoding != "deflate" or (data[:1] and data[0] & 15 == 8) else -15
        plain = b""
        while data:
            stream = zlib.decompressobj(bits)
            plain += stream.decompress(data, limit - len(plain) + 1)
            if len(plain) > limit or not stream.eof:
                raise ValueError(encoding)
            data = stream.unused_data if encoding != "deflate" else b""
        return plain
    # Only a program that has the package can read these.
    if encoding == "br":
        module = sys.modules.get("brotli") or sys.modules["brotlicffi"]
        plain = module.decompress(data)
    elif encoding == "zstd":
        module = sys.modules.get("zstandard")
        if module is not None:
            plain = module.ZstdDecompressor().decompressobj().decompress(data)
        else:
            plain = sys.modules["compression.zstd"].decompress(data)
    else:
        raise ValueError(encoding)
    if len(plain) > limit:
        raise ValueError(encoding)
    return plain


class _Context:
    """What the scanner of the standard library's `json` asks for. That package may be shadowed by the program's own."""

    strict = False
    object_hook = object_pairs_hook = None
    parse_float = len
    parse_int = int
    parse_constant = len


def _json(data):
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start not in (b"{", b"["):
        return {}
    if "msgspec" in sys.modules:
        try:
            return told_by(_outline(data))
        except Exception:  # noqa: BLE001 - the other way says what it is
            pass
    if len(data) > MAX_PARSED:
        return {}
    from _json import make_scanner

    text = data.decode("utf-8-sig").strip()
    answer, end = make_scanner(_Context)(text, 0)
    if end < len(text):
        # A record a line, under another name.
        return _lines(data) if start == b"{" and text[end : end + 2].lstrip("\r")[:1] == "\n" else {}
    return told_by(answer)


def _outline(data):
    """The same without values: a list's entries stay raw, which costs msgspec a fifth of reading them."""
    if not _made:
        typing, msgspec = sys.modules["typing"], sys.modules["msgspec"]
        kinds = (typing.List[msgspec.Raw], typing.Dict[str, msgspec.Raw], str, int, float, bool, None)
        _made.append(msgspec.json.Decoder(typing.Union[kinds]))
        _made.append(msgspec.json.Decoder(typing.Union[(typing.Dict[str, typing.Union[kinds]], *kinds[:1])]))
    answer = _made[1].decode(data)
    return {name: _deeper(value, 2) for name, value in answer.items()} if isinstance(answer, dict) else answer


def _deeper(value, depth):
    if not isinstance(value, dict) or not depth:
        return value
    # Many entries are records by their name: what they hold does not matter.
    depth = depth - 1 if len(value) <= 50 else 0
    return {name: _deeper(_made[0].decode(each), depth) for name, each in value.items()}


def _lines(data):
    return {"records": sum(1 for line in data.split(b"\n") if line.strip(b"\x1e\r\t ")), "key": "lines"}


def _rows(data, headed):
    # A quoted value may hold a line's end.
    if b'"' in data:
        return {}
    lines = [line for line in data.split(b"\n") if line.strip()]
    head = lines[0].decode("utf-8-sig", "replace") if lines else ""
    return {"records": len(lines) - (1 if lines and headed and told_by_header(head) else 0), "key": "rows"}
