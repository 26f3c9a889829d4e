"""Action require: what a run needs; all that is missing is told together before anything is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible import module_utils
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

# ansible.cfg's `module_utils` is for modules; a plugin finds this project's by itself.
_OURS = str(Path(__file__).resolve().parents[1] / "module_utils")
if _OURS not in module_utils.__path__:
    module_utils.__path__.append(_OURS)

from ansible.module_utils.ingest_verify.findings import STAGES

ARGUMENTS: dict[str, dict[str, Any]] = {
    "arguments": {"type": "str", "default": ""},
    "that": {"type": "list", "elements": "raw", "default": []},
    "fail_msg": {"type": "str", "default": ""},
    "checks": {"type": "list", "elements": "dict", "default": []},
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
        """Conditions are evaluated by `run`, and a text is filled in only where it is told."""
        return (
            value
            if name in ("that", "fail_msg", "checks")
            else super().finalize_task_arg(name, value, templar, context)
        )

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """`ansible_facts.run_obstacles`: findings, each with the `role` that told it."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(ARGUMENTS)
        variables = task_vars or {}
        if arguments["arguments"] and (wrong := self._wrong_arguments(arguments["arguments"], variables)):
            return {**result, **wrong}
        known = list((variables.get("ansible_facts") or {}).get("run_obstacles") or [])
        findings = self._missing(arguments)
        if arguments["told"]:
            # With an outcome: nothing further can be looked at without it.
            return {**result, **(_told(known + findings) if findings or not self._task.args.get("outcome") else _FINE)}
        if not findings:
            return {**result, **_FINE}
        if variables.get("run_looks_ahead"):
            return {**result, "changed": False, "ansible_facts": {"run_obstacles": known + findings}}
        return {**result, **_told(findings)}

    def _wrong_arguments(self, entry: str, variables: dict[str, Any]) -> dict[str, Any]:
        """What the role's argument spec says of its variables, as Ansible's own task answers; empty where they fit."""
        role = self._task._role
        path = Path(role._role_path)
        specs = yaml.safe_load((path / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
        spec = specs[entry]["options"]
        given = self._templar.template({name: variables[name] for name in spec if name in variables})
        checked = ArgumentSpecValidator(spec).validate({**given, **role._role_params}, validate_role_argument_spec=True)
        if not checked.error_messages:
            return {}
        context = {"type": "role", "name": role.get_name(), "argument_spec_name": entry, "path": str(path)}
        text = "\n".join(["Validation of arguments failed:", *checked.error_messages])
        return {
            "failed": True,
            "msg": text,
            "argument_errors": checked.error_messages,
            "validate_args_context": context,
        }

    def _missing(self, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        role = self._task._role.get_name() if self._task._role else ""
        place = {"stage": role if role in STAGES else STAGES[0], "role": role}
        cause = self._task.vars.get(f"{role}_cause", "host_task_failed")
        if outcome := arguments["outcome"]:
            errors = [found for found in outcome.get("findings") or [] if found["severity"] == "error"]
            if errors or not (outcome.get("failed") or outcome.get("exception")):
                return [{**finding, **place} for finding in errors]
            told = {"severity": "error", "cause": cause, "headline": str(outcome.get("msg")), "object": self._task.name}
            return [{**place, **told}]
        # As they are written: the validated copies have lost that they may be evaluated.
        checks = list(self._task.args.get("checks") or [])
        if self._task.args.get("that"):
            checks.append({"name": self._task.name, **self._task.args})
        return [
            {
                **place,
                "severity": "error",
                "cause": check.get("cause", cause),
                "headline": str(self._templar.template(check["fail_msg"])).strip(),
                "object": check["name"],
            }
            for check in checks
            if self._holds(check.get("when", [])) and not self._holds(check["that"])
        ]

    def _holds(self, that: Any) -> bool:
        conditions = that if isinstance(that, list) else [that]
        return all(self._templar.evaluate_conditional(conditional=condition) for condition in conditions)


_FINE = {"changed": False}


def _told(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Fails with all of them, each with its fix."""
    if not found:
        return _FINE
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
