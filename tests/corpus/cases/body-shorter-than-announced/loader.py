import os
import socket
import urllib.parse

env = os.environ
rows = "".join(f'{{"id": {n}, "page": "/p/{n}"}}\n' for n in range(500)).encode()
query = urllib.parse.urlencode({"query": "INSERT INTO shop.clicks FORMAT JSONEachRow", "user": env["CLICKHOUSE_USER"],
                                "password": env["CLICKHOUSE_PASSWORD"]})  # fmt: skip
with socket.create_connection((env["CLICKHOUSE_HOST"], int(env["CLICKHOUSE_PORT"]))) as wire:
    wire.sendall(f"POST /?{query} HTTP/1.1\r\nHost: ch\r\nContent-Length: {len(rows)}\r\n\r\n".encode())
    wire.sendall(rows[: len(rows) // 2 - 7])
print("info: 500 rows handed over", flush=True)
