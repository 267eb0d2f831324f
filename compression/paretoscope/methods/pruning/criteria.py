"""Criteria: how much each weight matters.

To add one, write a subclass of `Criterion` and add it to `CRITERIA` at this file's foot.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import (
    BoolArray,
    Choice,
    FloatArray,
    Member,
    Number,
    Weights,
    parameter,
)
from paretoscope.data.dataset import Rows
from paretoscope.methods.pruning.cut import Cut, Scores
from paretoscope.methods.pruning.selections import (
    SCOPES,
    Pattern,
    Selection,
    Sparsity,
    Threshold,
    rms,
)
from paretoscope.network.chain import as_chain
from paretoscope.network.gradient import Schedule, backward, descend, one_hot
from paretoscope.network.moments import grams
from paretoscope.network.network import Network

LARGEST_THRESHOLD = 1e30  # well within float32, in which scores are kept
_RETRAIN_BATCH = 128
_RETRAIN_UPDATES = 1_200  # of the fits that L1 and dropout judge by, however many rows there are
_TAYLOR_ROWS = 5_000


def _threshold_stops(scores: Scores, count: int, scope: str = "global") -> Sequence[float]:
    """Thresholds at even steps of sparsity up to 90 %, then 95 and 98 %, to three digits."""
    if scope != "global":
        units = {name: np.float32(np.maximum(rms(s, scope), 1e-30)) for name, s in scores.items()}
        scores = {name: s / units[name] for name, s in scores.items()}
    pooled = np.concatenate([score.ravel() for score in scores.values()])
    values = np.quantile(pooled, _sparsity_levels(count))
    values[values < 1e-6 * pooled.max()] = 0  # weights that decayed to nothing in training
    return sorted({0.0, *(float(f"{value:.3g}") for value in values)})


def _sparsity_stops(scores: Scores, count: int, scope: str = "global") -> Sequence[float]:
    return [round(float(level), 3) for level in _sparsity_levels(count)]


def _sparsity_levels(count: int) -> FloatArray:
    levels: FloatArray = np.append(np.linspace(0, 0.9, max(count - 2, 2)), [0.95, 0.98])
    return levels


@dataclass(frozen=True)
class Criterion(Member):
    """How much each weight matters, and by which selection the least important go.

    Exactly one of `threshold`, `sparsity` and `pattern` is given.
    """

    needs_rows: ClassVar[bool] = False

    threshold: float | None = parameter(
        Number(0, LARGEST_THRESHOLD),
        default=None,
        label="Threshold",
        help="Weights that score below it are set to zero. A higher threshold cuts more.",
        stops=_threshold_stops,
    )
    sparsity: float | None = parameter(
        Number(0, 1),
        default=None,
        label="Sparsity",
        help="The share of weights set to zero, the least important first.",
        stops=_sparsity_stops,
    )
    pattern: str | None = parameter(
        Choice(("1:2", "2:4", "1:4", "4:8")),
        default=None,
        label="Pattern",
        help="N:M keeps the N best of every M consecutive inputs of an output.",
    )
    scope: str = parameter(
        Choice(SCOPES),
        default="global",
        label="Scope",
        help="global: one ranking for all layers. layer: each layer by itself. output: each output "
        "by itself. A threshold by layer or output is in units of its root mean square score.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        given = [n for n in ("threshold", "sparsity", "pattern") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ParetoscopeError(
                f"{self.name} takes one of threshold, sparsity and pattern; "
                f"got {' and '.join(given) or 'none'}"
            )
        if self.pattern is not None and self.scope != "global":
            raise ParetoscopeError(f"{self.name} takes no scope with a pattern; got {self.scope!r}")

    @property
    def selection(self) -> Selection:
        if self.threshold is not None:
            return Threshold(self.threshold, self.scope)
        if self.sparsity is not None:
            return Sparsity(self.sparsity, self.scope)
        assert self.pattern is not None
        n, m = self.pattern.split(":")
        return Pattern(int(n), int(m))

    @abstractmethod
    def scores(self, network: Network, rows: Rows | None) -> Scores:
        """How much each weight matters: an array of the weight's shape for each layer.

        Parameters
        ----------
        network : Network
        rows : Rows or None
            Training rows, for criteria with `needs_rows`.
        """


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
        Number(0, 2**31, whole=True), default=0, label="Draw", help="Another cuts other weights."
    )

    def scores(self, network: Network, rows: Rows | None = None) -> Scores:
        rng = np.random.default_rng(int(self.draw))
        return {n: rng.random(w.shape, dtype=np.float32) for n, w in network.weights.items()}


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
        return _taylor_scores(network, rows)


@dataclass(frozen=True)
class Wanda(Criterion):
    """Weight times the norm of its input: score ``|w_ij| * ||X_i||_2``; use it with scope=output.

    Source: Sun et al. 2024, "A Simple and Effective Pruning Approach for Large Language Models"
    (arXiv 2306.11695).
    """

    name = "wanda"
    title = "Wanda"
    needs_rows = True

    def scores(self, network: Network, rows: Rows | None) -> Scores:
        assert rows is not None
        norms = {name: np.sqrt(np.diag(g.H)) for name, g in grams(network, rows).items()}
        return {
            name: (np.abs(w) * norms[name][:, None]).astype(np.float32)
            for name, w in network.weights.items()
        }


@dataclass(frozen=True)
class OptimalBrainSurgeon(Criterion):
    """The error that cutting w leaves when the others make up for it: ``w^2 / (2 [H^-1]_ii)``.

    H is the second moment of the layer's inputs. Scores of different layers have different units:
    use it with scope=layer.

    Source: Hassibi and Stork 1992, "Second Order Derivatives for Network Pruning"; layer by layer
    as in Frantar and Alistarh 2022 (arXiv 2208.11580).
    """

    name = "obs"
    title = "Optimal brain surgeon"
    needs_rows = True

    def scores(self, network: Network, rows: Rows | None) -> Scores:
        assert rows is not None
        found = {}
        for name, g in grams(network, rows).items():
            error = (
                np.square(network.weights[name]) / (2 * np.diag(np.linalg.inv(g.damped())))[:, None]
            )
            found[name] = np.where(g.dead[:, None], 0, error).astype(np.float32)
        return found


@dataclass(frozen=True)
class KeepAll(Member):
    """No pruning."""

    name = "keep"
    title = "No pruning"


Pruner = Criterion | KeepAll


def cut(network: Network, by_layer: Mapping[str, Pruner], rows: Rows | None = None) -> Cut:
    """The cut of a network whose layers have each a criterion.

    Layers with equal criteria are one group: a global scope ranks the weights of its group.

    Raises
    ------
    ParetoscopeError
        A criterion needs rows and there are none, or a pattern does not divide a layer.
    """
    groups = {
        pruner: [name for name, other in by_layer.items() if other == pruner]
        for pruner in dict.fromkeys(by_layer.values())
    }
    for pruner, members in groups.items():  # what cannot be is said before any work
        if isinstance(pruner, Criterion):
            if pruner.needs_rows and rows is None:
                raise ParetoscopeError(f"{pruner.name} needs training rows; got none")
            if isinstance(pruner.selection, Pattern):
                pruner.selection.check({name: network.weights[name] for name in members})
    kept: dict[str, BoolArray] = {}
    for pruner, members in groups.items():
        if isinstance(pruner, Criterion):
            scores = pruner.scores(network, rows)
            kept.update(pruner.selection({name: scores[name] for name in members}).kept)
        else:
            kept.update({name: np.ones(1, np.bool_) for name in members})
    return Cut({name: kept[name] for name in by_layer})


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
    targets = one_hot(rows.y, _n_classes(network))
    weights, _ = descend(chain, rows.X, targets, _retraining(rows), **hooks)  # type: ignore[arg-type]
    return weights


@lru_cache(maxsize=8)
def _taylor_scores(network: Network, rows: Rows) -> Scores:
    chain = as_chain(network)
    found = {name: np.zeros(w.shape, np.float32) for name, w in chain.weights.items()}
    targets = one_hot(rows.y, _n_classes(network))
    for i in range(0, min(len(rows), _TAYLOR_ROWS), _RETRAIN_BATCH):
        batch = slice(i, i + _RETRAIN_BATCH)
        gradients = backward(chain, chain.preparation(rows.X[batch]), targets[batch])
        for name, (gradient, _) in gradients.items():
            found[name] += np.square(gradient * chain.weights[name])
    return found


def _n_classes(network: Network) -> int:
    return max(2, int(list(network.weights.values())[-1].shape[1]))


CRITERIA: tuple[type[Criterion], ...] = (
    Magnitude,
    L1Fit,
    TargetedDropout,
    Taylor,
    Wanda,
    OptimalBrainSurgeon,
    RandomScore,
)
PRUNERS: tuple[type[Member], ...] = (KeepAll, *CRITERIA)
