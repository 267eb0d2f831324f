"""What comes first of a large network that nobody has looked at since the server began:
``python -m benchmarks first_curve``.

Claims, with trained networks and data in the store (quiet machine): the curve of the Fashion-MNIST
CNN is drawn, hollow, within 3 s of the first plot, and all its files were run within 25 s; the grid
comes after these.
"""

from __future__ import annotations

import re
import time

import paretoscope as ps
from paretoscope.base.store import home
from playwright.sync_api import Page, sync_playwright

from benchmarks.app import spread
from tests.browser import chromium
from tests.browser.serving import serve

RUNS = 3
NETWORKS = (("fashion-mnist", "cnn"), ("fashion-mnist", "lenet-300-100"), ("digits", "mlp-64-32"))
_RECIPE = "magnitude(sparsity%3D0.4)%2Bq(8)"
_PLOT = "document.querySelector('.st-key-chart-size .js-plotly-plot')"
_LINE = f"{_PLOT}?.data?.some(t => t.name === 'Q = 8' && t.x.length >= 18 && t.x.every(x => x > 0))"


def run() -> None:
    path = chromium.find()
    assert path is not None
    for dataset, model in NETWORKS:
        ps.train(model, ps.load_dataset(dataset))
        taken: dict[str, list[float]] = {}
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=list(chromium.FLAGS))
            for _ in range(RUNS):
                with serve(str(home())) as server:
                    page = browser.new_page(viewport={"width": 1440, "height": 900})
                    query = f"?dataset={dataset}&model={model}&recipe={_RECIPE}"
                    for what, seconds in _watched(page, f"{server.url}/{query}").items():
                        taken.setdefault(what, []).append(seconds)
                    page.close()
            browser.close()
        for what, seconds_of in taken.items():
            print(f"{dataset} {model}, {what}: {spread(seconds_of)} s", flush=True)


def _watched(page: Page, url: str) -> dict[str, float]:
    """Seconds from the address to the first plot, and from there to what follows."""
    start = time.perf_counter()
    page.goto(url)
    page.wait_for_selector(".st-key-chart-size .xtick", timeout=120_000)
    plotted = time.perf_counter()
    page.wait_for_function(_LINE, timeout=240_000)
    line = time.perf_counter()
    page.get_by_text(re.compile(r"files? of this curve measured")).wait_for(timeout=240_000)
    files = time.perf_counter()
    page.get_by_text(re.compile(r"All \d+ cells computed")).wait_for(timeout=240_000)
    return {
        "address to first plot": plotted - start,
        "first plot to its line": line - plotted,
        "first plot to all its files": files - plotted,
        "first plot to the whole grid": time.perf_counter() - plotted,
    }
