#!/usr/bin/python
"""Ansible module clickhouse_query_logging."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clickhouse_query_logging
short_description: Make query logging effective for the ingest's user, and prove it
description:
  - Reads the settings of the ingest's user and the log tables, and lets a statement of that user fail on purpose.
  - A user defined by SQL is altered. For a user defined in XML, and for log tables that are not configured, the
    module returns the drop-in files that are needed; placing them and reloading is left to the caller.
options:
  login_user:
    description: User that reads the log tables and alters the ingest's user.
    type: str
    default: default
  ingest_user:
    description: User that the ingest logs in with.
    type: str
    required: true
  ingest_password:
    description: Its password.
    type: str
    required: true
  state:
    description:
      - V(present) changes what can be changed by SQL and says which drop-ins are needed. Where nothing is missing, it
        runs the canary as V(proven) does.
      - V(proven) runs the canary. V(absent) undoes an C(ALTER USER) with the values of O(previous).
    type: str
    choices: [present, proven, absent]
    default: present
  previous:
    description: Settings the user had, as returned by an earlier V(present).
    type: dict
    default: {}
  may_change:
    description: Whether V(present) may send an C(ALTER USER). Otherwise the finding says which one would help.
    type: bool
    default: true
  remedy:
    description: For V(proven), how the play itself would mend what is missing, told after the finding's own next step.
    type: str
    default: ""
  wait_seconds:
    description: How long the canary may take to appear in the log tables.
    type: float
    default: 20
  from_networks:
    description:
      - Docker networks of a containerised ingest. Its user then logs in from the first one that O(server_container) is
        on, with C(clickhouse-client) of the server's image. Where that cannot be, from this host, and it is told.
    type: list
    elements: str
    default: []
  server_container:
    description: The server's container. Needed with O(from_networks).
    type: str
    default: ""
  owner:
    description: The play that runs it, as M(run_guard) reads it, for the container that logs in.
    type: str
    default: ""
extends_documentation_fragment: [clickhouse_login]
attributes:
  check_mode:
    description: Predicts an C(ALTER USER) without sending it; the canary is not run.
    support: full
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Prove that a failing statement can be found again
  clickhouse_query_logging:
    login_user: admin
    login_password: "{{ clickhouse_password }}"
    ingest_user: qtickets
    ingest_password: "{{ ingest_password }}"
    state: proven
"""

RETURN = r"""
missing:
  description: Log tables that the server does not keep.
  type: list
  elements: str
  returned: when state is present
drop_ins:
  description: Files that are needed, by folder (C(users.d), C(config.d)); each has C(name) and C(content).
  type: dict
  returned: when state is present
previous:
  description: Settings the user had before an C(ALTER USER).
  type: dict
  returned: when state is present
evidence:
  description: Whether the channel is proven, why, and the canary's marker.
  type: dict
  returned: when state is proven, or present and nothing was missing
findings:
  description: What hides or may hide evidence.
  type: list
  elements: dict
  returned: always
"""

from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify import query_logging
from ansible.module_utils.ingest_verify.client import (
    ConnectError,
    ServerError,
    connect,
    error_finding,
    login_argument_spec,
    query,
)
from ansible.module_utils.ingest_verify.loader_network import LoaderNetwork, NotAskedError
from clickhouse_driver import Client


def ingest_login(params: dict[str, Any]) -> dict[str, Any]:
    """Login of the ingest's user on the same server."""
    return {**params, "login_user": params["ingest_user"], "login_password": params["ingest_password"]}


def session_of(params: dict[str, Any], client: Client) -> tuple[query_logging.Session | query_logging.Refused, str]:
    """The ingest's user logged in from where the ingest runs, or why not; and what could not be tried there."""
    login, networks = ingest_login(params), params["from_networks"]
    if not networks:
        return query_logging.session_of(login, client), ""
    try:
        if params["client_kwargs"].get("secure"):
            raise NotAskedError("the server is reached with TLS")
        network = LoaderNetwork.find(params["server_container"], networks, params["login_port"], params["owner"])
        return query_logging.session_of(login, client, network), ""
    except NotAskedError as error:
        untried = f"; not tried from network {networks[0]}, where the loader runs: {error}"
        return query_logging.session_of(login, client), untried


