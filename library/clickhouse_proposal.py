#!/usr/bin/python
"""Ansible module clickhouse_proposal."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clickhouse_proposal
short_description: Propose data checks for a database
description:
  - Reads the catalog, the C(query_log) of the last days and the data of a database.
  - Proposes data checks that hold for the data as it is. Changes nothing.
options:
  database:
    description: The database that the ingest writes into.
    type: str
    required: true
  ingest_user:
    description: User that the ingest logs in with; its INSERTs tell the targets.
    type: str
    required: true
  bookkeeping:
    description: Regular expressions by profile. Tables that match one as a whole are a loader's own, and no target.
    type: dict
    default: {}
extends_documentation_fragment: [clickhouse_login]
attributes:
  check_mode:
    description: Only reads, so it does the same in check mode.
    support: full
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Propose checks
  clickhouse_proposal:
    login_host: db.example.org
    login_user: verifier
    login_password: "{{ password }}"
    database: shop
    ingest_user: loader
"""

RETURN = r"""
targets:
  description: Tables that the ingest's user wrote lately.
  type: list
  elements: str
  returned: success
checks:
  description: Declarations, each as C(check) with C(why).
  type: list
  elements: dict
  returned: success
notes:
  description: What was left out, and what is not known.
  type: list
  elements: str
  returned: success
version:
  description: The server's version.
  type: str
  returned: success
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify.checks.session import ScanError
from ansible.module_utils.ingest_verify.client import (
    ConnectError,
    ServerError,
    connect,
    login_argument_spec,
    query,
    quote_identifier,
)
from ansible.module_utils.ingest_verify.privileges import lacking_privilege, needed_privilege
from ansible.module_utils.ingest_verify.proposal import propose

_ACCESS_DENIED = 497


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **login_argument_spec(),
            "database": {"type": "str", "required": True},
            "ingest_user": {"type": "str", "required": True},
            "bookkeeping": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    database = module.params["database"]
    try:
        client = connect({**module.params, "login_db": "system"})
        seen = [row["name"] for row in query(client, "SELECT name FROM system.databases ORDER BY name")]
        if database not in seen:
            others = [name for name in seen if name.lower() not in ("system", "information_schema")]
            login = module.params["login_user"]
            module.fail_json(
                msg=f"User {login} sees no database {database!r}. It sees {', '.join(others) or 'none'}. Correct the"
                f" name, or grant it: GRANT SELECT ON {quote_identifier(database)}.* TO {quote_identifier(login)};"
            )
        version = str(query(client, "SELECT version() AS v")[0]["v"])
        # A profile that tells its tables by variables has none of its own.
        own = {name: given for name, given in module.params["bookkeeping"].items() if isinstance(given, list)}
        proposal = propose(client, database, module.params["ingest_user"], own)
    except ServerError as error:
        lacking = lacking_privilege(error.message) or needed_privilege(error.message)
        if error.code != _ACCESS_DENIED or not lacking:
            module.fail_json(msg=f"{error} Nothing was written.")
        login = module.params["login_user"]
        module.fail_json(
            msg=f"User {login} lacks {lacking}: GRANT {lacking} TO {quote_identifier(login)}; The file sql/grants.sql"
            " has all that a verifier needs. Nothing was written."
        )
    except (ConnectError, ScanError) as error:
        module.fail_json(msg=f"{error} Nothing was written.")
    if not proposal.tables:
        module.fail_json(
            msg=f"Database {database} has no table that holds rows of its own, so there is nothing to propose. Run the"
            " load once, then start again. Nothing was written."
        )
    module.exit_json(changed=False, version=version, **asdict(proposal))


if __name__ == "__main__":
    main()
