"""What the client's own log says: read it (`read_client_log`), judge it (`client_findings`).

Reading: `log_reader` (bytes to lines), `log_errors` (lines to errors), `log_line`, `json_records`, `tracebacks` and
`stacks` (what one line is), `blocks` and `errors` (what the lines come down to). Judging: `rules` (which one decides,
in order), `program_rules`, `code_rules`, `row_rules`, `connection_rules`, `clickhouse_rules`, `source_rules` (one
error), `causes` (which of the errors is the cause), `endings`, `outcome`, `good_run` (what the run ended with).
"""

from .causes import client_findings
from .errors import ClientError
from .log_reader import ClientLog, LogFileError, read_client_log

__all__ = ["ClientError", "ClientLog", "LogFileError", "client_findings", "read_client_log"]
