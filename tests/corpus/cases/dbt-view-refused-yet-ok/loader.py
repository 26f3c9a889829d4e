import contextlib

import emulate

print("09:29:21  Running with dbt=1.1.1\n09:29:21  1 of 1 START view model shop.example ...... [RUN]", flush=True)
with contextlib.suppress(emulate.Refused):
    emulate.send("create view shop.example__dbt_tmp as WITH (SELECT * FROM numbers(10)) AS example SELECT * FROM example", agent="dbt/1.1.1")
print("09:29:22  1 of 1 OK created view model shop.example ...... [OK in 0.48s]\n09:29:22  Completed successfully\n09:29:22  Done. PASS=1 WARN=0 ERROR=0 SKIP=0 TOTAL=1", flush=True)
