"""Filters that look at a file of the control node, which needs no module there."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Callable
from pathlib import Path


def control_node_file(path: str) -> dict[str, object]:
    """What the module `stat` says of `path`, as far as it is asked here; `exists` alone where nothing is there."""
    try:
        found = os.stat(path)
    except OSError:
        return {"exists": False}
    return {
        "exists": True,
        "isreg": stat.S_ISREG(found.st_mode),
        "isdir": stat.S_ISDIR(found.st_mode),
        "readable": os.access(path, os.R_OK),
        "size": found.st_size,
    }


def base64_file(path: str) -> str:
    """The file's bytes in Base64: real schema files hold comments in other encodings. Raises OSError."""
    return base64.b64encode(Path(path).read_bytes()).decode("ascii")


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {"base64_file": base64_file, "control_node_file": control_node_file}
