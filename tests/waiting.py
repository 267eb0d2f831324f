"""Waiting for a condition: a slow machine is waited for, and what hangs is ended at last."""

from __future__ import annotations

import time
from collections.abc import Callable

HANGS_S = 200  # after which nobody believes any more that it comes


def until(condition: Callable[[], object], pause_s: float = 0.02) -> None:
    """Look again and again: what takes long is looked for less often."""
    deadline = time.monotonic() + HANGS_S
    while not condition():
        assert time.monotonic() < deadline, f"it did not come within {HANGS_S} s"
        time.sleep(pause_s)
        pause_s = min(1.2 * pause_s, max(pause_s, 1.5))
