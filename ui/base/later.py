"""A part of a page that is to be drawn again once, after a while: what it waits for comes in the
background, and a timer that goes on would ask for ever."""

from __future__ import annotations

from itertools import count
from typing import Any

import streamlit as st

_number = count()
_JS = """
export default function ({ data, setTriggerValue }) {
  const due = setTimeout(() => setTriggerValue("due", data.number), data.after);
  return () => clearTimeout(due);
}
"""


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component("paretoscope_later", html="<span></span>", js=_JS)


def again(key: str, after_ms: int) -> None:
    """Have the browser ask once for this fragment, so many milliseconds from now."""
    data = {"number": next(_number), "after": after_ms}
    _component()(key=key, data=data, on_due_change=lambda: None)
