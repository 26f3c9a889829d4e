"""The rows' ledger: where the rows that a run sent went, one account per target table, in numbers that balance.

`log` reads what the server recorded, `lineage` follows the parts of a table, `account` puts both together.
"""

from .account import Account, read_accounts
from .catalog import distributed_over
from .log import Statements, Written, read_written

__all__ = ["Account", "Statements", "Written", "distributed_over", "read_accounts", "read_written"]
