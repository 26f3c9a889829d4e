"""The host, Docker, and what stands around a run."""

from __future__ import annotations

from .model import CONFIGURATION, HOST, SERVER, Cause

HOSTS = (
    Cause(
        "host_task_failed",
        "A task of the play failed",
        HOST,
        "Ansible's own message.",
        step="Correct what the task's message names. Its whole answer: run the same command again with -vvv.",
    ),
    Cause("host_interrupted", "The play was ended from outside", None, "A signal to the play."),
    Cause(
        "host_no_cli",
        "Docker's command is not installed",
        HOST,
        "The command was not found.",
        step="Install Docker with its compose plugin on that host: https://docs.docker.com/engine/install/",
        row=56,
    ),
    Cause(
        "host_engine_down",
        "The Docker Engine does not answer",
        HOST,
        "Docker's own message.",
        step="On that host: systemctl status docker; sudo systemctl start docker",
        row=56,
    ),
    Cause(
        "host_no_permission",
        "The user may not use the Docker Engine",
        HOST,
        "Docker's own message.",
        step="Let the user into the group docker (sudo usermod -aG docker USER, then log in anew), or play with "
        "ansible_become=true.",
        row=56,
    ),
    Cause(
        "host_no_plugin",
        "Docker's compose plugin is not installed",
        HOST,
        "Docker's own message.",
        step="Install the plugin on that host: apt-get install docker-compose-plugin (Docker's repository), or "
        "docker-compose-v2 (Debian, Ubuntu).",
        row=56,
    ),
    Cause(
        "host_timeout",
        "Docker did not answer in time",
        HOST,
        "The command's time limit.",
        step="Look whether the Docker Engine is busy or hangs: docker info; journalctl -u docker -n 50",
        row=56,
    ),
    Cause(
        "host_refused",
        "Docker refused a command",
        HOST,
        "Docker's own message.",
        step="Correct what Docker's message names, and run the same command by hand on that host.",
    ),
    Cause("host_not_found", "Docker knows no object of that name", CONFIGURATION, "Docker's own message."),
    Cause("host_not_created", "A container could not be created", HOST, "Docker's own message."),
    Cause("host_env_file", "Docker cannot read the env file", CONFIGURATION, "Docker's own message.", row=33),
    Cause("host_compose_missing", "The compose project's file is not there", CONFIGURATION, "The path itself."),
    Cause("host_compose_invalid", "The compose project's file is not valid", CONFIGURATION, "docker compose config."),
    Cause(
        "host_name_mismatch",
        "The project has another name than the inventory says",
        CONFIGURATION,
        "docker compose config.",
    ),
    Cause("host_name_taken", "A container of that name belongs to something else", HOST, "Its labels."),
    Cause("host_network_missing", "A Docker network does not exist", HOST, "docker network inspect."),
    Cause("host_port_taken", "A port is in use", HOST, "A socket or a container holds it.", row=57),
    Cause(
        "host_port_mismatch",
        "The project publishes another port than the inventory says",
        CONFIGURATION,
        "docker compose config.",
    ),
    Cause(
        "host_data_in_container",
        "The server's data lies inside its container",
        CONFIGURATION,
        "The container's mounts.",
    ),
    Cause("host_data_not_moved", "The server's data could not be moved aside", HOST, "The move's own error."),
    Cause("host_mount_point", "The server's data is a mount point of its own", HOST, "The file system."),
    Cause("host_disk_full", "The host's disk is nearly full", HOST, "The file system's free space.", row=61),
    Cause("host_no_space", "The host's disk is nearly full", HOST, "The file system's free space.", row=61),
    Cause("host_no_backup", "There is no backup of that name", CONFIGURATION, "The folder itself."),
    Cause(
        "host_loopback_only",
        "The server listens on loopback inside its container",
        SERVER,
        "It answers inside and not outside.",
        row=21,
    ),
    Cause(
        "host_unreachable",
        "The server cannot be reached from outside of its container",
        HOST,
        "The connection's own error.",
    ),
    Cause(
        "host_unhealthy",
        "The server's container does not become healthy",
        SERVER,
        "Docker's health state, or Docker Compose's own sentence about it.",
        row=58,
        narrower_than=("client_exception",),
    ),
    Cause("host_wrong_answer", "Another server answers at the address", CONFIGURATION, "The answer itself."),
    Cause(
        "host_not_confirmed",
        "A reset of data that somebody else made was not confirmed",
        CONFIGURATION,
        "The confirmation variable.",
    ),
    Cause("host_image_missing", "A Docker image is not there", HOST, "docker image inspect."),
    Cause("host_image_not_built", "The loader's image could not be built", HOST, "docker build's own message."),
    Cause("host_no_dockerfile", "There is no Dockerfile at the path", CONFIGURATION, "The path itself."),
    Cause("host_no_container", "There is no container of that name", CONFIGURATION, "docker inspect."),
    Cause(
        "host_second_run",
        "Another run is under way",
        HOST,
        "The lock, the container or the process of the other run.",
        row=59,
    ),
    Cause(
        "host_in_use",
        "Another program than the ingest writes into the server that is to be reset",
        HOST,
        "system.query_log of the last minutes, by user and client name.",
    ),
    Cause("host_not_restored", "The data brought back is not what was noted", SERVER, "The note's tables and rows."),
    Cause(
        "host_journal", "The note of what is moved aside cannot be written or read", HOST, "The file system's error."
    ),
    Cause(
        "host_engine_not_stopped",
        "The embedded engine did not end",
        HOST,
        "The launcher's own message.",
        step="See what runs: python -m embedded status --dir FOLDER, with the folder of clickhouse_reset_embedded_dir.",
    ),
    Cause(
        "host_engine_not_started",
        "The embedded engine did not start",
        HOST,
        "The launcher's own message.",
        step="Read the end of log/clickhouse-server.log in the folder of clickhouse_reset_embedded_dir.",
    ),
    Cause(
        "host_package_missing", "The control node or target lacks a package", HOST, "The import's own error.", row=62
    ),
)
