"""The real ingestr (requirements/loaders.lock), given the HTTP port."""

import os
import subprocess
import sys
from pathlib import Path

get = os.environ.get
address = f"{get('CLICKHOUSE_HOST')}:{get('CLICKHOUSE_PORT')}"
target = f"clickhouse://{get('CLICKHOUSE_USER')}:{get('CLICKHOUSE_PASSWORD')}@{address}?secure=0"
command = ["ingest", "--yes", "--progress", "log", "--source-uri", "csv://orders.csv", "--source-table", "orders"]
command += ["--dest-uri", target, "--dest-table", "shop.orders"]
sys.exit(subprocess.run([Path(sys.executable).parent / "ingestr", *command]).returncode)
