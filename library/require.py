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
  that:
    description: Conditions, as for M(ansible.builtin.assert).
    type: list
    elements: raw
    default: []
  fail_msg:
    description: What is wrong and what mends it.
    type: str
    default: ""
  outcome:
    description: What a module answered, instead of conditions. Its findings of severity C(error) are what is missing.
    type: dict
    default: {}
  told:
    description: Whether to fail now with everything that was taken down.
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
