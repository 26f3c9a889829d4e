#!/usr/bin/python
"""Ansible module clickhouse_compose_reach."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clickhouse_compose_reach
short_description: Prove that clients on the host and in the project's network reach ClickHouse
description:
  - A server that listens on loopback inside its container answers its own health check and nobody else.
  - Asks the published ports from the host, and the container's own ports from a second container on the network.
extends_documentation_fragment: [clickhouse_compose]
options:
  host:
    description: Address of the published ports.
    type: str
    required: true
  http_port:
    description: Published port of the HTTP interface.
    type: int
    required: true
  native_port:
    description: Published port of the native protocol.
    type: int
    required: true
  network:
    description: Docker network that the ingest will run on.
    type: str
    required: true
  wait_seconds:
    description: How long a server without a health check may take to open its ports.
    type: float
    default: 30
attributes:
  check_mode:
    description: Never changes anything that lasts; the same in check mode.
    support: full
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Prove that others reach the server
  clickhouse_compose_reach:
    project_dir: /opt/zakaz_dashboard/infra/clickhouse
    service: clickhouse
    host: 127.0.0.1
    http_port: 8123
    native_port: 9000
    network: clickhouse_default
"""

RETURN = r"""
findings:
  description: What keeps clients away, as findings.
  type: list
  elements: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify.compose_project import ProjectError, argument_spec, from_params, host_finding
from ansible.module_utils.ingest_verify.compose_reach import reach_problems, wait_until_listening
from ansible.module_utils.ingest_verify.docker_cli import DockerError


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **argument_spec(),
            "host": {"type": "str", "required": True},
            "http_port": {"type": "int", "required": True},
            "native_port": {"type": "int", "required": True},
            "network": {"type": "str", "required": True},
            "wait_seconds": {"type": "float", "default": 30},
        },
        supports_check_mode=True,
    )
    params = module.params
    ports = (params["http_port"], params["native_port"])
    try:
        project = from_params(params)
        wait_until_listening(project, params["host"], ports, params["wait_seconds"])
        found, remarks = reach_problems(
            project, host=params["host"], http_port=ports[0], native_port=ports[1], network=params["network"]
        )
    except (ProjectError, DockerError) as error:
        module.fail_json(msg=str(error), findings=[host_finding(error.kind, str(error)).to_dict()])
    for remark in remarks:
        module.warn(remark)
    if found:
        findings = [host_finding(problem.kind, str(problem)).to_dict() for problem in found]
        module.fail_json(msg="\n".join(map(str, found)), findings=findings)
    module.exit_json(changed=False, findings=[])


if __name__ == "__main__":
    main()
