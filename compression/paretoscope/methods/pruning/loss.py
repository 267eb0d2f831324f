"""Criteria that look at the loss on training rows: fits with a penalty or dropout, gradients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import (
    FloatArray,
    Number,
    Weights,
    parameter,
)
from paretoscope.data.rows import Rows
from paretoscope.methods.pruning.criterion import Criterion
from paretoscope.methods.pruning.cut import Scores
from paretoscope.network.chain import as_chain
from paretoscope.network.gradient import Schedule, backward, descend, targets_of
from paretoscope.network.network import Network

_RETRAIN_BATCH = 128
_RETRAIN_UPDATES = 1_200  # of the fits that L1 and dropout judge by, however many rows there are
_TAYLOR_ROWS = 5_000


@dataclass(frozen=True)
class L1Fit(Criterion):
    """Importance from an L1-regularised fit of the same model: score ``|w|`` after that fit.

    The fit starts from the trained weights and minimises loss + lambda * sum |w| by proximal
    steps, ``w <- sign(w) * max(|w| - rate * lambda, 0)`` after each step of Adam: what the article
    means by evaluating importance with L1 regularisation, for a linear model and for an MLP.

    Source: Parikh and Boyd 2014, "Proximal Algorithms"; the article, section 3.1.2.
    """

    name = "l1fit"
    title = "L1 fit"
    needs_rows = True

    strength: float = parameter(
        Number(1e-6, 10),
        default=0.02,
        label="Strength",
        help="How hard the L1 penalty pulls on each weight while fitting.",
    )

    def scores(self, network: Network, rows: Rows | None) -> Scores:
        assert rows is not None
        return _l1_scores(network, rows, float(self.strength))


@dataclass(frozen=True)
class TargetedDropout(Criterion):
    """Importance under targeted dropout: score ``|w|`` after training with it.

    While training on, the share `targeted` of each output's weights with the smallest magnitude is
    dropped with probability `rate` in every step, so that what matters moves to the others.

    Source: Gomez et al. 2019, "Learning Sparse Networks Using Targeted Dropout" (arXiv 1905.13678).
    """

    name = "dropout"
    title = "Targeted dropout"
    needs_rows = True

    rate: float = parameter(
        Number(0, 1), default=0.5, label="Rate", help="How often a targeted weight is dropped."
    )
    targeted: float = parameter(
        Number(0, 1), default=0.75, label="Targeted", help="The share of weights at risk."
    )

    def scores(self, network: Network, rows: Rows | None) -> Scores:
        assert rows is not None
        return _dropout_scores(network, rows, float(self.rate), float(self.targeted))


@dataclass(frozen=True)
class Taylor(Criterion):
    """First-order Taylor expansion: score ``(g w)^2``, the squared change of the loss if w goes.

    Source: Molchanov et al. 2019, "Importance Estimation for Neural Network Pruning"
    (arXiv 1906.10771), for single weights; squares are summed over batches of training rows.
    """

    name = "taylor"
    title = "Taylor"
    needs_rows = True

    def scores(self, network: Network, rows: Rows | None) -> Scores:
        assert rows is not None
        if network.problem.targets == "outputs":
            raise ParetoscopeError(
                "Taylor needs targets, and these rows have none: against the network's own outputs "
                "its loss is zero, and so is the gradient"
            )
        return _taylor_scores(network, rows)


# --- scores that take work, kept for the next recipe --------------------------------------------


def _retraining(rows: Rows) -> Schedule:
    updates_an_epoch = max(1, len(rows) // _RETRAIN_BATCH)
    return Schedule(epochs=max(1, round(_RETRAIN_UPDATES / updates_an_epoch)), batch=_RETRAIN_BATCH)


@lru_cache(maxsize=8)
def _l1_scores(network: Network, rows: Rows, strength: float) -> Scores:
    def shrink(name: str, weight: FloatArray, rate: float) -> None:
        magnitude = np.abs(weight)
        np.subtract(magnitude, np.float32(rate * strength), out=magnitude)
        np.copysign(np.maximum(magnitude, 0, out=magnitude), weight, out=weight)

    weights = _fit_on(network, rows, after_step=shrink)
    return {name: np.abs(weight) for name, weight in weights.items()}


@lru_cache(maxsize=8)
def _dropout_scores(network: Network, rows: Rows, rate: float, targeted: float) -> Scores:
    rng = np.random.default_rng(0)

    def drop(name: str, weight: FloatArray, done: float) -> FloatArray:
        n_targeted = int(targeted * len(weight))
        if n_targeted == 0:
            return weight
        magnitude = np.abs(weight)
        limit = np.partition(magnitude, n_targeted - 1, axis=0)[n_targeted - 1]
        dropped = (magnitude <= limit) & (rng.random(weight.shape, dtype=np.float32) < rate)
        return np.where(dropped, np.float32(0), weight)

    weights = _fit_on(network, rows, effective=drop)
    return {name: np.abs(weight) for name, weight in weights.items()}


def _fit_on(network: Network, rows: Rows, **hooks: object) -> Weights:
    chain = as_chain(network)
    loss = network.problem.loss
    targets = targets_of(network, rows.X, rows.y)
    weights, _ = descend(chain, rows.X, targets, _retraining(rows), loss, **hooks)  # type: ignore[arg-type]
    return weights


@lru_cache(maxsize=8)
def _taylor_scores(network: Network, rows: Rows) -> Scores:
    chain = as_chain(network)
    found = {name: np.zeros(w.shape, np.float32) for name, w in chain.weights.items()}
    loss = network.problem.loss
    for i in range(0, min(len(rows), _TAYLOR_ROWS), _RETRAIN_BATCH):
        batch = slice(i, i + _RETRAIN_BATCH)
        gradients = backward(chain, chain.preparation(rows.X[batch]), rows.y[batch], loss)
        for name, (gradient, _) in gradients.items():
            found[name] += np.square(gradient * chain.weights[name])
    return found
