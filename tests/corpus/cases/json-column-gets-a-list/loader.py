import sys
import emulate
try:
    emulate.send("INSERT INTO hooks FORMAT JSONEachRow", '{"id":1,"payload":{"a":1}}\n{"id":2,"payload":[1,2]}\n', agent="python-httpx/0.27")
except emulate.Refused as refused:
    print(f"CRITICAL:hooks:giving up: {refused.text}"); sys.exit(2)
