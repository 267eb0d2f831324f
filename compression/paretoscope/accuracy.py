"""Accuracy with its uncertainty: alone (Wilson), and against the uncompressed network (Tango)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Z95 = 1.959963984540054  # the 97.5 % point of the normal distribution
_HALVINGS = 60


@dataclass(frozen=True)
class Accuracy:
    """`correct` of `n` rows."""

    correct: int
    n: int

    @property
    def value(self) -> float:
        return self.correct / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of Wilson (1927, JASA 22:209).

        >>> low, high = Accuracy(9840, 10000).interval
        >>> round(low, 4), round(high, 4)
        (0.9813, 0.9863)
        """
        p, z2n = self.value, Z95**2 / self.n
        middle = p + z2n / 2
        half = Z95 * math.sqrt(p * (1 - p) / self.n + z2n / (4 * self.n))
        return max(0.0, (middle - half) / (1 + z2n)), min(1.0, (middle + half) / (1 + z2n))


@dataclass(frozen=True)
class Change:
    """Accuracy against the uncompressed network on the same `n` rows.

    `broken` rows were right before and are wrong now, `mended` rows the other way round.
    """

    broken: int
    mended: int
    n: int

    @property
    def value(self) -> float:
        """Accuracy now minus accuracy before."""
        return (self.mended - self.broken) / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95 % score interval for paired proportions (Tango 1998, Stat. in Medicine 17:891).

        It stays honest with few or no changed rows: none of 360 leaves about one point either way.

        >>> low, high = Change(broken=0, mended=0, n=360).interval
        >>> round(low, 4), round(high, 4)
        (-0.0106, 0.0106)
        """
        value = self.value
        low = _crossing(lambda d: self._score(d) - Z95, -1.0, value)
        high = _crossing(lambda d: self._score(d) + Z95, value, 1.0)
        return low, high

    def _score(self, delta: float) -> float:
        """Tango's statistic: the difference from `delta` in standard errors under `delta`."""
        n, b, c = self.n, self.mended, self.broken
        linear = -b - c + (2 * n - b + c) * delta
        constant = -c * delta * (1 - delta)
        root = math.sqrt(max(linear * linear - 8 * n * constant, 0.0))
        q21 = (root - linear) / (4 * n)
        variance = n * (2 * q21 + delta * (1 - delta))
        distance = b - c - n * delta
        if variance <= 0:
            return math.copysign(math.inf, distance) if distance else 0.0
        return distance / math.sqrt(variance)


def _crossing(function: Callable[[float], float], low: float, high: float) -> float:
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
    broken, mended = np.count_nonzero(was_right & ~right), np.count_nonzero(right & ~was_right)
    return Change(int(broken), int(mended), len(y))
