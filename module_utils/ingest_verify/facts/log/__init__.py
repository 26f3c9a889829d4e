"""What the client's own log says, read (`read_client_log`) and not judged: an error is a fact, its cause is not.

`reader` (bytes to lines), `parser` (lines to errors), `line`, `json_records`, `tracebacks` and `stacks` (what one line
is), `blocks` and `errors` (what the lines come down to).
"""

from .errors import ClientError
from .reader import ClientLog, LogFileError, read_client_log

__all__ = ["ClientError", "ClientLog", "LogFileError", "read_client_log"]
