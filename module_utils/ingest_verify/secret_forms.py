"""A secret that is known, found in every form in which programs print it.

Quoting changes single characters (JSON, `repr`, bytes, SQL and shell literals, URLs, HTML, one inside another): one
pattern per secret lists for each character what may stand for it. base64 and hex change the whole: their text is looked
for in the same way, base64 at each of its three alignments, so that `user:secret` is found without knowing the user.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from functools import cache, cached_property

# A shorter "secret" (an empty or one-letter password) would only shred the text around it.
MIN_SECRET = 4
# So would a figure that counts and ids are made of, and words that say how one logs in.
_SHORT_NUMBER = re.compile(r"\d{1,5}")
_NO_SECRET = re.compile(
    "true|false|none|null|default|basic|bearer|digest|enabled|disabled|required|optional|yes|no", re.IGNORECASE
)
# Of a shorter run of base64 or hex nothing could be said.
_MIN_ENCODED = 6

_LETTERS = {"\n": "n", "\t": "t", "\r": "r", "\0": "0", "\b": "b", "\f": "f"}
_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
# Where a line was broken inside a secret: by a terminal's width, base64's 76 columns, a string in two parts.
_BREAK = r"(?:[\"']?[ \t]*\\?(?:\r?\n|(?:\\+r)?\\+n)[ \t>|]*[\"']?)"
_BREAKS = re.compile(_BREAK)
_PLAIN_RUN = re.compile(r"[A-Za-z0-9]+")
_BASE64_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-")


def is_worth_hiding(secret: str) -> bool:
    """Whether a configured value can be taken out of texts without shredding them."""
    word = secret.strip()
    return len(word) >= MIN_SECRET and not _SHORT_NUMBER.fullmatch(word) and not _NO_SECRET.fullmatch(word)


def unbroken(text: str) -> str:
    """The text with its lines put together, as a secret over two lines is looked for."""
    return _BREAKS.sub("", text)


def _character(char: str) -> str:
    """A pattern of all that programs print for one character of a secret."""
    if char.isascii() and char.isalnum():
        return re.escape(char)
    raw = char.encode("utf-8", "surrogatepass")
    wide = char.encode("utf-16-be", "surrogatepass")
    units = [wide[i : i + 2].hex() for i in range(0, len(wide), 2)]
    options = [
        "".join(rf"%(?:25)?(?i:{byte:02x})" for byte in raw),
        "".join(rf"\\+u(?i:{unit})" for unit in units),
        "".join(rf"\\+x(?i:{byte:02x})" for byte in raw),
        rf"&(?:amp;)?\#0*{ord(char)};",
        rf"&(?:amp;)?\#[xX]0*(?i:{ord(char):x});",
    ]
    if char in _ENTITIES:
        options.append(rf"&(?:amp;)?{_ENTITIES[char]};")
    if char in _LETTERS:
        options.append(rf"\\+{_LETTERS[char]}")
    if char == "'":
        options += [r"'\"'\"'", r"'\\+''", "''"]
    elif char == '"':
        options.append('""')
    elif char == " ":
        options += [r"\+", r"\\*\s+"]
    elif char == "\n":
        options.append(r"\r\n")
    options.append(r"\\+" if char == "\\" else r"\\*" + re.escape(char))
    return f"(?:{'|'.join(options)})"


class _Form:
    """One text to look for: quick where it is not there, whatever the quoting where it is."""

    def __init__(self, text: str, *, encoded: bool = False) -> None:
        self.encoded = encoded
        # What no quoting changes; to look for it costs next to nothing.
        self._anchor = max(_PLAIN_RUN.findall(text), key=len, default="")
        self._text = text

    def _pattern(self, between: str) -> re.Pattern[str]:
        units = [_character(char) for char in self._text]
        # A short word of letters is not to be cut out of a longer one.
        short = len(self._text) < 8 and self._text.isalnum() and not self.encoded
        left, right = (r"(?<![A-Za-z0-9])", r"(?![A-Za-z0-9])") if short else ("", "")
        return re.compile(left + between.join(units) + right)

    # Compiling takes 20 ms, and most forms are never in a text.
    @cached_property
    def _whole(self) -> re.Pattern[str]:
        return self._pattern("")

    @cached_property
    def _broken(self) -> re.Pattern[str]:
        return self._pattern(f"{_BREAK}?")

    def spans(self, text: str, joined: str | None) -> Iterator[tuple[int, int]]:
        """Where it stands in `text`; `joined` is the text without line ends, None where it has none."""
        if joined is None:
            if self._anchor in text:
                yield from (match.span() for match in self._whole.finditer(text))
        elif self._anchor in joined:
            yield from (match.span() for match in self._broken.finditer(text))


def _base64(secret: bytes) -> Iterator[str]:
    """What base64 makes of the secret at each alignment, without the characters that its neighbours decide on too."""
    for before in range(3):
        text = base64.b64encode(b"\0" * before + secret).decode()
        first, last = -(-before * 8 // 6), (before + len(secret)) * 8 // 6
        yield text[first:last]


@cache
def _forms(secret: str) -> tuple[_Form, ...]:
    raw = secret.encode("utf-8", "surrogatepass")
    encoded = [*_base64(raw)]
    encoded += [text.replace("+", "-").replace("/", "_") for text in encoded]
    encoded += [raw.hex(), raw.hex().upper()]
    return (
        _Form(secret),
        *(_Form(text, encoded=True) for text in dict.fromkeys(encoded) if len(text) >= _MIN_ENCODED),
    )


class KnownSecrets:
    """The configured secrets of a run; `spans` tells where a text holds one of them, in whatever form."""

    def __init__(self, secrets: Iterable[str]) -> None:
        values = dict.fromkeys(part for secret in secrets for part in (secret.strip(), *_long_lines(secret)))
        known = sorted((value for value in values if is_worth_hiding(value)), key=len, reverse=True)
        self._forms = [form for secret in known for form in _forms(secret)]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Begin and end of each place, in order and without overlaps."""
        if not self._forms:
            return []
        joined = unbroken(text) if "\n" in text or "\\n" in text else None
        found = []
        for form in self._forms:
            for begin, end in form.spans(text, joined):
                found.append(_whole_base64(text, begin, end) if form.encoded else (begin, end))
        merged: list[tuple[int, int]] = []
        for begin, end in sorted(found):
            if merged and begin <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((begin, end))
        return merged


def _long_lines(secret: str) -> list[str]:
    """The lines of a key file: a log may show one of them alone."""
    lines = secret.split()
    return [line for line in lines if len(line) >= 24] if "\n" in secret.strip() else []


def _whole_base64(text: str, begin: int, end: int) -> tuple[int, int]:
    """The whole word of base64: its ends hold bits of the secret and of the user."""
    limit = 1024
    while begin and text[begin - 1] in _BASE64_CHARACTERS and limit:
        begin, limit = begin - 1, limit - 1
    while end < len(text) and (text[end] in _BASE64_CHARACTERS or text[end] == "=") and limit:
        end, limit = end + 1, limit - 1
    return begin, end
