"""Classification: one of some classes is predicted, by scores whose softmax is a probability."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError, one_of
from paretoscope.base.parameters import FloatArray
from paretoscope.problems import intervals
from paretoscope.problems.accuracy import Difference, Figure
from paretoscope.problems.figure import Interval
from paretoscope.problems.intervals import Floats
from paretoscope.problems.problem import Problem
from paretoscope.problems.score import (
    Hits,
    Labels,
    OfMeans,
    Predicted,
    Score,
    Share,
    Targets,
    probabilities,
)

FEWEST = 10  # rows of a class
_BINS = 15
_FOOLED = 0.8  # the share of the commonest class from which on accuracy is
_FEW = f"a class has fewer than {FEWEST} rows"
_FOLDED = (
    "it is a mean of absolute differences, which on few rows is too large, and no interval of it "
    "holds"
)


class Correct(Share):
    """The share of rows whose class is right."""

    name, title = "accuracy", "Accuracy"

    def hits(self, predicted: Predicted, targets: Targets) -> Hits:
        return np.asarray(predicted.classes == targets)


@dataclass(frozen=True)
class Top(Share):
    """The share of rows whose class is among the `k` with the largest scores."""

    k: int = 5
    name, title = "top5", "Top 5"

    def hits(self, predicted: Predicted, targets: Targets) -> Hits:
        outputs = predicted.outputs
        own = np.take_along_axis(outputs, _whole(targets)[:, None], axis=1)
        # Of equal scores the first classes come first, as in the decision itself.
        earlier = np.arange(outputs.shape[1]) < _whole(targets)[:, None]
        before = np.count_nonzero((outputs > own) | ((outputs == own) & earlier), axis=1)
        found: Hits = before < self.k
        return found


class LogLoss(OfMeans):
    """The mean of minus the logarithm of the right class's probability."""

    name, title = "log-loss", "Log loss"
    higher_is_better = False
    low = 0.0

    def rows(self, predicted: Predicted, targets: Targets) -> Floats:
        exact = predicted.outputs.astype(np.float64)
        exact -= exact.max(1, keepdims=True)
        own = np.take_along_axis(exact, _whole(targets)[:, None], axis=1)
        # From the scores: a probability would be rounded to zero, and cost without end.
        return np.asarray(np.log(np.exp(exact).sum(1, keepdims=True)) - own)


class Brier(OfMeans):
    """The mean squared distance of the probabilities from what happened: of two classes that of
    the second alone, from 0 to 1; of more the sum over classes, from 0 to 2."""

    name, title, spoken = "brier", "Brier score", "Brier score"
    higher_is_better = False
    low, high = 0.0, 2.0

    def rows(self, predicted: Predicted, targets: Targets) -> Floats:
        found = probabilities(predicted.outputs)
        n_classes = found.shape[1]
        squared = (found - np.eye(n_classes)[_whole(targets)]) ** 2
        return np.asarray(squared.sum(1, keepdims=True) / (2 if n_classes == 2 else 1))


@dataclass(frozen=True)
class Cost(OfMeans):
    """The mean cost of a decision.

    Parameters
    ----------
    costs : tuple of tuples
        ``costs[true][decided]``: what it costs to take one class for another.
    """

    costs: tuple[tuple[float, ...], ...]
    name, title = "cost", "Cost"
    higher_is_better = False

    def __post_init__(self) -> None:
        table = np.array(self.costs, np.float64)
        if table.ndim != 2 or table.shape[0] != table.shape[1] or not np.isfinite(table).all():
            raise ParetoscopeError("costs must be a square table of numbers, a row for each class")

    def rows(self, predicted: Predicted, targets: Targets) -> Floats:
        return np.array(self.costs, np.float64)[_whole(targets), predicted.classes][:, None]


