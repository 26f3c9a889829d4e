import sys
import emulate

try:
    emulate.send('delete from shop.inc where (id) in (select id from shop.inc__tmp) insert into shop.inc (id) select id from shop.inc__tmp', '', agent='dbt-clickhouse/0.20')
except emulate.Refused as error:
    import logging
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("sink").error("HTTP 4xx from http://ch-1:8123: %s", error.text)
    sys.exit(1)
