"""What the errors of the client's log come from (`client_findings`); `facts.log` reads them.

`rules` (which one decides), `program_rules`, `code_rules`, `row_rules`, `connection_rules`, `clickhouse_rules`,
`source_rules` (one error), `causes` (which of the errors is the cause), `endings`, `outcome`, `good_run` (what the run
ended with).
"""

from .causes import client_findings

__all__ = ["client_findings"]
