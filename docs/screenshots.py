"""Render the pictures of the pages into docs/, and of Explore at all sizes into docs/all (which git
ignores, to be looked at): ``make screenshots``; with names of pages only those."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import paretoscope as ps  # noqa: E402
from paretoscope.base.store import home  # noqa: E402

from tests.browser import chromium  # noqa: E402
from tests.browser.serving import serve  # noqa: E402
from ui import pictures  # noqa: E402

LENET = "?v=1&dataset=fashion-mnist&model=lenet-300-100&recipe=magnitude(threshold%3D0.0652)%2Bq(8)"
PINS = "&pins=magnitude(threshold%3D0.03)%2Bq(16)|magnitude(threshold%3D0.0652)%2Bq(8)"
# Each page's address, the height of its picture, and a text that says that it is drawn.
PAGES = {
    "compare": (f"/compare{LENET}{PINS}&curves=magnitude|wanda|random", 1250, "McNemar"),
    "layers": (f"/layers{LENET}", 1150, r"All \d+ files measured"),
    "search": (f"/search{LENET}", 1000, "compared on growing parts of the rows"),
    "evidence": (f"/evidence{LENET}", 920, "McNemar"),
    "files": ("/files", 920, "Your files"),
    "learn": ("/learn", 920, "test rows"),
}
MODELS = {
    "lenet": LENET,
    "cnn": "?v=1&dataset=fashion-mnist&model=cnn&recipe=magnitude(sparsity%3D0.4)%2Bq(16)",
    "digits": "?v=1&dataset=digits&model=mlp-64-32&recipe=magnitude(threshold%3D0.0949)%2Bq(8)",
    "wine": "?v=1&dataset=wine&model=linear-svm&recipe=magnitude(sparsity%3D0.3)%2Bq(4)",
    "cancer": "?v=1&dataset=breast-cancer&model=logistic-regression&recipe=q(2)",
}
SIZES = {"laptop": (1440, 900), "desk": (1920, 1080), "phone": (390, 844)}
ALL = ROOT / "docs" / "all"


def _open(browser: Browser, address: str, size: tuple[int, int], scheme: str) -> Page:
    narrow = size[0] < 500
    page = browser.new_page(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,  # type: ignore[arg-type]
        device_scale_factor=2 if narrow else 1,
        has_touch=narrow,
        is_mobile=narrow,
    )
    page.goto(address)
    return page


def _explore(browser: Browser, url: str) -> None:
    """Explore, once all is known of it: a laptop's picture of LeNet is the one in the README."""
    ALL.mkdir(exist_ok=True)
    for model, query in MODELS.items():
        for size, pixels in SIZES.items():
            for scheme in ("light", "dark"):
                page = _open(browser, f"{url}/{query}", pixels, scheme)
                done = page.get_by_text(re.compile(r"All \d+ files of this curve measured"))
                expect(done).to_be_visible(timeout=240_000)
                cells = page.get_by_text(re.compile(r"All \d+ cells computed"))
                expect(cells).to_be_visible(timeout=240_000)
                page.wait_for_timeout(2_000)
                page.screenshot(path=ALL / f"explore-{model}-{size}-{scheme}.png")
                if model == "lenet" and size != "desk":
                    name = "explore" if size == "laptop" else "phone"
                    page.screenshot(path=ROOT / "docs" / f"{name}-{scheme}.png")
                page.close()


def _cards() -> None:
    for scheme, *more in (("light",), ("dark", "--dark")):
        link = f"http://127.0.0.1/{LENET}"
        pictures.main([link, "-o", str(ROOT / "docs" / f"card-{scheme}.png"), *more])


def main(names: list[str]) -> None:
    ps.train("lenet-300-100", ps.load_dataset("fashion-mnist"))
    path = chromium.find()
    assert path is not None
    with serve(str(home())) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(chromium.FLAGS))
        if not names:
            _explore(browser, server.url)
        for name in names or PAGES:
            address, height, words = PAGES[name]
            for scheme in ("light", "dark"):
                page = _open(browser, server.url + address, (1440, height), scheme)
                search = page.get_by_role("button", name="Search", exact=True)
                if name == "search":  # what was searched before is found again without
                    found = page.get_by_text(re.compile(words)).first
                    expect(search.or_(found)).to_be_visible(timeout=60_000)
                    if search.is_visible():
                        search.click()
                expect(page.get_by_text(re.compile(words)).first).to_be_visible(timeout=180_000)
                page.wait_for_timeout(1_000)
                page.screenshot(path=ROOT / "docs" / f"{name}-{scheme}.png")
                page.close()
        browser.close()
    if not names:
        _cards()


if __name__ == "__main__":
    main(sys.argv[1:])
