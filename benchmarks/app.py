"""The app in a real Chromium: the first curve on a machine that never trained, and key presses.

Claims: digits with MLP 64-32 shows its first curve within 12 s of the address being printed; a key
press on a slider updates the large figures in under 100 ms (median).
"""

from __future__ import annotations

import re
import tempfile
import time

import numpy as np
from paretoscope.store import home
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser import chromium
from tests.browser.serving import serve

COLD_RUNS = 3
PRESSES = 30
_POINTS = "document.querySelectorAll('.js-plotly-plot .scatterlayer .point').length > 20"
# Milliseconds from a key press until the three figures show another text.
_WATCH = """() => {
  window.seen = [];
  const figures = () => [...document.querySelectorAll('[data-testid=stMetricValue]')]
    .slice(0, 3).map(e => e.innerText).join(' ')
    + [...document.querySelectorAll('[data-testid=stCaptionContainer]')].map(e => e.innerText)
      .filter(t => t.includes('n = ') || t.includes('smaller')).join(' ');
  let pressed = null, before = '';
  document.addEventListener('keydown', () => {
    pressed = performance.now(); before = figures();
  }, true);
  new MutationObserver(() => {
    if (pressed !== null && figures() !== before) {
      window.seen.push(performance.now() - pressed); pressed = null;
    }
  }).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


def run() -> None:
    path = chromium.find()
    assert path is not None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(chromium.FLAGS))
        taken = []
        for _ in range(COLD_RUNS):
            with tempfile.TemporaryDirectory() as empty, serve(empty) as server:
                page = browser.new_page()
                start = time.perf_counter()
                page.goto(server.url)
                page.wait_for_function(_POINTS, timeout=60_000)
                taken.append(time.perf_counter() - start)
                page.close()
        print(f"first curve, never trained: {_spread(taken)} s")
        with serve(str(home())) as server:
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            page.goto(server.url)
            _all_measured(page)
            page.evaluate(_WATCH)
            for label, keys in (("Threshold", ("Right", "Left")), ("Q", ("Right", "Right"))):
                print(f"key press on {label}: {_spread(_press(page, label, keys))} ms")
        browser.close()


def _press(page: Page, label: str, keys: tuple[str, str]) -> list[float]:
    box = page.locator("[data-testid=stSelectSlider], [data-testid=stSlider]")
    slider = box.filter(has=page.get_by_text(label, exact=True)).locator("input[type=range]").first
    slider.focus()
    page.evaluate("window.seen = []")
    for number in range(PRESSES):
        # Down the scale again after half the presses, so that no end is reached.
        turned = keys[0] == keys[1] and number >= PRESSES // 2
        page.keyboard.press("ArrowLeft" if turned else f"Arrow{keys[number % 2]}")
        page.wait_for_timeout(600)
    times: list[float] = page.evaluate("window.seen")
    return times


def _all_measured(page: Page) -> None:
    done = page.get_by_text(re.compile(r"All \d+ files of this curve measured"))
    expect(done).to_be_visible(timeout=60_000)
    page.wait_for_timeout(3_000)


def _spread(values: list[float]) -> str:
    low, high = np.quantile(values, [0.25, 0.75])
    return f"median {np.median(values):.4g} (quartiles {low:.4g} to {high:.4g}, n = {len(values)})"
