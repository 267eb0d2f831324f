"""Garbage is collected when nobody waits.

A full collection looks at all that the server keeps, some hundred thousand objects, and stops every
page for a tenth of a second. Python would start one in the middle of a page; here it is started
when no page has been drawn for a moment. Young objects are collected as usual. From Python 3.14 on
collections are incremental, and this changes little.
"""

from __future__ import annotations

import gc
import threading
import time

import streamlit as st

_NEVER = 1_000_000_000
_REST_S = 1.0  # nobody waits when no page was drawn for so long
_EACH_S = 20.0  # at most so often
_LATEST_S = 120.0  # on a server that never rests
_LOOK_S = 0.5


class Collector:
    """Collects in a thread of its own. Pages say when they are drawn."""

    def __init__(self) -> None:
        self.drawn = self.collected = time.monotonic()
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, _NEVER)
        threading.Thread(target=self._serve, daemon=True).start()

    def due(self, now: float) -> bool:
        """Whether to collect now."""
        since = now - self.collected
        at_rest = now - self.drawn > _REST_S and self.drawn > self.collected
        return since > (_EACH_S if at_rest else _LATEST_S)

    def _serve(self) -> None:
        while True:
            time.sleep(_LOOK_S)
            if self.due(time.monotonic()):
                gc.collect()
                self.collected = time.monotonic()


@st.cache_resource(show_spinner=False)
def collector() -> Collector:
    """The collector of this server."""
    return Collector()
