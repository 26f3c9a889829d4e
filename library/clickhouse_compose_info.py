#!/usr/bin/python
"""Ansible module clickhouse_compose_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clickhouse_compose_info
short_description: Say what a ClickHouse Compose project is and holds, and what stands in the way of a reset
description:
  - Reads the project through C(docker compose config) and its data folder without a running server.
  - The task's C(environment) fills the variables of the compose file, over its C(.env).
  - Fails with one sentence for each thing that stands in the way, before anything is touched.
extends_documentation_fragment: [clickhouse_compose]
options:
  container:
    description: Name that the service's container is expected to have.
    type: str
    required: true
  network:
    description: Docker network that the service is expected to be on.
    type: str
    required: true
  login_ports:
    description: Ports of the host at which this ClickHouse is expected to answer.
    type: list
    elements: int
    default: []
  min_free_mb:
    description: Free space wanted where the data lies, in MiB.
    type: int
    default: 0
  reset:
    description: Whether the data is about to be moved aside.
    type: bool
    default: true
attributes:
  check_mode:
    description: Never changes anything; the same in check mode.
    support: full
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Look at the project before a reset
  clickhouse_compose_info:
    project_dir: /opt/zakaz_dashboard/infra/clickhouse
    service: clickhouse
    container: ch-zakaz
    network: clickhouse_default
"""

RETURN = r"""
project:
  description: name, directory, container, image, builds, image_present, running,
    waitable (whether Compose can wait for its health checks).
  type: dict
  returned: when the project could be read
offline:
  description: What the data folder holds, one line per database; empty when it holds no tables.
  type: list
  elements: str
  returned: success
backups:
  description: Stamps of data moved aside earlier, newest first, with what they hold.
  type: list
  elements: dict
  returned: success
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify import docker_cli
from ansible.module_utils.ingest_verify.compose_data import backups, look_into
from ansible.module_utils.ingest_verify.compose_project import (
    ProjectError,
    argument_spec,
    from_params,
    host_finding,
    problems,
)
from ansible.module_utils.ingest_verify.docker_cli import DockerError


def examine(params: dict[str, Any]) -> tuple[dict[str, Any], list[ProjectError]]:
    """What the project is and holds, and what stands in the way."""
    project = from_params(params)
    targets = params["data_targets"]
    found = problems(
        project,
        container=params["container"],
        network=params["network"],
        login_ports=params["login_ports"],
        data_targets=targets,
        min_free_mb=params["min_free_mb"],
        reset=params["reset"],
    )
    data = project.stores.get(targets[0])
    content = look_into(data.folder, targets[0]) if data else None
    offline = content.lines(data.source) if content and data else []
    return {
        "project": {
            "name": project.name,
            "directory": str(project.directory),
            "container": project.container,
            "image": project.image,
            "builds": project.builds,
            "image_present": docker_cli.inspect("image", project.image) is not None,
            "running": project.running,
            "waitable": project.waitable,
        },
        "offline": offline,
        "backups": [
            {"stamp": backup.stamp, "holds": backup.content.lines("it"), "parts": backup.parts}
            for backup in backups(project, targets)
        ],
    }, found


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **argument_spec(),
            "container": {"type": "str", "required": True},
            "network": {"type": "str", "required": True},
            "login_ports": {"type": "list", "elements": "int", "default": []},
            "min_free_mb": {"type": "int", "default": 0},
            "reset": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    try:
        result, found = examine(module.params)
    except (ProjectError, DockerError) as error:
        module.fail_json(msg=str(error), findings=[host_finding(error.kind, str(error)).to_dict()])
    if found:
        findings = [host_finding(problem.kind, str(problem)).to_dict() for problem in found]
        module.fail_json(msg="\n".join(map(str, found)), findings=findings, **result)
    module.exit_json(changed=False, findings=[], **result)


if __name__ == "__main__":
    main()
