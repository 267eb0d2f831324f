"""Selections: which weights go, given how much each matters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.parameters import BoolArray, FloatArray, Weights
from paretoscope.methods.pruning.cut import Cut, Scores

SCOPES = ("global", "layer", "output")


@dataclass(frozen=True)
class Threshold:
    """Cut what scores below `value`.

    With a scope of "layer" or "output", the value is in units of the root mean square score of
    that layer or output (Han et al. 2015, arXiv 1506.02626: a quality parameter times the layer's
    standard deviation).
    """

    value: float
    scope: str = "global"

    def __call__(self, scores: Scores) -> Cut:
        return Cut({name: score >= self._limit(score) for name, score in scores.items()})

    def _limit(self, score: FloatArray) -> float | FloatArray:
        if self.scope == "global":
            return self.value
        return np.asarray(self.value * rms(score, self.scope), np.float32)

    @staticmethod
    def steps(scores: Scores, values: Sequence[float], scope: str) -> Steps:
        """For each weight the first of the rising `values` that cuts it; their number if none."""
        found = {}
        for name, score in scores.items():
            if scope != "output":
                limits = _limits(values, score, scope)
                found[name] = np.searchsorted(limits, score, side="right")
                continue
            columns = zip(_limits(values, score, scope).T, score.T, strict=True)
            found[name] = np.stack([np.searchsorted(m, s, side="right") for m, s in columns], 1)
        return found


@dataclass(frozen=True)
class Sparsity:
    """Cut the share `fraction` of the scores, the smallest first, rounded down.

    Ranked over all layers, or within each layer or output. Among equal scores those that stand
    first go first, so that a larger fraction cuts a superset.
    """

    fraction: float
    scope: str = "global"

    def __call__(self, scores: Scores) -> Cut:
        if self.scope == "layer":
            return Cut({name: self._kept(s.ravel()).reshape(s.shape) for name, s in scores.items()})
        if self.scope == "output":
            return Cut({name: _by_rank(s, self._n_cut(len(s))) for name, s in scores.items()})
        kept = self._kept(np.concatenate([score.ravel() for score in scores.values()]))
        ends = np.cumsum([score.size for score in scores.values()])[:-1]
        parts = np.split(kept, ends)
        return Cut(
            {n: part.reshape(s.shape) for (n, s), part in zip(scores.items(), parts, strict=True)}
        )

    @staticmethod
    def steps(scores: Scores, values: Sequence[float], scope: str) -> Steps:
        """For each weight the first of the rising `values` that cuts it; their number if none."""
        if scope == "global":
            pooled = {"": np.concatenate([score.ravel() for score in scores.values()])}
            (place,) = Sparsity.steps(pooled, values, "layer").values()
            ends = np.cumsum([score.size for score in scores.values()])[:-1]
            parts = np.split(place, ends)
            return {n: p.reshape(s.shape) for (n, s), p in zip(scores.items(), parts, strict=True)}
        found = {}
        for name, score in scores.items():
            ranked = score if scope == "output" else score.reshape(-1, 1)
            order = np.argsort(ranked, axis=0, kind="stable")
            places = np.array([Sparsity(value, scope)._n_cut(len(ranked)) for value in values])
            of_rank = np.searchsorted(places, np.arange(len(ranked)), side="right")
            steps = np.empty(ranked.shape, np.intp)
            np.put_along_axis(steps, order, np.broadcast_to(of_rank[:, None], order.shape), axis=0)
            found[name] = steps.reshape(score.shape)
        return found

    def _n_cut(self, n: int) -> int:
        # 1e-9: a fraction such as 0.29 times 100 is 28.999999999999996 in floats.
        return int(np.floor(self.fraction * n + 1e-9))

    def _kept(self, flat: FloatArray) -> BoolArray:
        n_cut = self._n_cut(flat.size)
        if n_cut == 0:
            return np.ones(flat.size, np.bool_)
        limit = np.partition(flat, n_cut - 1)[n_cut - 1]
        kept: BoolArray = flat > limit
        ties = np.flatnonzero(flat == limit)
        kept[ties[n_cut - np.count_nonzero(flat < limit) :]] = True
        return kept


@dataclass(frozen=True)
class Pattern:
    """Keep the `n` best of every `m` consecutive inputs of an output (N:M sparsity).

    Source: Mishra et al. 2021, arXiv 2104.08378 (2:4).
    """

    n: int
    m: int

    def check(self, weights: Weights) -> None:
        """Raise a `ParetoscopeError` where the groups do not divide a layer's inputs."""
        for name, weight in weights.items():
            if len(weight) % self.m:
                raise ParetoscopeError(
                    f"pattern {self.n}:{self.m} needs inputs in groups of {self.m}; {name} has "
                    f"{len(weight)}"
                )

    def __call__(self, scores: Scores) -> Cut:
        self.check(scores)
        kept = {}
        for name, score in scores.items():
            n_in, n_out = score.shape
            groups = score.reshape(n_in // self.m, self.m, n_out)
            by_group = np.moveaxis(groups, 1, 0)
            mask = _by_rank(by_group, self.m - self.n)
            kept[name] = np.moveaxis(mask, 0, 1).reshape(score.shape)
        return Cut(kept)


Selection = Callable[[Scores], Cut]
Steps = dict[str, npt.NDArray[np.intp]]


def rms(score: FloatArray, scope: str) -> FloatArray:
    """Root mean square of a layer, or of each of its outputs, in float64."""
    square = np.square(score, dtype=np.float64)
    mean: FloatArray = np.sqrt(square.mean(0) if scope == "output" else square.mean())
    return mean


def _limits(values: Sequence[float], score: FloatArray, scope: str) -> FloatArray:
    """What scores are compared with at each value, as in `Threshold`; for outputs (values, out)."""
    if scope == "global":
        return np.asarray(values, np.float32)
    return np.stack([np.asarray(v * rms(score, scope), np.float32) for v in values])


def _by_rank(score: FloatArray, n_cut: int) -> BoolArray:
    """Along the first axis, everything but the `n_cut` smallest; of equal ones the first go."""
    ranks = np.argsort(np.argsort(score, axis=0, kind="stable"), axis=0, kind="stable")
    kept: BoolArray = ranks >= n_cut
    return kept
