"""No targets: outputs are held against those of the uncompressed model on the same rows.

Agreement is no accuracy: it tells how much a file changes, not whether it was right before, and on
rows that were made it tells it of these rows only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import FloatArray
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

_SMALLEST = np.finfo(np.float32).tiny


class SameLabel(Share):
    """The share of rows for which the same output is the largest."""

    name, title = "same-label", "Same label"

    def hits(self, predicted: Predicted, targets: Targets) -> Hits:
        return np.asarray(_flat(predicted.outputs).argmax(1) == _flat(targets).argmax(1))


class Divergence(OfMeans):
    """The mean Kullback-Leibler divergence of the probabilities from those of before, in nats."""

    name, title, spoken = "kl", "KL divergence", "KL divergence"
    unit = "nats"
    higher_is_better = False
    low = 0.0

    def rows(self, predicted: Predicted, targets: Targets) -> Floats:
        now, before = (probabilities(_flat(o)) for o in (predicted.outputs, targets))
        now, before = np.maximum(now, _SMALLEST), np.maximum(before, _SMALLEST)
        return np.asarray(np.sum(before * np.log(before / now), axis=1, keepdims=True))


class Cosine(OfMeans):
    """The mean over rows of the cosine between outputs now and before."""

    name, title = "cosine", "Cosine"
    low, high = -1.0, 1.0

    def rows(self, predicted: Predicted, targets: Targets) -> Floats:
        now, before = _flat(predicted.outputs), _flat(targets)
        lengths = np.linalg.norm(now, axis=1) * np.linalg.norm(before, axis=1)
        same = np.all(now == before, axis=1)  # also where both are zero
        cosines = np.sum(now * before, axis=1) / np.where(lengths > 0, lengths, 1)
        return np.where(same, 1.0, cosines)[:, None]


class RelativeError(OfMeans):
    """The root of the mean squared difference of outputs, as a share of that of the outputs of
    before."""

    name, title, unit = "relative-error", "Relative error", "%"
    higher_is_better = False
    low = 0.0

    def rows(self, predicted: Predicted, targets: Targets) -> Floats:
        now, before = _flat(predicted.outputs), _flat(targets)
        parts = [np.mean((now - before) ** 2, axis=1), np.mean(before**2, axis=1)]
        return np.stack(parts, axis=1)

    def of_means(self, means: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
        off, size = means[..., 0], means[..., 1]
        found: npt.NDArray[np.complex128] = np.sqrt(off / np.where(size.real > 0, size, 1))
        return found


@dataclass(frozen=True)
class Agreement(Problem):
    """No targets: the outputs of the uncompressed model stand in their place.

    Parameters
    ----------
    labels : bool, default True
        Whether the largest output is a label, so that equal labels and probabilities mean
        something.
    """

    labels: bool = True
    name, title = "agreement", "Agreement"
    targets = "outputs"
    offers = (SameLabel, Divergence, Cosine, RelativeError)

    @classmethod
    def of(cls, names: tuple[str, ...]) -> Agreement:
        """Of outputs without names, as embeddings and pixels are, or of labels."""
        return cls(labels=bool(names))

    @property
    def names(self) -> tuple[str, ...]:
        return ("label",) if self.labels else ()

    @property
    def scores(self) -> tuple[Score, ...]:
        always: tuple[Score, ...] = (RelativeError(), Cosine())
        return (SameLabel(), Divergence(), *always) if self.labels else always

    def check(self, targets: Targets) -> None:
        if targets.dtype.kind != "f" or not np.isfinite(targets).all():
            raise ParetoscopeError("outputs must be finite numbers")

    def strata(self, targets: Targets) -> Labels:
        return np.zeros(len(targets), np.int64)

    def loss(self, outputs: FloatArray, targets: Targets) -> tuple[float, FloatArray]:
        """Half the squared difference from the outputs of before."""
        off = outputs.astype(np.float64) - np.asarray(targets, np.float64)
        value = float(np.sum(off**2) / (2 * len(outputs)))
        return value, (off / len(outputs)).astype(np.float32)


def _flat(outputs: npt.NDArray[np.generic]) -> Floats:
    """Outputs of any shape, a row each: embeddings, boxes, pixels."""
    found: Floats = np.asarray(outputs, np.float64).reshape(len(outputs), -1)
    return found
