"""Whole units: neurons and filters that go for good, so that the matrices shrink.

To add a criterion, write a subclass of `UnitCriterion` and add it to `UNIT_CRITERIA` at this file's
foot.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import Choice, FloatArray, Member, Number, Weights, parameter
from paretoscope.data.rows import Rows
from paretoscope.network.chain import Relu, Stage, as_chain
from paretoscope.network.moments import (
    DAMPING,
    Double,
    advance,
    cross_moment,
    gram,
    grams,
    inputs,
)
from paretoscope.network.network import Network

_CHUNK_ROWS = 500
_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
UnitScores = Mapping[str, FloatArray]


def _share_stops(weights: Weights, count: int) -> tuple[float, ...]:
    return _SHARES


@dataclass(frozen=True)
class UnitCriterion(Member):
    """How much each output unit of a layer matters. The share of each hidden layer's units that
    matter least is removed: their columns, their biases, and the rows of the next layer.

    The classes' own units, those of the last layer, always stay.
    """

    needs_rows: ClassVar[bool] = True

    share: float = parameter(
        Number(0, 0.99),
        label="Units removed",
        help="The share of each hidden layer's neurons or filters that go. The matrices shrink, so "
        "the file is smaller; mostly it is faster, too, but not with every number of units: the "
        "measured time tells.",
        stops=_share_stops,
        first=0.3,
    )
    repair: str = parameter(
        Choice(("mean", "refit")),
        default="mean",
        label="Repair",
        help="mean: what removed units gave on average goes into the next bias. refit: the next "
        "layer is fitted again by least squares.",
    )

    @abstractmethod
    def scores(self, network: Network, rows: Rows) -> UnitScores:
        """How much each unit matters: an array (out,) for each layer."""


@dataclass(frozen=True)
class UnitNorm(UnitCriterion):
    """The L2 norm of a unit's weights: score ``||W_:j||_2``.

    Source: Li et al. 2017, "Pruning Filters for Efficient ConvNets" (arXiv 1608.08710), there with
    L1; L2 as in PyTorch's ``ln_structured``.
    """

    name = "l2"
    title = "L2 norm"

    def scores(self, network: Network, rows: Rows) -> UnitScores:
        return {name: np.linalg.norm(w, axis=0) for name, w in network.weights.items()}


@dataclass(frozen=True)
class MeanActivation(UnitCriterion):
    """The mean absolute output of a unit on training rows: score ``E|h_j|``.

    Source: Molchanov et al. 2017, "Pruning Convolutional Neural Networks for Resource Efficient
    Inference" (arXiv 1611.06440), section 2.2.
    """

    name = "activation"
    title = "Mean activation"

    def scores(self, network: Network, rows: Rows) -> UnitScores:
        return {name: mean for name, (mean, _) in _activations(network, rows).items()}


@dataclass(frozen=True)
class ZeroShare(UnitCriterion):
    """The average percentage of zeros (APoZ) of a unit: score ``1 - P(h_j = 0)``; units that are
    silent most often go first.

    Source: Hu et al. 2016, "Network Trimming" (arXiv 1607.03250).
    """

    name = "apoz"
    title = "Share of zeros (APoZ)"

    def scores(self, network: Network, rows: Rows) -> UnitScores:
        return {name: active for name, (_, active) in _activations(network, rows).items()}


@dataclass(frozen=True)
class RandomUnits(UnitCriterion):
    """Uniform random scores: the control for whole units.

    Source: Mittal et al. 2018, "Recovering from Random Pruning" (arXiv 1801.10447).
    """

    name = "randomunits"
    title = "Random (control)"

    def scores(self, network: Network, rows: Rows) -> UnitScores:
        rng = np.random.default_rng(0)
        return {n: rng.random((w.shape[1],), dtype=np.float32) for n, w in network.weights.items()}


@dataclass(frozen=True)
class KeepUnits(Member):
    """All neurons and filters stay."""

    name = "allunits"
    title = "All stay"


Units = UnitCriterion | KeepUnits


def remove_units(network: Network, by_layer: Mapping[str, Units], rows: Rows | None) -> Network:
    """The smaller network.

    Parameters
    ----------
    network : Network
        A chain of dense layers and convolutions with ReLU, max pooling and flatten between them.
    by_layer : mapping from layer to what is done with its units
        What it says of the last layer is left out: its units are the classes.
    rows : Rows or None
        Training rows, to score and repair with.

    Raises
    ------
    ParetoscopeError
        There are no rows, a layer has no bias, or the graph is no such chain; names the node.
    """
    last = list(network.weights)[-1]
    given = {n: u for n, u in by_layer.items() if isinstance(u, UnitCriterion) and n != last}
    if not any(units.share for units in given.values()):
        return network
    if rows is None:
        name = next(iter(given.values())).name
        raise ParetoscopeError(f"{name} needs training rows; got none")
    as_chain(network)  # says so where it is none
    for name in list(network.weights)[1:]:
        if name not in network.biases:
            raise ParetoscopeError(
                f"{name} has no bias, which would take what removed units gave on average"
            )
    return _removed(network, tuple(given.items()), rows)


@lru_cache(maxsize=4)
def _removed(network: Network, given: tuple[tuple[str, UnitCriterion], ...], rows: Rows) -> Network:
    chain, by_layer = as_chain(network), dict(given)
    weights: dict[str, FloatArray] = {}
    biases: dict[str, FloatArray] = {}
    h = inputs(network, rows)[chain.names[0]]
    kept_inputs: npt.NDArray[np.intp] | None = None
    repair = "mean"
    for number, stage in enumerate(chain.stages):
        weight, bias = chain.weights[stage.name], chain.biases[stage.name]
        if kept_inputs is not None:
            smaller = replace(stage, n_in=len(kept_inputs))
            weight, bias = _repaired(network, rows, stage, smaller, h, kept_inputs, repair)
            stage = smaller
        units = by_layer.get(stage.name)
        kept = _kept(units, network, rows, stage.name, weight.shape[1])
        weights[stage.name], biases[stage.name] = weight[:, kept], bias[kept]
        if number + 1 == len(chain.stages):
            break
        if len(kept) == weight.shape[1] and kept_inputs is None:
            h = inputs(network, rows)[chain.stages[number + 1].name]
            continue
        h = advance(stage, h, weights[stage.name], biases[stage.name])
        # Pooling leaves a channel's values together and flatten puts them in a row, channel by
        # channel, so each unit feeds as many consecutive inputs of the next layer.
        fed = chain.stages[number + 1].n_in // chain.weights[stage.name].shape[1]
        kept_inputs = (kept[:, None] * fed + np.arange(fed)).ravel()
        repair = "mean" if units is None else units.repair
    return network.with_layers(weights, biases)


def _kept(
    units: UnitCriterion | None, network: Network, rows: Rows, name: str, n_units: int
) -> npt.NDArray[np.intp]:
    if units is None:
        return np.arange(n_units)
    n_removed = min(int(np.floor(units.share * n_units + 1e-9)), n_units - 1)
    ranked = np.argsort(units.scores(network, rows)[name], kind="stable")
    return np.sort(ranked[n_removed:])


def _repaired(
    network: Network,
    rows: Rows,
    stage: Stage,
    smaller: Stage,
    h: FloatArray,
    kept: npt.NDArray[np.intp],
    repair: str,
) -> tuple[FloatArray, FloatArray]:
    """A layer's weight and bias when only the inputs `kept` are left, as `h` gives them."""
    weight, bias = network.weights[stage.name].astype(np.float64), network.biases[stage.name]
    mean_before = grams(network, rows)[stage.name].mean
    now = gram(smaller, h)
    left: Double = weight[kept]
    if repair == "refit":
        before = inputs(network, rows)[stage.name]
        H = now.H - np.outer(now.mean, now.mean)
        pull = DAMPING * np.diag(H).mean()
        cross = cross_moment(smaller, h, before, stage) - np.outer(now.mean, mean_before)
        H += pull * np.eye(len(H))
        left = np.linalg.solve(H, cross @ weight + pull * left)
    moved = bias + mean_before @ weight - now.mean @ left
    return left.astype(np.float32), moved.astype(np.float32)


