import logging

import emulate

logging.basicConfig(level="INFO", format="%(asctime)s [%(levelname)s] %(message)s")
client = emulate.connect()
try:
    client.command("CREATE TABLE shop.readings (id UInt64) ENGINE = MergeTree ORDER BY id")
except Exception as error:
    logging.info("table readings is there already (%s)", str(error).split(".")[0])
client.insert("readings", [[n] for n in range(50)], column_names=["id"])
logging.info("50 rows written")
