"""The app as visitors meet it: a real server, a real Chromium, keyboard and mouse."""

from __future__ import annotations

import re
import tempfile
from urllib.parse import unquote_plus

import numpy as np
import paretoscope as ps
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import (
    HOME,
    Server,
    Visit,
    Visitor,
    all_measured,
    file_was_run,
    menu,
    serve,
    settle,
    shows,
    slider,
    unfold,
)
from tests.conftest import trained
from ui.base import words

RECIPE = "magnitude(threshold=0.1)+q(8)"


def _metric(page: Page, label: str) -> str:
    card = page.locator("[data-testid=stMetric]").filter(has_text=label)
    return card.locator("[data-testid=stMetricValue]").inner_text()


# --- links -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/textbook"])  # an old address leads to Learn
def test_a_deep_link_on_a_fresh_server_opens_the_page_in_its_frame(
    path: str, fresh_server: Server, visitor: Visitor
) -> None:
    visit = visitor()
    visit.open(fresh_server.url + path + HOME)
    pages = menu(visit.page)
    expect(pages.get_by_text("Explore")).to_be_visible()
    expect(pages.get_by_text("Learn")).to_be_visible()
    if path == "/textbook":
        expect(visit.page.get_by_role("heading", name="All methods")).to_be_visible()
        pages.get_by_text("Explore").click()
        visit.page.wait_for_selector(".js-plotly-plot")
    shows(visit.page, "|w| < 0.1")
    assert f"recipe={RECIPE}" in visit.query


def test_the_copy_button_holds_the_whole_link(server: Server, explore: Visit) -> None:
    explore.page.get_by_role("button", name="Share", exact=True).click()
    link = explore.page.locator("[data-testid=stCode]").filter(has_text="dataset=").inner_text()
    assert link.strip().startswith(f"{server.url}/?v=1&dataset=digits&model=mlp-64-32&recipe=")
    assert unquote_plus(link.partition("?")[2].strip()) in (
        explore.query.removeprefix("?"), unquote_plus(explore.query.removeprefix("?"))
    )  # fmt: skip


def test_a_bad_link_says_so(server: Server, visitor: Visitor) -> None:
    visit = visitor()
    visit.open(server.url + "?dataset=irs&recipe=q(0)")
    expect(visit.page.get_by_text("dataset must be one of iris")).to_be_visible()
    expect(visit.page.get_by_text("q must be at least 1; got 0")).to_be_visible()
    visit.page.wait_for_selector("[data-testid=stMetric]")


def test_no_press_is_lost_however_fast(explore: Visit) -> None:
    q = slider(explore.page, "Q")
    for _ in range(12):
        q.press("ArrowRight", delay=33)
    for _ in range(10):
        q.press("ArrowLeft", delay=33)
    explore.page.wait_for_function("decodeURIComponent(location.search).includes('q(12)')")
    shows(explore.page, "Q = 12")
    file_was_run(explore.page)
    assert "q(12)" in explore.query


def test_controls_keep_what_a_link_says(server: Server, visitor: Visitor) -> None:
    """Also where the page runs again before the browser was sent the first run."""
    visit = visitor()
    visit.open(server.url + HOME.replace("size=gzip", "size=file") + "&margin=2")
    all_measured(visit.page)
    slider(visit.page, "Q").press("ArrowRight")
    visit.page.wait_for_function("decodeURIComponent(location.search).includes('q(10)')")
    assert "size=file" in visit.query
    assert "margin=2" in visit.query
    unfold(visit.page, "Goal")
    margin = visit.page.get_by_role("spinbutton", name="Margin, points")
    assert float(margin.input_value()) == 2


def test_back_and_forward_follow_the_sliders(explore: Visit) -> None:
    slider(explore.page, "Q").press("ArrowRight")
    explore.page.wait_for_function("decodeURIComponent(location.search).includes('q(10)')")
    file_was_run(explore.page)
    explore.page.go_back()
    shows(explore.page, "Q = 8")
    explore.page.go_forward()
    shows(explore.page, "Q = 10")


def test_pages_keep_the_view(server: Server, visitor: Visitor) -> None:
    visit = visitor()
    visit.open(server.url + HOME)
    pages = menu(visit.page)
    pages.get_by_text("Learn").click()
    expect(visit.page.get_by_role("heading", name="1. Prune")).to_be_visible()
    pages.get_by_text("Explore").click()
    shows(visit.page, "|w| < 0.1")
    assert f"recipe={RECIPE}" in visit.query


# --- the main job ------------------------------------------------------------------------------


