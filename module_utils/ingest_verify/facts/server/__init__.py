"""What the server's own tables say about a window of time. Every statement sent to a system table stands here.

Times go in and come out as text in UTC, `YYYY-MM-DD hh:mm:ss.ffffff`, by the server's clock. Column sets differ by
version (24.8 to 26.x): `system.columns` is asked first, and a column that is not there reads as the default named
in `log_columns`. Facts measured on 24.8.4, 26.7.3 and 26.9.2:

* key of each log table is (event_date, event_time): a condition on event_date is what prunes, and event_date is a date
  in the *server's* time zone.
* `query_log.tables` is empty for statements that fail before they start; INSERT texts are logged without their data.
* A login that is refused, an unknown setting and an unknown session database leave no row in query_log, only in
  `text_log`, `session_log` and `system.errors` (which tells 192 unknown user, 193 wrong password and 195 address not
  allowed apart, where the client sees 516 for all three).
* `SYSTEM FLUSH LOGS <table>` is a syntax error on 24.8. `errors.query_id` and `query_log.missing_privileges` are newer.
"""

from .limits import Query
from .log_columns import LOG_COLUMNS
from .log_tables import UNANSWERED
from .reader import Evidence, read_window
from .server_facts import MAX_TABLES, resolve_settings
from .statements import Program, StatementGroup
from .window import EvidenceError, Window, parse_time

__all__ = [
    "LOG_COLUMNS",
    "MAX_TABLES",
    "UNANSWERED",
    "Evidence",
    "EvidenceError",
    "Program",
    "Query",
    "StatementGroup",
    "Window",
    "parse_time",
    "read_window",
    "resolve_settings",
]