class OfConfusions(OfMeans):
    """A function of how often each class is taken for each.

    Of the rows of each class, half a row more is thought right that was wrong, and half a row wrong
    that was right: where few or no rows changed, the interval is not of no width.
    """

    low, high = 0.0, 1.0
    unit = "%"

    def rows(self, predicted: Predicted, targets: Targets) -> Floats:
        """For each class whether a row is of it and found, taken for it, and of it, of shape
        (n, 3 classes)."""
        n_classes = predicted.outputs.shape[1]
        said, true = np.eye(n_classes)[predicted.classes], np.eye(n_classes)[_whole(targets)]
        return np.concatenate([said * true, said, true], axis=1)

    def figure(self, now: Predicted, targets: Targets) -> Figure:
        rows = self.rows(now, targets)
        value, n = self._of(rows), len(rows)
        if _fewest(targets, now.outputs.shape[1]) < FEWEST:
            return self._figure(value, n, None, _FEW)
        influences = intervals.influence(rows, self.of_means)
        return self._figure(
            value, n, intervals.of_difference(value, influences, self._unseen(rows))
        )

    def difference(self, now: Predicted, before: Predicted, targets: Targets) -> Difference:
        ours, theirs = self.rows(now, targets), self.rows(before, targets)
        value, n = self._of(ours) - self._of(theirs), len(ours)
        if _fewest(targets, now.outputs.shape[1]) < FEWEST:
            return self._difference(value, n, None, _FEW)
        influences = intervals.influence(ours, self.of_means)
        influences -= intervals.influence(theirs, self.of_means)
        interval = intervals.of_difference(value, influences, self._unseen(ours))
        return self._difference(value, n, interval)

    def _unseen(self, rows: Floats) -> float:
        """The squared influence of one row of each class that changes from right to wrong."""
        means = rows.mean(0)
        slope = intervals.gradient(means, self.of_means)
        n_classes = len(means) // 3
        found, said, _ = np.split(slope, 3)
        taken = np.array([np.delete(said, c).mean() for c in range(n_classes)])
        return float(np.sum((found + said - taken) ** 2))


