import sys
import emulate

try:
    emulate.send('create table shop.fct__dbt_tmp as shop.fct', '', agent='dbt-clickhouse/1.8.7')
except emulate.Refused as error:
    import logging
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("sink").error("HTTP 4xx from http://ch-1:8123: %s", error.text)
    sys.exit(1)
