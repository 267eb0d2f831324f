"""Garbage of the server is collected when nobody waits."""

from __future__ import annotations

import gc

from ui.base.collector import Collector


def test_it_collects_at_rest_and_at_the_latest_after_two_minutes() -> None:
    before = gc.get_threshold()
    try:
        collector = Collector()
        young, middle, full = gc.get_threshold()
        assert (young, middle) == before[:2]
        assert full > 1_000_000  # Python itself starts no full collection
        start = collector.collected = 1_000.0
        collector.drawn = start + 30
        assert not collector.due(start + 30.5)  # a page was drawn just now
        assert collector.due(start + 32)
        collector.drawn = start - 5
        assert not collector.due(start + 32)  # nothing was drawn since: there is no garbage
        assert collector.due(start + 121)
    finally:
        gc.set_threshold(*before)
