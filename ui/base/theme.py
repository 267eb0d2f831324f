"""One visual language for all charts (Okabe-Ito colours; never colour alone)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from ui.base import words

CURSOR = "#D55E00"


@dataclass(frozen=True)
class Theme:
    """Colours that depend on light or dark."""

    ink: str
    quiet: str
    grid: str
    paper: str
    band: str
    curve: str
    faint: str
    sweet: str
    budget: str
    dot: str
    undecided: str
    under: str
    leader: str
    cut: str


LIGHT = Theme(
    ink="#1A1A1A",
    quiet="#5F5F5F",
    grid="#E6E6E6",
    paper="#FFFFFF",
    band="rgba(120,120,120,0.18)",
    curve="#0072B2",
    faint="rgba(0,114,178,0.55)",
    sweet="rgba(0,138,99,0.09)",
    budget="#00704F",
    dot="rgba(90,115,140,0.30)",
    undecided="rgba(50,75,105,0.62)",
    under="rgba(23,32,43,0.035)",
    leader="#F0C7A8",
    cut="#C3CEDA",
)
DARK = Theme(
    ink="#F2F2F2",
    quiet="#B4B4B4",
    grid="#33373F",
    paper="#0E1117",
    band="rgba(190,190,190,0.20)",
    curve="#56B4E9",
    faint="rgba(86,180,233,0.55)",
    sweet="rgba(0,158,115,0.16)",
    budget="#2FC79C",
    dot="rgba(150,175,200,0.30)",
    undecided="rgba(190,210,230,0.65)",
    under="rgba(242,242,242,0.045)",
    leader="#8A5A33",
    cut="#454D5A",
)


def here() -> Theme:
    """The theme that the visitor's browser shows now."""
    return DARK if st.context.theme.type == "dark" else LIGHT


# Of pins A, B, C and so on; the same on every page.
_PINS_LIGHT = ("#009E73", "#CC79A7", "#A66F00", "#0072B2", "#5F5F5F", "#1A1A1A")
_PINS_DARK = ("#2FC79C", "#E79CC5", "#E69F00", "#56B4E9", "#B4B4B4", "#F2F2F2")
LETTERS = "ABCDEF"


def pin_colour(number: int, theme: Theme) -> str:
    return (_PINS_DARK if theme is DARK else _PINS_LIGHT)[number]


PLAIN: dict[str, Any] = {"layout": {}}  # a template that sets nothing, not Streamlit's own
FONT = "Source Sans, Source Sans Pro, sans-serif"
BAR_COLOURS = ("#0072B2", "#009E73", "#E69F00", "#999999")


def layout(
    theme: Theme,
    title: str,
    lines: Sequence[str],
    height: int,
    provenance: str,
    left: int = 58,
) -> dict[str, Any]:
    """What all charts beside the trade-offs have in common: a title with lines beneath it, so that
    a picture can stand alone, and the provenance at the foot. `left` is the margin in pixels."""
    below = "".join(f"<br><span style='font-size:12px'>{line}</span>" for line in lines)
    return {
        "template": PLAIN,
        "height": height,
        "font": {"color": theme.ink, "size": 13, "family": FONT},
        "paper_bgcolor": theme.paper,
        "plot_bgcolor": theme.paper,
        "margin": {"l": left, "r": 16, "t": 66 + 17 * len(lines), "b": 112},
        "title": {
            "text": title + below,
            "font": {"size": 16},
            "x": 0.01,
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 14},
        },
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 12}},
        "annotations": [provenance_line(provenance, 8 - left, -108, theme)],
        "hoverlabel": {"font": {"size": 13}},
    }


def provenance_line(text: str, x: int, y: int, theme: Theme) -> dict[str, Any]:
    """Where a chart's figures are from, at its foot: pixels from the corner of the axes."""
    return {
        "text": text,
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": 0,
        "xshift": x,
        "yshift": y,
        "xanchor": "left",
        "yanchor": "bottom",
        "align": "left",
        "showarrow": False,
        "font": {"size": 10, "color": theme.quiet},
    }


def log_bytes(title: str) -> dict[str, Any]:
    """An axis of bytes on a log scale, with sizes in words at 1, 2 and 5 times powers of ten."""
    ticks = [m * 10**e for e in range(1, 9) for m in (1, 2, 5)]
    shown = [words.size(tick).replace(".00", "").replace(".0", "") for tick in ticks]
    return {"type": "log", "tickvals": ticks, "ticktext": shown, "title": {"text": title}}


PICTURE = {"width": 1200, "height": 630}  # what links show
SQUARE = {"width": 1080, "height": 1080}
SHARP = 2  # times as many pixels


def camera(name: str) -> dict[str, Any]:
    """A chart's configuration: its camera takes a picture of the size that links show, twice.

    Plotly's own button to share would send the chart to its company's server.
    """
    picture = {"format": "png", "filename": name, "scale": SHARP, **PICTURE}
    return {
        "displaylogo": False,
        "toImageButtonOptions": picture,
        "modeBarButtonsToRemove": ["sendChartToCloud", "lasso2d", "select2d"],
        "plotlyServerURL": "",
    }
