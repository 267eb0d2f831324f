"""The three large figures of a recipe, each with its verdict as a badge."""

from __future__ import annotations

from typing import Literal

import streamlit as st
from paretoscope.artifact.quick_latency import BATCHES, Latency
from paretoscope.data.dataset import OPEN
from paretoscope.measurement.latency_protocol import Timing
from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.recipe import Recipe
from paretoscope.problems.accuracy import Change, Difference

from ui.base import words
from ui.base.words import Compared
from ui.state.address import View
from ui.state.subject import Subject

Colour = Literal["green", "orange", "red", "gray"]
_COLOURS: dict[str, Colour] = {
    "faster": "green",
    "slower": "red",
    "smaller": "green",
    "larger": "red",
}


def show(
    view: View,
    subject: Subject,
    now: Measurement | None,
    before: Measurement | None,
    timing: Timing | None,
    several: dict[int, Timing],
) -> None:
    """Draw them; `timing` is that of one row by protocol, `several` those of more rows."""
    with st.container(horizontal=True, key="figures"):
        if now is None or before is None:
            for label in (subject.score.title, f"Size, {_kind(view)}", "Time, one row"):
                _metric(label, "…", "measuring", "gray")
            return
        _quality(view, subject, now, before)
        _size(view, subject, now, before)
        _time(subject, now, before, timing, several)


def _metric(
    label: str, value: str, badge: str, colour: Colour, beside: str = "", help_text: str = ""
) -> None:
    """One of them: what stands beside the badge is one line, the rest is said on hover."""
    st.metric(
        label,
        value,
        delta=badge,
        delta_color=colour,
        delta_arrow="off",
        delta_description=beside or None,
        border=True,
        help=help_text or None,
    )


def _kind(view: View) -> str:
    return "zipped" if view.zipped else "on disk"


def _label(name: str, before: str) -> str:
    return f"{name} :gray[from {before}]"


def _quality(view: View, subject: Subject, now: Measurement, before: Measurement) -> None:
    change = now.change
    told = f"{words.ends(change)}, n = {change.n:,}"
    if now.computed:
        told = f"{told}, computed"
    verdict, colour = _verdict(change, view.margin_of(subject))
    if now.recipe == Recipe():  # it need not be told from itself
        verdict, told = "uncompressed", words.quality_interval(now.quality)
    _metric(
        _label(subject.score.title, words.quality(before.quality)),
        words.quality(now.quality),
        verdict,
        colour,
        told,
        f"{words.change_words(change, view.margin_of(subject))}. "
        f"{words.quality_interval(now.quality)}{_learned(subject, now)}. {_flips(change)}",
    )


def _verdict(change: Difference, margin: float) -> tuple[str, Colour]:
    """In the words of a badge, with its colour."""
    if change.interval is None:
        return "no interval", "gray"
    low, high = change.interval
    by = words.amount(change.value, change.unit).replace(" pt", " points")
    if low > 0 or high < 0:
        return (f"{by} worse", "orange") if change.gain < 0 else (f"{by} better", "green")
    if change.verdict(margin) == "not worse":
        return f"not worse by {words.limit(margin, change.unit)}", "green"
    return "cannot tell", "gray"


def _learned(subject: Subject, now: Measurement) -> str:
    """What of the rows that are counted the recipe has seen."""
    recipe = now.recipe
    told = "; the best epoch was chosen on these rows" if recipe.trains else ""
    if now.computed:
        told += "; computed, not yet run"
    if subject.baseline.split != OPEN:
        return told
    told = f"; all rows but those kept for the end{told}"
    if recipe.needs_no_rows:
        return told
    return f"{told}; the recipe learned from {len(subject.dataset.train):,} of them"


def _flips(change: Difference) -> str:
    if not isinstance(change, Change):
        return ""
    return (
        f"{change.newly_wrong:,} of {change.n:,} rows are newly wrong, {change.newly_right:,} "
        f"newly right (McNemar's exact {words.probability(change.p_value)}). "
        "Which ones: page Evidence."
    )


