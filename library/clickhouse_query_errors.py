#!/usr/bin/python
"""Ansible module clickhouse_query_errors."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clickhouse_query_errors
short_description: Name the cause when an ingest into ClickHouse fails
description:
  - Reads C(system.query_log) with its rotated forms, C(query_views_log), C(asynchronous_insert_log), C(text_log),
    C(session_log), C(part_log), C(errors) and C(mutations) for a window of time, tells the run's statements from those
    of others, joins the ingest's own log, and fails with the offending SQL and the exception's text.
  - Proves first that a statement sent now is found in C(system.query_log) again. The verdict is V(INCONCLUSIVE)
    otherwise.
options:
  login_user:
    description: User that reads the system tables.
    type: str
    default: default
  since:
    description: Begin of the window, UTC by the server's clock.
    type: str
  until:
    description: End of the window, UTC by the server's clock; now when left out.
    type: str
  window_minutes:
    description: Length of the window where O(since) is left out.
    type: float
    default: 5
  database:
    description: Database that the ingest writes into.
    type: str
  user:
    description: User that the ingest logs in with.
    type: str
  users:
    description: Several of them.
    type: list
    elements: str
    default: []
  log_comment:
    description: Text that the ingest sets as C(log_comment) with its statements.
    type: str
  loader_run_id:
    description: Run id that the ingest puts into C(log_comment).
    type: str
  http_user_agent:
    description: Part of the user agent of an ingest that speaks HTTP.
    type: str
  client_name:
    description: Part of the client name of an ingest that speaks the native protocol.
    type: str
  client_address:
    description: Addresses that the ingest connects from, such as its container's.
    type: list
    elements: str
    default: []
  cluster:
    description: Cluster whose replicas are all read.
    type: str
  targets:
    description: Tables that the ingest is expected to write, C(table) or C(database.table).
    type: list
    elements: str
    default: []
  client_log:
    description: File with the ingest's output, on the host that the module runs on.
    type: path
  recorder_file:
    description: File of the recorder that ran inside the ingest, on the host that the module runs on.
    type: path
  ingest:
    description:
      - What is known of the ingest's process, C(exit_code), C(timed_out), C(oom_killed), C(duration_seconds), C(env),
        C(outcome). Left out when no process is judged.
    type: dict
  window_before:
    description: Result of M(clickhouse_window) before the ingest.
    type: dict
  window_after:
    description: Result of M(clickhouse_window) after the ingest.
    type: dict
  evidence_proven:
    description: Whether the canary of this run was found.
    type: bool
    default: true
  evidence_reason:
    description: Why not.
    type: str
  server_setup:
    description: >-
      Where the server runs, for advice that fits it. C(backend) is V(embedded), V(compose) or V(external), C(place) the
      folder of the engine or project, C(container) the container's name, C(schema_file) the file that the play
      applies, C(mode) V(fresh) where it started the server empty.
    type: dict
  max_shown:
    description: Findings shown in full in the failure text; the rest is counted.
    type: int
    default: 5
  flush_wait_seconds:
    description: How long to wait at most for the log tables to be flushed.
    type: float
    default: 30
  secrets_file:
    description: Env file, on the host that the module runs on, whose secrets are masked in what the module returns.
    type: path
  fail_on:
    description: V(error) fails the task when the verdict is V(FAIL); V(never) only reports.
    type: str
    choices: [error, never]
    default: error
extends_documentation_fragment: [clickhouse_login]
attributes:
  check_mode:
    description: Only reads, so it does the same in check mode.
    support: full
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: What failed for this user within the last quarter of an hour
  clickhouse_query_errors:
    login_host: 127.0.0.1
    login_user: admin
    login_password: "{{ password }}"
    window_minutes: 15
    user: ingest

- name: Judge a run of an ingest
  clickhouse_query_errors:
    login_host: 127.0.0.1
    login_user: admin
    login_password: "{{ password }}"
    since: "2026-11-23 04:00:00.000000"
    until: "2026-11-23 04:02:11.512345"
    user: ingest
    targets: [zakaz.stg_qtickets_api_orders_raw]
    client_log: /var/tmp/ingest.log
    ingest: {exit_code: 1}
"""

