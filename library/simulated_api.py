#!/usr/bin/python
"""Ansible module simulated_api: start and stop the simulated API that a local run loads from."""

from __future__ import annotations

DOCUMENTATION = r"""
module: simulated_api
short_description: Start or stop the simulated API
description:
  - Starts the project's simulated API on the target host and waits until it listens, or ends the one started before.
  - It goes on when the module has ended, and ends by itself after I(seconds).
options:
  state:
    description: C(started) or C(stopped).
    type: str
    choices: [started, stopped]
    default: started
  ready_file:
    description: File that the simulated API writes once it listens, and removes at its end.
    type: path
    required: true
  root:
    description: The project's folder. Needed to start.
    type: path
  port:
    description: Port to listen on. Needed to start.
    type: int
  token_file:
    description: File with the token that requests must carry. Needed to start.
    type: path
  options:
    description: Further options of C(python -m simulator), such as C(orders).
    type: dict
    default: {}
  owner:
    description: Mark of the run, by which a later run finds what an interrupted one left.
    type: str
    default: ""
  seconds:
    description: Time after which it ends by itself.
    type: int
    default: 3600
attributes:
  check_mode:
    description: Says whether it would be started or ended.
    support: full
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Start the simulated API
  simulated_api:
    root: "{{ verify_root }}"
    port: 18080
    token_file: /tmp/token
    ready_file: /tmp/simulator.json
    options: {seed: 7, orders: 60}

- name: Stop it
  simulated_api:
    state: stopped
    ready_file: /tmp/simulator.json
"""

RETURN = r"""
url:
  description: Address of the API.
  type: str
  returned: when started
port:
  description: Port that it listens on.
  type: int
  returned: when started
pid:
  description: Its process.
  type: int
  returned: when started
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify.simulated_api import SimulatedApiError, start, stop


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
            "ready_file": {"type": "path", "required": True},
            "root": {"type": "path"},
            "port": {"type": "int"},
            "token_file": {"type": "path"},
            "options": {"type": "dict", "default": {}},
            "owner": {"type": "str", "default": ""},
            "seconds": {"type": "int", "default": 3600},
        },
        required_if=[("state", "started", ["root", "port", "token_file"])],
        supports_check_mode=True,
    )
    params = module.params
    ready_file = Path(params["ready_file"])
    if module.check_mode:
        module.exit_json(changed=params["state"] == "started" or ready_file.exists())
    if params["state"] == "stopped":
        module.exit_json(changed=stop(ready_file))
    try:
        told = start(
            Path(params["root"]),
            params["port"],
            ready_file,
            Path(params["token_file"]),
            params["options"],
            params["owner"],
            params["seconds"],
        )
    except (SimulatedApiError, OSError) as error:
        taken = (
            f" See who listens on port {params['port']}: ss -ltnp. Set qtickets_ingest_simulator_port to a free one."
        )
        module.fail_json(
            msg=f"The simulated API did not start: {error}.{taken if 'cannot listen' in str(error) else ''}"
        )
    module.exit_json(changed=True, **told)


if __name__ == "__main__":
    main()
