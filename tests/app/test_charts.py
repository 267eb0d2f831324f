"""Charts as records: exactly what is drawn, compared without pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import paretoscope as ps
import plotly.graph_objects as go
import pytest
from paretoscope.artifact.quick_latency import Latency
from paretoscope.measurement.accuracy import Accuracy, Change
from paretoscope.measurement.budget import Budget
from paretoscope.measurement.measurement import Computed, Measured
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_cache import populate_hash_if_needed

from ui.base.theme import DARK, LIGHT, Theme
from ui.parts import charts, figures

RECIPE = ps.Recipe.parse("magnitude(threshold=0.1)+q(8)")


def _measurement(
    recipe: ps.Recipe, correct: int, gzip: int | None, time: float | None
) -> ps.Measurement:
    figures: dict[str, Any] = {
        "recipe": recipe, "network_sha256": "f" * 64, "dataset": "digits", "split": "validation",
        "accuracy": Accuracy(correct, 360), "change": Change(max(0, 350 - correct), 0, 360),
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


def _record(axis: charts.Axis, recipe: ps.Recipe = RECIPE) -> charts.TradeOff:
    return charts.trade_off(
        axis, "Digits · MLP", recipe, CURVE, [("Q = 4", CURVE)], BASELINE, "Q = 8"
    )


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
    assert [(p.x, p.accuracy, p.computed) for p in record.curve.points] == [
        (5_000, 348 / 360, False),
        (4_000, 345 / 360, False),
        (3_000, 300 / 360, True),
    ]
    assert (record.curve.points[0].low, record.curve.points[0].high) == Accuracy(348, 360).interval
    assert record.cursor == record.curve.points[1]
    assert record.baseline is not None
    assert record.baseline.x == 25_000
    assert record.finding.startswith("6.25× smaller zipped, accuracy −1.4 pt (−")


@pytest.mark.parametrize(("axis", "most"), [("gzip", 3_000), ("size", 5_000), ("time", 7.0)])
def test_the_budgets_limits_are_a_drop_below_the_model_and_the_axis_own(
    axis: charts.Axis, most: float
) -> None:
    budget = Budget(drop=0.02, gzip_bytes=3_000, file_bytes=5_000, time_us=7.0)
    record = charts.trade_off(
        axis, "Digits · MLP", RECIPE, CURVE, [], BASELINE, "Q = 8", budget=budget
    )
    assert record.limits == (pytest.approx(350 / 360 - 0.02), most)
    assert _record(axis).limits == (None, None)


def test_the_front_is_of_all_that_is_known_measured_or_computed() -> None:
    """Of every line, pin and search, not of the curve alone: another Q beats two of its points."""
    better = _measurement(ps.Recipe.parse("magnitude(threshold=0.1)+q(4)"), 349, 3_500, 4.0)
    pinned = _measurement(ps.Recipe.parse("q(2)"), 299, 2_900, None)
    found = _measurement(ps.Recipe.parse("magnitude(threshold=0.3)+q(2)"), 250, 2_000, 2.0)
    hidden = _measurement(ps.Recipe.parse("magnitude(threshold=0.9)+q(2)"), 100, 1_000, 1.0)
    record = charts.trade_off(
        "gzip", "D", RECIPE, CURVE, [("Q = 4", [better])], BASELINE, "Q = 8",
        pins=[("A", pinned)], others=[found, hidden, *CURVE],
    )  # fmt: skip
    assert [(p.x, round(360 * p.accuracy), p.computed) for p in record.front] == [
        (2_000, 250, False), (2_900, 299, True), (3_000, 300, True), (3_500, 349, False),
        (25_000, 350, False),
    ]  # fmt: skip
    trace = next(
        t for t in figures.trade_off_figure(record, LIGHT)["data"] if "front" in t.get("name", "")
    )
    assert trace["marker"]["color"].count(LIGHT.paper) == 2  # hollow: computed
    assert trace["customdata"][0][0] == str(found.recipe)


def test_times_of_different_loads_are_placed_by_their_ratio() -> None:
    """Timed beside a model that took twice as long as usual, half of that is still half."""
    loaded = replace(CURVE[0], latencies=(Latency(1, (10.0,) * 7, (20.0,) * 7),))
    record = charts.trade_off("time", "D", RECIPE, [loaded, CURVE[1]], [], BASELINE, "Q = 8")
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
    assert record.finding.startswith("2.00× faster")


def test_ranges_do_not_depend_on_the_recipe() -> None:
    for axis in ("gzip", "size", "time"):
        one, other = _record(axis), _record(axis, CURVE[2].recipe)
        assert (one.x_range, one.y_range) == (other.x_range, other.y_range)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("axis", ["gzip", "size", "time"])
def test_the_figure_shows_the_record(axis: charts.Axis, theme: Theme) -> None:
    record = _record(axis)
    figure = go.Figure(figures.trade_off_figure(record, theme))
    traces = {trace.name: trace for trace in figure.data}
    points = record.curve.points
    assert list(traces["Q = 8"].x) == [p.x for p in points]
    assert list(traces["Q = 8"].y) == [p.accuracy for p in points]
    assert list(traces["Q = 8"].marker.color) == [
        theme.paper if p.computed else theme.curve for p in points
    ]
    assert traces["uncompressed"].marker.symbol == "star"
    assert str(RECIPE) in figure.layout.title.text
    assert record.provenance in figure.layout.annotations[0].text


def test_a_cursor_out_of_sight_is_a_triangle_at_the_edge() -> None:
    low = replace(CURVE[1], accuracy=Accuracy(40, 360))
    record = charts.trade_off("gzip", "D", RECIPE, [low], [], BASELINE, "Q = 8")
    cursor = go.Figure(figures.trade_off_figure(record, LIGHT)).data[-1]
    assert cursor.marker.symbol == "triangle-down-open"
    assert record.y_range[0] < cursor.y[0] < record.y_range[1]
    assert "11.1 %" in cursor.text[0]


def test_before_anything_is_zipped_the_chart_is_empty_but_there() -> None:
    unzipped = replace(BASELINE, gzip_bytes=None)
    record = charts.trade_off("gzip", "D", RECIPE, [], [], unzipped, "Q = 8")
    assert record.baseline is None
    assert record.cursor is None
    assert record.finding == "measuring"
    assert go.Figure(figures.trade_off_figure(record, LIGHT)).layout.xaxis.type == "log"


def test_names_of_faint_lines_stay_clear_of_each_other_and_of_the_curve() -> None:
    def line(factor: float) -> list[ps.Measurement]:
        sizes = [(340, 6_000), (320, 4_000), (300, 3_000), (260, 2_500)]
        return [_measurement(RECIPE, n, round(size * factor), 5.0) for n, size in sizes]

    close = [(f"Q = {n}", line(1 + n / 1000)) for n in range(4)]
    record = charts.trade_off(
        "gzip", "D", RECIPE, CURVE, [*close, ("float32", line(3))], BASELINE, ""
    )
    places = figures.name_places(record)
    assert places[-1] is not None
    named = [
        figures._position(record, one.points[place])
        for one, place in zip(record.context_lines, places, strict=True)
        if place is not None
    ]
    curve = [figures._position(record, p) for p in record.curve.points]
    for i, name in enumerate(named):
        others = [*named[:i], *curve]
        assert all(figures._apart(name, other) >= 1 for other in others)


def test_a_label_near_the_right_edge_stands_left_of_its_point() -> None:
    wide = replace(CURVE[1], gzip_bytes=24_000)
    record = charts.trade_off("gzip", "D", RECIPE, [wide], [], BASELINE, "Q = 8")
    assert figures.trade_off_figure(record, LIGHT)["data"][-1]["textposition"] == "bottom left"
    record = charts.trade_off("gzip", "D", RECIPE, [CURVE[1]], [], BASELINE, "Q = 8")
    assert (
        go.Figure(figures.trade_off_figure(record, LIGHT)).data[-1].textposition == "bottom right"
    )


def test_no_point_is_off_the_size_axis() -> None:
    for gzip in (700, 200, 60, 40_000):
        far = replace(CURVE[1], gzip_bytes=gzip)
        low, high = charts.trade_off("gzip", "D", RECIPE, [far], [], BASELINE, "").x_range
        assert low < gzip < high


def test_no_element_is_cached_in_the_browser() -> None:
    """Where fragments poll, a browser forgets earlier than the server thinks, and the page ends."""
    message = ForwardMsg()
    message.delta.new_element.markdown.body = "x" * 2_000_000
    populate_hash_if_needed(message)
    assert message.hash
    assert not message.metadata.cacheable
