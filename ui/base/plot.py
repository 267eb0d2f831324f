"""Charts that stay: drawn by `Plotly.react`, so that zoom and legend survive a slider's move.

`st.plotly_chart` makes a new chart whenever its figure changes, which loses what the visitor did to
the old one and takes half as long again. Plotly's script is its distribution for charts with axes,
a third of the whole, which Streamlit serves from the folder `static`; where the server was told not
to, charts are Streamlit's own, and clicks on points do nothing.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ui.base.theme import SHARP

# A figure as Plotly's script takes it: {"data": traces, "layout": ...}. Plotly's own Python classes
# check each value, which takes longer than all else in a page; they do so in tests instead.
Figure = dict[str, Any]
Trace = dict[str, Any]
Shape = dict[str, Any]

SCRIPT = Path(__file__).resolve().parents[2] / "static" / "plotly-cartesian-4.1.1.min.js"
MARK = SCRIPT.parent / "mark.svg"
_JS, _SAVE_JS = (Path(__file__).with_name(name) for name in ("plot.js", "save_buttons.js"))
_CSS = """
.paretoscope-plot {width: 100%; position: relative}
.paretoscope-plot canvas {position: absolute; pointer-events: none}
.paretoscope-plot .paretoscope-on-dot .nsewdrag {cursor: pointer}
.paretoscope-tip {position: absolute; z-index: 2; max-width: 360px; padding: 4px 8px;
  font-size: 13px; white-space: pre-wrap; overflow-wrap: anywhere; pointer-events: none;
  border-radius: 4px; background: #444; color: #fff}
"""
_SAVE_CSS = """
.paretoscope-save {display: flex; flex-wrap: wrap; gap: 0.5rem}
.paretoscope-save button {font: inherit; color: inherit; background: none; cursor: pointer;
  padding: 0.4rem 0.75rem; min-height: 2.5rem; border-radius: 0.5rem;
  border: 1px solid var(--st-border-color, #c8c8c8)}
.paretoscope-save button:hover {color: var(--st-primary-color)}
"""
_HTML = """<div class="paretoscope-plot" role="figure"><canvas></canvas><div></div>
<div class="paretoscope-tip" hidden></div></div>"""


def scatter(**parts: Any) -> Trace:
    """A trace of points, lines or both."""
    return {"type": "scatter", **parts}


def bar(**parts: Any) -> Trace:
    """A trace of bars."""
    return {"type": "bar", **parts}


def heatmap(**parts: Any) -> Trace:
    """A trace of coloured cells."""
    return {"type": "heatmap", **parts}


def drawing(
    data: Sequence[Trace], layout: dict[str, Any], *, shapes: Sequence[Shape] = (), **more: Any
) -> Figure:
    """A figure: its traces, what all charts share of the layout, and what this one has more."""
    return {"data": list(data), "layout": layout | {"shapes": list(shapes)} | more}


def dashed(colour: str) -> dict[str, Any]:
    """A thin line for what is compared with."""
    return {"color": colour, "width": 1, "dash": "dash"}


def dotted(colour: str) -> dict[str, Any]:
    """A line for a limit that somebody set."""
    return {"color": colour, "width": 2, "dash": "dot"}


def rectangle(**parts: Any) -> Shape:
    """A shape: an area behind the traces, without an edge."""
    return {"type": "rect", "line": {"width": 0}, "layer": "below", **parts}


def line_across(
    axis: Literal["x", "y"], at: float, line: dict[str, Any], layer: str = "below"
) -> Shape:
    """A shape: the line through the whole chart where an axis is at a value."""
    other = "y" if axis == "x" else "x"
    ends = {f"{axis}0": at, f"{axis}1": at, f"{other}0": 0, f"{other}1": 1}
    refs = {f"{axis}ref": axis, f"{other}ref": f"{other} domain"}
    return {"type": "line", "line": line, "layer": layer, **ends, **refs}


@dataclass(frozen=True)
class Drawn:
    """A figure as the browser is sent it: made once, for as long as it stays the same."""

    json: str
    height: int
    alt: str


def drawn(figure: Figure, alt: str) -> Drawn:
    return Drawn(to_json(figure), figure["layout"]["height"], alt)


def to_json(figure: Figure) -> str:
    """What Plotly's script is given."""
    return orjson.dumps(figure, option=orjson.OPT_SERIALIZE_NUMPY).decode()


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component(
        "paretoscope_plot",
        html=_HTML,
        css=_CSS,
        js=_JS.read_text(encoding="utf-8"),
        isolate_styles=False,
    )


def chart(
    figure: Figure | Drawn,
    *,
    key: str,
    alt: str = "",
    config: dict[str, Any],
    on_pick: Callable[[str], None] | None = None,
    place: DeltaGenerator | None = None,
    wait_ms: int = 0,
) -> None:
    """Draw a figure.

    Parameters
    ----------
    figure : Figure or Drawn
        With a height of its own, and a `uirevision` for as long as zoom is to be kept.
    key : str
    alt : str
        The chart in a sentence, for screen readers; what is drawn already has its own.
    config : dict
        As `ui.palette.camera` makes it.
    on_pick : callable, optional
        Is given the first of a clicked point's `customdata`, in a callback.
    place : container, optional
    wait_ms : int, default 0
        How long the browser leaves others the first turn, after something has changed.
    """
    if not isinstance(figure, Drawn):
        figure = Drawn(to_json(figure), figure["layout"]["height"], alt)
    with place or contextlib.nullcontext():
        if not st.get_option("server.enableStaticServing"):
            plain = json.loads(figure.json)
            st.plotly_chart(plain, key=key, theme=None, config=config, alt=figure.alt)
            return

        def picked() -> None:
            clicked = st.session_state[key].get("clicked")
            if clicked is not None and on_pick is not None:
                on_pick(str(clicked))

        base = st.get_option("server.baseUrlPath").strip("/")
        _component()(
            key=key,
            data={
                "figure": figure.json,
                "config": json.dumps(config),
                "alt": figure.alt,
                "height": figure.height,
                "wait": wait_ms,
                "clicks": on_pick is not None,
                "script": f"{'/' + base if base else ''}/app/static/{SCRIPT.name}",
            },
            on_clicked_change=picked,
        )


@dataclass(frozen=True)
class Picture:
    """One that can be saved: a figure with a size of its own, as "png" or "svg"."""

    label: str
    figure: Figure
    format: Literal["png", "svg"] = "png"


@st.cache_resource(show_spinner=False)
def _save_buttons() -> Any:
    return st.components.v2.component(
        "paretoscope_save",
        html='<div class="paretoscope-save"></div>',
        css=_SAVE_CSS,
        js=_SAVE_JS.read_text(encoding="utf-8"),
        isolate_styles=False,
    )


def save_buttons(pictures: Sequence[Picture], *, name: str, key: str) -> None:
    """A button for each picture, which the browser draws: on a page that draws a chart, too."""
    _save_buttons()(
        key=key,
        data={
            "name": name,
            "sharp": SHARP,
            "pictures": [
                {"label": p.label, "figure": to_json(p.figure), "format": p.format}
                for p in pictures
            ],
        },
    )
