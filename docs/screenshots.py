"""Render the pictures of the pages into docs/: ``make screenshots``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import paretoscope as ps  # noqa: E402
from paretoscope.base.store import home  # noqa: E402

from tests.browser import chromium  # noqa: E402
from tests.browser.serving import serve  # noqa: E402

LENET = "?v=1&dataset=fashion-mnist&model=lenet-300-100&recipe=magnitude(threshold%3D0.0652)%2Bq(8)"
PINS = "&pins=magnitude(threshold%3D0.03)%2Bq(16)|magnitude(threshold%3D0.0652)%2Bq(8)"
# Each page's address, the height of its picture, and a text that says that it is drawn.
PAGES = {
    "explore": (f"/{LENET}", 1380, r"All \d+ cells computed"),
    "compare": (f"/compare{LENET}{PINS}&curves=magnitude|wanda|random", 1250, "McNemar"),
    "layers": (f"/layers{LENET}", 1150, r"All \d+ files measured"),
    "search": (f"/search{LENET}", 1000, "compared on growing parts of the rows"),
    "evidence": (f"/evidence{LENET}&section=robustness", 920, "validation rows"),
    "files": ("/files", 920, "Your files"),
    "textbook": ("/textbook", 920, "test rows"),
    "methods": ("/methods", 920, "Selections"),
}


def main() -> None:
    ps.train("lenet-300-100", ps.load_dataset("fashion-mnist"))
    path = chromium.find()
    assert path is not None
    with serve(str(home())) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(chromium.FLAGS))
        for name, (address, height, words) in PAGES.items():
            for scheme in ("light", "dark"):
                page = browser.new_page(
                    viewport={"width": 1280, "height": height},
                    color_scheme=scheme,  # type: ignore[arg-type]
                )
                page.goto(server.url + address)
                search = page.get_by_role("button", name="Search", exact=True)
                if name == "search":  # what was searched before is found again without
                    found = page.get_by_text(re.compile(words)).first
                    expect(search.or_(found)).to_be_visible(timeout=60_000)
                    if search.is_visible():
                        search.click()
                expect(page.get_by_text(re.compile(words)).first).to_be_visible(timeout=180_000)
                if name == "explore":
                    done = page.get_by_text(re.compile(r"All \d+ files of this curve measured"))
                    expect(done).to_be_visible(timeout=120_000)
                    page.wait_for_timeout(15_000)  # the faint curves fill in last
                page.wait_for_timeout(1_000)
                page.screenshot(path=ROOT / "docs" / f"{name}-{scheme}.png")
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
