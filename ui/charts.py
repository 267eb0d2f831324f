"""The charts of Explore, each in two pure steps: measurements -> what is drawn -> figure."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import plotly.graph_objects as go
from paretoscope.activations import FloatActivations
from paretoscope.front import pareto_front
from paretoscope.measurement import Measurement
from paretoscope.quantization import FixedPoint
from paretoscope.recipe import Recipe

from ui import words
from ui.palette import CURSOR, Theme

Axis = Literal["gzip", "size", "time"]

_FRONT_GREY = "rgba(140,140,140,0.75)"
_HEIGHT = 486
_LINE_LETTERS = 70
_SHOWN_DROP, _SHOWN_GAIN = 0.40, 0.03  # how far below and above the uncompressed model is drawn
_AXIS_TITLES: dict[Axis, str] = {
    "gzip": "Size of the file under gzip −9 (log scale)",
    "size": "Size of the file on disk (log scale)",
    "time": "Inference time of one row (µs, median)",
}
_TICKS_BYTES = [m * 10**e for e in range(1, 9) for m in (1, 2, 5)]


@dataclass(frozen=True)
class Point:
    """One recipe on a chart: `x` in bytes or microseconds, accuracy as shares."""

    x: float
    accuracy: float
    low: float
    high: float
    computed: bool
    text: str
    x_low: float | None = None
    x_high: float | None = None


@dataclass(frozen=True)
class Line:
    """The points along one parameter, in its order."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class TradeOff:
    """Exactly what a trade-off chart draws."""

    network: str
    finding: str
    recipe: str
    provenance: str
    axis: Axis
    curve: Line
    backdrop: tuple[Line, ...]
    front: tuple[tuple[float, float], ...]
    baseline: Point | None
    band: tuple[float, float] | None
    cursor: Point | None
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    @property
    def alt(self) -> str:
        """The chart in a sentence, for screen readers."""
        what = f"{self.network}: accuracy against {_AXIS_TITLES[self.axis].lower()}"
        points = len(self.curve.points)
        if self.cursor is None:
            return f"{what}. {points} points."
        return f"{what}. {points} points; the chosen recipe {self.recipe}: {self.cursor.text}."


def trade_off(
    axis: Axis,
    network: str,
    recipe: Recipe,
    curve: Sequence[Measurement],
    backdrop: Sequence[tuple[str, Sequence[Measurement]]],
    baseline: Measurement,
    curve_name: str,
) -> TradeOff:
    """What the chart of accuracy against `axis` draws.

    Measurements that lack the axis's figure are left out until it is there.
    """
    start = _point(baseline, axis)
    points = _points(curve, axis)
    measured = [m for m in (*curve, baseline) if not m.computed]
    front = sorted((x, m.accuracy.value) for m, x in _front(measured, axis))
    chosen = next((m for m in curve if m.recipe == recipe), None)
    latency = baseline.latency()
    band = latency.quartiles_us if axis == "time" and latency is not None else None
    return TradeOff(
        network=network,
        finding=_finding(axis, chosen, baseline),
        recipe=str(recipe),
        provenance=_provenance(baseline),
        axis=axis,
        curve=Line(curve_name, points),
        backdrop=tuple(Line(name, _points(ms, axis)) for name, ms in backdrop),
        front=tuple(front),
        baseline=start,
        band=band,
        cursor=None if chosen is None else _point(chosen, axis),
        x_range=_x_range(axis, baseline.size_bytes if start is None else start.x, points),
        y_range=_y_range(baseline.accuracy.value),
    )


def _finding(axis: Axis, now: Measurement | None, before: Measurement) -> str:
    """What the chosen recipe gains and costs, in a line that can be shared."""
    if now is None:
        return "measuring"
    cost = f"accuracy {words.change_interval(now.change)}"
    latency, x, x_before = now.latency(), _x(now, axis), _x(before, axis)
    if axis == "time" and latency is not None:
        return f"{words.faster(latency)}, {cost}"
    if axis != "time" and x is not None and x_before is not None:
        return f"{words.smaller(x, x_before)}, {cost}"
    return cost


def _y_range(baseline: float) -> tuple[float, float]:
    """From well below the uncompressed model to a little above: worse is out of the question."""
    return max(0.0, baseline - _SHOWN_DROP), min(1.0, baseline + _SHOWN_GAIN) + 0.005


def _front(measured: Sequence[Measurement], axis: Axis) -> list[tuple[Measurement, float]]:
    known = [(m, x) for m in measured if (x := _x(m, axis)) is not None]
    on_front = pareto_front([m for m, _ in known], ("accuracy", axis))
    return [(m, x) for m, x in known if any(m is other for other in on_front)]


def _points(measurements: Sequence[Measurement], axis: Axis) -> tuple[Point, ...]:
    return tuple(p for m in measurements if (p := _point(m, axis)) is not None)


