import logging

import emulate

logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(message)s")
client = emulate.driver()
sql = "INSERT INTO rollup SELECT number FROM numbers(3) WHERE NOT ignore(sleepEachRow(0.4))"
for limit in (1, 20):
    try:
        client.execute(sql, settings={"max_execution_time": limit, "max_block_size": 1})
        break
    except Exception as error:
        logging.warning("attempt with %s s failed, retrying: code %s", limit, getattr(error, "code", "?"))
logging.info("rollup done")
