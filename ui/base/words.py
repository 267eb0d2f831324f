"""Figures as words: three significant digits, a unit always, thousands separated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from paretoscope.artifact.quick_latency import Verdict
from paretoscope.problems.accuracy import Difference, Figure
from paretoscope.problems.score import Score

MINUS = "\u2212"
TIMES = "\u00d7"


def three_digits(value: float) -> str:
    """
    >>> [three_digits(v) for v in (0.01234, 4.0, 9.996, 27.56, 143.4, 6570.2, -0.5)]
    ['0.0123', '4.00', '10.0', '27.6', '143', '6,570', '−0.5']
    """
    if value == 0:
        return "0"
    if value < 0:
        return f"{MINUS}{three_digits(-value)}"
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    digits = len(str(int(abs(float(f"{value:.3g}"))))) if abs(value) >= 1 else 0
    return f"{value:.{3 - digits}f}" if digits else f"{value:.3g}"


def size(n_bytes: float) -> str:
    """
    >>> size(810), size(8192), size(1067339)
    ('810 B', '8.19 kB', '1.07 MB')
    """
    if n_bytes < 1000:
        return f"{n_bytes:.0f} B"
    if n_bytes < 999_500:
        return f"{three_digits(n_bytes / 1000)} kB"
    return f"{three_digits(n_bytes / 1e6)} MB"


def duration(microseconds: float) -> str:
    """
    >>> duration(4.2), duration(1290)
    ('4.20 µs', '1.29 ms')
    """
    if microseconds < 1000:
        return f"{three_digits(microseconds)} \u00b5s"
    return f"{three_digits(microseconds / 1000)} ms"


def listed(parts: Sequence[str]) -> str:
    """
    >>> listed(["1", "16", "256"]), listed(["1"]), listed([])
    ('1, 16 and 256', '1', '')
    """
    *first, last = parts or [""]
    return f"{', '.join(first)} and {last}" if first else last


def percent(share: float, digits: int = 1) -> str:
    """
    >>> percent(0.975)
    '97.5 %'
    """
    return f"{100 * share:.{digits}f} %"


def points(change: float) -> str:
    """A difference of two shares, with its sign.

    >>> points(-0.0056), points(0.01), points(0)
    ('\\u22120.6 pt', '+1.0 pt', '0.0 pt')
    """
    rounded = round(100 * change, 1)
    sign = MINUS if rounded < 0 else "+" if rounded > 0 else ""
    return f"{sign}{abs(rounded):.1f} pt"


def probability(p: float) -> str:
    """
    >>> probability(0.2891), probability(0.00004), probability(1.0)
    ('p = 0.29', 'p < 0.001', 'p = 1')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def valued(value: float, unit: str) -> str:
    """A score in its unit.

    >>> valued(0.975, "%"), valued(53.21, ""), valued(0.17, "nats")
    ('97.5 %', '53.2', '0.170 nats')
    """
    return percent(value) if unit == "%" else f"{bare(value, unit)} {unit}".strip()


def scale(unit: str) -> float:
    """What a score is multiplied by to be shown: shares are shown in percent."""
    return 100.0 if unit == "%" else 1.0


def bare(value: float, unit: str) -> str:
    """The same without its unit."""
    if unit == "%":
        return f"{100 * value:.1f}"
    if value != value:  # NaN alone differs from itself
        return "not defined"
    told = three_digits(value) if abs(value) >= 1 else f"{value:#.3g}"
    return told.replace("-", MINUS)


def differing(value: float, unit: str) -> str:
    """A difference of two scores, with its sign.

    >>> differing(-0.0056, "%"), differing(0.31, ""), differing(-4.2, "kWh")
    ('\u22120.6 pt', '+0.31', '\u22124.20 kWh')
    """
    if unit == "%":
        return points(value)
    return f"{'+' if value > 0 else ''}{three_digits(value)} {unit}".rstrip()


def amount(value: float, unit: str) -> str:
    """How much, without a sign.

    >>> amount(-0.0056, "%"), amount(0.31, "")
    ('0.6 pt', '0.31')
    """
    return differing(abs(value), unit).removeprefix("+")


def limit(value: float, unit: str) -> str:
    """A limit as it was set.

    >>> limit(0.005, "%"), limit(0.6, "")
    ('0.5 pt', '0.6')
    """
    return f"{100 * value:g} pt" if unit == "%" else f"{value:g} {unit}".rstrip()


def loss(value: float, score: Score) -> str:
    """How much worse by a score, as a limit that was set.

    >>> from paretoscope.problems.classification import Balanced, Correct
    >>> from paretoscope.problems.regression import RootMeanSquare
    >>> [loss(v, s) for v, s in ((0.01, Correct()), (0.005, Balanced()), (1.2, RootMeanSquare()))]
    ['1 point', '0.5 points', '1.2 more RMSE']
    """
    if score.unit == "%":
        return f"{100 * value:g} {'point' if value == 0.01 else 'points'}"
    direction = "less" if score.higher_is_better else "more"
    return f"{limit(value, score.unit)} {direction} {score.spoken}"


def quality(figure: Figure) -> str:
    return valued(figure.value, figure.unit)


def quality_interval(figure: Figure) -> str:
    """
    >>> from paretoscope.problems.accuracy import Accuracy
    >>> quality_interval(Accuracy(351, 360))
    'n = 360, 95 % interval 95.2 to 98.8 %'
    """
    if figure.interval is None:
        return f"n = {figure.n:,}, without an interval: {figure.why}"
    return f"n = {figure.n:,}, 95 % interval {interval(figure)}"


