"""The figures of Explore's charts: a record of `ui.charts` -> a figure, as `ui.plot` draws it."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ui.base import words
from ui.base.plot import Figure, Trace, line_across, scatter
from ui.base.theme import CURSOR, FONT, PLAIN, Theme, pin_colour, provenance_line
from ui.parts.charts import AXIS_TITLES, Line, Point, TradeOff

_FRONT_GREY = "rgba(140,140,140,0.75)"
_HEIGHT = 524
_LINE_LETTERS = 70
_LINE_HEIGHT = 13
_NAME_WIDTH, _NAME_HEIGHT = 0.12, 0.07  # of a faint line's name, as shares of the chart
_LABEL_FITS_UNTIL = 0.65  # the share of the width from which a label stands left of its point
_LABEL_FITS_FROM = 0.12  # the share of the height below which it stands above its point
_TICKS_BYTES = [m * 10**e for e in range(1, 9) for m in (1, 2, 5)]


def trade_off_figure(record: TradeOff, theme: Theme) -> Figure:
    """The figure of a record. It carries title, recipe and provenance, so it can stand alone."""
    data = _backdrop_traces(record, theme)
    data += _budget_traces(record, theme)
    if record.front:
        data.append(_front_trace(record, theme))
    data.append(_curve_trace(record.curve, theme, joined=record.axis != "time"))
    for number, (letter, point) in enumerate(record.pins):
        data.append(_pin_trace(letter, number, point, theme))
    if record.baseline:
        data.append(_baseline_trace(record.baseline, theme))
    if record.cursor:
        data.append(_cursor_trace(record.cursor, record, theme))
    return {"data": data, "layout": _layout(record, theme)}


def _backdrop_traces(record: TradeOff, theme: Theme) -> list[Trace]:
    """The faint lines, and the name of each beside one of its points.

    One trace with gaps, which a browser draws sooner than a trace for each.
    """
    x: list[float | None] = []
    y: list[float | None] = []
    told: list[tuple[str, str, str] | None] = []
    for line in record.context_lines:
        x += [*(p.x for p in line.points), None]
        y += [*(p.accuracy for p in line.points), None]
        told += [*((p.recipe, p.text, line.name) for p in line.points), None]
    places = zip(record.context_lines, name_places(record), strict=True)
    named = [(line.name, line.points[place]) for line, place in places if place is not None]
    lines = scatter(
        x=x,
        y=y,
        mode="markers" if record.axis == "time" else "lines",
        line={"color": theme.faint, "width": 1.4},
        marker={"size": 5, "color": theme.faint},
        name="other Q",
        customdata=told,
        hovertemplate="%{customdata[2]}<br>%{customdata[1]}<extra></extra>",
        showlegend=False,
    )
    names = scatter(
        x=[point.x for _, point in named],
        y=[point.accuracy for _, point in named],
        mode="text",
        text=[name for name, _ in named],
        textposition="middle left",
        textfont={"size": 11, "color": theme.quiet},
        hoverinfo="skip",
        showlegend=False,
    )
    return [lines, names]


def name_places(record: TradeOff) -> list[int | None]:
    """For each faint line the place of the point that bears its name: clear of the curve and of
    the other names, None where there is no room (its name still stands where it is pointed at)."""
    if record.axis == "time":
        return [None] * len(record.context_lines)
    taken = _taken(record)
    found: list[int | None] = []
    for line in record.context_lines:
        room = {
            place: min((_apart(at, other) for other in taken), default=math.inf)
            for place, point in enumerate(line.points)
            if _NAME_WIDTH < (at := _position(record, point))[0] < 1 and 0.04 < at[1] < 0.96
        }
        best = max(room, key=room.__getitem__, default=None)
        best = None if best is None or room[best] < 1 else best
        found.append(best)
        if best is not None:
            taken.append(_position(record, line.points[best]))
    return found


def _taken(record: TradeOff) -> list[tuple[float, float]]:
    """Where names may not stand: on the curve, the baseline's star, and the ring's label."""
    points = [_position(record, p) for p in record.curve.points]
    between = [
        (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share)
        for a, b in pairwise(points)
        for share in (0.2, 0.4, 0.6, 0.8)
    ]
    label = []
    if record.cursor is not None:
        x, y = _position(record, record.cursor)
        side = -1 if x > _LABEL_FITS_UNTIL else 1
        down = 1 if y < _LABEL_FITS_FROM else -1
        label = [(x + side * along, y + down * _NAME_HEIGHT) for along in (0.05, 0.15, 0.25)]
    star = [] if record.baseline is None else [_position(record, record.baseline)]
    return [*points, *between, *label, *star]


def _position(record: TradeOff, point: Point) -> tuple[float, float]:
    """Where a point lies, as shares of the chart's width and height."""
    (left, right), (low, high) = record.x_range, record.y_range
    y = (point.accuracy - low) / (high - low)
    if record.axis == "time":
        return (point.x - left) / (right - left), y
    return math.log(point.x / left) / math.log(right / left), y


