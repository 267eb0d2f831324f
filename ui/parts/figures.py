"""The figures of Explore's charts: a record of `ui.parts.charts` -> a figure for `ui.base.plot`.

Names stand beside what they name, in place of a legend. A figure brings the layout of the picture
to share along, so that the browser can draw it when asked.
"""

from __future__ import annotations

import base64
import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from ui.base import words
from ui.base.plot import MARK, Figure, Shape, Trace, line_across, rectangle, scatter
from ui.base.theme import CURSOR, FONT, PICTURE, PLAIN, SQUARE, Theme, pin_colour
from ui.parts.charts import AXIS_TITLES, TITLES, Point, TradeOff
from ui.parts.labels import NARROW_WIDTHS, WIDTHS, Place, Room, around, extent

HEIGHT = 376
_MARGIN = {"l": 50, "r": 12, "t": 32, "b": 44}
_MOST_TICKS = 6
_FEW = 12  # points of the front beside which its name is tried


@dataclass(frozen=True)
class _Frame:
    """What a chart stands in: the page, or a picture by itself."""

    width: float
    height: float
    margin: dict[str, int]
    widths: tuple[float, ...]
    font: int
    wide: float  # of a letter, in sizes: a server's fonts may be wider than the page's

    @property
    def plot_height(self) -> float:
        return self.height - self.margin["t"] - self.margin["b"]


_PAGE = _Frame(0, HEIGHT, _MARGIN, WIDTHS, 13, 0.54)
_PHONE = replace(_PAGE, widths=NARROW_WIDTHS)


def _card(square: bool = False) -> _Frame:
    width, height = (SQUARE if square else PICTURE).values()
    margin = {"l": 104, "r": 62, "t": 160 if square else 116, "b": 196 if square else 176}
    return _Frame(width, height, margin, (width - margin["l"] - margin["r"],), 15, 0.6)


def trade_off_figure(record: TradeOff, theme: Theme) -> Figure:
    """The figure of a record for the page, which has words around it; with what its picture to
    share has otherwise in `layout.meta`."""
    layout = _layout(record, theme, _PAGE)
    layout["meta"] = {
        "dots": _dots(record, theme),
        "narrow": _annotations(record, theme, _PHONE),
        "card": _card_layout(record, theme, _card()),
        "square": _card_layout(record, theme, _card(square=True)),
    }
    return {"data": _traces(record, theme), "layout": layout}


def standing_alone(record: TradeOff, theme: Theme) -> Figure:
    """The figure as wide as there is room, where nothing paints its dots."""
    layout = _layout(record, theme, _PAGE)
    return {"data": [_dots_trace(record, theme), *_traces(record, theme)], "layout": layout}


def picture(record: TradeOff, theme: Theme, *, square: bool = False) -> Figure:
    """The figure as a picture by itself: headline, figures, recipe, provenance, mark."""
    layout = _card_layout(record, theme, _card(square))
    return {"data": [_dots_trace(record, theme), *_traces(record, theme)], "layout": layout}


# --- traces -----------------------------------------------------------------------------------


def _traces(record: TradeOff, theme: Theme) -> list[Trace]:
    data = []
    if record.front:
        data.append(_front_trace(record, theme))
    data.append(_curve_trace(record, theme))
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
        "y": dots.accuracy,
        "recipes": dots.recipes,
        "dark": dots.undecided,
        "colours": [theme.dot, theme.undecided],
        "unit": "\u00d7" if record.axis == "ratio" else "B",
        "log": record.axis != "time",
    }


def _dots_trace(record: TradeOff, theme: Theme) -> Trace:
    dots = record.dots
    colours = [theme.undecided if u else theme.dot for u in dots.undecided]
    return scatter(
        x=dots.x,
        y=dots.accuracy,
        mode="markers",
        marker={"size": 5, "color": colours},
        name="known recipes",
        customdata=dots.recipes,
    )