def interval(figure: Figure) -> str:
    """Its ends, where there are any."""
    if figure.interval is None:
        return "none"
    low, high = figure.interval
    return f"{bare(low, figure.unit)} to {valued(high, figure.unit)}"


def ends(change: Difference) -> str:
    """The ends of a change's interval, with signs and without a unit.

    >>> from paretoscope.problems.accuracy import Change
    >>> ends(Change(newly_wrong=6, newly_right=2, n=360))
    '\u22123.1 to +0.6'
    """
    if change.interval is None:
        return "no interval"
    digits = _digits(change)
    low, high = (_signed(scale(change.unit) * end, digits) for end in change.interval)
    return f"{low} to {high}"


def _digits(change: Difference) -> int:
    """Decimals of a change: of points one; else so many that its interval has two digits."""
    if change.unit == "%" or change.interval is None:
        return 1
    low, high = change.interval
    return max(0, 1 - math.floor(math.log10(high - low))) if high > low else 3


def _signed(value: float, digits: int) -> str:
    rounded = round(value, digits)
    sign = MINUS if rounded < 0 else "+" if rounded > 0 else ""
    return f"{sign}{abs(rounded):,.{digits}f}"


def change_interval(change: Difference) -> str:
    """
    >>> from paretoscope.problems.accuracy import Change
    >>> change_interval(Change(newly_wrong=6, newly_right=2, n=360))
    '\u22121.1 pt (\u22123.1 to +0.6)'
    >>> from paretoscope.problems.figure import EstimatedDifference
    >>> change_interval(EstimatedDifference(1.046, 89, (-0.0374, 2.13), False, "", "mg"))
    '+1.0 mg (0.0 to +2.1)'
    """
    unit = "pt" if change.unit == "%" else change.unit
    value = _signed(scale(change.unit) * change.value, _digits(change))
    return f"{value} {unit}".rstrip() + f" ({ends(change)})"


def change_words(change: Difference, margin: float) -> str:
    """The change against the uncompressed model, and what that lets one say.

    >>> from paretoscope.problems.accuracy import Change
    >>> change_words(Change(newly_wrong=6, newly_right=2, n=360), margin=0.005)
    '−1.1 pt (−3.1 to +0.6): 360 rows cannot tell; about 710 would'
    >>> change_words(Change(0, 0, n=10_000), margin=0.005).partition(": ")[2]
    'not worse by more than 0.5 pt'
    """
    return f"{change_interval(change)}: {verdict(change, margin)}"


def verdict(change: Difference, margin: float) -> str:
    """In words, against a loss of `margin`."""
    limit = amount(margin, change.unit)
    found = change.verdict(margin)
    if found == "not worse":
        return f"not worse by more than {limit}"
    if found == "worse":
        return "worse"
    needed = change.rows_needed(margin)
    if needed is None:
        return f"{change.n:,} rows cannot tell"
    return f"{change.n:,} rows cannot tell; about {float(f'{needed:.2g}'):,.0f} would"


def rows(split: str) -> str:
    """Which rows, after their number.

    >>> rows("validation"), rows("open")
    ('validation rows', 'rows, none of them a test row')
    """
    return "rows, none of them a test row" if split == "open" else f"{split} rows"


def sized(n_bytes: float, *, zipped: bool) -> str:
    """A size and of what it is.

    >>> sized(2740, zipped=True), sized(8190, zipped=False)
    ('2.74 kB zipped', '8.19 kB on disk')
    """
    return f"{size(n_bytes)} {'zipped' if zipped else 'on disk'}"


def smaller(now: float, before: float) -> str:
    """
    >>> smaller(4100, 27500), smaller(100, 100), smaller(120, 100)
    ('6.71× smaller', 'same size', '1.20× larger')
    """
    if f"{now / before:.3g}" == "1":
        return "same size"
    if now < before:
        return f"{three_digits(before / now)}{TIMES} smaller"
    return f"{three_digits(now / before)}{TIMES} larger"


class Compared(Protocol):
    """A time against the uncompressed model's, quick or by protocol."""

    @property
    def ratio(self) -> float: ...

    @property
    def ratio_interval(self) -> tuple[float, float]: ...

    @property
    def verdict(self) -> Verdict: ...

    @property
    def median_us(self) -> float: ...

    @property
    def baseline_median_us(self) -> float: ...


def faster(time: Compared) -> str:
    """What the ratio's interval lets us say.

    >>> from paretoscope.artifact.quick_latency import Latency
    >>> faster(Latency(1, (1.0,) * 15, (2.0,) * 15)), faster(Latency(1, (2.0,) * 15, (2.0,) * 15))
    ('2.00× faster', 'no measurable difference')
    >>> faster(Latency(1, (1.0, 3.0) * 8, (2.0,) * 16))
    'time inconclusive'
    """
    if time.verdict == "faster":
        return f"{three_digits(1 / time.ratio)}{TIMES} faster"
    if time.verdict == "slower":
        return f"{three_digits(time.ratio)}{TIMES} slower"
    return "time inconclusive" if time.verdict == "inconclusive" else time.verdict


def ratio(time: Compared) -> str:
    """The share of the uncompressed model's time, with its 95 % interval.

    >>> from paretoscope.artifact.quick_latency import Latency
    >>> ratio(Latency(1, (1.0,) * 15, (2.0,) * 15))
    '0.50 (0.50 to 0.50)'
    """
    low, high = time.ratio_interval
    return f"{time.ratio:.2f} ({low:.2f} to {high:.2f})"


def seconds(value: float) -> str:
    """
    >>> seconds(0.4), seconds(12.3), seconds(150)
    ('1 s', '12 s', '2 min 30 s')
    """
    whole = max(1, round(value))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"
