import logging

import emulate

logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
logging.warning(
    "attempt 1 of 5 failed: ('Connection aborted.', RemoteDisconnected('Remote end closed connection without response')); next in 0.1 s"
)
emulate.send("INSERT INTO shop.orders FORMAT TSV", "1\n2\n3\n", agent="python-requests/2.32")
logging.info("attempt 2 of 5: 3 rows written")
