#!/usr/bin/python
"""Documentation of require, an action plugin: it works on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: require
short_description: What a run needs, all of what is missing told together
description:
  - Fails as M(ansible.builtin.assert) does. Where the variable C(run_looks_ahead) is true it only takes down what is
    missing, and a later call with O(told) fails with all of it. Runs on the control node.
options:
  arguments:
    description: Entry of the role's argument spec that is checked first, as Ansible checks a role's import.
    type: str
    default: ""
  that:
    description: Conditions, as for M(ansible.builtin.assert).
    type: list
    elements: raw
    default: []
  fail_msg:
    description: What is wrong and what mends it. It is filled in only where it is told.
    type: str
    default: ""
  checks:
    description:
      - Several at once, since a task costs more than a condition. Each has C(name), C(that) and C(fail_msg).
      - C(when) says where it applies, C(cause) its cause class where that differs from the task's.
    type: list
    elements: dict
    default: []
  outcome:
    description: What a module answered, instead of conditions. Its findings of severity C(error) are what is missing.
    type: dict
    default: {}
  told:
    description:
      - Whether to fail now with everything that was taken down. With O(outcome) only where that is not as it must be.
    type: bool
    default: false
attributes:
  check_mode:
    description: The same as without it.
    support: full
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Check that the number makes sense
  require:
    that: seconds | int > 0
    fail_msg: seconds is {{ seconds }}. Set a number above 0.

- name: Tell everything that would stop the run
  require:
    told: true
"""

RETURN = r"""
findings:
  description: What is missing.
  type: list
  elements: dict
  returned: with O(told), on failure
obstacles:
  description: True where the failure is that list.
  type: bool
  returned: with O(told), on failure
"""
