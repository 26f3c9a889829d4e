"""What the server's own tables say about a window of time: `Evidence` asks them."""

from .log_reads import (
    LOG_COLUMNS,
    Evidence,
    EvidenceError,
    Program,
    Query,
    StatementGroup,
    Window,
    parse_time,
    resolve_settings,
)

__all__ = [
    "LOG_COLUMNS",
    "Evidence",
    "EvidenceError",
    "Program",
    "Query",
    "StatementGroup",
    "Window",
    "parse_time",
    "resolve_settings",
]
