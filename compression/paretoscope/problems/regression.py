"""Regression: one number or several are predicted, and judged by how far they are off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import FloatArray
from paretoscope.problems.accuracy import Difference, Figure
from paretoscope.problems.intervals import Floats
from paretoscope.problems.problem import Problem
from paretoscope.problems.score import Hits, Labels, OfMeans, Predicted, Score, Share, Targets

_STRATA = 10
_EXTREME = "the largest of some rows says nothing of rows that were not seen"


def errors(predicted: Predicted, targets: Targets) -> Floats:
    """Predicted minus true, float64 of shape (n, outputs)."""
    true = np.asarray(targets, np.float64).reshape(len(targets), -1)
    return np.asarray(predicted.outputs.reshape(len(targets), -1).astype(np.float64) - true)


@dataclass(frozen=True)
class RootMeanSquare(OfMeans):
    """The root of the mean squared error: in the target's unit, large errors weigh more."""

    unit: str = ""
    name, title, spoken = "rmse", "RMSE", "RMSE"
    higher_is_better = False
    low = 0.0

    def rows(self, predicted: Predicted, targets: Targets) -> Floats:
        return np.asarray(np.mean(errors(predicted, targets) ** 2, axis=1, keepdims=True))

    def of_means(self, means: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
        found: npt.NDArray[np.complex128] = np.sqrt(means[..., 0])
        return found


@dataclass(frozen=True)
class MeanAbsolute(OfMeans):
    """The mean of the absolute errors: in the target's unit."""

    unit: str = ""
    name, title = "mae", "Mean absolute error"
    higher_is_better = False
    low = 0.0

    def rows(self, predicted: Predicted, targets: Targets) -> Floats:
        return np.asarray(np.mean(np.abs(errors(predicted, targets)), axis=1, keepdims=True))


class Explained(OfMeans):
    """R squared: the share of the targets' variance that predictions explain; of several outputs
    the mean. Below zero, predicting the mean would be better."""

    name, title, spoken = "r2", "R squared", "R squared"
    high = 1.0

    def rows(self, predicted: Predicted, targets: Targets) -> Floats:
        true = np.asarray(targets, np.float64).reshape(len(targets), -1)
        true = true - true.mean(0)  # so that squares of what is far from zero cancel nothing
        return np.concatenate([errors(predicted, targets) ** 2, true, true**2], axis=1)

    def of_means(self, means: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
        squared, middle, square = np.split(means, 3, axis=-1)
        spread = square - middle**2
        differ = spread.real > 0  # targets that are all the same have none
        each = np.where(differ, 1 - squared / np.where(differ, spread, 1), np.nan)
        return np.asarray(each.mean(-1))


@dataclass(frozen=True)
class Within(Share):
    """The share of rows whose every output is off by at most `tolerance`, in the target's unit."""

    tolerance: float
    name, title = "within", "Within the tolerance"

    def __post_init__(self) -> None:
        if not self.tolerance > 0:
            raise ParetoscopeError(f"the tolerance must be above 0; got {self.tolerance!r}")

    def hits(self, predicted: Predicted, targets: Targets) -> Hits:
        found: Hits = np.all(np.abs(errors(predicted, targets)) <= self.tolerance, axis=1)
        return found


@dataclass(frozen=True)
class Largest(Score):
    """The largest absolute error of any row."""

    unit: str = ""
    name, title = "largest", "Largest error"
    higher_is_better = False
    low = 0.0

    def value(self, predicted: Predicted, targets: Targets) -> float:
        return float(np.max(np.abs(errors(predicted, targets))))

    def figure(self, now: Predicted, targets: Targets) -> Figure:
        return self._figure(self.value(now, targets), len(targets), None, _EXTREME)

    def difference(self, now: Predicted, before: Predicted, targets: Targets) -> Difference:
        value = self.value(now, targets) - self.value(before, targets)
        return self._difference(value, len(targets), None, _EXTREME)


@dataclass(frozen=True)
class Regression(Problem):
    """One number or several.

    Parameters
    ----------
    target_names : tuple of str
    unit : str
        Of the targets, as it is shown behind them.
    tolerance : float, optional
        How far a prediction may be off to count as within it.
    """

    target_names: tuple[str, ...] = ("target",)
    unit: str = ""
    tolerance: float | None = None
    name, title = "regression", "Regression"
    offers = (RootMeanSquare, MeanAbsolute, Explained, Largest, Within)

    targets = "numbers"

    @classmethod
    def of(cls, names: tuple[str, ...]) -> Regression:
        return cls(names)

    @property
    def names(self) -> tuple[str, ...]:
        return self.target_names

    @property
    def scores(self) -> tuple[Score, ...]:
        found: list[Score] = [RootMeanSquare(self.unit), MeanAbsolute(self.unit), Explained()]
        found.append(Largest(self.unit))
        if self.tolerance is not None:
            found.append(Within(self.tolerance))
        return tuple(found)

    def check(self, targets: Targets) -> None:
        if targets.dtype.kind not in "iuf":
            raise ParetoscopeError("targets must be numbers")
        if not np.isfinite(targets.astype(np.float64)).all():
            raise ParetoscopeError("targets must be finite numbers")
        n_outputs = 1 if targets.ndim == 1 else targets.shape[1]
        if n_outputs != len(self.target_names):
            raise ParetoscopeError(
                f"targets must be {len(self.target_names)} a row; got {n_outputs}"
            )

    def strata(self, targets: Targets) -> Labels:
        """Tenths of the first target, so that each split has small and large ones."""
        first = np.asarray(targets, np.float64).reshape(len(targets), -1)[:, 0]
        ranks = np.empty(len(first), np.int64)
        ranks[np.argsort(first, kind="stable")] = np.arange(len(first))
        return ranks * _STRATA // max(1, len(first))

    def loss(self, outputs: FloatArray, targets: Targets) -> tuple[float, FloatArray]:
        """Half the squared error."""
        off = outputs.astype(np.float64) - np.asarray(targets, np.float64).reshape(outputs.shape)
        value = float(np.mean(np.sum(off**2, axis=-1)) / 2)
        return value, (off / len(outputs)).astype(np.float32)
