"""A cut: what pruning keeps of each weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from paretoscope.base.parameters import BoolArray, FloatArray, Weights

Scores = Mapping[str, FloatArray]


@dataclass(frozen=True)
class Cut:
    """What is kept: for each weight a boolean array that broadcasts against it.

    A mask of the weight's shape (in, out) keeps single weights; one of shape (out,) keeps whole
    output units.
    """

    kept: Mapping[str, BoolArray]

    def apply(self, weights: Weights) -> dict[str, FloatArray]:
        """The weights with what was cut set to zero."""
        return {
            name: np.where(self.kept[name], weight, np.float32(0))
            for name, weight in weights.items()
        }

    def sparsity(self, weights: Weights) -> float:
        """The share of the weights that is cut."""
        total = sum(w.size for w in weights.values())
        kept = sum(
            np.count_nonzero(np.broadcast_to(self.kept[name], w.shape))
            for name, w in weights.items()
        )
        return 1 - kept / total


def smallest_kept(scores: Scores, selection: Cut) -> float | None:
    """The lowest score that is kept: the threshold that a sparsity amounts to. None if none is."""
    kept = [score[selection.kept[name]] for name, score in scores.items()]
    lowest = [float(k.min()) for k in kept if k.size]
    return min(lowest) if lowest else None
