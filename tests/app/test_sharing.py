"""The report: one file that needs nothing else."""

from __future__ import annotations

import re

from streamlit.testing.v1 import AppTest

from tests.app.pages import measured, open_page, until
from tests.conftest import load, trained
from ui.base import words
from ui.explore import sharing
from ui.state import server
from ui.state.address import View
from ui.state.subject import Subject

RECIPE = "magnitude(threshold=0.1)+q(8)"


def _subject() -> Subject:
    return server.subject("digits", "mlp-64-32", trained("digits", "mlp-64-32"))


def test_the_report_holds_charts_figures_and_nothing_from_elsewhere() -> None:
    import paretoscope as ps

    trained("digits", "mlp-64-32")
    load("digits")
    app = until(open_page(recipe=RECIPE), measured)
    assert not app.exception
    recipe = ps.Recipe.parse(RECIPE)
    curve = ps.curve(trained("digits", "mlp-64-32"), recipe, "threshold")
    link = "http://127.0.0.1/?recipe=<script>"
    page = sharing.report(server.measuring(), _subject(), View(recipe=recipe), "A & B", curve, link)
    (heading,) = re.findall("<h1>(.*?)</h1>", page)
    assert "times smaller" in heading
    found = server.measuring().known(_subject(), recipe)
    low, high = (f"{100 * end:.1f}" for end in found.quality.interval)
    size = words.sized(found.gzip_bytes, zipped=True)
    assert f"<p>A &amp; B: {words.quality(found.quality)} ({low} to {high}) at {size}" in page
    assert "Click a cell" not in page
    assert page.count('class="plotly-graph-div"') == 3
    assert "n = 360 validation rows" in page
    assert "<script>'" not in page.split("the same view")[0][-200:]
    assert "&lt;script&gt;" in page
    assert re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="http', page) == []
    assert "Plotly" in page


def _grid_is_known(app: AppTest) -> bool:
    return any(re.match(r"All \d+ cells computed", c.value) for c in app.caption)


def test_rows_hold_curve_and_grid() -> None:
    import paretoscope as ps

    trained("digits", "mlp-64-32")
    until(open_page(recipe=RECIPE), _grid_is_known)
    recipe = ps.Recipe.parse(RECIPE)
    curve = ps.curve(trained("digits", "mlp-64-32"), recipe, "threshold")
    known = sharing.known_of(server.measuring(), _subject(), View(recipe=recipe), curve)
    texts = {str(m.recipe) for m in known}
    assert {str(r) for r in curve} <= texts
    assert len(texts) > 200
