"""Secrets and personal data taken out of any text that leaves the run: log copies, evidence, messages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

MASK = "***"

# A shorter "secret" (an empty or one-letter password) would only shred the text around it.
_MIN_SECRET = 4

_NAME = (
    r"[\w.-]{0,64}(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|x-clickhouse-key|credential|\bdsn)s?"
)
_SECRET_NAME = re.compile(rf"^(?:{_NAME}|.*_(?:pass|key|auth|dsn|cookie))$", re.IGNORECASE)

# Most lines of a log hold nothing of the kind; one look at them is enough.
_HINT = re.compile(
    r"://[^\s/]*@|bearer|basic|token|eyJ|identified|pass|pwd|secret|key|credential|dsn|/bot|/services/", re.IGNORECASE
)

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s:/@'\"]*:)[^\s/'\"]+@", re.IGNORECASE), rf"\1{MASK}@"),
    (re.compile(r"\b(Bearer|Basic|Token)\s+(?=[\w.~+/=-]*[\d=.~+/_-])[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {MASK}"),
    # Where the address itself is the secret: Telegram's bots, Slack's hooks.
    (re.compile(r"(/bot)\d+:[\w-]{10,}|(hooks\.slack\.com/services/)[\w/-]+"), rf"\1\2{MASK}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?"), MASK),
    (re.compile(r"(\bIDENTIFIED\s+(?:WITH\s+\w+\s+)?BY\s+)'(?:[^'\\]|\\.|'')*'", re.IGNORECASE), rf"\1'{MASK}'"),
    # "password": "x", 'token': 'x', password='x' and their escaped forms inside a JSON string.
    (
        re.compile(rf"(\\?[\"']?\b{_NAME}\\?[\"']?\s*[:=]\s*)(\\?[\"'])(?:(?!\2).)+\2", re.IGNORECASE),
        rf"\1\2{MASK}\2",
    ),
    # password=x, --password x, ?token=x&...; a colon needs a value that looks random, or prose would be cut.
    (re.compile(rf"(\b{_NAME}=)[^\s&;,'\")\]}}]+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(rf"(--{_NAME}\s+)[^\s-]\S*", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(rf"(\b{_NAME}:\s*)(?=[^\s\"']*\d)[^\s\"',;)]{{8,}}", re.IGNORECASE), rf"\1{MASK}"),
)

_PERSONAL: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?<![\w.+%/-])[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[a-zA-Zа-яё]{2,}\b"), "<e-mail>"),
    (re.compile(r"(?<![\w.])(?:\+\d{1,3}|8)[\s-]?\(?\d{3}\)?[\s-]?\d{3}[\s-]?\d{2}[\s-]?\d{2}(?![\w.])"), "<phone>"),
    (
        re.compile(
            r"(\\?[\"'](?:client_)?(?:surname|middlename|phone|email|barcode)\\?[\"']\s*:\s*)(\\?[\"'])(?:(?!\2).)*\2"
        ),
        r"\1\2<personal>\2",
    ),
)


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds something that must not be printed (`QTICKETS_TOKEN`)."""
    return _SECRET_NAME.match(name) is not None


def mask_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without the given secrets (also in their URL-encoded form) and without anything shaped like one:
    bearer tokens, passwords in URLs, DSNs and options, JWTs, `IDENTIFIED BY`. Lengths are not kept."""
    for secret in sorted((secret for secret in secrets if len(secret) >= _MIN_SECRET), key=len, reverse=True):
        text = text.replace(secret, MASK)
        encoded = quote(secret, safe="")
        if encoded != secret:
            text = text.replace(encoded, MASK)
    for pattern, replacement in _RULES if _HINT.search(text) else ():
        text = pattern.sub(replacement, text)
    return text


def mask_evidence(text: str, secrets: Iterable[str] = ()) -> str:
    """`mask_secrets` and personal data (e-mail addresses, phone numbers, named fields of a client) on top."""
    text = mask_secrets(text, secrets)
    for pattern, replacement in _PERSONAL:
        text = pattern.sub(replacement, text)
    return text