def _point(measurement: Measurement, axis: Axis) -> Point | None:
    x = _x(measurement, axis)
    if x is None:
        return None
    accuracy = measurement.accuracy
    shown = words.duration(x) if axis == "time" else words.size(x)
    state = "computed, not yet run" if measurement.computed else "measured on its file"
    text = f"{words.percent(accuracy.value)}, {shown}, {words.percent(measurement.sparsity)} zeros"
    latency = measurement.latency()
    spread = latency.quartiles_us if axis == "time" and latency is not None else (None, None)
    return Point(
        x, accuracy.value, *accuracy.interval, measurement.computed, f"{text}, {state}", *spread
    )


def _x(measurement: Measurement, axis: Axis) -> float | None:
    if axis == "gzip":
        return measurement.gzip_bytes
    if axis == "size":
        return measurement.size_bytes
    latency = measurement.latency()
    return None if latency is None else latency.median_us


def _x_range(axis: Axis, baseline: float, points: Sequence[Point]) -> tuple[float, float]:
    """The same for nearly every slider position of a network, so that nothing jumps; a step wider
    where points would be out of sight."""
    farthest = [
        p.x for p in points
    ]  # whiskers may end out of sight: on a busy machine they are long
    if axis == "time":
        steps = (baseline * step for step in (1.6, 2.5, 4.0, 6.0))
        return 0.0, next((s for s in steps if s > max(farthest, default=0.0)), baseline * 10)
    smallest = min((p.x for p in points), default=baseline)
    return next(baseline / d for d in (30, 100, 300, 1e9) if baseline / d < smallest), baseline * (
        1.25 if max(farthest, default=0.0) < 1.25 * baseline else 2.5
    )


def _provenance(baseline: Measurement) -> str:
    environment = baseline.environment
    return (
        f"{baseline.dataset}, n = {baseline.accuracy.n:,} {baseline.split} rows, "
        f"network {baseline.network_sha256[:8]}, Paretoscope {environment.paretoscope}"
        "<br>whiskers: 95 % interval of accuracy, quartiles of time"
        f"<br>ONNX Runtime {environment.onnxruntime}, 1 thread, {environment.cpu}"
    )


def line_name(recipe: Recipe) -> str:
    """How a curve is called: by its quantizer, or its activations where they bring their own."""
    if not isinstance(recipe.activations, FloatActivations):
        return str(recipe.activations)
    if isinstance(recipe.quantizer, FixedPoint):
        return f"Q = {recipe.quantizer.q:g}"
    return str(recipe.quantizer)


# --- record -> figure -------------------------------------------------------------------------


def trade_off_figure(record: TradeOff, theme: Theme) -> go.Figure:
    """The figure of a record. It carries title, recipe and provenance, so it can stand alone."""
    figure = go.Figure()
    for number, line in enumerate(record.backdrop):
        figure.add_trace(_backdrop_trace(line, number, record, theme))
    if record.band:
        figure.add_vrect(*record.band, fillcolor=theme.band, line_width=0, layer="below")
    if record.front:
        figure.add_trace(_front_trace(record))
    figure.add_trace(_curve_trace(record.curve, theme))
    if record.baseline:
        _add_baseline(figure, record.baseline, theme)
    if record.cursor:
        figure.add_trace(_cursor_trace(record.cursor, record, theme))
    _lay_out(figure, record, theme)
    return figure


def _backdrop_trace(line: Line, number: int, record: TradeOff, theme: Theme) -> go.Scatter:
    """A faint line with its name beside it, each at another height."""
    names = [""] * len(line.points)
    low, high = record.y_range
    height = low + (high - low) * (0.12 + 0.13 * number)
    seen = [i for i, p in enumerate(line.points) if low < p.accuracy < high]
    if seen and record.axis != "time":
        names[min(seen, key=lambda i: abs(line.points[i].accuracy - height))] = line.name
    return go.Scatter(
        x=[p.x for p in line.points],
        y=[p.accuracy for p in line.points],
        mode="lines+text",
        line={"color": theme.faint, "width": 1.4},
        text=names,
        textposition="middle left",
        textfont={"size": 11, "color": theme.quiet},
        name=line.name,
        customdata=[p.text for p in line.points],
        hovertemplate=f"{line.name}<br>%{{customdata}}<extra></extra>",
        showlegend=False,
    )


def _front_trace(record: TradeOff) -> go.Scatter:
    x, y = zip(*record.front, strict=True)
    return go.Scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": _FRONT_GREY, "width": 6, "shape": "hv"},
        name="Pareto front",
        hoverinfo="skip",
    )


def _curve_trace(line: Line, theme: Theme) -> go.Scatter:
    """The line with whiskers, its points filled where measured and hollow where computed."""
    points = line.points
    return go.Scatter(
        x=[p.x for p in points],
        y=[p.accuracy for p in points],
        mode="lines+markers",
        name=line.name,
        line={"color": theme.curve, "width": 2},
        marker={
            "size": 8,
            "color": [theme.paper if p.computed else theme.curve for p in points],
            "line": {"color": theme.curve, "width": 1.5},
        },
        error_y=_whiskers(points, theme.curve),
        error_x=_time_whiskers(points, theme.curve),
        text=[p.text for p in points],
        hovertemplate="%{text}<extra></extra>",
    )