def _front_trace(record: TradeOff, theme: Theme) -> Trace:
    """The front of all that is known, stepped, from where it enters the chart to where it leaves
    it; its recipes as small points, filled where they ran."""
    points = record.front
    first, last = points[0], points[-1]
    bottom = record.y_range[0]
    x, y = [p.x for p in points], [p.accuracy for p in points]
    if record.axis == "ratio":  # what costs least stands on the right
        x, y = [record.x_range[0], *x, last.x], [first.accuracy, *y, bottom]
    else:
        x, y = [first.x, *x, record.x_range[1]], [bottom, *y, last.accuracy]
    shown: list[Point | None] = [None, *points, None]
    return scatter(
        x=x,
        y=y,
        mode="lines+markers",
        line={"color": theme.ink, "width": 2.4, "shape": "vh" if record.axis == "ratio" else "hv"},
        fill="tozeroy",
        fillcolor=theme.under,
        marker={
            "size": [0 if p is None else 5 for p in shown],
            "color": [theme.paper if p is None or p.computed else theme.ink for p in shown],
            "line": {"color": theme.ink, "width": 1},
        },
        name="Pareto front",
        customdata=[None if p is None else [p.recipe, p.text] for p in shown],
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )


def _curve_trace(record: TradeOff, theme: Theme) -> Trace:
    """The points with whiskers, filled where measured and hollow where computed; joined where what
    lies between them means something, which is not so of times."""
    points = record.curve.points
    return scatter(
        x=[p.x for p in points],
        y=[p.accuracy for p in points],
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
    )


def _whiskers(points: Sequence[Point], colour: str) -> dict[str, Any]:
    return {
        "type": "data",
        "array": [p.high - p.accuracy for p in points],
        "arrayminus": [p.accuracy - p.low for p in points],
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
        y=[baseline.accuracy],
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
        y=[cursor.accuracy],
        mode="markers",
        name="your recipe",
        marker={"symbol": "circle-open", "size": 20, "color": CURSOR, "line": {"width": 3}},
        customdata=[[cursor.recipe, cursor.text]],
        hovertemplate="your recipe<br>%{customdata[1]}<extra></extra>",
        cliponaxis=False,
    )


# --- labels -----------------------------------------------------------------------------------


def _share(record: TradeOff, x: float, y: float) -> tuple[float, float]:
    """Where a place lies, as shares of the chart's width and height."""
    (left, right), (low, high) = record.x_range, record.y_range
    up = (y - low) / (high - low)
    if record.axis == "time":
        return (x - left) / (right - left), up
    return math.log(x / left) / math.log(right / left), up


def _room(record: TradeOff, frame: _Frame) -> Room:
    """The plot area with what is drawn in it."""
    room = Room(frame.plot_height, frame.widths)
    room.line(_share(record, p.x, p.accuracy) for p in record.curve.points)
    for p in record.curve.points:
        room.mark(*_share(record, p.x, p.accuracy), 6)
    places = [_share(record, p.x, p.accuracy) for p in record.front]
    steps: list[tuple[float, float]] = []
    for place in places:
        if steps:
            steps.append((place[0], steps[-1][1]))
        steps.append(place)
    room.line(steps, 0.7)
    for x, y in zip(record.dots.x, record.dots.accuracy, strict=True):
        room.mark(*_share(record, x, y), 2.5, 0.2)
    for _, p in record.pins:
        room.mark(*_share(record, p.x, p.accuracy), 10)
    for large in (record.baseline, record.cursor):
        if large is not None:
            room.mark(*_share(record, large.x, large.accuracy), 12)
    return room


def _annotations(record: TradeOff, theme: Theme, frame: _Frame) -> list[dict[str, Any]]:
    """The labels, the one of the ring first: it finds a place where there is any."""
    room = _room(record, frame)
    by_size = record.axis != "time"
    found = [_ring_label(record, theme, room, frame)]
    if by_size and record.baseline is not None and record.baseline != record.cursor:
        found.append(_star_name(record, theme, room, frame))
    if record.band is not None:
        found.append(_band_name(record, theme, room, frame))
    least, _ = record.limits
    if least is not None and record.y_range[0] < least < record.y_range[1]:
        found.append(_budget_name(record, theme, room, least, frame))
    if record.front and by_size:
        found.append(_front_name(record, theme, room, frame))
    if record.curve.points and by_size:
        found.append(_curve_name(record, theme, room, frame))
    return [label for label in found if label is not None]


Spots = Iterable[tuple[float, float, Place]]  # in the chart's own units


