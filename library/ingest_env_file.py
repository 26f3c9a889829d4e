#!/usr/bin/python
"""Ansible module ingest_env_file."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ingest_env_file
short_description: Make and check the ingest's env file
description:
  - Makes the env file from a sample when it is absent, gives it mode 0600, and reads it as C(docker run --env-file)
    does.
  - Fails when the file's form or its values would make the ingest do something else than the run is to prove.
  - Never prints the value of a variable whose name looks secret.
options:
  path:
    description: The env file.
    type: path
    required: true
  sample:
    description: File that O(path) is made from when it is absent.
    type: path
  content:
    description: What the file is to hold, where the play brings its values; any other content is replaced.
    type: str
  state:
    description: V(create) may make the file and correct its mode and owner; V(check) writes nothing.
    type: str
    choices: [create, check]
    default: create
  required:
    description: Variables that must have a value of their own, neither empty nor a placeholder.
    type: list
    elements: str
    default: []
  placeholders:
    description: Regular expressions for further placeholders; the whole value is matched, case ignored.
    type: list
    elements: str
    default: []
  expect:
    description: Variables whose value is known beforehand, with that value.
    type: dict
    default: {}
  forbid_dry_run:
    description: Whether E(DRY_RUN) left on is refused.
    type: bool
    default: true
  owner:
    description: User that the file must belong to. Not checked when left out.
    type: str
attributes:
  check_mode:
    description: Nothing is written; C(changed) and the refusals are those of a real run.
    support: full
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Check the env file
  ingest_env_file:
    path: secrets/.env.qtickets_api
    sample: deploy/env.qtickets_api.sample
    required: [QTICKETS_TOKEN, ORG_NAME]
    expect:
      CLICKHOUSE_DB: zakaz
"""

RETURN = r"""
env:
  description: The variables whose names do not look secret, as Docker reads them.
  type: dict
  returned: always
created:
  description: Whether the file was made from the sample.
  type: bool
  returned: always
findings:
  description: What is wrong with the file; with an error among them the module fails.
  type: list
  elements: dict
  returned: always
"""

import re

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify.env_file import ensure_env_file
from ansible.module_utils.ingest_verify.findings import render, render_failure


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "sample": {"type": "path"},
            "content": {"type": "str", "no_log": True},
            "state": {"type": "str", "choices": ["create", "check"], "default": "create"},
            "required": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "placeholders": {"type": "list", "elements": "str", "default": []},
            "expect": {"type": "dict", "default": {}},
            "forbid_dry_run": {"type": "bool", "default": True},
            "owner": {"type": "str"},
        },
        supports_check_mode=True,
    )
    params = module.params
    for pattern in params["placeholders"]:
        try:
            re.compile(pattern)
        except re.error as error:
            module.fail_json(msg=f"placeholders: {pattern!r} is not a regular expression: {error}", findings=[])
    report = ensure_env_file(
        params["path"],
        sample=params["sample"],
        required=params["required"],
        placeholders=params["placeholders"],
        expect=params["expect"],
        forbid_dry_run=params["forbid_dry_run"],
        owner=params["owner"],
        content=params["content"],
        write=params["state"] == "create",
        check_mode=module.check_mode,
    )
    result = {
        "changed": report.changed,
        "created": report.created,
        "env": report.env,
        "findings": [finding.to_dict() for finding in report.findings],
    }
    if any(finding.severity == "error" for finding in report.findings):
        module.fail_json(msg=render_failure(report.findings), **result)
    for finding in report.findings:
        module.warn(render(finding))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
