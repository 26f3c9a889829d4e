import logging, sys
import emulate
try:
    emulate.connect().command("CREATE TABLE IF NOT EXISTS scores (game LowCardinality(UInt64), points UInt32) ENGINE = MergeTree ORDER BY game")
except Exception as error:
    print(f"[ERROR] could not prepare the target: {error}"); sys.exit(1)
