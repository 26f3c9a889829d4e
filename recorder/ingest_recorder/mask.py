"""Secrets and personal data taken out of a text before it is written."""

import os

MASK = "***"
_rules = None


def text(value, limit=400):
    """The text masked and cut to `limit` characters."""
    value = str(value)
    if len(value) > 4 * limit:
        value = value[: 4 * limit]
    value = _masked(value)
    return value if len(value) <= limit else value[:limit] + " …"


def is_secret_name(name):
    """Whether a variable or parameter of this name holds a secret."""
    return _compiled()[0].search(name) is not None


def _masked(value):
    secret_name, rules = _compiled()
    for name in os.environ:
        if secret_name.search(name):
            secret = os.environ[name].strip()
            if len(secret) >= 4 and secret in value:
                value = value.replace(secret, MASK)
    for pattern, replacement in rules:
        value = pattern.sub(replacement, value)
    return value


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
