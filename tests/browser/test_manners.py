"""Every page in both themes, wide and narrow: readable, no wider than the screen, and quiet."""

from __future__ import annotations

import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import Server, Visit, Visitor, is_whole

QUERY = (
    "?v=1&dataset=digits&model=mlp-64-32&recipe=magnitude(threshold%3D0.1)%2Bq(8)"
    "&pins=magnitude(threshold%3D0.05)%2Bq(8)|magnitude(threshold%3D0.1)%2Bq(16)"
)
PAGES = ("", "compare", "layers", "search", "evidence", "files", "learn")
WITHOUT_CHARTS = ("files",)
WIDE, NARROW = (1440, 900), (390, 844)
# Of each page what is seen without scrolling beside its headline, and how much of it on a phone.
FIRST = {
    "": (".st-key-chart-size", 0.6),
    "compare": (".st-key-chart-size", 0.6),
    "layers": (".st-key-chart-cost", 0.6),
    "search": (".st-key-chart-size", 0.6),
    "evidence": (".st-key-figures", 1.0),
    "files": (".st-key-examples", 0.6),
    "learn": (".st-key-learn-weights", 0.2),
}
PAPER = {"light": "rgb(255, 255, 255)", "dark": "rgb(14, 17, 23)"}
STREAMLITS_OWN = re.compile(r"404")  # it looks for its address beside a deep link's
NOT_OURS = re.compile(r"class=.token")  # the colours of Streamlit's code blocks
_DRAWN = ".js-plotly-plot .xtick, .js-plotly-plot .heatmaplayer"


def _drawn(page: Page, path: str, scheme: str) -> None:
    """Wait for the page's text and charts in a theme."""
    page.wait_for_function(
        "c => getComputedStyle(document.querySelector('.stApp')).backgroundColor === c",
        arg=PAPER[scheme],
    )
    page.wait_for_selector("[data-testid=stMarkdown]")
    if path not in WITHOUT_CHARTS:
        page.wait_for_selector(_DRAWN)


def _papers_of_charts(page: Page) -> set[str]:
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll('.js-plotly-plot')].map(
          e => getComputedStyle(e.querySelector('.main-svg')).backgroundColor)"""
    )
    return set(found)


def _fits(page: Page) -> None:
    """Nothing is wider than the screen, once charts have taken the width that there is."""
    page.wait_for_function(
        """() => { const main = document.querySelector('[data-testid=stMain]');
          return main.scrollWidth <= main.clientWidth; }"""
    )


def _is_readable(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    ours = [
        (v["id"], node["target"], node["failureSummary"])
        for v in found
        if v["impact"] in ("serious", "critical")
        for node in v["nodes"]
        if not NOT_OURS.search(json.dumps(node["target"]) + node["html"])
    ]
    assert ours == []


def _is_quiet(visit: Visit, server: Server) -> None:
    """No errors, and nobody else is asked for anything."""
    assert [e for e in visit.errors if not STREAMLITS_OWN.search(e)] == []
    ours = (server.url, "data:", "blob:")
    assert [u for u in visit.requests if not u.startswith(ours)] == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_readable_and_fits_in_both_themes(
    path: str, server: Server, visitor: Visitor
) -> None:
    """Wide in both themes, then narrow in both; the finding and its picture on the first screen."""
    visit = visitor(width=WIDE[0], height=WIDE[1])
    page = visit.page
    page.goto(f"{server.url}/{path}{QUERY}")
    for size, scheme in ((WIDE, "light"), (WIDE, "dark"), (NARROW, "dark"), (NARROW, "light")):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        _drawn(page, path, scheme)
        _fits(page)
        picture, share = FIRST[path]
        is_whole(page, ".st-key-headline h1", size[1])
        is_whole(page, picture, size[1], 1.0 if size == WIDE else share)
        if size == WIDE:
            _is_readable(page)
    _is_quiet(visit, server)


@pytest.mark.parametrize("path", ["", "learn"])
def test_a_page_that_opens_dark_and_narrow_fits_and_has_dark_charts(
    path: str, server: Server, visitor: Visitor
) -> None:
    visit = visitor(width=390, height=844, color_scheme="dark")
    visit.page.goto(f"{server.url}/{path}{QUERY}")
    _drawn(visit.page, path, "dark")
    _fits(visit.page)
    papers = _papers_of_charts(visit.page)
    assert papers
    assert PAPER["light"] not in papers
    _is_quiet(visit, server)
