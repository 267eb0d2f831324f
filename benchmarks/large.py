"""Image networks at full width and 224 pixels in the page: ``python -m benchmarks large``.

Aims, with 500 images as one file: the first points of a curve, each of at least 100 rows, are drawn
15 s (MobileNetV2) and 60 s (ResNet-50) after *Explore it* was pressed; a press on a slider is
answered within 150 ms meanwhile; the server's own memory grows by at most 150 MB; and 2 s after the
visitor has left no process of the model is at work. While two visitors measure networks of 100 MB,
95 % of a third one's presses are answered within 300 ms. Then estimates of zipped sizes beside the
sizes themselves.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import psutil
from paretoscope.artifact.artifact import make_draft
from paretoscope.methods.recipe import Recipe
from paretoscope.uploads.own import load_model
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks import large_models
from tests.browser import chromium
from tests.browser.serving import Server, serve

ROWS = 500
PRESSES = 12
_ESTIMATED = (
    "magnitude(threshold=0.026)+q(8)", "q(32)", "q(64)", "magnitude(sparsity=0.5)+symmetric(8)",
    "symmetric(4)", "magnitude(sparsity=0.9)+q(64)", "magnitude(sparsity=0.3)",
)  # fmt: skip
_LONGEST_MS = 600_000
# Milliseconds from a key press until a text beside the sliders is another.
_WATCH = """() => {
  window.answers = [];
  let pressed = null, before = '';
  const text = () => document.querySelector('[data-testid=stMain]').innerText;
  document.addEventListener('keydown', () => { pressed = performance.now(); before = text(); },
    true);
  new MutationObserver(() => {
    if (pressed !== null && text() !== before) {
      window.answers.push(performance.now() - pressed); pressed = null;
    }
  }).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""
_DRAWN = """() => [...document.querySelectorAll('.js-plotly-plot')].some(
  e => (e.data || []).some(t => t.error_y && t.error_y.array
                                && (t.x || []).filter(x => x !== null).length >= 4))"""


def run() -> None:
    path = chromium.find()
    assert path is not None
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(chromium.FLAGS))
        for name in large_models.MODELS:
            model, rows = large_models.write(Path(folder), name, ROWS)
            with tempfile.TemporaryDirectory() as home, serve(home) as server:
                _visit(browser, server, name, model, rows)
            _estimates(name, model)
        _third_of_three(browser, Path(folder))
        browser.close()


def _third_of_three(browser: Browser, folder: Path) -> None:
    """Presses on a small network's slider, while two others' large ones are measured."""
    model, rows = folder / "resnet50.onnx", folder / "resnet50.npz"
    other = onnx.load_model(model)
    bias = next(tensor for tensor in other.graph.initializer if tensor.name == "head.bias")
    bias.raw_data = np.full(large_models.CLASSES, 0.01, np.float32).tobytes()
    onnx.save_model(other, folder / "other.onnx")
    with tempfile.TemporaryDirectory() as home, serve(home) as server:
        ours = os.environ | {"PARETOSCOPE_HOME": home}
        for path in (model, folder / "other.onnx"):
            asked = [sys.executable, "-m", "paretoscope", "open", path, "--data", rows]
            asked += ["--url", server.url]
            link = subprocess.run(asked, env=ours, capture_output=True, text=True, check=True)
            browser.new_page().goto(f"{link.stdout.strip()}&recipe=symmetric(8)")
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(
            f"{server.url}/?v=1&dataset=digits&model=mlp-64-32&recipe=magnitude(threshold%3D0.1)%2Bq(20)"
        )
        page.locator(".js-plotly-plot").nth(1).wait_for(timeout=_LONGEST_MS)
        page.wait_for_timeout(5_000)
        assert _at_work(server), "the two large networks are measured no more"
        _press(page, "a small network beside two of 100 MB", 40)


def _visit(browser: Browser, server: Server, name: str, model: Path, rows: Path) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{server.url}/files")
    expect(page.locator("input[type=file]").nth(2)).to_be_attached(timeout=60_000)
    page.wait_for_timeout(3_000)
    before = _memory(server)
    start = time.perf_counter()
    page.locator("input[type=file]").nth(1).set_input_files(model)
    page.get_by_role("button", name="Explore it on made-up rows").wait_for(timeout=_LONGEST_MS)
    looked = time.perf_counter() - start
    start = time.perf_counter()
    page.locator("input[type=file]").nth(2).set_input_files(rows)
    button = page.get_by_role("button", name="Explore it on")
    page.get_by_role("button", name="Explore it on made-up rows").wait_for(
        state="detached", timeout=_LONGEST_MS
    )
    button.wait_for(timeout=_LONGEST_MS)
    both = time.perf_counter() - start
    print(f"{name}: the file looked at after {looked:.1f} s, with its rows {both:.1f} s more")
    print(f"{name}: memory before {before}, looked at {_memory(server)}", flush=True)
    start = time.perf_counter()
    button.click()
    page.wait_for_function(_DRAWN, timeout=_LONGEST_MS)
    print(f"{name}: first points of the curve {time.perf_counter() - start:.1f} s after the press")
    print(f"{name}: memory {_memory(server)}", flush=True)
    _press(page, name)
    print(f"{name}: memory {_memory(server)}", flush=True)
    page.close()
    start = time.perf_counter()
    while _at_work(server):
        if time.perf_counter() - start > 60:
            break
        time.sleep(0.1)
    print(f"{name}: at rest {time.perf_counter() - start:.1f} s after the visitor left", flush=True)


def _press(page: Page, name: str, presses: int = PRESSES) -> None:
    page.locator('input[type=range][aria-label="Threshold"]').first.focus()
    page.evaluate(_WATCH)
    for number in range(presses):
        page.keyboard.press("ArrowRight" if number % 2 else "ArrowLeft")
        page.wait_for_timeout(1_500)
    answers = page.evaluate("window.answers")
    high = float(np.quantile(answers, 0.95)) if answers else float("nan")
    print(
        f"{name}: {len(answers)} of {presses} presses answered, median "
        f"{np.median(answers):.0f} ms, 95 % {high:.0f} ms",
        flush=True,
    )


def _memory(server: Server) -> str:
    """The server's own process: all that is in memory, and what of it no file backs."""
    status = Path(f"/proc/{server.process.pid}/status").read_text("ascii").splitlines()
    kept = {line.split(":")[0]: int(line.split()[1]) / 1e3 for line in status if "kB" in line}
    return f"{kept['VmRSS']:.0f} MB ({kept['RssAnon']:.0f} its own)"


def _at_work(server: Server) -> bool:
    """Whether any process that the server started takes processor time."""
    busy = psutil.Process(server.process.pid).children(recursive=True)
    first = {p.pid: _processor_s(p) for p in busy}
    time.sleep(0.3)
    return any(_processor_s(p) - first[p.pid] > 0.05 for p in busy)


def _processor_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _estimates(name: str, model: Path) -> None:
    """How far estimates of zipped sizes are off, and how much sooner they are there."""
    network = load_model(model)
    for text in _ESTIMATED:
        sizes = make_draft(network, Recipe.parse(text), None).sizes
        start = time.perf_counter()
        about = sizes.gzip_estimate
        between = time.perf_counter()
        exact = sizes.gzip
        first, second = between - start, time.perf_counter() - between
        off = 100 * (about / exact - 1)
        print(f"{name}: {text}: {off:+.1f} % off, {first:.1f} s in place of {second:.1f} s")
