"""A filter that tells variables by whether their names say that the value must not be shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ansible import module_utils

# ansible.cfg's `module_utils` is for modules; a plugin finds this project's by itself.
_OURS = str(Path(__file__).resolve().parents[3] / "module_utils")
if _OURS not in module_utils.__path__:
    module_utils.__path__.append(_OURS)

from ansible.module_utils.ingest_verify.masking import is_secret_name


def secret_variables(variables: Mapping[str, object], secret: bool = True) -> dict[str, object]:
    """Those of `variables` whose names look secret; with `secret` false the others."""
    return {name: value for name, value in variables.items() if is_secret_name(name) == secret}


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {"secret_variables": secret_variables}