def _apart(name: tuple[float, float], other: tuple[float, float]) -> float:
    """How far another point lies from a name that ends at a point, in sizes of a name."""
    across = abs(other[0] - (name[0] - _NAME_WIDTH / 2)) / _NAME_WIDTH
    return max(across, abs(other[1] - name[1]) / _NAME_HEIGHT)


def _front_trace(record: TradeOff, theme: Theme) -> Trace:
    """The front of all that is known, stepped; its points small, filled where measured."""
    points = record.front
    return scatter(
        x=[p.x for p in points],
        y=[p.accuracy for p in points],
        mode="lines+markers",
        line={"color": _FRONT_GREY, "width": 6, "shape": "hv"},
        marker={
            "size": 5,
            "color": [theme.paper if p.computed else theme.quiet for p in points],
            "line": {"color": theme.quiet, "width": 1},
        },
        name="Pareto front",
        customdata=[[p.recipe, p.text] for p in points],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )


def _curve_trace(line: Line, theme: Theme, *, joined: bool) -> Trace:
    """The points with whiskers, filled where measured and hollow where computed; `joined` where
    what lies between them means something, which is not so of times."""
    points = line.points
    return scatter(
        x=[p.x for p in points],
        y=[p.accuracy for p in points],
        mode="lines+markers" if joined else "markers",
        name=line.name,
        line={"color": theme.curve, "width": 2},
        marker={
            "size": 8,
            "color": [theme.paper if p.computed else theme.curve for p in points],
            "line": {"color": theme.curve, "width": 1.5},
        },
        error_y=_whiskers(points, theme.curve),
        error_x=_time_whiskers(points, theme.curve),
        customdata=[[p.recipe, p.text] for p in points],
        hovertemplate="%{customdata[1]}<extra></extra>",
    )


def _budget_traces(record: TradeOff, theme: Theme) -> list[Trace]:
    """What the budget does not allow, hatched; what it allows, the sweet spot, tinted."""
    least, most = record.limits
    (left, right), (low, high) = record.x_range, record.y_range
    if least is None and most is None:
        return []
    bottom, edge = max(low, low if least is None else least), min(right, most or right)
    outside_x = [left, right, right, edge, edge, left, left]
    outside_y = [low, low, high, high, bottom, bottom, low]
    common: dict[str, Any] = {"mode": "lines", "hoverinfo": "skip"}
    hatching = {"shape": "/", "fgcolor": theme.hatch, "fgopacity": 0.6, "size": 9, "solidity": 0.12}
    outside = scatter(
        x=outside_x,
        y=outside_y,
        fill="toself",
        fillcolor="rgba(0,0,0,0)",
        fillpattern=hatching,
        line={"width": 0},
        name="over the budget",
        showlegend=True,
        **common,
    )
    inside = scatter(
        x=[left, left, edge, edge, left],
        y=[bottom, high, high, bottom, bottom],
        fill="toself",
        fillcolor=theme.sweet,
        line={"width": 1, "dash": "dash", "color": theme.budget},
        name="within the budget",
        **common,
    )
    return [inside, outside]


