#!/usr/bin/python
"""Ansible module clickhouse_script."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clickhouse_script
short_description: Apply a SQL file to ClickHouse, statement by statement
description:
  - Finds the statements of a file and sends each one exactly as it is written, all in one session, so that C(USE) and
    C(SET) act on those that follow. Stops at the first one that the server refuses, with file, line, statement, code
    and exception.
  - Compares the server's catalog before and after to know whether anything changed.
  - Reports drift, a C(CREATE ... IF NOT EXISTS) that met an older object with other columns, types, engine or keys.
    Columns that the file's own C(ALTER TABLE) statements change are not compared.
  - Refuses, with file and line and before anything is sent, typographic quotes and dashes outside of strings and
    comments, C(//) comments, names with two dollar signs such as C(a$b$c), and C(INSERT) with data inside the file.
options:
  login_user:
    description: User that applies the file.
    type: str
    default: default
  login_db:
    description: Database that names without a database mean.
    type: str
    default: default
  path:
    description:
      - The SQL file, on the host where the module runs.
      - Exactly one of O(path), O(content) and O(content_base64) is given.
    type: path
  content:
    description: The SQL text itself.
    type: str
  content_base64:
    description: The bytes of a file in base64, as M(ansible.builtin.slurp) returns them; they need not be UTF-8.
    type: str
  name:
    description: What messages call the file; by default the path.
    type: str
  create_login_db:
    description: Create O(login_db) first when it does not exist.
    type: bool
    default: false
  settings:
    description: Settings sent with each statement.
    type: dict
    default: {}
  drift:
    description: Whether drift is a warning or fails the task.
    type: str
    choices: [warn, fail]
    default: warn
  drop_rows:
    description:
      - Whether tables that hold rows may lose them by C(DROP), C(TRUNCATE) or C(CREATE OR REPLACE TABLE). Otherwise
        such a script is refused before anything is sent, unless it fills the table again itself.
    type: bool
    default: false
  stage:
    description: Stage named in the findings.
    type: str
    default: schema_apply
  fail_on:
    description: Whether a refused statement or file fails the task; V(never) only reports it.
    type: str
    choices: [error, never]
    default: error
  contract:
    description: Tables and columns that must be there afterwards, as in M(clickhouse_contract). Not held in check mode.
    type: dict
    default: {}
extends_documentation_fragment: [clickhouse_login]
attributes:
  check_mode:
    description:
      - Splits the file and returns the plan; nothing is sent, no connection is made. RV(ignore:changed) then says that
        the file holds statements that may change something, not that they would.
    support: partial
  diff_mode:
    description: The objects of the catalog that changed; in check mode the plan.
    support: full
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Apply the schema
  clickhouse_script:
    login_host: clickhouse.example.com
    login_user: admin
    login_password: "{{ clickhouse_password }}"
    login_db: zakaz
    path: /opt/zakaz/bootstrap_schema.sql
    drift: fail
"""

RETURN = r"""
contract_held:
  description: How many C(tables) and C(columns) the contract names, where it holds; else empty.
  type: dict
  returned: always
statements:
  description: Each statement in order, with C(line), C(location), C(sql) (shortened, without secrets), C(status)
    (C(planned), C(applied), C(failed), C(not sent)), C(seconds), and C(written_rows) of an INSERT.
  type: list
  elements: dict
  returned: always
changed_objects:
  description: Objects of the catalog that were made, dropped or altered, such as C(table zakaz.dim_events).
  type: list
  elements: str
  returned: always
summary:
  description: One line for people.
  type: str
  returned: always
  sample: 8 of 8 statements of bootstrap_schema.sql in 0.11 s, catalog unchanged
ledger_data:
  description: RV(summary), RV(statements) and RV(changed_objects) again, for the ledger's record of a failed stage.
  type: dict
  returned: when a statement was refused or the file cannot be used
verdict:
  description: C(FAIL) when a finding is an error, else C(PASS).
  type: str
  returned: always
message:
  description: The errors as lines for a person on call; empty when there are none.
  type: str
  returned: always
findings:
  description: The statement that was refused, and drift.
  type: list
  elements: dict
  returned: always
"""

