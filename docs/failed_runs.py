"""Write docs/explanation/failed-runs/: five runs that fail on purpose, as their own reports tell them.

`python docs/failed_runs.py` plays them on an embedded engine of its own, in three minutes, and takes the pictures with
the distribution's Chromium. Each run is a real one: nothing of a page is written by hand.
"""

from __future__ import annotations

import html
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "explanation" / "failed-runs"
sys.path.insert(0, str(ROOT))

from tests.plays import Played, Site  # noqa: E402 - found by the path above

ORDERS = "stg_qtickets_api_orders_raw"
# The case this project exists for: the text of a KeyError(1), logged as if the server had said it.
LOADER = """import sys

ROWS = [{"order_id": "A-1", "tickets_sold": 2}]

try:
    for row in ROWS:
        # An insert takes rows by position.
        print(row[0], row[1])
except Exception as error:
    print(f"ERROR Unexpected ClickHouse error: {error}", file=sys.stderr)
    sys.exit(1)
"""


def missing_column(site: Site) -> Played:
    """An older table, made before the schema file had the column; the last run, for it leaves the table so."""
    client = site.client()
    client.execute("DROP VIEW zakaz.mv_qtickets_sales_latest SYNC")
    client.execute(f"ALTER TABLE zakaz.{ORDERS} DROP COLUMN tickets_sold")
    return site.play("--tags", "qtickets_ingest")


def key_error(site: Site) -> Played:
    """A loader that takes rows by position and is given dictionaries."""
    loader = site.folder / "loader.py"
    loader.write_text(LOADER, encoding="utf-8")
    return site.play("--tags", "qtickets_ingest", qtickets_ingest_command=["python3", str(loader)])


def broken_rule(site: Site) -> Played:
    """A rule of one's own that the rows break."""
    rule = {
        "name": "every order is of Moscow",
        "kind": "sql",
        "query": f"SELECT order_id, city, revenue FROM {ORDERS} WHERE city != 'moscow' ORDER BY order_id LIMIT 20",
    }
    return site.play("--tags", "qtickets_ingest,verify_data", verify_data_extra_checks=[rule])


def unauthorized(site: Site) -> Played:
    """A token that has expired."""
    return site.play("--tags", "qtickets_ingest", qtickets_ingest_env={"QTICKETS_TOKEN": "expired-token-1234"})


def unavailable(site: Site) -> Played:
    """An API that is down."""
    few = {"QTICKETS_ATTEMPTS": "2"}
    return site.play("--tags", "qtickets_ingest", qtickets_ingest_simulator=False, qtickets_ingest_env=few)


RUNS: dict[str, Callable[[Site], Played]] = {
    "client_key_error": key_error,
    "data_rule_broken": broken_rule,
    "source_unauthorized": unauthorized,
    "source_unavailable": unavailable,
    "server_missing_column": missing_column,
}


def told(site: Site, played: Played) -> str:
    """The run's page, with this machine's folders named as an installation's would be."""
    page = (site.folder / "artifacts" / played.report["run_id"] / "report.html").read_text(encoding="utf-8")
    folders = {str(site.folder): "/opt/verify", sys.base_prefix: "/usr"}
    folders |= {str(path): "/opt/verify/.venv" for path in (Path(sys.prefix), Path(sys.prefix).resolve())}
    for ours in sorted({*folders, str(ROOT)}, key=len, reverse=True):
        page = page.replace(ours, folders.get(ours, "/opt/verify"))
    return page


def take_picture(page: Path, chromium: str) -> None:
    """What is seen first: the upper part of the page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 1100, "height": 1100})
        view.goto(page.as_uri())
        view.screenshot(path=page.with_suffix(".png"))
        browser.close()


def main() -> int:
    """Play all runs, or those that are named; then write the list of contents."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("No Chromium on this machine: apt-get install chromium")
        return 1
    wanted = sys.argv[1:] or list(RUNS)
    PAGES.mkdir(parents=True, exist_ok=True)
    said: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="failed-runs-") as folder:
        site = Site(Path(folder))
        try:
            healthy = site.play()
            if healthy.status != 0:
                print(healthy.output[-4000:])
                return 1
            for cause in wanted:
                played = RUNS[cause](site)
                if not played.errors or played.headline["cause"] != cause:
                    print(f"{cause} was not named:\n{json.dumps(played.errors, indent=2)}\n{played.output[-3000:]}")
                    return 1
                page = PAGES / f"{cause}.html"
                page.write_text(told(site, played), encoding="utf-8")
                take_picture(page, chromium)
                said[cause] = played.headline["headline"]
        finally:
            site.engine("stop")
    write_contents()
    return 0


def write_contents() -> None:
    """README.md: each page with the first line that a reader sees."""
    lines = [
        "# Failed runs, as their reports tell them",
        "",
        "<!-- Written by `python docs/failed_runs.py`; change the sources, not this file. -->",
        "",
        "Runs on the embedded engine with the simulated API, each with one fault put in. Open the page: the first lines"
        " say what to fix.",
        "",
    ]
    for cause in RUNS:
        page = (PAGES / f"{cause}.html").read_text(encoding="utf-8")
        headline = html.unescape(page.partition("<h1>")[2].partition("</h1>")[0])
        lines += [f"## [{cause}]({cause}.html)", "", headline.replace("<", "\\<"), "", f"![report]({cause}.png)", ""]
    (PAGES / "README.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
