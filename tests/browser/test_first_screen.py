"""What of Explore is seen without scrolling, whether its labels stand apart, and its dots."""

from __future__ import annotations

import random
from itertools import combinations
from typing import Any
from urllib.parse import quote

import pytest
from paretoscope.training.training import models
from playwright.sync_api import Page, expect

from tests.browser.conftest import (
    GO,
    HOME,
    Server,
    Visitor,
    all_measured,
    is_whole,
    settle,
    shows,
)
from tests.conftest import trained

# Parts of the first screen, by a selector each.
HEADLINE, FIGURES, SLIDERS = ".st-key-headline h1", ".st-key-figures", ".st-key-strip"
SIZE, TIME = ".st-key-chart-size .js-plotly-plot", ".st-key-chart-time .js-plotly-plot"
SHARE = ".st-key-leaving"
PHONE, LAPTOP, DESK = (390, 844), (1440, 900), (1920, 1080)
MODELS = {
    "iris": "logistic-regression",
    "wine": "mlp-32",
    "breast-cancer": "linear-svm",
    "digits": "mlp-64-32",
    "fashion-mnist": "cnn",
}
_LABELS = """selector => {
  const plot = document.querySelector(selector);
  const box = r => [r.left, r.top, r.right, r.bottom];
  return {
    area: box(plot.querySelector('.main-svg').getBoundingClientRect()),
    labels: [...plot.querySelectorAll('.annotation')].map(a => ({
      text: a.textContent,
      box: box((a.querySelector('.annotation-text-g .bg') ?? a).getBoundingClientRect()),
    })),
    cut: [...plot.querySelectorAll('.xtick text, .ytick text, .xtitle, .gtitle')]
      .map(t => ({text: t.textContent, box: box(t.getBoundingClientRect())})),
  };
}"""
_RING_AT = f"""recipe => document.querySelector('{SIZE}')?.data?.some(trace =>
  trace.name === 'your recipe' && trace.customdata[0][0] === recipe)"""
# Where the pointer finds a dot, away from what Plotly itself answers for.
_A_DOT = """selector => {
  const plot = document.querySelector(selector);
  const [canvas, tip] = [plot.previousElementSibling, plot.nextElementSibling];
  const box = canvas.getBoundingClientRect();
  const rings = [...plot.querySelectorAll('.point')].map(p => p.getBoundingClientRect());
  for (let y = box.top + 4; y < box.bottom; y += 3)
    for (let x = box.left + 4; x < box.right; x += 3) {
      if (rings.some(r => Math.hypot(r.x + r.width / 2 - x, r.y + r.height / 2 - y) < 40)) continue;
      plot.dispatchEvent(new MouseEvent('mousemove', {clientX: x, clientY: y}));
      if (!tip.hidden) return [x, y];
    }
}"""
# The charts fill their places, and nothing of them has moved for three frames.
_STANDS = """() => {
  const boxes = ['size', 'time'].map(chart => {
    const plot = document.querySelector(`.st-key-chart-${chart} .js-plotly-plot`);
    const svg = plot?.querySelector('.main-svg')?.getBoundingClientRect();
    if (svg === undefined) return 'moving';
    const held = plot.parentElement.getBoundingClientRect();
    if (Math.abs(svg.width - held.width) > 1) return 'moving';
    return [...plot.querySelectorAll('.annotation')]
      .map(a => JSON.stringify(a.getBoundingClientRect())).join();
  }).join();
  const now = boxes.includes('moving') ? undefined : boxes;
  const still = now !== undefined && window.lastBoxes?.boxes === now;
  window.lastBoxes = {boxes: now, frames: still ? window.lastBoxes.frames + 1 : 0};
  return window.lastBoxes.frames >= 3;
}"""


@pytest.mark.parametrize("link", ["", HOME], ids=["first visit", "link"])
def test_what_matters_is_on_the_first_screen(link: str, server: Server, visitor: Visitor) -> None:
    trained("digits", "mlp-64-32")
    page = visitor(width=1440, height=900).page
    page.goto(f"{server.url}/{link}")
    _first_screens_are_whole(page)


@pytest.mark.soak("first screens of a model of each dataset, in both themes, at three sizes")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("dataset", MODELS)
def test_what_matters_is_on_every_first_screen(
    dataset: str, scheme: str, server: Server, visitor: Visitor
) -> None:
    trained(dataset, MODELS[dataset])
    page = visitor(width=1440, height=900, color_scheme=scheme).page
    page.goto(f"{server.url}/?dataset={dataset}&model={MODELS[dataset]}")
    _first_screens_are_whole(page)


def _first_screens_are_whole(page: Page) -> None:
    all_measured(page)
    for size in (LAPTOP, DESK, PHONE):
        _resize(page, size)
        settle(page)
        for part in (HEADLINE, SHARE, FIGURES, SLIDERS):
            is_whole(page, part, size[1])
        if size == PHONE:
            is_whole(page, SIZE, size[1], 0.6)
            tops = [box["y"] for box in map(_bounds, page.locator("[data-testid=stMetric]").all())]
            assert max(tops) - min(tops) < 1, "the figures stand in one row"
        else:
            is_whole(page, SIZE, size[1])
            is_whole(page, TIME, size[1])


