"""Action run_ledger: the run's ledger on the control node, without a module execution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible import module_utils
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# ansible.cfg's `module_utils` is for modules; a plugin finds this project's by itself.
_OURS = str(Path(__file__).resolve().parents[1] / "module_utils")
if _OURS not in module_utils.__path__:
    module_utils.__path__.append(_OURS)

from ansible.module_utils.ingest_verify.ledger import LedgerError, carry_out

ARGUMENTS: dict[str, dict[str, Any]] = {
    "artifacts_dir": {"type": "path", "required": True},
    "state": {
        "type": "str",
        "required": True,
        "choices": ["new", "last", "existing", "entered", "update", "judged"],
    },
    "host": {"type": "str", "required": True},
    "run_id": {"type": "str"},
    "facts": {"type": "dict", "default": {}},
    "stage": {"type": "str"},
    "status": {"type": "str", "choices": ["ok", "failed"], "default": "ok"},
    "data": {"type": "dict", "default": {}},
    "findings": {"type": "list", "elements": "dict", "default": []},
    "extracts": {"type": "dict", "default": {}},
    "history": {"type": "dict", "default": {}},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Validates the task's arguments and hands them to the ledger."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The ledger as `library/run_ledger.py` documents it; fails with the ledger's own sentence."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(
            ARGUMENTS,
            required_if=[
                ("state", "entered", ["run_id", "stage"]),
                ("state", "update", ["run_id"]),
                ("state", "judged", ["run_id"]),
            ],
        )
        try:
            known = ((task_vars or {}).get("ansible_facts") or {}).get("run_ledger")
            result.update(carry_out(arguments, check_mode=self._task.check_mode, known=known))
        except LedgerError as error:
            # Ansible would repeat what it came from, word by word.
            raise AnsibleActionFail(str(error)) from None
        # A stage is entered and recorded by one task: what follows reads the ledger from the facts.
        result["ansible_facts"] = {"run_ledger": result["ledger"]}
        if arguments["state"] == "update":
            errors = [finding for finding in arguments["findings"] if finding.get("severity") == "error"]
            result["ansible_facts"]["run_ledger_recorded"] = bool(errors)
        return result
