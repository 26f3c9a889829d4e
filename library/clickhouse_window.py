#!/usr/bin/python
"""Ansible module clickhouse_window."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clickhouse_window
short_description: Read the server's clock and error counters before and after an ingest
description:
  - Gives the point in time by the server's own clock that a window begins or ends with, and the counters of
    C(system.errors), whose difference shows refusals that no log table holds, such as a wrong password.
options:
  login_user:
    description: User that reads the system tables.
    type: str
    default: default
  marker:
    description: Text to send as C(SELECT '<marker>'), so that it can be waited for in C(system.query_log).
    type: str
  cluster:
    description: Cluster whose hosts are listed.
    type: str
extends_documentation_fragment: [clickhouse_login]
attributes:
  check_mode:
    description: Only reads, so it does the same in check mode.
    support: full
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Note where the window begins
  clickhouse_window:
    login_host: 127.0.0.1
    login_user: admin
    login_password: "{{ password }}"
  register: window_before
"""

RETURN = r"""
at:
  description: The server's time in UTC, with microseconds.
  type: str
  returned: success
  sample: "2026-11-23 04:00:00.000000"
timezone:
  description: The server's time zone.
  type: str
  returned: success
version:
  description: The server's version.
  type: str
  returned: success
uptime_seconds:
  description: Seconds since the server started.
  type: int
  returned: success
errors:
  description: Counters of system.errors by C(code:name:remote).
  type: dict
  returned: success
hosts:
  description: Names of the hosts that answered.
  type: list
  elements: str
  returned: success
missing_hosts:
  description: How many hosts of the cluster do not answer, in words; null when all do.
  type: str
  returned: success
"""

from functools import partial

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify.client import (
    ConnectError,
    ServerError,
    connect,
    error_finding,
    login_argument_spec,
    query,
)
from ansible.module_utils.ingest_verify.facts.server import EvidenceError, read_window
from ansible.module_utils.ingest_verify.findings import Finding


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={**login_argument_spec(), "marker": {"type": "str"}, "cluster": {"type": "str"}},
        supports_check_mode=True,
    )
    params = module.params
    try:
        client = connect(params)
        module.exit_json(changed=False, **read_window(partial(query, client), params["marker"], params["cluster"]))
    except (ConnectError, ServerError) as error:
        module.fail_json(msg=str(error), findings=[error_finding(error, "qtickets_ingest").to_dict()])
    except EvidenceError as error:
        finding = Finding("qtickets_ingest", "error", "config_variable", str(error), fix_side="configuration")
        module.fail_json(msg=str(error), findings=[finding.to_dict()])


if __name__ == "__main__":
    main()
