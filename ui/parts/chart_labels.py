"""The labels of a trade-off chart, each beside what it names, in place of a legend."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ui.base import words
from ui.base.theme import CURSOR, Theme
from ui.parts.charts import Line, TradeOff
from ui.parts.labels import BROAD_WIDTHS, NARROW_WIDTHS, WIDTHS, Place, Room, around, extent
from ui.parts.looks import look_of

HEIGHT = 376
_MARGIN = {"l": 50, "r": 12, "t": 32, "b": 44}
_ALONG = 100  # marks that stand for a line across the chart
_FEW = 12  # points of the front beside which its name is tried


@dataclass(frozen=True)
class Frame:
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


PAGE = Frame(0, HEIGHT, _MARGIN, WIDTHS, 13, 0.54)
PHONE = replace(PAGE, widths=NARROW_WIDTHS)
BROAD = replace(PAGE, height=470, widths=BROAD_WIDTHS)  # the one picture of a page


def share_of(record: TradeOff, x: float, y: float) -> tuple[float, float]:
    """Where a place lies, as shares of the chart's width and height."""
    left, right = record.x_range
    up = record.height_of(y)
    if record.axis == "time":
        return (x - left) / (right - left), up
    return math.log(x / left) / math.log(right / left), up


def _room(record: TradeOff, frame: Frame) -> Room:
    """The plot area with what is drawn in it."""
    room = Room(frame.plot_height, frame.widths)
    for line in (record.curve, *record.lines):
        room.line(share_of(record, p.x, p.y) for p in line.points)
        for p in line.points:
            room.mark(*share_of(record, p.x, p.y), 6)
    places = [share_of(record, p.x, p.y) for p in record.front]
    steps: list[tuple[float, float]] = []
    for place in places:
        if steps:
            steps.append((place[0], steps[-1][1]))
        steps.append(place)
    room.line(steps, 0.7)
    for x, y in zip(record.dots.x, record.dots.y, strict=True):
        room.mark(*share_of(record, x, y), 2.5, 0.2)
    for _, p in record.pins:
        room.mark(*share_of(record, p.x, p.y), 10)
    across = [record.limits[0], None if record.baseline is None else record.baseline.y]
    for level in across:
        if level is not None:
            _, up = share_of(record, record.x_range[1], level)
            for along in range(_ALONG):
                room.mark(along / _ALONG, up, 1.0)
    for large in (record.baseline, record.cursor):
        if large is not None:
            room.mark(*share_of(record, large.x, large.y), 12)
    return room


def label_annotations(record: TradeOff, theme: Theme, frame: Frame) -> list[dict[str, Any]]:
    """The labels, the one of the ring first: it finds a place where there is any."""
    room = _room(record, frame)
    by_size = record.axis != "time"
    found = [_ring_label(record, theme, room, frame)]
    if by_size and record.baseline is not None and record.baseline != record.cursor:
        found.append(_star_name(record, theme, room, frame))
    if record.band is not None:
        found.append(_band_name(record, theme, room, frame))
    least, _ = record.limits
    if least is not None and 0 < record.height_of(least) < 1:
        found.append(_budget_name(record, theme, room, least, frame))
    if record.front and by_size:
        found.append(_front_name(record, theme, room, frame))
    if record.curve.points and by_size:
        found.append(_line_name(record.curve, record, theme.curve, room, frame))
    for number, line in enumerate(record.lines):
        colour = look_of(line, number, theme).colour
        found.append(_line_name(line, record, colour, room, frame))
    return [label for label in found if label is not None]


Spots = Iterable[tuple[float, float, Place]]  # in the chart's own units


def _label(
    record: TradeOff, room: Room, lines: Sequence[str], size: float, frame: Frame, spots: Spots,
    border: float = 0,
) -> dict[str, Any] | None:  # fmt: skip
    """Text at the best of the spots, if one is free; `border` pixels on each side are its own."""
    width, height = extent([_plain(line) for line in lines], size, frame.wide)
    shares = {(*share_of(record, x, y), place): (x, y) for x, y, place in spots}
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


def _ring_label(record: TradeOff, theme: Theme, room: Room, frame: Frame) -> dict[str, Any] | None:
    """In a box, with a line to the ring."""
    cursor = record.cursor
    if cursor is None:
        return None
    lines = [f"<b>{cursor.shown}</b>"]
    if record.axis != "time":
        lines = [f"<b>{words.valued(cursor.y, record.unit)}, {cursor.shown}</b>", record.brief]
    for n in range(len(lines), 0, -1):
        width, height = extent([_plain(line) for line in lines[:n]], frame.font, frame.wide)
        places = around(width + 10, height + 10, 22)
        spots = [(cursor.x, cursor.y, place) for place in places]
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


def _star_name(record: TradeOff, theme: Theme, room: Room, frame: Frame) -> dict[str, Any] | None:
    star, size = record.baseline, frame.font - 1
    assert star is not None
    width, _ = extent(["uncompressed"], size, frame.wide)
    places = [Place(-width / 2 - 6, 15), Place(-width / 2 - 6, -15), Place(0, 20), Place(0, -20)]
    places += [Place(-width / 2 - 6, -15 - 20 * k) for k in range(1, 6)]
    places += [Place(width / 2 + 6, 15), Place(width / 2 + 6, -15)]
    spots = [(star.x, star.y, place) for place in places]
    return _in(theme.ink, _label(record, room, ["uncompressed"], size, frame, spots))


def _budget_name(
    record: TradeOff, theme: Theme, room: Room, least: float, frame: Frame
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


def _front_name(record: TradeOff, theme: Theme, room: Room, frame: Frame) -> dict[str, Any] | None:
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
        spots = [(p.x, p.y, place) for place in places for p in some]
        found = _label(record, room, lines, size, frame, spots)
        if found is not None:
            return _in(theme.ink, found)
    return None


def _line_name(
    line: Line, record: TradeOff, colour: str, room: Room, frame: Frame
) -> dict[str, Any] | None:
    """Beside one of the line's points, of those that are equally clear the lowest."""
    size = frame.font - 1
    seen = [p for p in line.points if record.height_of(p.y) > 0]
    places = _beside(*extent([line.name], size, frame.wide))
    lowest_first = sorted(seen, key=lambda p: record.height_of(p.y))
    spots = [(p.x, p.y, place) for p in lowest_first for place in places]
    return _in(colour, _label(record, room, [line.name], size, frame, spots))


def _band_name(record: TradeOff, theme: Theme, room: Room, frame: Frame) -> dict[str, Any] | None:
    """In the band or beside it, where it hides least."""
    assert record.band is not None
    low, high = record.y_range
    lines, size = record.band_name, frame.font - 1
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
