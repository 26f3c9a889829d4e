"""The one step of masking: secrets and personal data taken out of whatever leaves a run.

Known secrets are found in every form in which programs print them (`secret_forms`), what nobody configured by its shape
(`secret_shapes`). What is masked stays masked: a second pass finds nothing, and so a written bundle is proven clean.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from .secret_forms import MIN_SECRET, KnownSecrets, is_worth_hiding
from .secret_shapes import HEADERS, HINTS, MASK, RULES, TAIL, WORDS, mask_figures

__all__ = ["CONFIGURED", "MASK", "Masker", "is_secret_name", "mask", "secret_values"]

CONFIGURED = "a configured secret"
_MAX_SEEN = 10_000

_Data = TypeVar("_Data")

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_STRONG = re.compile(
    r".*(?:PASSWORDS?|PASSWD|PASSPHRASE|SECRETS?|APIKEY|TOKENS?|CREDENTIALS?)|PWD|WEBHOOK|JWT"
    r"|(?:DB|PG|MYSQL|SQL|CH|REDIS|SMTP|MAIL|ADMIN|ROOT|USER)(?:PASS|PWD)"
)
_WEAK = re.compile("PASS|PW|AUTH|KEYS?|DSN|COOKIES?|BEARER|SALT|SIGNATURE|AUTHORIZATION|SESSIONID")
# `PASSWORD_FILE`, `TOKEN_TTL`, `KEY_COLUMN` say something about the secret, or are none.
_ABOUT = re.compile(
    "FILES?|PATH|DIR|FOLDER|TYPE|TTL|NAME|COUNT|LENGTH|MIN|MAX|SIZE|EXPIRES|EXPIRY|EXPIRATION|ALGORITHM|ENABLED|REQUIRED"
    "|TIMEOUT|POLICY|FIELD|COLUMNS?|HEADER|PREFIX|LIMIT|METHOD|MODE|SOCK|BACKEND|ENDPOINT|HOST|PORT|INTERVAL|LIFETIME"
    "|SECONDS|HOURS|DAYS|RATE|REALM|URL|URI|USER|ID"
)
_NO_SECRET_KEY = re.compile(
    "PRIMARY|PUBLIC|SORT|SORTING|PARTITION|FOREIGN|ORDER|UNIQUE|CACHE|OBJECT|ROUTING|IDEMPOTENCY|JOIN|SHARDING|MESSAGE"
    "|GROUP|DEDUP|DEDUPLICATION|HOT|SURROGATE|BUSINESS|NATURAL"
)
_URL_NAME = re.compile(
    r"(?:.*_)?(?:DATABASE|DB|REDIS|BROKER|RABBITMQ|AMQP|MONGO|MONGODB|POSTGRES|POSTGRESQL|MYSQL|CLICKHOUSE|CH|JDBC|SQL"
    r"|SQLALCHEMY|CONNECTION|CELERY)_?(?:URL|URI|STRING|CONNECTION)(?:_\d+)?"
)


@functools.lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds something that must not be printed (`QTICKETS_TOKEN`, `DATABASE_URL`)."""
    parts = [part.upper() for part in _PARTS.findall(name)]
    while parts and (parts[-1].isdigit() or parts[-1] in ("OLD", "NEW", "BASE", "HASH", "VALUE")) and len(parts) > 1:
        parts.pop()
    if not parts:
        return False
    last = parts[-1]
    if "WEBHOOK" in parts or _URL_NAME.fullmatch("_".join(parts)):
        return True
    if _ABOUT.fullmatch(last):
        return False
    if any(_STRONG.fullmatch(part) for part in parts):
        return True
    if last in ("KEY", "KEYS") and len(parts) > 1 and _NO_SECRET_KEY.fullmatch(parts[-2]):
        return False
    return _WEAK.fullmatch(last) is not None


def secret_values(variables: Mapping[str, Any]) -> list[str]:
    """What of an environment must not be printed: values of secret names, passwords inside URLs."""
    found = []
    for name, value in variables.items():
        text = str(value).strip().strip("'\"")
        if is_secret_name(name):
            found += [str(value).strip(), text]
        if "://" in text and "@" in text:
            try:
                password = urlsplit(text).password
            except ValueError:
                continue
            found += [password, unquote(password)] if password else []
    return [value for value in dict.fromkeys(found) if is_worth_hiding(value)]


# Of data by name: a bare `key` is what rows are grouped by.
_NAMED_DATA = re.compile(rf"(?:.*[_-])?{WORDS}{TAIL}|{HEADERS}", re.IGNORECASE)
_PERSONAL_DATA = re.compile(
    r"(?:.*_)?(?:surname|middle_?name|last_?name|first_?name|phone(?:_?number)?|e[-_]?mail|barcode|patronymic|passport)",
    re.IGNORECASE,
)


class Masker:
    """Takes secrets and personal data out of texts and data; `secrets` are the configured ones, as they are."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known = KnownSecrets(secrets)
        self._seen: dict[str, str] = {}

    def text(self, text: str) -> str:
        """`text` without secrets and personal data; lengths are not kept. Linear in its length."""
        return self._mask(text, None)

    def kinds(self, text: str) -> list[str]:
        """What kinds of secrets and personal data are in `text`, never the values."""
        found: set[str] = set()
        self._mask(text, found)
        return sorted(found)

    def data(self, data: _Data) -> _Data:
        """JSON-like data with all its strings masked, and what stands under a secret's name."""
        masked: Any = self._walk(data)
        return masked  # type: ignore[no-any-return]

    def _walk(self, data: Any) -> Any:
        if isinstance(data, str):
            return self._short(data)
        if isinstance(data, Mapping):
            return {self._key(key): self._named(key, value) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self._walk(value) for value in data]
        return data

    def _short(self, text: str) -> str:
        """A value of data: names and figures come again and again in the rows of a table."""
        if len(text) < MIN_SECRET:
            return text
        if len(text) > 200:
            return self.text(text)
        if text not in self._seen:
            if len(self._seen) >= _MAX_SEEN:
                self._seen.clear()
            self._seen[text] = self.text(text)
        return self._seen[text]

    def _key(self, key: Any) -> Any:
        return self._short(key) if isinstance(key, str) else key

    def _named(self, key: Any, value: Any) -> Any:
        if isinstance(key, str) and isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            if isinstance(value, str) and value != MASK and _NAMED_DATA.fullmatch(key):
                return MASK
            if _PERSONAL_DATA.fullmatch(key) and not str(value).startswith("<"):
                return "<personal>"
        return self._walk(value)

    def _mask(self, text: str, found: set[str] | None) -> str:
        spans = self._known.spans(text)
        if spans:
            if found is not None:
                found.add(CONFIGURED)
            pieces, done = [], 0
            for begin, end in spans:
                pieces += [text[done:begin], MASK]
                done = end
            text = "".join([*pieces, text[done:]])
        lower = _lower(text)
        present = {hint for hint in HINTS if hint in lower}
        for rule in RULES if present else ():
            if not present.isdisjoint(rule.hints):
                masked = rule.apply(text, lower, present.intersection(rule.hints))
                if masked is not text:
                    if found is not None:
                        found.add(rule.kind)
                    text, lower = masked, _lower(masked)
        return mask_figures(text, lower, found)


def _lower(text: str) -> str:
    """In lower case, character for character: `İ` becomes two, and then nothing is where it was."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(char.lower() if char.isascii() else char for char in text)


_UNCONFIGURED = Masker()


def mask(text: str) -> str:
    """`text` without what looks like a secret or personal data, where no configured secrets are at hand."""
    return _UNCONFIGURED.text(text)
