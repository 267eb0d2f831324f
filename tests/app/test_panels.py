"""What stands around Explore's charts, as records and in the page."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import paretoscope as ps
import plotly.graph_objects as go
import pytest
from paretoscope.measurement.budget import Budget
from paretoscope.measurement.measurement import Baseline
from paretoscope.network.network import Network
from paretoscope.sweeps.surface import surface

from tests.app.pages import address, charts, figures, measured, open_page, until
from tests.conftest import load, trained
from ui.base import words
from ui.base.theme import DARK, LIGHT
from ui.explore import weights
from ui.parts import grid, pins

RECIPE = "magnitude(threshold=0.1)+q(8)"


def _known(network: Network, data: ps.Dataset, recipe: str) -> grid.Known:
    """The whole grid of a recipe, computed."""
    every = [r for line in grid.lines_of(network, ps.Recipe.parse(recipe)) for r in line]
    found = surface(network, every, Baseline(network, data))
    return {str(m.recipe): m for _, m in found}


def _heat(network: Network, data: ps.Dataset, what: str, budget: Budget) -> grid.Heat:
    recipe = ps.Recipe.parse(RECIPE)
    artifact = ps.compress(network, ps.Recipe(), data.train)
    baseline = ps.measure(artifact, data, batches=())
    lines = grid.lines_of(network, recipe)
    known = _known(network, data, RECIPE)
    return grid.heat(what, "Digits", lines, known, baseline, recipe, budget, zipped=False)


def test_the_heatmap_draws_what_each_file_scores(mlp: Network, digits: ps.Dataset) -> None:
    record = _heat(mlp, digits, "accuracy", Budget(drop=0.01))
    assert 8.0 in record.qs  # the recipe's own
    row, column = record.qs.index(8.0), 5
    recipe = ps.Recipe.parse(record.recipes[row][column])
    labels = ps.compress(mlp, recipe, digits.train).scores(digits.validation.X).argmax(1)
    assert record.values[row][column] == np.mean(labels == digits.validation.y)
    assert record.measured == ()
    assert record.cursor is not None
    assert record.cursor[1] == row
    assert "thresholds and" in record.alt
    figure = json.loads(go.Figure(grid.heat_figure(record, LIGHT)).to_json())
    names = [trace.get("name") for trace in figure["data"]]
    assert "largest drop" in names
    assert "your recipe" in names
    assert "n = 360 validation rows" in figure["layout"]["annotations"][0]["text"]


def test_the_cursor_stands_between_stops_as_their_scales_have_it(
    mlp: Network, digits: ps.Dataset
) -> None:
    """Thresholds by their difference, Q by its ratio."""
    record = _heat(mlp, digits, "size", Budget())
    lines = grid.lines_of(mlp, ps.Recipe.parse(RECIPE))
    places = [line.pruner.threshold for line in lines[0]]  # type: ignore[union-attr]
    between = ps.Recipe(
        ps.Magnitude(threshold=(3 * places[5] + places[6]) / 4),  # type: ignore[operator]
        ps.FixedPoint(float(np.sqrt(record.qs[4] * record.qs[5]))),
    )
    baseline = ps.measure(ps.compress(mlp, ps.Recipe(), digits.train), digits, batches=())
    found = grid.heat("size", "Digits", lines, {}, baseline, between, Budget(), zipped=False)
    assert found.cursor == pytest.approx((5.25, 4.5))


def test_the_heatmap_of_sizes_is_exact_and_of_times_empty_before_files_ran(
    mlp: Network, digits: ps.Dataset
) -> None:
    sizes = _heat(mlp, digits, "size", Budget(file_bytes=6_000))
    recipe = ps.Recipe.parse(sizes.recipes[3][4])
    assert sizes.values[3][4] == ps.compress(mlp, recipe, digits.train).sizes.file
    assert sizes.most == 6_000
    times = _heat(mlp, digits, "time", Budget())
    assert {value for row in times.values for value in row} == {None}
    assert "nothing known yet" in times.alt
    assert go.Figure(grid.heat_figure(times, DARK)).data


def test_advice_names_the_smallest_within_the_budget_and_the_nearest_misses(
    mlp: Network, digits: ps.Dataset
) -> None:
    known = list(_known(mlp, digits, RECIPE).values())
    budget = Budget(drop=0.01)
    found = grid.advice(known, budget, zipped=False)
    within = [m for m in known if -m.change.value <= 0.01 + 1e-12]
    assert found.best is not None
    assert found.best.size_bytes == min(m.size_bytes for m in within)
    assert 0 < len(found.near) <= 3
    for miss, over in found.near:
        assert -miss.change.value > 0.01
        assert list(over) == ["drop"]
        assert miss.size_bytes < found.best.size_bytes
    assert grid.advice(known, Budget(file_bytes=10), zipped=False).best is None


@pytest.mark.parametrize(
    ("recipe", "threshold"),
    [
        (RECIPE, 0.1),
        ("magnitude(sparsity=0.5)+q(8)", "median"),
        ("random(sparsity=0.5)+q(8)", None),
        ("q(8)", None),
    ],
)
def test_the_histogram_shows_where_weights_are_cut(
    recipe: str, threshold: float | str | None, mlp: Network
) -> None:
    record = weights.histogram(mlp, "Digits", "dense1", ps.Recipe.parse(recipe))
    assert sum(record.counts) == mlp.weights["dense1"].size
    if threshold == "median":
        pooled = np.abs(np.concatenate([w.ravel() for w in mlp.weights.values()]))
        threshold = pytest.approx(float(np.median(pooled)), rel=1e-2)
    assert record.threshold == threshold
    assert record.step == 0.125
    assert all(value * 8 == round(value * 8) for value in record.grid)
    assert go.Figure(weights.histogram_figure(record, LIGHT)).data


def test_the_table_of_layers_adds_up_to_the_file(any_network: Network, digits: ps.Dataset) -> None:
    recipe = ps.Recipe.parse("magnitude(sparsity=0.4)+q(8)")
    rows = weights.layer_rows(any_network, recipe)
    artifact = ps.compress(any_network, recipe, digits.train)
    total = sum(int(row["bytes"].replace(",", "")) for row in rows)
    assert abs(total - artifact.sizes.file) <= len(rows)
    for row, (name, codes) in zip(rows, artifact.stored.codes.items(), strict=False):
        assert row["layer"] == name
        assert row["kept"] == words.percent(np.mean(codes.decoded() != 0))
        assert row["bits a code"] == str(codes.bits)


def test_what_differs_between_pins_is_all_that_is_listed(mlp: Network, digits: ps.Dataset) -> None:
    def at(text: str) -> ps.Measurement:
        artifact = ps.compress(mlp, ps.Recipe.parse(text), digits.train)
        return ps.measure(artifact, digits, batches=())

    one = at("magnitude(threshold=0.1)+q(8)")
    table = pins.differences([("A", one), ("B", at("magnitude(threshold=0.1)+q(16)"))])
    assert list(table.columns) == ["A", "B"]
    assert "quantizer" in table.index
    assert "criterion" not in table.index
    assert pins.differences([("A", one), ("B", replace(one))]).empty


def test_budget_fields_are_in_the_link_and_change_what_is_advised() -> None:
    trained("digits", "mlp-64-32")
    app = until(open_page(recipe=RECIPE, drop="2", kb="3.5"), measured)
    assert not app.exception
    shown = [app.text_input(key=name).value for name in ("drop", "kb", "us")]
    assert shown == ["2", "3.5", ""]
    until(app, lambda a: any("within it" in m.value for m in a.markdown))
    app.text_input(key="drop").set_value("0").run()
    assert address(app)["drop"] == "0"
    app.text_input(key="kb").set_value("").run()
    assert address(app)["kb"] == "none"
    app.text_input(key="us").set_value("-3").run()
    assert any("must be at least 0.001; got" in e.value.replace("\\", "") for e in app.error)
    assert address(app)["us"] == "none"


def test_advice_is_one_click_away() -> None:
    trained("digits", "mlp-64-32")
    app = until(open_page(recipe=RECIPE), measured)
    until(app, lambda a: any(m.value.startswith("Smallest of") for m in a.markdown))

    def leads_there(name: str) -> bool:
        """Whether a click leads to what was named; what is known, and so the names, may change."""
        (text,) = [m.value for m in app.markdown if m.value.startswith("Smallest of")]
        app.segmented_control(key="advice").set_value(name).run()
        (line,) = [line for line in text.splitlines() if line.startswith(f"- **{name}**")]
        there = f"`{address(app)['recipe']}`" in line
        app.query_params["recipe"] = "magnitude(threshold=0.0999)+q(8)"
        app.run()
        return there

    for name in ("Best", "Near miss 2"):
        assert any(leads_there(name) for _ in range(10))
    assert not app.exception


def test_pins_are_lettered_in_the_link_and_let_go() -> None:
    trained("digits", "mlp-64-32")
    app = until(open_page(recipe=RECIPE), figures)
    app.button(key="pin-this").click().run()
    assert address(app)["pins"] == RECIPE
    app.select_slider(key="quantizer-q-q").set_value(16.0).run()
    app.button(key="pin-this").click().run()
    assert address(app)["pins"] == f"{RECIPE}|magnitude(threshold=0.1)+q(16)"
    until(app, figures)
    names = [trace.get("name") for trace in charts(app)["chart-size"]["data"]]
    assert {"pin A", "pin B"} <= set(names)
    app.button(key="unpin-A").click().run()
    assert address(app)["pins"] == "magnitude(threshold=0.1)+q(16)"


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ({"drop": "much"}, "drop must be a number from 0 to 100; got 'much'"),
        ({"kb": "-1"}, "kb must be at least 0.001; got -1"),
        ({"heat": "warm"}, "heat must be one of accuracy, size, time; got 'warm'"),
        ({"pins": "q(0)"}, "q must be at least 1; got 0"),
        ({"pins": "|".join(f"q({q})" for q in range(1, 9))}, "a link holds at most 6 pins; got 8"),
        ({"curves": "magnitude|luck"}, "curves must be one of"),
        ({"aim": "best"}, "aim must be one of gzip, file, time; got 'best'"),
    ],
)
def test_bad_parts_of_a_link_are_named_and_replaced(part: dict[str, str], sentence: str) -> None:
    trained("digits", "mlp-64-32")
    app = open_page(**part)
    assert not app.exception
    assert any(sentence in w.value.replace("\\", "") for w in app.warning)


def test_click_goes_there() -> None:
    """What a click on a point stands for is a recipe that the page can go to."""
    load("digits")
    trained("digits", "mlp-64-32")
    app = until(open_page(recipe=RECIPE), measured)
    figure = charts(app)["chart-size"]
    curve = next(trace for trace in figure["data"] if trace.get("name") == "Q = 8")
    places = [ps.Recipe.parse(recipe) for recipe, _ in curve["customdata"]]
    assert ps.Recipe.parse(RECIPE) in places
    assert all(recipe.quantizer == ps.FixedPoint(8) for recipe in places)
