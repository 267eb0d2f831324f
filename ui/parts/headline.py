"""What was found, in words that can be quoted: "15 times smaller and 1.6 times faster, for 1.4
points". It claims no more than the verdicts beside it."""

from __future__ import annotations

from paretoscope.measurement.measurement import Measurement
from paretoscope.methods.recipe import Recipe
from paretoscope.problems.accuracy import Difference
from paretoscope.problems.problems import spoken

from ui.base import words
from ui.base.words import Compared


def headline(
    now: Measurement | None,
    before: Measurement | None,
    time: Compared | None,
    *,
    margin: float,
    zipped: bool,
) -> str:
    """The finding of a recipe against the uncompressed model.

    Parameters
    ----------
    now, before : Measurement or None
        Of the recipe and of the uncompressed model; None: not known yet.
    time : Latency, Timing or None
        By protocol where it was taken, else the quick one; None: nothing is said of time.
    margin : float
        The loss that is asked about, in the score's unit.
    zipped : bool
        Whether sizes are those of the zipped files.
    """
    if now is None or before is None:
        return "Measuring the first file"
    if now.recipe == Recipe():
        return "The uncompressed model: prune or quantize it"
    gains = [_size(now, before, zipped=zipped)]
    if time is not None:
        gains.append(_speed(time))
    told = words.listed([gain for gain in gains if gain])
    told = told or "The score is known, the size is still to come"
    return f"{told[0].upper()}{told[1:]}{_cost(now, margin)}"


def _size(now: Measurement, before: Measurement, *, zipped: bool) -> str:
    sizes = [(m.gzip_bytes if zipped else m.size_bytes) for m in (now, before)]
    mine, first = sizes
    if mine is None or first is None:
        return ""
    ratio = first / mine
    if f"{ratio:.3g}" == "1":
        return "no smaller"
    told = _by(ratio, "smaller") if ratio > 1 else _by(1 / ratio, "larger")
    return f"about {told}" if zipped and now.gzip_is_estimate else told


def _speed(time: Compared) -> str:
    if time.verdict == "faster":
        return _by(1 / time.ratio, "faster")
    if time.verdict == "slower":
        return _by(time.ratio, "slower")
    return "" if time.verdict == "inconclusive" else "no faster"


def _by(factor: float, word: str) -> str:
    """A factor that rounds to one is none: "1 times larger" would tell nobody anything."""
    return f"a little {word}" if round(factor, 1) == 1 else f"{times(factor)} {word}"


def _cost(now: Measurement, margin: float) -> str:
    """What is paid in quality, as far as the rows can tell."""
    change, name = now.change, spoken(now.score)
    if change.interval is None:
        return f"; no interval tells what it costs in {name}"
    low, high = change.interval
    if low > 0 or high < 0:
        return f", {_paid(change, name)}"
    if change.verdict(margin) == "not worse":
        return f", with no measurable change in {name}"
    return f"; {change.n:,} rows cannot tell what it costs"


def _paid(change: Difference, name: str) -> str:
    """
    >>> from paretoscope.problems.figure import EstimatedDifference
    >>> _paid(EstimatedDifference(0.31, 9, (0.1, 0.5), higher_is_better=False), "RMSE")
    'for 0.31 more RMSE'
    """
    if change.unit != "%":
        direction = "more" if change.value > 0 else "less"
        joint = "for" if change.gain < 0 else "and"
        return f"{joint} {words.amount(change.value, change.unit)} {direction} {name}"
    lost = abs(round(100 * change.value, 1))
    amount = f"{lost:g} {'point' if lost == 1 else 'points'}"
    if change.gain < 0:
        return f"for {amount}" if name == "accuracy" else f"for {amount} of {name}"
    if name == "accuracy":
        return f"and {amount} more accurate"
    return f"and {amount} better in {name}"


def times(factor: float) -> str:
    """
    >>> times(1.62), times(5.98), times(15.04), times(1234.5)
    ('1.6 times', '6 times', '15 times', '1,234 times')
    """
    return f"{round(factor, 1):g} times" if factor < 9.95 else f"{factor:,.0f} times"


def sentence(
    title: str, now: Measurement, before: Measurement, time: Compared | None, *, zipped: bool
) -> str:
    """The figures beneath a headline, with the interval of accuracy."""
    told = f"{title}: {words.quality(now.quality)}"
    if now.score != "accuracy":
        told = f"{title}: {spoken(now.score)} {words.quality(now.quality)}"
    if now.quality.interval is not None:
        low, high = (words.bare(end, now.quality.unit) for end in now.quality.interval)
        told = f"{told} ({low} to {high})"
    start = [words.quality(before.quality)]
    n_bytes, n_before = (m.gzip_bytes if zipped else m.size_bytes for m in (now, before))
    ends = []
    if n_bytes is not None and n_before is not None:
        near = "about " if zipped and now.gzip_is_estimate else ""
        ends.append(near + words.sized(n_bytes, zipped=zipped))
        start.append(words.size(n_before))
    if time is not None:
        ends.append(words.duration(time.median_us))
        start.append(words.duration(time.baseline_median_us))
    at = f" at {words.listed(ends)}" if ends else ""
    return f"{told}{at}, from {words.listed(start)}"
