"""Shares of rows with their uncertainty: alone, and against the uncompressed network on the same
rows. Accuracy is the share of rows whose class is right; others count what else a row can be.

Both intervals cover the truth at least 93 % of the time from 100 rows on, whatever it is: shown in
`benchmarks/intervals.py`. Wilson's falls to 84 % near 100 %, where good models are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.problems.figure import (
    MOST_ROWS,
    Estimate,
    EstimatedDifference,
    Verdict,
    verdict_of,
)

Z95 = 1.959963984540054  # the 97.5 % point of the normal distribution
_HALVINGS = 60
_CORRECTION = 0.125  # rows


@dataclass(frozen=True)
class Accuracy:
    """`correct` of `n` rows."""

    correct: int
    n: int

    @property
    def why(self) -> str:
        return ""

    @property
    def unit(self) -> str:
        return "%"

    @property
    def value(self) -> float:
        return self.correct / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of Agresti and Coull (1998, The American Statistician 52:119).

        Around the same middle as Wilson's, and wider where few rows are wrong.

        >>> low, high = Accuracy(9840, 10000).interval
        >>> round(low, 4), round(high, 4)
        (0.9813, 0.9863)
        """
        n = self.n + Z95**2
        middle = (self.correct + Z95**2 / 2) / n
        half = Z95 * math.sqrt(middle * (1 - middle) / n)
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Change:
    """Accuracy against the uncompressed network on the same `n` rows.

    `newly_wrong` rows were right before and are wrong now, `newly_right` rows the other way round.
    """

    newly_wrong: int
    newly_right: int
    n: int

    @classmethod
    def from_dict(cls, plain: Mapping[str, int]) -> Change:
        """From JSON types. Records of before 27 November 2026 say `broken` and `mended`."""
        now_named = {"broken": "newly_wrong", "mended": "newly_right"}
        return cls(**{now_named.get(name, name): value for name, value in plain.items()})

    @property
    def value(self) -> float:
        """Accuracy now minus accuracy before."""
        return (self.newly_right - self.newly_wrong) / self.n

    @property
    def gain(self) -> float:
        return self.value

    @property
    def higher_is_better(self) -> bool:
        return True

    @property
    def why(self) -> str:
        return ""

    @property
    def unit(self) -> str:
        return "%"

    @property
    def interval(self) -> tuple[float, float]:
        """95 % score interval for paired proportions (Tango 1998, Stat. in Medicine 17:891) with a
        continuity correction of 1/8 row (Chang et al. 2024, Journal of Applied Statistics 51:139).

        It stays honest with few or no changed rows: none of 360 leaves about one point either way.

        >>> low, high = Change(newly_wrong=0, newly_right=0, n=360).interval
        >>> round(low, 4), round(high, 4)
        (-0.0112, 0.0112)
        """
        return _interval(self, _CORRECTION)

    def _interval(self, correction: float) -> tuple[float, float]:
        value = self.value
        low = crossing(lambda d: self._score(d, -correction) - Z95, -1.0, value)
        high = crossing(lambda d: self._score(d, correction) + Z95, value, 1.0)
        return low, high

    @property
    def p_value(self) -> float:
        """Exact two-sided p of McNemar (1947, Psychometrika 12:153): newly wrong rows as tosses of
        a fair coin among all that changed.

        >>> round(Change(newly_wrong=8, newly_right=2, n=360).p_value, 4)
        0.1094
        """
        changed = self.newly_wrong + self.newly_right
        if changed == 0:
            return 1.0
        # Log factorials: 0.5^changed alone is below the smallest float from 1,075 rows on.
        fewer = min(self.newly_wrong, self.newly_right)
        logs = [
            math.lgamma(changed + 1) - math.lgamma(k + 1) - math.lgamma(changed - k + 1)
            for k in range(fewer + 1)
        ]
        tail = math.fsum(math.exp(log - changed * math.log(2)) for log in logs)
        return min(1.0, 2 * tail)

    def verdict(self, margin: float) -> Verdict:
        """What the interval lets one say against a drop of `margin` (0.005 is half a point).

        "not worse": the drop is smaller than the margin. "worse": there is a drop, and it may be
        as large as the margin. "cannot tell": neither.
        """
        return verdict_of(self.interval, margin)

    def surely_below(self, other: Any) -> bool:
        """Whether this is worse than another change of the same network on the same rows, whatever
        rows the two differ in.

        Which rows those are is not known; at most all that either changed.

        >>> none, few, many = (Change(n_wrong, 0, 360) for n_wrong in (0, 3, 40))
        >>> many.surely_below(few), few.surely_below(none)
        (True, False)
        """
        lost = (self.newly_wrong - self.newly_right) - (other.newly_wrong - other.newly_right)
        differ = self.newly_wrong + self.newly_right + other.newly_wrong + other.newly_right
        if lost <= 0:
            return False
        back = (differ - lost) // 2
        return Change(lost + back, back, self.n).interval[1] < 0

    def rows_needed(self, margin: float) -> int | None:
        """About how many rows would tell, if rows go on to break and mend as often as so far.

        None where this many already tell, or 1,000 times as many would not.
        """
        if self.verdict(margin) != "cannot tell":
            return None
        low, high = 1.0, MOST_ROWS
        if self._times(high).verdict(margin) == "cannot tell":
            return None
        for _ in range(_HALVINGS):
            middle = math.sqrt(low * high)
            undecided = self._times(middle).verdict(margin) == "cannot tell"
            low, high = (middle, high) if undecided else (low, middle)
        return math.ceil(self.n * high)

    def _times(self, factor: float) -> Change:
        """As if `factor` times as many rows had been seen."""
        return Change(*(count * factor for count in (self.newly_wrong, self.newly_right, self.n)))  # type: ignore[arg-type]

    def _score(self, delta: float, correction: float) -> float:
        """Tango's statistic: the difference from `delta` in standard errors under `delta`, with
        `correction` rows added."""
        n, b, c = self.n, self.newly_right, self.newly_wrong
        linear = -b - c + (2 * n - b + c) * delta
        constant = -c * delta * (1 - delta)
        root = math.sqrt(max(linear * linear - 8 * n * constant, 0.0))
        q21 = (root - linear) / (4 * n)
        variance = n * (2 * q21 + delta * (1 - delta))
        distance = b - c - n * delta + correction
        if variance <= 0:
            return math.copysign(math.inf, distance) if distance else 0.0
        return distance / math.sqrt(variance)


# A score, and how it differs from the uncompressed model's: counted, or estimated.
Figure = Accuracy | Estimate
Difference = Change | EstimatedDifference


@lru_cache(maxsize=65_536)  # a grid of points asks for few different counts, many times
def _interval(change: Change, correction: float) -> tuple[float, float]:
    return change._interval(correction)


def crossing(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses zero, by bisection."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return (low + high) / 2


def accuracy(predicted: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> Accuracy:
    return Accuracy(int(np.count_nonzero(predicted == y)), len(y))


def change(
    predicted: npt.NDArray[np.int64], before: npt.NDArray[np.int64], y: npt.NDArray[np.int64]
) -> Change:
    right, was_right = predicted == y, before == y
    newly_wrong, newly_right = (
        np.count_nonzero(was_right & ~right),
        np.count_nonzero(right & ~was_right),
    )
    return Change(int(newly_wrong), int(newly_right), len(y))