RETURN = r"""
verdict:
  description: V(PASS), V(FAIL) or V(INCONCLUSIVE).
  type: str
  returned: when it could be judged
findings:
  description: What was found, causes first.
  type: list
  elements: dict
  returned: always
evidence:
  description: Whether the channel was proven, why not, and which tables could not be read.
  type: dict
  returned: when it could be judged
counts:
  description: Statements of the run, failed ones, and failing ones of others by reason.
  type: dict
  returned: when it could be judged
excluded:
  description: Failing statements that are not the run's, with the reason.
  type: list
  elements: dict
  returned: when it could be judged
statements_by_target:
  description: >-
    For each target table, how many DESCRIBE and INSERT statements were seen and how they ended; C(filled_by) is the
    statement that filled it where no INSERT names it, such as an EXCHANGE or an INSERT into the table of a view.
  type: dict
  returned: when it could be judged
extracts:
  description: Rows of the log tables about the run, by table; empty when the task fails.
  type: dict
  returned: when it could be judged
attribution:
  description: By what the run's statements were told from others.
  type: str
  returned: when it could be judged
window:
  description: From and to, UTC by the server's clock.
  type: dict
  returned: when it could be judged
message:
  description: The failure text.
  type: str
  returned: unless the task fails with it
ledger_data:
  description: What the run's ledger keeps of the stage, with C(summary) and C(tables) for the report.
  type: dict
  returned: when it could be judged
"""

from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify.answers import Answers, masking_argument_spec
from ansible.module_utils.ingest_verify.client import (
    ConnectError,
    ServerError,
    connect,
    error_finding,
    login_argument_spec,
    query,
    send_marker,
)
from ansible.module_utils.ingest_verify.diagnosis.diagnose import diagnose
from ansible.module_utils.ingest_verify.diagnosis.log_only import diagnose_log
from ansible.module_utils.ingest_verify.diagnosis.request import Request
from ansible.module_utils.ingest_verify.diagnosis.result import Diagnosis
from ansible.module_utils.ingest_verify.facts.log import LogFileError
from ansible.module_utils.ingest_verify.facts.server import EvidenceError
from ansible.module_utils.ingest_verify.findings import Finding

STAGE = "qtickets_ingest"
ARGUMENTS: dict[str, dict[str, Any]] = {
    "since": {"type": "str"},
    "until": {"type": "str"},
    "window_minutes": {"type": "float", "default": 5},
    "database": {"type": "str"},
    "user": {"type": "str"},
    "users": {"type": "list", "elements": "str", "default": []},
    "log_comment": {"type": "str"},
    "loader_run_id": {"type": "str"},
    "http_user_agent": {"type": "str"},
    "client_name": {"type": "str"},
    "client_address": {"type": "list", "elements": "str", "default": []},
    "cluster": {"type": "str"},
    "targets": {"type": "list", "elements": "str", "default": []},
    "client_log": {"type": "path"},
    "recorder_file": {"type": "path"},
    "ingest": {"type": "dict"},
    "window_before": {"type": "dict"},
    "window_after": {"type": "dict"},
    "server_setup": {"type": "dict"},
    "evidence_proven": {"type": "bool", "default": True},
    "evidence_reason": {"type": "str"},
    "max_shown": {"type": "int", "default": 5},
    "flush_wait_seconds": {"type": "float", "default": 30},
    "fail_on": {"type": "str", "choices": ["error", "never"], "default": "error"},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={**login_argument_spec(), **masking_argument_spec(), **ARGUMENTS}, supports_check_mode=True
    )
    params = module.params
    answers = Answers(module)
    users = [user for user in [params["user"], *params["users"]] if user]
    asked = {name: params[name] for name in ARGUMENTS if name not in ("user", "users", "max_shown", "fail_on")}
    request = Request(users=users, **asked)
    try:
        diagnosis = _diagnose(params, request)
    except (ConnectError, ServerError) as error:
        answers.failed(msg=str(error), findings=[error_finding(error, STAGE).to_dict()])
    except (EvidenceError, LogFileError) as error:
        # What was asked for cannot be answered: a window, a cluster or a log file that somebody named.
        finding = Finding(STAGE, "error", "config_variable", str(error), fix_side="configuration")
        answers.failed(msg=str(error), findings=[finding.to_dict()])
    result = diagnosis.to_dict(params["max_shown"])
    for name in ("window_before", "window_after"):
        if params[name]:
            result["ledger_data"][name] = params[name]
    if params["fail_on"] == "error" and result["verdict"] == "FAIL":
        # The terminal shows all of a failed task's result: the text once, and no rows of log tables.
        answers.failed(msg=result.pop("message"), **{**result, "extracts": {}})
    answers.done(changed=False, **result)


def _diagnose(params: dict[str, Any], request: Request) -> Diagnosis:
    try:
        client = connect(params)
    except ConnectError as error:
        if request.client_log is None and request.ingest is None:
            raise
        return diagnose_log(request, str(error))
    try:
        return diagnose(partial(query, client), partial(send_marker, client), request)
    except ConnectError as error:
        # It went away before the window was known; what is read later is told as not read.
        return diagnose_log(request, str(error))


if __name__ == "__main__":
    main()
