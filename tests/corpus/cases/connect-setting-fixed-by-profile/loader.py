import sys

import emulate

try:
    emulate.connect(settings={"max_block_size": 1000}).insert("notes", [[1]], column_names=["id"])
except Exception as error:
    print(f"ERROR could not store: {error}", flush=True)
    sys.exit(1)
