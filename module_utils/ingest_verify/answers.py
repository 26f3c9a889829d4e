"""What a module answers: all of it masked, whatever a server or a log put into it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from .env_file import parse_env
from .masking import Masker, secret_values


def masking_argument_spec() -> dict[str, dict[str, Any]]:
    """The option by which a module learns of secrets that it does not log in with."""
    return {"secrets_file": {"type": "path"}}


def masker_of(params: Mapping[str, Any]) -> Masker:
    """A masker for the secrets among a module's parameters; an env file that cannot be read adds none."""
    secrets = [str(params.get("login_password") or "")]
    if params.get("secrets_file"):
        with contextlib.suppress(OSError):
            secrets += secret_values(parse_env(Path(params["secrets_file"]).read_bytes(), "").values)
    return Masker(secrets)


class Answers:
    """The two ways in which `module` (an AnsibleModule) ends."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._masker = masker_of(module.params)

    def done(self, **result: Any) -> NoReturn:
        """End the module; `changed` and what it returns."""
        self._module.exit_json(**self._masker.data(result))
        raise AssertionError("exit_json does not return")

    def failed(self, msg: str, **result: Any) -> NoReturn:
        """Fail the task with this text."""
        self._module.fail_json(msg=self._masker.text(msg), **self._masker.data(result))
        raise AssertionError("fail_json does not return")
