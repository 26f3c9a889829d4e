import sys

import emulate


for number in range(8):
    try:
        emulate.send(f"ALTER TABLE shop.states UPDATE state = 'paid' WHERE id = {number}", agent="python-requests/2.32", alter_sync=0, mutations_sync=0)
    except emulate.Refused as error:
        print(f"2026-11-23T04:00:03Z ERROR sync: order {number} not updated: {error.text}", flush=True)
        sys.exit(1)
