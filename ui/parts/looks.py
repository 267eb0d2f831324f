"""How lines that are compared look: colour, symbol and dash, never colour alone."""

from __future__ import annotations

from dataclasses import dataclass

from ui.base.theme import DARK, Theme
from ui.parts.charts import Line

_LOOKS = (
    ("#0072B2", "circle", "solid"),
    ("#D55E00", "square", "dash"),
    ("#009E73", "diamond", "dashdot"),
    ("#CC79A7", "triangle-up", "longdash"),
    ("#E69F00", "cross", "solid"),
    ("#56B4E9", "star", "dash"),
    ("#999999", "x", "dashdot"),
    ("#8C6D1F", "pentagon", "longdash"),
)
MOST_LINES = len(_LOOKS)
_ON_DARK = {"#0072B2": "#56B4E9", "#56B4E9": "#B8E0F8", "#8C6D1F": "#C9A94E"}
_FAINT = "59"  # a third of opaque, in hexadecimal


@dataclass(frozen=True)
class Look:
    """What tells a line from the others."""

    colour: str
    symbol: str
    dash: str

    @property
    def faint(self) -> str:
        return f"{self.colour}{_FAINT}"


def look_of(line: Line, number: int, theme: Theme) -> Look:
    """The look of the line of that number; the random control is dotted and grey everywhere."""
    if line.name.startswith("Random"):
        return Look(theme.quiet, "circle", "dot")
    colour, symbol, dash = _LOOKS[number % MOST_LINES]
    return Look(_ON_DARK.get(colour, colour) if theme is DARK else colour, symbol, dash)