def test_sliding_by_keyboard_shows_the_files_figures(explore: Visit, digits: ps.Dataset) -> None:
    slider(explore.page, "Threshold").press("ArrowRight")
    explore.page.wait_for_function(
        "!decodeURIComponent(location.search).includes('threshold=0.1)')"
    )
    recipe = ps.Recipe.parse(re.search(r"recipe=([^&]*)", explore.query)[1])  # type: ignore[index]
    assert recipe.pruner.threshold > 0.1  # type: ignore[union-attr, operator]
    network = trained("digits", "mlp-64-32")
    artifact = ps.compress(network, recipe, digits.train)
    labels = ps.OnnxRuntime(artifact.onnx_bytes).scores(digits.validation.X).argmax(1)
    card = explore.page.locator("[data-testid=stMetric]").filter(has_text="Accuracy")
    expect(card).to_contain_text(words.percent(float(np.mean(labels == digits.validation.y))))
    assert _metric(explore.page, "Size, zipped") == words.size(artifact.sizes.gzip)


def test_nothing_stays_hollow(explore: Visit) -> None:
    """Points are computed first; in the end every file was run, and its mark is filled."""
    file_was_run(explore.page)
    explore.page.wait_for_function(
        """() => { const t = document.querySelector('.js-plotly-plot').data
          .find(t => t.name === 'Q = 8'); return new Set(t.marker.color).size === 1; }"""
    )


def test_a_machine_that_never_trained_trains_and_shows_the_curve(visitor: Visitor) -> None:
    with tempfile.TemporaryDirectory() as home, serve(home) as running:
        visit = visitor()
        visit.page.goto(running.url)
        visit.page.wait_for_selector("[data-testid=stProgress]")
        main = visit.page.get_by_test_id("stMainBlockContainer")
        expect(main.get_by_role("button", name="Stop")).to_be_visible()
        file_was_run(visit.page)
        expect(visit.page.locator(".js-plotly-plot")).to_have_count(4)


def test_choosing_another_network(server: Server, visitor: Visitor) -> None:
    visit = visitor()
    visit.open(server.url + HOME)
    _choose(visit, "Dataset", "Iris")
    expect(visit.page.get_by_text("Iris · MLP 64-32 · 2,499 parameters")).to_be_visible()
    settle(visit.page)  # the box of models is drawn anew, and its menu with it
    _choose(visit, "Model", "Logistic regression")
    expect(visit.page.get_by_text("Iris · Logistic regression · 15 parameters")).to_be_visible()
    file_was_run(visit.page)
    assert "dataset=iris&model=logistic-regression" in visit.query


def test_the_other_size_is_shown_at_once(explore: Visit) -> None:
    explore.page.get_by_text("on disk", exact=True).click()
    expect(explore.page.get_by_role("figure", name="accuracy against size, on disk")).to_have_count(
        1
    )
    explore.page.wait_for_function("location.search.includes('size=file')")


def _choose(visit: Visit, label: str, option: str) -> None:
    box = visit.page.locator("[data-testid=stSelectbox]").filter(has_text=label)
    box.locator("input").click()
    visit.page.get_by_role("option", name=option, exact=True).click()


# --- manners -----------------------------------------------------------------------------------


def test_each_chart_has_a_text_for_screen_readers(explore: Visit) -> None:
    for what in ("size, zipped", "time"):
        figure = explore.page.get_by_role("figure", name=f"accuracy against {what}")
        expect(figure).to_have_count(1)


# --- evidence ------------------------------------------------------------------------------------


def test_measuring_properly_shows_how_far_it_is_stops_and_sliders_answer_meanwhile(
    explore: Visit,
) -> None:
    page = explore.page
    stop = page.get_by_test_id("stMainBlockContainer").get_by_role("button", name="Stop")
    page.get_by_role("button", name="Measure properly").click()
    expect(page.get_by_text("Measuring properly: process 1 of 5")).to_be_visible()
    settle(page, 100)  # the run of that click is over
    slider(page, "Q").press("ArrowLeft")
    shows(page, "Q = 6")
    slider(page, "Q").press("ArrowRight")
    shows(page, "Q = 8")
    stop.click()
    expect(stop).to_have_count(0)
    expect(page.get_by_role("button", name="Measure properly")).to_be_visible()


def test_evidence_of_the_recipe_is_one_click_away_and_back(explore: Visit) -> None:
    page = explore.page
    page.get_by_role("link", name="Evidence for this recipe").click()
    expect(page.get_by_text(re.compile(r"validation rows, \d+ newly wrong"))).to_be_visible()
    assert f"recipe={RECIPE}" in explore.query
    page.get_by_role("radio", name="Size", exact=True).click()
    page.wait_for_function("location.search.includes('section=size')")
    # The whole report may not be gone yet: there it stands, too.
    expect(page.get_by_text("zero-order entropy").first).to_be_visible()
    page.get_by_role("link", name="Change it on Explore").click()
    shows(page, "|w| < 0.1")
