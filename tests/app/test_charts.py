"""Charts as records: exactly what is drawn, compared without pixels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import paretoscope as ps
import plotly.graph_objects as go
import pytest
from paretoscope.artifact.quick_latency import Latency
from paretoscope.measurement.budget import Budget
from paretoscope.measurement.measurement import Computed, Measured
from paretoscope.problems.accuracy import Accuracy, Change
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_cache import populate_hash_if_needed

from ui.base.theme import DARK, LIGHT, Theme
from ui.parts import chart_labels, charts, figures, labels

RECIPE = ps.Recipe.parse("magnitude(threshold=0.1)+q(8)")


def _measurement(
    recipe: ps.Recipe, correct: int, gzip: int | None, time: float | None
) -> ps.Measurement:
    figures: dict[str, Any] = {
        "recipe": recipe, "network_sha256": "f" * 64, "dataset": "digits", "split": "validation",
        "quality": Accuracy(correct, 360), "change": Change(max(0, 350 - correct), 0, 360),
        "size_bytes": 6000, "sparsity": 0.5, "bits": (), "gzip_bytes": gzip,
    }  # fmt: skip
    if time is None:
        return Computed(**figures)
    latencies = (Latency(1, (time,) * 7, (10.0,) * 7),)
    return Measured(**figures, artifact_sha256="a" * 64, latencies=latencies)


BASELINE = _measurement(ps.Recipe(), 350, 25_000, 10.0)
CURVE = [
    _measurement(ps.Recipe.parse("magnitude(threshold=0)+q(8)"), 348, 5_000, 5.0),
    _measurement(RECIPE, 345, 4_000, 5.0),
    _measurement(ps.Recipe.parse("magnitude(threshold=0.2)+q(8)"), 300, 3_000, None),
]


def _record(
    axis: charts.Axis, recipe: ps.Recipe = RECIPE, others: Sequence[ps.Measurement] = ()
) -> charts.TradeOff:
    asked = charts.Asked(axis)
    return charts.trade_off(asked, "Digits · MLP", recipe, CURVE, BASELINE, others=others)


def _of(curve: Sequence[ps.Measurement], **how: Any) -> charts.TradeOff:
    asked = charts.Asked(how.pop("axis", "gzip"), **how)
    return charts.trade_off(asked, "D", RECIPE, curve, BASELINE)


def _known(text: str, newly_wrong: int, gzip: int) -> ps.Measurement:
    found = _measurement(ps.Recipe.parse(text), 350 - newly_wrong, gzip, None)
    return replace(found, change=Change(newly_wrong, 0, 360))


def test_what_rows_cannot_tell_apart_is_not_said_to_be_beaten() -> None:
    mine, near, far = _known("q(8)", 6, 4_000), _known("q(9)", 4, 3_900), _known("q(4)", 90, 4_100)
    assert charts.standing("gzip", mine, [mine, BASELINE, far]) == (
        "On the front of the 3 recipes known by now."
    )
    told = charts.standing("gzip", mine, [mine, near, BASELINE])
    assert told.startswith("q(9) is 1.03× smaller zipped and better by 0.6 pt, which 360 rows can")
    told = charts.standing("gzip", far, [mine, far, near])
    assert told == "Beaten by q(9): 1.05× smaller zipped, and better by 23.9 pt."
    same = _known("q(5)", 6, 2_000)
    assert charts.standing("gzip", mine, [mine, same]).startswith("As accurate and 2.00× smaller")
    assert charts.standing("time", mine, [mine, near]) == ""


def test_the_size_chart_draws_all_points() -> None:
    record = _record("gzip")
    assert [(p.x, p.y, p.computed) for p in record.curve.points] == [
        (5_000, 348 / 360, False),
        (4_000, 345 / 360, False),
        (3_000, 300 / 360, True),
    ]
    assert (record.curve.points[0].low, record.curve.points[0].high) == Accuracy(348, 360).interval
    assert record.cursor == record.curve.points[1]
    assert record.baseline is not None
    assert record.baseline.x == 25_000
    assert record.headline == "6.2 times smaller and 2 times faster, for 1.4 points"
    assert record.sentence.startswith("Digits · MLP: 95.8 % (93.2 to 97.5) at 4.00 kB zipped and ")
    assert record.sentence.endswith("from 97.2 %, 25.0 kB and 10.0 µs")


@pytest.mark.parametrize(("axis", "most"), [("gzip", 3_000), ("size", 5_000), ("time", 7.0)])
def test_the_budgets_limits_are_a_drop_below_the_model_and_the_axis_own(
    axis: charts.Axis, most: float
) -> None:
    budget = Budget(drop=0.02, gzip_bytes=3_000, file_bytes=5_000, time_us=7.0)
    record = _of(CURVE, axis=axis, budget=budget)
    assert record.limits == (pytest.approx(350 / 360 - 0.02), most)
    assert record.budget == "within your budget: 2 points"
    assert _record(axis).limits == (None, None)


def test_the_front_is_of_all_that_is_known_measured_or_computed() -> None:
    """Of every line, pin and search, not of the curve alone: another Q beats two of its points."""
    better = _measurement(ps.Recipe.parse("magnitude(threshold=0.1)+q(4)"), 349, 3_500, 4.0)
    pinned = _measurement(ps.Recipe.parse("q(2)"), 335, 2_900, None)
    found = _measurement(ps.Recipe.parse("magnitude(threshold=0.3)+q(2)"), 330, 2_000, 2.0)
    hidden = _measurement(ps.Recipe.parse("magnitude(threshold=0.9)+q(2)"), 100, 1_000, 1.0)
    record = charts.trade_off(
        charts.Asked("gzip"), "D", RECIPE, CURVE, BASELINE,
        pins=[("A", pinned)], others=[found, better, hidden, *CURVE],
    )  # fmt: skip
    assert [(p.x, round(360 * p.y), p.computed) for p in record.front] == [
        (2_000, 330, False), (2_900, 335, True), (3_500, 349, False), (25_000, 350, False),
    ]  # fmt: skip
    assert record.n_known == 8
    trace = next(
        t for t in figures.trade_off_figure(record, LIGHT)["data"] if "front" in t.get("name", "")
    )
    assert trace["marker"]["color"][1:-1].count(LIGHT.paper) == 1  # hollow: computed
    assert trace["customdata"][1][0] == str(found.recipe)
    assert (trace["x"][0], trace["y"][0]) == (2_000, record.y_range[0])
    whole = charts.trade_off(
        charts.Asked("gzip", whole=True), "D", RECIPE, CURVE, BASELINE, others=[hidden]
    )
    assert whole.front[0].recipe == str(hidden.recipe)


def test_what_rows_cannot_tell_from_the_front_is_not_drawn_as_beaten() -> None:
    best = _known("q(9)", 2, 3_000)
    near, far = _known("q(8)", 5, 3_500), _known("q(4)", 35, 3_600)
    dots = _record("gzip", others=[best, near, far]).dots
    found = dict(zip(dots.recipes, dots.undecided, strict=True))
    assert found["q(9)"] is True  # on the front itself
    assert found["q(8)"] is True
    assert found["q(4)"] is False
    assert far.change.surely_below(best.change)
    assert "" not in found


def test_dots_at_one_place_are_one() -> None:
    many = [_known(f"magnitude(threshold=0.00{i})+q(9)", 3, 3_000 + i % 2) for i in range(1, 10)]
    dots = _record("gzip", others=many).dots
    assert len([recipe for recipe in dots.recipes if recipe.endswith("q(9)")]) == 1


def test_the_compression_ratio_counts_how_many_times_smaller() -> None:
    record = _record("ratio")
    assert [p.x for p in record.curve.points] == [5.0, 6.25, pytest.approx(25 / 3)]
    assert record.baseline is not None
    assert record.baseline.x == 1.0
    assert record.curve.points[1].shown == "6.25×, 4.00 kB"
    front = next(
        t for t in figures.trade_off_figure(record, LIGHT)["data"] if t["name"] == "Pareto front"
    )
    assert front["x"][0] == record.x_range[0]
    assert list(front["y"]) == sorted(front["y"], reverse=True)


def test_the_vertical_axis_shows_ten_points_and_more_where_the_recipe_lies_lower() -> None:
    best = 350 / 360
    assert _record("gzip").y_range[0] == pytest.approx(best - 0.10)
    assert _record("gzip", CURVE[2].recipe).y_range[0] == pytest.approx(best - 0.20)
    assert _of(CURVE, whole=True).y_range[0] == 0.0
    worst = replace(CURVE[1], quality=Accuracy(40, 360))
    record = _of([worst])
    assert record.y_range[0] == 0.0
    assert record.cursor is not None
    assert _of(CURVE, axis="time").y_range == _of(CURVE).y_range


def test_times_of_different_loads_are_placed_by_their_ratio() -> None:
    """Timed beside a model that took twice as long as usual, half of that is still half."""
    loaded = replace(CURVE[0], latencies=(Latency(1, (10.0,) * 7, (20.0,) * 7),))
    record = _of([loaded, CURVE[1]], axis="time")
    assert [p.x for p in record.curve.points] == [5.0, 5.0]
    assert (record.curve.points[0].x_low, record.curve.points[0].x_high) == (5.0, 5.0)
    assert record.baseline is not None
    assert record.baseline.x == 10.0
    assert "0.50 of the time (10.0 µs beside 20.0 µs)" in record.curve.points[0].text
    for axis, mode in (("time", "markers"), ("gzip", "lines+markers")):
        made = figures.trade_off_figure(_record(axis), LIGHT)["data"]  # type: ignore[arg-type]
        assert next(t for t in made if t.get("name") == "Q = 8")["mode"] == mode


def test_the_time_chart_leaves_out_what_was_not_timed() -> None:
    record = _record("time")
    assert [p.x for p in record.curve.points] == [5.0, 5.0]
    assert record.band == (10.0, 10.0)
    assert record.band_name[0] == "quartiles of the"  # only the protocol's band is its noise
    assert record.front == ()  # quick times of different loads rank nothing


def test_ranges_do_not_depend_on_the_recipe() -> None:
    for axis in ("gzip", "size", "time"):
        one, other = _record(axis), _record(axis, CURVE[0].recipe)
        assert (one.x_range, one.y_range) == (other.x_range, other.y_range)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("axis", ["gzip", "size", "time"])
def test_the_figure_shows_the_record(axis: charts.Axis, theme: Theme) -> None:
    record = _record(axis)
    figure = go.Figure(figures.trade_off_figure(record, theme))
    traces = {trace.name: trace for trace in figure.data}
    points = record.curve.points
    assert list(traces["Q = 8"].x) == [p.x for p in points]
    assert list(traces["Q = 8"].y) == [p.y for p in points]
    assert list(traces["Q = 8"].marker.color) == [
        theme.paper if p.computed else theme.curve for p in points
    ]
    assert traces["uncompressed"].marker.symbol == "star"
    card = " ".join(a["text"] for a in figure.layout.meta["card"]["annotations"])
    for told in (str(RECIPE), record.headline, *record.provenance):
        assert told in re.sub("<br>", " ", card)


def test_before_anything_is_zipped_the_chart_is_empty_but_there() -> None:
    unzipped = replace(BASELINE, gzip_bytes=None)
    record = charts.trade_off(charts.Asked("gzip"), "D", RECIPE, [], unzipped)
    assert record.baseline is None
    assert record.cursor is None
    assert record.headline == "Measuring the first file"
    assert go.Figure(figures.trade_off_figure(record, LIGHT)).layout.xaxis.type == "log"


@pytest.mark.parametrize("width", labels.WIDTHS)
def test_labels_stand_apart_and_whole(width: float) -> None:
    """By their reckoned boxes; browsers measure them in tests of their own."""
    record = _record("gzip", others=[_known(f"q({q})", q, 9_000 - 400 * q) for q in range(3, 20)])
    figure = figures.trade_off_figure(record, LIGHT)
    margin, height = figure["layout"]["margin"], figure["layout"]["height"]
    plot_height = height - margin["t"] - margin["b"]
    boxes = []
    for label in figure["layout"]["annotations"]:
        lines = re.sub("<(?!br)[^>]+>", "", label["text"]).split("<br>")
        wide, high = labels.extent(lines, label["font"]["size"], 0.5)
        x, y = chart_labels.share_of(record, 10 ** label["x"], label["y"])
        middle = x * width + label.get("xshift", label.get("ax", 0))
        up = y * plot_height + label.get("yshift", -label.get("ay", 0))
        boxes.append((middle - wide / 2, up - high / 2, middle + wide / 2, up + high / 2))
    assert len(boxes) == 4
    for left, bottom, right, top in boxes:
        assert left >= 0
        assert right <= width
        assert bottom >= 0
        assert top <= plot_height
    for one, other in combinations(boxes, 2):
        apart = one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]
        assert apart


def test_no_point_is_off_the_size_axis() -> None:
    for gzip in (700, 200, 60, 40_000):
        far = replace(CURVE[1], gzip_bytes=gzip)
        low, high = _of([far]).x_range
        assert low < gzip < high


def test_no_element_is_cached_in_the_browser() -> None:
    """Where fragments poll, a browser forgets earlier than the server thinks, and the page ends."""
    message = ForwardMsg()
    message.delta.new_element.markdown.body = "x" * 2_000_000
    populate_hash_if_needed(message)
    assert message.hash
    assert not message.metadata.cacheable
