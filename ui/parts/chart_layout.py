"""What surrounds the traces of a trade-off chart: axes, areas, and, of a picture by itself, its
words."""

from __future__ import annotations

import base64
import math
import re
import textwrap
from dataclasses import replace
from functools import cache
from typing import Any

from ui.base import words
from ui.base.plot import MARK, Shape, line_across, rectangle
from ui.base.theme import FONT, PICTURE, PLAIN, SQUARE, Theme
from ui.parts.chart_labels import Frame, label_annotations
from ui.parts.charts import AXIS_TITLES, TradeOff

_MOST_TICKS = 6


def layout(record: TradeOff, theme: Theme, frame: Frame) -> dict[str, Any]:
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
            "text": f"<b>{record.title}</b>",
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
            "tickformat": _tick_format(record),
            "range": record.y_range,
            "gridcolor": theme.grid,
            "tickfont": font,
            "ticklabelstandoff": 4,
            "zeroline": False,
        },
        "shapes": _shapes(record, theme),
        "annotations": label_annotations(record, theme, frame),
        "hoverlabel": {"font": {"size": 13}},
        "uirevision": f"{record.network} {record.axis}",
    }


def _tick_format(record: TradeOff) -> str:
    if record.unit != "%":
        return ""  # as many digits as the ticks need
    return ".0%" if abs(record.y_range[1] - record.y_range[0]) > 0.05 else ".1%"


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
        floor, edge = low, min(right, most or right)
        if least is not None and record.height_of(least) > 0:
            floor = least
        if record.height_of(floor) < 1 and edge > left:
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
        shapes.append(line_across("y", record.baseline.y, dashes))
    return shapes


def card(square: bool = False) -> Frame:
    width, height = (SQUARE if square else PICTURE).values()
    margin = {"l": 104, "r": 62, "t": 160 if square else 116, "b": 180 if square else 158}
    return Frame(width, height, margin, (width - margin["l"] - margin["r"],), 15, 0.6)


def card_layout(record: TradeOff, theme: Theme, frame: Frame) -> dict[str, Any]:
    """The layout of a picture by itself, of 1200 x 630 pixels or square."""
    letters = int((frame.width - 88) / 20.2)
    head = textwrap.wrap(record.headline, letters, max_lines=2, placeholder="\u2026")
    lead = textwrap.wrap(record.sentence, int((frame.width - 88) / 9.6), max_lines=2)
    more = 44 * (len(head) - 1) + 24 * (max(1, len(lead)) - 1)
    frame = replace(frame, margin=frame.margin | {"t": frame.margin["t"] + more})
    whole = layout(record, theme, frame)
    left = 44 - frame.margin["l"]
    words_below = [
        *(f"<span style='font-family:monospace'>{line}</span>" for line in _wrapped(record.recipe)),
        *record.provenance,
    ]
    whole["width"] = frame.width
    whole["title"] = {"text": ""}
    whole["annotations"] = [
        *whole["annotations"],
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
    whole["images"] = [
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
    return whole


def _words(
    text: str, x: float, y: float, size: float, colour: str, frame: Frame, edge: str
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
