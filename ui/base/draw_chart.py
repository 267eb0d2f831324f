"""Draws one chart in Chrome or Chromium: JSON on standard input, JSON on standard output.

A program, not a module: `ui.base.rendering` starts it by its path.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any


def main() -> None:
    asked: dict[str, Any] = json.load(sys.stdin)
    answer: dict[str, str]
    try:
        import kaleido

        # Its defaults would load scripts from elsewhere.
        picture = kaleido.calc_fig_sync(
            asked["figure"],
            opts={name: asked[name] for name in ("format", "scale", "width", "height")},
            kopts={"plotlyjs": asked["script"], "mathjax": False, "timeout": 60},
        )
        answer = {"picture": base64.b64encode(picture).decode("ascii")}
    except Exception as error:  # kaleido and the browser's driver have errors of their own
        answer = {"error": f"{type(error).__name__}: {error}"}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