import base64
import binascii
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify.answers import Answers
from ansible.module_utils.ingest_verify.client import (
    ConnectError,
    ServerError,
    connect,
    error_finding,
    login_argument_spec,
)
from ansible.module_utils.ingest_verify.contract import ContractError, check_contract, parse_contract
from ansible.module_utils.ingest_verify.findings import FAIL, PASS, Finding, render_failure
from ansible.module_utils.ingest_verify.script import Outcome, file_finding, read_script, run_script
from ansible.module_utils.ingest_verify.statements import ScriptError


def apply(module: AnsibleModule, answers: Answers) -> Outcome:
    """Read the text and run it; a file that cannot be read is a finding as well."""
    params = module.params
    name = params["name"] or params["path"] or "content"
    try:
        if params["path"]:
            data = read_script(params["path"])
        elif params["content_base64"]:
            data = base64.b64decode(params["content_base64"], validate=True)
        else:
            data = (params["content"] or "").encode()
    except binascii.Error as error:
        answers.failed(msg=f"content_base64 is not base64: {error}.", findings=[])
    except ScriptError as error:
        return Outcome(name, findings=[file_finding(error, name, params["stage"])])
    return run_script(params, data, name, check=module.check_mode)


def hold_contract(params: dict[str, Any], outcome: Outcome) -> dict[str, int]:
    """Hold the contract against the catalog: what is broken goes to the outcome's findings, else its size is told."""
    try:
        contract = parse_contract(params["contract"])
        broken = check_contract(
            connect({**params, "login_db": "system"}), params["login_db"], contract, params["stage"]
        )
    except ContractError as error:
        broken = [Finding(params["stage"], "error", "config_variable", str(error), fix_side="configuration")]
    except (ConnectError, ServerError) as error:
        broken = [error_finding(error, params["stage"])]
    outcome.findings += broken
    return (
        {}
        if broken
        else {"tables": len(contract), "columns": sum(len(table["columns"]) for table in contract.values())}
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **login_argument_spec(),
            "path": {"type": "path"},
            "content": {"type": "str"},
            "content_base64": {"type": "str"},
            "name": {"type": "str"},
            "create_login_db": {"type": "bool", "default": False},
            "settings": {"type": "dict", "default": {}},
            "drift": {"type": "str", "choices": ["warn", "fail"], "default": "warn"},
            "drop_rows": {"type": "bool", "default": False},
            "contract": {"type": "dict", "default": {}},
            "stage": {"type": "str", "default": "schema_apply"},
            "fail_on": {"type": "str", "choices": ["error", "never"], "default": "error"},
        },
        mutually_exclusive=[("path", "content", "content_base64")],
        required_one_of=[("path", "content", "content_base64")],
        supports_check_mode=True,
    )
    answers = Answers(module)
    outcome = apply(module, answers)
    held: dict[str, int] = {}
    if module.params["contract"] and not module.check_mode and not outcome.failed:
        held = hold_contract(module.params, outcome)
    result = {
        "contract_held": held,
        "changed": outcome.changed,
        "statements": outcome.statements,
        "changed_objects": outcome.changed_objects,
        "summary": outcome.summary,
        "diff": outcome.diff,
        "findings": [finding.to_dict() for finding in outcome.findings],
        "verdict": FAIL if outcome.failed else PASS,
        "message": render_failure(outcome.findings) if outcome.failed else "",
    }
    if outcome.failed and module.params["fail_on"] == "error":
        ledger_data = {key: result[key] for key in ("summary", "statements", "changed_objects")}
        answers.failed(msg=result["message"], ledger_data=ledger_data, **result)
    answers.done(**result)


if __name__ == "__main__":
    main()
