"""report.html in a real browser: nothing goes wrong, nothing leaves the page, everybody can read it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.ingest_verify.report.write import Wanted, write_report

from tests.unit.test_report import ERROR, HOSTILE, hostile_ledger, ledger_of

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (requirements/dev.lock)")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

VIEWS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 900}},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True},
}
# CI keeps these; elsewhere they go with the test's folder.
SHOTS = os.environ.get("REPORT_SCREENSHOTS")


def chromium() -> str | None:
    """The distribution's browser; CI installs it where it is absent."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None and os.environ.get("CI") == "true" and shutil.which("apt-get"):
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], check=True, timeout=600
        )
        found = shutil.which("chromium")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = chromium()
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


class Page:
    """A page with what the browser had to say about it."""

    def __init__(self, browser: Any, file: Path, view: str, **more: Any) -> None:
        self.context = browser.new_context(**VIEWS[view], **more)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append("a dialog opened"), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri())

    def harmless(self) -> None:
        assert self.said == []
        assert [url for url in self.asked if not url.startswith(("file:", "data:"))] == []

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "20261128T084501Z-abcdef"
    path.mkdir()
    (path / "ingest.log").write_text("start\nERROR no column amount\n")
    (path / "query_log.jsonl").write_text(
        '{"time": "2026-11-28 08:45:02.5", "query": "INSERT INTO zakaz.orders VALUES", "event": "QueryFinish",'
        ' "duration_ms": 40}\n'
        '{"time": "2026-11-28 08:45:03", "query": "SELECT 1", "event": "Exception",'
        ' "exception_code": 16, "exception": "no"}\n'
    )
    return path


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_report_is_readable_in_every_view(browser: Any, folder: Path, view: str, language: str) -> None:
    write_report(folder, ledger_of(), (), Wanted(language=language))
    opened = Page(browser, folder / "report.html", view)
    opened.harmless()
    violations = axe.Axe().run(opened.page).response["violations"]
    assert [(found["id"], found["nodes"][0]["html"]) for found in violations] == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= VIEWS[view]["viewport"]["width"]
    top = opened.page.locator("header").bounding_box()
    assert top["y"] < 100, "verdict and cause on top"
    assert opened.page.locator("header .fix pre").is_visible()
    assert opened.page.locator("svg.picture").count() >= 3
    shots = Path(SHOTS) if SHOTS else folder
    shots.mkdir(parents=True, exist_ok=True)
    opened.page.screenshot(path=str(shots / f"report-{view}-{language}.png"), full_page=True)
    opened.close()


def test_the_copy_button_copies_the_fix(browser: Any, folder: Path) -> None:
    write_report(folder, ledger_of(), (), Wanted())
    opened = Page(browser, folder / "report.html", "light", permissions=["clipboard-read", "clipboard-write"])
    button = opened.page.locator("header button.copy")
    button.click()
    playwright.expect(button).to_have_text("✓")
    assert opened.page.evaluate("navigator.clipboard.readText()").strip() == ERROR["next_step"]
    opened.harmless()
    opened.close()


def test_on_paper_everything_is_open(browser: Any, folder: Path) -> None:
    findings = [{**ERROR, "headline": f"finding {i}"} for i in range(20)]
    write_report(folder, ledger_of(findings=findings), (), Wanted())
    opened = Page(browser, folder / "report.html", "light")
    assert opened.page.locator("details:not([open])").count() > 10
    opened.page.emulate_media(media="print")
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.page.locator("details:not([open])").count() == 0
    assert not opened.page.locator("nav").is_visible()
    opened.close()


def test_hostile_texts_do_nothing(browser: Any, folder: Path) -> None:
    ledger = hostile_ledger(HOSTILE[0])
    ledger["findings"] = [finding for value in HOSTILE for finding in hostile_ledger(value)["findings"]]
    write_report(folder, ledger, (), Wanted())
    opened = Page(browser, folder / "report.html", "light")
    opened.harmless()
    assert opened.page.locator("script").count() == 1
    assert opened.page.locator("img, iframe").count() == 0
    assert opened.page.locator(".finding").count() == len(HOSTILE)
    opened.close()


def test_five_thousand_findings_open(browser: Any, folder: Path) -> None:
    findings = [{**ERROR, "headline": f"finding {i}", "evidence": {"sql": "SELECT 1" * 2000}} for i in range(5000)]
    write_report(folder, ledger_of(findings=findings), (), Wanted())
    opened = Page(browser, folder / "report.html", "light")
    opened.harmless()
    assert "5000 findings were made" in opened.page.locator("main").inner_text()
    opened.close()
