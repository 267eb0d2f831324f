"""Scores: how well outputs fit their targets. Each has an interval, and a change with one.

To add one, write its class in the file of its problem and name it in the problem's `scores`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from paretoscope.base.parameters import FloatArray
from paretoscope.problems import intervals
from paretoscope.problems.accuracy import Accuracy, Change, Difference, Figure
from paretoscope.problems.figure import Estimate, EstimatedDifference, Interval
from paretoscope.problems.intervals import Floats

Labels = npt.NDArray[np.int64]
Targets = npt.NDArray[np.generic]
Hits = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a model says of some rows: `outputs`, float of shape (n, k), and what follows from them.

    `labels` are the classes that the problem decides for; None where there are no classes. `kept`
    is what scores found of them and need again, as of the uncompressed model for every point.
    """

    outputs: FloatArray
    labels: Labels | None = None
    kept: dict[tuple[Score, int], tuple[float, Floats]] = field(default_factory=dict, repr=False)

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
    title, spoken : str
        On screen, and within a sentence.
    unit : str
        Of its values: "%" for shares, which are kept as 0 to 1, else what stands behind the number,
        or nothing.
    higher_is_better : bool
    low, high : float
        Between which its values are.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    spoken: ClassVar[str]
    unit: str = ""
    higher_is_better: ClassVar[bool] = True
    low: ClassVar[float] = -np.inf
    high: ClassVar[float] = np.inf

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "title" in cls.__dict__ and "spoken" not in cls.__dict__:
            cls.spoken = cls.title[0].lower() + cls.title[1:]

    @abstractmethod
    def figure(self, now: Predicted, targets: Targets) -> Figure:
        """The score of some predictions, with its interval."""

    @abstractmethod
    def difference(self, now: Predicted, before: Predicted, targets: Targets) -> Difference:
        """The score of `now` minus that of `before`, on the same rows, with its interval."""

    def _figure(self, value: float, n: int, interval: Interval | None, why: str = "") -> Figure:
        if interval is not None:
            interval = max(self.low, interval[0]), min(self.high, interval[1])
        return Estimate(value, n, interval, why, self.unit)

    def _difference(
        self, value: float, n: int, interval: Interval | None, why: str = ""
    ) -> Difference:
        return EstimatedDifference(value, n, interval, self.higher_is_better, why, self.unit)


class Share(Score):
    """The share of rows that are hit: exact counts, so intervals of counts."""

    unit = "%"
    low, high = 0.0, 1.0

    @abstractmethod
    def hits(self, predicted: Predicted, targets: Targets) -> Hits:
        """Which rows, of shape (n,)."""

    def figure(self, now: Predicted, targets: Targets) -> Figure:
        hit = self.hits(now, targets)
        return Accuracy(int(np.count_nonzero(hit)), len(hit))

    def difference(self, now: Predicted, before: Predicted, targets: Targets) -> Difference:
        hit, was_hit = self.hits(now, targets), self.hits(before, targets)
        lost, won = np.count_nonzero(was_hit & ~hit), np.count_nonzero(hit & ~was_hit)
        return Change(int(lost), int(won), len(hit))


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
            return self._figure(value, len(rows), None, why)
        return self._figure(value, len(rows), intervals.of_score(value, rows, self.of_means))

    def difference(self, now: Predicted, before: Predicted, targets: Targets) -> Difference:
        ours = self.rows(now, targets)
        was, theirs = self._of_before(before, targets)
        value = self._of(ours) - was
        if why := _undefined(value, len(ours)):
            return self._difference(value, len(ours), None, why)
        influences = intervals.influence(ours, self.of_means) - theirs
        interval = intervals.of_difference(value, influences)
        return self._difference(value, len(ours), interval)

    def _of_before(self, before: Predicted, targets: Targets) -> tuple[float, Floats]:
        """The score of the uncompressed model, and the influence of each row on it."""
        key = self, id(targets)
        if key not in before.kept:
            rows = self.rows(before, targets)
            before.kept[key] = self._of(rows), intervals.influence(rows, self.of_means)
        return before.kept[key]

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
