"""The real dbt-clickhouse (requirements/loaders.lock) with a model that refers to none there is."""

import subprocess
import sys
from pathlib import Path

FILES = {
    "dbt_project.yml": "name: shop\nprofile: shop\nversion: '1.0'\nmodel-paths: [models]\n"
    "flags: {send_anonymous_usage_stats: false}\n",
    "profiles.yml": "shop: {target: prod, outputs: {prod: {type: clickhouse, schema: shop, threads: 2,"
    " host: \"{{ env_var('CLICKHOUSE_HOST') }}\", port: \"{{ env_var('CLICKHOUSE_PORT') | int }}\","
    " user: \"{{ env_var('CLICKHOUSE_USER') }}\", password: \"{{ env_var('CLICKHOUSE_PASSWORD') }}\"}}}\n",
    "models/daily.sql": "{{ config(materialized='table', order_by='day') }}\nSELECT day, count() AS n FROM shop.sales GROUP BY day\n",
    "models/weekly.sql": "{{ config(materialized='table', order_by='week') }}\nSELECT week FROM {{ ref('weeks') }}\n",
}
for name, text in FILES.items():
    path = Path("project") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
command = ["--no-use-colors", "run", "--profiles-dir", "."]
sys.exit(subprocess.run([Path(sys.executable).parent / "dbt", *command], cwd="project").returncode)