def _label(
    record: TradeOff, room: Room, lines: Sequence[str], size: float, frame: _Frame, spots: Spots,
    border: float = 0,
) -> dict[str, Any] | None:  # fmt: skip
    """Text at the best of the spots, if one is free; `border` pixels on each side are its own."""
    width, height = extent([_plain(line) for line in lines], size, frame.wide)
    shares = {(*_share(record, x, y), place): (x, y) for x, y, place in spots}
    found = room.place(width + 2 * border, height + 2 * border, shares)
    if found is None:
        return None
    x, y = shares[found]
    return {
        "x": x if record.axis == "time" else math.log10(x),
        "y": y,
        "text": "<br>".join(lines),
        "showarrow": False,
        "xshift": found[2].right,
        "yshift": found[2].up,
        "xanchor": "center",
        "yanchor": "middle",
        "font": {"size": size},
    }


def _ring_label(record: TradeOff, theme: Theme, room: Room, frame: _Frame) -> dict[str, Any] | None:
    """In a box, with a line to the ring."""
    cursor = record.cursor
    if cursor is None:
        return None
    lines = [f"<b>{cursor.shown}</b>"]
    if record.axis != "time":
        lines = [f"<b>{words.percent(cursor.accuracy)}, {cursor.shown}</b>", record.brief]
    for n in range(len(lines), 0, -1):
        width, height = extent([_plain(line) for line in lines[:n]], frame.font, frame.wide)
        places = around(width + 10, height + 10, 22)
        spots = [(cursor.x, cursor.accuracy, place) for place in places]
        found = _label(record, room, lines[:n], frame.font, frame, spots, border=5)
        if found is not None:
            return found | {
                "align": "left",
                "showarrow": True,
                "ax": found.pop("xshift"),
                "ay": -found.pop("yshift"),
                "arrowcolor": CURSOR,
                "arrowwidth": 1.4,
                "arrowhead": 0,
                "standoff": 11,
                "bgcolor": theme.paper,
                "bordercolor": theme.leader,
                "borderpad": 4,
            }
    return None


