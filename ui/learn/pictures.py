"""The small pictures of Learn: twelve weights of which some are cut, and the same on Q's grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from paretoscope.textbook import Textbook, quantize

from ui.base.plot import Figure, Shape, Trace, bar, drawing, scatter
from ui.base.theme import CURSOR, FONT, PLAIN, Theme

_HEIGHT = 300
_MOST_LINES = 120


@dataclass(frozen=True)
class Weights:
    """Exactly what a picture draws: each weight by its name, and what it becomes."""

    names: tuple[str, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    step: float | None = None  # between values of the grid

    @property
    def alt(self) -> str:
        gone = sum(a == 0 for a in self.after)
        if self.step is None:
            return f"{len(self.before)} weights, the {gone} smallest of them cut."
        return (
            f"{len(self.before)} weights, each moved to the nearest multiple of {self.step:.3g}; "
            f"{gone} become zero."
        )


def cut(textbook: Textbook, count: int) -> Weights:
    """The twelve weights, the `count` smallest of them cut."""
    before = _flat(textbook)
    after = before.copy()
    after[np.argsort(np.abs(before))[:count]] = 0
    return Weights(_names(textbook), tuple(before.tolist()), tuple(after.tolist()))


def rounded(textbook: Textbook, q: int) -> Weights:
    """The twelve weights on the grid of a Q."""
    before = _flat(textbook)
    after = quantize(np.array(textbook.coefficients), q).ravel() / q
    return Weights(_names(textbook), tuple(before.tolist()), tuple(after.tolist()), 1 / q)


def _flat(textbook: Textbook) -> npt.NDArray[np.float64]:
    return np.array(textbook.coefficients).ravel()


def _names(textbook: Textbook) -> tuple[str, ...]:
    features = [name.removesuffix(" (cm)") for name in textbook.feature_names]
    return tuple(f"{label}, {feature}" for label in textbook.class_names for feature in features)


def cut_figure(record: Weights, theme: Theme) -> Figure:
    """A bar a weight, by size: kept ones solid, cut ones hatched."""
    order = np.argsort(np.abs(record.before))
    gone = [record.after[i] == 0 for i in order]
    names = [record.names[i] for i in order]
    data: list[Trace] = [
        bar(
            x=[abs(record.before[i]) for i in order],
            y=names,
            orientation="h",
            marker={
                "color": [theme.grid if g else theme.curve for g in gone],
                "pattern": {"shape": ["/" if g else "" for g in gone], "fgcolor": theme.quiet},
            },
            customdata=[record.before[i] for i in order],
            hovertemplate="%{y}: w = %{customdata:.3f}<extra></extra>",
        )
    ]
    base = _layout(theme, left=176)
    return drawing(
        data,
        base,
        xaxis={"title": {"text": "|w|"}, "gridcolor": theme.grid, "zeroline": False},
        yaxis={"tickfont": {"size": 11}, "automargin": False},
        uirevision="cut",
    )


def rounded_figure(record: Weights, theme: Theme) -> Figure:
    """The weights on a line of real numbers above, the values that Q can store below."""
    assert record.step is not None
    end = 1.08 * max(map(abs, record.before))
    n = int(end / record.step)
    values = [k * record.step for k in range(-n, n + 1)]
    shapes: list[Shape] = []
    if len(values) <= _MOST_LINES:
        shapes = [
            {
                "type": "line", "xref": "x", "yref": "y", "x0": v, "x1": v, "y0": -0.12, "y1": 0.12,
                "line": {"color": theme.curve, "width": 1.5},
            }
            for v in values
        ]  # fmt: skip
    moved_x: list[float | None] = []
    moved_y: list[float | None] = []
    for before, after in zip(record.before, record.after, strict=True):
        moved_x += [before, after, None]
        moved_y += [1.0, 0.0, None]
    told = [
        f"{name}: {b:.3f} becomes {a:.3f}"
        for name, b, a in zip(record.names, record.before, record.after, strict=True)
    ]
    data: list[Trace] = [
        scatter(
            x=moved_x, y=moved_y, mode="lines", line={"color": theme.faint, "width": 1.5},
            hoverinfo="skip",
        ),
        scatter(
            x=list(record.before), y=[1.0] * len(told), mode="markers", text=told,
            marker={"size": 11, "color": theme.ink}, hovertemplate="%{text}<extra></extra>",
        ),
        scatter(
            x=list(record.after), y=[0.0] * len(told), mode="markers", text=told,
            marker={"size": 11, "symbol": "circle-open", "color": CURSOR, "line": {"width": 2}},
            hovertemplate="%{text}<extra></extra>",
        ),
    ]  # fmt: skip
    return drawing(
        data,
        _layout(theme, left=86),
        shapes=shapes,
        xaxis={
            "title": {"text": "weight"}, "range": [-end, end], "gridcolor": theme.grid,
            "zeroline": False,
        },
        yaxis={
            "range": [-0.4, 1.4], "tickvals": [1, 0], "ticktext": ["w", "a / Q"],
            "showgrid": False, "zeroline": False,
        },
        uirevision="rounded",
    )  # fmt: skip


def _layout(theme: Theme, left: int) -> dict[str, object]:
    return {
        "template": PLAIN,
        "height": _HEIGHT,
        "font": {"color": theme.ink, "size": 13, "family": FONT},
        "paper_bgcolor": theme.paper,
        "plot_bgcolor": theme.paper,
        "margin": {"l": left, "r": 12, "t": 8, "b": 44},
        "showlegend": False,
    }
