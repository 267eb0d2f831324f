"""Charts as PNG without a visitor's browser, where Chrome or Chromium is installed.

A process of its own draws each: what drives the browser once in a while waits for ever.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

from paretoscope.base.errors import ParetoscopeError, one_of

from ui.base.plot import SCRIPT, Figure, to_json
from ui.base.theme import SHARP

_PROGRAM = Path(__file__).with_name("draw_chart.py")
_WAITS_S = (60, 120)  # of each try
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
    asked = {
        "figure": json.loads(to_json(figure)),
        "script": str(SCRIPT),
        "format": ending[1:],
        "scale": SHARP,
        "width": figure["layout"]["width"],
        "height": figure["layout"]["height"],
    }
    for wait_s in _WAITS_S:
        answer = _answer(json.dumps(asked).encode(), wait_s)
        if answer is not None:
            break
    else:
        raise ParetoscopeError(f"the browser drew nothing in {_WAITS_S[-1]} seconds")
    if "error" in answer:
        raise ParetoscopeError(f"the browser could not draw the chart: {answer['error']}")
    return base64.b64decode(answer["picture"])


def _answer(asked: bytes, wait_s: float) -> dict[str, str] | None:
    """What the process says; None where it took too long, and was ended."""
    process = subprocess.Popen(
        [sys.executable, str(_PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(asked, timeout=wait_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):  # it, and a browser that it left
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    try:
        answer: dict[str, str] = json.loads(said)
    except ValueError:
        return {"error": f"its process ended with {process.returncode}"}
    return answer
