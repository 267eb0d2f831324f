"""Charts as PNG without a visitor's browser, where Chrome or Chromium is installed."""

from __future__ import annotations

import json
import shutil
import threading
from functools import cache

from paretoscope.base.errors import ParetoscopeError, one_of

from ui.base.plot import SCRIPT, Figure, to_json
from ui.base.theme import SHARP

_one_at_a_time = threading.Lock()  # a browser takes hundreds of megabytes
_CHROMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@cache
def possible() -> bool:
    """Whether there is a browser to draw with."""
    return any(map(shutil.which, _CHROMES))


ENDINGS = [".png", ".svg"]


def drawn(figure: Figure, ending: str = ".png") -> bytes:
    """A figure with a size of its own as PNG, twice that sharp, or as SVG.

    Raises
    ------
    ParetoscopeError
        The ending is another, there is no browser, or it did not answer.
    """
    if ending not in ENDINGS:
        raise one_of("the picture's ending", ending, ENDINGS)
    if not possible():
        raise ParetoscopeError("pictures need Chrome or Chromium on this machine, which has none")
    import kaleido

    try:
        # Its defaults would load scripts from elsewhere.
        size = {"width": figure["layout"]["width"], "height": figure["layout"]["height"]}
        with _one_at_a_time:
            picture: bytes = kaleido.calc_fig_sync(
                json.loads(to_json(figure)),
                opts={"format": ending[1:], "scale": SHARP, **size},
                kopts={"plotlyjs": SCRIPT, "mathjax": False, "timeout": 60},
            )
    except Exception as error:  # kaleido and the browser's driver have errors of their own
        raise ParetoscopeError(f"the browser could not draw the chart: {error}") from error
    return picture
