"""What the charts show from left to right, and how much of the accuracy."""

from __future__ import annotations

import streamlit as st

from ui.parts.frame import sync_widget
from ui.state.address import ACROSS, SIZES, SPANS, View
from ui.state.view import change


def axes(view: View) -> None:
    """The two switches beneath a chart."""
    with st.container(horizontal=True, key="axes"):
        shown = view.size if view.across == "size" else view.across
        ways = SIZES | {name: title for name, title in ACROSS.items() if name != "size"}
        st.segmented_control(
            "Size shown",
            list(ways),
            default=sync_widget("size", shown),
            format_func=ways.__getitem__,
            key="size",
            required=True,
            label_visibility="collapsed",
            on_change=_set_across,
        )
        span(view)


def span(view: View) -> None:
    """The second of them alone."""
    st.segmented_control(
        "Accuracy shown",
        list(SPANS),
        default=sync_widget("span", view.span),
        format_func=SPANS.__getitem__,
        key="span",
        required=True,
        label_visibility="collapsed",
        on_change=lambda: change(span=st.session_state.span),
    )


def _set_across() -> None:
    chosen = st.session_state.size
    if chosen in SIZES:
        change(size=chosen, across="size")
    else:
        change(across=chosen)
