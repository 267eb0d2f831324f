"""What visitors do on the explorer's pages, by mouse and keyboard, in a real Chromium."""

from __future__ import annotations

import gzip
import io
import json
import re
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pandas as pd
import pytest
from playwright.sync_api import Download, Page, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.browser.conftest import (
    HOME,
    Server,
    Visit,
    Visitor,
    all_measured,
    menu,
    settle,
    slider,
    unfold,
)
from tests.conftest import load
from ui.base import words

QUERY = "?v=1&dataset=digits&model=mlp-64-32&recipe=magnitude(threshold%3D0.1)%2Bq(8)"


def _open(
    visitor: Visitor, server: Server, path: str = "", query: str = QUERY, **how: object
) -> Visit:
    visit = visitor(**how)
    visit.page.goto(f"{server.url}/{path}{query}")
    return visit


def _recipe(visit: Visit) -> str:
    (found,) = re.findall(r"[?&]recipe=([^&]*)", visit.query)
    return str(found).replace("+", " ").replace(" ", "+")


def test_a_click_on_a_point_moves_the_sliders_there(explore: Visit) -> None:
    page, before = explore.page, _recipe(explore)
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
    assert _recipe(explore) in names


def test_a_slider_has_only_drawn_anew_what_follows_it(explore: Visit) -> None:
    explore.rest()
    explore.frames.clear()
    slider(explore.page, "Threshold").press("ArrowRight")
    explore.page.wait_for_function("!decodeURIComponent(location.search).includes('=0.1)')")
    settle(explore.page)
    drawn, runs = set(), []
    for frame in explore.frames:
        message = ForwardMsg.FromString(frame)  # type: ignore[arg-type]
        if message.WhichOneof("type") == "new_session":
            runs.append(list(message.metadata.run.fragment_ids))
        elif message.WhichOneof("type") == "delta":
            drawn.add(message.delta.new_element.WhichOneof("type"))
    assert {"metric", "bidi_component", "slider", "download_button"} <= drawn
    assert "selectbox" not in drawn, "dataset, model and members of families stay"
    assert runs
    assert all(runs), "no run of the whole page"


def test_controls_beside_the_sliders_keep_what_these_did(server: Server, visitor: Visitor) -> None:
    """They were drawn before a slider moved, which has them drawn no more."""
    query = QUERY.replace("magnitude(threshold%3D0.1)", "random(sparsity%3D0.4)")
    visit = _open(visitor, server, query=query)
    page = visit.page
    all_measured(page)
    unfold(page, "Method")
    settle(page)
    slider(page, "Sparsity").press("ArrowRight")
    page.wait_for_function("!decodeURIComponent(location.search).includes('sparsity=0.4)')")
    moved = _recipe(visit)
    draw = page.get_by_role("spinbutton", name="Draw")
    draw.fill("3")
    draw.press("Enter")
    page.wait_for_function("decodeURIComponent(location.search).includes('draw=3')")
    assert _recipe(visit) == moved.replace(")+q", ",draw=3)+q")
    unfold(page, "One layer by itself")
    own = page.get_by_role("button", name="Give this layer its own settings")
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
    all_measured(visit.page)
    slider(visit.page, "Q").press("ArrowRight")
    expect(complaint).to_have_count(0)


def test_zoom_survives_a_slider_move(explore: Visit) -> None:
    page = explore.page
    box = page.locator(".js-plotly-plot").first.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 120, steps=6)
    page.mouse.up()
    read = "() => document.querySelectorAll('.js-plotly-plot')[0].layout.yaxis.range"
    zoomed = page.evaluate(read)
    slider(page, "Q").press("ArrowLeft")
    page.wait_for_function(
        "document.querySelectorAll('.js-plotly-plot')[0].data.some(t => t.name === 'Q = 6')"
    )
    assert page.evaluate(read) == zoomed


