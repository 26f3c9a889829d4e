#!/usr/bin/python
"""Ansible module clickhouse_checks."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clickhouse_checks
short_description: Prove that what the source served is what the tables hold, once, in time and consistent
description:
  - Runs declared data checks, all checks of one table in one pass (and one more where FINAL is needed).
  - A check that cannot be answered (missing table or column, no right, too slow) is an error of its own; the
    others run.
  - Every query is sent with C(readonly=2) and a time limit.
options:
  login_user:
    description: User to log in as; it needs SELECT on the checked tables and on the log tables of C(system).
    type: str
    default: default
  login_db:
    description: Ignored, O(database) is the session's database.
    type: str
    default: default
  database:
    description: Database of the tables that checks name without one.
    type: str
    required: true
  checks:
    description:
      - The declared checks, each with C(name), C(kind), C(table), C(limits), C(severity) and the options of its kind.
      - Kinds are existence, volume, freshness, duplicates, reconciliation, consistency, values, referential,
        run_record, trend and sql.
    type: list
    elements: raw
    required: true
  extra_checks:
    description: Checks beside O(checks), declared alike; a wrong one is refused with a place of its own.
    type: list
    elements: raw
    default: []
  run:
    description:
      - What is known of the run, each part optional. C(loader_run_id), C(job), C(window) with C(from) and C(to) (server
        clock, UTC), C(log_comment), C(metrics), C(ver), C(user), C(expected_tables), C(suspects)
        (headlines of what the ingest met and went on after).
      - Without a window the last minutes are looked at (O(limits)); metrics and version are taken from the run record
        where they are not given.
    type: dict
    default: {}
  limits:
    description:
      - C(seconds) of one query of a check that declares none (30), C(rows_shown) per finding (5), C(look_back_minutes)
        where no window is known (5).
    type: dict
    default: {}
  overview:
    description: Queries whose rows are only shown, each with C(name) and C(query).
    type: list
    elements: dict
    default: []
  history:
    description: Entries of earlier runs, each as an earlier RV(history_entry) was returned, oldest first.
    type: list
    elements: dict
    default: []
  history_lines:
    description: Lines of a file with such entries as JSON, read after O(history); what is no entry is passed over.
    type: list
    elements: str
    default: []
  secrets_file:
    description: Env file, on the host that the module runs on, whose secrets are masked in what the module returns.
    type: path
  audit:
    description:
      - What the source was asked again. C(answer_file) is what the program printed (the form is in
        docs/reference/audit.md), C(entities) names the tables and columns of each entity, C(wanted) makes a warning of
        an answer without figures.
    type: dict
    default: {}
  contract:
    description: Tables and columns as in M(clickhouse_contract), held once more.
    type: dict
    default: {}
  contract_held:
    description: Whether O(contract) was right when the schema was applied, so that a difference came later.
    type: bool
    default: false
  fail_on:
    description: Whether a check that ends in an error fails the task.
    type: str
    choices: [error, never]
    default: error
extends_documentation_fragment: [clickhouse_login]
attributes:
  check_mode:
    description: Never changes anything; the same in check mode.
    support: full
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Check the data of the last five minutes
  clickhouse_checks:
    login_user: admin
    login_password: "{{ clickhouse_password }}"
    database: shop
    checks:
      - name: orders of this run
        kind: volume
        table: orders
        this_run: {column: loaded_at, within: window}
      - name: orders are fresh
        kind: freshness
        table: orders
        column: created_at
        limits: {warn_age_minutes: 60, error_age_minutes: 1440}
"""

RETURN = r"""
checks:
  description: One entry per check (name, kind, table, severity, status, expected, actual, rows, seconds).
  type: list
  elements: dict
  returned: always
verdict:
  description: C(FAIL) when a finding is an error, else C(PASS).
  type: str
  returned: when connected
message:
  description: The errors as lines for a person on call, or one line of summary.
  type: str
  returned: when connected
findings:
  description: What was found, with cause, object, expected, actual, next step and the rows to look at.
  type: list
  elements: dict
  returned: always
reconciliation:
  description: Per entity what was served, dropped, kept, claimed, written and is held.
  type: list
  elements: dict
  returned: when connected
audit:
  description:
    - C(status) (C(agrees), C(differs), C(not done)), C(entities) with counts, C(differences) of sums by day and group,
      C(notes) of what was not compared. Empty where no answer was given.
  type: dict
  returned: when connected
accounts:
  description:
    - The rows' ledger, one account per table that the run wrote or a check asks about. C(told) by the client,
      C(acknowledged) by the server, C(written_rows), C(new_part_rows), C(taken) (C(by), C(rows), C(reason), C(of_run)
      as least and most rows that were the run's), C(before), C(others), C(held) now, C(remainder) that nothing
      explains, C(unknown) in words.
  type: list
  elements: dict
  returned: when connected
overview:
  description: The rows of the queries of O(overview).
  type: list
  elements: dict
  returned: when connected
figures:
  description: The run's figures by name.
  type: dict
  returned: when connected
history_entry:
  description: What to append to the history file.
  type: dict
  returned: when connected
run:
  description: The run as it was told from others.
  type: dict
  returned: when connected
notes:
  description: What had to be assumed, and which sides are missing.
  type: list
  elements: str
  returned: when connected
scans:
  description: queries sent, rows_read, bytes_read, seconds.
  type: dict
  returned: when connected
ledger_data:
  description: Summary and tables for the run's ledger.
  type: dict
  returned: when connected
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify.answers import Answers, masking_argument_spec
from ansible.module_utils.ingest_verify.checks import DeclarationError, ScanError, read_request, run_checks, to_result
from ansible.module_utils.ingest_verify.client import (
    ConnectError,
    ServerError,
    connect,
    error_finding,
    login_argument_spec,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **login_argument_spec(),
            **masking_argument_spec(),
            "database": {"type": "str", "required": True},
            "checks": {"type": "list", "elements": "raw", "required": True},
            "extra_checks": {"type": "list", "elements": "raw", "default": []},
            "run": {"type": "dict", "default": {}},
            "limits": {"type": "dict", "default": {}},
            "overview": {"type": "list", "elements": "dict", "default": []},
            "history": {"type": "list", "elements": "dict", "default": []},
            "history_lines": {"type": "list", "elements": "str", "default": []},
            "audit": {"type": "dict", "default": {}},
            "contract": {"type": "dict", "default": {}},
            "contract_held": {"type": "bool", "default": False},
            "fail_on": {"type": "str", "choices": ["error", "never"], "default": "error"},
        },
        supports_check_mode=True,
    )
    answers = Answers(module)
    try:
        request = read_request(module.params)
        client = connect({**module.params, "login_db": module.params["database"]})
        outcome = run_checks(client, request)
    except DeclarationError as error:
        answers.failed(msg=str(error), checks=[], findings=[error.finding().to_dict()])
    except ScanError as error:
        answers.failed(msg=str(error), checks=[], findings=[error.finding().to_dict()])
    except (ConnectError, ServerError) as error:
        answers.failed(msg=str(error), checks=[], findings=[error_finding(error, "verify_data").to_dict()])
    result = to_result(outcome)
    if result["verdict"] == "FAIL" and module.params["fail_on"] == "error":
        answers.failed(msg=result["message"], **result)
    answers.done(changed=False, **result)


if __name__ == "__main__":
    main()
