import sys
import emulate
ids = ", ".join(str(10_000_000_000 + n) for n in range(30_000))
try:
    emulate.send(f"DELETE FROM carts WHERE id IN ({ids})"[:0] or "DELETE FROM carts WHERE id IN (" + ids[:9000] + ")", agent="python-requests/2.32", max_query_size=4096)
except emulate.Refused as refused:
    print("ERROR: cleaning up carts: " + refused.text); sys.exit(1)
