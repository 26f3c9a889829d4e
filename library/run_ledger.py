#!/usr/bin/python
"""Ansible module run_ledger."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_ledger
short_description: Keep a run's ledger, artifacts/<run_id>/run.json
description:
  - Opens a run, records its stages and findings, and judges it. Runs on the control node.
options:
  artifacts_dir:
    description: Folder that holds one folder per run.
    type: path
    required: true
  state:
    description:
      - V(new) starts a run; V(last) takes the host's newest run and starts one only where there is none;
        V(update) records into the run O(run_id); V(judged) computes its verdict.
    type: str
    choices: [new, last, update, judged]
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
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify.ledger import (
    Ledger,
    LedgerError,
    find_last,
    playbook_process,
    refuse_second_run,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "artifacts_dir": {"type": "path", "required": True},
            "state": {"type": "str", "required": True, "choices": ["new", "last", "update", "judged"]},
            "host": {"type": "str", "required": True},
            "run_id": {"type": "str"},
            "facts": {"type": "dict", "default": {}},
            "stage": {"type": "str"},
            "status": {"type": "str", "choices": ["ok", "failed"], "default": "ok"},
            "data": {"type": "dict", "default": {}},
            "findings": {"type": "list", "elements": "dict", "default": []},
        },
        required_if=[("state", "update", ["run_id"]), ("state", "judged", ["run_id"])],
        supports_check_mode=True,
    )
    params = module.params
    artifacts_dir = Path(params["artifacts_dir"])
    try:
        run_id = params["run_id"]
        if params["state"] == "last":
            run_id = run_id or find_last(artifacts_dir, params["host"])
        own = playbook_process()
        if params["state"] in ("new", "last"):
            refuse_second_run(artifacts_dir, params["host"], own)
        if params["state"] == "new" or (params["state"] == "last" and not run_id):
            if module.check_mode:
                module.exit_json(changed=True, run_id="check-mode", dir="", ledger={"stages": {}, "findings": []})
            ledger = Ledger.create(artifacts_dir, params["host"], {**params["facts"], "process": own})
        elif module.check_mode and run_id == "check-mode":
            module.exit_json(changed=False, run_id=run_id, dir="", ledger={"stages": {}, "findings": []})
        else:
            ledger = Ledger.load(artifacts_dir, run_id)
        if params["state"] == "last":
            ledger.merge({"process": own})
        if params["state"] == "update":
            ledger.merge(params["facts"])
            if params["stage"]:
                ledger.record_stage(params["stage"], params["status"], params["data"], params["findings"])
        if params["state"] == "judged":
            ledger.judge()
        if params["state"] != "new" and not module.check_mode:
            ledger.save()
    except LedgerError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, run_id=ledger.data["run_id"], dir=str(ledger.folder.resolve()), ledger=ledger.data)


if __name__ == "__main__":
    main()