def _resize(page: Page, size: tuple[int, int]) -> None:
    """Wait until both charts have the new width, and stand still for two frames."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.evaluate("window.lastBoxes = undefined")
    page.wait_for_function(_STANDS)


def _visit(page: Page, dataset: str, model: str, recipe: str) -> None:
    """Go to a place as a link does, and see both charts' labels at two sizes."""
    page.evaluate(GO, f"/?dataset={dataset}&model={model}&recipe={quote(recipe)}")
    page.wait_for_function(_RING_AT, arg=recipe)
    for size in (LAPTOP, PHONE):
        _resize(page, size)
        for chart in (SIZE, TIME):
            _labels_stand_apart(page, chart)


def _bounds(locator: Any) -> dict[str, float]:
    return locator.bounding_box()  # type: ignore[no-any-return]


def _labels_stand_apart(page: Page, chart: str) -> None:
    """No label covers another one, and nothing is cut at the chart's edge."""
    found = page.evaluate(_LABELS, chart)
    left, top, right, bottom = found["area"]
    for one in (*found["labels"], *found["cut"]):
        x0, y0, x1, y1 = one["box"]
        assert x0 >= left - 1, one
        assert x1 <= right + 1, one
        assert y0 >= top - 1, one
        assert y1 <= bottom + 1, one
    for one, other in combinations(found["labels"], 2):
        a, b = one["box"], other["box"]
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, (one, other)


@pytest.mark.parametrize("dataset", ["iris", "digits"])  # the fewest rows, and many
def test_labels_stand_apart_and_none_is_cut(dataset: str, server: Server, visitor: Visitor) -> None:
    trained(dataset, MODELS[dataset])
    page = visitor(width=1440, height=900).page
    page.goto(f"{server.url}/?dataset={dataset}&model={MODELS[dataset]}")
    expect(page.locator(f"{TIME} .annotation").first).to_be_visible()
    for recipe in ("magnitude(sparsity=0.3)+q(16)", "q(3)", "magnitude(sparsity=0.9)+q(8)"):
        _visit(page, dataset, MODELS[dataset], recipe)
    expect(page.get_by_role("heading", name="This file", exact=True)).to_be_visible()
    expect(page.get_by_text("encountered an error")).to_have_count(0)


@pytest.mark.soak("labels of every model that ships or trains, at 20 places")
@pytest.mark.parametrize("dataset", MODELS)
def test_labels_stand_apart_everywhere(dataset: str, server: Server, visitor: Visitor) -> None:
    places = random.Random(0)
    page = visitor(width=1440, height=900).page
    for model in models(dataset):
        trained(dataset, model)
        page.goto(f"{server.url}/?dataset={dataset}&model={model}")
        expect(page.locator(f"{TIME} .annotation").first).to_be_visible()
        for _ in range(20):
            share, q = round(places.uniform(0, 0.95), 2), round(2 ** places.uniform(1, 8), 1)
            _visit(page, dataset, model, f"magnitude(sparsity={share})+q({q:g})")


def test_a_dot_says_what_it_is_and_a_click_goes_there(server: Server, visitor: Visitor) -> None:
    trained("digits", "mlp-64-32")
    visit = visitor(width=1440, height=900)
    page = visit.page
    page.goto(f"{server.url}/{HOME}")
    all_measured(page)
    visit.rest()
    tip = page.locator(".st-key-chart-size .paretoscope-tip")
    # A chart may be drawn anew just then.
    found = page.wait_for_function(f"s => document.querySelector(s) && ({_A_DOT})(s)", arg=SIZE)
    page.mouse.move(*found.json_value())
    expect(tip).to_be_visible()
    told = tip.inner_text().splitlines()
    assert told[1].endswith("kB")
    page.mouse.down()
    page.mouse.up()
    page.wait_for_function(
        "recipe => decodeURIComponent(location.search).includes(`recipe=${recipe}&`)", arg=told[0]
    )


def test_all_of_the_accuracy_is_one_click_away_and_in_the_link(
    server: Server, visitor: Visitor
) -> None:
    visit = visitor(width=1440, height=900)
    page = visit.page
    page.goto(f"{server.url}/{HOME}")
    shows(page, "Q = 8")
    all_measured(page)
    page.get_by_text("Whole range", exact=True).click()
    page.wait_for_function("location.search.includes('span=whole')")
    ranges = "() => [...document.querySelectorAll('.js-plotly-plot')].slice(0, 2)"
    page.wait_for_function(f"({ranges})().every(p => p.layout.yaxis.range[0] === 0)")
    page.get_by_text("compression ratio", exact=True).click()
    page.wait_for_function("location.search.includes('across=ratio')")
    expect(page.get_by_role("figure", name="accuracy against compression ratio")).to_have_count(1)
