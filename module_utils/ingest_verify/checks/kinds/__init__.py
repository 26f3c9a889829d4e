"""The kinds of checks, one module each."""

from __future__ import annotations

from . import (
    consistency,
    duplicates,
    existence,
    freshness,
    reconciliation,
    referential,
    run_record,
    sql,
    trend,
    values,
    volume,
)
from .base import Kind

KINDS: dict[str, Kind] = {
    "existence": existence.KIND,
    "volume": volume.KIND,
    "freshness": freshness.KIND,
    "duplicates": duplicates.KIND,
    "reconciliation": reconciliation.KIND,
    "consistency": consistency.KIND,
    "values": values.KIND,
    "referential": referential.KIND,
    "run_record": run_record.KIND,
    "trend": trend.KIND,
    "sql": sql.KIND,
}
