"""Criteria that look at the weights alone, and the control that looks at nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paretoscope.base.parameters import (
    Number,
    parameter,
)
from paretoscope.data.rows import Rows
from paretoscope.methods.pruning.criterion import Criterion
from paretoscope.methods.pruning.cut import Scores
from paretoscope.network.network import Network


@dataclass(frozen=True)
class Magnitude(Criterion):
    """The absolute value: score ``|w|``. Small weights go first.

    Source: Han et al. 2015, "Learning both Weights and Connections" (arXiv 1506.02626); the
    article's L1 importance, term by term.

    Examples
    --------
    >>> str(Magnitude(threshold=0.05)), str(Magnitude(sparsity=0.5, scope="layer"))
    ('magnitude(threshold=0.05)', 'magnitude(sparsity=0.5,scope=layer)')
    """

    name = "magnitude"
    title = "Magnitude"
    score = "|w|"
    by_magnitude = True

    def scores(self, network: Network, rows: Rows | None = None) -> Scores:
        return {name: np.abs(weight) for name, weight in network.weights.items()}


@dataclass(frozen=True)
class RandomScore(Criterion):
    """Uniform random scores: the control. What it reaches, any criterion must beat.

    Source: Blalock et al. 2020, "What is the State of Neural Network Pruning?" (arXiv 2003.03033).
    """

    name = "random"
    title = "Random (control)"

    draw: float = parameter(
        Number(0, 2**31, whole=True),
        default=0,
        label="Draw",
        help="The seed: another number scores at random anew.",
    )

    def scores(self, network: Network, rows: Rows | None = None) -> Scores:
        rng = np.random.default_rng(int(self.draw))
        return {n: rng.random(w.shape, dtype=np.float32) for n, w in network.weights.items()}
