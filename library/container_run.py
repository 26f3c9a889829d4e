#!/usr/bin/python
"""Ansible module container_run."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_run
short_description: Run a container once and say how it ended
description:
  - Creates a container, copies its output into a file, ends it at a time limit, explains its exit code, removes it.
  - A container that fails does not fail the task; one that cannot be created does.
  - Values of variables named like a token, password or secret are masked in the log.
options:
  name:
    description: Name of the container; must be free.
    type: str
    required: true
  image:
    description: Image, which must be on the host.
    type: str
    required: true
  network:
    description: Docker network to run on.
    type: str
    required: true
  env_file:
    description: File with the container's environment, on this host.
    type: path
  env:
    description: More variables, none of them secret, over those of O(env_file).
    type: dict
    default: {}
  command:
    description: Arguments instead of the image's own C(CMD).
    type: list
    elements: str
    default: []
  volumes:
    description: Mounts, as C(source:target[:ro]).
    type: list
    elements: str
    default: []
  extra_hosts:
    description: Host names for the container, as C(name:address); V(host-gateway) as the address is the host itself.
    type: list
    elements: str
    default: []
  memory:
    description: Memory limit in Docker's notation, such as V(512m); none when empty. No swap is added to it.
    type: str
    default: ""
  timeout_seconds:
    description: Time limit. At its end the container gets SIGTERM, and SIGKILL ten seconds later.
    type: float
    default: 600
  alone_as:
    description: Beginning of the names of containers that may not run at the same time.
    type: str
    default: ""
  recorder_dir:
    description:
      - Folder of the recorder on this host; a copy is mounted read-only into an image that runs Python or Node.
      - Left out, nothing is recorded.
    type: path
  recorder_file:
    description: File on this host that the recorder writes. What it held is replaced. Needed with O(recorder_dir).
    type: path
  owner:
    description: The play that runs it, as M(run_guard) reads it. The next one ends what an interrupted play leaves.
    type: str
    default: ""
  options:
    description: Further options of C(docker create), such as C(--user=1000) or C(--entrypoint=/bin/load).
    type: list
    elements: str
    default: []
  extra_networks:
    description: Networks that the container is connected to besides O(network).
    type: list
    elements: str
    default: []
  log_paths:
    description: Files and folders inside the container that the ingest logs into; their text is put behind its output.
    type: list
    elements: str
    default: []
  log_file:
    description: File on this host that takes the output, readable by its owner only.
    type: path
    required: true
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
    description: Skipped, since nothing can be said about a run that did not take place.
    support: none
author: ClickHouse ingest verification team (@clickhouse-ingest-verify)
"""

EXAMPLES = r"""
- name: Run the ingest once
  container_run:
    name: qtickets_api_run_20261123T041500Z
    image: qtickets_api:prod
    network: clickhouse_default
    env_file: /opt/zakaz_dashboard/secrets/.env.qtickets_api
    timeout_seconds: 900
    log_file: /tmp/ingest.log
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
outcome:
  description: >-
    exit_code (none when Docker could not tell), timed_out, oom_killed, duration_seconds, log_file, container, image,
    image_id, image_created, explained and outcome (the log's last JSON line that tells one).
  type: dict
  returned: success
"""

import contextlib
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ingest_verify.container_run import NotStarted, run_container
from ansible.module_utils.ingest_verify.docker_cli import DockerError
from ansible.module_utils.ingest_verify.findings import Finding
from ansible.module_utils.ingest_verify.recorder import readable_copy
from ansible.module_utils.ingest_verify.watched import SERVER_OPTION, WATCH_ERRORS, Watched, refusal


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "image": {"type": "str", "required": True},
            "network": {"type": "str", "required": True},
            "env_file": {"type": "path"},
            "env": {"type": "dict", "default": {}},
            "command": {"type": "list", "elements": "str", "default": []},
            "volumes": {"type": "list", "elements": "str", "default": []},
            "extra_hosts": {"type": "list", "elements": "str", "default": []},
            "memory": {"type": "str", "default": ""},
            "options": {"type": "list", "elements": "str", "default": []},
            "extra_networks": {"type": "list", "elements": "str", "default": []},
            "log_paths": {"type": "list", "elements": "str", "default": []},
            "timeout_seconds": {"type": "float", "default": 600},
            "alone_as": {"type": "str", "default": ""},
            "owner": {"type": "str", "default": ""},
            "server": SERVER_OPTION,
            "log_file": {"type": "path", "required": True},
            "recorder_dir": {"type": "path"},
            "recorder_file": {"type": "path"},
        },
    )
    params = module.params
    try:
        recorder = Path(params["recorder_dir"]) if params["recorder_dir"] else None
        with (
            readable_copy(recorder) as recorder_dir,
            Watched(params["server"] or {}, params["log_file"]) as watched,
        ):
            outcome = run_container(
                name=params["name"],
                image=params["image"],
                network=params["network"],
                log_file=Path(params["log_file"]),
                env_file=Path(params["env_file"]) if params["env_file"] else None,
                env={name: str(value) for name, value in params["env"].items()},
                command=params["command"],
                volumes=params["volumes"],
                extra_hosts=params["extra_hosts"],
                memory=params["memory"],
                options=params["options"],
                extra_networks=params["extra_networks"],
                log_paths=params["log_paths"],
                timeout_seconds=params["timeout_seconds"],
                alone_as=params["alone_as"],
                recorder_dir=recorder_dir,
                recorder_file=Path(params["recorder_file"]) if params["recorder_file"] else None,
                owner=params["owner"],
            )
    except WATCH_ERRORS as error:
        module.fail_json(msg=str(error), findings=[refusal(error)])
    except (NotStarted, DockerError) as error:
        finding = Finding("qtickets_ingest", "error", f"host_{error.kind}", str(error), object=params["name"])
        module.fail_json(msg=str(error), findings=[finding.to_dict()])
    finally:
        # The container's user, whoever that was, has written what it had to.
        if params["recorder_file"]:
            with contextlib.suppress(OSError):
                Path(params["recorder_file"]).chmod(0o600)
    module.exit_json(changed=True, outcome=outcome.to_dict(), **watched.windows)


if __name__ == "__main__":
    main()
