"""Data checks, declared in YAML and run in as few scans as possible: `read_request`, `run_checks`, `to_result`."""

from .declarations import parse_checks
from .fields import Check, DeclarationError
from .report import to_result
from .request import Limits, Request, read_request
from .run import Run
from .runner import Outcome, run_checks
from .session import ScanError

__all__ = [
    "Check",
    "DeclarationError",
    "Limits",
    "Outcome",
    "Request",
    "Run",
    "ScanError",
    "parse_checks",
    "read_request",
    "run_checks",
    "to_result",
]
