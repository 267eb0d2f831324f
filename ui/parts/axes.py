"""What the charts show from left to right, and how much of the accuracy."""

from __future__ import annotations

import streamlit as st

from ui.state.address import ACROSS, SIZES, SPANS, View
from ui.state.control import control
from ui.state.view import change


def axes(view: View) -> None:
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
        span(view)


def span(view: View) -> None:
    """The second of them alone."""
    shown = control("span", view.span)
    st.segmented_control(
        "Accuracy shown",
        list(SPANS),
        default=view.span,
        format_func=SPANS.__getitem__,
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