def _pin_trace(letter: str, number: int, point: Point, theme: Theme) -> Trace:
    colour = pin_colour(number, theme)
    return scatter(
        x=[point.x],
        y=[point.accuracy],
        mode="markers+text",
        marker={"symbol": "square", "size": 17, "color": colour},
        text=[f"<b>{letter}</b>"],
        textfont={"size": 11, "color": theme.paper},
        textposition="middle center",
        customdata=[[point.recipe, point.text]],
        hovertemplate=f"{letter}: %{{customdata[0]}}<br>%{{customdata[1]}}<extra></extra>",
        name=f"pin {letter}",
        showlegend=False,
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


def _baseline_trace(baseline: Point, theme: Theme) -> Trace:
    return scatter(
        x=[baseline.x],
        y=[baseline.accuracy],
        mode="markers",
        name="uncompressed",
        marker={"symbol": "star", "size": 14, "color": theme.ink},
        text=[baseline.text],
        hovertemplate="uncompressed<br>%{text}<extra></extra>",
    )


def _shapes(record: TradeOff, theme: Theme) -> list[dict[str, Any]]:
    """The noise of the machine as a band, and the lines through the baseline."""
    shapes: list[dict[str, Any]] = []
    if record.band:
        band = {"type": "rect", "xref": "x", "yref": "y domain", "y0": 0, "y1": 1}
        band |= {"x0": record.band[0], "x1": record.band[1], "fillcolor": theme.band}
        shapes.append(band | {"line": {"width": 0}, "layer": "below"})
    if record.baseline:
        dashes = {"color": theme.quiet, "width": 1, "dash": "dash"}
        shapes.append(line_across("y", record.baseline.accuracy, dashes))
        shapes.append(line_across("x", record.baseline.x, dashes))
    return shapes


def _cursor_trace(cursor: Point, record: TradeOff, theme: Theme) -> Trace:
    """A ring where the sliders are; a triangle at the edge where that is out of sight."""
    low, high = record.y_range
    hidden = cursor.accuracy < low
    x, y = _position(record, cursor)
    side = "left" if x > _LABEL_FITS_UNTIL else "right"
    height = "middle" if hidden else "top" if y < _LABEL_FITS_FROM else "bottom"
    return scatter(
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
        text=[f"{words.percent(cursor.accuracy)}, {cursor.shown}"],
        textposition=f"{height} {side}",
        textfont={"size": 13, "color": theme.ink},
        customdata=[[cursor.recipe, cursor.text]],
        hovertemplate="your recipe<br>%{customdata[1]}<extra></extra>",
        cliponaxis=False,
    )


def _wrapped(recipe: str) -> str:
    """A recipe in at most two lines, broken between its parts, so that none is cut at the edge."""
    lines = textwrap.wrap(
        re.sub(r"([+;,])", r"\1 ", recipe), _LINE_LETTERS, max_lines=2, placeholder="\u2026"
    )
    return "<br>".join(re.sub(r"([+;,]) ", r"\1", line) for line in lines)


def _layout(record: TradeOff, theme: Theme) -> dict[str, Any]:
    room = _LINE_HEIGHT * record.lines
    x_title = {"text": AXIS_TITLES[record.axis], "standoff": 6}
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
    return {
        "template": PLAIN,
        "height": _HEIGHT + room,
        "font": {"color": theme.ink, "size": 13, "family": FONT},
        "paper_bgcolor": theme.paper,
        "plot_bgcolor": theme.paper,
        "margin": {"l": 58, "r": 16, "t": 134, "b": 132 + room},
        "title": {
            "text": f"{record.network}<br><span style='font-size:15px'>{record.finding}</span>"
            f"<br><span style='font-size:12px'>{_wrapped(record.recipe)}</span>",
            "font": {"size": 15},
            "x": 0.01,
            "xanchor": "left",
            "y": 0.97,
            "yanchor": "top",
        },
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.0,
            "yanchor": "bottom",
            "font": {"size": 12},
            "entrywidth": 0.49,
            "entrywidthmode": "fraction",
        },
        "xaxis": x_axis,
        "yaxis": {
            "title": {"text": "Accuracy"},
            "tickformat": ".0%",
            "range": record.y_range,
            "gridcolor": theme.grid,
            "zeroline": False,
        },
        "shapes": _shapes(record, theme),
        "annotations": [provenance_line(record.provenance, -50, -130 - room, theme)],
        "hoverlabel": {"font": {"size": 13}},
        "uirevision": record.network,
    }
