"""Fragments that write to places which the page made for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import streamlit as st
from streamlit.errors import StreamlitInvalidLayoutContextError

P = ParamSpec("P")


def in_places(draw: Callable[P, None]) -> Callable[P, None]:
    """Draw a fragment, or the whole page where its places are gone.

    Where a run of the page is ended by the next before it came to the fragment, Streamlit forgets
    the fragment's places; a timer that asks for it then would only ever be told so.
    """

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            draw(*args, **kwargs)
        except StreamlitInvalidLayoutContextError:
            st.rerun()

    return drawn
