#!/usr/bin/python
"""Ansible module ingest_process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ingest_process
short_description: Run the ingest as a process, with its log in a file
description:
  - Runs a command with the variables of an env file, read as C(docker run --env-file) reads them, and streams its
    output into O(log_file), secrets masked.
  - At the time limit the whole process group is ended.
  - A command that fails does not fail this module. Its exit code and log are for the diagnosis to judge.
options:
  command:
    description: The program and its arguments, as a list or as one string that is split as a shell would.
    type: raw
    required: true
  chdir:
    description: Folder that the command runs in.
    type: path
  env_file:
    description: Env file with the command's variables.
    type: path
  environment:
    description: Further variables; they win over those of O(env_file).
    type: dict
    default: {}
  log_file:
    description: File that gets stdout and stderr, mode 0600. An earlier content is replaced.
    type: path
    required: true
  timeout_seconds:
    description: Time limit.
    type: float
    required: true
  recorder_dir:
    description: Folder of the recorder, which is put into the program's environment. Left out, nothing is recorded.
    type: path
  recorder_file:
    description: File that the recorder writes. An earlier content is replaced. Needed with O(recorder_dir).
    type: path
  grace_seconds:
    description: Time between SIGTERM and SIGKILL at the time limit.
    type: float
    default: 10
  owner:
    description: The play that runs it, as M(run_guard) reads it. The next one ends what an interrupted play leaves.
    type: str
    default: ""
  server:
    description:
      - The server that it loads into, as the C(login_*) values and C(client_kwargs) of the other modules, with the
        C(user) of the load. Its clock and counters are read before and after, as M(clickhouse_window) does.
      - C(progress_file) is written about once a second while it runs, with C(line), the log's last one, and C(rows).
    type: dict
    suboptions:
      login_host: {description: Host name or address. Without one no server is asked., type: str}
      login_port: {description: Port of the native protocol., type: int, default: 9000}
      login_user: {description: User to log in as., type: str, default: default}
      login_password: {description: Its password., type: str, default: ""}
      login_db: {description: Database of the session., type: str, default: default}
      client_kwargs: {description: Further arguments of C(clickhouse_driver.Client)., type: dict, default: {}}
      user: {description: User whose written rows are counted., type: str, default: ""}
      progress_file: {description: File that tells how far it is; removed at the end., type: path}
attributes:
  check_mode:
    description: In check mode the command is not run and C(skipped) is true.
    support: none
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Run the loader
  ingest_process:
    command: [python3, -m, qtickets_api]
    chdir: ingest
    env_file: secrets/.env.qtickets_api
    log_file: artifacts/ingest.log
    timeout_seconds: 900
"""

RETURN = r"""
window_before:
  description: The server's clock and counters before it, as M(clickhouse_window) returns them.
  type: dict
  returned: when O(server) is given
window_after:
  description: The same after it, or C(msg) with the reason why the server did not answer.
  type: dict
  returned: when O(server) is given
exit_code:
  description: As a shell and Docker count it; 128 + n for signal n, 127 no such command, 126 not executable.
  type: int
  returned: when it ran
signal:
  description: Name of the signal that ended it.
  type: str
  returned: when it ran
timed_out:
  description: Whether it was ended at its time limit.
  type: bool
  returned: when it ran
oom_killed:
  description: Whether the kernel killed it for memory; false when not known.
  type: bool
  returned: when it ran
duration_seconds:
  description: How long it ran.
  type: float
  returned: when it ran
started:
  description: Start by this host's clock, UTC.
  type: str
  returned: when it ran
ended:
  description: End by this host's clock, UTC.
  type: str
  returned: when it ran
log_file:
  description: The log.
  type: str
  returned: when it ran
log_bytes:
  description: Bytes written into the log.
  type: int
  returned: when it ran
outcome:
  description: The log's last JSON line that has an outcome, cause or status.
  type: dict
  returned: when it ran
not_written:
  description: Why a part of the log is missing, as a finding.
  type: dict
  returned: when it ran
explained:
  description: What the exit code means.
  type: str
  returned: when it ran
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify.env_file import parse_env
from ansible.module_utils.ingest_verify.process import ProcessError, run_process
from ansible.module_utils.ingest_verify.recorder import make_file
from ansible.module_utils.ingest_verify.recorder import variables as recorder_variables
from ansible.module_utils.ingest_verify.watched import SERVER_OPTION, WATCH_ERRORS, Watched, refusal


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "command": {"type": "raw", "required": True},
            "chdir": {"type": "path"},
            "env_file": {"type": "path"},
            "environment": {"type": "dict", "default": {}, "no_log": True},
            "log_file": {"type": "path", "required": True},
            "timeout_seconds": {"type": "float", "required": True},
            "recorder_dir": {"type": "path"},
            "recorder_file": {"type": "path"},
            "grace_seconds": {"type": "float", "default": 10},
            "owner": {"type": "str", "default": ""},
            "server": SERVER_OPTION,
        },
        required_together=[("recorder_dir", "recorder_file")],
        supports_check_mode=True,
    )
    params = module.params
    if params["timeout_seconds"] <= 0:
        module.fail_json(msg=f"timeout_seconds is {params['timeout_seconds']:g}, expected more than 0.")
    if module.check_mode:
        module.exit_json(changed=True, skipped=True, msg="not run in check mode")
    variables: dict[str, str] = {}
    try:
        if params["env_file"]:
            variables = parse_env(Path(params["env_file"]).read_bytes(), params["env_file"]).values
        environment = {**variables, **params["environment"]}
        if params["recorder_dir"]:
            make_file(params["recorder_file"], 0o600)
            environment.update(recorder_variables(params["recorder_dir"], params["recorder_file"], environment))
        with Watched(params["server"] or {}, params["log_file"]) as watched:
            result = run_process(
                params["command"],
                log_file=params["log_file"],
                environment=environment,
                chdir=params["chdir"],
                timeout_seconds=params["timeout_seconds"],
                grace_seconds=params["grace_seconds"],
                owner=params["owner"],
            )
    except WATCH_ERRORS as error:
        module.fail_json(msg=str(error), findings=[refusal(error)])
    except OSError as error:
        module.fail_json(msg=f"The env file {params['env_file']} cannot be read: {error.strerror}.")
    except ProcessError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=True, **result.to_dict(), **watched.windows)


if __name__ == "__main__":
    main()
