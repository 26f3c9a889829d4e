"""The audit: what a reference reading of the source says that the tables must hold, held against what they hold.

`expected` reads the reference's answer, `held` reads the tables, `compare` is plain data against plain data, `judge`
makes findings of the differences.
"""

from .expected import AuditError, Entity, Expected, read_expected, read_mapping
from .judge import run_audit

__all__ = ["AuditError", "Entity", "Expected", "read_expected", "read_mapping", "run_audit"]
