import os
import sys
import urllib.error
import urllib.parse
import urllib.request

env = os.environ
query = urllib.parse.urlencode({"query": "INSERT INTO shop.staging VALUES (1)"})
request = urllib.request.Request(
    f"http://{env['CLICKHOUSE_HOST']}:{env['CLICKHOUSE_PORT']}/?{query}",
    headers={"User-Agent": "curl/8.7.1", "X-ClickHouse-User": env["CLICKHOUSE_USER"],
             "X-ClickHouse-Key": env["CLICKHOUSE_PASSWORD"]},
)  # fmt: skip
print("+ curl -sS --fail-with-body http://ch-1:8123/?query=INSERT+INTO+shop.staging+VALUES+(1)", flush=True)
try:
    urllib.request.urlopen(request, timeout=10)
except urllib.error.HTTPError as error:
    print(error.read().decode().strip(), flush=True)
    print(f"curl: (22) The requested URL returned error: {error.code}", flush=True)
    sys.exit(22)
