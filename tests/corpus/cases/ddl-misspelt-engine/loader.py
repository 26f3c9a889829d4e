import sys
import emulate

try:
    emulate.send('CREATE TABLE shop.made (id UInt64) ENGINE = MergTree ORDER BY id', '', agent='Go-http-client/1.1')
except emulate.Refused as error:
    import logging
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("sink").error("HTTP 4xx from http://ch-1:8123: %s", error.text)
    sys.exit(1)
