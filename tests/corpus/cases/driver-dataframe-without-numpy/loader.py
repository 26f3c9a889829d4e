import logging

import emulate
import pandas

logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s: %(message)s")
log = logging.getLogger("frames")
try:
    emulate.driver().insert_dataframe("INSERT INTO coordinates VALUES", pandas.DataFrame({"x": [1, 2], "y": [101, 102]}))
except Exception:
    log.exception("frame not stored")
    raise SystemExit(1) from None
