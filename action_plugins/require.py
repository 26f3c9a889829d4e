"""Action require: what a run needs; all that is missing is told together before anything is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible import module_utils
from ansible.plugins.action import ActionBase

# ansible.cfg's `module_utils` is for modules; a plugin finds this project's by itself.
_OURS = str(Path(__file__).resolve().parents[1] / "module_utils")
if _OURS not in module_utils.__path__:
    module_utils.__path__.append(_OURS)

from ansible.module_utils.ingest_verify.findings import STAGES

ARGUMENTS: dict[str, dict[str, Any]] = {
    "that": {"type": "list", "elements": "raw", "default": []},
    "fail_msg": {"type": "str", "default": ""},
    "outcome": {"type": "dict", "default": {}},
    "told": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Fails as `assert` does, or puts it on a list where the run looks ahead; with `told` fails with that list."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    @classmethod
    def finalize_task_arg(cls, name: str, value: Any, templar: Any, context: Any) -> Any:
        """Conditions are evaluated by `run`, not taken as templates."""
        return value if name == "that" else super().finalize_task_arg(name, value, templar, context)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """`ansible_facts.run_obstacles`: findings, each with the `role` that told it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(ARGUMENTS)
        variables = task_vars or {}
        known = list((variables.get("ansible_facts") or {}).get("run_obstacles") or [])
        if arguments["told"]:
            return {**result, **_told(known)}
        findings = self._missing(arguments)
        if not findings:
            return {**result, "changed": False}
        if variables.get("run_looks_ahead"):
            return {**result, "changed": False, "ansible_facts": {"run_obstacles": known + findings}}
        return {
            **result,
            "failed": True,
            "msg": "\n".join(finding["headline"] + _next(finding) for finding in findings),
        }

    def _missing(self, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        role = self._task._role.get_name() if self._task._role else ""
        place = {"stage": role if role in STAGES else STAGES[0], "role": role}
        if outcome := arguments["outcome"]:
            errors = [found for found in outcome.get("findings") or [] if found["severity"] == "error"]
            if errors or not (outcome.get("failed") or outcome.get("exception")):
                return [{**finding, **place} for finding in errors]
            arguments["fail_msg"] = str(outcome.get("msg"))
        # As they are written: the validated copy has lost that they may be evaluated.
        given = self._task.args.get("that") or []
        conditions = given if isinstance(given, list) else [given]
        if not outcome and all(self._templar.evaluate_conditional(conditional=that) for that in conditions):
            return []
        cause = self._task.vars.get(f"{role}_cause", "host_task_failed")
        headline = arguments["fail_msg"].strip()
        return [{**place, "severity": "error", "cause": cause, "headline": headline, "object": self._task.name}]


def _told(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Fails with all of them, each with its fix."""
    if not found:
        return {"changed": False}
    texts = [finding["headline"] + _next(finding) for finding in found]
    if len(texts) == 1:
        text = texts[0]
    else:
        lines = [f"{number}. {each}" for number, each in enumerate(texts, 1)]
        text = "\n".join([f"{len(texts)} things would stop this run. Nothing was touched.", *lines])
    findings = [{key: value for key, value in finding.items() if key != "role"} for finding in found]
    return {"failed": True, "changed": False, "msg": text, "findings": findings, "obstacles": True}


def _next(finding: dict[str, Any]) -> str:
    dot = "" if finding["headline"].endswith((".", ":", "?")) else "."
    return f"{dot} {finding['next_step']}" if finding.get("next_step") else ""
