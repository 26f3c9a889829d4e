"""Action clickhouse_declarations: refuse data checks that cannot be used, without a module execution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible import module_utils
from ansible.plugins.action import ActionBase

# ansible.cfg's `module_utils` is for modules; a plugin finds this project's by itself.
_OURS = str(Path(__file__).resolve().parents[1] / "module_utils")
if _OURS not in module_utils.__path__:
    module_utils.__path__.append(_OURS)

from ansible.module_utils.ingest_verify.checks import DeclarationError, read_request

ARGUMENTS: dict[str, dict[str, Any]] = {
    "checks": {"type": "list", "elements": "raw", "required": True},
    "extra_checks": {"type": "list", "elements": "raw", "default": []},
    "limits": {"type": "dict", "default": {}},
    "overview": {"type": "list", "elements": "dict", "default": []},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Reads the declarations as the module clickhouse_checks will."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fails with the place of the first declaration that cannot be used."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(ARGUMENTS)
        try:
            read_request(arguments)
        except DeclarationError as error:
            return {**result, "failed": True, "msg": str(error), "findings": [error.finding().to_dict()]}
        return {**result, "changed": False}
