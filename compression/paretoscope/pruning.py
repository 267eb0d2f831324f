"""Pruning: a criterion says how much each weight matters, a selection which go: the cut.

To add a criterion, write a subclass of `Criterion` and add it to `CRITERIA` at this file's foot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from paretoscope.errors import ParetoscopeError
from paretoscope.network import Network
from paretoscope.parameters import BoolArray, Choice, FloatArray, Member, Number, Weights, parameter

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


# --- selections -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Threshold:
    """Cut what scores below `value`.

    Per layer, the value is in units of that layer's root mean square score (Han et al. 2015,
    arXiv 1506.02626: a quality parameter times the layer's standard deviation).
    """

    value: float
    per_layer: bool = False

    def __call__(self, scores: Scores) -> Cut:
        return Cut({name: score >= self._limit(score) for name, score in scores.items()})

    def _limit(self, score: FloatArray) -> float:
        return self.value * rms(score) if self.per_layer else self.value


@dataclass(frozen=True)
class Sparsity:
    """Cut the share `fraction` of the scores, the smallest first, rounded down.

    Among equal scores those that stand first go first, so that a larger fraction cuts a superset.
    """

    fraction: float
    per_layer: bool = False

    def __call__(self, scores: Scores) -> Cut:
        if self.per_layer:
            return Cut({name: self._kept(s.ravel()).reshape(s.shape) for name, s in scores.items()})
        kept = self._kept(np.concatenate([score.ravel() for score in scores.values()]))
        ends = np.cumsum([score.size for score in scores.values()])[:-1]
        parts = np.split(kept, ends)
        return Cut(
            {n: part.reshape(s.shape) for (n, s), part in zip(scores.items(), parts, strict=True)}
        )

    def _kept(self, flat: FloatArray) -> BoolArray:
        # 1e-9: a fraction such as 0.29 times 100 is 28.999999999999996 in floats.
        n_cut = int(np.floor(self.fraction * flat.size + 1e-9))
        if n_cut == 0:
            return np.ones(flat.size, np.bool_)
        limit = np.partition(flat, n_cut - 1)[n_cut - 1]
        kept: BoolArray = flat > limit
        ties = np.flatnonzero(flat == limit)
        kept[ties[n_cut - np.count_nonzero(flat < limit) :]] = True
        return kept


Selection = Threshold | Sparsity


def rms(score: FloatArray) -> float:
    """Root mean square, in float64."""
    return float(np.sqrt(np.mean(np.square(score, dtype=np.float64))))


# --- criteria ---------------------------------------------------------------------------------


def _threshold_stops(scores: Scores, count: int, scope: str = "global") -> Sequence[float]:
    """Thresholds at even steps of sparsity up to 90 %, then 95 and 98 %, to three digits."""
    if scope == "layer":
        scores = {name: score / max(rms(score), 1e-30) for name, score in scores.items()}
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

    Exactly one of `threshold` and `sparsity` is given.
    """

    needs_rows: ClassVar[bool] = False

    threshold: float | None = parameter(
        Number(0),
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
    scope: str = parameter(
        Choice(("global", "layer")),
        default="global",
        label="Scope",
        help="global: one ranking for all layers. layer: each layer by itself; a threshold is then "
        "in units of the layer's root mean square weight.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.threshold is None) == (self.sparsity is None):
            raise ParetoscopeError(
                f"{type(self).__name__} takes either threshold or sparsity; "
                f"got {'neither' if self.threshold is None else 'both'}"
            )

    @property
    def selection(self) -> Selection:
        per_layer = self.scope == "layer"
        if self.threshold is not None:
            return Threshold(self.threshold, per_layer)
        assert self.sparsity is not None
        return Sparsity(self.sparsity, per_layer)

    def scores(self, network: Network, rows: FloatArray | None) -> Scores:
        """How much each weight matters: an array of the weight's shape for each layer.

        Parameters
        ----------
        network : Network
        rows : float32 array of shape (n, d), or None
            Training features, for criteria with `needs_rows`.
        """
        raise NotImplementedError


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

    text_name = "magnitude"
    title = "Magnitude"

    def scores(self, network: Network, rows: FloatArray | None = None) -> Scores:
        return {name: np.abs(weight) for name, weight in network.weights.items()}


@dataclass(frozen=True)
class KeepAll(Member):
    """No pruning."""

    text_name = "keep"
    title = "No pruning"


Pruner = Criterion | KeepAll


def cut(network: Network, by_layer: Mapping[str, Pruner], rows: FloatArray | None = None) -> Cut:
    """The cut of a network whose layers have each a criterion.

    Layers with equal criteria are one group: a global scope ranks the weights of its group.

    Raises
    ------
    ParetoscopeError
        A weight is not a finite number, or a criterion needs rows and there are none.
    """
    kept: dict[str, BoolArray] = {}
    for pruner in dict.fromkeys(by_layer.values()):
        members = [name for name, other in by_layer.items() if other == pruner]
        if isinstance(pruner, Criterion):
            if pruner.needs_rows and rows is None:
                raise ParetoscopeError(f"{pruner.text_name} needs training rows; got none")
            scores = pruner.scores(network, rows)
            kept.update(pruner.selection({name: scores[name] for name in members}).kept)
        else:
            kept.update({name: np.ones(1, np.bool_) for name in members})
    return Cut({name: kept[name] for name in by_layer})


def smallest_kept(scores: Scores, selection: Cut) -> float | None:
    """The lowest score that is kept: the threshold that a sparsity amounts to. None if none is."""
    kept = [score[selection.kept[name]] for name, score in scores.items()]
    lowest = [float(k.min()) for k in kept if k.size]
    return min(lowest) if lowest else None


CRITERIA: tuple[type[Criterion], ...] = (Magnitude,)
PRUNERS: tuple[type[Member], ...] = (KeepAll, *CRITERIA)
