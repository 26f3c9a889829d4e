#!/usr/bin/python
"""Documentation of run_report, an action plugin: it works on the control node and asks the host for a snapshot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_report
short_description: Write every form of a run's report
description:
  - Masks what lies in the run's folder, writes report.html, report.md, report.json, junit.xml and metrics.prom, looks
    through all files again, and lists them in MANIFEST.sha256. Fails when a file still holds a secret or personal data,
    and names file and kind.
options:
  dir:
    description: The run's folder.
    type: path
    required: true
  ledger:
    description: Content of run.json.
    type: dict
    required: true
  secrets:
    description: What must not be in any file; the secrets of the ingest's env file are read on the host.
    type: list
    elements: str
    default: []
  snapshot:
    description: Arguments of M(run_snapshot); empty takes none.
    type: dict
    default: {}
  language:
    description: Language of the fixed words, V(en) or V(ru).
    type: str
    default: en
  compare:
    description: Run to compare with; empty takes the host's run before this one.
    type: str
    default: ""
  archive:
    description: Pack the folder as <run_id>.tar.gz beside it.
    type: bool
    default: false
  keep:
    description: Runs of the host that are kept; 0 keeps all.
    type: int
    default: 0
  notify:
    description: Addresses of apprise that are told the verdict.
    type: list
    elements: str
    default: []
  link:
    description: Link to the report for them.
    type: str
    default: ""
  metrics_file:
    description: File that gets a copy of metrics.prom.
    type: str
    default: ""
  lineage_namespace:
    description: Namespace of the job in OpenLineage's run event; empty writes none.
    type: str
    default: ""
attributes:
  check_mode:
    description: Skipped in check mode.
    support: none
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Write the report
  run_report:
    dir: artifacts/20261128T084501Z-abcdef
    ledger: "{{ ledger }}"
"""

RETURN = r"""
verdict:
  description: The run's verdict.
  type: str
  returned: success
headline:
  description: The first cause in one sentence.
  type: str
  returned: success
summary:
  description: What ran and what was found, in one line.
  type: str
  returned: success
counts:
  description: Findings by severity.
  type: dict
  returned: success
comparison:
  description: What differs from the other run.
  type: dict
  returned: success
paths:
  description: Path of each form by name.
  type: dict
  returned: success
warnings:
  description: What was asked for and could not be done, such as a notification.
  type: list
  elements: str
  returned: success
"""