def test_the_budget_is_typed_cleared_and_what_is_wrong_is_said(explore: Visit) -> None:
    page = explore.page
    unfold(page, "Goal")
    field = page.get_by_role("textbox", name="Largest loss, points")
    field.fill("3")
    field.press("Enter")
    page.wait_for_function("location.search.includes('drop=3')")
    told = page.get_by_text(re.compile(r"^Smallest of \d+ within it"))
    expect(told).to_be_visible()
    all_measured(page)
    before = _recipe(explore)
    page.get_by_role("radio", name="Near miss 1").click()
    page.wait_for_function("old => !decodeURIComponent(location.search).includes(old)", arg=before)
    all_measured(page)
    field.fill("")
    field.press("Enter")
    page.wait_for_function("location.search.includes('drop=none')")
    field.fill("much")
    field.press("Enter")
    sentence = "Largest loss, points must be a number from 0 to 100; got 'much'"
    expect(page.get_by_text(sentence)).to_be_visible()
    assert "drop=none" in explore.query


def test_what_is_being_typed_survives_what_comes_above_it(server: Server, visitor: Visitor) -> None:
    """Buttons come once the recipe's file is there, which takes a while for one that calibrates."""
    visit = _open(visitor, server, query=QUERY.replace("q(8)", "q(7)%2Bgptq"))
    page = visit.page
    unfold(page, "Goal")
    drop = page.get_by_role("textbox", name="Largest loss, points")
    drop.fill("7.5")
    pin = page.get_by_role("button", name="Pin as A")
    expect(pin).to_be_visible()
    expect(drop).to_have_value("7.5")
    drop.press("Enter")
    page.wait_for_function("location.search.includes('drop=7.5')")


def test_a_group_of_controls_opens_when_asked_by_keyboard(explore: Visit) -> None:
    page = explore.page
    assert page.get_by_text("Storage of codes").count() == 0
    group = page.locator("summary").filter(has_text="Recover and store")
    group.press("Enter")
    expect(page.get_by_text("Storage of codes")).to_be_visible()
    group.press("Enter")
    expect(page.get_by_text("Storage of codes")).to_have_count(0)


def test_pins_are_compared_and_let_go(explore: Visit) -> None:
    page = explore.page
    page.get_by_role("button", name="Pin as A").click()
    page.wait_for_function("decodeURIComponent(location.search).includes('pins=magnitude')")
    slider(page, "Q").press("ArrowLeft")
    page.wait_for_function("decodeURIComponent(location.search).includes('q(6)')")
    page.get_by_role("button", name="Pin as B").click()
    menu(page).get_by_text("Compare").click()
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
    expect(page.get_by_text(re.compile("compared on growing parts of the rows"))).to_be_visible()
    recipe = page.locator(".st-key-best [data-testid=stMarkdown] code").inner_text()
    page.get_by_role("button", name="Take it").first.click()
    expect(page.locator(".st-key-strip")).to_be_visible()
    assert f"recipe={recipe}&" in visit.query
    page.go_back()
    expect(page.get_by_role("button", name="Take it").first).to_be_visible()
    page.reload()
    expect(page.get_by_text(re.compile("compared on growing parts of the rows"))).to_be_visible()


def _shared(page: Page, name: str) -> Download:
    """Open the menu, which a run of the page may have closed, and download from it; to the end, for
    a browser drops a download that waits when another is asked for."""
    button = page.get_by_role("button", name=name)
    if not button.is_visible():
        page.get_by_role("button", name="Share", exact=True).click()
    with page.expect_download() as found:
        button.click()
    found.value.path()
    return found.value


_HOW_MANY = """() => {
  window.seen = [];
  const look = () => window.seen.push(['.st-key-size', '.st-key-heat', '.js-plotly-plot']
    .map((what) => document.querySelectorAll(what).length).join(' '));
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
}"""


