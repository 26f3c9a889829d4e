"""Secrets and personal data taken out of a text before it is written."""

import os
import time

MASK = "***"
_rules = None
# (moment, number of variables, their secret values); texts that were masked with these values.
_found = None
_known = {}
_names = {}


def text(value, limit=400):
    """The text masked and cut to `limit` characters."""
    value = str(value)
    if len(value) > 4 * limit:
        value = value[: 4 * limit]
    value = _masked(value)
    return value if len(value) <= limit else value[:limit] + " …"


def is_secret_name(name):
    """Whether a variable or parameter of this name holds a secret."""
    known = _names.get(name)
    if known is None:
        known = _compiled()[0].search(name) is not None
        if len(_names) < 1000:
            _names[name] = known
    return known


def _masked(value):
    secrets = _secrets()
    # Paths and names of parameters come again and again.
    known = _known.get(value)
    if known is not None:
        return known
    masked = value
    for secret in secrets:
        if secret in masked:
            masked = masked.replace(secret, MASK)
    for pattern, replacement in _compiled()[1]:
        masked = pattern.sub(replacement, masked)
    if len(value) < 300:
        if len(_known) > 2000:
            _known.clear()
        _known[value] = masked
    return masked


def _secrets():
    """The values of secret-named variables, looked up anew once a second and when variables came or went."""
    global _found
    moment, names = time.monotonic(), len(os.environ)
    if _found is None or names != _found[1] or moment - _found[0] > 1:
        secret_name = _compiled()[0]
        values = [value.strip() for name, value in os.environ.items() if secret_name.search(name)]
        values = sorted((value for value in values if len(value) >= 4), key=len, reverse=True)
        if _found is None or values != _found[2]:
            _known.clear()
        _found = (moment, names, values)
    return _found[2]


def _compiled():
    """(pattern of secret names, rules). Loaded at the first use: the program has made its imports by then."""
    global _rules
    if _rules is None:
        import re

        name = (
            r"[\w.-]{0,64}(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
            r"|credential|\bdsn|clickhouse-key|authorization|cookie|session[_-]?id|signature)s?"
        )
        ignore = re.IGNORECASE
        rules = (
            (r"(\b[a-z][a-z0-9+.-]{0,20}://)[^\s/@'\"]+@", r"\1***@"),
            (r"\b(Bearer|Basic|Token)\s+(?=[\w.~+/=-]*[\d=.~+/_-])[\w.~+/=-]{6,}", r"\1 ***"),
            (r"(/bot)\d+:[\w-]{10,}|(hooks\.slack\.com/services/)[\w/-]+", r"\1\2***"),
            (r"\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?", MASK),
            (r"(\bIDENTIFIED\s+(?:WITH\s+\w+\s+)?BY\s+)'(?:[^'\\]|\\.|'')*'", r"\1'***'"),
            (r"(\\?[\"']?\b" + name + r"\\?[\"']?\s*[:=]\s*)(\\?[\"'])(?:(?!\2).)+\2", r"\1\2***\2"),
            (r"(\b" + name + r"=)[^\s&;,'\")\]}]+", r"\1***"),
            (r"(--" + name + r"\s+)[^\s-]\S*", r"\1***"),
            (r"(\b" + name + r":\s*)(?=[^\s\"']*\d)[^\s\"',;)]{8,}", r"\1***"),
            (r"(?<![\w.+%/-])[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[a-zA-Zа-яё]{2,}\b", "<e-mail>"),
            (r"(?<![\w.])(?:\+\d{1,3}|8)[\s-]?\(?\d{3}\)?[\s-]?\d{3}[\s-]?\d{2}[\s-]?\d{2}(?![\w.])", "<phone>"),
        )
        _rules = (
            re.compile(r"^(?:" + name + r"|.*_(?:pass|key|auth|dsn|cookie))$", ignore),
            [(re.compile(pattern, ignore), replacement) for pattern, replacement in rules],
        )
    return _rules
