"""What the client's own log says: read it (`read_client_log`), judge it (`client_findings`)."""

from .causes import client_findings
from .errors import ClientError
from .log_reader import ClientLog, LogFileError, read_client_log

__all__ = ["ClientError", "ClientLog", "LogFileError", "client_findings", "read_client_log"]
