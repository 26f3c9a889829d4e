import sys
import emulate

try:
    emulate.send("CREATE TABLE shop.dlt_sentinel (_dlt_id String NOT NULL PRIMARY KEY) ENGINE=MergeTree COMMENT 'internal' FINAL", '', agent='clickhouse-connect/0.8')
except emulate.Refused as error:
    import logging
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("sink").error("HTTP 4xx from http://ch-1:8123: %s", error.text)
    sys.exit(1)
