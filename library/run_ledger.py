#!/usr/bin/python
"""Documentation of run_ledger, an action plugin: it works on the control node and needs no module execution."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_ledger
short_description: Keep a run's ledger, artifacts/<run_id>/run.json
description:
  - Opens a run, notes which stage runs, records stages and findings, and judges the run. Runs on the control node.
options:
  artifacts_dir:
    description: Folder that holds one folder per run.
    type: path
    required: true
  state:
    description:
      - V(new) starts a run; V(last) takes the host's newest run and starts one only where there is none; V(existing)
        takes it and fails where there is none.
      - V(entered) notes that O(stage) of the run O(run_id) begins; V(update) records it; V(judged) computes the
        verdict.
    type: str
    choices: [new, last, existing, entered, update, judged]
    required: true
  host:
    description: Inventory name of the host the run is about.
    type: str
    required: true
  run_id:
    description: The run to update or judge; with V(last), the run to take instead of the newest one.
    type: str
  facts:
    description: Top-level keys to set, such as C(window), C(ingest), C(evidence).
    type: dict
    default: {}
  stage:
    description: The stage that O(status), O(data) and O(findings) are about.
    type: str
  status:
    description: How the stage stands.
    type: str
    choices: [ok, failed]
    default: ok
  data:
    description: The stage's own figures.
    type: dict
    default: {}
  findings:
    description: The stage's findings; they replace those of an earlier execution of the stage.
    type: list
    elements: dict
    default: []
  extracts:
    description: Rows of log tables, a list by each name, which are kept beside the ledger as C(<name>.jsonl).
    type: dict
    default: {}
  history:
    description: The run's figures, C(entry), as a line of C(file), which holds one for each run.
    type: dict
    default: {}
attributes:
  check_mode:
    description: In check mode nothing is written; V(new) answers with a run that has no folder.
    support: full
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Open the run
  run_ledger:
    artifacts_dir: artifacts
    state: new
    host: "{{ inventory_hostname }}"
  delegate_to: localhost
"""

RETURN = r"""
run_id:
  description: The run.
  type: str
  returned: success
dir:
  description: The run's folder, empty in check mode when there is none.
  type: str
  returned: success
ledger:
  description: Content of run.json.
  type: dict
  returned: success
ansible_facts:
  description: The ledger as C(run_ledger), and as C(run_ledger_recorded) whether the last record held an error.
  type: dict
  returned: success
"""
