"""The next steps beneath the charts, and the pictures above the sliders."""

from __future__ import annotations

import re

import numpy as np
import paretoscope as ps
import pytest
from paretoscope.network.network import Network
from streamlit.testing.v1 import AppTest

from tests.app.pages import address, measured, open_page, until
from ui.base.theme import LIGHT
from ui.explore import strip
from ui.state import server


def _hint(app: AppTest, begins: str) -> str:
    return next((m.value for m in app.markdown if m.value.startswith(begins)), "")


def test_the_smallest_within_the_budget_is_one_click_away(mlp: Network, digits: ps.Dataset) -> None:
    app = until(open_page(recipe="magnitude(threshold=0.02)+q(64)"), measured)
    app = until(app, lambda a: bool(_hint(a, "Within your budget the smallest is")))
    next(b for b in app.button if b.label == "Go there").click().run()
    recipe = ps.Recipe.parse(address(app)["recipe"])
    artifact = ps.compress(mlp, recipe, digits.train)
    change = ps.measure(artifact, digits, batches=()).change
    assert change.value >= -0.01 - 1e-9
    known = server.measuring().everything(server.subject("digits", "mlp-64-32", mlp))
    sizes = [m.gzip_bytes for m in known if m.gzip_bytes and m.change.value >= -0.01 - 1e-9]
    assert artifact.sizes.gzip <= min(sizes) or artifact.sizes.gzip in sizes


def test_what_compensation_gives_back_is_computed(mlp: Network, digits: ps.Dataset) -> None:
    recipe = "magnitude(sparsity=0.7)+q(3)"
    app = until(open_page(recipe=recipe), lambda a: bool(_hint(a, "GPTQ compensation")))
    (points,) = re.findall(r"\*\*([0-9.]+) points", _hint(app, "GPTQ compensation"))

    def right(text: str) -> int:
        artifact = ps.compress(mlp, ps.Recipe.parse(text), digits.train)
        return ps.measure(artifact, digits, batches=()).accuracy.correct

    gained = right(f"{recipe}+gptq") - right(recipe)
    assert float(points) == pytest.approx(100 * gained / 360, abs=0.35)  # a row or two apart
    next(b for b in app.button if b.label == "Try it").click().run()
    assert address(app)["recipe"] == f"{recipe}+gptq"
    assert not app.exception


def test_the_picture_above_prune_greys_what_is_cut(mlp: Network) -> None:
    weights = np.abs(np.concatenate([w.ravel() for w in mlp.weights.values()]))
    _, counts, end = strip.bars_of(mlp)
    assert counts.sum() == np.count_nonzero(weights * (strip.BARS / end) < strip.BARS)
    bars = np.array(strip.kept_per_bar(mlp, ps.Magnitude(threshold=0.1)))
    edge = 0.1 / end * strip.BARS
    assert bars[: int(edge)].sum() == 0
    assert (bars[int(edge) + 1 :] == counts[int(edge) + 1 :]).all()
    assert strip.kept_per_bar(mlp, ps.Wanda(sparsity=0.5)) == tuple(counts)  # takes rows to tell


@pytest.mark.parametrize(("q", "lines"), [(4.0, True), (500.0, False)])
def test_the_picture_above_quantize_has_a_line_for_each_value(
    q: float, lines: bool, mlp: Network
) -> None:
    drawn = strip.grid_picture(mlp, ps.FixedPoint(q), LIGHT)
    _, _, end = strip.bars_of(mlp)
    found = [float(x) for x in re.findall(r"<line x1='([0-9.]+)'", drawn)]
    assert (len(found) == 2 * int(end * q) + 1) == lines
    if lines:
        apart = np.diff(found)
        assert apart == pytest.approx(np.full(len(apart), strip.WIDTH / (2 * end * q)), abs=0.11)
    assert "<line" not in strip.grid_picture(mlp, ps.Float32(), LIGHT)
