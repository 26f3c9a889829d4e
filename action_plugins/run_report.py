"""Action run_report: every form of a run's report in one call on the control node."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path
from typing import Any

from ansible import module_utils
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# ansible.cfg's `module_utils` is for modules; a plugin finds this project's by itself.
_OURS = str(Path(__file__).resolve().parents[1] / "module_utils")
if _OURS not in module_utils.__path__:
    module_utils.__path__.append(_OURS)

from ansible.module_utils.ingest_verify.control_node import not_written
from ansible.module_utils.ingest_verify.env_file import parse_env
from ansible.module_utils.ingest_verify.masking import secret_values
from ansible.module_utils.ingest_verify.report import bundle
from ansible.module_utils.ingest_verify.report.write import Wanted, Written, write_report

ARGUMENTS: dict[str, dict[str, Any]] = {
    "dir": {"type": "path", "required": True},
    "ledger": {"type": "dict", "required": True},
    "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "snapshot": {"type": "dict", "default": {}, "no_log": True},
    "language": {"type": "str", "default": "en"},
    "compare": {"type": "str", "default": ""},
    "archive": {"type": "bool", "default": False},
    "keep": {"type": "int", "default": 0},
    "notify": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "link": {"type": "str", "default": ""},
    "metrics_file": {"type": "str", "default": ""},
    "lineage_namespace": {"type": "str", "default": ""},
}
_WANTED = ("language", "compare", "archive", "keep", "notify", "link", "metrics_file", "lineage_namespace")


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Takes the snapshot on the host, then writes the report here.

    `snapshot` are the arguments of the module run_snapshot; empty takes none, as for a report that is written again.
    """

    _supports_check_mode = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """verdict, headline, summary, paths; fails when a written file still holds a secret."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(ARGUMENTS)
        folder, ledger = Path(arguments["dir"]), arguments["ledger"]
        try:
            written = self._written(folder, ledger, arguments, task_vars)
        except (bundle.LeakError, LookupError, ValueError) as error:
            # Ansible would repeat what it came from, word by word.
            raise AnsibleActionFail(str(error)) from None
        except OSError as error:
            raise AnsibleActionFail(_no_report(folder, ledger, error)) from None
        for warning in written.warnings:
            Display().warning(warning)
        model = written.model
        shown = {key: model[key] for key in ("verdict", "headline", "summary", "counts", "comparison")}
        # As set_stats does: Ansible tells these behind its recap, so that the path is the last thing that a run says.
        told = {"data": {"report": str(folder / "report.html")}, "per_host": True, "aggregate": True}
        answer = {"paths": written.paths, "warnings": written.warnings, "ansible_stats": told}
        return {**result, "changed": False, **shown, **answer}

    def _written(
        self, folder: Path, ledger: dict[str, Any], arguments: dict[str, Any], task_vars: dict[str, Any] | None
    ) -> Written:
        """Raises as `write_report` does."""
        env_file = str((ledger.get("ingest") or {}).get("env_file") or "")
        content = None
        if arguments["snapshot"]:
            content = self._take_snapshot(folder, arguments["snapshot"], env_file, task_vars)
        if content is None and env_file:
            content = self._content_of(env_file, task_vars)
        found = secret_values(parse_env(base64.b64decode(content or ""), env_file).values)
        hidden = [*arguments["secrets"], *arguments["notify"], *found]
        return write_report(folder, ledger, hidden, Wanted(**{name: arguments[name] for name in _WANTED}))

    def _content_of(self, path: str, task_vars: dict[str, Any] | None) -> str | None:
        """A file of the host, base64; None where it cannot be read."""
        try:
            answer = self._execute_module("ansible.builtin.slurp", {"src": path}, task_vars=task_vars)
        except AnsibleError:
            return None
        content: str | None = answer.get("content")
        return content

    def _take_snapshot(
        self, folder: Path, given: dict[str, Any], env_file: str, task_vars: dict[str, Any] | None
    ) -> str | None:
        """Put what the host tells into the run's folder; a host that tells nothing leaves its reason there.

        Returns the env file's content, base64: what of it must not be shown.
        """
        arguments = {**given, "hash_key": _hash_key(folder.parent)}
        if env_file:
            arguments["env_file"] = env_file
        task = self._task.copy()
        task.action, task.args = "run_snapshot", arguments
        action = self._shared_loader_obj.action_loader.get(
            "run_snapshot",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        try:
            answer = action.run(task_vars=task_vars)
        except AnsibleError as error:
            answer = {"msg": str(error)}
        snapshot = answer.get("snapshot")
        if not isinstance(snapshot, dict):
            snapshot = {"missing": [f"all: {' '.join(str(answer.get('msg') or 'no answer').split())[:300]}"]}
        bundle.write_json(folder / "snapshot.json", snapshot)
        for name, text in (answer.get("evidence") or {}).items():
            bundle.write(folder / Path(name).name, text)
        content: str | None = answer.get("env_file_content")
        return content


def _no_report(folder: Path, ledger: dict[str, Any], error: OSError) -> str:
    """Why there is none, once: a run whose earlier files could not be written either has told that."""
    lost = ledger.get("not_written") or not_written(Path(error.filename or folder / "report.json"), error)
    text = f"{lost['headline']} {lost['next_step']}"
    return f"{ledger.get('verdict')}: {text}" if ledger.get("not_written") else f"There is no report. {text}"


def _hash_key(artifacts_dir: Path) -> str:
    """The key of this artifacts folder's hashes, made once."""
    path = artifacts_dir / ".snapshot-key"
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        key = secrets.token_hex(32)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(key)
        return key