def _in(colour: str, found: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if found is None else found | {"font": found["font"] | {"color": colour}}


def _beside(width: float, height: float) -> list[Place]:
    """Places right and left of a point."""
    ups = (0.0, -height / 2, height / 2)
    return [Place(side * (width / 2 + 9), up) for up in ups for side in (1, -1)]


def _star_name(record: TradeOff, theme: Theme, room: Room, frame: _Frame) -> dict[str, Any] | None:
    star, size = record.baseline, frame.font - 1
    assert star is not None
    width, _ = extent(["uncompressed"], size, frame.wide)
    places = [Place(-width / 2 - 6, 15), Place(-width / 2 - 6, -15), Place(0, 20), Place(0, -20)]
    places += [Place(-width / 2 - 6, -15 - 20 * k) for k in range(1, 6)]
    places += [Place(width / 2 + 6, 15), Place(width / 2 + 6, -15)]
    spots = [(star.x, star.accuracy, place) for place in places]
    return _in(theme.ink, _label(record, room, ["uncompressed"], size, frame, spots))


def _budget_name(
    record: TradeOff, theme: Theme, room: Room, least: float, frame: _Frame
) -> dict[str, Any] | None:
    """In the tinted area at its lower edge, or below it where that is too low."""
    size = frame.font - 1
    short = record.budget.replace("within your budget", "budget")
    for name in (short,) if frame.widths == NARROW_WIDTHS else (record.budget, short):
        width, height = extent([name], size, frame.wide)
        spots = [
            (x, least, Place(side * (width / 2 + 8), up * (height / 2 + 2)))
            for up in (1, -1)
            for x, side in zip(record.x_range, (1, -1), strict=True)
        ]
        found = _label(record, room, [name], size, frame, spots)
        if found is not None:
            return _in(theme.budget, found)
    return None


def _front_name(record: TradeOff, theme: Theme, room: Room, frame: _Frame) -> dict[str, Any] | None:
    """Beside the front, first on the side where nothing lies: beyond it."""
    size = frame.font - 1
    for lines in (
        ["<b>Pareto front</b>", f"of {record.n_known:,} recipes"],
        ["<b>front</b>", f"of {record.n_known:,}"],
    ):
        width, height = extent([_plain(line) for line in lines], size, frame.wide)
        side = 1 if record.axis == "ratio" else -1
        places = [Place(side * (width / 2 + 8), up) for up in (-height / 2 - 4, height / 2 + 4)]
        places += [Place(side * (width / 2 + 8), -height / 2 - 24 * k) for k in range(1, 5)]
        places += [Place(-side * (width / 2 + 12), -height / 2 - 12 - 24 * k) for k in range(4)]
        some = record.front[:: 1 + len(record.front) // _FEW]
        spots = [(p.x, p.accuracy, place) for place in places for p in some]
        found = _label(record, room, lines, size, frame, spots)
        if found is not None:
            return _in(theme.ink, found)
    return None


def _curve_name(record: TradeOff, theme: Theme, room: Room, frame: _Frame) -> dict[str, Any] | None:
    """Beside one of the curve's points, of those that are equally clear the lowest."""
    size = frame.font - 1
    seen = [p for p in record.curve.points if p.accuracy > record.y_range[0]]
    places = _beside(*extent([record.curve.name], size, frame.wide))
    spots = [
        (p.x, p.accuracy, place) for p in sorted(seen, key=lambda p: p.accuracy) for place in places
    ]
    return _in(theme.curve, _label(record, room, [record.curve.name], size, frame, spots))


def _band_name(record: TradeOff, theme: Theme, room: Room, frame: _Frame) -> dict[str, Any] | None:
    """In the band or beside it, where it hides least."""
    assert record.band is not None
    low, high = record.y_range
    lines, size = ["no measurable", "difference"], frame.font - 1
    width, height = extent(lines, size, frame.wide)
    rise = (high - low) / 8
    spots = [
        (x, low + k * rise, Place(right, height / 2 + 4))
        for k in range(8)
        for x, right in (
            (sum(record.band) / 2, 0.0),
            (record.band[0], -width / 2 - 6),
            (record.band[1], width / 2 + 6),
        )
    ]
    return _in(theme.quiet, _label(record, room, lines, size, frame, spots))


def _plain(text: str) -> str:
    return re.sub("<[^>]+>", "", text)


# --- layout -----------------------------------------------------------------------------------


def _layout(record: TradeOff, theme: Theme, frame: _Frame) -> dict[str, Any]:
    font = {"color": theme.quiet, "size": frame.font}
    x_axis: dict[str, Any] = {
        "title": {"text": AXIS_TITLES[record.axis], "standoff": 8, "font": font},
        "gridcolor": theme.grid,
        "tickfont": font,
        "zeroline": False,
        "range": record.x_range,
    }
    if record.axis != "time":
        in_bytes = record.axis != "ratio"
        shown = _ticks(*record.x_range)
        x_axis |= {
            "type": "log",
            "range": [math.log10(bound) for bound in record.x_range],
            "tickvals": shown,
            "ticktext": [
                words.size(t).replace(".00", "").replace(".0", "") if in_bytes else f"{t}\u00d7"
                for t in shown
            ],
        }
    return {
        "template": PLAIN,
        "height": frame.height,
        "font": {"color": theme.ink, "size": frame.font, "family": FONT},
        "paper_bgcolor": theme.paper,
        "plot_bgcolor": theme.paper,
        "margin": frame.margin,
        "showlegend": False,
        "title": {
            "text": f"<b>{TITLES[record.axis]}</b>",
            "font": {"size": frame.font + 3},
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 6},
        },
        "xaxis": x_axis,
        "yaxis": {
            "tickformat": ".0%" if record.y_range[1] - record.y_range[0] > 0.05 else ".1%",
            "range": record.y_range,
            "gridcolor": theme.grid,
            "tickfont": font,
            "ticklabelstandoff": 4,
            "zeroline": False,
        },
        "shapes": _shapes(record, theme),
        "annotations": _annotations(record, theme, frame),
        "hoverlabel": {"font": {"size": 13}},
        "uirevision": f"{record.network} {record.axis}",
    }


def _ticks(low: float, high: float) -> list[int]:
    """Round places on a log scale, so few that their names stand beside each other on a phone."""
    for steps in ((1, 2, 5), (1, 3), (1,)):
        found = [m * 10**e for e in range(9) for m in steps if low <= m * 10**e <= high]
        if len(found) <= _MOST_TICKS:
            break
    return found


def _shapes(record: TradeOff, theme: Theme) -> list[Shape]:
    """What lies within the budget, the noise of the machine, and the line through the baseline."""
    shapes: list[Shape] = []
    least, most = record.limits
    (left, right), (low, high) = record.x_range, record.y_range
    if least is not None or most is not None:
        floor, edge = max(low, low if least is None else least), min(right, most or right)
        if floor < high and edge > left:
            shapes.append(
                rectangle(x0=left, x1=edge, y0=floor, y1=high, fillcolor=theme.sweet)
                | {"xref": "x", "yref": "y"}
            )
        dots = {"color": theme.budget, "width": 1.3, "dash": "dot"}
        if least is not None:
            shapes.append(line_across("y", least, dots))
        if most is not None:
            shapes.append(line_across("x", most, dots))
    if record.band:
        shapes.append(
            rectangle(x0=record.band[0], x1=record.band[1], y0=0, y1=1, fillcolor=theme.band)
            | {"xref": "x", "yref": "y domain"}
        )
    if record.baseline:
        dashes = {"color": theme.ink, "width": 1, "dash": "dash"}
        shapes.append(line_across("y", record.baseline.accuracy, dashes))
    return shapes


def _card_layout(record: TradeOff, theme: Theme, frame: _Frame) -> dict[str, Any]:
    """The layout of a picture by itself, of 1200 x 630 pixels or square."""
    letters = int((frame.width - 88) / 21)
    head = textwrap.wrap(record.headline, letters, max_lines=2, placeholder="\u2026")
    lead = textwrap.wrap(record.sentence, int((frame.width - 88) / 9.6), max_lines=2)
    more = 44 * (len(head) - 1) + 24 * (max(1, len(lead)) - 1)
    frame = replace(frame, margin=frame.margin | {"t": frame.margin["t"] + more})
    layout = _layout(record, theme, frame)
    left = 44 - frame.margin["l"]
    words_below = [
        *(f"<span style='font-family:monospace'>{line}</span>" for line in _wrapped(record.recipe)),
        *record.provenance,
    ]
    layout["width"] = frame.width
    layout["title"] = {"text": ""}
    layout["annotations"] = [
        *layout["annotations"],
        _words(f"<b>{'<br>'.join(head)}</b>", left, 26, 36, theme.ink, frame, "top"),
        _words("<br>".join(lead), left, 32 + 44 * len(head), 19, theme.quiet, frame, "top"),
        _words("<br>".join(words_below), left, 24, 12.5, theme.quiet, frame, "bottom"),
        _words(
            "<b>Paretoscope</b>",
            frame.width - 44 - frame.margin["l"],
            20,
            18,
            theme.ink,
            frame,
            "bottom",
        )
        | {"xanchor": "right"},
    ]
    layout["images"] = [
        {
            "source": mark(),
            "xref": "paper",
            "yref": "paper",
            "x": (frame.width - 44 - 132 - frame.margin["l"]) / frame.widths[0],
            "y": -(frame.margin["b"] - 18) / frame.plot_height,
            "sizex": 28 / frame.widths[0],
            "sizey": 28 / frame.plot_height,
            "xanchor": "right",
            "yanchor": "bottom",
        }
    ]
    return layout


def _words(
    text: str, x: float, y: float, size: float, colour: str, frame: _Frame, edge: str
) -> dict[str, Any]:
    """Text at so many pixels from the left edge of the axes and from an edge of the picture."""
    at_top = edge == "top"
    return {
        "text": text,
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": 1 if at_top else 0,
        "xshift": x,
        "yshift": frame.margin["t"] - y if at_top else y - frame.margin["b"],
        "xanchor": "left",
        "yanchor": edge,
        "align": "left",
        "showarrow": False,
        "font": {"size": size, "color": colour},
    }


@cache
def mark() -> str:
    """The project's mark, as an address that holds it."""
    return f"data:image/svg+xml;base64,{base64.b64encode(MARK.read_bytes()).decode()}"


def _wrapped(recipe: str) -> list[str]:
    """A recipe in at most two lines, broken between its parts, so that none is cut at the edge."""
    lines = textwrap.wrap(
        re.sub(r"([+;,])", r"\1 ", recipe), 110, max_lines=2, placeholder="\u2026"
    )
    return [re.sub(r"([+;,]) ", r"\1", line) for line in lines]
