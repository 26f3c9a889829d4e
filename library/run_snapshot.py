#!/usr/bin/python
"""Ansible module run_snapshot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_snapshot
short_description: Take down what a run stood on, so that two runs can be compared
description:
  - Reads the schema of the targets with their views, rights and settings of the ingest's user, the image's id and
    labels, the build context's revision, and the names of the env file's variables with keyed hashes of their values.
  - What cannot be read is named and fails nothing.
options:
  login_user:
    description: User to log in as.
    type: str
    default: default
  database:
    description: Database of the targets.
    type: str
    default: ""
  ingest_user:
    description: The user that the ingest logs in with.
    type: str
    default: ""
  image:
    description: The ingest's image.
    type: str
    default: ""
  build_context:
    description: Folder that the image was built from.
    type: str
    default: ""
  env_file:
    description: The ingest's env file.
    type: path
  hash_key:
    description: Key of the hashes; runs with the same key can be compared.
    type: str
    default: ""
  server_log:
    description: The server's log file, whose end becomes evidence.
    type: path
  container:
    description: The server's container, for C(docker inspect) and C(docker logs).
    type: str
    default: ""
extends_documentation_fragment: [clickhouse_login]
attributes:
  check_mode:
    description: Only reads, so it does the same in check mode.
    support: full
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Take a snapshot
  run_snapshot:
    login_user: admin
    login_password: "{{ clickhouse_password }}"
    database: zakaz
    ingest_user: loader
"""

RETURN = r"""
snapshot:
  description: Sections with text by name; C(missing) says what could not be read.
  type: dict
  returned: always
evidence:
  description: Content of evidence files by name.
  type: dict
  returned: always
env_file_content:
  description: The env file, base64, for the report to know what it must not show; it goes into no file.
  type: str
  returned: when I(env_file) can be read
"""

import base64
import contextlib
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify.answers import Answers
from ansible.module_utils.ingest_verify.client import login_argument_spec
from ansible.module_utils.ingest_verify.run_snapshot import server_evidence, take


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **login_argument_spec(),
            "database": {"type": "str", "default": ""},
            "ingest_user": {"type": "str", "default": ""},
            "image": {"type": "str", "default": ""},
            "build_context": {"type": "str", "default": ""},
            "env_file": {"type": "path"},
            "hash_key": {"type": "str", "default": "", "no_log": True},
            "server_log": {"type": "path"},
            "container": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    evidence = server_evidence(module.params)
    answer = {"snapshot": take(module.params), "evidence": evidence}
    if module.params["env_file"]:
        with contextlib.suppress(OSError):
            answer["env_file_content"] = base64.b64encode(Path(module.params["env_file"]).read_bytes()).decode()
    Answers(module).done(changed=False, **answer)


if __name__ == "__main__":
    main()
