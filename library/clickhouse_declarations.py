#!/usr/bin/python
"""Documentation of clickhouse_declarations, an action plugin: it works on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clickhouse_declarations
short_description: Refuse data checks that cannot be used, before anything runs
description:
  - Reads declarations as M(clickhouse_checks) does, and fails with the place of the first one that cannot be used. Runs
    on the control node and asks no server.
options:
  checks:
    description: The checks, as in M(clickhouse_checks).
    type: list
    elements: raw
    required: true
  extra_checks:
    description: Checks beside O(checks), declared alike.
    type: list
    elements: raw
    default: []
  limits:
    description: Limits of all checks, as in M(clickhouse_checks).
    type: dict
    default: {}
  overview:
    description: Queries whose rows are only shown, each with C(name) and C(query).
    type: list
    elements: dict
    default: []
attributes:
  check_mode:
    description: The same as without it.
    support: full
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Refuse checks that cannot be used
  clickhouse_declarations:
    checks:
      - {name: orders of this run, kind: volume, table: orders, this_run: {column: loaded_at, within: window}}
"""

RETURN = r"""
findings:
  description: Why it was refused.
  type: list
  elements: dict
  returned: failure
"""
