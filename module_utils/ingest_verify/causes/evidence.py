"""The evidence itself: what keeps a verdict from being one."""

from __future__ import annotations

from .model import CONFIGURATION, SERVER, Cause

EVIDENCE = (
    Cause(
        "evidence_canary_lost",
        "A statement that was sent cannot be found in the log",
        SERVER,
        "The marker is not in query_log after its wait.",
        row=44,
    ),
    Cause(
        "evidence_no_access",
        "The reader may not read the system tables",
        SERVER,
        "ACCESS_DENIED on a log table.",
        row=43,
    ),
    Cause(
        "evidence_recorder",
        "The recorder did not see all of the run",
        None,
        "Its file is missing, cut, too large or has lines that are not its own, or no process of the run wrote to it.",
    ),
    Cause("evidence_not_configured", "A log table is not configured", SERVER, "The table does not exist.", row=38),
    Cause(
        "evidence_no_statements",
        "The log holds no statement of the loader",
        CONFIGURATION,
        "No row for the user or mark in the window.",
        row=37,
    ),
    Cause(
        "evidence_log_queries_off",
        "log_queries is off for the loader's user",
        SERVER,
        "The user's settings, or those of its statements.",
        row=37,
    ),
    Cause(
        "evidence_log_queries_limited",
        "log_queries is sampled or limited for the loader's user",
        SERVER,
        "The user's settings, or those of its statements.",
        row=37,
    ),
    Cause(
        "evidence_host_missing",
        "A host of the cluster does not answer",
        SERVER,
        "The host is in system.clusters and not in the answer.",
    ),
    Cause(
        "evidence_no_answer",
        "A log table is there and gave no answer",
        SERVER,
        "The server refused the question (memory, time, a limit), or the connection broke.",
    ),
    Cause(
        "evidence_no_bounds",
        "The verifier's statements ran without limits",
        SERVER,
        "Its session does not carry them: the user has readonly = 1, or constraints.",
    ),
    Cause(
        "evidence_unknown_user",
        "The server knows no user of the name to look for",
        CONFIGURATION,
        "system.users has no such name.",
    ),
    Cause(
        "evidence_no_mount",
        "No folder of the server's configuration is mounted to write logging into",
        SERVER,
        "The container's mounts.",
        row=38,
    ),
    Cause(
        "evidence_log_lost",
        "The log lost its last seconds when the server went down",
        SERVER,
        "A restart inside the window, by uptime.",
        row=60,
    ),
    Cause(
        "noise_excluded",
        "Failing statements of others, which are not this run's",
        None,
        "They carry another mark, user or program, or are older than the window.",
        row=53,
    ),
)
