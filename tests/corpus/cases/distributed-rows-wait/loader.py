import logging
import time

import emulate

logging.basicConfig(level="INFO", format="%(levelname)s:%(message)s")
emulate.driver().execute(
    "INSERT INTO visits (id) VALUES", [(n,) for n in range(300)],
    settings={"distributed_foreground_insert": 0, "prefer_localhost_replica": 0},
)
time.sleep(1.5)
logging.info("300 rows handed over")
