#!/usr/bin/python
"""Ansible module clickhouse_contract."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clickhouse_contract
short_description: Prove that tables have the columns others rely on
description:
  - Holds a declared contract of tables, columns and types against the server's catalog, in one query.
options:
  login_user:
    description: User that reads the catalog.
    type: str
    default: default
  login_db:
    description: Database that holds the tables.
    type: str
    default: default
  contract:
    description:
      - Tables by name (C(database.table) for one outside O(login_db)), each with C(columns) (name to a type, or to a
        list of types of which each will do, the preferred one last), and optionally C(engine) and C(key), the sorting
        key.
      - A C(DateTime) without a time zone accepts one with; C(any) accepts every type.
    type: dict
    required: true
  stage:
    description: Stage named in the findings.
    type: str
    default: schema_apply
extends_documentation_fragment: [clickhouse_login]
attributes:
  check_mode:
    description: Reads only, and does the same.
    support: full
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Prove that the orders table is there
  clickhouse_contract:
    login_user: admin
    login_password: "{{ clickhouse_password }}"
    login_db: zakaz
    contract:
      stg_qtickets_api_orders_raw:
        engine: ReplacingMergeTree
        key: _dedup_key
        columns:
          order_id: String
          revenue: [Float64, "Decimal(18, 2)"]
"""

RETURN = r"""
findings:
  description: Each missing table, missing column and wrong type, engine or key, with the statement that mends it.
  type: list
  elements: dict
  returned: always
tables:
  description: How many tables the contract names.
  type: int
  returned: when the catalog could be read
columns:
  description: How many columns the contract names.
  type: int
  returned: when the catalog could be read
"""

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
from ansible.module_utils.ingest_verify.findings import Finding, render_failure


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **login_argument_spec(),
            "contract": {"type": "dict", "required": True},
            "stage": {"type": "str", "default": "schema_apply"},
        },
        supports_check_mode=True,
    )
    params = module.params
    answers = Answers(module)
    try:
        contract = parse_contract(params["contract"])
        # The database may be missing, which is a finding and no failed login.
        client = connect({**params, "login_db": "system"})
        findings = check_contract(client, params["login_db"], contract, params["stage"])
    except ContractError as error:
        finding = Finding(params["stage"], "error", "config_variable", str(error), fix_side="configuration")
        answers.failed(msg=str(error), findings=[finding.to_dict()])
    except (ConnectError, ServerError) as error:
        answers.failed(msg=str(error), findings=[error_finding(error, params["stage"]).to_dict()])
    result = {
        "changed": False,
        "tables": len(contract),
        "columns": sum(len(table["columns"]) for table in contract.values()),
        "findings": [finding.to_dict() for finding in findings],
    }
    if findings:
        answers.failed(msg=render_failure(findings), **result)
    answers.done(**result)


if __name__ == "__main__":
    main()
