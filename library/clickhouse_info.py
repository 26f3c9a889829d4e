#!/usr/bin/python
"""Ansible module clickhouse_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clickhouse_info
short_description: Wait for a ClickHouse server and say what it is and holds
description:
  - Connects over the native protocol, waits while nothing listens yet, and returns version, time zone and tables.
options:
  wait_seconds:
    description: How long to wait for a server that does not listen yet.
    type: float
    default: 0
  must_answer:
    description: Whether a server that cannot be reached fails the task.
    type: bool
    default: true
  content:
    description: Whether the tables are listed.
    type: bool
    default: true
extends_documentation_fragment: [clickhouse_login]
attributes:
  check_mode:
    description: Never changes anything; the same in check mode.
    support: full
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Wait for ClickHouse
  clickhouse_info:
    login_host: 127.0.0.1
    login_user: admin
    login_password: "{{ clickhouse_password }}"
    wait_seconds: 60
"""

RETURN = r"""
answers:
  description: Whether a usable connection was had.
  type: bool
  returned: always
reason:
  description: Why not, empty otherwise.
  type: str
  returned: always
server:
  description: version, timezone, clock.
  type: dict
  returned: when answers
content:
  description: One row per table that is not the system's own (database, table, engine, rows, newest_write).
  type: list
  elements: dict
  returned: when answers and O(content)
grants:
  description: What the user may do, as C(SHOW GRANTS) tells it.
  type: list
  elements: str
  returned: when answers
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify.client import (
    ConnectError,
    ServerError,
    error_finding,
    login_argument_spec,
)
from ansible.module_utils.ingest_verify.server import describe_server, list_content, list_grants, wait_for_server


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **login_argument_spec(),
            "wait_seconds": {"type": "float", "default": 0},
            "must_answer": {"type": "bool", "default": True},
            "content": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    try:
        client = wait_for_server(module.params, module.params["wait_seconds"])
        result = {"server": describe_server(client), "grants": list_grants(client)}
        if module.params["content"]:
            result["content"] = list_content(client)
    except (ConnectError, ServerError) as error:
        if module.params["must_answer"]:
            findings = [error_finding(error, "clickhouse_reset").to_dict()]
            module.fail_json(msg=str(error), answers=False, reason=str(error), findings=findings)
        module.exit_json(changed=False, answers=False, reason=str(error))
    module.exit_json(changed=False, answers=True, reason="", **result)


if __name__ == "__main__":
    main()
