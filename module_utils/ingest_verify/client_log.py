"""What the client's own log says: read it (`read_client_log`), judge it (`client_findings`)."""

from .client_causes import client_findings
from .log_errors import ClientError, Frame
from .log_reader import ClientLog, LogFileError, read_client_log
from .masking import mask_evidence, mask_secrets

__all__ = [
    "ClientError",
    "ClientLog",
    "Frame",
    "LogFileError",
    "client_findings",
    "mask_evidence",
    "mask_secrets",
    "read_client_log",
]