class Balanced(OfConfusions):
    """The mean over classes of the share that is recognised: rare classes count as much as common
    ones."""

    name, title = "balanced-accuracy", "Balanced accuracy"

    def of_means(self, means: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
        found, _, true = np.split(means, 3, axis=-1)
        there = true.real > 0
        recalls = np.where(there, found / np.where(there, true, 1), 0)
        return np.asarray(recalls.sum(-1) / there.sum(-1))


@dataclass(frozen=True)
class F1(OfConfusions):
    """The harmonic mean of precision and recall, of one class or the mean over all.

    Parameters
    ----------
    of : int, optional
        The class; by default the mean over all that there are, true or predicted.
    """

    of: int | None = None
    name, title, spoken = "f1", "F1", "F1"

    def of_means(self, means: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
        found, said, true = np.split(means, 3, axis=-1)
        any_of = said + true
        there = any_of.real > 0
        each = np.where(there, 2 * found / np.where(there, any_of, 1), 0)
        if self.of is not None:
            return np.asarray(each[..., self.of])
        return np.asarray(each.sum(-1) / np.maximum(there.sum(-1), 1))


class Ranking(Score):
    """How well scores put the rows of a class before the others."""

    low, high = 0.0, 1.0

    def _each(self, predicted: Predicted, targets: Targets) -> list[tuple[Floats, Hits]]:
        """What ranks the rows, and which are to come first: for the second of two classes, or for
        each of several."""
        n_classes = predicted.outputs.shape[1]
        classes = [1] if n_classes == 2 else range(n_classes)
        return [(_margin(predicted.outputs, c), np.asarray(targets == c)) for c in classes]

    @abstractmethod
    def _one(self, scores: Floats, positive: Hits) -> tuple[float, Floats]:
        """The score of one class against the others, and each row's influence on it."""

    def _of(self, predicted: Predicted, targets: Targets) -> tuple[float, Floats]:
        """The score, the mean over classes, and each row's influence on it."""
        parts = [self._one(*each) for each in self._each(predicted, targets)]
        value = float(np.mean([value for value, _ in parts]))
        return value, np.mean([influences for _, influences in parts], axis=0)

    def figure(self, now: Predicted, targets: Targets) -> Figure:
        fewest, n = _fewest(targets, now.outputs.shape[1]), len(targets)
        if fewest == 0:
            return self._figure(float("nan"), n, None, "a class has no rows")
        value, influences = self._of(now, targets)
        if fewest < FEWEST:
            return self._figure(value, n, None, _FEW)
        if value == 1.0:
            return self._figure(value, n, (_all_right(fewest), 1.0))
        return self._figure(
            value, n, self._interval(value, influences, targets, now.outputs.shape[1])
        )

    def _interval(
        self, value: float, influences: Floats, targets: Targets, n_classes: int
    ) -> Interval:
        fewest = _fewest(targets, n_classes)
        error = float(np.sqrt(np.sum(influences**2))) / len(influences)
        return intervals.on_logit(value, error, fewest - 1)

    def difference(self, now: Predicted, before: Predicted, targets: Targets) -> Difference:
        fewest, n = _fewest(targets, now.outputs.shape[1]), len(targets)
        if fewest == 0:
            nan = float("nan")
            return self._difference(nan, n, None, "a class has no rows")
        (ours, mine), (theirs, others) = self._of(now, targets), self._of(before, targets)
        if fewest < FEWEST:
            return self._difference(ours - theirs, n, None, _FEW)
        interval = intervals.of_difference(ours - theirs, mine - others, df=fewest - 1)
        return self._difference(ours - theirs, n, interval)


class RocArea(Ranking):
    """The area under the ROC curve: how often a row of a class is ranked before one of another; of
    several classes the mean of each against the rest."""

    name, title = "roc-auc", "Area under ROC"

    def _one(self, scores: Floats, positive: Hits) -> tuple[float, Floats]:
        """With the placements of DeLong, DeLong and Clarke-Pearson (1988, Biometrics 44:837)."""
        n, n_positive = len(scores), int(np.count_nonzero(positive))
        n_negative = n - n_positive
        placed = np.empty(n)
        placed[positive] = _share_below(scores[positive], np.sort(scores[~positive]))
        placed[~positive] = 1 - _share_below(scores[~positive], np.sort(scores[positive]))
        value = float(placed[positive].mean())
        sizes = np.where(positive, n_positive, n_negative)
        # One more in each class than seen: these are variances of samples.
        scale = n / np.sqrt(sizes * np.maximum(sizes - 1, 1))
        return value, (placed - value) * scale

    def _interval(
        self, value: float, influences: Floats, targets: Targets, n_classes: int
    ) -> Interval:
        """Of two classes Newcombe's score interval (2006, Statistics in Medicine 25:559, method
        5), which holds near 1, too."""
        if n_classes > 2:
            return super()._interval(value, influences, targets, n_classes)
        return intervals.of_area(value, *np.bincount(_whole(targets), minlength=2).tolist())


class PrecisionArea(Ranking):
    """Average precision, the area under the precision-recall curve; of several classes the mean."""

    name, title = "average-precision", "Average precision"

    def _one(self, scores: Floats, positive: Hits) -> tuple[float, Floats]:
        n, n_positive = len(scores), int(np.count_nonzero(positive))
        order = np.argsort(-scores, kind="stable")
        ranked, hit = scores[order], positive[order]
        ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        group = np.searchsorted(ends, np.arange(n))  # equal scores are one step of the curve
        above = (ends + 1)[group]  # rows that score at least as much
        precision = np.cumsum(hit)[ends][group] / above
        value = float(precision[hit].mean())
        # A row's weight changes the precision at every step from its own on.
        per = np.where(hit, 1 / above, 0.0)
        by_step = np.add.reduceat(per, np.append(0, ends[:-1] + 1))
        weighted = np.add.reduceat(per * precision, np.append(0, ends[:-1] + 1))
        later = np.cumsum(by_step[::-1])[::-1][group]
        later_weighted = np.cumsum(weighted[::-1])[::-1][group]
        moved = np.where(hit, precision - value + later, 0.0) - later_weighted
        influences = np.empty(n)
        influences[order] = moved * n / n_positive
        return value, influences


class Calibration(Score):
    """Expected calibration error: how far the probability of the class that is decided for is from
    how often it is right, in fifteen bins of equal width (Guo et al. 2017, ICML)."""

    name, title, unit = "ece", "Calibration error", "%"
    higher_is_better = False
    low, high = 0.0, 1.0

    def value(self, predicted: Predicted, targets: Targets) -> float:
        sure = probabilities(predicted.outputs)
        sure = np.take_along_axis(sure, predicted.classes[:, None], axis=1)[:, 0]
        off = (predicted.classes == targets) - sure
        bins = np.clip(np.ceil(sure * _BINS).astype(int) - 1, 0, _BINS - 1)
        return float(np.abs(np.bincount(bins, off, _BINS)).sum() / len(off))

    def figure(self, now: Predicted, targets: Targets) -> Figure:
        return self._figure(self.value(now, targets), len(targets), None, _FOLDED)

    def difference(self, now: Predicted, before: Predicted, targets: Targets) -> Difference:
        value = self.value(now, targets) - self.value(before, targets)
        return self._difference(value, len(targets), None, _FOLDED)


@dataclass(frozen=True)
class Classification(Problem):
    """One of some classes.

    Parameters
    ----------
    class_names : tuple of str
    cut : float, optional
        Of two classes: the probability from which on the second is decided for. By default the
        class of the larger score.
    costs : tuple of tuples, optional
        ``costs[true][decided]``: what each mistake costs.

    Raises
    ------
    ParetoscopeError
        Fewer than two classes, a cut for more than two or outside 0 to 1, or costs of another size.
    """

    class_names: tuple[str, ...]
    cut: float | None = None
    costs: tuple[tuple[float, ...], ...] | None = None
    name, title = "classification", "Classification"
    offers = (
        *(Correct, Balanced, F1, LogLoss, Brier, RocArea, PrecisionArea, Calibration, Top, Cost),
    )

    def __post_init__(self) -> None:
        n = len(self.class_names)
        if n < 2:
            raise ParetoscopeError(f"classification needs at least two classes; got {n}")
        if self.cut is not None and n != 2:
            raise ParetoscopeError(f"a cut is for two classes; these are {n}")
        if self.cut is not None and not 0 < self.cut < 1:
            raise ParetoscopeError(f"the cut must be between 0 and 1; got {self.cut!r}")
        if self.costs is not None and len(self.costs) != n:
            raise ParetoscopeError(f"costs must have a row for each of {n} classes")

    targets = "classes"

    @classmethod
    def of(cls, names: tuple[str, ...]) -> Classification:
        return cls(names)

    @property
    def names(self) -> tuple[str, ...]:
        return self.class_names

    def deciding(self, decision: str) -> Classification:
        """By a cut, by costs, or both.

        >>> told = Classification(("fine", "fraud")).deciding("cut=0.3;costs=0,1,5,0")
        >>> told.cut, told.costs, told.decision
        (0.3, ((0.0, 1.0), (5.0, 0.0)), 'cut=0.3;costs=0,1,5,0')
        """
        found: dict[str, Any] = {}
        for part in decision.split(";") if decision else []:
            name, _, text = part.partition("=")
            if name not in ("cut", "costs") or name in found:
                raise one_of("a decision's part", name, ["cut", "costs"])
            numbers = [_number(name, number) for number in text.split(",")]
            found[name] = numbers[0] if name == "cut" else _square(numbers, len(self.class_names))
        return replace(self, **found)

    @property
    def decision(self) -> str:
        """As `deciding` takes it."""
        parts = [] if self.cut is None else [f"cut={self.cut:g}"]
        if self.costs is not None:
            parts.append(f"costs={','.join(f'{c:g}' for row in self.costs for c in row)}")
        return ";".join(parts)

    @property
    def takes_largest(self) -> bool:
        return self.cut is None

    @property
    def scores(self) -> tuple[Score, ...]:
        n = len(self.class_names)
        found: list[Score] = [Correct(), Balanced(), F1(1) if n == 2 else F1(), LogLoss(), Brier()]
        found += [RocArea(), PrecisionArea(), Calibration()]
        if n > 5:
            found.append(Top(5))
        if self.costs is not None:
            found.append(Cost(self.costs))
        return tuple(found)

    def check(self, targets: Targets) -> None:
        if targets.dtype.kind not in "iu" or targets.ndim != 1:
            raise ParetoscopeError("labels must be whole numbers, one for each row")
        n = len(self.class_names)
        if len(targets) and (targets.min() < 0 or targets.max() >= n):
            raise ParetoscopeError(f"labels must be from 0 to {n - 1}")

    def strata(self, targets: Targets) -> Labels:
        return np.asarray(targets, np.int64)

    def loss(self, outputs: FloatArray, targets: Targets) -> tuple[float, FloatArray]:
        """Cross-entropy with labels, or with probabilities of shape (n, classes)."""
        found = _softmax(outputs)
        wanted = np.asarray(targets, found.dtype)
        if targets.ndim == 1:
            wanted = np.eye(found.shape[1], dtype=found.dtype)[_whole(targets)]
        logs = np.log(np.maximum(found, np.finfo(np.float32).tiny), dtype=np.float64)
        value = float(-(wanted * logs).sum(1).mean())
        return value, (found - wanted) / np.float32(len(outputs))

    def as_targets(self, outputs: FloatArray) -> Targets:
        """Their probabilities (Hinton et al. 2015, arXiv 1503.02531)."""
        return _softmax(outputs)

    def told_apart(self, outputs: FloatArray, expected: FloatArray) -> Hits:
        """Those with another class."""
        return np.asarray(decide(outputs, self.cut) != decide(expected, self.cut))

    def predict(self, outputs: FloatArray) -> Predicted:
        return Predicted(outputs, decide(outputs, self.cut))

    def opens_with(self, targets: Targets) -> tuple[Score, str]:
        counts = np.bincount(np.asarray(targets, np.int64), minlength=len(self.class_names))
        commonest = int(counts.argmax())
        share = counts[commonest] / max(1, counts.sum())
        if share < _FOOLED:
            return self.scores[0], ""
        name = self.class_names[commonest]
        return self.score("balanced-accuracy"), (
            f"{share:.0%} of the rows are of class {name}: always saying {name} would already be "
            f"{share:.0%} accurate"
        )


def decide(outputs: npt.NDArray[np.floating], cut: float | None = None) -> Labels:
    """The class of the largest score; of two, the second where its probability is above a `cut`."""
    if cut is None:
        return np.asarray(outputs.argmax(1), np.int64)
    return np.asarray(probabilities(outputs)[:, 1] > cut, np.int64)


def _softmax(outputs: FloatArray) -> FloatArray:
    """Probabilities as training takes them, in the outputs' own precision."""
    shifted = np.exp(outputs - outputs.max(1, keepdims=True))
    found: FloatArray = shifted / shifted.sum(1, keepdims=True)
    return found


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ParetoscopeError(f"{name} must be numbers; got {text[:20]!r}") from None
    if not np.isfinite(value):
        raise ParetoscopeError(f"{name} must be finite; got {text[:20]!r}")
    return value


def _square(numbers: Sequence[float], n: int) -> tuple[tuple[float, ...], ...]:
    if len(numbers) != n * n:
        raise ParetoscopeError(
            f"costs must be {n * n} numbers, {n} for each class; got {len(numbers)}"
        )
    return tuple(tuple(numbers[k * n : (k + 1) * n]) for k in range(n))


def _whole(targets: Targets) -> Labels:
    return np.asarray(targets, np.int64)


def _margin(outputs: npt.NDArray[np.floating], c: int) -> Floats:
    """What ranks rows as the probability of a class does, without its rounding near 1: the log of
    its odds."""
    exact = outputs.astype(np.float64)
    others = np.delete(exact, c, axis=1)
    top = others.max(1)
    rest: Floats = top + np.log(np.exp(others - top[:, None]).sum(1))
    found: Floats = exact[:, c] - rest
    return found


def _share_below(values: Floats, others: Floats) -> Floats:
    """Which share of the sorted `others` is below each value; equal ones count half."""
    below, upto = (np.searchsorted(others, values, side) for side in ("left", "right"))
    return np.asarray((below + upto) / (2 * len(others)))


def _fewest(targets: Targets, n_classes: int) -> int:
    return int(np.bincount(_whole(targets), minlength=n_classes).min())


def _all_right(n: int) -> float:
    """The low end where nothing was wrong: 1 - p with p ** n = 0.025 (Clopper and Pearson)."""
    return float(0.025 ** (1 / n))
