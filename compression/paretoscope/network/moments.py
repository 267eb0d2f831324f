"""Second moments of a layer's rows over calibration rows: the Hessian of its squared error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from paretoscope.base.parameters import FloatArray
from paretoscope.data.rows import Rows
from paretoscope.network.chain import Preparation, Stage, as_chain
from paretoscope.network.network import Network

Double = npt.NDArray[np.float64]
DAMPING = 0.01  # of the mean diagonal, as in SparseGPT's and GPTQ's code
_CHUNK_ROWS, _CHUNK_IMAGES = 5_000, 500
# A dense layer takes every training row: with 4,096 of 60,000 most of what compensation gains was
# lost. Each image gives a convolution many rows, and its moments are small.
_IMAGES = 10_000
_POSITIONS = 20


@dataclass(frozen=True, eq=False)
class Gram:
    """``H = X^T X / n`` of shape (in, in) and the mean input (in,), in float64."""

    H: Double
    mean: Double

    @property
    def dead(self) -> npt.NDArray[np.bool_]:
        """Inputs that are always zero: their weights do nothing."""
        zeros: npt.NDArray[np.bool_] = np.diag(self.H) == 0
        return zeros

    def damped(self) -> Double:
        """H with dead inputs set apart and a little of the mean diagonal added: invertible."""
        H = self.H.copy()
        diagonal = np.einsum("ii->i", H)
        diagonal[self.dead] = 1.0
        diagonal += DAMPING * diagonal.mean()
        return H


def advance(stage: Stage, h: FloatArray, weight: FloatArray, bias: FloatArray) -> FloatArray:
    """The input of the next stage."""
    parts = [
        stage.steps(stage.rows(part) @ weight + bias, part.shape)[-1] for part in _chunks(stage, h)
    ]
    return np.concatenate(parts)


def gram(stage: Stage, h: FloatArray) -> Gram:
    """Of a stage's rows, for its input `h`."""
    total, sums, n = np.zeros((stage.n_in, stage.n_in)), np.zeros(stage.n_in), 0
    for rows in _sampled(stage, h):
        total += rows.T @ rows
        sums += rows.sum(0, dtype=np.float64)
        n += len(rows)
    return Gram(total / n, sums / n)


def cross_moment(
    stage: Stage, h: FloatArray, other: FloatArray, other_stage: Stage | None = None
) -> Double:
    """``X^T Y / n`` of a stage's rows for two inputs; the other may be that of a wider stage."""
    other_stage = other_stage or stage
    total, n = np.zeros((stage.n_in, other_stage.n_in)), 0
    for X, Y in zip(_sampled(stage, h), _sampled(other_stage, other), strict=True):
        total += X.T @ Y
        n += len(X)
    return total / n


def first_gram(network: Network, rows: Rows) -> Gram:
    """Of the first layer's rows, which no compression changes: computed once for all recipes."""
    chain = as_chain(network)
    return _first_gram(chain.stages[0], chain.preparation, rows)


@lru_cache(maxsize=4)
def _first_gram(stage: Stage, preparation: Preparation, rows: Rows) -> Gram:
    return gram(stage, _prepared(preparation, rows))


@lru_cache(maxsize=2)
def _prepared(preparation: Preparation, rows: Rows) -> FloatArray:
    return preparation(rows.X if preparation.image_shape is None else rows.X[:_IMAGES])


@lru_cache(maxsize=2)
def inputs(network: Network, rows: Rows) -> Mapping[str, FloatArray]:
    """The input of every stage of the uncompressed network, kept for the next recipe."""
    chain = as_chain(network)
    found = {chain.names[0]: _prepared(chain.preparation, rows)}
    for stage, following in zip(chain.stages, chain.names[1:], strict=False):
        weight, bias = chain.weights[stage.name], chain.biases[stage.name]
        found[following] = advance(stage, found[stage.name], weight, bias)
    return found


@lru_cache(maxsize=4)
def grams(network: Network, rows: Rows) -> Mapping[str, Gram]:
    """Of every layer of the uncompressed network."""
    stages = as_chain(network).stages
    found = {stages[0].name: first_gram(network, rows)}
    for stage in stages[1:]:
        found[stage.name] = gram(stage, inputs(network, rows)[stage.name])
    return found


def _chunks(stage: Stage, h: FloatArray) -> Iterator[FloatArray]:
    size = _CHUNK_ROWS if stage.window is None else _CHUNK_IMAGES
    for i in range(0, len(h), size):
        yield h[i : i + size]


def _sampled(stage: Stage, h: FloatArray) -> Iterator[FloatArray]:
    """The rows to take moments of: all, or of a convolution some positions of each image."""
    for part in _chunks(stage, h):
        rows = stage.rows(part)
        step = max(1, len(rows) // len(part) // _POSITIONS)
        yield rows[::step] if step > 1 else rows
