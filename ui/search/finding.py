"""What a search found, or what is known without one, in a sentence."""

from __future__ import annotations

from paretoscope.measurement.measurement import Measurement

from ui.base import words
from ui.parts.grid import shown_size
from ui.parts.headline import times
from ui.state.address import Judged, View


def finding(
    best: Measurement | None,
    before: Measurement | None,
    view: View,
    judged: Judged,
    *,
    searched: bool,
    searching: bool,
) -> str:
    """The answer: the smallest (or the fastest) within the budget.

    Parameters
    ----------
    best : Measurement or None
        Within the budget; None: nothing is, or nothing is known yet.
    before : Measurement or None
        Of the uncompressed model.
    view : View
        Its budget and aim.
    judged : Judged
        The score, for the budget's loss.
    searched, searching : bool
        Whether a search has ended, and whether one is at work.
    """
    if before is None:
        return "Measuring the uncompressed model"
    within = "within your budget"
    drop = None if before is None else view.drop_of(judged)
    if drop is not None and view.kb is None and view.us is None:
        within = f"within {words.loss(drop, judged.score)}"
    if best is None:
        if searched:
            return f"Nothing was found {within}"
        if searching:
            return f"Searching {within}"
        what = "the fastest" if view.aim == "time" else "what is small enough"
        return f"Search for {what} {within}"
    how = "found" if searched else "known so far" if searching else "known"
    latency = best.latency()
    if view.aim == "time" and latency is not None:
        told = f"Fastest {how} {within}: {words.duration(latency.median_us)}"
        speed = {"faster": f", {times(1 / latency.ratio)} faster"}
        return told + speed.get(latency.verdict, ", no measurable gain")
    zipped = view.aim != "file"
    size, first = shown_size(best, zipped), shown_size(before, zipped)
    if size is None:
        return f"Smallest {how} {within}"
    told = f"Smallest {how} {within}: {words.size(size)}"
    if first is None:
        return told
    ratio = first / size
    return told + (f", {times(ratio)} smaller" if ratio > 1 else ", no smaller")
