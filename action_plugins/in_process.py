"""Runs a module of `library/` in the play's own process where the target is this very Python on this host.

A link to this file bears the module's name. A module execution costs about 0.4 s before the module's first line: a new
Python, and its sources compiled out of a zip each time. Ansible's worker, a process made for this one task, can run the
same module with what the play has loaded already (ansible.netcommon does so for network devices). Elsewhere, over SSH,
with `become`, another Python or `async`, the module is executed as always; so it is with ANSIBLE_KEEP_REMOTE_FILES=1.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from ansible import constants, module_utils
from ansible.module_utils import basic
from ansible.module_utils.common.json import Direction, get_module_encoder
from ansible.plugins.action.normal import ActionModule as Normal
from ansible.plugins.loader import filter_loader, test_loader
from ansible.utils.display import Display

_ROOT = Path(__file__).resolve().parents[1]
# ansible.cfg's `module_utils` is for modules; a plugin finds this project's by itself.
if str(_ROOT / "module_utils") not in module_utils.__path__:
    module_utils.__path__.append(str(_ROOT / "module_utils"))

_PROFILE = "legacy"  # as a module is taken that names no other


def _loaded(name: str) -> Any:
    """The module of that name in `library/`; None where its packages are missing, which run_requirements tells."""
    path = _ROOT / "library" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"ingest_verify_library_{name}", path)
    if not path.exists() or spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError:
        return None
    return module


# Ansible loads an action before it forks the worker that runs it: what is loaded here, each later worker has. So it is
# with the filters and tests of templates, all of which a worker loads at its first template otherwise.
_MODULE = _loaded(Path(__file__).stem)
for _loader in (filter_loader, test_loader):
    _loader.get("ansible.builtin.default")
# A worker's garbage collector would write to all of it, and so copy each page that the worker shares with the play.
gc.freeze()


def _is_ours(interpreter: str) -> bool:
    """Whether it is the Python, and of the environment, that runs the play."""
    folder, own = (os.path.realpath(os.path.dirname(path)) for path in (interpreter, sys.executable))
    return bool(interpreter) and folder == own and os.path.realpath(interpreter) == os.path.realpath(sys.executable)


class ActionModule(Normal):  # type: ignore[misc]  # Ansible has no types
    """As Ansible's own action for a module, but for where the module runs."""

    def _is_here(self, task_vars: dict[str, Any]) -> bool:
        interpreter = self._templar.template(task_vars.get("ansible_python_interpreter", ""))
        return (
            _MODULE is not None
            and self._connection.transport == "local"
            and self._connection.become is None
            and not self._task.delegate_to
            and not self._task.async_val
            and not constants.DEFAULT_KEEP_REMOTE_FILES
            and _is_ours(str(interpreter))
        )

    def _execute_module(
        self, module_name: str | None = None, task_vars: dict[str, Any] | None = None, **others: Any
    ) -> Any:
        variables = task_vars or {}
        if module_name is not None or not self._is_here(variables):
            return super()._execute_module(module_name=module_name, task_vars=task_vars, **others)
        Display().vvv(f"Using module file {_MODULE.__file__} in this process", host=self._play_context.remote_addr)
        arguments = dict(self._task.args)
        self._update_module_args(self._task.action, arguments, variables)
        environment: dict[str, str] = {}
        self._compute_environment_string(environment)
        os.environ.update(environment)
        encoder = get_module_encoder(_PROFILE, Direction.CONTROLLER_TO_MODULE)
        basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}, cls=encoder).encode()
        basic._ANSIBLE_PROFILE = _PROFILE
        answer, errors = io.StringIO(), io.StringIO()
        code: Any = 0
        with contextlib.redirect_stdout(answer), contextlib.redirect_stderr(errors):
            try:
                _MODULE.main()
            except SystemExit as end:
                code = end.code
        if isinstance(code, int) and code > 128 and not answer.getvalue():
            # The play is being ended; the module cleaned up behind itself, and the worker ends as it would have.
            os.kill(os.getpid(), code - 128)
        return self._parse_returned_data({"stdout": answer.getvalue(), "stderr": errors.getvalue()}, _PROFILE)
