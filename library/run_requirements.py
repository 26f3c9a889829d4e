#!/usr/bin/python
"""Ansible module run_requirements."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_requirements
short_description: Check that a host's Python is new enough and has the packages that the modules need
description:
  - Names every missing package at once, with the command that installs them for the interpreter in use.
  - Runs on every Python that Ansible supports, so that one that is too old for the other modules is told in words.
options:
  python:
    description: Oldest Python that will do, such as V(3.11).
    type: str
    required: true
  packages:
    description: Import name of each needed package, with the name it is installed by.
    type: dict
    required: true
  install_hint:
    description: What follows the interpreter in the command that installs them.
    type: str
    required: true
attributes:
  check_mode:
    description: Never changes anything; the same in check mode.
    support: full
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Look for the driver
  run_requirements:
    python: "3.11"
    packages:
      clickhouse_driver: clickhouse-driver
    install_hint: -m pip install clickhouse-driver
"""

RETURN = r"""
findings:
  description: What is missing and what mends it.
  type: list
  elements: dict
  returned: failure
missing:
  description: Distribution names that are not installed.
  type: list
  elements: str
  returned: always
"""

import importlib.util
import sys

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "python": {"type": "str", "required": True},
            "packages": {"type": "dict", "required": True},
            "install_hint": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    oldest = module.params["python"]
    wanted = module.params["packages"]
    missing = [name for imported, name in wanted.items() if importlib.util.find_spec(imported) is None]
    said = ""
    if sys.version_info < tuple(map(int, oldest.split("."))):
        missing = []
        said = (
            f"Python {oldest} or newer is expected on this host, {sys.executable} is {sys.version.split()[0]}. "
            "Install a newer one and name it in the inventory: ansible_python_interpreter=/usr/bin/python3.12"
        )
    elif missing:
        said = (
            f"The Python of this host ({sys.executable}) lacks {', '.join(missing)}. "
            f"Install with: {sys.executable} {module.params['install_hint']}"
        )
    if said:
        finding = {"severity": "error", "cause": "host_task_failed", "headline": said, "object": sys.executable}
        module.fail_json(msg=said, missing=missing, findings=[finding])
    module.exit_json(changed=False, missing=[])


if __name__ == "__main__":
    main()
