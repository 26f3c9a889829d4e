"""A filter that tells why the control node cannot write into a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ansible import module_utils

# ansible.cfg's `module_utils` is for modules; a plugin finds this project's by itself.
_OURS = str(Path(__file__).resolve().parents[3] / "module_utils")
if _OURS not in module_utils.__path__:
    module_utils.__path__.append(_OURS)

from ansible.module_utils.ingest_verify.control_node import CAUSE, why_not_writable


def writing_obstacles(folder: str, variable: str) -> list[dict[str, str]]:
    """An error finding, without its stage, where the folder cannot be written; `variable` is what moves it."""
    found = why_not_writable(folder, variable)
    return [{"severity": "error", "cause": CAUSE, "object": folder, **found}] if found else []


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {"writing_obstacles": writing_obstacles}
