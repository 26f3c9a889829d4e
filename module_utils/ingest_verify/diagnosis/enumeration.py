"""The type that an enumeration needs for one name more."""

from __future__ import annotations

import re

_ENUM = re.compile(r"Enum(8|16)\((.+?)\)(?=\)*$)")


def with_element(expected: str, value: str) -> str | None:
    """The type `expected` with the quoted name `value` added; None for another type or a value that is no name."""
    enum = _ENUM.search(expected)
    if not enum or not re.fullmatch(r"'[^']+'", value) or value in enum[2]:
        return None
    number = max((int(found) for found in re.findall(r"' = (-?\d+)", enum[2])), default=0) + 1
    width = "8" if enum[1] == "8" and number < 128 else "16"
    return expected.replace(enum[0], f"Enum{width}({enum[2]}, {value} = {number})")
