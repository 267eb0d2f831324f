"""The figures of Explore's charts: a record of `ui.parts.charts` -> a figure for `ui.base.plot`.

A figure for the page brings the layout of its picture to share along, so that the browser can draw
that when asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ui.base.plot import Figure, Trace, scatter
from ui.base.theme import CURSOR, Theme, pin_colour
from ui.parts.chart_labels import PAGE, PHONE, Frame, label_annotations
from ui.parts.chart_layout import card, card_layout, layout
from ui.parts.charts import Line, Point, TradeOff
from ui.parts.looks import look_of


def trade_off_figure(record: TradeOff, theme: Theme, frame: Frame = PAGE) -> Figure:
    """The figure of a record for the page, which has words around it; with what its picture to
    share has otherwise in `layout.meta`."""
    whole = layout(record, theme, frame)
    whole["meta"] = {
        "dots": _dots(record, theme),
        "narrow": label_annotations(record, theme, replace(PHONE, height=frame.height)),
        "card": card_layout(record, theme, card()),
    }
    return {"data": _traces(record, theme), "layout": whole}


def standing_alone(record: TradeOff, theme: Theme) -> Figure:
    """The figure as wide as there is room, where nothing paints its dots."""
    whole = layout(record, theme, PAGE)
    return {"data": [_dots_trace(record, theme), *_traces(record, theme)], "layout": whole}


def picture(record: TradeOff, theme: Theme, *, square: bool = False) -> Figure:
    """The figure as a picture by itself: headline, figures, recipe, provenance, mark."""
    whole = card_layout(record, theme, card(square))
    return {"data": [_dots_trace(record, theme), *_traces(record, theme)], "layout": whole}


# --- traces -----------------------------------------------------------------------------------


def _traces(record: TradeOff, theme: Theme) -> list[Trace]:
    data = []
    if record.front:
        data += _front_traces(record, theme)
    if record.curve.points:
        data.append(_curve_trace(record, theme))
    data += [_line_trace(line, n, record, theme) for n, line in enumerate(record.lines)]
    for number, (letter, point) in enumerate(record.pins):
        data.append(_pin_trace(letter, number, point, theme))
    if record.baseline:
        data.append(_baseline_trace(record.baseline, theme))
    if record.cursor:
        data.append(_cursor_trace(record.cursor))
    return data


def _dots(record: TradeOff, theme: Theme) -> dict[str, Any]:
    """The dots as `ui.base.plot` paints them: a browser takes 25 ms for a thousand as a trace."""
    dots = record.dots
    return {
        "x": dots.x,
        "y": dots.y,
        "recipes": dots.recipes,
        "dark": dots.undecided,
        "colours": [theme.dot, theme.undecided],
        "unit": "\u00d7" if record.axis == "ratio" else "B",
        "score": record.unit,
        "log": record.axis != "time",
    }


def _dots_trace(record: TradeOff, theme: Theme) -> Trace:
    dots = record.dots
    colours = [theme.undecided if u else theme.dot for u in dots.undecided]
    return scatter(
        x=dots.x,
        y=dots.y,
        mode="markers",
        marker={"size": 5, "color": colours},
        name="known recipes",
        customdata=dots.recipes,
    )


def _front_traces(record: TradeOff, theme: Theme) -> list[Trace]:
    """The front of all that is known, stepped, from where it enters the chart to where it leaves
    it; its recipes as small points, filled where they ran."""
    points = record.front
    first, last = points[0], points[-1]
    bottom = record.y_range[0]
    x, y = [p.x for p in points], [p.y for p in points]
    if record.axis == "ratio":  # what costs least stands on the right
        x, y = [record.x_range[0], *x, last.x], [first.y, *y, bottom]
    else:
        x, y = [first.x, *x, record.x_range[1]], [bottom, *y, last.y]
    shown: list[Point | None] = [None, *points, None]
    line = {"color": theme.ink, "width": 2.4, "shape": "vh" if record.axis == "ratio" else "hv"}
    front = scatter(
        x=x,
        y=y,
        mode="lines+markers",
        line=line,
        marker={
            "size": [0 if p is None else 5 for p in shown],
            "color": [theme.paper if p is None or p.computed else theme.ink for p in shown],
            "line": {"color": theme.ink, "width": 1},
        },
        name="Pareto front",
        customdata=[None if p is None else [p.recipe, p.text] for p in shown],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )
    if record.rises:
        return [front | {"fill": "tozeroy", "fillcolor": theme.under}]
    # Zero is not beneath an axis that is turned about: the area is closed by hand, without a line.
    steps = line["shape"]
    if record.axis == "ratio":
        around = [record.x_range[0], *x], [bottom, *y]
    else:
        around = [*x, record.x_range[1]], [*y, bottom]
    area = scatter(
        x=around[0], y=around[1], mode="lines", line={"width": 0, "shape": steps},
        fill="toself", fillcolor=theme.under, hoverinfo="skip", name="behind the front",
    )  # fmt: skip
    return [area, front]


def _curve_trace(record: TradeOff, theme: Theme) -> Trace:
    """The points with whiskers, filled where measured and hollow where computed; joined where what
    lies between them means something, which is not so of times."""
    points = record.curve.points
    return scatter(
        x=[p.x for p in points],
        y=[p.y for p in points],
        mode="lines+markers" if record.axis != "time" else "markers",
        name=record.curve.name,
        line={"color": theme.curve, "width": 2},
        marker={
            "size": 8,
            "color": [theme.paper if p.computed else theme.curve for p in points],
            "line": {"color": theme.curve, "width": 1.5},
        },
        error_y=_whiskers(points, theme.faint),
        error_x=_time_whiskers(points, theme.faint),
        customdata=[[p.recipe, p.text] for p in points],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )


def _line_trace(line: Line, number: int, record: TradeOff, theme: Theme) -> Trace:
    """One of several lines, told by colour, symbol and dash."""
    look = look_of(line, number, theme)
    return scatter(
        x=[p.x for p in line.points],
        y=[p.y for p in line.points],
        mode="lines+markers" if record.axis != "time" else "markers",
        name=line.name,
        line={"color": look.colour, "width": 2, "dash": look.dash},
        marker={
            "symbol": look.symbol,
            "size": 7,
            "color": [theme.paper if p.computed else look.colour for p in line.points],
            "line": {"color": look.colour, "width": 1.5},
        },
        error_y=_whiskers(line.points, look.faint),
        customdata=[[p.recipe, p.text] for p in line.points],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )


def _pin_trace(letter: str, number: int, point: Point, theme: Theme) -> Trace:
    colour = pin_colour(number, theme)
    return scatter(
        x=[point.x],
        y=[point.y],
        mode="markers+text",
        marker={"symbol": "square", "size": 17, "color": colour},
        text=[f"<b>{letter}</b>"],
        textfont={"size": 11, "color": theme.paper},
        textposition="middle center",
        customdata=[[point.recipe, point.text]],
        hovertemplate=f"{letter}: %{{customdata[0]}}<br>%{{customdata[1]}}<extra></extra>",
        name=f"pin {letter}",
    )


def _whiskers(points: Sequence[Point], colour: str) -> dict[str, Any]:
    return {
        "type": "data",
        "array": [p.high - p.y for p in points],
        "arrayminus": [p.y - p.low for p in points],
        "thickness": 1.2,
        "width": 0,
        "color": colour,
    }


def _time_whiskers(points: Sequence[Point], colour: str) -> dict[str, Any]:
    known = [(p.x, p.x_low, p.x_high) for p in points]
    return {
        "type": "data",
        "array": [0.0 if high is None else high - x for x, _, high in known],
        "arrayminus": [0.0 if low is None else x - low for x, low, _ in known],
        "thickness": 1.2,
        "width": 0,
        "color": colour,
    }


def _baseline_trace(baseline: Point, theme: Theme) -> Trace:
    return scatter(
        x=[baseline.x],
        y=[baseline.y],
        mode="markers",
        name="uncompressed",
        marker={"symbol": "star", "size": 15, "color": theme.ink},
        customdata=[[baseline.recipe, baseline.text]],
        hovertemplate="uncompressed<br>%{customdata[1]}<extra></extra>",
    )


def _cursor_trace(cursor: Point) -> Trace:
    """A ring where the sliders are."""
    return scatter(
        x=[cursor.x],
        y=[cursor.y],
        mode="markers",
        name="your recipe",
        marker={"symbol": "circle-open", "size": 20, "color": CURSOR, "line": {"width": 3}},
        customdata=[[cursor.recipe, cursor.text]],
        hovertemplate="your recipe<br>%{customdata[1]}<extra></extra>",
        cliponaxis=False,
    )