@lru_cache(maxsize=4)
def _activations(network: Network, rows: Rows) -> Mapping[str, tuple[FloatArray, FloatArray]]:
    """For each unit the mean absolute output and how often it is not zero."""
    chain = as_chain(network)
    X = rows.X[: len(inputs(network, rows)[chain.names[0]])]
    sums = {n: np.zeros((2, w.shape[1])) for n, w in chain.weights.items()}
    counts = dict.fromkeys(chain.names, 0)
    for i in range(0, len(X), _CHUNK_ROWS):
        outputs = chain.forward(X[i : i + _CHUNK_ROWS])
        for stage, (name, _, z) in zip(chain.stages, outputs, strict=True):
            h = np.maximum(z, 0) if any(isinstance(s, Relu) for s in stage.after) else z
            sums[name] += np.abs(h).sum(0), np.count_nonzero(h, axis=0)
            counts[name] += len(h)
    return {
        name: (
            (total[0] / counts[name]).astype(np.float32),
            (total[1] / counts[name]).astype(np.float32),
        )
        for name, total in sums.items()
    }


UNIT_CRITERIA: tuple[type[UnitCriterion], ...] = (UnitNorm, MeanActivation, ZeroShare, RandomUnits)
UNITS: tuple[type[Member], ...] = (KeepUnits, *UNIT_CRITERIA)
