"""Opens a report in headless Chromium, on a telephone and on a desk, in light and dark, and uses what it offers.

    pip install playwright
    python workflows/report/test_report.py runs/quickstart/report.html [--screenshots FOLDER]

Chromium is taken from the path (Debian: chromium), or from CHROMIUM.
"""

import argparse
import json
import os
import pathlib
import shutil
import sys

from playwright.sync_api import Page, sync_playwright

SIZES = {"phone": (390, 844), "desktop": (1280, 900)}

# Figures that are not there for the eye: without area, or without ink.
EMPTY_FIGURES = """() => [...document.querySelectorAll("figure")].filter(figure => {
  const svg = figure.querySelector("svg");
  const box = svg && svg.getBoundingClientRect();
  const ink = svg && [...svg.querySelectorAll("path, rect, line, circle, polyline, polygon, text, image, use")];
  return !svg || box.width < 200 || box.height < 100 || ink.length < 5 || box.right > innerWidth + 1 || box.left < -1;
}).map(figure => figure.id)"""

BROKEN_LINKS = """() => [...document.querySelectorAll("a[href^='#']")]
  .filter(link => !document.getElementById(link.hash.slice(1))).map(link => link.hash)"""


class Report:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []

    def check(self, holds: bool, fault: str) -> None:
        if not holds:
            self.faults.append(fault)

    def layout(self) -> None:
        figures = self.page.locator("figure").count()
        self.check(figures > 3, f"only {figures} figures")
        empty = self.page.evaluate(EMPTY_FIGURES)
        self.check(not empty, f"figures not shown in full: {empty}")
        overflow = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        self.check(overflow <= 0, f"the page is {overflow} pixels wider than the window")
        broken = self.page.evaluate(BROKEN_LINKS)
        self.check(not broken, f"links to nowhere: {broken}")
        sections = self.page.locator("main > section").count()
        contents = self.page.locator("nav a").count()
        self.check(sections == contents, f"{contents} entries in the contents for {sections} sections")
        self.check(self.page.locator(".verdict").bounding_box()["y"] < 300, "the verdict does not come first")

    def enlarge(self) -> None:
        figure = self.page.locator("button.zoom").first
        before = figure.locator("svg").bounding_box()["width"]
        figure.click()
        dialog = self.page.locator("dialog[open]")
        self.check(dialog.count() == 1, "a click does not enlarge the figure")
        after = dialog.locator("svg").bounding_box()["width"]
        # A telephone has no room for more.
        self.check(after >= min(before, 300), f"enlarged from {before} to {after} pixels")
        self.page.keyboard.press("Escape")
        self.check(self.page.locator("dialog[open]").count() == 0, "Escape does not close the figure")

    def sort(self) -> None:
        table = self.page.locator("table.sortable").first
        column = "tbody tr td:nth-child(2)"

        def values() -> list[float]:
            return [float(cell.get_attribute("data-value")) for cell in table.locator(column).all()]

        heading = table.locator("th:nth-child(2) button")
        heading.click()
        self.check(values() == sorted(values(), reverse=True), "the table does not sort")
        heading.click()
        self.check(values() == sorted(values()), "the table does not sort the other way round")

    def downloads(self) -> None:
        def saved(selector: str) -> bytes:
            with self.page.expect_download() as download:
                self.page.locator(selector).first.click()
            return pathlib.Path(download.value.path()).read_bytes()

        metrics = json.loads(saved("a[download='metrics.json']"))
        self.check("features" in metrics and "verdict" in metrics, "metrics.json holds no metrics")
        self.check(saved(".save-svg").lstrip().startswith(b"<svg"), "the SVG is none")
        self.check(saved("a[download$='.png']").startswith(b"\x89PNG"), "the PNG is none")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=pathlib.Path)
    parser.add_argument("--screenshots", type=pathlib.Path, help="folder for pictures of every view")
    arguments = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("no Chromium on the path: install it (Debian: apt install chromium) or set CHROMIUM")
    failed = False
    with sync_playwright() as playwright:
        # Containers have neither user namespaces nor much shared memory.
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        for name, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                size = {"width": width, "height": height}
                page = browser.new_page(viewport=size, color_scheme=scheme, accept_downloads=True)
                report = Report(page)
                # Whatever the browser has to say is a fault, as is anything the page fetches.
                page.on("console", lambda message: report.faults.append(f"console: {message.text}"))
                page.on("pageerror", lambda error: report.faults.append(f"error: {error}"))
                page.on("requestfailed", lambda request: report.faults.append(f"request: {request.url[:100]}"))
                page.goto(arguments.report.resolve().as_uri())
                background = page.evaluate("getComputedStyle(document.body).backgroundColor")
                dark = sum(int(part) for part in background.strip("rgba()").split(",")[:3]) < 384
                report.check(dark == (scheme == "dark"), f"background {background} in {scheme} mode")
                report.layout()
                report.enlarge()
                report.sort()
                report.downloads()
                if arguments.screenshots:
                    arguments.screenshots.mkdir(parents=True, exist_ok=True)
                    page.screenshot(path=arguments.screenshots / f"{name}_{scheme}.png", full_page=True)
                print(f"{name}, {scheme}: {'; '.join(report.faults) or 'ok'}")
                failed |= bool(report.faults)
                page.close()
        browser.close()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
