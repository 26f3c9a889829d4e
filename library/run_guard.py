#!/usr/bin/python
"""Ansible module run_guard."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_guard
short_description: Take a server for one run, and end what interrupted runs left
description:
  - Writes a lock for the server on this host, so that a second run is refused, whatever its checkout or user.
  - Ends processes and containers that a run of this project started and whose play is gone. Nothing else is ended.
options:
  place:
    description: The server as C(host:port).
    type: str
    required: true
  owner:
    description: The play, with C(host), C(pid), C(start) and C(run_id).
    type: dict
    required: true
  docker:
    description: Whether containers are looked at too.
    type: bool
    default: false
  state:
    description: V(taken) takes the server, V(free) gives it back.
    type: str
    choices: [taken, free]
    default: taken
attributes:
  check_mode:
    description: Refuses as without it, and says what would be ended.
    support: full
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Take the server
  run_guard:
    place: 127.0.0.1:9000
    owner: {host: control, pid: 4711, start: 123456, run_id: 20261123T040000Z-abcdef}
"""

RETURN = r"""
ended:
  description: What was left and is ended now, one sentence each.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify.docker_cli import DockerError
from ansible.module_utils.ingest_verify.findings import Finding
from ansible.module_utils.ingest_verify.guard import BusyError, Owner, release, take


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "place": {"type": "str", "required": True},
            "owner": {"type": "dict", "required": True},
            "docker": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["taken", "free"], "default": "taken"},
        },
        supports_check_mode=True,
    )
    place, given = module.params["place"], module.params["owner"]
    owner = Owner(str(given["host"]), int(given["pid"]), int(given["start"]), str(given["run_id"]))
    if module.params["state"] == "free":
        if not module.check_mode:
            release(place, owner)
        module.exit_json(changed=False, ended=[])
    try:
        ended = take(place, owner, docker=module.params["docker"], check_mode=module.check_mode)
    except BusyError as error:
        finding = Finding("clickhouse_reset", "error", "host_second_run", str(error), object=place)
        module.fail_json(msg=str(error), findings=[finding.to_dict()])
    except (OSError, DockerError) as error:
        module.fail_json(msg=f"The server cannot be taken for this run: {error}")
    module.exit_json(changed=bool(ended), ended=ended)


if __name__ == "__main__":
    main()
