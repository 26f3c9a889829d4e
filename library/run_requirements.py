#!/usr/bin/python
"""Ansible module run_requirements."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_requirements
short_description: Check that a host's Python has the packages that the modules need
description:
  - Names every missing package at once, with the command that installs them for the interpreter in use.
options:
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
    packages:
      clickhouse_driver: clickhouse-driver
    install_hint: -m pip install clickhouse-driver
"""

RETURN = r"""
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
            "packages": {"type": "dict", "required": True},
            "install_hint": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    wanted = module.params["packages"]
    missing = [name for imported, name in wanted.items() if importlib.util.find_spec(imported) is None]
    if missing:
        module.fail_json(
            msg=f"The Python of this host ({sys.executable}) lacks {', '.join(missing)}. "
            f"Install with: {sys.executable} {module.params['install_hint']}",
            missing=missing,
        )
    module.exit_json(changed=False, missing=[])


if __name__ == "__main__":
    main()
