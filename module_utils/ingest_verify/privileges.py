"""What the server says of a privilege that is missing: which one, whose, and where GRANT cannot give it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .client import quote_identifier

# An identifier as the server's messages write it.
NAME = r"(?:`(?:[^`\\]|\\.)+`|[\w*]+)"
# What follows the object is the query's scope, or what the server did meanwhile, of any length.
_PRIVILEGE = rf"(.+?\sON\s+{NAME}(?:\.{NAME})?)"
_NEEDED = re.compile(rf"\bgrants?\s+(?:for\s+)?{_PRIVILEGE}", re.IGNORECASE | re.DOTALL)
_LACKING = re.compile(rf"Missing permissions: {_PRIVILEGE}", re.DOTALL)
_REFUSED_USER = re.compile(r"^(?:DB::Exception: )?(\S+): Not enough privileges")


def needed_privilege(message: str) -> str | None:
    """All that the statement needs by the message, such as `SELECT(a, b) ON db.t`; None when it names none."""
    return _first(_NEEDED, message)


def lacking_privilege(message: str) -> str | None:
    """What of it the user lacks, which only some messages tell."""
    return _first(_LACKING, message)


def refused_user(message: str) -> str | None:
    """Whom the server refused: behind a dictionary's SOURCE or a view's DEFINER not the one who sent the statement."""
    match = _REFUSED_USER.match(message)
    return match[1] if match else None


def grant(user: str, privileges: Sequence[str], storage: str | None) -> str:
    """The GRANT for each of the privileges, and where `system.users.storage` is XML, how they are given there."""
    step = "\n".join(f"GRANT {privilege} TO {quote_identifier(user)};" for privilege in privileges)
    if not storage or "xml" not in storage.lower():
        return step
    queries = "".join(f"<query>GRANT {privilege}</query>" for privilege in privileges)
    return (
        f"{step}\nUser {user} is defined in XML ({storage}), where GRANT cannot reach it: put {queries} into <grants> "
        "of its entry in users.d and reload."
    )


def _first(pattern: re.Pattern[str], message: str) -> str | None:
    match = pattern.search(message)
    return " ".join(match[1].split()) if match else None
