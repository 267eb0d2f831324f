"""What visitors do on the explorer's pages, by mouse and keyboard, in a real Chromium."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Download, Page, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.browser.conftest import Server, Visit, Visitor, settle, slider
from tests.conftest import load, trained

QUERY = "?v=1&dataset=digits&model=mlp-64-32&recipe=magnitude(threshold%3D0.1)%2Bq(8)"
PAGES = ("", "compare", "layers", "search", "evidence", "files", "textbook", "methods")
# The colours of Streamlit's code blocks.
STREAMLITS_OWN = re.compile(r"404")  # it looks for its address beside a deep link's
NOT_OURS = re.compile(r"class=.token")


@pytest.fixture(scope="module", autouse=True)
def _trained() -> None:
    trained("digits", "mlp-64-32")


def _ready(page: Page) -> None:
    expect(page.get_by_text(re.compile(r"All \d+ files of this curve measured"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"All \d+ cells computed"))).to_be_visible()


def _open(
    visitor: Visitor, server: Server, path: str = "", query: str = QUERY, **how: object
) -> Visit:
    visit = visitor(**how)
    visit.page.goto(f"{server.url}/{path}{query}")
    return visit


def _points(page: Page, chart: int) -> list[list[float]]:
    """Where the points of a chart are on the screen."""
    found: list[list[float]] = page.evaluate(
        """n => [...document.querySelectorAll('.js-plotly-plot')[n]
            .querySelectorAll('.scatterlayer .point')].map(e => {
              const r = e.getBoundingClientRect();
              return [r.x + r.width / 2, r.y + r.height / 2, r.width]; })""",
        chart,
    )
    return found


def _recipe(visit: Visit) -> str:
    (found,) = re.findall(r"[?&]recipe=([^&]*)", visit.query)
    return str(found).replace("+", " ").replace(" ", "+")


def test_a_click_on_a_point_moves_the_sliders_there(server: Server, visitor: Visitor) -> None:
    visit = _open(visitor, server)
    page = visit.page
    _ready(page)
    before = _recipe(visit)
    names = page.evaluate(
        "() => document.querySelectorAll('.js-plotly-plot')[0].data"
        ".find(t => t.name === 'Q = 8').customdata.map(c => c[0])"
    )
    place = 3
    x, y = page.evaluate(
        """i => { const e = document.querySelectorAll('.js-plotly-plot')[0];
          const t = e.data.findIndex(t => t.name === 'Q = 8');
          const p = e.querySelectorAll('.scatterlayer .trace')[0].parentNode;
          const all = [...p.querySelectorAll('.trace')].filter(n => n.querySelectorAll('.point')
            .length === e.data[t].customdata.length);
          const r = all[0].querySelectorAll('.point')[i].getBoundingClientRect();
          return [r.x + r.width / 2, r.y + r.height / 2]; }""",
        place,
    )
    page.mouse.move(x, y)
    page.mouse.click(x, y)
    page.wait_for_function("old => !decodeURIComponent(location.search).includes(old)", arg=before)
    assert _recipe(visit) in names


def test_a_slider_has_only_drawn_anew_what_follows_it(server: Server, visitor: Visitor) -> None:
    visit = visitor()
    frames: list[bytes | str] = []

    def until_nothing_comes() -> None:
        known = -1
        while len(frames) > known:
            known = len(frames)
            visit.page.wait_for_timeout(1_500)  # a page that waits for files asks more often

    visit.page.on("websocket", lambda s: s.on("framereceived", lambda f: frames.append(f)))
    visit.page.goto(f"{server.url}/{QUERY}")
    _ready(visit.page)
    until_nothing_comes()
    frames.clear()
    slider(visit.page, "Threshold").press("ArrowRight")
    visit.page.wait_for_function("!decodeURIComponent(location.search).includes('=0.1)')")
    until_nothing_comes()
    drawn, runs = set(), []
    for frame in frames:
        message = ForwardMsg.FromString(frame)  # type: ignore[arg-type]
        if message.WhichOneof("type") == "new_session":
            runs.append(list(message.metadata.run.fragment_ids))
        elif message.WhichOneof("type") == "delta":
            drawn.add(message.delta.new_element.WhichOneof("type"))
    assert {"metric", "bidi_component", "slider", "download_button"} <= drawn
    assert "selectbox" not in drawn, "dataset, model and members of families stay"
    assert len(runs) == 1
    assert runs[0]


def test_controls_beside_the_sliders_keep_what_these_did(server: Server, visitor: Visitor) -> None:
    """They were drawn before a slider moved, which has them drawn no more."""
    query = QUERY.replace("magnitude(threshold%3D0.1)", "random(sparsity%3D0.4)")
    visit = _open(visitor, server, query=query)
    page = visit.page
    _ready(page)
    slider(page, "Sparsity").press("ArrowRight")
    page.wait_for_function("!decodeURIComponent(location.search).includes('sparsity=0.4)')")
    moved = _recipe(visit)
    draw = page.get_by_role("spinbutton", name="Draw")
    draw.fill("3")
    draw.press("Enter")
    page.wait_for_function("decodeURIComponent(location.search).includes('draw=3')")
    assert _recipe(visit) == moved.replace(")+q", ",draw=3)+q")
    page.get_by_text("One layer by itself").click()
    own = page.get_by_role("button", name="Set this layer by itself")
    expect(own).to_be_visible()
    settle(page)
    slider(page, "Q").press("ArrowRight")
    page.wait_for_function("!decodeURIComponent(location.search).includes('q(8)')")
    q = _recipe(visit).split("+")[1]
    own.click()
    page.wait_for_function("decodeURIComponent(location.search).includes('dense3=')")
    assert q != "q(8)"
    assert _recipe(visit).endswith(f"+{q}")


def test_a_slider_takes_away_what_was_said_of_the_link(server: Server, visitor: Visitor) -> None:
    visit = _open(visitor, server, query=f"{QUERY}&size=zip")
    complaint = visit.page.get_by_text("The link is partly wrong")
    expect(complaint).to_be_visible()
    _ready(visit.page)
    slider(visit.page, "Q").press("ArrowRight")
    expect(complaint).to_have_count(0)


def test_zoom_survives_a_slider_move(server: Server, visitor: Visitor) -> None:
    visit = _open(visitor, server)
    page = visit.page
    _ready(page)
    box = page.locator(".js-plotly-plot").first.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 120, steps=6)
    page.mouse.up()
    read = "() => document.querySelectorAll('.js-plotly-plot')[0].layout.yaxis.range"
    zoomed = page.evaluate(read)
    slider(page, "Q").press("ArrowLeft")
    page.wait_for_function("decodeURIComponent(location.search).includes('q(6)')")
    _ready(page)
    assert page.evaluate(read) == zoomed


def test_the_budget_is_typed_cleared_and_what_is_wrong_is_said(
    server: Server, visitor: Visitor
) -> None:
    visit = _open(visitor, server, height=2600)
    page = visit.page
    _ready(page)
    field = page.get_by_role("textbox", name="Largest drop, points")
    field.fill("3")
    field.press("Enter")
    page.wait_for_function("location.search.includes('drop=3')")
    told = page.get_by_text(re.compile(r"^Smallest of \d+ within it"))
    expect(told).to_be_visible()
    _ready(page)
    before = _recipe(visit)
    page.get_by_role("radio", name="Near miss 1").click()
    page.wait_for_function("old => !decodeURIComponent(location.search).includes(old)", arg=before)
    _ready(page)
    field.fill("")
    field.press("Enter")
    page.wait_for_function("location.search.includes('drop=none')")
    field.fill("much")
    field.press("Enter")
    sentence = "Largest drop, points must be a number from 0 to 100; got 'much'"
    expect(page.get_by_text(sentence)).to_be_visible()
    assert "drop=none" in visit.query


def test_a_group_of_controls_opens_when_asked_by_keyboard(server: Server, visitor: Visitor) -> None:
    visit = _open(visitor, server)
    page = visit.page
    _ready(page)
    assert page.get_by_text("Storage of codes").count() == 0
    group = page.locator("summary").filter(has_text="Recover and store")
    group.press("Enter")
    expect(page.get_by_text("Storage of codes")).to_be_visible()
    group.press("Enter")
    expect(page.get_by_text("Storage of codes")).to_have_count(0)


def test_pins_are_compared_and_let_go(server: Server, visitor: Visitor) -> None:
    visit = _open(visitor, server, height=2600)
    page = visit.page
    _ready(page)
    page.get_by_role("button", name="Pin as A").click()
    page.wait_for_function("decodeURIComponent(location.search).includes('pins=magnitude')")
    slider(page, "Q").press("ArrowLeft")
    page.wait_for_function("decodeURIComponent(location.search).includes('q(6)')")
    page.get_by_role("button", name="Pin as B").click()
    page.locator("[data-testid=stSidebarNav]").get_by_text("Compare").click()
    expect(page.get_by_text("What differs between the pins")).to_be_visible()
    expect(page.get_by_text(re.compile("McNemar's exact p"))).to_be_visible()
    page.get_by_role("button", name="Unpin", exact=True).first.click()
    page.wait_for_function(
        "decodeURIComponent(location.search).includes('pins=magnitude(threshold=0.1)+q(6)&')"
    )
    expect(page.get_by_text("What differs between the pins")).to_have_count(0)


def test_a_search_shows_how_far_it_is_and_takes_its_best_to_explore(
    server: Server, visitor: Visitor
) -> None:
    visit = _open(visitor, server, "search", QUERY + "&drop=2")
    page = visit.page
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_text(re.compile("the race took the work of"))).to_be_visible()
    recipe = page.locator("[data-testid=stMarkdown] code").first.inner_text()
    page.get_by_role("button", name="Take to Explore").first.click()
    expect(page.get_by_text("Budget", exact=True)).to_be_visible()
    assert f"recipe={recipe}&" in visit.query
    page.go_back()
    expect(page.get_by_role("button", name="Take to Explore").first).to_be_visible()
    page.reload()
    expect(page.get_by_text(re.compile("the race took the work of"))).to_be_visible()


def _shared(page: Page, name: str) -> Download:
    """Open the menu, which a run of the page may have closed, and download from it."""
    button = page.get_by_role("button", name=name)
    if not button.is_visible():
        page.get_by_role("button", name="Share", exact=True).click()
    with page.expect_download() as found:
        button.click()
    return found.value


def test_what_is_downloaded_is_what_it_says(
    server: Server, visitor: Visitor, tmp_path: Path
) -> None:
    visit = _open(visitor, server)
    page = visit.page
    _ready(page)
    with page.expect_download() as model:
        page.get_by_role("button", name="Download this model").click()
    session = ort.InferenceSession(model.value.path().read_bytes())
    X = load("digits").validation.X
    (scores,) = session.run(None, {session.get_inputs()[0].name: X})
    right = np.mean(scores.argmax(1) == load("digits").validation.y)
    assert f"{100 * right:.1f} %" in visit.main_text()
    report = _shared(page, "Report (HTML)")
    rows = _shared(page, "Raw rows (CSV)")
    plain = _shared(page, "Raw rows (JSON)")
    table = pd.read_csv(io.BytesIO(rows.path().read_bytes()))
    assert "magnitude(threshold=0.1)+q(8)" in set(table["recipe"])
    # More files may have been measured meanwhile.
    assert len(json.loads(plain.path().read_bytes())) >= len(table) > 0
    offline = visitor()
    offline.page.route(re.compile("^http"), lambda route: route.abort())
    report.save_as(tmp_path / "report.html")
    offline.page.goto((tmp_path / "report.html").as_uri())
    offline.page.wait_for_selector(".js-plotly-plot .main-svg")
    assert [u for u in offline.requests if u.startswith("http")] == []


def test_the_camera_takes_a_picture_of_the_right_size(server: Server, visitor: Visitor) -> None:
    visit = _open(visitor, server)
    page = visit.page
    _ready(page)
    page.locator(".js-plotly-plot").first.hover()
    expect(page.get_by_role("button", name="Share chart...")).to_have_count(0)
    with page.expect_download() as picture:
        page.locator(".js-plotly-plot").first.locator("[data-title*='ownload']").click()
    data = picture.value.path().read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) == (2400, 1260)
    assert picture.value.suggested_filename == "paretoscope-digits-mlp-64-32-gzip.png"


@pytest.mark.parametrize("path", ["compare", "layers", "search"])
def test_a_deep_link_to_each_page_on_a_fresh_server(
    path: str, fresh_server: Server, visitor: Visitor
) -> None:
    visit = _open(visitor, fresh_server, path)
    menu = visit.page.locator("[data-testid=stSidebarNav]")
    for name in ("Explore", "Compare", "Layers", "Search", "Evidence", "Textbook", "Methods"):
        expect(menu.get_by_text(name, exact=True)).to_be_visible()
    visit.page.wait_for_function("location.search.includes('recipe=')")
    assert "recipe=magnitude(threshold=0.1)+q(8)" in visit.query


@pytest.mark.parametrize("path", [path for path in PAGES if path not in ("", "textbook")])
def test_no_page_is_wider_than_the_screen_or_asks_elsewhere(
    path: str, server: Server, visitor: Visitor
) -> None:
    pins = "&pins=magnitude(threshold%3D0.05)%2Bq(8)|magnitude(threshold%3D0.1)%2Bq(16)"
    for width, scheme in ((390, "dark"), (390, "light"), (1280, "dark")):
        visit = _open(visitor, server, path, QUERY + pins, width=width, color_scheme=scheme)
        visit.page.wait_for_selector("[data-testid=stMarkdown]")
        if path not in ("methods", "search", "files"):
            visit.page.wait_for_selector(".js-plotly-plot .point, .js-plotly-plot .heatmaplayer")
        overflow = visit.page.evaluate(
            "document.querySelector('[data-testid=stMain]').scrollWidth"
            " - document.querySelector('[data-testid=stMain]').clientWidth"
        )
        assert overflow <= 0
        outside = [u for u in visit.requests if not u.startswith((server.url, "data:", "blob:"))]
        assert outside == []
        assert [e for e in visit.errors if not STREAMLITS_OWN.search(e)] == []


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_serious_that_is_ours(
    path: str, server: Server, visitor: Visitor
) -> None:
    visit = _open(visitor, server, path)
    page = visit.page
    for scheme, paper in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(14, 17, 23)")):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.wait_for_function(
            "c => getComputedStyle(document.querySelector('.stApp')).backgroundColor === c",
            arg=paper,
        )
        page.wait_for_selector("[data-testid=stMarkdown]")
        if path not in ("methods", "search", "files"):
            page.wait_for_selector(".js-plotly-plot .point, .js-plotly-plot .heatmaplayer")
        found = Axe().run(page).response["violations"]
        ours = [
            (scheme, v["id"], node["target"], node["failureSummary"])
            for v in found
            if v["impact"] in ("serious", "critical")
            for node in v["nodes"]
            if not NOT_OURS.search(json.dumps(node["target"]) + node["html"])
        ]
        assert ours == []
