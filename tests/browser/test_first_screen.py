"""What of Explore is seen without scrolling, whether its labels stand apart, and its dots."""

from __future__ import annotations

import random
from itertools import combinations
from typing import Any

import pytest
from paretoscope.training.training import models
from playwright.sync_api import Page, expect

from tests.browser.conftest import HOME, Server, Visitor, all_measured, settle, shows
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


def _box(page: Page, selector: str) -> dict[str, float]:
    found = page.locator(selector).first.bounding_box()
    assert found is not None, selector
    return found  # type: ignore[return-value]


def _is_whole(page: Page, selector: str, height: int, share: float = 1.0) -> None:
    """So much of a part's height lies on the first screen, and all of its width."""
    box = _box(page, selector)
    seen = min(height, box["y"] + box["height"]) - max(0.0, box["y"])
    assert seen >= share * box["height"] - 0.5, (selector, box)
    width = page.viewport_size["width"]  # type: ignore[index]
    assert box["x"] >= 0, selector
    assert box["x"] + box["width"] <= width + 0.5, selector


@pytest.mark.parametrize("first_visit", [True, False])
@pytest.mark.parametrize("size", [LAPTOP, DESK, PHONE], ids=["laptop", "desk", "phone"])
def test_what_matters_is_on_the_first_screen(
    size: tuple[int, int], first_visit: bool, server: Server, visitor: Visitor
) -> None:
    trained("digits", "mlp-64-32")
    page = visitor(width=size[0], height=size[1]).page
    page.goto(server.url if first_visit else f"{server.url}/{HOME}")
    all_measured(page)
    settle(page)
    _first_screen_is_whole(page, size)


@pytest.mark.soak("first screens of a model of each dataset, in both themes, at three sizes")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("dataset", MODELS)
def test_what_matters_is_on_every_first_screen(
    dataset: str, scheme: str, server: Server, visitor: Visitor
) -> None:
    trained(dataset, MODELS[dataset])
    page = visitor(width=1440, height=900, color_scheme=scheme).page
    page.goto(f"{server.url}/?dataset={dataset}&model={MODELS[dataset]}")
    all_measured(page)
    for size in (LAPTOP, DESK, PHONE):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        settle(page)
        _first_screen_is_whole(page, size)


def _first_screen_is_whole(page: Page, size: tuple[int, int]) -> None:
    height = size[1]
    for part in (HEADLINE, SHARE, FIGURES, SLIDERS):
        _is_whole(page, part, height)
    if size == PHONE:
        _is_whole(page, SIZE, height, 0.6)
        tops = [box["y"] for box in map(_bounds, page.locator("[data-testid=stMetric]").all())]
        assert max(tops) - min(tops) < 1, "the figures stand in one row"
        return
    _is_whole(page, SIZE, height)
    _is_whole(page, TIME, height)


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


@pytest.mark.parametrize("dataset", MODELS)
def test_labels_stand_apart_and_none_is_cut(dataset: str, server: Server, visitor: Visitor) -> None:
    trained(dataset, MODELS[dataset])
    page = visitor(width=1440, height=900).page
    for recipe in ("magnitude(sparsity%3D0.3)%2Bq(16)", "q(3)", "magnitude(sparsity%3D0.9)%2Bq(8)"):
        page.goto(f"{server.url}/?dataset={dataset}&model={MODELS[dataset]}&recipe={recipe}")
        expect(page.locator(f"{SIZE} .annotation").first).to_be_visible()
        settle(page, 200)
        for width, height in (LAPTOP, PHONE):
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(200)
            for chart in (SIZE, TIME):
                _labels_stand_apart(page, chart)
        expect(page.get_by_role("heading", name="This file", exact=True)).to_be_visible()
        expect(page.get_by_text("encountered an error")).to_have_count(0)


@pytest.mark.soak("labels of every model that ships or trains, at 20 places")
@pytest.mark.parametrize("dataset", MODELS)
def test_labels_stand_apart_everywhere(dataset: str, server: Server, visitor: Visitor) -> None:
    places = random.Random(0)
    page = visitor(width=1440, height=900).page
    for model in models(dataset):
        trained(dataset, model)
        for _ in range(20):
            share, q = round(places.uniform(0, 0.95), 2), round(2 ** places.uniform(1, 8), 1)
            recipe = f"magnitude(sparsity%3D{share})%2Bq({q})"
            page.goto(f"{server.url}/?dataset={dataset}&model={model}&recipe={recipe}")
            expect(page.locator(f"{SIZE} .annotation").first).to_be_visible()
            settle(page, 200)
            for width, height in (LAPTOP, PHONE):
                page.set_viewport_size({"width": width, "height": height})
                page.wait_for_timeout(200)
                for chart in (SIZE, TIME):
                    _labels_stand_apart(page, chart)


def test_a_dot_says_what_it_is_and_a_click_goes_there(server: Server, visitor: Visitor) -> None:
    trained("digits", "mlp-64-32")
    visit = visitor(width=1440, height=900)
    page = visit.page
    page.goto(f"{server.url}/{HOME}")
    all_measured(page)
    visit.rest()
    canvas = _box(page, ".st-key-chart-size canvas")
    tip = page.locator(".st-key-chart-size .paretoscope-tip")
    for step in range(60):  # dots lie right of the curve, within the budget
        x = canvas["x"] + canvas["width"] * (0.5 + step / 200)
        for rise in (0.1, 0.15, 0.2):
            page.mouse.move(x, canvas["y"] + canvas["height"] * rise)
            if tip.is_visible():
                break
        else:
            continue
        break
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
