"""What the charts show from left to right, and how much of the accuracy."""

from __future__ import annotations

import streamlit as st
from paretoscope.problems.score import Score

from ui.state.address import ACROSS, SIZES, SPANS, View
from ui.state.control import control
from ui.state.view import change


def axes(view: View, score: Score) -> None:
    """The two switches beneath a chart."""
    with st.container(horizontal=True, key="axes"):
        shown = view.size if view.across == "size" else view.across
        ways = SIZES | {name: title for name, title in ACROSS.items() if name != "size"}
        across = control("size", shown)
        st.segmented_control(
            "Size shown",
            list(ways),
            default=shown,
            format_func=ways.__getitem__,
            key=across.key,
            required=True,
            label_visibility="collapsed",
            on_change=across.then(_set_across),
        )
        span(view, score)


def span(view: View, score: Score) -> None:
    """The second of them alone."""
    near = SPANS["near"] if score.unit == "%" else "Near the uncompressed"
    shown = control("span", view.span)
    st.segmented_control(
        f"{score.title} shown",
        list(SPANS),
        default=view.span,
        format_func=(SPANS | {"near": near}).__getitem__,
        key=shown.key,
        required=True,
        label_visibility="collapsed",
        on_change=shown.then(lambda span: change(span=span)),
    )


def _set_across(chosen: str) -> None:
    if chosen in SIZES:
        change(size=chosen, across="size")
    else:
        change(across=chosen)
