#!/usr/bin/python
"""Ansible module clickhouse_embedded."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clickhouse_embedded
short_description: Bring the embedded engine up empty, or bring its data back
description:
  - Looks at everything that can stand in the way (ports, disk, rights, who wrote last) before anything is touched.
  - Moves the data aside by a rename, and notes its tables, its rows and who made them in O(dir)C(/.ingest-verify).
  - Proves that the server answers on both ports as the user, and not without the password.
extends_documentation_fragment: [clickhouse_login, clickhouse_reset]
options:
  root:
    description: Folder that holds the Python package C(embedded).
    type: path
    required: true
  dir:
    description: The engine's folder.
    type: path
    required: true
  timezone:
    description: The server's time zone, IANA name.
    type: str
    default: UTC
  users:
    description: Users beside O(login_user), which has every right. One without O(users[].grants) has every right too.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The user's name.
        type: str
        required: true
      password:
        description: Its password.
        type: str
        default: ""
      grants:
        description: What it may do, one GRANT statement each, without C(TO).
        type: list
        elements: str
        default: []
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
- name: Start an empty engine
  clickhouse_embedded:
    root: /opt/ingest-verify
    dir: /var/lib/ingest-verify
    login_host: 127.0.0.1
    login_port: 19000
    http_port: 18123
    login_user: admin
    login_password: "{{ password }}"
    confirm: ingest-verify
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

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify.reset.embedded import Embedded
from ansible.module_utils.ingest_verify.reset.module import argument_spec, carry_out


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **argument_spec(),
            "root": {"type": "path", "required": True},
            "dir": {"type": "path", "required": True},
            "timezone": {"type": "str", "default": "UTC"},
            "users": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "password": {"type": "str", "default": "", "no_log": True},
                    "grants": {"type": "list", "elements": "str", "default": []},
                },
            },
        },
        required_if=[("state", "deleted", ["stamp"])],
        supports_check_mode=True,
    )
    params = module.params
    options = {
        "host": params["login_host"],
        "http_port": params["http_port"],
        "tcp_port": params["login_port"],
        "timezone": params["timezone"],
    }
    passwords = {params["login_user"]: params["login_password"]}
    grants: dict[str, list[str]] = {}
    for user in params["users"]:
        # Who verifies and who loads may be the user with every right.
        if user["name"] != params["login_user"]:
            passwords[user["name"]] = user["password"]
            grants.setdefault(user["name"], []).extend(user["grants"])
    wait = params["wait_seconds"]
    carry_out(module, lambda: Embedded(params["root"], params["dir"], options, passwords, wait, grants))


if __name__ == "__main__":
    main()
