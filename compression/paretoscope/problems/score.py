"""Scores: how well outputs fit their targets. Each has an interval, and a change with one.

To add one, write its class in the file of its problem and name it in the problem's `scores`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from paretoscope.base.parameters import FloatArray
from paretoscope.problems import intervals
from paretoscope.problems.accuracy import Accuracy, Change
from paretoscope.problems.figure import Difference, Figure, Interval
from paretoscope.problems.intervals import Floats

Labels = npt.NDArray[np.int64]
Targets = npt.NDArray[np.generic]
Hits = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a model says of some rows: `outputs`, float of shape (n, k), and what follows from them.

    `labels` are the classes that the problem decides for; None where there are no classes.
    """

    outputs: FloatArray
    labels: Labels | None = None

    @property
    def classes(self) -> Labels:
        assert self.labels is not None, "these predictions are of no classes"
        return self.labels


class Score(ABC):
    """How well predictions fit targets.

    Attributes
    ----------
    name : str
        In links, files and on the command line.
    title : str
        On screen.
    unit : str
        Of its values: "%" for shares, which are kept as 0 to 1; "target" for the target's own;
        else what stands behind the number, or nothing.
    higher_is_better : bool
    low, high : float
        Between which its values are.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool] = True
    low: ClassVar[float] = -np.inf
    high: ClassVar[float] = np.inf

    @abstractmethod
    def figure(self, now: Predicted, targets: Targets) -> Figure:
        """The score of some predictions, with its interval."""

    @abstractmethod
    def difference(self, now: Predicted, before: Predicted, targets: Targets) -> Difference:
        """The score of `now` minus that of `before`, on the same rows, with its interval."""

    def _figure(self, value: float, n: int, interval: Interval) -> Figure:
        low, high = interval
        return Figure(value, n, (max(self.low, low), min(self.high, high)))


class Share(Score):
    """The share of rows that are hit: exact counts, so intervals of counts."""

    unit = "%"
    low, high = 0.0, 1.0

    @abstractmethod
    def hits(self, predicted: Predicted, targets: Targets) -> Hits:
        """Which rows, of shape (n,)."""

    def figure(self, now: Predicted, targets: Targets) -> Figure:
        hit = self.hits(now, targets)
        found = Accuracy(int(np.count_nonzero(hit)), len(hit))
        return Figure(found.value, found.n, found.interval)

    def difference(self, now: Predicted, before: Predicted, targets: Targets) -> Difference:
        hit, was_hit = self.hits(now, targets), self.hits(before, targets)
        lost, won = np.count_nonzero(was_hit & ~hit), np.count_nonzero(hit & ~was_hit)
        found = Change(int(lost), int(won), len(hit))
        return Difference(found.value, found.n, found.interval, self.higher_is_better)


class OfMeans(Score):
    """A smooth function of means over rows, as a mean squared error is."""

    @abstractmethod
    def rows(self, predicted: Predicted, targets: Targets) -> Floats:
        """What it takes of each row: float64 of shape (n, k)."""

    def of_means(self, means: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
        """The score of k means, of shape (..., k); also of complex ones, for its derivative."""
        found: npt.NDArray[np.complex128] = means[..., 0]
        return found

    def value(self, predicted: Predicted, targets: Targets) -> float:
        return self._of(self.rows(predicted, targets))

    def figure(self, now: Predicted, targets: Targets) -> Figure:
        rows = self.rows(now, targets)
        value = self._of(rows)
        if why := _undefined(value, len(rows)):
            return Figure(value, len(rows), None, why)
        return self._figure(value, len(rows), intervals.of_score(value, rows, self.of_means))

    def difference(self, now: Predicted, before: Predicted, targets: Targets) -> Difference:
        ours, theirs = self.rows(now, targets), self.rows(before, targets)
        value = self._of(ours) - self._of(theirs)
        if why := _undefined(value, len(ours)):
            return Difference(value, len(ours), None, self.higher_is_better, why)
        influences = intervals.influence(ours, self.of_means)
        influences -= intervals.influence(theirs, self.of_means)
        interval = intervals.of_difference(value, influences)
        return Difference(value, len(ours), interval, self.higher_is_better)

    def _of(self, rows: Floats) -> float:
        return float(np.real(self.of_means(rows.mean(0).astype(np.complex128))))


def probabilities(outputs: npt.NDArray[np.floating]) -> Floats:
    """Softmax of scores of shape (n, classes)."""
    shifted = outputs.astype(np.float64)
    shifted = np.exp(shifted - shifted.max(1, keepdims=True))
    found: Floats = shifted / shifted.sum(1, keepdims=True)
    return found


def _undefined(value: float, n: int) -> str:
    """Why a value has no interval, or nothing."""
    if not np.isfinite(value):
        return "it is not defined on these rows"
    return "" if n > 1 else "one row alone has none"