def present(module: AnsibleModule) -> dict[str, Any]:
    """Alter a user defined by SQL; say which drop-ins a server configured in XML needs."""
    client = connect(module.params)
    session, _ = session_of(module.params, client)
    # None known where this user may not log in from there: the proof says so.
    hiding = session.hiding if isinstance(session, query_logging.Session) else {}
    account = query_logging.read_account(client, module.params["ingest_user"])
    result: dict[str, Any] = {
        "changed": False,
        "drop_ins": {},
        "previous": {},
        "findings": [],
        "storage": account.storage,
    }
    if hiding and account.storage == "users_xml":
        result["drop_ins"]["users.d"] = {
            "name": query_logging.DROP_IN_NAME,
            "content": query_logging.drop_in(account, hiding),
        }
    elif hiding and module.params["may_change"]:
        result["previous"] = {name: dict(account.settings).get(name) for name in hiding}
        result["changed"] = True
        if not module.check_mode:
            changes = {name: query_logging.wanted_value(name) for name in hiding}
            query(client, query_logging.alter_user(account, changes))
    if hiding:
        finding = query_logging.settings_finding(module.params["ingest_user"], hiding, "info")
        result["findings"].append(finding.to_dict())
    missing = result["missing"] = query_logging.missing_log_tables(client)
    if missing:
        result["drop_ins"]["config.d"] = {
            "name": query_logging.LOG_TABLES_DROP_IN_NAME,
            "content": query_logging.LOG_TABLES_DROP_IN,
        }
        result["findings"].append(query_logging.tables_finding(missing).to_dict())
    # Nothing stands in the way of the proof, so that it needs no second call.
    return result if hiding or missing else {**result, **proven(module)}


def proven(module: AnsibleModule) -> dict[str, Any]:
    """Run the canary as the ingest's user and look for it."""
    if module.check_mode:
        return {"changed": False, "findings": [], "evidence": {"proven": False, "reason": "check mode runs no canary"}}
    client = connect(module.params)
    missing = query_logging.missing_log_tables(client)
    tables = [table for table in ("query_log", "text_log") if table not in missing]
    unlogged = [query_logging.tables_finding(missing)] if missing else []
    session, untried = session_of(module.params, client)
    evidence: dict[str, Any]
    refused = []
    if isinstance(session, query_logging.Refused):
        evidence, hiding, refused = {"proven": False, "reason": session.reason}, {}, session.findings
    else:
        proof = query_logging.run_canary(session, client, tables, module.params["wait_seconds"])
        evidence = {"proven": proof.proven, "reason": proof.reason, "marker": proof.marker, "seconds": proof.seconds}
        hiding = session.hiding
    evidence["reason"] += untried
    if hiding:
        unlogged.append(query_logging.settings_finding(module.params["ingest_user"], hiding, "warning"))
        # A canary found by luck under sampling or a minimum type proves nothing about the next statement.
        evidence.update(proven=False, reason=unlogged[-1].headline)
    if "query_log" in missing:
        evidence.update(proven=False, reason="the server keeps no system.query_log")
    elif missing:
        unseen = ", ".join(f"system.{table}" for table in missing)
        evidence["reason"] += f"; not seen: {unseen}, which the server does not keep"
    if module.params["remedy"]:
        unlogged = [
            replace(finding, next_step=f"{finding.next_step}\n{module.params['remedy']}") for finding in unlogged
        ]
    findings = [finding.to_dict() for finding in (*unlogged, *refused)]
    return {"changed": False, "evidence": evidence, "findings": findings}


def absent(module: AnsibleModule) -> dict[str, Any]:
    """Give a user defined by SQL the settings back that it had."""
    previous = module.params["previous"]
    if not previous:
        return {"changed": False, "findings": []}
    client = connect(module.params)
    account = query_logging.read_account(client, module.params["ingest_user"])
    account.settings = [(name, value) for name, value in account.settings if name not in previous]
    restored = {name: value for name, value in previous.items() if value is not None}
    if not module.check_mode:
        query(client, query_logging.alter_user(account, restored))
    return {"changed": True, "findings": []}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **login_argument_spec(),
            "ingest_user": {"type": "str", "required": True},
            "ingest_password": {"type": "str", "required": True, "no_log": True},
            "state": {"type": "str", "choices": ["present", "proven", "absent"], "default": "present"},
            "previous": {"type": "dict", "default": {}},
            "may_change": {"type": "bool", "default": True},
            "remedy": {"type": "str", "default": ""},
            "wait_seconds": {"type": "float", "default": 20},
            "from_networks": {"type": "list", "elements": "str", "default": []},
            "server_container": {"type": "str", "default": ""},
            "owner": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    act = {"present": present, "proven": proven, "absent": absent}[module.params["state"]]
    try:
        result = act(module)
    except NotAskedError as error:
        module.fail_json(msg=f"Query logging could not be checked from the loader's network: {error}", findings=[])
    except (ConnectError, ServerError) as error:
        module.fail_json(
            msg=f"Query logging could not be checked: {error}",
            findings=[error_finding(error, query_logging.STAGE).to_dict()],
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
