import logging

import emulate

logging.basicConfig(level="INFO", format="[%(asctime)s] %(levelname)s in %(module)s: %(message)s")
try:
    emulate.connect().command("INSERT INTO shop.sales SELECT number AS city_id, dictGet('shop.cities', 'name', number) FROM numbers(5)")
except Exception as error:
    logging.error("enrichment failed: %s", error)
    raise SystemExit(1) from None
