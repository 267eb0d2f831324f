"""Charts as PNG without a visitor's browser, where Chrome or Chromium is installed."""

from __future__ import annotations

import json
import shutil
import threading
from functools import cache

from paretoscope.base.errors import ParetoscopeError

from ui.base.plot import SCRIPT, Figure, to_json
from ui.base.theme import PICTURE

_one_at_a_time = threading.Lock()  # a browser takes hundreds of megabytes
_CHROMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@cache
def possible() -> bool:
    """Whether there is a browser to draw with."""
    return any(map(shutil.which, _CHROMES))


def png(figure: Figure) -> bytes:
    """A figure as PNG of 1200 x 630 pixels, twice that sharp, as the camera button makes it.

    Raises
    ------
    ParetoscopeError
        There is no browser, or it did not answer.
    """
    if not possible():
        raise ParetoscopeError("pictures need Chrome or Chromium on this machine, which has none")
    import kaleido

    try:
        # Its defaults would load scripts from elsewhere.
        with _one_at_a_time:
            drawn: bytes = kaleido.calc_fig_sync(
                json.loads(to_json(figure)),
                opts={"format": "png", **PICTURE},
                kopts={"plotlyjs": SCRIPT, "mathjax": False, "timeout": 60},
            )
    except Exception as error:  # kaleido and the browser's driver have errors of their own
        raise ParetoscopeError(f"the browser could not draw the chart: {error}") from error
    return drawn
