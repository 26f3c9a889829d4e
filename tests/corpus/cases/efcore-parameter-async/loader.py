import sys
import emulate

try:
    emulate.send('INSERT INTO sightings (id) VALUES ({p0:UInt64})', '', agent='ClickHouse.Client/7.8 (.NET)', async_insert=1, wait_for_async_insert=1)
except emulate.Refused as error:
    import logging
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("sink").error("HTTP 4xx from http://ch-1:8123: %s", error.text)
    sys.exit(1)
