"""Stochastic gradient descent on a chain of layers, in numpy.

Adam (Kingma and Ba 2015, arXiv 1412.6980) with cosine decay. What a step computes with and what
happens after it are given by the caller, which is how pruning masks, straight-through rounding,
proximal steps and targeted dropout get in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from threadpoolctl import threadpool_limits

from paretoscope.base.parameters import FloatArray
from paretoscope.network.chain import Chain
from paretoscope.network.network import Network
from paretoscope.problems.score import Targets

Arrays = dict[str, FloatArray]
# (name, weight, share of the descent done) -> the weight to compute with
Effective = Callable[[str, FloatArray, float], FloatArray]
# (weights, biases, share done) after each epoch
AfterEpoch = Callable[[Arrays, Arrays, float], None]
Loss = Callable[[FloatArray, Targets], tuple[float, FloatArray]]

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Schedule:
    """How long and how fast."""

    epochs: int
    rate: float = 1e-3
    batch: int = 128
    seed: int = 0


@dataclass
class _Adam:
    """One array's moments. Works in place."""

    value: FloatArray
    first: FloatArray = field(init=False)
    second: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self.first, self.second = np.zeros_like(self.value), np.zeros_like(self.value)
        self._scratch = np.empty_like(self.value)

    def step(self, gradient: FloatArray, rate: float, number: int) -> None:
        scratch = self._scratch
        self.first *= _BETA1
        np.multiply(gradient, 1 - _BETA1, out=scratch)
        self.first += scratch
        self.second *= _BETA2
        np.square(gradient, out=scratch)
        scratch *= 1 - _BETA2
        self.second += scratch
        np.sqrt(self.second, out=scratch)
        scratch += _EPSILON * math.sqrt(1 - _BETA2**number)
        np.divide(self.first, scratch, out=scratch)
        scratch *= rate * math.sqrt(1 - _BETA2**number) / (1 - _BETA1**number)
        self.value -= scratch


def descend(
    chain: Chain,
    X: FloatArray,
    targets: Targets,
    schedule: Schedule,
    loss: Loss,
    *,
    effective: Effective | None = None,
    after_step: Callable[[str, FloatArray, float], None] | None = None,
    after_epoch: AfterEpoch | None = None,
) -> tuple[Arrays, Arrays]:
    """Minimise a loss between targets and the chain's outputs.

    Parameters
    ----------
    chain : Chain
        Where to start. It is left as it is.
    X : float32 array of shape (n, d)
        Features, as they come.
    targets : array of n rows
        Those of a problem.
    schedule : Schedule
    loss : callable
        A problem's own: ``loss(outputs, targets)`` is its mean and its derivative by the outputs.
    effective : callable, optional
        The weight to compute with; its gradient is taken for the weight's own (straight-through,
        Bengio et al. 2013, arXiv 1308.3432).
    after_step : callable, optional
        ``after_step(name, weight, rate)`` changes a weight in place after its step.
    after_epoch : callable, optional
        ``after_epoch(weights, biases, share done)``.

    Returns
    -------
    weights, biases : dict of float32 arrays
        The last ones, not passed through `effective`.
    """
    # A second thread gains little on products this small, and where another process wants the
    # processors it costs ten times: one epoch of LeNet took 1.3 s with one and 7 s with two.
    with threadpool_limits(1, user_api="blas"):
        return _descend(chain, X, targets, schedule, loss, effective, after_step, after_epoch)


def _descend(
    chain: Chain,
    X: FloatArray,
    targets: Targets,
    schedule: Schedule,
    loss: Loss,
    effective: Effective | None,
    after_step: Callable[[str, FloatArray, float], None] | None,
    after_epoch: AfterEpoch | None,
) -> tuple[Arrays, Arrays]:
    weights = {name: np.array(w, np.float32) for name, w in chain.weights.items()}
    biases = {name: np.array(b, np.float32) for name, b in chain.biases.items()}
    moments = {name: (_Adam(weights[name]), _Adam(biases[name])) for name in weights}
    rng = np.random.default_rng(schedule.seed)
    features = chain.preparation(X)
    n_steps = schedule.epochs * math.ceil(len(X) / schedule.batch)
    number = 0
    for epoch in range(1, schedule.epochs + 1):
        order = rng.permutation(len(X))
        for i in range(0, len(X), schedule.batch):
            rows = order[i : i + schedule.batch]
            done = number / n_steps
            number += 1
            rate = schedule.rate * 0.5 * (1 + math.cos(math.pi * done))
            used = weights if effective is None else {
                name: effective(name, w, done) for name, w in weights.items()
            }  # fmt: skip
            at_work = chain.with_layers(used, biases)
            gradients = backward(at_work, features[rows], targets[rows], loss)
            for name, (of_weight, of_bias) in gradients.items():
                moments[name][0].step(of_weight, rate, number)
                moments[name][1].step(of_bias, rate, number)
                if after_step is not None:
                    after_step(name, weights[name], rate)
        if after_epoch is not None:
            after_epoch(weights, biases, epoch / schedule.epochs)
    return weights, biases


def backward(
    chain: Chain, features: FloatArray, targets: Targets, loss: Loss
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Gradients of the mean loss by each weight and bias, for scaled features."""
    trail = []
    h = features
    for stage in chain.stages:
        rows = stage.rows(h)
        z = rows @ chain.weights[stage.name] + chain.biases[stage.name]
        steps = stage.steps(z, h.shape)
        trail.append((stage, rows, h.shape, steps))
        h = steps[-1]
    _, of_scores = loss(chain.scores(h), targets)
    delta = chain.gradient_of_output(of_scores)
    found: dict[str, tuple[FloatArray, FloatArray]] = {}
    for stage, rows, shape, steps in reversed(trail):
        delta = stage.gradient_of_rows(delta, steps)
        found[stage.name] = rows.T @ delta, delta.sum(0)
        if stage is not chain.stages[0]:
            delta = stage.gradient_of_input(delta @ chain.weights[stage.name].T, shape)
    return found


def targets_of(network: Network, X: FloatArray, y: Targets) -> Targets:
    """What a network is to learn of rows: their targets, or, where these have none, its outputs."""
    if network.problem.targets != "outputs":
        return y
    return network.problem.as_targets(network.scores(X))


def copy_of(arrays: Mapping[str, FloatArray]) -> Arrays:
    return {name: array.copy() for name, array in arrays.items()}
