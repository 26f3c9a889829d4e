#!/usr/bin/python
"""Ansible module clickhouse_compose_data."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clickhouse_compose_data
short_description: Move the data of a stopped ClickHouse Compose project aside, or bring it back
description:
  - Folders are renamed to C(<name>.<UTC time>) beside the original; named volumes are copied.
  - Nothing is ever deleted but by V(pruned).
extends_documentation_fragment: [clickhouse_compose]
options:
  state:
    description:
      - V(aside) moves what is there aside. V(restored) brings O(stamp) back and moves aside what is there now.
      - V(pruned) deletes all but the O(keep) newest backups that hold tables.
    type: str
    choices: [aside, restored, pruned]
    required: true
  stamp:
    description: Which backup to bring back, V(latest) for the newest one that holds tables.
    type: str
    default: latest
  keep:
    description: Number of backups that V(pruned) leaves.
    type: int
    default: 3
attributes:
  check_mode:
    description: The task is skipped.
    support: none
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Bring back what the last reset moved aside
  clickhouse_compose_data:
    project_dir: /opt/zakaz_dashboard/infra/clickhouse
    service: clickhouse
    state: restored
"""

RETURN = r"""
moves:
  description: What was renamed or copied, as C(from) and C(to).
  type: list
  elements: dict
  returned: when state is aside or restored
stamp:
  description: The suffix of what was moved aside, or of what was brought back.
  type: str
  returned: when state is aside or restored
deleted:
  description: Backups that were deleted.
  type: list
  elements: str
  returned: when state is pruned
refused:
  description: Backups that could not be deleted, with the reason.
  type: list
  elements: str
  returned: when state is pruned
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify.compose_data import latest_stamp, move_aside, new_stamp, prune, restore
from ansible.module_utils.ingest_verify.compose_project import ProjectError, argument_spec, from_params, host_finding
from ansible.module_utils.ingest_verify.docker_cli import DockerError


def act(params: dict[str, Any]) -> dict[str, Any]:
    """Move aside, bring back or prune."""
    project = from_params(params)
    targets = params["data_targets"]
    if params["state"] == "pruned":
        deleted, refused = prune(project, targets, params["keep"])
        return {"changed": bool(deleted), "deleted": deleted, "refused": refused}
    stamp = new_stamp()
    if params["state"] == "aside":
        moves = move_aside(project, targets, stamp)
    else:
        now, stamp = stamp, params["stamp"]
        stamp = latest_stamp(project, targets) if stamp == "latest" else stamp
        moves = restore(project, targets, stamp, now)
    shown = [{"from": source, "to": destination} for source, destination in moves]
    return {"changed": bool(moves), "moves": shown, "stamp": stamp}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **argument_spec(),
            "state": {"type": "str", "choices": ["aside", "restored", "pruned"], "required": True},
            "stamp": {"type": "str", "default": "latest"},
            "keep": {"type": "int", "default": 3},
        },
    )
    try:
        module.exit_json(**act(module.params))
    except (ProjectError, DockerError) as error:
        module.fail_json(msg=str(error), findings=[host_finding(error.kind, str(error)).to_dict()])


if __name__ == "__main__":
    main()
