"""The app as visitors meet it: a real server, a real Chromium, keyboard and mouse."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime as ort
import paretoscope as ps
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server, Visit, Visitor, serve, settle, slider
from tests.conftest import trained
from ui import words

RECIPE = "magnitude(threshold=0.1)+q(8)"
QUERY = "?v=1&dataset=digits&model=mlp-64-32&recipe=magnitude(threshold%3D0.1)%2Bq(8)&size=gzip"
STREAMLITS_OWN = re.compile(r"Failed to load resource.*404")


@pytest.fixture(scope="module", autouse=True)
def _trained() -> None:
    trained("digits", "mlp-64-32")
    trained("iris", "logistic-regression")


def _all_measured(page: Page) -> None:
    expect(page.get_by_text(re.compile(r"All \d+ files of this curve measured"))).to_be_visible(
        timeout=60_000
    )


def _metric(page: Page, label: str) -> str:
    card = page.locator("[data-testid=stMetric]").filter(has_text=label)
    return card.locator("[data-testid=stMetricValue]").inner_text()


# --- links -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/textbook"])
def test_a_deep_link_on_a_fresh_server_opens_the_page_in_its_frame(
    path: str, fresh_server: Server, visitor: Visitor
) -> None:
    visit = visitor()
    visit.open(fresh_server.url + path + QUERY)
    menu = visit.page.locator("[data-testid=stSidebarNav]")
    expect(menu.get_by_text("Explore")).to_be_visible()
    expect(menu.get_by_text("Textbook")).to_be_visible()
    if path == "/textbook":
        expect(visit.page.get_by_role("heading", name="Textbook")).to_be_visible()
        menu.get_by_text("Explore").click()
        visit.page.wait_for_selector(".js-plotly-plot")
    expect(visit.page.get_by_text("|w| < 0.1", exact=True)).to_be_visible()
    assert f"recipe={RECIPE}" in visit.query


def test_the_link_of_a_page_shows_the_same_on_another_server(
    server: Server, visitor: Visitor
) -> None:
    one = visitor()
    one.open(server.url + QUERY)
    slider(one.page, "Q").press("ArrowLeft")
    expect(one.page.get_by_text("error at most 0.0833")).to_be_visible()
    _all_measured(one.page)
    address = one.page.evaluate("location.href")
    with serve(os.environ["PARETOSCOPE_HOME"]) as other:
        two = visitor()
        two.open(address.replace(server.url, other.url))
        _all_measured(two.page)
        for label in ("Accuracy", "Size"):
            assert _metric(two.page, label) == _metric(one.page, label)
        assert two.query == one.query


def test_the_copy_button_holds_the_whole_link(server: Server, visitor: Visitor) -> None:
    visit = visitor()
    visit.open(server.url + QUERY)
    visit.page.get_by_role("button", name="Copy link").click()
    link = visit.page.locator("[data-testid=stCode]").filter(has_text="dataset=").inner_text()
    assert link.strip().startswith(f"{server.url}/?v=1&dataset=digits&model=mlp-64-32&recipe=")
    other = visitor()
    other.open(link.strip())
    assert f"recipe={RECIPE}" in other.query


def test_a_bad_link_says_so(server: Server, visitor: Visitor) -> None:
    visit = visitor()
    visit.open(server.url + "?dataset=irs&recipe=q(0)")
    expect(visit.page.get_by_text("dataset must be one of iris")).to_be_visible()
    expect(visit.page.get_by_text("q must be at least 1; got 0")).to_be_visible()
    visit.page.wait_for_selector("[data-testid=stMetric]")


def test_no_press_is_lost_however_fast(server: Server, visitor: Visitor) -> None:
    visit = visitor()
    visit.open(server.url + QUERY)
    _all_measured(visit.page)
    q = slider(visit.page, "Q")
    for _ in range(2):
        for _ in range(12):
            q.press("ArrowRight", delay=33)
        for _ in range(10):
            q.press("ArrowLeft", delay=33)
    visit.page.wait_for_function("decodeURIComponent(location.search).includes('q(20)')")
    expect(visit.page.get_by_text("error at most 0.025")).to_be_visible()
    _all_measured(visit.page)
    assert "q(20)" in visit.query


def test_controls_keep_what_a_link_says(server: Server, visitor: Visitor) -> None:
    """Also where the page runs again before the browser was sent the first run."""
    visit = visitor()
    visit.open(server.url + QUERY.replace("size=gzip", "size=file") + "&margin=2")
    _all_measured(visit.page)
    slider(visit.page, "Q").press("ArrowRight")
    visit.page.wait_for_function("decodeURIComponent(location.search).includes('q(10)')")
    assert "size=file&margin=2" in visit.query
    margin = visit.page.get_by_role("spinbutton", name="Margin, points")
    assert float(margin.input_value()) == 2


def test_back_and_forward_follow_the_sliders(server: Server, visitor: Visitor) -> None:
    visit = visitor()
    visit.open(server.url + QUERY)
    _all_measured(visit.page)
    slider(visit.page, "Q").press("ArrowRight")
    visit.page.wait_for_function("decodeURIComponent(location.search).includes('q(10)')")
    _all_measured(visit.page)
    visit.page.go_back()
    expect(visit.page.get_by_text("error at most 0.0625")).to_be_visible()
    visit.page.go_forward()
    expect(visit.page.get_by_text("error at most 0.05")).to_be_visible()


def test_pages_keep_the_view(server: Server, visitor: Visitor) -> None:
    visit = visitor()
    visit.open(server.url + QUERY)
    menu = visit.page.locator("[data-testid=stSidebarNav]")
    menu.get_by_text("Textbook").click()
    expect(visit.page.get_by_role("heading", name="1. Pruning by importance")).to_be_visible()
    menu.get_by_text("Explore").click()
    expect(visit.page.get_by_text("|w| < 0.1", exact=True)).to_be_visible()
    assert f"recipe={RECIPE}" in visit.query


# --- the main job ------------------------------------------------------------------------------


def test_sliding_by_keyboard_shows_the_files_figures(
    server: Server, visitor: Visitor, digits: ps.Dataset
) -> None:
    visit = visitor()
    visit.open(server.url + QUERY)
    _all_measured(visit.page)
    slider(visit.page, "Threshold").press("ArrowRight")
    visit.page.wait_for_function("!decodeURIComponent(location.search).includes('threshold=0.1)')")
    recipe = ps.Recipe.parse(re.search(r"recipe=([^&]*)", visit.query)[1])  # type: ignore[index]
    assert recipe.pruner.threshold > 0.1  # type: ignore[union-attr, operator]
    network = trained("digits", "mlp-64-32")
    artifact = ps.compress(network, recipe, digits.train)
    labels = ps.OnnxRuntime(artifact.onnx_bytes).scores(digits.validation.X).argmax(1)
    card = visit.page.locator("[data-testid=stMetric]").filter(has_text="Accuracy")
    expect(card).to_contain_text(words.percent(float(np.mean(labels == digits.validation.y))))
    assert _metric(visit.page, "Size") == words.size(len(artifact.onnx_bytes))


def test_the_downloaded_file_reproduces_what_is_shown(
    server: Server, visitor: Visitor, digits: ps.Dataset, tmp_path: Path
) -> None:
    visit = visitor()
    visit.open(server.url + QUERY)
    _all_measured(visit.page)
    with visit.page.expect_download() as download:
        visit.page.get_by_role("button", name="Download this model").click()
    assert download.value.suggested_filename == "digits-mlp-64-32.onnx"
    path = tmp_path / "model.onnx"
    download.value.save_as(path)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    labels = session.run(None, {"features": digits.validation.X})[0].argmax(1)
    shown = _metric(visit.page, "Accuracy")
    assert shown == words.percent(float(np.mean(labels == digits.validation.y)))
    assert _metric(visit.page, "Size") == words.size(path.stat().st_size)


def test_nothing_stays_hollow(visitor: Visitor) -> None:
    """A fresh server draws computed points first; in the end every file was run."""
    with serve(os.environ["PARETOSCOPE_HOME"]) as running:
        visit = visitor()
        visit.open(running.url + QUERY)
        _all_measured(visit.page)
        expect(visit.page.get_by_text("computed, not yet run")).to_have_count(0)


def test_a_machine_that_never_trained_trains_and_shows_the_curve(visitor: Visitor) -> None:
    with tempfile.TemporaryDirectory() as home, serve(home) as running:
        visit = visitor()
        visit.page.goto(running.url)
        visit.page.wait_for_selector("[data-testid=stProgress]")
        main = visit.page.get_by_test_id("stMainBlockContainer")
        expect(main.get_by_role("button", name="Stop")).to_be_visible()
        _all_measured(visit.page)
        expect(visit.page.locator(".js-plotly-plot")).to_have_count(4)


def test_choosing_another_network(server: Server, visitor: Visitor) -> None:
    visit = visitor()
    visit.open(server.url + QUERY)
    _choose(visit, "Dataset", "Iris")
    _choose(visit, "Model", "Logistic regression")
    expect(visit.page.get_by_text("Iris · Logistic regression · 15 parameters")).to_be_visible()
    _all_measured(visit.page)
    assert "dataset=iris&model=logistic-regression" in visit.query


def test_the_other_size_is_shown_at_once(server: Server, visitor: Visitor) -> None:
    visit = visitor()
    visit.open(server.url + QUERY)
    _all_measured(visit.page)
    visit.page.get_by_text("on disk", exact=True).click()
    expect(
        visit.page.get_by_role("figure", name="accuracy against size of the file on disk")
    ).to_have_count(1)
    visit.page.wait_for_function("location.search.includes('size=file')")


def _choose(visit: Visit, label: str, option: str) -> None:
    box = visit.page.locator("[data-testid=stSelectbox]").filter(has_text=label)
    box.locator("input").click()
    visit.page.get_by_role("option", name=option, exact=True).click()


# --- manners -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/textbook"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_overflow_no_errors_nothing_leaves_the_machine(
    path: str, scheme: str, width: int, server: Server, visitor: Visitor
) -> None:
    visit = visitor(width=width, color_scheme=scheme)
    visit.open(server.url + path + QUERY)
    visit.page.wait_for_selector(".js-plotly-plot")
    if path == "/":
        _all_measured(visit.page)
    overflow = visit.page.evaluate(
        "document.querySelector('[data-testid=stMain]').scrollWidth"
        " - document.querySelector('[data-testid=stMain]').clientWidth"
    )
    assert overflow <= 0
    assert [e for e in visit.errors if not STREAMLITS_OWN.search(e)] == []
    outside = [u for u in visit.requests if not u.startswith((server.url, "data:", "blob:"))]
    assert outside == []
    background = visit.page.evaluate(
        "getComputedStyle(document.querySelector('.js-plotly-plot .main-svg')).backgroundColor"
    )
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")


def test_each_chart_has_a_text_for_screen_readers(server: Server, visitor: Visitor) -> None:
    visit = visitor()
    visit.open(server.url + QUERY)
    _all_measured(visit.page)
    for what in ("size of the file under gzip", "inference time of one row"):
        figure = visit.page.get_by_role("figure", name=f"accuracy against {what}")
        expect(figure).to_have_count(1)


# --- evidence ------------------------------------------------------------------------------------


def test_measuring_properly_shows_how_far_it_is_stops_and_sliders_answer_meanwhile(
    fresh_server: Server, visitor: Visitor
) -> None:
    visit = visitor()
    visit.open(fresh_server.url + QUERY)
    page = visit.page
    _all_measured(page)
    page.get_by_role("button", name="Measure properly").click()
    expect(page.get_by_text("Measuring properly: process 1 of 5")).to_be_visible(timeout=20_000)
    page.get_by_test_id("stMainBlockContainer").get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Measure properly")).to_be_visible()
    page.get_by_role("button", name="Measure properly").click()
    expect(page.get_by_text(re.compile("Measuring properly: process"))).to_be_visible()
    settle(page, 100)  # the run of that click is over
    slider(page, "Q").press("ArrowLeft")
    expect(page.get_by_text("error at most 0.0833")).to_be_visible(timeout=10_000)
    slider(page, "Q").press("ArrowRight")
    expect(page.get_by_text("measured properly:")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Measure properly")).to_have_count(0)


def test_evidence_of_the_recipe_is_one_click_away_and_back(
    server: Server, visitor: Visitor
) -> None:
    visit = visitor()
    visit.open(server.url + QUERY)
    page = visit.page
    _all_measured(page)
    page.get_by_role("link", name="Evidence for this recipe").click()
    expect(page.get_by_text(re.compile(r"validation rows \d+ broke"))).to_be_visible(timeout=30_000)
    assert f"recipe={RECIPE}" in visit.query
    page.get_by_text("Size", exact=True).click()
    expect(page.get_by_text("zero-order entropy")).to_be_visible(timeout=30_000)
    assert "section=size" in visit.query
    page.get_by_role("link", name="Change the recipe on Explore").click()
    expect(page.get_by_text("|w| < 0.1", exact=True)).to_be_visible()