def _whiskers(points: Sequence[Point], colour: str) -> dict[str, Any]:
    return {
        "type": "data",
        "array": [p.high - p.accuracy for p in points],
        "arrayminus": [p.accuracy - p.low for p in points],
        "thickness": 0.8,
        "width": 2,
        "color": colour,
    }


def _time_whiskers(points: Sequence[Point], colour: str) -> dict[str, Any]:
    known = [(p.x, p.x_low, p.x_high) for p in points]
    return {
        "type": "data",
        "array": [0.0 if high is None else high - x for x, _, high in known],
        "arrayminus": [0.0 if low is None else x - low for x, low, _ in known],
        "thickness": 0.8,
        "width": 2,
        "color": colour,
    }


def _add_baseline(figure: go.Figure, baseline: Point, theme: Theme) -> None:
    dashes = {"color": theme.quiet, "width": 1, "dash": "dash"}
    figure.add_hline(baseline.accuracy, line=dashes, layer="below")
    figure.add_vline(baseline.x, line=dashes, layer="below")
    figure.add_trace(
        go.Scatter(
            x=[baseline.x],
            y=[baseline.accuracy],
            mode="markers",
            name="uncompressed",
            marker={"symbol": "star", "size": 14, "color": theme.ink},
            text=[baseline.text],
            hovertemplate="uncompressed<br>%{text}<extra></extra>",
        )
    )


def _cursor_trace(cursor: Point, record: TradeOff, theme: Theme) -> go.Scatter:
    """A ring where the sliders are; a triangle at the edge where that is out of sight."""
    low, high = record.y_range
    hidden = cursor.accuracy < low
    value = words.duration(cursor.x) if record.axis == "time" else words.size(cursor.x)
    return go.Scatter(
        x=[cursor.x],
        y=[low + 0.02 * (high - low) if hidden else cursor.accuracy],
        mode="markers+text",
        name="your recipe",
        marker={
            "symbol": "triangle-down-open" if hidden else "circle-open",
            "size": 20,
            "color": CURSOR,
            "line": {"width": 3, "color": CURSOR},
        },
        text=[f"{words.percent(cursor.accuracy)}, {value}"],
        textposition="middle right" if hidden else "bottom right",
        textfont={"size": 13, "color": theme.ink},
        customdata=[cursor.text],
        hovertemplate="your recipe<br>%{customdata}<extra></extra>",
        cliponaxis=False,
    )


def _wrapped(recipe: str) -> str:
    """A recipe in at most two lines, broken between its parts, so that none is cut at the edge."""
    lines = textwrap.wrap(
        re.sub(r"([+;,])", r"\1 ", recipe), _LINE_LETTERS, max_lines=2, placeholder="\u2026"
    )
    return "<br>".join(re.sub(r"([+;,]) ", r"\1", line) for line in lines)


def _lay_out(figure: go.Figure, record: TradeOff, theme: Theme) -> None:
    x_title = {"text": _AXIS_TITLES[record.axis], "standoff": 6}
    x_axis: dict[str, Any] = {"title": x_title, "gridcolor": theme.grid}
    if record.axis == "time":
        x_axis |= {"range": record.x_range, "zeroline": False}
    else:
        shown = [t for t in _TICKS_BYTES if record.x_range[0] <= t <= record.x_range[1]]
        x_axis |= {
            "type": "log",
            "range": [math.log10(bound) for bound in record.x_range],
            "tickvals": shown,
            "ticktext": [words.size(t).replace(".00", "").replace(".0", "") for t in shown],
        }
    figure.update_layout(
        template="none",
        height=_HEIGHT,
        font={"color": theme.ink, "size": 13, "family": "Source Sans, Source Sans Pro, sans-serif"},
        paper_bgcolor=theme.paper,
        plot_bgcolor=theme.paper,
        margin={"l": 58, "r": 16, "t": 134, "b": 94},
        title={
            "text": f"{record.network}<br><span style='font-size:15px'>{record.finding}</span>"
            f"<br><span style='font-size:12px'>{_wrapped(record.recipe)}</span>",
            "font": {"size": 15},
            "x": 0.01,
            "xanchor": "left",
            "y": 0.97,
            "yanchor": "top",
        },
        legend={
            "orientation": "h",
            "x": 0,
            "y": 1.0,
            "yanchor": "bottom",
            "font": {"size": 12},
            "entrywidth": 0.49,
            "entrywidthmode": "fraction",
        },
        xaxis=x_axis,
        yaxis={
            "title": {"text": "Accuracy"},
            "tickformat": ".0%",
            "range": record.y_range,
            "gridcolor": theme.grid,
            "zeroline": False,
        },
        hoverlabel={"font": {"size": 13}},
        uirevision=record.network,
    )
    figure.add_annotation(
        text=record.provenance,
        xref="paper",
        yref="paper",
        x=0,
        y=0,
        xshift=-50,
        yshift=-92,
        xanchor="left",
        yanchor="bottom",
        align="left",
        showarrow=False,
        font={"size": 10, "color": theme.quiet},
    )