def test_nothing_stands_twice_when_the_welcome_is_put_away(
    server: Server, visitor: Visitor
) -> None:
    """What was below it moved up, and stood in both places until the run's end: for a blink, or
    where another fragment's run began before the browser was told of that end, much longer."""
    first = visitor()
    first.open(server.url)
    all_measured(first.page)
    first.rest()
    first.page.evaluate(_HOW_MANY)
    first.page.get_by_role("button", name="Got it").click()
    expect(first.page.get_by_role("button", name="Got it")).to_have_count(0)
    first.rest()
    seen = [tuple(map(int, one.split())) for one in set(first.page.evaluate("window.seen"))]
    assert seen
    assert tuple(map(max, zip(*seen, strict=True))) == (1, 1, 4)  # a chart may be gone for a blink


def test_what_is_downloaded_is_what_it_says(
    explore: Visit, visitor: Visitor, tmp_path: Path
) -> None:
    page, rows_of = explore.page, load("digits").validation
    explore.rest()
    with page.expect_download() as model:
        page.get_by_role("button", name="Download model").click()
    assert model.value.suggested_filename == "digits-mlp-64-32.onnx"
    onnx_bytes = model.value.path().read_bytes()
    zipped = _shared(page, "Zipped model")
    assert zipped.suggested_filename == "digits-mlp-64-32.onnx.gz"
    zipped_bytes = zipped.path().read_bytes()
    assert gzip.decompress(zipped_bytes) == onnx_bytes
    session = ort.InferenceSession(onnx_bytes, providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"features": rows_of.X})
    right = float(np.mean(scores.argmax(1) == rows_of.y))
    figures = page.locator("[data-testid=stMetricValue]").all_inner_texts()
    assert figures[:2] == [words.percent(right), words.size(len(zipped_bytes))]
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
    offline.page.set_viewport_size({"width": 390, "height": 844})
    offline.page.wait_for_function(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )


def test_the_camera_takes_a_picture_of_the_right_size(server: Server, visitor: Visitor) -> None:
    """On a page of its own: of several files that come late, a browser holds back all but one."""
    page = _open(visitor, server, query=HOME).page
    all_measured(page)
    page.locator(".js-plotly-plot").first.hover()
    expect(page.get_by_role("button", name="Share chart...")).to_have_count(0)
    with page.expect_download() as picture:
        page.locator(".js-plotly-plot").first.locator("[data-title*='ownload']").click()
    data = picture.value.path().read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) == (2400, 1260)
    assert picture.value.suggested_filename == "paretoscope-digits-mlp-64-32-gzip.png"


PICTURES = ("Light", "Dark", "Square", "SVG")


def test_share_saves_pictures_that_the_browser_draws(server: Server, visitor: Visitor) -> None:
    page = _open(visitor, server, query=HOME).page
    all_measured(page)
    saved = {name: _shared(page, name).path().read_bytes() for name in PICTURES}
    sizes = {name: (int.from_bytes(data[16:20]), int.from_bytes(data[20:24]))
             for name, data in saved.items()}  # fmt: skip
    assert sizes["Light"] == sizes["Dark"] == (2400, 1260)
    assert sizes["Square"] == (2160, 2160)
    assert saved["Light"] != saved["Dark"]
    assert "magnitude(threshold=0.1)+q(8)" in saved["SVG"].decode()
    assert page.locator(".st-key-headline h1").inner_text()[:10] in saved["SVG"].decode()


@pytest.mark.parametrize(
    "path",
    [
        "search",
        pytest.param("compare", marks=pytest.mark.soak("a deep link to Compare, fresh server")),
        pytest.param("layers", marks=pytest.mark.soak("a deep link to Layers, fresh server")),
    ],
)
def test_a_deep_link_to_each_page_on_a_fresh_server(
    path: str, fresh_server: Server, visitor: Visitor
) -> None:
    visit = _open(visitor, fresh_server, path)
    pages = menu(visit.page)
    for name in ("Explore", "Compare", "Layers", "Search", "Evidence", "Learn"):
        expect(pages.get_by_text(name, exact=True)).to_be_visible()
    visit.page.wait_for_function("location.search.includes('recipe=')")
    assert "recipe=magnitude(threshold=0.1)+q(8)" in visit.query