def _size(view: View, subject: Subject, now: Measurement, before: Measurement) -> None:
    """The size that is shown everywhere, and the other one beside the badge."""
    sizes = {
        "zipped": (now.gzip_bytes, before.gzip_bytes),
        "on disk": (now.size_bytes, before.size_bytes),
    }
    first, second = ("zipped", "on disk") if view.zipped else ("on disk", "zipped")
    n_bytes, n_before = sizes[first]
    near = {"zipped": "about " if now.gzip_is_estimate else "", "on disk": ""}
    exact = "; ".join(
        f"{near[kind]}{n:,} bytes {kind}" for kind, (n, _) in sizes.items() if n is not None
    )
    told = "measuring"
    colour: Colour = "gray"
    if n_bytes is not None and n_before is not None:
        told = words.smaller(n_bytes, n_before)
        colour = _COLOURS.get(told.split()[-1], "gray")
    n_other, n_other_before = sizes[second]
    other = f"{second}: measuring"
    if n_other is not None and n_other_before is not None:
        other = f"{near[second]}{words.sized(n_other, zipped=second == 'zipped')}"
        other += f", {words.smaller(n_other, n_other_before)}"
    brought = " that you brought" if subject.network.brought is not None else ""
    start = "…" if n_before is None else words.size(n_before)
    _metric(
        _label(f"Size, {first}", start),
        "…" if n_bytes is None else near[first].replace("about", "\u2248") + words.size(n_bytes),
        told,
        colour,
        other,
        f"{exact}; from the {start}{brought}. Zipped is gzip −9. The axis of the chart chooses "
        "which size is shown: here, in titles and budget, and in what is downloaded.",
    )


def _time(
    subject: Subject,
    now: Measurement,
    before: Measurement,
    timing: Timing | None,
    several: dict[int, Timing],
) -> None:
    """By protocol where that was measured, else the quick figure."""
    latency = now.latency()
    one: Compared | None = timing or latency
    if one is None:
        _metric("Time, one row", "…", "measuring", "gray", "", "It comes with the file.")
        return
    how = "by protocol" if timing is not None else "quick"
    verdict = words.faster(one)
    more: dict[int, Latency | Timing | None] = {
        rows: several.get(rows) if timing is not None else now.latency(rows) for rows in BATCHES[1:]
    }
    _metric(
        _label("Time, one row", words.duration(one.baseline_median_us)),
        words.duration(one.median_us),
        verdict,
        _COLOURS.get(verdict.split()[-1], "gray"),
        f"ratio {words.ratio(one)}, {how}",
        f"{_how(timing, latency)} {_several(more)}. {_beside(subject)}",
    )


def _how(timing: Timing | None, latency: Latency | None) -> str:
    told = "Median of one call with one row, on one thread"
    if timing is not None:
        low, high = timing.noise_interval
        return (
            f"{told}, by protocol: five processes of their own, beside an identical copy of the "
            f"uncompressed model, which took {low:.2f} to {high:.2f} of its time. More on the page "
            "Evidence."
        )
    assert latency is not None
    low, high = latency.quartiles_us
    quartiles = f"{words.three_digits(low)} to {words.three_digits(high)} µs"
    return (
        f"{told}, in turn with the uncompressed model (quick: within one process). Quartiles "
        f"{quartiles}."
    )


def _beside(subject: Subject) -> str:
    """Which model a time is compared with: of one that was brought the copy whose weights are
    float32, which it need not be itself."""
    if subject.network.brought is None:
        return "Compared with the uncompressed model."
    return "Compared with your model as float32."


def _several(times: dict[int, Latency | Timing | None]) -> str:
    """Times of calls with several rows."""
    told = [
        f"{rows} rows: "
        + ("measuring" if t is None else f"{words.duration(t.median_us)}, {words.faster(t)}")
        for rows, t in times.items()
    ]
    return "; ".join(told)
