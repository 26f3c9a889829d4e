#!/usr/bin/python
"""Ansible module clickhouse_compose."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clickhouse_compose
short_description: Bring the ClickHouse of a Compose project up empty, or bring its data back
description:
  - Looks at everything that can stand in the way (names, networks, ports, disk, writers) before anything is touched.
  - Stops the one service, moves the content of its mounts aside by renames, and notes its tables, its rows and who made
    them in O(project_dir)C(/.ingest-verify). A folder becomes C(<name>.<UTC time>). In a volume all goes into a folder
    C(.ingest-verify.<UTC time>), since Docker cannot rename a volume and a copy can break off.
  - Starts it, waits for its health check, and proves that clients reach it from the host and from inside its network.
  - The task's C(environment) fills the variables of the compose file, over its C(.env).
extends_documentation_fragment: [clickhouse_login, clickhouse_reset, clickhouse_compose]
options:
  container:
    description: Name that the service's container is expected to have.
    type: str
    required: true
  network:
    description: Docker network that the service is expected to be on.
    type: str
    required: true
  min_free_mb:
    description: Free space wanted where the data lies, in MiB.
    type: int
    default: 0
attributes:
  check_mode:
    description: Nothing is touched; C(plan) says what would be done, and what would stand in the way.
    support: full
  diff_mode:
    description: The plan.
    support: partial
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Start an empty server
  clickhouse_compose:
    project_dir: /opt/zakaz_dashboard/infra/clickhouse
    service: clickhouse
    container: ch-zakaz
    network: clickhouse_default
    login_host: 127.0.0.1
    login_port: 9000
    http_port: 8123
    login_user: admin
    login_password: "{{ password }}"
    confirm: ch-zakaz
"""

RETURN = r"""
changes:
  description: What was moved, deleted or brought back, as the run's ledger keeps it (stage, what, from, to, undo, at).
  type: list
  elements: dict
  returned: always
kept:
  description: What was moved aside and no run made, one row each.
  type: list
  elements: dict
  returned: success
plan:
  description: In check mode what would be done, one line each.
  type: list
  elements: str
  returned: success
server:
  description: version, timezone, clock.
  type: dict
  returned: success
grants:
  description: What the user may do, as C(SHOW GRANTS) tells it.
  type: list
  elements: str
  returned: success
summary:
  description: What came of it, in one line.
  type: str
  returned: success
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify import compose_project
from ansible.module_utils.ingest_verify.reset.compose import Compose
from ansible.module_utils.ingest_verify.reset.module import argument_spec, carry_out


def backend(params: dict[str, Any]) -> Compose:
    """The project that a module's options name."""
    return Compose(
        directory=params["project_dir"],
        files=params["files"],
        service=params["service"],
        container=params["container"],
        network=params["network"],
        targets=params["data_targets"],
        host=params["login_host"],
        http_port=params["http_port"],
        native_port=params["login_port"],
        password=params["login_password"],
        wait_seconds=params["wait_seconds"],
        min_free_mb=params["min_free_mb"],
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **argument_spec(),
            **compose_project.argument_spec(),
            "container": {"type": "str", "required": True},
            "network": {"type": "str", "required": True},
            "min_free_mb": {"type": "int", "default": 0},
        },
        required_if=[("state", "deleted", ["stamp"])],
        supports_check_mode=True,
    )
    carry_out(module, lambda: backend(module.params))


if __name__ == "__main__":
    main()
