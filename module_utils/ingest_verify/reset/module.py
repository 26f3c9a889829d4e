"""What the modules that reset a server share: their options, and what they answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..client import login_argument_spec
from ..compose_project import ProjectError, host_finding
from ..diagnosis.setup import look_at_server
from ..docker_cli import DockerError
from .content import Ingest
from .errors import ResetError
from .flow import close, delete, obstacles, reset, restore
from .journal import Journal
from .request import Answer, Backend, Request


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options that do not depend on what runs the server."""
    return {
        **login_argument_spec(),
        "http_port": {"type": "int", "required": True},
        "state": {
            "type": "str",
            "choices": ["fresh", "keep", "restored", "ended", "deleted"],
            "default": "fresh",
        },
        "look": {"type": "bool", "default": False},
        "confirm": {"type": "str", "default": ""},
        "throwaway": {"type": "bool", "default": False},
        "passwordless": {"type": "bool", "default": False},
        "quiet_minutes": {"type": "int", "default": 10},
        "writers": {"type": "list", "elements": "str", "default": []},
        "wait_seconds": {"type": "float", "default": 120},
        "keep_backups": {"type": "int", "default": 3},
        "stamp": {"type": "str", "default": ""},
        "passed": {"type": "bool", "default": False},
        "ingest_user": {"type": "str", "default": ""},
        "targets": {"type": "list", "elements": "str", "default": []},
        "window": {"type": "dict", "default": {}},
        "run_id": {"type": "str", "default": ""},
        "inventory": {"type": "str", "default": "<inventory>"},
    }


def request_of(module: AnsibleModule) -> Request:
    """The request that a module's options make."""
    params = module.params
    window = params["window"]
    times = (str(window["from"]), str(window["to"])) if window.get("from") and window.get("to") else None
    return Request(
        login=params,
        http_port=params["http_port"],
        ingest=Ingest(
            params["ingest_user"], params["targets"], times, alone=params["ingest_user"] != params["login_user"]
        ),
        run_id=params["run_id"],
        inventory=params["inventory"],
        mode="keep" if params["state"] == "keep" else "fresh",
        confirm=params["confirm"],
        throwaway=params["throwaway"],
        passwordless=params["passwordless"],
        quiet_minutes=params["quiet_minutes"],
        writers=params["writers"],
        wait_seconds=params["wait_seconds"],
        keep_backups=params["keep_backups"],
        check_mode=module.check_mode,
    )


def carry_out(module: AnsibleModule, backend: Callable[[], Backend]) -> None:
    """Do what the module's options ask, and end the module with the answer."""
    if module.params["look"]:
        found = obstacles(backend, request_of(module))
        findings = [host_finding(error.kind, str(error)).to_dict() for error in found]
        module.exit_json(changed=False, changes=[], findings=findings)
    try:
        answer = _act(backend(), request_of(module), module.params)
    except (ResetError, ProjectError, DockerError) as error:
        if module.params["state"] == "ended":
            # What is lost is the note alone: then the data counts as none of the runs', and is kept.
            module.warn(f"What the run left could not be noted: {error}")
            module.exit_json(changed=False, changes=[])
        changes = error.changes if isinstance(error, ResetError) else []
        module.fail_json(
            msg=str(error),
            findings=[host_finding(error.kind, str(error), _look(error.kind, module.params)).to_dict()],
            changed=bool(changes),
            changes=changes,
        )
    for remark in answer.remarks:
        module.warn(remark)
    module.exit_json(
        changed=answer.changed,
        changes=answer.changes,
        kept=answer.kept,
        plan=answer.plan,
        server=answer.server,
        grants=answer.grants,
        summary=answer.summary,
        diff={"before": "", "after": "".join(f"{line}\n" for line in answer.plan)} if answer.plan else {},
    )


def _look(kind: str, params: Mapping[str, Any]) -> str | None:
    """Where the reason of an engine that did not start stands, in this set-up's own paths."""
    if not kind.startswith("engine_not_") or not params.get("dir"):
        return None
    return look_at_server({"backend": "embedded", "place": params["dir"]})


def _act(backend: Backend, request: Request, params: dict[str, Any]) -> Answer:
    state = params["state"]
    if state == "restored":
        return restore(backend, request, "" if params["stamp"] == "latest" else params["stamp"])
    if state == "ended":
        return close(backend, request, passed=params["passed"])
    if state == "deleted":
        answer = Answer()
        if not request.check_mode:
            delete(backend, request, params["stamp"], answer, Journal(backend.journal_folder))
        return answer
    return reset(backend, request)
